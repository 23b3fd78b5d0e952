"""A fitted predictor with prediction sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.utils.metaestimators import available_if

from fusewise.data import MultimodalDataset, pattern_codes, pattern_label
from fusewise.evaluate.conformal_pattern import Calibrated, Group
from fusewise.evaluate.conformal_rows import SPLIT, choose_rows
from fusewise.evaluate.conformal_scores import class_scores, uniforms
from fusewise.evaluate.evaluation import classes_of
from fusewise.evaluate.predictions import (
    Answers,
    Predicted,
    Withholding,
    answerable,
    class_codes,
    model_classes,
)
from fusewise.exceptions import EmptySampleError, EvaluationError

if TYPE_CHECKING:
    from fusewise.evaluate.predictions import Presence
    from fusewise.evaluate.weighted import Floats

TOO_FEW = "too few calibration samples: the set is everything"

_THRESHOLDS = {
    "pattern": "str",
    "n": "int64",
    "method": "str",
    "n_calibration": "int64",
    "n_shared": "int64",
    "threshold": "float64",
    "note": "str",
}


class ConformalPredictor:
    """A fitted predictor with prediction sets; made by :func:`conformalise`.

    ``predict``, ``predict_proba`` and ``answerable`` are the model's own. There is no ``fit``: the
    model stays as it is, and calibration happened when this was made.

    Attributes
    ----------
    model : object
    alpha : float
    method, score : str
    task : {"binary", "multiclass", "regression"}
    modalities : tuple of str
        Those of the calibration set; a sample may lack any, and bring no other.
    calibrated : dict of str to Calibrated
        What was computed so far, by pattern. A pattern is calibrated when it is first met; that
        reads the calibration set alone, so that it is the same whenever it happens.
    """

    def __init__(
        self,
        model: Any,
        calibration: MultimodalDataset,
        alpha: float,
        method: str,
        score: str,
        entropy: int,
    ) -> None:
        self.model, self.alpha, self.method, self.score = model, alpha, method, score
        self.task = str(calibration.task)
        self.modalities = calibration.modalities
        self.calibrated: dict[str, Calibrated] = {}
        self._calibration = calibration
        self._entropy = entropy
        self._classes: tuple[Any, ...] | None = None
        if self.task != "regression":
            _check_classes(model, calibration)
            self._classes = model_classes(model, classes_of(model, calibration))
        response = "label" if self._classes is None else "probability"
        self._responses = {response}
        self._answers = Answers(model, calibration, self._responses, self._classes)
        if not self._answers.natural.answered.any():
            raise EvaluationError(
                f"{type(model).__name__} answers none of the {len(calibration)} calibration "
                f"samples: they have {', '.join(calibration.modalities)}"
                f"{_knows(model)}. Give it a calibration set with its modalities."
            )
        target = np.asarray(calibration.target)
        self._truth: npt.NDArray[Any] = target
        if self._classes is None:
            self._truth = target.astype(np.float64)
        else:
            self._truth = class_codes(target, self._classes, "calibration target")
        unit = calibration.ids if calibration.cluster is None else calibration.cluster
        self._units = pd.factorize(np.asarray(unit).astype(str))[0].astype(np.intp)
        self._rank = uniforms(calibration.ids, entropy, "one per cluster")
        self._uniform = uniforms(calibration.ids, entropy, "aps")

    @property
    def n_calibration(self) -> int:
        """Number of calibration samples; of clusters, where the calibration set names them."""
        return len(np.unique(self._units))

    @property
    def classes_(self) -> npt.NDArray[Any]:
        """The classes (n_classes,) in the order of the columns of probabilities and of sets."""
        if self._classes is None:
            raise AttributeError("a regression has no classes")
        return np.array(self._classes)

    def __repr__(self) -> str:
        return (
            f"ConformalPredictor({type(self.model).__name__}, alpha={self.alpha:g}, "
            f"method={self.method!r}, score={self.score!r}, n_calibration={self.n_calibration})"
        )

    def answerable(self, dataset: MultimodalDataset) -> Presence:
        """Return which samples (n_samples,) the model can answer."""
        return answerable(self.model, dataset)

    @available_if(lambda self: hasattr(self.model, "predict_proba"))
    def predict_proba(self, dataset: MultimodalDataset) -> Floats:
        """Return the model's class probabilities (n_samples, n_classes)."""
        values: Floats = self.model.predict_proba(dataset)
        return values

    @available_if(lambda self: hasattr(self.model, "predict"))
    def predict(self, dataset: MultimodalDataset) -> npt.NDArray[Any]:
        """Return the model's predictions (n_samples,)."""
        values: npt.NDArray[Any] = self.model.predict(dataset)
        return values

    def predict_set(self, dataset: MultimodalDataset) -> npt.NDArray[Any]:
        """Return the prediction set of each sample.

        Parameters
        ----------
        dataset : MultimodalDataset
            A target is not read.

        Returns
        -------
        ndarray
            Classification: bool (n_samples, n_classes), True where the class is in the set,
            columns in the order of ``classes_``; a row may be empty. Regression: float
            (n_samples, 2), the lower and upper limit, infinite where too few calibration samples
            stand for the pattern.

        Raises
        ------
        EmptySampleError
            If the model cannot answer a sample: it has no set, and everything would be a silent
            one. Leave it out with ``dataset[model.answerable(dataset)]``.
        EvaluationError
            If `dataset` has a modality that the calibration set lacks.
        """
        self._check_answerable(dataset)
        distinct, codes = pattern_codes(self._known(dataset))
        parts = self._calibrate(distinct)
        experiments, owners = [], []
        columns = [self.modalities.index(m) for m in dataset.modalities]
        for code, part in enumerate(parts):
            rows = np.flatnonzero(codes == code)
            for group in part.groups:
                keep = np.tile(group.presence[columns], (len(rows), 1))
                experiments.append(Withholding(part.pattern, rows, keep))
                owners.append(code)
        answers = Answers(self.model, dataset, self._responses, self._classes)
        said: list[list[Predicted]] = [[] for _ in parts]
        for code, predicted in zip(owners, answers.ask(experiments), strict=True):
            said[code].append(predicted)
        if self._classes is None:
            out: npt.NDArray[Any] = np.empty((len(dataset), 2))
        else:
            out = np.empty((len(dataset), len(self._classes)), dtype=bool)
        uniform = uniforms(dataset.ids, self._entropy, "aps")
        for code, part in enumerate(parts):
            rows = np.flatnonzero(codes == code)
            if self._classes is None:
                out[rows] = part.intervals(said[code], len(rows))
            else:
                given = [
                    class_scores(self.score, p.response("probability"), uniform[rows])
                    for p in said[code]
                ]
                out[rows] = part.sets(given, len(rows), len(self._classes))
        return out

    def thresholds(self, dataset: MultimodalDataset) -> pd.DataFrame:
        """Return what stands behind the sets of each pattern of `dataset`.

        Returns
        -------
        DataFrame
            pattern; n: samples of `dataset`; method: how it is calibrated (``auto`` resolved);
            n_calibration; n_shared: number of distinct presences that calibration samples are
            scored with (1 but for ``nested``); threshold: of the score, NaN for several; note.
        """
        self._check_modalities(dataset)
        distinct, codes = pattern_codes(self._known(dataset))
        rows = []
        for part, n in zip(self._calibrate(distinct), np.bincount(codes), strict=False):
            threshold = np.nan
            if len(part.groups) == 1 and part.informative:
                threshold = part.groups[0].scores[part.rank - 1]
            rows.append(
                {
                    "pattern": part.pattern,
                    "n": n,
                    "method": part.method,
                    "n_calibration": part.n,
                    "n_shared": len(part.groups),
                    "threshold": threshold,
                    "note": "" if part.informative else TOO_FEW,
                }
            )
        frame = pd.DataFrame(rows, columns=list(_THRESHOLDS)).astype(_THRESHOLDS)
        return frame.sort_values(["n", "pattern"], ascending=[False, True], ignore_index=True)

    def check_apart(self, test: MultimodalDataset) -> None:
        """Refuse a test set that shares samples, or clusters, with the calibration set.

        Raises
        ------
        EvaluationError
            Naming some that are in both.
        """
        pairs = [("samples", self._calibration.ids, test.ids)]
        if self._calibration.cluster is not None and test.cluster is not None:
            pairs.append(("clusters", self._calibration.cluster, test.cluster))
        for what, ours, theirs in pairs:
            both = sorted(set(ours.tolist()) & set(theirs.tolist()), key=str)
            if both:
                raise EvaluationError(
                    f"{len(both):,} {what} are in the calibration set and in the test set, e.g. "
                    f"{', '.join(map(repr, both[:3]))}: coverage on them tells nothing. Split "
                    f"them with fusewise.split."
                )

    def _check_modalities(self, dataset: MultimodalDataset) -> None:
        if not isinstance(dataset, MultimodalDataset):
            raise EvaluationError(
                f"expected a MultimodalDataset, got {type(dataset).__name__}. Build one with "
                f"fusewise.MultimodalDataset(modalities, samples=..., id=...)."
            )
        other = [m for m in dataset.modalities if m not in self.modalities]
        if other:
            raise EvaluationError(
                f"the dataset has {', '.join(other)}, which the calibration set lacks (it has "
                f"{', '.join(self.modalities)}): no sample shows how wrong the predictor is with "
                f"it. Take it out with dataset.without({', '.join(map(repr, other))}), or "
                f"calibrate on samples that have it."
            )

    def _check_answerable(self, dataset: MultimodalDataset) -> None:
        self._check_modalities(dataset)
        silent = ~self.answerable(dataset)
        if silent.any():
            examples = ", ".join(repr(i) for i in dataset.ids[silent][:3].tolist())
            raise EmptySampleError(
                f"{type(self.model).__name__} cannot answer {int(silent.sum()):,} of "
                f"{len(dataset):,} samples, e.g. {examples}: they have no prediction set. Leave "
                f"them out with dataset[model.answerable(dataset)]."
            )

    def _known(self, dataset: MultimodalDataset) -> Presence:
        known = np.zeros((len(dataset), len(self.modalities)), dtype=bool)
        known[:, [self.modalities.index(m) for m in dataset.modalities]] = dataset.presence
        return known

    def _calibrate(self, patterns: Presence) -> list[Calibrated]:
        labels = [self._label(row) for row in patterns]
        new = [i for i, label in enumerate(labels) if label not in self.calibrated]
        presence = np.asarray(self._calibration.presence)
        chosen = [
            choose_rows(self.method, patterns[i], presence, self._units, self._rank, self.alpha)
            for i in new
        ]
        said = self._answers.ask(
            [Withholding(labels[i], c.rows, c.presence) for i, c in zip(new, chosen, strict=True)]
        )
        for i, some, predicted in zip(new, chosen, said, strict=True):
            kept = predicted.answered
            scores = self._scores(predicted[kept], some.rows[kept])
            if some.method == SPLIT:
                groups = [Group(patterns[i], np.sort(scores))]
            else:
                # Most patterns are scored with one presence, nested ones with one per intersection.
                seen, codes = pattern_codes(some.presence[kept])
                groups = [
                    Group(one, np.sort(scores[codes == code])) for code, one in enumerate(seen)
                ]
            self.calibrated[labels[i]] = Calibrated(
                labels[i], some.method, self.alpha, tuple(groups)
            )
        return [self.calibrated[label] for label in labels]

    def _scores(self, predicted: Predicted, rows: npt.NDArray[np.intp]) -> Floats:
        truth = self._truth[rows]
        if self._classes is None:
            return np.abs(truth - predicted.response("label"))
        scores = class_scores(self.score, predicted.response("probability"), self._uniform[rows])
        return scores[np.arange(len(rows)), truth]

    def _label(self, presence: npt.NDArray[np.bool_]) -> str:
        return pattern_label(m for m, has in zip(self.modalities, presence, strict=True) if has)


def _check_classes(model: Any, calibration: MultimodalDataset) -> None:
    if not hasattr(model, "classes_"):
        return
    own = tuple(np.asarray(model.classes_).tolist())
    met = set(np.asarray(calibration.target).tolist())
    foreign = sorted(met.difference(own), key=str)
    if foreign:
        raise EvaluationError(
            f"the calibration target has {foreign}, which {type(model).__name__} does not know (it "
            f"predicts {own}): no set could contain it. Calibrate on the classes that it was "
            f"fitted on."
        )


def _knows(model: Any) -> str:
    known = getattr(model, "modalities_", None)
    return f", it knows {', '.join(known)}" if known else ""
