"""What each strategy would cost in use, estimated before training."""

from __future__ import annotations

from typing import Any

from fusewise.report.blocks import Cell, Prose, Section, Table
from fusewise.report.frames import Record, cells, columns, pick, records
from fusewise.report.glossary import strategy_name
from fusewise.report.numbers import count, known, number
from fusewise.report.text import Text, say


def compute_section(profile: Any) -> Section | None:
    """Build the section from a deployment profile, or nothing where nothing was estimated."""
    rows = records(profile, "compute")
    if not rows:
        return None
    body = tuple(_row(rows, row) for row in pick(rows, situation="complete"))
    heads = columns(
        "strategy",
        "numbers in the model",
        "multiply-adds",
        "memory (MB)",
        "ms, all present",
        "ms, in deployment",
    )
    lead = say(
        "What one prediction would cost with each strategy at its defaults, **estimated before "
        "anything is trained** from the widths, the events per [[sample]] and the rates of "
        "[[presence]]. In brackets is the largest error that such estimates had elsewhere."
    )
    table = Table(heads, body, say("Estimated cost of one prediction"), folded=False)
    return Section("cost", "Cost in use", lead, (table, Prose(_how()), *_limits(profile)))


def _row(rows: list[Record], row: Record) -> tuple[Cell, ...]:
    use = pick(rows, situation="deployment", strategy=row["strategy"])
    mean = use[0] if use else {}
    return cells(
        strategy_name(row["strategy"]),
        count(row["parameters"]),
        count(row["multiply_adds"]),
        _bounded(row, "memory"),
        _bounded(row, "latency"),
        number(mean.get("latency_ms")),
    )


def _bounded(row: Record, what: str) -> Cell:
    value = row["latency_ms" if what == "latency" else "memory_mb"]
    low, high = row[f"{what}_low"], row[f"{what}_high"]
    bounds = f"[{number(low)}, {number(high)}]" if known(low) and known(high) else ""
    return Cell(number(value), "", bounds)


def _how() -> Text:
    return say(
        "Latency is that of one sample on one thread of a processor that is not busy, from a table "
        "in memory to a probability; another machine moves all of it. Memory is that of a process "
        "with its libraries, which are most of it. How many trees boosting grows is not known "
        "before training: 150 are taken for each model, and a comparison counts as a multiply-add."
    )


def _limits(profile: Any) -> list[Prose]:
    declared = getattr(profile, "deployment", None) or {}
    told = [
        f"{number(declared[name])} {unit}"
        for name, unit in (("latency_ms", "ms per sample"), ("memory_mb", "MB"))
        if known(declared.get(name))
    ]
    if not told:
        return []
    return [
        Prose(
            say(
                "Declared limits: **{limits}**. A strategy is dropped where even the lower bound "
                "is above a limit; where the limit lies within the bounds, measure.",
                limits=", ".join(told),
            )
        )
    ]
