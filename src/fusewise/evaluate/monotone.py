"""More modalities do not hurt: nested patterns on the same samples, and where that fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from fusewise.data import parse_pattern, pattern_label
from fusewise.evaluate.calibration import wilson
from fusewise.evaluate.metrics import sample_losses
from fusewise.evaluate.pairs import LEVEL, holm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fusewise.evaluate.predictions import Predicted, Rows, Withholding
    from fusewise.evaluate.scoring import Scoring
    from fusewise.evaluate.weighted import Floats

# How far a sample's prediction alone may be from its prediction in a batch.
ROUNDING = 1e-6


def score_nested(
    scoring: Scoring, experiments: Sequence[Withholding], answers: Sequence[Predicted]
) -> list[dict[str, Any]]:
    """Return one row for each two patterns of the withheld view that differ by one modality.

    On the samples that have at least the larger pattern, each is predicted with both. What is
    estimated is the mean loss with the larger one minus that with the smaller one (log loss;
    squared error of an amount): above zero, the modality that was added does harm. The test is
    one-sided, of no harm on average, by the mean of the paired differences and its standard error
    over clusters, taken as Student's t; it is adjusted by Holm (1979) over all pairs that are not
    small. ``share_worse`` says for how many samples the loss rises, which is many also where the
    mean falls: a modality that informs is wrong about some. Changes that rounding can make (below
    1e-6) count as none.

    The normal law of the mean is an approximation, and a correction for many pairs reads its
    tail. Where a few samples gain very much and most lose a little, p is too small: of
    exponential differences with that skew, 6.8 % of 200 samples were below 0.05, and as many as
    14 % below 0.05 / 30 for a nominal 5 % in 30 pairs. With the skew of two log losses it was
    not: 4.9 % and 4.5 %. A transformation against the skew (Hall 1992) was tried and not taken:
    it mends the first and gives 11 % of the second.

    Parameters
    ----------
    scoring : Scoring
    experiments : sequence of Withholding
        Of the withheld view, labelled by pattern; the rows of a pattern hold those of every larger
        one.
    answers : sequence of Predicted
        Aligned with `experiments`.
    """
    held = {parse_pattern(e.label): (e.rows, p) for e, p in zip(experiments, answers, strict=True)}
    names = sorted({name for pattern in held for name in pattern})
    rows = []
    for pattern, fewer in held.items():
        for name in names:
            larger = pattern | {name}
            if name not in pattern and larger in held:
                found = _harm(scoring, held[larger], fewer)
                where = {
                    "fewer": pattern_label(pattern),
                    "more": pattern_label(larger),
                    "added": name,
                }
                rows.append(where | found)
    adjusted = holm([np.nan if row["small"] else row["p"] for row in rows])
    for row, p in zip(rows, adjusted, strict=True):
        row["p_adjusted"] = p
        row["hurts"] = bool(p < LEVEL)
    return rows


def _harm(
    scoring: Scoring, more: tuple[Rows, Predicted], fewer: tuple[Rows, Predicted]
) -> dict[str, Any]:
    own, with_more = more
    # Both are sorted, and who has the larger pattern has the smaller one.
    at = np.searchsorted(fewer[0], own)
    with_fewer = fewer[1][at]
    both = with_more.answered & with_fewer.answered
    rows = own[both]
    rise = _losses(scoring, rows, with_more[both]) - _losses(scoring, rows, with_fewer[both])
    # A predictor may answer a sample a little otherwise in another batch.
    rise[np.abs(rise) < ROUNDING] = 0.0
    mean, error, df = _mean_of_clusters(rise, scoring.units[rows])
    half = float(stats.t.ppf(0.975, df)) * error if df > 0 else np.nan
    worse = np.array([(rise > 0).sum()])
    low, high = wilson(worse, np.array([len(rise)])) if len(rise) else ([np.nan], [np.nan])
    return {
        "n": len(rows),
        "difference": mean,
        "low": mean - half,
        "high": mean + half,
        "p": _one_sided(mean, error, df),
        "share_worse": float(worse[0] / len(rise)) if len(rise) else np.nan,
        "share_low": float(low[0]),
        "share_high": float(high[0]),
        "small": scoring.small(rows),
    }


def _losses(scoring: Scoring, rows: Rows, predicted: Predicted) -> Floats:
    response = predicted.response("probability" if scoring.n_classes else "label")
    return sample_losses(scoring.truth[rows], response, scoring.n_classes)


def _mean_of_clusters(values: Floats, units: Rows) -> tuple[float, float, int]:
    """Return the mean, its standard error over whole clusters, and the degrees of freedom."""
    if len(values) == 0:
        return np.nan, np.nan, 0
    mean = float(values.mean())
    _, codes = np.unique(units, return_inverse=True)
    sums = np.bincount(codes, weights=values - mean)
    n = len(sums)
    if n < 2:
        return mean, np.nan, 0
    return mean, float(np.sqrt(n / (n - 1) * (sums**2).sum()) / len(values)), n - 1


def _one_sided(mean: float, error: float, df: int) -> float:
    if df == 0 or np.isnan(mean):
        return np.nan
    if error == 0:
        # The same for every sample: nothing changes, or all of it does.
        return 1.0 if mean <= 0 else 0.0
    return float(stats.t.sf(mean / error, df))
