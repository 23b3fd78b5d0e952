"""Calibration intercept, slope and ECE: known values, scikit-learn's fits, and where undefined."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from fusewise.evaluate import evaluate
from fusewise.evaluate.calibration_metrics import ece_if_calibrated, equal_mass
from fusewise.evaluate.metrics import find_metric
from fusewise.evaluate.recalibration import intercept, logit, overlap, slope
from fusewise.exceptions import EvaluationError

RATES = {"a": 0.8, "b": 0.7, "c": 0.6}


def drawn(n, seed=0, a=0.0, b=1.0):
    """Log-odds of a prediction, and outcomes whose true log-odds are a + b times it."""
    rng = np.random.default_rng(seed)
    score = 1.5 * rng.normal(size=n) - 1
    return score, rng.random(n) < 1 / (1 + np.exp(-(a + b * score)))


def weightings(n, seed=0):
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(n, np.full(n, 1 / n), size=6)
    return np.vstack([np.ones(n), rng.random((3, n)), counts]).astype(float)


@pytest.mark.parametrize("seed", range(3))
def test_the_slope_is_that_of_an_unpenalised_logistic_regression(seed):
    """Under each weighting, and at few samples as at many."""
    score, positive = drawn(400 if seed else 40, seed, a=0.4, b=0.6)
    weights = weightings(len(score), seed)
    got = slope(positive, score)(weights)
    for value, weight in zip(got, weights, strict=True):
        model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-12)
        model.fit(score[:, None], positive, sample_weight=weight)
        assert value == pytest.approx(model.coef_[0, 0], rel=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_the_intercept_makes_predictions_right_on_average(seed):
    """What defines it: expected positives equal observed ones once it is added."""
    score, positive = drawn(300, seed, a=-0.8)
    weights = weightings(len(score), seed)
    got = intercept(positive, score)(weights)
    for value, weight in zip(got, weights, strict=True):
        expected = weight @ (1 / (1 + np.exp(-(value + score))))
        assert expected == pytest.approx(weight @ positive, rel=1e-9)


def test_known_miscalibration_is_found():
    """Slope and intercept of the generator, within four standard errors."""
    score, positive = drawn(20000, seed=1, b=0.5)
    assert slope(positive, score)(np.ones((1, 20000)))[0] == pytest.approx(0.5, abs=0.06)
    score, positive = drawn(20000, seed=2, a=0.7)
    assert intercept(positive, score)(np.ones((1, 20000)))[0] == pytest.approx(0.7, abs=0.08)
    assert slope(positive, score)(np.ones((1, 20000)))[0] == pytest.approx(1.0, abs=0.08)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=12))
def test_there_is_a_slope_exactly_where_the_classes_overlap(rows):
    """Separated or equal scores have none; all others have one, however they lie (ties too)."""
    score = np.array([float(s) for s, _ in rows])
    positive = np.array([p for _, p in rows])
    ones = np.ones((1, len(rows)))
    expected = bool(
        positive.any()
        and not positive.all()
        and score[~positive].max() > score[positive].min()
        and score[positive].max() > score[~positive].min()
    )
    assert np.isfinite(overlap(positive, score)(ones)[0]) == expected
    got = slope(positive, score)(ones)[0]
    assert np.isfinite(got) == expected
    if expected:
        # The likelihood is flat there: no slope and level fits better.
        x = np.stack([np.ones_like(score), score], axis=1)
        model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-12)
        model.fit(score[:, None], positive)
        p = 1 / (1 + np.exp(-x @ [model.intercept_[0], got]))
        assert np.abs(x.T @ (positive - p)).max() < 1e-5


def test_a_resample_that_separates_is_undefined_and_not_huge():
    """A weighting under which the classes do not overlap, or one is gone, gives NaN."""
    score = np.array([-1.0, 0.0, 0.5, 1.0, 2.0])
    positive = np.array([False, True, False, True, True])
    weights = np.array([[1, 1, 1, 1, 1], [1, 0, 1, 1, 1], [1, 0, 1, 0, 0]], dtype=float)
    got = slope(positive, score)(weights)
    assert np.isfinite(got[0])
    assert np.isnan(got[1:]).all()
    assert np.isnan(intercept(positive, score)(weights)[2])


def test_certain_predictions_stay_finite():
    """Probabilities of 0 and 1 are clipped as in log loss."""
    assert np.isfinite(logit(np.array([0.0, 1.0]))).all()
    score = logit(np.array([0.0, 1.0, 1.0, 0.3, 0.4, 0.6, 0.7]))
    positive = np.array([False, True, False, True, False, True, False])
    assert np.isfinite(slope(positive, score)(np.ones((1, 7)))[0])
    assert np.isfinite(intercept(positive, score)(np.ones((1, 7)))[0])


# Log-odds and classes on which a bare Newton's method fails: some predictions are certain and
# wrong (and so weighted), or the classes hardly overlap.
HARD = [
    (
        [-7.62, 0.2, 0.6, -0.93, 1.59, -0.03, -0.74, -0.23, -0.27, 0.44, 0.74, 0.79, -4.44, 0.88,
         0.67, -0.8, 29.44, -0.08, 36.0],
        [0, 0, 0, 0, 1, 0, 0, 1, 1, 0, 0, 0, 0, 1, 0, 0, 1, 0, 1],
        [0, 1, 2, 1, 0, 0, 0, 0, 1, 2, 2, 4, 1, 0, 3, 0, 1, 1, 0],
    ),
    (
        [1.28, -0.27, 0.93, 2.41, -1.08, -4.3, -3.35, 6.44, 7.51, -18.33, -0.91, -0.96, 0.21,
         -9.92, -0.23, 1.06, -0.2, 0.65, 5.22, 2.02, -0.19, 10.27, -0.25, 0.83, -2.29, 0.51, 0.48],
        [1, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 1, 0, 0, 1, 1, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1],
        [1] * 27,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("score", "positive", "weight"), HARD)
def test_hard_cases_are_solved(score, positive, weight):
    """Where the classes overlap there is a slope, and it solves the equations that define it."""
    score, weight = np.array(score), np.array(weight, dtype=float)
    positive = np.array(positive, dtype=bool)
    got = slope(positive, score)(weight[None])[0]
    assert np.isfinite(got)
    # With that slope, the level that fits on average also fits along the score.
    level = intercept(positive, got * score)(weight[None])[0]
    left = weight * (positive - expit(level + got * score))
    assert abs(left @ score) < 1e-6 * np.abs(weight * score).sum()
    assert abs(left.sum()) < 1e-9


def test_an_intercept_is_found_among_certain_predictions():
    """Newton's method alone jumps beyond: the root is kept between its limits."""
    score = np.array([31.42, 11.08, 4.22, -1.6, 2.96, 21.02, 5.73])
    positive = np.array([True, True, False, False, False, False, True])
    got = intercept(positive, score)(np.ones((1, 7)))[0]
    assert (1 / (1 + np.exp(-(got + score)))).sum() == pytest.approx(3)


