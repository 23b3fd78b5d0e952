"""Resampling: how often each sample counts in each replicate, and what the replicates say.

The unit that is resampled is the sample, or the whole cluster where the dataset names one (several
stays of one patient are not several patients). Intervals are percentile intervals (Efron 1979) at
95 %: the 2.5 % and 97.5 % quantiles of the replicates.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import stats

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fusewise.evaluate.weighted import Floats

LEVEL = 0.95
# Standard errors on either side of an estimate, by the normal law.
Z = float(stats.norm.ppf((1 + LEVEL) / 2))

# Weights per block: about 4 MB, which stays in cache while the metrics read it.
BLOCK = 1 << 19

# Below this share of defined replicates an interval would describe a selected part of them.
DEFINED = 0.9


def stream(entropy: int | tuple[int, ...], *labels: str) -> np.random.Generator:
    """Return the random stream that belongs to `labels`, a child of the one seed.

    The labels are the child's key, so that a cell's interval does not depend on which other cells
    or metrics are evaluated beside it.
    """
    key = tuple(zlib.crc32(label.encode()) for label in labels)
    return np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=key))


def resample(
    units: npt.NDArray[np.intp],
    n_boot: int,
    rng: np.random.Generator,
    strata: npt.NDArray[np.intp] | None = None,
) -> Iterator[Floats]:
    """Draw bootstrap weights, block by block.

    Parameters
    ----------
    units : ndarray of int (n_samples,)
        The unit of independence of each sample; samples of one unit are drawn together.
    n_boot : int
        Number of replicates.
    rng : numpy.random.Generator
    strata : ndarray of int (n_samples,), optional
        Units are drawn within strata, which keeps each stratum's number of units. A unit's stratum
        is that of its samples (they must agree).

    Yields
    ------
    ndarray of float (n_replicates, n_samples)
        How often each sample was drawn; the replicates of all blocks add up to `n_boot`.

    Examples
    --------
    >>> import numpy as np
    >>> (weights,) = resample(np.arange(4), 2, np.random.default_rng(0))
    >>> weights.sum(axis=1)
    array([4., 4.])
    """
    distinct, first, codes = np.unique(units, return_index=True, return_inverse=True)
    n_units = len(distinct)
    own = np.zeros(n_units, dtype=np.intp) if strata is None else strata[first]
    members = [np.flatnonzero(own == s) for s in np.unique(own)]
    one_to_one = n_units == len(units)
    step = max(1, BLOCK // max(1, len(units)))
    for start in range(0, n_boot, step):
        size = min(step, n_boot - start)
        counts = np.zeros((size, n_units))
        for group in members:
            counts[:, group] = _counts(size, len(group), rng)
        # Units are sorted by code, samples need not be.
        yield counts[:, codes] if not one_to_one or np.any(np.diff(codes) < 0) else counts


def _counts(n_rows: int, n: int, rng: np.random.Generator) -> Floats:
    drawn = rng.integers(0, n, size=(n_rows, n))
    drawn += np.arange(n_rows)[:, None] * n
    return np.bincount(drawn.ravel(), minlength=n_rows * n).reshape(n_rows, n).astype(np.float64)


def class_strata(
    units: npt.NDArray[np.intp], truth: npt.NDArray[np.intp]
) -> npt.NDArray[np.intp] | None:
    """Return the stratum of each sample: the set of classes that its unit contains.

    With one sample per unit this is its class. With clusters it keeps clusters whole and still
    sees to it that each class is drawn. None where a stratum would hold a single unit beside
    others (it would be drawn every time and its uncertainty lost) and clusters are mixed.
    """
    _, codes = np.unique(units, return_inverse=True)
    classes = np.unique(truth, return_inverse=True)[1]
    contains = np.zeros((codes.max(initial=0) + 1, classes.max(initial=0) + 1), dtype=bool)
    contains[codes, classes] = True
    _, stratum = np.unique(contains, axis=0, return_inverse=True)
    stratum = stratum.ravel()
    mixed = bool((contains.sum(axis=1) > 1).any())
    if mixed and np.bincount(stratum).min() < 2:
        return None
    return stratum[codes]


def interval(replicates: Floats) -> tuple[float, float, str]:
    """Return the percentile interval of the defined replicates, and a note where there is none.

    Examples
    --------
    >>> import numpy as np
    >>> low, high, note = interval(np.linspace(0, 1, 1001))
    >>> round(low, 3), round(high, 3), note
    (0.025, 0.975, '')
    """
    defined = replicates[np.isfinite(replicates)]
    if len(replicates) == 0:
        return np.nan, np.nan, ""
    if len(defined) < DEFINED * len(replicates):
        share = 1 - len(defined) / len(replicates)
        return np.nan, np.nan, f"no interval: undefined in {share:.0%} of the resamples"
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high), ""
