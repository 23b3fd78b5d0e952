"""Metrics of calibration for binary tasks: intercept, slope, and expected calibration error."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fusewise.evaluate import recalibration
from fusewise.evaluate.metric import Metric
from fusewise.evaluate.weighted import Floats, Scorer, ratio

BINS = 10

# Fewer samples in a bin leave an interval wider than half the scale.
PER_BIN = 15

SEPARATED = "the predictions separate the classes perfectly: no finite slope"
ALL_ALIKE = "all predictions are alike"


def equal_mass(probability: Floats) -> npt.NDArray[np.intp]:
    """Return the bin of each prediction (n,): up to ten bins of equal numbers of samples.

    Bins are cut at quantiles of the prediction, at least 15 samples each (one bin where there
    are fewer than 30); equal predictions share a bin.

    Examples
    --------
    >>> equal_mass(np.repeat([0.2, 0.8], 50)).tolist() == [0] * 50 + [1] * 50
    True
    """
    n_bins = max(1, min(BINS, len(probability) // PER_BIN))
    inner = np.quantile(probability, np.arange(1, n_bins) / n_bins)
    codes = np.searchsorted(inner, probability, side="left")
    return np.asarray(np.unique(codes, return_inverse=True)[1], dtype=np.intp)


def ece(positive: npt.NDArray[np.bool_], probability: Floats) -> Scorer:
    """Mean over bins, weighted by their mass, of |observed frequency - mean prediction|.

    Bins are those of the samples that were given: the weights do not move them.
    """
    codes = equal_mass(probability)
    excess = np.eye(codes.max() + 1)[codes] * (positive - probability)[:, None]
    return lambda weights: ratio(np.abs(weights @ excess).sum(axis=1), weights.sum(axis=1))


def ece_if_calibrated(probability: Floats, weights: Floats | None = None) -> float:
    """Return what the ECE of these predictions would be on average if they were calibrated.

    The sum of outcomes minus predictions in a bin then has mean 0 and variance sum w^2 p (1 - p),
    and the mean of its absolute value is sqrt(2 / pi) of its standard deviation (normal
    approximation; Bröcker, Climate Dynamics 2012, on the bias of binned reliability). Assumes
    independent samples: with clusters the bias is larger.

    Examples
    --------
    >>> round(ece_if_calibrated(np.full(100, 0.5)), 3)
    0.04
    """
    codes = equal_mass(probability)
    w = np.ones_like(probability) if weights is None else weights
    spread = np.bincount(codes, weights=w**2 * probability * (1 - probability))
    return float(np.sqrt(2 / np.pi * spread).sum() / w.sum())


def _weights(truth: Any, given: Floats | None) -> Floats:
    return np.ones((1, len(truth))) if given is None else np.asarray(given, dtype=float)[None, :]


def _intercept(truth: Any, probability: Any) -> Scorer:
    return recalibration.intercept(truth == 1, recalibration.logit(probability[:, 1]))


def _slope(truth: Any, probability: Any) -> Scorer:
    return recalibration.slope(truth == 1, recalibration.logit(probability[:, 1]))


def _no_slope(truth: Any, probability: Any) -> str:
    score = recalibration.logit(probability[:, 1])
    if np.ptp(score) == 0:
        return ALL_ALIKE
    overlap = recalibration.overlap(truth == 1, score)(np.ones((1, len(score))))
    return SEPARATED if np.isnan(overlap[0]) else ""


CALIBRATION = (
    # Calibration in the large (Cox 1958; Van Calster et al., BMC Medicine 2019): above 0, risks
    # are predicted too low on average, below 0 too high, on the scale of log-odds.
    Metric(
        "calibration_intercept",
        "probability",
        greater_is_better=False,
        target=0.0,
        point=lambda y, p, k, w: float(_intercept(y, p)(_weights(y, w))[0]),
        bind=lambda y, p, k: _intercept(y, p),
        needs="two classes",
    ),
    # Below 1, predictions are too extreme (overfitted); above 1, too timid.
    Metric(
        "calibration_slope",
        "probability",
        greater_is_better=False,
        target=1.0,
        point=lambda y, p, k, w: float(_slope(y, p)(_weights(y, w))[0]),
        bind=lambda y, p, k: _slope(y, p),
        needs="two classes",
        unfit=_no_slope,
    ),
    Metric(
        "ece",
        "probability",
        greater_is_better=False,
        point=lambda y, p, k, w: float(ece(y == 1, p[:, 1])(_weights(y, w))[0]),
        bind=lambda y, p, k: ece(y == 1, p[:, 1]),
        bias=lambda y, p, k, w: ece_if_calibrated(p[:, 1], w),
    ),
)
