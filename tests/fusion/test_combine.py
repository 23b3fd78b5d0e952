"""Combiners: presence-aware, calibrated, and right where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import check_grad
from scipy.special import expit

from fusewise.exceptions import DatasetError
from fusewise.fusion.calibrate import Likelihood, PatternCalibration
from fusewise.fusion.choose import choose_combiner
from fusewise.fusion.combine import COMBINERS, Combiner, check_combiner


def independent_experts(n: int, shifts: list[float], rates: list[float], seed: int):
    """Experts that state the true posterior of one Gaussian view each; views independent given y."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.3).astype(int)
    prior = np.log(0.3 / 0.7)
    logits, evidence = [], np.zeros(n)
    present = np.column_stack([rng.random(n) < r for r in rates])
    present[~present.any(axis=1), 0] = True
    for index, shift in enumerate(shifts):
        x = rng.normal(size=n) + shift * y
        one = shift * x - shift**2 / 2
        logits.append(prior + one)
        evidence += np.where(present[:, index], one, 0)
    outputs = np.stack([np.column_stack([1 - expit(z), expit(z)]) for z in logits], axis=1)
    bayes = expit(prior + evidence)
    return outputs, present, y, bayes


def fit(name, outputs, present, y, by_pattern=True):
    k = outputs.shape[2]
    prior = np.bincount(y, minlength=k) / len(y)
    priors = np.tile(prior, (outputs.shape[1], 1))
    return Combiner(name, k, by_pattern).fit(outputs, present, priors, prior, y, np.ones(len(y)))


def test_the_log_pool_is_bayes_rule_for_independent_modalities():
    """For modalities independent given the class, the pool gives the Bayes posterior."""
    outputs, present, y, bayes = independent_experts(40_000, [1.0, 1.5, 0.7], [0.9, 0.6, 0.5], 0)
    combiner = fit("log_pool", outputs, present, y)
    np.testing.assert_allclose(combiner.weights_, 1.0, atol=0.1)
    got = combiner.combine(outputs, present)[:, 1]
    assert np.abs(got - bayes).mean() < 0.01


@pytest.mark.parametrize("name", COMBINERS)
def test_combined_probabilities_are_calibrated(name):
    """Predicted and observed rates agree overall, and nearly so within each pattern.

    Exactly within each would take an intercept per pattern, which is skill from presence alone.
    """
    outputs, present, y, _ = independent_experts(40_000, [1.0, 1.5, 0.7], [0.9, 0.6, 0.5], 1)
    got = fit(name, outputs, present, y).combine(outputs, present)[:, 1]
    assert got.mean() == pytest.approx(y.mean(), abs=0.005)
    for pattern in np.unique(present, axis=0):
        rows = (present == pattern).all(axis=1)
        assert got[rows].mean() == pytest.approx(y[rows].mean(), abs=0.05)


@given(seed=st.integers(0, 50), name=st.sampled_from(COMBINERS))
@settings(max_examples=25, deadline=None)
def test_what_stands_at_an_absent_expert_is_not_read(seed, name):
    """Poison at absent experts changes nothing, bit for bit, in fitting or in combining."""
    outputs, present, y, _ = independent_experts(300, [1.0, 0.5, 0.8], [0.7, 0.5, 0.6], seed)
    poisoned = np.where(present[:, :, None], outputs, 0.123)
    clean = np.where(present[:, :, None], outputs, 0.0)
    first, second = fit(name, clean, present, y), fit(name, poisoned, present, y)
    assert (first.combine(clean, present) == second.combine(poisoned, present)).all()


@given(seed=st.integers(0, 50), name=st.sampled_from(COMBINERS))
@settings(max_examples=25, deadline=None)
def test_every_pattern_gives_probabilities(seed, name):
    """Patterns that fitting never saw give probabilities that sum to one, too."""
    outputs, present, y, _ = independent_experts(300, [1.0, 0.5, 0.8], [1.0, 0.0, 0.5], seed)
    combiner = fit(name, outputs, present, y)
    patterns = np.array([[i >> b & 1 for b in range(3)] for i in range(1, 8)], dtype=bool)
    got = combiner.combine(outputs[:7], patterns)
    assert np.isfinite(got).all() and (got >= 0).all()
    np.testing.assert_allclose(got.sum(axis=1), 1.0)


