"""The table of coverage and size: counts, views, intervals."""

from __future__ import annotations

import numpy as np
import pytest

import fusewise as fw
from fusewise.evaluate import conformalise, coverage_by_pattern
from fusewise.exceptions import EvaluationError

RATES = {"a": 0.8, "b": 0.7, "c": 0.6}


def parts(cohort, n=600, m=900, **given):
    """Return calibration and test samples of one cohort."""
    everyone = cohort(n + m, **given)
    return everyone[:n], everyone[n:]


def test_rows_are_counted_by_hand(cohort, oracle):
    """Every figure of a natural row is what the sets themselves say."""
    calibration, test = parts(cohort, rates=RATES)
    model = conformalise(oracle, calibration)
    table = coverage_by_pattern(model, test, min_cell=40)
    natural = table[table["view"] == "natural"].set_index("pattern")
    sets, y = model.predict_set(test), test.target.astype(int)
    hit = sets[np.arange(len(y)), y]
    own = natural.drop(index="(all)")
    assert own["n"].sum() == natural.loc["(all)", "n"] == 900
    for pattern, row in natural.iterrows():
        here = np.ones(900, bool) if pattern == "(all)" else test.pattern == pattern
        assert row["coverage"] == pytest.approx(hit[here].mean())
        assert row["mean_size"] == pytest.approx(sets[here].sum(axis=1).mean())
        assert row["share_empty"] == (~sets[here].any(axis=1)).mean()
        assert row["share_single"] == (sets[here].sum(axis=1) == 1).mean()
        assert row["share_everything"] == sets[here].all(axis=1).mean()
        lowest = min(hit[here & (y == c)].mean() for c in (0, 1))
        assert row["lowest_class_coverage"] == lowest
        assert row["low"] < row["coverage"] < row["high"]
        assert row["small"] == (here.sum() < 40)
    assert natural.loc["b", "n_absent"] == 2


def test_withheld_patterns_are_covered_and_cost_size(cohort, oracle):
    """The same complete samples with less: covered as well, by larger sets."""
    calibration, test = parts(cohort, n=3000, m=3000, rates=RATES)
    table = coverage_by_pattern(conformalise(oracle, calibration), test)
    withheld = table[table["view"] == "withheld"].set_index("pattern")
    assert set(withheld["population"]) == {"complete"}
    assert withheld["n"].nunique() == 1
    assert (np.abs(withheld["coverage"] - 0.9) < 0.035).all()
    assert withheld.loc["a+b+c", "price"] == 0
    np.testing.assert_allclose(
        withheld["price"], withheld["mean_size"] - withheld.loc["a+b+c", "mean_size"]
    )
    assert withheld.loc["c", "price"] > withheld.loc["a+c", "price"] > 0


def test_withholding_what_is_ignored_costs_nothing(cohort, oracle_type):
    """With complete calibration samples the price of losing an ignored modality is exactly 0."""
    deaf = oracle_type(shifts={"a": 1.5, "b": 1.0})
    calibration, test = parts(cohort)
    table = coverage_by_pattern(
        conformalise(deaf, calibration), test, deployment={"patterns": {"a+b": 1, "a+b+c": 1}}
    )
    row = table[(table["view"] == "withheld") & (table["pattern"] == "a+b")].iloc[0]
    assert row["price"] == 0


def test_a_predictor_that_knows_nothing_says_everything(cohort, oracle_type):
    """With equal probabilities no class can be left out: covered always, and told as such."""
    blank = oracle_type(shifts={})
    calibration, test = parts(cohort, rates=RATES)
    table = coverage_by_pattern(conformalise(blank, calibration), test)
    assert (table["coverage"] == 1).all()
    assert (table["share_everything"] == 1).all()
    assert (table["mean_size"] == 2).all()


def test_clusters_widen_the_interval(cohort, oracle):
    """Ten copies of a sample are one: the interval is that of a tenth of the samples."""
    calibration, test = parts(cohort, n=600, m=300)
    model = conformalise(oracle, calibration)
    alone = coverage_by_pattern(model, test).iloc[0]
    tenfold = coverage_by_pattern(model, test[np.repeat(np.arange(300), 10)]).iloc[0]
    assert tenfold["coverage"] == pytest.approx(alone["coverage"])
    width, wide = alone["high"] - alone["low"], tenfold["high"] - tenfold["low"]
    assert 0.8 < wide / width < 1.25


