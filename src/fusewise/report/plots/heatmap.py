"""Which modalities come together: a triangle of shares or correlations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from markupsafe import Markup

from fusewise.report.numbers import known
from fusewise.report.plots.svg import Svg, coordinate, fit, text_width

LEVELS = 10
_TOP = 18.0


def draw_heatmap(
    names: Sequence[str],
    values: Callable[[int, int], float],
    *,
    label: str,
    show: Callable[[float], str],
    width: float,
    diverging: bool = False,
) -> Markup:
    """Draw the lower triangle of a symmetric table as shaded cells.

    Parameters
    ----------
    names : sequence of str
        At least two; the names of columns stand on the steps of the triangle.
    values : callable
        ``values(i, j)`` for j < i: between 0 and 1, or between -1 and 1 where `diverging`. NaN
        leaves the cell empty.
    label : str
        What the drawing shows.
    show : callable
        Writes a value: into its cell where cells are large enough, and for the pointer.
    width : float
        Inner width in pixels.
    diverging : bool
        Two colours around zero.
    """
    n = len(names)
    left = min(max(text_width(x, 11) for x in names), 0.32 * width) + 12
    cell = min((width - left - 4) / (n - 1), 44.0)
    svg = Svg(width, _TOP + cell * (n - 1) + 6, label)
    # One path per shade, not one element per cell: forty modalities have 780 pairs.
    shades: dict[str, list[str]] = defaultdict(list)
    cells = []
    for i in range(1, n):
        y = _TOP + cell * (i - 1)
        if cell >= 8:
            svg.add(
                "text",
                fit(names[i], left - 8, 11),
                x=left - 6,
                y=y + cell / 2 + 4,
                class_="tick end",
                title=names[i],
            )
        for j in range(i):
            value = values(i, j)
            if known(value):
                x = left + cell * j
                level = _level(value, diverging=diverging)
                shades[level].append(_square(x, y, max(cell - 1.5, 1.0)))
                cells.append((x, y, value, level, f"{names[i]} and {names[j]}: {show(value)}"))
    for level in sorted(shades):
        svg.add("path", d="".join(shades[level]), class_=f"heat {level}")
    for x, y, value, level, spoken in cells:
        if cell >= 25:
            shade = "cell mid on-dark" if int(level[1:]) >= 6 else "cell mid"
            shown = show(value).removesuffix("%")
            svg.add("text", shown, x=x + cell / 2 - 0.7, y=y + cell / 2 + 3.5, class_=shade)
        if n <= 16:
            svg.add("rect", x=x, y=y, width=cell, height=cell, class_="hit", title=spoken)
    for j in range(n - 1):
        x, y = left + cell * j + 2, _TOP + cell * j - 5
        if cell >= 8:
            svg.add("text", fit(names[j], width - x, 11), x=x, y=y, class_="tick", title=names[j])
    return svg.markup()


def _square(x: float, y: float, size: float) -> str:
    side = coordinate(size)
    return f"M{coordinate(x)} {coordinate(y)}h{side}v{side}h-{side}z"


def _level(value: float, *, diverging: bool) -> str:
    step = min(int(abs(value) * LEVELS), LEVELS - 1)
    return f"{'n' if diverging and value < 0 else 'p'}{step}"
