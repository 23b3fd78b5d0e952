"""A deployment says how often each pattern will come, from one source, and refuses to guess."""

from __future__ import annotations

import ibis
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusewise.data import Deployment, count_patterns, pattern_label
from fusewise.exceptions import DeploymentError

NAMES = ("ehr", "imaging", "notes")

LONG = pd.DataFrame(
    {
        "request": [1, 1, 2, 3, 3, 3, 1, 4, 5, 5],
        "modality": [
            "ehr",
            "imaging",
            "ehr",
            "notes",
            "ehr",
            "imaging",
            "ehr",
            "notes",
            "imaging",
            "ehr",
        ],
    }
)
LONG_COUNTS = {"ehr+imaging": 2, "ehr": 1, "ehr+imaging+notes": 1, "notes": 1}


def labelled(weights):
    """Return weights by label, for comparison."""
    return {pattern_label(pattern): weight for pattern, weight in weights.items()}


# What may be declared -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_", "source"),
    [
        (None, "none"),
        ("training", "training"),
        ({"observed": "training"}, "training"),
        ({"liver": 0.5}, "rates"),
        ({"rates": {"liver": 0.5}, "cohort": "controlled"}, "rates"),
        ({"patterns": {"ehr": 1}}, "patterns"),
        ({"ehr": 1, "ehr+imaging": 4}, "patterns"),
        ({"ehr": 1, "(none)": 4}, "patterns"),
        ({"observed": LONG}, "observed"),
        (LONG, "observed"),
        ({"cohort": "controlled"}, "none"),
        ({}, "none"),
        (Deployment(cohort="controlled"), "none"),
    ],
    ids=str,
)
def test_availability_has_one_source(given_, source):
    """Rates, patterns, a log, the training data, or nothing: what was given is the source."""
    assert Deployment.of(given_).source == source


def test_facts_are_kept():
    """The facts of the study file come through, and the cohorts of validation as a tuple."""
    facts = {
        "cohort": "controlled",
        "synchronised": True,
        "timing": "yes",
        "interaction": "no",
        "interpretability": "required",
        "validation": {"cohorts": ["site"]},
        "latency_ms": 50,
        "memory_mb": None,
    }
    deployment = Deployment.of({"observed": "training", **facts})
    assert deployment.validation == ("site",)
    assert (deployment.cohort, deployment.timing, deployment.interaction) == (
        "controlled",
        "yes",
        "no",
    )
    assert (deployment.latency_ms, deployment.memory_mb) == (50, None)
    assert Deployment.of({"validation": "site"}).validation == ("site",)


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        (
            {"rates": {"ehr": 0.5}, "patterns": {"ehr": 1}},
            "declared twice, by rates and by patterns",
        ),
        ({"ehr": 1.2}, "the rate of 'ehr' must lie between 0 and 1 .* got 1.2"),
        ({"rates": {"ehr": "often"}}, "the rate of 'ehr' must .* got 'often'"),
        ({"ehr": float("nan")}, "the rate of 'ehr' must .* got nan"),
        ({"patterns": {"ehr": -1}}, "the weight of pattern 'ehr' must .* got -1"),
        ({"patterns": {"ehr": float("inf")}}, "the weight of pattern 'ehr' must"),
        ({"patterns": {"ehr": 0, "(none)": 1}}, "no request with a modality"),
        ({"patterns": {"a+b": 1, "b+a": 2}}, r"the pattern 'a\+b' is given twice"),
        ({"cohort": "closed"}, "cohort must be one of open, controlled, got 'closed'"),
        ({"timing": True}, "timing must be one of yes, no, unknown, got True"),
        ({"cohrt": "open"}, r"unknown key 'cohrt'\. Did you mean 'cohort'\?"),
        ({"liver": "half"}, "unknown key 'liver'"),
        (0.5, r"a dict of rates .* of patterns .* a log of requests .* 'training', .* got float"),
        (["ehr"], "expected a dict of rates .* got list"),
        ("none.parquet", r"no file or folder 'none\.parquet'"),
    ],
    ids=str,
)
def test_declarations_that_say_nothing_clear_are_refused(given_, message):
    """The message names the key, what was expected and what came."""
    with pytest.raises(DeploymentError, match=f"deployment.*{message}"):
        Deployment.of(given_)


