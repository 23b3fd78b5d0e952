"""Estimators that the user brings: what must hold of them, and how they are fitted."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from fusewise.exceptions import DatasetError

FloatArray = npt.NDArray[np.float64]


def copy_of(estimator: Any, who: str, seed: int) -> Any:
    """Return an unfitted copy, seeded where its ``random_state`` is None.

    Parameters
    ----------
    estimator : scikit-learn estimator
    who : str
        The expert or fusion estimator that it is for, named in errors.
    seed : int

    Raises
    ------
    DatasetError
        It is a class, or nothing that scikit-learn can clone.
    """
    if isinstance(estimator, type):
        raise DatasetError(
            f"{who}: {estimator.__name__} is a class. Give an instance, {estimator.__name__}()."
        )
    if not hasattr(estimator, "get_params") or not hasattr(estimator, "fit"):
        raise DatasetError(
            f"{who}: {type(estimator).__name__} is no scikit-learn estimator (it needs fit and "
            "get_params)."
        )
    model = clone(estimator)
    if model.get_params().get("random_state", seed) is None:
        model.set_params(random_state=seed)
    return model


def knows_nan(model: Any) -> bool:
    """Say whether an estimator takes NaN for an empty cell.

    Examples
    --------
    >>> from sklearn.impute import SimpleImputer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> knows_nan(LogisticRegression())
    False
    >>> knows_nan(make_pipeline(SimpleImputer(), LogisticRegression()))
    True
    """
    if isinstance(model, Pipeline):
        # A pipeline's own tag does not say; its first step is what meets the cells.
        steps = [step for _, step in model.steps if step not in (None, "passthrough")]
        return bool(steps) and knows_nan(steps[0])
    return bool(get_tags(model).input_tags.allow_nan)


def fit_brought(
    model: Any, who: str, X: FloatArray, y: npt.NDArray[Any], weight: FloatArray, n_classes: int
) -> Any:
    """Fit on (n_samples, n_features), with weights where they differ from one.

    A column that is empty in all of these rows (some models break on one) is fitted as a constant,
    which says as little.

    Raises
    ------
    DatasetError
        The model takes no weights, or gives no probabilities where there are classes.
    """
    empty = np.isnan(X).all(axis=0)
    if empty.any():
        X = X.copy()
        X[:, empty] = 0.0
    if (weight == 1).all():
        fitted = model.fit(X, y)
    elif "sample_weight" in inspect.signature(model.fit).parameters:
        fitted = model.fit(X, y, sample_weight=weight)
    else:
        raise DatasetError(f"{who}: {type(model).__name__} takes no sample_weight.")
    # Asked of the fitted one: some compositions know only then what they can do.
    if n_classes and not hasattr(fitted, "predict_proba"):
        raise DatasetError(
            f"{who}: {type(model).__name__} has no predict_proba, and classes are predicted by "
            "their probabilities. Bring a classifier that has, or wrap it in "
            "CalibratedClassifierCV."
        )
    return fitted
