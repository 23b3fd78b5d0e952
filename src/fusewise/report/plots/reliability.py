"""Calibration: what was predicted against what came true."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from fusewise.report.numbers import count, estimate, known, percent
from fusewise.report.plots.scale import Scale
from fusewise.report.plots.svg import Svg, coordinate


@dataclass(frozen=True)
class Bin:
    """One bin of predictions: its mean, how often they came true, and how many there are."""

    predicted: float
    observed: float
    low: float
    high: float
    n: float


def draw_reliability(
    bins: Sequence[Bin], *, label: str, width: float, small: bool = False
) -> Markup:
    """Draw observed over predicted frequency with intervals, and how many samples each bin has.

    Parameters
    ----------
    bins : sequence of Bin
    label : str
        What the drawing shows.
    width : float
        Inner width in pixels; the plot is square.
    small : bool
        Leave out axis titles, for small multiples.
    """
    left, foot = (28.0, 20.0) if small else (50.0, 42.0)
    side = width - left - 8
    strip = 0.14 * side
    base = 10 + side
    svg = Svg(width, base + strip + foot, label)
    shown = [b for b in bins if known(b.predicted) and known(b.observed)]
    highest = max((v for b in shown for v in (b.predicted, b.high) if known(v)), default=1.0)
    top = min(1.0, math.ceil(10 * highest - 1e-9) / 10) or 1.0
    x_scale, y_scale = Scale(0, top, left, left + side), Scale(0, top, base, 10)
    for value in (0.0, top) if small else x_scale.ticks(5):
        svg.line(left, y_scale(value), left + side, y_scale(value), "grid")
        svg.line(x_scale(value), 10, x_scale(value), base, "grid")
        svg.add("text", f"{value:g}", x=left - 6, y=y_scale(value) + 4, class_="tick end")
        svg.add("text", f"{value:g}", x=x_scale(value), y=base + strip + 15, class_="tick mid")
    svg.line(x_scale(0), y_scale(0), x_scale(top), y_scale(top), "ref zero")
    if not small:
        svg.add(
            "text",
            "predicted probability",
            x=left + side / 2,
            y=base + strip + 34,
            class_="axis mid",
        )
        svg.add(
            "text",
            "came true",
            x=12,
            y=10 + side / 2,
            class_="axis mid",
            transform=f"rotate(-90 12 {coordinate(10 + side / 2)})",
        )
    most = max((b.n for b in shown if known(b.n)), default=1.0) or 1.0
    if len(shown) > 1:
        path = [
            f"{coordinate(x_scale(b.predicted))} {coordinate(y_scale(b.observed))}" for b in shown
        ]
        svg.add("path", d=f"M{'L'.join(path)}", class_="stroke s-a thin")
    for b in shown:
        x, y = x_scale(b.predicted), y_scale(b.observed)
        spoken = f"predicted {percent(b.predicted)}, came true "
        spoken += f"{estimate(b.observed, b.low, b.high)}, n = {count(b.n)}"
        with svg.group(title=spoken):
            if known(b.low) and known(b.high):
                svg.line(x, y_scale(b.low), x, y_scale(b.high), "whisker s-a")
            svg.add("circle", cx=x, cy=y, r=3.0 if small else 4.2, class_="mark s-a")
            if known(b.n):
                tall = (strip - 6) * b.n / most
                svg.add(
                    "rect", x=x - 2.5, y=base + strip - tall, width=5, height=tall, class_="pale"
                )
    svg.line(left, base + strip, left + side, base + strip, "grid")
    return svg.markup()
