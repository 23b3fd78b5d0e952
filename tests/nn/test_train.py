"""The training loop: what it may depend on, when it stops, and what it says when it cannot go on."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from fusewise.exceptions import (
    DatasetError,
    MaskingError,
    NotEnoughMemoryError,
    TrainingError,
)
from fusewise.nn import Check, Settings, TableRows, WeightAverage, train
from fusewise.nn.attention import QueryPool
from fusewise.nn.merge import Concatenation, GatedSum
from fusewise.nn.optimise import Optimiser
from fusewise.nn.weighed import WeighedSum
from tests.nn.tiny import NAMES, TinyNetwork, cohort, hide_some, same_bits

QUICK = Settings(max_epochs=3, batch_size=32, learning_rate=1e-2)


def test_it_learns() -> None:
    """The check loss falls from that of a coin to well below."""
    trained = train(TinyNetwork(), **cohort(), settings=replace(QUICK, max_epochs=20))
    losses = [record["check_loss"] for record in trained.history]
    assert losses[0] > 0.6
    assert losses[trained.best] == min(losses) < 0.5
    assert len(trained.snapshots) == len(trained.kept)


def test_only_epochs_that_may_be_needed_are_kept() -> None:
    """Those within twice the patience, and the best of each readout, each as it was."""
    settings = replace(QUICK, max_epochs=15, patience=2, min_epochs=15)
    trained = train(TinyNetwork(), **cohort(strength=(0, 0, 0)), settings=settings)
    assert trained.kept == [11, 12, 13, 14]
    settings = replace(settings, min_epochs=0, patience=7)
    every = train(TinyNetwork(), **cohort(strength=(0, 0, 0)), settings=settings)
    few = train(TinyNetwork(), **cohort(strength=(0, 0, 0)), settings=replace(settings, patience=2))
    best = {
        int(np.argmin([record["readouts"][name] for record in few.history]))
        for name in few.history[0]["readouts"]
    }
    last = len(few.history)
    assert last > 4
    assert few.kept == sorted({*best, *range(last - 4, last)})
    for epoch, snapshot in zip(few.kept, few.snapshots, strict=True):
        same = every.snapshots[every.kept.index(epoch)]
        assert all(np.array_equal(snapshot[name], same[name]) for name in snapshot)


def test_the_same_seed_gives_the_same_bits_and_another_seed_others() -> None:
    """Batches, masking and dropout come from the seed alone, and nothing global is moved."""
    python, numpy, pytorch = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    first, second, other = (
        train(TinyNetwork(), **cohort(), draw=hide_some, settings=QUICK, seed=seed)
        for seed in (1, 1, 2)
    )
    assert same_bits(first, second)
    assert not same_bits(first, other)
    assert random.getstate() == python
    assert repr(np.random.get_state()) == repr(numpy)  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), pytorch)


def test_global_random_numbers_do_not_matter() -> None:
    """What was drawn before, somewhere else, changes no bit."""
    first = train(TinyNetwork(), **cohort(), draw=hide_some, settings=QUICK)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        second = train(TinyNetwork(), **cohort(), draw=hide_some, settings=QUICK)
    assert same_bits(first, second)


@pytest.mark.parametrize("loss", ["cross_entropy", "squared_error"])
def test_a_weight_of_zero_leaves_a_sample_out(loss: str) -> None:
    """Samples that count nothing are as if they had not come, for training and for the check."""
    given = cohort() | {"loss": loss}
    network = {"n_outputs": 2}
    if loss == "squared_error":
        given["target"], network = given["target"].float(), {"n_outputs": 1}
    out = np.arange(0, 400, 3)
    weight = np.ones(400)
    weight[out] = 0
    check = given["check"]
    zeroed = given | {
        "weight": weight,
        "check": replace(check, weight=np.where(np.isin(check.rows, out), 0.0, 1.0)),
    }
    kept = ~np.isin(check.rows, out)
    left_out = given | {
        "fit": np.setdiff1d(given["fit"], out),
        "check": Check(check.rows[kept], check.presence[kept], check.weight[kept]),
    }
    results = [
        train(TinyNetwork(**network), **arguments, draw=hide_some, settings=QUICK)
        for arguments in (zeroed, left_out, given)
    ]
    assert same_bits(results[0], results[1])
    assert not same_bits(results[0], results[2])


def test_a_weight_of_two_is_a_sample_that_comes_twice() -> None:
    """With all samples in one batch, weights and repetitions have one meaning."""
    given = cohort(200)
    twice = np.arange(0, 50)
    weight = np.ones(200)
    weight[twice] = 2
    settings = Settings(max_epochs=3, batch_size=1000, gradient_clip=float("inf"))
    weighted = train(TinyNetwork(dropout=0), **(given | {"weight": weight}), settings=settings)
    repeated = train(
        TinyNetwork(dropout=0),
        **(given | {"fit": np.concatenate([given["fit"], twice])}),
        settings=settings,
    )
    for name, array in weighted.snapshots[-1].items():
        np.testing.assert_allclose(array, repeated.snapshots[-1][name], atol=1e-6)


def test_masking_sees_training_rows_only() -> None:
    """The masking callable is given the presence of the rows to fit, once an epoch, unchanged."""
    given = cohort()
    seen = []

    def draw(presence, epoch, rng):
        seen.append((epoch, presence.copy()))
        presence[:, 0] = False
        return presence

    given["fit"] = given["fit"][given["presence"][given["fit"], 1:].any(axis=1)]
    before = given["presence"].copy()
    train(TinyNetwork(), **given, draw=draw, settings=QUICK)
    assert [epoch for epoch, _ in seen] == [0, 1, 2]
    for _, presence in seen:
        assert np.array_equal(presence, before[given["fit"]])
    assert np.array_equal(given["presence"], before)


def test_what_masking_hides_is_not_learned_from() -> None:
    """An encoder whose modality is always hidden keeps its weights; it is checked unmasked."""

    def hide_image(presence, epoch, rng):
        hidden = presence.copy()
        hidden[:, 1] = False
        hidden[~hidden.any(axis=1), 1] = True
        return hidden

    given = cohort()
    alone = given["presence"].sum(axis=1) > 1
    given["fit"] = given["fit"][alone[given["fit"]]]
    network = TinyNetwork()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    trained = train(network, **given, draw=hide_image, settings=QUICK)
    after = network.state_dict()
    assert torch.equal(after["encoders.image.map.weight"], before["encoders.image.map.weight"])
    assert not torch.equal(after["encoders.blood.map.weight"], before["encoders.blood.map.weight"])
    assert not np.isnan(trained.history[-1]["contribution"]["image"])


def test_masking_must_not_add() -> None:
    """A masking that invents a modality is refused."""
    with pytest.raises(MaskingError, match="remove modalities but not add"):
        train(TinyNetwork(), **cohort(), settings=QUICK, draw=lambda p, epoch, rng: np.ones_like(p))


def test_validation_rows_do_not_train() -> None:
    """Other targets in the rows of the check change what is measured and no weight."""
    given = cohort()
    flipped = given["target"].clone()
    flipped[given["check"].rows] = 1 - flipped[given["check"].rows]
    first = train(TinyNetwork(), **given, settings=QUICK)
    second = train(TinyNetwork(), **(given | {"target": flipped}), settings=QUICK)
    for a, b in zip(first.snapshots, second.snapshots, strict=True):
        assert all(np.array_equal(a[name], b[name]) for name in a)
    assert first.history[0]["check_loss"] != second.history[0]["check_loss"]


def test_it_stops_when_the_check_stops_improving() -> None:
    """Targets that are noise in the check end training after `patience` more epochs."""
    given = cohort(80, strength=(0, 0, 0))
    settings = Settings(max_epochs=200, patience=3, batch_size=16, learning_rate=0.05)
    trained = train(TinyNetwork(), **given, settings=settings)
    assert trained.stopped == "patience"
    assert len(trained.history) == trained.best + 1 + 3 < 200
    longer = train(TinyNetwork(), **given, settings=replace(settings, min_epochs=60))
    assert len(longer.history) >= 60
    without = train(
        TinyNetwork(), **(given | {"check": None}), settings=replace(settings, max_epochs=30)
    )
    assert (without.stopped, len(without.history), without.best) == ("max_epochs", 30, 29)


def test_patience_counts_from_the_first_epoch_that_may_be_kept() -> None:
    """An early epoch that masking made easy neither ends training nor is the best."""
    given = cohort(80, strength=(0, 0, 0))
    settings = Settings(
        max_epochs=200, min_epochs=20, patience=3, batch_size=16, learning_rate=0.05
    )
    trained = train(TinyNetwork(), **given, settings=settings)
    losses = [record["check_loss"] for record in trained.history]
    assert int(np.argmin(losses)) < 19
    assert trained.best == 19 + int(np.argmin(losses[19:]))
    assert len(losses) == trained.best + 1 + 3


@pytest.mark.parametrize("name", NAMES)
def test_a_nan_is_traced_to_its_modality_and_batch(name: str) -> None:
    """The error names the modality that holds the NaN, and the epoch and batch that met it."""
    given = cohort()
    rows = given["batch"][name]
    fitted = int((rows.sample < 300).nonzero()[5])
    rows.values[fitted, 1] = float("nan")
    with pytest.raises(TrainingError, match=r"epoch 0, batch \d+ .*input of modality") as error:
        train(TinyNetwork(), **given, settings=QUICK)
    assert repr(name) in str(error.value)
    assert isinstance(error.value, ArithmeticError)
    assert all(repr(other) not in str(error.value) for other in NAMES if other != name)


def test_a_nan_out_of_an_encoder_is_traced_to_its_modality() -> None:
    """With clean input, the encoder whose output is not finite is named."""
    network = TinyNetwork()
    broken = network.encoders["notes"]
    broken.forward = lambda rows: broken.map(rows.values) / 0 * 0
    with pytest.raises(TrainingError, match="encoder of modality 'notes' gives"):
        train(network, **cohort(), settings=QUICK)


def test_a_check_loss_that_is_no_number_stops_training_by_the_name_of_its_modality() -> None:
    """It is neither the best epoch nor one without improvement."""
    given = cohort()
    rows = given["batch"]["image"]
    rows.values[rows.sample >= 390] = float("nan")
    with pytest.raises(TrainingError, match=r"after epoch 0.* input of modality 'image'"):
        train(TinyNetwork(), **given, settings=QUICK)


def test_overflow_of_the_loss_blames_no_modality() -> None:
    """Where all inputs and encoders are fine, the advice is a lower learning rate."""
    network = TinyNetwork()
    network.main.forward = lambda x: x[:, :2] * float("inf")
    with pytest.raises(TrainingError, match="Every input and every encoder's output is finite"):
        train(network, **cohort(), settings=QUICK)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes."),
        MemoryError(),
    ],
)
def test_too_little_memory_suggests_half_the_batch(error: BaseException) -> None:
    """An error about memory, of whatever class, becomes one that says what to try."""
    network = TinyNetwork()

    def fail(*_: object) -> None:
        raise error

    network.main.forward = fail
    with pytest.raises(NotEnoughMemoryError, match="32 samples .* batch_size=16"):
        train(network, **cohort(), settings=QUICK)


def test_rows_that_a_device_cannot_hold_are_no_matter_of_batches(monkeypatch) -> None:
    """All rows are moved at once: the advice is the memory of the machine itself."""

    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(TableRows, "to", fail)
    with pytest.raises(NotEnoughMemoryError, match="'meta'.*device='cpu'") as error:
        train(TinyNetwork(), **cohort(), settings=replace(QUICK, device="meta"))
    assert "batch_size" not in str(error.value)


def test_other_errors_stay_what_they_are() -> None:
    """A mistake in a user's encoder is not taken for one about memory."""
    network = TinyNetwork()

    def fail(*_: object) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    network.main.forward = fail
    with pytest.raises(RuntimeError, match="mat1 and mat2") as error:
        train(network, **cohort(), settings=QUICK)
    assert type(error.value) is RuntimeError


