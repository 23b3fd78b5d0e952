"""Quality per availability pattern, and by how many modalities are absent."""

from __future__ import annotations

from typing import Any

from fusewise.report.blocks import Cell, Figure, Section, Table
from fusewise.report.frames import (
    Patterns,
    Record,
    cells,
    columns,
    metrics_of,
    pick,
    records,
    remark,
    why_missing,
)
from fusewise.report.metrics import better, metric_name
from fusewise.report.numbers import count, estimate, known, number, percent, plural
from fusewise.report.plots.forest import draw_forest
from fusewise.report.plots.rows import Mark, Row
from fusewise.report.sections.sizes import NARROW, WIDE
from fusewise.report.text import say

VIEWS = (("natural", "a"), ("withheld", "b"))
MOST_ROWS, MOST_DOTS = 32, 16


def patterns_section(evaluation: Any, names: Patterns) -> Section | None:
    """Build the section from an evaluation, or nothing from None."""
    rows = records(evaluation, "by_pattern")
    if not rows:
        return None
    blocks: list[Any] = []
    for place, metric in enumerate(metrics_of(evaluation)):
        of_metric = pick(rows, metric=metric)
        if of_metric:
            overall = pick(records(evaluation, "headline"), metric=metric)
            line = overall[0]["estimate"] if overall and known(overall[0]["estimate"]) else None
            blocks.append(_forest(of_metric, metric, names, line, folded=place > 0))
    for place, metric in enumerate(metrics_of(evaluation)):
        of_metric = pick(records(evaluation, "by_n_absent"), metric=metric)
        if of_metric:
            blocks.append(_by_count(of_metric, metric, folded=place > 0))
    lead = say(
        "How good the model is for each [[availability pattern]]: [[natural]] groups as they came, "
        "and beside them the same complete samples with modalities [[withheld]]. Where the two "
        "differ, it matters who is in the group and not only what is absent."
    )
    return Section("patterns", "Quality per pattern", lead, tuple(blocks))


def _forest(
    rows: list[Record], metric: str, names: Patterns, overall: float | None, *, folded: bool
) -> Figure:
    patterns = list(dict.fromkeys(str(r["pattern"]) for r in rows))
    found = {(str(r["view"]), str(r["pattern"])): r for r in rows}
    patterns.sort(key=lambda p: _order(p, found))
    dotted = 3 <= len(names.modalities) <= MOST_DOTS
    drawn = [_row(p, found, names, dotted=dotted) for p in patterns[:MOST_ROWS]]
    shown = metric_name(metric)
    dots = names.modalities if dotted else ()
    note = say(
        "{way}Patterns in order of their weight in deployment. Hollow and dashed: a [[small cell]], "
        "too few samples for a firm statement.{more}",
        way=f"{better(metric).capitalize()}. " if better(metric) else "",
        more=f" The {len(patterns) - MOST_ROWS} patterns of least weight are in the table."
        if len(patterns) > MOST_ROWS
        else "",
    )
    legend = tuple((f"s-{s}", _spoken(v)) for v, s in VIEWS if any(r["view"] == v for r in rows))
    if overall is not None:
        legend += (("rule-overall", f"headline {number(overall)}"),)
    return Figure(
        say("{metric} per availability pattern", metric=shown),
        draw_forest(drawn, metric=shown, names=dots, overall=overall, width=WIDE),
        draw_forest(drawn, metric=shown, names=dots, overall=overall, width=NARROW),
        legend,
        note,
        (_table(patterns, found, names, shown),),
        folded=folded,
    )


def _spoken(view: str) -> str:
    return "natural" if view == "natural" else "withheld from complete cases"


def _order(pattern: str, found: dict[tuple[str, str], Record]) -> tuple[float, float, str]:
    rows = [found[v, pattern] for v, _ in VIEWS if (v, pattern) in found]
    weight = max((float(r["weight"]) for r in rows if known(r.get("weight"))), default=0.0)
    natural = found.get(("natural", pattern))
    n = float(natural["n"]) if natural and known(natural["n"]) else 0.0
    return -weight, -n, pattern


def _row(
    pattern: str, found: dict[tuple[str, str], Record], names: Patterns, *, dotted: bool
) -> Row:
    rows = [(v, s, found[v, pattern]) for v, s in VIEWS if (v, pattern) in found]
    marks = tuple(
        Mark(r["estimate"], r["low"], r["high"], s, hollow=bool(r.get("small"))) for _, s, r in rows
    )
    first = rows[0][2]
    spoken = "; ".join(
        f"{v} {estimate(r['estimate'], r['low'], r['high'], reason=why_missing(r))}"
        f", n = {count(r['n'])}"
        for v, _, r in rows
    )
    short = names.short(pattern)
    return Row(
        short,
        marks,
        (number(first["estimate"]), count(first["n"])),
        title=f"{short}: {spoken}",
        present=names.present(pattern) if dotted else (),
        remark=remark(first),
        quiet=all(bool(r.get("small")) for _, _, r in rows),
    )


def _table(
    patterns: list[str], found: dict[tuple[str, str], Record], names: Patterns, metric: str
) -> Table:
    views = [v for v, _ in VIEWS if any(view == v for view, _ in found)]
    heads = ["pattern", "absent", "weight"]
    for view in views:
        heads += [f"{view} n", f"{view} {metric}"]
    body = []
    for pattern in patterns:
        rows = [found.get((v, pattern)) for v in views]
        first = next(r for r in rows if r is not None)
        line: list[str | Cell] = [
            names.cell(pattern), count(first.get("n_absent")), percent(first.get("weight"))
        ]
        for r in rows:
            line += ["", ""] if r is None else [count(r["n"]), _estimate(r)]
        body.append(cells(*line))
    caption = say("All {n} as a table", n=plural(len(patterns), "pattern"))
    return Table(columns(*heads), tuple(body), caption)


def _estimate(row: Record) -> Cell:
    text = estimate(row["estimate"], row["low"], row["high"], reason=why_missing(row))
    return Cell(text, "small" if row.get("small") else "", "few samples" if row.get("small") else "")


def _by_count(rows: list[Record], metric: str, *, folded: bool) -> Figure:
    found = {(str(r["view"]), int(r["n_absent"])): r for r in rows}
    lines, body = [], []
    for absent in sorted({n for _, n in found}):
        of = [(v, s, found[v, absent]) for v, s in VIEWS if (v, absent) in found]
        marks = tuple(Mark(r["estimate"], r["low"], r["high"], s, bool(r.get("small"))) for _, s, r in of)
        first = of[0][2]
        label = "none absent" if absent == 0 else f"{absent} absent"
        lines.append(Row(label, marks, (number(first["estimate"]), count(first["n"])),
                         remark=remark(first)))
        body.extend(cells(str(absent), v, count(r["n"]), _estimate(r)) for v, _, r in of)
    shown = metric_name(metric)
    legend = tuple((f"s-{s}", _spoken(v)) for v, s in VIEWS if any(v == view for view, _ in found))
    heads = columns("modalities absent", "view", "n", shown, text=2)
    return Figure(
        say("{metric} by number of absent modalities", metric=shown),
        draw_forest(lines, metric=shown, width=WIDE),
        draw_forest(lines, metric=shown, width=NARROW),
        legend,
        None,
        (Table(heads, tuple(body), say("By number absent, as a table")),),
        folded=folded,
    )
