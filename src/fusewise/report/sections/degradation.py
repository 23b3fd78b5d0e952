"""What withholding costs, and how the model compares with simpler ones."""

from __future__ import annotations

import re
from typing import Any

from fusewise.report.blocks import Figure, Heading, Prose, Section, Table
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
    zero,
)
from fusewise.report.metrics import better, metric_name, title_name
from fusewise.report.numbers import count, estimate, known, number, percent_short, plain, signed
from fusewise.report.plots.curve import Point, draw_curve
from fusewise.report.plots.drops import draw_drops
from fusewise.report.plots.rows import Mark, Row
from fusewise.report.sections.shifted import (
    corruption_blocks,
    nested_blocks,
    shifted_blocks,
    summary_table,
)
from fusewise.report.sections.sizes import NARROW, WIDE
from fusewise.report.text import say

_RANDOM = re.compile(r"k=[\d.]+(e[+-]?\d+)?")


def degradation_section(evaluation: Any, names: Patterns) -> Section | None:
    """Build the section from an evaluation, or nothing from None."""
    rows, baselines = records(evaluation, "degradation"), records(evaluation, "baselines")
    if not rows and not baselines:
        return None
    blocks: list[Any] = summary_table(evaluation, names)
    for place, metric in enumerate(metrics_of(evaluation)):
        of_metric = pick(rows, metric=metric)
        curve = [r for r in of_metric if _random(r)]
        drops = [r for r in of_metric if not _random(r)]
        if len(curve) > 1:
            blocks.append(_curve(curve, metric, folded=place > 0))
        if drops:
            blocks.append(_drops(drops, metric, folded=place > 0))
    blocks += shifted_blocks(evaluation, metrics_of(evaluation)[0], names)
    blocks += corruption_blocks(evaluation, metrics_of(evaluation)[0])
    blocks += nested_blocks(evaluation, names)
    if baselines:
        blocks.extend(_baselines(baselines, metrics_of(evaluation)))
    lead = say(
        "The [[degradation curve]] follows the same samples as modalities are taken away from them, "
        "so what falls is the model's doing; the rows below it say which modality it leans on."
    )
    return Section("degradation", "Degradation and baselines", lead, tuple(blocks))


def _random(row: Record) -> bool:
    return bool(_RANDOM.fullmatch(str(row["withheld"])))


def _curve(rows: list[Record], metric: str, *, folded: bool) -> Figure:
    rows = sorted(rows, key=lambda r: float(r["rate"]))
    shown = metric_name(metric)
    points = tuple(
        Point(
            float(r["rate"]),
            r["estimate"],
            r["low"],
            r["high"],
            f"{percent_short(r['rate'])} withheld, n = {count(r.get('n'))}",
        )
        for r in rows
    )
    body = tuple(
        cells(
            percent_short(r["rate"]),
            plain(r.get("n_withheld")),
            count(r.get("n")),
            estimate(r["estimate"], r["low"], r["high"], reason=str(r.get("note") or "")),
            estimate(r.get("drop"), r.get("drop_low"), r.get("drop_high")),
        )
        for r in rows
    )
    heads = columns("share withheld", "modalities", "n", shown, "cost", text=0)
    way = better(metric)
    note = say(
        "{way}Modalities are withheld at random from every sample; samples left with none are out "
        "of both sides of each comparison.",
        way=f"{way.capitalize()}. " if way else "",
    )
    axis = "share of the modalities withheld at random"
    return Figure(
        say("{metric} as modalities are withheld", metric=title_name(metric)),
        draw_curve(points, metric=shown, axis=axis, width=WIDE),
        draw_curve(points, metric=shown, axis=axis, width=NARROW, height=270),
        (("s-a", "estimate and interval"),),
        note,
        (Table(heads, body, say("The curve as a table")),),
        folded=folded,
    )


def _drops(rows: list[Record], metric: str, *, folded: bool) -> Figure:
    rows = sorted(rows, key=lambda r: (-zero(r.get("drop")), str(r["withheld"])))
    shown = metric_name(metric)
    lines = []
    for r in rows:
        cost = estimate(r["drop"], r["drop_low"], r["drop_high"])
        hollow = flag(r, "small")
        lines.append(
            Row(
                f"without {r['withheld']}",
                (Mark(r["drop"], r["drop_low"], r["drop_high"], hollow=hollow),),
                (number(r["drop"], r["drop_low"], r["drop_high"]), count(r.get("n"))),
                title=f"without {r['withheld']}: costs {cost}",
                remark=remark(r) or "n/a",
                quiet=hollow,
            )
        )
    body = tuple(
        cells(
            str(r["withheld"]),
            count(r.get("n")),
            estimate(r["estimate"], r["low"], r["high"], reason=str(r.get("note") or "")),
            estimate(r["drop"], r["drop_low"], r["drop_high"]),
        )
        for r in rows
    )
    axis = f"cost in {shown} of withholding it (right is worse)"
    label = f"Cost in {shown} of withholding each modality, with its interval"
    first = rows[0]
    note = say(
        "The largest cost is that of **{name}**: {cost}, for the samples that have it.",
        name=first["withheld"],
        cost=estimate(first["drop"], first["drop_low"], first["drop_high"]),
    )
    heads = columns("withheld", "n", shown, "cost")
    return Figure(
        say("What each modality is worth: cost in {metric} of withholding it", metric=shown),
        draw_drops(lines, axis=axis, label=label, head="cost", width=WIDE),
        draw_drops(lines, axis=axis, label=label, head="cost", width=NARROW),
        (),
        note if known(first.get("drop")) else None,
        (Table(heads, body, say("Costs as a table")),),
        folded=folded,
    )


def _baselines(rows: list[Record], metrics: tuple[str, ...]) -> list[Any]:
    text = say(
        "The model against standing baselines, as [[paired differences|paired difference]]. A "
        "model that hardly beats presence alone has learned a [[shortcut]]."
    )
    blocks: list[Any] = [Heading(say("Against baselines")), Prose(text)]
    for place, metric in enumerate(metrics):
        of_metric = pick(rows, metric=metric)
        if of_metric:
            blocks.append(_baseline_figure(of_metric, metric, folded=place > 0))
    return blocks


def _baseline_figure(rows: list[Record], metric: str, *, folded: bool) -> Figure:
    shown = metric_name(metric)
    lines, body = [], []
    for r in rows:
        name = str(r["baseline"]).replace("_", " ")
        low, high = r["difference_low"], r["difference_high"]
        told = signed(r["difference"], low, high)
        lines.append(
            Row(
                f"against {name}",
                (Mark(r["difference"], low, high),),
                (told.split(" ")[0], count(r.get("n"))),
                title=f"model minus {name}: {told}",
                remark=remark(r) or "n/a",
            )
        )
        body.append(
            cells(name, count(r.get("n")), estimate(r["estimate"], r["low"], r["high"]), told)
        )
    side = {
        "higher is better": "right: the model is better",
        "lower is better": "left: the model is better",
    }.get(better(metric), "model minus baseline")
    axis = f"{shown}, model minus baseline ({side})"
    label = f"Difference in {shown} between the model and each baseline, with its interval"
    heads = columns("baseline", "n", f"{shown} of the baseline", "model minus baseline")
    return Figure(
        say("Difference in {metric}", metric=shown),
        draw_drops(lines, axis=axis, label=label, head="difference", width=WIDE),
        draw_drops(lines, axis=axis, label=label, head="difference", width=NARROW),
        (),
        None,
        (Table(heads, tuple(body), say("Baselines as a table")),),
        folded=folded,
    )
