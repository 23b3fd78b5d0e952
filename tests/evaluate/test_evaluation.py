"""evaluate over any predictor and task; baselines, calibration, and the result itself."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from fusewise.data import MultimodalDataset
from fusewise.evaluate import Evaluation, evaluate
from fusewise.evaluate.calibration import wilson
from fusewise.evaluate.columns import COLUMNS
from fusewise.exceptions import EvaluationError

RATES = {"a": 0.8, "b": 0.7, "c": 0.6}


def three_classes(n=300, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    names = np.array(["blue", "green", "red"])[y]
    samples = pd.DataFrame({"id": range(n), "y": names})
    tables = {}
    for m in "ab":
        has = rng.random(n) < 0.8
        x = rng.normal(size=(n, 3)) + 1.5 * np.eye(3)[y]
        frame = pd.DataFrame(x, columns=["x0", "x1", "x2"])
        tables[m] = frame.assign(id=range(n))[has]
    return MultimodalDataset(tables, samples=samples, id="id", target="y", task="multiclass")


class Softmax:
    classes_ = np.array(["blue", "green", "red"])

    def predict_proba(self, dataset):
        logit = np.zeros((len(dataset), 3))
        for name in dataset.modalities:
            positions, frame = dataset.features(name)
            logit[positions] += 1.5 * frame.to_numpy()
        e = np.exp(logit)
        p = e / e.sum(axis=1, keepdims=True)
        order = [["blue", "green", "red"].index(c) for c in self.classes_]
        return p[:, order]

    def predict(self, dataset):
        return self.classes_[self.predict_proba(dataset).argmax(axis=1)]


def test_a_paired_difference_to_baselines(cohort, oracle, oracle_type):
    """The model is compared on samples that both answer; the interval says who is better."""

    class OnlyC(oracle_type):
        def answerable(self, dataset):
            return dataset.presence[:, dataset.modalities.index("c")].copy()

        def predict_proba(self, dataset):
            return super().predict_proba(dataset.only("c"))

    test = cohort(800, rates=RATES)
    result = evaluate(
        oracle,
        test,
        metrics=["roc_auc", "log_loss"],
        baselines={"c alone": OnlyC(), "itself": oracle},
        n_boot=200,
    )
    table = result.baselines.set_index(["baseline", "metric"])
    alone = table.loc[("c alone", "roc_auc")]
    assert alone["n"] == int(test.presence[:, 2].sum())
    assert alone["difference_low"] > 0.05
    loss = table.loc[("c alone", "log_loss")]
    assert loss["difference"] < 0
    assert (alone["better"], loss["better"]) == ("model", "model")
    same = table.loc["itself"]
    assert (same[["difference", "difference_low", "difference_high"]] == 0).all(axis=None)
    assert set(same["better"]) == {"neither"}


def test_a_baseline_that_answers_nothing_in_common_is_shown(cohort, oracle, oracle_type):
    """No sample in common: the row stays, with n of zero and a note."""

    class Silent(oracle_type):
        def answerable(self, dataset):
            return np.zeros(len(dataset), dtype=bool)

    result = evaluate(
        oracle, cohort(60), metrics=["roc_auc"], baselines={"silent": Silent()}, n_boot=20
    )
    row = result.baselines.iloc[0]
    assert (row["n"], row["note"]) == (0, "no sample")
    with pytest.raises(EvaluationError, match="answers none of the 60"):
        evaluate(Silent(), cohort(60))


def test_the_oracle_is_calibrated_and_an_overconfident_one_is_not(cohort, oracle, oracle_type):
    """Most bins of calibrated probabilities hold the observed share; of squashed ones few do."""
    test = cohort(4000, rates=RATES)
    shares = []
    for model in (oracle, oracle_type(shifts={"a": 4.5, "b": 3.0, "c": 1.5})):
        table = evaluate(model, test, metrics=["roc_auc"], n_boot=10, rates=()).calibration
        every = table[(table["view"] == "natural") & (table["pattern"] == "(all)")]
        assert len(every) == 10
        assert every["n"].sum() == 4000
        assert set(table["view"]) == {"natural", "withheld"}
        inside = table["mean_predicted"].between(table["low"], table["high"])
        shares.append(inside.mean())
    assert shares[0] > 0.85
    assert shares[1] < 0.5


def test_wilson_limits_are_scipys():
    """The interval of a share is Wilson's."""
    hits, n = np.array([0, 3, 20, 40]), np.array([10, 17, 40, 40])
    low, high = wilson(hits, n)
    for i, (k, m) in enumerate(zip(hits, n, strict=True)):
        expected = binomtest(int(k), int(m)).proportion_ci(0.95, method="wilson")
        assert low[i] == pytest.approx(expected.low, abs=1e-9)
        assert high[i] == pytest.approx(expected.high, abs=1e-9)


