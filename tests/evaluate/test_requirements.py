"""Requirements: met, not met or undetermined, and malformed ones refused."""

from __future__ import annotations

import numpy as np
import pytest

from fusewise.evaluate import Requirement, answer_requirements, evaluate
from fusewise.exceptions import EvaluationError

RATES = {"a": 0.8, "b": 0.7, "c": 0.7}


@pytest.fixture
def ask(cohort, oracle):
    def asked(*requirements, n=2000, **options):
        options = {"n_boot": 200, "withheld_patterns": 0, "rates": ()} | options
        test = cohort(n, rates=RATES)
        return evaluate(oracle, test, metrics=["roc_auc"], requirements=requirements, **options)

    return asked


def test_each_status_where_the_truth_is_known(ask, oracle):
    """A limit clearly below, clearly above, and at the estimate: met, not met, undetermined."""
    truth = oracle.auroc("a+b")
    estimate = ask({"present": ["a", "b"], "metric": "roc_auc", "at_least": 0.5}).requirements
    straddled = float(estimate["estimate"].iloc[0])
    result = ask(
        {"present": ["a", "b"], "metric": "roc_auc", "at_least": truth - 0.06},
        {"present": ["a", "b"], "metric": "roc_auc", "at_least": truth + 0.06},
        {"present": ["a", "b"], "metric": "roc_auc", "at_least": straddled},
    )
    assert result.requirements["status"].tolist() == ["met", "not met", "undetermined"]
    assert "straddles" in result.requirements["reason"].iloc[2]
    assert result.requirements["view"].tolist() == ["withheld"] * 3
    assert set(result.requirements["pattern"]) == {"a+b"}


def test_a_drop_is_held_against_the_same_samples(ask, oracle):
    """Withholding a weak modality costs little, a strong one much: paired, on who has it."""
    small = oracle.auroc("a+b+c") - oracle.auroc("a+b")
    large = oracle.auroc("a+b+c") - oracle.auroc("b+c")
    result = ask(
        {"absent": ["c"], "metric": "roc_auc", "max_drop": small + 0.03},
        {"absent": ["a"], "metric": "roc_auc", "max_drop": large - 0.06},
        {"absent": ["a"], "metric": "log_loss", "max_drop": 1.0},
    )
    assert result.requirements["status"].tolist() == ["met", "not met", "met"]
    first = result.requirements.iloc[0]
    assert first["estimate"] == pytest.approx(small, abs=0.02)
    assert first["limit"] == "max_drop"
    assert (result.requirements["estimate"] > 0).all()


def test_the_samples_of_each_kind_of_requirement(ask, cohort):
    """all: complete cases as they came; present: who has at least these; absent: who has these."""
    result = ask(
        {"present": "all", "metric": "roc_auc", "at_least": 0.5},
        {"present": ["b"], "metric": "roc_auc", "at_least": 0.5},
        {"absent": ["b", "c"], "metric": "brier_score", "at_most": 0.5},
        {"metric": "roc_auc", "at_least": 0.5},
    )
    presence = cohort(2000, rates=RATES).presence
    some = presence[presence.any(axis=1)]
    both = some[:, 1] & some[:, 2]
    expected = [
        int(some.all(axis=1).sum()),
        int(some[:, 1].sum()),
        # Who has b and c and not a has nothing left.
        int((both & some[:, 0]).sum()),
        len(some),
    ]
    assert result.requirements["n"].tolist() == expected
    assert result.requirements["view"].tolist() == ["natural", "withheld", "withheld", "mixture"]
    assert result.requirements["pattern"].tolist() == [
        "a+b+c", "b", "without b+c", "(deployment)"
    ]  # fmt: skip


