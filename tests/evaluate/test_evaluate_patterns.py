"""Scores per availability pattern, in the natural and in the withheld view."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

from fusewise.evaluate import evaluate

RATES = {"a": 0.8, "b": 0.7, "c": 0.6}


def rows(frame, **values):
    for key, value in values.items():
        frame = frame[frame[key] == value]
    return frame


def one(frame, **values):
    found = rows(frame, **values)
    assert len(found) == 1, found
    return found.iloc[0]


def test_each_pattern_scores_what_the_oracle_can_reach(cohort, oracle):
    """Both views estimate the known AUROC of every pattern, within their sampling error."""
    test = cohort(6000, rates=RATES)
    result = evaluate(oracle, test, metrics=["roc_auc"], n_boot=100, rates=())
    seen = set()
    for row in result.by_pattern.itertuples():
        error = (row.high - row.low) / (2 * 1.96)
        assert abs(row.estimate - oracle.auroc(row.pattern)) < 4 * error
        assert row.low <= row.estimate <= row.high
        seen.add((row.view, row.pattern))
    assert len(seen) == 14


def test_natural_cells_hold_the_samples_that_came_with_the_pattern(cohort, oracle):
    """The natural view partitions the test set."""
    test = cohort(500, rates=RATES)
    result = evaluate(oracle, test, metrics=["brier_score"], n_boot=20)
    natural = rows(result.by_pattern, view="natural").set_index("pattern")["n"]
    assert natural.to_dict() == test.patterns().set_index("pattern")["n"].to_dict()
    assert one(result.by_pattern, view="natural", pattern="a+b+c")["n_absent"] == 0
    assert one(result.by_pattern, view="natural", pattern="b")["n_absent"] == 2


def test_withheld_cells_hold_the_same_complete_samples(cohort, oracle):
    """With enough complete cases every withheld pattern is scored on all of them."""
    test = cohort(600, rates=RATES)
    complete = int(test.presence.all(axis=1).sum())
    result = evaluate(oracle, test, metrics=["brier_score"], n_boot=20)
    withheld = rows(result.by_pattern, view="withheld")
    assert set(withheld["population"]) == {"complete"}
    assert set(withheld["n"]) == {complete}
    full = one(withheld, pattern="a+b+c")["estimate"]
    assert full == one(result.by_pattern, view="natural", pattern="a+b+c")["estimate"]


def test_with_few_complete_cases_a_pattern_takes_all_that_have_its_modalities(cohort, oracle):
    """Where complete cases are rare the withheld view uses every sample that can show a pattern."""
    test = cohort(600, rates={"a": 0.5, "b": 0.5, "c": 0.3})
    result = evaluate(oracle, test, metrics=["brier_score"], n_boot=20)
    withheld = rows(result.by_pattern, view="withheld")
    assert set(withheld["population"]) == {"at least"}
    has = dict(zip(test.modalities, test.presence.T, strict=True))
    assert one(withheld, pattern="a+b")["n"] == int((has["a"] & has["b"]).sum())


def test_a_withheld_score_is_the_score_of_the_predictor_without_those_modalities(cohort, oracle):
    """The withheld view equals scoring the complete cases by hand with modalities dropped."""
    test = cohort(600, rates=RATES)
    result = evaluate(oracle, test, metrics=["brier_score"], n_boot=20)
    complete = test[test.presence.all(axis=1)]
    p = oracle.predict_proba(complete.only("b"))[:, 1]
    expected = brier_score_loss(complete.target, p)
    assert one(result.by_pattern, view="withheld", pattern="b")["estimate"] == pytest.approx(
        expected
    )


def test_withheld_rows_hold_the_paired_drop_from_the_same_samples(cohort, oracle):
    """A withheld pattern is compared with what the same samples scored as they came."""
    test = cohort(600, rates=RATES)
    result = evaluate(oracle, test, metrics=["roc_auc", "log_loss"], n_boot=100)
    for metric, sign in (("roc_auc", 1), ("log_loss", -1)):
        own = rows(result.by_pattern, metric=metric, view="withheld").set_index("pattern")
        before = own.loc["a+b+c"]
        assert (before[["drop", "drop_low", "drop_high"]] == 0).all()
        expected = sign * (before["estimate"] - own["estimate"])
        np.testing.assert_allclose(own["drop"], expected)
    assert rows(result.by_pattern, view="natural")["drop"].isna().all()
    few = cohort(600, rates={"c": 0.1, "b": 0.5})
    sparse = evaluate(oracle, few, metrics=["roc_auc"], n_boot=100)
    assert any("Complete cases are few" in note for note in sparse.notes)
    both = few.presence[:, 0] & few.presence[:, 1]
    part = few[both]
    drop = roc_auc_score(part.target, oracle.predict_proba(part)[:, 1]) - roc_auc_score(
        part.target, oracle.predict_proba(part.only("a", "b"))[:, 1]
    )
    row = one(sparse.by_pattern, view="withheld", pattern="a+b")
    assert row["drop"] == pytest.approx(drop)


def test_an_interval_without_width_is_noted(cohort):
    """A perfect score in every resample is no proof, and the row says so."""
    test = cohort(100)

    class Clairvoyant:
        def predict(self, dataset):
            return np.asarray(dataset.target)

    row = one(evaluate(Clairvoyant(), test, metrics=["accuracy"], n_boot=30).pooled)
    assert (row["low"], row["high"]) == (1.0, 1.0)
    assert "every resample" in row["note"]


def test_small_cells_are_flagged_and_shown(cohort, oracle):
    """A cell below the minimum size, or with too few of a class, stays in the table as small."""
    presence = np.ones((300, 3), dtype=bool)
    presence[:12, 2] = False
    presence[12:100, 1] = False
    y = np.tile([0, 1], 150)
    y[12:100] = 0
    y[12:15] = 1
    result = evaluate(oracle, cohort(300, presence=presence, y=y), metrics=["roc_auc"], n_boot=50)
    natural = rows(result.by_pattern, view="natural").set_index("pattern")
    assert natural["small"].to_dict() == {"a+b+c": False, "a+b": True, "a+c": True}
    assert natural["n"].to_dict() == {"a+b+c": 200, "a+b": 12, "a+c": 88}
    assert natural["n_positive"].to_dict() == {"a+b+c": 100, "a+b": 6, "a+c": 3}
    assert natural["estimate"].notna().all()


def test_one_class_only_leaves_the_row_with_its_reason(cohort, oracle):
    """A cell where the metric is undefined keeps its n and says why; the rest goes on."""
    presence = np.ones((200, 3), dtype=bool)
    presence[:40, 2] = False
    y = np.tile([0, 1], 100)
    y[:40] = 1
    result = evaluate(
        oracle, cohort(200, presence=presence, y=y), metrics=["roc_auc", "brier_score"], n_boot=50
    )
    bad = one(result.by_pattern, view="natural", pattern="a+b", metric="roc_auc")
    assert np.isnan(bad["estimate"])
    assert bad["note"] == "one class only"
    assert bad["n"] == 40
    fine = one(result.by_pattern, view="natural", pattern="a+b", metric="brier_score")
    assert np.isfinite(fine["estimate"])
    others = result.by_pattern.drop(index=bad.name)
    assert others["estimate"].notna().all()
    assert (others["note"] == "").all()


def test_samples_with_nothing_are_counted_and_left_out(cohort, oracle):
    """A sample without any modality is in no score and in the count of abstentions."""
    presence = np.ones((200, 3), dtype=bool)
    presence[:7] = False
    result = evaluate(oracle, cohort(200, presence=presence), metrics=["roc_auc"], n_boot=20)
    assert (result.n, result.n_abstained) == (200, 7)
    assert result.pooled["n"].tolist() == [193]
    assert "(none)" not in set(result.by_pattern["pattern"])
    assert any("7 test samples have no modality" in note for note in result.notes)


def test_samples_that_the_predictor_cannot_answer_are_left_out(cohort, oracle_type):
    """A predictor that knows one modality is scored where that is present, and says so elsewhere."""

    class OnlyB(oracle_type):
        def answerable(self, dataset):
            return dataset.presence[:, dataset.modalities.index("b")].copy()

        def predict_proba(self, dataset):
            assert self.answerable(dataset).all()
            return super().predict_proba(dataset.only("b"))

    test = cohort(400, rates=RATES)
    result = evaluate(OnlyB(), test, metrics=["brier_score"], n_boot=20)
    without = int((~test.presence[:, 1]).sum())
    assert result.n_abstained == without
    silent = one(result.by_pattern, view="natural", pattern="a+c")
    assert (silent["n"], silent["note"]) == (0, "the predictor answers no sample here")
    dropped = one(result.degradation, withheld="b")
    assert dropped["n"] == 0
    assert dropped["n_emptied"] > 0


def test_the_number_of_absent_modalities_pools_patterns(cohort, oracle):
    """Natural pools samples by how many modalities they lack; withheld pools predictions."""
    test = cohort(900, rates=RATES)
    result = evaluate(oracle, test, metrics=["roc_auc"], n_boot=50)
    absent = 3 - test.presence.sum(axis=1)
    natural = rows(result.by_n_absent, view="natural").set_index("n_absent")
    assert natural["n"].to_dict() == {k: int((absent == k).sum()) for k in range(3)}
    assert natural["n_patterns"].to_dict() == {0: 1, 1: 3, 2: 3}
    withheld = rows(result.by_n_absent, view="withheld").set_index("n_absent")
    assert set(withheld["n"]) == {int((absent == 0).sum())}
    assert withheld["estimate"].is_monotonic_decreasing


def test_pooling_a_sample_under_several_patterns_does_not_narrow_the_interval(cohort, oracle_type):
    """Three predictions of one sample that are all alike are as uncertain as one."""
    blind = oracle_type(shifts={})
    blind.shifts = {"a": 0.0, "b": 0.0, "c": 0.0}
    y = (np.random.default_rng(0).random(300) < 0.2).astype(int)
    result = evaluate(blind, cohort(300, y=y, rates=RATES), metrics=["brier_score"], n_boot=500)
    # A constant prediction of one half: Brier is exactly 0.25 always, so use accuracy's prevalence.
    assert np.allclose(result.by_n_absent["low"], 0.25)

    class Constant(oracle_type):
        def predict_proba(self, dataset):
            return np.tile([0.8, 0.2], (len(dataset), 1))

    result = evaluate(
        Constant(), cohort(300, y=y, rates=RATES), metrics=["brier_score"], n_boot=2000
    )
    withheld = rows(result.by_n_absent, view="withheld").set_index("n_absent")
    width = withheld["high"] - withheld["low"]
    np.testing.assert_allclose(width[1], width[0], rtol=0.1)


def test_predictions_under_several_patterns_do_not_make_a_small_cell_large(cohort, oracle):
    """28 samples under three patterns are 84 predictions and still 28 samples."""
    deployment = {"patterns": {"a+b": 1, "a+c": 1, "b+c": 1}}
    result = evaluate(
        oracle, cohort(28), metrics=["accuracy"], deployment=deployment, n_boot=10, rates=()
    )
    row = one(rows(result.by_n_absent, view="withheld", n_absent=1))
    assert (row["n"], row["n_patterns"], row["small"]) == (28, 3, True)


def test_the_heaviest_patterns_are_withheld_first_and_the_rest_is_told(cohort, oracle):
    """The withheld view is capped by the deployment's weights; what is left out is noted."""
    result = evaluate(
        oracle,
        cohort(600, rates=RATES),
        metrics=["roc_auc"],
        deployment={"patterns": {"c": 5, "a+b": 3, "a": 1}},
        withheld_patterns=3,
        n_boot=20,
    )
    withheld = rows(result.by_pattern, view="withheld")
    assert withheld["pattern"].tolist() == ["a+b+c", "c", "a+b"]
    assert any("4 rarer patterns (11.1% of the deployment)" in note for note in result.notes)


