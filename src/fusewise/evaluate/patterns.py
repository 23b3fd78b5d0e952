"""Scores per availability pattern: samples as they came, and the same samples with less.

The *natural* view groups the test samples by the pattern that they came with. Its groups differ in
who is in them. The *withheld* view takes modalities away from the same samples, so that only the
input differs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fusewise.data import EMPTY_PATTERN, parse_pattern, pattern_label
from fusewise.evaluate.predictions import Predicted, Withholding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fusewise.data import MultimodalDataset
    from fusewise.evaluate.mixture import Mixture
    from fusewise.evaluate.scoring import Part, Scoring
    from fusewise.evaluate.weighted import Floats

# Complete cases carry the withheld view if they are at least this share of the test set;
# fewer would make every pattern's figure rest on a small and selected group.
COMPLETE_SHARE = 0.2

UNANSWERED = "the predictor answers no sample here"

AS_IT_CAME, COMPLETE, AT_LEAST = "as it came", "complete", "at least"


def enough_complete(test: MultimodalDataset, min_cell: int) -> bool:
    """Return whether complete cases are many enough to carry the withheld view."""
    complete = int(test.presence.all(axis=1).sum())
    return complete >= max(min_cell, COMPLETE_SHARE * len(test), 1)


def plan_patterns(
    test: MultimodalDataset, mixture: Mixture, *, min_cell: int, limit: int
) -> tuple[list[Withholding], str, list[str]]:
    """Choose the patterns of the withheld view and the samples for each.

    Returns
    -------
    experiments : list of Withholding
        One per pattern, the complete pattern first, then by weight in the mixture, then by number
        of test samples.
    population : {"complete", "at least"}
        ``complete``: the complete cases, the same for all patterns. ``at least``: for each
        pattern the samples that have at least its modalities, where complete cases are few.
    left_out : list of str
        Patterns beyond the limit.
    """
    counts = {str(p): int(n) for p, n in test.patterns()[["pattern", "n"]].to_numpy()}
    candidates = ({*counts, *mixture.weights}) - {EMPTY_PATTERN}
    everything = pattern_label(test.modalities)
    ranked = sorted(
        candidates - {everything},
        key=lambda p: (-mixture.weights.get(p, 0.0), -counts.get(p, 0), p),
    )
    if everything in candidates:
        ranked.insert(0, everything)
    presence = test.presence
    complete = enough_complete(test, min_cell)
    experiments = []
    for label in ranked[:limit]:
        names = parse_pattern(label)
        keep = np.array([m in names for m in test.modalities])
        wanted = np.ones_like(keep) if complete else keep
        rows = np.flatnonzero(presence[:, wanted].all(axis=1))
        experiments.append(Withholding(label, rows, np.tile(keep, (len(rows), 1))))
    return experiments, COMPLETE if complete else AT_LEAST, ranked[limit:]


def score_patterns(
    scoring: Scoring,
    test: MultimodalDataset,
    natural: Predicted,
    experiments: Sequence[Withholding],
    answers: Sequence[Predicted],
    mixture: Mixture,
    population: str,
) -> list[dict[str, Any]]:
    """Return the rows of the table by pattern, natural view first.

    Withheld rows also hold the paired drop: how much worse than the same samples as they came.
    """
    pattern = test.pattern
    cells = []
    for label in test.patterns()["pattern"]:
        rows = np.flatnonzero(pattern == label)
        if label == EMPTY_PATTERN and not natural.answered[rows].any():
            continue
        cells.append(("natural", label, rows, natural[rows], AS_IT_CAME))
    for experiment, predicted in zip(experiments, answers, strict=True):
        cells.append(("withheld", experiment.label, experiment.rows, predicted, population))
    out = []
    for view, label, rows, predicted, who in cells:
        # Who is answered with less is answered as it came; a predictor may think otherwise.
        known = predicted.answered & natural.answered[rows]
        kept = rows[known]
        at = np.arange(len(kept))
        arms: list[list[Part]] = [[(at, predicted[known])]]
        if view == "withheld":
            arms.append([(at, natural[kept])])
        measured = scoring.arms(kept, arms, f"{who}:{label}")
        for i, (metric, score) in enumerate(zip(scoring.metrics, measured[0], strict=True)):
            row = {
                "view": view,
                "pattern": label,
                "n_absent": len(test.modalities) - len(parse_pattern(label)),
                "n": len(kept),
                "n_positive": scoring.n_positive(kept),
                "metric": metric.name,
                **score.columns(),
                "small": scoring.small(kept),
                "weight": mixture.weights.get(label, 0.0),
                "population": who,
            }
            if view == "withheld":
                row |= metric.drop(measured[1][i], score).columns("drop")
            if len(rows) and not len(kept):
                row["note"] = UNANSWERED
            out.append(row)
    return out


def score_n_absent(
    scoring: Scoring,
    test: MultimodalDataset,
    natural: Predicted,
    experiments: Sequence[Withholding],
    answers: Sequence[Predicted],
    population: str,
) -> list[dict[str, Any]]:
    """Return the rows of the table by number of absent modalities.

    Natural: the samples that came with k modalities absent. Withheld: all predictions of the
    withheld view with k absent, pooled; a sample that is in it under several patterns is resampled
    with all its predictions, and ``n`` counts samples.
    """
    n_modalities = len(test.modalities)
    absent = n_modalities - test.presence.sum(axis=1)
    pattern = test.pattern
    cells: list[tuple[str, int, Any, Predicted, int]] = []
    for k in np.unique(absent[natural.answered]).tolist():
        rows = np.flatnonzero((absent == k) & natural.answered)
        n_patterns = len(set(pattern[rows]))
        cells.append(("natural", k, rows, natural[rows], n_patterns))
    missing = [n_modalities - len(parse_pattern(e.label)) for e in experiments]
    for k in sorted(set(missing)):
        own = [
            (e, p)
            for e, p, m in zip(experiments, answers, missing, strict=True)
            if m == k and p.answered.any()
        ]
        if own:
            rows = np.concatenate([e.rows[p.answered] for e, p in own])
            cells.append(("withheld", k, rows, stack([p[p.answered] for _, p in own]), len(own)))
    out = []
    for view, k, rows, predicted, n_patterns in cells:
        measured = scoring.measure(rows, predicted, f"{view}:{k} absent")
        for metric, score in zip(scoring.metrics, measured, strict=True):
            out.append(
                {
                    "view": view,
                    "n_absent": k,
                    "n": len(np.unique(rows)),
                    "metric": metric.name,
                    **score.columns(),
                    "small": scoring.small(rows),
                    "n_patterns": n_patterns,
                    "population": AS_IT_CAME if view == "natural" else population,
                }
            )
    return out


def stack(parts: Sequence[Predicted]) -> Predicted:
    """Return the predictions of several experiments, one after the other."""

    def join(values: list[Any]) -> Floats | None:
        return None if values[0] is None else np.concatenate(values)

    return Predicted(
        np.concatenate([p.answered for p in parts]),
        join([p.probability for p in parts]),
        join([p.label for p in parts]),
    )
