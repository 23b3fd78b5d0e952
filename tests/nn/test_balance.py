"""How much each modality carries is measured as it is, and who runs ahead is slowed."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from fusewise.exceptions import DatasetError
from fusewise.nn import Check, Settings, train
from fusewise.nn.balance import Modulation, constant_loss, contributions
from tests.nn.tiny import NAMES, TinyNetwork, cohort

SETTINGS = Settings(max_epochs=8, batch_size=32, learning_rate=1e-2)


@pytest.mark.parametrize("strong", range(3))
def test_who_alone_carries_the_signal_contributes_most(strong: int) -> None:
    """Withholding it costs; withholding noise does not; its own head is the only one with skill."""
    strength = np.zeros(3)
    strength[strong] = 1.5
    given = cohort(800, strength=strength, rate=0.9)
    last = train(TinyNetwork(), **given, settings=replace(SETTINGS, max_epochs=15)).history[-1]
    contribution = np.array([last["contribution"][name] for name in NAMES])
    auxiliary = np.array([last["auxiliary_loss"][name] for name in NAMES])
    others = np.delete(contribution, strong)
    assert contribution[strong] > 0.1 > 5 * np.abs(others).max()
    assert auxiliary[strong] < np.delete(auxiliary, strong).min() - 0.1


def test_a_contribution_is_the_rise_of_the_loss_where_something_remains() -> None:
    """Known losses give known contributions; samples that would be emptied are not measured."""
    price = np.array([3.0, 1.0, 0.0])
    presence = np.array([[1, 1, 0], [1, 0, 0], [0, 1, 0], [1, 1, 1], [1, 0, 1]], dtype=bool)
    check = Check(np.arange(5), presence, np.array([1.0, 9, 9, 2, 0]))

    def losses(asked: Check) -> np.ndarray:
        assert asked.presence.any(axis=1).all()
        return 10 - (asked.presence @ price) * (1 + asked.rows)

    found = contributions(
        losses, check, losses(check), NAMES, max_rows=600, rng=np.random.default_rng(0)
    )
    assert found == pytest.approx({"blood": 9, "image": 3, "notes": 0})
    assert np.array_equal(check.presence, presence)
    alone = Check(check.rows, presence & [True, False, False], check.weight)
    found = contributions(losses, alone, 0, NAMES, max_rows=600, rng=np.random.default_rng(0))
    assert all(math.isnan(value) for value in found.values())


def test_contributions_cost_no_more_than_they_may() -> None:
    """With many rows, each modality is measured on its share of them."""
    asked = []
    check = Check(np.arange(5000), np.ones((5000, 3), dtype=bool), np.ones(5000))

    def losses(part: Check) -> np.ndarray:
        asked.append(len(part.rows))
        return np.zeros(len(part.rows))

    contributions(losses, check, np.zeros(5000), NAMES, max_rows=1500, rng=np.random.default_rng(0))
    assert asked == [500, 500, 500]


def test_the_leader_is_slowed_and_nobody_else() -> None:
    """The pace falls with the lead of a modality's head over the others'; without one it is 1."""
    modulation = Modulation(3, constant_loss=1.0, memory=0.0)
    assert modulation.paces() == [1, 1, 1]
    paces = []
    for loss in (0.9, 0.6, 0.3):
        modulation.update(torch.tensor([[loss, 1.0], [0.9, 1.0], [0.9, 1.0]]))
        paces.append(modulation.paces())
    assert paces[0] == [1, 1, 1]
    assert [p[1:] for p in paces[1:]] == [[1, 1], [1, 1]]
    assert 1 > paces[1][0] > paces[2][0] > 0
    modulation.update(torch.tensor([[0.3, 1.0], [0.0, 0.0], [0.0, 0.0]]))
    assert modulation.paces() == [1, 1, 1]


def test_balance_slows_a_dominant_modality() -> None:
    """In training, too: the strong encoder moves less than it would, and the record shows it."""
    given = cohort(800, strength=(1.5, 0.1, 0.1), rate=1.0)
    start = TinyNetwork().encoders["blood"].map.weight.detach().numpy()
    moved = {}
    for balance in (None, "modulated"):
        trained = train(TinyNetwork(), **given, settings=replace(SETTINGS, balance=balance))
        weight = trained.snapshots[-1]["encoders.blood.map.weight"]
        moved[balance] = np.abs(weight - start).mean()
        pace = trained.history[-1]["pace"]
        assert (pace["blood"] < 0.9) == (balance is not None)
        assert pace["image"] == pace["notes"] == 1
    assert moved["modulated"] < 0.9 * moved[None]
    with pytest.raises(DatasetError, match="auxiliary_weight"):
        train(TinyNetwork(), **given, settings=Settings(balance="modulated", auxiliary_weight=0))


def test_the_constant_loss_is_that_of_the_best_constant() -> None:
    """Entropy of weighted classes, variance of weighted numbers."""
    weight = torch.tensor([1.0, 1.0, 2.0])
    entropy = constant_loss("cross_entropy", torch.tensor([0, 2, 2]), weight)
    assert entropy == pytest.approx(-(0.25 * math.log(0.25) + 0.75 * math.log(0.75)))
    variance = constant_loss("squared_error", torch.tensor([0.0, 2.0, 1.0]), weight)
    assert variance == pytest.approx(0.5)
