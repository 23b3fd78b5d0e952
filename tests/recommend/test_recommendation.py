"""The recommendation: reasons, masking, what would change it, stability, estimator."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import fusewise as fw
from fusewise.exceptions import DeploymentError, TaskError
from fusewise.profile import DeploymentProfile, declared_profile
from fusewise.recommend import Recommendation, Thresholds, recommend

RATES = {"ehr": 1.0, "notes": 0.95, "imaging": 0.4, "omics": 0.6}


def plan(deployment: Any = None, **changes: Any) -> DeploymentProfile:
    """A profile of four modalities, of which imaging is the rarest."""
    return declared_profile(RATES, deployment, **changes)


def log(n: int, rate: float, seed: int = 0) -> pd.DataFrame:
    """A wide log of n requests in which only imaging may be absent, at an exact rate."""
    frame = pd.DataFrame(True, index=range(n), columns=list(RATES))
    absent = np.random.default_rng(seed).permutation(n)[: round(n * (1 - rate))]
    frame.loc[absent, "imaging"] = False
    return frame


def test_the_first_reason_names_the_rarest_modalities() -> None:
    """Availability decided, so its reason comes first, with rate, interval and threshold."""
    reason = recommend(plan("training", n_samples=400)).reasons[0]
    assert reason.axis == "availability"
    assert reason.statement.startswith(
        "Often absent in deployment: imaging 0.40, omics 0.60. The lower limit of 2 of 4"
    )
    assert reason.value == pytest.approx(0.4)
    assert reason.low < 0.4 < reason.high
    assert reason.threshold == 0.9
    assert not reason.met


def test_the_limit_decides_and_not_the_rate() -> None:
    """20 requests with a rate of 0.95 do not show 0.90; 2,000 do."""
    few = recommend(plan({"observed": log(20, 0.95), "cohort": "controlled"}))
    many = recommend(plan({"observed": log(2000, 0.95), "cohort": "controlled"}))
    assert (few.strategy, many.strategy) == ("late", "early")
    assert "More requests would tell" in few.reasons[0].statement
    assert "Nearly always present" in many.reasons[0].statement


def test_every_axis_is_a_reason_once() -> None:
    """Axes that did not decide are shown too, after those that did."""
    for deployment in (None, "training", {"imaging": 1.0}, {"interpretability": "required"}):
        axes = [r.axis for r in recommend(plan(deployment)).reasons]
        assert len(axes) == len(set(axes))
        expected = {"availability", "dimensions", "temporal+interaction", "cohort", "samples"}
        assert expected <= set(axes)
        assert ("interpretability" in axes) == (
            isinstance(deployment, dict) and "interpretability" in deployment
        )


@pytest.mark.parametrize(
    ("deployment", "early", "attention"),
    [
        (None, "uniform", "curriculum"),
        ("training", None, None),
        ({"imaging": 0.3}, "deployment", "deployment"),
        ({"rates": {"ehr": 1.0}}, None, None),
        ({"patterns": {"ehr": 1, "ehr+notes": 1}}, "deployment", "deployment"),
    ],
    ids=["unknown", "training", "rates", "complete", "patterns"],
)
def test_masking_fits_what_is_known(deployment, early, attention) -> None:
    """Masks match a known deployment, cover an unknown one, and are idle where nothing is absent."""
    maskings = recommend(plan(deployment)).maskings
    assert maskings["early"] == early
    assert maskings["attention"] == attention
    assert maskings["late"] is None


def test_changes_that_are_named_do_change_the_strategy() -> None:
    """Each nearest change, carried out, gives the strategy that it promises."""
    advice = recommend(plan({"rates": {"imaging": 0.5}, "cohort": "controlled"}))
    assert advice.strategy == "late"
    first = advice.would_change_if[0]
    assert (
        first == "Early, if the availability of imaging were at least 0.90 (lower limit now 0.50)."
    )
    assert recommend(plan({"rates": {"imaging": 0.91}, "cohort": "controlled"})).strategy == "early"


def test_changes_of_one_fact_come_before_changes_of_several() -> None:
    """With availability as the only obstacle one fact suffices, and no superset is listed."""
    advice = recommend(plan({"rates": {"imaging": 0.95}, "cohort": "controlled"}, n_samples=2_000))
    assert advice.strategy == "early"
    single = [text for text in advice.would_change_if if " and " not in text]
    assert [text.split(",")[0] for text in single] == ["Late", "Intermediate", "Late", "Late"]
    assert advice.would_change_if[0].startswith("Late, if the availability of imaging fell below")
    assert "the cohort were open" in advice.would_change_if[2]
    assert "fewer than 400 samples (now 2,000)" in advice.would_change_if[3]
    alone = [text.split(", if ")[1].rstrip(".") for text in single]
    several = [text for text in advice.would_change_if if text not in single]
    assert several
    assert not any(words in text for words in alone for text in several)


def test_an_unknown_deployment_asks_to_be_declared() -> None:
    """The nearest change names what to find out."""
    advice = recommend(plan({"cohort": "controlled"}))
    assert "a log or declared rates showed every modality" in advice.would_change_if[0]


def test_a_clear_case_is_stable_and_a_close_one_is_not() -> None:
    """A rate of 0.40 stays below every moved threshold; one near 0.90 does not."""
    clear = recommend(plan({"observed": log(500, 0.4), "cohort": "controlled"}))
    close = recommend(plan({"observed": log(500, 0.925), "cohort": "controlled"}))
    assert clear.stability == 1
    assert 0.2 < close.stability < 0.9


def test_requests_are_resampled() -> None:
    """A lower limit of 0.927 is above every moved threshold, but not in every replicate."""
    few, many = (
        recommend(plan({"observed": log(n, 0.95), "cohort": "controlled"})) for n in (500, 50_000)
    )
    assert few.strategy == many.strategy == "early"
    assert 0.5 < few.stability < 1
    assert many.stability == 1


def test_declared_rates_move_by_the_thresholds_alone() -> None:
    """A declared 0.91 fails where the tolerated absence shrinks by more than a tenth: a quarter."""
    facts = {"rates": {"imaging": 0.91}, "cohort": "controlled"}
    assert recommend(plan(facts), n_boot=4_000).stability == pytest.approx(0.75, abs=0.03)


def test_sensitivity_moves_one_threshold_at_a_time() -> None:
    """Each threshold 20 % down and up; for availability it is the tolerated absence."""
    table = recommend(plan({"rates": {"imaging": 0.91}, "cohort": "controlled"})).sensitivity
    assert len(table) == 6
    moved = table[table["threshold"] == "availability"]
    assert moved["moved_to"].tolist() == pytest.approx([0.92, 0.88])
    assert moved["strategy"].tolist() == ["late", "early"]


def test_thresholds_can_be_changed() -> None:
    """A stricter threshold turns the recommendation, and is recorded."""
    facts = plan({"rates": {"imaging": 0.95}, "cohort": "controlled"})
    assert recommend(facts).strategy == "early"
    strict = recommend(facts, thresholds={"availability": 0.99})
    assert strict.strategy == "late"
    assert strict.thresholds["availability"] == 0.99
    assert recommend(facts, thresholds=Thresholds(availability=0.99)) == strict


GAP = {"ehr": 5, "omics": 5000}
TIMED = {"timing": "yes", "interaction": "yes", "validation": ["site"]}


@pytest.mark.parametrize(
    ("deployment", "widths", "strategy"),
    [
        ("training", None, "late"),
        ({"rates": {"imaging": 0.95}, "cohort": "controlled"}, None, "early"),
        ({"rates": {"imaging": 0.95}}, GAP, "intermediate"),
        ({"rates": {"imaging": 0.95}, **TIMED}, None, "attention"),
    ],
)
def test_what_is_recommended_is_what_is_trained(deployment, widths, strategy: str) -> None:
    """Each of the four strategies can be trained: nothing takes its place in silence."""
    advice = recommend(plan(deployment, widths=widths, n_samples=2_000))
    assert advice.strategy == advice.trainable == strategy
    assert advice.why_trainable == ""


@pytest.mark.parametrize("task", ["binary", "regression"])
@pytest.mark.parametrize("strategy", ["early", "intermediate", "late", "attention"])
def test_each_strategy_has_an_estimator(strategy: str, task: str) -> None:
    """Another strategy than the recommended one is made with the masking that is its own."""
    advice = recommend(plan({"rates": {"imaging": 0.4}}, task=task))
    model = replace(advice, trainable=strategy).estimator(random_state=2)
    kind = "Regressor" if task == "regression" else "Classifier"
    assert type(model) is getattr(fw, f"{strategy.capitalize()}Fusion{kind}")
    assert model.masking == (None if strategy == "late" else "deployment")
    assert (model.deployment, model.random_state) == (advice.deployment, 2)


def test_no_masking_is_passed_on_as_such() -> None:
    """Where none is recommended, a strategy that masks by default does not do it."""
    advice = recommend(plan({"rates": {"ehr": 1.0, "imaging": 1.0}}, widths=GAP))
    assert (advice.strategy, advice.masking) == ("intermediate", None)
    assert advice.estimator().masking is None


@pytest.mark.parametrize(
    ("deployment", "task", "name"),
    [
        ("training", "binary", "LateFusionClassifier"),
        ("training", "regression", "LateFusionRegressor"),
        (
            {"rates": {"imaging": 0.95}, "cohort": "controlled"},
            "multiclass",
            "EarlyFusionClassifier",
        ),
        (
            {"rates": {"imaging": 0.95}, "cohort": "controlled"},
            "regression",
            "EarlyFusionRegressor",
        ),
    ],
)
def test_the_estimator_is_the_one_recommended(deployment, task: str, name: str) -> None:
    """Strategy and task give the class; the seed is passed on."""
    model = recommend(plan(deployment, task=task, n_samples=2_000)).estimator(random_state=7)
    assert type(model) is getattr(fw, name)
    assert model.random_state == 7


def test_the_estimator_gets_masking_and_deployment() -> None:
    """Early fusion is masked by the deployment's joint patterns; parameters win over that."""
    advice = recommend(plan({"rates": {"imaging": 0.95}, "cohort": "controlled"}, n_samples=2_000))
    model = advice.estimator()
    assert model.masking == "deployment"
    assert model.deployment == advice.deployment
    weights = model.deployment["patterns"]
    assert sum(weights.values()) == pytest.approx(1)
    assert weights["ehr+imaging+notes+omics"] == pytest.approx(0.95)
    assert advice.estimator(masking="uniform").masking == "uniform"


