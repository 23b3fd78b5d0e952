"""Estimates of cost: what moves them, and what the recommendation makes of them."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import fusewise as fw
from fusewise.profile import DeploymentProfile, compute_table, declared_profile
from fusewise.profile.compute import COLUMNS, estimated_latency
from fusewise.profile.compute_costs import COSTS, MEMORY_ERROR
from fusewise.profile.network_sizes import network_multiply_adds
from fusewise.recommend import recommend

STRATEGIES = ("early", "intermediate", "late", "attention")
LEARNED = ("intermediate", "attention")


def profiled(deployment: Any) -> DeploymentProfile:
    """A table, a stream that half have, and a wide table that nobody has."""
    design = {"modalities": {"a": 10, "s": 12, "w": 40}, "timing": {"s": "order"}}
    ds = fw.make_cohort(200, 1, availability={"s": 0.5}, random_state=0, **design).train
    presence = ds.presence.copy()
    presence[:, ds.modalities.index("w")] = False
    return fw.profile(ds.with_presence(presence), deployment)


@pytest.fixture(scope="module")
def profile() -> DeploymentProfile:
    """Joint patterns in use: both, or the table alone; one request in five has nothing."""
    return profiled({"patterns": {"a+s": 3, "a": 5, "": 2}})


def by(table: pd.DataFrame) -> pd.DataFrame:
    """Rows by strategy and situation."""
    return table.set_index(["strategy", "situation"])


def test_each_strategy_is_estimated_complete_and_in_use(profile: DeploymentProfile) -> None:
    """Use costs less where modalities are absent; a modality that nobody has costs nothing."""
    table = by(profile.compute)
    assert set(table.index.get_level_values(0)) == set(STRATEGIES)
    for strategy in STRATEGIES:
        whole, use = table.loc[(strategy, "complete")], table.loc[(strategy, "deployment")]
        assert whole["modalities"] == 2
        assert use["modalities"] == pytest.approx(0.8 + 0.3)
        assert 0 < use["latency_ms"] < whole["latency_ms"]
        assert use["parameters"] == whole["parameters"] > 0
        assert whole["latency_low"] == pytest.approx(whole["latency_ms"] / COSTS[strategy].error)
        assert whole["memory_high"] == pytest.approx(whole["memory_mb"] * MEMORY_ERROR)


def test_the_mean_over_requests_is_the_mean_over_their_patterns(profile: DeploymentProfile) -> None:
    """Attention's cost is not linear in how many modalities there are: patterns are weighed."""
    sizes = profile.sizes[profile.sizes["n"] > 0].to_dict("records")
    table_alone = [row for row in sizes if row["modality"] == "a"]
    for strategy in LEARNED:
        both, alone = (
            5 * network_multiply_adds(strategy, 2, rows, 2) for rows in (sizes, table_alone)
        )
        found = by(profile.compute)["multiply_adds"]
        assert found[strategy, "complete"] == pytest.approx(both)
        assert found[strategy, "deployment"] == pytest.approx(0.3 * both + 0.5 * alone)


def test_every_estimate_follows_from_the_json(profile: DeploymentProfile) -> None:
    """From the sizes, the rates and the patterns that stand there."""
    again = DeploymentProfile.from_json(profile.to_json())
    table = compute_table(again.sizes, again.availability, again.patterns, 2)
    pd.testing.assert_frame_equal(table, profile.compute)
    assert list(table.columns) == list(COLUMNS)
    row = by(table).loc[("late", "complete")]
    columns = again.sizes[again.sizes["n"] > 0]["columns"].sum()
    assert row["latency_ms"] == pytest.approx(estimated_latency("late", 2, 1, 1, columns, 2 * 150))


def test_without_a_known_deployment_only_the_complete_case_is_estimated() -> None:
    """Training rates are not taken for it."""
    table = by(profiled(None).compute)
    assert table.xs("deployment", level=1)["latency_ms"].isna().all()
    assert table.xs("deployment", level=1)["multiply_adds"].isna().all()
    assert table.xs("complete", level=1)["latency_ms"].notna().all()


