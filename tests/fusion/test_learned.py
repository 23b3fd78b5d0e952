"""Committees of networks: what they learn, how they stop, and what they refuse."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch import nn

from fusewise import (
    AttentionFusionClassifier,
    AttentionFusionRegressor,
    IntermediateFusionClassifier,
    IntermediateFusionRegressor,
    LateFusionClassifier,
    Modality,
    MultimodalDataset,
    UserEncoder,
    load,
)
from fusewise.exceptions import (
    DatasetError,
    EmptySampleError,
    FusewiseWarning,
    MaskingError,
    ModelFormatError,
    ModelNotFoundError,
    TaskError,
    TrainingError,
    UnknownModalityError,
)
from fusewise.fusion import Masking
from fusewise.fusion.committee import Member, best_of, pooled_losses, stopped_at
from fusewise.nn import Check, Trained
from fusewise.testing import make_dataset
from tests.fusion.cohorts import small_dataset

SMALL = {"n_members": 2, "max_epochs": 2, "width": 8, "batch_size": 64}
BOTH = [IntermediateFusionClassifier, AttentionFusionClassifier]
ALL = [*BOTH, IntermediateFusionRegressor, AttentionFusionRegressor]


@pytest.fixture(scope="module")
def ds():
    return make_dataset(n_samples=80)


@pytest.fixture(scope="module")
def fitted(ds):
    return AttentionFusionClassifier(**SMALL).fit(ds)


def test_asking_a_network_leaves_the_callers_gradients_alone(ds, fitted):
    """Also while the networks are asked one by one, or no longer after the first."""
    answers = fitted._forward(fitted._batch(ds), fitted.presence(ds), np.arange(5))
    next(answers)
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def two_tables(a, b, y, **columns):
    """Return a dataset of two tables, with empty rows where a sample has none."""
    ids = np.arange(len(y))
    tables = {
        name: pd.DataFrame(values, columns=[f"{name}{i}" for i in range(values.shape[1])]).assign(
            id=ids
        )[np.isfinite(values).any(axis=1)]
        for name, values in (("a", a), ("b", b))
    }
    samples = pd.DataFrame({"id": ids, "y": y, **columns})
    extra = {"cluster": "cluster"} if "cluster" in columns else {}
    task = "regression" if np.asarray(y).dtype.kind == "f" else "auto"
    return MultimodalDataset(tables, samples=samples, id="id", target="y", task=task, **extra)


def xor_cohort(n, seed=0):
    """The sign of one modality decides what the other means; alone, each says nothing."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, n, 2))
    return two_tables(a, b, ((a[:, 0] > 0) ^ (b[:, 0] > 0)).astype(int))


# What is learned ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", BOTH)
def test_what_lies_between_modalities_is_learned(kind):
    """Late fusion adds what experts say, and cannot know; one network for all of it can."""
    train, test = xor_cohort(600), xor_cohort(400, seed=1)
    late = LateFusionClassifier(experts=LogisticRegression(), n_folds=2).fit(train)
    assert roc_auc_score(test.target, late.predict_proba(test)[:, 1]) < 0.6
    model = kind(
        n_members=1, max_epochs=12, width=16, batch_size=32, dropout=0.1, masking=None,
        learning_rate=5e-3,
    ).fit(train)  # fmt: skip
    assert roc_auc_score(test.target, model.predict_proba(test)[:, 1]) > 0.85


