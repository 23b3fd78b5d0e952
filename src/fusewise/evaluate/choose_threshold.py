"""A threshold for a fixed alert rate, chosen on out-of-fold predictions of training rows."""

from __future__ import annotations

import numbers
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fusewise.data import Result, folds
from fusewise.evaluate.bootstrap import interval, resample, stream
from fusewise.evaluate.mixture import find_mixture, weigh
from fusewise.evaluate.operating_points import OperatingPoint
from fusewise.evaluate.predictions import Answers
from fusewise.evaluate.setting import canonical_order, classes_of
from fusewise.evaluate.weighted import cumulated
from fusewise.evaluate.words import plural
from fusewise.exceptions import EvaluationError

if TYPE_CHECKING:
    from fusewise.data import MultimodalDataset
    from fusewise.evaluate.weighted import Floats, Scorer


@dataclass(frozen=True, eq=False)
class ThresholdChoice(Result):
    """The threshold that keeps an alert rate on predictions that took no part in training.

    Parameters
    ----------
    alert_rate : float
        The rate that was asked for: at most this share of the samples is flagged.
    threshold, low, high : float
        With its 95 % percentile bootstrap interval over samples or whole clusters.
    rate, rate_low, rate_high : float
        Share flagged at this threshold; the interval holds the threshold fixed.
    n : int
        Samples with a prediction.
    effective_n : float
        Kish's effective number of them, where they were weighted.
    n_abstained : int
        Samples without a prediction; in no figure.
    source : str
        Whose mixture of patterns the rate is kept on: the deployment's (``observed``, ``rates``,
        ``patterns``) or that of the rows as they came (``as they came``).
    notes : tuple of str
    """

    alert_rate: float
    threshold: float
    low: float
    high: float
    rate: float
    rate_low: float
    rate_high: float
    n: int
    effective_n: float
    n_abstained: int = 0
    source: str = "as they came"
    notes: tuple[str, ...] = ()

    @property
    def operating_point(self) -> OperatingPoint:
        """What ``evaluate(..., operating_point=)`` takes."""
        return OperatingPoint(threshold=self.threshold)


def choose_threshold(
    estimator: Any,
    train: MultimodalDataset,
    *,
    alert_rate: float,
    n_folds: int = 5,
    deployment: Any = None,
    n_boot: int = 1000,
    random_state: int = 0,
) -> ThresholdChoice:
    """Choose the threshold at which at most a given share of samples is flagged.

    Clones of the estimator are fitted on all folds but one and predict the one left out; folds keep
    clusters whole, and are stratified by the target. The threshold is a quantile of these
    predictions, weighted to the deployment's mixture of patterns where one is given. No test row
    is seen. It assumes that the estimator fitted on all training rows spreads its predictions as
    the clones do, which saw a fifth less: check ``alert_rate`` in the evaluation. The intervals
    hold the clones fixed, so that they leave out the uncertainty of training.

    Parameters
    ----------
    estimator : object
        A binary classifier with scikit-learn's ``fit``, ``predict_proba`` and ``get_params``; it
        is cloned and stays as it is.
    train : MultimodalDataset
        Training rows with a binary target.
    alert_rate : float
        Strictly between 0 and 1.
    n_folds : int
        At least 2.
    deployment : optional
        What ``Deployment.of`` takes.
    n_boot : int
        Bootstrap replicates; 0 leaves the intervals out.
    random_state : int
        The seed of folds and resampling.

    Returns
    -------
    ThresholdChoice
        Its ``operating_point`` goes into :func:`evaluate`.

    Raises
    ------
    EvaluationError
        The task is not binary, the estimator cannot be cloned or gives no probabilities, or no
        threshold keeps the rate.
    """
    from sklearn.base import clone

    if train.task != "binary":
        raise EvaluationError(
            f"choose_threshold is for binary tasks, the training rows have {train.task or 'none'}."
        )
    if not hasattr(estimator, "get_params") or not hasattr(estimator, "fit"):
        raise EvaluationError(
            f"{type(estimator).__name__} cannot be cloned and fitted again (it needs get_params and "
            f"fit, as scikit-learn's estimators have). Make out-of-fold predictions yourself and "
            f"give them to threshold_for_rate."
        )
    OperatingPoint(alert_rate=alert_rate)
    train = train[canonical_order(train)]
    fold = folds(train, n_folds, random_state)
    probability = np.full(len(train), np.nan)
    classes = classes_of(estimator, train)
    for k in range(n_folds):
        fitting, held = train[fold != k], np.flatnonzero(fold == k)
        fitted = clone(estimator).fit(fitting, fitting.target)
        said = Answers(fitted, train[held], {"probability"}, classes).natural
        probability[held[said.answered]] = said.response("probability")[said.answered, 1]
    mixture = find_mixture(deployment, train, None)
    weighed = weigh(mixture, train.pattern, ~np.isnan(probability))
    if not len(weighed.rows):
        raise EvaluationError(
            f"{type(estimator).__name__} answers no training sample with a pattern of the "
            f"deployment, so no threshold can be chosen."
        )
    unit = train.ids if train.cluster is None else train.cluster
    choice = threshold_for_rate(
        probability[weighed.rows],
        alert_rate,
        weights=weighed.weights,
        units=np.asarray(unit)[weighed.rows],
        n_boot=n_boot,
        random_state=random_state,
    )
    notes = []
    if weighed.uncovered and mixture.source != "test":
        where = plural(len(weighed.uncovered), "pattern")
        share = f"{weighed.uncovered_weight:.1%} of the deployment"
        notes.append(
            f"{where} with {share} occur in no answered training row; the rate is not kept there."
        )
    return ThresholdChoice(
        **{name: getattr(choice, name) for name in _FIGURES},
        n_abstained=int(np.isnan(probability).sum()),
        source="as they came" if mixture.source == "test" else mixture.source,
        notes=tuple(notes),
    )


