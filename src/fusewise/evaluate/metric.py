"""What a metric is: a name, what it reads, which way is better, and where it is undefined."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fusewise.evaluate.weighted import Floats, Scorer

ONE_CLASS = "one class only"

Point = Callable[[Any, Any, int, Floats | None], float]
Bind = Callable[[Any, Any, int], Scorer]
Unfit = Callable[[Any, Any], str]


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
        False for losses; what it says is not read where there is a `target`.
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
    target : float, optional
        The value of a right predictor, where both more and less are worse (1 for the calibration
        slope). Worse is then farther from it.
    unfit : callable, optional
        ``(truth, prediction) -> str``: why these predictions leave the metric undefined (nobody
        is flagged, so that no share of them is right), or an empty string.
    bias : callable, optional
        ``(truth, prediction, n_classes, sample_weight) -> float``: what the metric is expected to
        be of a right predictor in so few samples, where that is not its value in many.
    """

    name: str
    response: Literal["probability", "label"]
    greater_is_better: bool
    point: Point
    bind: Bind
    needs: Literal["nothing", "two classes", "every class", "spread"] = "nothing"
    stratified: bool = False
    target: float | None = None
    unfit: Unfit | None = None
    bias: Point | None = None

    def undefined(
        self, truth: npt.NDArray[Any], n_classes: int, prediction: npt.NDArray[Any] | None = None
    ) -> str:
        """Return why the metric is undefined on these targets, or an empty string.

        With `prediction`, also why it is undefined for these predictions.
        """
        why = self._undefined_targets(truth, n_classes)
        if why or self.unfit is None or prediction is None:
            return why
        return self.unfit(truth, prediction)

    def _undefined_targets(self, truth: npt.NDArray[Any], n_classes: int) -> str:
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

    @property
    def limits(self) -> tuple[str, ...]:
        """Which limits of a score make sense: ``at_least``, ``at_most``, or both of a target."""
        if self.target is not None:
            return "at_least", "at_most"
        return ("at_least",) if self.greater_is_better else ("at_most",)

    def drop(self, before: Any, after: Any) -> Any:
        """How much worse `after` is than `before`: positive is worse, for gains and losses.

        With a target, by how much `after` is farther from it.
        """
        if self.target is not None:
            return abs(after - self.target) - abs(before - self.target)
        return before - after if self.greater_is_better else after - before
