"""What each strategy would cost in use, on a terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from fusewise.cli.terminal import amount, new_table

if TYPE_CHECKING:
    from rich.console import Console


def show_cost(console: Console, profile: Any) -> None:
    """Show the estimates, where there are any."""
    if not len(profile.compute):
        return
    heads = ("numbers in the model", "multiply-adds", "MB", "ms, all present", "ms, in deployment")
    table = new_table("Cost of one prediction, estimated before training", "strategy", *heads)
    rows = profile.compute.set_index(["strategy", "situation"])
    for strategy in dict.fromkeys(profile.compute["strategy"]):
        full = rows.loc[(strategy, "complete")]
        mean = rows["latency_ms"].get((strategy, "deployment"), math.nan)
        table.add_row(
            escape(str(strategy)),
            f"{full['parameters']:,.0f}",
            f"{full['multiply_adds']:,.0f}",
            _bounded(full["memory_mb"], full["memory_low"], full["memory_high"]),
            _bounded(full["latency_ms"], full["latency_low"], full["latency_high"]),
            "unknown" if math.isnan(mean) else _short(mean),
        )
    console.print(table)
    console.print("[dim]In brackets the largest error that such estimates had elsewhere.[/]")


def _bounded(value: float, low: float, high: float) -> str:
    return escape(f"{_short(value)} [{_short(low)}, {_short(high)}]")


def _short(value: float) -> str:
    return amount(float(f"{value:.2g}")) if abs(value) < 100 else amount(round(value))
