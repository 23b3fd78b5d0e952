"""Conflicts: what speaks for another strategy than the one recommended."""

from __future__ import annotations

import math
from collections.abc import Mapping

from fusewise.profile import number
from fusewise.recommend.facts import Facts
from fusewise.recommend.matrix import MATRIX, Row, alternatives, decide, fires, holds
from fusewise.recommend.reasons import spell
from fusewise.recommend.thresholds import Thresholds


def conflicts_with(
    facts: Facts, thresholds: Thresholds, excluded: Mapping[str, str]
) -> tuple[str, ...]:
    """Say of each row of the matrix that holds and was not followed why it was not."""
    strategy, rule, _ = decide(facts, thresholds, excluded)
    found = [
        _lost(row, strategy, facts, thresholds, excluded)
        for row in MATRIX
        if row.strategy != strategy and fires(row.conditions, facts, thresholds)
    ]
    order = [s for s in alternatives(rule, facts, thresholds) if s not in excluded]
    if (
        strategy == "late"
        and order[:1] == ["intermediate"]
        and holds("dimension gap", facts, thresholds)
    ):
        found.append("Masked intermediate fusion is therefore the first alternative.")
    if strategy in excluded:
        found.append(f"Every strategy is ruled out, so nothing was: {' '.join(excluded.values())}")
    else:
        followed = {row.strategy for row in MATRIX if fires(row.conditions, facts, thresholds)}
        found += [
            text for name, text in excluded.items() if name != strategy and name not in followed
        ]
    return tuple(found)


def _lost(
    row: Row, strategy: str, facts: Facts, thresholds: Thresholds, excluded: Mapping[str, str]
) -> str:
    if row.strategy == "late":
        absent = spell(facts.below(thresholds.availability))
        speaks = f"Modalities are often absent ({absent}), which speaks for late fusion"
    elif row.strategy == "intermediate":
        ratio = number(facts.dimension_ratio)
        speaks = f"Widths of {ratio} : 1 speak for intermediate fusion"
    elif row.strategy == "attention":
        speaks = "Timing and interaction carry signal, which speaks for attention fusion"
    else:
        speaks = "A controlled cohort with everything nearly always present speaks for early fusion"
    return f"{speaks}; {_why(row, strategy, facts, thresholds, excluded)}"


def _why(
    row: Row, strategy: str, facts: Facts, thresholds: Thresholds, excluded: Mapping[str, str]
) -> str:
    if row.strategy in excluded:
        reason = excluded[row.strategy]
        return f"{reason[0].lower()}{reason[1:]}"
    if strategy == "attention" and row.strategy == "late":
        return (
            "timing and interaction with an evaluation cohort outweigh it, if training exercises "
            "the absence. Keep the late baseline beside it."
        )
    if strategy == "attention":
        return "timing and interaction with an evaluation cohort come first."
    if strategy == "intermediate":
        return "the gap of dimensions comes first: joined columns would drown the narrow modality."
    if not facts.known:
        return "but availability in deployment is unknown, which comes first."
    if row.strategy == "attention" and not facts.validation:
        return "but no evaluation cohort is declared that could show it."
    if not holds("nearly always present", facts, thresholds):
        return "but availability is a safety constraint and comes first."
    value = facts.samples_per_dimension
    if row.strategy == "early" and not math.isnan(value):
        limit = thresholds.samples_per_dimension
        return f"but there are {number(value)} samples per effective dimension, not {limit:g}."
    return "but the effective dimensions could not be measured."
