"""The number of samples that is advised for an undetermined requirement decides it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fusewise.evaluate import answer_requirements
from fusewise.evaluate.sample_size import ASSURANCE, times_as_many

LIMIT_BELOW = 0.03


def requirement(oracle):
    """Return a requirement that truly holds, by a little more than one standard error of 150."""
    return {
        "present": ["a", "b"],
        "metric": "roc_auc",
        "at_least": oracle.auroc("a+b") - LIMIT_BELOW,
    }


def test_the_advised_number_decides(cohort, oracle):
    """Evaluations that were undetermined are decided, rightly, by as many samples as advised."""
    statuses = []
    for seed in range(60):
        row = answer_requirements(
            oracle, cohort(150, seed=seed), [requirement(oracle)], n_boot=200
        ).iloc[0]
        if row["status"] != "undetermined":
            assert np.isnan(row["n_to_decide"])
            continue
        assert f"about {row['n_to_decide']:,.0f} samples" in row["reason"]
        n = int(min(row["n_to_decide"], 30_000))
        again = answer_requirements(
            oracle, cohort(n, seed=1000 + seed), [requirement(oracle)], n_boot=100
        ).iloc[0]
        statuses.append(again["status"])
        if len(statuses) == 20:
            break
    assert len(statuses) == 20
    assert "not met" not in statuses
    # 85 % are asked for.
    assert statuses.count("met") >= 17


@pytest.mark.parametrize("distance", [0.5, 1.0, 1.5, 2.0])
def test_the_promise_holds_for_truths_at_any_distance_but_the_smallest(distance):
    """From half a standard error on, the advised size decides more often than promised to."""
    rng = np.random.default_rng(0)
    seen = rng.normal(distance, 1.0, 400)
    times = np.array([times_as_many(d, 1.0) for d in seen[np.abs(seen) < 1.96][:100]])
    decided = stats.norm.cdf(distance * np.sqrt(times) - 1.96)
    assert decided.mean() >= ASSURANCE


@given(st.floats(-3, 3), st.floats(0.01, 10))
def test_a_clearer_distance_needs_fewer_and_the_unit_does_not_matter(distance, spread):
    """The number depends on the distance in standard errors, whatever its sign."""
    here = times_as_many(distance, spread)
    assert here >= 1
    assert times_as_many(-distance, spread) == pytest.approx(here)
    assert times_as_many(distance / spread, 1.0) == pytest.approx(here, rel=1e-3)
    assert times_as_many(distance * 1.5, spread) <= here * (1 + 1e-3)


def test_a_small_cell_is_told_how_large_it_must_be(cohort, oracle):
    """Where the minimum cell size is what lacks, at least that many are advised."""
    asked = {"present": "all", "metric": "accuracy", "at_least": 0.3}
    row = answer_requirements(oracle, cohort(20, seed=1), [asked], n_boot=200).iloc[0]
    assert row["status"] == "undetermined"
    assert row["reason"].startswith("too few")
    assert row["n_to_decide"] >= 30


def test_nothing_is_advised_where_nothing_is_known(cohort, oracle):
    """Without resampling there is no spread, and no number."""
    asked = {"present": "all", "metric": "roc_auc", "at_least": 0.8}
    (row,) = answer_requirements(oracle, cohort(50), [asked], n_boot=0).to_dict("records")
    assert np.isnan(row["n_to_decide"])
    assert "would decide" not in row["reason"]
