"""Where tables are reckoned with: DuckDB in this process, or a Spark session."""

from __future__ import annotations

import os
import shutil
import sys
import uuid
from collections.abc import Callable, Iterable
from typing import Any, Self

import pyarrow as pa

from fusewise.data.tables import execute, open_table
from fusewise.exceptions import (
    DatasetError,
    MissingDependencyError,
    TableNotFoundError,
    did_you_mean,
)

ENGINES = ("duckdb", "spark")
_NAMES = {"duckdb": "duckdb", "pyspark": "spark"}


class Engine:
    """An Ibis connection, and what was opened and kept in it for the time of one task.

    Made by :func:`open_engine`; a context manager that drops what it kept, and closes the
    connection where it was opened for this.

    Attributes
    ----------
    connection : Ibis backend
    name : {"duckdb", "spark"}
    """

    def __init__(self, connection: Any, *, own: bool) -> None:
        self.connection = connection
        self.name = _NAMES[connection.name]
        self._own = own
        self._release: list[Callable[[], Any]] = []

    def __repr__(self) -> str:
        return f"<Engine: {self.name}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        while self._release:
            self._release.pop()()
        if self._own and self.name == "duckdb":
            self.connection.disconnect()

    def open(self, source: Any, what: str) -> Any:
        """Open a path, frame, Arrow, Ibis or Spark table as an Ibis expression of this engine.

        Raises
        ------
        TableNotFoundError
            It cannot be read.
        DatasetError
            It belongs to another engine, or is no table.
        """
        import ibis

        if isinstance(source, ibis.Table):
            self._require_here(source, what)
            return source
        if self.name == "duckdb":
            return open_table(source, what=what, connection=self.connection)
        if isinstance(source, str | os.PathLike):
            return self._view(self._read_parquet(os.fspath(source), what))
        if is_spark_frame(source):
            return self._view(source)
        if _is_connect(self.session):
            raise DatasetError(
                f"{what}: a table in this process cannot be given to a Spark Connect session here. "
                "Write it to Parquet or to the catalog, and name that."
            )
        # An Arrow table keeps NULL and NaN apart, which pandas does not.
        frame = execute(open_table(source, what=what))
        return self._view(self.session.createDataFrame(frame))

    def table(self, name: str, what: str) -> Any:
        """Open a table of the catalog: ``table``, ``schema.table`` or ``catalog.schema.table``."""
        *schema, table = name.split(".")
        try:
            return self.connection.table(table, database=tuple(schema) or None)
        except Exception as error:
            raise TableNotFoundError(
                f"{what}: no table {name!r} there ({_first_line(error)})."
            ) from error

    def collect(self, expression: Any) -> pa.Table:
        """Run an expression and return its rows."""
        if self.name == "spark":
            return execute(expression)
        import duckdb

        try:
            return self.connection.to_pyarrow(expression)
        except duckdb.Error as error:
            raise DatasetError(f"a table cannot be read: {_first_line(error)}") from error

    def keep(self, expression: Any) -> Any:
        """Run an expression once and return it as a table; dropped when the task is done."""
        if self.name == "spark":
            frame = self.session.sql(self.connection.compile(expression)).persist()
            self._release.append(frame.unpersist)
            return self._view(frame)
        name = _unique()
        table = self.connection.create_table(name, expression, temp=True)
        # Ibis' own drop_table does not compile with every sqlglot that it allows.
        self._release.append(lambda: self.connection.raw_sql(f'DROP TABLE IF EXISTS "{name}"'))
        return table

    @property
    def session(self) -> Any:
        """The Spark session."""
        return self.connection._session  # noqa: SLF001 - Ibis gives it no public name

    def _view(self, frame: Any) -> Any:
        name = _unique()
        frame.createOrReplaceTempView(name)
        self._release.append(lambda: self.session.catalog.dropTempView(name))
        return self.connection.table(name)

    def _read_parquet(self, path: str, what: str) -> Any:
        if path.lower().removesuffix(".gz").endswith((".csv", ".tsv", ".txt")):
            raise TableNotFoundError(
                f"{what}: {path!r} is a CSV file, which is read on DuckDB alone. Write it as "
                "Parquet, or name a table of the catalog."
            )
        try:
            # Whether a path exists is for Spark to say: it may be one of the cluster's.
            return self.session.read.parquet(path)
        except Exception as error:
            raise TableNotFoundError(
                f"{what}: Spark cannot read {path!r} as Parquet ({_first_line(error)})."
            ) from error

    def _require_here(self, table: Any, what: str) -> None:
        backends = table._find_backends()[0]  # noqa: SLF001 - None for a frame in memory
        if any(backend is not self.connection for backend in backends):
            theirs = ", ".join(backend.name for backend in backends)
            raise DatasetError(
                f"{what}: the table belongs to another connection ({theirs}) than the engine "
                f"({self.name}). Give engine= the connection that all tables come from."
            )
        if not backends and self.name == "spark":
            raise DatasetError(
                f"{what}: an Ibis table in memory is in no Spark session. Give the frame itself."
            )


