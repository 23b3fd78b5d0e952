"""The pilot at the command line."""

from __future__ import annotations

TRY = "training: {seed: 1, pilot: {strategies: [early], sizes: [1], absent: [0.5], folds: 2}}"


def test_recommend_with_a_pilot_shows_both_answers(folder, call):
    """What the study file says of the pilot stays; the flag alone asks for it."""
    path = folder / "study.yaml"
    path.write_text(path.read_text().replace("training: {seed: 1}", TRY))
    said = call("recommend", "study.yaml", "--pilot-seconds", 600)
    assert said.code == 0, said.err
    for part in (
        "The pilot's answer",
        "better than late by",
        "120 training rows, 2 folds",
        "Masking",
    ):
        assert part in said.out
    assert "pilot done" in said.err
    assert "withheld" in said.out
    # Asked for in the file: nothing is tried again for the same.
    again = call("recommend", "study.yaml", "--pilot-seconds", 600)
    assert "pilot kept" in again.err


def test_a_budget_that_is_too_small_is_one_message(folder, call):
    """No stack trace, and what to do."""
    said = call("recommend", "study.yaml", "--pilot", "--pilot-seconds", 0.000001, "-q")
    assert said.code == 2
    assert "Allow more seconds" in said.err
    assert "Traceback" not in said.err


def test_help_names_the_flag(call):
    """It can be found."""
    said = call("recommend", "--help")
    assert "--pilot" in said.out
    assert "training rows" in said.out
