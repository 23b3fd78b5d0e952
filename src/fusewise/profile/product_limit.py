"""The product-limit estimate: which share has arrived by a time, where some are still open."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pandas as pd

FloatArray = npt.NDArray[np.float64]

# Their times stand in the table exactly, where they are reached.
MARKS = (0.25, 0.5, 0.75)


def product_limit(
    waited: npt.ArrayLike,
    arrived: npt.ArrayLike,
    at: npt.ArrayLike,
    confidence: float = 0.95,
    *,
    n: npt.ArrayLike | None = None,
) -> pd.DataFrame:
    """Estimate the share that has arrived by given times from waits of which some are open.

    The estimand is F(t), the probability that something arrives within t of its start: one minus
    Kaplan and Meier's estimate of the survival function. It assumes that who is no longer watched
    would have gone on like who still is (independent censoring); where waits are given up
    *because* nothing will come, it is too high. Samples are taken as independent: where they come
    in clusters the limits are too narrow.

    Limits hold at each time alone, not for the whole curve: Greenwood's variance on the scale
    log(-log). It is not defined where nobody or everybody has arrived. Before the first arrival
    the upper limit is the binomial one of those still watched; after the last, the lower limit is
    that of the time before (the curve cannot fall), or the binomial one where all came at once.

    Parameters
    ----------
    waited : array-like (n,)
        Time from the start to the arrival, or to the last time at which it was seen to be open.
    arrived : bool array-like (n,)
        Whether the wait ended with the arrival.
    at : array-like (k,)
        The times asked for, in the unit of `waited`; none beyond the longest wait.
    confidence : float, default 0.95
    n : int array-like (n,), optional
        How many each of `waited` stands for, where equal waits were counted before. Default: one.

    Returns
    -------
    DataFrame (k)
        ``time, share, low, high, at_risk``; the last counts who was still open and watched just
        before that time.

    References
    ----------
    E. L. Kaplan and P. Meier, Nonparametric estimation from incomplete observations, Journal of
    the American Statistical Association 53 (1958). M. Greenwood, The natural duration of cancer,
    Reports on Public Health and Medical Subjects 33 (1926). J. D. Kalbfleisch and R. L. Prentice,
    The Statistical Analysis of Failure Time Data (1980), for the scale of the limits.

    Examples
    --------
    Of four, two arrive after 1 and 3; one was last seen open after 2, one after 4:

    >>> product_limit([1, 2, 3, 4], [True, False, True, False], [1, 3])[["time", "share"]]
       time  share
    0   1.0  0.250
    1   3.0  0.625
    """
    waits, came = np.asarray(waited, dtype=float), np.asarray(arrived, dtype=bool)
    many = np.ones(len(waits), np.int64) if n is None else np.asarray(n, dtype=np.int64)
    times = np.asarray(at, dtype=float)
    steps, events = _counted(waits[came], many[came])
    order = np.argsort(waits, kind="stable")
    ordered = waits[order]
    # How many of the waits, in this order, end before each.
    before = np.concatenate([[0], np.cumsum(many[order])])
    open_before = before[-1] - before[np.searchsorted(ordered, steps)]
    still: FloatArray = np.cumprod(1 - events / open_before, dtype=np.float64)
    with np.errstate(divide="ignore"):
        terms = events / (open_before * (open_before - events))
    greenwood: FloatArray = np.cumsum(terms, dtype=np.float64)
    low, high = _limits(still, greenwood, open_before, confidence)

    # Step 0 is the time before any arrival.
    step = np.searchsorted(steps, times, side="right")
    at_risk = before[-1] - before[np.searchsorted(ordered, times)]
    nobody = 1 - ((1 - confidence) / 2) ** (1 / np.maximum(at_risk, 1))
    return pd.DataFrame(
        {
            "time": times,
            "share": np.concatenate([[0.0], 1 - still])[step],
            "low": np.concatenate([[0.0], low])[step],
            "high": np.where(step == 0, nobody, np.concatenate([[1.0], high])[step]),
            "at_risk": at_risk.astype(np.int64),
        }
    )


def _counted(waits: FloatArray, many: npt.NDArray[np.int64]) -> tuple[FloatArray, npt.NDArray]:
    """Return the distinct waits in order, and how many there are of each."""
    steps, place = np.unique(waits, return_inverse=True)
    events = np.zeros(len(steps), dtype=np.int64)
    np.add.at(events, place, many)
    return steps, events


def _limits(
    still: FloatArray, greenwood: FloatArray, open_before: npt.NDArray, confidence: float
) -> tuple[FloatArray, FloatArray]:
    """Limits of the share after each arrival; `still` is the share that is open."""
    if not len(still):
        return still, still
    low, high = np.zeros(len(still)), np.ones(len(still))
    inner = still > 0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    log = np.log(still[inner])
    power = np.exp(z * np.sqrt(greenwood[inner]) / np.abs(log))
    low[inner] = -np.expm1(log / power)
    high[inner] = -np.expm1(log * power)
    if not inner[-1]:
        at_once = ((1 - confidence) / 2) ** (1 / open_before[0])
        low[-1] = low[-2] if len(still) > 1 else at_once
    return low, high


def arrival_curve(
    waited: npt.ArrayLike, arrived: npt.ArrayLike, n_points: int, *, n: npt.ArrayLike | None = None
) -> pd.DataFrame:
    """Return the product-limit estimate on a grid of at most `n_points` times.

    The grid holds the times at which a quarter, a half and three quarters have arrived (where they
    do), quantiles of the observed arrivals, and the end: the longest wait. `n` is how many each of
    `waited` stands for.
    """
    waits, came = np.asarray(waited, dtype=float), np.asarray(arrived, dtype=bool)
    many = np.ones(len(waits), np.int64) if n is None else np.asarray(n, dtype=np.int64)
    steps, events = _counted(waits[came], many[came])
    marks: list[float] = []
    quantiles = steps
    if len(steps):
        # Without the allowance, rounding would put an exact half one step later.
        share = product_limit(waits, came, steps, n=many)["share"].to_numpy() + 1e-12
        marks = [float(steps[np.argmax(share >= mark)]) for mark in MARKS if share[-1] >= mark]
        levels = np.linspace(0, 1, n_points - 1 - len(marks))
        # The inverse of the empirical distribution, as of numpy's method "inverted_cdf".
        rank = np.maximum(np.ceil(levels * events.sum() - 1), 0)
        quantiles = steps[np.searchsorted(np.cumsum(events), rank, side="right")]
    grid = np.unique([*marks, *quantiles, waits.max()])
    return product_limit(waits, came, grid, n=many)
