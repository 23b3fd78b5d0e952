"""Scoring a set of samples: estimates through scikit-learn, replicates through one resampling.

What is estimated is the score of the fixed, fitted predictor in the population that the samples
were drawn from. The uncertainty of training (another training set, another seed) is not part of
the intervals.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fusewise.evaluate.bootstrap import class_strata, interval, resample, stream
from fusewise.evaluate.predictions import Predicted, Rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fusewise.evaluate.metrics import Metric
    from fusewise.evaluate.weighted import Floats

# A cell is small too if any class has fewer samples than this share of the minimum cell size.
CLASS_SHARE = 1 / 3

# One part of an arm: positions into the population, and the predictions at those positions.
Part = tuple[Rows, Predicted]


@dataclass(frozen=True)
class Measured:
    """A score with its bootstrap replicates.

    Parameters
    ----------
    estimate : float
        NaN where the metric is undefined; `note` then says why.
    replicates : ndarray of float (n_boot,)
    note : str
    """

    estimate: float
    replicates: Floats
    note: str = ""

    def __sub__(self, other: Measured) -> Measured:
        """Return the paired difference: both were resampled by the same weights."""
        return Measured(
            self.estimate - other.estimate,
            self.replicates - other.replicates,
            self.note or other.note,
        )

    def limits(self) -> tuple[float, float, str]:
        """Return low, high and the note (of the estimate, else of the interval)."""
        if np.isnan(self.estimate):
            return np.nan, np.nan, self.note
        low, high, note = interval(self.replicates)
        return low, high, self.note or note

    def columns(self, prefix: str = "") -> dict[str, Any]:
        """Return the score as table columns: estimate, low, high (or prefix, prefix_low, ...)."""
        low, high, note = self.limits()
        if not prefix:
            return {"estimate": self.estimate, "low": low, "high": high, "note": note}
        return {prefix: self.estimate, f"{prefix}_low": low, f"{prefix}_high": high}


@dataclass(frozen=True)
class Scoring:
    """The targets of a test set, its units of independence, and how to measure on it.

    Parameters
    ----------
    truth : ndarray (n,)
        Class codes, or values for regression.
    n_classes : int
        0 for regression.
    units : ndarray of int (n,)
        Samples with one code are resampled together.
    metrics : tuple of Metric
    n_boot : int
    min_cell : int
    entropy : int or tuple of int
        Root of every random stream.
    """

    truth: npt.NDArray[Any]
    n_classes: int
    units: Rows
    metrics: tuple[Metric, ...]
    n_boot: int
    min_cell: int
    entropy: int | tuple[int, ...]

    def with_metrics(self, metrics: tuple[Metric, ...]) -> Scoring:
        """Return the same scoring for other metrics."""
        return replace(self, metrics=metrics)

    def small(self, rows: Rows) -> bool:
        """Return whether these samples are fewer than the minimum cell size.

        For classification also whether a class has fewer than a third of it: an ROC AUC over 500
        samples with 3 positives is as uncertain as one over few samples.
        """
        rows = np.unique(rows)
        if len(rows) < self.min_cell:
            return True
        if not self.n_classes:
            return False
        counts = np.bincount(self.truth[rows], minlength=self.n_classes)
        return bool(counts.min() < CLASS_SHARE * self.min_cell)

    def n_positive(self, rows: Rows) -> float:
        """Return the number of positives of a binary target; NaN for other tasks."""
        return float((self.truth[rows] == 1).sum()) if self.n_classes == 2 else np.nan

    def measure(
        self, rows: Rows, predicted: Predicted, label: str, weights: Floats | None = None
    ) -> list[Measured]:
        """Return one score per metric for `predicted`, aligned with `rows`."""
        everyone = np.arange(len(rows))
        (arm,) = self.arms(rows, [[(everyone, predicted)]], label, weights)
        return arm

    def arms(
        self,
        rows: Rows,
        arms: Sequence[Sequence[Part]],
        label: str,
        weights: Floats | None = None,
    ) -> list[list[Measured]]:
        """Measure several predictions of the same samples under the same resampling.

        Parameters
        ----------
        rows : ndarray of int (k,)
            The population: positions in the test set. They may repeat (one sample under several
            experiments); a sample's repeats are drawn together.
        arms : sequence of sequences of (positions, Predicted)
            Each arm is the mean, over its parts, of the metric on ``rows[positions]``.
        label : str
            Names the random stream.
        weights : ndarray of float (k,), optional
            Fixed weights of the samples, multiplied into every replicate.

        Returns
        -------
        list (one per arm) of lists (one per metric) of Measured
            Differences between arms are paired.
        """
        truth = self.truth[rows]
        out: list[list[Measured]] = [[] for _ in arms]
        scorers: dict[tuple[int, int, int], Any] = {}
        for m, metric in enumerate(self.metrics):
            for a, parts in enumerate(arms):
                points, note = [], ""
                for i, (at, predicted) in enumerate(parts):
                    note = metric.undefined(truth[at], self.n_classes)
                    if note:
                        break
                    response = predicted.response(metric.response)
                    base = None if weights is None else weights[at]
                    points.append(metric.point(truth[at], response, self.n_classes, base))
                    scorers[m, a, i] = metric.bind(truth[at], response, self.n_classes)
                if note or not points:
                    estimate, note = np.nan, note or "no sample"
                    scorers = {k: s for k, s in scorers.items() if k[:2] != (m, a)}
                else:
                    estimate = float(np.mean(points))
                out[a].append(Measured(estimate, np.full(self.n_boot, np.nan), note))
        for stratified in (False, True):
            wanted = {
                k: s for k, s in scorers.items() if self.metrics[k[0]].stratified == stratified
            }
            if wanted:
                self._replicate(rows, arms, wanted, out, label, weights, stratified=stratified)
        return out

    def _replicate(
        self,
        rows: Rows,
        arms: Sequence[Sequence[Part]],
        scorers: dict[tuple[int, int, int], Any],
        out: list[list[Measured]],
        label: str,
        weights: Floats | None,
        *,
        stratified: bool,
    ) -> None:
        units = self.units[rows]
        if len(np.unique(units)) < 2:
            for m, a, _ in scorers:
                one = replace(out[a][m], note="no interval: one unit of resampling")
                out[a][m] = one
            return
        strata = class_strata(units, self.truth[rows]) if stratified else None
        for m, a, _ in scorers:
            out[a][m].replicates[:] = 0.0
        rng = stream(self.entropy, label, "stratified" if stratified else "plain")
        done = 0
        for drawn in resample(units, self.n_boot, rng, strata):
            block = drawn if weights is None else drawn * weights
            here = slice(done, done + len(block))
            done += len(block)
            for (m, a, i), scorer in scorers.items():
                at = arms[a][i][0]
                whole = len(at) == len(rows) and (len(at) < 2 or bool(np.all(np.diff(at) == 1)))
                part = block if whole else block[:, at]
                out[a][m].replicates[here] += scorer(part) / len(arms[a])
