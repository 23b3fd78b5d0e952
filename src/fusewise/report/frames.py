"""Reading result tables: rows, metrics, and the names of patterns, for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from fusewise.data import parse_pattern
from fusewise.report.blocks import Cell, Column
from fusewise.report.numbers import NOT_AVAILABLE, known

Record = dict[str, Any]


def records(result: object, table: str) -> list[Record]:
    """Return the rows of one table of a result; an absent or empty table has none."""
    frame = getattr(result, table, None)
    if not isinstance(frame, pd.DataFrame) or frame.empty:
        return []
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def pick(rows: Iterable[Record], **wanted: object) -> list[Record]:
    """Return the rows whose cells equal the given values."""
    return [r for r in rows if all(r.get(key) == value for key, value in wanted.items())]


def metrics_of(evaluation: object) -> tuple[str, ...]:
    """Return the metrics in the order in which they were asked for."""
    named = [str(m) for m in getattr(evaluation, "metrics", None) or ()]
    found = (
        r["metric"] for r in records(evaluation, "by_pattern") + records(evaluation, "headline")
    )
    return tuple(dict.fromkeys([*named, *map(str, found)]))


def rate_of(row: Record) -> float:
    """Return the rate in deployment, or the one in training where that is not known."""
    rate = row["rate"] if known(row.get("rate")) else row.get("rate_train")
    return float(rate) if rate is not None else float("nan")


def zero(value: Any) -> float:
    """Return a number, or 0 where there is none: for sorting."""
    return float(value) if known(value) else 0.0


def flag(row: Record, name: str) -> bool:
    """Return whether a cell says True; an absent or empty one does not."""
    return str(row.get(name)) == "True"


def why_missing(row: Record) -> str:
    """Say why a row has no estimate: its note, else what its counts tell."""
    if known(row.get("estimate")):
        return ""
    note = row.get("note")
    if isinstance(note, str) and note:
        return note
    n, positive = row.get("n"), row.get("n_positive")
    if known(n) and n == 0:
        return "no samples"
    if known(n) and known(positive) and positive in (0, n):
        return "one class only"
    return "too few samples"


def remark(row: Record) -> str:
    """Write what stands where a row has no estimate."""
    reason = why_missing(row)
    return f"{NOT_AVAILABLE}: {reason}" if reason else ""


def columns(*labels: str, text: int = 1) -> tuple[Column, ...]:
    """Return columns of which the first `text` hold text and the others numbers."""
    return tuple(Column(label, number=i >= text) for i, label in enumerate(labels))


def cells(*values: str | Cell) -> tuple[Cell, ...]:
    """Return a row of cells."""
    return tuple(v if isinstance(v, Cell) else Cell(v) for v in values)


@dataclass(frozen=True)
class Patterns:
    """Names of availability patterns, short where that is possible.

    Parameters
    ----------
    modalities : tuple of str
        All modalities there are.

    Examples
    --------
    >>> names = Patterns(("ehr", "imaging", "labs", "notes"))
    >>> names.short("ehr+imaging+labs+notes"), names.short("ehr+labs+notes"), names.short("ehr")
    ('complete case', 'without imaging', 'ehr')
    >>> names.present("ehr+notes")
    (True, False, False, True)
    """

    modalities: tuple[str, ...]

    @classmethod
    def of(cls, modalities: Iterable[object], patterns: Sequence[object] = ()) -> Patterns:
        """Take the modalities as named, and those that only the patterns mention after them."""
        named = [str(m) for m in modalities]
        met = sorted({name for p in patterns for name in parse_pattern(str(p))})
        return cls(tuple(dict.fromkeys([*named, *met])))

    def absent(self, pattern: str) -> tuple[str, ...]:
        """Return the modalities that the pattern lacks."""
        there = parse_pattern(pattern)
        return tuple(m for m in self.modalities if m not in there)

    def present(self, pattern: str) -> tuple[bool, ...]:
        """Return for each modality whether the pattern has it."""
        there = parse_pattern(pattern)
        return tuple(m in there for m in self.modalities)

    def short(self, pattern: str) -> str:
        """Return what is there or what is not, whichever is fewer."""
        if not parse_pattern(pattern) <= set(self.modalities):
            return pattern
        absent = self.absent(pattern)
        if not absent and len(self.modalities) > 1:
            return "complete case"
        if len(absent) < len(self.modalities) - len(absent):
            return f"without {', '.join(absent)}"
        return pattern

    def cell(self, pattern: str, *, whole: bool = True) -> Cell:
        """Return a cell with the short name and, where it differs, the pattern as it is written."""
        short = self.short(pattern)
        return Cell(short, "name", pattern if whole and short != pattern else "")

    def spoken(self, pattern: str, most: int = 140) -> str:
        """Return a name of bounded length, for the pointer."""
        short = self.short(pattern)
        if len(short) <= most:
            return short
        there = sum(self.present(pattern))
        return f"{short[: most - 30]}… ({there} of {len(self.modalities)} present)"


def patterns_of(profile: object, evaluation: object) -> Patterns:
    """Return the pattern names for a report on both results, either of which may be None.

    The modalities that are there most often come first, so that the dots of common patterns line up.
    """
    met = [r["pattern"] for r in records(profile, "patterns") + records(evaluation, "by_pattern")]
    rates = {str(r["modality"]): rate_of(r) for r in records(profile, "availability")}
    named = sorted(
        getattr(profile, "modalities", None) or (),
        key=lambda m: -zero(rates.get(str(m))),
    )
    return Patterns.of(named, met)
