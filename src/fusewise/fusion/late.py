"""Late fusion: a model per modality, predictions joined."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import ClassifierMixin

from fusewise.data import Deployment, MultimodalDataset, folds
from fusewise.exceptions import DatasetError, FusewiseWarning, UnknownModalityError, did_you_mean
from fusewise.fusion.base import (
    FusionClassifierMixin,
    FusionEstimator,
    FusionRegressorMixin,
)
from fusewise.fusion.blocks import Block, encode
from fusewise.fusion.choose import OutOfFold, fit_combiner
from fusewise.fusion.combine import COMBINERS, check_combiner
from fusewise.fusion.experts import (
    ExpertTask,
    FittedExpert,
    fit_expert,
    mean_target,
    predict_expert,
)
from fusewise.fusion.masking import Masking, plan_removals
from fusewise.fusion.mixture import mixture_weights

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

CALIBRATIONS = {"pattern": True, "global": False, "none": None}


class _LateFusion(FusionEstimator):
    """Fit one expert per modality and join the predictions of those that are present.

    Each expert learns from every training sample that has its modality. By default it is chosen by
    cross-fitting between a linear model (with its penalty) and gradient boosting. The combiner is
    fitted on out-of-fold predictions, reads only present experts, and is calibrated; it is the
    mean unless another combiner beats that by one standard error out of fold. An absent
    modality's expert is not run.

    Parameters
    ----------
    experts : "auto", estimator, or dict of str to estimator
        ``auto`` chooses per modality. Any scikit-learn estimator can be brought, for all
        modalities or by name (others are then chosen). It receives a numeric matrix in which
        categories are indicators and empty cells NaN.
    combiner : {"auto", "mean", "weighted", "log_pool"}
    groups : dict of str to list of str, optional
        Modalities that share one expert, by the name of the group: their features are joined, and
        an absent member is NaN to it. The others keep an expert of their own.
    calibration : {"pattern", "global", "none"}
        Whether the slope of the calibration depends on the availability pattern (shrunk to the
        global one), is the same for all, or nothing is calibrated.
    masking : None, str or Masking
        Experts need none; the combiner is then also fitted on masked copies of the out-of-fold
        predictions.
    deployment : optional
        What :meth:`fusewise.Deployment.of` takes: samples weigh in the combiner as frequently as
        their pattern occurs there.
    n_folds : int
        Folds of the cross-fitting.
    random_state : int
    n_jobs : int, optional
        Experts fitted in parallel, each on one thread. Any number gives the same bits.

    Attributes
    ----------
    modalities_ : tuple of str
        Modalities that training saw, in the order of their names.
    experts_ : dict of str to FittedExpert
        By modality or group.
    members_ : dict of str to tuple of str
        The modalities of each expert.
    expert_scores_ : DataFrame
        One row per expert: ``expert``, ``modality`` (members joined by ``+``), ``n``,
        ``candidate``, out-of-fold ``loss`` (log loss or squared error) and its standard error.
    combiner_ : Combiner
    combiner_scores_ : dict of str to float
        Cross-fitted loss of each combiner.
    """

    def __init__(
        self,
        *,
        experts: Any = "auto",
        combiner: str = "auto",
        groups: Mapping[str, Any] | None = None,
        calibration: str = "pattern",
        masking: Any = None,
        deployment: Any = None,
        n_folds: int = 5,
        random_state: int = 0,
        n_jobs: int | None = None,
    ) -> None:
        self.experts = experts
        self.combiner = combiner
        self.groups = groups
        self.calibration = calibration
        self.masking = masking
        self.deployment = deployment
        self.n_folds = n_folds
        self.random_state = random_state
        self.n_jobs = n_jobs

    @property
    def _n_classes(self) -> int:
        return len(self.classes_) if isinstance(self, ClassifierMixin) else 0

    def _fit(self, X: MultimodalDataset, y: npt.NDArray[Any], weight: FloatArray) -> None:
        check_combiner(self.combiner)
        if self.calibration not in CALIBRATIONS:
            raise DatasetError(
                f"{type(self).__name__}: calibration must be one of {', '.join(CALIBRATIONS)}, got "
                f"{self.calibration!r}."
            )
        seeds = np.random.SeedSequence(self.random_state).spawn(4)
        X = self._fit_encoders(X)
        self.members_ = self._members()
        fold, stop = self._folds(X, y, seeds[:2])
        tasks, rows = self._tasks(X, y, weight, fold, stop, seeds[2])
        fitted = Parallel(n_jobs=self.n_jobs)(delayed(fit_expert)(task) for task in tasks)
        names = [task.name for task in tasks]
        k = max(1, self._n_classes)
        outputs = np.zeros((len(X), len(names), k))
        present = np.zeros((len(X), len(names)), dtype=bool)
        for index, (name, expert) in enumerate(zip(names, fitted, strict=True)):
            outputs[rows[name], index] = expert.out_of_fold
            present[rows[name], index] = True
        self.expert_scores_ = _score_table(self.members_, names, fitted, rows)
        self.experts_ = {n: _without_rows(e) for n, e in zip(names, fitted, strict=True)}
        self._fit_combiner(X, y, weight, fold, outputs, present, seeds[3])

    def _members(self) -> dict[str, tuple[str, ...]]:
        who = type(self).__name__
        if self.groups is not None and not isinstance(self.groups, Mapping):
            raise DatasetError(
                f"{who}: groups must be a dict of lists of modalities, got "
                f"{type(self.groups).__name__}."
            )
        for name, given in (self.groups or {}).items():
            if isinstance(given, str):
                raise DatasetError(
                    f"{who}: group {name!r} must be a list of modalities, got {given!r}."
                )
        groups = {str(k): tuple(v) for k, v in (self.groups or {}).items()}
        grouped = [m for members in groups.values() for m in members]
        for name in grouped:
            # A modality that no training sample has cannot join; an unknown one is a mistake.
            if name not in self.declared_:
                raise UnknownModalityError(
                    f"{who}: groups name {name!r}, which training does not have."
                    f"{did_you_mean(name, self.declared_)}"
                )
        if len(set(grouped)) < len(grouped):
            raise DatasetError(f"{who}: a modality stands in two groups.")
        for name in groups:
            if name in self.declared_ and name not in grouped:
                raise DatasetError(
                    f"{who}: the group {name!r} has the name of a modality that is not in a group. "
                    "Give it another."
                )
        members = {
            name: tuple(sorted(m for m in ms if m in self.modalities_))
            for name, ms in groups.items()
        }
        members |= {m: (m,) for m in self.modalities_ if m not in grouped}
        return {name: members[name] for name in sorted(members) if members[name]}

    def _folds(
        self, X: MultimodalDataset, y: npt.NDArray[Any], seeds: list[np.random.SeedSequence]
    ) -> tuple[IntArray, BoolArray]:
        """Return fold numbers (-1: flagged as validation) and the rows that stop boosting early."""
        if not isinstance(self.n_folds, numbers.Integral) or self.n_folds < 2:
            raise DatasetError(
                f"{type(self).__name__}: n_folds must be a whole number of at least 2, got "
                f"{self.n_folds!r}."
            )
        first, second = (int(s.generate_state(1)[0]) for s in seeds)
        flagged = X.validation
        if flagged.all():
            flagged = np.zeros(len(X), dtype=bool)
        fold = np.full(len(X), -1, dtype=np.intp)
        rest = np.flatnonzero(~flagged)
        unit = _units(X)
        n_splits = min(int(self.n_folds), len(np.unique(unit[rest])))
        if n_splits < 2:
            raise DatasetError(
                f"{type(self).__name__}.fit: cross-fitting needs at least two independent "
                f"samples, got {n_splits}."
            )
        fold[rest] = folds(X[rest], n_splits, first, y=y[rest])
        n_stop = min(7, len(np.unique(unit)))
        return fold, np.asarray(folds(X, n_stop, second, y=y) == 0)

    def _tasks(
        self,
        X: MultimodalDataset,
        y: npt.NDArray[Any],
        weight: FloatArray,
        fold: IntArray,
        stop: BoolArray,
        seed: np.random.SeedSequence,
    ) -> tuple[list[ExpertTask], dict[str, IntArray]]:
        given = self._given_experts()
        shares = mean_target(y, weight, self._n_classes)
        tasks, rows, unteachable = [], {}, []
        for (name, members), child in zip(
            self.members_.items(), seed.spawn(len(self.members_)), strict=True
        ):
            positions, values = self._values(X, members)
            target = y[positions]
            folded = fold[positions] >= 0
            if (self._n_classes and len(np.unique(target)) < 2) or int(folded.sum()) < 2:
                unteachable.append(name)
                continue
            events = any(self.kinds_[m] == "events" for m in members)
            rows[name] = positions
            tasks.append(
                ExpertTask(
                    name=name,
                    values=values,
                    target=target,
                    weight=weight[positions],
                    fold=fold[positions],
                    stop=stop[positions],
                    n_classes=self._n_classes,
                    shares=shares,
                    scale="gauss" if events else "standard",
                    estimator=given.get(name),
                    seed=int(child.generate_state(1)[0] >> 1),
                )
            )
        if unteachable:
            warnings.warn(
                f"{type(self).__name__}.fit: {', '.join(unteachable)} has too few samples, or one "
                "class only among them, and gets no expert.",
                FusewiseWarning,
                stacklevel=4,
            )
        if not tasks:
            raise DatasetError(
                f"{type(self).__name__}.fit: no modality has samples of two classes to learn from."
            )
        self.members_ = {task.name: self.members_[task.name] for task in tasks}
        kept = {m for ms in self.members_.values() for m in ms}
        self.modalities_ = tuple(m for m in self.modalities_ if m in kept)
        return tasks, rows

    def _given_experts(self) -> dict[str, Any]:
        if isinstance(self.experts, str):
            if self.experts != "auto":
                raise DatasetError(
                    f"{type(self).__name__}: experts must be 'auto', an estimator or a dict, got "
                    f"{self.experts!r}."
                )
            return {}
        if isinstance(self.experts, Mapping):
            known = [*self.members_, *self.declared_]
            groups = {m: name for name, ms in self.members_.items() for m in ms if name != m}
            for name in self.experts:
                if name in groups and name not in self.members_:
                    raise DatasetError(
                        f"{type(self).__name__}: experts name {name!r}, but {name!r} is in the "
                        f"group {groups[name]!r}. Give the group an expert."
                    )
                if name not in known:
                    raise UnknownModalityError(
                        f"{type(self).__name__}: experts name {name!r}, which training does not "
                        f"have.{did_you_mean(name, known)}"
                    )
            return dict(self.experts)
        return dict.fromkeys(self.members_, self.experts)

    def _values(
        self, X: MultimodalDataset, members: tuple[str, ...]
    ) -> tuple[IntArray, FloatArray]:
        """Return the samples that have any member, and their features; NaN for absent members."""
        blocks = [encode(X, m, self.encoders_[m], self.time_reference_) for m in members]
        if len(blocks) == 1:
            return blocks[0].positions, blocks[0].values
        positions = np.unique(np.concatenate([b.positions for b in blocks]))
        return positions, np.hstack([_aligned(b, positions) for b in blocks])

    def _fit_combiner(
        self,
        X: MultimodalDataset,
        y: npt.NDArray[Any],
        weight: FloatArray,
        fold: IntArray,
        outputs: FloatArray,
        present: BoolArray,
        seed: np.random.SeedSequence,
    ) -> None:
        usable = np.flatnonzero((fold >= 0) & present.any(axis=1))
        rows, shown, masked = self._rows_for_combiner(X, usable, present, seed)
        mixture = mixture_weights(X.presence, X.modalities, self.declared_, self.deployment)
        if masked is None:
            each = mixture[rows] if mixture[rows].any() else np.ones(len(rows))
        else:
            each = mixture_weights(masked, self.modalities_, self.declared_, self.deployment)
        table = OutOfFold(
            outputs=outputs[rows],
            present=shown,
            sample=_units(X)[rows],
            fold=fold[rows],
            target=y[rows],
            weight=weight[rows] * each,
            priors=np.array([e.prior for e in self.experts_.values()]),
            prior=mean_target(y, weight * mixture, self._n_classes),
            n_classes=self._n_classes,
        )
        names = COMBINERS if self.combiner == "auto" else (self.combiner,)
        by_pattern = CALIBRATIONS[self.calibration]
        self.combiner_, self.combiner_scores_ = fit_combiner(table, names, by_pattern)

    def _rows_for_combiner(
        self,
        X: MultimodalDataset,
        usable: IntArray,
        present: BoolArray,
        seed: np.random.SeedSequence,
    ) -> tuple[IntArray, BoolArray, BoolArray | None]:
        """Return rows with out-of-fold predictions, and which experts the combiner sees.

        With masking also which modalities it sees, the samples themselves before their copies.
        """
        masking = Masking.of(self.masking)
        if masking is None:
            return usable, present[usable], None
        natural = self.presence(X)[usable]
        plan = None
        if masking.schedule == "deployment":
            plan = plan_removals(
                natural, self.modalities_, Deployment.of(self.deployment), self.declared_
            )
        shown, modalities = [present[usable]], [natural]
        for epoch, child in enumerate(seed.spawn(masking.copies)):
            masked = masking.draw(natural, epoch, np.random.default_rng(child), plan=plan)
            modalities.append(masked)
            shown.append(present[usable] & self._expert_presence(masked))
        return np.tile(usable, len(shown)), np.vstack(shown), np.vstack(modalities)

    def _expert_presence(self, presence: BoolArray) -> BoolArray:
        columns = [
            presence[:, [self.modalities_.index(m) for m in members]].any(axis=1)
            for members in self.members_.values()
        ]
        return np.column_stack(columns)

    def expert_outputs(self, X: MultimodalDataset) -> tuple[FloatArray, BoolArray]:
        """Run each expert on the samples that have its modality, and on no others.

        Returns
        -------
        outputs : array (n_samples, n_experts, k)
            Probabilities or amounts (k = 1), experts in the order of ``experts_``; zero, and never
            read, where the expert is absent.
        present : bool array (n_samples, n_experts)
        """
        self._answer(X)
        k = max(1, self._n_classes)
        outputs = np.zeros((len(X), len(self.experts_), k))
        present = np.zeros((len(X), len(self.experts_)), dtype=bool)
        for index, (name, expert) in enumerate(self.experts_.items()):
            positions, values = self._values(X, self.members_[name])
            if len(positions):
                outputs[positions, index] = predict_expert(expert, values, self._n_classes)
                present[positions, index] = True
        return outputs, present

    def _combined(self, X: MultimodalDataset) -> FloatArray:
        outputs, present = self.expert_outputs(X)
        return self.combiner_.combine(outputs, present)


class LateFusionClassifier(FusionClassifierMixin, _LateFusion):  # noqa: D101 - the parameters are written once
    __doc__ = _LateFusion.__doc__

    def predict_proba(self, X: MultimodalDataset) -> FloatArray:
        """Return class probabilities (n_samples, n_classes), in the order of ``classes_``."""
        return self._combined(X)

    def predict(self, X: MultimodalDataset) -> npt.NDArray[Any]:
        """Return the most probable class of each sample (n_samples,)."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]


