"""How numbers, bars and tables look on a terminal."""

from __future__ import annotations

import math
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

_BAR = 16
# Columns of words; all others but the first hold numbers.
_WORDS = ("kind", "answer", "", "presence depends on", "against", "most changed")


def new_console() -> Console:
    """Return a console for standard output."""
    console = Console(highlight=False)
    # A pipe has no width: tables are not to be cut at 80 columns there.
    return console if console.is_terminal else Console(highlight=False, width=140)


def new_table(title: str, *columns: str) -> Table:
    """Return an empty table; numbers are aligned to the right."""
    table = Table(
        title=title, title_justify="left", title_style="bold", header_style="dim", box=None
    )
    for index, column in enumerate(columns):
        words = index == 0 or column in _WORDS
        table.add_column(column, justify="left" if words else "right", overflow="fold")
    return table


def percent(share: float) -> str:
    """Write a share, with a decimal near the ends."""
    if math.isnan(share):
        return "?"
    return f"{share:.1%}" if 0 < share < 0.01 or 0.99 < share < 1 else f"{share:.0%}"


def number(value: float) -> str:
    """Write a score."""
    return f"{value:.3f}" if abs(value) < 100 else f"{value:,.4g}"


def amount(value: float) -> str:
    """Write a count or a time without an exponent."""
    if math.isnan(value):
        return "?"
    # Without an exponent: these may be seconds, and many.
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def signed(value: float) -> str:
    """Write a difference with its sign."""
    return f"{value:+.3f}"


def interval(estimate: float, low: float, high: float, say: Any) -> str:
    """Write an estimate with its interval; the brackets are escaped for markup."""
    if math.isnan(estimate):
        return "undefined"
    if math.isnan(low) or low == high == estimate:
        return str(say(estimate))
    return escape(f"{say(estimate)} [{say(low)}, {say(high)}]")


def bar(share: float, *, dim: bool) -> Text:
    """Draw a share as a bar."""
    filled = 0 if math.isnan(share) else round(share * _BAR)
    drawn = Text("█" * filled, style="dim" if dim else "cyan")
    return drawn.append("·" * (_BAR - filled), style="dim")
