"""The decision as data: conditions with names, the matrix, and the precedence of its rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fusewise.recommend.facts import Facts
from fusewise.recommend.thresholds import Thresholds

STRATEGIES = ("early", "intermediate", "late", "attention")

CONDITIONS: Mapping[str, Callable[[Facts, Thresholds], bool]] = {
    "availability known": lambda f, t: f.known,
    "nearly always present": lambda f, t: f.known and not f.below(t.availability),
    "dimension gap": lambda f, t: f.dimension_ratio >= t.dimension_gap,
    "controlled cohort": lambda f, t: f.cohort == "controlled",
    # NaN compares false: what could not be measured supports nothing.
    "enough samples": lambda f, t: f.samples_per_dimension >= t.samples_per_dimension,
    "timing": lambda f, t: f.timing == "yes",
    "interaction": lambda f, t: f.interaction == "yes",
    "evaluation cohorts": lambda f, t: bool(f.validation),
}


@dataclass(frozen=True)
class Row:
    """One row of the decision matrix: what dominates, and the strategy that fits it."""

    dominates: str
    conditions: tuple[str, ...]
    strategy: str


MATRIX = (
    Row(
        "everything always present, and a small, tightly controlled cohort",
        ("nearly always present", "controlled cohort"),
        "early",
    ),
    Row("high- and low-dimensional modalities together", ("dimension gap",), "intermediate"),
    Row(
        "modalities often absent in production",
        ("availability known", "not nearly always present"),
        "late",
    ),
    Row(
        "temporal dynamics, and complex cross-modal interaction",
        ("timing", "interaction"),
        "attention",
    ),
)


@dataclass(frozen=True)
class Rule:
    """One step of the precedence: the first rule whose conditions all hold decides.

    Attributes
    ----------
    conditions : tuple of str
        Names of conditions; ``not`` in front negates.
    strategy : str
    axes : tuple of str
        Axes of the reasons that decided, the first first.
    alternatives : tuple of str
        The other strategies, in the order in which to try them.
    promotions : tuple of (condition, strategy)
        Alternatives that come first where a condition holds.
    """

    conditions: tuple[str, ...]
    strategy: str
    axes: tuple[str, ...]
    alternatives: tuple[str, ...]
    promotions: tuple[tuple[str, str], ...] = ()


_SIGNAL = ("timing", "interaction", "evaluation cohorts")

PRECEDENCE = (
    Rule(
        ("not availability known",),
        "late",
        ("availability",),
        ("early", "intermediate", "attention"),
        (("dimension gap", "intermediate"),),
    ),
    Rule(
        ("not nearly always present", *_SIGNAL),
        "attention",
        ("temporal+interaction", "availability"),
        ("late", "intermediate", "early"),
    ),
    Rule(
        ("not nearly always present",),
        "late",
        ("availability",),
        ("early", "intermediate", "attention"),
        (("dimension gap", "intermediate"),),
    ),
    Rule(
        ("nearly always present", *_SIGNAL),
        "attention",
        ("temporal+interaction", "availability"),
        ("late", "intermediate", "early"),
        (("dimension gap", "intermediate"),),
    ),
    Rule(
        ("nearly always present", "dimension gap"),
        "intermediate",
        ("dimensions", "availability"),
        ("late", "early", "attention"),
    ),
    Rule(
        ("nearly always present", "controlled cohort", "enough samples"),
        "early",
        ("availability", "cohort", "samples", "arrival"),
        ("late", "intermediate", "attention"),
    ),
    Rule(
        ("nearly always present", "controlled cohort"),
        "late",
        ("samples", "cohort", "availability"),
        ("early", "intermediate", "attention"),
    ),
    Rule(
        ("nearly always present",),
        "late",
        ("cohort", "availability"),
        ("early", "intermediate", "attention"),
    ),
)


def holds(condition: str, facts: Facts, thresholds: Thresholds) -> bool:
    """Whether a named condition, or its negation, holds."""
    name = condition.removeprefix("not ")
    return CONDITIONS[name](facts, thresholds) == (name == condition)


def fires(conditions: tuple[str, ...], facts: Facts, thresholds: Thresholds) -> bool:
    """Whether all named conditions hold."""
    return all(holds(condition, facts, thresholds) for condition in conditions)


def decide(
    facts: Facts, thresholds: Thresholds, excluded: Mapping[str, str]
) -> tuple[str, Rule, int]:
    """Return the strategy, the rule that decided and its number, from 1.

    A rule for an excluded strategy does not fire. Where no other does, the first alternative that
    is not excluded is taken; where all are excluded, the exclusion is void.
    """
    first = None
    for number, rule in enumerate(PRECEDENCE, start=1):
        if fires(rule.conditions, facts, thresholds):
            if rule.strategy not in excluded:
                return rule.strategy, rule, number
            first = first or (rule, number)
    assert first is not None
    rule, number = first
    left = [s for s in alternatives(rule, facts, thresholds) if s not in excluded]
    return (left or [rule.strategy])[0], rule, number


def alternatives(rule: Rule, facts: Facts, thresholds: Thresholds) -> tuple[str, ...]:
    """Return the other strategies in the order in which to try them."""
    first = [s for condition, s in rule.promotions if holds(condition, facts, thresholds)]
    return tuple(dict.fromkeys([*first, *rule.alternatives]))
