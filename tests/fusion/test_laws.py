"""Our fusion estimators keep the laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.linear_model import LogisticRegression, Ridge

from fusewise import (
    EarlyFusionClassifier,
    EarlyFusionRegressor,
    LateFusionClassifier,
    LateFusionRegressor,
    PresenceOnlyClassifier,
    PresenceOnlyRegressor,
)
from fusewise.testing import LAWS, check_fusion_estimator, make_dataset

SMALL = {"n_estimators": 12, "num_leaves": 5, "min_child_samples": 5, "verbose": -1, "n_jobs": 1}
TREES, TREE_AMOUNTS = LGBMClassifier(**SMALL), LGBMRegressor(**SMALL)
LOG = {"patterns": {"static": 1, "static+omics": 1, "static+omics+monitor": 2}}

CLASSIFIERS = {
    "early": EarlyFusionClassifier(TREES),
    "early, masked": EarlyFusionClassifier(TREES, masking="uniform"),
    "early, imputed": EarlyFusionClassifier(LogisticRegression(max_iter=300), absent="impute"),
    "late": LateFusionClassifier(experts=TREES, n_folds=2),
    "late, pooled": LateFusionClassifier(experts=TREES, combiner="log_pool", n_folds=2),
    "late, masked": LateFusionClassifier(
        experts=TREES, combiner="weighted", masking="deployment", deployment=LOG, n_folds=2
    ),
    "late, grouped": LateFusionClassifier(
        experts=TREES, groups={"body": ["static", "monitor"]}, combiner="mean", n_folds=2
    ),
}
REGRESSORS = {
    "early": EarlyFusionRegressor(TREE_AMOUNTS),
    "early, masked": EarlyFusionRegressor(TREE_AMOUNTS, masking="curriculum"),
    "early, imputed": EarlyFusionRegressor(Ridge(), absent="impute"),
    "late": LateFusionRegressor(experts=TREE_AMOUNTS, n_folds=2),
    "late, masked": LateFusionRegressor(
        experts=TREE_AMOUNTS, combiner="log_pool", masking="uniform", n_folds=2
    ),
}
DEFAULTS = [
    EarlyFusionClassifier(),
    EarlyFusionRegressor(),
    LateFusionClassifier(n_folds=2),
    LateFusionRegressor(n_folds=2),
]
ABOUT_ABSENCE = (1, 2, 3, 4, 9)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_keep_the_laws(name):
    """Two classes, every way of carrying absence and of combining."""
    check_fusion_estimator(CLASSIFIERS[name], dataset=make_dataset(n_samples=120))


@pytest.mark.parametrize("name", ["early", "late"])
def test_classifiers_of_three_classes_keep_the_laws(name):
    """Classes that are words, more than two."""
    ds = make_dataset("multiclass", n_samples=120)
    check_fusion_estimator(CLASSIFIERS[name], dataset=ds)


@pytest.mark.parametrize("name", REGRESSORS)
def test_regressors_keep_the_laws(name):
    """Amounts, every way of carrying absence and of combining."""
    ds = make_dataset("regression", n_samples=120)
    check_fusion_estimator(REGRESSORS[name], dataset=ds)


@pytest.mark.slow
@pytest.mark.parametrize("model", DEFAULTS, ids=lambda m: type(m).__name__)
def test_the_defaults_keep_the_laws(model):
    """What a user gets who says nothing: chosen experts, averaged boosting, early stopping."""
    check_fusion_estimator(model)


@pytest.mark.parametrize("model", [PresenceOnlyClassifier(), PresenceOnlyRegressor()])
def test_the_shortcut_baseline_keeps_the_laws_but_for_its_nature(model):
    """It reads presence alone: values make no difference to it, nor does work follow them."""
    check_fusion_estimator(model, laws=set(LAWS) - {5, 9})


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 10_000),
    rates=st.lists(st.floats(0.35, 1.0), min_size=3, max_size=3),
    late=st.booleans(),
)
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_the_laws_hold_under_random_presence(task, seed, rates, late):
    """Whatever the presence, absence is neither read nor worked on, and order has no effect."""
    ds = make_dataset(task, n_samples=100, random_state=seed)
    ds = ds.with_presence(np.random.default_rng(seed).random(ds.shape) < rates)
    ds = ds[ds.presence.any(axis=1)]
    models = CLASSIFIERS if task == "binary" else REGRESSORS
    model = models["late" if late else "early"]
    check_fusion_estimator(model, dataset=ds, laws=ABOUT_ABSENCE, random_state=seed)
