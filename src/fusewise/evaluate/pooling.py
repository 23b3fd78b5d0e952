"""Small cells borrow strength: partial pooling of a score across availability patterns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusewise.evaluate.bootstrap import Z

if TYPE_CHECKING:
    from fusewise.evaluate.weighted import Floats

# Cells that are needed before a spread between patterns can be told from chance at all.
FEWEST = 3
COLUMNS = ("pooled_estimate", "pooled_low", "pooled_high")

# Whose error follows the number of both classes, and not of samples alone.
_BY_CLASS = ("roc_auc", "average_precision", "balanced_accuracy", "f1")
# Scores that can be negative; all others are no smaller than 0.
_SIGNED = ("r2", "net_benefit", "calibration_intercept", "calibration_slope")
# Losses and others that can be larger than 1.
_UNBOUNDED = ("log_loss", "brier_score", "rmse", "mae", "net_benefit", *_SIGNED[2:])


def pool_cells(table: pd.DataFrame) -> pd.DataFrame:
    """Add partially pooled scores to the natural cells of a table by pattern.

    What is estimated is each pattern's score, taken as one of a family: scores of patterns are
    normal around their mean, and each estimate is normal around its score. A cell is drawn to the
    mean the more the wider its own interval is beside the spread between patterns (Efron and
    Morris 1975). That spread is not known well from a few cells, and plugging in one estimate of it
    makes intervals far too narrow (it is often zero: 78 % coverage for a nominal 95 % in a trial),
    so that it is integrated over, under a flat prior (Gelman et al. 2013, chapter 5).

    It lowers the error averaged over patterns, not that of each: a pattern that is truly unlike
    the others is drawn towards them, and its pooled interval may miss. So it stands beside the raw
    figure and never in its place, and no requirement reads it.

    The error of a small cell is not known from the cell: few samples happen to agree, and a
    single positive gives an ROC AUC that no resample changes. So a cell is taken to be at least as
    uncertain as cells that are not small would be with its number of samples (for ROC AUC and
    others that weigh classes: positives times negatives over samples). This assumes that a
    score's variance times that number is about the same in all patterns.

    Parameters
    ----------
    table : DataFrame
        By pattern: view, metric, n, n_positive, estimate, low, high, small.

    Returns
    -------
    DataFrame
        The same with ``pooled_estimate``, ``pooled_low`` and ``pooled_high``: NaN for withheld
        cells, which share their samples, for cells without a score or an interval, and where
        fewer than three cells have one, or all of them one without width.

    References
    ----------
    Efron and Morris, "Data analysis using Stein's estimator and its generalizations", Journal of
    the American Statistical Association, 1975. Gelman et al., "Bayesian data analysis", third
    edition, 2013.
    """
    out = table.assign(**dict.fromkeys(COLUMNS, np.nan))
    for metric, cells in table[table["view"] == "natural"].groupby("metric", sort=False):
        known = cells[cells["low"].notna() & cells["high"].notna()]
        if len(known) < FEWEST:
            continue
        size = known["n"].to_numpy(float)
        positive = known["n_positive"].to_numpy(float)
        if metric in _BY_CLASS and not np.isnan(positive).any():
            size = positive * (size - positive) / size
        pooled = shrink(
            known["estimate"].to_numpy(float),
            ((known["high"] - known["low"]) / (2 * Z)).to_numpy(float),
            size,
            ~known["small"].to_numpy(bool),
        )
        least = -np.inf if metric in _SIGNED else 0.0
        most = np.inf if metric in _UNBOUNDED else 1.0
        out.loc[known.index, list(COLUMNS)] = np.clip(pooled, least, most)
    return out


def shrink(
    estimate: Floats, error: Floats, size: Floats, trusted: npt.NDArray[np.bool_] | None = None
) -> Floats:
    """Return pooled estimates with their limits, (n_cells, 3).

    Parameters
    ----------
    estimate, error, size : ndarray of float (n_cells,)
        Scores, their standard errors, and what the squares of these are inverse to.
    trusted : ndarray of bool (n_cells,), optional
        Cells whose error tells what others would have; default all. Without such a cell: all that
        have an error. Without these too, nothing is pooled (NaN).

    Examples
    --------
    >>> found = shrink(np.array([0.7, 0.8, 0.9]), np.full(3, 0.1), np.full(3, 50.0))
    >>> found[:, 0].round(2).tolist()
    [0.75, 0.8, 0.85]
    """
    some = error > 0
    if trusted is not None and (trusted & some).any():
        some &= trusted
    if not some.any():
        return np.full((len(estimate), 3), np.nan)
    # A large cell tells more of the variance of all; each counts by its size.
    unit = float(np.average(error[some] ** 2 * size[some], weights=size[some]))
    variance = np.maximum(error**2, unit / size)
    # Spreads between patterns, from none to several times what is seen.
    top = 4 * max(float(np.std(estimate)), float(np.sqrt(np.median(variance))))
    spread = np.linspace(0.0, top, 201)[:, None]
    total = variance + spread**2
    weight = 1 / total
    mean = (weight @ estimate)[:, None] / weight.sum(axis=1, keepdims=True)
    mean_variance = 1 / weight.sum(axis=1, keepdims=True)
    log_density = 0.5 * np.log(mean_variance[:, 0]) - 0.5 * (
        np.log(total) + (estimate - mean) ** 2 / total
    ).sum(axis=1)
    density = np.exp(log_density - log_density.max())
    density /= density.sum()
    # Given the spread: the share that a cell keeps of its own estimate.
    own = spread**2 / total
    centre = mean + own * (estimate - mean)
    within = own * variance + (1 - own) ** 2 * mean_variance
    pooled = density @ centre
    half = Z * np.sqrt(density @ (within + (centre - pooled) ** 2))
    return np.column_stack([pooled, pooled - half, pooled + half])