def test_what_does_not_fit_is_refused() -> None:
    """Shapes, settings and an empty training set are told before anything is trained."""
    given = cohort()
    for change, message in (
        ({"presence": given["presence"][:, :2]}, r"shape \(400, 2\) instead of \(400, 3\)"),
        ({"weight": np.zeros(400)}, "no training sample is left"),
        ({"loss": "hinge"}, "cross_entropy, squared_error, got 'hinge'"),
        ({"settings": Settings(average=1.0)}, "average"),
        ({"settings": Settings(patience=0)}, "patience must be at least 1"),
        ({"settings": Settings(learning_rate=float("nan"))}, "learning_rate"),
    ):
        with pytest.raises(DatasetError, match=message):
            train(TinyNetwork(), **(given | change))


def test_the_average_of_a_constant_is_that_constant() -> None:
    """The correction of the bias is exact: the first step and the thousandth alike."""
    weight = torch.full((3,), 0.1)
    average = WeightAverage([weight], decay=0.99)
    for _ in range(1000):
        average.update()
        assert torch.equal(average.values[0], weight)


def test_the_average_weighs_by_age() -> None:
    """It is the sum of decay^age w over the sum of decay^age, however little has been seen."""
    values = np.random.default_rng(0).normal(size=20)
    weight = torch.zeros(1, dtype=torch.float64)
    average = WeightAverage([weight], decay=0.9)
    for value in values:
        weight.fill_(value)
        average.update()
    share = 0.9 ** np.arange(20)[::-1]
    assert average.values[0].item() == pytest.approx(np.average(values, weights=share), rel=1e-12)
    with average.applied():
        assert torch.equal(weight, average.values[0])
    assert weight.item() == values[-1]


