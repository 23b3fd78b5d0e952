"""Groups, shifts, harm and decisions in the report: every figure stands in a table of the result."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import fusewise as fw


class Told:
    """Says the probabilities that it was given, by id; worse than nothing where m2 is known."""

    def __init__(self, p, spoilt):
        self.p, self.spoilt = p, spoilt

    def predict_proba(self, dataset):
        p = self.p.loc[np.asarray(dataset.ids)].to_numpy()
        if self.spoilt:
            has = dataset.presence[:, dataset.modalities.index("m2")]
            p = np.where(has, 1 - p, p)
        return np.column_stack([1 - p, p])


def evaluated(*, spoilt=False, **options):
    test = fw.make_cohort(10, 500, availability={"m2": 0.6}, random_state=0).test
    rng = np.random.default_rng(0)
    y = np.asarray(test.target) == np.max(test.target)
    p = np.clip(0.5 + 0.4 * (y - 0.5) + rng.normal(0, 0.15, 500), 0.01, 0.99)
    model = Told(pd.Series(p, index=test.ids), spoilt)
    return fw.evaluate(model, test, n_boot=60, rates=(0.0, 0.3), repeats=1, **options)


@pytest.fixture(scope="module")
def evaluation():
    return evaluated(operating_point={"threshold": 0.3})


def test_the_summary_and_the_shifts_are_told(evaluation):
    """The first metric's summary is open; each scenario is a row."""
    text = fw.report(evaluation=evaluation).markdown
    assert "area under the degradation curve" in text
    assert "the headline where a modality fails" in text
    assert "m2 is lost" in text
    row = evaluation.shifted.query("kind == 'lost' and scenario == 'm2'").iloc[0]
    assert f"{row['estimate']:.3f}" in text


def test_harm_by_a_modality_is_a_warning():
    """Where more hurts, the pair is named; where it does not, a sentence says so."""
    assert "for none of" in fw.report(evaluation=evaluated()).markdown
    text = fw.report(evaluation=evaluated(spoilt=True)).markdown
    assert "Less would be better for" in text
    assert "Adding m2 to" in text


def test_wrong_values_are_told_where_they_were_tried(evaluation):
    """With corruptions there is a table; without, no word of it."""
    assert "When values are wrong" not in fw.report(evaluation=evaluation).markdown
    text = fw.report(evaluation=evaluated(corruptions=True, metrics=["brier_score"])).markdown
    assert "When values are wrong" in text
    assert "noise x 0.5" in text


def test_decisions_and_calibration_are_told(evaluation):
    """The curve is drawn with the operating point; intercept and slope stand in a table."""
    page = fw.report(evaluation=evaluation)
    assert "Net benefit by threshold" in page.markdown
    assert "The operating point is 0.3" in page.html
    assert "calibration slope" in page.markdown
    assert page.html.count("flag everybody") >= 1


def test_groups_have_a_section_where_there_are_any(evaluation):
    """A gap is told with its verdict; without groups there is no section."""
    assert "## Groups" not in fw.report(evaluation=evaluation).markdown
    test = fw.make_cohort(10, 400, random_state=1).test
    half = np.where(np.arange(400) % 2 == 0, "even", "odd")
    frames = {}
    for name in test.modalities:
        positions, frame = test.features(name)
        frames[name] = frame.assign(id=np.asarray(test.ids)[positions]).reset_index(drop=True)
    whole = fw.MultimodalDataset(
        frames,
        samples=pd.DataFrame(
            {"id": np.asarray(test.ids), "y": np.asarray(test.target), "parity": half}
        ),
        id="id",
        target="y",
        groups=["parity"],
    )
    rng = np.random.default_rng(0)
    y = np.asarray(whole.target) == np.max(whole.target)
    noise = np.where(half == "odd", 0.05, 0.6)
    p = pd.Series(np.clip(0.5 + 0.3 * (y - 0.5) + noise * rng.normal(size=400), 0.01, 0.99))
    p.index = whole.ids
    found = fw.evaluate(Told(p, spoilt=False), whole, n_boot=100, rates=())
    text = fw.report(evaluation=found).markdown
    assert "## Groups" in text
    assert "Served worse than the rest" in text
    assert "parity: even, in AUROC worse by +" in text