def test_a_rare_pattern_borrows_from_the_others():
    """With three samples a pattern's slope stays by the global one; with thousands it moves."""
    rng = np.random.default_rng(3)
    n = 6000
    present = np.ones((n, 2), dtype=bool)
    present[: n // 2, 1] = False
    evidence = rng.normal(size=n) * 2
    true_slope = np.where(present[:, 1], 1.0, 0.3)
    y = (rng.random(n) < expit(true_slope * evidence)).astype(float)
    scores = np.column_stack([-evidence / 2, evidence / 2])
    prior = np.log([0.5, 0.5])

    def slopes(rows):
        calibration = PatternCalibration().fit(
            scores[rows], present[rows], Likelihood(y[rows], 2, np.ones(len(rows))), prior
        )
        both = np.array([[True, False], [True, True]])
        out = calibration.apply(np.tile([[-0.5, 0.5]], (2, 1)), both, prior)
        return out[:, 1] - out[:, 0]

    many = slopes(np.arange(n))
    assert many[0] == pytest.approx(0.3, abs=0.08) and many[1] == pytest.approx(1.0, abs=0.12)
    few = slopes(np.concatenate([np.arange(3), np.arange(n // 2, n)]))
    assert few[0] > 0.6


def test_gradients_are_right():
    """The analytic gradients of weights equal finite differences."""
    outputs, present, y, _ = independent_experts(200, [1.0, 0.5], [0.8, 0.7], 4)
    for name in ("weighted", "log_pool"):
        combiner = Combiner(name, 2)
        combiner.priors_ = combiner._scores(np.full((2, 2), 0.5))
        combiner.prior_ = combiner._scores(np.full(2, 0.5))
        captured = {}

        def capture(objective, start, lower=None, captured=captured):
            captured["objective"] = objective
            return start

        import fusewise.fusion.combine as module

        original, module.descend = module.descend, capture
        try:
            deviations = combiner._deviations(outputs, present)
            combiner._fit_weights(deviations, present, Likelihood(y * 1.0, 2, np.ones(len(y))))
        finally:
            module.descend = original
        at = np.array([0.7, 1.4, 1.2])
        objective = captured["objective"]
        error = check_grad(lambda t, f=objective: f(t)[0], lambda t, f=objective: f(t)[1], at)
        assert error < 1e-3


def test_the_mean_stays_unless_another_wins_by_one_standard_error():
    """A gain within one standard error does not unseat the mean; a clear one does."""
    rng = np.random.default_rng(5)
    base = rng.random(1000)
    noisy = base + rng.normal(size=1000) * 0.5
    noisy -= (noisy - base).mean() + 0.5 * (noisy - base).std() / np.sqrt(1000)
    clear = base - 0.1
    names = ("mean", "weighted")
    weight, sample = np.ones(1000), np.arange(1000)
    assert choose_combiner(names, {"mean": base, "weighted": noisy}, weight, sample)[0] == "mean"
    assert (
        choose_combiner(names, {"mean": base, "weighted": clear}, weight, sample)[0] == "weighted"
    )


def test_copies_of_a_sample_are_no_further_evidence():
    """A gain that one sample shows does not become significant by repeating the sample."""
    rng = np.random.default_rng(6)
    base = rng.random(40)
    other = base + rng.normal(size=40) * 0.5
    other -= (other - base).mean() + 0.7 * (other - base).std() / np.sqrt(40)
    tiled = {"mean": np.tile(base, 25), "weighted": np.tile(other, 25)}
    sample, weight = np.tile(np.arange(40), 25), np.ones(1000)
    assert choose_combiner(("mean", "weighted"), tiled, weight, sample)[0] == "mean"
    apart = choose_combiner(("mean", "weighted"), tiled, weight, np.arange(1000))
    assert apart[0] == "weighted"


def test_an_unknown_combiner_is_named_with_the_nearest():
    """The message lists the combiners and suggests one."""
    with pytest.raises(DatasetError, match="Did you mean 'log_pool'"):
        check_combiner("logpool")
