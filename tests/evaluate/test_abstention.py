"""Risk-coverage curves and the area under them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fusewise as fw
from fusewise.evaluate import RiskCoverage, conformalise, risk_coverage
from fusewise.evaluate.abstention import _bind_area
from fusewise.exceptions import EvaluationError

RATES = {"a": 0.8, "b": 0.7, "c": 0.6}


def area_by_hand(lost, confidence):
    """Mean, over the samples, of the risk among those at least as confident."""
    return np.mean([lost[confidence >= c].mean() for c in confidence])


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_the_area_is_the_mean_risk_over_thresholds(data):
    """Weighted as repeated: a sample that counts thrice is three samples, ties or not."""
    n = data.draw(st.integers(1, 12))
    lost = np.array(data.draw(st.lists(st.floats(0, 3), min_size=n, max_size=n)))
    sure = np.array(
        data.draw(st.lists(st.sampled_from([0.5, 0.7, 0.8, 1]), min_size=n, max_size=n))
    )
    weights = np.array(data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)))
    if weights.sum() == 0:
        weights[0] = 1
    got = _bind_area(None, np.column_stack([lost, sure]), 2)(weights[None].astype(float))[0]
    assert got == pytest.approx(
        area_by_hand(np.repeat(lost, weights), np.repeat(sure, weights)), abs=1e-12
    )


def test_curve_and_area_of_every_pattern(cohort, oracle):
    """Each natural cell is what its samples say: error among the most confident, and the mean."""
    test = cohort(600, rates=RATES)
    result = risk_coverage(oracle, test, n_boot=100)
    p = oracle.predict_proba(test)
    wrong, sure = p.argmax(axis=1) != test.target, p.max(axis=1)
    area = result.area[result.area["view"] == "natural"].set_index("pattern")
    curve = result.curve[result.curve["view"] == "natural"]
    for pattern, row in area.iterrows():
        here = np.ones(600, bool) if pattern == "(all)" else test.pattern == pattern
        assert row["n"] == here.sum()
        assert row["risk"] == pytest.approx(wrong[here].mean())
        assert row["aurc"] == pytest.approx(area_by_hand(wrong[here], sure[here]))
        assert row["gain"] == pytest.approx(row["risk"] - row["aurc"])
        own = curve[curve["pattern"] == pattern]
        assert own["share"].iloc[0] == 1
        assert own["risk"].iloc[0] == pytest.approx(row["risk"])
        for point in own.itertuples():
            kept = here & (sure >= point.confidence)
            assert kept.sum() == np.ceil(point.share * here.sum())
            assert point.risk == pytest.approx(wrong[kept].mean())


def test_a_calibrated_predictor_errs_as_often_as_it_says(cohort, oracle):
    """Among the answered, the error of true probabilities is one minus their mean confidence."""
    test = cohort(20_000, rates=RATES)
    result = risk_coverage(oracle, test, n_boot=50, withheld_patterns=0)
    sure = oracle.predict_proba(test).max(axis=1)
    for point in result.curve[result.curve["pattern"] == "(all)"].itertuples():
        kept = sure >= point.confidence
        expected = 1 - sure[kept].mean()
        assert abs(point.risk - expected) < 4 * np.sqrt(expected / kept.sum())
    assert (result.area["gain_low"] > 0).all()


def test_a_coin_for_confidence_gains_nothing(cohort, oracle_type):
    """With one confidence for all, everybody is answered or nobody: the gain is exactly 0."""

    class Flat(oracle_type):
        def predict_proba(self, dataset):
            p = super().predict_proba(dataset)[:, 1] > 0.5
            return np.where(p[:, None], [0.3, 0.7], [0.7, 0.3])

    result = risk_coverage(Flat(), cohort(300, rates=RATES), n_boot=100)
    assert (result.area[["gain", "gain_low", "gain_high"]] == 0).all(axis=None)
    assert (result.curve["answered"] == 1).all()


def test_withheld_cells_use_the_same_samples(cohort, oracle):
    """Losing the best modality raises the area, on the same complete samples."""
    result = risk_coverage(oracle, cohort(3000, rates=RATES), n_boot=50, loss="log_loss")
    own = result.area[result.area["view"] == "withheld"].set_index("pattern")
    assert own["n"].nunique() == 1
    assert own.loc["c", "aurc"] > own.loc["b+c", "aurc"] > own.loc["a+b+c", "aurc"]
    assert result.loss == "log_loss"


def test_the_interval_of_the_area_holds_the_truth(cohort, oracle):
    """The 95 % interval contains the area in the population in nearly all of 20 test sets."""
    truth = risk_coverage(oracle, cohort(50_000, seed=99), n_boot=0, withheld_patterns=0).area
    held = 0
    for seed in range(20):
        area = risk_coverage(
            oracle, cohort(200, seed=seed), n_boot=200, withheld_patterns=0, shares=()
        ).area
        held += area["low"].iloc[0] <= truth["aurc"].iloc[0] <= area["high"].iloc[0]
    assert held >= 16


def test_a_regression_abstains_by_the_width_of_its_intervals():
    """Patterns with wide intervals are given up first, which lowers the error of the rest."""
    cohort = fw.make_cohort(
        900, 900, modalities={"a": 2, "b": 2}, task="regression", random_state=0,
        signal={"a": 3.0, "b": 0.7}, availability={"patterns": {"a": 0.5, "b": 0.5}},
    )  # fmt: skip

    class Mean:
        def predict(self, dataset):
            return cohort.bayes_predict(dataset)

    result = risk_coverage(conformalise(Mean(), cohort.train), cohort.test, n_boot=100)
    assert result.loss == "absolute_error"
    area = result.area.set_index(["view", "pattern"])
    assert area.loc[("natural", "(all)"), "gain_low"] > 0
    assert area.loc[("natural", "a"), "gain"] == 0
    with pytest.raises(EvaluationError, match="fusewise.conformalise"):
        risk_coverage(Mean(), cohort.test)


def test_the_result_goes_to_json_and_back(cohort, oracle):
    """Tables survive, infinities and gaps included; the order of samples has no effect."""
    test = cohort(80, rates=RATES)
    result = risk_coverage(oracle, test, n_boot=30)
    assert RiskCoverage.from_json(result.to_json()) == result
    assert risk_coverage(oracle, test[::-1], n_boot=30) == result
    assert repr(result).startswith("RiskCoverage(error, n=80, aurc=0.")


def test_bad_input_is_refused(cohort, oracle):
    """Unknown losses and shares are named."""
    test = cohort(50)
    with pytest.raises(EvaluationError, match="Did you mean 'log_loss'"):
        risk_coverage(oracle, test, loss="logloss")
    with pytest.raises(EvaluationError, match=r"shares .* got 0"):
        risk_coverage(oracle, test, shares=(0, 0.5))

    class Labels:
        def predict(self, dataset):
            return np.zeros(len(dataset), dtype=int)

    with pytest.raises(EvaluationError, match="Labels has no predict_proba"):
        risk_coverage(Labels(), test)
    tables = {"a": pd.DataFrame({"id": [0, 1], "x": [0.0, 1.0]})}
    bare = fw.MultimodalDataset(tables, samples=pd.DataFrame({"id": [0, 1]}), id="id")
    with pytest.raises(EvaluationError, match="has no target"):
        risk_coverage(oracle, bare)
