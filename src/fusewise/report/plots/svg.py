"""A small writer of SVG.

Drawings are written by hand and not by a plotting library because they live inside the page: they
take their colours from its style sheet (so that they follow the dark mode), their text is text, and
a page with ten of them stays small and is the same, byte for byte, for the same input.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from markupsafe import Markup, escape

from fusewise.report.plots.scale import Scale

# Width of characters in units of the font size, for a sans-serif face.
_NARROW, _WIDE = frozenset("iljI.,:;'|!()[]ft1 "), frozenset("mwMW@%")


def text_width(text: str, size: float = 12) -> float:
    """Estimate the width of `text` in pixels.

    Examples
    --------
    >>> text_width("iii") < text_width("aaa") < text_width("MMM")
    True
    """
    return size * sum(
        0.36 if c in _NARROW else 0.9 if c in _WIDE else 0.68 if c.isupper() else 0.57 for c in text
    )


def fit(text: str, width: float, size: float = 12) -> str:
    """Shorten `text` in its middle until it fits into `width` pixels.

    Examples
    --------
    >>> fit("imaging", 200), fit("a_very_long_modality_name", 60)
    ('imaging', 'a_ve…ame')
    """
    if text_width(text, size) <= width + 0.5:
        return text
    for kept in range(len(text) - 1, 1, -1):
        short = f"{text[: (kept + 1) // 2]}…{text[len(text) - kept // 2 :]}"
        if text_width(short, size) <= width:
            return short
    return "…"


def coordinate(value: float) -> str:
    """Write a coordinate with one decimal at most.

    Examples
    --------
    >>> coordinate(12.0), coordinate(3.14159), coordinate(-0.01)
    ('12', '3.1', '0')
    """
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def path_along(points: Iterable[tuple[float, float]], x_scale: Scale, y_scale: Scale) -> str:
    """Return the corners of a path through points, without its first letter.

    Examples
    --------
    >>> path_along([(0, 0), (1, 2)], Scale(0, 1, 0, 10), Scale(0, 2, 10, 0))
    '0 10L10 0'
    """
    return "L".join(f"{coordinate(x_scale(x))} {coordinate(y_scale(y))}" for x, y in points)


class Svg:
    """A drawing of fixed inner size that scales with its place in the page.

    Parameters
    ----------
    width, height : float
        Inner size in pixels.
    label : str
        What the drawing shows, for readers who do not see it.
    """

    def __init__(self, width: float, height: float, label: str) -> None:
        self.width, self.height, self.label = width, height, label
        self._parts: list[str] = []

    def add(
        self, tag: str, text: object = None, *, title: object = None, **attributes: Any
    ) -> None:
        """Add an element; `class_` and `font_size` are written ``class`` and ``font-size``."""
        start = f"<{tag}{self._attributes(attributes)}"
        inner = f"<title>{escape(str(title))}</title>" if title else ""
        inner += str(escape(str(text))) if text is not None else ""
        self._parts.append(f"{start}>{inner}</{tag}>" if inner else f"{start}/>")

    @contextmanager
    def group(self, *, title: object = None, **attributes: Any) -> Iterator[None]:
        """Open a group whose title is shown when the pointer rests on any of its elements."""
        self._parts.append(f"<g{self._attributes(attributes)}>")
        if title:
            self._parts.append(f"<title>{escape(str(title))}</title>")
        yield
        self._parts.append("</g>")

    def line(self, x1: float, y1: float, x2: float, y2: float, class_: str) -> None:
        """Add a straight line."""
        d = f"M{coordinate(x1)} {coordinate(y1)}"
        d += (
            f"H{coordinate(x2)}"
            if y1 == y2
            else f"V{coordinate(y2)}"
            if x1 == x2
            else (f"L{coordinate(x2)} {coordinate(y2)}")
        )
        self.add("path", d=d, class_=class_)

    def dots(self, points: list[tuple[float, float]], class_: str) -> None:
        """Add many equal dots as one path: round line ends of lines without length."""
        if points:
            d = "".join(f"M{coordinate(x)} {coordinate(y)}h0" for x, y in points)
            self.add("path", d=d, class_=class_)

    def markup(self) -> Markup:
        """The drawing as markup that is safe to put into a page."""
        w, h = coordinate(self.width), coordinate(self.height)
        body = "".join(self._parts)
        return Markup(  # every attribute and text above is escaped
            f'<svg viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" '
            f'aria-label="{escape(self.label)}">{body}</svg>'
        )

    @staticmethod
    def _attributes(attributes: dict[str, Any]) -> str:
        out = ""
        for name, value in attributes.items():
            if value is None:
                continue
            shown = coordinate(value) if isinstance(value, int | float) else escape(str(value))
            out += f' {name.rstrip("_").replace("_", "-")}="{shown}"'
        return out
