"""The error that a broken law raises, and the comparisons that the laws share."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone

from fusewise.data import MultimodalDataset
from fusewise.exceptions import FusewiseWarning

TITLES = {
    1: "what is stored under an absent modality changes nothing",
    2: "a sample predicted alone equals itself in any batch",
    3: "order has no effect",
    4: "every non-empty pattern gives valid output, and an empty one raises",
    5: "a present all-zero input is not an absent one",
    6: "fit forgets, and scikit-learn's tools work",
    7: "the same seed gives the same bits, and the global generators are untouched",
    8: "saved and loaded is equal",
    9: "work follows presence",
    10: "__init__ only stores, and fit validates",
}

Outputs = dict[str, npt.NDArray[Any]]


class LawViolation(AssertionError):  # noqa: N818 - it is raised like an assertion
    """A fusion estimator breaks one of the laws.

    Parameters
    ----------
    law : int
        Number of the law, 1 to 10.
    estimator : estimator
        What broke it.
    expected, got : str
        What should have come, and what came.
    """

    def __init__(self, law: int, estimator: Any, expected: str, got: str) -> None:
        self.law = law
        self.expected = expected
        self.got = got
        name = type(estimator).__name__
        super().__init__(f"law {law} ({TITLES[law]}): {name}: expected {expected}; got {got}")


@contextmanager
def expecting(law: int, estimator: Any, expected: str) -> Iterator[None]:
    """Turn any error inside into a violation of the law; the library's warnings are silent."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FusewiseWarning)
            yield
    except LawViolation:
        raise
    except Exception as error:
        raise LawViolation(law, estimator, expected, f"{type(error).__name__}: {error}") from error


def require(fine: bool, law: int, estimator: Any, expected: str, got: str) -> None:
    """Raise a violation unless `fine`."""
    if not fine:
        raise LawViolation(law, estimator, expected, got)


def fresh(estimator: Any) -> Any:
    """Return an unfitted copy with a fixed seed where it has a parameter for one."""
    copy = clone(estimator)
    if "random_state" in copy.get_params() and copy.get_params()["random_state"] is None:
        copy.set_params(random_state=0)
    return copy


def fitted(
    law: int, estimator: Any, X: MultimodalDataset, what: str = "the training samples"
) -> Any:
    """Return a fitted copy, its own target given by the dataset."""
    model = fresh(estimator)
    with expecting(law, estimator, f"fit to accept {what}"):
        model.fit(X)
    return model


def outputs(law: int, model: Any, X: MultimodalDataset, what: str = "the test samples") -> Outputs:
    """Return what every prediction method of the model says of `X`."""
    methods = [m for m in ("predict_proba", "decision_function", "predict") if hasattr(model, m)]
    with expecting(law, model, f"predictions for {what}"):
        return {method: np.asarray(getattr(model, method)(X)) for method in methods}


def require_same_bits(law: int, model: Any, a: Outputs, b: Outputs, expected: str) -> None:
    """Raise unless both outputs agree in every bit."""
    for method, left in a.items():
        right = b[method]
        same = left.shape == right.shape and left.dtype == right.dtype
        same = same and bool(np.all((left == right) | ((left != left) & (right != right))))  # noqa: PLR0124
        require(same, law, model, expected, f"{method} {_difference(left, right)}")


def require_close(
    law: int, model: Any, a: Outputs, b: Outputs, expected: str, tolerance: float = 1e-6
) -> None:
    """Raise unless both outputs agree within the tolerance.

    Labels that follow from probabilities are not compared: at a tie the last bit decides.
    """
    for method, left in a.items():
        right = b[method]
        if method == "predict" and "predict_proba" in a:
            continue
        if left.dtype.kind in "fiu" and right.dtype.kind in "fiu" and left.shape == right.shape:
            same = bool(np.allclose(left, right, rtol=tolerance, atol=tolerance, equal_nan=True))
        else:
            same = np.array_equal(left, right)
        require(same, law, model, expected, f"{method} {_difference(left, right)}")


def differ(a: Outputs, b: Outputs) -> bool:
    """Return whether any number differs by more than rounding."""
    return any(
        not np.allclose(a[m], b[m], rtol=0, atol=1e-7)
        for m in a
        if a[m].dtype.kind == "f" and a[m].shape == b[m].shape
    )


def _difference(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> str:
    if left.shape != right.shape:
        return f"of shape {left.shape} and {right.shape}"
    rows = left != right
    rows = rows.reshape(len(rows), -1).any(axis=1) if rows.ndim else rows
    first = int(np.argmax(rows))
    count = f"different for {int(rows.sum())} of {len(rows)} samples"
    return f"{count}, for example {left[first]} and {right[first]}"
