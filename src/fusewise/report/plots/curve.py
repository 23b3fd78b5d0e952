"""The degradation curve: a metric as more and more modalities are withheld."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from fusewise.report.numbers import estimate, known
from fusewise.report.plots.scale import Scale, around, tick_label
from fusewise.report.plots.svg import Svg, coordinate


@dataclass(frozen=True)
class Point:
    """One point of a curve with its interval."""

    x: float
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Curve:
    """One curve: its name, its colour (a CSS class) and its points from left to right."""

    name: str
    series: str
    points: tuple[Point, ...]


def draw_curve(
    curves: Sequence[Curve], *, metric: str, axis: str, width: float, height: float = 300.0
) -> Markup:
    """Draw curves with their bands.

    Parameters
    ----------
    curves : sequence of Curve
    metric, axis : str
        Titles of the vertical and of the horizontal axis.
    width, height : float
        Inner size in pixels.
    """
    points = [p for c in curves for p in c.points if known(p.value)]
    svg = Svg(width, height, f"{metric} as modalities are withheld from the same samples")
    y_scale = Scale(*around([v for p in points for v in (p.value, p.low, p.high)]), height - 44, 22)
    xs = [p.x for p in points] or [0.0, 1.0]
    edge = 0.04 * (max(xs) - min(xs)) or 0.5
    x_scale = Scale(min(xs) - edge, max(xs) + edge, 56, width - 12)
    ticks = y_scale.ticks(5)
    for value in ticks:
        svg.line(52, y_scale(value), width - 12, y_scale(value), "grid")
        svg.add("text", tick_label(value, ticks), x=46, y=y_scale(value) + 4, class_="tick end")
    across = sorted(set(xs))
    if any(x != round(x) for x in across) or len(across) > width / 34:
        across = x_scale.ticks(max(3, int(width / 110)))
    for value in across:
        svg.add("text", tick_label(value, across), x=x_scale(value), y=height - 24, class_="tick mid")
    svg.add("text", axis, x=(56 + width - 12) / 2, y=height - 6, class_="axis mid")
    svg.add("text", metric, x=4, y=12, class_="axis")
    for curve in curves:
        _curve(svg, curve, x_scale, y_scale)
    return svg.markup()


def _curve(svg: Svg, curve: Curve, x_scale: Scale, y_scale: Scale) -> None:
    shown = [p for p in curve.points if known(p.value)]
    band = [p for p in shown if known(p.low) and known(p.high)]
    if len(band) > 1:
        upper = [f"{coordinate(x_scale(p.x))} {coordinate(y_scale(p.high))}" for p in band]
        lower = [f"{coordinate(x_scale(p.x))} {coordinate(y_scale(p.low))}" for p in reversed(band)]
        svg.add("path", d=f"M{'L'.join(upper + lower)}z", class_=f"band-of s-{curve.series}")
    if len(shown) > 1:
        path = [f"{coordinate(x_scale(p.x))} {coordinate(y_scale(p.value))}" for p in shown]
        svg.add("path", d=f"M{'L'.join(path)}", class_=f"stroke s-{curve.series}")
    for p in shown:
        title = f"{curve.name}, {p.x:g} withheld: {estimate(p.value, p.low, p.high)}"
        x, y = x_scale(p.x), y_scale(p.value)
        if known(p.low) and known(p.high):
            svg.line(x, y_scale(p.low), x, y_scale(p.high), f"whisker s-{curve.series}")
        svg.add("circle", cx=x, cy=y, r=4.2, class_=f"mark s-{curve.series}", title=title)
