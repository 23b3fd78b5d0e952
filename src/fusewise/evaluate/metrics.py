"""The metrics: their names, what they need, which direction is better, when they are undefined.

Point estimates come from scikit-learn; replicates from :mod:`fusewise.evaluate.weighted`, which
computes the same quantities for many weightings at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn import metrics as skm

from fusewise.evaluate import weighted
from fusewise.evaluate.calibration_metrics import CALIBRATION
from fusewise.evaluate.metric import ONE_CLASS, Metric
from fusewise.evaluate.operating_points import AT_A_POINT, OperatingPoint, metrics_at
from fusewise.evaluate.weighted import Floats, Scorer
from fusewise.exceptions import EvaluationError, did_you_mean

__all__ = ["METRICS", "ONE_CLASS", "Metric", "choose_metrics", "find_metric", "tasks_of"]


def _own_probability(truth: npt.NDArray[np.intp], probability: Floats) -> Floats:
    return probability[np.arange(len(truth)), truth]


def _log_loss(truth: Any, probability: Any) -> Floats:
    own = _own_probability(truth, probability)
    # scikit-learn clips at the precision of the predictions.
    eps = np.finfo(np.float64).eps
    return -np.log(np.clip(own, eps, 1 - eps))


def _squared_distance(truth: Any, probability: Any, n_classes: int) -> Floats:
    distance: Floats = ((probability - np.eye(n_classes)[truth]) ** 2).sum(axis=1)
    # Binary: the squared error of the positive class alone, as scikit-learn scales it.
    return distance / 2 if n_classes == 2 else distance


def _bind_roc_auc(truth: Any, probability: Any, n_classes: int) -> Scorer:
    if n_classes == 2:
        return weighted.roc_auc(truth == 1, probability[:, 1])
    return weighted.macro(
        [weighted.roc_auc(truth == c, probability[:, c]) for c in range(n_classes)]
    )


_CLASSIFICATION = (
    Metric(
        "log_loss",
        "probability",
        greater_is_better=False,
        point=lambda y, p, k, w: skm.log_loss(y, p, labels=range(k), sample_weight=w),
        bind=lambda y, p, k: weighted.mean_of(_log_loss(y, p)),
    ),
    Metric(
        "brier_score",
        "probability",
        greater_is_better=False,
        point=lambda y, p, k, w: skm.brier_score_loss(
            y, p[:, 1] if k == 2 else p, labels=range(k), sample_weight=w
        ),
        bind=lambda y, p, k: weighted.mean_of(_squared_distance(y, p, k)),
    ),
    Metric(
        "accuracy",
        "label",
        greater_is_better=True,
        point=lambda y, p, k, w: skm.accuracy_score(y, p, sample_weight=w),
        bind=lambda y, p, k: weighted.mean_of((y == p).astype(float)),
    ),
    Metric(
        "balanced_accuracy",
        "label",
        greater_is_better=True,
        # recall_score with the classes in truth: balanced_accuracy_score without its warning
        # about predicted classes that the cell does not contain.
        point=lambda y, p, k, w: skm.recall_score(
            y, p, labels=np.unique(y), average="macro", sample_weight=w, zero_division=0.0
        ),
        bind=lambda y, p, k: weighted.balanced_accuracy(y, p),
        needs="two classes",
    ),
)

_BINARY = (
    Metric(
        "roc_auc",
        "probability",
        greater_is_better=True,
        point=lambda y, p, k, w: skm.roc_auc_score(y, p[:, 1], sample_weight=w),
        bind=_bind_roc_auc,
        needs="two classes",
        stratified=True,
    ),
    Metric(
        "average_precision",
        "probability",
        greater_is_better=True,
        point=lambda y, p, k, w: skm.average_precision_score(y, p[:, 1], sample_weight=w),
        bind=lambda y, p, k: weighted.average_precision(y == 1, p[:, 1]),
        needs="two classes",
    ),
    *_CLASSIFICATION,
    Metric(
        "f1",
        "label",
        greater_is_better=True,
        point=lambda y, p, k, w: skm.f1_score(y, p, sample_weight=w, zero_division=0.0),
        bind=lambda y, p, k: weighted.f1(y, p, [1]),
        needs="two classes",
    ),
    *CALIBRATION,
)

_MULTICLASS = (
    Metric(
        "roc_auc",
        "probability",
        greater_is_better=True,
        point=lambda y, p, k, w: skm.roc_auc_score(
            y, p, multi_class="ovr", average="macro", labels=range(k), sample_weight=w
        ),
        bind=_bind_roc_auc,
        needs="every class",
        stratified=True,
    ),
    Metric(
        "average_precision",
        "probability",
        greater_is_better=True,
        point=lambda y, p, k, w: skm.average_precision_score(
            np.eye(k)[y], p, average="macro", sample_weight=w
        ),
        bind=lambda y, p, k: weighted.macro(
            [weighted.average_precision(y == c, p[:, c]) for c in range(k)]
        ),
        needs="every class",
    ),
    *_CLASSIFICATION,
    Metric(
        "f1_macro",
        "label",
        greater_is_better=True,
        point=lambda y, p, k, w: skm.f1_score(
            y, p, labels=range(k), average="macro", sample_weight=w, zero_division=np.nan
        ),
        bind=lambda y, p, k: weighted.f1(y, p, list(range(k))),
        needs="two classes",
    ),
    Metric(
        "f1_weighted",
        "label",
        greater_is_better=True,
        point=lambda y, p, k, w: skm.f1_score(
            y, p, labels=np.unique(y), average="weighted", sample_weight=w, zero_division=0.0
        ),
        bind=lambda y, p, k: weighted.f1_weighted(y, p),
        needs="two classes",
    ),
)

_REGRESSION = (
    Metric(
        "rmse",
        "label",
        greater_is_better=False,
        point=lambda y, p, k, w: skm.root_mean_squared_error(y, p, sample_weight=w),
        bind=lambda y, p, k: weighted.root_mean_of((y - p) ** 2),
    ),
    Metric(
        "mae",
        "label",
        greater_is_better=False,
        point=lambda y, p, k, w: skm.mean_absolute_error(y, p, sample_weight=w),
        bind=lambda y, p, k: weighted.mean_of(np.abs(y - p)),
    ),
    Metric(
        "r2",
        "label",
        greater_is_better=True,
        point=lambda y, p, k, w: skm.r2_score(y, p, sample_weight=w),
        bind=lambda y, p, k: weighted.r2(y, p),
        needs="spread",
    ),
)

METRICS: dict[str, dict[str, Metric]] = {
    "binary": {m.name: m for m in _BINARY},
    "multiclass": {m.name: m for m in _MULTICLASS},
    "regression": {m.name: m for m in _REGRESSION},
}

_DEFAULTS = {
    "binary": ("roc_auc", "average_precision", "log_loss", "brier_score"),
    "multiclass": ("roc_auc", "log_loss", "brier_score", "accuracy"),
    "regression": ("rmse", "mae", "r2"),
}

# For the suggestion in the error only: a metric has one name.
_ALSO_CALLED = {
    "auc": "roc_auc",
    "auroc": "roc_auc",
    "auprc": "average_precision",
    "aupr": "average_precision",
    "brier": "brier_score",
    "recall": "sensitivity",
    "precision": "ppv",
    "expected_calibration_error": "ece",
    "neg_root_mean_squared_error": "rmse",
    "neg_mean_absolute_error": "mae",
}


def find_metric(name: str, task: str, operating_point: OperatingPoint | None = None) -> Metric:
    """Return the metric of this name for this task.

    Parameters
    ----------
    name, task : str
    operating_point : OperatingPoint, optional
        Where sensitivity, specificity, ppv, npv, alert_rate and net_benefit are taken.

    Raises
    ------
    EvaluationError
        If the task has no such metric (the message lists those that it has), or it needs an
        operating point and none is declared.

    Examples
    --------
    >>> find_metric("roc_auc", "binary").greater_is_better
    True
    >>> find_metric("sensitivity", "binary", OperatingPoint(threshold=0.2)).name
    'sensitivity'
    """
    if task not in METRICS:
        raise EvaluationError(
            f"the task {task!r} cannot be evaluated: expected one of {', '.join(METRICS)}."
        )
    known = METRICS[task]
    if name in AT_A_POINT and task == "binary":
        return _at_a_point(name, operating_point)
    if name not in known:
        meant = _ALSO_CALLED.get(name.lower(), name.removeprefix("neg_"))
        names = (*known, *(AT_A_POINT if task == "binary" else ()))
        hint = did_you_mean(meant, names) or did_you_mean(f"{meant}_macro", names)
        raise EvaluationError(
            f"unknown metric {name!r} for the task {task!r}.{hint} Known: {', '.join(names)}."
        )
    return known[name]


def _at_a_point(name: str, operating_point: OperatingPoint | None) -> Metric:
    if operating_point is None:
        raise EvaluationError(
            f"{name} needs an operating point: declare from which probability on a sample is "
            f"flagged, as operating_point={{'threshold': 0.2}}. For a fixed alert rate, let "
            f"choose_threshold find the threshold on training rows."
        )
    return metrics_at(operating_point)[name]


def sample_losses(truth: npt.NDArray[Any], prediction: npt.NDArray[Any], n_classes: int) -> Floats:
    """Return the loss of each sample (n,): log loss, or squared error where `n_classes` is 0.

    Parameters
    ----------
    truth : ndarray (n,)
        Class codes, or values for regression.
    prediction : ndarray
        Class probabilities (n, n_classes), or values (n,).

    Examples
    --------
    >>> sample_losses(np.array([1, 0]), np.array([[0.5, 0.5], [1.0, 0.0]]), 2).round(3).tolist()
    [0.693, 0.0]
    """
    if n_classes:
        return _log_loss(truth, prediction)
    return np.asarray((np.asarray(truth, dtype=np.float64) - prediction) ** 2)


def tasks_of(name: str) -> tuple[str, ...]:
    """Return the tasks that have a metric of this name.

    Raises
    ------
    EvaluationError
        If no task has it.

    Examples
    --------
    >>> tasks_of("log_loss")
    ('binary', 'multiclass')
    """
    tasks = tuple(task for task, metrics in METRICS.items() if name in metrics)
    if name in AT_A_POINT:
        return ("binary",)
    if not tasks:
        meant = _ALSO_CALLED.get(name.lower(), name.removeprefix("neg_"))
        known = tuple(dict.fromkeys(m for metrics in METRICS.values() for m in metrics))
        known += AT_A_POINT
        raise EvaluationError(
            f"unknown metric {name!r}.{did_you_mean(meant, known)} Known: {', '.join(known)}."
        )
    return tasks


def choose_metrics(
    names: Iterable[str] | None,
    task: str,
    *,
    probabilities: bool,
    operating_point: OperatingPoint | None = None,
) -> tuple[Metric, ...]:
    """Return the metrics of these names, or the task's defaults.

    Parameters
    ----------
    names : iterable of str or None
        None takes the defaults: for a classifier without ``predict_proba``, those that read
        labels.
    task : {"binary", "multiclass", "regression"}
    probabilities : bool
        Whether the predictor gives probabilities.
    operating_point : OperatingPoint, optional
        Binary tasks only.
    """
    if isinstance(names, str):
        raise EvaluationError(
            f"metrics is a list of names, got the string {names!r}: use [{names!r}]."
        )
    if names is None:
        names = _DEFAULTS.get(task, ())
        if task in ("binary", "multiclass") and not probabilities:
            names = ("accuracy", "balanced_accuracy", "f1" if task == "binary" else "f1_macro")
    if operating_point is not None and task != "binary":
        raise EvaluationError(
            f"an operating point is for binary tasks, this one is {task}: there is no one "
            f"probability from which on a sample is flagged."
        )
    if operating_point is not None:
        operating_point.on_probability()
    chosen = {name: find_metric(name, task, operating_point) for name in names}
    if not chosen:
        find_metric("", task)
    return tuple(chosen.values())
