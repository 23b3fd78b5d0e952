"""The headline: the metric computed once on the deployment's mixture of patterns."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

from fusewise.evaluate import evaluate
from fusewise.exceptions import DeploymentError, EvaluationError


@pytest.fixture
def two_patterns(cohort):
    """400 samples: 200 complete, 200 without a and c."""
    presence = np.ones((400, 3), dtype=bool)
    presence[::2, [0, 2]] = False
    return cohort(400, presence=presence)


def test_the_headline_is_the_metric_of_a_sample_of_the_mixture(two_patterns, oracle):
    """Weighting 3 to 1 equals scoring a sample that really has one pattern three times as often."""
    result = evaluate(
        oracle,
        two_patterns,
        metrics=["roc_auc", "average_precision", "log_loss"],
        deployment={"patterns": {"b": 3, "a+b+c": 1}},
        n_boot=50,
    )
    narrow = two_patterns.pattern == "b"
    rows = np.concatenate([np.flatnonzero(~narrow), np.repeat(np.flatnonzero(narrow), 3)])
    mixture = two_patterns[rows]
    p = oracle.predict_proba(mixture)[:, 1]
    got = result.headline.set_index("metric")["estimate"]
    assert got["roc_auc"] == pytest.approx(roc_auc_score(mixture.target, p))
    assert got["average_precision"] == pytest.approx(average_precision_score(mixture.target, p))
    assert got["log_loss"] == pytest.approx(log_loss(mixture.target, p))
    assert set(result.headline["source"]) == {"patterns"}


def test_effective_n_tells_what_the_weights_cost(two_patterns, oracle):
    """Kish's effective n: 200 samples at weight 3/2 and 200 at 1/2 are worth 320."""
    result = evaluate(
        oracle,
        two_patterns,
        metrics=["roc_auc"],
        deployment={"patterns": {"b": 3, "a+b+c": 1}},
        n_boot=20,
    )
    row = result.headline.iloc[0]
    assert row["n"] == 400
    assert row["effective_n"] == pytest.approx(320)


def test_the_mean_of_patterns_stands_beside_it_and_differs(two_patterns, oracle):
    """The weighted mean of per-pattern AUROCs is not the AUROC of the mixture."""
    result = evaluate(
        oracle,
        two_patterns,
        metrics=["roc_auc", "brier_score"],
        deployment={"patterns": {"b": 3, "a+b+c": 1}},
        n_boot=20,
    )
    natural = result.by_pattern.query("view == 'natural'")
    for metric in ("roc_auc", "brier_score"):
        each = natural[natural["metric"] == metric].set_index("pattern")["estimate"]
        row = result.headline.set_index("metric").loc[metric]
        assert row["by_pattern_mean"] == pytest.approx(0.75 * each["b"] + 0.25 * each["a+b+c"])
    headline = result.headline.set_index("metric")
    assert headline.loc["roc_auc", "estimate"] != headline.loc["roc_auc", "by_pattern_mean"]
    # A mean over samples is the mean over patterns of means.
    assert headline.loc["brier_score", "estimate"] == pytest.approx(
        headline.loc["brier_score", "by_pattern_mean"]
    )


def test_uncovered_patterns_are_named_with_their_weight(two_patterns, oracle):
    """What the deployment has and the test set lacks is in no score, and told."""
    result = evaluate(
        oracle,
        two_patterns,
        metrics=["roc_auc"],
        deployment={"patterns": {"b": 5, "a": 3, "c": 2}},
        n_boot=20,
    )
    assert result.uncovered == ("a", "c")
    assert any("2 patterns with 50.0%" in note for note in result.notes)
    assert result.headline["n"].tolist() == [200]


def test_nothing_covered_is_said_and_not_scored(two_patterns, oracle):
    """A mixture without any test sample gives no number."""
    result = evaluate(
        oracle, two_patterns, metrics=["roc_auc"], deployment={"patterns": {"a": 1}}, n_boot=20
    )
    row = result.headline.iloc[0]
    assert np.isnan(row["estimate"])
    assert (row["n"], row["note"]) == (0, "no sample")


def test_without_a_deployment_the_headline_is_the_test_set_as_it_came(two_patterns, oracle):
    """Nothing declared: the figures are those of the pooled table, and the source says test."""
    for deployment in (None, "training"):
        result = evaluate(
            oracle, two_patterns, metrics=["roc_auc"], deployment=deployment, n_boot=50
        )
        columns = ["estimate", "low", "high", "n"]
        pd.testing.assert_frame_equal(result.headline[columns], result.pooled[columns])
        assert result.headline["source"].tolist() == ["test"]
        assert any("not known" in note for note in result.notes)


def test_training_rows_stand_in_where_their_presence_is_given(two_patterns, oracle):
    """The mixture of the training rows is used and named."""
    train = np.array([[False, True, False]] * 3 + [[True, True, True]])
    options = {"metrics": ["roc_auc"], "n_boot": 50}
    expected = evaluate(
        oracle, two_patterns, deployment={"patterns": {"b": 3, "a+b+c": 1}}, **options
    )
    for deployment in (None, "training"):
        result = evaluate(
            oracle, two_patterns, deployment=deployment, train_presence=train, **options
        )
        assert result.headline["source"].tolist() == ["training"]
        np.testing.assert_allclose(result.headline["estimate"], expected.headline["estimate"])


