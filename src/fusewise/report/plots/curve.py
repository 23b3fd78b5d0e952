"""The degradation curve: a metric as more and more modalities are withheld."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from fusewise.report.numbers import estimate, known, number, percent_short
from fusewise.report.plots.scale import Scale, around, tick_label
from fusewise.report.plots.svg import Svg, coordinate


@dataclass(frozen=True)
class Point:
    """One point of the curve: the share withheld, the metric with its interval, and its name."""

    x: float
    value: float
    low: float
    high: float
    name: str = ""


def draw_curve(
    points: Sequence[Point], *, metric: str, axis: str, width: float, height: float = 300.0
) -> Markup:
    """Draw a curve with its band.

    Parameters
    ----------
    points : sequence of Point
        From left to right.
    metric, axis : str
        Titles of the vertical and of the horizontal axis.
    width, height : float
        Inner size in pixels.
    """
    shown = [p for p in points if known(p.value)]
    svg = Svg(width, height, f"{metric} as modalities are withheld from the same samples")
    y_scale = Scale(*around([v for p in shown for v in (p.value, p.low, p.high)]), height - 46, 22)
    xs = [p.x for p in points] or [0.0, 1.0]
    edge = 0.05 * (max(xs) - min(xs)) or 0.5
    x_scale = Scale(min(xs) - edge, max(xs) + edge, 52, width - 8)
    ticks = y_scale.ticks(5)
    for value in ticks:
        svg.line(52, y_scale(value), width - 8, y_scale(value), "grid")
        svg.add("text", tick_label(value, ticks), x=46, y=y_scale(value) + 4, class_="tick end")
    last = -100.0
    for value in sorted(set(xs)):
        if x_scale(value) - last > 32:
            last = x_scale(value)
            svg.line(last, height - 46, last, height - 41, "grid")
            svg.add("text", percent_short(value), x=last, y=height - 27, class_="tick mid")
    svg.add("text", axis, x=(52 + width - 8) / 2, y=height - 8, class_="axis mid")
    svg.add("text", metric, x=2, y=12, class_="axis")
    _band(svg, shown, x_scale, y_scale)
    for place, p in enumerate(shown):
        x, y = x_scale(p.x), y_scale(p.value)
        title = f"{p.name}: {estimate(p.value, p.low, p.high)}"
        svg.add("circle", cx=x, cy=y, r=4.2, class_="mark s-a", title=title)
        if width > 600 or place in (0, len(shown) - 1):
            svg.add("text", number(p.value), x=x, y=y - 11, class_="value mid")
    return svg.markup()


def _band(svg: Svg, points: list[Point], x_scale: Scale, y_scale: Scale) -> None:
    def path(values: Sequence[tuple[float, float]]) -> str:
        return "L".join(f"{coordinate(x_scale(x))} {coordinate(y_scale(y))}" for x, y in values)

    ends = [p for p in points if known(p.low) and known(p.high)]
    if len(ends) > 1:
        upper, lower = [(p.x, p.high) for p in ends], [(p.x, p.low) for p in reversed(ends)]
        svg.add("path", d=f"M{path(upper + lower)}z", class_="band-of s-a")
    if len(points) > 1:
        svg.add("path", d=f"M{path([(p.x, p.value) for p in points])}", class_="stroke s-a")
