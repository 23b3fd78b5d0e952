"""What was required, and whether it holds."""

from __future__ import annotations

from typing import Any

from fusewise.report.blocks import Notice, Section, Table, Verdict, Verdicts
from fusewise.report.frames import Patterns, Record, cells, columns, records
from fusewise.report.metrics import metric_name
from fusewise.report.numbers import count, estimate, known, number, plural
from fusewise.report.plots.spark import draw_spark
from fusewise.report.text import quote, say

STATUSES = ("not met", "undetermined", "met")
_CLASS = {"met": "met", "not met": "unmet", "undetermined": "open"}


def requirements_section(evaluation: Any, names: Patterns) -> Section | None:
    """Build the section from an evaluation, or nothing from None."""
    if evaluation is None:
        return None
    rows = records(evaluation, "requirements")
    if not rows:
        lead = say("No [[requirement]] was declared, so nothing was held against the measurements.")
        return Section("requirements", "Requirements", lead)
    answers = [str(r["status"]) for r in rows]
    tally = {status: answers.count(status) for status in STATUSES}
    lead = say(
        "Each declared [[requirement]] against the [[interval]] that was measured: met when the "
        "whole interval is on the right side of the threshold, undetermined when it straddles it."
    )
    order = sorted(rows, key=lambda r: _rank(str(r["status"])))
    title = say(
        "{met} met, {unmet} not met, {open} undetermined",
        met=tally["met"],
        unmet=tally["not met"],
        open=tally["undetermined"],
    )
    blocks: list[Any] = [Verdicts(title, tuple(_verdict(r, names) for r in order))]
    if tally["undetermined"]:
        text = say(
            "More test samples with these patterns would decide them; so would a threshold further "
            "from the estimate."
        )
        count_open = plural(tally["undetermined"], "requirement")
        title = say("{what} cannot be answered with these samples", what=count_open)
        blocks.append(Notice("info", title, (text,)))
    blocks.append(_table(rows, names))
    return Section("requirements", "Requirements", lead, tuple(blocks))


def _rank(status: str) -> int:
    return STATUSES.index(status) if status in STATUSES else len(STATUSES)


def _verdict(row: Record, names: Patterns) -> Verdict:
    status = str(row["status"])
    measured = estimate(row.get("estimate"), row.get("low"), row.get("high"))
    class_ = _CLASS.get(status, "open")
    where = names.short(str(row["pattern"])) if row.get("pattern") else ""
    spark = draw_spark(
        row.get("estimate"),
        row.get("low"),
        row.get("high"),
        row.get("threshold"),
        label=f"{measured} against {number(row.get('threshold'))}: {status}",
        tone=class_,
    )
    n = f"n = {count(row['n'])}" if known(row.get("n")) else ""
    label = " · ".join(x for x in (metric_name(row["metric"]), where, str(row.get("view") or ""), n) if x)
    return Verdict(
        class_,
        status,
        quote(row["requirement"]),
        measured,
        number(row.get("threshold")),
        spark,
        label=label,
    )


def _table(rows: list[Record], names: Patterns) -> Table:
    body = tuple(
        cells(
            str(r["requirement"]),
            str(r["status"]),
            metric_name(r["metric"]),
            str(r.get("view") or ""),
            names.cell(str(r["pattern"])) if r.get("pattern") else "",
            count(r.get("n")),
            estimate(r.get("estimate"), r.get("low"), r.get("high")),
            number(r.get("threshold")),
        )
        for r in rows
    )
    heads = columns(
        "requirement", "status", "metric", "view", "pattern", "n", "estimate", "threshold", text=5
    )
    return Table(heads, body, say("Requirements as a table"))