@pytest.mark.parametrize("form", ["pandas", "polars", "arrow", "ibis", "path", "text"])
def test_a_log_alone_is_what_was_observed(tmp_path, form):
    """Whatever holds the log, it need not be wrapped."""
    LONG.to_parquet(tmp_path / "log.parquet")
    log = {
        "pandas": LONG,
        "polars": pl.from_pandas(LONG),
        "arrow": pa.Table.from_pandas(LONG),
        "ibis": ibis.memtable(LONG),
        "path": tmp_path / "log.parquet",
        "text": str(tmp_path / "log.parquet"),
    }[form]
    assert Deployment.of(log).counts == LONG_COUNTS


@pytest.mark.parametrize(
    "fields",
    [
        {"source": "rates"},
        {"source": "observed", "rates": {"ehr": 0.5}},
        {"rates": {"ehr": 0.5}},
        {"source": "training", "patterns": {"ehr": 1}},
        {"source": "guess"},
    ],
    ids=str,
)
def test_the_source_and_what_is_given_agree(fields):
    """A deployment that says rates and holds none would be unknown silently."""
    with pytest.raises(DeploymentError, match="deployment: source"):
        Deployment(**fields)


def test_modalities_that_do_not_exist_are_refused_with_a_suggestion():
    """In rates, patterns and logs alike."""
    for declared in ({"imagin": 0.5}, {"patterns": {"ehr+imagin": 1}}):
        with pytest.raises(
            DeploymentError, match=r"no modality 'imagin'.* Did you mean 'imaging'\?"
        ):
            Deployment.of(declared).pattern_weights(NAMES)
    with pytest.raises(DeploymentError, match="no modality 'notes'; there are ehr, imaging"):
        Deployment.of({"observed": LONG}).pattern_weights(NAMES[:2])


# Weights of patterns ------------------------------------------------------------------------


def test_declared_patterns_are_normalised():
    """Weights are relative; the empty pattern is left out, since nothing can be predicted."""
    deployment = Deployment.of({"patterns": {"imaging + ehr": 3, "ehr": 1, "(none)": 4}})
    assert labelled(deployment.pattern_weights(NAMES)) == {"ehr+imaging": 0.75, "ehr": 0.25}


def test_an_unknown_deployment_has_no_weights():
    """Nothing is not the training data: weights are None."""
    assert Deployment.of(None).pattern_weights(NAMES, np.ones((2, 3), bool)) is None
    assert Deployment.of("training").pattern_weights(NAMES) is None


def test_like_training_means_the_patterns_of_training():
    """Samples without any modality have no part in it."""
    presence = np.array([[1, 1, 0], [1, 0, 0], [1, 0, 0], [0, 0, 0]], dtype=bool)
    weights = Deployment.of("training").pattern_weights(NAMES, presence)
    assert labelled(weights) == {"ehr+imaging": pytest.approx(1 / 3), "ehr": pytest.approx(2 / 3)}


@given(st.lists(st.floats(0.01, 1), min_size=3, max_size=3))
def test_rates_are_independent_given_that_something_came(rates):
    """The weights are those of independent draws, divided by the chance that any modality comes."""
    weights = Deployment.of(dict(zip(NAMES, rates, strict=True))).pattern_weights(NAMES)
    assert sum(weights.values()) == pytest.approx(1)
    anything = 1 - np.prod([1 - r for r in rates])
    for name, rate in zip(NAMES, rates, strict=True):
        marginal = sum(w for pattern, w in weights.items() if name in pattern)
        assert marginal * anything == pytest.approx(rate)
    both = sum(w for pattern, w in weights.items() if {"ehr", "notes"} <= pattern)
    assert both * anything == pytest.approx(rates[0] * rates[2])


