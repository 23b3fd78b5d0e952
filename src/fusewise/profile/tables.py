"""Pattern counts of tables that outgrow memory: one pass in the table's own engine."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fusewise.data import execute, open_table
from fusewise.exceptions import (
    ColumnNotFoundError,
    DatasetError,
    TableNotFoundError,
    UnknownModalityError,
    did_you_mean,
)
from fusewise.profile.counts import PatternCounts

# Modalities per 64-bit integer; the bit above tells a name that nobody declared.
BITS = 60
FOREIGN = 60


def count_wide(
    table: Any, modalities: Sequence[str] | None, group: str | None, what: str
) -> PatternCounts:
    """Count the patterns of a table with one boolean presence column per modality.

    An empty cell (NULL) means absent. Integer columns count as present where they are not zero.
    """
    schema = table.schema()
    if modalities is None:
        modalities = [c for c in table.columns if schema[c].is_boolean() and c != group]
        if not modalities:
            raise DatasetError(
                f"{what}: it has no boolean column to tell presence (columns: "
                f"{_some(table.columns)}). Name them with modalities=, or give a long log with the "
                "columns request= and modality=."
            )
    _require(table, modalities, what, UnknownModalityError)
    keys = {}
    for index, name in enumerate(modalities):
        kind = schema[name]
        if not (kind.is_boolean() or kind.is_integer()):
            raise DatasetError(
                f"{what}, column {name!r}: expected booleans that tell presence, got {kind}."
            )
        keys[f"_m{index}"] = table[name] if kind.is_boolean() else table[name] != 0
    if group is not None:
        _require(table, [group], what, ColumnNotFoundError)
        keys["_group"] = table[group]
    return _count_columns(table.select(**keys), tuple(modalities), group)


def count_long(
    table: Any,
    modalities: Sequence[str] | None,
    group: str | None,
    what: str,
    *,
    request: str = "request",
    modality: str = "modality",
) -> PatternCounts:
    """Count the patterns of a log with one row per request and modality that came.

    Rows may repeat. A row whose modality is empty (NULL) stands for a request without any.
    """
    _require(table, [request, modality], what, ColumnNotFoundError)
    declared = modalities is not None
    if modalities is None:
        named = _run(table.select(_name=table[modality].cast("string")).distinct())["_name"]
        modalities = sorted(str(name) for name in named.dropna())
    if not modalities:
        raise DatasetError(f"{what}: column {modality!r} names no modality.")
    name = table[modality].cast("string")
    # A name that nobody declared is found in the same pass.
    foreign = name.notnull() if len(modalities) <= BITS else ~name.isin(modalities)
    flags = {}
    for word, part in enumerate(_words(modalities)):
        other = foreign.ifelse(1 << FOREIGN, 0) if declared and word == 0 else 0
        flags[f"_w{word}"] = name.cases(*((m, 1 << bit) for m, bit in part), else_=other)
    extra = {} if group is None else {"_group": table[group]}
    rows = table.select(_id=table[request], **flags, **extra)
    counts, n_foreign = _count_flags(rows, tuple(modalities), group)
    if n_foreign:
        named = _run(table.select(_name=name).distinct())["_name"].dropna()
        unknown = sorted(set(named) - set(modalities))
        raise UnknownModalityError(
            f"{what}: {n_foreign:,} requests came with {', '.join(map(repr, unknown))}, which is no "
            f"modality; there are {_some(modalities)}.{did_you_mean(unknown[0], modalities)} "
            "Rename or remove those rows."
        )
    return counts


def count_tables(
    tables: Mapping[str, Any], samples: Any, key: str, group: str | None, what: str
) -> PatternCounts:
    """Count the patterns of one table per modality, keyed by the id of the samples table.

    A sample has the modality when it has rows there; ids that the samples do not know have no
    effect.
    """
    _require(samples, [key], what, ColumnNotFoundError)
    if group is not None:
        _require(samples, [group], what, ColumnNotFoundError)
    keys = {"_group": samples[group]} if group is not None else {}
    for index, (name, table) in enumerate(tables.items()):
        _require(table, [key], f"modality {name!r}", ColumnNotFoundError)
        keys[f"_m{index}"] = samples[key].isin(table[key])
    return _count_columns(samples.select(**keys), tuple(tables), group)


def _count_columns(presence: Any, modalities: tuple[str, ...], group: str | None) -> PatternCounts:
    """Count the rows of equal boolean columns ``_m0``, ``_m1``, ... and ``_group``."""
    # Grouping by the columns themselves beats every packing of them into one number.
    result = _run(presence.group_by(presence.columns).agg(_n=presence.count()))
    columns = [result[f"_m{i}"].to_numpy(dtype=object) for i in range(len(modalities))]
    # An empty cell is absent; it compares equal to nothing.
    rows = np.column_stack([column == True for column in columns])  # noqa: E712
    return _counts(modalities, rows, result, group)


def _count_flags(
    rows: Any, modalities: tuple[str, ...], group: str | None
) -> tuple[PatternCounts, int]:
    """Reduce rows (id, flags[, group]) to counts; each id's flags are joined bit by bit.

    Returns the counts and the number of ids that came with a name nobody declared.
    """
    words = [c for c in rows.columns if c.startswith("_w")]
    join = _bit_or()
    per_id = {w: join(rows[w]) for w in words}
    if group is not None:
        per_id["_group"] = rows["_group"].max()
    patterns = rows.group_by("_id").agg(**per_id)
    result = _run(patterns.group_by(list(per_id)).agg(_n=patterns.count()))
    codes = [result[w].to_numpy(dtype=np.int64) for w in words]
    presence = np.zeros((len(result), len(modalities)), dtype=bool)
    for index in range(len(modalities)):
        presence[:, index] = codes[index // BITS] >> (index % BITS) & 1 == 1
    foreign = int(result["_n"][codes[0] >> FOREIGN & 1 == 1].sum())
    return _counts(modalities, presence, result, group), foreign


def open_source(source: Any, what: str, engine: Any = None) -> Any:
    """Open a path, frame, Arrow or Ibis table as an Ibis expression on `engine`.

    The data room reads with one thread, so that its sums keep their order. Counts have no order
    to keep: by default a file is read here by all threads of the machine.
    """
    if not isinstance(source, str | os.PathLike):
        return open_table(source, what=what)
    path = Path(source)
    if not path.exists():
        raise TableNotFoundError(f"{what}: no file or folder {str(path)!r}. Check the path.")
    engine = engine or new_engine()
    try:
        if path.suffix in (".csv", ".gz", ".tsv"):
            return engine.read_csv(path)
        return engine.read_parquet(path / "**" / "*.parquet" if path.is_dir() else path)
    except Exception as error:
        raise TableNotFoundError(
            f"{what}: {str(path)!r} cannot be read as Parquet or CSV "
            f"({str(error).splitlines()[0]})."
        ) from error


def new_engine() -> Any:
    """Open an in-process DuckDB of its own."""
    import ibis

    return ibis.duckdb.connect()


def is_long(table: Any, request: str, modality: str) -> bool:
    """Whether a table is a long log and not a wide presence table."""
    return (
        request in table.columns
        and modality in table.columns
        and not (table.schema()[modality].is_boolean())
    )


def _bit_or() -> Any:
    import ibis

    # Ibis' own bit_or does not compile for PySpark; the function has this name in both engines.
    @ibis.udf.agg.builtin
    def bit_or(flags: int) -> int:  # type: ignore[empty-body]
        """Join flags bit by bit."""

    return bit_or


def _words(modalities: Sequence[str]) -> list[list[tuple[str, int]]]:
    """Give each modality a bit, in as many 64-bit integers as it takes."""
    return [
        [(name, bit) for bit, name in enumerate(modalities[start : start + BITS])]
        for start in range(0, len(modalities), BITS)
    ]


def _counts(
    modalities: tuple[str, ...], presence: Any, result: pd.DataFrame, group: str | None
) -> PatternCounts:
    levels = None if group is None else pd.DataFrame({group: result["_group"].to_numpy(object)})
    return PatternCounts.of(modalities, presence, result["_n"].to_numpy(np.int64), levels)


def _run(expression: Any) -> pd.DataFrame:
    backends = expression._find_backends()[0]  # noqa: SLF001 - None for a frame in memory
    engine = backends[0] if backends else new_engine()
    on_spark = engine.name == "pyspark"
    table = execute(expression) if on_spark else engine.to_pyarrow(expression)
    frame: pd.DataFrame = table.to_pandas()
    return frame


def _require(table: Any, columns: Sequence[str], what: str, error: type[DatasetError]) -> None:
    known = list(table.columns)
    for column in columns:
        if column not in known:
            raise error(
                f"{what}: no column {column!r}; it has {_some(known)}.{did_you_mean(column, known)}"
            )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
