"""What a section is made of: plain blocks, that the HTML and the Markdown template both render."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, ClassVar

from markupsafe import Markup

from fusewise.report.text import Text


@dataclass(frozen=True)
class Cell:
    """One cell of a table: `kind` is a CSS class, `sub` a second, quieter line."""

    text: str
    kind: str = ""
    sub: str = ""


@dataclass(frozen=True)
class Column:
    """One column of a table; numbers are aligned to the right."""

    label: str
    number: bool = False


@dataclass(frozen=True)
class Table:
    """A table with its caption; `folded` hides it until it is asked for."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: Text
    folded: bool = True
    block: ClassVar[str] = "table"


@dataclass(frozen=True)
class Figure:
    """A drawing, in a wide and a narrow version, with the table that holds the same numbers."""

    title: Text
    wide: Markup
    narrow: Markup
    legend: tuple[tuple[str, str], ...] = ()
    note: Text | None = None
    tables: tuple[Table, ...] = ()
    folded: bool = False
    block: ClassVar[str] = "figure"


@dataclass(frozen=True)
class Gallery:
    """Several drawings side by side, with one title; `led` gives the first more room."""

    title: Text
    items: tuple[tuple[str, Markup], ...]
    legend: tuple[tuple[str, str], ...] = ()
    note: Text | None = None
    tables: tuple[Table, ...] = ()
    folded: bool = False
    led: bool = False
    block: ClassVar[str] = "gallery"


@dataclass(frozen=True)
class Prose:
    """A paragraph."""

    text: Text
    block: ClassVar[str] = "prose"


@dataclass(frozen=True)
class Heading:
    """A heading inside a section."""

    text: Text
    block: ClassVar[str] = "heading"


@dataclass(frozen=True)
class Notice:
    """A box that must not be overlooked; `tone` is info, warn or good."""

    tone: str
    title: Text
    items: tuple[Text, ...]
    block: ClassVar[str] = "notice"


@dataclass(frozen=True)
class Listing:
    """A titled list."""

    title: Text
    items: tuple[Text, ...]
    ordered: bool = False
    block: ClassVar[str] = "listing"


@dataclass(frozen=True)
class Card:
    """One number that counts, with what it means."""

    label: str
    value: str
    interval: str
    notes: tuple[Text, ...]


@dataclass(frozen=True)
class Cards:
    """Several cards in a row."""

    items: tuple[Card, ...]
    block: ClassVar[str] = "cards"


@dataclass(frozen=True)
class Verdict:
    """One statement that holds, does not hold, or cannot be decided, with its measurement.

    `status` is a CSS class and decides the sign; `answer` is the word shown.
    """

    status: str
    answer: str
    text: Text
    measured: str
    threshold: str
    spark: Markup
    label: str = ""


@dataclass(frozen=True)
class Verdicts:
    """A list of verdicts."""

    title: Text
    items: tuple[Verdict, ...]
    block: ClassVar[str] = "verdicts"


@dataclass(frozen=True)
class Glance:
    """A measured answer beside the headline; `badges` are (CSS class, words)."""

    label: str
    value: str
    note: str
    href: str
    badges: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Hero:
    """The answer, in large letters, and beside it what was measured afterwards."""

    eyebrow: str
    headline: str
    text: Text
    chips: tuple[tuple[str, str], ...]
    glances: tuple[Glance, ...] = ()
    block: ClassVar[str] = "hero"


@dataclass(frozen=True)
class Tree:
    """Nested settings: leaves are text, branches are trees."""

    title: Text
    entries: tuple[tuple[str, str | Tree], ...]
    block: ClassVar[str] = "tree"

    @property
    def leaves(self) -> int:
        """How many settings there are: long ones are folded."""
        return sum(1 if isinstance(value, str) else value.leaves for _, value in self.entries)


@dataclass(frozen=True)
class Section:
    """One section: its anchor, its title, one sentence that says what the reader sees, blocks."""

    anchor: str
    title: str
    lead: Text
    blocks: tuple[Any, ...] = field(default=())


def texts(part: Any) -> Iterator[Text]:
    """Yield every :class:`Text` inside a section or block."""
    if isinstance(part, Text):
        yield part
    elif isinstance(part, tuple):
        for item in part:
            yield from texts(item)
    elif is_dataclass(part):
        for spec in fields(part):
            yield from texts(getattr(part, spec.name))
