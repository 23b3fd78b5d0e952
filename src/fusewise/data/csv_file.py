"""CSV files in: the first line names the columns, and a broken line is named by its number."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fusewise.exceptions import TableNotFoundError

_DELIMITERS = (",", ";", "\t", "|")
# Python's csv module gives up on longer fields, which an unclosed quote makes.
_LONGEST = 10**8


def read_csv(con: Any, path: Path, what: str) -> Any:
    """Read a CSV file; a column without a name is called ``Unnamed: 0`` after its place.

    Raises
    ------
    TableNotFoundError
        The file is empty, is not UTF-8, has a line with more or fewer fields than the header, or
        a quote that is never closed; the message says in which line.
    """
    table, failure = _try(con, path, quote='"')
    header = _header(path, what)
    if table is None or not _fits(table, header):
        # Other quotes, or stray ones, are read as the engine finds them where nothing is lost.
        other, _ = _try(con, path)
        reads = other is not None and _fits(other, header)
        broken = _finding(path, _delimiter(header), quotes_only=reads)
        if broken:
            raise TableNotFoundError(f"{what}: {str(path)!r}: {broken}")
        table = other if other is not None else table
    if table is None:
        assert failure is not None
        raise failure
    cells = next((f for f in _splits(header) if len(f) == len(table.columns)), [])
    unnamed = {
        f"Unnamed: {i}": name
        for i, (name, cell) in enumerate(zip(table.columns, cells, strict=False))
        if not cell.strip()
    }
    return table.rename(unnamed) if unnamed else table


def _try(con: Any, path: Path, **dialect: str) -> tuple[Any, Exception | None]:
    try:
        # Types are decided by all rows: a text in row 30,000 is met here, not while reading.
        return con.read_csv(str(path), sample_size=-1, header=True, **dialect), None
    except Exception as error:  # noqa: BLE001 - the engine has many; the file is looked at instead
        return None, error


def _header(path: Path, what: str) -> str:
    try:
        line = next(_lines(path), "")
    except UnicodeDecodeError as error:
        raise TableNotFoundError(f"{what}: {str(path)!r}: {_not_utf8(1, error)}") from None
    if not line and path.stat().st_size == 0:
        raise TableNotFoundError(
            f"{what}: the file {str(path)!r} is empty (0 bytes). Its first line must name the "
            "columns."
        )
    return line


def _lines(path: Path) -> Iterator[str]:
    unpack = gzip.open if path.suffix.lower() == ".gz" else Path.open
    with unpack(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")


def _splits(header: str) -> list[list[str]]:
    """The header's fields by each delimiter, most fields first."""
    found = [next(csv.reader([header], delimiter=d), []) for d in _DELIMITERS]
    return sorted(found, key=len, reverse=True)


def _fits(table: Any, header: str) -> bool:
    """Whether the header has as many fields as were read, by some delimiter."""
    found = {len(fields) for fields in _splits(header)}
    n = len(table.columns)
    return n in found and (n > 1 or max(found) == 1)


def _delimiter(header: str) -> str:
    return max(_DELIMITERS, key=lambda d: len(next(csv.reader([header], delimiter=d), [])))


def _finding(path: Path, delimiter: str, *, quotes_only: bool) -> str | None:
    """Say what is wrong with the first broken line, or None."""
    start, width = 1, 0
    limit = csv.field_size_limit(_LONGEST)
    lines = _lines(path)
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        for fields in rows:
            width = width or len(fields)
            # A delimiter at the end of a line is read as nothing.
            n = len(fields) - (len(fields) == width + 1 and not fields[-1])
            if fields and n != width and not quotes_only:
                return (
                    f"line {start} has {n} field{'' if n == 1 else 's'}, the header {width}. "
                    "Correct the line, or quote text that holds the delimiter "
                    f"({delimiter!r})."
                )
            start = rows.line_num + 1
    except UnicodeDecodeError as error:
        return _not_utf8(rows.line_num + 1, error)
    except csv.Error:
        if rows.line_num > start or next(lines, None) is None:
            return f'line {start} opens a quote (") that is never closed. Close or remove it.'
    finally:
        csv.field_size_limit(limit)
    return None


def _not_utf8(line: int, error: UnicodeDecodeError) -> str:
    return (
        f"line {line} is not UTF-8 (byte 0x{error.object[error.start]:02x}); the file may be "
        "Latin-1 or UTF-16. Save it as UTF-8."
    )
