"""The learned strategies keep the laws, and broken copies of them are seen to break their own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from torch import nn

from fusewise import (
    AttentionFusionClassifier,
    AttentionFusionRegressor,
    IntermediateFusionClassifier,
    IntermediateFusionRegressor,
    UserEncoder,
)
from fusewise.fusion.attention import MECHANISM_NAMES
from fusewise.fusion.intermediate import MERGE_NAMES
from fusewise.nn import TableRows
from fusewise.testing import LAWS, LawViolation, check_fusion_estimator, make_dataset

SMALL = {"n_members": 2, "max_epochs": 2, "width": 8, "batch_size": 64}
LEAST = SMALL | {"n_members": 1, "max_epochs": 1}
ABOUT_ABSENCE = (1, 2, 4, 5, 9)
REST = tuple(sorted(set(LAWS) - set(ABOUT_ABSENCE)))
LOG = {"patterns": {"static": 1, "static+omics": 1, "monitor+omics+static": 2}}

CLASSIFIERS = {
    **{merge: IntermediateFusionClassifier(merge=merge, **SMALL) for merge in MERGE_NAMES},
    **{kind: AttentionFusionClassifier(mechanism=kind, **SMALL) for kind in MECHANISM_NAMES},
}
REGRESSORS = {
    **{merge: IntermediateFusionRegressor(merge=merge, **SMALL) for merge in MERGE_NAMES},
    **{kind: AttentionFusionRegressor(mechanism=kind, **SMALL) for kind in MECHANISM_NAMES},
}
VARIANTS = {
    "merge chosen": IntermediateFusionClassifier(merge="auto", **SMALL),
    "one member": IntermediateFusionClassifier(**SMALL | {"n_members": 1}),
    "no masking": AttentionFusionClassifier(masking=None, **SMALL),
    "curriculum": AttentionFusionClassifier(masking="curriculum", **SMALL),
    "masked as deployed": IntermediateFusionClassifier(
        masking="deployment", deployment=LOG, **SMALL
    ),
    "checked as deployed": AttentionFusionClassifier(deployment=LOG, **SMALL),
    "balanced": IntermediateFusionClassifier(balance="modulated", **SMALL),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_way_of_joining_keeps_the_laws_about_absence(name):
    """Absence is neither read nor worked on, whatever joins the modalities."""
    model = clone(CLASSIFIERS[name]).set_params(**LEAST)
    check_fusion_estimator(model, dataset=make_dataset(n_samples=60), laws=ABOUT_ABSENCE)


@pytest.mark.parametrize("name", ["concatenate", "hierarchical"])
def test_regressors_keep_the_laws_about_absence(name):
    """Amounts as well as classes."""
    model = clone(REGRESSORS[name]).set_params(**LEAST)
    ds = make_dataset("regression", n_samples=60)
    check_fusion_estimator(model, dataset=ds, laws=ABOUT_ABSENCE)


@pytest.mark.parametrize(
    "model",
    [CLASSIFIERS["concatenate"], REGRESSORS["hierarchical"]],
    ids=lambda m: type(m).__name__,
)
def test_the_other_laws_are_kept(model):
    """Order, seeds, files, and scikit-learn's tools."""
    task = "binary" if hasattr(model, "predict_proba") else "regression"
    model = clone(model).set_params(**LEAST)
    check_fusion_estimator(model, dataset=make_dataset(task, n_samples=70), laws=REST)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_everything_keeps_every_law(name, task):
    """All ways of joining, all tasks, all ten laws."""
    models = REGRESSORS if task == "regression" else CLASSIFIERS
    check_fusion_estimator(models[name], dataset=make_dataset(task, n_samples=120))


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_variants_keep_every_law(name):
    """Maskings, deployments, balance and the choice of a merge change no law."""
    check_fusion_estimator(VARIANTS[name], dataset=make_dataset(n_samples=120))


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [IntermediateFusionClassifier(), AttentionFusionClassifier(), AttentionFusionRegressor()],
    ids=lambda m: type(m).__name__,
)
def test_the_defaults_keep_the_laws_about_absence(model):
    """What a user gets who says nothing."""
    check_fusion_estimator(model, laws=ABOUT_ABSENCE)


def test_three_classes_keep_the_laws_about_absence():
    """Classes that are words, more than two."""
    ds = make_dataset("multiclass", n_samples=90)
    model = clone(CLASSIFIERS["gated"]).set_params(max_epochs=1)
    check_fusion_estimator(model, dataset=ds, laws=(1, 2, 4, 9))


def _kept(presence, rates, seed):
    return presence & (np.random.default_rng(seed).random(presence.shape) < rates)


@settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 10_000),
    rates=st.lists(st.floats(0.35, 1.0), min_size=3, max_size=3),
    name=st.sampled_from(sorted(CLASSIFIERS)),
)
def test_the_laws_hold_under_random_presence(seed, rates, name):
    """Whatever the presence, absence is neither read nor worked on."""
    ds = make_dataset(n_samples=80, random_state=seed)
    ds = ds.with_presence(_kept(ds.presence, rates, seed))
    ds = ds[ds.presence.any(axis=1)]
    model = clone(CLASSIFIERS[name]).set_params(**LEAST)
    check_fusion_estimator(model, dataset=ds, laws=(1, 2, 4, 9), random_state=seed)


