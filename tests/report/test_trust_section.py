"""Sets, abstention and asking in the report: each only where it was computed."""

from __future__ import annotations

import numpy as np
import pytest

import fusewise as fw


class Told:
    """A predictor whose certainty follows what is present."""

    classes_ = (0, 1)

    def predict_proba(self, dataset):
        logit = np.zeros(len(dataset))
        for name in dataset.modalities:
            positions, frame = dataset.features(name)
            logit[positions] += frame.select_dtypes("number").mean(axis=1).fillna(0).to_numpy()
        p = 1 / (1 + np.exp(-2 * logit))
        return np.column_stack([1 - p, p])


@pytest.fixture(scope="module")
def parts():
    cohort = fw.make_cohort(600, 400, availability={"m2": 0.6, "m3": 0.7}, random_state=0)
    model = Told()
    sets = fw.conformalise(model, cohort.train)
    return {
        "coverage": fw.coverage_by_pattern(sets, cohort.test),
        "abstention": fw.risk_coverage(model, cohort.test, n_boot=50),
        "asking": fw.value_of_asking(
            model, cohort.test, costs={"m1": 1, "m2": 5, "m3": 2}, n_boot=50
        ),
    }


def test_each_part_stands_where_it_was_computed(parts):
    """The section holds what it was given, and nothing else."""
    titles = {
        "coverage": "Prediction sets",
        "abstention": "Abstention",
        "asking": "What to ask for first",
    }
    for given, title in titles.items():
        text = fw.report(**{given: parts[given]}).markdown
        assert f"### {title}" in text
        assert not any(f"### {other}" in text for other in set(titles.values()) - {title})
    assert "Sets, abstention, asking" not in fw.report(provenance={"seed": 0}).markdown


def test_figures_are_those_of_the_results(parts):
    """Coverage as a percentage, the gain with its sign, costs where they were given."""
    text = fw.report(**parts).markdown
    row = parts["coverage"].iloc[0]
    assert f"{100 * row['coverage']:.1f}%" in text or f"{100 * row['coverage']:.0f}%" in text
    assert "gain by cost" in text
    assert "Risk among the answered" in text