def test_without_a_task_the_estimator_asks_for_one() -> None:
    """A dataset without target has no task; it can be given."""
    advice = recommend(plan("training", task=None))
    with pytest.raises(TaskError, match="task='binary'"):
        advice.estimator()
    assert type(advice.estimator(task="regression")) is fw.LateFusionRegressor


def test_a_recommendation_travels_through_json(tmp_path) -> None:
    """Written and read it is equal, and still makes its estimator."""
    advice = recommend(plan({"rates": {"imaging": 0.95}, "cohort": "controlled", "latency_ms": 5}))
    advice.to_json(tmp_path / "advice.json")
    again = Recommendation.from_json(tmp_path / "advice.json")
    assert again == advice
    assert again.reasons == advice.reasons
    assert again.estimator().get_params().keys() == advice.estimator().get_params().keys()
    assert str(again) == str(advice)


def test_a_recommendation_prints_its_reasons() -> None:
    """The text holds strategy, reasons, conflicts, changes and alternatives."""
    text = str(recommend(plan({"imaging": 0.4}, widths={"omics": 5000})))
    for words in (
        "Late fusion (rule 3",
        "Often absent",
        "Conflicts",
        "Would change",
        "Alternatives, in this order: intermediate, early, attention",
    ):
        assert words in text
    shown = repr(recommend(plan()))
    assert shown.startswith("<Recommendation: late fusion (rule 1, decided by availability)")


