"""Checking requirements for continuous integration: a table, an exit code, JUnit XML."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest

pytestmark = pytest.mark.usefixtures("quick")

MET = "{metric: log_loss, at_most: 99.0, present: [static]}"
NOT_MET = "{metric: log_loss, at_most: 0.0001, present: [static]}"


def asked(*requirements):
    return "--set", f"requirements=[{', '.join(requirements)}]"


def test_a_check_shows_the_requirements_alone(folder, call):
    """No scores by pattern: the answers, and the exit code that they give."""
    said = call("evaluate", "study.yaml", "--check", *asked(MET, NOT_MET), "-q")
    assert said.code == 1
    assert "Requirements" in said.out
    assert "not met" in said.out
    assert "by availability pattern" not in said.out
    assert call("evaluate", "study.yaml", "--check", *asked(MET), "-q").code == 0


def test_junit_holds_each_answer_once(folder, call):
    """Met is passed, not met a failure, undetermined skipped; the counts agree."""
    path = folder / "requirements.xml"
    call("evaluate", "study.yaml", *asked(MET), "-q")
    evaluation = json.loads((folder / "runs" / "ward" / "evaluation.json").read_text())
    middle = evaluation["requirements"]["$table"]["estimate"][0]
    asks = asked(MET, NOT_MET, MET.replace("99.0", str(middle)))
    said = call("evaluate", "study.yaml", "--check", "--junit", path, *asks, "-q")
    assert said.code == 1
    suite = ET.parse(path).getroot()  # noqa: S314 - written just now
    counts = {key: suite.get(key) for key in ("name", "tests", "failures", "errors", "skipped")}
    assert counts == {
        "name": "ward",
        "tests": "3",
        "failures": "1",
        "errors": "0",
        "skipped": "1",
    }
    met, not_met, undetermined = suite
    assert met.get("name") == "log_loss with static: at most 99"
    assert met.find("failure") is None
    failure = not_met.find("failure")
    assert failure is not None
    assert failure.get("message", "").startswith("not met: 0.")
    skipped = undetermined.find("skipped")
    assert skipped is not None
    assert skipped.get("message", "").startswith("undetermined: 0.")


def test_nothing_to_check_is_an_error_before_anything_is_trained(folder, call):
    """Without requirements a check would pass for nothing."""
    said = call("evaluate", "study.yaml", "--check")
    assert said.code == 2
    assert "declares no requirements" in said.err
    assert not (folder / "runs").exists()


def test_a_folder_that_is_not_there_is_told_before_anything_is_trained(folder, call):
    """Minutes of training are not lost to a wrong path."""
    path = folder / "reports" / "requirements.xml"
    said = call("evaluate", "study.yaml", "--junit", path, *asked(MET))
    assert said.code == 2
    assert "does not exist" in said.err
    assert not (folder / "runs").exists()
