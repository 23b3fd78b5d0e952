"""How event modalities lie to each other in time, and how old they are at prediction."""

from __future__ import annotations

from typing import Any

from fusewise.report.blocks import Cell, Heading, Prose, Table
from fusewise.report.frames import Record, cells, columns, records
from fusewise.report.numbers import (
    count,
    interval,
    known,
    number,
    percent,
    percent_interval,
    plural,
)
from fusewise.report.text import say

_MOST = 20


def timing_blocks(profile: Any) -> list[Any]:
    """Return the two tables, each where there is something."""
    return [*_staleness(records(profile, "staleness")), *_asynchrony(profile)]


def _staleness(rows: list[Record]) -> list[Any]:
    rows = [row for row in rows if known(row["age"])]
    if not rows:
        return []
    body = tuple(
        cells(
            str(row["modality"]),
            count(row["n"]),
            Cell(number(row["age"]), "", interval(row["low"], row["high"], row["age"])),
            number(row["age_q25"]),
            number(row["age_q75"]),
            number(row["age_q90"]),
            number(row["typical_gap"]),
            percent_interval(row["share_older"], row["share_low"], row["share_high"]),
        )
        for row in sorted(rows, key=lambda r: (-float(r["age"]), str(r["modality"])))
    )
    heads = columns(
        "modality", "n", "median age", "a quarter is below", "a quarter is above",
        "a tenth is above",
        "typical gap", "older than that",
    )  # fmt: skip
    note = next((str(row["note"]) for row in rows if row.get("note")), "")
    text = say(
        "**Staleness**: the age of the latest event of each [[modality]] when a prediction is made, "
        "over samples that have one. Who is older than one typical gap missed at least one "
        "measurement at the usual pace.{note}",
        note=f" Note: {note}." if note else "",
    )
    caption = say("Age of the latest event at prediction time")
    return [Heading(say("Staleness at prediction")), Prose(text), Table(heads, body, caption)]


def _asynchrony(profile: Any) -> list[Any]:
    rows = [row for row in records(profile, "asynchrony") if known(row["lag"])]
    if not rows:
        return []
    rows.sort(key=lambda r: (-float(r["lag"]), str(r["modality"]), str(r["other"])))
    body = tuple(
        cells(
            str(row["modality"]),
            str(row["other"]),
            Cell(number(row["lag"]), "", interval(row["low"], row["high"], row["lag"])),
            number(row["lag_q25"]),
            number(row["lag_q75"]),
            percent(row["preceded"]),
            count(row["n"]),
            percent(row["share_both"]),
        )
        for row in rows[:_MOST]
    )
    heads = columns(
        "when this speaks", "the latest of", "is old (median)", "a quarter is below",
        "a quarter is above", "has come before", "n", "samples with both", text=2,
    )  # fmt: skip
    declared = (getattr(profile, "deployment", None) or {}).get("synchronised")
    text = say(
        "How far apart modalities are in time: when the one has an event, how long ago the latest "
        "event of the other was. Each sample counts with its own median; 0 is measured together. "
        "Declared is that they {declared}; that stands, and this is the evidence beside it.",
        declared="arrive together" if declared else "do not arrive together",
    )
    hidden = len(rows) - _MOST
    caption = say(
        "The furthest apart{more}",
        more=f"; {plural(hidden, 'pair')} more in the JSON" if hidden > 0 else "",
    )
    return [Heading(say("Asynchrony")), Prose(text), Table(heads, body, caption)]
