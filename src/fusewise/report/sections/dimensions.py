"""How wide each modality is, and how often it is measured."""

from __future__ import annotations

import math
from typing import Any

from fusewise.report.blocks import Figure, Heading, Prose, Section, Table
from fusewise.report.frames import Record, cells, columns, records, zero
from fusewise.report.numbers import count, known, number, percent
from fusewise.report.plots.widths import draw_widths
from fusewise.report.sections.redundancy import redundancy_blocks
from fusewise.report.sections.sizes import NARROW, WIDE
from fusewise.report.sections.timing import timing_blocks
from fusewise.report.text import say

NAN = float("nan")


def dimensions_section(profile: Any) -> Section | None:
    """Build the section from a deployment profile, or nothing from None."""
    widths, cadence = records(profile, "dimensions"), records(profile, "cadence")
    if not widths and not cadence:
        return None
    blocks: list[Any] = []
    if widths:
        blocks.extend(_widths(profile, widths))
        blocks.extend(redundancy_blocks(profile))
    if cadence:
        blocks.extend(_cadence(profile, cadence))
        blocks.extend(timing_blocks(profile))
    lead = say(
        "How wide each modality is, how many directions its features really vary in (its "
        "[[effective dimension]]), and how often it is measured: a modality a hundred times wider "
        "than another drowns it when features are simply joined."
    )
    return Section("dimensions", "Dimensions and cadence", lead, tuple(blocks))


def _widths(profile: Any, rows: list[Record]) -> list[Any]:
    bars = [
        (str(r["modality"]), float(r.get("width", NAN)), float(r.get("effective", NAN)))
        for r in sorted(rows, key=lambda r: -zero(r.get("width")))
    ]
    ratio = getattr(profile, "dimension_ratio", None)
    note = None
    if known(ratio) and len(rows) > 1 and ratio:
        note = say(
            "The widest modality is **{ratio} times** as wide as the narrowest: {orders} orders of "
            "magnitude. Width counts columns, and variables where a modality is a stream of events; "
            "the effective dimension is that of all features made of them and can be larger.",
            ratio=_times(ratio),
            orders=f"{math.log10(float(ratio)):.1f}" if float(ratio) > 0 else "0",
        )
    body = tuple(
        cells(
            str(r["modality"]),
            str(r.get("kind", "")),
            count(r.get("n")),
            count(r.get("width")),
            number(r.get("effective")),
            number(r.get("samples_per_dimension")),
            percent(r.get("variance_share")),
            percent(r.get("missing_share")),
        )
        for r in rows
    )
    heads = columns(
        "modality",
        "kind",
        "n",
        "width",
        "effective dimension",
        "samples per dimension",
        "share of joined variance",
        "missing values",
        text=2,
    )
    figure = Figure(
        say("Width and effective dimension"),
        draw_widths(bars, width=WIDE),
        draw_widths(bars, width=NARROW),
        (("s-pale", "width"), ("s-a", "effective dimension")),
        note,
        (Table(heads, body, say("Dimensions as a table")),),
    )
    return [figure]


def _times(ratio: Any) -> str:
    return f"{float(ratio):,.0f}" if ratio >= 10 else f"{float(ratio):.2g}"


def _cadence(profile: Any, rows: list[Record]) -> list[Any]:
    body = tuple(
        cells(
            str(r["modality"]),
            count(r.get("n")),
            number(r.get("events_per_sample")),
            number(r.get("median_gap")),
            number(r.get("regularity")),
            number(r.get("age_at_prediction")),
        )
        for r in sorted(rows, key=lambda r: -zero(r.get("events_per_sample")))
    )
    heads = columns(
        "modality",
        "n",
        "events per sample",
        "median gap",
        "regularity",
        "age of last at prediction",
    )
    blocks: list[Any] = [Heading(say("Cadence"))]
    ratio = getattr(profile, "cadence_ratio", None)
    if known(ratio) and len(rows) > 1:
        text = say(
            "[[Cadence|cadence]]: between two measurements, the slowest modality waits **{ratio} "
            "times** as long as the fastest. Gaps and ages are in the unit of the event times "
            "(seconds where those are timestamps).",
            ratio=_times(ratio),
        )
    else:
        text = say(
            "The [[cadence]] of modalities with events. Gaps and ages are in the unit of the event "
            "times (seconds where those are timestamps)."
        )
    return [*blocks, Prose(text), Table(heads, body, say("Cadence"), folded=False)]