class LateFusionRegressor(FusionRegressorMixin, _LateFusion):  # noqa: D101 - the parameters are written once
    __doc__ = _LateFusion.__doc__

    def predict(self, X: MultimodalDataset) -> FloatArray:
        """Return the expected amount of each sample (n_samples,)."""
        return self._combined(X)[:, 0]


def _aligned(block: Block, positions: IntArray) -> FloatArray:
    full = np.full((len(positions), block.values.shape[1]), np.nan)
    full[np.searchsorted(positions, block.positions)] = block.values
    return full


def _units(X: MultimodalDataset) -> IntArray:
    """Number what is independent: clusters, else samples (a bootstrap repeats them)."""
    names = X.ids if X.cluster is None else X.cluster
    return np.unique(names.astype(str), return_inverse=True)[1].ravel()


def _without_rows(expert: FittedExpert) -> FittedExpert:
    # Out-of-fold predictions served the combiner; a fitted model keeps no training rows.
    return replace(expert, out_of_fold=np.zeros((0, expert.out_of_fold.shape[1])))


def _score_table(
    members: Mapping[str, tuple[str, ...]],
    names: list[str],
    fitted: list[FittedExpert],
    rows: Mapping[str, IntArray],
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "expert": names,
            "modality": ["+".join(members[n]) for n in names],
            "n": [len(rows[n]) for n in names],
            "candidate": [e.candidate for e in fitted],
            "loss": [e.loss for e in fitted],
            "standard_error": [e.standard_error for e in fitted],
        }
    )
