"""Corrupted values: their cost is found, beside that of absence, and only where it is."""

from __future__ import annotations

import numpy as np
import pytest

from fusewise.evaluate import evaluate
from fusewise.evaluate.corruption import CORRUPTIONS, Corruption, corrupted

OPTIONS = {"metrics": ["log_loss"], "n_boot": 100, "rates": (), "withheld_patterns": 0}


@pytest.fixture
def rows(cohort, oracle):
    found = evaluate(oracle, cohort(3000), corruptions=True, **OPTIONS).corruption
    return found.set_index(["modality", "corruption", "level"])


def test_wrong_values_cost_more_than_none(rows):
    """For an oracle that trusts what it is told, absence is better than somebody else's values."""
    for name in ("a", "b"):
        shuffled = rows.loc[(name, "shuffled", 1.0)]
        assert shuffled["drop_low"] > shuffled["withheld_drop"] > 0
        assert shuffled["beyond_absence_low"] > 0
        assert shuffled["beyond_absence"] == pytest.approx(
            shuffled["drop"] - shuffled["withheld_drop"]
        )


def test_a_little_noise_is_better_than_absence(rows):
    """Half a standard deviation leaves more than nothing; more noise costs more."""
    little, much = rows.loc[("a", "noise", 0.5)], rows.loc[("a", "noise", 1.0)]
    assert 0 < little["drop"] < much["drop"]
    assert little["beyond_absence_high"] < 0


def test_what_is_ignored_may_be_corrupted_for_nothing(cohort, oracle_type):
    """A modality that the predictor does not read: no change, to the bit."""
    deaf = oracle_type(shifts={"a": 1.5, "b": 1.0})
    found = evaluate(deaf, cohort(300, rates={"c": 0.6}), corruptions=True, **OPTIONS).corruption
    own = found[found["modality"] == "c"]
    assert len(own) == len(CORRUPTIONS)
    assert (own[["drop", "drop_low", "drop_high", "beyond_absence"]] == 0).all(axis=None)


def test_presence_stays_and_shuffling_keeps_the_values(cohort):
    """Who has it has it still; the values are the same ones, of others."""
    test = cohort(200, rates={"b": 0.5})
    shuffled = corrupted(test, "b", Corruption("shuffled"), 0)
    assert (shuffled.presence == test.presence).all()
    before, after = (d.features("b")[1]["x"].to_numpy() for d in (test, shuffled))
    assert (before != after).mean() > 0.9
    np.testing.assert_array_equal(np.sort(before), np.sort(after))


def test_nothing_is_corrupted_unless_asked_for(cohort, oracle):
    """The table is empty, with its columns."""
    found = evaluate(oracle, cohort(100), **OPTIONS).corruption
    assert found.empty
    assert "beyond_absence" in found
