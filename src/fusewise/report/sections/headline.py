"""Quality in one line per metric, on the deployment's mixture."""

from __future__ import annotations

from typing import Any

from fusewise.report.blocks import Card, Cards, Cell, Listing, Notice, Prose, Section, Table
from fusewise.report.frames import (
    Patterns,
    Record,
    cells,
    columns,
    flag,
    pick,
    records,
    why_missing,
)
from fusewise.report.metrics import better, title_name
from fusewise.report.numbers import count, estimate, interval, known, number, plural
from fusewise.report.text import Text, quote, say

_SOURCE = {
    "observed": "the observed requests",
    "rates": "the declared rates",
    "patterns": "the declared patterns",
    "training": "the training samples, which stand in for the deployment",
    "test": "the test samples as they came: nothing is known of the deployment",
    "none": "the test samples as they came: no deployment was declared",
}

_UNCOVERED = "no answered test sample"


def headline_section(evaluation: Any, names: Patterns) -> Section | None:
    """Build the section from an evaluation, or nothing from None."""
    rows = records(evaluation, "headline")
    pooled = records(evaluation, "pooled")
    if not rows and not pooled:
        return None
    cards = Cards(tuple(_card(r, pooled) for r in rows or pooled))
    lead = say(
        "The [[headline]] is what to expect in use, over all patterns together and each as frequent "
        "as in deployment; it hides differences between patterns, which follow below."
    )
    blocks: list[Any] = []
    sources = dict.fromkeys(str(r["source"]) for r in rows if r.get("source"))
    if sources:
        mixture = "; ".join(_SOURCE.get(source, source) for source in sources)
        blocks.append(Prose(say("Patterns are weighted as in **{mixture}**.", mixture=mixture)))
    blocks.append(cards)
    noted = [str(note) for note in getattr(evaluation, "notes", None) or ()]
    uncovered = tuple(str(p) for p in getattr(evaluation, "uncovered", None) or ())
    if uncovered:
        shown = tuple(quote(names.spoken(p)) for p in uncovered[:4])
        if len(uncovered) > 4:
            shown += (say("and {n} more", n=count(len(uncovered) - 4)),)
        one = len(uncovered) == 1
        title = say(
            "{n} met in deployment without any test sample: the headline says nothing about {what}",
            n=plural(len(uncovered), "pattern"),
            what="it" if one else "them",
        )
        # The note of the evaluation says the same, and their share of the deployment.
        told = next((note for note in noted if _UNCOVERED in note), None)
        blocks.append(Notice("warn", title if told is None else quote(told), shown))
        noted = [note for note in noted if note != told]
    abstained = getattr(evaluation, "n_abstained", 0)
    if known(abstained) and abstained:
        title = say("{n} got no prediction", n=plural(abstained, "sample"))
        text = (
            say("It has no modality that the model knows, and is left out of every score.")
            if abstained == 1
            else say("They have no modality that the model knows, and are left out of every score.")
        )
        blocks.append(Notice("info", title, (text,)))
    if noted:
        blocks.append(Listing(say("How it was measured"), tuple(quote(note) for note in noted)))
    blocks.append(_table(rows, pooled))
    return Section("headline", "Headline quality", lead, tuple(blocks))


def _card(row: Record, pooled: list[Record]) -> Card:
    metric = row["metric"]
    effective = row.get("effective_n")
    n = say("n = {n}", n=count(row.get("n")))
    if known(effective) and count(effective) != count(row.get("n")):
        n = say(
            "n = {n}, [[effective n]] = {effective}",
            n=count(row.get("n")),
            effective=count(effective),
        )
    notes: list[Text] = [n]
    if known(row.get("by_pattern_mean")):
        value = number(row["by_pattern_mean"])
        notes.append(say("mean of the scores per pattern: {value}", value=value))
    if "effective_n" in row:
        notes.extend(
            say("test as it came: {value}", value=estimate(p["estimate"], p["low"], p["high"]))
            for p in pick(pooled, metric=metric)
        )
    if flag(row, "small"):
        notes.append(say("**few samples**: no ground for a decision"))
    way = better(metric)
    if way:
        notes.append(say("{way}", way=way))
    return Card(title_name(metric), number(row["estimate"]), _interval(row), tuple(notes))


def _interval(row: Record) -> str:
    return interval(row["low"], row["high"], row["estimate"]) or why_missing(row)


def _table(rows: list[Record], pooled: list[Record]) -> Table:
    body = [
        cells(
            title_name(r["metric"]),
            "deployment mixture",
            estimate(r["estimate"], r["low"], r["high"]),
            Cell(count(r.get("n")), "", "few samples" if flag(r, "small") else ""),
            count(r.get("effective_n")),
            number(r.get("by_pattern_mean")),
        )
        for r in rows
    ]
    body += [
        cells(
            title_name(r["metric"]),
            "test as it came",
            estimate(r["estimate"], r["low"], r["high"]),
            count(r.get("n")),
            "",
            "",
        )
        for r in pooled
    ]
    heads = columns("metric", "over", "estimate", "n", "effective n", "mean per pattern", text=2)
    return Table(heads, tuple(body), say("Headline and pooled quality as a table"))
