"""Degradation in a few figures: the worst pattern, the deployment's patterns, the area."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from fusewise.evaluate.bootstrap import Z
from fusewise.evaluate.patterns import stack

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from fusewise.evaluate.mixture import Mixture
    from fusewise.evaluate.predictions import Predicted, Withholding
    from fusewise.evaluate.scoring import Scoring

WORST, LOWEST = "worst pattern, withheld", "worst pattern, as it came"
DEPLOYED, AREA = "the deployment's patterns, withheld", "area under the degradation curve"
# From this share on, what is left of the deployment would round to nothing.
ALL = 0.995


def summarise(
    scoring: Scoring,
    natural: Predicted,
    by_pattern: pd.DataFrame,
    experiments: Sequence[Withholding],
    answers: Sequence[Predicted],
    mixture: Mixture,
    area: Sequence[dict[str, Any]],
) -> list[dict[str, Any]]:
    """Return the rows of the degradation summary.

    The worst of many noisy estimates looks worse than it is. Its limits are therefore such that
    those of all cells that it was chosen from hold at once (Bonferroni, by the normal law and each
    cell's own standard error); small cells are not chosen from, and ``of`` says how many there
    were.

    The deployment's patterns, withheld: the score on the mixture as in the headline, but of the
    samples of the withheld view, from which modalities are taken away to give each pattern. What
    it loses against the same samples as they came is what the deployment's absence costs. Patterns
    beyond the withheld view are not in it; the note says how much of the deployment is.
    """
    return [
        *_worst(scoring, by_pattern, "withheld", WORST),
        *_worst(scoring, by_pattern, "natural", LOWEST),
        *_deployed(scoring, natural, experiments, answers, mixture),
        *({"summary": AREA, "where": "", "of": 1, **row} for row in area),
    ]


def _worst(
    scoring: Scoring, by_pattern: pd.DataFrame, view: str, name: str
) -> list[dict[str, Any]]:
    out = []
    for metric in scoring.metrics:
        cells = by_pattern.query("view == @view and metric == @metric.name and not small")
        by = "drop" if view == "withheld" else "estimate"
        cells = cells[cells[by].notna() & cells["low"].notna()]
        if view == "withheld":
            cells = cells[cells["drop"] != 0]
        if cells.empty:
            continue
        # How bad, whatever the metric's direction.
        bad = cells[by] if view == "withheld" else metric.drop(0.0, cells[by])
        row = cells.iloc[int(np.argmax(bad.to_numpy(float)))].to_dict()
        found = {
            "summary": name,
            "where": str(row["pattern"]),
            "of": len(cells),
            "metric": metric.name,
            "n": int(row["n"]),
            "estimate": float(row["estimate"]),
            "drop": float(row["drop"]),
            "small": False,
            "note": "",
        }
        found["low"], found["high"] = _at_once(row, "estimate", "low", "high", len(cells))
        limits = _at_once(row, "drop", "drop_low", "drop_high", len(cells))
        found["drop_low"], found["drop_high"] = limits
        out.append(found)
    return out


def _at_once(row: dict[Any, Any], value: str, low: str, high: str, of: int) -> tuple[float, float]:
    """Widen an interval so that those of `of` cells hold together."""
    factor = float(stats.norm.ppf(1 - 0.025 / of)) / Z
    centre = float(row[value])
    return centre - factor * (centre - float(row[low])), centre + factor * (
        float(row[high]) - centre
    )


def _deployed(
    scoring: Scoring,
    natural: Predicted,
    experiments: Sequence[Withholding],
    answers: Sequence[Predicted],
    mixture: Mixture,
) -> list[dict[str, Any]]:
    parts, weights, rows = [], [], []
    covered = 0.0
    for experiment, predicted in zip(experiments, answers, strict=True):
        known = predicted.answered & natural.answered[experiment.rows]
        weight = mixture.weights.get(experiment.label, 0.0)
        if weight and known.any():
            parts.append(predicted[known])
            rows.append(experiment.rows[known])
            weights.append(np.full(int(known.sum()), weight / known.sum()))
            covered += weight
    if not parts:
        return []
    where = np.concatenate(rows)
    after = stack(parts)
    each = np.concatenate(weights)
    each /= each.mean()
    at = np.arange(len(where))
    gone, came = scoring.arms(where, [[(at, after)], [(at, natural[where])]], "deployed", each)
    partly = "" if covered > ALL else f"covers {covered:.0%} of the deployment"
    out = []
    for metric, score, before in zip(scoring.metrics, gone, came, strict=True):
        row = {
            "summary": DEPLOYED,
            "where": "",
            "of": len(parts),
            "metric": metric.name,
            "n": len(np.unique(where)),
            **score.columns(),
            **metric.drop(before, score).columns("drop"),
            "small": scoring.small(where),
        }
        row["note"] = "; ".join(note for note in (row["note"], partly) if note)
        out.append(row)
    return out
