"""Which modality to ask for first: known gains, nulls, costs."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import log_loss

from fusewise.evaluate import value_of_asking
from fusewise.exceptions import EvaluationError

RATES = {"a": 0.6, "b": 0.6, "c": 0.6}


def one(table, pattern, ask):
    row = table[(table["pattern"] == pattern) & (table["ask"] == ask)]
    assert len(row) == 1
    return row.iloc[0]


def test_the_gain_is_the_paired_difference_on_those_who_have_both(cohort, oracle):
    """With P against with P and m, on the samples with at least both, everything else withheld."""
    test = cohort(700, rates=RATES)
    table = value_of_asking(oracle, test, n_boot=100)
    row = one(table, "b", "a")
    both = test[test.presence[:, 0] & test.presence[:, 1]]
    less = log_loss(both.target, oracle.predict_proba(both.only("b")))
    more = log_loss(both.target, oracle.predict_proba(both.only("a", "b")))
    assert row["n"] == len(both)
    assert row["without"] == pytest.approx(less)
    assert row["with"] == pytest.approx(more)
    assert row["gain"] == pytest.approx(less - more)
    assert row["gain_low"] < row["gain"] < row["gain_high"]
    assert len(table) == 3 * 2 + 3 * 1


def test_the_stronger_modality_is_asked_for_first(cohort, oracle):
    """Modality a tells more than b, and b more than c; each helps, as the oracle's AUROC has it."""
    table = value_of_asking(oracle, cohort(8000, rates=RATES), metric="roc_auc", n_boot=100)
    for pattern, order in {"c": ["a", "b"], "b": ["a", "c"], "a": ["b", "c"]}.items():
        own = table[table["pattern"] == pattern]
        assert own["ask"].tolist() == order
        assert own["rank"].tolist() == [1, 2]
        assert set(own["helps"]) == {"yes"}
        for row in own.itertuples():
            truth = oracle.auroc(f"{pattern}+{row.ask}") - oracle.auroc(pattern)
            assert row.gain_low - 0.01 < truth < row.gain_high + 0.01


def test_what_a_predictor_ignores_gains_exactly_nothing(cohort, oracle_type):
    """The null stays null, to the bit, and is answered no."""
    deaf = oracle_type(shifts={"a": 1.5, "b": 1.0})
    table = value_of_asking(deaf, cohort(400, rates=RATES), n_boot=100)
    row = one(table, "a+b", "c")
    assert (row["gain"], row["gain_low"], row["gain_high"], row["helps"]) == (0, 0, 0, "no")


def test_costs_decide_the_rank(cohort, oracle):
    """A modality that tells more may still be asked for later."""
    test = cohort(2000, rates=RATES)
    free = value_of_asking(oracle, test, n_boot=0)
    priced = value_of_asking(oracle, test, costs={"a": 100, "b": 1}, n_boot=0)
    assert free[free["pattern"] == "c"]["ask"].tolist() == ["a", "b"]
    own = priced[priced["pattern"] == "c"]
    assert own["ask"].tolist() == ["b", "a"]
    np.testing.assert_allclose(own["gain_per_cost"], own["gain"] / own["cost"])
    unpriced = one(priced, "a+b", "c")
    assert unpriced["rank"] == 0
    assert "no cost" in unpriced["note"]
    assert free["cost"].isna().all()


def test_patterns_are_those_of_the_deployment_by_weight(cohort, oracle):
    """Complete samples can answer for a deployment that lacks modalities."""
    table = value_of_asking(
        oracle, cohort(300), deployment={"patterns": {"b": 3, "a+c": 1, "a+b+c": 9}}, n_boot=20
    )
    assert table["pattern"].tolist() == ["b", "b", "a+c"]
    assert table["weight"].tolist() == pytest.approx([3 / 13, 3 / 13, 1 / 13])
    assert (table["n"] == 300).all()
    capped = value_of_asking(oracle, cohort(300, rates=RATES), patterns=1, n_boot=20)
    assert capped["pattern"].nunique() == 1


def test_who_never_came_together_cannot_tell(cohort, oracle):
    """No sample has both: the row stays, with n of 0 and the reason."""
    presence = np.zeros((200, 3), dtype=bool)
    presence[:100, 0] = presence[100:, 1] = True
    presence[:100, 2] = True
    table = value_of_asking(oracle, cohort(200, presence=presence), n_boot=20)
    row = one(table, "b", "a")
    assert (row["n"], row["rank"], row["note"]) == (0, 0, "no sample")
    assert np.isnan(row["gain"])


def test_order_has_no_effect(cohort, oracle):
    """Samples in another order give the same table, to the bit."""
    test = cohort(150, rates=RATES)
    one_way = value_of_asking(oracle, test, n_boot=50)
    assert one_way.equals(value_of_asking(oracle, test[::-1], n_boot=50))


@pytest.mark.parametrize("cost", [0, -1, float("nan"), float("inf"), "2", True])
def test_costs_are_positive_numbers(cohort, oracle, cost):
    """Anything else would make a rank that means nothing."""
    with pytest.raises(EvaluationError, match="costs: that of 'a' is a positive number"):
        value_of_asking(oracle, cohort(40), costs={"a": cost})


def test_bad_input_is_refused(cohort, oracle):
    """Unknown modalities and metrics are named, with a suggestion."""
    with pytest.raises(EvaluationError, match="costs: no modality 'd'; the test set has a, b, c"):
        value_of_asking(oracle, cohort(40), costs={"d": 1})
    with pytest.raises(EvaluationError, match="unknown metric 'logloss'"):
        value_of_asking(oracle, cohort(40), metric="logloss")
    with pytest.raises(EvaluationError, match="patterns"):
        value_of_asking(oracle, cohort(40), patterns=-1)
