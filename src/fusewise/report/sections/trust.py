"""How far one prediction can be trusted: sets, abstention, and what to ask for first."""

from __future__ import annotations

from typing import Any

import pandas as pd

from fusewise.report.blocks import Cell, Figure, Heading, Section, Table
from fusewise.report.frames import Patterns, Record, cells, columns, flag, pick
from fusewise.report.metrics import metric_name
from fusewise.report.numbers import (
    count,
    estimate,
    known,
    number,
    percent,
    percent_interval,
    plain,
    signed,
)
from fusewise.report.plots.lines import Line, Step, draw_lines
from fusewise.report.sections.sizes import NARROW, WIDE
from fusewise.report.text import say

ALL = "(all)"
TONES = ("s-a", "s-b", "s-c", "s-d", "s-e")


def trust_section(coverage: Any, abstention: Any, asking: Any, names: Patterns) -> Section | None:
    """Build the section from what was computed, or nothing where nothing was.

    Parameters
    ----------
    coverage : DataFrame or None
        Of ``coverage_by_pattern``.
    abstention : RiskCoverage or None
    asking : DataFrame or None
        Of ``value_of_asking``.
    names : Patterns
    """
    blocks: list[Any] = []
    if coverage is not None and len(coverage):
        blocks += [Heading(say("Prediction sets")), _coverage(_records(coverage), names)]
    if abstention is not None and len(abstention.area):
        blocks += [Heading(say("Abstention")), *_abstention(abstention, names)]
    if asking is not None and len(asking):
        blocks += [Heading(say("What to ask for first")), _asking(_records(asking), names)]
    if not blocks:
        return None
    lead = say(
        "Per [[availability pattern]]: sets that hold the truth as often as promised, what abstaining "
        "would spare, and which absent modality would tell the most."
    )
    return Section("trust", "Sets, abstention, asking", lead, tuple(blocks))


def _records(frame: pd.DataFrame) -> list[Record]:
    return [{str(k): v for k, v in row.items()} for row in frame.to_dict("records")]


def _name(row: Record, names: Patterns) -> Cell:
    pattern = str(row["pattern"])
    few = "few samples" if flag(row, "small") else ""
    return Cell("all test samples" if pattern == ALL else names.short(pattern), "name", few)


def _coverage(rows: list[Record], names: Patterns) -> Table:
    body = tuple(
        cells(
            _name(r, names),
            str(r["view"]),
            str(r["method"]),
            count(r["n"]),
            count(r["n_calibration"]),
            percent_interval(r["coverage"], r["low"], r["high"]),
            percent(r["lowest_class_coverage"]) if known(r["lowest_class_coverage"]) else "",
            number(r["mean_size"]),
        )
        for r in rows
    )
    heads = columns(
        "pattern", "view", "method", "n", "calibrated on", "holds", "of the worst class", "mean size",
        text=3,
    )  # fmt: skip
    caption = say(
        "How often the sets hold the truth, and what it costs: classes in a set, or the width of an "
        "interval. The promise is on average over a pattern, not for each class."
    )
    return Table(heads, body, caption, folded=len(rows) > 12)


def _abstention(abstention: Any, names: Patterns) -> list[Any]:
    loss = metric_name(abstention.loss)
    area, curve = _records(abstention.area), _records(abstention.curve)
    body = tuple(
        cells(
            _name(r, names),
            str(r["view"]),
            count(r["n"]),
            number(r["risk"]),
            estimate(r["aurc"], r["low"], r["high"], reason=str(r["note"] or "")),
            signed(r["gain"], r["gain_low"], r["gain_high"]),
        )
        for r in area
    )
    heads = columns("pattern", "view", "n", f"{loss}, all answered", "area", "spared", text=2)
    caption = say(
        "Answering the most confident first: the mean {loss} over all shares that could be answered "
        "(the area), beside that of answering everybody. What is spared is 0 where confidence tells "
        "nothing.",
        loss=loss,
    )
    table = Table(heads, body, caption)
    shown = [ALL, *dict.fromkeys(str(r["pattern"]) for r in area if str(r["pattern"]) != ALL)]
    lines, legend = [], []
    for pattern, tone in zip(shown, TONES, strict=False):
        own = [r for r in pick(curve, pattern=pattern) if r["view"] != "withheld"]
        steps = tuple(Step(round(100 * r["share"]), r["risk"]) for r in own if known(r["risk"]))
        if len(steps) > 1:
            label = "all test samples" if pattern == ALL else names.spoken(pattern, 40)
            lines.append(Line(tuple(sorted(steps, key=lambda s: s.x)), tone, label))
            legend.append((tone, label))
    if not lines:
        return [table]
    drawn: dict[str, Any] = {
        "label": f"{loss} among the answered, by the share that is answered",
        "x_title": "answered, the most confident first, %",
        "y_title": loss,
    }
    return [
        Figure(
            say("Risk among the answered"),
            draw_lines(tuple(lines), width=WIDE, **drawn),
            draw_lines(tuple(lines), width=NARROW, **drawn),
            tuple(legend),
            None,
            (table,),
        )
    ]


def _asking(rows: list[Record], names: Patterns) -> Table:
    costs = any(known(r["cost"]) for r in rows)
    body = tuple(
        cells(
            names.cell(str(r["pattern"]), whole=False),
            Cell(str(r["ask"]), "name", "few samples" if flag(r, "small") else ""),
            count(r["rank"]),
            percent(r["weight"]),
            count(r["n"]),
            signed(r["gain"], r["gain_low"], r["gain_high"]),
            *((plain(r["cost"]), plain(r["gain_per_cost"])) if costs else ()),
        )
        for r in rows
    )
    heads = columns(
        "pattern", "ask for", "rank", "weight", "n", f"gain in {metric_name(rows[0]['metric'])}",
        *(("cost", "gain by cost") if costs else ()),
        text=2,
    )  # fmt: skip
    caption = say(
        "What an absent modality would gain, by withholding it from samples that have it. It takes "
        "them to be like those who would get it."
    )
    return Table(heads, body, caption, folded=len(rows) > 12)
