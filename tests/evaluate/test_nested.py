"""More modalities do not hurt: harm is found where it is, and not where it is not."""

from __future__ import annotations

import numpy as np
import pytest

from fusewise.evaluate import evaluate

OPTIONS = {"metrics": ["log_loss"], "n_boot": 0, "rates": ()}


class Poisoned:
    """The oracle, but what c adds is noise: it draws a logit from the sample's own value of c."""

    def __init__(self, oracle, strength):
        self.oracle, self.strength = oracle, strength

    def predict_proba(self, dataset):
        positions, frame = dataset.features("c")
        p = self.oracle.predict_proba(dataset)[:, 1]
        logit = np.log(p / (1 - p))
        noise = np.sin(1e4 * frame["x"].to_numpy())
        logit[positions] += self.strength * noise
        p = 1 / (1 + np.exp(-logit))
        return np.column_stack([1 - p, p])


def patterns(n, seed=0):
    """Return presence with every pattern of three, complete cases the most."""
    rng = np.random.default_rng(seed)
    presence = rng.random((n, 3)) < 0.8
    presence[:, 0] |= ~presence.any(axis=1)
    return presence


def test_the_oracle_gains_from_every_modality(cohort, oracle):
    """Each difference is below zero in truth: nothing is said to hurt."""
    found = evaluate(oracle, cohort(2000, presence=patterns(2000)), **OPTIONS).nested
    assert not found["hurts"].any()
    assert {"a", "b", "c"} == set(found["added"])
    assert (found.query("added == 'a'")["high"] < 0).all()
    # A modality that informs is wrong about some all the same.
    assert (found["share_worse"] > 0.2).all()


def test_a_modality_that_harms_is_named(cohort, oracle):
    """Only what adds c hurts, with every set of others."""
    model = Poisoned(oracle, 3.0)
    found = evaluate(model, cohort(2000, presence=patterns(2000)), **OPTIONS).nested
    assert found.query("hurts")["added"].unique().tolist() == ["c"]
    assert found.query("added == 'c'")["hurts"].all()
    assert (found.query("hurts")["p_adjusted"] < 0.05).all()


def test_a_modality_without_effect_is_called_harmful_no_more_often_than_the_level(
    cohort, oracle_type
):
    """Noise that helps as often as it harms on average: at most 5 % of test sets show any harm."""
    called = 0
    for seed in range(30):
        test = cohort(200, seed=seed)
        rng = np.random.default_rng(seed)
        flip = dict(zip(test.ids, rng.normal(0, 0.1, len(test)), strict=True))

        class Indifferent(oracle_type):
            """A pure perturbation, whose second-order cost is far below what can be seen."""

            def predict_proba(self, dataset, flip=flip):
                p = super().predict_proba(dataset)[:, 1]
                has = dataset.presence[:, 2]
                moved = np.array([flip[i] for i in dataset.ids]) * has * p * (1 - p)
                return np.column_stack([1 - p - moved, p + moved])

        model = Indifferent(shifts={"a": 1.5})
        result = evaluate(
            model, test, deployment={"patterns": {"a+b": 0.5, "a+b+c": 0.5}}, **OPTIONS
        )
        called += result.nested.query("added == 'c'")["hurts"].any()
    assert called <= 4


def test_identical_predictions_neither_help_nor_hurt(cohort, oracle_type):
    """What is ignored changes the loss of nobody: zero, p is 1."""
    deaf = oracle_type(shifts={"a": 1.5, "b": 1.0})
    found = evaluate(deaf, cohort(600, presence=patterns(600)), **OPTIONS).nested
    ignored = found.query("added == 'c'")
    assert (ignored[["difference", "low", "high", "share_worse"]] == 0).all(axis=None)
    assert (ignored["p"] == 1).all()


def test_clusters_widen_the_interval(cohort, oracle):
    """Ten copies of one patient are one patient."""
    n = 900
    alone = evaluate(oracle, cohort(n, presence=patterns(n)), **OPTIONS).nested
    grouped = cohort(n, presence=patterns(n), cluster=np.arange(n) // 10)
    together = evaluate(oracle, grouped, **OPTIONS).nested
    assert together["difference"].tolist() == pytest.approx(alone["difference"].tolist())
    assert together["p"].tolist() != alone["p"].tolist()


def test_rounding_is_no_harm(cohort, oracle_type):
    """A loss that always rises, by what rounding alone can do, hurts nobody."""

    class Rounded(oracle_type):
        def predict_proba(self, dataset):
            p = super().predict_proba(dataset)[:, 1]
            sign = 2 * np.asarray(dataset.target) - 1
            p -= 1e-12 * sign * dataset.presence[:, 2]
            return np.column_stack([1 - p, p])

    model = Rounded(shifts={"a": 1.5, "b": 1.0})
    found = evaluate(model, cohort(600, presence=patterns(600)), **OPTIONS).nested
    ignored = found.query("added == 'c'")
    assert not ignored["hurts"].any()
    assert (ignored[["difference", "share_worse"]] == 0).all(axis=None)
    assert (ignored["p"] == 1).all()
