"""Which modalities come together."""

from __future__ import annotations

from typing import Any

from fusewise.report.blocks import Gallery, Table
from fusewise.report.frames import Record, cells, columns, records
from fusewise.report.numbers import MINUS, known
from fusewise.report.plots.heatmap import draw_heatmap
from fusewise.report.sections.sizes import SMALL
from fusewise.report.text import Text, say

NAN = float("nan")


def copresence_blocks(profile: Any) -> list[Gallery]:
    """Return the heat maps of a deployment profile, or nothing for fewer than two modalities."""
    rows = records(profile, "copresence")
    modalities = tuple(str(m) for m in getattr(profile, "modalities", ()))
    if not rows or len(modalities) < 2:
        return []
    pairs: dict[tuple[str, str], Record] = {}
    for r in rows:
        pairs[str(r["modality"]), str(r["other"])] = r
        pairs.setdefault((str(r["other"]), str(r["modality"])), r)

    def reader(column: str) -> Any:
        return lambda i, j: pairs.get((modalities[i], modalities[j]), {}).get(column, NAN)

    def two_digits(value: float) -> str:
        return f"{float(value):.2f}".replace("-", MINUS).replace("0.", ".", 1)

    def whole(value: float) -> str:
        return f"{100 * value:.0f}%"

    width = SMALL
    both = draw_heatmap(
        modalities,
        reader("both"),
        width=width,
        show=whole,
        label="Share of samples that have both modalities",
    )
    phi = draw_heatmap(
        modalities,
        reader("phi"),
        width=width,
        show=two_digits,
        diverging=True,
        label="Correlation of the presence of two modalities",
    )
    tables = tuple(
        _matrix(modalities, reader(column), show, caption)
        for column, show, caption in (
            ("both", whole, say("Shares of both as a table")),
            ("phi", two_digits, say("Correlations as a table")),
        )
    )
    note = say(
        "Left, how often two modalities come together, in percent; right, [[phi]]: whether they "
        "come and go together, empty where one of them is always there. A group that shares one "
        "fate counts as one when it is absent."
    )
    items = (("Both present (%)", both), ("Presence correlated (phi)", phi))
    return [Gallery(say("Co-presence"), items, (), note, tables)]


def _matrix(modalities: tuple[str, ...], values: Any, show: Any, caption: Text) -> Table:
    body = tuple(
        cells(name, *(_pair(values, show, i, j) for j in range(len(modalities))))
        for i, name in enumerate(modalities)
    )
    return Table(columns("modality", *modalities), body, caption)


def _pair(values: Any, show: Any, i: int, j: int) -> str:
    value = values(i, j)
    return show(value) if i != j and known(value) else ""
