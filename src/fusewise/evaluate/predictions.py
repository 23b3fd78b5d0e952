"""Asking a predictor: any object with ``predict_proba`` or ``predict`` over a MultimodalDataset.

Every prediction that an evaluation needs goes through :class:`Answers`, which asks each distinct
(sample, presence) once, in few large batches, checks what came back, and leaves out and counts the
samples that the predictor cannot answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fusewise.exceptions import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from fusewise.data import MultimodalDataset
    from fusewise.evaluate.weighted import Floats

Rows = npt.NDArray[np.intp]
Presence = npt.NDArray[np.bool_]

# Rows per call of the predictor when modalities are withheld.
BATCH = 20_000


@dataclass(frozen=True)
class Withholding:
    """An experiment: these samples, with these modalities still present.

    Parameters
    ----------
    label : str
        What is withheld, or the pattern that is left.
    rows : ndarray of int (k,)
        Positions in the test set; they may repeat.
    presence : ndarray of bool (k, n_modalities)
        What may stay; a modality that a sample never had stays absent.
    """

    label: str
    rows: Rows
    presence: Presence


@dataclass(frozen=True)
class Predicted:
    """Predictions for k samples; those not answered hold NaN (or class code -1) and are never read.

    Parameters
    ----------
    answered : ndarray of bool (k,)
    probability : ndarray of float (k, n_classes) or None
        Columns in the order of the evaluation's classes.
    label : ndarray (k,) or None
        Class codes, or values for regression.
    """

    answered: Presence
    probability: Floats | None
    label: npt.NDArray[Any] | None

    def __len__(self) -> int:
        return len(self.answered)

    def __getitem__(self, rows: npt.NDArray[Any]) -> Predicted:
        return Predicted(
            self.answered[rows],
            None if self.probability is None else self.probability[rows],
            None if self.label is None else self.label[rows],
        )

    def response(self, name: str) -> npt.NDArray[Any]:
        """Return ``probability`` or ``label``."""
        values = self.probability if name == "probability" else self.label
        assert values is not None
        return values


def answerable(model: Any, dataset: MultimodalDataset) -> Presence:
    """Return which samples the predictor can answer, (n,) of bool.

    Asks ``model.answerable`` where it exists (a predictor may not know every modality of the
    dataset), else says: those with any modality.
    """
    if not hasattr(model, "answerable"):
        return np.asarray(dataset.presence.any(axis=1))
    own = np.asarray(model.answerable(dataset))
    if own.shape != (len(dataset),) or own.dtype != bool:
        raise EvaluationError(
            f"{_name(model)}.answerable returned {own.dtype} of shape {own.shape}; expected "
            f"bool of shape ({len(dataset)},), one per sample."
        )
    return own


class Answers:
    """What one predictor says about one test set, as it came and with modalities withheld.

    Parameters
    ----------
    model : object
        Has ``predict_proba(dataset)`` (n, n_classes) or ``predict(dataset)`` (n,).
    test : MultimodalDataset
    responses : collection of {"probability", "label"}
        What the metrics read.
    classes : tuple or None
        The evaluation's classes in order; None for regression.
    natural : Predicted
        The answers to the samples as they came.
    """

    def __init__(
        self,
        model: Any,
        test: MultimodalDataset,
        responses: Collection[str],
        classes: tuple[Any, ...] | None,
    ) -> None:
        self._model = model
        self._test = test
        self._responses = frozenset(responses)
        self._classes = classes
        self.natural = self._ask(test)

    def ask(self, experiments: Sequence[Withholding]) -> list[Predicted]:
        """Return the predictions of each experiment, aligned with its ``rows``.

        Experiments overlap (the same sample with the same modalities); each distinct pair is
        predicted once, and samples from which nothing was taken are not predicted again.
        """
        if not experiments:
            return []
        natural = np.asarray(self._test.presence)
        rows = np.concatenate([e.rows for e in experiments]).astype(np.intp)
        presence = np.concatenate([e.presence for e in experiments]) & natural[rows]
        key = np.hstack(
            [rows.astype(">u8").view(np.uint8).reshape(-1, 8), np.packbits(presence, 1)]
        )
        _, first, codes = np.unique(
            np.ascontiguousarray(key).view([("", np.uint8)] * key.shape[1]).ravel(),
            return_index=True,
            return_inverse=True,
        )
        distinct, kept = rows[first], presence[first]
        unchanged = (kept == natural[distinct]).all(axis=1)
        changed = np.flatnonzero(~unchanged)
        table = self.natural[distinct]
        for start in range(0, len(changed), BATCH):
            part = changed[start : start + BATCH]
            answer = self._ask(self._test[distinct[part]].with_presence(kept[part]))
            table.answered[part] = answer.answered
            for name in self._responses:
                table.response(name)[part] = answer.response(name)
        ends = np.cumsum([len(e.rows) for e in experiments])[:-1]
        return [table[part] for part in np.split(codes.ravel(), ends)]

    def _ask(self, dataset: MultimodalDataset) -> Predicted:
        answered = answerable(self._model, dataset)
        n = len(dataset)
        probability, label = None, None
        if "probability" in self._responses:
            assert self._classes is not None
            probability = np.full((n, len(self._classes)), np.nan)
        if "label" in self._responses:
            label = np.full(n, np.nan) if self._classes is None else np.full(n, -1, dtype=np.intp)
        if answered.any():
            known = dataset if answered.all() else dataset[np.flatnonzero(answered)]
            asked: Floats | None = None
            if probability is not None:
                asked = probability[answered] = self._probabilities(known)
            if label is not None:
                label[answered] = self._labels(known, asked)
        return Predicted(answered, probability, label)

    def _probabilities(self, dataset: MultimodalDataset) -> Floats:
        model, classes = self._model, self._classes
        assert classes is not None
        if not hasattr(model, "predict_proba"):
            raise EvaluationError(
                f"{_name(model)} has no predict_proba, which roc_auc, log_loss, calibration "
                f"and operating points read. Ask for metrics of labels, such as 'accuracy', or wrap it "
                f"in a classifier that gives probabilities."
            )
        values = np.asarray(model.predict_proba(dataset), dtype=np.float64)
        own = model_classes(model, classes)
        if values.shape != (len(dataset), len(own)):
            raise EvaluationError(
                f"{_name(model)}.predict_proba returned shape {values.shape} for {len(dataset)} "
                f"samples; expected ({len(dataset)}, {len(own)}), one column per class of {own}."
            )
        _refuse_nan(values, model, "predict_proba")
        total = values.sum(axis=1, keepdims=True)
        if values.min() < -1e-6 or np.abs(total - 1).max() > 1e-3:
            raise EvaluationError(
                f"{_name(model)}.predict_proba returned values from {values.min():.4g} with rows "
                f"that sum to between {total.min():.4g} and {total.max():.4g}; expected "
                f"probabilities in [0, 1] that sum to 1."
            )
        values = np.clip(values, 0.0, None)
        values /= values.sum(axis=1, keepdims=True)
        aligned = np.zeros((len(dataset), len(classes)))
        aligned[:, [classes.index(c) for c in own]] = values
        return aligned

    def _labels(self, dataset: MultimodalDataset, probability: Floats | None) -> npt.NDArray[Any]:
        model = self._model
        if not hasattr(model, "predict"):
            if self._classes is None:
                raise EvaluationError(
                    f"{_name(model)} has no predict, which a regression metric reads."
                )
            values = self._probabilities(dataset) if probability is None else probability
            return np.argmax(values, axis=1)
        values = np.asarray(model.predict(dataset))
        if values.shape != (len(dataset),):
            raise EvaluationError(
                f"{_name(model)}.predict returned shape {values.shape} for {len(dataset)} samples; "
                f"expected ({len(dataset)},), one value per sample."
            )
        if self._classes is None:
            values = values.astype(np.float64)
            _refuse_nan(values, model, "predict")
            return values
        return class_codes(values, self._classes, f"{_name(model)}.predict")


def model_classes(model: Any, default: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the classes of a predictor's probability columns, or `default` if it does not say.

    Raises
    ------
    EvaluationError
        If it names a class that the evaluation does not have.
    """
    if not hasattr(model, "classes_"):
        return default
    own = tuple(np.asarray(model.classes_).tolist())
    foreign = [c for c in own if c not in default]
    if foreign:
        raise EvaluationError(
            f"{_name(model)} predicts the classes {own}, but the test target has {default}: "
            f"{foreign} would never be right. Give it a target with the same classes."
        )
    return own


def class_codes(values: npt.NDArray[Any], classes: tuple[Any, ...], source: str) -> Rows:
    """Return the position of each value among `classes`.

    Raises
    ------
    EvaluationError
        If a value is not one of them.
    """
    code = {c: i for i, c in enumerate(classes)}
    listed = values.tolist()
    foreign = sorted({str(v) for v in listed if v not in code})
    if foreign:
        raise EvaluationError(
            f"{source} holds {', '.join(foreign[:5])}; expected one of the classes {classes}."
        )
    return np.array([code[v] for v in listed], dtype=np.intp)


def _refuse_nan(values: Floats, model: Any, method: str) -> None:
    bad = ~np.isfinite(values.reshape(len(values), -1)).all(axis=1)
    if bad.any():
        raise EvaluationError(
            f"{_name(model)}.{method} returned NaN or an infinity for {int(bad.sum())} of "
            f"{len(values)} samples. A predictor that cannot answer a sample says so by "
            f"answerable(dataset) -> bool per sample; those are left out and counted."
        )


def _name(model: Any) -> str:
    return type(model).__name__
