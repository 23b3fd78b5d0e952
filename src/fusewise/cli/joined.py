"""What modalities have to do with each other, on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.markup import escape

from fusewise.cli.terminal import amount, interval, new_table, percent

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


def show_timing(console: Console, profile: Any, most: int = 5) -> None:
    """Show how old modalities are at prediction, and which are furthest apart in time."""
    _show_staleness(console, profile)
    _show_asynchrony(console, profile, most)


def _show_staleness(console: Console, profile: Any) -> None:
    if len(profile.staleness):
        ages = profile.staleness[profile.staleness["age"].notna()]
        heads = ("n", "median age", "middle half", "typical gap", "older than that")
        shown = new_table("Latest event at prediction time", "modality", *heads)
        for row in ages.itertuples(index=False):
            shown.add_row(
                escape(str(row.modality)),
                f"{row.n:,}",
                interval(row.age, row.low, row.high, amount),
                f"{amount(row.age_q25)} to {amount(row.age_q75)}",
                amount(row.typical_gap),
                percent(row.share_older),
            )
        if len(ages):
            console.print(shown)
            for note in dict.fromkeys(note for note in ages["note"] if note):
                console.print(f"[dim]{escape(str(note))}[/]")


def _show_asynchrony(console: Console, profile: Any, most: int) -> None:
    if len(profile.asynchrony):
        pairs = profile.asynchrony[profile.asynchrony["lag"].notna()]
        pairs = pairs.sort_values("lag", ascending=False, kind="stable")
        title = f"Furthest apart in time, {min(most, len(pairs))} of {len(pairs)} ordered pairs"
        heads = ("when it speaks, the other is old", "middle half", "n", "samples with both")
        shown = new_table(title, "modality and other", *heads)
        for row in pairs.head(most).itertuples(index=False):
            shown.add_row(
                escape(f"{row.modality} after {row.other}"),
                interval(row.lag, row.low, row.high, amount),
                f"{amount(row.lag_q25)} to {amount(row.lag_q75)}",
                f"{row.n:,}",
                percent(row.share_both),
            )
        if len(pairs):
            console.print(shown)