def test_ece_by_hand():
    """Two bins of equal mass, off by 0.1 and by 0.3."""
    p = np.repeat([0.2, 0.7], 50)
    y = np.concatenate([np.arange(50) < 15, np.arange(50) < 50]).astype(int)
    metric = find_metric("ece", "binary")
    probability = np.column_stack([1 - p, p])
    assert metric.point(y, probability, 2, None) == pytest.approx((0.1 + 0.3) / 2)
    # Samples of the first bin count three times.
    weight = np.repeat([3.0, 1.0], 50)
    assert metric.point(y, probability, 2, weight) == pytest.approx((3 * 0.1 + 0.3) / 4)


@pytest.mark.parametrize("n", [60, 300, 2000])
def test_the_bias_of_ece_is_what_calibrated_predictions_show(n):
    """The formula is the mean over redraws of the outcomes from the predictions themselves."""
    rng = np.random.default_rng(n)
    p = rng.beta(1, 4, n)
    codes = equal_mass(p)
    shares = np.bincount(codes)
    y = rng.random((4000, n)) < p
    sums = (y - p) @ np.eye(len(shares))[codes]
    simulated = (np.abs(sums).sum(axis=1) / n).mean()
    assert ece_if_calibrated(p) == pytest.approx(simulated, rel=0.03)


def test_worse_is_farther_from_the_target():
    """A drop grows with the distance, on either side; both limits make sense."""
    for name, right in (("calibration_slope", 1.0), ("calibration_intercept", 0.0)):
        metric = find_metric(name, "binary")
        assert metric.target == right
        assert metric.drop(right, right + 0.4) == pytest.approx(0.4)
        assert metric.drop(right, right - 0.4) == pytest.approx(0.4)
        assert metric.drop(right - 0.5, right + 0.2) == pytest.approx(-0.3)
        assert metric.limits == ("at_least", "at_most")
    assert find_metric("ece", "binary").limits == ("at_most",)


def overconfident(oracle_type):
    return oracle_type(shifts={"a": 3.0, "b": 2.0, "c": 1.0})


def test_the_oracle_has_slope_one_and_an_overconfident_one_a_half(cohort, oracle, oracle_type):
    """In the summary, per view and pattern; the figures are those of the metric by pattern."""
    test = cohort(2500, rates=RATES)
    names = ["calibration_slope", "calibration_intercept", "ece"]
    how = {"metrics": names, "withheld_patterns": 3, "rates": ()}
    right = evaluate(oracle, test, n_boot=60, **how)
    wrong = evaluate(overconfident(oracle_type), test, n_boot=0, **how)
    table = right.calibration_summary
    assert set(table["view"]) == {"natural", "withheld"}
    cells = table.set_index(["view", "pattern", "metric"])
    whole = cells.loc[("natural", "(all)", "calibration_slope")]
    assert whole["low"] < 1 < whole["high"]
    assert whole["if_calibrated"] == 1
    assert cells.loc[("natural", "(all)", "calibration_intercept"), "if_calibrated"] == 0
    slopes = wrong.calibration_summary.query("metric == 'calibration_slope' and not small")
    assert slopes["estimate"].between(0.3, 0.7).all()
    ece = cells.loc[("natural", "(all)", "ece")]
    assert 0 < ece["if_calibrated"] < 0.025
    assert ece["estimate"] < 2.5 * ece["if_calibrated"]
    bad = wrong.calibration_summary.set_index(["view", "pattern", "metric"])
    assert bad.loc[("natural", "(all)", "ece"), "estimate"] > 0.05
    # The same cell in the table by pattern: the same figure and interval.
    mine = right.by_pattern.query("view == 'withheld' and pattern == 'a+b'").set_index("metric")
    for name in names:
        expected = cells.loc[("withheld", "a+b", name), ["estimate", "low", "high"]]
        assert mine.loc[name, ["estimate", "low", "high"]].tolist() == expected.tolist()


