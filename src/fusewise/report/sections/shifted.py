"""What the score would be under other availability, and whether more modalities do harm."""

from __future__ import annotations

from typing import Any

from fusewise.report.blocks import Cell, Figure, Heading, Notice, Prose, Table
from fusewise.report.frames import Patterns, Record, cells, columns, flag, pick, records, remark
from fusewise.report.metrics import metric_name
from fusewise.report.numbers import (
    count,
    estimate,
    number,
    p_value,
    percent_interval,
    plain,
    plural,
    signed,
)
from fusewise.report.plots.drops import draw_drops
from fusewise.report.plots.rows import Mark, Row
from fusewise.report.sections.sizes import NARROW, WIDE
from fusewise.report.text import Text, quote, say

_SAYS = {"lost": "{name} is lost", "never there": "never {name}", "twice as often": "twice {name}"}


def summary_table(evaluation: Any, names: Patterns) -> list[Any]:
    """Show degradation in a few figures, or nothing where there are none."""
    rows = records(evaluation, "degradation_summary")
    first = [r for r in rows if r["metric"] == rows[0]["metric"]]
    others = [r for r in rows if r["metric"] != rows[0]["metric"]]
    caption = say(
        "Degradation in a few figures. The worst of many patterns looks worse than it is: its limits "
        "are such that those of all patterns that it was chosen from hold at once."
    )
    tables = [_summary(first, names, caption, folded=False)] if first else []
    if others:
        tables.append(_summary(others, names, say("The same by other metrics"), folded=True))
    return tables


def _summary(rows: list[Record], names: Patterns, caption: Text, *, folded: bool) -> Table:
    body = tuple(
        cells(
            Cell(str(r["summary"]), "name", _where(r, names)),
            metric_name(r["metric"]),
            count(r["n"]),
            estimate(r["estimate"], r["low"], r["high"], reason=str(r.get("note") or "")),
            signed(r["drop"], r["drop_low"], r["drop_high"]),
        )
        for r in rows
    )
    heads = columns("summary", "metric", "n", "score", "cost", text=2)
    return Table(heads, body, caption, folded=folded)


def _where(row: Record, names: Patterns) -> str:
    if not row.get("where"):
        return ""
    return f"{names.short(str(row['where']))}, worst of {count(row['of'])}"


def shifted_blocks(evaluation: Any, metric: str, names: Patterns) -> list[Any]:
    """Show the headline under shifted availability, or nothing where it was not computed."""
    rows = pick(records(evaluation, "shifted"), metric=metric)
    if not rows:
        return []
    shown = metric_name(metric)
    lines = [_row(r, names) for r in rows if r["kind"] != "twice as often"]
    body = tuple(
        cells(
            Cell(_told(r, names), "name", "few samples" if flag(r, "small") else ""),
            count(r["n"]),
            count(r["effective_n"]),
            count(r["n_emptied"]),
            estimate(r["estimate"], r["low"], r["high"], reason=str(r.get("note") or "")),
            signed(r["change"], r["change_low"], r["change_high"]),
        )
        for r in rows
    )
    heads = columns("scenario", "n", "effective n", "emptied", shown, "worse by")
    table = Table(heads, body, say("All scenarios as a table"))
    drawn: dict[str, Any] = {
        "axis": f"change of {shown} (right is worse)",
        "label": f"Change of the headline {shown} where a modality is lost or never there",
        "head": "worse by",
    }
    note = say(
        "**Lost**: withheld from everybody, so the same people with less. **Never**: those who came "
        "without it, so other people too."
    )
    title = say("[[Availability shift|availability shift]]: the headline where a modality fails")
    if not lines:
        return [table]
    return [
        Figure(
            title,
            draw_drops(lines, width=WIDE, **drawn),
            draw_drops(lines, width=NARROW, **drawn),
            (),
            note,
            (table,),
        )
    ]


def _told(row: Record, names: Patterns) -> str:
    scenario = str(row["scenario"])
    if row["kind"] == "twice as often":
        scenario = names.short(scenario)
    return _SAYS[str(row["kind"])].format(name=scenario)


def _row(row: Record, names: Patterns) -> Row:
    change = estimate(row["change"], row["change_low"], row["change_high"])
    hollow = flag(row, "small")
    return Row(
        _told(row, names),
        (Mark(row["change"], row["change_low"], row["change_high"], hollow=hollow),),
        (number(row["change"], row["change_low"], row["change_high"]), count(row["n"])),
        title=f"{_told(row, names)}: worse by {change}",
        remark=remark(row) or "n/a",
        quiet=hollow,
    )


def corruption_blocks(evaluation: Any, metric: str) -> list[Any]:
    """Show what corrupted values cost, or nothing where it was not asked for."""
    rows = pick(records(evaluation, "corruption"), metric=metric)
    if not rows:
        return []
    body = tuple(
        cells(
            Cell(str(r["modality"]), "name", "few samples" if flag(r, "small") else ""),
            _corruption(r),
            count(r["n"]),
            signed(r["drop"], r["drop_low"], r["drop_high"]),
            signed(r["withheld_drop"]),
            signed(r["beyond_absence"], r["beyond_absence_low"], r["beyond_absence_high"]),
        )
        for r in rows
    )
    heads = columns(
        "modality", "values", "n", "worse by", "without it", "worse than without it by", text=2
    )
    caption = say(
        "Corrupted values, in {metric}: the modality is there and what it says is wrong. Where the "
        "last column is above zero, no values would be better than these.",
        metric=metric_name(metric),
    )
    return [Heading(say("When values are wrong")), Table(heads, body, caption, folded=False)]


def _corruption(row: Record) -> str:
    if row["corruption"] == "shuffled":
        return "of other samples"
    return f"{row['corruption']} x {plain(row['level'])}"


def nested_blocks(evaluation: Any, names: Patterns) -> list[Any]:
    """Say whether more modalities do harm, or nothing where it was not computed."""
    rows = records(evaluation, "nested")
    if not rows:
        return []
    harm = [r for r in rows if flag(r, "hurts")]
    blocks: list[Any] = [Heading(say("Do more modalities hurt?"))]
    if harm:
        told = tuple(
            quote(
                f"Adding {r['added']} to {names.short(str(r['fewer']))} raises the loss by "
                f"{signed(r['difference'], r['low'], r['high'])} (n = {count(r['n'])})."
            )
            for r in harm
        )
        title = say("Less would be better for {what}", what=plural(len(harm), "pair"))
        blocks.append(Notice("warn", title, told))
    else:
        text = "No: for none of {what} does the mean loss clearly rise by a modality more."
        blocks.append(
            Prose(
                say(
                    text,
                    what=plural(len(rows), "pair of nested patterns", "pairs of nested patterns"),
                )
            )
        )
    body = tuple(
        cells(
            Cell(str(r["added"]), "name", "few samples" if flag(r, "small") else ""),
            names.cell(str(r["fewer"]), whole=False),
            count(r["n"]),
            signed(r["difference"], r["low"], r["high"]),
            p_value(r["p_adjusted"]),
            percent_interval(r["share_worse"], r["share_low"], r["share_high"]),
        )
        for r in rows
    )
    heads = columns(
        "added", "to", "n", "loss rises by", "adjusted p", "samples it is worse for", text=2
    )
    caption = say(
        "The same samples with a modality more and without it; p of no harm on average, adjusted for "
        "all pairs. For single samples more is often worse, also where it helps on average."
    )
    return [*blocks, Table(heads, body, caption)]
