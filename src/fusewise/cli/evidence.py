"""What the training rows say, on a terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from fusewise.cli.terminal import amount, interval, new_table, number, percent

if TYPE_CHECKING:
    from rich.console import Console

_LEVEL = 0.05


def show_evidence(console: Console, profile: Any, most: int = 8) -> None:
    """Show signal, what presence depends on, arrival and shift, each where there is something."""
    if len(profile.probes):
        _show_probes(console, profile)
    if len(profile.mechanism):
        _show_mechanism(console, profile)
    if len(profile.arrival):
        _show_arrival(console, profile)
    _show_shift(console, profile, most)


def _show_probes(console: Console, profile: Any) -> None:
    from fusewise.profile import QUESTIONS, effect_text

    title = "Signal in the training rows (what is not shown is not disproved)"
    columns = ("question", "answer", "fall of the loss", "without", "with", "metric", "n")
    table = new_table(title, *columns)
    for row in profile.probes.itertuples(index=False):
        question = escape(QUESTIONS.get(row.axis, str(row.axis)))
        if math.isnan(row.effect):
            table.add_row(question, f"[yellow]not measured[/] [dim]{escape(str(row.note))}[/]")
            continue
        table.add_row(
            question,
            "[cyan]shown[/]" if row.shown else "[dim]not shown[/]",
            interval(row.effect, row.low, row.high, effect_text),
            number(row.score_without),
            number(row.score_with),
            escape(str(row.metric)),
            f"{row.n:,}",
        )
    console.print(table)


def _show_mechanism(console: Console, profile: Any) -> None:
    tested = profile.mechanism[profile.mechanism["p_holm"].notna()]
    found = tested[tested["p_holm"] <= _LEVEL]
    if len(found):
        columns = ("modality", "presence depends on", "AUROC of presence", "corrected p", "n")
        table = new_table("What presence depends on", *columns)
        for row in found.itertuples(index=False):
            table.add_row(
                escape(str(row.modality)),
                escape(_source(str(row.depends_on))),
                interval(row.score, row.low, row.high, number),
                _p(row.p_holm),
                f"{row.n:,}",
            )
        console.print(table)
    untested = len(profile.mechanism) - len(tested)
    console.print(
        f"[dim]Presence: {len(found)} of {len(tested)} tested dependences found at corrected "
        f"p {_LEVEL}{f', {untested} not testable' if untested else ''}; dependence on a modality's "
        "own values is seen in no data.[/]"
    )


def _show_arrival(console: Console, profile: Any) -> None:
    from fusewise.profile import MARKS, time_to_share

    heads = (f"{mark:.0%} have it by" for mark in MARKS)
    table = new_table("Arrival", "modality", *heads, "in the end", "the end")
    for name, curve in profile.arrival.groupby("modality", sort=False):
        last = curve.sort_values("time").iloc[-1]
        times = [time_to_share(profile.arrival, name, mark) for mark in MARKS]
        table.add_row(
            escape(str(name)),
            *("never" if math.isnan(time) else amount(time) for time in times),
            interval(last["share"], last["low"], last["high"], percent),
            amount(last["time"]),
        )
    console.print(table)
    console.print(
        "[dim]Times are in the unit of the event times, from their zero; for timestamps in seconds "
        "from the first event of each sample.[/]"
    )


def _show_shift(console: Console, profile: Any, most: int) -> None:
    # A declaration that the two are alike is no measurement to be shown as one.
    use = profile.shift[:0] if profile.source == "training" else profile.shift
    levels = profile.group_shift
    found = levels[levels["p"] <= _LEVEL] if len(levels) else levels
    if len(found):
        found = found.sort_values(["low", "distance"], ascending=False, kind="stable")
    rows = [*use.to_dict("records"), *found.head(most).to_dict("records")]
    if rows:
        columns = ("compared", "against", "distance", "expected if same", "p", "most changed")
        table = new_table("Availability shift: distance of pattern frequencies", *columns)
        for row in rows:
            table.add_row(
                escape(str(row["to"])),
                escape(str(row["from"])),
                "?"
                if math.isnan(row["distance"])
                else interval(row["distance"], row["low"], row["high"], percent),
                percent(row["expected_if_same"]),
                _p(row["p"]),
                escape(str(row["most_changed"])),
            )
        console.print(table)
    if len(levels):
        hidden = len(found) - most
        console.print(
            f"[dim]Groups: {len(found)} of {len(levels)} levels differ from all others at "
            f"p {_LEVEL}, each p for itself{f'; {hidden} not shown' if hidden > 0 else ''}.[/]"
        )


def _source(source: str) -> str:
    group = source.removeprefix("group:")
    if group != source:
        return f"group {group}"
    return {"values": "values of other modalities", "target": "the target"}.get(source, source)


def _p(value: float) -> str:
    if math.isnan(value):
        return "?"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
