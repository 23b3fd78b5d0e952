"""Quality per availability pattern, and by how many modalities are absent."""

from __future__ import annotations

from typing import Any

from fusewise.report.blocks import Cell, Figure, Section, Table
from fusewise.report.frames import (
    Patterns,
    Record,
    cells,
    columns,
    flag,
    metrics_of,
    pick,
    records,
    remark,
    why_missing,
)
from fusewise.report.metrics import better, metric_name, title_name
from fusewise.report.numbers import count, estimate, known, number, percent, plural
from fusewise.report.plots.forest import draw_forest
from fusewise.report.plots.rows import Mark, Row
from fusewise.report.sections.sizes import NARROW, WIDE
from fusewise.report.text import say

VIEWS = (("natural", "a"), ("withheld", "b"))
MOST_ROWS, MOST_DOTS = 32, 16
_SHORT = {"one class only": "one class"}


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
        "and beside them samples from which modalities were [[withheld]]. Where the two differ, it "
        "matters who is in the group and not only what is absent."
    )
    return Section("patterns", "Quality per pattern", lead, tuple(blocks))


class _Found(dict[tuple[str, Any], Record]):
    """Rows of one metric by view and pattern (or number absent)."""

    @classmethod
    def of(cls, rows: list[Record], key: str) -> _Found:
        return cls({(str(r["view"]), r[key]): r for r in rows})

    @property
    def views(self) -> list[tuple[str, str]]:
        """The views that occur, each with its colour."""
        return [(v, s) for v, s in VIEWS if any(v == view for view, _ in self)]

    @property
    def heads(self) -> list[str]:
        return [*(v for v, _ in self.views), "n"]

    @property
    def legend(self) -> tuple[tuple[str, str], ...]:
        return tuple((f"s-{s}", self._spoken(v)) for v, s in self.views)

    def _spoken(self, view: str) -> str:
        who = {str(r.get("population")) for (v, _), r in self.items() if v == view}
        if view != "withheld":
            return "natural: as they came"
        if who == {"complete"}:
            return "withheld from complete cases"
        return "withheld from all samples that have at least these"

    def row(self, key: Any, label: str, present: tuple[bool, ...] = ()) -> Row:
        """Return the row of the drawing for one pattern or number absent."""
        own = [(v, s, self.get((v, key))) for v, s in self.views]
        there = [(v, s, r) for v, s, r in own if r is not None]
        marks = tuple(
            Mark(r["estimate"], r["low"], r["high"], s, hollow=flag(r, "small"))
            for _, s, r in there
        )
        told = "; ".join(
            f"{v} {estimate(r['estimate'], r['low'], r['high'], reason=why_missing(r))}"
            f", n = {count(r['n'])}"
            for v, _, r in there
        )
        texts = tuple("" if r is None else _shown(r) for _, _, r in own)
        first = there[0][2]
        return Row(
            label,
            marks,
            (*texts, count(first["n"])),
            title=f"{label}: {told}",
            present=present,
            remark=remark(first),
            quiet=all(flag(r, "small") for _, _, r in there),
        )


def _shown(row: Record) -> str:
    reason = why_missing(row)
    return _SHORT.get(reason, "n/a") if reason else number(row["estimate"])


def _forest(
    rows: list[Record], metric: str, names: Patterns, overall: float | None, *, folded: bool
) -> Figure:
    found = _Found.of(rows, "pattern")
    patterns = sorted({str(r["pattern"]) for r in rows}, key=lambda p: _order(p, found))
    dotted = 3 <= len(names.modalities) <= MOST_DOTS
    drawn = [
        found.row(p, names.spoken(p), names.present(p) if dotted else ())
        for p in patterns[:MOST_ROWS]
    ]
    shown = metric_name(metric)
    dots = names.modalities if dotted else ()
    way = better(metric)
    more = len(patterns) - MOST_ROWS
    note = say(
        "{way}Patterns in order of their weight in deployment. Hollow and dashed: a [[small cell]], "
        "too few samples for a firm statement; an arrow says that its interval goes on.{more}",
        way=f"{way.capitalize()}. " if way else "",
        more=f" {plural(more, 'pattern')} of least weight are in the table." if more > 0 else "",
    )
    legend = found.legend
    if overall is not None:
        legend += (("rule-overall", f"headline {number(overall)}"),)
    wide, narrow = (
        draw_forest(drawn, metric=shown, heads=found.heads, names=dots, overall=overall, width=w)
        for w in (WIDE, NARROW)
    )
    return Figure(
        say("{metric} per availability pattern", metric=title_name(metric)),
        wide,
        narrow,
        legend,
        note,
        (_table(patterns, found, names, shown, whole=not folded),),
        folded=folded,
    )


def _order(pattern: str, found: _Found) -> tuple[float, float, str]:
    rows = [found[v, pattern] for v, _ in VIEWS if (v, pattern) in found]
    weight = max((float(r["weight"]) for r in rows if known(r.get("weight"))), default=0.0)
    natural = found.get(("natural", pattern))
    n = float(natural["n"]) if natural and known(natural["n"]) else 0.0
    return -weight, -n, pattern


def _table(
    patterns: list[str], found: _Found, names: Patterns, metric: str, *, whole: bool
) -> Table:
    heads = ["pattern", "absent", "weight"]
    for view, _ in found.views:
        heads += [f"{view} n", f"{view} {metric}"]
    body = []
    for pattern in patterns:
        rows = [found.get((v, pattern)) for v, _ in found.views]
        first = next(r for r in rows if r is not None)
        line: list[str | Cell] = [
            names.cell(pattern, whole=whole),
            count(first.get("n_absent")),
            percent(first.get("weight")),
        ]
        for r in rows:
            line += ["", ""] if r is None else [count(r["n"]), _estimate(r)]
        body.append(cells(*line))
    caption = say("{n} as a table", n=plural(len(patterns), "pattern"))
    return Table(columns(*heads), tuple(body), caption)


def _estimate(row: Record) -> Cell:
    text = estimate(row["estimate"], row["low"], row["high"], reason=why_missing(row))
    return Cell(text, "small", "few samples") if flag(row, "small") else Cell(text)


def _by_count(rows: list[Record], metric: str, *, folded: bool) -> Figure:
    found = _Found.of(rows, "n_absent")
    numbers = sorted({k for _, k in found})
    drawn = [found.row(k, "none absent" if k == 0 else f"{k} absent") for k in numbers]
    body = tuple(
        cells(str(k), v, count(found[v, k]["n"]), _estimate(found[v, k]))
        for k in numbers
        for v, _ in found.views
        if (v, k) in found
    )
    shown = metric_name(metric)
    heads = columns("modalities absent", "view", "n", shown, text=2)
    wide, narrow = (
        draw_forest(drawn, metric=shown, heads=found.heads, width=w) for w in (WIDE, NARROW)
    )
    return Figure(
        say("{metric} by number of absent modalities", metric=title_name(metric)),
        wide,
        narrow,
        tuple((c, t.split(":")[0].split(" from ")[0]) for c, t in found.legend),
        None,
        (Table(heads, body, say("By number absent, as a table")),),
        folded=folded,
    )