def test_snapshots_hold_the_averaged_weights_which_the_network_keeps() -> None:
    """With no memory the snapshot is the last step's weights; with memory it is not."""
    raw = train(TinyNetwork(), **cohort(), settings=replace(QUICK, average=0.0))
    network = TinyNetwork()
    averaged = train(network, **cohort(), settings=QUICK)
    assert not np.array_equal(raw.snapshots[0]["main.weight"], averaged.snapshots[0]["main.weight"])
    for name, value in network.state_dict().items():
        assert np.array_equal(value.numpy(), averaged.snapshots[-1][name])


def test_frozen_weights_stay_and_are_kept_once() -> None:
    """What is frozen is neither moved nor decayed nor copied for every epoch."""
    network = TinyNetwork()
    network.encoders["image"].requires_grad_(False)
    before = network.encoders["image"].map.weight.clone()
    trained = train(network, **cohort(), settings=QUICK)
    assert torch.equal(network.encoders["image"].map.weight, before)
    first, *others = (snapshot["encoders.image.map.weight"] for snapshot in trained.snapshots)
    assert all(other is first for other in others)
    network.requires_grad_(False)
    with pytest.raises(DatasetError, match="no parameter to train"):
        train(network, **cohort(), settings=QUICK)


def test_only_maps_decay() -> None:
    """Weight decay leaves biases, norms, embeddings and learned tokens alone."""
    network = torch.nn.ModuleDict(
        {
            "map": torch.nn.Linear(2, 2),
            "norm": torch.nn.LayerNorm(2),
            "code": torch.nn.Embedding(2, 2),
        }
    )
    network["map"].register_parameter("token", torch.nn.Parameter(torch.zeros(1, 2)))
    for parameter in network.parameters():
        torch.nn.init.ones_(parameter)
        parameter.grad = torch.zeros_like(parameter)
    made = Optimiser(network, Settings(weight_decay=0.5), NAMES)
    made.clipped()
    made.step(0.1, [1.0] * 3)
    moved = {name for name, p in network.named_parameters() if not torch.equal(p, p * 0 + 1)}
    assert moved == {"map.weight"}


