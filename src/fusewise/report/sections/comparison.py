"""Several predictors held against each other: overall, by pattern, and as more is missing."""

from __future__ import annotations

from typing import Any

from fusewise.report.blocks import Cell, Figure, Listing, Section, Table
from fusewise.report.frames import Patterns, Record, cells, columns, flag, pick, records
from fusewise.report.glossary import strategy_name
from fusewise.report.metrics import metric_name, spoken, title_name
from fusewise.report.numbers import (
    count,
    estimate,
    interval,
    number,
    p_value,
    percent,
    percent_short,
    signed,
)
from fusewise.report.plots.lines import Line, Step, draw_lines
from fusewise.report.sections.sizes import NARROW, WIDE
from fusewise.report.text import quote, say

TONES = ("s-a", "s-b", "s-c", "s-d", "s-e", "s-t")
MOST_PATTERNS = 12


def comparison_section(comparison: Any, names: Patterns) -> Section | None:
    """Build the section from a comparison, or nothing from None."""
    if comparison is None:
        return None
    metric = comparison.metrics[0]
    lead = say(
        "The same test samples for all, each trained once: every difference is a [[paired "
        "difference]]. {who}.",
        who=_who_is_ahead(comparison, metric),
    )
    blocks: list[Any] = [
        _overall(comparison),
        _differences(comparison),
        *(
            _by_pattern(comparison, metric, view, names)
            for view in ("natural", "withheld")
            if pick(records(comparison, "leaders"), view=view, metric=metric)
        ),
    ]
    if records(comparison, "curve"):
        blocks.append(_curve(comparison, metric))
        crossed = _crossovers(comparison, metric)
        if crossed:
            blocks.append(Listing(say("Where two change places"), crossed))
    if records(comparison, "requirements"):
        blocks.append(_requirements(comparison))
    return Section("comparison", "Strategies compared", lead, tuple(blocks))


def _who_is_ahead(comparison: Any, metric: str) -> str:
    held = pick(records(comparison, "differences"), metric=metric)
    beaten = {n for r in held if r["ahead"] != "neither" for n in _pair(r) if n != r["ahead"]}
    left = [_spoken(m) for m in comparison.models if m not in beaten]
    shown = metric_name(metric)
    if len(left) == 1:
        return f"In {shown} on the deployment's mixture {left[0]} is ahead of all others"
    few = ", ".join(left)
    return f"In {shown} on the deployment's mixture none of these is clearly behind another: {few}"


def _spoken(model: object) -> str:
    """Return a name as it stands inside a sentence."""
    name = strategy_name(model)
    return name if name == str(model) else name.lower()


def _pair(row: Record) -> tuple[str, str]:
    return str(row["first"]), str(row["second"])


def _overall(comparison: Any) -> Table:
    rows = records(comparison, "overall")
    body = []
    for model in comparison.models:
        own = pick(rows, model=model)
        small = any(flag(r, "small") for r in own)
        body.append(
            cells(
                Cell(strategy_name(model), "name", "few samples" if small else ""),
                count(own[0]["n"]),
                count(own[0]["effective_n"]),
                *(_score(r) for r in own),
            )
        )
    heads = columns("predictor", "n", "effective n", *map(metric_name, comparison.metrics))
    caption = say(
        "Scores on the deployment's mixture of patterns. Each predictor is scored on the samples "
        "that it answers, so rows with another n are not of the same samples."
    )
    return Table(heads, tuple(body), caption, folded=False)


def _score(row: Record) -> Cell:
    if row["estimate"] != row["estimate"]:
        return Cell(estimate(row["estimate"], reason=str(row.get("note") or "")))
    return Cell(number(row["estimate"]), "", interval(row["low"], row["high"]))


def _differences(comparison: Any) -> Table:
    body = tuple(
        cells(
            Cell(f"{strategy_name(r['first'])} minus {strategy_name(r['second'])}", "name"),
            metric_name(r["metric"]),
            "neither" if r["ahead"] == "neither" else strategy_name(r["ahead"]),
            count(r["n"]),
            signed(r["difference"], r["low"], r["high"]),
            p_value(r["p_adjusted"]),
        )
        for r in records(comparison, "differences")
    )
    heads = columns("pair", "metric", "ahead", "n", "difference", "adjusted p", text=3)
    caption = say(
        "Every two on the samples that both answer. p is adjusted for the number of pairs (Holm); "
        "one is called ahead where it is below 0.05. Another training set or seed would give other "
        "predictors: that is not in these figures."
    )
    return Table(heads, body, caption, folded=len(comparison.models) > 3)


