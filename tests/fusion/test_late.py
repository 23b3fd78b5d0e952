"""Late fusion: experts learn from all that have their modality and run for no others."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline

from fusewise.data import MultimodalDataset
from fusewise.exceptions import (
    DatasetError,
    EmptySampleError,
    FusewiseWarning,
    TaskError,
    UnknownModalityError,
)
from fusewise.fusion import LateFusionClassifier, LateFusionRegressor
from fusewise.fusion.choose import fit_combiner
from fusewise.simulate import make_cohort
from tests.fusion.cohorts import small_dataset


class CountingForest(RandomForestClassifier):
    """A forest that remembers how many rows it was fitted on and asked for."""

    asked: list[int] = []

    def fit(self, X, y, sample_weight=None):
        self.n_rows_ = len(X)
        return super().fit(X, y, sample_weight)

    def predict_proba(self, X):
        CountingForest.asked.append(len(X))
        return super().predict_proba(X)


@pytest.fixture(scope="module")
def data():
    return small_dataset()


@pytest.fixture(scope="module")
def model(data):
    return LateFusionClassifier().fit(data[:180])


def test_late_fusion_comes_near_the_bayes_score_in_every_pattern():
    """On an additive cohort the AUROC of each pattern is near that of the true posterior."""
    cohort = make_cohort(
        4000,
        4000,
        modalities={"a": 4, "b": 8},
        availability={"a": 0.8, "b": 0.6},
        random_state=0,
    )
    model = LateFusionClassifier().fit(cohort.train)
    got = model.predict_proba(cohort.test)[:, 1]
    bayes = cohort.bayes_proba(cohort.test)[:, 1]
    for pattern in np.unique(cohort.test.pattern.astype(str)):
        rows = cohort.test.pattern == pattern
        y = cohort.test.target[rows]
        assert roc_auc_score(y, got[rows]) > roc_auc_score(y, bayes[rows]) - 0.02


def test_an_expert_learns_from_every_sample_that_has_its_modality(data):
    """Rows of an expert are the present samples, not the complete cases."""
    forest = CountingForest(n_estimators=3)
    model = LateFusionClassifier(experts={"omics": forest}, combiner="mean").fit(data)
    present = int(data.presence[:, data.modalities.index("omics")].sum())
    assert model.experts_["omics"].model.n_rows_ == present
    assert present > int(data.presence.all(axis=1).sum())


def test_an_absent_expert_is_not_run(data):
    """Prediction asks an expert for exactly the samples that have its modality."""
    model = LateFusionClassifier(
        experts={"omics": CountingForest(n_estimators=3)}, combiner="mean"
    ).fit(data)
    CountingForest.asked.clear()
    model.predict_proba(data[:50])
    assert sum(CountingForest.asked) == int(data[:50].only("omics").presence.sum())
    CountingForest.asked.clear()
    alone = data.without("omics")
    model.predict_proba(alone[alone.presence.any(axis=1)])
    assert CountingForest.asked == []


def test_parallel_fits_give_the_same_bits(data, model):
    """The number of parallel jobs has no effect on any bit."""
    parallel = LateFusionClassifier(n_jobs=2).fit(data[:180])
    test = data[180:]
    test = test[model.answerable(test)]
    assert (model.predict_proba(test) == parallel.predict_proba(test)).all()


def test_a_group_shares_one_expert(data):
    """Grouped modalities are one expert that answers where any member is present."""
    model = LateFusionClassifier(groups={"body": ["clinic", "wearable"]}).fit(data)
    assert model.members_ == {"body": ("clinic", "wearable"), "omics": ("omics",)}
    only = data.only("wearable")
    proba = model.predict_proba(only[only.presence.any(axis=1)])
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)


def test_regression_beats_the_mean(data):
    """The joined amounts explain the target, from any single modality and from all."""
    amounts = small_dataset(task="regression")
    model = LateFusionRegressor().fit(amounts[:160])
    test = amounts[160:]
    test = test[model.answerable(test)]
    assert model.score(test) > 0.3
    for name in test.modalities:
        one = test.only(name)
        one = one[one.presence.any(axis=1)]
        assert model.score(one) > -0.2


def test_multiclass_with_text_labels():
    """Classes may be text and come back as they were."""
    data = small_dataset(task="multiclass")
    model = LateFusionClassifier().fit(data[:180])
    test = data[180:]
    test = test[model.answerable(test)]
    assert set(model.predict(test)) <= {"low", "middle", "top"}
    assert model.predict_proba(test).shape == (len(test), 3)
    assert model.score(test) > 0.5


def test_sample_weights_of_zero_are_samples_left_out_of_the_prior(data):
    """Weighting one class up raises its predicted probability."""
    up = np.where(data.target == 1, 5.0, 1.0)
    kept = data[data.presence.any(axis=1)]
    plain = LateFusionClassifier(combiner="mean").fit(data).predict_proba(kept)[:, 1]
    heavy = LateFusionClassifier(combiner="mean").fit(data, sample_weight=up)
    assert heavy.predict_proba(kept)[:, 1].mean() > plain.mean() + 0.1


def test_validation_rows_stop_boosting_and_are_never_predicted_out_of_fold(data):
    """Flagged rows leave the folds; the fit still works and answers."""
    flags = np.arange(len(data)) % 5 == 0
    model = LateFusionClassifier().fit(data.with_validation(flags))
    assert np.isfinite(model.predict_proba(data[model.answerable(data)])).all()


def test_an_expert_that_takes_no_nan_says_so(data):
    """An expert that cannot take empty cells is refused with the remedy."""
    with pytest.raises(DatasetError, match="Put an imputer before it"):
        LateFusionClassifier(experts={"clinic": LogisticRegression()}).fit(data)


def test_the_remedy_helps(data):
    """The same expert behind an imputer is taken."""
    behind = make_pipeline(SimpleImputer(), LogisticRegression())
    model = LateFusionClassifier(experts=behind).fit(data)
    assert np.isfinite(model.predict_proba(data[model.answerable(data)])).all()


def test_bad_settings_are_named(data):
    """Unknown experts, combiners and calibrations are named with what is expected."""
    with pytest.raises(UnknownModalityError, match="Did you mean 'omics'"):
        LateFusionClassifier(experts={"omic": RandomForestClassifier()}).fit(data)
    with pytest.raises(DatasetError, match="combiner must be"):
        LateFusionClassifier(combiner="median").fit(data)
    with pytest.raises(DatasetError, match="calibration must be"):
        LateFusionClassifier(calibration="platt").fit(data)
    with pytest.raises(DatasetError, match="stands in two groups"):
        LateFusionClassifier(groups={"a": ["omics"], "b": ["omics", "clinic"]}).fit(data)


def test_bad_data_is_refused(data):
    """One class, no target, a wrong container, an empty sample: each says what is wrong."""
    with pytest.raises(TaskError, match="one class only"):
        LateFusionClassifier().fit(data[data.target == 1])
    with pytest.raises(DatasetError, match="expected a MultimodalDataset, got DataFrame"):
        LateFusionClassifier().fit(pd.DataFrame({"a": [1]}), [1])
    with pytest.raises(DatasetError, match="too few"):
        LateFusionClassifier().fit(data[:1])
    model = LateFusionClassifier(combiner="mean").fit(data)
    empty = data[:5].with_presence(np.zeros((5, 3), dtype=bool))
    with pytest.raises(EmptySampleError, match="answerable"):
        model.predict(empty)
    assert not model.answerable(empty).any()


def test_a_modality_that_no_training_sample_has_is_told(data):
    """It is named in a warning; samples that have nothing else cannot be answered."""
    column = data.modalities.index("omics")
    without = data[~data.presence[:, column]]
    with pytest.warns(FusewiseWarning, match="no training sample has omics"):
        model = LateFusionClassifier(combiner="mean").fit(without)
    only = data.only("omics")
    assert not model.answerable(only).any()


def test_without_a_target_y_must_be_given(data):
    """A dataset without target needs y, and works with it."""
    samples = pd.DataFrame({"id": data.ids})
    table = pd.DataFrame({"id": data.ids, "x": (data.target == 1) * 1.0})
    bare = MultimodalDataset({"a": table}, samples=samples, id="id")
    with pytest.raises(DatasetError, match="no target"):
        LateFusionClassifier().fit(bare)
    model = LateFusionClassifier().fit(bare, data.target)
    assert (model.predict(bare) == data.target).mean() > 0.95


def test_samples_of_a_cluster_are_no_independent_evidence_for_a_combiner(data, monkeypatch):
    """The table that a combiner is chosen on numbers clusters, and a bootstrap's samples once."""
    import fusewise.fusion.late as module

    tables = []

    def keep(table, *rest):
        tables.append(table)
        return fit_combiner(table, *rest)

    monkeypatch.setattr(module, "fit_combiner", keep)
    late = LateFusionClassifier(experts=RandomForestClassifier(n_estimators=3), n_folds=2)
    kept = data[data.presence.any(axis=1)]
    late.fit(kept)
    assert len(np.unique(tables[-1].sample)) == len(np.unique(kept.cluster))


def test_a_combiner_learns_where_only_validation_rows_look_like_deployment():
    """Weights of zero on every sample of the folds are none; the fit goes on."""
    n = 80
    rng = np.random.default_rng(0)
    samples = pd.DataFrame({"id": np.arange(n), "y": np.arange(n) % 2})
    flagged = np.arange(n) < 20
    table = pd.DataFrame({"id": np.arange(n), "x": rng.normal(size=n)})
    ds = MultimodalDataset(
        {"a": table, "b": table[~flagged]}, samples=samples, id="id", target="y", task="binary"
    ).with_validation(flagged)
    late = LateFusionClassifier(
        experts=RandomForestClassifier(n_estimators=3), deployment={"patterns": {"a": 1}}
    )
    assert np.isfinite(late.fit(ds).predict_proba(ds)).all()
