"""The vectorised weighted metrics are scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest

from fusewise.evaluate.metrics import METRICS, choose_metrics, find_metric
from fusewise.exceptions import EvaluationError

CASES = [(task, name) for task, known in METRICS.items() for name in known]

# Of a metric with a target, neither more nor less is better: see test_calibration_metrics.py.
DIRECTED = [(task, name) for task, name in CASES if METRICS[task][name].target is None]


def draw(task: str, rng: np.random.Generator, n: int = 80):
    """Targets, and predictions rounded so that many scores are tied."""
    if task == "regression":
        truth = rng.normal(size=n) + 5
        return truth, {"label": truth + rng.normal(size=n)}, 0
    k = 2 if task == "binary" else 4
    truth = rng.integers(0, k, n)
    truth[:k] = np.arange(k)
    raw = rng.random((n, k)) + 0.6 * np.eye(k)[truth]
    probability = np.round(raw / raw.sum(axis=1, keepdims=True), 1) + 0.01
    probability /= probability.sum(axis=1, keepdims=True)
    label = np.where(rng.random(n) < 0.6, truth, rng.integers(0, k, n))
    return truth, {"probability": probability, "label": label}, k


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("task", "name"), CASES)
def test_each_weighted_metric_equals_scikit_learn(task, name, seed):
    """A replicate's score is scikit-learn's score with the replicate as sample_weight."""
    rng = np.random.default_rng(seed)
    truth, predictions, k = draw(task, rng)
    metric = find_metric(name, task)
    prediction = predictions[metric.response]
    counts = rng.multinomial(len(truth), np.full(len(truth), 1 / len(truth)), size=8)
    weights = np.vstack([np.ones(len(truth)), rng.random((8, len(truth))), counts])
    got = metric.bind(truth, prediction, k)(weights.astype(float))
    expected = [metric.point(truth, prediction, k, w) for w in weights]
    np.testing.assert_allclose(got, expected, rtol=1e-9)


@pytest.mark.parametrize(("task", "name"), CASES)
def test_point_estimates_need_no_weights(task, name):
    """Weights of one are no weights."""
    truth, predictions, k = draw(task, np.random.default_rng(5))
    metric = find_metric(name, task)
    prediction = predictions[metric.response]
    plain = metric.point(truth, prediction, k, None)
    assert plain == pytest.approx(metric.point(truth, prediction, k, np.ones(len(truth))))


@pytest.mark.parametrize("name", ["roc_auc", "average_precision", "balanced_accuracy"])
def test_weights_without_a_class_give_nan(name):
    """A replicate that drew one class only is undefined, not zero."""
    truth, predictions, k = draw("binary", np.random.default_rng(0))
    metric = find_metric(name, "binary")
    weights = np.stack([(truth == 0).astype(float), np.ones(len(truth))])
    got = metric.bind(truth, predictions[metric.response], k)(weights)
    assert np.isnan(got[0])
    assert np.isfinite(got[1])


def test_certain_and_wrong_predictions_have_a_finite_log_loss():
    """Probabilities of 0 and 1 are clipped as scikit-learn clips them."""
    metric = find_metric("log_loss", "binary")
    truth = np.array([0, 1, 1])
    probability = np.array([[0.0, 1.0], [0.0, 1.0], [0.3, 0.7]])
    got = metric.bind(truth, probability, 2)(np.ones((1, 3)))
    np.testing.assert_allclose(got, metric.point(truth, probability, 2, None))


@pytest.mark.parametrize(("task", "name"), DIRECTED)
def test_direction_is_known(task, name):
    """A drop is positive when the score becomes worse, for gains and for losses."""
    truth, _, k = draw(task, np.random.default_rng(1))
    metric = find_metric(name, task)
    if metric.response == "label":
        perfect = truth
        # A constant in regression, everything wrong in classification.
        worse = np.full(len(truth), truth.mean()) if task == "regression" else (truth + 1) % k
    else:
        perfect, worse = np.eye(k)[truth], np.eye(k)[(truth + 1) % k]
    before = metric.point(truth, perfect, k, None)
    after = metric.point(truth, worse, k, None)
    assert metric.drop(before, after) > 0


def test_only_roc_auc_is_stratified():
    """Stratifying would make intervals of metrics that depend on the prevalence too narrow."""
    stratified = {m.name for known in METRICS.values() for m in known.values() if m.stratified}
    assert stratified == {"roc_auc"}


def test_an_unknown_metric_is_refused_with_the_closest_name():
    """A typing error is answered with the name that was probably meant."""
    with pytest.raises(EvaluationError, match="Did you mean 'roc_auc'"):
        find_metric("roc_au", "binary")
    with pytest.raises(EvaluationError, match="'f1_macro'"):
        find_metric("f1", "multiclass")
    with pytest.raises(EvaluationError, match=r"use \['rmse'\]"):
        choose_metrics("rmse", "regression", probabilities=False)
    with pytest.raises(EvaluationError, match="survival"):
        choose_metrics(None, "survival", probabilities=False)
