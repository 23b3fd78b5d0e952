"""What reading one modality starts from, and what it leaves."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fusewise.data.blocks import TableBlock
from fusewise.data.columns import is_time
from fusewise.data.events import EventBlock
from fusewise.data.modality import Modality
from fusewise.data.samples import SampleIndex
from fusewise.data.tables import is_row_number
from fusewise.exceptions import DatasetError, FusewiseWarning

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.intp]

# In the order in which rows are left out; the last two count cells of the rows that stay.
COUNTS = (
    "rows",
    "unknown_ids",
    "after_prediction_time",
    "without_time",
    "declared_absent",
    "infinities",
    "missing_values",
)


@dataclass(frozen=True)
class Source:
    """One modality about to be read: its opened table, its declaration, and the samples.

    ``declared`` (n_samples,) says who has the modality where the samples table says so.
    """

    what: str
    table: Any
    modality: Modality
    key: str
    index: SampleIndex
    declared: BoolArray | None

    @property
    def timed(self) -> list[str]:
        """The columns that hold times, each once."""
        named = (self.modality.time, self.modality.available_at)
        return list(dict.fromkeys(c for c in named if c))

    def feature_columns(self) -> list[str]:
        """Return the feature columns: those declared, or all that are none of something else.

        Ids, times and what the samples table uses as target, cluster, split or time can be no
        feature, whatever table they stand in.
        """
        roles = {self.key, self.index.id, *self.timed}
        schema = self.table.schema().to_pyarrow()
        declared = self.modality.columns
        if declared is not None:
            for column in declared:
                if column in roles | self.index.reserved:
                    raise DatasetError(
                        f"{self.what}: {column!r} is the id, a time, or a column that the samples "
                        "table uses (target, cluster, split, time), and can be no feature. Take "
                        "it out of columns=."
                    )
                if _is_temporal(schema.field(column).type):
                    raise DatasetError(
                        f"{self.what}, column {column!r}: a {schema.field(column).type} is no "
                        "feature. Derive a number (an age, a duration) and name that."
                    )
            return list(dict.fromkeys(declared))
        free = [c for c in self.table.columns if c not in roles]
        self.warn_reserved(c for c in free if c in self.index.reserved)
        free = [c for c in free if c not in self.index.reserved]
        stored = [c for c in free if is_row_number(c)]
        if stored:
            self.warn(
                f"{', '.join(map(repr, stored))} looks like the stored index of a data frame (a "
                "number of the row), which is no feature; it was left out. Name it in columns= "
                "where it is one, or write the table without its index."
            )
            free = [c for c in free if c not in stored]
        temporal = [c for c in free if _is_temporal(schema.field(c).type)]
        if temporal:
            self.warn(
                f"the columns {', '.join(temporal)} hold times or durations, which are no "
                "features; they were left out. Derive a number (an age, hours) where they matter."
            )
        return [c for c in free if c not in temporal]

    def warn_reserved(self, names: Iterable[str]) -> None:
        """Warn of names that the samples table uses, where there are any."""
        names = sorted(names)
        if names:
            self.warn(
                f"{', '.join(names)} also stands in the samples table as target, cluster, split "
                "or time; it is no feature and was left out."
            )

    def warn(self, message: str) -> None:
        """Warn about this modality."""
        warnings.warn(f"{self.what}: {message}", FusewiseWarning, stacklevel=2)


@dataclass(frozen=True)
class ReadModality:
    """A modality in memory: values, who has it, and what was counted on the way.

    ``clock`` says what the times of events are (see :func:`~fusewise.data.columns.clock_of`).
    """

    block: TableBlock | EventBlock
    presence: BoolArray
    counts: dict[str, int]
    clock: str | None = None


def keep(table: pa.Table, positions: IntArray, mask: BoolArray) -> tuple[pa.Table, IntArray]:
    """Return the rows where `mask` is true, and their positions."""
    if mask.all():
        return table, positions
    return table.filter(pa.array(mask)), positions[mask]


def _is_temporal(kind: pa.DataType) -> bool:
    return is_time(kind) or bool(pa.types.is_temporal(kind) or pa.types.is_interval(kind))
