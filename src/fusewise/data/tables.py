"""Tables in: anything that Ibis opens, read through DuckDB in process."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fusewise.exceptions import (
    ColumnNotFoundError,
    DatasetError,
    TableNotFoundError,
    did_you_mean,
)

FloatArray = npt.NDArray[np.float64]

_local = threading.local()


def connection() -> Any:
    """Return this thread's in-process DuckDB connection.

    One engine thread: sums then run in the order of the rows, so that the same tables give the
    same bits on every machine.
    """
    import ibis

    # A forked child must not share its parent's engine.
    if getattr(_local, "pid", None) != os.getpid():
        _local.connection = ibis.duckdb.connect(threads=1)
        _local.pid = os.getpid()
    return _local.connection


def open_table(source: Any, *, what: str = "table") -> Any:
    """Open a table as an Ibis expression.

    Parameters
    ----------
    source : path, pandas or polars frame, Arrow table, or Ibis table
        A path names a Parquet file, a folder of Parquet files, or a CSV file.
    what : str
        Named in errors, e.g. ``"modality 'vitals'"``.

    Raises
    ------
    TableNotFoundError
        The path does not exist, or is not a Parquet or CSV file.
    DatasetError
        `source` is of a type that cannot be read as a table.
    """
    import ibis

    if isinstance(source, ibis.Table):
        return source
    if isinstance(source, str | os.PathLike):
        return _open_path(Path(source), what)
    if isinstance(source, pd.DataFrame):
        # pandas writes NaN as NULL; Arrow keeps it. Canonicalising happens once, after reading.
        frame = source if isinstance(source.columns[:1], pd.Index) else pd.DataFrame(source)
        if not all(isinstance(c, str) for c in frame.columns):
            frame = frame.rename(columns=str)
        try:
            source = pa.Table.from_pandas(frame, preserve_index=False)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise DatasetError(
                f"{what}: a column mixes types ({error}). Give each column one type."
            ) from error
    elif hasattr(source, "to_arrow"):
        source = source.to_arrow()
    if isinstance(source, pa.Table | pa.RecordBatch):
        table = pa.Table.from_batches([source]) if isinstance(source, pa.RecordBatch) else source
        return ibis.memtable(table)
    raise DatasetError(
        f"{what}: expected a path, a pandas, polars, Arrow or Ibis table, got "
        f"{type(source).__name__}."
    )


def _open_path(path: Path, what: str) -> Any:
    if not path.exists():
        raise TableNotFoundError(f"{what}: no file or folder {str(path)!r}. Check the path.")
    con = connection()
    try:
        if path.is_dir():
            if not any(path.rglob("*.parquet")):
                raise TableNotFoundError(f"{what}: the folder {str(path)!r} has no .parquet file.")
            return con.read_parquet(str(path / "**" / "*.parquet"))
        if path.suffix in (".csv", ".gz", ".tsv", ".txt"):
            return con.read_csv(str(path))
        return con.read_parquet(str(path))
    except TableNotFoundError:
        raise
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise TableNotFoundError(
            f"{what}: {str(path)!r} cannot be read as Parquet or CSV ({reason})."
        ) from error


def require_columns(table: Any, columns: Sequence[str], what: str) -> None:
    """Raise where a table lacks one of the named columns."""
    known = list(table.columns)
    for column in columns:
        if column not in known:
            shown = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
            raise ColumnNotFoundError(
                f"{what}: no column {column!r}; it has {shown}.{did_you_mean(column, known)}"
            )


def fetch(table: Any, columns: Sequence[str]) -> pa.Table:
    """Read the named columns into memory."""
    return execute(table.select(*dict.fromkeys(columns)))


def execute(expression: Any) -> pa.Table:
    """Run an Ibis expression on its own engine, or on ours where it has none."""
    backends = expression._find_backends()[0]
    engine = backends[0] if backends else connection()
    return engine.to_pyarrow(expression)


def is_time(kind: pa.DataType) -> bool:
    """Whether an Arrow type holds timestamps or dates."""
    return pa.types.is_timestamp(kind) or pa.types.is_date(kind)


def is_number(kind: pa.DataType) -> bool:
    """Whether an Arrow type holds numbers or booleans."""
    return (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_boolean(kind)
    )


def to_floats(column: pa.ChunkedArray, what: str) -> FloatArray:
    """Return a column as floats: NULL becomes NaN, timestamps become seconds since 1970 (UTC).

    Raises
    ------
    DatasetError
        A value is not a number; the first one is named.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if is_time(kind):
        micros = column.cast(pa.timestamp("us", tz=getattr(kind, "tz", None))).cast(pa.int64())
        return to_floats(micros, what) / 1e6
    if is_number(kind) or pa.types.is_null(kind):
        return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=float)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        numbers = pd.to_numeric(column.to_pandas(), errors="coerce").to_numpy(float)
        text = pc.fill_null(pc.utf8_trim_whitespace(column.cast(pa.string())), "")
        words = np.asarray(text.to_numpy(zero_copy_only=False), dtype=object)
        blank = np.isin(words, ["", "nan", "NaN", "NA", "null"])
        bad = np.isnan(numbers) & ~blank
        if bad.any():
            raise DatasetError(
                f"{what}: expected numbers, got {words[bad][0]!r} (row {int(np.argmax(bad))}, "
                f"{int(bad.sum()):,} such values). Clean the column or declare it otherwise."
            )
        return np.asarray(numbers, dtype=float)
    raise DatasetError(f"{what}: expected numbers, got values of type {kind}.")


def to_keys(column: pa.ChunkedArray, what: str) -> npt.NDArray[Any]:
    """Return an id-like column as an array of integers or of strings.

    Raises
    ------
    DatasetError
        An id is empty, or the ids are neither whole numbers nor text.
    """
    if column.null_count:
        raise DatasetError(f"{what}: {column.null_count:,} ids are empty. Every row needs an id.")
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_integer(kind):
        return np.asarray(column.cast(pa.int64()).to_numpy(zero_copy_only=False))
    if pa.types.is_floating(kind):
        values = np.asarray(column.to_numpy(zero_copy_only=False), dtype=float)
        if np.all(np.isfinite(values)) and np.all(values == np.floor(values)):
            return values.astype(np.int64)
        raise DatasetError(f"{what}: ids must be whole numbers or text, got fractions.")
    if pa.types.is_null(kind) or len(column) == 0:
        return np.zeros(0, dtype=np.int64 if not pa.types.is_string(kind) else object)
    return np.array(column.cast(pa.string()).to_pylist(), dtype=object)
