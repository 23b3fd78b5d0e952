"""Tables in: anything that Ibis opens, read through DuckDB in process."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from fusewise.data.csv_file import read_csv
from fusewise.exceptions import (
    ColumnNotFoundError,
    DatasetError,
    TableNotFoundError,
    did_you_mean,
)

# What pandas calls an index that it stores as a column, and a column without a name.
_ROW_NUMBER = re.compile(r"__index_level_\d+__|Unnamed: \d+(_level_\d+)?|\s*")

_local = threading.local()


def thread_connection() -> Any:
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


def open_table(source: Any, *, what: str = "table", connection: Any = None) -> Any:
    """Open a table as an Ibis expression.

    Parameters
    ----------
    source : path, pandas or polars frame, Arrow table, or Ibis table
        A path names a Parquet file, a folder of Parquet files, or a CSV file.
    what : str
        Named in errors, e.g. ``"modality 'vitals'"``.
    connection : Ibis connection to DuckDB, optional
        Which reads the files. Default: that of this thread.

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
        return _open_path(Path(source), what, connection or thread_connection())
    if isinstance(source, pd.DataFrame):
        source = _from_pandas(source, what)
    elif hasattr(source, "to_arrow"):
        source = source.to_arrow()
    if isinstance(source, pa.RecordBatch):
        source = pa.Table.from_batches([source])
    if isinstance(source, pa.Table):
        _require_distinct(source.column_names, what)
        return ibis.memtable(source)
    raise DatasetError(
        f"{what}: expected a path, a pandas, polars, Arrow or Ibis table, got "
        f"{type(source).__name__}."
    )


def _from_pandas(frame: pd.DataFrame, what: str) -> pa.Table:
    if not all(isinstance(c, str) for c in frame.columns):
        frame = frame.rename(columns=str)
    _require_distinct(list(frame.columns), what)
    try:
        return pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowException, OverflowError) as error:
        reason = " ".join(str(a) for a in error.args)
        raise DatasetError(
            f"{what}: a column mixes types ({reason}). Give each column one type."
        ) from error


def _require_distinct(names: Sequence[str], what: str) -> None:
    seen: dict[str, str] = {}
    for name in names:
        # The engine does not tell upper from lower case in names.
        if name.lower() in seen:
            raise DatasetError(
                f"{what}: the columns {seen[name.lower()]!r} and {name!r} have one name (upper and "
                "lower case count as the same). Rename one."
            )
        seen[name.lower()] = name


def _numbers_as_numbers(table: Any) -> Any:
    """Cast text columns that hold numbers alone: the CSV reader takes ``inf`` for a word."""
    words = [name for name, kind in table.schema().items() if kind.is_string()]
    if not words:
        return table
    counted = execute(
        table.aggregate(
            **{f"text{i}": table[w].count() for i, w in enumerate(words)},
            **{f"number{i}": table[w].try_cast("float64").count() for i, w in enumerate(words)},
        )
    ).to_pylist()[0]
    numeric = [w for i, w in enumerate(words) if 0 < counted[f"text{i}"] == counted[f"number{i}"]]
    return table.mutate(**{w: table[w].try_cast("float64") for w in numeric})


def _open_path(path: Path, what: str, con: Any) -> Any:
    if not path.exists():
        raise TableNotFoundError(f"{what}: no file or folder {str(path)!r}. Check the path.")
    try:
        if path.is_dir():
            _require_parquet_folder(path, what)
            return con.read_parquet(str(path / "**" / "*.parquet"))
        if path.suffix.lower() in (".csv", ".gz", ".tsv", ".txt"):
            return _numbers_as_numbers(read_csv(con, path, what))
        return con.read_parquet(str(path))
    except TableNotFoundError:
        raise
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise TableNotFoundError(
            f"{what}: {str(path)!r} cannot be read as Parquet or CSV ({reason})."
        ) from error


def _require_parquet_folder(path: Path, what: str) -> None:
    if (path / "_delta_log").exists():
        raise TableNotFoundError(
            f"{what}: {str(path)!r} is a Delta table, whose files also hold replaced rows. Open it "
            "with deltalake and give its Arrow table."
        )
    if not any(path.rglob("*.parquet")):
        raise TableNotFoundError(f"{what}: the folder {str(path)!r} has no .parquet file.")


def require_columns(table: Any, columns: Sequence[str], what: str) -> None:
    """Raise where a table lacks one of the named columns, or holds durations in it."""
    known = list(table.columns)
    schema = table.schema()
    for column in columns:
        if column not in known:
            shown = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
            raise ColumnNotFoundError(
                f"{what}: no column {column!r}; it has {shown}.{did_you_mean(column, known)}"
            )
        if schema[column].is_interval():
            raise DatasetError(
                f"{what}, column {column!r}: durations are not read. Give numbers in one unit, "
                "e.g. hours."
            )


def is_row_number(column: str) -> bool:
    """Whether a column is the stored index of a data frame, or one that nobody named."""
    return _ROW_NUMBER.fullmatch(column) is not None


def fetch(table: Any, columns: Sequence[str]) -> pa.Table:
    """Read the named columns into memory."""
    return execute(table.select(*dict.fromkeys(columns)))


def execute(expression: Any) -> pa.Table:
    """Run an Ibis expression on its own engine, or on ours where it has none.

    Raises
    ------
    DatasetError
        The engine cannot read the table: a damaged file, a type that Arrow does not have.
    """
    import duckdb

    # Ibis's public get_backend() falls back to an engine of its own, with its own thread count.
    backends = expression._find_backends()[0]  # noqa: SLF001
    engine = backends[0] if backends else thread_connection()
    if engine.name == "pyspark":
        return _execute_on_spark(engine, expression)
    try:
        return engine.to_pyarrow(expression)
    except (duckdb.Error, pa.ArrowException) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DatasetError(f"a table cannot be read: {reason}") from error


def _execute_on_spark(engine: Any, expression: Any) -> pa.Table:
    """Run an expression on Spark; Ibis' way back leads through pandas, which has no NULL of its own.

    Whole numbers beside an empty cell would come back as floats, and NaN as NULL.
    """
    from pyspark.errors import PySparkException

    try:
        engine._run_pre_execute_hooks(expression)  # noqa: SLF001 - tables in memory become views
        return engine._session.sql(engine.compile(expression)).toArrow()  # noqa: SLF001
    except PySparkException as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DatasetError(f"a table cannot be read on Spark: {reason}") from error
