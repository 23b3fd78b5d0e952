"""Partial pooling: less error over a family of cells, at its promised coverage, beside the raw."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from fusewise.evaluate import evaluate, find_metric
from fusewise.evaluate.pooling import pool_cells, shrink
from fusewise.evaluate.predictions import Predicted
from fusewise.evaluate.scoring import Scoring


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
            "n_positive": [20.0, 20.0, 0.0],
            "small": [False, False, True],
            "estimate": [0.8, 0.7, np.nan],
            "low": [0.7, 0.6, np.nan],
            "high": [0.9, 0.8, np.nan],
        }
    )
    assert pool_cells(cells)["pooled_estimate"].isna().all()


def test_cells_without_any_spread_are_not_pooled():
    """Where no cell has an error, nothing is said to be certain: the pooled figures are empty."""
    found = shrink(np.ones(3), np.zeros(3), np.full(3, 10.0))
    assert np.isnan(found).all()


def cells_of_rare_patterns(seed, prevalence=0.14):
    """Return natural cells as a test set with hundreds of patterns has them, and their truth."""
    rng = np.random.default_rng([11, seed])
    share = 1 / np.arange(1, 201) ** 1.2
    metric = find_metric("roc_auc", "binary")
    cells = []
    for k, n in enumerate(rng.multinomial(1000, share / share.sum())):
        if n == 0:
            continue
        shift = 1.4 + 0.25 * rng.normal()
        y = (rng.random(n) < prevalence).astype(int)
        p = 1 / (1 + np.exp(1 - rng.normal(size=n) - shift * y))
        scoring = Scoring(y, 2, np.arange(n), (metric,), 100, 30, (seed, k))
        said = Predicted(np.ones(n, dtype=bool), np.column_stack([1 - p, p]), None)
        (score,) = scoring.measure(np.arange(n), said, "cell")
        cell = {"view": "natural", "metric": "roc_auc", "n": n, "n_positive": float(y.sum())}
        cell |= {"small": scoring.small(np.arange(n)), "truth": norm.cdf(shift / np.sqrt(2))}
        cells.append(cell | score.columns())
    return pd.DataFrame(cells)


def test_hundreds_of_rare_patterns_do_not_look_certain():
    """Cells of a handful of samples often agree by chance: no pooled interval shrinks to a point.

    A single positive gives an ROC AUC that no resample changes; such cells are most of what a
    real test set has.
    """
    found = pd.concat([pool_cells(cells_of_rare_patterns(seed)) for seed in range(12)])
    found = found[found["low"].notna()]
    assert ((found["high"] == found["low"]).mean()) > 0.3
    assert found["pooled_estimate"].notna().all()
    assert (found["pooled_high"] - found["pooled_low"]).min() > 0.01
    error = (found["estimate"] - found["truth"]) ** 2
    pooled_error = (found["pooled_estimate"] - found["truth"]) ** 2
    assert pooled_error.mean() < 0.3 * error.mean()
    held = (found["pooled_low"] <= found["truth"]) & (found["truth"] <= found["pooled_high"])
    assert 0.9 <= held.mean() <= 0.985


def test_limits_stay_within_what_the_score_can_be():
    """No ROC AUC beyond 1, no loss below 0; a difference-like score has no such limit."""
    near_one = {"view": "natural", "n": 40, "n_positive": 20.0, "small": False}
    cells = pd.DataFrame(
        [
            {**near_one, "metric": name, "estimate": centre + d, "low": centre - 0.2, "high": top}
            for name, centre, top in (
                ("roc_auc", 0.98, 1.0),
                ("log_loss", 0.03, 0.2),
                ("net_benefit", 0.0, 0.2),
            )
            for d in (-0.02, 0.0, 0.02)
        ]
    )
    pooled = pool_cells(cells).set_index("metric")
    assert (pooled.loc["roc_auc", "pooled_high"] == 1).all()
    assert (pooled.loc["log_loss", "pooled_low"] == 0).all()
    assert (pooled.loc["net_benefit", "pooled_low"] < 0).all()
