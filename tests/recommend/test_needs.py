"""What each strategy would need: the answer's needs all hold, and nobody else's do."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from fusewise.profile import declared_profile
from fusewise.recommend import recommend
from fusewise.recommend.exclusions import excluded_strategies
from fusewise.recommend.facts import Facts, Rate
from fusewise.recommend.matrix import STRATEGIES, decide
from fusewise.recommend.needs import needs_of
from fusewise.recommend.thresholds import Thresholds

BASE = Facts.of(
    declared_profile(
        {"a": 1.0, "b": 1.0}, {"rates": {"b": 0.5}}, n_samples=500, effective={"a": 9, "b": 9}
    )
)
answers = st.sampled_from(["yes", "no", "unknown"])


@st.composite
def facts(draw):
    """Draw facts on which every rule can fire."""
    low = draw(st.sampled_from([0.5, 0.89, 0.95]))
    return replace(
        BASE,
        source=draw(st.sampled_from(["none", "rates", "observed"])),
        rates=(Rate("b", 0.96, low, 0.97), Rate("a", 1.0, 1.0, 1.0)),
        widths=(("a", 3), ("b", draw(st.sampled_from([3, 900])))),
        n_samples=draw(st.sampled_from([20, 5_000])),
        cohort=draw(st.sampled_from(["open", "controlled"])),
        timing=draw(answers),
        interaction=draw(answers),
        validation=draw(st.sampled_from([(), ("site",)])),
        interpretability=draw(st.sampled_from(["required", "preferred"])),
    )


@given(facts=facts())
def test_all_needs_of_the_answer_hold_and_of_no_other_strategy(facts):
    """So that the page says why each of the others was not chosen."""
    limits, excluded = Thresholds(), excluded_strategies(facts, {})
    answer, _, _ = decide(facts, limits, excluded)
    needs = needs_of(facts, limits, excluded)
    fulfilled = {s for s in STRATEGIES if all(n.holds for n in needs if n.strategy == s)}
    assert fulfilled == {answer}
    assert {need.strategy for need in needs} == set(STRATEGIES)


def test_a_need_tells_the_threshold_and_the_fact():
    """In numbers that somebody can check."""
    advice = recommend(declared_profile({"ehr": 1.0, "imaging": 0.6}, {"imaging": 0.4}), n_boot=1)
    own = {n.needed: (n.now, n.holds) for n in advice.needs if n.strategy == "early"}
    words = "In use each modality is there for at least 90 % of the samples, shown with confidence"
    assert own[words] == ("imaging 0.40", False)


def test_what_is_ruled_out_says_so():
    """Also where all else that it needs is the case."""
    plan = declared_profile(
        {"a": 1.0, "b": 0.6},
        {
            "rates": {"b": 0.4},
            "timing": "yes",
            "interaction": "yes",
            "validation": ("site",),
            "interpretability": "required",
        },
    )
    advice = recommend(plan, n_boot=1)
    lacking = [n for n in advice.needs if n.strategy == "attention" and not n.holds]
    assert [n.now for n in lacking] == [advice.excluded["attention"]]