def test_the_same_seed_gives_the_same_recommendation() -> None:
    """Replicates are drawn from the given seed and from nothing else."""
    facts = plan({"observed": log(500, 0.92), "cohort": "controlled"})
    assert recommend(facts, random_state=3) == recommend(facts, random_state=3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"thresholds": {"availability_": 0.9}}, r"'availability_'.*Did you mean 'availability'\?"),
        ({"thresholds": {"availability": 1.2}}, "between 0 and 1, got 1.2"),
        ({"thresholds": {"dimension_gap": 0}}, "dimension_gap must be positive"),
        ({"thresholds": {"dimension_gap": "wide"}}, "must be a number, got 'wide'"),
        ({"thresholds": 0.9}, "expected a dict or Thresholds, got float"),
        ({"costs": {"latte": {}}}, r"no strategy 'latte'.*Did you mean 'late'\?"),
        ({"costs": {"late": {"latency": 3}}}, r"'latency'.*Did you mean 'latency_ms'\?"),
        ({"costs": 3}, "expected a dict by strategy"),
        ({"n_boot": 0}, "n_boot must be at least 1"),
    ],
)
def test_bad_arguments_say_what_is_wrong(arguments: dict[str, Any], message: str) -> None:
    """Each names the argument, what came, and what is near."""
    with pytest.raises(DeploymentError, match=message):
        recommend(plan(), **arguments)


