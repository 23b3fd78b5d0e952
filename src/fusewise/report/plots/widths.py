"""How wide each modality is: width and effective dimension, on a logarithmic axis."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from fusewise.report.numbers import count, known, number
from fusewise.report.plots.scale import Scale
from fusewise.report.plots.svg import Svg, fit, text_width

_ROW = 24.0


def draw_widths(rows: Sequence[tuple[str, float, float]], *, width: float) -> Markup:
    """Draw a bar for the width of each modality and a dot for its effective dimension.

    Parameters
    ----------
    rows : sequence of (modality, width, effective)
        Either number may be NaN.
    width : float
        Inner width in pixels.
    """
    widest = max((text_width(name) for name, _, _ in rows), default=0.0)
    left = min(widest, 0.3 * width) + 14
    right = 122.0 if width > 600 else 104.0
    highest = max((v for _, *vs in rows for v in vs if known(v)), default=10.0)
    scale = Scale(0.7, max(highest, 10.0) * 1.05, left + 4, width - right - 6, log=True)
    top, bottom = 24.0, 24.0 + _ROW * len(rows)
    svg = Svg(width, bottom + 38, "Width and effective dimension of each modality, log scale")
    svg.add("text", "width", x=width - right / 2, y=top - 8, class_="tick end")
    svg.add("text", "effective", x=width - 4, y=top - 8, class_="tick end")
    for value in scale.ticks(6):
        svg.line(scale(value), top, scale(value), bottom, "grid")
        svg.add("text", count(value), x=scale(value), y=bottom + 15, class_="tick mid")
    svg.add(
        "text",
        "dimensions (log scale)",
        x=(scale.start + scale.end) / 2,
        y=bottom + 31,
        class_="axis mid",
    )
    for i, (name, columns, effective) in enumerate(rows):
        y = top + _ROW * (i + 0.5)
        with svg.group(
            title=f"{name}: width {count(columns)}, effective dimension {_effective(effective)}"
        ):
            svg.add("rect", x=0, y=y - _ROW / 2, width=width, height=_ROW, class_="hit")
            svg.add("text", fit(name, left - 14), x=left - 8, y=y + 4, class_="name end")
            if known(columns) and columns > 0:
                length = max(scale(columns) - scale.start, 1.5)
                svg.add(
                    "rect", x=scale.start, y=y - 6, width=length, height=12, rx=1.5, class_="pale"
                )
            if known(effective) and effective > 0:
                svg.add("circle", cx=scale(effective), cy=y, r=4.6, class_="mark s-a")
            svg.add("text", count(columns), x=width - right / 2, y=y + 4, class_="value end")
            svg.add("text", _effective(effective), x=width - 4, y=y + 4, class_="value end")
    return svg.markup()


def _effective(value: float) -> str:
    return number(value) if known(value) else count(value)
