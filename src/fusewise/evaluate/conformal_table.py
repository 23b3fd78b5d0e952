"""Coverage and size of prediction sets per availability pattern."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusewise.data import EMPTY_PATTERN, parse_pattern
from fusewise.evaluate.bootstrap import interval, resample, stream
from fusewise.evaluate.calibration import wilson
from fusewise.evaluate.conformal_pattern import covers, says_everything, sizes
from fusewise.evaluate.conformal_predictor import TOO_FEW, ConformalPredictor
from fusewise.evaluate.evaluation import canonical_order
from fusewise.evaluate.mixture import find_mixture
from fusewise.evaluate.patterns import AS_IT_CAME, UNANSWERED, plan_patterns
from fusewise.evaluate.predictions import class_codes
from fusewise.evaluate.weighted import mean_of
from fusewise.exceptions import EvaluationError

if TYPE_CHECKING:
    from fusewise.data import MultimodalDataset
    from fusewise.evaluate.predictions import Presence, Rows
    from fusewise.evaluate.weighted import Floats

EVERYONE = "(all)"

COLUMNS = {
    "view": "str",
    "pattern": "str",
    "n_absent": "int64",
    "n": "int64",
    "method": "str",
    "n_calibration": "int64",
    "coverage": "float64",
    "low": "float64",
    "high": "float64",
    "lowest_class_coverage": "float64",
    "mean_size": "float64",
    "price": "float64",
    "share_empty": "float64",
    "share_single": "float64",
    "share_everything": "float64",
    "small": "bool",
    "population": "str",
    "note": "str",
}


def coverage_by_pattern(
    model: ConformalPredictor,
    test: MultimodalDataset,
    *,
    deployment: Any = None,
    n_boot: int = 1000,
    min_cell: int = 30,
    withheld_patterns: int = 30,
    random_state: int | None = 0,
) -> pd.DataFrame:
    """Measure how often prediction sets hold, and how large they are, per availability pattern.

    What is estimated is the coverage of these sets, with this calibration set, in the population
    of the pattern. Another calibration set would give another coverage, about
    ``sqrt(alpha * (1 - alpha) / n_calibration)`` away, which is not in the interval; the guarantee
    of :func:`conformalise` is on the mean over calibration sets.

    Parameters
    ----------
    model : ConformalPredictor
    test : MultimodalDataset
        With a target; its ids (clusters) are not those of the calibration set. Samples that the
        model cannot answer are left out.
    deployment : optional
        As in :func:`evaluate`; decides which patterns are withheld first.
    n_boot : int
        Replicates of the interval over clusters, where the test set names them.
    min_cell, withheld_patterns : int
        As in :func:`evaluate`.
    random_state : int or None

    Returns
    -------
    DataFrame
        One row per view and pattern, and one for all samples as they came.

        - view, pattern, n_absent, n, population: as in ``Evaluation.by_pattern``.
        - method, n_calibration: what stands behind the sets of the pattern.
        - coverage, low, high: share of sets that contain the target, with Wilson's 95 % limits; of
          a percentile bootstrap over clusters where the test set names them.
        - lowest_class_coverage: the coverage of the class where it is lowest. No method here
          promises anything for it. NaN for regression.
        - mean_size: mean number of classes in the set; mean width of a regression's interval.
        - price: by how much the mean size exceeds that of the same samples as they came; withheld
          view only.
        - share_empty, share_single, share_everything: of sets with no class, one class, and every
          class (an infinite interval). The first two are NaN for regression.
        - small: fewer than `min_cell` samples.

    Raises
    ------
    EvaluationError
        If `test` has no target, or shares samples or clusters with the calibration set.

    Examples
    --------
    >>> from fusewise.evaluate import conformalise
    >>> from fusewise.simulate import make_cohort
    >>> cohort = make_cohort(
    ...     900, 900, modalities={"a": 2, "b": 2}, availability=0.7, random_state=0
    ... )
    >>> class Posterior:
    ...     def predict_proba(self, dataset):
    ...         return cohort.bayes_proba(dataset)
    >>> table = coverage_by_pattern(conformalise(Posterior(), cohort.train), cohort.test)
    >>> natural = table[table["view"] == "natural"].set_index("pattern")
    >>> natural.loc[["a+b", "a"], ["n", "n_calibration", "coverage", "mean_size"]].round(2)
               n  n_calibration  coverage  mean_size
    pattern
    a+b      354            337      0.91       1.41
    a        287            626      0.92       1.56
    """
    if not isinstance(model, ConformalPredictor):
        raise EvaluationError(
            f"{type(model).__name__} has no calibrated prediction sets: make it one with "
            f"fusewise.conformalise(model, calibration)."
        )
    if test.target is None:
        raise EvaluationError(
            "The test set has no target, so coverage cannot be counted. Name target= when the "
            "dataset is built."
        )
    model.check_apart(test)
    test = test[canonical_order(test)]
    sets = _Sets(model, test, n_boot, min_cell, random_state)
    pattern = test.pattern
    rows = [sets.row("natural", EVERYONE, np.arange(len(test)), None, AS_IT_CAME)]
    for label in test.patterns()["pattern"]:
        own = np.flatnonzero(pattern == label)
        if label != EMPTY_PATTERN or sets.answered[own].any():
            rows.append(sets.row("natural", label, own, None, AS_IT_CAME))
    mixture = find_mixture(deployment, test, None)
    experiments, population, _ = plan_patterns(
        test, mixture, min_cell=min_cell, limit=withheld_patterns
    )
    rows += [sets.row("withheld", e.label, e.rows, e.presence, population) for e in experiments]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


class _Sets:
    """The sets of one test set, as it came and with modalities withheld."""

    def __init__(
        self,
        model: ConformalPredictor,
        test: MultimodalDataset,
        n_boot: int,
        min_cell: int,
        random_state: int | None,
    ) -> None:
        self.model, self.test, self.n_boot, self.min_cell = model, test, n_boot, min_cell
        entropy = np.random.SeedSequence(random_state).entropy
        assert isinstance(entropy, int)
        self.entropy = entropy
        target = np.asarray(test.target)
        if model.task == "regression":
            self.truth: npt.NDArray[Any] = target.astype(np.float64)
            self.natural = np.full((len(test), 2), np.nan)
        else:
            classes = tuple(model.classes_.tolist())
            self.truth = class_codes(target, classes, "test target")
            self.natural = np.zeros((len(test), len(classes)), dtype=bool)
        unit = test.ids if test.cluster is None else test.cluster
        self.units = pd.factorize(np.asarray(unit).astype(str))[0].astype(np.intp)
        self.answered = model.answerable(test)
        self.natural[self.answered] = model.predict_set(test[self.answered])

    def row(
        self, view: str, label: str, rows: Rows, presence: Presence | None, population: str
    ) -> dict[str, Any]:
        given = len(rows)
        known = self.answered[rows]
        rows = rows[known]
        before = self.natural[rows]
        if presence is None:
            sets = before
        else:
            shown = self.test[rows].with_presence(presence[known])
            kept = self.model.answerable(shown)
            rows, before, shown = rows[kept], before[kept], shown[kept]
            sets = self.model.predict_set(shown)
        out: dict[str, Any] = {"view": view, "pattern": label, "n_absent": 0, "n": len(rows)}
        out |= {"population": population, "small": len(rows) < self.min_cell, "method": ""}
        out |= {"n_calibration": self.model.n_calibration, "note": ""}
        if label != EVERYONE:
            out["n_absent"] = len(self.test.modalities) - len(parse_pattern(label))
        if len(rows):
            out |= self._behind(rows, presence, label)
            out |= self._measured(sets, rows, f"{population}:{label}")
            size = sizes(sets)
            if view == "withheld":
                out["price"] = _difference(size, sizes(before))
        elif given:
            out["note"] = UNANSWERED
        return out

    def _behind(self, rows: Rows, presence: Presence | None, label: str) -> dict[str, Any]:
        shown = self.test[rows]
        if presence is not None:
            shown = shown.with_presence(np.tile(presence[0], (len(rows), 1)))
        behind = self.model.thresholds(shown)
        if label == EVERYONE:
            few = int(behind.loc[behind["note"] != "", "n"].sum())
            note = f"{few} samples: {TOO_FEW}" if few else ""
            return {"method": ", ".join(sorted(set(behind["method"]))), "note": note}
        (one,) = behind.to_dict("records")
        return {key: one[key] for key in ("method", "n_calibration", "note")}

    def _measured(self, sets: npt.NDArray[Any], rows: Rows, label: str) -> dict[str, Any]:
        truth, size = self.truth[rows], sizes(sets)
        covered = covers(sets, truth).astype(np.float64)
        units = self.units[rows]
        note = ""
        if len(np.unique(units)) == len(rows):
            lows, highs = wilson(np.array([covered.sum()]), np.array([len(rows)]))
            low, high = float(lows[0]), float(highs[0])
        else:
            mean = mean_of(covered)
            drawn = resample(units, self.n_boot, stream(self.entropy, label, "coverage"))
            replicates: Floats = np.concatenate([np.zeros(0), *(mean(w) for w in drawn)])
            low, high, note = interval(replicates)
        out = {"coverage": covered.mean(), "low": low, "high": high, "mean_size": size.mean()}
        out["share_everything"] = says_everything(sets).mean()
        if note:
            out["note"] = note
        if self.model.task != "regression":
            out["share_empty"], out["share_single"] = (size == 0).mean(), (size == 1).mean()
            out["lowest_class_coverage"] = min(covered[truth == c].mean() for c in np.unique(truth))
        return out


def _difference(size: Floats, before: Floats) -> float:
    # Infinite widths on both sides are no difference.
    same = size == before
    return float(np.where(same, 0.0, size - np.where(same, 0.0, before)).mean())
