"""Operating points: figures at a threshold, thresholds for an alert rate, and net benefit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import confusion_matrix

from fusewise.data import MultimodalDataset
from fusewise.evaluate import (
    OperatingPoint,
    ThresholdChoice,
    answer_requirements,
    choose_threshold,
    evaluate,
    find_metric,
    threshold_for_rate,
)
from fusewise.evaluate.decision_curve import THRESHOLDS
from fusewise.evaluate.operating_points import AT_A_POINT
from fusewise.exceptions import EvaluationError

RATES = {"a": 0.8, "b": 0.7, "c": 0.6}
POINT = OperatingPoint(threshold=0.3)
QUICK = {"rates": (), "withheld_patterns": 0}


def case(n=90, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    p = np.round(np.clip(0.3 * y + 0.7 * rng.random(n), 0.0, 1.0), 1)
    return y, np.column_stack([1 - p, p])


@pytest.mark.parametrize("name", AT_A_POINT)
def test_weighted_figures_are_those_of_repeated_samples(name):
    """A replicate's score is scikit-learn's on the samples repeated as often as they were drawn."""
    y, p = case()
    metric = find_metric(name, "binary", POINT)
    rng = np.random.default_rng(1)
    counts = rng.multinomial(len(y), np.full(len(y), 1 / len(y)), size=5)
    got = metric.bind(y, p, 2)(counts.astype(float))
    for value, count in zip(got, counts, strict=True):
        rows = np.repeat(np.arange(len(y)), count)
        assert value == pytest.approx(metric.point(y[rows], p[rows], 2, None))
        assert value == pytest.approx(metric.point(y, p, 2, count.astype(float)))


def test_figures_by_hand():
    """From the four cells of the confusion matrix; a prediction at the threshold is flagged."""
    y, p = case()
    assert (p[:, 1] == 0.3).any()
    tn, fp, fn, tp = confusion_matrix(y, p[:, 1] >= 0.3).ravel()
    n = len(y)
    expected = {
        "sensitivity": tp / (tp + fn),
        "specificity": tn / (tn + fp),
        "ppv": tp / (tp + fp),
        "npv": tn / (tn + fn),
        "alert_rate": (tp + fp) / n,
        "net_benefit": tp / n - fp / n * 0.3 / 0.7,
    }
    assert set(expected) == set(AT_A_POINT)
    for name, value in expected.items():
        assert find_metric(name, "binary", POINT).point(y, p, 2, None) == pytest.approx(value)


def test_nobody_flagged_leaves_the_share_among_them_undefined(cohort, oracle):
    """No ppv where no sample is flagged, no sensitivity without positives; the rest goes on."""
    y, p = case()
    high, low = OperatingPoint(threshold=0.999), OperatingPoint(threshold=1e-9)
    p = np.clip(p, 0.01, 0.99)
    assert "no sample is flagged" in find_metric("ppv", "binary", high).undefined(y, 2, p)
    assert "every sample is flagged" in find_metric("npv", "binary", low).undefined(y, 2, p)
    ones = np.ones_like(y)
    assert find_metric("sensitivity", "binary", POINT).undefined(1 - ones, 2, p) == (
        "no positive sample"
    )
    assert find_metric("specificity", "binary", POINT).undefined(ones, 2, p) == "no negative sample"
    names = ["ppv", "sensitivity"]
    result = evaluate(oracle, cohort(200), metrics=names, operating_point=high, n_boot=20, **QUICK)
    pooled = result.pooled.set_index("metric")
    assert np.isnan(pooled.loc["ppv", "estimate"])
    assert pooled.loc["sensitivity", "estimate"] == 0
    assert result.threshold == 0.999


def test_sensitivity_of_the_truth_is_found(cohort, oracle):
    """Complete cases at 0.5: positives above 0 on the log-odds, a known normal probability."""
    result = evaluate(
        oracle,
        cohort(4000),
        metrics=["sensitivity", "specificity"],
        operating_point={"threshold": 0.5},
        n_boot=200,
        **QUICK,
    )
    # Log-odds of positives are normal with mean d/2 and variance d, d the sum of squared shifts.
    d = sum(s**2 for s in oracle.shifts.values())
    from scipy.stats import norm

    truth = norm.cdf(np.sqrt(d) / 2)
    assert ((result.pooled["low"] < truth) & (truth < result.pooled["high"])).all()


def test_figures_at_a_point_in_requirements(cohort, oracle):
    """Named in requirements alone too, and answered alone to the bit."""
    asked = [
        {"metric": "sensitivity", "absent": ["c"], "at_least": 0.5},
        {"metric": "net_benefit", "at_least": 0.0},
        {"metric": "alert_rate", "at_most": 0.05},
    ]
    test = cohort(800, rates=RATES)
    how = {"operating_point": {"threshold": 0.4}, "n_boot": 60}
    result = evaluate(oracle, test, metrics=["accuracy"], requirements=asked, **how, **QUICK)
    assert result.requirements["status"].tolist() == ["met", "met", "not met"]
    assert answer_requirements(oracle, test, asked, **how).equals(result.requirements)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"threshold": 0.0}, "strictly between 0 and 1"),
        ({"threshold": 1}, "strictly between 0 and 1"),
        ({"threshold": -0.2}, "strictly between 0 and 1"),
        ({"threshold": float("nan")}, "strictly between 0 and 1"),
        ({"threshold": "0.5"}, "strictly between 0 and 1"),
        ({"threshold": True}, "strictly between 0 and 1"),
        ({"alert_rate": 1.0}, "alert_rate is a number strictly between"),
        ({"alert_rate": 0}, "alert_rate is a number strictly between"),
        ({"threshold": 0.2, "alert_rate": 0.1}, "exactly one"),
        ({}, "neither"),
        ({"thresholds": 0.2}, "Did you mean 'threshold'"),
        (0.2, "a dict such as"),
    ],
)
def test_what_is_no_operating_point_is_refused(cohort, oracle, given, message):
    """The error says what an operating point is."""
    with pytest.raises(EvaluationError, match=message):
        evaluate(oracle, cohort(60), operating_point=given)
    assert oracle.calls == 0


def test_an_alert_rate_is_not_chosen_on_test_rows(cohort, oracle):
    """It is refused by evaluate, which names the function that chooses it on training rows."""
    with pytest.raises(EvaluationError, match="is no threshold yet"):
        evaluate(oracle, cohort(60), operating_point={"alert_rate": 0.1})
    assert oracle.calls == 0
    with pytest.raises(EvaluationError, match=r"choose_threshold.*operating_point=choice"):
        evaluate(oracle, cohort(60), metrics=["ppv"], operating_point={"alert_rate": 0.1})


def test_without_an_operating_point_they_are_refused(cohort, oracle):
    """In metrics and in requirements: declare one. A typing error still finds the name."""
    with pytest.raises(EvaluationError, match=r"sensitivity needs an operating point: declare"):
        evaluate(oracle, cohort(60), metrics=["sensitivity"])
    asked = [{"metric": "ppv", "at_least": 0.5}]
    with pytest.raises(EvaluationError, match=r"requirements\[0\].metric: ppv needs an operating"):
        evaluate(oracle, cohort(60), requirements=asked)
    with pytest.raises(EvaluationError, match="Did you mean 'sensitivity'"):
        find_metric("sensitivit", "binary", POINT)
    with pytest.raises(EvaluationError, match="Did you mean 'sensitivity'"):
        find_metric("recall", "binary", POINT)


def test_other_tasks_have_no_operating_point():
    """Regression and several classes: refused with the reason."""
    samples = pd.DataFrame({"id": range(60), "y": np.arange(60) / 7})
    frame = pd.DataFrame({"id": range(60), "x": 1.0})

    class Mean:
        def predict(self, dataset):
            return np.full(len(dataset), 4.0)

    for task, y in (("regression", samples["y"]), ("multiclass", np.arange(60) % 3)):
        test = MultimodalDataset(
            {"a": frame}, samples=samples.assign(y=y), id="id", target="y", task=task
        )
        with pytest.raises(EvaluationError, match=f"for binary tasks, this one is {task}"):
            evaluate(Mean(), test, metrics=["rmse"], operating_point={"threshold": 0.5})
        with pytest.raises(EvaluationError, match="choose_threshold is for binary"):
            choose_threshold(Mean(), test, alert_rate=0.1)


# Thresholds for an alert rate ----------------------------------------------------------------


class Learner(ClassifierMixin, BaseEstimator):
    """Log-odds from known shifts; remembers its training rows, for which it is certain."""

    def fit(self, X, y=None):
        self.classes_ = np.array([0, 1])
        self.seen_ = set(X.ids.tolist())
        self.clusters_ = set() if X.cluster is None else set(X.cluster.tolist())
        return self

    def predict_proba(self, X):
        assert not self.clusters_ & set([] if X.cluster is None else X.cluster.tolist())
        logit = np.zeros(len(X))
        for name in X.modalities:
            positions, frame = X.features(name)
            logit[positions] += {"a": 1.5, "b": 1.0, "c": 0.5}[name] * frame["x"].to_numpy()
        p = 1 / (1 + np.exp(-logit))
        p[[i in self.seen_ for i in X.ids]] = 1.0
        return np.column_stack([1 - p, p])


def test_the_rate_is_kept_on_new_samples(cohort):
    """Chosen on out-of-fold predictions, whose learner is certain of rows that it has seen."""
    train, test = cohort(3000, rates=RATES, seed=1), cohort(3000, rates=RATES, seed=2)
    choice = choose_threshold(Learner(), train, alert_rate=0.2, n_boot=200)
    assert choice.rate <= 0.2
    assert choice.rate == pytest.approx(0.2, abs=0.001)
    assert choice.low < choice.threshold < choice.high
    assert choice.rate_low < 0.2 < choice.rate_high
    assert (choice.n, choice.n_abstained, choice.source) == (
        len(train), 3000 - len(train), "as they came"
    )  # fmt: skip
    renamed = Learner().fit(train[:1])
    flagged = renamed.predict_proba(test[1:])[:, 1] >= choice.threshold
    assert flagged.mean() == pytest.approx(0.2, abs=0.03)


def test_the_rate_is_kept_on_the_deployments_mixture(cohort):
    """Where c is rarer in use, the threshold keeps the rate there and not on the training rows."""
    train = cohort(4000, rates={"c": 0.5}, seed=3)
    weights = {"patterns": {"a+b+c": 0.05, "a+b": 0.95}}
    plain = choose_threshold(Learner(), train, alert_rate=0.1, n_boot=0)
    chosen = choose_threshold(Learner(), train, alert_rate=0.1, deployment=weights, n_boot=0)
    p = Learner().fit(train[:0]).predict_proba(train)[:, 1]
    common = train.pattern == "a+b"
    for choice, close in ((plain, False), (chosen, True)):
        mixed = 0.95 * (p[common] >= choice.threshold).mean()
        mixed += 0.05 * (p[~common] >= choice.threshold).mean()
        assert (abs(mixed - 0.1) < 0.001) == close
    assert chosen.source == "patterns"
    assert chosen.effective_n < chosen.n


def test_clusters_stay_whole_and_order_has_no_effect(cohort):
    """The learner refuses a cluster that it was trained on; the choice is the same in any order."""
    cluster = np.repeat(np.arange(100), 3)
    train = cohort(300, cluster=cluster)
    first = choose_threshold(Learner(), train, alert_rate=0.3, n_folds=3, n_boot=50)
    again = choose_threshold(Learner(), train[::-1], alert_rate=0.3, n_folds=3, n_boot=50)
    assert first == again
    assert ThresholdChoice.from_json(first.to_json()) == first
    alone = choose_threshold(Learner(), cohort(300), alert_rate=0.3, n_folds=3, n_boot=50)
    assert alone != first


def test_an_alert_rate_with_ties_is_not_exceeded():
    """Equal predictions are flagged together or not at all."""
    p = np.repeat([0.2, 0.5, 0.8], [50, 30, 20])
    for rate, threshold, achieved in ((0.2, 0.65, 0.2), (0.49, 0.65, 0.2), (0.5, 0.35, 0.5)):
        choice = threshold_for_rate(p, rate, n_boot=0)
        assert choice.threshold == pytest.approx(threshold)
        assert choice.rate == pytest.approx(achieved)
        assert np.isnan(choice.low)
    with pytest.raises(EvaluationError, match=r"at most 0\.1.*0\.2 of them share"):
        threshold_for_rate(p, 0.1)
    # The last row weighs as much as all others together.
    weights = np.append(np.ones(99), 99.0)
    assert threshold_for_rate(p, 0.65, weights=weights, n_boot=0).threshold == pytest.approx(0.65)


def test_the_interval_of_a_threshold_covers_the_quantile():
    """At 95 %, the quantile of the population is in some 95 % of the intervals."""
    rng = np.random.default_rng(1)
    hits = 0
    for seed in range(300):
        choice = threshold_for_rate(rng.random(200), 0.1, n_boot=100, random_state=seed)
        hits += choice.low <= 0.9 <= choice.high
    assert 0.9 < hits / 300 < 0.985


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.1, np.nan], 0.1), "in \\[0, 1\\]"),
        (([0.1, 1.2], 0.1), "in \\[0, 1\\]"),
        (([], 0.1), "in \\[0, 1\\]"),
        (([0.1, 0.2], 1.5), "strictly between"),
        (([0.1, 0.2], 0.1, {"weights": [1.0]}), "weights has shape"),
        (([0.1, 0.2], 0.6, {"units": [1]}), "units has shape"),
        (([0.1, 0.2], 0.6, {"n_boot": -1}), "n_boot"),
    ],
)
def test_bad_input_for_a_rate_is_refused(arguments, message):
    """What is wrong, and what was expected."""
    *plain, options = arguments if isinstance(arguments[-1], dict) else (*arguments, {})
    with pytest.raises(EvaluationError, match=message):
        threshold_for_rate(*plain, **options)


def test_what_cannot_be_refitted_is_told_of_the_other_way(cohort, oracle):
    """A plain predictor: make out-of-fold predictions and give them to threshold_for_rate."""
    with pytest.raises(EvaluationError, match=r"cannot be cloned.*threshold_for_rate"):
        choose_threshold(oracle, cohort(60), alert_rate=0.1)


# Decision curves -----------------------------------------------------------------------------


def test_the_decision_curve_is_net_benefit_at_each_threshold(cohort, oracle):
    """The model's equals the metric, acting on all follows the prevalence, on none is 0."""
    test = cohort(1500, rates=RATES)
    result = evaluate(
        oracle,
        test,
        metrics=["net_benefit"],
        operating_point={"threshold": 0.33},
        n_boot=100,
        **QUICK,
    )
    table = result.decision_curve
    whole = table[table["pattern"] == "(all)"].set_index("threshold")
    assert sorted({*THRESHOLDS, 0.33}) == whole.index.tolist()
    mine = result.pooled.iloc[0]
    row = whole.loc[0.33]
    assert row[["net_benefit", "net_benefit_low", "net_benefit_high"]].tolist() == pytest.approx(
        mine[["estimate", "low", "high"]].tolist()
    )
    prevalence = result.by_pattern.query("view == 'natural'").groupby("pattern")["n_positive"]
    share = prevalence.first().sum() / mine["n"]
    odds = whole.index / (1 - whole.index)
    np.testing.assert_allclose(whole["treat_all"], share - (1 - share) * odds, atol=1e-12)
    assert (table["treat_none"] == 0).all()
    assert (whole["treat_all_low"] < whole["treat_all"]).all()
    # A calibrated predictor is never worse than both, and clearly better in between.
    assert (whole["advantage_high"] >= 0).all()
    assert whole.loc[0.5, "advantage_low"] > 0
    best = np.maximum(whole["treat_all"], 0)
    np.testing.assert_allclose(whole["advantage"], whole["net_benefit"] - best, atol=1e-12)
    heaviest = test.patterns()["pattern"].iloc[:3].tolist()
    assert table["pattern"].unique().tolist() == ["(all)", *heaviest]


def test_a_predictor_that_knows_nothing_has_no_advantage(cohort):
    """Constant at the prevalence: acting on all or none is as good at every threshold."""

    class Constant:
        def predict_proba(self, dataset):
            return np.full((len(dataset), 2), 0.5)

    result = evaluate(Constant(), cohort(400), metrics=["brier_score"], n_boot=50, **QUICK)
    assert (result.decision_curve["advantage_low"] <= 1e-12).all()
