"""Features of event streams: those that know neither time nor order, and those that do."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

# Thirds of the time span: early, middle, late.
N_WINDOWS = 3
MAX_PAIRED = 5
MAX_VARIABLES = 40


def untimed(summary: pd.DataFrame) -> pd.DataFrame:
    """Keep the summaries of events that stay the same when times are dealt out anew."""
    kept = ("count", "max", "mean", "min", "std")
    return summary[[c for c in summary.columns if c.rpartition(":")[2] in kept]]


def timed(events: pd.DataFrame, n_samples: int, horizon: tuple[float, float]) -> pd.DataFrame:
    """Describe when events happen, and in which order, sample by sample.

    Parameters
    ----------
    events : DataFrame
        ``position, time, variable, value``, in any order; `time` as an age at prediction or on
        any other clock that is the same for all samples.
    n_samples : int
    horizon : (float, float)
        First and last time of the clock, between which the windows lie.

    Returns
    -------
    DataFrame (n_samples, n_features)
        Of all events: first and last occasion, number of occasions, median and smallest gap,
        coefficient of variation of the gaps. Of each of the most frequent variables: mean and
        spread of its times, its first and last value, slope, mean step between neighbours, when it
        was highest and lowest, and count and mean in thirds of the horizon. Of each pair of the
        five most frequent ones: for how many events of the one the nearest event of the other
        follows rather than precedes, after the delay asymmetry of Quian Quiroga, Kreuz and
        Grassberger (2002, Physical Review E 66:041904). NaN where there is nothing to tell.
    """
    events = events.sort_values(["position", "time", "variable", "value"], ignore_index=True)
    columns = _occasions(events, n_samples)
    count = events["variable"].value_counts()
    common = sorted(count.index[count > 0], key=lambda v: (-count[v], str(v)))[:MAX_VARIABLES]
    parts = {v: events[(events["variable"] == v).to_numpy()] for v in common}
    for variable, part in parts.items():
        own = _course(part, n_samples, horizon)
        columns |= {f"{variable}:{name}": column for name, column in own.items()}
    for one, other in combinations(sorted(common[:MAX_PAIRED], key=str), 2):
        columns[f"{one}<{other}"] = _precedence(parts[one], parts[other], n_samples)
    return pd.DataFrame(columns)


def _occasions(events: pd.DataFrame, n: int) -> dict[str, FloatArray]:
    distinct = events.drop_duplicates(["position", "time"])
    position, time = _columns(distinct)
    gaps = np.diff(time)[np.diff(position) == 0]
    between = pd.Series(gaps).groupby(position[1:][np.diff(position) == 0])
    mean = between.mean()
    return {
        ":occasions": _spread(pd.Series(time).groupby(position).size(), n),
        ":first": _spread(pd.Series(time).groupby(position).min(), n),
        ":last": _spread(pd.Series(time).groupby(position).max(), n),
        ":gap": _spread(between.median(), n),
        ":smallest_gap": _spread(between.min(), n),
        ":irregularity": _spread(between.std(ddof=0) / mean.where(mean > 0), n),
    }


def _course(part: pd.DataFrame, n: int, horizon: tuple[float, float]) -> dict[str, FloatArray]:
    position, time = _columns(part)
    value = part["value"].to_numpy(dtype=float)
    at, of = pd.Series(time).groupby(position), pd.Series(value).groupby(position)
    moment, level = at.transform("mean").to_numpy(), of.transform("mean").to_numpy()
    together = pd.Series((time - moment) * (value - level)).groupby(position).sum()
    around = pd.Series((time - moment) ** 2).groupby(position).sum()
    same = np.diff(position) == 0
    steps = pd.Series(np.abs(np.diff(value))[same]).groupby(position[1:][same])
    columns = {
        "time": at.mean(),
        "time_spread": at.std(ddof=0),
        "first": of.first(),
        "last": of.last(),
        "slope": together / around.where(around > 0),
        "step": steps.mean(),
        "highest_at": _time_of_first(position, time, value, -1),
        "lowest_at": _time_of_first(position, time, value, 1),
    }
    spread = {name: _spread(column, n) for name, column in columns.items()}
    start, end = horizon
    width = (end - start) / N_WINDOWS or 1.0
    window = np.clip((time - start) // width, 0, N_WINDOWS - 1).astype(np.intp)
    has = np.bincount(position, minlength=n) > 0
    for w in range(N_WINDOWS):
        inside = window == w
        count = np.bincount(position[inside], minlength=n).astype(float)
        spread[f"count_{w}"] = np.where(has, count, np.nan)
        spread[f"mean_{w}"] = _spread(pd.Series(value[inside]).groupby(position[inside]).mean(), n)
    return spread


def _time_of_first(position: IntArray, time: FloatArray, value: FloatArray, sign: int) -> pd.Series:
    """Time of the lowest value of each sample (`sign` 1), or of its highest one (-1)."""
    known = np.flatnonzero(~np.isnan(value))
    order = known[np.lexsort((time[known], sign * value[known], position[known]))]
    first = np.unique(position[order], return_index=True)[1]
    return pd.Series(time[order][first], position[order][first])


def _precedence(one: pd.DataFrame, other: pd.DataFrame, n: int) -> FloatArray:
    """Share of the events of `one` whose nearest event of `other` follows, less that it precedes.

    Events at the very same time count as neither.
    """
    position, time = _columns(one)
    where, when = _columns(other)
    # Sample by sample on one line: samples lie further apart than any two events of one.
    far = 4 * (max(np.ptp(time) if len(time) else 0, np.ptp(when) if len(when) else 0) + 1)
    low = min(time.min(initial=np.inf), when.min(initial=np.inf))
    line, others = position * far + time - low, where * far + when - low
    place = np.searchsorted(others, line)
    before = np.append(-np.inf, others)[place]
    after = np.append(others, np.inf)[np.searchsorted(others, line, side="right")]
    ahead, behind = after - line, line - before
    at_once = np.append(others, np.inf)[place] == line
    met = np.minimum(ahead, behind) < far / 2
    sign = np.where(at_once, 0.0, np.sign(behind - ahead))
    return _spread(pd.Series(sign[met]).groupby(position[met]).mean(), n)


def _columns(part: pd.DataFrame) -> tuple[IntArray, FloatArray]:
    return part["position"].to_numpy(dtype=np.intp), part["time"].to_numpy(dtype=float)


def _spread(values: pd.Series, n: int) -> FloatArray:
    """Lay out values by position (their index) for all samples; NaN for those without."""
    full = np.full(n, np.nan)
    full[values.index.to_numpy(dtype=np.intp)] = values.to_numpy(dtype=float)
    return full
