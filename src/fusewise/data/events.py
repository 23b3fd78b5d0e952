"""Storage of an events modality, and its summaries per variable."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from fusewise.data.tables import execute

IntArray = npt.NDArray[np.intp]
FloatArray = npt.NDArray[np.float64]

STATISTICS = ("count", "first", "last", "max", "mean", "min", "since_last", "slope", "std")
_FROM_DATABASE = ("count", "first", "last", "max", "mean", "min", "last_time", "slope", "std")


@dataclass(frozen=True)
class EventBlock:
    """Events of all samples, sorted by sample, variable, time and value.

    The order is canonical, so that neither the order of the rows in the table nor of events at
    one time has any effect. Values are finite; ``start`` (n_samples + 1,) delimits each sample.
    """

    start: IntArray
    time: FloatArray
    variable: npt.NDArray[np.int32]
    value: FloatArray
    variables: tuple[str, ...]
    _cache: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    kind = "events"

    def feature_names(self) -> list[str]:
        return sorted(f"{v}:{s}" for v in self.variables for s in STATISTICS)

    def features(
        self, samples: IntArray, reference: float | None, cutoffs: FloatArray | None
    ) -> pd.DataFrame:
        row_of, summaries = self._summaries()
        rows = row_of[samples]
        taken = np.full((len(rows), *summaries.shape[1:]), np.nan)
        taken[rows >= 0] = summaries[rows[rows >= 0]]
        counts, last_times = STATISTICS.index("count"), STATISTICS.index("since_last")
        taken[:, :, counts] = np.nan_to_num(taken[:, :, counts])
        now = np.full(len(rows), 0.0 if reference is None else reference)
        if cutoffs is not None:
            now = np.where(np.isnan(cutoffs), now, cutoffs)
        taken[:, :, last_times] = now[:, None] - taken[:, :, last_times]
        names = [f"{v}:{s}" for v in self.variables for s in STATISTICS]
        order = np.argsort(np.array(names, dtype=object), kind="stable") if names else []
        flat = taken.reshape(len(rows), len(names))[:, order]
        return pd.DataFrame(flat, columns=[names[i] for i in order])

    def events(self, samples: IntArray) -> pd.DataFrame:
        """Return the raw events of the given samples; ``position`` counts within `samples`."""
        rows, position = self._rows(samples)
        variables = np.array(self.variables, dtype=object)
        frame = pd.DataFrame(
            {
                "position": position,
                "time": self.time[rows],
                "variable": pd.Categorical.from_codes(
                    self.variable[rows], categories=variables.tolist()
                ),
                "value": self.value[rows],
            }
        )
        order = np.lexsort((frame["value"], self.variable[rows], frame["time"], position))
        return frame.iloc[order].reset_index(drop=True)

    def last_time(self, samples: IntArray) -> float | None:
        rows, _ = self._rows(samples)
        return float(self.time[rows].max()) if len(rows) else None

    def take(self, samples: IntArray) -> EventBlock:
        """Return the block of the given samples alone (what a pickled slice carries)."""
        rows, _ = self._rows(samples)
        lengths = np.diff(self.start)[samples]
        start = np.concatenate([[0], np.cumsum(lengths)]).astype(np.intp)
        block = EventBlock(
            start, self.time[rows], self.variable[rows], self.value[rows], self.variables
        )
        if "summaries" in self._cache:
            # Summaries cost a pass over all events; a slice keeps the part that it needs.
            row_of, summaries = self._cache["summaries"]
            kept = row_of[samples]
            renumbered = np.full(len(samples), -1, dtype=np.intp)
            renumbered[kept >= 0] = np.arange(int((kept >= 0).sum()))
            block._cache["summaries"] = renumbered, summaries[kept[kept >= 0]]
        return block

    def _rows(self, samples: IntArray) -> tuple[IntArray, IntArray]:
        lengths = np.diff(self.start)[samples]
        position = np.repeat(np.arange(len(samples)), lengths)
        offset = np.repeat(self.start[samples] - np.cumsum(lengths) + lengths, lengths)
        return (np.arange(len(position)) + offset).astype(np.intp), position

    def _summaries(self) -> tuple[IntArray, FloatArray]:
        if "summaries" not in self._cache:
            self._cache["summaries"] = _summarise(self)
        result: tuple[IntArray, FloatArray] = self._cache["summaries"]
        return result


def _summarise(block: EventBlock) -> tuple[IntArray, FloatArray]:
    """Compute the summaries in the database: one row per sample and variable that it has.

    Returns ``row_of`` (n_samples,), -1 for a sample without events, and the summaries
    (n_rows, n_variables, n_statistics), NaN where a sample lacks a variable. In the place of
    ``since_last`` stands the time of the last event; what it is measured against is decided later.
    """
    import ibis

    n_samples = len(block.start) - 1
    lengths = np.diff(block.start)
    row_of = np.full(n_samples, -1, dtype=np.intp)
    row_of[lengths > 0] = np.arange(int((lengths > 0).sum()))
    summaries = np.full(
        (int((lengths > 0).sum()), len(block.variables), len(STATISTICS)), np.nan
    )
    if len(block.time) == 0:
        return row_of, summaries
    events = ibis.memtable(
        pa.table(
            {
                "row": row_of[np.repeat(np.arange(n_samples), lengths)].astype(np.int32),
                "variable": block.variable,
                "time": block.time,
                "value": block.value,
            }
        )
    )
    # Rows arrive sorted by time and value and one thread reads them, so that of several values at
    # the first or last time always the smallest is taken.
    value, time = events.value, events.time
    grouped = events.group_by(["row", "variable"]).agg(
        count=value.count().cast("float64"),
        first=value.argmin(time),
        last=value.argmax(time),
        max=value.max(),
        mean=value.mean(),
        min=value.min(),
        last_time=time.max(),
        slope=time.cov(value, how="pop") / time.var(how="pop").nullif(0.0),
        std=value.std(how="pop"),
    )
    result = execute(grouped)
    rows = result.column("row").to_numpy()
    variables = result.column("variable").to_numpy()
    for index, name in enumerate(_FROM_DATABASE):
        column = result.column(name).to_numpy(zero_copy_only=False)
        summaries[rows, variables, index] = column
    summaries[~np.isfinite(summaries)] = np.nan
    return row_of, summaries
