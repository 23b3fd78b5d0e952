"""Inputs at the edge of what can be learned from: each fits, or says what is wrong with it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.svm import SVC

from fusewise.data import Modality, MultimodalDataset
from fusewise.exceptions import (
    DatasetError,
    EmptySampleError,
    FusewiseWarning,
    TaskError,
    UnknownModalityError,
)
from fusewise.fusion import (
    EarlyFusionClassifier,
    EarlyFusionRegressor,
    LateFusionClassifier,
    LateFusionRegressor,
)

SMALL = {"n_estimators": 8, "num_leaves": 4, "min_child_samples": 3, "verbose": -1, "n_jobs": 1}
EARLY = EarlyFusionClassifier(LGBMClassifier(**SMALL))
LATE = LateFusionClassifier(experts=LGBMClassifier(**SMALL), n_folds=2, combiner="mean")
CLASSIFIERS = pytest.mark.parametrize("model", [EARLY, LATE], ids=["early", "late"])
REGRESSORS = pytest.mark.parametrize(
    "model",
    [
        EarlyFusionRegressor(LGBMRegressor(**SMALL)),
        LateFusionRegressor(experts=LGBMRegressor(**SMALL), n_folds=2),
    ],
    ids=["early", "late"],
)


def dataset(n: int = 60, *, lacks=None, edit=None, tables=None, **columns) -> MultimodalDataset:
    """Three tables ``a``, ``b``, ``c`` of noise; `edit` changes one before it is read."""
    rng = np.random.default_rng(0)
    samples = pd.DataFrame({"id": np.arange(n), "y": np.arange(n) % 2, **columns})
    read = {}
    for name in "abc":
        frame = pd.DataFrame(rng.normal(size=(n, 2)), columns=[f"{name}0", f"{name}1"])
        frame.insert(0, "id", samples["id"])
        frame = edit(name, frame) if edit else frame
        read[name] = frame[~np.isin(frame["id"], (lacks or {}).get(name, []))]
    cluster = "cluster" if "cluster" in columns else None
    return MultimodalDataset(
        read | (tables or {}), samples=samples, id="id", target="y", task="binary", cluster=cluster
    )


@CLASSIFIERS
def test_a_sample_of_weight_zero_is_a_sample_left_out(model):
    """Weighting samples with zero gives the bits of a fit without them."""
    ds = dataset(lacks={"b": range(20)})
    kept = np.arange(60) >= 15
    without = model.fit(ds[kept]).predict_proba(ds)
    assert (model.fit(ds, sample_weight=kept * 1.0).predict_proba(ds) == without).all()
    alone = model.fit(ds, sample_weight=(~ds.presence[:, 1]) * 1.0)
    assert "b" not in alone.modalities_
    with pytest.raises(DatasetError, match="weight of zero"):
        model.fit(ds, sample_weight=np.zeros(60))


@CLASSIFIERS
@pytest.mark.parametrize("nothing", [None, np.nan, pd.NA])
def test_an_unknown_class_is_refused(model, nothing):
    """A target with gaps is named as such."""
    with pytest.raises(TaskError, match="1 of 60 samples have no"):
        model.fit(dataset(), np.array([nothing, *["x", "y"] * 29, "x"], dtype=object))


@REGRESSORS
def test_amounts_that_are_none_are_refused(model):
    """Gaps, infinity and text are no amounts, also where the text spells a number."""
    numbers = np.linspace(0, 1, 60)
    for bad in (None, np.nan, pd.NA, np.inf):
        with pytest.raises(TaskError, match="infinity|no target"):
            model.fit(dataset(), np.array([bad, *numbers[1:]], dtype=object))
    with pytest.raises(TaskError, match="must hold numbers"):
        model.fit(dataset(), numbers.astype(str))


@CLASSIFIERS
def test_scoring_without_a_truth_says_so(model):
    """A dataset without a target cannot be scored on its own."""
    ds = dataset()
    bare = MultimodalDataset(
        {"a": ds.features("a")[1].assign(id=ds.ids)}, samples=pd.DataFrame({"id": ds.ids}), id="id"
    )
    with pytest.raises(DatasetError, match=r"score: the dataset has no target"):
        model.fit(ds).score(bare)


@CLASSIFIERS
def test_events_that_come_as_a_table_are_refused(model):
    """A modality of another kind than in training is an error, not a sample without events."""
    events = pd.DataFrame(
        {"id": np.arange(60), "time": 1.0, "variable": "hr", "value": np.arange(60) * 1.0}
    )
    kind = Modality(events, kind="events", time="time", variable="variable", value="value")
    fitted = model.fit(dataset(tables={"c": kind}))
    with pytest.raises(DatasetError, match="modality 'c': it was events in training, .* a table"):
        fitted.predict(dataset())


@CLASSIFIERS
def test_a_modality_without_a_feature_is_not_known(model):
    """Free text alone teaches nothing: the modality is named, and nothing is predicted from it."""
    text = pd.DataFrame({"id": np.arange(60), "note": [f"note {i}" for i in range(60)]})
    ds = dataset(tables={"b": text})
    with pytest.warns(FusewiseWarning, match="b has no feature"):
        fitted = model.fit(ds)
    assert fitted.modalities_ == ("a", "c")
    assert np.isfinite(fitted.predict_proba(ds)).all()
    with pytest.raises(EmptySampleError):
        fitted.predict(ds.only("b"))
    with (
        pytest.warns(FusewiseWarning, match="says nothing"),
        pytest.raises(DatasetError, match="no modality has a feature"),
    ):
        model.fit(ds.only("b"))


def test_a_column_that_is_empty_in_training_reaches_no_brought_model():
    """scikit-learn's boosting does not bear a column of NaN only; it is given a constant one."""

    def edit(name, frame):
        frame[f"{name}1"] = np.where(frame["id"] == 7, 1.0, np.nan) if name == "a" else np.nan
        return frame

    ds = dataset(edit=edit)
    boosting = HistGradientBoostingClassifier(max_iter=3)
    for model in (
        EarlyFusionClassifier(boosting),
        LateFusionClassifier(experts=boosting, combiner="mean"),
    ):
        assert np.isfinite(model.fit(ds).predict_proba(ds)).all()


