"""The answer: which strategy, why, and what would change it."""

from __future__ import annotations

from typing import Any

from fusewise.report.blocks import (
    Glance,
    Hero,
    Listing,
    Notice,
    Prose,
    Section,
    Table,
    Verdict,
    Verdicts,
)
from fusewise.report.frames import cells, columns, flag, records
from fusewise.report.glossary import MASKING, STRATEGIES, strategy_name
from fusewise.report.metrics import metric_name
from fusewise.report.numbers import count, estimate, interval, known, number, percent, plain
from fusewise.report.plots.spark import draw_spark
from fusewise.report.sections.pilot import masking_blocks, pilot_blocks, pilot_notice
from fusewise.report.text import Text, quote, say


def recommendation_section(recommendation: Any, evaluation: Any = None) -> Section | None:
    """Build the section from a recommendation, or nothing from None."""
    if recommendation is None:
        return None
    strategy = str(recommendation.strategy)
    trainable = str(getattr(recommendation, "trainable", None) or strategy)
    blocks: list[Any] = [_hero(recommendation, strategy, evaluation)]
    pilot = getattr(recommendation, "pilot", None)
    matrix = strategy if pilot is None else str(pilot.reference)
    if pilot is not None:
        blocks.append(pilot_notice(pilot))
    if trainable != strategy:
        blocks.append(
            Notice(
                "warn",
                say(
                    "Trained in fact: {trainable}, not {strategy}",
                    trainable=strategy_name(trainable).lower(),
                    strategy=strategy_name(strategy).lower(),
                ),
                _quotes([getattr(recommendation, "why_trainable", "")]),
            )
        )
    if recommendation.reasons:
        items = tuple(
            _reason(reason, decided=place == 0)
            for place, reason in enumerate(recommendation.reasons)
        )
        why = "Why" if matrix == strategy else "Why the matrix says {matrix}"
        blocks.append(Verdicts(say(why, matrix=strategy_name(matrix).lower()), items))
    if recommendation.conflicts:
        title = say("What speaks against it")
        blocks.append(Notice("warn", title, _quotes(recommendation.conflicts)))
    if recommendation.would_change_if:
        title = say("It would change if" if matrix == strategy else "The matrix would change if")
        blocks.append(Listing(title, _quotes(recommendation.would_change_if)))
    if recommendation.alternatives:
        names = tuple(
            say("**{name}** {what}", name=strategy_name(a), what=_what(a))
            for a in recommendation.alternatives
        )
        blocks.append(Listing(say("Alternatives, in this order"), names, ordered=True))
    blocks.extend(masking_blocks(recommendation))
    blocks.extend(_stability(recommendation))
    if pilot is not None:
        blocks.extend(pilot_blocks(pilot))
    lead = say(
        "What the [[deployment profile]] says about the way to join the modalities, before any "
        "benchmark: each reason is a measured fact held against a threshold that you can change."
    )
    return Section("recommendation", "Recommendation", lead, tuple(blocks))


def _hero(recommendation: Any, strategy: str, evaluation: Any) -> Hero:
    name, what = STRATEGIES.get(strategy, (strategy, ""))
    chips = []
    trained = str(getattr(recommendation, "trainable", None) or strategy)
    maskings = getattr(recommendation, "maskings", None) or {}
    masking = maskings.get(trained, getattr(recommendation, "masking", None))
    if masking:
        chips.append(("masking", MASKING.get(str(masking), str(masking))))
    if known(recommendation.stability):
        chips.append(("stability", percent(recommendation.stability)))
    chips.append(("trained", strategy_name(trained).lower()))
    text = say("{name} {what}.", name=name, what=what) if what else say("")
    return Hero("Recommended strategy", name, text, tuple(chips), _glances(evaluation))


def _glances(evaluation: Any) -> tuple[Glance, ...]:
    made = [
        Glance(
            f"{metric_name(r['metric'])} in deployment",
            number(r["estimate"]),
            " · ".join(
                part
                for part in (
                    interval(r["low"], r["high"], r["estimate"]),
                    f"n = {count(r.get('n'))}",
                    "few samples" if flag(r, "small") else "",
                )
                if part
            ),
            "headline",
        )
        for r in records(evaluation, "headline")[:1]
    ]
    answers = [str(r["status"]) for r in records(evaluation, "requirements")]
    if answers:
        classes = {"met": "met", "not met": "unmet", "undetermined": "open"}
        badges = tuple(
            (class_, f"{answers.count(status)} {status}")
            for status, class_ in classes.items()
            if status in answers
        )
        made.append(Glance("Requirements", "", "", "requirements", badges))
    return tuple(made)


def _what(strategy: object) -> str:
    return STRATEGIES.get(str(strategy), ("", ""))[1]


def _quotes(lines: Any) -> tuple[Text, ...]:
    return tuple(quote(line) for line in lines if str(line).strip())


def _reason(reason: Any, *, decided: bool) -> Verdict:
    met = bool(reason.met)
    measured = ""
    if known(reason.value):
        whole = known(reason.low) and known(reason.high)
        measured = plain(reason.value)
        if whole and reason.low == reason.high:
            # Declared: nothing was counted, so there is nothing to be uncertain about.
            measured = f"{number(reason.value)} declared"
        elif whole:
            measured = estimate(reason.value, reason.low, reason.high)
    threshold = plain(reason.threshold) if known(reason.threshold) else ""
    label = [f"decided by {reason.axis}" if decided else str(reason.axis)]
    if isinstance(reason.value, str):
        label.append(reason.value)
    if isinstance(reason.threshold, str):
        label.append(f"asked for: {reason.threshold}")
    spark = draw_spark(
        reason.value if known(reason.value) else None,
        reason.low,
        reason.high,
        reason.threshold if known(reason.threshold) else None,
        label=f"{reason.axis}: {measured}, threshold {threshold}",
        tone="fact" if decided or met else "quiet",
    )
    return Verdict(
        f"{'holds' if met else 'fails'}{' decided' if decided else ''}",
        "decided" if decided else "reached" if met else "not reached",
        quote(reason.statement),
        measured,
        threshold,
        spark,
        label=" · ".join(label),
    )


def _stability(recommendation: Any) -> list[Any]:
    blocks: list[Any] = []
    if known(recommendation.stability):
        text = say(
            "[[Stability|stability]]: **{share}** of replicates keep the matrix's strategy, when the "
            "counted requests are resampled and all thresholds are moved by up to 20 %.",
            share=percent(recommendation.stability),
        )
        blocks.append(Prose(text))
    moves = records(recommendation, "sensitivity")
    thresholds = getattr(recommendation, "thresholds", None) or {}
    if moves:
        rows = tuple(
            cells(
                str(r["threshold"]).replace("_", " "),
                plain(r["value"]),
                plain(r["moved_to"]),
                strategy_name(r["strategy"]),
            )
            for r in moves
        )
        heads = columns("threshold", "value", "moved to", "would give", text=1)
        blocks.append(Table(heads, rows, say("Thresholds, and what moving each of them does")))
    elif thresholds:
        rows = tuple(cells(str(key), plain(value)) for key, value in thresholds.items())
        blocks.append(Table(columns("threshold", "value"), rows, say("Thresholds")))
    return blocks
