"""What is predicted: the task and its classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fusewise.data.columns import is_text, shown, to_floats
from fusewise.exceptions import DatasetError, NotAvailableError, TaskError

TASKS = ("binary", "multiclass", "regression")
_MAX_GUESSED, _FEW = 20, 5


def read_target(
    column: pa.ChunkedArray, task: str, name: str
) -> tuple[npt.NDArray[Any], str, tuple[Any, ...] | None]:
    """Return the target, its task, and its classes (None for regression).

    ``task="auto"`` takes two distinct values as binary, text as multiclass, fractions and more
    than 20 whole numbers as regression. Whole numbers with 3 to 20 values could be either and are
    not guessed; nor is text with more than 20 values, or with more than five of which there are
    fewer than five samples each on average: names and notes are no classes.

    Raises
    ------
    TaskError
        The task cannot be guessed, or the target does not fit it.
    """
    what = f"target {name!r}"
    if task == "survival":
        raise NotAvailableError(f"{what}: the task 'survival' is planned but not there yet.")
    if task not in (*TASKS, "auto"):
        raise TaskError(f"{what}: task must be auto, {', '.join(TASKS)}, got {task!r}.")
    if column.null_count:
        raise DatasetError(
            f"{what}: {column.null_count:,} of {len(column):,} values are empty. Leave those "
            "samples out, or give the dataset no target."
        )
    values = _values(column, what)
    if values.dtype == float and not np.isfinite(values).all():
        raise DatasetError(
            f"{what}: {int((~np.isfinite(values)).sum()):,} values are NaN or infinite. Leave "
            "those samples out."
        )
    distinct = np.unique(values.astype(str) if values.dtype == object else values)
    if task == "auto":
        task = _guess(values, len(distinct), what)
    if task == "regression":
        if values.dtype == object:
            raise TaskError(
                f"{what}: regression needs numbers, got text such as {shown(values, 1)}."
            )
        return values.astype(float), task, None
    if task == "binary" and len(distinct) > 2:
        raise TaskError(
            f"{what}: task 'binary' takes two values, got {len(distinct)}. Say task='multiclass' "
            "or 'regression'."
        )
    if task == "multiclass" and values.dtype == float and not np.all(values == np.floor(values)):
        raise TaskError(f"{what}: classes must be text or whole numbers, got fractions.")
    if values.dtype == float and np.all(values == np.floor(values)):
        values = values.astype(np.int64)
    return values, task, tuple(v.item() if hasattr(v, "item") else v for v in np.unique(values))


def _guess(values: npt.NDArray[Any], n_distinct: int, what: str) -> str:
    if n_distinct < 2:
        raise TaskError(
            f"{what}: it has one value only ({shown(values, 1)}), so the task cannot be guessed and "
            "nothing can be learned. Check the column, or say task=."
            if len(values)
            else f"{what}: it is empty, so the task cannot be guessed. Say task=."
        )
    if n_distinct == 2:
        return "binary"
    if values.dtype == object:
        if n_distinct > _MAX_GUESSED or (n_distinct > _FEW and n_distinct * _FEW > len(values)):
            raise TaskError(
                f"{what}: text with {n_distinct:,} values in {len(values):,} samples (e.g. "
                f"{shown(values)}) may be names or notes, which are no classes. Check the column, "
                "or say task='multiclass'."
            )
        return "multiclass"
    whole = values.dtype != float or bool(np.all(values == np.floor(values)))
    if whole and n_distinct <= _MAX_GUESSED:
        raise TaskError(
            f"{what}: whole numbers with {n_distinct} values may be classes or amounts. Say "
            "task='multiclass' or task='regression'."
        )
    return "regression"


def _values(column: pa.ChunkedArray, what: str) -> npt.NDArray[Any]:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        return np.asarray(column.cast(pa.int64()).to_numpy(zero_copy_only=False))
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return to_floats(column, what)
    if is_text(kind):
        return np.array(column.cast(pa.string()).to_pylist(), dtype=object)
    raise TaskError(f"{what}: expected numbers, booleans or text, got {kind}.")
