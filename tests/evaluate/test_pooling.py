"""Partial pooling: less error over a family of cells, at its promised coverage, beside the raw."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fusewise.evaluate import evaluate
from fusewise.evaluate.pooling import pool_cells, shrink


@pytest.mark.parametrize("spread", [0.0, 0.02, 0.05, 0.1])
def test_pooled_cells_are_nearer_to_the_truth(spread):
    """Known scores of 20 patterns: the mean squared error falls, intervals hold it often enough."""
    rng = np.random.default_rng(0)
    raw, pooled, held = [], [], []
    for _ in range(200):
        truth = rng.normal(0.8, spread, 20)
        n = rng.integers(20, 400, 20).astype(float)
        error = 0.6 / np.sqrt(n)
        seen = rng.normal(truth, error)
        found = shrink(seen, error * rng.uniform(0.8, 1.2, 20), n)
        raw.append((seen - truth) ** 2)
        pooled.append((found[:, 0] - truth) ** 2)
        held.append((found[:, 1] <= truth) & (truth <= found[:, 2]))
    assert np.mean(pooled) < np.mean(raw)
    # Too wide where patterns are all alike, since that is not known.
    assert np.mean(held) >= 0.9


def test_a_large_cell_stays_where_it_is():
    """What is known precisely is drawn nowhere; what is not known goes to the mean."""
    found = shrink(
        np.array([0.6, 0.8, 0.9, 0.99]),
        np.array([0.005, 0.005, 0.005, 0.2]),
        np.array([4000.0, 4000, 4000, 3]),
    )
    assert found[:3, 0] == pytest.approx([0.6, 0.8, 0.9], abs=0.005)
    assert found[3, 0] < 0.9


def test_raw_figures_are_not_touched(cohort, oracle):
    """Pooling adds columns for natural cells and changes none."""
    test = cohort(600, rates={"b": 0.5, "c": 0.5})
    table = evaluate(oracle, test, metrics=["roc_auc"], n_boot=100, rates=()).by_pattern
    own = table.drop(columns=["pooled_estimate", "pooled_low", "pooled_high"])
    pd.testing.assert_frame_equal(pool_cells(own)[own.columns], own)
    assert table.loc[table["view"] == "natural", "pooled_estimate"].notna().any()
    assert table.loc[table["view"] == "withheld", "pooled_estimate"].isna().all()


def test_two_cells_are_no_family():
    """Fewer than three cells with an interval: nothing is pooled, and nothing fails."""
    cells = pd.DataFrame(
        {
            "view": "natural",
            "metric": "roc_auc",
            "n": [50, 60, 3],
            "estimate": [0.8, 0.7, np.nan],
            "low": [0.7, 0.6, np.nan],
            "high": [0.9, 0.8, np.nan],
        }
    )
    assert pool_cells(cells)["pooled_estimate"].isna().all()


def test_cells_without_any_spread_are_left_alone():
    """A score that every resample gives has no error to weigh by."""
    found = shrink(np.ones(3), np.zeros(3), np.full(3, 10.0))
    assert (found == 1).all()
