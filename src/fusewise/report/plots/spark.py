"""One interval against one threshold, as small as a word."""

from __future__ import annotations

from markupsafe import Markup

from fusewise.report.numbers import known
from fusewise.report.plots.scale import Scale, around
from fusewise.report.plots.svg import Svg


def draw_spark(
    value: float | None,
    low: float | None,
    high: float | None,
    threshold: float | None,
    *,
    label: str,
    tone: str,
) -> Markup:
    """Draw an estimate, its interval, and the threshold as an upright line.

    Parameters
    ----------
    value, low, high, threshold : float or None
        Without a value there is no drawing.
    label : str
        The same in words.
    tone : str
        The CSS class that gives it colour.
    """
    if value is None or not known(value):
        return Markup("")
    svg = Svg(132, 22, label)
    ends = [v for v in (value, low, high, threshold) if v is not None]
    scale = Scale(*around(ends), 8, 124)
    svg.line(2, 11, 130, 11, "grid")
    if threshold is not None and known(threshold):
        svg.line(scale(threshold), 1, scale(threshold), 21, "ref limit")
    if low is not None and high is not None and known(low) and known(high):
        svg.line(scale(low), 11, scale(high), 11, f"thick t-{tone}")
    svg.add("circle", cx=scale(value), cy=11, r=4.4, class_=f"mark t-{tone}")
    return svg.markup()
