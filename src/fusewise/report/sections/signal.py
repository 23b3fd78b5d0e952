"""Does timing carry signal, and do modalities interact: what the probes found."""

from __future__ import annotations

from typing import Any

from fusewise.profile import QUESTIONS, effect_text
from fusewise.report.blocks import Prose, Verdict, Verdicts
from fusewise.report.frames import Record, flag, records
from fusewise.report.metrics import metric_name
from fusewise.report.numbers import MINUS, count, known, number
from fusewise.report.plots.spark import draw_spark
from fusewise.report.text import say

_ASKED = {
    "timing": "when things were measured, and in which order",
    "interaction": "which values of several modalities come together",
}
_ANSWERS = {
    "shown": "**{question}** Yes: knowing {what} makes the prediction better.",
    "not shown": (
        "**{question}** Not shown: knowing {what} did not make the prediction better by more than "
        "chance could. That does not disprove it."
    ),
    "not measured": "**{question}** Not measured: {why}.",
}
_STATUS = {"shown": "holds", "not shown": "fails", "not measured": "open"}


def signal_blocks(profile: Any) -> list[Any]:
    """Return the answers to the two questions, or nothing where they were not asked."""
    rows = records(profile, "probes")
    if not rows:
        return []
    how = say(
        "The same [[samples|sample]] were predicted twice by models that had not seen them, once "
        "without and once with what is asked about. The **effect** is by how much the error (the "
        "loss) falls; where its [[interval]] lies above zero, it is shown. It is a lower bound: "
        "another kind of model may find more."
    )
    declared = getattr(profile, "deployment", None) or {}
    items = tuple(_verdict(row, str(declared.get(row["axis"]) or "unknown")) for row in rows)
    return [Verdicts(say("Two questions about signal"), items), Prose(how)]


def _verdict(row: Record, declared: str) -> Verdict:
    axis = str(row["axis"])
    question, what = QUESTIONS.get(axis, f"{axis}?"), _ASKED.get(axis, "it")
    told = [] if declared == "unknown" else [f"declared: {declared}"]
    if not known(row["effect"]):
        answer, measured = "not measured", ""
    else:
        answer = "shown" if flag(row, "shown") else "not shown"
        measured = _effect(row)
        told = [_scores(row), f"n = {count(row['n'])}", *told]
    why = str(row.get("note") or "").strip() or "no reason was given"
    spark = draw_spark(
        row["effect"], row["low"], row["high"], 0.0,
        label=f"{question} effect {measured}, against zero",
        tone="fact" if answer == "shown" else "quiet",
    )  # fmt: skip
    return Verdict(
        _STATUS[answer],
        answer,
        say(_ANSWERS[answer], question=question, what=what, why=why),
        f"effect {measured}" if measured else "",
        "",
        spark,
        label=" · ".join(told),
    )


def _effect(row: Record) -> str:
    value, low, high = (effect_text(float(row[name])) for name in ("effect", "low", "high"))
    return f"{value} [{low}, {high}]".replace("-", MINUS)


def _scores(row: Record) -> str:
    without, with_it = row["score_without"], row["score_with"]
    return (
        f"{metric_name(row['metric'])} {number(without, with_it)} without, "
        f"{number(with_it, without)} with"
    )
