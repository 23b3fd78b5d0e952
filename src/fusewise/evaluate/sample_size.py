"""How many samples would decide a requirement that an evaluation leaves undetermined."""

from __future__ import annotations

import numpy as np
from scipy import optimize, stats

from fusewise.evaluate.bootstrap import Z

# Probability that an evaluation of the advised size decides.
ASSURANCE = 0.9

# Beyond so many times the samples at hand no figure is given.
MOST_TIMES = 10_000.0

# Where the true distance may lie, in standard errors from what was seen; fine, since what decides
# turns within a fraction of one.
_AROUND = np.linspace(-6.0, 6.0, 4801)
_WEIGHTS = stats.norm.pdf(_AROUND) / stats.norm.pdf(_AROUND).sum()


def times_as_many(distance: float, spread: float, assurance: float = ASSURANCE) -> float:
    """Return how many times as many samples would decide with this probability.

    The requirement is decided where the 95 % interval lies on one side of its limit, whichever
    side. How far the true score lies from the limit is not known; after the evaluation at hand it
    is taken as normal around the distance that was seen, with the spread of the estimate (a flat
    prior). The size is the smallest whose probability of deciding, averaged over that, is at least
    `assurance`. Taking the distance that was seen as the truth would promise too much: a
    requirement is undetermined because chance covers that distance. Intervals are taken to shrink
    with the root of the number of samples.

    Parameters
    ----------
    distance : float
        The estimate minus the limit.
    spread : float
        Standard error of the estimate.
    assurance : float

    Returns
    -------
    float
        At least 1; infinite beyond ten thousand, NaN where nothing is known of the spread.

    References
    ----------
    O'Hagan, Stevens, Campbell, "Assurance in clinical trial design", Pharmaceutical Statistics,
    2005.

    Examples
    --------
    >>> round(times_as_many(1.0, 1.0)), round(times_as_many(1.9, 1.0))
    (90, 10)
    """
    if not (np.isfinite(distance) and np.isfinite(spread) and spread > 0):
        return np.nan
    true = np.abs(distance / spread + _AROUND)

    def lacks(log_times: float) -> float:
        root = np.exp(log_times / 2)
        decided = stats.norm.cdf(true * root - Z) + stats.norm.cdf(-true * root - Z)
        return float(_WEIGHTS @ decided) - assurance

    top = np.log(MOST_TIMES)
    if lacks(0.0) >= 0:
        return 1.0
    if lacks(top) < 0:
        return np.inf
    return float(np.exp(optimize.brentq(lacks, 0.0, top, xtol=1e-4)))


def rounded_up(n: float) -> float:
    """Return a number of samples with two digits that say something, never fewer.

    Examples
    --------
    >>> rounded_up(1234.5), rounded_up(17.2)
    (1300.0, 18.0)
    """
    if not np.isfinite(n):
        return n
    unit = 10.0 ** max(0, int(np.floor(np.log10(max(n, 1.0)))) - 1)
    return float(np.ceil(n / unit) * unit)


def advice_on_size(n: float) -> str:
    """Say in words how many samples would decide, or nothing where that is not known.

    Examples
    --------
    >>> advice_on_size(1300.0)
    '; about 1,300 samples like these would decide it (probability 0.9)'
    """
    if np.isnan(n):
        return ""
    if np.isinf(n):
        return "; no number of samples that could be had would decide it"
    return f"; about {n:,.0f} samples like these would decide it (probability {ASSURANCE:g})"
