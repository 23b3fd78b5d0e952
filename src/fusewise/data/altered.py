"""Modalities with other values than were read, for stress tests; presence stays what it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from fusewise.data.blocks import TableBlock
from fusewise.data.events import EventBlock
from fusewise.exceptions import DatasetError

FloatArray = npt.NDArray[np.float64]

# Takes the name of a variable (a column of a table) and its values; returns others.
Change = Callable[[str, FloatArray], FloatArray]


def with_numbers(block: TableBlock | EventBlock, change: Change) -> TableBlock | EventBlock:
    """Return a block whose numbers are changed, variable by variable; empty cells stay empty."""
    if isinstance(block, TableBlock):
        numbers = block.numeric.copy()
        for column, name in enumerate(block.numeric_names):
            known = ~np.isnan(numbers[:, column])
            numbers[known, column] = _changed(change, name, numbers[known, column])
        return replace(block, numeric=numbers)
    values = block.value.copy()
    for code, name in enumerate(block.variables):
        own = block.variable == code
        values[own] = _changed(change, name, values[own])
    n = len(block.start) - 1
    # Events at one time stand in the order of their values: sorted anew.
    return EventBlock.of(
        n,
        np.repeat(np.arange(n), np.diff(block.start)),
        block.time,
        block.variable,
        values,
        block.variables,
    )


def _changed(change: Change, name: str, values: FloatArray) -> FloatArray:
    new = np.asarray(change(name, values.copy()), dtype=np.float64)
    if new.shape != values.shape or not np.isfinite(new).all():
        raise DatasetError(
            f"{name!r}: the change must return as many finite numbers as it was given "
            f"({len(values)}), got shape {new.shape}. To take values away, use with_presence."
        )
    return new
