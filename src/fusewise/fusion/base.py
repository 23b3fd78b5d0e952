"""What all fusion estimators share: which samples, which modalities, in which order."""

from __future__ import annotations

import numbers
import os
import warnings
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils.validation import check_is_fitted

from fusewise.data import MultimodalDataset
from fusewise.exceptions import DatasetError, EmptySampleError, FusewiseWarning, TaskError
from fusewise.fusion.blocks import fit_encoders
from fusewise.fusion.encode import FeatureEncoder

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]

# Gradient boosting keeps targets in single precision, and losses are squared.
_LARGEST = 1e30
_KINDS = {"table": "a table", "events": "events"}


class FusionEstimator(BaseEstimator):
    """Base of the fusion estimators: fit and predict on a :class:`MultimodalDataset`.

    Subclasses implement ``_fit(X, y, weight)`` on training rows that are in the order of their ids
    and have at least one modality each, and predict on samples that :meth:`answerable` accepts.
    """

    modalities_: tuple[str, ...]
    encoders_: dict[str, FeatureEncoder]
    time_reference_: float | None

    def fit(
        self,
        X: MultimodalDataset,
        y: npt.NDArray[Any] | None = None,
        sample_weight: npt.ArrayLike | None = None,
    ) -> Self:
        """Fit on the samples of `X`.

        Parameters
        ----------
        X : MultimodalDataset
            Training samples. Those without any modality teach nothing and are left out, counted
            in a warning.
        y : array (n_samples,), optional
            ``X.target`` where not given.
        sample_weight : array (n_samples,), optional
            A sample of weight zero is one that is left out.

        Raises
        ------
        DatasetError
            `X` is no dataset, has no target, or too few samples.
        TaskError
            The target has gaps, one class only, or is of another task.
        """
        self._forget()
        self._check_seed()
        _require_dataset(X, self)
        if y is None:
            y = X.target
            if y is None:
                raise DatasetError(
                    f"{type(self).__name__}.fit: the dataset has no target. Give y, or name the "
                    "dataset's target=."
                )
        y = np.asarray(y)
        weight = self._check_lengths(X, y, sample_weight)
        # The order of samples must have no effect, so every draw meets them in the same order.
        order = np.argsort(X.ids, kind="stable")
        if weight is not None:
            order = order[weight[order] > 0]
            if len(order) == 0:
                raise DatasetError(f"{type(self).__name__}.fit: every sample has a weight of zero.")
        usable = order[X.presence[order].any(axis=1)]
        if len(usable) < len(order):
            warnings.warn(
                f"{type(self).__name__}.fit: {len(order) - len(usable):,} of {len(order):,} "
                "samples have no modality and were left out.",
                FusewiseWarning,
                stacklevel=2,
            )
        if len(usable) < 2:
            raise DatasetError(
                f"{type(self).__name__}.fit: {len(usable)} sample(s) with a modality are too few "
                "to learn from."
            )
        names = sorted(X.modalities)
        columns = [X.modalities.index(n) for n in names]
        present = np.asarray(X.presence[usable][:, columns].any(axis=0))
        self.declared_ = tuple(names)
        self.modalities_ = tuple(n for n, some in zip(names, present, strict=True) if some)
        never = [n for n in names if n not in self.modalities_]
        if never:
            warnings.warn(
                f"{type(self).__name__}.fit: no training sample has {', '.join(never)}; the model "
                "does not know it and cannot answer for samples that have nothing else.",
                FusewiseWarning,
                stacklevel=2,
            )
        X = X.only(*self.modalities_)[usable]
        self.kinds_ = {name: X.kinds[name] for name in self.modalities_}
        self.time_reference_ = X.time_reference()
        weight = np.ones(len(usable)) if weight is None else weight[usable]
        try:
            self._fit(X, self._encode_target(y[usable]), weight)
        except BaseException:
            # Half a model would predict, or fail with a riddle.
            self._forget()
            raise
        return self

    def _check_seed(self) -> None:
        seed = self.get_params(deep=False).get("random_state")
        if seed is not None and not (isinstance(seed, numbers.Integral) and int(seed) >= 0):
            raise DatasetError(
                f"{type(self).__name__}: random_state must be a whole number that is not negative, "
                f"got {seed!r}."
            )

    def _forget(self) -> None:
        for name in [n for n in vars(self) if n.endswith("_")]:
            delattr(self, name)

    def answerable(self, X: MultimodalDataset) -> BoolArray:
        """Return which samples (n_samples,) have at least one modality that the model knows.

        For the others prediction raises; ask ``model.predict(X[model.answerable(X)])`` to abstain.
        """
        check_is_fitted(self, "modalities_")
        return np.asarray(self.presence(X).any(axis=1))

    def presence(self, X: MultimodalDataset) -> BoolArray:
        """Return presence (n_samples, n_modalities_) of the modalities that the model knows."""
        _require_dataset(X, self)
        known = np.zeros((len(X), len(self.modalities_)), dtype=bool)
        for index, name in enumerate(self.modalities_):
            if name in X.modalities:
                known[:, index] = X.presence[:, X.modalities.index(name)]
        return known

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model to one file without pickle; :func:`fusewise.load` reads it."""
        from fusewise.fusion.persist import save_model

        check_is_fitted(self, "modalities_")
        save_model(self, path)

    def predict(self, X: MultimodalDataset) -> npt.NDArray[Any]:
        """Return the most probable class, or the expected amount, of each sample."""
        raise NotImplementedError

    def _fit(self, X: MultimodalDataset, y: npt.NDArray[Any], weight: FloatArray) -> None:
        raise NotImplementedError

    def _encode_target(self, y: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return class codes (and store ``classes_``), or amounts as floats."""
        unknown = np.asarray(pd.isna(y))
        if unknown.any():
            raise TaskError(
                f"{type(self).__name__}.fit: {int(unknown.sum()):,} of {len(y):,} samples have no "
                "target (NaN or None). Leave them out."
            )
        if not isinstance(self, ClassifierMixin):
            try:
                if y.dtype.kind not in "biufO" or any(isinstance(v, str) for v in y):
                    raise ValueError(y.dtype)
                amounts = y.astype(float)
            except (TypeError, ValueError) as error:
                raise TaskError(f"{type(self).__name__}.fit: y must hold numbers.") from error
            if not np.isfinite(amounts).all():
                raise TaskError(f"{type(self).__name__}.fit: y holds infinity.")
            if (np.abs(amounts) > _LARGEST).any():
                raise TaskError(
                    f"{type(self).__name__}.fit: y reaches {np.abs(amounts).max():.3g}, whose "
                    "square overflows. Give it in another unit."
                )
            return amounts
        if y.dtype.kind == "f" and not (np.isfinite(y).all() and np.all(y == np.floor(y))):
            raise TaskError(
                f"{type(self).__name__}.fit: y holds fractions or infinity; classes are text or "
                "whole numbers. Use the regressor for amounts."
            )
        try:
            self.classes_, codes = np.unique(y, return_inverse=True)
        except TypeError as error:
            raise TaskError(
                f"{type(self).__name__}.fit: y mixes kinds of values, such as text and numbers. "
                "Write all classes as text."
            ) from error
        if len(self.classes_) < 2:
            raise TaskError(
                f"{type(self).__name__}.fit: one class only ({self.classes_.tolist()[0]!r}) among "
                f"{len(y):,} samples. Nothing can be learned from it; check the target."
            )
        return codes

    def _answer(self, X: MultimodalDataset) -> BoolArray:
        """Return presence for prediction; raise for samples without a known modality."""
        check_is_fitted(self, "modalities_")
        presence = self.presence(X)
        for name in self.modalities_:
            kind = X.kinds[name] if name in X.modalities else self.kinds_[name]
            if kind != self.kinds_[name]:
                raise DatasetError(
                    f"{type(self).__name__}: modality {name!r}: it was "
                    f"{_KINDS.get(self.kinds_[name], self.kinds_[name])} in training, and now comes as {_KINDS.get(kind, kind)}."
                )
        empty = ~presence.any(axis=1)
        if empty.any():
            examples = ", ".join(repr(i) for i in X.ids[empty][:3].tolist())
            raise EmptySampleError(
                f"{type(self).__name__}: {int(empty.sum()):,} of {len(X):,} samples have none of "
                f"the modalities that the model knows ({', '.join(self.modalities_)}), e.g. "
                f"{examples}. Leave them out with X[model.answerable(X)]."
            )
        return presence

    def _fit_encoders(self, X: MultimodalDataset) -> MultimodalDataset:
        """Fit ``encoders_``; return `X` with the modalities that have a feature to learn from."""
        self.encoders_ = fit_encoders(X, self.time_reference_)
        return self._without_bare(X)

    def _without_bare(self, X: MultimodalDataset) -> MultimodalDataset:
        """Forget the modalities whose encoder found nothing to learn from."""
        bare = [m for m in self.modalities_ if not self.encoders_[m].columns_]
        if not bare:
            return X
        kept = tuple(m for m in self.modalities_ if m not in bare)
        if not kept:
            raise DatasetError(
                f"{type(self).__name__}.fit: no modality has a feature to learn from "
                f"({', '.join(bare)})."
            )
        warnings.warn(
            f"{type(self).__name__}.fit: {', '.join(bare)} has no feature to learn from and was "
            "left out.",
            FusewiseWarning,
            stacklevel=5,
        )
        self.encoders_ = {m: self.encoders_[m] for m in kept}
        self.modalities_ = kept
        return X.only(*kept)

    def _check_lengths(
        self, X: MultimodalDataset, y: npt.NDArray[Any], sample_weight: npt.ArrayLike | None
    ) -> FloatArray | None:
        if y.shape != (len(X),):
            raise DatasetError(
                f"{type(self).__name__}.fit: y must have shape ({len(X)},), got {y.shape}."
            )
        if sample_weight is None:
            return None
        try:
            weight = np.asarray(sample_weight, dtype=float)
        except (TypeError, ValueError):
            weight = np.array(np.nan)
        if weight.shape != (len(X),) or not np.isfinite(weight).all() or (weight < 0).any():
            raise DatasetError(
                f"{type(self).__name__}.fit: sample_weight must hold {len(X)} finite numbers that "
                "are not negative."
            )
        return weight

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.allow_nan = True
        return tags


