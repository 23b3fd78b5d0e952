"""Whether predicted probabilities come true as often as they say."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from fusewise.report.blocks import Gallery, Section, Table
from fusewise.report.frames import Patterns, Record, cells, columns, records
from fusewise.report.numbers import count, estimate, known, number
from fusewise.report.plots.reliability import Bin, draw_reliability
from fusewise.report.sections.operating import calibration_table, decision_blocks
from fusewise.report.sections.sizes import SMALL, TINY
from fusewise.report.text import say

MOST = 6
_WHOLE = ("(all)", "all", "", "overall", "pooled")


def calibration_section(evaluation: Any, names: Patterns) -> Section | None:
    """Build the section from an evaluation, or nothing where there is no calibration."""
    rows = records(evaluation, "calibration")
    if not rows:
        return None
    groups: dict[tuple[str, str], list[Record]] = {}
    for r in rows:
        groups.setdefault((str(r.get("view") or ""), _pattern(r)), []).append(r)
    order = sorted(
        groups,
        key=lambda key: (key[1] not in _WHOLE, key[0] == "withheld", -_size(groups[key]), key),
    )
    first, others = order[0], order[1 : 1 + MOST]
    whole = first[1] in _WHOLE
    large = "all test samples" if whole else names.spoken(first[1], 60)
    items = [(large, _draw(groups[first], large, SMALL))]
    items += [(_name(key, names), _draw(groups[key], _name(key, names), TINY)) for key in others]
    blocks = (
        Gallery(
            say("Predicted against what came true"),
            tuple(items),
            (("s-a", "bins with intervals"), ("rule-zero", "perfect calibration")),
            say(
                "On the dashed line, what was predicted came true as often as predicted. Below it, "
                "risks are overstated. The strip at the foot shows where the samples are."
            ),
            (_table(order, groups, names),),
            led=True,
        ),
        *calibration_table(evaluation, names),
        *decision_blocks(evaluation, names),
    )
    lead = say(
        "[[Calibration|calibration]]: among samples that were given a risk of 20 %, one in five "
        "should turn out positive. Decisions by threshold need this to hold in each pattern."
    )
    return Section("calibration", "Calibration and decisions", lead, blocks)


def _pattern(row: Record) -> str:
    pattern = row.get("pattern")
    return "" if pattern is None or pattern != pattern else str(pattern)  # noqa: PLR0124 - NaN


def _size(rows: list[Record]) -> float:
    return sum(float(r["n"]) for r in rows if known(r.get("n")))


def _name(key: tuple[str, str], names: Patterns) -> str:
    view, pattern = key
    shown = "all" if pattern in _WHOLE else names.spoken(pattern, 60)
    return f"{shown} ({view})" if view and view != "natural" else shown


def _draw(rows: list[Record], label: str, width: float) -> Markup:
    bins = [
        Bin(r["mean_predicted"], r["observed"], r["low"], r["high"], r["n"])
        for r in sorted(rows, key=lambda r: float(r["bin"]) if known(r["bin"]) else 0.0)
    ]
    return draw_reliability(bins, label=f"Calibration of {label}", width=width, small=width < SMALL)


def _table(
    order: list[tuple[str, str]], groups: dict[tuple[str, str], list[Record]], names: Patterns
) -> Table:
    body = tuple(
        cells(
            _name(key, names),
            str(r["bin"]),
            count(r["n"]),
            number(r["mean_predicted"]),
            estimate(r["observed"], r["low"], r["high"]),
        )
        for key in order
        for r in groups[key]
    )
    heads = columns("samples", "bin", "n", "predicted", "came true")
    return Table(heads, body, say("Calibration as a table"))