def test_maps_of_values_and_gates_decay() -> None:
    """Those that are no linear layer decay like the weights of one."""
    network = torch.nn.ModuleDict(
        {
            "pool": QueryPool(8, 2),
            "sum": WeighedSum(3, 8, 2, 0.0),
            "side": Concatenation(3, 8),
            "gates": GatedSum(3, 8),
        }
    )
    for parameter in network.parameters():
        torch.nn.init.ones_(parameter)
        parameter.grad = torch.zeros_like(parameter)
    made = Optimiser(network, Settings(weight_decay=0.5), NAMES)
    made.clipped()
    made.step(0.1, [1.0] * 3)
    moved = {name for name, p in network.named_parameters() if not torch.equal(p, p * 0 + 1)}
    assert moved == {
        "pool.score.weight", "pool.value", "pool.join.weight", "sum.score.weight", "sum.value",
        "side.value", "gates.gate", "gates.leave.weight",
    }  # fmt: skip


def test_parameters_have_memory_of_their_own_after_training() -> None:
    """While they are trained they lie side by side; a network that is kept drags nothing along."""
    network = TinyNetwork()
    trained = train(network, **cohort(), settings=QUICK)
    for name, parameter in network.named_parameters():
        assert parameter.untyped_storage().nbytes() == parameter.nbytes
        assert np.array_equal(parameter.detach().numpy(), trained.snapshots[-1][name])


def test_the_learning_rate_rises_and_falls() -> None:
    """It warms up over the first epoch; on the cosine it ends at a twentieth."""
    settings = Settings(learning_rate=1.0, max_epochs=10, schedule="cosine")
    rates = [settings.rate(step, 20) for step in range(200)]
    assert rates[0] == pytest.approx(1 / 20, rel=1e-3)
    assert max(rates) == rates[19] > 0.97
    assert rates[-1] == pytest.approx(0.05, abs=1e-3)


def test_records_are_reported_as_they_come() -> None:
    """`on_epoch` gets each record once, in order, and cannot change the history."""
    seen = []

    def report(record):
        seen.append(repr(record))
        record["contribution"].clear()

    trained = train(TinyNetwork(), **cohort(), settings=QUICK, on_epoch=report)
    assert seen == [repr(record) for record in trained.history]