def test_more_columns_events_and_classes_cost_more() -> None:
    """Each by itself, with every strategy that reads it."""
    base = {
        "modality": "m", "kind": "events", "n": 100, "columns": 18, "indicators": 0,
        "level_inputs": 0, "level_weights": 0, "tokens": 10.0, "token_values": 4, "token_kinds": 1,
    }  # fmt: skip
    rates = pd.DataFrame({"modality": ["m"], "rate": [1.0]})
    patterns = pd.DataFrame({"pattern": ["m"], "share_deployment": [1.0]})

    def cost(outputs: int = 2, **changed: Any) -> pd.DataFrame:
        table = compute_table(pd.DataFrame([base | changed]), rates, patterns, outputs)
        return by(table).xs("complete", level=1)

    first = cost()
    for other in (cost(columns=900), cost(outputs=5)):
        assert (other["latency_ms"] >= first["latency_ms"]).all()
        assert (
            other.loc[list(LEARNED), "multiply_adds"] > first.loc[list(LEARNED), "multiply_adds"]
        ).all()
    longer = cost(tokens=250.0)
    assert (
        longer.loc[list(LEARNED), "multiply_adds"] > first.loc[list(LEARNED), "multiply_adds"]
    ).all()
    assert (longer["parameters"] == first["parameters"]).all()


def with_latency(limit: float, **estimates: float) -> DeploymentProfile:
    """A plan with a limit, and estimates that may be off by a factor of two."""
    plan = declared_profile({"a": 1.0, "b": 0.7}, {"rates": {"b": 0.5}, "latency_ms": limit})
    rows = [
        {"strategy": s, "situation": "complete", "latency_ms": ms, "latency_low": ms / 2,
         "latency_high": 2 * ms, "memory_mb": math.nan, "memory_low": math.nan,
         "memory_high": math.nan}
        for s, ms in estimates.items()
    ]  # fmt: skip
    return replace(plan, compute=pd.DataFrame(rows))


def test_what_is_estimated_over_the_limit_is_dropped_with_the_estimate() -> None:
    """Even its lower bound is above; the figures stand in the reason."""
    profile = with_latency(10, late=30, early=9, intermediate=4, attention=25)
    advice = recommend(profile)
    assert set(advice.excluded) == {"late", "attention"}
    assert advice.strategy == "early"
    assert advice.excluded["late"] == (
        "Late fusion is estimated to need 30 ms per sample with everything present (15 to 60 within "
        "the error of the estimate); the limit is 10."
    )
    assert any("Often" in text or "often" in text for text in advice.conflicts)
    close = next(text for text in advice.conflicts if text.startswith("Not ruled out"))
    assert "early 9 ms per sample" in close
    assert "late" not in close
    assert "intermediate" not in close
    assert not any("none was dropped" in text for text in advice.conflicts)
    known = {
        10,
        *(f * r["latency_ms"] for r in profile.compute.to_dict("records") for f in (0.5, 1, 2)),
    }
    for text in (*advice.excluded.values(), close):
        assert {float(n) for n in re.findall(r"\d+(?:\.\d+)?", text)} <= known


def test_an_estimate_too_close_to_the_limit_rules_nothing_out() -> None:
    """It says so, and the strategy stays."""
    advice = recommend(with_latency(10, late=19, early=11))
    assert advice.strategy == "late"
    assert not advice.excluded
    assert any("too close to it: late 19" in t and "early 11" in t for t in advice.conflicts)


def test_a_measured_cost_counts_and_not_the_estimate() -> None:
    """Either way round."""
    profile = with_latency(10, late=30, early=2)
    advice = recommend(profile, costs={"late": {"latency_ms": 8.0}, "early": {"latency_ms": 11.0}})
    assert advice.strategy == "late"
    assert advice.excluded == {"early": "Early fusion needs 11 ms per sample; the limit is 10."}
    assert not any("Not ruled out" in text for text in advice.conflicts)


def test_no_limit_is_no_word_on_cost() -> None:
    """Estimates alone decide nothing."""
    plan = with_latency(10, late=1e6)
    free = replace(plan, deployment={**plan.deployment, "latency_ms": None})
    assert recommend(free).strategy == "late"
    assert not any("estimate" in text for text in recommend(free).conflicts)


def test_memory_is_held_against_its_limit(profile: DeploymentProfile) -> None:
    """A process with PyTorch does not fit into 100 MB, nor does any other; 5,000 MB do."""
    small, large = (
        recommend(replace(profile, deployment={**profile.deployment, "memory_mb": limit}))
        for limit in (100.0, 5_000.0)
    )
    assert set(small.excluded) == set(STRATEGIES)
    assert "MB" in small.excluded["attention"]
    assert not large.excluded


def test_estimates_do_not_depend_on_the_order_of_samples() -> None:
    """Sizes are measured on samples drawn by their ids."""
    ds = fw.make_cohort(1_200, 1, modalities={"a": 4, "s": 6}, timing={"s": "times"},
                        random_state=1).train  # fmt: skip
    order = np.random.default_rng(0).permutation(len(ds))
    one, other = fw.profile(ds, "training"), fw.profile(ds[order], "training")
    pd.testing.assert_frame_equal(one.sizes, other.sizes)
    pd.testing.assert_frame_equal(one.compute, other.compute)
