"""The pilot as a stage: when it is done, what depends on it, and what it leaves in the folder."""

from __future__ import annotations

import json

import pytest

from fusewise.exceptions import StudyError
from fusewise.recommend import Pilot
from fusewise.study import read_study

TRY = {"strategies": ["early"], "sizes": [1], "absent": [], "folds": 2}

pytestmark = pytest.mark.usefixtures("quick")


def run(folder, settings=(), until="recommend", **how):
    study = read_study(folder / "study.yaml", overrides=settings)
    return study.run(folder / "run", until=until, **how)


def test_a_study_file_asks_for_a_pilot(folder):
    """It is a stage of its own, kept until something that it reads changes, and dropped unasked."""
    asked, events = {"training.pilot": TRY}, []
    first = run(folder, asked, progress=events.append)
    assert first.executed == ("data", "profile", "pilot", "recommend")
    found = Pilot.from_json(folder / "run" / "pilot.json")
    assert first.recommendation.pilot == found
    assert first.recommendation.matrix == found.reference == "late"
    # The requirement of the study file was answered out of fold.
    assert set(found.requirements["strategy"]) >= {"late"}
    said = [e.message for e in events if e.state == "progress"]
    assert len(said) == 4
    assert said[-1].startswith("4 of 4 fits, early fusion on 40 rows in ")
    assert run(folder, asked).executed == ()
    # A latency limit that rules nothing out changes the profile and nothing that the pilot reads.
    limited = run(folder, asked | {"deployment.latency_ms": 5_000.0})
    assert limited.executed == ("profile", "recommend")
    told = [e for e in events if e.stage == "pilot" and e.state == "done"]
    assert told[0].message
    events.clear()
    without = run(folder, progress=events.append)
    assert without.executed == ("profile", "recommend")
    assert without.recommendation.pilot is None
    assert not (folder / "run" / "pilot.json").exists()
    skipped = [e for e in events if e.state == "skipped"]
    assert [(e.stage, e.message) for e in skipped] == [("pilot", "not asked for (training.pilot)")]


def test_the_report_tells_what_the_pilot_found(folder):
    """Both answers stand in the page of a whole run, and in its JSON."""
    done = run(folder, {"training.pilot": TRY}, until="report")
    found = done.recommendation.pilot
    page = done.report.read_text(encoding="utf-8")
    assert "The pilot" in page
    assert f"{found.comparison['n'].iloc[0]:,}" in page
    kept = json.loads((folder / "run" / "report.json").read_text(encoding="utf-8"))
    assert kept["recommendation"]["pilot"]


def test_a_pilot_needs_a_target(folder):
    """Recommending does without one, trying does not."""
    settings = {"samples.target": None, "requirements": []}
    assert run(folder, settings).recommendation.strategy == "late"
    with pytest.raises(StudyError, match=r"samples.target\): a model needs a target"):
        run(folder, settings | {"training.pilot": True})


@pytest.mark.parametrize(("given", "seconds"), [(True, None), ({"seconds": 60}, 60.0)])
def test_ways_to_ask_for_a_pilot(folder, given, seconds):
    """By a word, or with its keys."""
    pilot = read_study(
        folder / "study.yaml", overrides={"training.pilot": given}
    ).file.training.pilot
    assert (pilot.seconds, pilot.folds) == (seconds, 3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"second": 60}, "training.pilot.second: unknown key. Did you mean 'seconds'"),
        ({"seconds": 0}, "training.pilot.seconds"),
        ({"strategies": ["erly"]}, "training.pilot.strategies.0"),
        ({"absent": [1.0]}, "training.pilot.absent.0"),
        (3, "training.pilot"),
    ],
)
def test_a_pilot_that_does_not_fit_is_refused(folder, given, message):
    """With the path of the key."""
    with pytest.raises(StudyError, match=message):
        read_study(folder / "study.yaml", overrides={"training.pilot": given})
