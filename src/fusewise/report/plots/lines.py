"""Lines over a whole-numbered axis, such as the epochs of a training, with bands around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from fusewise.report.numbers import known
from fusewise.report.plots.scale import Scale, around, tick_label
from fusewise.report.plots.svg import Svg, path_along

# Pixels between two numbers on an axis at least.
APART = 20.0


@dataclass(frozen=True)
class Step:
    """One point of a line: where, how much, and between which values."""

    x: int
    value: float
    low: float = float("nan")
    high: float = float("nan")


@dataclass(frozen=True)
class Line:
    """A line with its CSS class (the colour) and what the pointer is told on it."""

    steps: tuple[Step, ...]
    tone: str
    name: str


def limits_of(lines: Sequence[Line], *, include: float | None = None) -> tuple[float, float]:
    """Return limits that hold all lines and bands, so that several drawings can share them."""
    return around(
        [v for line in lines for s in line.steps for v in (s.value, s.low, s.high)],
        include=include,
    )


def draw_lines(
    lines: Sequence[Line],
    *,
    label: str,
    x_title: str,
    y_title: str,
    width: float,
    height: float = 260.0,
    limits: tuple[float, float] | None = None,
    mark: int | None = None,
    zero: bool = False,
) -> Markup:
    """Draw lines with their bands.

    Parameters
    ----------
    lines : sequence of Line
        The last one lies on top.
    label : str
        What the drawing shows, for readers who do not see it.
    x_title, y_title : str
        Titles of the axes; an empty one takes no room.
    width, height : float
        Inner size in pixels.
    limits : (float, float), optional
        Of the vertical axis; default: what holds all lines.
    mark : int, optional
        Where an upright line stands; its number stands on the axis.
    zero : bool
        Whether a line lies at zero.
    """
    svg = Svg(width, height, label)
    left, foot = 50.0, 44.0 if x_title else 26.0
    top = 22.0 if y_title else 10.0
    xs = [s.x for line in lines for s in line.steps] or [0, 1]
    x_scale = Scale(min(xs), max(xs), left + 6, width - 10)
    y_scale = Scale(*(limits or limits_of(lines)), height - foot, top)
    ticks = y_scale.ticks(4 if height < 200 else 5)
    for value in ticks:
        svg.line(left, y_scale(value), width - 8, y_scale(value), "grid")
        svg.add(
            "text", tick_label(value, ticks), x=left - 6, y=y_scale(value) + 4, class_="tick end"
        )
    for x in _marked(_whole_ticks(min(xs), max(xs), max(2, int(width / 70))), mark, x_scale):
        svg.line(x_scale(x), height - foot, x_scale(x), height - foot + 4, "grid")
        svg.add("text", str(x), x=x_scale(x), y=height - foot + 17, class_="tick mid")
    if x_title:
        svg.add("text", x_title, x=(left + width - 8) / 2, y=height - 8, class_="axis mid")
    if y_title:
        svg.add("text", y_title, x=2, y=12, class_="axis")
    if zero:
        svg.line(left, y_scale(0), width - 8, y_scale(0), "ref zero")
    if mark is not None:
        svg.line(x_scale(mark), top, x_scale(mark), height - foot, "ref limit")
    for line in lines:
        _draw(svg, line, x_scale, y_scale)
    return svg.markup()


def _marked(ticks: list[int], mark: int | None, scale: Scale) -> list[int]:
    """Add a mark to the ticks, in the place of those that its number would run into."""
    if mark is None:
        return ticks
    return sorted([*(t for t in ticks if abs(scale(t) - scale(mark)) >= APART), mark])


def _draw(svg: Svg, line: Line, x_scale: Scale, y_scale: Scale) -> None:
    shown = [s for s in line.steps if known(s.value)]
    banded = [s for s in shown if known(s.low) and known(s.high)]
    if len(banded) > 1 and any(s.high > s.low for s in banded):
        edge = [(s.x, s.high) for s in banded] + [(s.x, s.low) for s in reversed(banded)]
        svg.add("path", d=f"M{path_along(edge, x_scale, y_scale)}z", class_=f"band-of {line.tone}")
    if len(shown) > 1:
        points = [(s.x, s.value) for s in shown]
        along = path_along(points, x_scale, y_scale)
        svg.add("path", d=f"M{along}", class_=f"stroke {line.tone}", title=line.name)
    elif shown:
        x, y = x_scale(shown[0].x), y_scale(shown[0].value)
        svg.add("circle", cx=x, cy=y, r=3.5, class_=f"mark {line.tone}", title=line.name)


def _whole_ticks(low: int, high: int, about: int) -> list[int]:
    """Return whole numbers, evenly spaced, the first and the last of the range where they fit.

    Examples
    --------
    >>> _whole_ticks(1, 5, 8), _whole_ticks(1, 40, 5)
    ([1, 2, 3, 4, 5], [1, 10, 20, 30, 40])
    """
    span = high - low
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 500, 10**9) if span / s <= about)
    inner = [v for v in range(low - low % step, high + 1, step) if v > low + step / 2]
    return [low, *inner]
