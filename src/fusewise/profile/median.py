"""Medians: of groups, and with an interval that assumes no distribution."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def medians_by(group: npt.NDArray[Any], values: FloatArray) -> FloatArray:
    """Return the median of each group that has a value, in the order of the groups.

    Examples
    --------
    >>> medians_by(np.array([2, 1, 2, 2]), np.array([5.0, 7.0, 1.0, 3.0])).tolist()
    [7.0, 3.0]
    """
    if not len(values):
        return np.zeros(0)
    order = np.lexsort((values, group))
    group, values = group[order], values[order]
    start = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
    size = np.diff(np.r_[start, len(group)])
    return np.asarray((values[start + (size - 1) // 2] + values[start + size // 2]) / 2)


def median_interval(values: npt.ArrayLike) -> tuple[float, float]:
    """Return the limits of a 95 % interval of the median, from order statistics.

    The number of values below the median is binomial, whatever their distribution; the limits are
    the values between which it lies with at least 95 %. They are independent draws by assumption.

    Parameters
    ----------
    values : array-like (n,)

    Returns
    -------
    (float, float)
        NaN with fewer than six values, of which no two hold it with 95 %.

    References
    ----------
    H. A. David and H. N. Nagaraja, Order Statistics, 3rd edition (2003), section 7.1.

    Examples
    --------
    >>> median_interval(range(1, 21))
    (6.0, 15.0)
    """
    from scipy.stats import binom

    ordered = np.sort(np.asarray(values, dtype=float))
    n = len(ordered)
    below = int(binom.ppf(0.025, n, 0.5)) if n else 0
    # Fewer than `below` of n values lie under the median with a probability of at most 2.5 %.
    if below < 1:
        return math.nan, math.nan
    return float(ordered[below - 1]), float(ordered[n - below])
