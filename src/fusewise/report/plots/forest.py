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
    names: tuple[str, ...] = (),
    overall: float | None = None,
    width: float,
) -> Markup:
    """Draw one row per pattern with its estimates, the overall line, and n on the right.

    Parameters
    ----------
    rows : sequence of Row
        `right` holds the first estimate and the number of samples.
    metric : str
        The axis title.
    names : tuple of str
        The modalities, where patterns are drawn as dots; else their labels are written.
    overall : float, optional
        Where the line of the whole goes.
    width : float
        Inner width in pixels.
    """
    ends = [v for row in rows for m in row.marks for v in (m.value, m.low, m.high)]
    heads = (("estimate", 62.0), ("n", 74.0)) if width > 600 else (("n", 62.0),)
    shown = [r if width > 600 else _only_n(r) for r in rows]
    frame = Frame(
        label=f"{metric} of each availability pattern with its interval",
        limits=around(ends, include=overall),
        axis=metric,
        heads=heads,
        references=((overall, "overall"),) if overall is not None else (),
        names=names,
        label_share=0.36,
    )
    return draw_rows(shown, frame, width=width)


def _only_n(row: Row) -> Row:
    return Row(row.label, row.marks, row.right[-1:], row.title, row.present, row.remark, row.quiet)
