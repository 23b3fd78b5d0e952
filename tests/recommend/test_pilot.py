"""The pilot: whom it lets overrule, what its fits have seen, and what it says when it cannot."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import fusewise as fw
from fusewise.exceptions import DeploymentError, PilotError
from fusewise.fusion import BoostedTreesClassifier
from fusewise.recommend import Pilot, Recommendation, pilot, pilot_fits
from fusewise.simulate import Interaction

LINEAR = LogisticRegression(C=0.3)
CHEAP = {
    "late": {"experts": make_pipeline(SimpleImputer(keep_empty_features=True), LINEAR),
             "n_folds": 2},
    "early": {"estimator": LINEAR, "absent": "impute"},
}  # fmt: skip
TREES = {**CHEAP, "early": {"estimator": BoostedTreesClassifier(n_iter=80, learning_rate=0.1)}}
SMALL = {"strategies": ["early"], "sizes": [1], "absent": [], "folds": 3, "params": CHEAP}


def additive(n: int, seed: int, **how) -> fw.MultimodalDataset:
    """One modality that tells the class and one that tells nothing: late and early are equal."""
    return fw.make_cohort(
        n, 1, modalities={"a": 4, "b": 4}, signal={"a": 1.5, "b": 0.0}, random_state=seed, **how
    )


def xor(n: int, seed: int, **how):
    return fw.make_cohort(
        n, 1, modalities={"a": 3, "b": 3}, signal=2.5, interaction=Interaction("a", "b"),
        random_state=seed, **how,
    )  # fmt: skip


def profiled(cohort, deployment="training"):
    return fw.profile(cohort.train, deployment, probes=False)


def tried(cohort, deployment="training", **how) -> Pilot:
    return pilot(cohort.train, profiled(cohort, deployment), **{**SMALL, **how})


@pytest.fixture(scope="module")
def won():
    """A pilot on an interaction that late fusion cannot see."""
    cohort = xor(500, 0)
    profile = profiled(cohort)
    asked = [{"metric": "roc_auc", "at_least": 0.6}]
    how = {**SMALL, "params": TREES, "sizes": [0.5, 1], "absent": [0.0, 0.5]}
    return cohort, profile, pilot(cohort.train, profile, requirements=asked, **how)


def test_an_interaction_overrules_late_fusion(won) -> None:
    """The matrix says late; one that reads both modalities together wins, and both are shown."""
    _, profile, found = won
    advice = fw.recommend(profile, pilot=found)
    assert (advice.matrix, advice.strategy, advice.trainable) == ("late", "early", "early")
    assert advice.masking == advice.maskings["early"]
    assert advice.alternatives[0] == "late"
    assert type(advice.estimator()).__name__ == "EarlyFusionClassifier"
    for text in (str(advice), str(found)):
        assert "early fusion, overrules the matrix's, late fusion" in text
        assert found.reason in text
    assert fw.recommend(profile).strategy == "late"


def test_every_figure_of_the_reason_stands_in_the_tables(won) -> None:
    """The reason can be computed again from the result."""
    _, _, found = won
    last = found.comparison[found.comparison["size"] == max(found.sizes)].iloc[0]
    assert f"{last['difference']:.4f} [{last['low']:.4f}, {last['high']:.4f}]" in found.reason
    own = found.losses[(found.losses["regime"] == "deployment")]
    loss = own[own["size"] == max(found.sizes)].set_index("strategy")["loss"]
    assert last["difference"] == pytest.approx(loss["late"] - loss["early"])
    fits = found.fits[(found.fits["regime"] == "deployment")]
    for (strategy, size), part in fits.groupby(["strategy", "size"]):
        row = own[(own["strategy"] == strategy) & (own["size"] == size)].iloc[0]
        assert np.average(part["loss"], weights=part["n"]) == pytest.approx(row["loss"])
        assert part["n"].sum() == row["n"] == 500


def test_a_pilot_is_kept_as_json_without_loss(won) -> None:
    """Alone and inside a recommendation."""
    _, profile, found = won
    assert Pilot.from_json(found.to_json()) == found
    advice = fw.recommend(profile, pilot=found)
    assert Recommendation.from_json(advice.to_json()) == advice
    assert Recommendation.from_json(advice.to_json()).matrix == "late"


def test_requirements_are_answered_for_both(won) -> None:
    """Late fusion sees nothing of the interaction, early fusion enough."""
    _, _, found = won
    status = found.requirements.set_index("strategy")["status"]
    assert status["early"] == "met"
    assert status["late"] != "met"


def test_the_crossover_is_by_rate_and_size(won) -> None:
    """Withholding one of two modalities takes away what early fusion is better by."""
    _, _, found = won
    grid = found.crossover
    assert (grid[["first", "second"]] == ["late", "early"]).all(axis=None)
    assert set(zip(grid["size"], grid["withheld"], strict=True)) == {
        (size, rate) for size in found.sizes for rate in (0.0, 0.5)
    }
    last = grid[grid["size"] == max(found.sizes)].set_index("withheld")
    assert last.loc[0.0, "difference"] > last.loc[0.5, "difference"]
    assert last.loc[0.5, "absent"] == pytest.approx(0.5, abs=0.03)
    assert found.where_places_change


def test_equal_strategies_are_left_alone() -> None:
    """Where one modality says all, nothing is gained by joining: late fusion stands."""
    for seed in range(2):
        assert not tried(additive(120, seed), random_state=seed, folds=2).overrules


@pytest.mark.slow
def test_false_overrules_are_rare() -> None:
    """Of 20 cohorts with nothing to gain at most the nominal 2.5 % (here: 2, p > 0.98) are overruled."""
    false = sum(tried(additive(200, seed), random_state=seed).overrules for seed in range(20))
    assert false <= 2


def test_an_unknown_deployment_is_never_overruled() -> None:
    """The same interaction wins, is shown, and changes nothing."""
    cohort = xor(400, 1)
    found = tried(cohort, None, params=TREES)
    assert found.comparison["shown"].any()
    assert (found.choice, found.overrules, found.strategy) == ("early", False, "late")
    assert "availability in deployment is unknown" in found.reason
    advice = fw.recommend(profiled(cohort, None), pilot=found)
    assert advice.strategy == "late"
    assert found.reason in str(advice)


def test_candidates_are_scored_in_the_deployments_patterns() -> None:
    """Training is complete, the deployment is not: the held-out samples are shown as it would."""
    cohort = additive(300, 0)
    profile = profiled(cohort, {"patterns": {"a+b": 1, "a": 1, "b": 2}})
    found = pilot(cohort.train, profile, **SMALL)
    alone = pilot(cohort.train, profiled(cohort), **SMALL)
    own = found.losses.set_index("strategy")
    assert own["absent"].to_numpy() == pytest.approx([0.375, 0.375], abs=1e-6)
    # Half of the requests lack the one modality that tells anything: their loss is log 2.
    expected = 0.5 * alone.losses.set_index("strategy").loc["late", "loss"] + 0.5 * np.log(2)
    assert own.loc["late", "loss"] == pytest.approx(expected, abs=0.05)


def test_patterns_that_cannot_be_made_are_weighed_and_told() -> None:
    """A deployment that is denser than training: withholding is no help, weights are."""
    cohort = additive(400, 0, availability={"a": 0.3})
    found = tried(cohort, {"a": 0.9})
    own = found.losses.set_index("strategy").loc["late"]
    assert own["absent"] == pytest.approx(0.05, abs=1e-6)
    assert own["effective_n"] < 0.5 * own["n"]
    assert any("out of reach" in note for note in found.notes)


class Memory(ClassifierMixin, BaseEstimator):
    """Knows the label of every row that it has seen, and nothing of any other."""

    def fit(self, X, y, sample_weight=None):
        self.classes_ = np.unique(y)
        self.known_ = {row.tobytes(): label for row, label in zip(X.round(6), y, strict=True)}
        return self

    def predict_proba(self, X):
        label = np.array([self.known_.get(row.tobytes(), 0.5) for row in X.round(6)], dtype=float)
        sure = np.clip(label, 0.01, 0.99)
        return np.column_stack([1 - sure, sure])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def families(*, declared: bool) -> fw.MultimodalDataset:
    """Sixty families of three samples that are copies of each other."""
    rng = np.random.default_rng(0)
    family = np.repeat(np.arange(60), 3)
    samples = pd.DataFrame({"id": np.arange(180), "family": family, "y": family % 2})
    table = pd.DataFrame({"id": samples["id"], "x": rng.normal(size=60)[family]})
    other = pd.DataFrame({"id": samples["id"], "z": rng.normal(size=60)[family]})
    return fw.MultimodalDataset(
        {"one": table, "two": other}, samples=samples, id="id", target="y",
        cluster="family" if declared else None,
    )  # fmt: skip


@pytest.mark.parametrize("declared", [True, False])
def test_no_sample_is_answered_by_a_fit_that_saw_it_or_its_cluster(declared: bool) -> None:
    """A model that only remembers knows nothing out of fold; without clusters it would be seen."""
    ds = families(declared=declared)
    # Early fusion scales by training rows, so that a copy looks alike only within one fit.
    params = {**CHEAP, "early": {"estimator": Memory(), "masking": None}}
    found = pilot(ds, fw.profile(ds, "training", probes=False), **{**SMALL, "params": params})
    loss = found.losses.set_index("strategy").loc["early", "loss"]
    assert (loss == pytest.approx(np.log(2))) == declared


def test_the_same_seed_gives_the_same_bits_and_the_global_one_is_untouched() -> None:
    """Also in several processes, and whatever the order of the samples."""
    cohort = additive(200, 3)
    np.random.seed(7)  # noqa: NPY002
    before = np.random.get_state()  # noqa: NPY002
    one = tried(cohort, random_state=5)
    shuffled = cohort.train[np.random.default_rng(0).permutation(200)]
    other = pilot(shuffled, profiled(cohort), **SMALL, random_state=5)
    after = np.random.get_state()  # noqa: NPY002
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert one.losses.equals(other.losses)
    assert one.comparison.equals(other.comparison)
    assert one.fits.drop(columns="seconds").equals(other.fits.drop(columns="seconds"))
    assert not one.comparison.equals(tried(cohort, random_state=6).comparison)


@pytest.mark.slow
def test_several_processes_give_the_same_bits() -> None:
    """How many fits run at a time is no part of the result."""
    cohort = additive(200, 3)
    one, two = tried(cohort), tried(cohort, n_jobs=2)
    assert one.fits.drop(columns="seconds").equals(two.fits.drop(columns="seconds"))
    assert one.comparison.equals(two.comparison)


@pytest.mark.slow
def test_all_four_strategies_are_candidates() -> None:
    """Also those that are networks, each as one with few epochs; regression too."""
    cohort = xor(240, 0, task="regression")
    found = tried(cohort, strategies=None, params=None, folds=2)
    assert set(found.candidates) == {"early", "intermediate", "late", "attention"}
    assert "n_members 1" in found.candidates["attention"]
    assert (found.loss, found.score) == ("squared_error", "r2")
    assert Pilot.from_json(found.to_json()) == found


def test_interpretability_rules_attention_out() -> None:
    """What is ruled out is no candidate, unless it is asked for, which is an error."""
    cohort = additive(160, 0)
    profile = profiled(cohort, {"observed": "training", "interpretability": "required"})
    with pytest.raises(PilotError, match="attention fusion is ruled out: Interpretability"):
        pilot(cohort.train, profile, strategies=["attention"])


class Clock:
    """A clock whose time is over after some questions."""

    def __init__(self, questions: int) -> None:
        self.left = questions
        self.perf_counter = time.perf_counter

    def time(self) -> float:
        self.left -= 1
        return 0.0 if self.left >= 0 else 1e12


def test_a_budget_that_ends_early_says_what_is_missing(monkeypatch) -> None:
    """The time is over after the third of six fits: one whole fold overrules nothing."""
    cohort, heard = xor(400, 1), []
    whole = tried(cohort, params=TREES, on_fit=heard.append)
    assert (whole.complete, whole.overrules) == (True, True)
    assert [said["done"] for said in heard] == [1, 2, 3, 4, 5, 6]
    assert {said["total"] for said in heard} == {6}
    monkeypatch.setattr(pilot_fits, "time", Clock(3))
    part = tried(cohort, params=TREES, seconds=50.0)
    assert not part.complete
    assert not part.overrules
    assert part.lacks == (
        "early, 267 rows, under the deployment's absence: 2 of 3 folds",
        "late, 267 rows, under the deployment's absence: 1 of 3 folds",
    )
    assert "Not done" in str(part)


def test_a_budget_too_small_for_one_fit_of_each_is_an_error(monkeypatch) -> None:
    """One of two candidates was fitted when the time was over."""
    monkeypatch.setattr(pilot_fits, "time", Clock(1))
    with pytest.raises(PilotError, match="early had none.*late.*Allow more seconds"):
        tried(additive(160, 0), seconds=50.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strategies": ["erly"]}, "no strategy 'erly'.*Did you mean 'early'"),
        ({"strategies": "early"}, "strategies is a list of names"),
        ({"strategies": ["late"]}, "no other candidate is left"),
        ({"sizes": []}, "sizes is empty"),
        ({"sizes": [-1]}, "sizes are shares of the rows"),
        ({"sizes": [9999]}, "a size of 9999 rows, but the pilot has 160"),
        ({"folds": 1}, "folds is a whole number from 2"),
        ({"absent": [1.0]}, "absent holds shares"),
        ({"seconds": 0}, "seconds is a positive number"),
        ({"params": {"erly": {}}}, "Did you mean 'early'"),
        ({"params": {"early": {"estimater": 1}}}, "Did you mean 'estimator'"),
        ({"random_state": None}, "random_state is a whole number"),
        ({"max_samples": 30}, "30 training rows with a modality are too few"),
    ],
)
def test_what_cannot_be_done_is_told(change, message: str) -> None:
    """The message says what was expected, what came and what to do."""
    with pytest.raises(PilotError, match=message):
        tried(additive(160, 0), **change)


def rare(n_positive: int) -> fw.MultimodalDataset:
    """A dataset with few positives, and a modality that nobody has."""
    samples = pd.DataFrame({"id": range(120), "y": (np.arange(120) < n_positive).astype(int)})
    table = pd.DataFrame({"id": range(120), "x": np.random.default_rng(0).normal(size=120)})
    nobody = pd.DataFrame({"id": pd.Series([], dtype="int64"), "w": pd.Series([], dtype=float)})
    return fw.MultimodalDataset(
        {"one": table, "two": table.rename(columns={"x": "z"}), "nobody": nobody},
        samples=samples, id="id", target="y", task="binary",
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore:modality 'nobody'")
def test_rare_classes_and_a_modality_that_nobody_has() -> None:
    """Too few of a class are an error; a modality without a sample is a note."""
    few, one = rare(5), rare(120)
    profile = fw.profile(few, "training", probes=False)
    with pytest.raises(PilotError, match="5 rows of the rarest class"):
        pilot(few, profile)
    with pytest.raises(PilotError, match="one class only"):
        pilot(one, profile)
    ds = rare(50)
    found = pilot(ds, fw.profile(ds, "training", probes=False), **SMALL)
    assert any("has nobody" in note for note in found.notes)


def test_a_pilot_of_another_profile_is_refused() -> None:
    """Its answer would be about another deployment, or against another strategy."""
    cohort = additive(160, 0)
    found = tried(cohort)
    with pytest.raises(DeploymentError, match="under another deployment"):
        fw.recommend(profiled(cohort, {"b": 0.5}), pilot=found)
    controlled = profiled(cohort, {"observed": "training", "cohort": "controlled"})
    with pytest.raises(DeploymentError, match="against late fusion.*matrix says early"):
        fw.recommend(controlled, pilot=found)
    with pytest.raises(DeploymentError, match="expected a Pilot, got str"):
        fw.recommend(profiled(cohort), pilot="early")
    with pytest.raises(PilotError, match="the rows have the modalities a, the profile a, b"):
        pilot(cohort.train.only("a"), profiled(cohort))
