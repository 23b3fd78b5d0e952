"""Metrics under many weightings at once: the vectorised half of the bootstrap.

Each function binds targets and predictions and returns a scorer, which maps a matrix of weights
(n_replicates, n_samples) to one score per weighting (n_replicates,). A bootstrap replicate is such
a weighting (how often each sample was drawn), so that a thousand replicates cost a few matrix
operations instead of a thousand calls. Every scorer agrees with scikit-learn's ``sample_weight``;
where the weights leave the metric undefined (a class without weight), the score is NaN and the
caller counts it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Scorer = Callable[[Floats], Floats]


def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Divide where the denominator is positive; NaN elsewhere."""
    out = np.full(np.shape(numerator), np.nan)
    return np.divide(numerator, denominator, out=out, where=np.asarray(denominator) > 0)


def mean_of(loss: Floats) -> Scorer:
    """Weighted mean of a value per sample: Brier score, log loss, accuracy, MAE."""
    return lambda weights: ratio(weights @ loss, weights.sum(axis=1))


def root_mean_of(loss: Floats) -> Scorer:
    """Square root of the weighted mean of a value per sample: RMSE."""
    mean = mean_of(loss)
    return lambda weights: np.sqrt(mean(weights))


def cumulated(ends: npt.NDArray[np.intp], n: int) -> Scorer:
    """Weight of the first ``e`` of `n` columns, for each ``e`` of `ends`: (n_replicates, n_ends).

    Sums between neighbouring ends are cumulated, and not single columns: summing a stretch is
    several times faster than a running sum over it.
    """
    starts = np.unique(np.append(0, ends[ends < n]))
    where = np.searchsorted(np.append(starts, n), ends)

    def sums(weights: Floats) -> Floats:
        upto = np.zeros((len(weights), len(starts) + 1))
        np.cumsum(np.add.reduceat(weights, starts, axis=1), axis=1, out=upto[:, 1:])
        return np.take(upto, where, axis=1)

    return sums


def roc_auc(positive: npt.NDArray[np.bool_], score: Floats) -> Scorer:
    """Weighted probability that a positive outranks a negative, ties counting half.

    For each positive it needs the weight of the negatives below it and of those level with it,
    which are two look-ups in the cumulated weights of the sorted negatives.
    """
    negatives = np.flatnonzero(~positive)
    negatives = negatives[np.argsort(score[negatives], kind="stable")]
    positives = np.flatnonzero(positive)
    ranked = score[negatives]
    below = np.searchsorted(ranked, score[positives], side="left")
    upto = np.searchsorted(ranked, score[positives], side="right")
    weight_upto = cumulated(np.concatenate([below, upto]), len(negatives))

    def scorer(weights: Floats) -> Floats:
        gain = np.take(weights, positives, axis=1)
        rivals = np.take(weights, negatives, axis=1)
        beaten = weight_upto(rivals)
        won = np.einsum("ij,ij->i", gain, beaten[:, : len(positives)])
        won += np.einsum("ij,ij->i", gain, beaten[:, len(positives) :])
        return ratio(won / 2, gain.sum(axis=1) * rivals.sum(axis=1))

    return scorer


def macro(scorers: list[Scorer]) -> Scorer:
    """Unweighted mean of several scorers: one against the rest, over classes."""
    return lambda weights: np.mean([scorer(weights) for scorer in scorers], axis=0)


def average_precision(positive: npt.NDArray[np.bool_], score: Floats) -> Scorer:
    """Weighted precision at the threshold of each positive, averaged over the positives.

    Samples with equal scores share one threshold, as in scikit-learn.
    """
    order = np.argsort(-score, kind="stable")
    descending = -score[order]
    positives = order[positive[order]]
    thresholds = -score[positives]
    weight_upto = cumulated(np.searchsorted(descending, thresholds, side="right"), len(order))
    hits_upto = cumulated(np.searchsorted(thresholds, thresholds, side="right"), len(positives))

    def scorer(weights: Floats) -> Floats:
        gain = np.take(weights, positives, axis=1)
        hits = hits_upto(gain)
        everyone = weight_upto(np.take(weights, order, axis=1))
        precision = np.divide(hits, everyone, out=np.zeros_like(hits), where=everyone > 0)
        return ratio(np.einsum("ij,ij->i", gain, precision), gain.sum(axis=1))

    return scorer


def balanced_accuracy(truth: npt.NDArray[np.intp], label: npt.NDArray[np.intp]) -> Scorer:
    """Mean over the classes in `truth` of the weighted share recognised."""
    members = np.eye(int(truth.max(initial=0)) + 1)[truth][:, np.unique(truth)]
    recognised = members * (truth == label)[:, None]
    return lambda weights: ratio(weights @ recognised, weights @ members).mean(axis=1)


def f1(truth: npt.NDArray[np.intp], label: npt.NDArray[np.intp], classes: list[int]) -> Scorer:
    """Weighted F1 of each of `classes`, averaged over those that occur at all."""
    true = np.stack([truth == c for c in classes], axis=1).astype(float)
    said = np.stack([label == c for c in classes], axis=1).astype(float)
    both = true * said

    def scorer(weights: Floats) -> Floats:
        each = ratio(2 * (weights @ both), weights @ true + weights @ said)
        occurring = ~np.isnan(each)
        return ratio(np.nansum(each, axis=1), occurring.sum(axis=1).astype(float))

    return scorer


def f1_weighted(truth: npt.NDArray[np.intp], label: npt.NDArray[np.intp]) -> Scorer:
    """Weighted F1 of each class, averaged by the weight of the class in `truth`."""
    true = np.eye(int(max(truth.max(initial=0), label.max(initial=0))) + 1)[truth]
    said = np.eye(true.shape[1])[label]
    both = true * said

    def scorer(weights: Floats) -> Floats:
        support = weights @ true
        each = np.nan_to_num(ratio(2 * (weights @ both), support + weights @ said))
        return ratio(np.einsum("ij,ij->i", each, support), support.sum(axis=1))

    return scorer


def r2(truth: Floats, value: Floats) -> Scorer:
    """Weighted share of the variance of `truth` that `value` explains."""
    centred = truth - truth.mean()
    residual = (truth - value) ** 2

    def scorer(weights: Floats) -> Floats:
        total = weights.sum(axis=1)
        spread = weights @ centred**2 - ratio((weights @ centred) ** 2, total)
        # A single distinct target leaves rounding noise instead of an exact zero.
        spread[spread <= 1e-12 * total * np.mean(centred**2)] = 0.0
        return 1.0 - ratio(weights @ residual, spread)

    return scorer
