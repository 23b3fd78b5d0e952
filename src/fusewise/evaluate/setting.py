"""The setting of an evaluation: checked numbers, order, classes, and how scores are measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusewise.evaluate.predictions import class_codes
from fusewise.evaluate.scoring import Scoring
from fusewise.exceptions import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fusewise.data import MultimodalDataset
    from fusewise.evaluate.metric import Metric


def check_numbers(
    n_boot: int,
    min_cell: int,
    withheld_patterns: int,
    rates: Sequence[float],
    repeats: int,
    random_state: int | None,
) -> None:
    """Raise where a number that sizes the evaluation is out of range."""
    least = {"n_boot": 0, "min_cell": 1, "withheld_patterns": 0, "repeats": 1}
    given = {
        "n_boot": n_boot,
        "min_cell": min_cell,
        "withheld_patterns": withheld_patterns,
        "repeats": repeats,
    }
    for name, value in given.items():
        if not isinstance(value, int | np.integer) or value < least[name]:
            raise EvaluationError(f"{name} is a whole number from {least[name]}, got {value!r}.")
    if random_state is not None and (
        not isinstance(random_state, int | np.integer) or random_state < 0
    ):
        raise EvaluationError(
            f"random_state is a whole number from 0, or None, got {random_state!r}: one seed, from "
            f"which every draw gets its own stream."
        )
    for rate in rates:
        if not 0 <= rate < 1:
            raise EvaluationError(
                f"rates are shares of the modality list from 0 to below 1, got {rate!r}."
            )


def task_of(test: MultimodalDataset) -> str:
    """Return what is predicted; raise where the test set has no target."""
    if test.target is None or test.task is None:
        raise EvaluationError(
            "The test set has no target, so nothing can be scored. Name target= when the dataset "
            "is built."
        )
    return test.task


def canonical_order(test: MultimodalDataset) -> npt.NDArray[np.intp]:
    """Return the order of the samples in which everything is computed."""
    # By id, then presence (a slice may repeat a sample), so that the order given has no effect.
    ids, _ = pd.factorize(np.asarray(test.ids).astype(str), sort=True)
    return np.lexsort((*test.presence.T, ids))


def classes_of(model: Any, test: MultimodalDataset) -> tuple[Any, ...]:
    """Return the classes of the target and the predictor together."""
    classes = tuple(test.classes or ())
    known = tuple(np.asarray(getattr(model, "classes_", ())).tolist())
    if test.task == "multiclass" or len(classes) < 2:
        both = {*classes, *known}
        classes = tuple(sorted(both, key=lambda c: (isinstance(c, str), c)))
    if len(classes) < 2 or (test.task == "binary" and len(classes) != 2):
        raise EvaluationError(
            f"The test target has the classes {test.classes}, the predictor knows {known or '?'}; "
            f"together that is no {test.task} task."
        )
    return classes


def scoring_of(
    test: MultimodalDataset,
    classes: tuple[Any, ...] | None,
    metrics: tuple[Metric, ...],
    n_boot: int,
    min_cell: int,
    random_state: int | None,
) -> Scoring:
    """Return how scores of this test set are measured."""
    target = np.asarray(test.target)
    unit = test.ids if test.cluster is None else test.cluster
    codes, _ = pd.factorize(np.asarray(unit).astype(str))
    entropy = np.random.SeedSequence(random_state).entropy
    assert isinstance(entropy, int)
    return Scoring(
        truth=target.astype(float) if classes is None else class_codes(target, classes, "target"),
        n_classes=0 if classes is None else len(classes),
        units=codes.astype(np.intp),
        metrics=metrics,
        n_boot=int(n_boot),
        min_cell=int(min_cell),
        entropy=entropy,
    )


def responses_of(metrics: Iterable[Metric]) -> set[str]:
    """Return what the metrics read."""
    return {metric.response for metric in metrics}
