"""Wilson's interval for a proportion."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def wilson(
    successes: npt.ArrayLike, n: npt.ArrayLike, confidence: float = 0.95
) -> tuple[FloatArray, FloatArray]:
    """Return the limits of Wilson's score interval for proportions.

    The values of a proportion that a score test would not reject. Assumes independent samples;
    where they come in clusters the interval is too narrow. It never leaves [0, 1], is not empty at
    0 or `n` successes, and without any sample it is the whole of [0, 1].

    Parameters
    ----------
    successes, n : array-like of the same shape
        Number of successes and of samples.
    confidence : float, default 0.95

    Returns
    -------
    low, high : float ndarray

    References
    ----------
    E. B. Wilson, Probable inference, the law of succession, and statistical inference, Journal of
    the American Statistical Association 22 (1927).

    Examples
    --------
    >>> low, high = wilson(0, 10)
    >>> float(low), round(float(high), 4)
    (0.0, 0.2775)
    """
    z2 = NormalDist().inv_cdf(0.5 + confidence / 2) ** 2
    count = np.asarray(successes, dtype=float)
    size = np.asarray(n, dtype=float)
    rate = np.divide(count, size, out=np.full_like(size, 0.5), where=size > 0)
    centre = (rate * size + z2 / 2) / (size + z2)
    half = np.sqrt(z2 * (rate * (1 - rate) * size + z2 / 4)) / (size + z2)
    # At the ends the formula is exact but its rounding is not.
    low = np.where((count <= 0) | (size == 0), 0.0, centre - half)
    high = np.where((count >= size) | (size == 0), 1.0, centre + half)
    return np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0)