class FusionClassifierMixin(ClassifierMixin):
    """What fusion estimators of classes share."""

    def score(
        self,
        X: MultimodalDataset,
        y: npt.NDArray[Any] | None = None,
        sample_weight: npt.ArrayLike | None = None,
    ) -> float:
        """Return the accuracy on `X`; the truth is ``X.target`` where `y` is not given."""
        truth = _truth(X, y, self)
        return float(accuracy_score(truth, self.predict(X), sample_weight=sample_weight))


class FusionRegressorMixin(RegressorMixin):
    """What fusion estimators of amounts share."""

    def score(
        self,
        X: MultimodalDataset,
        y: npt.NDArray[Any] | None = None,
        sample_weight: npt.ArrayLike | None = None,
    ) -> float:
        """Return R2 on `X`; the truth is ``X.target`` where `y` is not given."""
        truth = _truth(X, y, self)
        return float(r2_score(truth, self.predict(X), sample_weight=sample_weight))


def _truth(X: MultimodalDataset, y: Any, estimator: Any) -> Any:
    _require_dataset(X, estimator)
    truth = X.target if y is None else y
    if truth is None:
        raise DatasetError(
            f"{type(estimator).__name__}.score: the dataset has no target. Give y, or name the "
            "dataset's target=."
        )
    return truth


def _require_dataset(X: Any, estimator: Any) -> None:
    if not isinstance(X, MultimodalDataset):
        raise DatasetError(
            f"{type(estimator).__name__}: expected a MultimodalDataset, got {type(X).__name__}. "
            "Build one with fusewise.MultimodalDataset(modalities, samples=..., id=...)."
        )
