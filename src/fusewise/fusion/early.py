"""Early fusion: features joined before one model."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin
from threadpoolctl import threadpool_limits

from fusewise.data import Deployment, MultimodalDataset, inner_validation
from fusewise.exceptions import DatasetError
from fusewise.fusion.base import (
    FusionClassifierMixin,
    FusionEstimator,
    FusionRegressorMixin,
)
from fusewise.fusion.blocks import encode
from fusewise.fusion.boosting import BoostedTreesClassifier, BoostedTreesRegressor
from fusewise.fusion.brought import copy_of, fit_brought, knows_nan
from fusewise.fusion.linear import within_range
from fusewise.fusion.masking import Masking, plan_removals

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]

ABSENT = ("nan", "refuse", "impute")


class _EarlyFusion(FusionEstimator):
    """Join the features of all modalities and fit one model on them.

    Each modality's block is standardised on training rows and divided by the root of its width, so
    that a wide modality does not take over a narrow one. Absence is carried as NaN into a model
    that knows NaN, or refused, or imputed, by choice; it is never a silent zero. Masked copies of
    the training samples exercise absence.

    Note that trees see NaN: where presence itself is informative, early fusion uses it. Compare
    with :class:`PresenceOnlyClassifier`.

    Parameters
    ----------
    estimator : scikit-learn estimator, optional
        Gradient boosting (three seeds averaged) where not given.
    absent : {"nan", "refuse", "impute"}
        ``nan``: an absent block is NaN. ``refuse``: a sample that lacks a modality raises.
        ``impute``: an absent block and every empty cell take the training mean, and one indicator
        per modality says that it is present.
    masking : None, str or Masking
        Schedule of the masked copies: ``uniform``, ``curriculum`` or ``deployment``.
    deployment : optional
        What :meth:`fusewise.Deployment.of` takes; needed by the masking schedule ``deployment``.
    random_state : int

    Attributes
    ----------
    modalities_ : tuple of str
        Modalities that training saw, in the order of their names.
    model_ : estimator
        The fitted model.
    n_features_ : dict of str to int
        Width of each modality's block.

    Examples
    --------
    >>> EarlyFusionClassifier(masking="curriculum").masking
    'curriculum'
    """

    def __init__(
        self,
        estimator: Any = None,
        *,
        absent: str = "nan",
        masking: Any = None,
        deployment: Any = None,
        random_state: int = 0,
    ) -> None:
        self.estimator = estimator
        self.absent = absent
        self.masking = masking
        self.deployment = deployment
        self.random_state = random_state

    def _default(self, seed: int) -> Any:
        raise NotImplementedError

    def _fit(self, X: MultimodalDataset, y: npt.NDArray[Any], weight: FloatArray) -> None:
        if self.absent not in ABSENT:
            raise DatasetError(
                f"{type(self).__name__}: absent must be one of {', '.join(ABSENT)}, got "
                f"{self.absent!r}."
            )
        masking = Masking.of(self.masking)
        if masking is not None and self.absent == "refuse":
            raise DatasetError(
                f"{type(self).__name__}: masking makes incomplete samples, which absent='refuse' "
                "does not accept. Use absent='nan' or 'impute'."
            )
        draw_seed, model_seed, inner_seed = np.random.SeedSequence(self.random_state).spawn(3)
        X = self._fit_encoders(X)
        self.n_features_ = {m: len(self.encoders_[m].columns_) for m in self.modalities_}
        blocks = self._blocks(X)
        self._fit_scaling(blocks)
        presence = self.presence(X)
        self._refuse(presence)
        rows = np.arange(len(X))
        if masking is not None:
            masked = self._masked_copies(masking, presence, draw_seed)
            rows = np.tile(rows, len(masked) + 1)
            presence = np.vstack([presence, *masked])
        matrix = self._join(blocks, presence, rows)
        seed = int(model_seed.generate_state(1)[0] >> 1)
        who = type(self).__name__
        given = self._default(seed) if self.estimator is None else self.estimator
        model = copy_of(given, who, seed)
        if isinstance(model, BoostedTreesClassifier | BoostedTreesRegressor):
            # Copies of one sample must not stand on both sides of the stopping rule.
            held = inner_validation(X, random_state=int(inner_seed.generate_state(1)[0]), y=y)
            with threadpool_limits(1):
                self.model_ = model.fit(matrix, y[rows], weight[rows], validation=held[rows])
            return
        if not knows_nan(model) and np.isnan(matrix).any():
            raise DatasetError(
                f"{type(self).__name__}: {type(model).__name__} does not take NaN, but there are "
                "absent modalities or empty cells. Use absent='impute', put an imputer before it "
                "in a Pipeline, or leave estimator= to the default."
            )
        n_classes = len(self.classes_) if isinstance(self, ClassifierMixin) else 0
        with threadpool_limits(1):
            self.model_ = fit_brought(model, who, matrix, y[rows], weight[rows], n_classes)

    def _blocks(self, X: MultimodalDataset) -> dict[str, FloatArray]:
        return {
            m: within_range(encode(X, m, self.encoders_[m], self.time_reference_).spread(len(X)))
            for m in self.modalities_
        }

    def _fit_scaling(self, blocks: dict[str, FloatArray]) -> None:
        self.mean_: dict[str, FloatArray] = {}
        self.scale_: dict[str, FloatArray] = {}
        for name, values in blocks.items():
            known = np.where(np.isnan(values), 0.0, values)
            n_known = np.maximum(1, (~np.isnan(values)).sum(axis=0))
            mean = known.sum(axis=0) / n_known
            deviation = np.where(np.isnan(values), 0.0, values - mean)
            spread = np.sqrt((deviation**2).sum(axis=0) / n_known)
            spread[~(spread > 0)] = 1.0
            self.mean_[name] = mean
            self.scale_[name] = spread * np.sqrt(max(1, values.shape[1]))

    def _join(
        self,
        blocks: dict[str, FloatArray],
        presence: BoolArray,
        rows: npt.NDArray[np.intp] | None = None,
    ) -> FloatArray:
        rows = np.arange(len(presence)) if rows is None else rows
        joined = []
        for index, name in enumerate(self.modalities_):
            values = (blocks[name] - self.mean_[name]) / self.scale_[name]
            values = values[rows]
            values[~presence[:, index]] = np.nan
            if self.absent == "impute":
                values = np.nan_to_num(values, nan=0.0)
            joined.append(values)
        if self.absent == "impute":
            joined.append(presence.astype(float))
        return np.hstack(joined)

    def _matrix(self, X: MultimodalDataset) -> FloatArray:
        presence = self._answer(X)
        self._refuse(presence)
        return self._join(self._blocks(X), presence)

    def _refuse(self, presence: BoolArray) -> None:
        incomplete = ~presence.all(axis=1)
        if self.absent == "refuse" and incomplete.any():
            raise DatasetError(
                f"{type(self).__name__}(absent='refuse'): {int(incomplete.sum()):,} of "
                f"{len(presence):,} samples lack a modality. Keep complete cases only, or use "
                "absent='nan' or late fusion."
            )

    def _masked_copies(
        self, masking: Masking, presence: BoolArray, seed: np.random.SeedSequence
    ) -> list[BoolArray]:
        plan = None
        if masking.schedule == "deployment":
            plan = plan_removals(
                presence, self.modalities_, Deployment.of(self.deployment), self.declared_
            )
        return [
            masking.draw(presence, epoch, np.random.default_rng(child), plan=plan)
            for epoch, child in enumerate(seed.spawn(masking.copies))
        ]


class EarlyFusionClassifier(FusionClassifierMixin, _EarlyFusion):  # noqa: D101 - the parameters are written once
    __doc__ = _EarlyFusion.__doc__

    def _default(self, seed: int) -> Any:
        return BoostedTreesClassifier(n_models=3, random_state=seed)

    def predict_proba(self, X: MultimodalDataset) -> FloatArray:
        """Return class probabilities (n_samples, n_classes), in the order of ``classes_``."""
        matrix = self._matrix(X)
        return np.asarray(self.model_.predict_proba(matrix))

    def predict(self, X: MultimodalDataset) -> npt.NDArray[Any]:
        """Return the most probable class of each sample (n_samples,)."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]


class EarlyFusionRegressor(FusionRegressorMixin, _EarlyFusion):  # noqa: D101 - the parameters are written once
    __doc__ = (_EarlyFusion.__doc__ or "").replace("FusionClassifier", "FusionRegressor")

    def _default(self, seed: int) -> Any:
        return BoostedTreesRegressor(n_models=3, random_state=seed)

    def predict(self, X: MultimodalDataset) -> FloatArray:
        """Return the expected amount of each sample (n_samples,)."""
        matrix = self._matrix(X)
        return np.asarray(self.model_.predict(matrix))
