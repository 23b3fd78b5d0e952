"""Calibration in figures, and decisions by threshold: blocks of the section on calibration."""

from __future__ import annotations

from typing import Any

from fusewise.report.blocks import Cell, Figure, Heading, Table
from fusewise.report.frames import Patterns, Record, cells, columns, flag, pick, records
from fusewise.report.metrics import metric_name
from fusewise.report.numbers import count, estimate, number, percent, plain, signed
from fusewise.report.plots.lines import Line, Step, draw_lines
from fusewise.report.sections.sizes import NARROW, WIDE
from fusewise.report.text import say

ALL = "(all)"


def calibration_table(evaluation: Any, names: Patterns) -> list[Any]:
    """Show intercept, slope and ECE, or nothing where they were not computed."""
    rows = records(evaluation, "calibration_summary")
    if not rows:
        return []
    body = tuple(
        cells(
            _cell(r, names),
            str(r["view"]),
            metric_name(r["metric"]),
            count(r["n"]),
            estimate(r["estimate"], r["low"], r["high"], reason=str(r.get("note") or "")),
            number(r["if_calibrated"]),
        )
        for r in rows
    )
    heads = columns("pattern", "view", "figure", "n", "estimate", "if calibrated", text=3)
    caption = say(
        "Calibration in figures: an intercept of 0 and a slope of 1 are right. The expected "
        "calibration error is above zero by chance alone: beside it stands what a calibrated "
        "predictor shows in so few samples."
    )
    return [Table(heads, body, caption, folded=len(rows) > 6)]


def _cell(row: Record, names: Patterns) -> Cell:
    few = "few samples" if flag(row, "small") else ""
    pattern = str(row["pattern"])
    return Cell("all test samples" if pattern == ALL else names.short(pattern), "name", few)


def decision_blocks(evaluation: Any, names: Patterns) -> list[Any]:
    """Show the decision curve, or nothing where it was not computed."""
    rows = records(evaluation, "decision_curve")
    whole = sorted(pick(rows, pattern=ALL), key=lambda r: float(r["threshold"]))
    if len(whole) < 2:
        return []
    limits = _limits(whole)
    lines = (
        _line(whole, "treat_none", "s-t", "flag nobody", limits[0]),
        _line(whole, "treat_all", "s-b", "flag everybody", limits[0]),
        _line(whole, "net_benefit", "s-a", "the model", limits[0]),
    )
    at = getattr(evaluation, "threshold", None)
    drawn: dict[str, Any] = {
        "label": "Net benefit of the model, of flagging everybody and nobody, by threshold",
        "x_title": "threshold, % of predicted risk",
        "y_title": "net benefit",
        "mark": None if at is None else round(100 * at),
        "limits": limits,
    }
    body = tuple(
        cells(
            _cell(r, names),
            percent(r["threshold"]),
            count(r["n"]),
            estimate(r["net_benefit"], r["net_benefit_low"], r["net_benefit_high"]),
            estimate(r["treat_all"], r["treat_all_low"], r["treat_all_high"]),
            signed(r["advantage"], r["advantage_low"], r["advantage_high"]),
        )
        for r in rows
    )
    heads = columns(
        "pattern", "threshold", "n", "net benefit", "flag everybody", "better than both by", text=1
    )
    note = say(
        "True positives for each sample, less false positives weighed by the odds of the threshold. "
        "A model is of use at a threshold where its line is above both others.{at}",
        at="" if at is None else f" The operating point is {plain(at)}.",
    )
    legend = (("s-a", "the model"), ("s-b", "flag everybody"), ("s-t", "flag nobody"))
    return [
        Heading(say("Decisions by threshold")),
        Figure(
            say("Net benefit by threshold"),
            draw_lines(lines, width=WIDE, **drawn),
            draw_lines(lines, width=NARROW, **drawn),
            legend,
            note,
            (Table(heads, body, say("Net benefit as a table, by pattern")),),
        ),
    ]


def _line(rows: list[Record], name: str, tone: str, label: str, least: float) -> Line:
    steps = tuple(
        Step(
            round(100 * r["threshold"]),
            r[name],
            max(r.get(f"{name}_low", float("nan")), least),
            r.get(f"{name}_high", float("nan")),
        )
        for r in rows
        if r[name] >= least
    )
    return Line(steps, tone, label)


def _limits(rows: list[Record]) -> tuple[float, float]:
    # Flagging everybody falls without end; what is far below zero says nothing.
    top = max(
        float(r["net_benefit_high"]) for r in rows if r["net_benefit_high"] == r["net_benefit_high"]
    )
    return -0.25 * top, 1.05 * top