def test_a_modality_without_a_rate_is_always_there():
    """Only what is named is uncertain; a rate of zero is never there."""
    weights = Deployment.of({"imaging": 0.25, "notes": 0}).pattern_weights(NAMES)
    assert labelled(weights) == {"ehr+imaging": 0.25, "ehr": 0.75}


def test_too_many_independent_rates_are_refused():
    """Thousands of joint patterns are not invented; the message says what to declare."""
    rates = {f"m{i}": 0.5 for i in range(13)}
    assert len(Deployment.of({**rates, "m0": 1.0}).pattern_weights(list(rates))) == 2**12
    with pytest.raises(DeploymentError, match=r"2\^13 joint patterns\. Declare patterns:"):
        Deployment.of(rates).pattern_weights(list(rates))


def test_nothing_that_ever_comes_is_refused():
    """Rates of zero everywhere leave nothing to predict from."""
    with pytest.raises(DeploymentError, match="no modality is ever present"):
        Deployment.of(dict.fromkeys(NAMES, 0.0)).pattern_weights(NAMES)


# Logs of requests ---------------------------------------------------------------------------


def test_a_long_log_is_counted_by_request():
    """One row per request and modality that came; a modality that is logged twice came once."""
    deployment = Deployment.of({"observed": LONG})
    assert deployment.counts == LONG_COUNTS
    assert deployment.n_requests == 5
    assert Deployment.of(None).n_requests is None


def test_a_wide_log_says_the_same():
    """One row per request and a boolean per modality; NULL means that it did not come."""
    wide = pd.DataFrame(
        {
            "request": [1, 2, 3, 4, 5, 6],
            "ehr": [True, True, True, False, True, False],
            "imaging": pd.array([True, None, True, False, True, False], dtype="boolean"),
            "notes": [False, False, True, True, False, False],
        }
    )
    assert count_patterns(wide[:5]) == LONG_COUNTS
    assert count_patterns(wide) == LONG_COUNTS | {"(none)": 1}


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_a_log_may_be_a_file(tmp_path, form):
    """A path is opened as any table, also as the whole declaration."""
    path = tmp_path / f"requests.{form}"
    LONG.to_parquet(path) if form == "parquet" else LONG.to_csv(path, index=False)
    assert Deployment.of(str(path)).counts == LONG_COUNTS
    assert Deployment.of({"observed": path}).counts == LONG_COUNTS


def test_the_request_may_be_called_otherwise():
    """The first column that is neither the modality nor a time names the request."""
    log = LONG.rename(columns={"request": "stay_id"})
    log.insert(0, "at", pd.Timestamp("2024-01-01"))
    assert count_patterns(log) == LONG_COUNTS


@pytest.mark.parametrize(
    ("log", "message"),
    [
        (LONG[:0], "the log of requests is empty"),
        (LONG[["modality"]], "needs a column that names the request"),
        (LONG.assign(modality=[None, *LONG["modality"][1:]]), "has rows without a modality"),
        (LONG.assign(request=[None, *LONG["request"][1:]]), "1 rows of the log have no 'request'"),
        (pd.DataFrame({"ehr": [1, 0]}), r"one boolean column per modality .* it has ehr \(int64\)"),
    ],
    ids=["empty", "no request", "no modality", "nameless", "numbers"],
)
def test_logs_that_cannot_be_counted_are_refused(log, message):
    """The message says what a log looks like."""
    with pytest.raises(DeploymentError, match=message):
        count_patterns(log)


# JSON ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given_",
    [None, "training", {"ehr": np.float32(0.5)}, {"patterns": {"a+b": 2}}, {"observed": LONG}],
    ids=["none", "training", "rates", "patterns", "observed"],
)
def test_a_deployment_goes_to_json_and_back(tmp_path, given_):
    """Equal fields and equal weights; the log travels as its counts."""
    deployment = Deployment.of(given_)
    again = Deployment.from_json(deployment.to_json())
    assert again == deployment
    deployment.to_json(tmp_path / "deployment.json")
    assert Deployment.from_json(tmp_path / "deployment.json") == deployment
    assert again.validation == ()
