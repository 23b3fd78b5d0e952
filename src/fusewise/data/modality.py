"""The declaration of one modality: one named table and how to read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fusewise.data.presence import EMPTY_PATTERN
from fusewise.exceptions import DatasetError, NotAvailableError, did_you_mean

KINDS = ("table", "events")
PLANNED_KINDS = ("text", "image", "signal")


@dataclass(frozen=True)
class Modality:
    """How the table of one modality is read.

    Parameters
    ----------
    table : path, pandas or polars frame, Arrow table, or Ibis table
        A path names a Parquet file, a folder of Parquet files, or a CSV file.
    kind : {"table", "events"}
        ``table``: one row per sample, with numeric, categorical or list columns.
        ``events``: any number of time-stamped rows per sample, in long form (`variable` and
        `value` name columns) or in wide form (neither is given: one column per variable).
    id : str, optional
        The column with the sample id, where it is called otherwise than in the samples table.
    time : str, optional
        The column with the time of an event (a number or a timestamp). Required for events.
    variable, value : str, optional
        Long form of events: the columns that name the variable and hold its value.
    available_at : str, optional
        The column that tells when a row could be known; `time` where it is not given. A date
        counts from its first moment.
    present : str, optional
        A boolean column of the samples table that declares presence. Without it a sample has the
        modality when it has rows.
    absent_when : {"all_null"}, optional
        For wide exports that write an absent modality as rows of empty cells: a sample without
        any value lacks the modality.
    columns : tuple of str, optional
        The feature columns (for wide events: the variables). All others where not given.

    Examples
    --------
    >>> Modality("vitals.parquet", kind="events", time="minute", variable="variable", value="value")
    Modality('vitals.parquet', kind='events')
    """

    table: Any
    kind: str = "table"
    id: str | None = None
    time: str | None = None
    variable: str | None = None
    value: str | None = None
    available_at: str | None = None
    present: str | None = None
    absent_when: str | None = None
    columns: tuple[str, ...] | None = None

    def __repr__(self) -> str:
        shown = repr(self.table) if isinstance(self.table, str) else type(self.table).__name__
        return f"Modality({shown}, kind={self.kind!r})"

    @classmethod
    def of(cls, table: Any) -> Modality:
        """Return `table` as a modality of kind ``table`` unless it is a modality already."""
        return table if isinstance(table, Modality) else cls(table)

    def check(self, name: str) -> None:
        """Raise where the declaration contradicts itself."""
        what = f"modality {name!r}"
        if self.kind in PLANNED_KINDS:
            raise NotAvailableError(
                f"{what}: kind {self.kind!r} is planned but not there yet; give its embedding as a "
                "list column of a modality of kind 'table'."
            )
        if self.kind not in KINDS:
            raise DatasetError(
                f"{what}: kind must be one of {', '.join(KINDS)}, got {self.kind!r}."
                f"{did_you_mean(self.kind, KINDS)}"
            )
        if self.kind == "events" and self.time is None:
            raise DatasetError(f"{what}: events need time=, the column with the time of each row.")
        if (self.variable is None) != (self.value is None):
            raise DatasetError(
                f"{what}: variable= and value= belong together (long form); give both, or neither "
                "for wide events."
            )
        if self.kind == "table" and self.variable is not None:
            raise DatasetError(f"{what}: variable= and value= are for kind 'events'.")
        if self.absent_when not in (None, "all_null"):
            raise DatasetError(f"{what}: absent_when must be 'all_null', got {self.absent_when!r}.")
        if self.absent_when and self.present:
            raise DatasetError(f"{what}: declare presence once, by present= or by absent_when=.")
        if isinstance(self.columns, str):
            raise DatasetError(f"{what}: columns= takes a list of columns, got {self.columns!r}.")
        if "+" in name or not name.strip() or name != name.strip() or name == EMPTY_PATTERN:
            raise DatasetError(
                f"{what}: a modality's name must not be empty, begin or end with a space, or "
                "contain '+', which joins names in availability patterns."
            )
