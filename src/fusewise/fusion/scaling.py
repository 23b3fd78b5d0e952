"""Scaling of numbers for networks: about standard normal, whatever they were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

FloatArray = npt.NDArray[np.float64]

# Below this many values the ranks are too coarse, and above this many columns the knots too many.
_FEW_VALUES, _MANY_COLUMNS = 500, 1_000
_KNOTS = 101
_LARGEST = 1e150
_LIMIT = 5.0
# Where the smooth clipping of small samples bends, in robust standard deviations.
_BEND = 4.0


class NormalScaling:
    """Map each column to about standard normal, monotonously, by training values alone.

    Columns with at least 500 values are mapped by their ranks: mid-ranks at about a hundred of
    their values become normal scores, and what lies between is interpolated (the quantile
    transform of Gorishniy et al., NeurIPS 2021, exact for ties). Shorter columns, and those of
    tables with more than 1,000 columns, are centred on the median, divided by the quartile range
    and bent smoothly at four deviations (Holzmüller et al., NeurIPS 2024). Both are then
    standardised and clipped at five deviations.

    Attributes
    ----------
    varies_ : bool array (n_columns,)
        Which columns hold two different values; the others become 0.

    Examples
    --------
    >>> skewed = np.exp(np.random.default_rng(0).normal(size=2_000))
    >>> scaled = NormalScaling().fit([skewed]).column(0, skewed)
    >>> bool(abs(scaled.mean()) < 0.01), bool(abs(scaled.std() - 1) < 0.01)
    (True, True)
    """

    def fit(self, columns: Sequence[FloatArray]) -> Self:
        """Fit on the finite values of each column, (n_values,) each, in any order."""
        p = len(columns)
        self.varies_ = np.zeros(p, dtype=bool)
        self.center_, self.scale_ = np.zeros(p), np.ones(p)
        self.n_knots_ = np.zeros(p, dtype=np.intp)
        by_rank = [p <= _MANY_COLUMNS and len(c) >= _FEW_VALUES for c in columns]
        width = _KNOTS if any(by_rank) else 0
        self.knots_, self.scores_ = np.full((p, width), np.nan), np.full((p, width), np.nan)
        self.mean_, self.deviation_ = np.zeros(p), np.ones(p)
        for j, column in enumerate(columns):
            self.varies_[j] = varies(column)
            if not self.varies_[j]:
                continue
            # Sorted, so that sums do not depend on the order of the rows.
            ordered = np.sort(np.clip(column, -_LARGEST, _LARGEST))
            if by_rank[j]:
                knots, scores = _normal_scores(ordered)
                self.n_knots_[j] = len(knots)
                self.knots_[j, : len(knots)] = knots
                self.scores_[j, : len(knots)] = scores
            else:
                self.center_[j], self.scale_[j] = _robust(ordered)
            mapped = self._mapped(slice(j, j + 1), ordered[:, None])[:, 0]
            self.mean_[j] = mapped.mean()
            deviation = mapped.std()
            self.deviation_[j] = deviation if deviation > 1e-9 else 1.0
        return self

    def column(self, j: int, values: FloatArray) -> FloatArray:
        """Return scaled values (n_rows,) of column `j`; what is not finite becomes NaN."""
        return self.columns(slice(j, j + 1), values[:, None])[:, 0]

    def columns(self, which: slice, values: FloatArray) -> FloatArray:
        """Return scaled values (n_rows, n) of neighbouring columns; what is not finite becomes NaN."""
        values = np.where(np.isfinite(values), values, np.nan)
        mapped = self._mapped(which, np.clip(values, -_LARGEST, _LARGEST))
        scaled = np.clip((mapped - self.mean_[which]) / self.deviation_[which], -_LIMIT, _LIMIT)
        varies = self.varies_[which]
        return scaled if varies.all() else np.where(varies | np.isnan(values), scaled, 0.0)

    def _mapped(self, which: slice, values: FloatArray) -> FloatArray:
        n_knots = self.n_knots_[which]
        if n_knots.all():
            mapped = np.empty_like(values)
        else:
            # Beyond a million deviations the square would overflow, and order would be lost.
            deviations = np.clip((values - self.center_[which]) / self.scale_[which], -1e6, 1e6)
            mapped = deviations / np.sqrt(1 + (deviations / _BEND) ** 2)
        for j in np.flatnonzero(n_knots):
            knots = slice(n_knots[j])
            mapped[:, j] = np.interp(
                values[:, j], self.knots_[which][j, knots], self.scores_[which][j, knots]
            )
        return mapped


def bin_edges(scaled: FloatArray, n_bins: int) -> FloatArray:
    """Return strictly increasing edges (n_bins + 1,) of bins that hold about equally many values.

    Where fewer distinct quantiles exist than edges, the bins between them are divided.

    Parameters
    ----------
    scaled : float array (n_values,)
        Scaled training values, none of them NaN.

    Examples
    --------
    >>> bin_edges(np.array([0.0, 0, 0, 1, 1]), 4).tolist()
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    if len(scaled) == 0:
        return np.linspace(-1.0, 1.0, n_bins + 1)
    ordered = np.sort(scaled)
    levels = np.linspace(0, len(ordered) - 1, n_bins + 1).round().astype(np.intp)
    edges = [float(ordered[0])]
    for edge in ordered[levels].tolist():
        # Narrower bins would vanish in single precision.
        if edge > edges[-1] + 1e-3:
            edges.append(edge)
    if len(edges) == 1:
        return edges[0] + np.linspace(-1.0, 1.0, n_bins + 1)
    if len(edges) == n_bins + 1:
        return np.array(edges)
    return np.interp(np.linspace(0, len(edges) - 1, n_bins + 1), np.arange(len(edges)), edges)


def varies(values: FloatArray) -> bool:
    """Return whether finite values differ by more than the rounding of their computation."""
    if len(values) == 0:
        return False
    low = max(float(values.min()), -_LARGEST)
    high = min(float(values.max()), _LARGEST)
    return high - low > max(1e-300, 1e-12 * max(abs(low), abs(high)))


def _normal_scores(ordered: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return distinct values, evenly spread in normal scores, and the scores of their mid-ranks."""
    n = len(ordered)
    highest = -ndtri(0.5 / n)
    shares = ndtr(np.linspace(-highest, highest, _KNOTS))
    shares[[0, -1]] = 0, 1
    knots = np.unique(ordered[np.round(shares * (n - 1)).astype(np.intp)])
    below = np.searchsorted(ordered, knots, "left")
    up_to = np.searchsorted(ordered, knots, "right")
    return knots, ndtri((below + up_to) / (2 * n))


def _robust(ordered: FloatArray) -> tuple[float, float]:
    """Return the median, and the standard deviation that the quartiles of a normal would have."""
    low, middle, high = np.quantile(ordered, [0.25, 0.5, 0.75])
    extent = ordered[-1] - ordered[0]
    quartiles = (high - low) / 1.349
    return float(middle), float(quartiles if quartiles > 1e-6 * extent else extent / 2)
