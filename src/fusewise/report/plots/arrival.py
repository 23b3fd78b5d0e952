"""The share that has arrived by a time: a curve in steps with its band."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from fusewise.report.numbers import clock, known, percent, percent_interval, percent_short
from fusewise.report.plots.scale import Scale, tick_label
from fusewise.report.plots.svg import Svg, path_along, text_width


@dataclass(frozen=True)
class Arrived:
    """One step: by this time, this share had arrived."""

    time: float
    share: float
    low: float = float("nan")
    high: float = float("nan")


def draw_arrival(
    steps: Sequence[Arrived],
    *,
    label: str,
    until: float,
    half: float,
    width: float,
    height: float,
) -> Markup:
    """Draw one curve; the share at its end stands beside it.

    Parameters
    ----------
    steps : sequence of Arrived
        In the order of time. The curve starts at zero and keeps its height until the next step.
    label : str
        What the drawing shows, for readers who do not see it.
    until : float
        Where the axis of time ends, so that several drawings can share it.
    half : float
        The time by which half have arrived, marked on the curve; NaN for never.
    width, height : float
        Inner size in pixels.
    """
    svg = Svg(width, height, label)
    left, right, foot, top = 38.0, 48.0, 24.0, 8.0
    start = min([0.0, *(s.time for s in steps)])
    x_scale = Scale(start, until, left, width - right)
    y_scale = Scale(0.0, 1.0, height - foot, top)
    for value in (0.0, 0.5, 1.0):
        svg.line(left, y_scale(value), width - right, y_scale(value), "grid")
        svg.add("text", percent_short(value), x=left - 5, y=y_scale(value) + 4, class_="tick end")
    _time_axis(svg, x_scale, y=height - foot)
    if not steps:
        return svg.markup()
    banded = [s for s in steps if known(s.low) and known(s.high)]
    if any(s.high > s.low for s in banded):
        upper = _stairs([(s.time, s.high) for s in banded])
        lower = _stairs([(s.time, s.low) for s in banded])
        edge = path_along([*upper, *reversed(lower)], x_scale, y_scale)
        svg.add("path", d=f"M{edge}z", class_="band-of s-a")
    points = _stairs([(start, 0.0), *((s.time, s.share) for s in steps)])
    last = steps[-1]
    said = f"{percent_interval(last.share, last.low, last.high)} by {clock(last.time)}"
    svg.add("path", d=f"M{path_along(points, x_scale, y_scale)}", class_="stroke s-a", title=said)
    if known(half):
        x, y = x_scale(half), y_scale(next(s.share for s in steps if s.time >= half))
        title = f"half by {clock(half)}"
        svg.add("circle", cx=x, cy=y, r=3.4, class_="mark s-a hollow", title=title)
    # Inside the drawing also for a curve that ends at its floor.
    y = min(y_scale(last.share) + 4, height - foot)
    svg.add("text", percent(last.share), x=x_scale(last.time) + 5, y=y, class_="value")
    return svg.markup()


def _time_axis(svg: Svg, scale: Scale, *, y: float) -> None:
    ticks = scale.ticks(max(2, int((scale.end - scale.start) / 60)))
    free = -100.0
    for value in ticks:
        text, x = tick_label(value, ticks), scale(value)
        if x - text_width(text, 11) / 2 < free:
            continue
        free = x + text_width(text, 11) / 2 + 6
        svg.line(x, y, x, y + 4, "grid")
        svg.add("text", text, x=x, y=y + 16, class_="tick mid")


def _stairs(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the corners of a line that keeps its height until the next point.

    Examples
    --------
    >>> _stairs([(0, 0.0), (3, 0.5)])
    [(0, 0.0), (3, 0.0), (3, 0.5)]
    """
    corners = list(points[:1])
    for x, y in points[1:]:
        corners += [(x, corners[-1][1]), (x, y)]
    return corners