@pytest.mark.parametrize("kind", [IntermediateFusionRegressor, AttentionFusionRegressor])
def test_amounts_come_in_the_units_of_the_target(kind):
    """Targets are scaled for training and scaled back."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 300, 2))
    ds = two_tables(a, b, 5000 + 100 * (a[:, 0] + b[:, 0]))
    model = kind(n_members=1, max_epochs=15, width=16, batch_size=32, learning_rate=5e-3).fit(ds)
    assert model.score(ds) > 0.5
    assert abs(model.predict(ds).mean() - 5000) < 50


@pytest.mark.parametrize("kind", [IntermediateFusionRegressor, AttentionFusionRegressor])
@pytest.mark.parametrize("level", [0.1, -3e8, 0.0])
def test_a_constant_target_is_predicted(kind, level):
    """No spread to divide by."""
    rng = np.random.default_rng(0)
    ds = two_tables(*rng.normal(size=(2, 30, 2)), np.full(30, level))
    predicted = kind(**SMALL).fit(ds).predict(ds)
    np.testing.assert_allclose(predicted, level, rtol=1e-12)


# Committees and their stopping -------------------------------------------------------------


def test_the_merge_is_chosen_by_the_loss_on_rows_outside():
    """`auto` compares all merges on the same rows and takes the smallest loss."""
    ds = small_dataset(120)
    ds = ds[ds.presence.any(axis=1)]
    model = IntermediateFusionClassifier(merge="auto", **SMALL | {"n_members": 3}).fit(ds)
    scores = model.joining_scores_
    assert scores["joining"].tolist() == ["concatenate", "gated", "mean"]
    assert scores["members"].tolist() == [2, 2, 2]
    assert scores["n"].nunique() == 1
    assert model.joining_ == scores["joining"].iloc[scores["check_loss"].argmin()]
    assert {network.spec["joining"] for network in model.networks_} == {model.joining_}
    assert len(model.networks_) == 3
    members = model.history_.groupby("joining")["member"].nunique()
    assert members.to_dict() == {**dict.fromkeys(scores["joining"], 2), model.joining_: 3}
    # Chosen or named, the networks are the same.
    named = IntermediateFusionClassifier(merge=model.joining_, **SMALL | {"n_members": 3})
    np.testing.assert_array_equal(named.fit(ds).predict_proba(ds), model.predict_proba(ds))


def members_of(model, ds, monkeypatch):
    """Return the members that `model` trains on `ds`."""
    seen = []

    def spied(task, members, n_jobs):
        seen.extend(members)
        return train_members(task, members, n_jobs)

    from fusewise.fusion import learned

    train_members = learned.train_members
    monkeypatch.setattr(learned, "train_members", spied)
    model.fit(ds)
    return seen


@pytest.mark.parametrize("n_members", [1, 2, 4])
def test_clusters_are_not_torn_apart(monkeypatch, n_members):
    """Rows of one patient all teach a member, or all check it."""
    ds = small_dataset(80)
    order = np.argsort(ds.ids, kind="stable")
    ds = ds[order][ds.presence[order].any(axis=1)]
    model = IntermediateFusionClassifier(**SMALL | {"n_members": n_members, "max_epochs": 1})
    members = members_of(model, ds, monkeypatch)
    assert len(members) == n_members
    for member in members:
        assert not set(ds.cluster[member.fit]) & set(ds.cluster[member.check.rows])
        assert len(member.fit) + len(member.check.rows) == len(ds)
    if n_members > 1:
        checked = np.sort(np.concatenate([m.check.rows for m in members]))
        np.testing.assert_array_equal(checked, np.arange(len(ds)))


def test_one_member_is_stopped_by_the_rows_that_are_flagged(monkeypatch):
    """A validation column says which rows stop a single network."""
    rng = np.random.default_rng(0)
    flagged = np.arange(60) % 4 == 0
    tables = {"a": pd.DataFrame(rng.normal(size=(60, 2)), columns=["u", "v"]).assign(id=range(60))}
    samples = pd.DataFrame({"id": range(60), "y": np.arange(60) % 2, "held": flagged})
    samples["y"] = rng.permutation(samples["y"])
    ds = MultimodalDataset(tables, samples=samples, id="id", target="y", validation="held")
    model = IntermediateFusionClassifier(**SMALL | {"n_members": 1})
    (member,) = members_of(model, ds, monkeypatch)
    np.testing.assert_array_equal(member.check.rows, np.flatnonzero(flagged))


def test_a_fold_that_deployment_never_meets_stops_its_own_member_only(monkeypatch):
    """It still has a loss to stop by; in the pooled one it is next to nothing."""
    ds = small_dataset(120)
    ds = ds[ds.presence.any(axis=1)]
    usable = ds[np.argsort(ds.ids, kind="stable")]
    can_show_it = usable.without("wearable").presence.all(axis=1)
    can_show_it[np.flatnonzero(can_show_it)[0]] = False
    kept = usable[~can_show_it]
    model = IntermediateFusionClassifier(deployment={"patterns": {"clinic+omics": 1}}, **SMALL)
    members = members_of(model, kept, monkeypatch)
    sums = sorted(m.check.weight.sum() for m in members)
    assert 0 < sums[0] < 1e-6 * sums[1]


def test_samples_with_nothing_that_can_be_learned_from_neither_teach_nor_check(monkeypatch):
    """A modality without a varying column is left out, and so is who has nothing else."""
    rng = np.random.default_rng(0)
    ids = np.arange(60)
    tables = {
        "a": pd.DataFrame({"id": ids[:50], "x": rng.normal(size=50)}),
        "b": pd.DataFrame({"id": ids, "same": 1.0}),
    }
    samples = pd.DataFrame({"id": ids, "y": ids % 2})
    ds = MultimodalDataset(tables, samples=samples, id="id", target="y")
    with pytest.warns(FusewiseWarning, match="b has no feature"):
        members = members_of(IntermediateFusionClassifier(**SMALL), ds, monkeypatch)
    rows = np.concatenate([np.concatenate([m.fit, m.check.rows]) for m in members])
    np.testing.assert_array_equal(np.unique(rows), np.arange(50))


def test_repeated_samples_are_no_further_units():
    """A bootstrap of few samples makes no more members than there are samples."""
    ds = two_tables(np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]]), np.array([1.0, 2.0]))
    model = IntermediateFusionRegressor(**SMALL | {"n_members": 5}).fit(ds[np.array([0, 1, 1, 0])])
    assert len(model.networks_) == 2


def test_the_deployment_weighs_the_loss_that_stops(monkeypatch):
    """Patterns that the deployment never has do not count; those that it has often, do."""
    ds = small_dataset(120)
    ds = ds[ds.presence.any(axis=1)]
    model = IntermediateFusionClassifier(
        deployment={"patterns": {"clinic": 1, "clinic+omics": 3}}, **SMALL
    )
    members = members_of(model, ds, monkeypatch)
    shown = np.concatenate([m.check.presence for m in members])
    weight = np.concatenate([m.check.weight for m in members])
    clinic, omics, wearable = shown.T
    deployed = clinic & ~wearable
    assert (weight[~deployed] == 0).all()
    assert (weight[deployed] > 0).all()
    share = weight[deployed & omics].sum() / weight.sum()
    np.testing.assert_allclose(share, 0.75, atol=1e-9)


@pytest.mark.parametrize("masking", [None, "uniform", "deployment"])
def test_the_check_shows_what_deployment_would(masking, monkeypatch):
    """Whatever training hides, the rows that stop it are seen with the deployment's patterns."""
    ds = small_dataset(120)
    model = AttentionFusionClassifier(
        masking=masking, deployment={"rates": {"clinic": 0.9, "omics": 0.0, "wearable": 0.3}},
        **SMALL,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FusewiseWarning)
        members = members_of(model, ds, monkeypatch)
    only_omics = ~members[0].check.presence[:, [0, 2]].any(axis=1)
    assert not members[0].check.presence[~only_omics, 1].any()


