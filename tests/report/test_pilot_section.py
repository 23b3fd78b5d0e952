"""The pilot in the report: both answers, the figures of its tables, and the crossover drawn."""

from __future__ import annotations

import re
from dataclasses import replace

import pandas as pd
import pytest

from fusewise.recommend import Pilot
from fusewise.report import report
from tests.report.report_results import make_profile, make_recommendation

NAN = float("nan")


def make_pilot(*, overrules: bool = True) -> Pilot:
    """Return a pilot of two candidates, two sizes and three missing rates."""
    losses = [
        {"strategy": s, "size": size, "regime": "deployment" if w is None else "withheld",
         "withheld": NAN if w is None else w, "absent": 0.3 if w is None else w, "folds": 3,
         "n": 4000, "effective_n": 3211.4, "loss": base + (w or 0.0) * slope, "low": base - 0.01,
         "high": base + 0.01, "score": 0.81}
        for size in (667, 2667)
        for s, base, slope in (("late", 0.3312, 0.1), ("early", 0.3071, 0.2))
        for w in (None, 0.0, 0.3, 0.7)
    ]  # fmt: skip
    pairs = [
        {"first": "late", "second": "early", "size": size, "withheld": w, "absent": 0.2 + w,
         "folds": 3, "n": 3988, "difference": 0.0241 - 0.1 * w, "low": 0.0141 - 0.1 * w,
         "high": 0.0341 - 0.1 * w}
        for size in (667, 2667) for w in (0.0, 0.3, 0.7)
    ]  # fmt: skip
    gain = {"strategy": "early", "reference": "late", "folds": 3, "n": 4000, "difference": 0.0241,
            "low": 0.0141, "high": 0.0341, "score_difference": 0.0157, "score_low": 0.0111,
            "score_high": 0.0203, "shown": True}  # fmt: skip
    return Pilot(
        reference="late",
        choice="early",
        overrules=overrules,
        reason="Early fusion has a log loss lower by 0.0241 [0.0141, 0.0341] <than> late fusion.",
        candidates={"late": "defaults", "early": "defaults"},
        maskings={"late": None, "early": "deployment"},
        task="binary",
        loss="log_loss",
        score="roc_auc",
        source="observed",
        deployment=None,
        n=4000,
        n_given=9590,
        n_folds=3,
        sizes=(667, 2667),
        fits=pd.DataFrame(),
        losses=pd.DataFrame(losses),
        comparison=pd.DataFrame([{**gain, "size": 667}, {**gain, "size": 2667}]),
        crossover=pd.DataFrame(pairs),
        crossings=pd.DataFrame(
            [{"along": "withheld", "size": 2667.0, "withheld": 0.241, "before": "early",
              "after": "late", "shown": True}]
        ),
        requirements=pd.DataFrame(
            [{"strategy": "early", "requirement": "roc_auc without liver: drop at most 0.02",
              "n": 1877, "estimate": 0.0031, "low": 0.001, "high": 0.005, "status": "met",
              "reason": ""}]
        ),
        seconds=611.0,
        lacks=("late, 1,333 rows, under the deployment's absence: 2 of 3 folds",),
        notes=("The candidates learned from 2,667 of 9,590 training rows.",),
    )  # fmt: skip


@pytest.fixture(scope="module", params=[True, False])
def made(request):
    pilot = make_pilot(overrules=request.param)
    advice = make_recommendation(pilot.strategy)
    warned = ("Training has liver in 0.20 of its samples, the deployment in 0.50.",)
    rates = pd.DataFrame(
        [{"schedule": "deployment", "modality": "liver", "rate_train": 0.523,
          "rate_deployment": 0.487, "removed": 0.0688, "reached": 0.487}]
    )  # fmt: skip
    advice = replace(advice, pilot=pilot, masking_rates=rates, masking_warnings=warned)
    return pilot, report(make_profile(), advice)


def test_both_answers_stand_with_the_reason(made) -> None:
    """Whether the pilot overrules or not."""
    pilot, page = made
    for text in (page.html.replace("<wbr>", ""), page.markdown.replace("\\", "")):
        assert pilot.headline.replace("'", "&#39;") in text or pilot.headline in text
        assert "0.0241" in text
        assert "liver in 0.20 of its samples" in text
    assert ("Why the matrix says" in page.html) == pilot.overrules
    assert "<than>" not in page.html


def test_the_figures_of_the_tables_are_shown(made) -> None:
    """Differences with intervals and n, requirements, rates, and what was not done."""
    _, page = made
    text = re.sub(r"<[^>]+>", " ", page.html.replace("<wbr>", ""))
    for figure in (
        "+0.024 [0.014, 0.034]", "+0.016 [0.011, 0.020]", "3,211", "1,877", "52.3%", "48.7%", "6.9%",
        "2 of 3 folds", "of 9,590 training rows", "0.24 of the modalities withheld",
    ):  # fmt: skip
        assert figure in text, figure


def test_the_crossover_is_drawn_for_both(made) -> None:
    """One line for each strategy with its band, and a table with the same figures."""
    _, page = made
    drawing = re.search(r"<svg[^>]*by the share of modalities.*?</svg>", page.html, re.DOTALL)
    assert drawing is not None
    assert len(re.findall('class="stroke s-[ab]', drawing[0])) == 2
    assert len(re.findall('class="band-of', drawing[0])) == 2
    assert "3,988" in page.html
    for side in ("70", "0"):
        assert f">{side}</text>" in drawing[0]
