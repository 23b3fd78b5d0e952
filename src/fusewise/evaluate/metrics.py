"""The metrics: their names, what they need, which direction is better, when they are undefined.

Point estimates come from scikit-learn; replicates from :mod:`fusewise.evaluate.weighted`, which
computes the same quantities for many weightings at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sklearn import metrics as skm

from fusewise.evaluate import weighted
from fusewise.evaluate.weighted import Floats, Scorer
from fusewise.exceptions import EvaluationError, did_you_mean

ONE_CLASS = "one class only"

Point = Callable[[Any, Any, int, Floats | None], float]
Bind = Callable[[Any, Any, int], Scorer]


@dataclass(frozen=True)
class Metric:
    """One metric for one task.

    Parameters
    ----------
    name : str
        The name of scikit-learn's scorer without its ``neg_`` (``log_loss``, not
        ``neg_log_loss``: scores keep their own sign here).
    response : {"probability", "label"}
        What it reads: class probabilities (n, n_classes), or predicted class codes (values for
        regression) (n,).
    greater_is_better : bool
        False for losses.
    needs : {"nothing", "two classes", "every class", "spread"}
        What a set of samples must contain for the metric to be defined on it.
    stratified : bool
        Whether resampling keeps the number of samples of each class (ROC AUC only: it conditions
        on the class, so this leaves its estimand alone; Brier score and average precision depend
        on the prevalence, and stratifying would make their intervals too narrow).
    point : callable
        ``(truth, prediction, n_classes, sample_weight) -> float``, through scikit-learn.
    bind : callable
        ``(truth, prediction, n_classes) -> scorer`` over weight matrices.
    """

    name: str
    response: Literal["probability", "label"]
    greater_is_better: bool
    point: Point
    bind: Bind
    needs: Literal["nothing", "two classes", "every class", "spread"] = "nothing"
    stratified: bool = False

    def undefined(self, truth: npt.NDArray[Any], n_classes: int) -> str:
        """Return why the metric is undefined on these targets, or an empty string."""
        if len(truth) == 0:
            return "no sample"
        if self.needs == "spread":
            return "" if np.ptp(truth) > 0 else "the target does not vary"
        if self.needs == "nothing":
            return ""
        seen = len(np.unique(truth))
        if seen == 1:
            return ONE_CLASS
        if self.needs == "every class" and seen < n_classes:
            return f"{n_classes - seen} of {n_classes} classes have no sample"
        return ""

    def drop(self, before: Any, after: Any) -> Any:
        """How much worse `after` is than `before`: positive is worse, for gains and losses."""
        return before - after if self.greater_is_better else after - before


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
    "neg_root_mean_squared_error": "rmse",
    "neg_mean_absolute_error": "mae",
}


def find_metric(name: str, task: str) -> Metric:
    """Return the metric of this name for this task.

    Raises
    ------
    EvaluationError
        If the task has no such metric; the message lists those that it has.

    Examples
    --------
    >>> find_metric("roc_auc", "binary").greater_is_better
    True
    """
    if task not in METRICS:
        raise EvaluationError(
            f"the task {task!r} cannot be evaluated: expected one of {', '.join(METRICS)}."
        )
    known = METRICS[task]
    if name not in known:
        meant = _ALSO_CALLED.get(name.lower(), name.removeprefix("neg_"))
        hint = did_you_mean(meant, known) or did_you_mean(f"{meant}_macro", known)
        raise EvaluationError(
            f"unknown metric {name!r} for the task {task!r}.{hint} Known: {', '.join(known)}."
        )
    return known[name]


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
    if not tasks:
        meant = _ALSO_CALLED.get(name.lower(), name.removeprefix("neg_"))
        known = tuple(dict.fromkeys(m for metrics in METRICS.values() for m in metrics))
        raise EvaluationError(
            f"unknown metric {name!r}.{did_you_mean(meant, known)} Known: {', '.join(known)}."
        )
    return tasks


def choose_metrics(
    names: Iterable[str] | None, task: str, *, probabilities: bool
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
    """
    if isinstance(names, str):
        raise EvaluationError(
            f"metrics is a list of names, got the string {names!r}: use [{names!r}]."
        )
    if names is None:
        names = _DEFAULTS.get(task, ())
        if task in ("binary", "multiclass") and not probabilities:
            names = ("accuracy", "balanced_accuracy", "f1" if task == "binary" else "f1_macro")
    chosen = {name: find_metric(name, task) for name in names}
    if not chosen:
        find_metric("", task)
    return tuple(chosen.values())
