"""Results on a terminal: what a person wants to see first, the rest is in the report."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from fusewise.cli.cost import show_cost
from fusewise.cli.evidence import show_evidence
from fusewise.cli.joined import show_redundancy, show_timing
from fusewise.cli.pilot import show_pilot
from fusewise.cli.terminal import (
    amount,
    bar,
    interval,
    new_console,
    new_table,
    number,
    percent,
    signed,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console

    from fusewise.study import Run

_STATUS = {"met": "green", "not met": "red", "undetermined": "yellow"}


def show_draft(path: Path, text: str) -> None:
    """Say where the drafted study file is and what is left to decide."""
    from fusewise.data import draft_choices

    console = new_console()
    left = draft_choices(text)
    for place, line in left:
        console.print(f"  [yellow]line {place}[/]  {escape(line)}")
    if left:
        many = "1 line needs" if len(left) == 1 else f"{len(left)} lines need"
        console.print(f"{many} a decision; then: fusewise run {escape(str(path))}")
    else:
        console.print(f"Nothing is left to decide. Next: fusewise run {escape(str(path))}")
    _last(path)


def show_profile(profile: Any) -> None:
    """Show availability, patterns, dimensions, cadence, and what the training rows say."""
    console = new_console()
    known = profile.source != "none"
    table = new_table("Availability", "modality", "kind", "width", "training", "deployment", "")
    widths = profile.dimensions.set_index("modality")
    for row in profile.availability.itertuples(index=False):
        use = interval(row.rate, row.low, row.high, percent) if known else "unknown"
        table.add_row(
            escape(str(row.modality)),
            profile.kinds[row.modality],
            f"{widths['width'].get(row.modality, 0):,}",
            percent(row.rate_train),
            use,
            bar(row.rate if known else row.rate_train, dim=not known),
        )
    console.print(table)
    _show_patterns(console, profile)
    if len(profile.cadence):
        table = new_table(
            "Cadence", "modality", "events per sample", "median gap", "age of the last"
        )
        for row in profile.cadence.itertuples(index=False):
            cells = (row.events_per_sample, row.median_gap, row.age_at_prediction)
            table.add_row(escape(str(row.modality)), *(amount(value) for value in cells))
        console.print(table)
        console.print(
            "[dim]Gaps and ages are in the unit of the event times (seconds for timestamps).[/]"
        )
    show_timing(console, profile)
    show_redundancy(console, profile)
    show_evidence(console, profile)
    show_cost(console, profile)
    for note in profile.notes:
        console.print(f"[yellow]note[/] {escape(note)}")


def show_recommendation(advice: Any) -> None:
    """Show the strategy, its reasons, and what would change it."""
    console = new_console()
    masked = f", masking {advice.masking}" if advice.masking else ""
    console.print(f"[bold]{advice.strategy.capitalize()} fusion{masked}[/]", end="")
    kept = f"kept in {percent(advice.stability)} of replicates"
    overruled = "" if advice.matrix == advice.strategy else "by the pilot; the matrix's answer "
    console.print(f"  [dim]{overruled}{kept}[/]")
    if advice.pilot is not None:
        console.print(escape(f"{advice.pilot.headline} {advice.pilot.reason}"))
    if advice.why_trainable:
        console.print(f"[yellow]{escape(advice.why_trainable)}[/]")
        masking = advice.maskings.get(advice.trainable)
        console.print(
            f"Trained: {advice.trainable} fusion{f', masking {masking}' if masking else ''}"
        )
    console.print()
    for place, reason in enumerate(advice.reasons):
        mark = "decided" if place == 0 else "reached" if reason.met else "not reached"
        style = "cyan" if place == 0 else "dim"
        console.print(
            f"  [{style}]{mark:<11}[/]  [bold]{escape(reason.axis)}[/]: {escape(reason.statement)}"
        )
    for title, texts in (
        ("Conflicts", advice.conflicts),
        ("It would change if", advice.would_change_if),
        ("Alternatives, in this order", advice.alternatives),
        ("Masking", advice.masking_lines),
    ):
        if texts:
            console.print(f"\n[bold]{title}[/]")
            for text in texts:
                console.print(f"  {escape(text)}")
    for text in advice.masking_warnings:
        console.print(f"  [yellow]warning[/] {escape(text)}")
    if advice.pilot is not None:
        show_pilot(console, advice.pilot)


def show_fit(run: Run) -> None:
    """Say what was trained and where it is."""
    console = new_console()
    if run.note:
        console.print(f"[yellow]{escape(run.note)}[/]")
    console.print(f"Trained: [bold]{run.trained} fusion[/]")
    _last(run.folder / "model.fusewise")


def show_evaluation(run: Run) -> None:
    """Show the headline, the patterns, the baselines and the requirements."""
    console, evaluation = new_console(), run.evaluation
    source = str(evaluation.headline["source"].iloc[0])
    table = new_table(
        f"Quality, patterns weighted as in: {source}", "metric", "score", "test as it came"
    )
    pooled = evaluation.pooled.set_index("metric")
    for row in evaluation.headline.itertuples(index=False):
        came = pooled.loc[row.metric]
        score = interval(row.estimate, row.low, row.high, number)
        table.add_row(
            row.metric,
            f"[dim]{score} small[/]" if getattr(row, "small", False) else score,
            interval(came["estimate"], came["low"], came["high"], number),
        )
    console.print(table)
    _show_by_pattern(console, evaluation)
    _show_baselines(console, evaluation)
    for note in evaluation.notes:
        console.print(f"[yellow]note[/] {escape(note)}")
    _show_requirements(console, run)


def show_requirements(run: Run) -> None:
    """Show the answers to the requirements, and nothing else."""
    _show_requirements(new_console(), run)


def show_run(run: Run) -> None:
    """Show what came out of a whole run; the last line is the path of the report."""
    console = new_console()
    if run.note:
        console.print(f"[yellow]{escape(run.note)}[/]")
    show_evaluation(run)
    _last(run.report)


def _show_patterns(console: Console, profile: Any, most: int = 8) -> None:
    everything = len(profile.modalities)
    table = new_table(
        f"Availability patterns, {min(most, len(profile.patterns))} of {len(profile.patterns)}",
        "pattern",
        "training",
        "deployment",
    )
    for row in profile.patterns.head(most).itertuples(index=False):
        unseen = "  [red]never in training[/]" if row.unseen else ""
        share = "" if math.isnan(row.share_deployment) else percent(row.share_deployment)
        table.add_row(
            _pattern(row.pattern, profile.modalities, everything) + unseen,
            percent(row.share_train),
            share,
        )
    console.print(table)


def _show_by_pattern(console: Console, evaluation: Any, most: int = 8) -> None:
    metric = evaluation.metrics[0]
    rows = evaluation.by_pattern[evaluation.by_pattern["metric"] == metric]
    rows = rows.sort_values(["weight", "n"], ascending=False, kind="stable")
    patterns = list(dict.fromkeys(rows["pattern"]))
    names = sorted({name for pattern in patterns for name in pattern.split("+")})
    table = new_table(
        f"{metric} by availability pattern, {min(most, len(patterns))} of {len(patterns)}",
        "pattern",
        "n",
        "samples that came so",
        "n",
        "others withheld",
    )
    for pattern in patterns[:most]:
        cells: list[str] = [_pattern(pattern, names, len(names))]
        for view in ("natural", "withheld"):
            own = rows[(rows["pattern"] == pattern) & (rows["view"] == view)]
            if own.empty:
                cells += ["", ""]
                continue
            row = own.iloc[0]
            score = interval(row["estimate"], row["low"], row["high"], number)
            cells += [f"{row['n']:,}", f"[dim]{score} small[/]" if row["small"] else score]
        table.add_row(*cells)
    console.print(table)


def _show_baselines(console: Console, evaluation: Any) -> None:
    rows = evaluation.baselines
    rows = rows[rows["metric"] == evaluation.metrics[0]]
    if rows.empty:
        return
    table = new_table("Baselines, on the samples that both answer", "baseline", "n",
                   evaluation.metrics[0], "model minus baseline")  # fmt: skip
    for row in rows.itertuples(index=False):
        table.add_row(
            escape(row.baseline),
            f"{row.n:,}",
            interval(row.estimate, row.low, row.high, number),
            interval(row.difference, row.difference_low, row.difference_high, signed),
        )
    console.print(table)


def _show_requirements(console: Console, run: Run) -> None:
    rows = run.evaluation.requirements
    if rows.empty:
        console.print("[dim]No requirement was declared.[/]")
        return
    table = new_table("Requirements", "requirement", "measured", "n", "answer")
    for row in rows.itertuples(index=False):
        style = _STATUS[row.status]
        table.add_row(
            escape(row.requirement),
            interval(row.estimate, row.low, row.high, number),
            f"{row.n:,}",
            f"[{style}]{row.status}[/] [dim]{escape(row.reason)}[/]",
        )
    console.print(table)
    if run.next_step:
        console.print(f"[yellow]{escape(run.next_step)}[/]")


def _last(path: Path | None) -> None:
    # Plain, so that a script can read the last line whatever the width of the terminal.
    print(path)  # noqa: T201


def _pattern(pattern: str, modalities: Sequence[str], everything: int) -> str:
    """Name a pattern by the shorter of what is there and what is not."""
    present = pattern.split("+")
    absent = [name for name in sorted(modalities) if name not in present]
    if pattern != "(none)" and not absent and everything > 1:
        return "all"
    if pattern != "(none)" and len(absent) < len(present):
        return escape(f"all but {', '.join(absent)}")
    return escape(pattern)
