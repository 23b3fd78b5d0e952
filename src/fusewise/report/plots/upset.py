"""Which availability patterns occur, and how often: bars over a matrix of dots.

In the manner of UpSet (Lex, Gehlenborg, Strobelt, Vuillemot and Pfister, 2014).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from fusewise.report.numbers import known, percent, percent_short
from fusewise.report.plots.scale import Scale
from fusewise.report.plots.svg import Svg, coordinate, fit, text_width

_ROW, _BARS = 20.0, 150.0


@dataclass(frozen=True)
class PatternBar:
    """One pattern: its share in deployment and in training (either may be NaN), and its dots."""

    label: str
    deployment: float
    training: float
    present: tuple[bool, ...]
    unseen: bool = False


def draw_upset(
    bars: Sequence[PatternBar],
    names: Sequence[str],
    rates: Sequence[float],
    *,
    width: float,
    column: float,
) -> Markup:
    """Draw patterns as columns: bars of their shares above, dots of their modalities below.

    Parameters
    ----------
    bars : sequence of PatternBar
        In the order in which they are drawn; as many as fit are drawn.
    names : sequence of str, rates : sequence of float
        Modalities, one row each, and the share of samples that has them.
    width : float
        Inner width in pixels.
    column : float
        Smallest width of a column in pixels.
    """
    widest = max((text_width(n) for n in names), default=0.0)
    gauge = 56.0 if width > 600 else 0.0
    left = min(widest, 0.3 * width) + gauge + 24
    drawn = bars[: fitting(width - left, column)]
    step = min((width - left - 4) / max(len(drawn), 1), 46.0)
    top = 16.0
    base = top + _BARS
    height = base + 12 + _ROW * len(names) + 6
    svg = Svg(width, height, "Share of each availability pattern, and which modalities it holds")
    highest = max((v for b in drawn for v in (b.deployment, b.training) if known(v)), default=1.0)
    scale = Scale(0.0, highest * 1.04 or 1.0, base, top)
    for value in scale.ticks(4):
        svg.line(left - 4, scale(value), width, scale(value), "grid")
        svg.add("text", percent_short(value), x=left - 8, y=scale(value) + 4, class_="tick end")
    _names(svg, names, rates, left=left, base=base, gauge=gauge)
    for i, bar in enumerate(drawn):
        _column(svg, bar, x=left + step * (i + 0.5), step=step, base=base, scale=scale)
    return svg.markup()


def fitting(room: float, column: float) -> int:
    """Return how many columns fit into `room` pixels.

    Examples
    --------
    >>> fitting(600, 24)
    25
    """
    return max(1, int(room // column))


def _names(
    svg: Svg,
    names: Sequence[str],
    rates: Sequence[float],
    *,
    left: float,
    base: float,
    gauge: float,
) -> None:
    for i, (name, rate) in enumerate(zip(names, rates, strict=True)):
        y = base + 12 + _ROW * (i + 0.5)
        if i % 2 == 0:
            svg.add("rect", x=0, y=y - _ROW / 2, width=svg.width, height=_ROW, class_="band")
        edge = left - 14 - gauge
        svg.add("text", fit(name, edge), x=edge, y=y + 4, class_="name end", title=name)
        if gauge and known(rate):
            svg.add("rect", x=edge + 8, y=y - 3, width=gauge - 12, height=6, class_="gauge")
            svg.add(
                "rect",
                x=edge + 8,
                y=y - 3,
                width=(gauge - 12) * min(max(rate, 0.0), 1.0),
                height=6,
                class_="fill s-a",
                title=f"{name}: {percent(rate)}",
            )


def _column(svg: Svg, bar: PatternBar, *, x: float, step: float, base: float, scale: Scale) -> None:
    spoken = [f"deployment {percent(bar.deployment)}"] if known(bar.deployment) else []
    spoken += [f"training {percent(bar.training)}"] if known(bar.training) else []
    title = f"{bar.label}: {', '.join(spoken)}{' (never seen in training)' if bar.unseen else ''}"
    with svg.group(title=title):
        svg.add("rect", x=x - step / 2, y=0, width=step, height=svg.height, class_="hit")
        half = min(step * 0.34, 11.0)
        main, aside = (
            (bar.deployment, bar.training)
            if known(bar.deployment)
            else (bar.training, float("nan"))
        )
        series = "s-a" if known(bar.deployment) else "s-t"
        if known(main):
            y = scale(main)
            svg.add(
                "rect",
                x=x - half,
                y=y,
                width=2 * half,
                height=max(base - y, 0.8),
                rx=1.5,
                class_=f"fill {'s-b' if bar.unseen else series}",
            )
            if step >= 30:
                # A dash that runs through the label would strike it out.
                near = known(aside) and -2 < y - scale(aside) < 20
                above = min(y, scale(aside)) if near else y
                svg.add("text", percent(main), x=x, y=above - 5, class_="tick mid")
        if known(aside):
            y = scale(aside)
            svg.add(
                "path",
                d=f"M{coordinate(x - half - 2.5)} {coordinate(y)}h{coordinate(2 * half + 5)}",
                class_="level",
            )
        centres = [(x, base + 12 + _ROW * (i + 0.5)) for i in range(len(bar.present))]
        size = "dots" if step >= 15 else "small-dots"
        off = [c for c, p in zip(centres, bar.present, strict=True) if not p]
        there = [c for c, p in zip(centres, bar.present, strict=True) if p]
        if len(there) > 1:
            svg.line(x, there[0][1], x, there[-1][1], "rail")
        svg.dots(off, f"{size} off")
        svg.dots(there, f"{size} on")
