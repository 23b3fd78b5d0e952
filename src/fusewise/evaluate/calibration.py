"""Calibration: predicted probability against observed frequency, in bins of equal size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from fusewise.evaluate.weighted import Floats

BINS = 10

# Fewer samples in a bin leave an interval wider than half the scale.
PER_BIN = 15


def reliability(
    probability: Floats, positive: npt.NDArray[np.bool_], view: str, pattern: str
) -> list[dict[str, Any]]:
    """Return the reliability bins of a binary predictor.

    Up to ten bins by quantiles of the prediction, fewer where there are fewer samples; equal
    predictions share a bin. ``low`` and ``high`` limit the observed frequency by Wilson's interval
    (1927), which takes samples as independent: with clusters it is too narrow.

    Parameters
    ----------
    probability : ndarray of float (n,)
        Predicted probability of the positive class.
    positive : ndarray of bool (n,)
    view, pattern : str
        Copied into the rows.

    Examples
    --------
    >>> import numpy as np
    >>> p = np.repeat([0.2, 0.8], 50)
    >>> y = np.tile([True, False, False, False, False], 20)
    >>> [(r["bin"], r["n"], r["observed"]) for r in reliability(p, y, "natural", "(all)")]
    [(0, 50, 0.2), (1, 50, 0.2)]
    """
    n_bins = min(BINS, len(probability) // PER_BIN)
    if n_bins < 1:
        return []
    inner = np.quantile(probability, np.arange(1, n_bins) / n_bins)
    codes = np.searchsorted(inner, probability, side="left")
    _, codes = np.unique(codes, return_inverse=True)
    n = np.bincount(codes)
    hits = np.bincount(codes, weights=positive)
    low, high = wilson(hits, n)
    mean = np.bincount(codes, weights=probability) / n
    return [
        {
            "view": view,
            "pattern": pattern,
            "bin": i,
            "n": int(n[i]),
            "mean_predicted": float(mean[i]),
            "observed": float(hits[i] / n[i]),
            "low": float(low[i]),
            "high": float(high[i]),
        }
        for i in range(len(n))
    ]


def wilson(hits: npt.NDArray[Any], n: npt.NDArray[Any]) -> tuple[Floats, Floats]:
    """Return Wilson's 95 % limits of `hits` out of `n`.

    Examples
    --------
    >>> import numpy as np
    >>> low, high = wilson(np.array([0, 5]), np.array([10, 10]))
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.0, 0.237], [0.278, 0.763])
    """
    z = 1.959963984540054
    share = hits / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return np.clip(centre - half, 0.0, 1.0), np.clip(centre + half, 0.0, 1.0)
