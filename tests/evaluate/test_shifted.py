"""Shifted availability: what the headline would be, where the truth of every pattern is known."""

from __future__ import annotations

import numpy as np
import pytest

from fusewise.evaluate import evaluate

OPTIONS = {"n_boot": 100, "rates": (), "withheld_patterns": 0}


def scenario(result, kind, name, metric="roc_auc"):
    (row,) = result.shifted.query(
        "kind == @kind and scenario == @name and metric == @metric"
    ).to_dict("records")
    return row


def test_a_modality_that_is_lost_costs_what_the_oracle_loses(cohort, oracle):
    """All samples complete: without `a` the score is that of b+c, and the change is paired."""
    result = evaluate(oracle, cohort(5000), metrics=["roc_auc"], **OPTIONS)
    row = scenario(result, "lost", "a")
    truth = oracle.auroc("b+c")
    assert row["estimate"] == pytest.approx(truth, abs=0.03)
    # All complete: it is what withholding the modality alone shows.
    alone = result.degradation.set_index("withheld").loc["a"]
    assert (row["estimate"], row["change"]) == (alone["estimate"], alone["drop"])
    assert row["change"] == pytest.approx(oracle.auroc("a+b+c") - truth, abs=0.02)


def test_a_modality_that_the_predictor_ignores_is_lost_for_nothing(cohort, oracle_type):
    """Its loss changes nothing, to the bit."""
    deaf = oracle_type(shifts={"a": 1.5, "b": 1.0})
    result = evaluate(deaf, cohort(500, rates={"c": 0.5}), metrics=["brier_score"], **OPTIONS)
    row = scenario(result, "lost", "c", "brier_score")
    # Samples with nothing but c are emptied and out of both sides.
    assert (row["change"], row["change_low"], row["change_high"]) == (0, 0, 0)


def test_a_site_that_never_has_it_is_the_part_that_came_without(cohort, oracle):
    """Scored on the natural samples without the modality, weighted among themselves."""
    test = cohort(4000, rates={"c": 0.5})
    result = evaluate(oracle, test, metrics=["log_loss"], **OPTIONS)
    row = scenario(result, "never there", "c", "log_loss")
    cell = result.by_pattern.query("view == 'natural' and pattern == 'a+b'").iloc[0]
    assert row["estimate"] == pytest.approx(cell["estimate"])
    assert row["n"] == cell["n"] == int((~test.presence[:, 2]).sum())
    assert row["change"] > 0


def test_a_pattern_that_comes_twice_as_often_counts_twice(cohort, oracle):
    """For a mean of losses the shifted score is known from the cells."""
    test = cohort(1000, rates={"b": 0.6, "c": 0.7})
    result = evaluate(oracle, test, metrics=["log_loss"], **OPTIONS)
    cells = result.by_pattern.query("view == 'natural'").set_index("pattern")
    for pattern in cells.index:
        weight = cells["n"].astype(float).copy()
        weight[pattern] *= 2
        expected = float(weight @ cells["estimate"] / weight.sum())
        row = scenario(result, "twice as often", pattern, "log_loss")
        assert row["estimate"] == pytest.approx(expected)
        assert row["change"] == pytest.approx(expected - result.headline["estimate"].iloc[0])


def test_where_one_class_is_left_the_metric_is_undefined_and_said_so(cohort, oracle):
    """The rest of the table goes on."""
    test = cohort(300, rates={"c": 0.5})
    presence = test.presence.copy()
    presence[:, 2] |= np.asarray(test.target) == 1
    whole = cohort(300).with_presence(presence)
    result = evaluate(oracle, whole, metrics=["roc_auc", "brier_score"], **OPTIONS)
    row = scenario(result, "never there", "c")
    assert np.isnan(row["estimate"])
    assert row["note"] == "one class only"
    assert np.isfinite(scenario(result, "never there", "c", "brier_score")["estimate"])