@pytest.mark.parametrize("n", [2, 3, 4])
def test_two_samples_are_enough(n):
    """The defaults fit two samples, of either task; the modality of one may get no expert."""
    ds = dataset(n)
    for model in (EarlyFusionClassifier(), LateFusionClassifier()):
        assert np.isfinite(model.fit(ds).predict_proba(ds)).all()
    for model in (EarlyFusionRegressor(), LateFusionRegressor()):
        assert np.isfinite(model.fit(ds, np.arange(n) * 1.5).predict(ds)).all()


def test_a_bootstrap_of_few_samples_fits():
    """Repeated samples are no independent ones: the folds are as many as there are samples."""
    ds = dataset()[np.array([0, 1, 2] * 20)]
    assert np.isfinite(LATE.set_params(n_folds=5).fit(ds).predict_proba(ds)).all()


def test_groups_that_make_no_sense_are_refused():
    """A group may neither take a modality's name, nor hold an unknown one, nor be a bare name."""
    ds = dataset()

    def fit(groups, **params):
        LateFusionClassifier(groups=groups, **params).fit(ds)

    with pytest.raises(DatasetError, match="group 'c' has the name of a modality"):
        fit({"c": ["a", "b"]})
    with pytest.raises(UnknownModalityError, match="groups name 'zebra'"):
        fit({"g": ["a", "zebra"]})
    with pytest.raises(DatasetError, match="list of modalities"):
        fit({"g": "ab"})
    with pytest.raises(DatasetError, match="groups must be a dict"):
        fit(["a", "b"])
    with pytest.raises(DatasetError, match="'a' is in the group 'g'"):
        fit({"g": ["a", "b"]}, experts={"a": LogisticRegression()})


def test_an_expert_of_a_modality_that_nobody_has_is_no_mistake():
    """In a fold without a rare modality the expert brought for it has nothing to do."""
    ds = dataset(lacks={"b": range(3, 60)})[3:]
    model = LateFusionClassifier(experts={"b": LogisticRegression()}, combiner="mean").fit(ds)
    assert list(model.experts_) == ["a", "c"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (SVC(), "SVC has no predict_proba"),
        (Ridge(), "Ridge has no predict_proba"),
        (LogisticRegression, "is a class"),
        (5, "int is no scikit-learn estimator"),
    ],
)
def test_what_is_no_probabilistic_classifier_is_refused(given, message):
    """Bringing something that cannot be fitted or gives no probabilities is named at once."""
    ds = dataset()
    for model in (
        EarlyFusionClassifier(given, absent="impute"),
        LateFusionClassifier(experts=given),
        LateFusionClassifier(experts={"a": given}),
    ):
        with pytest.raises(DatasetError, match=message):
            model.fit(ds)


