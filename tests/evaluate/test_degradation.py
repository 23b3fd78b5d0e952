"""Degradation: the same samples with less."""

from __future__ import annotations

import numpy as np
import pytest

from fusewise.evaluate import evaluate
from fusewise.evaluate.degradation import plan_random


def test_withholding_what_a_predictor_ignores_costs_exactly_nothing(cohort, oracle_type):
    """The paired drop is 0 with the interval [0, 0]: no noise of resampling gets in."""
    deaf = oracle_type(shifts={"a": 1.5, "b": 1.0})
    result = evaluate(deaf, cohort(400, rates={"c": 0.6}), n_boot=100)
    ignored = result.degradation[result.degradation["withheld"] == "c"]
    assert len(ignored) == 4
    assert (ignored[["drop", "drop_low", "drop_high"]] == 0.0).all(axis=None)
    assert (ignored["high"] > ignored["low"]).all()


def test_the_drop_is_what_the_oracle_loses(cohort, oracle):
    """Without one modality of complete samples the loss of AUROC is the known one."""
    metrics = ["roc_auc", "log_loss"]
    result = evaluate(oracle, cohort(6000), metrics=metrics, n_boot=100, rates=())
    for name, rest in {"a": "b+c", "b": "a+c", "c": "a+b"}.items():
        own = result.degradation[result.degradation["withheld"] == name].set_index("metric")
        row = own.loc["roc_auc"]
        truth = oracle.auroc("a+b+c") - oracle.auroc(rest)
        assert row["drop"] == pytest.approx(truth, abs=row["drop_high"] - row["drop_low"])
        assert row["drop_low"] <= row["drop"] <= row["drop_high"]
        # A loss rises, and the drop is positive all the same.
        assert own.loc["log_loss", "drop"] > 0


def test_the_paired_interval_is_narrower_than_the_scores(cohort, oracle):
    """Before and after are resampled together."""
    result = evaluate(oracle, cohort(500), metrics=["brier_score"], n_boot=300)
    row = result.degradation[result.degradation["withheld"] == "c"].iloc[0]
    assert row["drop_high"] - row["drop_low"] < 0.5 * (row["high"] - row["low"])


def test_only_samples_that_have_it_and_something_else_are_used(cohort, oracle):
    """Who lacks the modality cannot show its loss; who has nothing else would be emptied."""
    test = cohort(500, rates={"a": 0.5, "b": 0.5, "c": 0.4})
    result = evaluate(oracle, test, metrics=["brier_score"], n_boot=10)
    row = result.degradation[result.degradation["withheld"] == "b"].iloc[0]
    usable = test.presence[:, 1] & (test.presence.sum(axis=1) > 1)
    assert row["n"] == int(usable.sum())
    assert row["n_emptied"] == 0


def test_random_withholding_takes_the_exact_share_on_average(cohort):
    """The mean number withheld is rate times the number of modalities, whatever that number."""
    test = cohort(20_000)
    rates = (0.0, 0.1, 0.5, 0.7)
    for rate, plan in zip(rates, plan_random(test, rates, 2, 0), strict=True):
        for experiment in plan:
            withheld = 3 - experiment.presence.sum(axis=1)
            assert withheld.mean() == pytest.approx(3 * rate, abs=0.02)
            assert set(withheld) <= {int(np.floor(3 * rate)), int(np.ceil(3 * rate))}
            each = (~experiment.presence).mean(axis=0)
            np.testing.assert_allclose(each, rate, atol=0.015)


def test_repeats_differ_and_rates_are_nested(cohort):
    """A higher rate withholds more of the same; another repeat withholds something else."""
    low, high = plan_random(cohort(300), (0.4, 0.7), 2, 0)
    assert (low[0].presence >= high[0].presence).all()
    assert (low[0].presence != low[1].presence).any()


def test_the_curve_starts_at_the_pooled_score_and_falls(cohort, oracle):
    """Withholding nothing is the score as it came, with a drop of exactly zero."""
    result = evaluate(oracle, cohort(2000), metrics=["roc_auc"], n_boot=50)
    curve = result.degradation[result.degradation["withheld"].str.startswith("k=")]
    assert curve["rate"].tolist() == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7]
    np.testing.assert_allclose(curve["n_withheld"], 3 * curve["rate"])
    first = curve.iloc[0]
    assert first["estimate"] == pytest.approx(result.pooled["estimate"].iloc[0])
    assert (first["drop"], first["drop_low"], first["drop_high"]) == (0, 0, 0)
    assert curve["estimate"].is_monotonic_decreasing


