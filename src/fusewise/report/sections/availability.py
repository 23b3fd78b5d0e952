"""How often each modality, and each pattern of them, is there."""

from __future__ import annotations

from typing import Any

from fusewise.report.blocks import Figure, Notice, Prose, Section, Table
from fusewise.report.frames import Patterns, Record, cells, columns, flag, rate_of, records, zero
from fusewise.report.numbers import (
    count,
    known,
    percent,
    percent_interval,
    percent_short,
    plural,
)
from fusewise.report.plots.rates import draw_rates
from fusewise.report.plots.rows import Mark
from fusewise.report.plots.upset import PatternBar, draw_upset
from fusewise.report.sections.copresence import copresence_blocks
from fusewise.report.sections.sizes import NARROW, WIDE
from fusewise.report.text import Text, say

NAN = float("nan")
_SOURCE = {
    "observed": "a log of real requests",
    "rates": "declared rates",
    "patterns": "declared patterns",
    "training": "the declaration that it looks like training",
}
_TRAINING, _DEPLOYMENT = ("s-t ring", "in training"), ("s-a", "in deployment")


def availability_section(profile: Any, recommendation: Any, names: Patterns) -> Section | None:
    """Build the section from a deployment profile, or nothing from None."""
    if profile is None:
        return None
    blocks: list[Any] = []
    for part in (
        _rates(profile, recommendation),
        _patterns(profile, names),
        copresence_blocks(profile),
    ):
        blocks.extend(part)
    return Section("availability", "Availability", _lead(profile), tuple(blocks))


def _lead(profile: Any) -> Text:
    source = str(getattr(profile, "source", "none"))
    if source in _SOURCE:
        return say(
            "How often each [[modality]] is [[there|presence]] in training, and in deployment "
            "according to **{source}**: a model must be good at what it will really be given.",
            source=_SOURCE[source],
        )
    return say(
        "How often each [[modality]] is [[there|presence]] in training. **No deployment was "
        "declared or observed**, so how often it will be there in use is not known."
    )


def _rates(profile: Any, recommendation: Any) -> list[Any]:
    rows = records(profile, "availability")
    if not rows:
        return []
    rows = sorted(
        rows, key=lambda r: (rate_of(r) if known(rate_of(r)) else 2.0, str(r["modality"]))
    )
    declared = any(known(r.get("rate")) for r in rows)
    alike = getattr(profile, "source", "") == "training"
    marks = [
        (
            str(r["modality"]),
            None if alike else _mark(r, "rate_train", "low_train", "high_train", "t", hollow=True),
            _mark(r, "rate", "low", "high", "a", hollow=False),
        )
        for r in rows
    ]
    limit = _limit(recommendation)
    legend: tuple[tuple[str, str], ...] = (_TRAINING, _DEPLOYMENT) if declared else (_TRAINING,)
    if alike:
        legend = (("s-a", "in training, and so in deployment"),)
    if limit is not None:
        legend += (("rule-limit", f"threshold {percent_short(limit)}"),)
    rarest = rows[0]
    note = say(
        "Rarest: **{name}**, there for {rate} of {what}.",
        name=rarest["modality"],
        what="requests" if declared else "training samples",
        rate=_shown(rarest) if declared else percent(rarest.get("rate_train")),
    )
    figure = Figure(
        say("Rate of each modality, rarest first"),
        draw_rates(marks, limit=limit, width=WIDE),
        draw_rates(marks, limit=limit, width=NARROW),
        legend,
        note,
        (_rate_table(rows), *_group_table(profile)),
    )
    complete = records(profile, "complete_case")
    shares = "; ".join(
        f"{'training' if r['population'] == 'train' else r['population']} "
        f"{percent_interval(r['share'], r['low'], r['high'])}"
        for r in complete
        if known(r["share"])
    )
    sentence = say("Share of [[complete cases|complete case]]: **{shares}**.", shares=shares)
    return [figure, Prose(sentence)] if shares else [figure]


def _limit(recommendation: Any) -> float | None:
    """Return the availability threshold that the recommendation used, where it names one."""
    for reason in getattr(recommendation, "reasons", None) or ():
        if str(reason.axis).startswith("availability") and known(reason.threshold):
            return float(reason.threshold)
    return None


def _shown(row: Record) -> str:
    return percent_interval(row.get("rate"), row.get("low"), row.get("high"))


def _mark(
    row: Record, value: str, low: str, high: str, series: str, *, hollow: bool
) -> Mark | None:
    if not known(row.get(value)):
        return None
    return Mark(row[value], row.get(low, NAN), row.get(high, NAN), series, hollow)