def test_several_classes_in_any_column_order():
    """Probability columns follow classes_, whatever their order; labels are compared as given."""
    test = three_classes()
    metrics = ["roc_auc", "log_loss", "brier_score", "accuracy", "balanced_accuracy", "f1_macro"]
    first = evaluate(Softmax(), test, metrics=metrics, n_boot=30)
    swapped = Softmax()
    swapped.classes_ = np.array(["red", "blue", "green"])
    pd.testing.assert_frame_equal(
        first.pooled, evaluate(swapped, test, metrics=metrics, n_boot=30).pooled
    )
    assert first.task == "multiclass"
    assert first.pooled["estimate"].iloc[0] > 0.8
    assert first.calibration.empty
    assert first.by_pattern["n_positive"].isna().all()


def test_a_class_that_the_test_set_lacks_leaves_the_other_metrics(cohort):
    """One-against-rest AUROC needs every class; log loss does not."""
    test = three_classes()
    part = test[np.asarray(test.target) != "red"]
    result = evaluate(Softmax(), part, metrics=["roc_auc", "log_loss"], n_boot=20)
    pooled = result.pooled.set_index("metric")
    assert np.isnan(pooled.loc["roc_auc", "estimate"])
    assert pooled.loc["roc_auc", "note"] == "1 of 3 classes have no sample"
    assert np.isfinite(pooled.loc["log_loss", "estimate"])


