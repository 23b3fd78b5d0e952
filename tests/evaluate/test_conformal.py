"""Prediction sets per pattern: what they promise, and the definitions that they follow."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fusewise as fw
from fusewise.evaluate import ConformalPredictor, conformalise
from fusewise.exceptions import EmptySampleError, EvaluationError

pytestmark = pytest.mark.filterwarnings("ignore:modality:fusewise.exceptions.FusewiseWarning")

RATES = {"a": 0.8, "b": 0.7, "c": 0.6}


class Line:
    """A regression whose every present modality moves the prediction."""

    def predict(self, dataset):
        value = np.zeros(len(dataset))
        for name in dataset.modalities:
            positions, frame = dataset.features(name)
            value[positions] += {"a": 1.0, "b": 0.5, "c": 0.25}[name] * frame["x"].to_numpy()
        return value


class Classes:
    """Three classes in an order of its own."""

    classes_ = np.array(["red", "blue", "green"])

    def predict_proba(self, dataset):
        logit = np.zeros((len(dataset), 3))
        for k, name in enumerate(dataset.modalities):
            positions, frame = dataset.features(name)
            logit[positions] += np.outer(frame["x"], [1.0, -0.5 * k, 0.3])
        e = np.exp(logit)
        return e / e.sum(axis=1, keepdims=True)


def remake(ds, target, task):
    """Return the same samples with another target."""
    tables = {}
    for name in ds.modalities:
        positions, frame = ds.features(name)
        tables[name] = pd.DataFrame({"id": ds.ids[positions], "x": frame["x"].to_numpy()})
    samples = pd.DataFrame({"id": ds.ids, "y": target})
    return fw.MultimodalDataset(tables, samples=samples, id="id", target="y", task=task)


def rename(ds, prefix):
    """Return the same samples under other ids."""
    tables = {}
    for name in ds.modalities:
        positions, frame = ds.features(name)
        ids = [prefix + i for i in ds.ids[positions]]
        tables[name] = pd.DataFrame({"id": ids, "x": frame["x"].to_numpy()})
    samples = pd.DataFrame({"id": [prefix + i for i in ds.ids], "y": ds.target})
    return fw.MultimodalDataset(tables, samples=samples, id="id", target="y", task=ds.task)


def shown(ds, pattern):
    """Return the samples with at least the pattern's modalities, with exactly these."""
    names = pattern.split("+")
    keep = np.array([m in names for m in ds.modalities])
    has = ds[ds.presence[:, keep].all(axis=1)]
    return has.with_presence(np.tile(keep, (len(has), 1)))


@pytest.fixture(scope="module")
def redraws():
    """Coverage by method and pattern over redraws of calibration and test samples."""

    class TooSure:
        """Right about what it sees, and far too sure where that is c alone."""

        def predict_proba(self, dataset):
            logit = np.zeros(len(dataset))
            for name, shift in (("a", 1.5), ("b", 1.0), ("c", 0.5)):
                positions, frame = dataset.features(name)
                logit[positions] += shift * frame["x"].to_numpy()
            only_c = dataset.presence @ [1, 1, 0] == 0
            p = 1 / (1 + np.exp(-np.where(only_c, 10, 1) * logit))
            return np.column_stack([1 - p, p])

    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 20_000)
    presence = rng.random((20_000, 3)) < 0.6
    presence[:, 2] |= ~presence.any(axis=1)
    tables = {}
    for k, (name, shift) in enumerate((("a", 1.5), ("b", 1.0), ("c", 0.5))):
        x = rng.normal(size=20_000) + shift * (y - 0.5)
        frame = pd.DataFrame({"id": np.arange(20_000), "x": x})
        tables[name] = frame[presence[:, k]]
    samples = pd.DataFrame({"id": np.arange(20_000), "y": y})
    everyone = fw.MultimodalDataset(tables, samples=samples, id="id", target="y", task="binary")
    rows = []
    for start in range(0, 20_000, 1000):
        calibration, test = everyone[start : start + 400], everyone[start + 400 : start + 1000]
        for method in ("exact", "nested", "mondrian", "split"):
            sets = conformalise(TooSure(), calibration, method=method).predict_set(test)
            hit = sets[np.arange(len(test)), test.target.astype(int)]
            rows += [
                (method, pattern, hit[test.pattern == pattern].mean())
                for pattern in ("a", "c", "a+c", "a+b+c")
            ]
    return pd.DataFrame(rows, columns=["method", "pattern", "coverage"]).groupby(
        ["method", "pattern"]
    )["coverage"]