def _rate_table(rows: list[Record]) -> Table:
    body = tuple(
        cells(
            str(r["modality"]),
            count(r.get("n_train")),
            percent_interval(r.get("rate_train"), r.get("low_train"), r.get("high_train")),
            count(r.get("n_deployment")),
            _shown(r),
        )
        for r in rows
    )
    heads = columns(
        "modality",
        "n with it in training",
        "rate in training",
        "n in deployment",
        "rate in deployment",
    )
    return Table(heads, body, say("Rates as a table"))


def _group_table(profile: Any) -> tuple[Table, ...]:
    rows = records(profile, "group_availability")
    if not rows:
        return ()
    body = tuple(
        cells(
            str(r["group"]),
            str(r["level"]),
            str(r["modality"]),
            count(r["n"]),
            percent_interval(r["rate"], r["low"], r["high"]),
        )
        for r in rows
    )
    heads = columns("group", "level", "modality", "n", "rate", text=3)
    return (Table(heads, body, say("Rates by group, in training")),)


def _patterns(profile: Any, names: Patterns) -> list[Any]:
    rows = records(profile, "patterns")
    if not rows:
        return []
    declared = any(known(r.get("share_deployment")) for r in rows)
    alike = getattr(profile, "source", "") == "training"
    first, second = ("share_deployment", "share_train")[:: 1 if declared else -1]
    rows = sorted(
        rows, key=lambda r: (-zero(r.get(first)), -zero(r.get(second)), str(r["pattern"]))
    )
    bars = [
        PatternBar(
            names.spoken(str(r["pattern"])),
            float(r.get("share_deployment", NAN)),
            NAN if alike else float(r.get("share_train", NAN)),
            names.present(str(r["pattern"])),
            flag(r, "unseen"),
        )
        for r in rows
    ]
    by_name = {str(r["modality"]): rate_of(r) for r in records(profile, "availability")}
    rates = [by_name.get(m, NAN) for m in names.modalities]
    order = sorted(range(len(rates)), key=lambda i: -zero(rates[i]))
    bars = [
        PatternBar(b.label, b.deployment, b.training, tuple(b.present[i] for i in order), b.unseen)
        for b in bars
    ]
    shown = [names.modalities[i] for i in order], [rates[i] for i in order]
    unseen = [r for r in rows if flag(r, "unseen")]
    legend: tuple[tuple[str, str], ...] = (("s-t", "share in training"),)
    if declared:
        legend = (("s-a", "share in deployment"),)
        legend += () if alike else (("rule-level", "share in training"),)
        legend += (("s-b", "never seen in training"),) if unseen else ()
    note = say(
        "Each column is one [[availability pattern]], most frequent first: filled dots are present. "
        "{n} in all{more}.",
        n=plural(len(rows), "pattern"),
        more="; those that do not fit are in the table" if len(rows) > 12 else "",
    )
    figure = Figure(
        say("Availability patterns"),
        draw_upset(bars, *shown, width=WIDE, column=22),
        draw_upset(bars, *shown, width=NARROW, column=20),
        legend,
        note,
        (_pattern_table(rows, names),),
    )
    return [figure, *_unseen(unseen, names)]


def _pattern_table(rows: list[Record], names: Patterns) -> Table:
    body = tuple(
        cells(
            names.cell(str(r["pattern"])),
            count(r.get("n_train")),
            percent(r.get("share_train")),
            count(r.get("n_deployment")),
            percent(r.get("share_deployment")),
            "unseen" if flag(r, "unseen") else "",
        )
        for r in rows
    )
    heads = columns("pattern", "n in training", "share", "n in deployment", "share", "in training")
    return Table(heads, body, say("{n} as a table", n=plural(len(rows), "pattern")))


def _unseen(rows: list[Record], names: Patterns) -> list[Any]:
    if not rows:
        return []
    share = sum(zero(r.get("share_deployment")) for r in rows)
    title = say(
        "{n} in deployment, {share} of requests, that training never saw",
        n=plural(len(rows), "pattern"),
        share=percent(share),
    )
    items = tuple(
        say(
            "{name} ({share})",
            name=names.spoken(str(r["pattern"])),
            share=percent(r.get("share_deployment")),
        )
        for r in rows[:6]
    )
    more = (say("and {n} more in the table", n=len(rows) - 6),) if len(rows) > 6 else ()
    return [Notice("warn", title, items + more)]
