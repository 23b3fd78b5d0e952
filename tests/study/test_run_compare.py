"""A study that compares strategies: what is trained, what is kept, what the report holds."""

from __future__ import annotations

import pytest

from fusewise.exceptions import StudyError
from fusewise.study import read_study


@pytest.mark.usefixtures("quick")
def test_what_is_asked_for_is_trained_once_and_compared(folder):
    """Early and attention beside the recommended one; a second run keeps all of it."""
    asked = {"evaluation.compare": ["early", "attention"]}
    study = read_study(folder / "study.yaml", overrides=asked)
    first = study.run(folder / "run")
    assert {"beside_early", "beside_attention", "compare"} <= set(first.executed)
    assert "beside_intermediate" not in first.executed
    assert first.comparison.models == ("early", "late", "attention", "presence only")
    again = read_study(folder / "study.yaml", overrides=asked).run(folder / "run")
    assert again.executed == ()
    assert again.comparison == first.comparison
    assert "Strategies compared" in again.report.read_text()


@pytest.mark.usefixtures("quick")
def test_nothing_is_compared_unless_asked_for(folder):
    """Without the key no further strategy is trained, and the report has no such section."""
    run = read_study(folder / "study.yaml").run(folder / "run")
    assert run.comparison is None
    assert not any(name.startswith("beside") for name in run.executed)
    assert "Strategies compared" not in run.report.read_text()


def test_an_unknown_strategy_is_told_with_its_line(folder):
    """The study file is refused before anything is read."""
    with pytest.raises(StudyError, match="evaluation"):
        read_study(folder / "study.yaml", overrides={"evaluation.compare": ["late", "later"]})
    with pytest.raises(StudyError, match="evaluation"):
        read_study(folder / "study.yaml", overrides={"evaluation.compare": []})
