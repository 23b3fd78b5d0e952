"""Values so large that their squares are no numbers: an export's sentinels, a wrong unit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fusewise import (
    EarlyFusionClassifier,
    EarlyFusionRegressor,
    LateFusionClassifier,
    LateFusionRegressor,
    Modality,
    MultimodalDataset,
)

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")

HUGE = [[1e200], [-1e306], [1e308, 1e308, 1e308, -1e200]]


def cohort(huge=(), *, amounts=False):
    """Return two tables and a stream; `huge` stand in the first rows of a column of each."""
    rng = np.random.default_rng(0)
    ids = np.arange(80)
    a, b, c = (
        pd.DataFrame(rng.normal(size=(80, 2)), columns=["x", "z"]).assign(id=ids) for _ in range(3)
    )
    signal = a["x"] + b["x"]
    for table in (a, b, c):
        table.loc[: len(huge) - 1, "z"] = huge
    samples = pd.DataFrame({"id": ids, "y": signal if amounts else (signal > 0).astype(int)})
    stream = Modality(c.assign(t=0.0), kind="events", time="t")
    task = "regression" if amounts else "binary"
    return MultimodalDataset(
        {"a": a, "b": b, "c": stream}, samples=samples, id="id", target="y", task=task
    )


@pytest.mark.parametrize("huge", HUGE, ids=str)
@pytest.mark.parametrize("kind", [LateFusionClassifier, LateFusionRegressor])
def test_experts_are_trained_whatever_the_size_of_a_value(kind, huge):
    """A linear expert scales them without overflow, and says something finite."""
    amounts = kind is LateFusionRegressor
    ds = cohort(huge, amounts=amounts)
    model = kind(n_folds=2).fit(ds)
    assert np.isfinite(model.predict(ds)).all()
    if not amounts:
        assert np.isfinite(model.predict_proba(ds)).all()


def test_an_expert_that_was_brought_is_given_values_that_can_be_squared():
    """A scaler in a pipeline of the user's would overflow just as ours would."""
    brought = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression())
    model = LateFusionClassifier(experts=brought, n_folds=2).fit(cohort(HUGE[2]))
    assert np.isfinite(model.predict_proba(cohort(HUGE[2]))).all()


@pytest.mark.parametrize("kind", [LateFusionClassifier, EarlyFusionClassifier])
def test_a_value_that_is_too_large_when_asked_is_answered(kind):
    """Training on ordinary values does not prepare for it."""
    model = kind(**{"n_folds": 2} if kind is LateFusionClassifier else {}).fit(cohort())
    assert np.isfinite(model.predict_proba(cohort(HUGE[2]))).all()


@pytest.mark.parametrize("kind", [EarlyFusionClassifier, EarlyFusionRegressor])
def test_a_joined_column_with_a_huge_value_is_not_lost(kind):
    """Its spread is a number, so that trees still see which rows stand apart."""
    ds = cohort(HUGE[2], amounts=kind is EarlyFusionRegressor)
    model = kind().fit(ds)
    assert all(np.isfinite(scale).all() for scale in model.scale_.values())
    matrix = model._matrix(ds)
    assert not np.isinf(matrix).any()
    assert len(np.unique(matrix[:, 1])) > 1
