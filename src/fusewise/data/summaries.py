"""Summaries of events per variable, computed in the database."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fusewise.data.ragged import gathered, restarted
from fusewise.data.tables import execute

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

# In alphabetical order, as the features are.
STATISTICS = ("count", "first", "last", "max", "mean", "min", "since_last", "slope", "std")


@dataclass(frozen=True)
class Summaries:
    """Summaries of the variables that each sample has, and of no others.

    ``start`` (n_samples + 1,) delimits each sample's groups; a group is one variable of one
    sample: its ``variable`` (n_groups,), ``values`` (n_groups, n_statistics) in the order of
    :data:`STATISTICS` and ``last_time`` (n_groups,), from which ``since_last`` is derived when it
    is known what it is measured against.
    """

    start: IntArray
    variable: npt.NDArray[np.int32]
    values: FloatArray
    last_time: FloatArray

    def take(self, samples: IntArray) -> Summaries:
        """Return the summaries of the given samples alone."""
        groups, _ = gathered(self.start, samples)
        return Summaries(
            restarted(self.start, samples),
            self.variable[groups],
            self.values[groups],
            self.last_time[groups],
        )


def summarise(
    start: IntArray, time: FloatArray, variable: npt.NDArray[np.int32], value: FloatArray
) -> Summaries:
    """Summarise events that are sorted by sample, variable, time and value.

    The slope is that of the least-squares line over time, the standard deviation that of the
    population (0 for a single event); a slope needs two distinct times. Of several values at the
    first or last time the smallest is ``first`` or ``last``.

    Parameters
    ----------
    start : int array (n_samples + 1,)
    time, variable, value : arrays (n_events,)
    """
    import ibis

    sample = np.repeat(np.arange(len(start) - 1), np.diff(start))
    is_first = np.ones(len(time), dtype=bool)
    is_first[1:] = (sample[1:] != sample[:-1]) | (variable[1:] != variable[:-1])
    first = np.flatnonzero(is_first)
    n_groups = len(first)
    groups = np.bincount(sample[first], minlength=len(start) - 1)
    group_start = np.concatenate([[0], np.cumsum(groups)]).astype(np.intp)
    values = np.full((n_groups, len(STATISTICS)), np.nan)
    last_time = np.zeros(n_groups)
    if n_groups:
        group = (np.cumsum(is_first) - 1).astype(np.int64)
        events = ibis.memtable(pa.table({"group": group, "time": time, "value": value}))
        of_value, of_time = events.value, events.time
        # One thread reads the sorted rows in order: sums have the same bits every time, and
        # argmin and argmax meet the smallest of tied values first.
        summary = events.group_by("group").agg(
            count=of_value.count().cast("float64"),
            first=of_value.argmin(of_time),
            last=of_value.argmax(of_time),
            max=of_value.max(),
            mean=of_value.mean(),
            min=of_value.min(),
            slope=of_time.cov(of_value, how="pop") / of_time.var(how="pop").nullif(0.0),
            std=of_value.std(how="pop"),
            last_time=of_time.max(),
        )
        table = execute(summary)
        found = table.column("group").to_numpy()
        last_time[found] = table.column("last_time").to_numpy()
        for column, name in enumerate(STATISTICS):
            if name != "since_last":
                values[found, column] = table.column(name).to_numpy(zero_copy_only=False)
        values[~np.isfinite(values)] = np.nan
    return Summaries(group_start, variable[first], values, last_time)
