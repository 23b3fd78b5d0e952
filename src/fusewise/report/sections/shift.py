"""Do patterns come as often in use as in training, and in each group as in the others."""

from __future__ import annotations

from typing import Any

from fusewise.report.blocks import Cell, Heading, Prose, Table
from fusewise.report.frames import Record, cells, columns, records, zero
from fusewise.report.numbers import (
    LEVEL,
    beyond_chance,
    count,
    known,
    p_value,
    percent,
    percent_interval,
    plural,
)
from fusewise.report.text import Text, say

MOST = 8


def shift_blocks(profile: Any) -> list[Any]:
    """Return how far pattern frequencies differ, or nothing where nothing was compared."""
    use, levels = records(profile, "shift"), records(profile, "group_shift")
    if not use and not levels:
        return []
    # The lower limit, and not the distance: that is large in small levels by chance alone.
    levels.sort(key=lambda r: (-zero(r["low"]), _p_or_one(r), -zero(r["distance"]), str(r["to"])))
    how = say(
        "The **distance** is the share of [[samples|sample]] that would have to come with another "
        "[[availability pattern]] for the two to agree: 0% is equal, 100% has no pattern in common. "
        "Chance alone makes some distance; read it beside what is **expected if same**. "
        "\N{BLACK CIRCLE} marks p at most 0.05."
    )
    blocks: list[Any] = [Heading(say("Availability shift"))]
    blocks += [Prose(_deployment(row, profile)) for row in use]
    # A declaration that the two are alike is no measurement to be shown as one.
    shown = [] if getattr(profile, "source", "") == "training" else use
    if shown or levels:
        blocks += [Prose(how), _table([*shown, *levels[:MOST]])]
    if levels:
        blocks.append(Prose(_levels(levels)))
    return blocks


def _p_or_one(row: Record) -> float:
    """Return the p-value of a row, or 1 where there is none: for sorting."""
    return float(row["p"]) if known(row["p"]) else 1.0


def _deployment(row: Record, profile: Any) -> Text:
    if getattr(profile, "source", "") == "training":
        return say(
            "The deployment was **declared to look like training**, so there is no "
            "[[availability shift]] by that declaration, and no test of it."
        )
    change = ". Most changed: {most}." if row["most_changed"] else "."
    if not known(row["distance"]):
        said = (
            "How far the deployment's patterns are from training's is not known: rates were "
            "declared, and there are too many modalities to list what comes together"
        )
    elif beyond_chance(row["p"]):
        said = (
            "**Deployment and training differ** by {distance}, where {expected} is expected if they "
            "were the same"
        )
    else:
        said = (
            "**No difference beyond chance** between deployment and training: the distance is "
            "{distance}, and {expected} is expected if they were the same"
        )
    return say(
        said + change,
        distance=percent_interval(row["distance"], row["low"], row["high"]),
        expected=percent(row["expected_if_same"]),
        most=row["most_changed"],
    )


def _table(rows: list[Record]) -> Table:
    body = tuple(
        cells(
            Cell(str(r["to"]), "", f"against {r['from']}"),
            count(r["n_to"]) if known(r["n_to"]) else "declared",
            count(r["n_from"]),
            _distance(r),
            percent(r["expected_if_same"]),
            p_value(r["p"]),
            str(r["most_changed"] or "\N{EM DASH}"),
        )
        for r in rows
    )
    heads = columns("compared", "n", "n against", "distance", "expected if same", "p")
    heads += columns("most changed")
    return Table(heads, body, say("Availability shift in numbers"), folded=False)


def _distance(row: Record) -> Cell:
    shown = percent_interval(row["distance"], row["low"], row["high"])
    if beyond_chance(row["p"]):
        return Cell(f"\N{BLACK CIRCLE} {shown}", "found")
    return Cell(shown, "none")


def _levels(levels: list[Record]) -> Text:
    beyond = sum(beyond_chance(row["p"]) for row in levels)
    said = (
        "Of {levels} of groups, each held against all others in training, {beyond} {differ} beyond "
        "chance. Each p stands for itself: of levels that are all alike, one in {often} is marked."
    )
    hidden = len(levels) - MOST
    if hidden > 0:
        said += " The table has the {most} that differ most; {hidden} more were compared."
    return say(
        said,
        levels=plural(len(levels), "level"),
        beyond=beyond,
        differ="differs" if beyond == 1 else "differ",
        often=round(1 / LEVEL),
        most=MOST,
        hidden=hidden,
    )