@pytest.mark.parametrize("method", ["exact", "mondrian"])
def test_coverage_holds_in_every_pattern(redraws, method):
    """Where absence is at random, each pattern is covered as asked for, and hardly more."""
    mean, error = redraws.mean()[method], redraws.sem()[method]
    assert (mean > 0.9 - 3 * error).all()
    # One more sample than promised in about 27 of the rarest pattern: at most 1 / (n + 1) above.
    assert (mean < 0.935 + 3 * error).all()


def test_split_conformal_fails_in_some_patterns(redraws):
    """One threshold for all covers patterns where the predictor is too sure too rarely."""
    mean = redraws.mean()["split"]
    assert mean["c"] < 0.8
    assert mean["a+b+c"] > 0.92


def test_nested_sets_are_not_smaller_than_promised(redraws):
    """The sets that lean on all samples cover every pattern at least as asked for."""
    mean, error = redraws.mean()["nested"], redraws.sem()["nested"]
    assert (mean > 0.9 - 3 * error).all()


def test_exact_is_the_quantile_of_those_with_at_least_the_pattern(cohort, oracle):
    """The threshold is the ceil(0.9 (n + 1))-th score of samples withheld down to the pattern."""
    calibration, test = cohort(300, rates=RATES), rename(cohort(200, rates=RATES, seed=1), "t")
    model = conformalise(oracle, calibration, method="exact")
    sets = model.predict_set(test)
    table = model.thresholds(test).set_index("pattern")
    for pattern in test.patterns()["pattern"]:
        same = shown(calibration, pattern)
        p = oracle.predict_proba(same)[np.arange(len(same)), same.target.astype(int)]
        rank = math.ceil(0.9 * (len(same) + 1))
        threshold = np.sort(1 - p)[rank - 1]
        assert table.loc[pattern, "threshold"] == pytest.approx(threshold, abs=1e-9)
        assert table.loc[pattern, "n_calibration"] == len(same)
        own = test[test.pattern == pattern]
        expected = 1 - oracle.predict_proba(own) <= threshold + 1e-9
        assert (sets[test.pattern == pattern] == expected).all()


def draw_presence(seed, rate):
    """Return presence of 24 samples; Hypothesis alone draws matrices that are nearly uniform."""
    return np.random.default_rng(seed).random((24, 3)) < rate


presences = st.builds(draw_presence, st.integers(0, 2**16), st.floats(0.2, 0.9))


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(presence=presences)
def test_nested_follows_its_definition(cohort, oracle, presence):
    """Class by class: few enough calibration samples fit better, seen through what both have."""
    presence[:, 0] |= ~presence.any(axis=1)
    calibration = cohort(18, presence=presence[:18])
    test = rename(cohort(6, presence=presence[18:], seed=1), "t")
    sets = conformalise(oracle, calibration, alpha=0.3, method="nested").predict_set(test)
    for i in range(6):
        both = calibration.presence & test.presence[i]
        usable = both.any(axis=1)
        n, below = int(usable.sum()), np.zeros(2)
        theirs = oracle.predict_proba(calibration.with_presence(both))
        ours = oracle.predict_proba(test[np.full(18, i)].with_presence(both))
        for k in np.flatnonzero(usable):
            score = 1 - theirs[k, int(calibration.target[k])]
            below += score < 1 - ours[k] - 1e-10
        assert (sets[i] == (below < round(0.7 * (n + 1), 9))).all()


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(presence=presences)
def test_nested_intervals_follow_their_definition(cohort, presence):
    """Limits are quantiles of the intervals that each calibration sample proposes."""
    presence[:, 0] |= ~presence.any(axis=1)
    y = np.random.default_rng(3).normal(size=24)
    calibration = remake(cohort(18, presence=presence[:18]), y[:18], "regression")
    test = remake(rename(cohort(6, presence=presence[18:], seed=1), "t"), y[18:], "regression")
    model = conformalise(Line(), calibration, alpha=0.3, method="nested")
    limits = model.predict_set(test)
    for i in range(6):
        both = calibration.presence & test.presence[i]
        low, high = [], []
        theirs = Line().predict(calibration.with_presence(both))
        ours = Line().predict(test[np.full(18, i)].with_presence(both))
        for k in np.flatnonzero(both.any(axis=1)):
            low.append(ours[k] - abs(calibration.target[k] - theirs[k]))
            high.append(ours[k] + abs(calibration.target[k] - theirs[k]))
        rank = math.ceil(round(0.7 * (len(low) + 1), 9))
        expected = (-np.inf, np.inf)
        if rank <= len(low):
            expected = (np.sort(low)[-rank], np.sort(high)[rank - 1])
        assert limits[i] == pytest.approx(expected)


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_nested_is_exact_where_nothing_is_absent_from_calibration(cohort, oracle, task):
    """Complete calibration samples share exactly the test sample's pattern."""
    calibration, test = cohort(200), rename(cohort(100, rates=RATES, seed=1), "t")
    model = oracle
    if task == "regression":
        calibration, model = remake(calibration, np.linspace(0, 1, 200), task), Line()
    exact, nested = (conformalise(model, calibration, method=m) for m in ("exact", "nested"))
    np.testing.assert_array_equal(exact.predict_set(test), nested.predict_set(test))


