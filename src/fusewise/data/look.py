"""Looking at a folder of tables: what each column is, and what role it could play.

Only counts, types and a few distinct values are read. The guesses are made in `draft`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from fusewise.data.columns import is_number, is_time
from fusewise.data.tables import execute, is_row_number, open_table
from fusewise.exceptions import DatasetError, FusewiseError, TableNotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

SUFFIXES = (".parquet", ".csv", ".csv.gz", ".tsv")
MAX_LEVELS = 20


@dataclass(frozen=True)
class Column:
    """One column: its type and, where it has few, its distinct values."""

    name: str
    kind: str  # "number", "whole", "boolean", "time", "text", "list"
    distinct: int = 0
    levels: tuple[Any, ...] | None = None
    width: float = 0.0  # mean length of texts

    @property
    def is_number(self) -> bool:
        """Whether it holds numbers (booleans are none here)."""
        return self.kind in ("number", "whole")


@dataclass(frozen=True)
class Table:
    """One table of the folder."""

    name: str
    path: str  # relative to the folder
    rows: int
    columns: dict[str, Column]
    source: Any = field(repr=False)

    def is_unique(self, column: str) -> bool:
        """Whether no value of the column is repeated or empty."""
        return self.rows > 0 and self.columns[column].distinct == self.rows


def look(folder: Path) -> tuple[list[Table], list[str]]:
    """Look at every table of a folder.

    Returns
    -------
    tables : list of Table
        In the order of their names.
    unread : list of str
        One sentence for each file that could not be read.

    Raises
    ------
    TableNotFoundError
        The folder does not exist or holds no table.
    """
    if not folder.is_dir():
        raise TableNotFoundError(
            f"no folder {str(folder)!r}. Give a folder with one table per modality."
        )
    tables, unread = [], []
    for path in sorted(folder.iterdir()):
        if not _may_be_table(path):
            continue
        try:
            tables.append(_look_at(path))
        except FusewiseError as error:
            unread.append(str(error))
    if not tables:
        hint = f" {unread[0]}" if unread else ""
        raise TableNotFoundError(
            f"the folder {str(folder)!r} holds no table that can be read (Parquet, CSV, or a folder "
            f"of Parquet files).{hint}"
        )
    return tables, unread


def shared_keys(one: Table, column: str, other: Table, key: str) -> float:
    """Return which share of the distinct values of `column` are values of `key` in the other."""
    left = one.source.select(_k=one.source[column].cast("string")).distinct()
    right = other.source.select(_k=other.source[key].cast("string")).distinct()
    found = left.semi_join(right, "_k")
    n = execute(left.count().as_table()).column(0)[0].as_py()
    return execute(found.count().as_table()).column(0)[0].as_py() / n if n else 0.0


def _may_be_table(path: Path) -> bool:
    if path.name.startswith("."):
        return False
    if path.is_dir():
        return any(path.glob("*.parquet")) or any(path.glob("*/*.parquet"))
    return path.name.endswith(SUFFIXES)


def _look_at(path: Path) -> Table:
    source = open_table(path, what=f"table {path.name!r}")
    schema = source.schema().to_pyarrow()
    # A stored index is shared by all tables and unique, and is no id all the same.
    kinds = {f.name: _kind(f.type) for f in schema if not is_row_number(f.name)}
    # Wide tables are looked at by the first few columns; the rest are features for certain.
    looked = [n for n in kinds if kinds[n] != "list"][:200]
    counts = {f"n{i}": source[name].nunique() for i, name in enumerate(looked)}
    widths = {
        f"w{i}": source[name].length().mean()
        for i, name in enumerate(looked)
        if kinds[name] == "text"
    }
    try:
        row = execute(source.aggregate(rows=source.count(), **counts, **widths)).to_pylist()[0]
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise DatasetError(f"table {path.name!r} cannot be read ({reason}).") from error
    columns = {name: Column(name, kind) for name, kind in kinds.items()}
    for i, name in enumerate(looked):
        distinct = int(row[f"n{i}"] or 0)
        few = 0 < distinct <= MAX_LEVELS
        columns[name] = Column(
            name,
            kinds[name],
            distinct,
            _levels(source, name) if few and len(kinds) <= 100 else None,
            float(row.get(f"w{i}") or 0.0),
        )
    stem = path.name.split(".")[0] if path.is_file() else path.name
    return Table(stem, path.name, int(row["rows"]), columns, source)


def _levels(source: Any, column: str) -> tuple[Any, ...]:
    values = execute(source.select(column).distinct()).column(0).to_pylist()
    return tuple(sorted((v for v in values if v is not None), key=lambda v: (str(type(v)), v)))


def _kind(kind: pa.DataType) -> str:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_boolean(kind):
        return "boolean"
    if is_time(kind):
        return "time"
    if is_number(kind):
        return "whole" if pa.types.is_integer(kind) else "number"
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind) or pa.types.is_large_list(kind):
        return "list"
    return "text"


def names_hit(name: str, words: Sequence[str]) -> bool:
    """Whether a column's name contains one of some words as a part between ``_`` or at its ends.

    Examples
    --------
    >>> names_hit("in_hospital_death", ["death"]), names_hit("methylation", ["y"])
    (True, False)
    """
    parts = name.lower().replace("-", "_").replace(".", "_").split("_")
    return any(word in parts or name.lower() == word for word in words)