def test_a_curriculum_reaches_its_rate_before_anything_is_kept(ds, monkeypatch):
    """Neither the stop nor the epoch that is kept comes before the whole masking."""
    from fusewise.fusion import learned

    pooled = learned.pooled_losses

    def worse(members, trained):
        """Each epoch is worse than the one before, so that the first would be best."""
        losses = pooled(members, trained)
        return losses.assign(**dict.fromkeys(losses, np.linspace(0.5, 0.9, len(losses))))

    monkeypatch.setattr(learned, "pooled_losses", worse)
    settings = SMALL | {"max_epochs": 12, "patience": 1}
    grown = IntermediateFusionClassifier(masking="curriculum", **settings).fit(ds)
    assert grown.n_epochs_ == 3
    assert grown.history_.groupby("member")["epoch"].max().min() >= 4
    level = IntermediateFusionClassifier(masking="uniform", **settings).fit(ds)
    assert level.n_epochs_ == 1


def test_all_members_stop_at_one_epoch_the_best_of_their_pooled_losses(ds):
    """`n_epochs_` and `check_loss_` follow from the history."""
    model = IntermediateFusionClassifier(**SMALL | {"max_epochs": 4}).fit(ds)
    losses = model.history_.pivot_table(index="epoch", columns="member", values="check_loss")
    sizes = [int(n) for n in [len(ds) // 2, len(ds) - len(ds) // 2]]
    pooled = (losses * sizes).sum(axis=1) / sum(sizes)
    assert model.check_loss_ == pytest.approx(pooled.min(), rel=0.05)
    assert model.n_epochs_ in losses.index


def fake_member(number, n=10):
    check = Check(np.arange(n), np.ones((n, 1), dtype=bool), np.ones(n))
    return Member(number, {"joining": "mean"}, np.arange(n), check, 0)


def fake_training(losses, kept):
    """Return a training whose snapshots say which epoch they are of."""
    history = [{"readouts": {"joint": loss}, "check_loss": loss} for loss in losses]
    return Trained([{"epoch": np.array(e)} for e in kept], kept, history, "patience")


def epochs_of(networks):
    return [int(network.arrays["epoch"]) for network in networks]


def test_the_pooled_loss_is_that_of_the_networks_that_are_returned():
    """Where a network no longer has the common epoch, the one in its place is what counts."""
    members = [fake_member(0), fake_member(1)]
    trained = [
        fake_training([5.0, 4.0, 1.0, 3.0, 3.0], [1, 2, 3, 4]),
        fake_training([2.0, 6.0, 9.0, 9.0, 9.0, 3.0, 4.0], [0, 5, 6]),
    ]
    losses = pooled_losses(members, trained)["joint"]
    assert losses.tolist() == [(4 + 2) / 2, 3.0, 1.5, 2.5, 2.5, 3.0, 3.5]
    epoch, _, loss = best_of(losses.to_frame())
    specs = [member.spec for member in members]
    assert (epoch, loss) == (2, 1.5)
    assert epochs_of(stopped_at(trained, epoch, specs, {})) == [2, 0]
    assert epochs_of(stopped_at(trained, 5, specs, {})) == [4, 5]


def test_an_epoch_that_no_network_has_is_not_chosen():
    """A loss that was good before anything was kept names no epoch."""
    members = [fake_member(0), fake_member(1)]
    trained = [fake_training([0.1, 0.1, 3.0, 2.0], [2, 3]), fake_training([0.1, 0.1, 3.0], [2])]
    assert pooled_losses(members, trained)["joint"].tolist() == [np.inf, np.inf, 3.0, 2.5]


def test_a_network_that_no_row_stops_is_named():
    """No epoch of it would be better than another."""
    one = fake_training([1.0], [0])
    one.history[0]["readouts"] = {}
    with pytest.raises(TrainingError, match="mean-3: there is no row that stops it"):
        pooled_losses([fake_member(3)], [one])


def test_history_and_contributions_have_a_row_per_epoch_and_modality(fitted):
    """What was seen of the training, as plain tables."""
    assert list(fitted.history_) == [
        "joining", "member", "epoch", "train_loss", "check_loss", "learning_rate", "seconds",
    ]  # fmt: skip
    assert fitted.history_[["member", "epoch"]].to_numpy().tolist() == [
        [0, 1],
        [0, 2],
        [1, 1],
        [1, 2],
    ]
    assert np.isfinite(fitted.history_["check_loss"]).all()
    assert len(fitted.contributions_) == 2 * 2 * 3
    assert set(fitted.contributions_["modality"]) == set(fitted.modalities_)


def test_whoever_asks_is_told_each_epoch(ds):
    """`verbose` takes a function; epochs count from 1."""
    told = []
    IntermediateFusionClassifier(verbose=told.append, **SMALL).fit(ds)
    assert [(r["member"], r["epoch"], r["max_epochs"]) for r in told] == [
        (0, 1, 2), (0, 2, 2), (1, 1, 2), (1, 2, 2),
    ]  # fmt: skip


# Bits --------------------------------------------------------------------------------------


def test_processes_give_the_same_bits_as_one(ds, fitted):
    """`n_jobs` changes how long it takes, and nothing else."""
    two = AttentionFusionClassifier(n_jobs=2, **SMALL).fit(ds)
    np.testing.assert_array_equal(fitted.predict_proba(ds), two.predict_proba(ds))


def test_the_generators_of_torch_do_not_move(ds):
    """Fitting and predicting leave the user's own draws alone."""
    before = torch.get_rng_state()
    IntermediateFusionClassifier(**SMALL).fit(ds).predict_proba(ds)
    assert torch.equal(before, torch.get_rng_state())


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("kind", BOTH)
def test_an_interrupted_fit_goes_on_to_the_same_bits(ds, kind, tmp_path):
    """Checkpoints hold all that the next epoch needs."""
    settings = SMALL | {"max_epochs": 3}

    def stop(record):
        if (record["member"], record["epoch"]) == (1, 2):
            raise StoppedError

    with pytest.raises(StoppedError):
        kind(checkpoint=tmp_path, verbose=stop, **settings).fit(ds)
    told = []
    again = kind(checkpoint=tmp_path, verbose=told.append, **settings).fit(ds)
    assert [(r["member"], r["epoch"]) for r in told] == [(1, 3)]
    straight = kind(**settings).fit(ds)
    np.testing.assert_array_equal(again.predict_proba(ds), straight.predict_proba(ds))
    left = again.history_.drop(columns="seconds")
    pd.testing.assert_frame_equal(left, straight.history_.drop(columns="seconds"))


@pytest.mark.parametrize(
    "change",
    [
        {"masking": None},
        {"masking": Masking("uniform", rate=0.7)},
        {"learning_rate": 0.1},
        {"width": 12},
        {"dropout": 0.1},
        {"encoders": {"omics": UserEncoder(nn.Sequential(nn.Linear(12, 4), nn.Tanh()), 4)}},
        {"random_state": 1},
        {"deployment": {"rates": {"omics": 0.1, "static": 0.9, "monitor": 0.5}}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_checkpoint_of_another_training_is_refused(ds, change, tmp_path):
    """It is never mistaken for the one that is asked for."""
    before = {}
    if "encoders" in change:
        # With the same weights, but another function of them.
        line = change["encoders"]["omics"].module[0]
        before = {"encoders": {"omics": UserEncoder(nn.Sequential(line, nn.ReLU()), 4)}}
    IntermediateFusionClassifier(checkpoint=tmp_path, **SMALL | before).fit(ds)
    with pytest.raises(ModelFormatError, match="another training"):
        IntermediateFusionClassifier(checkpoint=tmp_path, **SMALL | change).fit(ds)


def test_a_checkpoint_needs_a_seed(ds, tmp_path):
    """Without one nothing could be gone on from."""
    with pytest.raises(DatasetError, match="checkpoint.*random_state"):
        IntermediateFusionClassifier(checkpoint=tmp_path, random_state=None, **SMALL).fit(ds)


# Encoders of the user ----------------------------------------------------------------------


class Body(nn.Module):
    """Encodes the twelve columns of omics."""

    output_width = 5

    def __init__(self, width=5):
        super().__init__()
        self.line = nn.Linear(12, width)

    def forward(self, values):
        return torch.relu(self.line(values))


class Stream(nn.Module):
    """Encodes events by the mean of their values."""

    output_width = 2

    def forward(self, values, time, variable, valid):
        shown = torch.cat([values.mean(dim=2, keepdim=True), time[..., None]], dim=2)
        return (shown * valid[..., None]).sum(dim=1) / valid.sum(dim=1, keepdim=True).clamp(min=1)


def weights_of(model, part):
    return [{k: v for k, v in network.arrays.items() if part in k} for network in model.networks_]


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("frozen", [True, False])
def test_a_users_encoder_is_trained_unless_it_is_frozen(ds, kind, frozen):
    """What the user holds stays as it was in either case."""
    module = Body()
    before = module.line.weight.detach().clone()
    encoder = UserEncoder(module, frozen=frozen)
    model = kind(encoders={"omics": encoder, "monitor": Stream()}, **SMALL).fit(ds)
    assert torch.equal(module.line.weight, before)
    assert module.training and module.line.weight.requires_grad
    for arrays in weights_of(model, "line.weight"):
        (weight,) = arrays.values()
        assert np.array_equal(weight, before.numpy()) == frozen
    assert np.isfinite(model.predict_proba(ds)).all()


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_pretrained_weights_come_from_a_file(ds, suffix, tmp_path):
    """Weights are read; a wrong file says what does not fit."""
    trained, path = Body(), tmp_path / f"weights{suffix}"
    if suffix == ".pt":
        torch.save(trained.state_dict(), path)
    else:
        pytest.importorskip("safetensors.torch").save_file(trained.state_dict(), path)
    encoder = UserEncoder(Body(), frozen=True, weights=path)
    model = IntermediateFusionClassifier(encoders={"omics": encoder}, **SMALL).fit(ds)
    (weight,) = weights_of(model, "line.weight")[0].values()
    np.testing.assert_array_equal(weight, trained.line.weight.detach().numpy())
    other = UserEncoder(Body(7), output_width=7, weights=path)
    with pytest.raises(ModelFormatError, match="do not fit"):
        IntermediateFusionClassifier(encoders={"omics": other}, **SMALL).fit(ds)
    lost = UserEncoder(Body(), weights=tmp_path / "none.pt")
    with pytest.raises(ModelNotFoundError, match="none"):
        IntermediateFusionClassifier(encoders={"omics": lost}, **SMALL).fit(ds)


@pytest.mark.parametrize(
    ("encoders", "error", "words"),
    [
        ({"omics": UserEncoder(Body(), output_width=4)}, DatasetError, "omics.*4"),
        ({"omix": Body()}, UnknownModalityError, "omix.*omics"),
        ({"omics": nn.Linear(12, 3)}, DatasetError, "output_width"),
        ({"omics": UserEncoder(Body(), output_width="5")}, DatasetError, "output_width"),
        ({"omics": Body}, DatasetError, "torch.nn.Module"),
        ([Body()], DatasetError, "dict"),
    ],
    ids=["width", "name", "no width", "text", "class", "list"],
)
def test_an_encoder_that_does_not_fit_is_refused(ds, encoders, error, words):
    """The message names the modality and what is expected."""
    with pytest.raises(error, match=words):
        IntermediateFusionClassifier(encoders=encoders, **SMALL).fit(ds)


def test_a_model_with_a_users_encoder_asks_for_it_when_loaded(ds, tmp_path):
    """A file holds weights and no code."""
    model = AttentionFusionClassifier(encoders={"omics": Body()}, **SMALL).fit(ds)
    model.save(tmp_path / "m.fusewise")
    with pytest.raises(ModelFormatError, match="omics"):
        load(tmp_path / "m.fusewise")
    again = load(tmp_path / "m.fusewise", encoders={"omics": Body()})
    np.testing.assert_array_equal(again.predict_proba(ds), model.predict_proba(ds))
    with pytest.raises(ModelFormatError):
        load(tmp_path / "m.fusewise", encoders={"omics": Body(7)}).predict_proba(ds)


def test_an_encoder_that_gives_nan_is_named(ds):
    """Training stops at once and says whose fault it was."""

    class Broken(Body):
        def forward(self, values):
            return super().forward(values) * torch.nan

    with pytest.raises(TrainingError, match="omics"):
        IntermediateFusionClassifier(encoders={"omics": Broken()}, **SMALL).fit(ds)


class Brittle(Body):
    """Gives NaN while nothing is learned: for rows outside, or only when asked to predict."""

    def __init__(self, only_predicting):
        super().__init__()
        self.only_predicting = only_predicting

    def forward(self, values):
        ill = values.dtype == torch.float64 if self.only_predicting else not self.training
        return super().forward(values) * (torch.nan if ill else 1.0)


def test_nan_outside_the_training_rows_stops_the_fit(ds):
    """A loss that is no number stops no training."""
    model = IntermediateFusionClassifier(encoders={"omics": Brittle(False)}, **SMALL)
    with pytest.raises(TrainingError, match="rows that stop it.*'omics'"):
        model.fit(ds)
    assert not hasattr(model, "networks_")


def test_nan_is_never_predicted(ds):
    """It is refused by the names of the sample and of the encoder."""
    model = IntermediateFusionClassifier(encoders={"omics": Brittle(True)}, **SMALL).fit(ds)
    with pytest.raises(DatasetError, match=r"NaN for \d+ of 80 samples.*omics"):
        model.predict_proba(ds)
    without = ds.without("omics")
    assert np.isfinite(model.predict_proba(without[without.presence.any(axis=1)])).all()


# Attention weights -------------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", ["hierarchical", "cross", "temporal"])
def test_attention_weights_are_shares_of_what_is_there(ds, mechanism):
    """They sum to 1 per sample and head, and absent modalities do not occur."""
    model = AttentionFusionClassifier(mechanism=mechanism, **SMALL).fit(ds)
    frame = model.attention_weights(ds)
    assert list(frame) == ["id", "head", "modality", "time", "weight"]
    assert (frame["weight"] >= 0).all()
    sums = frame.groupby(["id", "head"])["weight"].sum()
    np.testing.assert_allclose(sums, 1, atol=1e-9)
    assert set(frame["id"]) == set(ds.ids)
    present = dict(zip(ds.ids, ds.presence, strict=True))
    for (i, modality), _ in frame.groupby(["id", "modality"]):
        assert modality == "(learned)" or present[i][ds.modalities.index(modality)]
    assert frame.loc[frame["modality"].isin(["static", "omics", "(learned)"]), "time"].isna().all()
    assert frame.loc[frame["modality"] == "monitor", "time"].between(0, 4).all()


def test_attention_weights_of_repeated_and_of_no_samples(ds, fitted):
    """A sample that is asked for twice is told twice; nobody, in a frame without rows."""
    frame = fitted.attention_weights(ds[[0, 0, 1]])
    once = fitted.attention_weights(ds[[0]])
    assert (frame["id"] == ds.ids[0]).sum() == 2 * len(once)
    nobody = fitted.attention_weights(ds[:0])
    assert list(nobody) == list(once)
    assert len(nobody) == 0
    with pytest.raises(EmptySampleError):
        fitted.attention_weights(ds[:2].with_presence(np.zeros((2, 3), dtype=bool)))


# Data that is odd --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ALL)
def test_no_sample_and_one_sample_are_answered(kind):
    """Shapes hold for batches of any size."""
    task = "binary" if hasattr(kind, "predict_proba") else "regression"
    ds = make_dataset(task, n_samples=40)
    model = kind(**SMALL | {"max_epochs": 1}).fit(ds)
    assert model.predict(ds[:0]).shape == (0,)
    assert model.predict(ds[[3]]).shape == (1,)
    if task == "binary":
        assert model.predict_proba(ds[:0]).shape == (0, 2)


@pytest.mark.parametrize("kind", BOTH)
def test_a_class_that_some_network_never_meets_is_refused(kind):
    """A single sample of a class cannot both teach and check."""
    rng = np.random.default_rng(0)
    y = np.array(["no", "yes"] * 15 + ["rare"], dtype=object)
    ds = two_tables(*rng.normal(size=(2, 31, 2)), y)
    with pytest.raises(DatasetError, match="'rare' has 1 sample"):
        kind(**SMALL).fit(ds)


def test_a_modality_that_nobody_has_is_warned_about_or_refused(ds):
    """By default the model does without; `unseen` makes it an error."""
    X = ds.with_presence(ds.presence & (np.array(ds.modalities) != "omics"))
    X = X[X.presence.any(axis=1)]
    with pytest.warns(FusewiseWarning, match="no training sample has omics"):
        model = IntermediateFusionClassifier(**SMALL).fit(X)
    assert model.modalities_ == ("monitor", "static")
    with pytest.warns(FusewiseWarning), pytest.raises(DatasetError, match="omics.*unseen"):
        IntermediateFusionClassifier(unseen="refuse", **SMALL).fit(X)


@pytest.mark.parametrize("kind", ALL)
def test_targets_that_cannot_be_learned_are_refused(kind):
    """Gaps, infinity, one class: said before anything is trained."""
    classifier = hasattr(kind, "predict_proba")
    ds = make_dataset("binary" if classifier else "regression", n_samples=40)
    y = ds.target.astype(float)
    for bad, words in ((np.nan, "no target"), (np.inf, "infinity")):
        with pytest.raises(TaskError, match=words):
            kind(**SMALL).fit(ds, np.where(np.arange(40) == 3, bad, y))
    if classifier:
        with pytest.raises(TaskError, match="one class"):
            kind(**SMALL).fit(ds, np.zeros(40, dtype=int))
    with pytest.raises(DatasetError, match="too few"):
        kind(**SMALL).fit(ds[:1])


@pytest.mark.parametrize("kind", BOTH)
def test_empty_columns_lists_and_lone_modalities_are_no_obstacle(kind):
    """A column without a value, a column of lists, and a modality without either."""
    rng = np.random.default_rng(0)
    n = 40
    table = pd.DataFrame({"id": range(n), "x": rng.normal(size=n), "nothing": np.nan})
    lists = pd.DataFrame({"id": range(n), "v": list(rng.normal(size=(n, 3)))})
    bare = pd.DataFrame({"id": range(n), "z": np.full(n, np.nan)})
    samples = pd.DataFrame({"id": range(n), "y": rng.integers(0, 2, n), "has": True})
    ds = MultimodalDataset(
        {"table": table, "lists": lists, "bare": Modality(bare, present="has")},
        samples=samples,
        id="id",
        target="y",
    )
    with pytest.warns(FusewiseWarning, match="bare"):
        model = kind(**SMALL).fit(ds)
    assert model.modalities_ == ("lists", "table")
    assert np.isfinite(model.predict_proba(ds)).all()


def test_two_samples_are_enough_for_an_amount():
    """More members than samples are not made."""
    ds = two_tables(np.array([[0.0], [1.0]]), np.array([[1.0], [np.nan]]), np.array([1.0, 2.0]))
    model = IntermediateFusionRegressor(**SMALL | {"n_members": 5}).fit(ds)
    assert len(model.networks_) == 2
    assert np.isfinite(model.predict(ds)).all()


def test_a_fit_that_fails_leaves_no_model(ds, fitted):
    """Half a model would predict."""
    model = IntermediateFusionClassifier(**SMALL).fit(ds)
    with pytest.raises(DatasetError):
        model.set_params(width=7).fit(ds)
    assert not [name for name in vars(model) if name.endswith("_")]


# Parameters --------------------------------------------------------------------------------

WRONG = {
    "n_members": [0, -1, 2.0, "2", True, None],
    "max_epochs": [0, 1.5, "5", None],
    "patience": [0, "x", None],
    "batch_size": [0, 2.5, "many", None],
    "width": [0, 6, "8", 8.0],
    "learning_rate": [0, -1, np.nan, np.inf, "fast", None],
    "weight_decay": [-1, np.inf, "x", None],
    "dropout": [-0.1, 1, np.nan, "x", None],
    "balance": ["x", 1, []],
    "unseen": ["x", None, 1, []],
    "device": ["x", "meta", None, 5, 1.5],
    "checkpoint": [5, "", True, __file__],
    "random_state": [-1, 1.5, "x"],
    "n_jobs": [0, "2", 1.5, True],
    "verbose": ["yes", None, []],
    "merge": ["x", None, 1, []],
    "mechanism": ["x", None, 1, []],
    "encoders": [5, [], {"omics": 5}],
    "deployment": [5, {"rates": {"omix": 0.5}}],
}


@pytest.mark.parametrize(
    ("name", "value"), [(n, v) for n, values in WRONG.items() for v in values], ids=repr
)
def test_wrong_values_are_refused_by_name(ds, name, value):
    """Every parameter says what it takes, before anything is trained."""
    kind = AttentionFusionClassifier if name == "mechanism" else IntermediateFusionClassifier
    with pytest.raises(ValueError, match=name) as caught:
        kind(**SMALL | {name: value}).fit(ds)
    assert type(caught.value).__module__ == "fusewise.exceptions"


@pytest.mark.parametrize("value", ["x", 5, []])
def test_wrong_maskings_are_refused(ds, value):
    """They have an error of their own."""
    with pytest.raises(MaskingError):
        AttentionFusionClassifier(masking=value, **SMALL).fit(ds)


def test_scalars_of_numpy_are_numbers(ds):
    """What a grid or a data frame hands over is taken as it is, to the same bits."""
    own = IntermediateFusionClassifier(learning_rate=0.5, **SMALL, dropout=0.25).fit(ds)
    theirs = IntermediateFusionClassifier(
        learning_rate=np.float32(0.5), n_members=np.int64(2), max_epochs=np.int32(2),
        width=np.uint8(8), batch_size=np.int16(64), dropout=np.float64(0.25),
        merge=np.str_("concatenate"), random_state=np.int64(0), n_jobs=np.int64(1),
        verbose=np.int64(0), device=np.str_("auto"),
    ).fit(ds)  # fmt: skip
    np.testing.assert_array_equal(own.predict_proba(ds), theirs.predict_proba(ds))


# Several processes -------------------------------------------------------------------------

TOGETHER = """
import sys
import numpy as np
import torch
from fusewise import IntermediateFusionClassifier
from fusewise.testing import make_dataset

torch.set_num_threads(1)
ds = make_dataset(n_samples=60)
model = IntermediateFusionClassifier(
    n_members=2, max_epochs=2, width=8, batch_size=16, dropout=0.0, n_jobs=int(sys.argv[1])
).fit(ds)
import os
np.save(f"{sys.argv[2]}/{os.environ.get('RANK', 'alone')}.npy", model.predict_proba(ds))
"""


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_processes_that_train_together_do_not_wait_for_each_other(tmp_path):
    """With `n_jobs` as well: the networks are then taken in turn, and all processes agree."""
    script = tmp_path / "together.py"
    script.write_text(TOGETHER)
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for launcher in ([sys.executable], start):
        subprocess.run(
            [*launcher, str(script), "2", str(tmp_path)], env=env, check=True, timeout=200,
            capture_output=True,
        )  # fmt: skip
    alone, first, second = (np.load(tmp_path / f"{n}.npy") for n in ("alone", "0", "1"))
    np.testing.assert_allclose(first, second, atol=1e-7)
    # Which events are hidden is drawn by each process for itself.
    np.testing.assert_allclose(first, alone, atol=0.1)
