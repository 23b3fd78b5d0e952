"""A comparison on a terminal."""

from __future__ import annotations

from typing import Any

from rich.markup import escape

from fusewise.cli.terminal import interval, new_console, new_table, number, percent, signed


def show_comparison(comparison: Any, most: int = 8) -> None:
    """Show scores on the mixture, the differences, and who is ahead on which pattern."""
    console = new_console()
    metrics = comparison.metrics
    table = new_table("Scores on the deployment's mixture", "predictor", *metrics, "n")
    for model in comparison.models:
        own = comparison.overall[comparison.overall["model"] == model]
        scores = [interval(r.estimate, r.low, r.high, number) for r in own.itertuples(index=False)]
        table.add_row(escape(model), *scores, f"{own['n'].iloc[0]:,}")
    console.print(table)
    metric = metrics[0]
    table = new_table(f"Differences in {metric}", "pair", "difference", "adjusted p", "ahead")
    held = comparison.differences[comparison.differences["metric"] == metric]
    for row in held.itertuples(index=False):
        table.add_row(
            escape(f"{row.first} - {row.second}"),
            interval(row.difference, row.low, row.high, signed),
            f"{row.p_adjusted:.3f}",
            escape(row.ahead) if row.ahead != "neither" else "[dim]neither[/]",
        )
    console.print(table)
    leaders = comparison.leaders.query("metric == @metric and view == 'natural'")
    leaders = leaders.sort_values(["weight", "n"], ascending=False, kind="stable")
    title = f"Ahead in {metric} by pattern, {min(most, len(leaders))} of {len(leaders)}"
    table = new_table(title, "pattern", "n", "weight", "ahead")
    for row in leaders.head(most).itertuples(index=False):
        open_ = "few samples" if row.small else "undecided"
        ahead = escape(row.leader) if row.leader else f"[dim]{open_}[/]"
        table.add_row(escape(row.pattern), f"{row.n:,}", percent(row.weight), ahead)
    console.print(table)
    for note in comparison.notes:
        console.print(f"[yellow]note[/] {escape(note)}")
