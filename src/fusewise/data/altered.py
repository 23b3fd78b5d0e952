"""Modalities with other values than were read, for stress tests; presence stays what it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from fusewise.data.blocks import TableBlock
from fusewise.data.events import EventBlock
from fusewise.exceptions import DatasetError

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]

# Takes the name of a variable (a column of a table) and its values; returns others.
Change = Callable[[str, FloatArray], FloatArray]


def with_numbers(
    block: TableBlock | EventBlock, present: BoolArray, change: Change
) -> TableBlock | EventBlock:
    """Return a block whose numbers are changed, variable by variable; empty cells stay empty.

    Parameters
    ----------
    block : TableBlock or EventBlock
    present : bool array (n_samples,)
        Who has the modality. What is stored of others is not seen, and stays.
    change : callable
    """
    if isinstance(block, TableBlock):
        rows = block.row_of[present]
        seen = np.zeros(len(block.numeric), dtype=bool)
        seen[rows[rows >= 0]] = True
        numbers = block.numeric.copy()
        for column, name in enumerate(block.numeric_names):
            known = seen & ~np.isnan(numbers[:, column])
            numbers[known, column] = _changed(change, name, numbers[known, column])
        return replace(block, numeric=numbers)
    of_present = np.repeat(present, np.diff(block.start))
    values = block.value.copy()
    for code, name in enumerate(block.variables):
        own = of_present & (block.variable == code)
        values[own] = _changed(change, name, values[own])
    return block.altered(block.time, values)


def at_the_same_distance(
    block: TableBlock | EventBlock, own: FloatArray | None, donors: FloatArray | None
) -> TableBlock | EventBlock:
    """Return a block whose events lie as far before a time as they lay before another one.

    Parameters
    ----------
    block : TableBlock or EventBlock
        What samples took over from donors.
    own, donors : float array (n_samples,) or None
        Prediction times; None where there are none, and times then stay.
    """
    if isinstance(block, TableBlock) or own is None or donors is None:
        return block
    if np.array_equal(own, donors):
        return block
    lengths = np.diff(block.start)
    # In this order of subtractions, rounding puts no event after the prediction time.
    before = np.repeat(donors, lengths) - block.time
    moved = np.repeat(own, lengths) - before
    same = np.repeat(own == donors, lengths)
    return block.altered(np.where(same, block.time, moved), block.value)


def _changed(change: Change, name: str, values: FloatArray) -> FloatArray:
    new = np.asarray(change(name, values.copy()), dtype=np.float64)
    if new.shape != values.shape or not np.isfinite(new).all():
        raise DatasetError(
            f"{name!r}: the change must return as many finite numbers as it was given "
            f"({len(values)}), got shape {new.shape}. To take values away, use with_presence."
        )
    return new