def test_auto_takes_exact_where_it_can_say_anything(cohort, oracle):
    """From nine samples on a set can leave something out; below, nested; below that, everything."""
    presence = np.zeros((60, 3), dtype=bool)
    presence[:, 2] = True
    for n_both, used in ((9, "exact"), (8, "nested")):
        some = presence.copy()
        some[:n_both, 0] = True
        model = conformalise(oracle, cohort(60, presence=some))
        asked = cohort(5, presence=np.tile([True, False, True], (5, 1)), seed=1)
        row = model.thresholds(asked).iloc[0]
        assert row["method"] == used
        assert row["note"] == ""
    few = conformalise(oracle, cohort(8))
    row = few.thresholds(cohort(5, seed=1)).iloc[0]
    assert "too few" in row["note"]
    assert few.predict_set(cohort(5, seed=1)).all()


def test_samples_that_share_nothing_are_left_out(cohort, oracle):
    """Nested calibration of a pattern cannot use who has none of it."""
    presence = np.zeros((50, 3), dtype=bool)
    presence[:30, 0] = presence[30:, 1] = True
    model = conformalise(oracle, cohort(50, presence=presence), method="nested")
    asked = cohort(3, presence=np.tile([True, False, False], (3, 1)), seed=1)
    assert model.thresholds(asked)["n_calibration"].tolist() == [30]


@pytest.mark.parametrize("score", ["lac", "aps"])
@pytest.mark.parametrize("method", ["auto", "nested", "split"])
def test_no_order_and_no_batch_matters(cohort, oracle, score, method):
    """Sets are the same alone, in any batch, and for any order of calibration and modalities."""
    calibration, test = cohort(150, rates=RATES), rename(cohort(40, rates=RATES, seed=1), "t")
    model = conformalise(oracle, calibration, method=method, score=score)
    sets = model.predict_set(test)
    alone = np.concatenate([model.predict_set(test[[i]]) for i in range(40)])
    np.testing.assert_array_equal(sets, alone)
    shuffled = calibration[np.random.default_rng(0).permutation(150)]
    other = conformalise(oracle, shuffled, method=method, score=score)
    np.testing.assert_array_equal(other.predict_set(test[::-1])[::-1], sets)


def test_repeated_rows_are_one_unit(cohort, oracle):
    """A slice that repeats samples calibrates as they do once."""
    calibration, test = cohort(100, rates=RATES), rename(cohort(40, rates=RATES, seed=1), "t")
    once = conformalise(oracle, calibration)
    thrice = conformalise(oracle, calibration[np.tile(np.arange(100), 3)])
    assert thrice.n_calibration == 100
    np.testing.assert_array_equal(once.predict_set(test), thrice.predict_set(test))


