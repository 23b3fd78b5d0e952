"""The pilot inside the recommendation: both answers, what was tried, where places change."""

from __future__ import annotations

from typing import Any

from fusewise.recommend import LOSS_WORDS, SCHEDULE_WORDS
from fusewise.report.blocks import Cell, Figure, Heading, Listing, Notice, Prose, Table
from fusewise.report.frames import Record, cells, columns, pick, records
from fusewise.report.glossary import strategy_name
from fusewise.report.metrics import metric_name
from fusewise.report.numbers import count, estimate, number, percent, plural, signed
from fusewise.report.plots.lines import Line, Step, draw_lines
from fusewise.report.sections.sizes import NARROW, WIDE
from fusewise.report.text import quote, say

TONES = ("s-a", "s-b")


def pilot_notice(pilot: Any) -> Notice:
    """Show both answers with the reason."""
    lines = [pilot.reason, *(f"Not done in time: {text}." for text in pilot.lacks)]
    return Notice(
        "good" if pilot.overrules else "info", quote(pilot.headline), tuple(map(quote, lines))
    )


def pilot_blocks(pilot: Any) -> list[Any]:
    """Build what was tried and what came out."""
    loss = LOSS_WORDS[str(pilot.loss)]
    blocks: list[Any] = [
        Heading(say("The pilot")),
        Prose(
            say(
                "{n} of {given} training rows, {folds} folds: every candidate learned from the same "
                "rows and answered the same samples that it had not seen, from which modalities "
                "were withheld as in deployment. Candidates are cheap: a network of a learned "
                "strategy stands for several, so such a strategy is underrated here.",
                n=count(pilot.n),
                given=count(pilot.n_given),
                folds=count(pilot.n_folds),
            )
        ),
        _comparison(pilot, loss),
    ]
    if records(pilot, "crossover"):
        blocks.append(_crossover(pilot, loss))
        texts = tuple(map(quote, pilot.where_places_change))
        blocks.append(Listing(say("Where the first two change places"), texts))
    if records(pilot, "requirements"):
        blocks.append(_requirements(records(pilot, "requirements")))
    if pilot.notes:
        blocks.append(Listing(say("Notes on the pilot"), tuple(map(quote, pilot.notes))))
    return blocks


def _comparison(pilot: Any, loss: str) -> Table:
    gains = {(r["strategy"], r["size"]): r for r in records(pilot, "comparison")}
    rows = []
    for row in pick(records(pilot, "losses"), regime="deployment"):
        gain = gains.get((row["strategy"], row["size"]), {})
        rows.append(
            cells(
                Cell(
                    strategy_name(row["strategy"]),
                    "name",
                    str(pilot.candidates.get(row["strategy"], "")),
                ),
                count(row["size"]),
                count(row["n"]),
                count(row["effective_n"]),
                estimate(row["loss"], row["low"], row["high"]),
                number(row["score"]),
                signed(gain["difference"], gain["low"], gain["high"]) if gain else "",
                signed(gain["score_difference"], gain["score_low"], gain["score_high"])
                if gain
                else "",
            )
        )
    score = metric_name(pilot.score)
    heads = columns(
        "candidate",
        "rows to learn from",
        "n",
        "effective n",
        loss,
        score,
        f"lower {loss} than {pilot.reference} by",
        f"higher {score} by",
        text=1,
    )
    caption = say(
        "Candidates out of fold, under the deployment's absence. A [[paired difference]] above zero "
        "is better than {reference}; the intervals of the loss hold for all candidates of a size at "
        "once.",
        reference=strategy_name(pilot.reference).lower(),
    )
    return Table(heads, tuple(rows), caption, folded=False)


def _crossover(pilot: Any, loss: str) -> Figure:
    pairs = records(pilot, "crossover")
    size = max(r["size"] for r in pairs)
    names = (str(pairs[0]["first"]), str(pairs[0]["second"]))
    drawn = [
        _line(pick(records(pilot, "losses"), regime="withheld", size=size, strategy=name), tone)
        for name, tone in zip(names, TONES, strict=True)
    ]
    shown: dict[str, Any] = {
        "label": f"{loss} of {names[0]} and {names[1]} fusion by the share of modalities withheld",
        "x_title": "modalities withheld beside natural absence, %",
        "y_title": loss,
    }
    body = tuple(
        cells(
            count(r["size"]),
            percent(r["withheld"]),
            percent(r["absent"]),
            count(r["n"]),
            signed(r["difference"], r["low"], r["high"]),
        )
        for r in pairs
    )
    heads = columns(
        "rows to learn from",
        "withheld",
        "absent in all",
        "n",
        f"{names[1]} better than {names[0]} by",
        text=0,
    )
    note = say(
        "Learned from {size} rows, both masked up to the highest rate here; {n} held out. The bands "
        "are intervals of each; that of their difference, which is narrower, stands in the table.",
        size=count(size),
        n=plural(max(r["n"] for r in pairs), "sample"),
    )
    return Figure(
        say("{loss} as more is missing", loss=loss.capitalize()),
        draw_lines(tuple(drawn), width=WIDE, **shown),
        draw_lines(tuple(drawn), width=NARROW, **shown),
        tuple((tone, strategy_name(n)) for n, tone in zip(names, TONES, strict=True)),
        note,
        (Table(heads, body, say("Differences by missing rate and size")),),
    )


def _line(rows: list[Record], tone: str) -> Line:
    ordered = sorted(rows, key=lambda r: float(r["withheld"]))
    steps = tuple(Step(round(100 * r["withheld"]), r["loss"], r["low"], r["high"]) for r in ordered)
    return Line(steps, tone, strategy_name(ordered[0]["strategy"]) if ordered else "")


def _requirements(rows: list[Record]) -> Table:
    body = tuple(
        cells(
            Cell(strategy_name(r["strategy"]), "name"),
            str(r["requirement"]),
            str(r["status"]),
            estimate(r["estimate"], r["low"], r["high"]),
            count(r["n"]),
        )
        for r in rows
    )
    heads = columns("candidate", "requirement", "answer", "measured", "n", text=3)
    return Table(heads, body, say("Requirements, answered out of fold"))


def masking_blocks(recommendation: Any) -> list[Any]:
    """Show the masking schedule, its rates, and where the deployment cannot be simulated."""
    maskings = getattr(recommendation, "maskings", None) or {}
    trained = getattr(recommendation, "trainable", None) or recommendation.strategy
    schedule = maskings.get(trained)
    warned = tuple(getattr(recommendation, "masking_warnings", ()) or ())
    rates = records(recommendation, "masking_rates")
    blocks: list[Any] = []
    if trained in maskings:
        text = "[[Modality masking|modality masking]] of what is trained: {schedule}, {what}."
        what = SCHEDULE_WORDS.get(str(schedule or "none"), "")
        blocks.append(Prose(say(text, schedule=schedule or "none", what=what)))
    if warned:
        title = say("Training is sparser than the deployment")
        blocks.append(Notice("warn", title, tuple(map(quote, warned))))
    if rates:
        body = tuple(
            cells(
                str(r["schedule"]),
                str(r["modality"]),
                percent(r["rate_train"]),
                percent(r["rate_deployment"]),
                percent(r["removed"]),
                percent(r["reached"]),
            )
            for r in rates
        )
        heads = columns(
            "schedule", "modality", "in training", "in deployment", "removed", "then shown", text=2
        )
        caption = say(
            "Masking rates of each schedule that a strategy would train with; removed is the "
            "share of the samples that have the modality."
        )
        blocks.append(Table(heads, body, caption))
    return blocks
