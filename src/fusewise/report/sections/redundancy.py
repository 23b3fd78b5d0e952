"""What modalities have in common: a triangle of pairs, and the most alike with their intervals."""

from __future__ import annotations

from typing import Any

from fusewise.report.blocks import Gallery, Heading, Prose, Table
from fusewise.report.frames import Record, cells, columns, records
from fusewise.report.numbers import MINUS, count, known, plural
from fusewise.report.plots.heatmap import draw_heatmap
from fusewise.report.sections.sizes import SMALL
from fusewise.report.text import Text, say

NAN = float("nan")
_MOST = 20


def redundancy_blocks(profile: Any) -> list[Any]:
    """Return how alike the modalities are, or nothing where no pair was measured."""
    rows = records(profile, "redundancy")
    found = sorted(
        (row for row in rows if known(row["cka"])),
        key=lambda row: (-float(row["cka"]), str(row["modality"]), str(row["other"])),
    )
    if not found:
        return []
    table, names = _table(found), _names(rows)
    told = [Heading(say("Redundancy")), Prose(_meaning(rows, found))]
    if len(names) < 3:
        return [*told, table]
    pairs = {frozenset((str(r["modality"]), str(r["other"]))): r for r in found}
    drawn = draw_heatmap(
        names,
        lambda i, j: pairs.get(frozenset((names[i], names[j])), {}).get("cka", NAN),
        width=SMALL,
        show=lambda value: f"{float(value):.2f}".replace("-", MINUS).replace("0.", ".", 1),
        diverging=True,
        label="How alike two modalities are, from 0 for nothing in common to 1 for the same",
    )
    title = say("How alike two modalities are")
    return [*told, Gallery(title, (("Debiased CKA", drawn),), tables=(table,))]


def _names(rows: list[Record]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(row[side]) for row in rows for side in ("modality", "other")))


def _meaning(rows: list[Record], found: list[Record]) -> Text:
    left = len(rows) - len(found)
    return say(
        "How much of what two modalities say is the same ([[redundancy]]), on samples that have "
        "both: where one of an alike pair is absent, the other can stand in for much of it. A "
        "narrow modality that is contained in a wide one is not alike as a whole.{left}",
        left=f" {plural(left, 'pair')} could not be compared." if left else "",
    )


def _table(found: list[Record]) -> Table:
    body = tuple(
        cells(
            str(row["modality"]),
            str(row["other"]),
            _figure(row),
            count(row["n"]),
            count(row["n_both"]),
        )
        for row in found[:_MOST]
    )
    heads = columns("modality", "other", "alike (CKA)", "n", "samples with both", text=2)
    hidden = len(found) - _MOST
    caption = say(
        "The most alike, with 95 % intervals{more}",
        more=f"; {plural(hidden, 'pair')} more in the JSON" if hidden > 0 else "",
    )
    return Table(heads, body, caption, folded=len(found) > 1)


def _figure(row: Record) -> str:
    value, low, high = (f"{float(row[n]):.2f}" if known(row[n]) else "" for n in _FIGURES)
    text = f"{value} [{low}, {high}]" if low and high else value
    return text.replace("-0.00", "0.00").replace("-", MINUS)


_FIGURES = ("cka", "low", "high")
