"""The shortcut baseline: what presence alone predicts."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from fusewise.data import MultimodalDataset
from fusewise.fusion.base import (
    FusionClassifierMixin,
    FusionEstimator,
    FusionRegressorMixin,
)
from fusewise.fusion.boosting import BoostedTreesClassifier, BoostedTreesRegressor

FloatArray = npt.NDArray[np.float64]


class _PresenceOnly(FusionEstimator):
    """Gradient boosting on which modalities are present, and on nothing else.

    Skill of this model is skill that comes from presence alone: a shortcut that breaks when
    availability shifts. Every fusion model is to be read beside it.

    Parameters
    ----------
    random_state : int
    """

    def __init__(self, *, random_state: int = 0) -> None:
        self.random_state = random_state

    def _inputs(self, X: MultimodalDataset) -> FloatArray:
        return self._answer(X).astype(float)


class PresenceOnlyClassifier(FusionClassifierMixin, _PresenceOnly):  # noqa: D101 - the parameters are written once
    __doc__ = _PresenceOnly.__doc__

    def _fit(self, X: MultimodalDataset, y: npt.NDArray[Any], weight: FloatArray) -> None:
        model = BoostedTreesClassifier(max_features=1.0, random_state=self.random_state)
        with threadpool_limits(1):
            self.model_ = model.fit(self._inputs(X), y, sample_weight=weight)

    def predict_proba(self, X: MultimodalDataset) -> FloatArray:
        """Return class probabilities (n_samples, n_classes), in the order of ``classes_``."""
        inputs = self._inputs(X)
        return self.model_.predict_proba(inputs)

    def predict(self, X: MultimodalDataset) -> npt.NDArray[Any]:
        """Return the most probable class of each sample (n_samples,)."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]


class PresenceOnlyRegressor(FusionRegressorMixin, _PresenceOnly):  # noqa: D101 - the parameters are written once
    __doc__ = _PresenceOnly.__doc__

    def _fit(self, X: MultimodalDataset, y: npt.NDArray[Any], weight: FloatArray) -> None:
        model = BoostedTreesRegressor(max_features=1.0, random_state=self.random_state)
        with threadpool_limits(1):
            self.model_ = model.fit(self._inputs(X), y, sample_weight=weight)

    def predict(self, X: MultimodalDataset) -> FloatArray:
        """Return the expected amount of each sample (n_samples,)."""
        inputs = self._inputs(X)
        return self.model_.predict(inputs)
