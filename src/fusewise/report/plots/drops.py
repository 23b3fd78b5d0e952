"""Differences around zero: what withholding costs, and what the model gains over a baseline."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from fusewise.report.plots.rows import Frame, Row, draw_rows
from fusewise.report.plots.scale import around


def draw_drops(rows: Sequence[Row], *, axis: str, label: str, head: str, width: float) -> Markup:
    """Draw one row per difference against a line at zero.

    Parameters
    ----------
    rows : sequence of Row
        `right` holds the difference and the number of samples.
    axis, label, head : str
        The axis title, what the drawing shows, and the title of the column of differences.
    width : float
        Inner width in pixels.
    """
    ends = [v for row in rows for m in row.marks for v in (m.value, m.low, m.high)]
    frame = Frame(
        label=label,
        limits=around(ends, include=0.0),
        axis=axis,
        heads=((head, 72.0), ("n", 64.0 if width > 600 else 50.0)),
        references=((0.0, "zero"),),
        label_share=0.34,
    )
    return draw_rows(rows, frame, width=width)
