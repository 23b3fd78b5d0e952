"""Paired intervals for benchmarks: over test samples, over seeds, over overlapping splits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
from results_table import RESULTS
from scipy.stats import t as student

Array = npt.NDArray[np.float64]


def resampled(n: int, n_boot: int, *key: int) -> Array:
    """Return how often each of `n` samples is drawn in each replicate (n_boot, n)."""
    rng = np.random.default_rng([n, *key])
    return rng.multinomial(n, np.full(n, 1 / n), size=n_boot).astype(np.float64)


def scores(y: npt.NDArray[np.int64], proba: Array, counts: Array) -> Array:
    """Return AUROC (two classes) or accuracy of each replicate (n_boot,).

    NaN where a replicate has one class only. `y` are codes of the columns of `proba` (n, k).
    """
    if proba.shape[1] > 2:
        return counts @ (proba.argmax(axis=1) == y) / counts.sum(axis=1)
    order = np.argsort(proba[:, 1], kind="stable")
    value, positive = proba[order, 1], y[order] == 1
    starts = np.flatnonzero(np.append(True, value[1:] != value[:-1]))
    counts = counts[:, order]
    won = np.add.reduceat(counts * positive, starts, axis=1)
    lost = np.add.reduceat(counts * ~positive, starts, axis=1)
    below = np.cumsum(lost, axis=1) - lost / 2
    pairs = won.sum(axis=1) * lost.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return (won * below).sum(axis=1) / pairs


def score(y: npt.NDArray[np.int64], proba: Array) -> float:
    """Return AUROC (two classes) or accuracy."""
    return float(scores(y, proba, np.ones((1, len(y))))[0])


def percentiles(replicates: Array) -> tuple[float, float]:
    """Return the 2.5 % and 97.5 % quantiles."""
    low, high = np.nanquantile(replicates, [0.025, 0.975])
    return float(low), float(high)


def over_seeds(values: npt.ArrayLike) -> dict[str, float]:
    """Return mean and Student's 95 % interval of values that are independent of each other."""
    return _student(np.asarray(values, dtype=np.float64), lambda k: 1 / k)


def over_splits(values: npt.ArrayLike, test_share: float) -> dict[str, float]:
    """Return mean and 95 % interval over overlapping splits.

    The variance is corrected for the overlap of the training parts (Nadeau and Bengio 2003):
    `test_share` is the size of a test part by that of its training part.
    """
    return _student(np.asarray(values, dtype=np.float64), lambda k: 1 / k + test_share)


def _student(values: Array, factor: object) -> dict[str, float]:
    mean, k = float(values.mean()), len(values)
    half = np.nan
    if k > 1:
        half = student.ppf(0.975, k - 1) * np.sqrt(values.var(ddof=1) * factor(k))
    return {"mean": mean, "low": mean - half, "high": mean + half}


class Rows:
    """Measured rows, kept in a file so that tables are made anew without fitting anew.

    A row with the same values of `key` replaces an older one.
    """

    def __init__(self, name: str, key: list[str]) -> None:
        self.path: Path = RESULTS / f"{name}_rows.json"
        self.key = key
        self.rows: list[dict[str, object]] = []
        if self.path.exists():
            self.rows = json.loads(self.path.read_text(encoding="utf-8"))

    def add(self, *rows: dict[str, object]) -> None:
        """Add rows, print them, and write the file."""
        for row in rows:
            print(row, flush=True)
        new = {self._of(row) for row in rows}
        self.rows = [r for r in self.rows if self._of(r) not in new] + list(rows)
        self.path.parent.mkdir(exist_ok=True)
        text = ",\n".join(json.dumps(row) for row in self.rows)
        self.path.write_text(f"[\n{text}\n]\n", encoding="utf-8")

    def _of(self, row: dict[str, object]) -> tuple[object, ...]:
        return tuple(row[k] for k in self.key)
