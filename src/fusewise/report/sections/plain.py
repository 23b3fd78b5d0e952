"""The recommendation for a reader who knows the field and not machine learning."""

from __future__ import annotations

from typing import Any

from fusewise.report.blocks import Cell, Column, Prose, Section, Table
from fusewise.report.frames import rate_of, records
from fusewise.report.glossary import STRATEGIES, strategy_name
from fusewise.report.numbers import count, known, percent
from fusewise.report.text import say

_SHOWN = 6


def plain_section(profile: Any, recommendation: Any) -> Section | None:
    """Build the section from a recommendation that says what each strategy needs."""
    needs = tuple(getattr(recommendation, "needs", None) or ())
    if not needs:
        return None
    matrix = str(getattr(recommendation, "matrix", recommendation.strategy))
    blocks: list[Any] = []
    if profile is not None:
        blocks.append(_facts(profile))
    order = [matrix, *(s for s in STRATEGIES if s != matrix)]
    for strategy in order:
        own = [need for need in needs if need.strategy == strategy]
        if own:
            blocks += [_what(strategy, own, chosen=strategy == matrix), _table(strategy, own)]
    lead = say(
        "How the choice was made, without the words of machine learning: four ways to bring the "
        "sources of measurement together, what each of them needs, and what is the case here."
    )
    return Section("plain", "In plain words", lead, tuple(blocks))


def _facts(profile: Any) -> Prose:
    rows = sorted(records(profile, "availability"), key=rate_of)
    given = [r for r in rows if known(r.get("rate"))]
    listed = given or [r for r in rows if known(r.get("rate_train"))]
    shown = ", ".join(f"{r['modality']} in {percent(rate_of(r))}" for r in listed[:_SHOWN])
    if len(listed) > _SHOWN:
        shown += f" and {len(listed) - _SHOWN} more, oftener"
    where = (
        "In use they are there"
        if given
        else "How often they are there in use is not known; in the data for training they are there"
    )
    return Prose(
        say(
            "There are {samples} samples and {sources} sources of measurement. {where}: {shown}.",
            samples=count(profile.n_samples),
            sources=count(len(rows)),
            where=where,
            shown=shown,
        )
    )


def _what(strategy: str, needs: list[Any], *, chosen: bool) -> Prose:
    name, what = STRATEGIES.get(strategy, (strategy_name(strategy), ""))
    lacking = sum(not need.holds for need in needs)
    if chosen:
        verdict = "All that it needs is the case, so this is the answer of the rules."
    elif lacking == 1:
        verdict = "One thing that it needs is not the case."
    else:
        verdict = f"{lacking} things that it needs are not the case."
    return Prose(say("**{name}** {what}. {verdict}", name=name, what=what, verdict=verdict))


def _table(strategy: str, needs: list[Any]) -> Table:
    rows = tuple(
        (
            Cell(str(need.needed)),
            Cell(str(need.now)),
            Cell("yes" if need.holds else "no", "met" if need.holds else "unmet"),
        )
        for need in needs
    )
    heads = (Column("what it needs"), Column("how it is here"), Column("holds"))
    caption = say("What {name} needs", name=strategy_name(strategy).lower())
    return Table(heads, rows, caption, folded=False)
