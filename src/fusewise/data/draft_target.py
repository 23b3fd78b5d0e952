"""The target of a drafted study: the best guess, and what of it a person must decide."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from fusewise.data.look import Column, names_hit

if TYPE_CHECKING:
    from collections.abc import Sequence

CHOOSE = "# choose:"

TARGETS = ("target", "label", "labels", "outcome", "y", "death", "died", "dead", "mortality",
            "class", "diagnosis", "disease", "response", "readmission", "readmitted", "failure",
            "failed", "churn", "score", "grade", "stage", "relapse", "event", "status")  # fmt: skip
_MAX_CLASSES, _FEW = 20, 5


def guess_target(columns: Sequence[Column], rows: int) -> tuple[list[str], Column | None]:
    """Guess the target: a name that says so first, then few values, then any number."""

    def rank(column: Column) -> tuple[bool, bool, bool]:
        return (
            names_hit(column.name, TARGETS),
            column.distinct == 2,
            column.levels is not None,
        )

    able = [
        c
        for c in columns
        if c.distinct >= 2
        and (c.is_number or c.levels is not None)
        and not c.name.lower().endswith("id")
    ]
    if not able:
        return [f"  target: null  {CHOOSE} no column looks like a target"], None
    ranked = sorted(able, key=rank, reverse=True)
    best, *rest = ranked
    tied = [c for c in rest if rank(c) == rank(best)]
    others = ", ".join(c.name for c in rest[:5]) + (", ..." if len(rest) > 5 else "")
    if tied:
        names = " or ".join(c.name for c in [best, *tied][:6])
        return [f"  target: null  {CHOOSE} {names}", "  task: auto"], best
    hint = f"  {CHOOSE} {best.name} is a guess; also there: {others}" if others else ""
    return [f"  target: {as_yaml(best.name)}{hint}", f"  task: auto{_task_hint(best, rows)}"], best


def _task_hint(target: Column, rows: int) -> str:
    """What is left to say where `auto` would ask."""
    if not 3 <= target.distinct <= _MAX_CLASSES or _is_amount(target):
        return ""
    if target.is_number:
        return (
            f"  {CHOOSE} multiclass or regression ({target.name} has {target.distinct} whole "
            "numbers)"
        )
    if target.distinct > _FEW and target.distinct * _FEW > rows:
        return f"  {CHOOSE} multiclass? ({target.name} has {target.distinct} words)"
    return ""


def _is_amount(column: Column) -> bool:
    """Whether ``task: auto`` would take the column for regression."""
    fractions = any(float(v) % 1 for v in column.levels or () if column.is_number)
    return column.is_number and column.distinct > 2 and (fractions or column.levels is None)


def requirement_lines(target: Column | None) -> list[str]:
    """Propose requirements by a metric that fits the target."""
    amount = target is not None and _is_amount(target)
    metric, limit = ("r2", "0.30") if amount else ("roc_auc", "0.80")
    return [
        f"#   - {{present: all, metric: {metric}, at_least: {limit}}}",
        f"#   - {{absent: [NAME], metric: {metric}, max_drop: 0.02}}",
    ]


def as_yaml(text: str) -> str:
    """Write a scalar so that YAML reads it back as this text, also inside braces."""
    return yaml.safe_dump([text], default_flow_style=True, allow_unicode=True, width=10**6).strip()[
        1:-1
    ]
