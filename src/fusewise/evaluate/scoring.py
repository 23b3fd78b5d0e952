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
from fusewise.evaluate.sample_size import rounded_up, times_as_many
from fusewise.evaluate.words import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fusewise.evaluate.metrics import Metric
    from fusewise.evaluate.weighted import Floats

# A cell is small too if any class has fewer samples than this share of the minimum cell size.
CLASS_SHARE = 1 / 3

ALIKE = "every resample gives this score: the interval tells nothing"

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

    def __sub__(self, other: Measured | float) -> Measured:
        """Return the paired difference: both were resampled by the same weights."""
        if isinstance(other, int | float):
            return Measured(self.estimate - other, self.replicates - other, self.note)
        return Measured(
            self.estimate - other.estimate,
            self.replicates - other.replicates,
            self.note or other.note,
        )

    def __abs__(self) -> Measured:
        return Measured(abs(self.estimate), np.abs(self.replicates), self.note)

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
            if low == high:
                note = note or ALIKE
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

    def too_few(self, rows: Rows, effective_n: float) -> str:
        """Return how few samples these are, in words, or nothing where they are enough.

        Samples that were weighted count as their effective number too.
        """
        if not self.small(rows) and effective_n >= self.min_cell:
            return ""
        counts = plural(len(rows), "sample")
        if self.n_classes:
            rarest = int(np.bincount(self.truth[rows], minlength=self.n_classes).min())
            counts += f", {rarest} of the rarest class"
        if round(effective_n) < len(rows):
            counts += f", effectively {effective_n:.0f}"
        return counts

    def samples_to_decide(
        self, rows: Rows, effective_n: float, measured: Measured, limit: float
    ) -> float:
        """Return how many samples like these would decide on which side of a limit the score is.

        Never fewer than make the cell large enough to decide anything. NaN where that is not
        known: without an interval, or where a class has no sample.
        """
        known = measured.replicates[np.isfinite(measured.replicates)]
        if len(rows) == 0 or len(known) < 2 or np.isnan(measured.limits()[0]):
            return np.nan
        times = times_as_many(measured.estimate - limit, float(known.std()))
        least = self.min_cell / effective_n
        if self.n_classes:
            rarest = int(np.bincount(self.truth[rows], minlength=self.n_classes).min())
            least = max(least, CLASS_SHARE * self.min_cell / rarest) if rarest else np.nan
        return rounded_up(len(rows) * max(times, least))

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
            Each arm is the mean, over its parts, of the metric on ``rows[positions]``; positions
            ascend. A part that several arms hold (the same object) is computed once.
        label : str
            Names the random stream.
        weights : ndarray of float (k,), optional
            Fixed weights of the samples, multiplied into every replicate.

        Returns
        -------
        list (one per arm) of lists (one per metric) of Measured
            Differences between arms are paired.
        """
        out = []
        for metric in self.metrics:
            points = {
                id(part): self._point(metric, rows, part, weights) for arm in arms for part in arm
            }
            out.append([self._start([points[id(part)] for part in arm]) for arm in arms])
        for stratified in (False, True):
            defined = {
                m: [a for a, score in enumerate(out[m]) if not score.note]
                for m, metric in enumerate(self.metrics)
                if metric.stratified == stratified
            }
            if any(defined.values()):
                self._replicate(rows, arms, defined, out, label, weights, stratified=stratified)
        return [[by_arm[a] for by_arm in out] for a in range(len(arms))]

    def _point(
        self, metric: Metric, rows: Rows, part: Part, weights: Floats | None
    ) -> tuple[float, str]:
        at, predicted = part
        truth = self.truth[rows[at]]
        response = predicted.response(metric.response)
        note = metric.undefined(truth, self.n_classes, response)
        if note:
            return np.nan, note
        base = None if weights is None else weights[at]
        return float(metric.point(truth, response, self.n_classes, base)), ""

    def _start(self, points: Sequence[tuple[float, str]]) -> Measured:
        note = next((note for _, note in points if note), "" if points else "no sample")
        if note:
            return Measured(np.nan, np.full(self.n_boot, np.nan), note)
        return Measured(float(np.mean([p for p, _ in points])), np.zeros(self.n_boot))

    def _replicate(
        self,
        rows: Rows,
        arms: Sequence[Sequence[Part]],
        defined: dict[int, list[int]],
        out: list[list[Measured]],
        label: str,
        weights: Floats | None,
        *,
        stratified: bool,
    ) -> None:
        units = self.units[rows]
        if len(np.unique(units)) < 2:
            for m, which in defined.items():
                for a in which:
                    out[m][a] = replace(
                        out[m][a],
                        replicates=np.full(self.n_boot, np.nan),
                        note="no interval: one unit of resampling",
                    )
            return
        strata = class_strata(units, self.truth[rows]) if stratified else None
        # Arms may share parts (the same samples with everything, in every repeat).
        users: dict[int, list[tuple[int, int]]] = {}
        parts: dict[int, Part] = {}
        for m, which in defined.items():
            for a in which:
                for part in arms[a]:
                    parts[id(part)] = part
                    users.setdefault(id(part), []).append((m, a))
        scorers = {
            (key, m): self.metrics[m].bind(
                self.truth[rows[part[0]]],
                part[1].response(self.metrics[m].response),
                self.n_classes,
            )
            for key, part in parts.items()
            for m in {m for m, _ in users[key]}
        }
        rng = stream(self.entropy, label, "stratified" if stratified else "plain")
        done = 0
        for drawn in resample(units, self.n_boot, rng, strata):
            block = drawn if weights is None else drawn * weights
            here = slice(done, done + len(block))
            done += len(block)
            for key, (at, _) in parts.items():
                own = block if len(at) == len(rows) else np.take(block, at, axis=1)
                scores = {m: scorers[key, m](own) for m in {m for m, _ in users[key]}}
                for m, a in users[key]:
                    out[m][a].replicates[here] += scores[m] / len(arms[a])