def test_a_pattern_of_the_deployment_that_nobody_came_with_is_still_withheld(cohort, oracle):
    """Patterns are those observed in the test set or the deployment, not all 2^M."""
    presence = np.ones((300, 3), dtype=bool)
    presence[:100, 0] = False
    result = evaluate(
        oracle,
        cohort(300, presence=presence),
        metrics=["roc_auc"],
        deployment={"patterns": {"b": 1, "a+b+c": 1}},
        n_boot=20,
    )
    withheld = set(rows(result.by_pattern, view="withheld")["pattern"])
    assert withheld == {"a+b+c", "b+c", "b"}


def test_every_sample_is_asked_once_per_presence(cohort, oracle):
    """Experiments share their predictions, and few calls are made."""
    test = cohort(500, rates=RATES)
    evaluate(oracle, test, metrics=["brier_score"], n_boot=10)
    assert oracle.calls <= 3
    distinct = sum(2 ** int(k) - 1 for k in test.presence.sum(axis=1))
    assert oracle.rows <= distinct


def test_the_order_of_samples_has_no_effect(cohort, oracle):
    """The same samples in another order give the same evaluation, bit for bit."""
    order = np.random.default_rng(1).permutation(300)
    options = {"metrics": ["roc_auc", "brier_score"], "n_boot": 100}
    first = evaluate(oracle, cohort(300, rates=RATES), **options)
    shuffled = cohort(300, rates=RATES, order=order)
    assert list(shuffled.ids) != sorted(shuffled.ids)
    assert first.to_json() == evaluate(oracle, shuffled, **options).to_json()
    again = cohort(300, rates=RATES)[order]
    assert first.to_json() == evaluate(oracle, again, **options).to_json()


