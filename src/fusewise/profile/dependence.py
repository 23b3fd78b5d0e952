"""Whether a presence depends on features: a cross-fitted AUROC with an exact permutation test."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]
BoolArray = npt.NDArray[np.bool_]

N_FOLDS = 5
N_DEALS = 3
ROWS_PER_DEGREE = 40
_LIMIT = 1.959963984540054  # normal quantile of a 95 % interval


class Dependence(NamedTuple):
    """What the test found: rows used, AUROC with 95 % limits, and the p-value."""

    n: int
    score: float
    low: float
    high: float
    p: float


def draw_rows(
    present: BoolArray, strata: IntArray, max_rows: int, rng: np.random.Generator
) -> IntArray:
    """Draw at most `max_rows` rows that can be compared with another row of their stratum.

    Pairs of a row with and a row without, of one stratum, are drawn first, so that a rare presence
    (or absence) stays; what room is left goes to further rows of these strata. Which rows are drawn
    depends on presence and strata alone, so that within a stratum every assignment of the features
    to the drawn rows stays equally likely where they do not tell about presence.

    Parameters
    ----------
    present : bool array (n,)
    strata : int array (n,)
        Stratum of each row, ``0 .. k-1``.
    max_rows : int
    rng : Generator

    Returns
    -------
    int array
        Ascending; empty where no stratum has rows of both kinds.
    """
    order = rng.permutation(len(present))
    cell = 2 * strata + present
    counts = np.bincount(cell, minlength=2 * (int(strata.max(initial=0)) + 1)).reshape(-1, 2)
    pairs = counts.min(axis=1)
    if pairs.sum() > max_rows // 2:
        pairs = rng.multivariate_hypergeometric(pairs, max_rows // 2)
    # Rank of each row inside its cell, in random order.
    rank = np.empty(len(present), dtype=np.intp)
    by_cell = order[np.argsort(cell[order], kind="stable")]
    first = np.cumsum(counts.ravel()) - counts.ravel()
    rank[by_cell] = np.arange(len(present)) - np.repeat(first, counts.ravel())
    drawn = rank < pairs[strata]
    spare = order[(~drawn & (pairs > 0)[strata])[order]]
    return np.sort(np.append(np.flatnonzero(drawn), spare[: max_rows - drawn.sum()]))


def dependence(
    features: FloatArray,
    present: BoolArray,
    strata: IntArray,
    n_permutations: int,
    rng: np.random.Generator,
) -> Dependence:
    r"""Test whether presence depends on features, given the stratum.

    The estimand is the probability that, of two samples of one stratum of which one has the
    modality, the ridge regression of presence on the features (fitted on other samples) ranks the
    one that has it higher: 0.5 where the features tell nothing. Strata, cut further by fold, are
    averaged with van Elteren's weights :math:`n_1 n_0 / (n_1 + n_0)`, and the whole over three
    deals of the folds. Features and presence are centred within strata, so that what only tells
    strata apart is no evidence.

    The p-value is exact, for any features and any penalty, where the samples are independent and
    presence is exchangeable within strata under the hypothesis: presence is permuted within strata
    and the whole statistic recomputed. Nothing but the permuted column depends on presence, so one
    factorisation per fold answers all permutations. It is conservative by its steps of
    ``1 / (n_permutations + 1)``.

    The interval is normal, from the infinitesimal jackknife at the fixed predictions (for a single
    stratum that is DeLong's variance). It does not count how the regression itself would differ in
    another sample, and means little next to 0.5, where the p-value decides.

    Parameters
    ----------
    features : float array (n, d)
        No empty cells. Their scale matters to the penalty, which leaves one effective degree of
        freedom per 40 rows and is chosen without looking at presence.
    present : bool array (n,)
    strata : int array (n,)
    n_permutations : int
    rng : Generator

    References
    ----------
    P. van Elteren, On the combination of independent two-sample tests of Wilcoxon, Bulletin of the
    International Statistical Institute 37 (1960). E. R. DeLong et al., Comparing the areas under
    two or more correlated receiver operating characteristic curves, Biometrics 44 (1988).
    B. Phipson and G. K. Smyth, Permutation p-values should never be zero, Statistical Applications
    in Genetics and Molecular Biology 9 (2010).
    """
    for_folds, for_permutations = rng.spawn(2)
    order = np.argsort(strata, kind="stable")
    features, present, strata = features[order], present[order], strata[order]
    # Rows are sorted by stratum: sorting random keys plus the stratum shuffles within strata.
    keys = for_permutations.random((n_permutations, len(strata))) + strata
    permuted = present[np.argsort(keys, axis=1)].T
    columns = np.column_stack([present, permuted])  # (n, 1 + n_permutations)

    features = _centred(features, strata)
    aurocs, influences = [], []
    for child in for_folds.spawn(N_DEALS):
        fold = deal_folds(strata, child)
        scores = cross_fit(features, columns, strata, fold)
        block = strata * N_FOLDS + fold
        aurocs.append(blocked_auroc(scores, columns, block))
        influences.append(influence(scores[:, 0], present, block, aurocs[-1][0]))
    found = np.mean(aurocs, axis=0)
    score, spread = float(found[0]), float(np.sqrt((np.mean(influences, axis=0) ** 2).sum()))
    reached = int((found[1:] >= score - 1e-12).sum())
    return Dependence(
        n=len(strata),
        score=score,
        low=max(0.0, score - _LIMIT * spread),
        high=min(1.0, score + _LIMIT * spread),
        p=(1 + reached) / (n_permutations + 1),
    )


def deal_folds(strata: IntArray, rng: np.random.Generator) -> IntArray:
    """Deal sorted strata to folds in runs of up to ten rows, so that small strata stay whole.

    Rows are compared within fold and stratum; a pair that is torn apart would be lost.
    """
    n = len(strata)
    longest = int(np.clip(n // (2 * N_FOLDS), 1, 10))
    shuffled = np.argsort(rng.random(n) + strata)
    first = np.searchsorted(strata, strata)
    run = np.unique(strata * n + (np.arange(n) - first) // longest, return_inverse=True)[1]
    size = np.bincount(run)
    # Longest runs first, dealt in turn, so that the folds are about equal.
    turn = np.argsort(rng.random(len(size)) - size)
    fold_of_run = np.empty(len(size), dtype=np.intp)
    fold_of_run[turn] = np.arange(len(size)) % N_FOLDS
    fold = np.empty(n, dtype=np.intp)
    fold[shuffled] = fold_of_run[run]
    return fold


def cross_fit(
    features: FloatArray, columns: BoolArray, strata: IntArray, fold: IntArray
) -> FloatArray:
    """Predict each column (n, c) by ridge regression on the rows of other folds.

    Rows are sorted by stratum; what is learned are deviations from the stratum's mean.
    """
    wide = features.shape[1] > len(features)
    gram = features @ features.T if wide else features.T @ features
    penalty = _penalty(np.linalg.eigvalsh(gram), len(features) / ROWS_PER_DEGREE)
    scores = np.zeros(columns.shape)
    for k in range(N_FOLDS):
        train, test = fold != k, fold == k
        known, asked = features[train], features[test]
        wanted = _centred(columns[train].astype(float), strata[train])
        if wide:
            inner = known @ known.T
            inner[np.diag_indices_from(inner)] += penalty
            scores[test] = (asked @ known.T) @ np.linalg.solve(inner, wanted)
        else:
            inner = known.T @ known
            inner[np.diag_indices_from(inner)] += penalty
            scores[test] = asked @ np.linalg.solve(inner, known.T @ wanted)
    return scores


def _penalty(eigenvalues: npt.NDArray[np.floating], degrees: float) -> float:
    """Return the ridge penalty that leaves at most the given effective degrees of freedom."""
    values = np.maximum(eigenvalues, 0.0)
    largest = float(values.max(initial=0.0))
    if largest == 0:
        return 1.0
    low, high = math.log(1e-6 * largest), math.log(1e6 * largest)
    for _ in range(60):
        middle = (low + high) / 2
        if (values / (values + math.exp(middle))).sum() > degrees:
            low = middle
        else:
            high = middle
    return math.exp(high)


def _centred(values: FloatArray, strata: IntArray) -> FloatArray:
    """Subtract the mean of each stratum; rows are sorted by stratum."""
    start, size = _runs(strata)
    mean = np.add.reduceat(values, start, axis=0) / size[:, None]
    return np.asarray(values - np.repeat(mean, size, axis=0))


def _runs(labels: IntArray) -> tuple[IntArray, IntArray]:
    """Return where each run of equal labels starts, and its length."""
    start = np.flatnonzero(np.append(True, labels[1:] != labels[:-1]))
    return start, np.diff(np.append(start, len(labels)))


def blocked_auroc(scores: FloatArray, columns: BoolArray, block: IntArray) -> FloatArray:
    """Return the AUROC of each column (n, c) over pairs of one block, by van Elteren's weights.

    0.5 where no block has rows of both kinds.
    """
    order = np.argsort(block, kind="stable")
    columns, ranks = columns[order], _ranks(scores[order], block[order])
    start, size = _runs(block[order])
    n_with = np.add.reduceat(columns.astype(float), start, axis=0)
    won = np.add.reduceat(np.where(columns, ranks, 0.0), start, axis=0)
    won -= n_with * (n_with + 1) / 2
    total = (n_with * (size[:, None] - n_with) / size[:, None]).sum(axis=0)
    share = (won / size[:, None]).sum(axis=0)
    return np.where(total > 0, share / np.where(total > 0, total, 1.0), 0.5)


def influence(score: FloatArray, present: BoolArray, block: IntArray, auroc: float) -> FloatArray:
    """Return each row's influence (n,) on one blocked AUROC; their squares sum to its variance.

    It is the sum over the row's pairs of how far they are from the mean pair.
    """
    _, index, size = np.unique(block, return_inverse=True, return_counts=True)
    n_with = np.bincount(index, weights=present)[index]
    n_other = np.where(present, size[index] - n_with, n_with)
    in_block = _ranks(score[:, None], block)[:, 0]
    below = in_block - _ranks(score[:, None], 2 * block + present)[:, 0]  # of the other kind
    won = np.where(present, below, n_other - below)
    total = (np.where(present, n_other, 0.0) / size[index]).sum()
    return np.asarray((won - auroc * n_other) / size[index] / (total if total > 0 else math.nan))


def _ranks(scores: FloatArray, label: IntArray) -> FloatArray:
    """Rank each column (n, c) among rows of one label, ties at their mean rank."""
    from scipy.stats import rankdata

    span = np.ptp(scores, axis=0)
    level = (scores - scores.min(axis=0)) / np.where(span > 0, 2 * span, 1.0)
    _, index, size = np.unique(label, return_inverse=True, return_counts=True)
    # Equal features have scores that are equal but for rounding, and must tie.
    rank = rankdata(np.round(level, 9) + index[:, None], axis=0)
    return np.asarray(rank - (np.cumsum(size) - size)[index][:, None])
