"""What modalities have to do with each other, on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.markup import escape

from fusewise.cli.terminal import interval, new_table

if TYPE_CHECKING:
    from rich.console import Console


def show_redundancy(console: Console, profile: Any, most: int = 5) -> None:
    """Show the most alike pairs of modalities, where any pair was measured."""
    table = profile.redundancy
    if not len(table):
        return
    known = table[table["cka"].notna()].sort_values("cka", ascending=False, kind="stable")
    if not len(known):
        return
    title = f"Redundancy, {min(most, len(known))} of {len(table)} pairs"
    shown = new_table(title, "most alike", "debiased CKA", "n", "samples with both")
    for row in known.head(most).itertuples(index=False):
        shown.add_row(
            escape(f"{row.modality} and {row.other}"),
            interval(row.cka, row.low, row.high, lambda value: f"{value:.2f}"),
            f"{row.n:,}",
            f"{row.n_both:,}",
        )
    console.print(shown)