def _by_pattern(comparison: Any, metric: str, view: str, names: Patterns) -> Table:
    leaders = pick(records(comparison, "leaders"), view=view, metric=metric)
    scores = {
        (r["pattern"], r["model"]): r
        for r in pick(records(comparison, "by_pattern"), view=view, metric=metric)
    }
    ordered = sorted(leaders, key=lambda r: (-float(r["weight"]), -int(r["n"]), str(r["pattern"])))
    body = []
    for row in ordered[:MOST_PATTERNS]:
        own = [scores[row["pattern"], model] for model in comparison.models]
        ahead = strategy_name(row["leader"]) if row["leader"] else _undecided(comparison, row)
        body.append(
            cells(
                names.cell(str(row["pattern"]), whole=False),
                ahead,
                percent(row["weight"]),
                count(row["n"]),
                *(number(r["estimate"]) for r in own),
            )
        )
    heads = columns(
        "pattern", "ahead", "weight", "n", *map(strategy_name, comparison.models), text=2
    )
    what = "as they came" if view == "natural" else "from which modalities were withheld"
    caption = say(
        "{metric} by pattern, samples {what}: {shown} of {all} patterns, the heaviest of the "
        "deployment first. One is named ahead only where it beats every other one, adjusted for "
        "all pairs and patterns; n counts the samples that all answer.",
        metric=title_name(metric),
        what=what,
        shown=len(body),
        all=len(ordered),
    )
    return Table(heads, tuple(body), caption, folded=view == "withheld")


def _undecided(comparison: Any, row: Record) -> Cell:
    if flag(row, "small"):
        return Cell("few samples", "quiet")
    unbeaten = str(row["unbeaten"]).split(", ") if row["unbeaten"] else []
    if len(unbeaten) == len(comparison.models):
        return Cell("undecided", "quiet")
    behind = [m for m in comparison.models if m not in unbeaten]
    fewer = behind if len(behind) < len(unbeaten) else unbeaten
    word = "behind" if fewer is behind else "among"
    return Cell("undecided", "quiet", f"{word}: {', '.join(map(_spoken, fewer))}")


def _curve(comparison: Any, metric: str) -> Figure:
    rows = pick(records(comparison, "curve"), metric=metric)
    lines, legend = [], []
    for model, tone in zip(comparison.models, TONES, strict=False):
        own = sorted(pick(rows, model=model), key=lambda r: float(r["rate"]))
        # Bands of many predictors hide each other; the table has the intervals.
        steps = tuple(Step(round(100 * r["rate"]), r["estimate"]) for r in own)
        lines.append(Line(steps, tone, strategy_name(model)))
        legend.append((tone, strategy_name(model)))
    shown: dict[str, Any] = {
        "label": f"{metric_name(metric)} of each predictor by the share of modalities withheld",
        "x_title": "modalities withheld at random, %",
        "y_title": metric_name(metric),
    }
    body = tuple(
        cells(
            strategy_name(r["model"]),
            percent_short(r["rate"]),
            count(r["n"]),
            estimate(r["estimate"], r["low"], r["high"], reason=str(r.get("note") or "")),
        )
        for r in rows
    )
    heads = columns("predictor", "share withheld", "n", metric_name(metric))
    return Figure(
        say("{metric} as modalities are withheld", metric=title_name(metric)),
        draw_lines(tuple(lines), width=WIDE, **shown),
        draw_lines(tuple(lines), width=NARROW, **shown),
        tuple(legend),
        say("Each on the samples that it still answers; intervals stand in the table."),
        (Table(heads, body, say("The curves as a table")),),
    )


def _crossovers(comparison: Any, metric: str) -> tuple[Any, ...]:
    told = []
    for row in pick(records(comparison, "crossovers"), metric=metric):
        first, second = strategy_name(row["first"]), _spoken(row["second"])
        at = estimate(row["rate"], row["low"], row["high"])
        if str(row["note"]).startswith("the same one"):
            continue
        if row["rate"] == row["rate"]:
            note = f" ({row['note']})" if row["note"] else ""
            told.append(quote(f"{first} and {second}: at a missing rate of {at}{note}."))
    return tuple(told)


def _requirements(comparison: Any) -> Table:
    rows = records(comparison, "requirements")
    asked = list(dict.fromkeys(str(r["requirement"]) for r in rows))
    body = []
    for requirement in asked:
        own = {r["model"]: r for r in pick(rows, requirement=requirement)}
        body.append(
            cells(
                Cell(spoken(requirement, pick(rows, requirement=requirement)[0]["metric"]), "name"),
                *(
                    Cell(
                        str(own[m]["status"]),
                        "",
                        estimate(own[m]["estimate"], own[m]["low"], own[m]["high"]),
                    )
                    for m in comparison.models
                ),
            )
        )
    heads = columns("requirement", *map(strategy_name, comparison.models), text=99)
    return Table(heads, tuple(body), say("What each would meet"), folded=False)