@pytest.mark.parametrize("n_folds", [0, 1, 2.5, "5"])
def test_the_number_of_folds_is_a_whole_number(n_folds):
    """Fewer than two folds, or a fraction of one, are named as the mistake."""
    with pytest.raises(DatasetError, match="n_folds must be a whole number of at least 2"):
        LateFusionClassifier(n_folds=n_folds).fit(dataset())


def test_amounts_may_have_any_unit():
    """Another unit or another zero of the target changes the predictions by just that."""
    rng = np.random.default_rng(3)
    ds = dataset(200)
    y = ds.features("a")[1]["a0"].to_numpy() + 0.5 * rng.normal(size=200) + 0.2
    late = LateFusionRegressor(experts=Ridge(), combiner="log_pool")
    plain = late.fit(ds, y).predict(ds)
    for unit in (1e-9, 1e6):
        np.testing.assert_allclose(late.fit(ds, y * unit).predict(ds) / unit, plain, atol=2e-4)
    early = EarlyFusionRegressor()
    plain = early.fit(ds, y).predict(ds)
    moved = early.fit(ds, y + 1e9).predict(ds) - 1e9
    np.testing.assert_allclose(moved, plain, atol=1e-4)


@pytest.mark.parametrize("combiner", ["mean", "weighted", "log_pool"])
def test_an_expert_has_no_say_on_a_class_that_it_never_met(combiner):
    """Where no sample of a class has a modality, its expert leaves that class at its share."""
    rng = np.random.default_rng(0)
    y = np.arange(240) % 3
    samples = pd.DataFrame({"id": np.arange(240), "y": y})
    telling = pd.DataFrame({"id": np.arange(240), "x": (y == 2) * 3.0 + rng.normal(size=240)})
    noise = pd.DataFrame({"id": np.arange(240), "z": rng.normal(size=240)})
    ds = MultimodalDataset(
        {"a": telling, "b": noise[y != 2]}, samples=samples, id="id", target="y", task="multiclass"
    )
    logistic = LogisticRegression()
    model = LateFusionClassifier(experts=logistic, combiner=combiner, calibration="none").fit(ds)
    only = ds.only("b")
    got = model.predict_proba(only[only.presence.any(axis=1)])
    np.testing.assert_allclose(got[:, 2], 1 / 3, atol=0.01)
    assert got[:, 0].mean() == pytest.approx(1 / 3, abs=0.03)


def test_a_failed_fit_leaves_no_half_of_a_model():
    """After a fit that fails there is no model, be it the first fit or another one."""
    ds = dataset()
    for model in (LATE.fit(ds), EarlyFusionClassifier()):
        with pytest.raises(TaskError):
            model.fit(ds, np.zeros(60))
        with pytest.raises(NotFittedError):
            model.predict(ds)


def test_weights_that_are_no_numbers_are_refused():
    """Text for weights is named, as negative ones are."""
    for bad in (["a"] * 60, [-1.0] * 60, [1.0] * 59):
        with pytest.raises(DatasetError, match="sample_weight must hold 60 finite numbers"):
            LATE.fit(dataset(), sample_weight=bad)


@pytest.mark.parametrize("seed", [-1, 0.5, np.random.RandomState(0)])
def test_a_seed_is_a_whole_number(seed):
    """One seed goes in; a generator would be another one at each fit."""
    for model in (
        LateFusionClassifier(random_state=seed),
        EarlyFusionClassifier(random_state=seed),
    ):
        with pytest.raises(DatasetError, match="random_state must be a whole number"):
            model.fit(dataset())


@REGRESSORS
def test_amounts_too_large_to_be_squared_are_refused(model):
    """Losses would overflow; the message says to change the unit."""
    with pytest.raises(TaskError, match="another unit"):
        model.fit(dataset(), np.linspace(0, 1e300, 60))
