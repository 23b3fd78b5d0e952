"""Reading a modality of kind ``table``: at most one row per sample."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fusewise.data.blocks import TableBlock, split_columns, stack
from fusewise.data.columns import shown, to_keys, to_times
from fusewise.data.ingested import COUNTS, ReadModality, Source, keep
from fusewise.data.point_in_time import rows_that_count
from fusewise.data.tables import fetch
from fusewise.exceptions import DatasetError, DuplicateIdError

IntArray = npt.NDArray[np.intp]


def read_table(source: Source) -> ReadModality:
    """Read a table modality: numeric, categorical and list columns, one row per sample."""
    what, index = source.what, source.index
    columns = source.feature_columns()
    if not columns:
        raise DatasetError(f"{what}: it has no feature column besides its ids and times.")
    table = fetch(source.table, [source.key, *source.timed, *columns])
    counts = dict.fromkeys(COUNTS, 0) | {"rows": table.num_rows}
    positions = index.positions(to_keys(table.column(source.key), what), what)
    table, positions, left_out = rows_that_count(source, table, positions)
    counts |= left_out
    table, positions = _one_row_each(source, table, positions)
    numeric, categorical, counts["infinities"] = split_columns(table, columns, what)
    if source.modality.absent_when == "all_null":
        written = np.zeros(len(positions), dtype=bool)
        for values in numeric.values():
            written |= ~np.isnan(values)
        for words in categorical.values():
            written |= np.array([w is not None for w in words], dtype=bool)
        counts["declared_absent"] = int((~written).sum())
        numeric = {name: values[written] for name, values in numeric.items()}
        categorical = {name: words[written] for name, words in categorical.items()}
        positions = positions[written]
    del table
    row_of = np.full(len(index.ids), -1, dtype=np.intp)
    row_of[positions] = np.arange(len(positions))
    numeric_names, words_names = tuple(sorted(numeric)), tuple(sorted(categorical))
    block = TableBlock(
        row_of,
        numeric_names,
        stack(numeric, len(positions), np.float64),
        words_names,
        stack(categorical, len(positions), object),
    )
    counts["missing_values"] = block.n_missing()
    presence = row_of >= 0 if source.declared is None else source.declared
    return ReadModality(block, presence, counts)


def _one_row_each(
    source: Source, table: pa.Table, positions: IntArray
) -> tuple[pa.Table, IntArray]:
    """Sort rows by sample; of several rows of one sample keep the latest, where times tell."""
    clock = source.modality.time or source.modality.available_at
    if clock is None:
        times = np.zeros(len(positions))
    else:
        times = to_times(table.column(clock), source.what)
    order = np.lexsort((times, positions))
    positions, times = positions[order], times[order]
    same = positions[1:] == positions[:-1]
    final = np.append(~same, True)[: len(positions)]
    tied = same & final[1:] & (times[1:] == times[:-1])
    if tied.any():
        repeated = source.index.ids[np.unique(positions[1:][tied])]
        remedy = (
            "name their time= (the latest known row counts)"
            if clock is None
            else f"give their rows different times in {clock!r}"
        )
        raise DuplicateIdError(
            f"{source.what}: kind 'table' takes one row per sample, but {len(repeated):,} samples "
            f"have several (e.g. {shown(repeated)}). Remove the others, {remedy}, or declare "
            "kind='events'."
        )
    if (order[1:] < order[:-1]).any():
        table = table.take(pa.array(order))
    return keep(table, positions, final)