def open_engine(engine: Any = None) -> Engine:
    """Open the engine that tables are reckoned with.

    Parameters
    ----------
    engine : None, "duckdb", "spark", Ibis connection, SparkSession, or Engine
        None and ``duckdb``: a DuckDB of its own in this process, with all threads. ``spark``: the
        active Spark session (in a notebook, or under ``spark-submit``), the one that the variable
        ``SPARK_REMOTE`` names, or else a local one on all cores of this machine.

    Raises
    ------
    MissingDependencyError
        PySpark is not installed, or there is no Java to run it in local mode.
    DatasetError
        There is no such engine.
    """
    import ibis

    if isinstance(engine, Engine):
        return Engine(engine.connection, own=False)
    if engine is None or engine == "duckdb":
        return Engine(ibis.duckdb.connect(), own=True)
    if isinstance(engine, ibis.BaseBackend):
        if engine.name not in _NAMES:
            raise DatasetError(
                f"engine: profiles are tested on DuckDB and Spark, and {engine.name} is neither."
            )
        return Engine(engine, own=False)
    if isinstance(engine, str):
        if engine != "spark":
            raise DatasetError(
                f"engine: expected one of {', '.join(ENGINES)}, got {engine!r}."
                f"{did_you_mean(engine, ENGINES)}"
            )
        return Engine(_connect(spark_session()), own=False)
    if _is_pyspark(engine, "SparkSession"):
        return Engine(_connect(engine), own=False)
    raise DatasetError(
        "engine: expected 'duckdb', 'spark', an Ibis connection or a SparkSession, got "
        f"{type(engine).__name__}."
    )


def engine_of(tables: Iterable[Any]) -> Any:
    """Return the connection of the first Ibis table that has one, or the session of a Spark frame.

    None where there is neither: files and frames say nothing of an engine.
    """
    import ibis

    for table in tables:
        if isinstance(table, ibis.Table):
            backends = table._find_backends()[0]  # noqa: SLF001 - None for a frame in memory
            if backends:
                return backends[0]
        if is_spark_frame(table):
            return table.sparkSession
    return None


def spark_session() -> Any:
    """Return the active Spark session, or start one; a local one where nothing else is named."""
    try:
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise MissingDependencyError(
            f"engine spark: PySpark cannot be imported ({error}). Install it with: pip install "
            '"fusewise[spark]"'
        ) from error
    active = SparkSession.getActiveSession()
    if active is not None:
        return active
    # Workers must run the interpreter that the driver runs.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName("fusewise")
    elsewhere = ("PYSPARK_GATEWAY_PORT", "PYSPARK_SUBMIT_ARGS", "SPARK_REMOTE", "MASTER")
    if not any(os.environ.get(name) for name in elsewhere):
        _require_java()
        local = {
            "spark.master": "local[*]",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
        }
        for key, value in local.items():
            builder = builder.config(key, value)
    try:
        return builder.getOrCreate()
    except Exception as error:
        raise DatasetError(
            f"engine spark: no Spark session could be started ({_first_line(error)})."
        ) from error


def _require_java() -> None:
    if not (os.environ.get("JAVA_HOME") or shutil.which("java")):
        raise MissingDependencyError(
            "engine spark: there is no Java, which Spark runs on in local mode. Install Java 17 or "
            "21 (Debian, Ubuntu: apt-get install openjdk-17-jre-headless) or set JAVA_HOME."
        )


def _connect(session: Any) -> Any:
    """Return one connection per session, so that tables opened through two of them can be joined."""
    import ibis

    known = getattr(session, "_fusewise_connection", None)
    if known is None:
        known = ibis.pyspark.connect(session)
        session._fusewise_connection = known  # noqa: SLF001
    return known


def _is_connect(session: Any) -> bool:
    return type(session).__module__.startswith("pyspark.sql.connect")


def is_spark_frame(source: Any) -> bool:
    """Whether a value is a data frame of Spark."""
    return _is_pyspark(source, "DataFrame")


def _is_pyspark(value: Any, name: str) -> bool:
    """Whether a value is of a PySpark class, told without importing PySpark."""
    return any(c.__module__.startswith("pyspark.sql") and c.__name__ == name
               for c in type(value).__mro__)  # fmt: skip


def _unique() -> str:
    return f"fusewise_{uuid.uuid4().hex}"


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
