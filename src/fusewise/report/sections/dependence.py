"""What presence depends on: a table of modalities by sources."""

from __future__ import annotations

from typing import Any

from fusewise.report.blocks import Cell, Heading, Listing, Prose, Table
from fusewise.report.frames import Record, cells, columns, pick, records
from fusewise.report.numbers import beyond_chance, count, interval, known, number, p_value, plural
from fusewise.report.text import Text, say

# Modalities, and notes, that are told.
_MOST = 3
_MEANING = {
    "values": (
        "**Values of other modalities**: {names}. It is not absent by pure chance: who has it is a "
        "selected group, and what is measured on that group need not hold for the others."
    ),
    "target": (
        "**The target**: {names}. Whether it is there tells something about the outcome. A model "
        "can learn from who lacks it, which fails where it is ordered or collected for other "
        "reasons."
    ),
}
_GROUP = (
    "**The group {group}**: {names}. Its levels differ in who has what, so read every figure for "
    "each level, too."
)


def dependence_blocks(profile: Any) -> list[Any]:
    """Return the table with what it means, or nothing where it was not asked."""
    rows = records(profile, "mechanism")
    if not rows:
        return []
    measured = [row for row in rows if known(row["score"])]
    blocks: list[Any] = [Heading(say("What presence depends on"))]
    if measured:
        blocks += [Prose(_how(measured)), _table(rows, measured)]
    return [*blocks, _meaning(rows, measured), *_notes(rows, measured), Prose(_unseen())]


def _how(measured: list[Record]) -> Text:
    sizes = [int(row["n"]) for row in measured]
    n = count(min(sizes)) + (f" to {count(max(sizes))}" if max(sizes) > min(sizes) else "")
    return say(
        "How well the [[presence]] of each [[modality]] can be told from other things: 0.5 or less "
        "is guessing, 1 is certainty (AUROC, with its [[interval]]). \N{BLACK CIRCLE} marks what "
        "is beyond chance: p at most 0.05, after correction for the number of modalities. Samples "
        "compared: {n}.",
        n=n,
    )


def _unseen() -> Text:
    return say(
        "Whether a modality is absent **because of its own values** can be seen in no data. A table "
        "without findings does not prove that absence is harmless."
    )


def _table(rows: list[Record], measured: list[Record]) -> Table:
    some = {str(row["depends_on"]) for row in measured}
    # In the order of all rows: the first that has figures must not turn the columns around.
    sources = [s for s in dict.fromkeys(str(row["depends_on"]) for row in rows) if s in some]
    found = {(str(row["modality"]), str(row["depends_on"])): row for row in rows}
    names = list(dict.fromkeys(str(row["modality"]) for row in measured))

    def weight(name: str) -> tuple[int, float]:
        own = pick(measured, modality=name)
        beyond = [row for row in own if beyond_chance(row["p_holm"])]
        return -len(beyond), -max(float(row["score"]) for row in own)

    body = tuple(
        cells(name, *(_cell(found.get((name, source))) for source in sources))
        for name in sorted(names, key=weight)
    )
    heads = columns("modality", *(_source(source) for source in sources))
    caption = say("What presence depends on: AUROC of presence, with corrected p")
    return Table(heads, body, caption, folded=False)


def _cell(row: Record | None) -> Cell:
    if row is None or not known(row["score"]):
        return Cell("not tested", "none")
    p, ends = p_value(row["p_holm"]), interval(row["low"], row["high"])
    said = f"{ends} p {p}" if p.startswith("<") else f"{ends} p = {p}"
    if beyond_chance(row["p_holm"]):
        return Cell(f"\N{BLACK CIRCLE} {number(row['score'])}", "found", said)
    return Cell(number(row["score"]), "none", said)


def _source(source: str) -> str:
    group = source.removeprefix("group:")
    if group != source:
        return f"group: {group}"
    return {"values": "values of other modalities", "target": "the target"}.get(source, source)


def _meaning(rows: list[Record], measured: list[Record]) -> Any:
    items = []
    for source in dict.fromkeys(str(row["depends_on"]) for row in rows):
        own = [r for r in pick(measured, depends_on=source) if beyond_chance(r["p_holm"])]
        if not own:
            continue
        own.sort(key=lambda row: -float(row["score"]))
        names = ", ".join(str(row["modality"]) for row in own[:_MOST])
        names += f" and {len(own) - _MOST} more" if len(own) > _MOST else ""
        template = _MEANING.get(source, _GROUP)
        items.append(say(template, names=names, group=source.removeprefix("group:")))
    if items:
        return Listing(say("What that means"), tuple(items))
    return Prose(say("**Nothing was found that presence depends on beyond chance.**"))


def _notes(rows: list[Record], measured: list[Record]) -> list[Prose]:
    """Say what else to know of the figures, and in one line what has none."""
    told = dict.fromkeys(str(row["note"]) for row in measured if row.get("note"))
    blocks = [Prose(say("Note: {note}.", note=note)) for note in list(told)[:_MOST]]
    left = [row for row in rows if not known(row["score"])]
    if left:
        first = left[0]
        text = say(
            "{left} of {n} of modality and source could not be tested{example}.",
            left=len(left),
            n=plural(len(rows), "pair"),
            example=f", for example {first['modality']} and {_source(str(first['depends_on']))}: "
            f"{first['note']}"
            if first.get("note")
            else "",
        )
        blocks.append(Prose(text))
    return blocks
