"""Paired differences between candidates: the same samples, the same absence, one resampling.

The interval of a difference has two parts. The sampling of the held-out samples, by the bootstrap
of samples or whole clusters; conditional on the fits this is what the error of cross-validation
varies by (Bayle et al. 2020). And what the fits add: the variance between folds beyond what the
sampling within each explains, times ``1 / K + n_test / n_train`` for the overlap of the training
parts (Nadeau and Bengio 2003). Where several candidates are held against one reference the
intervals hold for all of them at once (the largest standardised deviation, single-step: Westfall
and Young 1993), since the best of several looks better than it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

LEVEL = 0.95
N_BOOT = 1000


@dataclass(frozen=True)
class Paired:
    """Mean differences of several candidates with simultaneous 95 % limits, (n_candidates,)."""

    difference: FloatArray
    low: FloatArray
    high: FloatArray


def paired(
    differences: FloatArray,
    weight: FloatArray,
    unit: IntArray,
    fold: IntArray,
    test_over_train: float,
    rng: np.random.Generator,
    n_boot: int = N_BOOT,
) -> Paired:
    """Return weighted mean differences with simultaneous intervals.

    Parameters
    ----------
    differences : ndarray (n_candidates, n)
        By row (a sample under one draw of absence).
    weight : ndarray (n,)
    unit : ndarray of int (n,)
        Rows of one unit of independence are drawn together.
    fold : ndarray of int (n,)
    test_over_train : float
        Size of a held-out fold by that of what its fit learned from.
    rng : numpy.random.Generator
    n_boot : int

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> gain = rng.normal(1.0, 1.0, size=(1, 400))
    >>> found = paired(gain, np.ones(400), np.arange(400), np.arange(400) % 4, 1 / 3, rng)
    >>> bool(found.low[0] > 0.8 and found.high[0] < 1.2)
    True
    """
    from fusewise.evaluate import resample

    total = weight.sum()
    if len(np.unique(unit)) < 2 or not total > 0:
        unknown = np.full(len(differences), np.nan)
        return Paired(unknown, unknown, unknown)
    mean = differences @ weight / total
    blocks = []
    for drawn in resample(unit, n_boot, rng):
        weighed = drawn * weight
        mass = weighed.sum(axis=1)
        blocks.append((weighed @ differences.T)[mass > 0] / mass[mass > 0, None])
    replicates = np.concatenate(blocks) - mean
    spread = replicates.std(axis=0)
    # Candidates that never differ have no spread and need none.
    safe = np.where(spread > 0, spread, 1.0)
    factor = float(np.quantile(np.abs(replicates / safe).max(axis=1), LEVEL))
    between = np.array([_between_folds(d, weight, unit, fold) for d in differences])
    n_folds = len(np.unique(fold))
    half = factor * np.sqrt(spread**2 + between * (1 / n_folds + test_over_train))
    return Paired(mean, mean - half, mean + half)


def _between_folds(d: FloatArray, weight: FloatArray, unit: IntArray, fold: IntArray) -> float:
    """Return the variance of the folds' means beyond that of sampling within them."""
    means, sampling = [], []
    for number in np.unique(fold):
        own = fold == number
        mass = weight[own].sum()
        if not mass > 0:
            continue
        mean = float(d[own] @ weight[own] / mass)
        _, codes = np.unique(unit[own], return_inverse=True)
        sums = np.bincount(codes, weight[own] * (d[own] - mean))
        n = len(sums)
        means.append(mean)
        sampling.append(n / max(1, n - 1) * float((sums**2).sum()) / mass**2)
    if len(means) < 2:
        return 0.0
    return max(0.0, float(np.var(means, ddof=1)) - float(np.mean(sampling)))


def paired_score(
    scores: tuple[FloatArray, FloatArray],
    truth: npt.NDArray,
    n_classes: int,
    weight: FloatArray,
    unit: IntArray,
    rng: np.random.Generator,
    n_boot: int = N_BOOT,
) -> tuple[float, float, float]:
    """Return candidate minus reference in the ranking score, with its 95 % percentile interval.

    `scores` are the predictions of the candidate and of the reference: probabilities
    (n, n_classes), or values (n, 1).
    """
    from fusewise.evaluate import find_metric, resample

    metric = find_metric(*score_of(n_classes))
    shown = [s if n_classes else s[:, 0] for s in scores]
    if metric.undefined(truth[weight > 0], n_classes):
        return np.nan, np.nan, np.nan
    mine, theirs = (metric.point(truth, s, n_classes, weight) for s in shown)
    bound = [metric.bind(truth, s, n_classes) for s in shown]
    moved = []
    for drawn in resample(unit, n_boot, rng):
        weighed = drawn * weight
        moved.append(bound[0](weighed) - bound[1](weighed))
    defined = np.concatenate(moved)
    defined = defined[np.isfinite(defined)]
    if len(defined) < 0.9 * n_boot:
        return mine - theirs, np.nan, np.nan
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return mine - theirs, float(low), float(high)


def score_of(n_classes: int) -> tuple[str, str]:
    """Return the name of the score that is shown beside the loss, and the task."""
    if not n_classes:
        return "r2", "regression"
    return "roc_auc", "binary" if n_classes == 2 else "multiclass"
