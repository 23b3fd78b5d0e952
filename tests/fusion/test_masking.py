"""Modality masking: what is drawn, and what it reaches."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fusewise.data import Deployment
from fusewise.exceptions import FusewiseWarning, MaskingError
from fusewise.fusion import Masking, plan_removals
from fusewise.fusion.mixture import mixture_weights

presences = hnp.arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 5)))


@given(
    presence=presences, seed=st.integers(0, 99), schedule=st.sampled_from(["uniform", "curriculum"])
)
@settings(max_examples=60, deadline=None)
def test_masking_removes_and_never_creates_nor_empties(presence, seed, schedule):
    """A masked sample has a non-empty subset of what it had; an empty one stays empty."""
    masked = Masking(schedule, rate=0.8).draw(presence, 3, np.random.default_rng(seed))
    assert not (masked & ~presence).any()
    assert (masked.any(axis=1) == presence.any(axis=1)).all()


@given(presence=presences, seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_deployment_masking_removes_and_never_creates_nor_empties(presence, seed):
    """The same holds for removals planned from declared rates."""
    presence = presence[presence.any(axis=1)]
    if not len(presence):
        return
    names = [f"m{i}" for i in range(presence.shape[1])]
    deployment = Deployment.of({"rates": dict.fromkeys(names, 0.5)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FusewiseWarning)
        plan = plan_removals(presence, names, deployment)
    masked = plan.draw(presence, np.random.default_rng(seed))
    assert not (masked & ~presence).any()
    assert masked.any(axis=1).all()
    np.testing.assert_allclose(plan.kernel.sum(axis=1), 1.0)


def test_deployment_masking_removes_with_one_minus_q_over_p():
    """With training rate p and deployment rate q, a present modality goes with 1 - q / p."""
    rng = np.random.default_rng(0)
    presence = np.column_stack([np.ones(40_000, bool), rng.random(40_000) < 0.8])
    plan = plan_removals(presence, ["a", "b"], Deployment.of({"b": 0.3}))
    masked = plan.draw(presence, rng)
    removed = 1 - masked[presence[:, 1], 1].mean()
    assert removed == pytest.approx(1 - 0.3 / presence[:, 1].mean(), abs=0.01)
    assert plan.shortfall < 1e-6


def test_deployment_masking_keeps_joint_absence():
    """Modalities that are absent together in deployment are removed together."""
    presence = np.ones((20_000, 3), dtype=bool)
    deployment = Deployment.of({"patterns": {"a+b+c": 0.4, "a": 0.6}})
    plan = plan_removals(presence, ["a", "b", "c"], deployment)
    masked = plan.draw(presence, np.random.default_rng(1))
    assert (masked[:, 1] == masked[:, 2]).all()
    assert masked[:, 1].mean() == pytest.approx(0.4, abs=0.02)


def test_a_deployment_with_more_than_training_cannot_be_simulated():
    """Where the deployment has more of a modality than training, the plan says so."""
    presence = np.zeros((100, 2), dtype=bool)
    presence[:, 0] = True
    presence[:20, 1] = True
    with pytest.warns(FusewiseWarning, match="too little of b"):
        plan = plan_removals(presence, ["a", "b"], Deployment.of({"b": 0.9}))
    assert plan.shortfall == pytest.approx(0.7, abs=0.01)


def test_a_curriculum_ramps_to_its_rate():
    """Removal grows over the epochs and reaches the declared rate in the last."""
    masking = Masking("curriculum", rate=0.6)
    presence = np.ones((30_000, 4), dtype=bool)
    rng = np.random.default_rng(2)
    removed = [1 - masking.draw(presence, e, rng, n_epochs=3).mean() for e in range(3)]
    # One modality always stays, which lowers the realised rate by rate**4 / 4 at the end.
    expected = [0.2, 0.4, 0.6]
    for got, rate in zip(removed, expected, strict=True):
        assert got == pytest.approx(rate - rate**4 / 4, abs=0.01)


@pytest.mark.parametrize(
    ("given_masking", "message"),
    [
        ("unifrom", "schedule must be one of"),
        (Masking("uniform", rate=1.0), "rate must lie between 0 and 1"),
        (Masking("uniform", copies=0), "copies must be at least 1"),
        (3, "expected one of"),
    ],
)
def test_a_wrong_masking_is_refused(given_masking, message):
    """Each wrong setting is named with what was expected."""
    with pytest.raises(MaskingError, match=message):
        Masking.of(given_masking)


def test_deployment_masking_needs_a_deployment():
    """Without availability of the deployment there is nothing to match."""
    with pytest.raises(MaskingError, match="needs the deployment's availability"):
        plan_removals(np.ones((3, 1), bool), ["a"], Deployment())


def test_a_deployment_of_unknown_modalities_only_is_refused():
    """Where the deployment has no modality that training has, no removal leads there."""
    deployment = Deployment.of({"patterns": {"c": 1}})
    with pytest.raises(MaskingError, match="none of the modalities that training has"):
        plan_removals(np.ones((5, 2), bool), ["a", "b"], deployment, ["a", "b", "c"])


def test_requests_that_no_model_can_answer_are_no_shortfall():
    """Requests with unknown modalities only are left out, the others count in full."""
    presence = np.ones((100, 2), dtype=bool)
    deployment = Deployment.of({"patterns": {"c": 2, "a": 1, "a+b": 1}})
    plan = plan_removals(presence, ["a", "b"], deployment, ["a", "b", "c"])
    assert plan.shortfall == pytest.approx(0, abs=1e-9)


def test_weights_of_masked_copies_follow_what_is_shown_of_them():
    """A copy counts as often as its reduced pattern occurs, whatever the sample had by nature."""
    shown = np.array([[1, 1]] * 4 + [[1, 0]] * 3 + [[0, 1]], dtype=bool)
    weights = mixture_weights(shown, ["a", "b"], ["a", "b"], {"patterns": {"a": 0.5, "b": 0.5}})
    np.testing.assert_allclose(weights, [0] * 4 + [8 / 6] * 3 + [4])
    with pytest.warns(FusewiseWarning, match="never occur in deployment"):
        even = mixture_weights(shown[:4], ["a", "b"], ["a", "b"], {"patterns": {"a": 1}})
    assert (even == 1).all()


@pytest.mark.parametrize(
    "masking", [Masking("uniform", rate="0.5"), Masking("uniform", copies=2.5)]
)
def test_settings_of_masking_are_numbers(masking):
    """Text for a rate and a fraction of a copy are refused."""
    with pytest.raises(MaskingError, match="must"):
        Masking.of(masking)
