"""Quality per availability pattern: natural and withheld side by side."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from fusewise.report.plots.rows import Frame, Row, draw_rows
from fusewise.report.plots.scale import around


def draw_forest(
    rows: Sequence[Row],
    *,
    metric: str,
    heads: Sequence[str],
    names: tuple[str, ...] = (),
    overall: float | None = None,
    width: float,
) -> Markup:
    """Draw one row per pattern with its estimates, the overall line, and n on the right.

    Parameters
    ----------
    rows : sequence of Row
        `right` holds one text per head; the last is the number of samples.
    metric : str
        The axis title.
    heads : sequence of str
        Titles of the columns of text; where there is little room only the last is drawn.
    names : tuple of str
        The modalities, where patterns are drawn as dots; else their labels are written.
    overall : float, optional
        Where the line of the whole goes.
    width : float
        Inner width in pixels.
    """
    marks = [m for row in rows for m in row.marks]
    # Intervals of small cells are cut at the edges: else a few would squeeze all others.
    firm = [m for m in marks if not m.hollow] or marks
    ends = [m.value for m in marks] + [v for m in firm for v in (m.low, m.high)]
    roomy = width > 600
    shown = tuple((h, 68.0 if h != heads[-1] else 58.0) for h in (heads if roomy else heads[-1:]))
    lines = [
        Row(r.label, r.marks, r.right[-len(shown) :], r.title, r.present, r.remark, r.quiet)
        for r in rows
    ]
    frame = Frame(
        label=f"{metric} of each availability pattern with its interval",
        limits=around(ends, include=overall),
        axis=metric,
        heads=shown,
        references=((overall, "overall"),) if overall is not None else (),
        names=names,
        label_share=0.36,
    )
    return draw_rows(lines, frame, width=width)
