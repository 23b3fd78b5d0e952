"""The comparison in the report: what stands there is what was computed, in words that fit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import fusewise as fw
from fusewise.exceptions import ReportError


class Told:
    """Says the probabilities that it was given, by id."""

    def __init__(self, p):
        self.p = p

    def predict_proba(self, dataset):
        p = self.p.loc[np.asarray(dataset.ids)].to_numpy()
        return np.column_stack([1 - p, p])


@pytest.fixture(scope="module")
def comparison():
    cohort = fw.make_cohort(10, 400, availability={"m2": 0.5}, random_state=0)
    test = cohort.test
    rng = np.random.default_rng(0)
    skill = np.clip(
        0.5 + 0.3 * (np.asarray(test.target) - 0.5) + rng.normal(0, 0.1, 400), 0.01, 0.99
    )
    models = {
        "late": Told(pd.Series(skill, index=test.ids)),
        "early": Told(pd.Series(rng.uniform(0.4, 0.6, 400), index=test.ids)),
        "presence only": Told(pd.Series(np.full(400, 0.5), index=test.ids)),
    }
    asked = [{"present": "all", "metric": "roc_auc", "at_least": 0.7}]
    return fw.compare(
        models, test, metrics=["roc_auc", "brier_score"], requirements=asked, n_boot=100
    )


def test_the_section_names_who_is_ahead(comparison):
    """The lead is a sentence; the table holds each score with its interval."""
    page = fw.report(comparison=comparison)
    text = page.markdown
    assert "## Strategies compared" in text
    assert "late fusion is ahead of all others" in text
    row = comparison.overall.iloc[0]
    assert f"{row['estimate']:.3f} [{row['low']:.3f}, {row['high']:.3f}]" in text
    assert "Late fusion minus Early fusion" in text
    assert "What each would meet" in page.html


def test_nobody_is_called_ahead_where_nothing_is_clear(comparison):
    """Equal predictors are listed, not ranked."""
    same = {**comparison.to_dict(), "models": {"$tuple": ["late", "early"]}}
    alike = fw.Comparison.from_dict(same)
    object.__setattr__(alike, "differences", alike.differences.assign(ahead="neither"))
    text = fw.report(comparison=alike).markdown
    assert "none of these is clearly behind another: late fusion, early fusion" in text


def test_a_comparison_survives_json_and_goes_into_the_report_as_data(comparison, tmp_path):
    """Saved and read it is equal; the report's own JSON holds its rows."""
    path = tmp_path / "comparison.json"
    comparison.to_json(path)
    assert fw.Comparison.from_json(path) == comparison
    held = fw.report(comparison=comparison).to_dict()["comparison"]
    assert len(held["differences"]) == len(comparison.differences)


def test_another_result_in_its_place_is_refused(comparison):
    """The message says what it looks like."""
    with pytest.raises(ReportError, match="It looks like comparison="):
        fw.report(evaluation=comparison)
