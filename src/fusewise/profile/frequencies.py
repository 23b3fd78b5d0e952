"""How far apart two sets of pattern frequencies are, and how far they would be by chance."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Numpy draws hypergeometric numbers below this total; beyond it the multinomial is the same.
MOST_EXACT = 10**9
# Numbers drawn at a time: 16 MB of them.
BATCH = 2_000_000


@dataclass(frozen=True)
class Frequencies:
    """One side of a comparison: counted patterns, or shares that are known without error.

    Attributes
    ----------
    name : str
    shares : float ndarray (k,)
        Share of each pattern; NaN throughout where they are not known.
    counts : int ndarray (k,), or None
        None where the shares were declared.
    """

    name: str
    shares: FloatArray
    counts: IntArray | None

    @classmethod
    def of(cls, name: str, counts: IntArray) -> Frequencies:
        """Return the side with these counts."""
        total = counts.sum()
        shares = counts / total if total else np.full(len(counts), math.nan)
        return cls(name, shares, counts)

    @property
    def n(self) -> float:
        """Number of samples or requests; NaN where none were counted."""
        return math.nan if self.counts is None else float(self.counts.sum())

    def redrawn(self, rng: np.random.Generator, size: int) -> FloatArray:
        """Shares of `size` samples drawn from this side (size, k); declared ones stay."""
        if self.counts is None:
            return self.shares[None, :]
        total = int(self.counts.sum())
        return rng.multinomial(total, self.shares, size) / total


def total_variation(one: npt.ArrayLike, two: npt.ArrayLike) -> FloatArray:
    """Half the sum of absolute differences over the last axis, between 0 and 1 for shares."""
    difference = np.abs(np.asarray(one, dtype=float) - np.asarray(two, dtype=float))
    return np.asarray(np.minimum(difference.sum(axis=-1) / 2, 1.0))


def compare(
    one: Frequencies, two: Frequencies, rng: np.random.Generator, n_boot: int
) -> dict[str, float]:
    """Return the distance of two sides with its limits, and what it is judged by.

    What each of ``distance, low, high, expected_if_same, p`` means stands at
    :func:`~fusewise.profile.shift.shift_table`; all are NaN where a side is not known.
    """
    distance = float(total_variation(one.shares, two.shares))
    if math.isnan(distance):
        return dict.fromkeys(("distance", "low", "high", "expected_if_same", "p"), math.nan)
    for_same, for_limits = rng.spawn(2)
    same = np.concatenate(list(_if_same(one, two, for_same, n_boot)))
    redrawn = np.concatenate(
        [
            total_variation(one.redrawn(for_limits, size), two.redrawn(for_limits, size))
            for size in _batches(n_boot, len(one.shares))
        ]
    )
    # The same distance may be rounded in two ways.
    as_far = int((same >= distance - 1e-12).sum())
    return {
        "distance": distance,
        "low": float(max(0.0, distance - np.quantile(same, 0.95, method="higher"))),
        "high": float(max(distance, np.quantile(redrawn, 0.975, method="higher"))),
        "expected_if_same": float(same.mean()),
        "p": (1 + as_far) / (1 + n_boot),
    }


def _if_same(
    one: Frequencies, two: Frequencies, rng: np.random.Generator, n_boot: int
) -> Iterator[FloatArray]:
    """Draw distances as they would be if both sides had the same frequencies."""
    for size in _batches(n_boot, len(one.shares)):
        if one.counts is None or two.counts is None:
            counted, known = (two, one) if one.counts is None else (one, two)
            assert counted.counts is not None
            drawn = rng.multinomial(int(counted.counts.sum()), known.shares, size)
            yield total_variation(drawn / counted.counts.sum(), known.shares)
            continue
        pooled, n_one, n_two = one.counts + two.counts, one.counts.sum(), two.counts.sum()
        if pooled.sum() < MOST_EXACT:
            drawn = rng.multivariate_hypergeometric(pooled, int(n_one), size, method="marginals")
            yield total_variation(drawn / n_one, (pooled - drawn) / n_two)
        else:
            shares = pooled / pooled.sum()
            first, second = (rng.multinomial(int(n), shares, size) / n for n in (n_one, n_two))
            yield total_variation(first, second)


def _batches(n_boot: int, n_patterns: int) -> Iterator[int]:
    size = max(1, BATCH // max(1, n_patterns))
    for start in range(0, n_boot, size):
        yield min(size, n_boot - start)
