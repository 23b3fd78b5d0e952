"""What a pilot found, on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.markup import escape

from fusewise.cli.terminal import interval, new_table, number, signed

if TYPE_CHECKING:
    from rich.console import Console

_STATUS = {"met": "green", "not met": "red", "undetermined": "yellow"}


def show_pilot(console: Console, pilot: Any) -> None:
    """Show the candidates, where they change places, and what was left out."""
    from fusewise.recommend import LOSS_WORDS

    loss = LOSS_WORDS[pilot.loss]
    console.print()
    table = new_table(
        f"Pilot: {pilot.n:,} training rows, {pilot.n_folds} folds, out of fold under the "
        "deployment's absence",
        "candidate",
        "rows to learn from",
        loss,
        pilot.score,
        "n",
        f"better than {pilot.reference} by",
    )
    gains = {(r.strategy, r.size): r for r in pilot.comparison.itertuples(index=False)}
    own = pilot.losses[pilot.losses["regime"] == "deployment"]
    for row in own.itertuples(index=False):
        found = gains.get((row.strategy, row.size))
        gain = "" if found is None else interval(found.difference, found.low, found.high, signed)
        table.add_row(
            escape(str(row.strategy)),
            f"{row.size:,}",
            interval(row.loss, row.low, row.high, number),
            number(row.score),
            f"{row.n:,}",
            f"[green]{gain}[/]" if found is not None and found.shown else gain,
        )
    console.print(table)
    for text in pilot.where_places_change:
        console.print(f"  {escape(text)}")
    for row in pilot.requirements.itertuples(index=False):
        console.print(
            f"  [{_STATUS[str(row.status)]}]{row.status}[/]  {escape(str(row.strategy))}: "
            f"{escape(str(row.requirement))}, {interval(row.estimate, row.low, row.high, number)}, "
            f"n {row.n:,}"
        )
    for text in pilot.lacks:
        console.print(f"  [yellow]not done[/] {escape(text)}")
    for text in pilot.notes:
        console.print(f"  [yellow]note[/] {escape(text)}")