def test_a_regressor_is_scored_in_the_units_of_the_target():
    """RMSE, MAE and R2 through predict."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=400)
    samples = pd.DataFrame({"id": range(400), "y": 3 * x + rng.normal(size=400)})
    table = pd.DataFrame({"id": range(400), "x": x})
    test = MultimodalDataset(
        {"a": table, "b": table[:200]}, samples=samples, id="id", target="y", task="regression"
    )

    class Slope:
        def predict(self, dataset):
            out = np.zeros(len(dataset))
            for name in dataset.modalities:
                positions, frame = dataset.features(name)
                out[positions] = 3 * frame["x"].to_numpy()
            return out

    result = evaluate(
        Slope(),
        test,
        n_boot=100,
        requirements=[{"absent": ["b"], "metric": "rmse", "max_drop": 0.0}],
    )
    pooled = result.pooled.set_index("metric")
    assert pooled.index.tolist() == ["rmse", "mae", "r2"]
    assert pooled.loc["rmse", "estimate"] == pytest.approx(1.0, abs=0.1)
    assert pooled.loc["r2", "estimate"] == pytest.approx(0.9, abs=0.03)
    # The other table says the same, so withholding one costs nothing.
    assert result.exit_code == 0


def test_a_predictor_of_labels_alone_gets_metrics_of_labels(cohort):
    """Without predict_proba the defaults read labels; asking for probabilities says what to do."""

    class Labels:
        def predict(self, dataset):
            return (dataset.presence.sum(axis=1) > 2).astype(int)

    test = cohort(200, rates=RATES)
    result = evaluate(Labels(), test, n_boot=20)
    assert result.metrics == ("accuracy", "balanced_accuracy", "f1")
    with pytest.raises(EvaluationError, match=r"no predict_proba.*'accuracy'"):
        evaluate(Labels(), test, metrics=["roc_auc"])


def test_labels_of_a_predictor_without_predict_are_its_likeliest_class(cohort, oracle):
    """Accuracy of an object with predict_proba alone."""
    test = cohort(300)
    result = evaluate(oracle, test, metrics=["accuracy"], n_boot=20)
    likely = oracle.predict_proba(test).argmax(axis=1)
    assert result.pooled["estimate"].iloc[0] == pytest.approx((likely == test.target).mean())


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda n: np.full((n, 2), np.nan), "NaN or an infinity for 60 of 60"),
        (lambda n: np.full((n - 1, 2), 0.5), r"shape \(59, 2\) for 60 samples"),
        (lambda n: np.full((n, 3), 1 / 3), r"expected \(60, 2\)"),
        (lambda n: np.full(n, 0.5), r"shape \(60,\)"),
        (lambda n: np.tile([-1.0, 2.0], (n, 1)), "probabilities in"),
        (lambda n: np.full((n, 2), 0.4), "sum to 1"),
    ],
)
def test_what_is_no_prediction_is_refused(cohort, broken, message):
    """The error names the predictor, what it returned and what was expected."""

    class Broken:
        def predict_proba(self, dataset):
            return broken(len(dataset))

    with pytest.raises(EvaluationError, match=rf"Broken\.predict_proba.*{message}"):
        evaluate(Broken(), cohort(60))


def test_classes_that_do_not_fit_are_refused(cohort, oracle_type):
    """A predictor of other classes, labels that no class has, an answer of the wrong kind."""

    class Other(oracle_type):
        classes_ = ("alive", "dead")

    with pytest.raises(EvaluationError, match=r"'alive'.*the test target has \(0, 1\)"):
        evaluate(Other(), cohort(60))

    class Words:
        def predict(self, dataset):
            return np.full(len(dataset), "yes")

    with pytest.raises(EvaluationError, match=r"Words\.predict holds yes"):
        evaluate(Words(), cohort(60))

    class Numbers(oracle_type):
        def answerable(self, dataset):
            return np.ones(len(dataset))

    with pytest.raises(EvaluationError, match=r"answerable returned float64"):
        evaluate(Numbers(), cohort(60))


def test_arguments_are_checked(cohort, oracle):
    """Numbers out of range and a test set without target are refused before any prediction."""
    test = cohort(60)
    for option in ({"n_boot": -1}, {"min_cell": 0}, {"repeats": 0}, {"n_boot": 10.5}):
        with pytest.raises(EvaluationError, match=next(iter(option))):
            evaluate(oracle, test, **option)
    for seed in (-1, "seven", np.random.default_rng(0)):
        with pytest.raises(EvaluationError, match="random_state"):
            evaluate(oracle, test, random_state=seed)
    with pytest.raises(EvaluationError, match="rates"):
        evaluate(oracle, test, rates=(0.5, 1.0))
    frame = pd.DataFrame({"id": [1, 2], "x": [0.0, 1.0]})
    bare = MultimodalDataset({"a": frame}, samples=frame[["id"]], id="id")
    with pytest.raises(EvaluationError, match="no target"):
        evaluate(oracle, bare)
    assert oracle.calls == 0


def test_the_evaluation_survives_json(cohort, oracle, tmp_path):
    """Tables, types, NaN and notes come back as they were."""
    test = cohort(120, rates={"a": 0.3, "b": 0.3, "c": 0.3})
    result = evaluate(
        oracle,
        test,
        n_boot=20,
        deployment={"patterns": {"a": 1, "a+b+c": 1}},
        requirements=[{"present": ["a"], "metric": "roc_auc", "at_least": 0.5}],
        baselines={"late": oracle},
    )
    assert result.by_pattern["low"].isna().any()
    result.to_json(tmp_path / "evaluation.json")
    back = Evaluation.from_json(tmp_path / "evaluation.json")
    assert back == result
    for name in COLUMNS:
        pd.testing.assert_frame_equal(getattr(back, name), getattr(result, name))


def test_tables_have_the_same_columns_and_types_whatever_was_found(cohort, oracle):
    """Return types never depend on arguments: an empty table has its columns and types."""
    plain = evaluate(oracle, cohort(60), metrics=["accuracy"], n_boot=5)
    rich = evaluate(
        oracle,
        cohort(200, rates=RATES),
        n_boot=5,
        requirements=[{"metric": "roc_auc", "at_least": 0.5}],
        baselines={"late": oracle},
    )
    assert plain.baselines.empty
    for name, columns in COLUMNS.items():
        for result in (plain, rich):
            frame = getattr(result, name)
            assert list(frame.columns) == list(columns)
            assert [str(t) for t in frame.dtypes] == list(columns.values())


def test_the_evaluation_prints_what_matters(cohort, oracle):
    """Headline, patterns, requirements with their reasons, and notes."""
    test = cohort(300, rates=RATES)
    result = evaluate(
        oracle,
        test,
        n_boot=50,
        requirements=[{"present": "all", "metric": "roc_auc", "at_least": 0.5}],
    )
    text = str(result)
    for part in ("300 samples", "Headline", "a+b+c", "met", "at least 0.5", "Note:"):
        assert part in text
    assert repr(result).startswith("Evaluation(binary, n=300, roc_auc=0.")
