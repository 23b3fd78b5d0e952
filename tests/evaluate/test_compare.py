"""Comparing predictors: equal ones are told apart at no more than the level, better ones are found."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusewise.evaluate import compare, evaluate
from fusewise.evaluate.pairs import crossing, holm, standing
from fusewise.exceptions import EvaluationError


class Told:
    """A predictor that looks up what to say by id: a logit, noisier or flat on some patterns."""

    def __init__(self, logits, *, knows=None, only_complete=False):
        self.logits, self.knows, self.only_complete = logits, knows, only_complete

    def answerable(self, dataset):
        if self.knows is None:
            return dataset.presence.any(axis=1)
        return dataset.presence[:, dataset.modalities.index(self.knows)]

    def predict_proba(self, dataset):
        logit = self.logits.loc[np.asarray(dataset.ids)].to_numpy()
        if self.only_complete:
            logit = np.where(dataset.presence.all(axis=1), logit, 0.0)
        p = 1 / (1 + np.exp(-logit))
        return np.column_stack([1 - p, p])


def logits_of(test, noise, seed):
    """Return a logit per id that is as informative as the noise allows."""
    rng = np.random.default_rng(seed)
    return pd.Series(2.0 * (test.target - 0.5) + rng.normal(0, noise, len(test)), index=test.ids)


def test_equal_predictors_are_told_apart_no_more_often_than_the_level(cohort):
    """Three predictors of one skill: any of the three pairs is called in at most 5 % of tests."""
    called = {"mixture": 0, "pattern": 0}
    test = cohort(200, rates={"b": 0.5})
    for seed in range(60):
        models = {f"m{i}": Told(logits_of(test, 1.5, [seed, i])) for i in range(3)}
        found = compare(
            models, test, metrics=["brier_score"], n_boot=100, rates=(), withheld_patterns=0
        )
        called["mixture"] += (found.differences["ahead"] != "neither").any()
        called["pattern"] += (found.leaders["leader"] != "").any()
    # 95 % of 60 tests at exactly .05 have at most 6.
    assert called["mixture"] <= 6
    assert called["pattern"] <= 6


def test_the_better_one_of_each_pattern_is_found(cohort):
    """One is better where c is present, the other where it is not; the mixture is by weight."""
    test = cohort(4000, rates={"c": 0.5}, seed=1)
    has = test.presence[:, 2]
    one, other = logits_of(test, 1.0, 1), logits_of(test, 3.0, 2)
    models = {
        "with c": Told(one.where(has, other)),
        "without c": Told(other.where(has, one)),
    }
    found = compare(models, test, metrics=["roc_auc"], n_boot=200, rates=(0.0,))
    natural = found.leaders.query("view == 'natural'").set_index("pattern")["leader"]
    assert natural["a+b+c"] == "with c"
    assert natural["a+b"] == "without c"
    seldom = compare(
        models,
        test,
        metrics=["roc_auc"],
        n_boot=200,
        rates=(0.0,),
        deployment={"rates": {"c": 0.02}},
    )
    assert seldom.differences["ahead"].tolist() == ["without c"]


def test_the_curves_cross_where_they_must(cohort):
    """One knows everything, but only of complete samples; the other is right in 80 %.

    With three modalities and a rate r below one third, 3 r of the samples lose one: accuracies
    1 - 1.5 r and 0.8 meet at 2 / 15.
    """
    test = cohort(8000, seed=2)
    rng = np.random.default_rng(0)
    sign = np.where(test.target == 1, 1.0, -1.0)
    certain = pd.Series(5.0 * sign, index=test.ids)
    mostly = pd.Series(np.where(rng.random(len(test)) < 0.8, sign, -sign), index=test.ids)
    models = {"fragile": Told(certain, only_complete=True), "steady": Told(mostly)}
    found = compare(
        models, test, metrics=["accuracy"], n_boot=200, rates=(0.0, 0.1, 0.2, 0.3), repeats=3
    )
    (row,) = found.crossovers.to_dict("records")
    assert row["rate"] == pytest.approx(2 / 15, abs=0.01)
    assert row["low"] < 2 / 15 < row["high"]
    assert row["high"] - row["low"] < 0.05
    assert row["share"] == 1.0


def test_a_predictor_against_itself_never_differs(cohort, oracle_type):
    """Differences are exactly zero, p is 1, nobody is ahead, the curves do not cross."""
    test = cohort(400, rates={"b": 0.6}, seed=3)
    found = compare({"one": oracle_type(), "same": oracle_type()}, test, n_boot=100)
    assert (found.differences[["difference", "low", "high"]] == 0).all(axis=None)
    assert (found.differences["p"] == 1).all()
    assert (found.differences["ahead"] == "neither").all()
    assert found.crossovers["rate"].isna().all()
    shown = found.leaders[~found.leaders["small"]]
    assert (shown["leader"] == "").all()
    assert (shown["unbeaten"] == "one, same").all()


def test_scores_are_those_of_an_evaluation_bit_for_bit(cohort, oracle_type):
    """A predictor beside another one scores as it does alone, also in its requirements."""
    test = cohort(500, rates={"b": 0.6, "c": 0.8}, seed=4)
    asked = [{"absent": ["a"], "metric": "roc_auc", "max_drop": 0.1}]
    models = {"all": oracle_type(), "a alone": Told(logits_of(test, 1.0, 0), knows="a")}
    found = compare(models, test, requirements=asked, n_boot=100)
    for name, model in models.items():
        alone = evaluate(model, test, requirements=asked, n_boot=100)
        own = found.overall[found.overall["model"] == name].reset_index(drop=True)
        same = ["metric", "estimate", "low", "high", "n", "effective_n", "small", "note"]
        pd.testing.assert_frame_equal(own[same], alone.headline[same])
        required = found.requirements[found.requirements["model"] == name]
        pd.testing.assert_frame_equal(
            required.drop(columns="model").reset_index(drop=True), alone.requirements
        )
        natural = found.by_pattern.query("model == @name and view == 'natural'")
        cells = alone.by_pattern.query("view == 'natural'")
        assert natural["n"].tolist() == cells["n"].tolist()
        np.testing.assert_array_equal(natural["estimate"], cells["estimate"])


def test_processes_change_no_figure(cohort, oracle_type):
    """Asked one after the other or at the same time, predictors say the same."""
    test = cohort(200, rates={"b": 0.6}, seed=7)
    models = {"all": oracle_type(), "two": oracle_type(shifts={"a": 1.5, "b": 1.0})}
    one, two = (compare(models, test, n_boot=20, rates=(0.3,), n_jobs=n) for n in (None, 2))
    assert one == two


def test_differences_are_on_the_samples_that_both_answer(cohort, oracle_type):
    """A predictor of one modality is held against others where it has an answer."""
    test = cohort(500, rates={"b": 0.4}, seed=5)
    models = {"all": oracle_type(), "b alone": Told(logits_of(test, 1.0, 0), knows="b")}
    found = compare(models, test, metrics=["brier_score"], n_boot=50)
    assert found.differences["n"].tolist() == [int(test.presence[:, 1].sum())]
    assert set(found.overall["n"]) == {len(test), int(test.presence[:, 1].sum())}


def test_the_order_of_models_and_samples_changes_no_figure(cohort, oracle_type):
    """Differences change their sign with the order of a pair and nothing else."""
    shuffled = np.random.default_rng(0).permutation(300)
    test, moved = cohort(300, seed=6), cohort(300, seed=6, order=shuffled)
    a, b = oracle_type(), oracle_type(shifts={"a": 1.5})
    one = compare({"a": a, "b": b}, test, metrics=["brier_score"], n_boot=100)
    other = compare({"b": b, "a": a}, moved, metrics=["brier_score"], n_boot=100)
    np.testing.assert_array_equal(one.differences["difference"], -other.differences["difference"])
    np.testing.assert_allclose(one.differences["low"], -other.differences["high"], atol=1e-12)
    assert one.differences["ahead"].tolist() == other.differences["ahead"].tolist()


@given(st.lists(st.floats(0, 1) | st.just(float("nan")), max_size=12))
def test_holm_never_lowers_a_p_value_and_keeps_the_order(p):
    """Adjusted values are at least the raw ones, at most 1, in the same order."""
    adjusted = holm(p)
    raw = np.array(p)
    known = ~np.isnan(raw)
    assert (np.isnan(adjusted) == ~known).all()
    assert (adjusted[known] >= raw[known]).all()
    assert (adjusted[known] <= 1).all()
    order = np.argsort(raw[known], kind="stable")
    assert (np.diff(adjusted[known][order]) >= 0).all()


def test_a_leader_beats_every_other_one():
    """One win is not enough where a third stands beside."""
    favoured = {("a", "b"): "a", ("a", "c"): "neither", ("b", "c"): "c"}
    assert standing(["a", "b", "c"], favoured) == ("", ("a", "c"))


def test_a_line_that_touches_zero_and_turns_back_does_not_cross():
    """Only a change of sign is a crossing."""
    rates = np.array([0.0, 0.5, 1.0])
    assert np.isnan(crossing(rates, np.array([[1.0, 0.0, 1.0]]))[0])


def test_wrong_input_says_what_to_do(cohort, oracle):
    """One predictor, no dict, a test set without target, a requirement nobody can read."""
    test = cohort(60)
    with pytest.raises(EvaluationError, match="at least two fitted predictors"):
        compare({"one": oracle}, test)
    with pytest.raises(EvaluationError, match="at least two fitted predictors"):
        compare([oracle, oracle], test)
    with pytest.raises(EvaluationError, match="Did you mean 'roc_auc'"):
        compare({"one": oracle, "two": oracle}, test, metrics=["auc"])
    lost = test.with_presence(test.presence & [True, False, True])
    deaf = Told(logits_of(lost, 1.0, 0), knows="b")
    with pytest.raises(EvaluationError, match="deaf: it answers none"):
        compare({"one": oracle, "deaf": deaf}, lost)
