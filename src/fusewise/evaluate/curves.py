"""Degradation curves of several predictors under the same withholding, and where they cross."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fusewise.evaluate.bootstrap import DEFINED, interval
from fusewise.evaluate.pairs import Arms, crossing, held_against, pairs_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fusewise.evaluate.pairs import Pair
    from fusewise.evaluate.predictions import Predicted, Withholding
    from fusewise.evaluate.scoring import Measured, Part, Scoring


def score_curves(
    scoring: Scoring,
    natural: Mapping[str, Predicted],
    plans: Sequence[Sequence[Withholding]],
    said: Mapping[str, Sequence[Predicted]],
    rates: Sequence[float],
    n_modalities: int,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows of the curves, and of where two of them cross.

    A predictor's curve is on the samples that it answers as they came and after the withholding;
    two are held against each other on those that both answer. All rates are resampled together,
    so that a crossing has an interval.

    Parameters
    ----------
    scoring : Scoring
    natural : mapping of str to Predicted
    plans : sequence (one per rate) of sequences (one per repeat) of Withholding
        From `plan_random`: of every test sample, in order.
    said : mapping of str to sequence of Predicted
        What each predictor says, in the order of the plans laid end to end.
    rates : sequence of float
    n_modalities : int
    """
    everyone = np.arange(len(scoring.truth))
    numbers = [number for number, plan in enumerate(plans) for _ in plan]
    kept = {name: [one.answered & natural[name].answered for one in said[name]] for name in natural}
    # By experiment: every predictor's answers, so that equal parts are held once.
    experiments = [Arms({name: said[name][e] for name in natural}) for e in range(len(numbers))]

    def arm(name: str, rate: int, beside: str) -> list[Part]:
        return [
            experiments[e].part(name, kept[name][e] & kept[beside][e])
            for e, number in enumerate(numbers)
            if number == rate and (kept[name][e] & kept[beside][e]).any()
        ]

    pairs = pairs_of(natural)
    which = range(len(plans))
    arms = [arm(name, rate, name) for name in natural for rate in which]
    arms += [arm(*named, beside) for named, beside in _sides(pairs, len(plans))]
    found = iter(scoring.arms(everyone, arms, "curves"))
    rows = []
    for name in natural:
        for rate in which:
            measured = next(found)
            answered = [k for k, number in zip(kept[name], numbers, strict=True) if number == rate]
            rows += [
                {
                    "model": name,
                    "rate": rates[rate],
                    "n_withheld": rates[rate] * n_modalities,
                    "metric": metric.name,
                    "n": round(float(np.mean([k.sum() for k in answered]))),
                    **score.columns(),
                    "small": any(scoring.small(np.flatnonzero(k)) for k in answered),
                }
                for metric, score in zip(scoring.metrics, measured, strict=True)
            ]
    crossings = []
    for pair in pairs:
        first, second = ([next(found) for _ in which] for _ in pair)
        held = [held_against(scoring, a, b) for a, b in zip(first, second, strict=True)]
        for m, metric in enumerate(scoring.metrics):
            lines = [row[m] for row in held]
            crossings.append(
                {"first": pair[0], "second": pair[1], "metric": metric.name, **_cross(rates, lines)}
            )
    return rows, crossings


def _sides(pairs: Sequence[Pair], n_rates: int) -> list[tuple[tuple[str, int], str]]:
    return [
        ((name, rate), beside)
        for one, other in pairs
        for name, beside in ((one, other), (other, one))
        for rate in range(n_rates)
    ]


def _cross(rates: Sequence[float], lines: Sequence[Measured]) -> dict[str, Any]:
    order = np.argsort(rates)
    at = np.asarray(rates, dtype=np.float64)[order]
    note = next((line.note for line in lines if line.note), "")
    nothing = {"rate": np.nan, "low": np.nan, "high": np.nan, "share": np.nan, "note": note}
    if note or len(lines) < 2:
        return nothing | {"note": note or "one rate only"}
    estimate = crossing(at, np.array([[lines[i].estimate for i in order]]))[0]
    replicates = np.stack([lines[i].replicates for i in order], axis=1)
    moved = crossing(at, replicates)
    share = float(np.isfinite(moved).mean()) if len(moved) else np.nan
    out = nothing | {"rate": float(estimate), "share": share}
    if np.isnan(estimate):
        return out | {"note": "the same one is ahead at every rate"}
    if len(moved) and share >= DEFINED:
        low, high, _ = interval(moved)
        return out | {"low": low, "high": high}
    return out | {"note": f"they cross in {share:.0%} of the resamples: no interval"}
