"""A study with an operating point: a threshold as declared, or chosen on training rows."""

from __future__ import annotations

import pytest

from fusewise.exceptions import StudyError
from fusewise.study import read_study

SENSITIVITY = {"metric": "sensitivity", "at_least": 0.01, "present": ["static"]}


@pytest.mark.usefixtures("quick")
def test_a_declared_threshold_is_the_one_that_is_used(folder):
    """No stage chooses one; a requirement on sensitivity is answered at it."""
    asked = {"evaluation.operating_point": {"threshold": 0.3}, "requirements": [SENSITIVITY]}
    run = read_study(folder / "study.yaml", overrides=asked).run(folder / "run", until="evaluate")
    assert run.evaluation.threshold == 0.3
    assert "threshold" not in run.executed
    assert run.evaluation.requirements["metric"].tolist() == ["sensitivity"]


@pytest.mark.usefixtures("quick")
def test_an_alert_rate_becomes_a_threshold_on_training_rows(folder):
    """It is chosen once, kept, and the evaluation is at it."""
    asked = {"evaluation.operating_point": {"alert_rate": 0.2}, "requirements": [SENSITIVITY]}
    study = read_study(folder / "study.yaml", overrides=asked)
    run = study.run(folder / "run", until="evaluate")
    assert "threshold" in run.executed
    assert 0 < run.evaluation.threshold < 1
    again = read_study(folder / "study.yaml", overrides=asked).run(folder / "run", until="evaluate")
    assert again.executed == ()
    assert again.evaluation.threshold == run.evaluation.threshold


@pytest.mark.usefixtures("quick")
def test_groups_that_the_samples_declare_are_compared(folder):
    """The bias checks are there without being asked for."""
    run = read_study(folder / "study.yaml").run(folder / "run", until="evaluate")
    assert set(run.evaluation.by_group["value"]) == {"f", "m"}
    assert set(run.evaluation.group_gaps["group"]) == {"sex"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"requirements": [SENSITIVITY]}, "needs an operating point"),
        (
            {"requirements": [{**SENSITIVITY, "metric": "roc_auc", "group": {"gender": "f"}}]},
            "'gender' is no group",
        ),
        (
            {"evaluation.operating_point": {"threshold": 0.2, "alert_rate": 0.1}},
            "give threshold or alert_rate",
        ),
    ],
)
def test_what_cannot_be_answered_is_refused_when_the_file_is_read(folder, settings, message):
    """A metric without its point, a group that is not declared, two points at once."""
    with pytest.raises(StudyError, match=message):
        read_study(folder / "study.yaml", overrides=settings)


@pytest.mark.usefixtures("quick")
def test_a_value_that_no_sample_has_is_told_before_training(folder):
    """Found as soon as the samples are read."""
    asked = {"requirements": [{"metric": "roc_auc", "at_least": 0.1, "group": {"sex": "fm"}}]}
    study = read_study(folder / "study.yaml", overrides=asked)
    with pytest.raises(StudyError, match="no sample has sex 'fm'"):
        study.run(folder / "run")
    assert not (folder / "run" / "model.fusewise").exists()