def test_one_sample_of_each_cluster_counts(cohort, oracle):
    """Clusters are units: as many calibration samples as clusters that have the pattern."""
    cluster = np.repeat(np.arange(40), 5)
    calibration = cohort(200, rates=RATES, cluster=cluster)
    model = conformalise(oracle, calibration, method="exact")
    test = rename(cohort(60, rates=RATES, seed=1), "t")
    table = model.thresholds(test).set_index("pattern")["n_calibration"]
    for pattern, n in table.items():
        keep = [m in pattern.split("+") for m in calibration.modalities]
        has = calibration.presence[:, keep].all(axis=1)
        assert n == len(set(cluster[has]))
    assert model.n_calibration == 40
    seeds = [
        conformalise(oracle, calibration, random_state=s).thresholds(test)["threshold"].tolist()
        for s in (0, 0, 1)
    ]
    assert seeds[0] == seeds[1] != seeds[2]


def test_columns_are_in_the_order_of_the_models_classes(cohort):
    """Sets and probabilities have the same columns, also in an order that is not sorted."""
    y = np.array(["blue", "green", "red"])[np.random.default_rng(0).integers(0, 3, 300)]
    calibration = remake(cohort(300, rates=RATES), y, "multiclass")
    test = rename(cohort(50, rates=RATES, seed=1), "t")
    model = conformalise(Classes(), calibration)
    assert model.classes_.tolist() == ["red", "blue", "green"]
    p, sets = model.predict_proba(test), model.predict_set(test)
    # Under LAC a likelier class is never left out before a less likely one.
    for row, kept in zip(p, sets, strict=True):
        assert not kept.any() or kept[row >= row[kept].min()].all()
    assert not hasattr(model, "predict")
    sizes = sets.sum(axis=1)
    assert sizes.min() < 3
    assert sizes.max() == 3 or sizes.mean() > 1


def test_aps_adds_up_what_is_likelier(cohort):
    """A class stays where the mass above it and a random share of its own are low enough."""
    from fusewise.evaluate.conformal_scores import class_scores

    p = np.random.default_rng(0).dirichlet(np.ones(4), size=50)
    u = np.random.default_rng(1).random(50)
    scores = class_scores("aps", p, u)
    for i in range(50):
        for c in range(4):
            expected = p[i][p[i] > p[i, c]].sum() + u[i] * p[i, c]
            assert scores[i, c] == pytest.approx(expected, abs=1e-8)


def test_draws_are_uniform_and_leave_the_global_generator_alone(cohort, oracle):
    """Numbers come from ids: uniform, equal for equal ids, other for another seed."""
    from fusewise.evaluate.conformal_scores import uniforms

    ids = np.array([f"s{i}" for i in range(4000)])
    u = uniforms(ids, 0, "aps")
    assert abs(u.mean() - 0.5) < 0.02
    assert np.abs(np.histogram(u, bins=10, range=(0, 1))[0] / 400 - 1).max() < 0.2
    assert abs(np.corrcoef(u, uniforms(ids, 1, "aps"))[0, 1]) < 0.06
    assert abs(np.corrcoef(u[1:], u[:-1])[0, 1]) < 0.06
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - it must not change
    conformalise(oracle, cohort(50), score="aps").predict_set(cohort(5, seed=1))
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_mondrian_holds_where_presence_is_informative(oracle_type, cohort):
    """Exact leans on absence at random; samples that came with the pattern need no such thing."""

    class Leaning(oracle_type):
        """Thinks too little of positives, who lack a and b more often."""

        def predict_proba(self, dataset):
            p = super().predict_proba(dataset)[:, 1]
            odds = np.exp(-2.0) * p / (1 - p)
            return np.column_stack([1 / (1 + odds), odds / (1 + odds)])

    rng = np.random.default_rng(0)
    y = (rng.random(6000) < 0.3).astype(int)
    presence = np.ones((6000, 3), dtype=bool)
    presence[rng.random(6000) < np.where(y == 1, 0.8, 0.2), :2] = False
    everyone = cohort(6000, presence=presence, y=y)
    calibration, test = everyone[:3000], everyone[3000:]
    only_c = test[test.pattern == "c"]
    covered = {}
    for method in ("exact", "mondrian"):
        sets = conformalise(Leaning(), calibration, alpha=0.2, method=method).predict_set(only_c)
        covered[method] = sets[np.arange(len(only_c)), only_c.target.astype(int)].mean()
    assert abs(covered["mondrian"] - 0.8) < 3 * np.sqrt(2 * 0.16 / len(only_c))
    assert covered["exact"] < 0.7