@pytest.mark.filterwarnings("ignore:modality:fusewise.exceptions.FusewiseWarning")
def test_emptied_samples_are_counted_and_left_out_of_both_sides(cohort, oracle):
    """A sample that withholding emptied is in neither the score nor the drop's reference."""
    presence = np.zeros((400, 3), dtype=bool)
    presence[:, 0] = True
    presence[:200, 1] = True
    test = cohort(400, presence=presence)
    result = evaluate(oracle, test, metrics=["brier_score"], n_boot=20, rates=(0.0, 0.5))
    start, half = result.degradation[
        result.degradation["withheld"].str.startswith("k=")
    ].itertuples()
    assert (start.n, start.n_emptied) == (400, 0)
    # One modality: emptied if it is withheld, 1.5 of 3: one half. Two: both withheld, if k is 2.
    assert half.n_emptied == pytest.approx(200 * 0.5 + 200 * 0.5 / 3, rel=0.1)
    assert half.n + half.n_emptied == pytest.approx(400, abs=0.5)
    assert np.isfinite(half.drop)


@pytest.mark.filterwarnings("ignore:modality:fusewise.exceptions.FusewiseWarning")
def test_who_is_emptied_does_not_pass_for_a_drop(cohort):
    """With the same answer whatever is present, nothing drops, though the emptied are harder."""
    presence = np.zeros((300, 3), dtype=bool)
    presence[:, 0] = True
    presence[:150, 1] = True

    class KnowsThePerson:
        def predict_proba(self, dataset):
            easy = np.array([int(i[1:]) < 150 for i in dataset.ids])
            p = np.where(easy, np.asarray(dataset.target) * 0.8 + 0.1, 0.5)
            return np.column_stack([1 - p, p])

    result = evaluate(
        KnowsThePerson(),
        cohort(300, presence=presence),
        metrics=["brier_score"],
        n_boot=20,
        rates=(0.0, 0.5),
    )
    half = result.degradation.iloc[-1]
    assert half["n_emptied"] > 50
    assert half["estimate"] < result.pooled["estimate"].iloc[0]
    np.testing.assert_allclose(half[["drop", "drop_low", "drop_high"]].astype(float), 0, atol=1e-12)


def test_the_area_is_the_mean_over_the_rates(cohort, oracle):
    """Trapezoids over the curve's own figures, with an interval narrower than the widest rate's."""
    result = evaluate(oracle, cohort(800), metrics=["log_loss"], n_boot=200, rates=(0.0, 0.2, 0.6))
    curve = result.degradation[result.degradation["withheld"].str.startswith("k=")]
    (area,) = result.degradation_summary.query("summary.str.startswith('area')").to_dict("records")
    weights = np.array([0.1, 0.3, 0.2]) / 0.6
    assert area["estimate"] == pytest.approx(weights @ curve["estimate"].to_numpy())
    assert area["drop"] == pytest.approx(weights @ curve["drop"].to_numpy())
    assert area["low"] < area["estimate"] < area["high"]
    assert area["drop_low"] > 0


def test_the_worst_pattern_has_limits_for_all_it_was_chosen_from(cohort, oracle):
    """The strongest modality alone missing is not the worst: two missing are; its limits widen."""
    test = cohort(1500, rates={"a": 0.7, "b": 0.7, "c": 0.7})
    result = evaluate(oracle, test, metrics=["roc_auc"], n_boot=200, rates=())
    worst = result.degradation_summary.set_index("summary").loc["worst pattern, withheld"]
    assert worst["where"] == "c"
    cell = result.by_pattern.query("view == 'withheld' and pattern == 'c'").iloc[0]
    assert worst["drop"] == cell["drop"]
    assert worst["of"] == 6
    assert worst["drop_low"] < cell["drop_low"]
    assert worst["drop_high"] > cell["drop_high"]


def test_the_deployments_patterns_are_withheld_from_the_same_samples(cohort, oracle):
    """Complete samples, half of them without a in use: the score of that mixture is found."""
    test = cohort(4000)
    result = evaluate(
        oracle,
        test,
        metrics=["log_loss"],
        n_boot=100,
        rates=(),
        deployment={"patterns": {"a+b+c": 0.5, "b+c": 0.5}},
    )
    row = result.degradation_summary.set_index("summary").loc["the deployment's patterns, withheld"]
    cells = result.by_pattern.query("view == 'withheld'").set_index("pattern")["estimate"]
    assert row["estimate"] == pytest.approx((cells["a+b+c"] + cells["b+c"]) / 2)
    assert row["drop"] == pytest.approx((cells["b+c"] - cells["a+b+c"]) / 2)
    assert row["n"] == 4000


def test_the_deployments_patterns_say_how_much_of_it_they_cover(cohort, oracle):
    """What is beyond the withheld view is not in the figure, and that is told."""
    test = cohort(1500)
    options = {"metrics": ["log_loss"], "n_boot": 20, "rates": ()}
    mixture = {"patterns": {"a+b+c": 0.5, "b+c": 0.3, "a": 0.2}}
    notes = []
    for limit in (30, 2):
        result = evaluate(oracle, test, deployment=mixture, withheld_patterns=limit, **options)
        row = result.degradation_summary.set_index("summary").loc[
            "the deployment's patterns, withheld"
        ]
        notes.append(row["note"])
    assert notes == ["", "covers 80% of the deployment"]
