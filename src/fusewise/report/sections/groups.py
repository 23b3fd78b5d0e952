"""Whether groups are served alike, and whether availability is why they are not."""

from __future__ import annotations

from typing import Any

from fusewise.report.blocks import Cell, Notice, Section, Table
from fusewise.report.frames import Record, cells, columns, flag, pick, records
from fusewise.report.metrics import metric_name
from fusewise.report.numbers import count, estimate, interval, percent, percent_interval, signed
from fusewise.report.text import quote, say


def groups_section(evaluation: Any) -> Section | None:
    """Build the section from an evaluation, or nothing where no groups are declared."""
    gaps = records(evaluation, "group_gaps")
    if not gaps:
        return None
    lead = say(
        "Each group against all other samples. A gap that closes when both are weighted to the same "
        "[[availability patterns|availability pattern]] comes from what is known of them; one that "
        "stays does not."
    )
    clear = [r for r in gaps if r["gap_low"] == r["gap_low"] and float(r["gap_low"]) > 0]
    blocks: list[Any] = []
    if clear:
        told = tuple(quote(_sentence(r)) for r in clear)
        blocks.append(Notice("warn", say("Served worse than the rest"), told))
    blocks += [_gaps(gaps), _scores(evaluation)]
    if records(evaluation, "group_presence"):
        blocks.append(_presence(evaluation))
    if records(evaluation, "by_group_pattern"):
        blocks.append(_by_pattern(evaluation))
    return Section("groups", "Groups", lead, tuple(blocks))


def _name(row: Record) -> str:
    return f"{row['group']}: {row['value']}"


def _sentence(row: Record) -> str:
    gap = signed(row["gap"], row["gap_low"], row["gap_high"])
    verdict = str(row["verdict"])
    if verdict == "undetermined":
        verdict = "whether availability explains it is undetermined"
    return f"{_name(row)}, in {metric_name(row['metric'])} worse by {gap}: {verdict}."


def _signed(row: Record, name: str) -> Cell:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return Cell(signed(row[name]), "", interval(low, high))


def _gaps(rows: list[Record]) -> Table:
    body = tuple(
        cells(
            Cell(_name(r), "name", "few samples" if flag(r, "small") else ""),
            metric_name(r["metric"]),
            str(r["verdict"]),
            count(r["n"]),
            *(_signed(r, name) for name in ("gap", "equal", "by_availability")),
        )
        for r in rows
    )
    heads = columns(
        "group",
        "metric",
        "verdict",
        "n",
        "worse by",
        "at equal patterns",
        "by availability",
        text=3,
    )
    caption = say("How much worse each group is than the rest; positive is worse, for losses too.")
    return Table(heads, body, caption, folded=len(rows) > 8)


def _scores(evaluation: Any) -> Table:
    rows = records(evaluation, "by_group")
    metrics = list(dict.fromkeys(str(r["metric"]) for r in rows))
    body = []
    for name in dict.fromkeys(_name(r) for r in rows):
        own = [r for r in rows if _name(r) == name]
        shown = [
            estimate(r["estimate"], r["low"], r["high"], reason=str(r["note"] or ""))
            for metric in metrics
            for r in pick(own, metric=metric)
        ]
        few = "few samples" if flag(own[0], "small") else ""
        body.append(cells(Cell(name, "name", few), count(own[0]["n"]), *shown))
    heads = columns("group", "n", *map(metric_name, metrics))
    return Table(heads, tuple(body), say("Scores by group, as the samples came"))


def _presence(evaluation: Any) -> Table:
    body = tuple(
        cells(
            Cell(_name(r), "name"),
            str(r["modality"]),
            "lacks it more often" if flag(r, "lacks") else "",
            count(r["n"]),
            percent_interval(r["rate"], r["low"], r["high"]),
            percent(r["rest"]),
        )
        for r in records(evaluation, "group_presence")
    )
    heads = columns("group", "modality", "", "n", "present", "in the rest", text=3)
    return Table(heads, body, say("Which groups lack which modality"))


def _by_pattern(evaluation: Any) -> Table:
    body = tuple(
        cells(
            Cell(_name(r), "name", "few samples" if flag(r, "small") else ""),
            str(r["pattern"]),
            metric_name(r["metric"]),
            count(r["n"]),
            estimate(r["estimate"], r["low"], r["high"], reason=str(r["note"] or "")),
        )
        for r in records(evaluation, "by_group_pattern")
    )
    heads = columns("group", "pattern", "metric", "n", "score", text=3)
    return Table(heads, body, say("Scores by group and availability pattern"))
