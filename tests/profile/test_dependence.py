"""The permutation test of presence: its statistic, its interval, its draws."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from fusewise.profile.dependence import (
    N_FOLDS,
    blocked_auroc,
    cross_fit,
    deal_folds,
    dependence,
    draw_rows,
    influence,
)
from fusewise.profile.directions import MAX_DIRECTIONS, directions


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_one_block_has_the_usual_auroc(rng: np.random.Generator) -> None:
    """Ties count half, as scikit-learn has it."""
    scores = rng.integers(0, 5, (80, 3)).astype(float)
    columns = rng.random((80, 3)) < 0.4
    found = blocked_auroc(scores, columns, np.zeros(80, dtype=int))
    expected = [roc_auc_score(columns[:, c], scores[:, c]) for c in range(3)]
    np.testing.assert_allclose(found, expected)
    rounding = scores + 1e-14 * rng.normal(size=(80, 3))
    np.testing.assert_array_equal(found, blocked_auroc(rounding, columns, np.zeros(80, dtype=int)))


def test_blocks_are_averaged_by_van_elteren(rng: np.random.Generator) -> None:
    """A shift between blocks has no effect, and a block of one kind does not count."""
    block = np.repeat([0, 1, 2], [20, 50, 10])
    present = rng.random(80) < 0.5
    present[70:] = True
    scores = rng.normal(size=80) + 100 * block
    weight, parts = [], []
    for b in (0, 1):
        has = present[block == b]
        weight.append(has.sum() * (~has).sum() / len(has))
        parts.append(roc_auc_score(has, scores[block == b]))
    found = blocked_auroc(scores[:, None], present[:, None], block)[0]
    assert found == pytest.approx(np.average(parts, weights=weight))


def test_the_interval_of_one_block_is_delongs(rng: np.random.Generator) -> None:
    """The variance of placement values over each kind, but for the factor n / (n - 1)."""
    present = rng.random(400) < 0.3
    scores = (10 * rng.normal(size=400)).round() + 10 * present
    wins = np.sign(scores[present][:, None] - scores[~present]) / 2 + 0.5
    variance = wins.mean(axis=1).var() / present.sum() + wins.mean(axis=0).var() / (~present).sum()
    found = influence(scores, present, np.zeros(400, dtype=int), float(wins.mean()))
    assert (found**2).sum() == pytest.approx(variance)
    assert found.sum() == pytest.approx(0)


def test_drawn_rows_have_a_counterpart(rng: np.random.Generator) -> None:
    """Strata of one kind are left out, and the rarer kind is kept."""
    strata = rng.integers(0, 4, 5000)
    present = rng.random(5000) < 0.05
    present[strata == 3] = False
    rows = draw_rows(present, strata, 400, rng)
    assert len(rows) == len(set(rows.tolist())) == 400
    assert (np.diff(rows) > 0).all()
    assert not (strata[rows] == 3).any()
    assert present[rows].sum() == min(200, present.sum())
    assert len(draw_rows(present, strata, 10_000, rng)) == (strata != 3).sum()
    assert len(draw_rows(present & False, strata, 400, rng)) == 0


def test_folds_keep_small_strata_whole_and_are_about_equal(rng: np.random.Generator) -> None:
    """Strata of two rows are compared within a fold; a large one is in all of them."""
    strata = np.concatenate([np.repeat(np.arange(100), 2), np.full(300, 100)])
    fold = deal_folds(strata, rng)
    pairs = fold[:200].reshape(-1, 2)
    assert (pairs[:, 0] == pairs[:, 1]).all()
    assert set(fold[200:]) == set(range(N_FOLDS))
    assert np.ptp(np.bincount(fold)) <= 10


@pytest.mark.parametrize("d", [10, 200])
def test_narrow_and_wide_features_have_the_same_ridge(d: int, rng: np.random.Generator) -> None:
    """The prediction solves the normal equations, whichever side they are solved on."""
    features, columns = rng.normal(size=(100, d)), rng.random((100, 4)) < 0.5
    strata, fold = np.zeros(100, dtype=int), np.arange(100) % N_FOLDS
    found = cross_fit(features, columns, strata, fold)
    padded = np.column_stack([features, np.zeros((100, 200))])
    np.testing.assert_allclose(found, cross_fit(padded, columns, strata, fold), atol=1e-9)


def test_what_only_tells_strata_apart_is_no_evidence(rng: np.random.Generator) -> None:
    """A feature that names the stratum gives one half, though presence differs by stratum."""
    strata = np.repeat([0, 1], 200)
    present = rng.random(400) < np.where(strata == 0, 0.2, 0.8)
    features = np.column_stack([strata, 1 - strata]).astype(float)
    found = dependence(features, present, strata, 99, rng)
    assert found.score == 0.5
    assert found.p == 1


def test_shifts_between_strata_have_no_effect() -> None:
    """Only how the samples of one stratum differ is learned from."""
    rng = np.random.default_rng(1)
    strata = np.repeat([0, 1], 100)
    features = rng.normal(size=(200, 3))
    present = features[:, 0] + rng.normal(size=200) > 0
    shifted = features + 50.0 * strata[:, None]
    first = dependence(features, present, strata, 19, np.random.default_rng(2))
    again = dependence(shifted, present, strata, 19, np.random.default_rng(2))
    assert first.score > 0.6
    np.testing.assert_allclose(again, first, rtol=1e-6)


def test_directions_are_few_and_ignore_units(rng: np.random.Generator) -> None:
    """At most 20 and their squares, of unit variance together; monotone changes have no effect."""
    narrow = pd.DataFrame(rng.normal(size=(200, 3)), columns=list("abc"))
    found = directions(narrow, rng)
    assert found.shape == (200, 6)
    assert (found**2).mean(axis=0).sum() == pytest.approx(1)
    np.testing.assert_allclose(directions(np.exp(5 * narrow), rng), found)
    wide = pd.DataFrame(rng.normal(size=(200, 90)), columns=[f"c{i:02}" for i in range(90)])
    assert directions(wide, rng).shape == (200, 2 * MAX_DIRECTIONS)
    assert directions(narrow[:0], rng).shape[0] == 0
