"""Columns in: one meaning for numbers, times and ids, whoever wrote the table."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fusewise.exceptions import DatasetError

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]

# Beyond this a square, which variances need, may leave the floats. It is nothing that was measured.
LARGEST = 1e150
_BLANK = ("", "nan", "NaN", "NA", "N/A", "null", "NULL", "None")


def is_time(kind: pa.DataType) -> bool:
    """Whether an Arrow type holds timestamps or dates."""
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def is_text(kind: pa.DataType) -> bool:
    """Whether an Arrow type holds text."""
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def is_number(kind: pa.DataType) -> bool:
    """Whether an Arrow type holds numbers or booleans."""
    return bool(
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_boolean(kind)
    )


def clock_of(kind: pa.DataType) -> str | None:
    """Return what a column of times holds, in words; None where it is empty and says nothing.

    Times can be compared within one clock only: a timestamp that names its time zone and one that
    does not may lie hours apart, which would let the future in.
    """
    if pa.types.is_null(kind):
        return None
    if not is_time(kind):
        return "numbers"
    return "timestamps with a time zone" if getattr(kind, "tz", None) else "timestamps"


def parse_floats(column: pa.ChunkedArray) -> tuple[FloatArray, BoolArray]:
    """Return a column of numbers or text as floats, and which values are no number.

    NULL, blanks and the usual spellings of nothing become NaN. The floats may be a view of the
    column, and not writeable.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if not is_text(kind):
        # Unsafe: whole numbers beyond 2^53 are rounded, as floats are, and not refused.
        values = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        bad = np.zeros(len(values), dtype=bool)
    else:
        text = pc.utf8_trim_whitespace(column.cast(pa.large_string()))
        words = text.to_pandas()
        values = pd.to_numeric(words, errors="coerce").to_numpy(float, na_value=np.nan)
        bad = np.isnan(values) & ~(words.isna() | words.isin(_BLANK)).to_numpy(bool)
    absent = np.isnan(values)
    if absent.any():
        # The bits of a NaN depend on who computed it; equal data must have equal bits.
        values = np.where(absent, np.nan, values)
    return values, bad


def to_floats(column: pa.ChunkedArray, what: str) -> FloatArray:
    """Return a column as floats: NULL becomes NaN, timestamps become seconds since 1970 (UTC).

    Raises
    ------
    DatasetError
        A value is not a number; the first one is named.
    """
    kind = column.type
    if is_time(kind):
        # Unsafe: nanoseconds are cut to microseconds, which is what a float holds.
        micros = column.cast(pa.timestamp("us", tz=getattr(kind, "tz", None)), safe=False)
        return to_floats(micros.cast(pa.int64()), what) / 1e6
    value_type = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not (is_number(value_type) or is_text(value_type) or pa.types.is_null(value_type)):
        raise DatasetError(f"{what}: expected numbers, got values of type {kind}.")
    values, bad = parse_floats(column)
    if bad.any():
        first = column[int(np.argmax(bad))].as_py()
        raise DatasetError(
            f"{what}: expected numbers, got {first!r} ({int(bad.sum()):,} such values). Clean the "
            "column or declare it otherwise."
        )
    return values


def to_times(column: pa.ChunkedArray, what: str) -> FloatArray:
    """Return a column of times as floats: numbers as they are, timestamps as seconds since 1970.

    A date counts from its first moment. A timestamp without a time zone is taken as it stands.
    """
    try:
        return to_floats(column, what)
    except DatasetError as error:
        raise DatasetError(
            f"{error} Times are numbers, timestamps or dates; convert the column."
        ) from None


def to_keys(column: pa.ChunkedArray, what: str) -> npt.NDArray[Any]:
    """Return an id-like column as an array of integers or of strings.

    Raises
    ------
    DatasetError
        An id is empty, or the ids are neither whole numbers nor text.
    """
    if column.null_count:
        raise DatasetError(f"{what}: some ids are empty. Every row needs an id.")
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_decimal(kind) and kind.scale == 0:
        column, kind = column.cast(pa.int64()), pa.int64()
    if pa.types.is_integer(kind):
        return np.array(column.cast(pa.int64()), dtype=np.int64)
    if pa.types.is_floating(kind):
        values = np.asarray(column, dtype=float)
        if np.isnan(values).any():
            raise DatasetError(f"{what}: some ids are empty (NaN). Every row needs an id.")
        if np.all(np.isfinite(values)) and np.all(values == np.floor(values)):
            return values.astype(np.int64)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        raise DatasetError(f"{what}: ids must be whole numbers or text, got fractions.")
    if pa.types.is_null(kind) or len(column) == 0:
        return np.zeros(0, dtype=object if is_text(kind) else np.int64)
    return np.array(column.cast(pa.string()).to_pylist(), dtype=object)


def shown(values: npt.NDArray[Any], n: int = 3) -> str:
    """Return the first few values for a message, as a user would type them."""
    return ", ".join(repr(v) for v in values[:n].tolist())
