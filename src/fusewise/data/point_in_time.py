"""Point in time: which rows count for a sample, decided before presence and before any value."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fusewise.data.columns import LARGEST, clock_of, to_times
from fusewise.data.ingested import Source, keep
from fusewise.exceptions import DatasetError

IntArray = npt.NDArray[np.intp]


def rows_that_count(
    source: Source, table: pa.Table, positions: IntArray
) -> tuple[pa.Table, IntArray, dict[str, int]]:
    """Return the rows of known samples that could be known in time and are not declared absent.

    A row counts if its ``available_at`` (else its ``time``) is not after the prediction time of
    its sample; a row at exactly that time counts. A row that lacks a time could be from the future
    and does not count.

    Parameters
    ----------
    source : Source
    table : Arrow table (n_rows)
    positions : int array (n_rows,)
        The sample of each row, -1 where it is unknown.

    Returns
    -------
    table, positions
        The rows that count.
    counts : dict
        How many rows were left out for which reason, each row for the first that applies.
    """
    counts = {"unknown_ids": int((positions < 0).sum())}
    table, positions = keep(table, positions, positions >= 0)

    untimed = np.zeros(len(positions), dtype=bool)
    for column in source.timed:
        times = to_times(table.column(column), f"{source.what}, column {column!r}")
        untimed |= ~(np.abs(times) <= LARGEST)
    late = np.zeros(len(positions), dtype=bool)
    if source.timed and source.index.cutoffs is not None:
        # The last one that is named: available_at where there is one.
        _require_clock(source, table, column)
        late = ~untimed & (times > source.index.cutoffs[positions])
    counts["after_prediction_time"] = int(late.sum())
    counts["without_time"] = int(untimed.sum())
    table, positions = keep(table, positions, ~untimed & ~late)

    counts["declared_absent"] = 0
    if source.declared is not None:
        declared = source.declared[positions]
        counts["declared_absent"] = int((~declared).sum())
        table, positions = keep(table, positions, declared)
    return table, positions, counts


def _require_clock(source: Source, table: pa.Table, column: str) -> None:
    clock = clock_of(table.column(column).type)
    if clock is not None and clock != source.index.clock:
        raise DatasetError(
            f"{source.what}: column {column!r} holds {clock}, the prediction time is given in "
            f"{source.index.clock}. Store both in one way, or nothing can be said of before and "
            "after."
        )