def test_one_seed_gives_one_result_and_leaves_the_global_generator_alone(cohort, oracle):
    """Same seed, same bits; another seed, other intervals; numpy's global state is untouched."""
    test = cohort(300, rates=RATES)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = evaluate(oracle, test, n_boot=50, random_state=3)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    assert first == evaluate(oracle, test, n_boot=50, random_state=3)
    other = evaluate(oracle, test, n_boot=50, random_state=4)
    assert not np.allclose(first.pooled["low"], other.pooled["low"])
    np.testing.assert_array_equal(first.pooled["estimate"], other.pooled["estimate"])


def test_a_cell_does_not_depend_on_what_is_evaluated_beside_it(cohort, oracle):
    """Asking for another metric, requirement or fewer patterns leaves the other figures alone."""
    test = cohort(400, rates=RATES)
    small = evaluate(oracle, test, metrics=["roc_auc"], n_boot=50, withheld_patterns=2)
    large = evaluate(oracle, test, metrics=["accuracy", "roc_auc"], n_boot=50)
    keys = ["view", "pattern", "metric"]
    joined = small.by_pattern.merge(large.by_pattern, on=keys, suffixes=("", "_2"))
    assert len(joined) == len(small.by_pattern)
    np.testing.assert_array_equal(joined["low"], joined["low_2"])