def test_declared_rates_give_the_mixture(cohort, oracle):
    """Rates are taken as independent: the weight of a pattern is their product."""
    test = cohort(1000, rates={"b": 0.5, "c": 0.5})
    result = evaluate(
        oracle,
        test,
        metrics=["brier_score"],
        deployment={"b": 0.2, "c": 0.5},
        n_boot=20,
    )
    natural = result.by_pattern.query("view == 'natural'").set_index("pattern")["weight"]
    expected = {"a": 0.4, "a+b": 0.1, "a+c": 0.4, "a+b+c": 0.1}
    for pattern, weight in expected.items():
        assert natural[pattern] == pytest.approx(weight)
    assert result.headline["source"].tolist() == ["rates"]


def test_a_headline_that_rests_on_thin_patterns_says_so(cohort, oracle):
    """Large weights on few samples are noted, beside a small effective n."""
    presence = np.ones((400, 3), dtype=bool)
    presence[:10, 0] = False
    result = evaluate(
        oracle,
        cohort(400, presence=presence),
        metrics=["roc_auc"],
        deployment={"patterns": {"b+c": 0.9, "a+b+c": 0.1}},
        n_boot=20,
    )
    assert result.headline["effective_n"].iloc[0] < 15
    assert any("90% of the headline's weight" in note for note in result.notes)


def test_presence_of_other_modalities_is_refused(two_patterns, oracle):
    """Training presence and declarations must be about the test set's modalities."""
    with pytest.raises(EvaluationError, match=r"train_presence.*\(n_train, 3\)"):
        evaluate(oracle, two_patterns, train_presence=np.ones((5, 2), dtype=bool))
    with pytest.raises(DeploymentError, match="no modality 'bb'"):
        evaluate(oracle, two_patterns, deployment={"bb": 0.5})


def test_the_interval_of_the_headline_is_of_the_weighted_score(two_patterns):
    """Replicates carry the weights too: the interval lies around the headline, not the pool."""

    class SureOfMuch:
        def predict_proba(self, dataset):
            much = dataset.presence.sum(axis=1) > 1
            p = np.where(much, np.asarray(dataset.target) * 0.98 + 0.01, 0.5 + 0.1 * (~much))
            return np.column_stack([1 - p, p])

    result = evaluate(
        SureOfMuch(),
        two_patterns,
        metrics=["brier_score"],
        deployment={"patterns": {"b": 3, "a+b+c": 1}},
        n_boot=200,
    )
    row, pooled = result.headline.iloc[0], result.pooled.iloc[0]
    assert row["low"] < row["estimate"] < row["high"]
    assert not row["low"] <= pooled["estimate"] <= row["high"]


@pytest.mark.parametrize(
    ("y", "said"),
    [
        ([0, 1], "2 samples, 1 of the rarest class"),
        ([0] * 60 + [1] * 3, "63 samples, 3 of the rarest class"),
    ],
)
def test_a_headline_on_few_samples_is_marked_and_noted(cohort, oracle, y, said):
    """Few samples, or few of one class, are told beside the figure."""
    test = cohort(len(y), presence=np.ones((len(y), 3), dtype=bool), y=np.array(y))
    result = evaluate(oracle, test, metrics=["roc_auc"], n_boot=20, withheld_patterns=0, rates=())
    assert result.headline["small"].all()
    assert any(note.startswith(f"The headline rests on {said}: too few") for note in result.notes)
    assert ", small" in str(result)


def test_a_headline_on_enough_samples_is_not_marked(two_patterns, oracle):
    """The mark is for few samples only."""
    result = evaluate(oracle, two_patterns, metrics=["roc_auc"], n_boot=20)
    assert not result.headline["small"].any()
    assert not any("rests on" in note for note in result.notes)


def test_weights_that_leave_few_effective_samples_are_noted(two_patterns, oracle, cohort):
    """400 samples of which 5 carry nearly all the weight are few."""
    presence = np.ones((400, 3), dtype=bool)
    presence[:5, [0, 2]] = False
    result = evaluate(
        oracle,
        cohort(400, presence=presence),
        metrics=["roc_auc"],
        deployment={"patterns": {"b": 99, "a+b+c": 1}},
        n_boot=20,
    )
    assert result.headline["small"].all()
    assert any("effectively 5" in note for note in result.notes)


def test_one_of_something_is_told_in_the_singular(two_patterns, oracle):
    """One uncovered pattern has, two have."""
    result = evaluate(
        oracle,
        two_patterns,
        metrics=["roc_auc"],
        deployment={"patterns": {"b": 5, "a": 5}},
        n_boot=20,
    )
    assert any(
        note.startswith("1 pattern with 50.0% of the deployment has no") for note in result.notes
    )
