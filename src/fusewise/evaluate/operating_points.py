"""Operating points: what a predictor does once it flags samples from one threshold on."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn import metrics as skm

from fusewise.evaluate.metric import Metric
from fusewise.evaluate.weighted import Floats, Scorer, mean_of, ratio
from fusewise.exceptions import EvaluationError, did_you_mean

AT_A_POINT = ("sensitivity", "specificity", "ppv", "npv", "alert_rate", "net_benefit")


@dataclass(frozen=True)
class OperatingPoint:
    """From which predicted probability on a sample is flagged.

    Parameters
    ----------
    threshold : float, optional
        A sample is flagged if its predicted probability of the positive class is at least this,
        strictly between 0 and 1.
    alert_rate : float, optional
        Share of the samples that may be flagged, strictly between 0 and 1. It becomes a threshold
        on out-of-fold predictions of training rows, by :func:`choose_threshold`, never on test
        rows.

    Raises
    ------
    EvaluationError
        If not exactly one of them is given, or it is not strictly between 0 and 1.

    Examples
    --------
    >>> print(OperatingPoint(threshold=0.2))
    flagged from a probability of 0.2 on
    """

    threshold: float | None = None
    alert_rate: float | None = None

    def __post_init__(self) -> None:
        given = [f.name for f in fields(self) if getattr(self, f.name) is not None]
        if len(given) != 1:
            raise EvaluationError(
                f"an operating point is a threshold or an alert_rate, got "
                f"{' and '.join(given) or 'neither'}: give exactly one of them."
            )
        value = getattr(self, given[0])
        if (
            isinstance(value, bool)
            or not isinstance(value, numbers.Real)
            or not 0 < float(value) < 1
        ):
            raise EvaluationError(
                f"operating point: {given[0]} is a number strictly between 0 and 1, got {value!r}."
            )

    @classmethod
    def of(cls, given: Any) -> OperatingPoint:
        """Return the operating point of a mapping with one of these keys, or itself."""
        if isinstance(given, cls):
            return given
        if not isinstance(given, Mapping):
            raise EvaluationError(
                f"operating_point is a dict such as {{'threshold': 0.2}} or an OperatingPoint, got "
                f"{type(given).__name__} {given!r}."
            )
        known = [f.name for f in fields(cls)]
        for key in given:
            if key not in known:
                raise EvaluationError(
                    f"operating_point: unknown key {key!r}.{did_you_mean(str(key), known)} Known: "
                    f"{', '.join(known)}."
                )
        return cls(**given)

    def on_probability(self) -> float:
        """Return its threshold.

        Raises
        ------
        EvaluationError
            If it is an alert rate, for which no threshold was chosen yet.
        """
        if self.threshold is None:
            raise EvaluationError(
                f"an alert rate of {self.alert_rate:g} is no threshold yet, and test rows may not "
                f"choose one. Choose it on out-of-fold predictions of the training rows, "
                f"choice = fw.choose_threshold(estimator, train, alert_rate={self.alert_rate:g}), "
                f"and give operating_point=choice.operating_point."
            )
        return float(self.threshold)

    def __str__(self) -> str:
        if self.threshold is None:
            return f"{self.alert_rate:g} of the samples flagged"
        return f"flagged from a probability of {self.threshold:g} on"


def net_benefit(
    truth: npt.NDArray[Any], flagged: npt.NDArray[np.bool_], threshold: float
) -> Floats:
    """Return what each sample adds to the net benefit (n,) (Vickers and Elkin 2006).

    A true positive adds 1, a false positive takes the odds of the threshold, t / (1 - t): who
    acts from probability t on holds a missed positive for (1 - t) / t times as bad as a false
    alarm. The mean over samples is the net benefit, in true positives per sample.
    """
    harm = threshold / (1 - threshold)
    return np.asarray(flagged * np.where(truth == 1, 1.0, -harm), dtype=np.float64)


def share_among(right: npt.NDArray[np.bool_], among: npt.NDArray[np.bool_]) -> Scorer:
    """Weighted share that is `right` among the samples of `among`; NaN where there are none."""
    of = among.astype(np.float64)
    hits = (among & right).astype(np.float64)
    return lambda weights: ratio(weights @ hits, weights @ of)


def metrics_at(operating_point: OperatingPoint) -> dict[str, Metric]:
    """Return the metrics at an operating point, by name; for binary tasks.

    sensitivity, specificity: share flagged among the positives, not flagged among the negatives.
    ppv, npv: share of positives among the flagged, of negatives among the others; they depend on
    the prevalence. alert_rate: share flagged; an alert costs attention, so fewer are better where
    nothing else changes. net_benefit: see :func:`net_benefit`; it takes the threshold for a
    probability, so that it says something only of predictions that are calibrated.
    """
    t = operating_point.on_probability()

    def flags(p: Any) -> npt.NDArray[np.bool_]:
        return np.asarray(p[:, 1] >= t)

    def nobody(p: Any) -> str:
        return "" if flags(p).any() else f"no sample is flagged from {t:g} on"

    def everybody(p: Any) -> str:
        return f"every sample is flagged from {t:g} on" if flags(p).all() else ""

    def without(wanted: int, name: str) -> Any:
        return lambda y, p: "" if (y == wanted).any() else f"no {name} sample"

    return {
        m.name: m
        for m in (
            Metric(
                "sensitivity",
                "probability",
                greater_is_better=True,
                point=lambda y, p, k, w: skm.recall_score(y, flags(p), sample_weight=w),
                bind=lambda y, p, k: share_among(flags(p), y == 1),
                unfit=without(1, "positive"),
            ),
            Metric(
                "specificity",
                "probability",
                greater_is_better=True,
                point=lambda y, p, k, w: skm.recall_score(
                    y, flags(p), pos_label=0, sample_weight=w
                ),
                bind=lambda y, p, k: share_among(~flags(p), y == 0),
                unfit=without(0, "negative"),
            ),
            Metric(
                "ppv",
                "probability",
                greater_is_better=True,
                point=lambda y, p, k, w: skm.precision_score(y, flags(p), sample_weight=w),
                bind=lambda y, p, k: share_among(y == 1, flags(p)),
                unfit=lambda y, p: nobody(p),
            ),
            Metric(
                "npv",
                "probability",
                greater_is_better=True,
                point=lambda y, p, k, w: skm.precision_score(
                    y, flags(p), pos_label=0, sample_weight=w
                ),
                bind=lambda y, p, k: share_among(y == 0, ~flags(p)),
                unfit=lambda y, p: everybody(p),
            ),
            Metric(
                "alert_rate",
                "probability",
                greater_is_better=False,
                point=lambda y, p, k, w: float(np.average(flags(p), weights=w)),
                bind=lambda y, p, k: mean_of(flags(p).astype(np.float64)),
            ),
            Metric(
                "net_benefit",
                "probability",
                greater_is_better=True,
                point=lambda y, p, k, w: float(np.average(net_benefit(y, flags(p), t), weights=w)),
                bind=lambda y, p, k: mean_of(net_benefit(y, flags(p), t)),
            ),
        )
    }
