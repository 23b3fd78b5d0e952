"""When each modality arrives: the share of samples that have it, by time."""

from __future__ import annotations

import math
from typing import Any

from fusewise.profile import MARKS, time_to_share
from fusewise.report.blocks import Gallery, Heading, Prose, Table
from fusewise.report.frames import Record, cells, columns, records
from fusewise.report.numbers import clock, count, known, percent, percent_interval, plural
from fusewise.report.plots.arrival import Arrived, draw_arrival
from fusewise.report.plots.svg import fit
from fusewise.report.sections.sizes import SMALL
from fusewise.report.text import Text, say

# Panels that are drawn; the table has every modality.
MOST = 16
PANEL = 196.0


def arrival_blocks(profile: Any) -> list[Any]:
    """Return a small drawing for each modality with times, and what they read at a glance."""
    rows = [row for row in records(profile, "arrival") if known(row["share"])]
    if not rows:
        return []
    curves: dict[str, list[Record]] = {}
    for row in sorted(rows, key=lambda row: float(row["time"])):
        curves.setdefault(str(row["modality"]), []).append(row)
    times = {
        name: [time_to_share(profile.arrival, name, mark) for mark in MARKS] for name in curves
    }

    def soonest(name: str) -> tuple[float, float, str]:
        half = times[name][1]
        return (half if known(half) else math.inf, -float(curves[name][-1]["share"]), name)

    order = sorted(curves, key=soonest)
    until = max(float(curve[-1]["time"]) for curve in curves.values())
    width = SMALL if len(order) < 3 else PANEL
    items = tuple(
        # Panels of one width stay in line; the table has the whole name.
        (
            fit(name, width, 14.5),
            _drawing(name, curves[name], times[name][1], until, width),
        )
        for name in order[:MOST]
    )
    legend = (
        ("s-a", "share of samples that have it by a time, with its interval"),
        ("s-a ring", "half of the samples have it"),
    )
    table = _table(order, curves, times)
    gallery = Gallery(say("Share that has it, by time"), items, legend, tables=(table,))
    reading = Prose(_reading(order, times, hidden=len(order) - len(items)))
    return [Heading(say("When each modality arrives")), reading, gallery]


def _drawing(name: str, curve: list[Record], half: float, until: float, width: float) -> Any:
    points = [
        Arrived(float(r["time"]), float(r["share"]), float(r["low"]), float(r["high"]))
        for r in curve
    ]
    label = (
        f"{name}: share of samples that have it by time, {percent(curve[-1]['share'])} in the end"
    )
    return draw_arrival(
        points, label=label, until=until, half=half, width=width, height=0.3 * width + 66
    )


def _table(order: list[str], curves: dict[str, list[Record]], times: dict[str, Any]) -> Table:
    body = tuple(
        cells(
            name,
            *(clock(time) if known(time) else "never" for time in times[name]),
            percent_interval(last["share"], last["low"], last["high"]),
            clock(last["time"]),
            count(last["at_risk"]),
        )
        for name in order
        for last in curves[name][-1:]
    )
    heads = columns(
        "modality",
        *(f"{percent(mark).replace('.0', '')} have it by" for mark in MARKS),
        "share in the end",
        "end",
        "n waiting at the end",
    )
    return Table(heads, body, say("Arrival in numbers"), folded=False)


def _reading(order: list[str], times: dict[str, Any], *, hidden: int) -> Text:
    never = [name for name in order if not known(times[name][1])]
    reached = [name for name in order if known(times[name][1])]
    said = "How long a prediction has to wait for each modality. "
    if reached:
        said += "Half of the [[samples|sample]] have **{first}** by {time}"
        said += ", the first" if len(reached) > 1 else ""
        said += "; **{last}** by {later}, the last. " if len(reached) > 1 else ". "
    if never:
        said += "**{never}** never {reach} half of them. "
    said += (
        "Times are in the unit of the event times, from their zero; where those are timestamps, "
        "in seconds from the first event of each sample. Each curve is known at some times only, so "
        "that a step may be drawn late."
    )
    if hidden:
        said += " In the table only: {hidden} more."
    shown = ", ".join(never[:4]) + (f" and {len(never) - 4} more" if len(never) > 4 else "")
    return say(
        said,
        first=reached[0] if reached else "",
        time=clock(times[reached[0]][1]) if reached else "",
        last=reached[-1] if reached else "",
        later=clock(times[reached[-1]][1]) if reached else "",
        never=shown,
        reach="reaches" if len(never) == 1 else "reach",
        hidden=plural(hidden, "modality", "modalities"),
    )