def test_all_and_any_choose_samples_and_withhold_nothing(ask, cohort, oracle):
    """Who came with both, and who came with either: scored as they came."""
    result = ask(
        {"all": ["b", "c"], "metric": "log_loss", "at_most": 9.0},
        {"any": ["b", "c"], "metric": "log_loss", "at_most": 9.0},
    )
    test = cohort(2000, rates=RATES)
    has = test.presence[:, 1:]
    counts = [int(has.all(axis=1).sum()), int(has.any(axis=1).sum())]
    assert result.requirements["n"].tolist() == counts
    assert result.requirements["view"].tolist() == ["natural"] * 2
    assert result.requirements["requirement"].tolist() == [
        "log_loss of who has b and c: at most 9",
        "log_loss of who has b or c: at most 9",
    ]
    some = test[has.any(axis=1)]
    p = oracle.predict_proba(some)[np.arange(len(some)), np.asarray(some.target)]
    assert result.requirements["estimate"].iloc[1] == pytest.approx(-np.log(p).mean())


def test_requirement_figures_equal_the_tables(ask):
    """A requirement's score is that of the view that it names, not another computation."""
    result = ask(
        {"present": "all", "metric": "roc_auc", "at_least": 0.5},
        {"absent": ["c"], "metric": "roc_auc", "max_drop": 0.5},
        {"metric": "roc_auc", "at_least": 0.5},
    )
    complete, drop, _ = result.requirements["estimate"]
    cells = result.by_pattern.set_index(["view", "pattern"])["estimate"]
    assert complete == pytest.approx(cells["natural", "a+b+c"])
    assert drop == pytest.approx(result.degradation.set_index("withheld").loc["c", "drop"])
    row = result.requirements.iloc[2]
    assert row[["estimate", "low", "high"]].tolist() == (
        result.headline.loc[0, ["estimate", "low", "high"]].tolist()
    )


def test_requirements_alone_are_answered_to_the_bit(cohort, oracle):
    """Without the other views, whatever metrics and samples they are about."""
    asked = [
        {"metric": "roc_auc", "at_least": 0.7},
        {"present": "all", "metric": "log_loss", "at_most": 0.6},
        {"absent": ["a"], "metric": "brier_score", "max_drop": 0.1},
        {"present": ["b"], "metric": "accuracy", "at_least": 0.6},
    ]
    test = cohort(500, rates=RATES)
    how = {"deployment": {"a": 0.5}, "n_boot": 50, "random_state": 3}
    whole = evaluate(oracle, test, requirements=asked, rates=(), **how).requirements
    assert answer_requirements(oracle, test[::-1], asked, **how).equals(whole)


def test_too_few_samples_are_undetermined_with_the_count(ask):
    """A small cell decides nothing, however clear its figure looks."""
    result = ask({"present": ["a"], "metric": "roc_auc", "at_least": 0.5}, n=25)
    row = result.requirements.iloc[0]
    assert row["status"] == "undetermined"
    assert "too few" in row["reason"]


def test_an_undefined_metric_is_undetermined_with_its_reason(cohort, oracle):
    """One class only among the samples that a requirement is about."""
    presence = np.ones((200, 3), dtype=bool)
    presence[:100, 2] = False
    y = np.tile([0, 1], 100)
    y[100:] = 1
    result = evaluate(
        oracle,
        cohort(200, presence=presence, y=y),
        metrics=["roc_auc"],
        requirements=[{"present": "all", "metric": "roc_auc", "at_least": 0.5}],
        n_boot=20,
    )
    row = result.requirements.iloc[0]
    assert (row["status"], row["reason"], row["n"]) == ("undetermined", "one class only", 100)


@pytest.mark.filterwarnings("ignore:modality:fusewise.exceptions.FusewiseWarning")
def test_nobody_to_show_it_is_undetermined(cohort, oracle):
    """A pattern that no test sample can show gets a row that says so."""
    presence = np.zeros((100, 3), dtype=bool)
    presence[:, 0] = True
    result = evaluate(
        oracle,
        cohort(100, presence=presence),
        metrics=["roc_auc"],
        requirements=[{"present": ["a", "b"], "metric": "roc_auc", "at_least": 0.5}],
        n_boot=20,
    )
    row = result.requirements.iloc[0]
    assert (row["status"], row["n"]) == ("undetermined", 0)
    assert "no sample" in row["reason"]


def test_without_resampling_nothing_is_decided(ask):
    """An estimate without interval does not decide a requirement."""
    result = ask({"present": "all", "metric": "roc_auc", "at_least": 0.5}, n_boot=0)
    assert result.requirements["status"].tolist() == ["undetermined"]
    assert "resampling" in result.requirements["reason"].iloc[0]