def test_samples_of_both_sets_are_refused(cohort, oracle):
    """A shared sample, or a shared cluster, makes coverage mean nothing."""
    ds = cohort(200)
    model = conformalise(oracle, ds[:120])
    with pytest.raises(EvaluationError, match="20 samples are in the calibration set and in the"):
        coverage_by_pattern(model, ds[100:])
    clustered = cohort(200, cluster=np.repeat(np.arange(40), 5))
    model = conformalise(oracle, clustered[:102])
    with pytest.raises(EvaluationError, match=r"1 clusters .* e.g. 20"):
        coverage_by_pattern(model, clustered[102:])


def test_only_calibrated_predictors_have_a_table(cohort, oracle):
    """A bare predictor is refused with the call that is missing."""
    with pytest.raises(EvaluationError, match="fusewise.conformalise"):
        coverage_by_pattern(oracle, cohort(50))


def test_the_abstained_are_left_out(cohort, oracle):
    """Samples without a modality are in no row."""
    presence = np.ones((300, 3), dtype=bool)
    presence[150:157] = False
    calibration, test = parts(cohort, n=150, m=150, presence=presence)
    table = coverage_by_pattern(conformalise(oracle, calibration), test)
    assert table.iloc[0]["n"] == 143
    assert "(none)" not in set(table["pattern"])


def test_patterns_that_the_model_cannot_answer_stay_as_rows(cohort, oracle_type):
    """A predictor of one modality has no sets without it: the row stays, with n of 0 and why."""

    class OnlyB(oracle_type):
        def answerable(self, dataset):
            return dataset.presence[:, dataset.modalities.index("b")].copy()

        def predict_proba(self, dataset):
            return super().predict_proba(dataset.only("b"))

    calibration, test = parts(cohort, rates=RATES)
    table = coverage_by_pattern(conformalise(OnlyB(), calibration), test)
    silent = table[(table["pattern"] == "a+c")]
    assert silent["view"].tolist() == ["natural", "withheld"]
    assert (silent["n"] == 0).all()
    assert silent["coverage"].isna().all()
    assert set(silent["note"]) == {"the predictor answers no sample here"}
    assert table.iloc[0]["n"] == int(test.presence[:, 1].sum())


def test_a_regression_is_told_in_widths():
    """Intervals: the width is the size, infinite where too few samples stand for a pattern."""
    cohort = fw.make_cohort(
        900, 900, modalities={"a": 2, "b": 2}, task="regression", random_state=0,
        signal={"a": 3.0, "b": 1.0}, availability={"patterns": {"a": 0.5, "b": 0.5}},
        deployment_availability={"patterns": {"a": 0.4, "b": 0.4, "a+b": 0.2}},
    )  # fmt: skip

    class Mean:
        def predict(self, dataset):
            return cohort.bayes_predict(dataset)

    table = coverage_by_pattern(conformalise(Mean(), cohort.train, method="exact"), cohort.test)
    natural = table[table["view"] == "natural"].set_index("pattern")
    assert natural.loc["a", "mean_size"] < natural.loc["b", "mean_size"]
    assert natural.loc["a+b", "mean_size"] == np.inf
    assert natural.loc["a+b", "share_everything"] == 1
    assert "too few" in natural.loc["a+b", "note"]
    assert natural["share_single"].isna().all()
    assert natural["lowest_class_coverage"].isna().all()
    nested = coverage_by_pattern(conformalise(Mean(), cohort.train), cohort.test)
    row = nested[(nested["view"] == "natural") & (nested["pattern"] == "a+b")].iloc[0]
    assert row["method"] == "nested"
    assert np.isfinite(row["mean_size"])
    assert row["coverage"] > 0.88


def test_order_has_no_effect(cohort, oracle):
    """The table is the same for any order of calibration and test samples."""
    calibration, test = parts(cohort, n=200, m=200, rates=RATES)
    rng = np.random.default_rng(0)
    one = coverage_by_pattern(conformalise(oracle, calibration), test)
    other = coverage_by_pattern(
        conformalise(oracle, calibration[rng.permutation(200)]), test[rng.permutation(200)]
    )
    assert one.equals(other)
