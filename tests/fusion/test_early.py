"""Early fusion: absence carried as NaN, refused or imputed; never a silent zero."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import roc_auc_score

from fusewise.data import Deployment, MultimodalDataset
from fusewise.exceptions import ColumnNotFoundError, DatasetError, MaskingError
from fusewise.fusion import (
    BoostedTreesClassifier,
    EarlyFusionClassifier,
    EarlyFusionRegressor,
    Masking,
    PresenceOnlyClassifier,
)
from fusewise.simulate import make_cohort
from tests.fusion.cohorts import small_dataset


@pytest.fixture(scope="module")
def data():
    return small_dataset()


def test_early_fusion_sees_what_no_modality_shows_alone():
    """On an XOR of two modalities early fusion succeeds where each alone is chance."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3000))
    frame = pd.DataFrame({"id": np.arange(3000), "y": (a * b > 0).astype(int)})
    ds = MultimodalDataset(
        {
            "a": pd.DataFrame({"id": frame["id"], "a": a}),
            "b": pd.DataFrame({"id": frame["id"], "b": b}),
        },
        samples=frame,
        id="id",
        target="y",
    )
    model = EarlyFusionClassifier().fit(ds[:2000])
    assert roc_auc_score(ds[2000:].target, model.predict_proba(ds[2000:])[:, 1]) > 0.9
    alone = ds[2000:].only("a")
    assert abs(roc_auc_score(alone.target, model.predict_proba(alone)[:, 1]) - 0.5) < 0.1


def test_masking_lets_early_fusion_degrade_gracefully():
    """Where one modality makes the others redundant, only masking teaches to do without it."""
    rng = np.random.default_rng(0)
    latent = rng.normal(size=3000)
    samples = pd.DataFrame({"id": np.arange(3000), "y": (latent > 0).astype(int)})
    noise = {"clean": 0.1, "fair": 0.8, "poor": 1.2}
    ds = MultimodalDataset(
        {
            name: pd.DataFrame({"id": samples["id"], name: latent + sd * rng.normal(size=3000)})
            for name, sd in noise.items()
        },
        samples=samples,
        id="id",
        target="y",
    )
    withheld = ds[2000:].without("clean")

    def score(masking):
        model = EarlyFusionClassifier(masking=masking).fit(ds[:2000])
        return roc_auc_score(withheld.target, model.predict_proba(withheld)[:, 1])

    assert score(Masking("uniform", rate=0.5)) > score(None) + 0.03


def test_no_block_takes_over_by_its_width():
    """Every modality's block has the same total variance over its present cells."""
    model = EarlyFusionRegressor(Ridge(), absent="impute").fit(small_dataset(task="regression"))
    X = small_dataset(task="regression")
    matrix = model._matrix(X[model.answerable(X)])
    start = 0
    for name in model.modalities_:
        width = model.n_features_[name]
        present = model.presence(X[model.answerable(X)])[:, model.modalities_.index(name)]
        total = matrix[present, start : start + width].var(axis=0).sum()
        assert 0.5 < total < 1.2
        start += width


def test_absence_can_be_refused_or_imputed(data):
    """Refusing raises on incomplete samples; imputing takes any scikit-learn model."""
    with pytest.raises(DatasetError, match="lack a modality"):
        EarlyFusionClassifier(absent="refuse").fit(data)
    complete = data[data.presence.all(axis=1)]
    model = EarlyFusionClassifier(absent="refuse").fit(complete)
    with pytest.raises(DatasetError, match="lack a modality"):
        model.predict(data[data.presence.sum(axis=1) == 1])
    imputed = EarlyFusionClassifier(LogisticRegression(), absent="impute").fit(data)
    assert imputed.score(data[imputed.answerable(data)]) > 0.7


def test_a_model_that_takes_no_nan_is_refused_with_the_remedy(data):
    """The message names the model and the three ways out."""
    with pytest.raises(DatasetError, match="LogisticRegression does not take NaN"):
        EarlyFusionClassifier(LogisticRegression()).fit(data)
    EarlyFusionClassifier(RandomForestClassifier(n_estimators=5)).fit(data)


def test_bad_settings_are_named(data):
    """Wrong values of absent and masking say what is expected."""
    with pytest.raises(DatasetError, match="absent must be one of"):
        EarlyFusionClassifier(absent="zero").fit(data)
    with pytest.raises(MaskingError, match="needs the deployment"):
        EarlyFusionClassifier(masking="deployment").fit(data)
    complete = data[data.presence.all(axis=1)]
    with pytest.raises(DatasetError, match="does not accept"):
        EarlyFusionClassifier(absent="refuse", masking="uniform").fit(complete)


def test_deployment_masking_trains(data):
    """Declared rates drive the masked copies."""
    model = EarlyFusionClassifier(
        masking="deployment", deployment=Deployment.of({"clinic": 0.5, "omics": 0.3})
    )
    assert model.fit(data).score(data[model.answerable(data)]) > 0.7


def test_a_column_that_does_not_come_is_named(data):
    """A table that lacks a fitted column is refused, with the column."""
    model = EarlyFusionClassifier().fit(data)
    other = MultimodalDataset(
        {"clinic": pd.DataFrame({"id": [1], "ages": [1.0], "bmi": [2.0], "stage": ["early"]})},
        samples=pd.DataFrame({"id": [1]}),
        id="id",
    )
    with pytest.raises(ColumnNotFoundError, match="did not come: age.*Did you mean 'ages'"):
        model.predict(other)


def test_boosting_stops_where_the_inner_loss_is_lowest():
    """On pure noise early stopping keeps few trees; on signal it keeps many more."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 5))
    noise = BoostedTreesClassifier().fit(X, rng.integers(0, 2, 2000)).n_iter_
    signal = BoostedTreesClassifier().fit(X, (X[:, 0] + X[:, 1] > 0).astype(int)).n_iter_
    assert noise < 100 and signal > 3 * noise


def test_the_presence_only_model_finds_a_shortcut_and_nothing_else():
    """It scores well where presence tells the target, and at chance where it does not."""
    informative = make_cohort(
        3000,
        3000,
        modalities=2,
        availability=None,
        random_state=2,
    )
    rng = np.random.default_rng(0)
    y = informative.train.target
    keep = np.ones(informative.train.shape, dtype=bool)
    keep[:, 1] = rng.random(len(y)) < np.where(y == 1, 0.9, 0.3)
    shortcut = informative.train.with_presence(keep)
    model = PresenceOnlyClassifier().fit(shortcut[:2000])
    test = shortcut[2000:]
    assert roc_auc_score(test.target, model.predict_proba(test)[:, 1]) > 0.75
    chance = PresenceOnlyClassifier().fit(informative.train[:2000])
    got = chance.predict_proba(informative.train[2000:])[:, 1]
    assert roc_auc_score(y[2000:], got) == pytest.approx(0.5, abs=0.05)
