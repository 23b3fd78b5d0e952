"""Expressions that mean the same on DuckDB and on Spark: numbers, times, keys, an order of ids."""

from __future__ import annotations

import sys
from datetime import datetime
from functools import cache
from typing import Any

from fusewise.data.columns import LARGEST
from fusewise.exceptions import DatasetError

_MOST = sys.float_info.max
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_INFINITE = r"^[+-]?(inf|Inf|infinity|Infinity)$"
_BLANK = ("", "nan", "NaN", "NA", "N/A", "null", "NULL", "None")


def number(column: Any, engine: str) -> Any:
    """Return a numeric column as floats, NaN and infinity as NULL."""
    import ibis

    value = column.cast("float64")
    nothing = ibis.null("float64")
    if engine == "duckdb":
        # Of all ways to write this it is the one that no version of DuckDB folds away wrongly.
        return _functions()["isfinite"](value).ifelse(value, nothing)
    # Neither NaN, which Spark takes to be above all numbers, nor infinity. Ibis' isinf() is always
    # false on Spark with the sqlglot of today.
    return (value.abs() <= _MOST).ifelse(value, nothing)


def infinite(column: Any, engine: str) -> Any:
    """Whether a cell of a numeric column is infinite; false for an empty one."""
    value = column.cast("float64")
    if engine == "duckdb":
        return _functions()["isinf"](value).fill_null(False)
    return ((value.abs() > _MOST) & ~value.isnan()).fill_null(False)


def measured(column: Any, engine: str) -> Any:
    """Return a column of numbers, or of numbers written as text, as floats; NULL for the rest.

    What is beyond 1e150 is nothing that was measured.
    """
    import ibis

    kind = column.type()
    if kind.is_string():
        text = column.strip()
        # The engines differ in what they take for a number ("1.5d", "1_000"); this decides first.
        column = text.re_search(_NUMBER).ifelse(text.try_cast("float64"), ibis.null("float64"))
    value = number(column, engine)
    return (value.abs() <= LARGEST).ifelse(value, ibis.null("float64"))


def no_number(column: Any) -> Any:
    """Whether a text is neither a number nor one of the usual spellings of nothing."""
    import ibis

    if not column.type().is_string():
        return ibis.literal(False)
    text = column.strip()
    known = text.isin(_BLANK) | text.re_search(_NUMBER) | text.re_search(_INFINITE)
    return (text.notnull() & ~known).fill_null(False)


def seconds(column: Any, engine: str, what: str) -> Any:
    """Return a column of times as floats: numbers as they are, timestamps in seconds since 1970.

    NULL where there is no time, or none that was measured.
    """
    kind = column.type()
    if kind.is_date() or kind.is_timestamp():
        return micros(column, engine).cast("float64") / 1e6
    if not (kind.is_numeric() or kind.is_boolean() or kind.is_string()):
        raise DatasetError(
            f"{what}: expected numbers, timestamps or dates, got {kind}. Convert the column."
        )
    return measured(column, engine)


def micros(column: Any, engine: str) -> Any:
    """Return a column of timestamps or dates as whole microseconds since 1970."""
    known = _functions()
    time = column.cast("timestamp") if column.type().is_date() else column
    if engine == "duckdb":
        return known["epoch_us"](time)
    # Spark's two kinds of timestamps are one to Ibis, and the clock takes one of them.
    return known["unix_micros"](known["timestamp"](time))


def clock_of(kind: Any) -> str:
    """Return what a column of times holds, in words."""
    if not (kind.is_date() or kind.is_timestamp()):
        return "numbers"
    return "timestamps with a time zone" if getattr(kind, "timezone", None) else "timestamps"


def key(column: Any, what: str) -> Any:
    """Return an id as a 64-bit integer or as text; NULL where it is empty or a fraction."""
    kind = column.type()
    if kind.is_integer():
        return column.cast("int64")
    if kind.is_decimal() and not kind.scale:
        return column.cast("int64")
    if kind.is_floating():
        whole = column.try_cast("int64")
        return (whole.cast("float64") == column).ifelse(whole, None)
    if kind.is_string():
        return column
    raise DatasetError(f"{what}: ids must be whole numbers or text, got {kind}.")


def order_by_id(column: Any, seed: int) -> Any:
    """Return a text that puts ids in an order which only the seed and the id decide.

    MD5 of ``seed:id`` in hexadecimal digits. It is the same everywhere, whereas the hash functions
    and samples of engines differ between engines and their versions.
    """
    import ibis

    return (ibis.literal(f"{seed}:") + column.cast("string")).hexdigest("md5")


@cache
def _functions() -> dict[str, Any]:
    """Functions of the engines that Ibis does not have."""
    import ibis

    @ibis.udf.scalar.builtin
    def isfinite(value: float) -> bool:  # type: ignore[empty-body]
        """Whether a number is neither NaN nor infinite (DuckDB)."""

    @ibis.udf.scalar.builtin
    def epoch_us(time: datetime) -> int:  # type: ignore[empty-body]
        """Microseconds since 1970 (DuckDB)."""

    @ibis.udf.scalar.builtin
    def unix_micros(time: datetime) -> int:  # type: ignore[empty-body]
        """Microseconds since 1970 (Spark)."""

    @ibis.udf.scalar.builtin
    def isinf(value: float) -> bool:  # type: ignore[empty-body]
        """Whether a number is infinite (DuckDB)."""

    @ibis.udf.scalar.builtin
    def timestamp(time: datetime) -> datetime:  # type: ignore[empty-body]
        """The instant of a timestamp without a time zone, taken as UTC (Spark)."""

    found = (isfinite, isinf, epoch_us, unix_micros, timestamp)
    return {function.__name__: function for function in found}
