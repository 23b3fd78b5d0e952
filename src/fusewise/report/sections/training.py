"""How a learned strategy was trained: its losses, and what each modality came to carry."""

from __future__ import annotations

from typing import Any

from fusewise.report.blocks import Card, Cards, Figure, Gallery, Section, Table
from fusewise.report.frames import Record, cells, columns, records
from fusewise.report.numbers import count, estimate, known, number, plural
from fusewise.report.plots.lines import Line, Step, draw_lines, limits_of
from fusewise.report.sections.sizes import NARROW, WIDE
from fusewise.report.text import Text, say

# Panels that are drawn; the table has every modality.
MOST = 16
PANEL = 196.0
READOUTS = {
    "joint": "predictions come from what the networks make of all modalities together",
    "heads": (
        "predictions are the mean of what each modality says alone: nothing learned across "
        "modalities did better on rows held out"
    ),
    "both": (
        "predictions are the mean of the fused answer and of what each modality says alone: "
        "together they did best on rows held out"
    ),
}


def training_section(training: Any) -> Section | None:
    """Build the section from the log of a training, or nothing from None."""
    if training is None:
        return None
    losses, carried = records(training, "losses"), records(training, "contributions")
    blocks: list[Any] = [_cards(training, losses)]
    if losses:
        blocks.append(_losses(losses, training.n_epochs))
    if carried:
        blocks.append(_contributions(carried, training.n_epochs))
    lead = say(
        "What the networks learned from epoch to epoch, and on which modalities they came to lean. "
        "Check losses and contributions are those of training rows that the network in question "
        "did not learn from."
    )
    return Section("training", "Training", lead, tuple(blocks))


def _cards(training: Any, losses: list[Record]) -> Cards:
    kept = next((r for r in losses if r["epoch"] == training.n_epochs), None)
    members = training.members
    readout = getattr(training, "readout", "")
    items = [
        Card(
            "networks",
            count(members),
            "",
            (
                say("joined by: {joining}", joining=training.joining),
                *((say("each trained without one fold of the rows"),) if members > 1 else ()),
            ),
        ),
        Card(
            "epochs",
            count(training.n_epochs),
            f"kept of {count(losses[-1]['epoch'])}" if losses else "",
            (
                say("where the loss on the rows held out is lowest"),
                *(
                    (say("the last one allowed, and still improving: raise **max_epochs**"),)
                    if getattr(training, "still_improving", False)
                    else ()
                ),
            ),
        ),
    ]
    if kept is not None and known(kept["check_loss"]):
        ends = f"{number(kept['check_low'])} to {number(kept['check_high'])}" if members > 1 else ""
        items.append(Card("check loss there", number(kept["check_loss"]), ends, ()))
    if known(training.seconds):
        items.append(Card("seconds of training", number(training.seconds), "", ()))
    if readout:
        meaning = READOUTS.get(readout)
        items.append(Card("readout", readout, "", (say(meaning),) if meaning else ()))
    return Cards(tuple(items))


def _losses(rows: list[Record], kept: int) -> Figure:
    train = Line(
        tuple(Step(r["epoch"], r["train_loss"]) for r in rows), "s-t", "loss while training"
    )
    check = Line(
        tuple(Step(r["epoch"], r["check_loss"], r["check_low"], r["check_high"]) for r in rows),
        "s-a",
        "check loss",
    )
    drawn: dict[str, Any] = {
        "label": "Loss over the epochs, on the rows trained on and on those held out",
        "x_title": "epoch",
        "y_title": "loss",
        "mark": kept,
    }
    body = tuple(
        cells(
            str(r["epoch"]),
            number(r["train_loss"]),
            number(r["check_loss"]),
            number(r["check_low"]),
            number(r["check_high"]),
        )
        for r in rows
    )
    heads = columns("epoch", "while training", "check loss", "lowest", "highest", text=0)
    note = say(
        "The loss while training is that of masked samples under dropout, so the two curves are to "
        "be compared in shape and not in height."
    )
    return Figure(
        say("Loss over the epochs"),
        draw_lines((train, check), width=WIDE, **drawn),
        draw_lines((train, check), width=NARROW, **drawn),
        (
            ("s-a", "check loss, mean and range over the networks"),
            ("s-t", "loss while training"),
            ("rule-limit", "epoch kept"),
        ),
        note,
        (Table(heads, body, say("Losses as a table")),),
    )


def _contributions(rows: list[Record], kept: int) -> Gallery:
    by_name: dict[str, list[Record]] = {}
    for row in rows:
        by_name.setdefault(str(row["modality"]), []).append(row)
    last = {
        name: next((r for r in own if r["epoch"] == kept), own[-1]) for name, own in by_name.items()
    }
    order = sorted(by_name, key=lambda name: (-_size(last[name]), name))
    lines = {
        name: Line(
            tuple(Step(r["epoch"], r["contribution"], r["low"], r["high"]) for r in own),
            "s-a",
            f"{name}: {number(last[name]['contribution'])} at the epoch kept",
        )
        for name, own in by_name.items()
    }
    limits = limits_of(tuple(lines.values()), include=0.0)
    items = tuple(
        (
            name,
            draw_lines(
                (lines[name],),
                label=f"Contribution of {name} over the epochs",
                x_title="",
                y_title="",
                width=PANEL,
                height=120,
                limits=limits,
                mark=kept,
                zero=True,
            ),
        )
        for name in order[:MOST]
    )
    body = tuple(
        cells(
            name,
            estimate(last[name]["contribution"], last[name]["low"], last[name]["high"]),
            number(last[name]["auxiliary_loss"]),
        )
        for name in order
    )
    heads = columns("modality", "contribution [range over networks]", "loss of its own head")
    return Gallery(
        say("What each modality carries: rise of the check loss without it"),
        items,
        (("s-a", "mean and range over the networks"), ("rule-limit", "epoch kept")),
        _reading([last[name] for name in order], hidden=len(order) - len(items)),
        (Table(heads, body, say("Contributions at the epoch kept, as a table")),),
    )


def _reading(rows: list[Record], *, hidden: int) -> Text | None:
    """Say which modality the networks lean on and which they do without."""
    measured = [r for r in rows if known(r["contribution"])]
    if not measured:
        return None
    idle = [str(r["modality"]) for r in measured if known(r["high"]) and r["high"] <= 0]
    said = "The networks lean most on **{first}**."
    if idle:
        said += " None of them loses anything without **{idle}**."
    said += (
        " A modality whose line rises while the others stay at zero is learned at their cost; "
        "correlated modalities can each be spared alone."
    )
    if hidden:
        said += " The table below has {hidden} more."
    return say(
        said,
        first=measured[0]["modality"],
        idle=", ".join(idle),
        hidden=plural(hidden, "modality", "modalities"),
    )


def _size(row: Record) -> float:
    return float(row["contribution"]) if known(row["contribution"]) else float("-inf")
