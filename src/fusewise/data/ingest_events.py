"""Reading a modality of kind ``events``: any number of time-stamped rows per sample."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fusewise.data.columns import LARGEST, clock_of, is_number, parse_floats, to_keys, to_times
from fusewise.data.events import EventBlock
from fusewise.data.ingested import COUNTS, ReadModality, Source
from fusewise.data.point_in_time import rows_that_count
from fusewise.data.tables import execute, require_columns
from fusewise.exceptions import DatasetError

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

_UNNAMED, _RESERVED = -1, -2


def read_events(source: Source) -> ReadModality:
    """Read events in long form (variable and value are columns) or wide (a column per variable).

    In wide form an empty cell says that the variable was not measured at that time; in long form
    a row without a value is counted as a missing value.
    """
    import ibis

    long = source.modality.variable is not None
    selected, variables = _long_rows(source) if long else _wide_rows(source)
    joined, counts = _known_samples(source, selected)
    if long:
        values, positions, left_out = _that_count(source, joined)
        present = positions
    else:
        # Presence follows the rows, also those without any value; values follow the cells.
        _, present, left_out = _that_count(source, joined.select("_position", *source.timed))
        cells = joined.pivot_longer(
            ibis.selectors.cols(*variables), names_to="_variable", values_to="_value"
        )
        values, positions, _ = _that_count(source, cells.filter(cells["_value"].notnull()))
    counts |= left_out

    numbers = _numbers(source, values, positions)
    codes, names = _variables(source, values)
    is_value = np.abs(numbers) <= LARGEST
    counts["infinities"] = int((np.abs(numbers) > LARGEST).sum())
    counts["missing_values"] = int((~is_value | (codes == _UNNAMED)).sum())
    usable = is_value & (codes >= 0)
    presence = np.zeros(len(source.index.ids), dtype=bool)
    if source.modality.absent_when == "all_null":
        presence[positions[usable]] = True
        counts["declared_absent"] = int((~presence[present]).sum())
    else:
        presence[present] = True
    time = values.column(source.timed[0])
    block = EventBlock.of(
        len(presence),
        positions[usable],
        to_times(time, source.what)[usable],
        codes[usable],
        numbers[usable],
        names,
    )
    if source.declared is not None:
        presence = source.declared
    return ReadModality(block, presence, counts, clock_of(time.type))


def _long_rows(source: Source) -> tuple[Any, list[str]]:
    variable, value = source.modality.variable, source.modality.value
    assert variable is not None and value is not None  # noqa: PT018 - Modality.check
    if source.modality.columns:
        raise DatasetError(f"{source.what}: columns= is for wide events; long ones name value=.")
    require_columns(source.table, [variable, value], source.what)
    rows = source.table.select(
        source.key,
        *source.timed,
        source.table[variable].cast("string").name("_variable"),
        source.table[value].name("_value"),
    )
    return rows, []


def _wide_rows(source: Source) -> tuple[Any, list[str]]:
    columns = source.feature_columns()
    if not columns:
        raise DatasetError(f"{source.what}: wide events need at least one variable column.")
    schema = source.table.schema().to_pyarrow()
    for column in columns:
        kind = schema.field(column).type
        if not (is_number(kind) or pa.types.is_null(kind)):
            raise DatasetError(
                f"{source.what}, column {column!r}: expected numbers, got {kind}. Give long events "
                "variable= and value=, or leave the column out with columns=."
            )
    floats = (source.table[c].cast("float64").name(c) for c in columns)
    return source.table.select(source.key, *source.timed, *floats), columns


def _known_samples(source: Source, rows: Any) -> tuple[Any, dict[str, int]]:
    """Join each row to the position of its sample, in the database; count those without one."""
    import ibis

    # Ids are looked up once per distinct id, not once per event.
    per_id = execute(rows.group_by(source.key).agg(_n=rows.count()))
    keys = to_keys(per_id.column(source.key), source.what)
    n_rows = per_id.column("_n").to_numpy()
    found = source.index.positions(keys, source.what)
    text = keys.dtype == object
    lookup = ibis.memtable(
        pa.table(
            {
                "_key": pa.array(keys[found >= 0], pa.string() if text else pa.int64()),
                "_position": found[found >= 0].astype(np.int64),
            }
        )
    )
    key = rows[source.key].cast("string" if text else "int64")
    joined = rows.inner_join(lookup, key == lookup["_key"]).drop("_key", source.key)
    counts = dict.fromkeys(COUNTS, 0) | {"rows": int(n_rows.sum())}
    return joined, counts | {"unknown_ids": int(n_rows[found < 0].sum())}


def _that_count(source: Source, rows: Any) -> tuple[pa.Table, IntArray, dict[str, int]]:
    table = execute(rows)
    positions = table.column("_position").to_numpy().astype(np.intp)
    table, positions, counts = rows_that_count(source, table, positions)
    del counts["unknown_ids"]  # the join has left them out, and they are counted
    return table, positions, counts


def _numbers(source: Source, table: pa.Table, positions: IntArray) -> FloatArray:
    column = table.column("_value")
    try:
        values, bad = parse_floats(column)
    except pa.ArrowException:
        raise DatasetError(
            f"{source.what}, column {source.modality.value!r}: expected numbers, got values of "
            f"type {column.type}."
        ) from None
    if bad.any():
        first = int(np.argmax(bad))
        raise DatasetError(
            f"{source.what}, column {source.modality.value!r}: expected numbers, got "
            f"{column[first].as_py()!r} for variable {table.column('_variable')[first].as_py()!r} "
            f"of sample {source.index.ids[positions[first] :][:1].tolist()[0]!r} "
            f"({int(bad.sum()):,} such values). Clean them, or give words a modality of their own."
        )
    return values


def _variables(source: Source, table: pa.Table) -> tuple[npt.NDArray[np.int32], tuple[str, ...]]:
    """Return the variable of each row as a code, negative where it can be no feature, and names."""
    encoded = table.column("_variable").cast(pa.string()).combine_chunks().dictionary_encode()
    names = encoded.dictionary.to_pylist()
    source.warn_reserved(n for n in names if n in source.index.reserved)
    code_of = [_RESERVED if n in source.index.reserved else i for i, n in enumerate(names)]
    indices = np.asarray(encoded.indices.fill_null(len(names)))
    return np.array([*code_of, _UNNAMED], dtype=np.int32)[indices], tuple(names)
