"""Resampling: what is drawn together, and how often the intervals contain the truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from fusewise.evaluate.bootstrap import class_strata, interval, resample, stream
from fusewise.evaluate.metrics import find_metric
from fusewise.evaluate.predictions import Predicted
from fusewise.evaluate.scoring import Scoring

SHIFT = 1.2


def gather(*args, **kwargs) -> np.ndarray:
    return np.vstack(list(resample(*args, **kwargs)))


def simulate(n: int, rng: np.random.Generator):
    """Two normal classes: AUROC and Brier score of the oracle are known."""
    y = (rng.random(n) < 0.3).astype(int)
    x = rng.normal(size=n) + SHIFT * y
    p = 1 / (1 + np.exp(-(SHIFT * x - SHIFT**2 / 2 + np.log(0.3 / 0.7))))
    return y, p


def scoring(y, *names, units=None, n_boot=300, entropy=0) -> Scoring:
    metrics = tuple(find_metric(name, "binary") for name in names)
    units = np.arange(len(y)) if units is None else units
    return Scoring(y, 2, units, metrics, n_boot, 30, entropy)


def predicted(p: np.ndarray) -> Predicted:
    label = (p > 0.5).astype(int)
    return Predicted(np.ones(len(p), dtype=bool), np.column_stack([1 - p, p]), label)


def coverage(runs: int, n: int, n_boot: int) -> dict[str, float]:
    names = ("roc_auc", "brier_score", "average_precision")
    y, p = simulate(400_000, np.random.default_rng(99))
    truth = {name: find_metric(name, "binary").point(y, predicted(p).probability, 2, None)
             for name in names}  # fmt: skip
    assert truth["roc_auc"] == pytest.approx(norm.cdf(SHIFT / np.sqrt(2)), abs=0.003)
    inside = dict.fromkeys(names, 0)
    for run in range(runs):
        y, p = simulate(n, np.random.default_rng([7, run]))
        rows = np.arange(n)
        measure = scoring(y, *names, n_boot=n_boot, entropy=run).measure(rows, predicted(p), "x")
        for name, score in zip(names, measure, strict=True):
            low, high, _ = score.limits()
            inside[name] += low <= truth[name] <= high
    return {name: count / runs for name, count in inside.items()}


def test_intervals_contain_the_truth_about_as_often_as_they_say():
    """Of 95 % intervals between 91 and 98 % hold the true score in a few hundred simulations."""
    for name, share in coverage(runs=400, n=200, n_boot=250).items():
        assert 0.91 <= share <= 0.985, (name, share)


@pytest.mark.slow
def test_coverage_over_many_simulations():
    """With at least 50 of each class, 93 to 97 % of 2,000 intervals hold the true score."""
    for name, share in coverage(runs=2000, n=300, n_boot=1000).items():
        assert 0.93 <= share <= 0.97, (name, share)


def test_every_replicate_draws_as_many_samples_as_there_are():
    """Weights are counts of a draw with replacement, mean 1 and variance near 1."""
    weights = gather(np.arange(50), 2000, np.random.default_rng(0))
    assert weights.shape == (2000, 50)
    np.testing.assert_array_equal(weights.sum(axis=1), 50)
    np.testing.assert_allclose(weights.mean(axis=0), 1, atol=0.12)
    np.testing.assert_allclose(weights.var(), 1 - 1 / 50, atol=0.05)


def test_blocks_do_not_lose_replicates():
    """Many samples are drawn in several blocks that add up to the replicates asked for."""
    blocks = list(resample(np.arange(200_000), 7, np.random.default_rng(0)))
    assert len(blocks) > 1
    assert sum(len(b) for b in blocks) == 7


def test_clusters_are_drawn_whole():
    """All samples of one unit carry the same weight, in any order of the samples."""
    units = np.array([3, 1, 3, 7, 1, 1])
    weights = gather(units, 500, np.random.default_rng(0))
    for unit in (1, 3, 7):
        own = weights[:, units == unit]
        assert (own == own[:, :1]).all()
    first = [list(units).index(u) for u in (1, 3, 7)]
    np.testing.assert_array_equal(weights[:, first].sum(axis=1), 3)


def test_strata_keep_the_size_of_each_class():
    """Stratified by class, every replicate has as many positives as the sample."""
    y = np.array([0] * 30 + [1] * 5)
    strata = class_strata(np.arange(35), y)
    weights = gather(np.arange(35), 300, np.random.default_rng(0), strata)
    np.testing.assert_array_equal(weights[:, y == 1].sum(axis=1), 5)


def test_a_lone_mixed_cluster_is_not_drawn_every_time():
    """A stratum of one cluster would lose its uncertainty, so clusters are then not stratified."""
    units = np.array([0, 0, 1, 2, 3])
    assert class_strata(units, np.array([0, 1, 0, 0, 0])) is None
    assert class_strata(np.arange(5), np.array([0, 1, 0, 0, 0])) is not None


def test_copies_in_clusters_do_not_narrow_the_interval():
    """Five copies of each sample say no more than one; taken as independent they seem to."""
    y, p = simulate(150, np.random.default_rng(3))
    y5, p5, units = np.tile(y, 5), np.tile(p, 5), np.tile(np.arange(150), 5)
    widths = {}
    for label, (yy, pp, uu) in {
        "once": (y, p, None),
        "clusters": (y5, p5, units),
        "copies": (y5, p5, None),
    }.items():
        made = scoring(yy, "roc_auc", "brier_score", units=uu, n_boot=1000)
        scores = made.measure(np.arange(len(yy)), predicted(pp), "x")
        widths[label] = np.array([s.limits()[1] - s.limits()[0] for s in scores])
    np.testing.assert_allclose(widths["clusters"], widths["once"], rtol=0.12)
    np.testing.assert_allclose(widths["copies"], widths["once"] / np.sqrt(5), rtol=0.15)


def test_stratifying_by_class_would_make_the_brier_interval_too_narrow():
    """Why only AUROC is stratified: with constant predictions all uncertainty is prevalence."""
    y, _ = simulate(200, np.random.default_rng(1))
    constant = predicted(np.full(200, 0.3))
    (score,) = scoring(y, "brier_score").measure(np.arange(200), constant, "x")
    low, high, _ = score.limits()
    assert high - low > 0.03


def test_differences_are_paired():
    """The interval of a difference between two nearly equal predictors is far narrower."""
    y, p = simulate(300, np.random.default_rng(2))
    other = np.clip(p + 0.01 * np.random.default_rng(3).normal(size=300), 0.001, 0.999)
    at = np.arange(300)
    arms = [[(at, predicted(p))], [(at, predicted(other))]]
    (mine,), (theirs,) = scoring(y, "brier_score").arms(at, arms, "x")
    low, high, _ = (mine - theirs).limits()
    alone_low, alone_high, _ = mine.limits()
    assert high - low < 0.1 * (alone_high - alone_low)


def test_streams_depend_on_the_seed_and_their_label_alone():
    """A cell's draws do not depend on which other cells are evaluated."""
    assert stream(0, "a").random() == stream(0, "a").random()
    assert stream(0, "a").random() != stream(0, "b").random()
    assert stream(0, "a").random() != stream(1, "a").random()


def test_one_unit_gives_no_interval():
    """From one sample nothing can be said about uncertainty, and a zero width would say much."""
    (score,) = scoring(np.array([1]), "brier_score").measure(
        np.array([0]), predicted(np.array([0.8])), "x"
    )
    assert score.estimate == pytest.approx(0.04)
    assert np.isnan(score.limits()[0])
    assert "one unit" in score.limits()[2]


def test_an_interval_over_mostly_undefined_replicates_is_refused():
    """Quantiles over the defined replicates alone would describe a selected part."""
    replicates = np.where(np.arange(100) < 20, np.nan, 0.5)
    low, _, note = interval(replicates)
    assert np.isnan(low)
    assert "20%" in note