def test_a_dataset_is_not_a_profile() -> None:
    """The message says which call comes first."""
    with pytest.raises(DeploymentError, match=r"Call profile\(dataset, deployment\) first"):
        recommend("training")  # type: ignore[arg-type]


@pytest.mark.data
def test_p12_is_late_because_of_its_rarest_panels(data_dir) -> None:
    """With the deployment like training, cardiac, liver and lactate decide."""
    folder = data_dir / "p12"
    panels = {
        name: fw.Modality(
            folder / f"{name}.parquet", kind="events", time="minute", variable="variable",
            value="value",
        )
        for name in ("cardiac", "liver", "lactate", "blood_count")
    }  # fmt: skip
    ds = fw.MultimodalDataset(
        {"static": folder / "static.parquet", **panels},
        samples=folder / "samples.parquet", id="stay_id", target="in_hospital_death",
    )  # fmt: skip
    advice = recommend(fw.profile(ds, "training"))
    assert advice.strategy == advice.trainable == "late"
    assert "cardiac 0.30, liver 0.52, lactate 0.55" in advice.reasons[0].statement
    assert advice.stability == 1


def test_reasons_are_reached_or_not_and_the_first_one_decided() -> None:
    """Only requirements are met or not met; a reason reaches its threshold, decided, or neither."""
    text = str(recommend(plan({"imaging": 0.4})))
    reasons = text.split("Reasons")[1].split("\n\n", maxsplit=1)[0].splitlines()[1:]
    assert "  decided  " in reasons[0]
    assert all("  reached  " in r or "  not reached  " in r for r in reasons[1:])
    assert "not met" not in text


def test_masking_rates_follow_one_minus_q_over_p() -> None:
    """Of the 40 % that have imaging three quarters must lose it to come to 10 %; more is impossible."""
    advice = recommend(plan({"imaging": 0.1, "omics": 0.9}))
    rates = advice.masking_rates.set_index(["schedule", "modality"])
    imaging, omics = rates.loc["deployment", "imaging"], rates.loc["deployment", "omics"]
    assert imaging["removed"] == pytest.approx(0.75)
    assert imaging["reached"] == pytest.approx(0.1)
    assert (omics["removed"], omics["reached"]) == (0.0, 0.6)
    # Notes, which the declaration does not name, are always there in deployment.
    assert [w.split()[2] for w in advice.masking_warnings] == ["notes", "omics"]
    warned = advice.masking_warnings[1]
    assert "omics in 0.60" in warned
    assert "the deployment in 0.90" in warned
    assert warned in str(advice)


def test_training_that_may_be_as_dense_as_the_deployment_is_no_warning() -> None:
    """Counts whose intervals overlap show no difference; nor does what is declared to be alike."""
    close = recommend(plan({"observed": log(200, 0.43), "cohort": "open"}, n_samples=200))
    assert not any("imaging" in text for text in close.masking_warnings)
    assert recommend(plan("training")).masking_warnings == ()
    assert recommend(plan()).masking_warnings == ()


def test_the_highest_rate_is_that_of_the_schedule() -> None:
    """It is written in two rooms, since recommending loads no library that trains."""
    from fusewise.recommend.masking import HIGHEST

    assert fw.Masking("uniform").rate == HIGHEST
    unknown = recommend(plan()).masking_rates
    assert set(unknown["schedule"]) == {"uniform", "curriculum"}
    assert unknown["removed"].eq(HIGHEST).all()
    assert unknown["rate_deployment"].isna().all()