def test_clusters_of_the_dataset_widen_the_intervals(cohort, oracle):
    """Samples of one patient are resampled together, and the interval shows it."""
    rng = np.random.default_rng(0)
    cluster = np.repeat(np.arange(40), 15)
    y = np.repeat((rng.random(40) < 0.5).astype(int), 15)

    class Constant:
        def predict_proba(self, dataset):
            return np.tile([0.7, 0.3], (len(dataset), 1))

    widths = []
    for unit in (None, cluster):
        test = cohort(600, y=y, cluster=unit)
        pooled = evaluate(Constant(), test, metrics=["brier_score"], n_boot=400).pooled
        widths.append(float((pooled["high"] - pooled["low"]).iloc[0]))
    assert widths[1] / widths[0] == pytest.approx(np.sqrt(15), rel=0.25)


def test_repeated_rows_are_one_unit(cohort, oracle):
    """A slice that repeats its samples is no larger sample."""
    test = cohort(200)
    rows_ = np.tile(np.arange(200), 4)
    once = evaluate(oracle, test, metrics=["brier_score"], n_boot=500).pooled
    often = evaluate(oracle, test[rows_], metrics=["brier_score"], n_boot=500).pooled
    assert often["estimate"].iloc[0] == pytest.approx(once["estimate"].iloc[0])
    width = [float((p["high"] - p["low"]).iloc[0]) for p in (once, often)]
    assert width[1] == pytest.approx(width[0], rel=0.12)
