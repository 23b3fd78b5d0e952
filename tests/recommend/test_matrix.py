"""The decision matrix: canonical profiles, negated conditions, precedence."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusewise.profile import DeploymentProfile, declared_profile
from fusewise.recommend import MATRIX, PRECEDENCE, recommend
from fusewise.recommend.facts import Facts
from fusewise.recommend.matrix import CONDITIONS, STRATEGIES, decide, fires
from fusewise.recommend.thresholds import Thresholds

WIDE, NARROW, SPREAD = {"a": 900, "b": 900}, {"a": 9, "b": 9}, {"a": 9, "b": 900}


def plan(
    *,
    rate: float = 1.0,
    rate_train: float = 1.0,
    widths: dict[str, int] = NARROW,
    n_samples: int = 1_000,
    declared: bool = True,
    **facts: Any,
) -> DeploymentProfile:
    """A profile of two modalities; `b` has the given rates."""
    deployment = {"rates": {"b": rate}, **facts} if declared else facts
    return declared_profile(
        {"a": 1.0, "b": rate_train},
        deployment,
        n_samples=n_samples,
        widths=widths,
        effective=dict.fromkeys("ab", 9.0),
    )


SIGNAL = {"timing": "yes", "interaction": "yes", "validation": ("site",)}

# For each row of the matrix the facts that make it hold, and each of its two conditions negated.
CANONICAL = {
    "early": (
        {"cohort": "controlled"},
        {
            "everything always present": {"rate": 0.5},
            "small, tightly controlled cohort": {"cohort": "open"},
        },
    ),
    "intermediate": (
        {"widths": SPREAD},
        {
            "high-dimensional modalities": {"widths": NARROW},
            "low-dimensional modalities": {"widths": WIDE},
        },
    ),
    "late": (
        {"rate": 0.5, "rate_train": 0.5, "cohort": "controlled"},
        {
            "often absent": {"rate": 1.0, "rate_train": 1.0},
            "in production": {"rate": 1.0},
        },
    ),
    "attention": (
        SIGNAL,
        {
            "temporal dynamics": {"timing": "no"},
            "complex cross-modal interaction": {"interaction": "no"},
        },
    ),
}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_canonical_profiles_give_each_strategy(strategy: str) -> None:
    """The facts of a row of the matrix give the strategy of that row."""
    facts, _ = CANONICAL[strategy]
    assert recommend(plan(**facts)).strategy == strategy


@pytest.mark.parametrize(
    ("strategy", "negated"),
    [(strategy, name) for strategy, (_, other) in CANONICAL.items() for name in other],
)
def test_negating_either_condition_of_a_row_gives_another_strategy(
    strategy: str, negated: str
) -> None:
    """Rows are conjunctions: one condition alone is not enough."""
    facts, others = CANONICAL[strategy]
    assert recommend(plan(**{**facts, **others[negated]})).strategy != strategy


@pytest.mark.parametrize("value", ["no", "unknown"])
@pytest.mark.parametrize("fact", ["timing", "interaction"])
def test_unknown_never_counts_as_yes(fact: str, value: str) -> None:
    """Attention needs both facts; what is unknown is no fact."""
    assert recommend(plan(**{**SIGNAL, fact: value})).strategy != "attention"


def test_an_unknown_deployment_is_late_whatever_training_shows() -> None:
    """Rule 1: complete training rows, a gap, a controlled cohort or signal change nothing."""
    for facts in ({}, {"widths": SPREAD}, {"cohort": "controlled"}, SIGNAL):
        advice = recommend(plan(declared=False, **facts))
        assert advice.strategy == "late"
        assert advice.rule == 1
        assert advice.reasons[0].axis == "availability"
        assert advice.reasons[0].value is None


def test_often_absent_with_signal_and_validation_is_masked_attention() -> None:
    """Rule 2: with both effects and an evaluation cohort, attention is trained with masking."""
    advice = recommend(plan(rate=0.5, **SIGNAL))
    assert (advice.strategy, advice.masking) == ("attention", "deployment")
    assert advice.alternatives[0] == "late"
    assert any("late baseline" in text for text in advice.conflicts)


def test_often_absent_with_signal_but_no_validation_is_late() -> None:
    """Rule 3: what no evaluation cohort could show does not outweigh availability."""
    advice = recommend(plan(rate=0.5, **{**SIGNAL, "validation": ()}))
    assert advice.strategy == "late"
    assert any("no evaluation cohort" in text for text in advice.conflicts)


def test_often_absent_with_a_gap_is_late_with_intermediate_next() -> None:
    """Rule 3: the gap is reported as a conflict, and masked intermediate is tried first."""
    advice = recommend(plan(rate=0.5, widths=SPREAD))
    assert advice.strategy == "late"
    assert advice.alternatives[0] == "intermediate"
    assert advice.maskings["intermediate"] == "deployment"
    assert "100 : 1" in advice.conflicts[0]
    assert any("Masked intermediate" in text for text in advice.conflicts)


def test_attention_comes_before_a_gap_and_a_gap_before_a_controlled_cohort() -> None:
    """Rules 4 to 6, in this order; what was passed over is a conflict."""
    advice = recommend(plan(widths=SPREAD, cohort="controlled", **SIGNAL))
    assert advice.strategy == "attention"
    assert len(advice.conflicts) == 2
    advice = recommend(plan(widths=SPREAD, cohort="controlled"))
    assert advice.strategy == "intermediate"
    assert len(advice.conflicts) == 1


def test_a_controlled_cohort_needs_samples() -> None:
    """Below ten samples per effective dimension, late; early is then reported as a conflict."""
    assert recommend(plan(cohort="controlled", n_samples=180)).strategy == "early"
    advice = recommend(plan(cohort="controlled", n_samples=179))
    assert advice.strategy == "late"
    assert advice.reasons[0].axis == "samples"
    assert "9.94 samples per effective dimension" in advice.conflicts[0]


def test_synchronised_supports_early_in_a_controlled_cohort() -> None:
    """Where modalities arrive together, asynchrony is no reason for late; it decides nothing."""
    for few in ({"n_samples": 100}, {"n_samples": 1_000}, {"rate": 0.5}):
        one = recommend(plan(cohort="controlled", **few))
        two = recommend(plan(cohort="controlled", synchronised=True, **few))
        assert one.strategy == two.strategy
        apart, together = ({r.axis: r for r in a.reasons}["arrival"] for a in (one, two))
        assert "late fusion can answer" in apart.statement
        assert "no reason for late" in together.statement
        assert (apart.met, together.met) == (False, True)
    early = recommend(plan(cohort="controlled", synchronised=True))
    assert [r.axis for r in early.reasons][:4] == ["availability", "cohort", "samples", "arrival"]


def test_required_interpretability_rules_attention_out() -> None:
    """Neither recommended nor an alternative, and the conflict says so."""
    for rate in (1.0, 0.5):
        advice = recommend(plan(rate=rate, interpretability="required", **SIGNAL))
        assert advice.strategy != "attention"
        assert "attention" not in advice.alternatives
        assert any("nterpretability is required" in text for text in advice.conflicts)


def test_limits_drop_what_cannot_meet_them() -> None:
    """A strategy whose measured cost exceeds a declared limit gives way to the next rule."""
    facts = plan(widths=SPREAD, latency_ms=50, memory_mb=1000)
    costs = {"intermediate": {"latency_ms": 80.0}, "late": {"latency_ms": 10.0, "memory_mb": 90.0}}
    advice = recommend(facts, costs=costs)
    assert advice.strategy == "late"
    assert advice.excluded == {
        "intermediate": "Intermediate fusion needs 80 ms per sample; the limit is 50."
    }
    assert "intermediate" not in advice.alternatives
    assert any("80 ms" in text for text in advice.conflicts)


def test_when_the_rule_that_fires_is_ruled_out_its_alternatives_follow() -> None:
    """Late by availability but too slow: its first alternative that fits is recommended."""
    advice = recommend(plan(rate=0.5, latency_ms=5), costs={"late": {"latency_ms": 9.0}})
    assert advice.strategy == "early"
    assert advice.masking == "deployment"
    assert "late" not in advice.alternatives


def test_when_everything_is_ruled_out_nothing_is() -> None:
    """A limit that no strategy meets cannot choose; it is reported."""
    costs = {strategy: {"latency_ms": 9.0} for strategy in STRATEGIES}
    advice = recommend(plan(rate=0.5, latency_ms=5), costs=costs)
    assert advice.strategy == "late"
    assert any("Every strategy is ruled out" in text for text in advice.conflicts)


def test_a_limit_without_measured_costs_is_said_not_to_be_applied() -> None:
    """No cost is invented: nothing is dropped, and the reader is told."""
    with_limit = recommend(plan(latency_ms=50))
    assert with_limit.strategy == recommend(plan()).strategy
    assert any("50 ms" in text and "none was dropped" in text for text in with_limit.conflicts)


def test_every_rule_names_known_conditions_and_strategies() -> None:
    """The tables are data: nothing in them is misspelt, and the last rule always applies."""
    for rule in PRECEDENCE:
        assert {c.removeprefix("not ") for c in rule.conditions} <= set(CONDITIONS)
        assert {rule.strategy, *rule.alternatives} == set(STRATEGIES)
        assert {c for c, _ in rule.promotions} <= set(CONDITIONS)
        assert {s for _, s in rule.promotions} <= set(rule.alternatives)
    for row in MATRIX:
        assert {c.removeprefix("not ") for c in row.conditions} <= set(CONDITIONS)
    assert {row.strategy for row in MATRIX} == set(STRATEGIES)
    assert {rule.strategy for rule in PRECEDENCE} == set(STRATEGIES)


OPTIONS = {
    "rate": (0.5, 0.95, 1.0),
    "widths": (NARROW, SPREAD),
    "declared": (True, False),
    "cohort": ("open", "controlled"),
    "n_samples": (50, 1_000),
    "timing": ("yes", "unknown"),
    "interaction": ("yes", "unknown"),
    "validation": ((), ("site",)),
    "interpretability": ("required", "preferred"),
    "synchronised": (True, False),
}


def every_profile() -> list[dict[str, Any]]:
    """Every combination of facts."""
    return [dict(zip(OPTIONS, values, strict=True)) for values in product(*OPTIONS.values())]


def test_every_combination_of_facts_is_decided() -> None:
    """There is always one rule, and it follows the precedence in words."""
    thresholds = Thresholds()
    base = {
        (rate, declared): Facts.of(plan(rate=rate, declared=declared))
        for rate in OPTIONS["rate"]
        for declared in OPTIONS["declared"]
    }
    from dataclasses import replace

    for chosen in every_profile():
        widths = tuple(sorted(chosen["widths"].items(), key=lambda pair: pair[1]))
        names = ("cohort", "n_samples", "timing", "interaction", "validation", "interpretability")
        facts = replace(
            base[chosen["rate"], chosen["declared"]],
            widths=widths,
            synchronised=chosen["synchronised"],
            **{name: chosen[name] for name in names},
        )
        excluded = {"attention": "x"} if chosen["interpretability"] == "required" else {}
        strategy, rule, _ = decide(facts, thresholds, excluded)
        assert fires(rule.conditions, facts, thresholds)
        assert strategy == in_words(chosen), chosen


def in_words(facts: dict[str, Any]) -> str:
    """The precedence, written once more and plainly."""
    signal = facts["timing"] == facts["interaction"] == "yes" and bool(facts["validation"])
    signal = signal and facts["interpretability"] != "required"
    if not facts["declared"]:
        return "late"
    if signal:
        return "attention"
    if facts["rate"] < 0.9:
        return "late"
    if facts["widths"] is SPREAD:
        return "intermediate"
    if facts["cohort"] == "controlled" and facts["n_samples"] >= 180:
        return "early"
    return "late"


@settings(max_examples=40)
@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_more_availability_never_leads_to_late(one: float, two: float) -> None:
    """Monotone: if a controlled cohort is joined early at some rate, it is at any higher one."""
    lower, higher = sorted((one, two))
    strategies = [
        decide(Facts.of(plan(rate=rate, cohort="controlled")), Thresholds(), {})[0]
        for rate in (lower, higher)
    ]
    assert strategies in (["late", "late"], ["late", "early"], ["early", "early"])