@pytest.fixture(scope="module")
def fitted():
    ds = make_dataset(n_samples=90)
    return ds, {name: model.fit(ds) for name, model in CLASSIFIERS.items()}


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10_000), rates=st.lists(st.floats(0.0, 1.0), min_size=3, max_size=3))
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_any_pattern_alone_or_in_any_batch_has_one_answer(fitted, name, seed, rates):
    """A prediction is that of the sample and its pattern, in whatever batch it comes."""
    ds, models = fitted
    X = ds.with_presence(_kept(ds.presence, rates, seed))
    X = X[models[name].answerable(X)]
    if len(X) == 0:
        return
    together = models[name].predict_proba(X)
    assert np.isfinite(together).all()
    np.testing.assert_allclose(together.sum(axis=1), 1, atol=1e-9)
    row = seed % len(X)
    np.testing.assert_allclose(models[name].predict_proba(X[[row]])[0], together[row], atol=1e-9)


# One broken copy per way to break a law ----------------------------------------------------


class ReadsTheStore(IntermediateFusionClassifier):
    """1: a statistic comes from every stored row, masked ones included."""

    def _fit(self, X, y, weight):
        super()._fit(X, y, weight)
        stored = X._store.blocks["monitor"].value if "monitor" in X.modalities else np.zeros(1)
        self.level_ = float(np.nanmean(stored))

    def _outputs(self, X):
        return super()._outputs(X) + np.array([0.0, 1 / (1 + np.exp(-self.level_))])


class CountsWhatIsAbsent(AttentionFusionClassifier):
    """1: how many rows are stored under absent modalities seeds the training."""

    def _held_out(self, X, y, seed):
        seed = np.random.SeedSequence(int(X.ingestion["declared_absent"].sum()))
        return super()._held_out(X, y, seed)


class CentresItsBatch(IntermediateFusionClassifier):
    """2: the outputs of a batch are standardised together."""

    def _outputs(self, X):
        outputs = super()._outputs(X)
        return outputs - outputs.mean(axis=1, keepdims=True) if len(X) else outputs


class StandardisesItsBatch(nn.Module):
    """2: an encoder with statistics of its batch."""

    output_width = 12

    def forward(self, values):
        return values - values.mean(dim=0)


class AnswersAnything(AttentionFusionClassifier):
    """4: a sample with nothing gets an answer in silence."""

    def _answer(self, X):
        return self.presence(X)


class AbsentIsZero(IntermediateFusionClassifier):
    """9: absent tables are encoded as zeros, so an encoder works for everybody."""

    def _forward(self, batch, presence, rows, **kwargs):
        filled = {name: _filled(own) for name, own in batch.items()}
        tables = [isinstance(filled[name], TableRows) for name in self.modalities_]
        return super()._forward(filled, presence | tables, rows, **kwargs)


class AttendsToZeros(AbsentIsZero, AttentionFusionClassifier):
    """9: the same in attention."""

    __init__ = AttentionFusionClassifier.__init__
    _joinings = AttentionFusionClassifier._joinings
    _sizes = AttentionFusionClassifier._sizes


class SeedsFromOutside(IntermediateFusionClassifier):
    """7: weights are drawn from a global generator."""

    def _fit(self, X, y, weight):
        seed, self.random_state = self.random_state, int(np.random.randint(1 << 30))  # noqa: NPY002
        super()._fit(X, y, weight)
        self.random_state = seed


def _filled(own):
    """Return the rows of a table with zeros for those who have none."""
    if not isinstance(own, TableRows):
        return own

    def spread(part):
        whole = torch.zeros((own.n, *part.shape[1:]), dtype=part.dtype)
        whole[own.sample] = part
        return whole

    return replace(
        own,
        sample=torch.arange(own.n),
        values=spread(own.values),
        missing=spread(own.missing),
        codes=spread(own.codes),
    )


BROKEN = [
    (1, ReadsTheStore(**SMALL)),
    (1, CountsWhatIsAbsent(**SMALL)),
    (2, CentresItsBatch(**SMALL)),
    (2, IntermediateFusionClassifier(encoders={"omics": StandardisesItsBatch()}, **SMALL)),
    (2, AttentionFusionClassifier(encoders={"omics": StandardisesItsBatch()}, **SMALL)),
    (4, AnswersAnything(**SMALL)),
    (7, SeedsFromOutside(**SMALL)),
    (9, AbsentIsZero(**SMALL)),
    (9, AttendsToZeros(**SMALL)),
]


@pytest.mark.parametrize(
    ("law", "model"), BROKEN, ids=[f"{law}-{type(m).__name__}" for law, m in BROKEN]
)
def test_a_broken_copy_is_seen_to_break_its_law(law, model):
    """Each law notices what it is there for in networks too."""
    with pytest.raises(LawViolation) as caught:
        check_fusion_estimator(model, dataset=make_dataset(n_samples=60), laws=[law])
    assert caught.value.law == law


def test_a_users_encoder_keeps_the_laws_about_absence():
    """An encoder from outside sees only those who have its modality."""
    encoder = UserEncoder(nn.Sequential(nn.Linear(12, 5), nn.ReLU()), output_width=5, frozen=True)
    model = IntermediateFusionClassifier(encoders={"omics": encoder}, **SMALL)
    check_fusion_estimator(model, dataset=make_dataset(n_samples=60), laws=(1, 2, 9))