_FIGURES = (
    "alert_rate", "threshold", "low", "high", "rate", "rate_low", "rate_high", "n", "effective_n",
)  # fmt: skip


def threshold_for_rate(
    probability: npt.ArrayLike,
    alert_rate: float,
    *,
    weights: npt.ArrayLike | None = None,
    units: npt.ArrayLike | None = None,
    n_boot: int = 1000,
    random_state: int = 0,
) -> ThresholdChoice:
    """Choose the threshold for an alert rate on predictions that exist already.

    They must be of samples that took no part in training: on its own training rows a predictor is
    too sure, and test rows are there to check the choice. The threshold lies halfway between two
    predictions, so that it flags as many samples as it can without exceeding the rate.

    Parameters
    ----------
    probability : array-like of float (n,)
        Out-of-fold probabilities of the positive class.
    alert_rate : float
        Strictly between 0 and 1.
    weights : array-like of float (n,), optional
        Weight of each sample, for instance deployment over training frequency of its pattern.
    units : array-like (n,), optional
        What is resampled whole; default: each sample by itself.
    n_boot, random_state : int

    Returns
    -------
    ThresholdChoice

    Raises
    ------
    EvaluationError
        The rate or the predictions are out of range, or more samples than the rate share the
        highest prediction.

    Examples
    --------
    >>> choice = threshold_for_rate([0.1, 0.2, 0.3, 0.9], 0.25, n_boot=0)
    >>> round(choice.threshold, 3), choice.rate
    (0.6, 0.25)
    """
    OperatingPoint(alert_rate=alert_rate)
    score = np.asarray(probability, dtype=np.float64)
    fixed = np.ones(len(score)) if weights is None else np.asarray(weights, dtype=np.float64)
    if score.ndim != 1 or not len(score) or not ((score >= 0) & (score <= 1)).all():
        raise EvaluationError(
            f"probability holds one number in [0, 1] per sample, got shape {score.shape}; NaN is "
            f"no prediction: leave those samples out."
        )
    if fixed.shape != score.shape or not (fixed >= 0).all() or not fixed.sum() > 0:
        raise EvaluationError(
            f"weights has shape {fixed.shape}; expected {score.shape}, none negative, not all 0."
        )
    if not isinstance(n_boot, numbers.Integral) or n_boot < 0:
        raise EvaluationError(f"n_boot is a whole number from 0, got {n_boot!r}.")
    threshold = _quantile(score, alert_rate)
    found = float(threshold(fixed[None, :])[0])
    if np.isnan(found):
        top = float(fixed[score == score.max()].sum() / fixed.sum())
        raise EvaluationError(
            f"no threshold flags at most {alert_rate:g} of the samples: {top:.3g} of them share the "
            f"highest prediction, {score.max():g}. Ask for a rate of {top:.3g} or more, or use a "
            f"predictor that tells them apart."
        )
    flagged = (score >= found).astype(np.float64)
    codes = np.arange(len(score)) if units is None else _codes(units, len(score))
    moved, rates = [np.empty(0)], [np.empty(0)]
    if len(np.unique(codes)) > 1:
        rng = stream(random_state, "alert rate")
        for drawn in resample(codes, int(n_boot), rng):
            block = drawn * fixed
            moved.append(threshold(block))
            rates.append((block @ flagged) / block.sum(axis=1))
    low, high, _ = interval(np.concatenate(moved))
    rate_low, rate_high, _ = interval(np.concatenate(rates))
    return ThresholdChoice(
        alert_rate=float(alert_rate),
        threshold=found,
        low=low,
        high=high,
        rate=float(fixed @ flagged / fixed.sum()),
        rate_low=rate_low,
        rate_high=rate_high,
        n=len(score),
        effective_n=float(fixed.sum() ** 2 / (fixed**2).sum()),
    )


def _codes(units: npt.ArrayLike, n: int) -> npt.NDArray[np.intp]:
    given = np.asarray(units)
    if given.shape != (n,):
        raise EvaluationError(f"units has shape {given.shape}; expected ({n},).")
    return np.asarray(np.unique(given.astype(str), return_inverse=True)[1], dtype=np.intp)


def _quantile(score: Floats, alert_rate: float) -> Scorer:
    """Smallest threshold that flags at most the rate, per weighting; NaN where there is none."""
    order = np.argsort(-score, kind="stable")
    descending = score[order]
    last = np.flatnonzero(np.append(descending[1:] != descending[:-1], True))
    distinct = descending[last]
    # Between each distinct prediction and the next lower one, or 0.
    cuts = np.append(np.nan, (distinct + np.append(distinct[1:], 0.0)) / 2)
    upto = cumulated(last + 1, len(order))

    def scorer(weights: Floats) -> Floats:
        total = weights.sum(axis=1, keepdims=True)
        share = upto(np.take(weights, order, axis=1)) / total
        return np.asarray(cuts[(share <= alert_rate + 1e-12).sum(axis=1)])

    return scorer
