"""Reading one modality: point in time first, then presence, then values."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fusewise.data.blocks import TableBlock, split_columns, stack
from fusewise.data.events import EventBlock
from fusewise.data.modality import Modality
from fusewise.data.tables import (
    execute,
    fetch,
    is_number,
    is_time,
    open_table,
    require_columns,
    to_floats,
    to_keys,
)
from fusewise.exceptions import DatasetError, DuplicateIdError, FusewiseWarning

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

COUNTS = (
    "rows",
    "unknown_ids",
    "after_prediction_time",
    "without_time",
    "declared_absent",
    "infinities",
    "missing_values",
)


@dataclass(frozen=True)
class SampleIndex:
    """What reading a modality needs to know about the samples."""

    id: str
    ids: npt.NDArray[Any]
    cutoffs: FloatArray | None
    cutoff_is_time: bool
    reserved: frozenset[str]

    def positions(self, keys: npt.NDArray[Any], what: str) -> IntArray:
        """Return the position of each key among the samples, -1 where it is unknown."""
        if len(keys) and (keys.dtype == object) != (self.ids.dtype == object):
            mine, theirs = (
                "text" if ids.dtype == object else "whole numbers" for ids in (self.ids, keys)
            )
            raise DatasetError(
                f"{what}: its ids are {theirs} (e.g. {keys[0]!r}) but the ids of the samples are "
                f"{mine} (e.g. {self.ids[0]!r}). Store both as one type."
            )
        found = pd.Index(self.ids).get_indexer(pd.Index(keys)).astype(np.intp)
        if len(keys) and not (found >= 0).any():
            raise DatasetError(
                f"{what}: none of its {len(keys):,} rows belongs to a known sample (its ids look "
                f"like {keys[0]!r}, those of the samples like {self.ids[0]!r}). Check id=."
            )
        return found


@dataclass(frozen=True)
class ReadModality:
    """A modality in memory: values, who has it, and what was counted on the way."""

    block: TableBlock | EventBlock
    presence: BoolArray
    counts: dict[str, int]


def read_modality(
    name: str, modality: Modality, index: SampleIndex, declared: BoolArray | None
) -> ReadModality:
    """Read one modality for the given samples.

    Rows that could not be known at prediction time are counted and discarded before presence is
    computed; rows of samples that are declared absent are discarded unseen.
    """
    modality.check(name)
    what = f"modality {name!r}"
    table = open_table(modality.table, what=what)
    key = modality.id or index.id
    named = [c for c in (key, modality.time, modality.available_at) if c]
    require_columns(table, [*named, *(modality.columns or ())], what)
    read = _read_events if modality.kind == "events" else _read_table
    result = read(what, table, modality, key, index, declared)
    if not result.presence.any():
        warnings.warn(f"{what}: no sample has it.", FusewiseWarning, stacklevel=4)
    return result


def _feature_columns(
    what: str, table: Any, modality: Modality, key: str, index: SampleIndex
) -> list[str]:
    taken = {key, modality.time, modality.available_at, index.id}
    if modality.columns is not None:
        leaked = sorted(set(modality.columns) & index.reserved)
        if leaked:
            raise DatasetError(
                f"{what}: {', '.join(leaked)} is a column of the samples table (target, cluster, "
                "split, time) and can be no feature. Take it out of columns=."
            )
        return list(modality.columns)
    reserved = [c for c in table.columns if c in index.reserved and c not in taken]
    if reserved:
        warnings.warn(
            f"{what}: {', '.join(reserved)} also stands in the samples table as target, cluster, "
            "split or time; it is no feature and was left out.",
            FusewiseWarning,
            stacklevel=5,
        )
    return [c for c in table.columns if c not in taken and c not in index.reserved]


def _in_time(
    what: str, table: pa.Table, modality: Modality, positions: IntArray, index: SampleIndex
) -> tuple[BoolArray, int, int]:
    """Return which rows could be known at prediction time, and how many could not or say no time."""
    column = modality.available_at or modality.time
    if column is None:
        return np.ones(len(positions), dtype=bool), 0, 0
    times = to_floats(table.column(column), f"{what}, column {column!r}")
    untimed = ~np.isfinite(times)
    if index.cutoffs is None:
        return ~untimed, 0, int(untimed.sum())
    if len(times) and is_time(table.column(column).type) != index.cutoff_is_time:
        raise DatasetError(
            f"{what}: column {column!r} and the prediction time must be of one type, both numbers "
            "or both timestamps."
        )
    cutoffs = index.cutoffs[positions]
    late = ~untimed & ~np.isnan(cutoffs) & (times > cutoffs)
    return ~untimed & ~late, int(late.sum()), int(untimed.sum())


def _read_table(
    what: str,
    source: Any,
    modality: Modality,
    key: str,
    index: SampleIndex,
    declared: BoolArray | None,
) -> ReadModality:
    columns = _feature_columns(what, source, modality, key, index)
    if not columns:
        raise DatasetError(f"{what}: it has no feature column besides its ids and times.")
    timed = [c for c in (modality.time, modality.available_at) if c]
    table = fetch(source, [key, *timed, *columns])
    counts = dict.fromkeys(COUNTS, 0) | {"rows": table.num_rows}
    positions = index.positions(to_keys(table.column(key), what), what)
    counts["unknown_ids"] = int((positions < 0).sum())
    table, positions = _keep(table, positions, positions >= 0)
    known, counts["after_prediction_time"], counts["without_time"] = _in_time(
        what, table, modality, positions, index
    )
    table, positions = _keep(table, positions, known)
    if declared is not None:
        counts["declared_absent"] = int((~declared[positions]).sum())
        table, positions = _keep(table, positions, declared[positions])
    table, positions = _one_row_each(what, table, modality, positions, index)
    numeric, categorical, counts["infinities"], counts["missing_values"] = split_columns(
        table, columns, what
    )
    row_of = np.full(len(index.ids), -1, dtype=np.intp)
    row_of[positions] = np.arange(len(positions))
    block = TableBlock(
        row_of,
        tuple(sorted(numeric)),
        stack(numeric, len(positions), np.float64),
        tuple(sorted(categorical)),
        stack(categorical, len(positions), object),
    )
    if declared is not None:
        return ReadModality(block, declared, counts)
    presence = row_of >= 0
    if modality.absent_when == "all_null":
        empty = np.isnan(block.numeric).all(axis=1)
        empty &= np.array([all(v is None for v in row) for row in block.categorical], dtype=bool)
        presence[positions[empty]] = False
        counts["declared_absent"] = int(empty.sum())
    return ReadModality(block, presence, counts)


def _one_row_each(
    what: str, table: pa.Table, modality: Modality, positions: IntArray, index: SampleIndex
) -> tuple[pa.Table, IntArray]:
    """Sort rows by sample; of several rows of one sample keep the latest, where times tell."""
    if modality.time is None:
        order = np.argsort(positions, kind="stable")
    else:
        times = to_floats(table.column(modality.time), what)
        order = np.lexsort((times, positions))
    positions = positions[order]
    repeated = positions[1:] == positions[:-1]
    if repeated.any():
        if modality.time is None:
            tied = repeated
        else:
            sorted_times = times[order]
            final = np.append(~repeated, True)[1:]
            tied = repeated & final & (sorted_times[1:] == sorted_times[:-1])
        if tied.any():
            examples = ", ".join(repr(i) for i in index.ids[np.unique(positions[1:][tied])][:3])
            raise DuplicateIdError(
                f"{what}: kind 'table' takes one row per sample, but {int(tied.sum()):,} rows "
                f"repeat an id (e.g. {examples}). Remove them, name their time= (the latest known "
                "row counts), or declare kind='events'."
            )
        last = np.append(~repeated, True)
        order, positions = order[last], positions[last]
    return table.take(pa.array(order)), positions


def _read_events(
    what: str,
    source: Any,
    modality: Modality,
    key: str,
    index: SampleIndex,
    declared: BoolArray | None,
) -> ReadModality:
    import ibis

    assert modality.time is not None
    timed = list(dict.fromkeys([modality.time, modality.available_at or modality.time]))
    long = modality.variable is not None
    if long:
        assert modality.variable is not None and modality.value is not None
        require_columns(source, [modality.variable, modality.value], what)
        selected = source.select(
            key, *timed, source[modality.variable].cast("string").name("_variable"),
            source[modality.value].name("_value"),
        )  # fmt: skip
        if modality.columns:
            raise DatasetError(f"{what}: columns= is for wide events; long ones name value=.")
    else:
        columns = _feature_columns(what, source, modality, key, index)
        _require_numbers(what, source, columns)
        selected = source.select(key, *timed, *(source[c].cast("float64") for c in columns))
    counts = dict.fromkeys(COUNTS, 0)
    # Keys are looked up once per distinct id, not once per event.
    keys = to_keys(execute(selected.select(key).distinct()).column(key), what)
    found = index.positions(keys, what)
    lookup = ibis.memtable(
        pa.table(
            {
                "_key": pa.array(keys[found >= 0].tolist(), _key_type(keys)),
                "_position": found[found >= 0].astype(np.int64),
            }
        )
    )
    counts["rows"] = int(execute(selected.aggregate(n=selected.count())).column("n")[0].as_py())
    joined = selected.inner_join(lookup, selected[key].cast(_ibis_type(keys)) == lookup["_key"])
    joined = joined.drop("_key", key)
    if not long:
        known_rows = execute(joined.select("_position", *timed))
        counts["unknown_ids"] = counts["rows"] - known_rows.num_rows
        joined = joined.pivot_longer(
            ibis.selectors.cols(*columns), names_to="_variable", values_to="_value"
        )
    table = execute(joined)
    if long:
        known_rows = table
        counts["unknown_ids"] = counts["rows"] - table.num_rows
    positions = table.column("_position").to_numpy().astype(np.intp)
    kept, late, untimed = _in_time(what, table, modality, positions, index)
    if not long:
        row_positions = known_rows.column("_position").to_numpy().astype(np.intp)
        row_kept, late, untimed = _in_time(what, known_rows, modality, row_positions, index)
    else:
        row_positions, row_kept = positions, kept
    counts["after_prediction_time"], counts["without_time"] = late, untimed
    presence = np.zeros(len(index.ids), dtype=bool)
    presence[row_positions[row_kept]] = True
    table, positions = _keep(table, positions, kept)
    if declared is not None:
        absent_rows = row_kept & ~declared[row_positions]
        counts["declared_absent"] = int(absent_rows.sum())
        table, positions = _keep(table, positions, declared[positions])
        presence = declared
    values = _event_values(what, modality, table, positions, index)
    counts["infinities"] = int(np.isinf(values).sum())
    if long:
        counts["missing_values"] = int((~np.isfinite(values)).sum())
    unnamed = np.asarray(table.column("_variable").is_null())
    finite = np.isfinite(values) & ~unnamed
    table, positions, values = *_keep(table, positions, finite), values[finite]
    return ReadModality(_event_block(table, modality.time, positions, values, index, what), presence, counts)  # fmt: skip


def _event_block(
    table: pa.Table,
    time: str,
    positions: IntArray,
    values: FloatArray,
    index: SampleIndex,
    what: str,
) -> EventBlock:
    encoded = table.column("_variable").cast(pa.string()).combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    names = np.array(encoded.dictionary.to_pylist(), dtype=object)
    order = np.argsort(names) if len(names) else np.zeros(0, dtype=np.intp)
    rank = np.empty(len(names), dtype=np.int32)
    rank[order] = np.arange(len(names), dtype=np.int32)
    codes = rank[np.asarray(encoded.indices)] if len(names) else np.zeros(0, dtype=np.int32)
    times = to_floats(table.column(time), what)
    canonical = np.lexsort((values, times, codes, positions))
    start = np.searchsorted(positions[canonical], np.arange(len(index.ids) + 1)).astype(np.intp)
    return EventBlock(
        start, times[canonical], codes[canonical], values[canonical], tuple(names[order])
    )


def _event_values(
    what: str, modality: Modality, table: pa.Table, positions: IntArray, index: SampleIndex
) -> FloatArray:
    try:
        return to_floats(table.column("_value"), f"{what}, column {modality.value!r}")
    except DatasetError as error:
        text = table.column("_value")
        if not (pa.types.is_string(text.type) or pa.types.is_large_string(text.type)):
            raise
        numbers = pd.to_numeric(text.to_pandas(), errors="coerce").isna().to_numpy()
        bad = int(np.argmax(numbers & ~np.asarray(pc.is_null(text))))
        raise DatasetError(
            f"{error} The first belongs to sample {index.ids[positions[bad]]!r}, variable "
            f"{table.column('_variable')[bad].as_py()!r}."
        ) from None


def _require_numbers(what: str, source: Any, columns: list[str]) -> None:
    if not columns:
        raise DatasetError(f"{what}: wide events need at least one variable column.")
    schema = source.schema().to_pyarrow()
    for column in columns:
        kind = schema.field(column).type
        if not is_number(kind):
            raise DatasetError(
                f"{what}, column {column!r}: expected numbers, got {kind}. Give long events "
                "variable= and value=, or leave the column out with columns=."
            )


def _keep(table: pa.Table, positions: IntArray, mask: BoolArray) -> tuple[pa.Table, IntArray]:
    if mask.all():
        return table, positions
    return table.filter(pa.array(mask)), positions[mask]


def _key_type(keys: npt.NDArray[Any]) -> pa.DataType:
    return pa.string() if keys.dtype == object else pa.int64()


def _ibis_type(keys: npt.NDArray[Any]) -> str:
    return "string" if keys.dtype == object else "int64"