def test_exit_codes(ask):
    """0 where all are met, 1 where one is not, 3 where none is broken but one is undetermined."""
    met = {"present": "all", "metric": "roc_auc", "at_least": 0.6}
    broken = {"present": "all", "metric": "roc_auc", "at_least": 0.99}
    level = float(ask(met).requirements["estimate"].iloc[0])
    unsure = {"present": "all", "metric": "roc_auc", "at_least": level}
    for asked, ok, code in [
        ((), True, 0),
        ((met,), True, 0),
        ((met, unsure), True, 3),
        ((met, unsure, broken), False, 1),
    ]:
        result = ask(*asked)
        assert (result.ok, result.exit_code) == (ok, code)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"metric": "roc_auc", "present": ["a", "imagin"], "at_least": 0.5}, "unknown modality"),
        ({"metric": "roc_auc", "present": ["aa"], "at_least": 0.5}, "Did you mean 'a'"),
        ({"metric": "roc_au", "at_least": 0.5}, "Did you mean 'roc_auc'"),
        ({"metric": "roc_auc"}, "exactly one of at_least"),
        ({"metric": "roc_auc", "at_least": 0.5, "at_most": 0.9}, "at_least and at_most"),
        ({"metric": "roc_auc", "at_leats": 0.5}, "Did you mean 'at_least'"),
        ({"present": "all", "at_least": 0.5}, "names no metric"),
        ({"metric": "roc_auc", "present": "a", "at_least": 0.5}, "'all' or a list"),
        ({"metric": "roc_auc", "absent": "a", "at_least": 0.5}, r"use \['a'\]"),
        ({"metric": "roc_auc", "present": [], "at_least": 0.5}, "empty list"),
        ({"metric": "roc_auc", "present": ["a"], "absent": ["b"], "at_least": 0.5}, "not both"),
        (
            {"metric": "roc_auc", "all": ["a"], "any": ["b"], "at_least": 0.5},
            "all or any, not both",
        ),
        ({"metric": "roc_auc", "any": ["ab"], "at_least": 0.5}, "unknown modality 'ab'"),
        ({"metric": "roc_auc", "any": "a", "at_least": 0.5}, "any is a list of modalities"),
        ({"metric": "roc_auc", "any": ["a"], "max_drop": 0.5}, "compares with what was withheld"),
        ({"metric": "roc_auc", "absent": ["a", "b", "c"], "at_least": 0.5}, "nothing is left"),
        ({"metric": "roc_auc", "at_most": 0.5}, "more is better; use at_least"),
        ({"metric": "log_loss", "at_least": 0.5}, "less is better; use at_most"),
        ({"metric": "roc_auc", "absent": ["a"], "max_drop": -0.1}, "0 or more"),
        ({"metric": "roc_auc", "present": "all", "max_drop": 0.1}, "name it by absent"),
        ({"metric": "roc_auc", "at_least": float("nan")}, "finite"),
        ({"metric": "roc_auc", "at_least": "high"}, "finite number, got 'high'"),
        ("roc_auc > 0.8", "a dict with metric"),
    ],
)
def test_a_malformed_requirement_is_refused_with_what_to_do(ask, given, message):
    """The error names the requirement, which part of it is wrong, and what was expected."""
    with pytest.raises(EvaluationError, match=message) as caught:
        ask(given, n=40)
    assert str(caught.value).startswith("requirements[0]")
    assert "{" not in str(caught.value)


def test_a_requirement_reads_as_a_sentence():
    """The table shows what was required in words."""
    made = Requirement.of({"present": ["b", "a"], "metric": "roc_auc", "at_least": 0.8})
    assert str(made) == "roc_auc with a+b: at least 0.8"
    assert Requirement.of(made) is made
    overall = Requirement("log_loss", at_most=0.4)
    assert str(overall) == "log_loss on the deployment's mixture: at most 0.4"
    whole = Requirement("roc_auc", present="all", at_least=0.85)
    assert str(whole) == "roc_auc with everything present: at least 0.85"
