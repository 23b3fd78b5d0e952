"""Rows of estimates with intervals: the frame that several drawings share.

From left to right: a name or a strip of dots (which modalities are present), the estimates on one
common axis, and columns of text.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from fusewise.report.numbers import known
from fusewise.report.plots.scale import Scale, tick_label
from fusewise.report.plots.svg import Svg, coordinate, fit, text_width

ROW, DOT = 24.0, 16.0
_SLOPE = math.radians(50)


@dataclass(frozen=True)
class Mark:
    """One estimate: `series` is the CSS class that gives it colour, ``b`` is drawn as a diamond."""

    value: float
    low: float
    high: float
    series: str = "a"
    hollow: bool = False


@dataclass(frozen=True)
class Row:
    """One row: `present` are the dots of a pattern, `remark` stands where no mark can be drawn."""

    label: str
    marks: tuple[Mark, ...]
    right: tuple[str, ...] = ()
    title: str = ""
    present: tuple[bool, ...] = ()
    remark: str = ""
    quiet: bool = False


@dataclass(frozen=True)
class Frame:
    """What all rows have in common.

    `heads` are the titles of the text columns and their widths; `references` are vertical lines,
    as (value, CSS class); `names` are the modalities of the dot strip.
    """

    label: str
    limits: tuple[float, float]
    axis: str
    heads: tuple[tuple[str, float], ...] = ()
    references: tuple[tuple[float, str], ...] = ()
    names: tuple[str, ...] = ()
    tick: Callable[[float, list[float]], str] = field(default=tick_label)
    label_share: float = 0.3


def draw_rows(rows: Sequence[Row], frame: Frame, *, width: float) -> Markup:
    """Draw rows of estimates.

    Parameters
    ----------
    rows : sequence of Row
    frame : Frame
    width : float
        Inner width in pixels.
    """
    dot = DOT if width > 600 else max(8.0, min(DOT, 0.36 * width / max(len(frame.names), 1)))
    if frame.names:
        left = dot * len(frame.names) + 18
    else:
        widest = max((text_width(r.label) for r in rows), default=0.0)
        left = min(widest, frame.label_share * width) + 14
    right = sum(w for _, w in frame.heads)
    top = _head_height(frame)
    bottom = top + ROW * len(rows)
    svg = Svg(width, bottom + 40, frame.label)
    scale = Scale(*frame.limits, left + 6, width - right - 12)
    ticks = scale.ticks(max(3, int((scale.end - scale.start) / 75)))

    for i in range(1, len(rows), 2):
        svg.add("rect", x=0, y=top + ROW * i, width=width, height=ROW, class_="band")
    for value in ticks:
        x = scale(value)
        svg.line(x, top, x, bottom, "grid")
        svg.add("text", frame.tick(value, ticks), x=x, y=bottom + 15, class_="tick mid")
        if len(rows) > 16:
            svg.add("text", frame.tick(value, ticks), x=x, y=top - 6, class_="tick mid")
    svg.add("text", frame.axis, x=(scale.start + scale.end) / 2, y=bottom + 32, class_="axis mid")
    for value, class_ in frame.references:
        if known(value):
            svg.line(scale(value), top, scale(value), bottom, f"ref {class_}")
    _heads(svg, frame, dot, top, width)
    for i, row in enumerate(rows):
        _row(svg, row, frame, scale, y=top + ROW * (i + 0.5), dot=dot, left=left)
    return svg.markup()


def _head_height(frame: Frame) -> float:
    if not frame.names:
        return 24.0
    longest = max(text_width(fit(n, 110, 11), 11) for n in frame.names)
    return longest * math.sin(_SLOPE) + 34


def _heads(svg: Svg, frame: Frame, dot: float, top: float, width: float) -> None:
    for i, name in enumerate(frame.names):
        x, y = 10 + dot * (i + 0.5), top - 12
        turn = f"rotate({-math.degrees(_SLOPE):.0f} {coordinate(x)} {coordinate(y)})"
        svg.add("text", fit(name, 110, 11), x=x, y=y, transform=turn, class_="tick", title=name)
    x = width
    for head, size in reversed(frame.heads):
        svg.add("text", head, x=x - 4, y=top - 8, class_="tick end")
        x -= size


def _row(
    svg: Svg, row: Row, frame: Frame, scale: Scale, *, y: float, dot: float, left: float
) -> None:
    with svg.group(title=row.title or row.label, class_="quiet" if row.quiet else None):
        svg.add("rect", x=0, y=y - ROW / 2, width=svg.width, height=ROW, class_="hit")
        if row.present:
            _strip(svg, row.present, y=y, dot=dot)
        else:
            svg.add("text", fit(row.label, left - 14), x=left - 8, y=y + 4, class_="name end")
        shown = [m for m in row.marks if known(m.value)]
        offset = 4.6 if len(row.marks) > 1 else 0.0
        for place, mark in enumerate(row.marks):
            if known(mark.value):
                _mark(svg, mark, scale, y + offset * (2 * place - 1 if offset else 0))
        if not shown and row.remark:
            svg.add("text", row.remark, x=scale.start + 4, y=y + 4, class_="remark")
        x = svg.width
        for text, (_, size) in reversed(list(zip(row.right, frame.heads, strict=True))):
            svg.add("text", text, x=x - 4, y=y + 4, class_="value end")
            x -= size


def _strip(svg: Svg, present: Sequence[bool], *, y: float, dot: float) -> None:
    centres = [(10 + dot * (i + 0.5), y) for i in range(len(present))]
    size = "small-dots" if dot < 12 else "dots"
    there = [c for c, p in zip(centres, present, strict=True) if p]
    if len(there) > 1:
        svg.line(there[0][0], y, there[-1][0], y, "rail")
    svg.dots([c for c, p in zip(centres, present, strict=True) if not p], f"{size} off")
    svg.dots(there, f"{size} on")


def _mark(svg: Svg, mark: Mark, scale: Scale, y: float) -> None:
    x = scale(mark.value)
    dashed = " dashed" if mark.hollow else ""
    if known(mark.low) and known(mark.high):
        svg.line(scale(mark.low), y, scale(mark.high), y, f"whisker s-{mark.series}{dashed}")
        for beyond, end, turn in (
            (mark.low < scale.low, scale.start, 4),
            (mark.high > scale.high, scale.end, -4),
        ):
            if beyond:
                tip = f"M{coordinate(end + turn)} {coordinate(y - 3.5)}l{-turn} 3.5l{turn} 3.5"
                svg.add("path", d=tip, class_=f"whisker s-{mark.series}")
    class_ = f"mark s-{mark.series}{' hollow' if mark.hollow else ''}"
    if mark.series == "b":
        svg.add("path", d=f"M{coordinate(x)} {coordinate(y - 5)}l5 5l-5 5l-5-5z", class_=class_)
    else:
        svg.add("circle", cx=x, cy=y, r=4.2, class_=class_)