def test_a_summary_needs_probabilities_and_two_classes(cohort, oracle):
    """One class: no intercept, no slope, an ECE; labels alone: an empty table."""
    y = np.ones(200, dtype=int)
    y[:100] = 0
    presence = np.ones((200, 3), dtype=bool)
    presence[:100, 2] = False
    result = evaluate(oracle, cohort(200, y=y, presence=presence), metrics=["ece"], n_boot=20)
    own = result.calibration_summary.query("view == 'natural' and pattern == 'a+b+c'")
    own = own.set_index("metric")
    assert own.loc["calibration_slope", "note"] == "one class only"
    assert own.loc["calibration_intercept", "note"] == "one class only"
    assert np.isfinite(own.loc["ece", "estimate"])

    class Labels:
        def predict(self, dataset):
            return np.zeros(len(dataset), dtype=int)

    assert evaluate(Labels(), cohort(60), n_boot=5).calibration_summary.empty


def test_separated_and_constant_predictions_are_noted(cohort):
    """No slope: the note says whether the predictions separate the classes or are all alike."""
    test = cohort(100)

    class Constant:
        def predict_proba(self, dataset):
            return np.full((len(dataset), 2), 0.5)

    class Perfect:
        def predict_proba(self, dataset):
            p = 0.1 + 0.8 * np.asarray(dataset.target)
            return np.column_stack([1 - p, p])

    for model, note in ((Constant(), "all predictions are alike"), (Perfect(), "separate")):
        pooled = evaluate(model, test, metrics=["calibration_slope"], n_boot=10, rates=()).pooled
        assert np.isnan(pooled["estimate"].iloc[0])
        assert note in pooled["note"].iloc[0]


def test_slope_and_ece_in_requirements(cohort, oracle, oracle_type):
    """Either side of a slope can be required; what holds is met, what does not is not met."""
    test = cohort(2500, rates=RATES)
    asked = [
        {"metric": "calibration_slope", "at_least": 0.8},
        {"metric": "calibration_slope", "at_most": 1.2},
        {"metric": "ece", "at_most": 0.05},
    ]
    how = {"metrics": ["roc_auc"], "requirements": asked, "n_boot": 100, "rates": ()}
    how["withheld_patterns"] = 0
    good = evaluate(oracle, test, **how).requirements["status"].tolist()
    bad = evaluate(overconfident(oracle_type), test, **how).requirements["status"].tolist()
    assert good == ["met", "met", "met"]
    assert bad == ["not met", "met", "not met"]


def test_a_calibrated_predictor_is_never_called_miscalibrated_for_want_of_samples(cohort, oracle):
    """The bias of ECE alone decides nothing: undetermined, and the reason says why."""
    statuses = set()
    for seed in range(8):
        result = evaluate(
            oracle,
            cohort(250, seed=seed),
            metrics=["accuracy"],
            requirements=[{"metric": "ece", "at_most": 0.02}],
            n_boot=100,
            rates=(),
            withheld_patterns=0,
        )
        row = result.requirements.iloc[0]
        statuses.add((row["status"], "biased upwards" in row["reason"]))
    assert ("undetermined", True) in statuses
    assert not any(status == "not met" for status, _ in statuses)


def test_a_baseline_is_better_by_its_distance_from_the_target(cohort, oracle, oracle_type):
    """The slope of 1 beats a slope of 0.5 and one of 2 alike."""
    test = cohort(3000)
    timid = oracle_type(shifts={"a": 0.75, "b": 0.5, "c": 0.25})
    result = evaluate(
        oracle,
        test,
        metrics=["calibration_slope"],
        baselines={"bold": overconfident(oracle_type), "timid": timid},
        n_boot=100,
        rates=(),
        withheld_patterns=0,
    )
    assert result.baselines["better"].tolist() == ["model", "model"]
    assert np.sign(result.baselines["difference"]).tolist() == [1, -1]


def test_calibration_is_for_binary_tasks():
    """Other tasks have no such metric."""
    for task in ("multiclass", "regression"):
        with pytest.raises(EvaluationError, match="unknown metric 'calibration_slope'"):
            find_metric("calibration_slope", task)