def test_the_model_is_passed_through(cohort, oracle):
    """Predictions are the model's own, and the sets come on top."""
    test = cohort(30, rates=RATES)
    model = conformalise(oracle, rename(cohort(100, rates=RATES, seed=1), "c"))
    assert isinstance(model, ConformalPredictor)
    np.testing.assert_array_equal(model.predict_proba(test), oracle.predict_proba(test))
    assert model.answerable(test).all()
    evaluation = fw.evaluate(model, test, metrics=["brier_score"], n_boot=10, rates=())
    assert evaluation.n == 30


def test_a_sample_without_anything_has_no_set(cohort, oracle):
    """It raises and says how to leave it out; a whole set in silence would be a wrong answer."""
    model = conformalise(oracle, cohort(100, rates=RATES))
    presence = np.ones((5, 3), dtype=bool)
    presence[2] = False
    empty = cohort(5, presence=presence, seed=1)
    with pytest.raises(EmptySampleError, match=r"cannot answer 1 of 5 samples, e.g. 's00002'"):
        model.predict_set(empty)
    assert model.predict_set(empty[model.answerable(empty)]).shape == (4, 2)
    assert model.predict_set(empty[:0]).shape == (0, 2)


@pytest.mark.parametrize("alpha", [0, 1, -0.1, 1.5, float("nan"), "0.1", True])
def test_alpha_is_a_share(cohort, oracle, alpha):
    """Anything but a number between 0 and 1 is refused."""
    with pytest.raises(EvaluationError, match="alpha"):
        conformalise(oracle, cohort(50), alpha=alpha)


def test_bad_input_is_refused_with_what_to_do(cohort, oracle, oracle_type):
    """Each message names the object, what was expected and what came."""
    calibration = cohort(50)
    with pytest.raises(EvaluationError, match="calibration set is empty"):
        conformalise(oracle, calibration[:0])
    with pytest.raises(EvaluationError, match="Did you mean 'nested'"):
        conformalise(oracle, calibration, method="nestd")
    with pytest.raises(EvaluationError, match="expected lac or aps"):
        conformalise(oracle, calibration, score="absolute")
    with pytest.raises(EvaluationError, match="has no predict_proba"):
        conformalise(Line(), calibration)
    with pytest.raises(EvaluationError, match="MultimodalDataset, got DataFrame"):
        conformalise(oracle, pd.DataFrame({"x": [1]}))
    with pytest.raises(EvaluationError, match="random_state"):
        conformalise(oracle, calibration, random_state=-1)
    narrow = conformalise(oracle, calibration.without("c"))
    with pytest.raises(EvaluationError, match=r"has c, which the calibration set lacks.*without"):
        narrow.predict_set(cohort(5, seed=1))

    class Nan(oracle_type):
        def predict_proba(self, dataset):
            return super().predict_proba(dataset) * np.nan

    with pytest.raises(EvaluationError, match="NaN"):
        conformalise(Nan(), calibration)

    class Two(oracle_type):
        classes_ = np.array([0, 2])

    with pytest.raises(EvaluationError, match=r"calibration target has \[1\], which Two"):
        conformalise(Two(), calibration)

    class Blind(oracle_type):
        modalities_ = ("ct",)

        def answerable(self, dataset):
            return np.zeros(len(dataset), dtype=bool)

    with pytest.raises(EvaluationError, match="they have a, b, c, it knows ct"):
        conformalise(Blind(), calibration)


def test_our_own_estimators_get_sets(cohort):
    """A fitted fusion estimator is calibrated and keeps to its classes."""
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    linear = make_pipeline(SimpleImputer(), LogisticRegression())
    model = fw.EarlyFusionClassifier(linear, absent="impute").fit(cohort(200, rates=RATES))
    sets = fw.conformalise(model, rename(cohort(200, rates=RATES, seed=1), "c"))
    test = rename(cohort(300, rates=RATES, seed=2), "t")
    got = sets.predict_set(test)
    assert got[np.arange(300), test.target.astype(int)].mean() > 0.84
    assert got.sum(axis=1).mean() < 2
