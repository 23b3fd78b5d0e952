"""How often each modality is there: training against deployment."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from fusewise.report.numbers import percent, percent_short
from fusewise.report.plots.rows import Frame, Mark, Row, draw_rows


def draw_rates(
    rates: Sequence[tuple[str, Mark | None, Mark | None]],
    *,
    limit: float | None = None,
    width: float,
) -> Markup:
    """Draw one row per modality with its rate in training and in deployment.

    Parameters
    ----------
    rates : sequence of (modality, training, deployment)
        Shares between 0 and 1 with their intervals; either may be None.
    limit : float, optional
        The rate below which availability decides the strategy, drawn as a line.
    width : float
        Inner width in pixels.
    """
    both = any(t for _, t, _ in rates) and any(d for _, _, d in rates)
    rows = []
    for name, training, deployment in rates:
        found = [("training", training), ("deployment", deployment)]
        marks = tuple(m for _, m in found if m is not None)
        texts = [percent(m.value) for _, m in found if m is not None] or [""]
        spoken = ", ".join(f"{what} {percent(m.value)}" for what, m in found if m is not None)
        right = tuple(texts) if both else (texts[-1],)
        rows.append(Row(name, marks, right, title=f"{name}: {spoken}"))
    size = 76.0 if width > 600 else 67.0
    heads = (("training", size), ("deployment", size)) if both else (("rate", size),)
    frame = Frame(
        label="Rate at which each modality is available, with its interval",
        limits=(0.0, 1.0),
        axis="available",
        heads=heads,
        references=((limit, "limit"),) if limit is not None else (),
        tick=lambda value, _: percent_short(value),
    )
    return draw_rows(rows, frame, width=width)
