"""Linear models with the preprocessing that they need: the simple expert."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler

FloatArray = npt.NDArray[np.float64]

# Squares of larger values, summed over many rows, are no numbers any more.
_LARGEST = 1e140


def preparation(scale: str, n_samples: int) -> Pipeline:
    """Return imputation and scaling for a linear model.

    Empty cells *inside* a present modality become the median with an indicator beside; the
    modality's own absence never comes here. ``gauss`` maps each column to a normal distribution by
    its ranks, for the heavy tails of event summaries.
    """
    imputer = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    scaler: Any = StandardScaler()
    if scale == "gauss":
        scaler = QuantileTransformer(
            n_quantiles=max(2, min(200, n_samples)), output_distribution="normal", subsample=None
        )
        return make_pipeline(imputer, scaler, StandardScaler())
    return make_pipeline(imputer, scaler)


def within_range(X: FloatArray) -> FloatArray:
    """Move what is too large to be squared to the largest value that can be; NaN stays.

    Examples
    --------
    >>> within_range(np.array([[2.0, -1e200, np.nan]])).tolist()
    [[2.0, -1e+140, nan]]
    """
    return np.clip(X, -_LARGEST, _LARGEST)


class LinearClassifier(ClassifierMixin, BaseEstimator):
    """Logistic regression over imputed and scaled features.

    Parameters
    ----------
    C : float
        Inverse strength of the L2 penalty, as in scikit-learn.
    scale : {"standard", "gauss"}
    """

    def __init__(self, *, C: float = 1.0, scale: str = "standard") -> None:
        self.C = C
        self.scale = scale

    def fit(
        self, X: FloatArray, y: npt.NDArray[Any], sample_weight: FloatArray | None = None
    ) -> Self:
        """Fit on (n_samples, n_features); NaN is an empty cell."""
        return self.fit_path(X, y, [self.C], sample_weight)[0]

    def fit_path(
        self,
        X: FloatArray,
        y: npt.NDArray[Any],
        strengths: Sequence[float],
        sample_weight: FloatArray | None = None,
    ) -> list[Self]:
        """Fit once per penalty, sharing the preprocessing and starting where the last one ended."""
        X = within_range(X)
        prepare = preparation(self.scale, len(X)).fit(X)
        prepared = prepare.transform(X)
        fitted, start = [], None
        for strength in strengths:
            linear = LogisticRegression(C=strength, max_iter=1000, tol=1e-4, warm_start=True)
            if start is not None:
                linear.coef_, linear.intercept_ = start
            linear.fit(prepared, y, sample_weight)
            start = linear.coef_.copy(), linear.intercept_.copy()
            one = type(self)(C=strength, scale=self.scale)
            one.prepare_, one.linear_, one.classes_ = prepare, linear, linear.classes_
            one.n_features_in_ = X.shape[1]
            fitted.append(one)
        self.__dict__.update(fitted[0].__dict__ | {"C": self.C})
        return fitted if len(strengths) > 1 else [self]

    def predict_proba(self, X: FloatArray) -> FloatArray:
        """Return class probabilities (n_samples, n_classes)."""
        return np.asarray(self.linear_.predict_proba(self.prepare_.transform(within_range(X))))

    def predict(self, X: FloatArray) -> npt.NDArray[Any]:
        """Return the most probable class (n_samples,)."""
        return np.asarray(self.linear_.predict(self.prepare_.transform(within_range(X))))


class LinearRegressor(RegressorMixin, BaseEstimator):
    """Ridge regression over imputed and scaled features.

    Parameters
    ----------
    C : float
        Inverse strength of the L2 penalty (ridge's alpha is ``n_samples / (1000 * C)``, so that
        one scale of strengths serves small and large samples).
    scale : {"standard", "gauss"}
    """

    def __init__(self, *, C: float = 1.0, scale: str = "standard") -> None:
        self.C = C
        self.scale = scale

    def fit(self, X: FloatArray, y: FloatArray, sample_weight: FloatArray | None = None) -> Self:
        """Fit on (n_samples, n_features); NaN is an empty cell."""
        return self.fit_path(X, y, [self.C], sample_weight)[0]

    def fit_path(
        self,
        X: FloatArray,
        y: FloatArray,
        strengths: Sequence[float],
        sample_weight: FloatArray | None = None,
    ) -> list[Self]:
        """Fit once per penalty, sharing the preprocessing."""
        X = within_range(X)
        prepare = preparation(self.scale, len(X)).fit(X)
        prepared = prepare.transform(X)
        fitted = []
        for strength in strengths:
            one = type(self)(C=strength, scale=self.scale)
            one.prepare_ = prepare
            one.linear_ = Ridge(alpha=len(X) / (1000 * strength)).fit(prepared, y, sample_weight)
            one.n_features_in_ = X.shape[1]
            fitted.append(one)
        self.__dict__.update(fitted[0].__dict__ | {"C": self.C})
        return fitted if len(strengths) > 1 else [self]

    def predict(self, X: FloatArray) -> FloatArray:
        """Return the expected amount (n_samples,)."""
        return np.asarray(self.linear_.predict(self.prepare_.transform(within_range(X))))
