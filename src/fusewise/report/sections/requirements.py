"""What was required, and whether it holds."""

from __future__ import annotations

from typing import Any

from fusewise.report.blocks import Notice, Section, Table, Verdict, Verdicts
from fusewise.report.frames import Patterns, Record, cells, columns, records
from fusewise.report.metrics import metric_name, spoken
from fusewise.report.numbers import count, estimate, known, plain, plural
from fusewise.report.plots.spark import draw_spark
from fusewise.report.text import quote, say

STATUSES = ("undetermined", "not met", "met")
_CLASS = {"met": "met", "not met": "unmet", "undetermined": "open"}


def requirements_section(
    evaluation: Any, names: Patterns, next_step: str | None = None
) -> Section | None:
    """Build the section from an evaluation, or nothing from None.

    `next_step` says what to do where a requirement is not met, if whoever ran it has a proposal.
    """
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
    told = [f"{tally[status]} {status}" for status in reversed(STATUSES) if tally[status]]
    title = quote(", ".join(told))
    blocks: list[Any] = [Verdicts(title, tuple(_verdict(r) for r in order))]
    if tally["undetermined"]:
        text = say(
            "More test samples with these patterns would decide them; so would a threshold further "
            "from the estimate."
        )
        count_open = plural(tally["undetermined"], "requirement")
        title = say("{what} cannot be answered with these samples", what=count_open)
        blocks.append(Notice("info", title, (text,)))
    if next_step:
        blocks.append(Notice("info", say("What next"), (quote(next_step),)))
    blocks.append(_table(rows, names))
    return Section("requirements", "Requirements", lead, tuple(blocks))


def _rank(status: str) -> int:
    return {"not met": 0, "undetermined": 1}.get(status, 2)


def _verdict(row: Record) -> Verdict:
    status = str(row["status"])
    measured = estimate(row.get("estimate"), row.get("low"), row.get("high"))
    class_ = _CLASS.get(status, "open")
    spark = draw_spark(
        row.get("estimate"),
        row.get("low"),
        row.get("high"),
        row.get("threshold"),
        label=f"{measured} against {plain(row.get('threshold'))}: {status}",
        tone=class_,
    )
    n = f"n = {count(row['n'])}" if known(row.get("n")) else ""
    why = str(row.get("reason") or "") if status == "undetermined" else ""
    label = " · ".join(x for x in (str(row.get("view") or ""), n, why) if x)
    return Verdict(
        class_,
        status,
        quote(spoken(row["requirement"], row["metric"])),
        measured,
        plain(row.get("threshold")),
        spark,
        label=label,
    )


def _table(rows: list[Record], names: Patterns) -> Table:
    body = tuple(
        cells(
            spoken(r["requirement"], r["metric"]),
            str(r["status"]),
            metric_name(r["metric"]),
            str(r.get("view") or ""),
            names.cell(str(r["pattern"]), whole=False) if r.get("pattern") else "",
            count(r.get("n")),
            estimate(r.get("estimate"), r.get("low"), r.get("high")),
            plain(r.get("threshold")),
        )
        for r in rows
    )
    heads = columns(
        "requirement", "status", "metric", "view", "pattern", "n", "estimate", "threshold", text=5
    )
    return Table(heads, body, say("Requirements as a table"))
