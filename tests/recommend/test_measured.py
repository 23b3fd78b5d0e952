"""What was measured of timing and interaction: when it counts, and how it is shown."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import fusewise as fw
from fusewise.profile import DeploymentProfile, declared_profile
from fusewise.recommend import recommend

RATES = {"ehr": 1.0, "stream": 0.6}


def measured(
    on_timing: tuple[float, float], on_interaction: tuple[float, float], **facts: Any
) -> DeploymentProfile:
    """Return a plan with two measured effects, each as its limits."""
    plan = declared_profile(
        {"ehr": 1.0, "stream": 0.7}, {"rates": RATES, **facts}, median_gaps={"stream": 1.0}
    )
    rows = [
        {
            "axis": axis, "n": 2_000, "metric": "roc_auc", "score_without": 0.7, "score_with": 0.8,
            "effect": (low + high) / 2, "low": low, "high": high, "shown": low > 0, "note": "",
        }
        for axis, (low, high) in {"timing": on_timing, "interaction": on_interaction}.items()
    ]  # fmt: skip
    return replace(plan, probes=pd.DataFrame(rows))


SHOWN, NOT_SHOWN = (0.02, 0.04), (-0.01, 0.03)


@pytest.mark.parametrize("timing", [SHOWN, NOT_SHOWN])
@pytest.mark.parametrize("interaction", [SHOWN, NOT_SHOWN])
@pytest.mark.parametrize("validation", [("site",), ()])
def test_both_effects_and_a_cohort_give_attention(
    timing: tuple[float, float], interaction: tuple[float, float], validation: tuple[str, ...]
) -> None:
    """Absence asks for late fusion unless timing and interaction are both shown, with cohorts."""
    advice = recommend(measured(timing, interaction, validation=validation))
    both = timing == interaction == SHOWN and bool(validation)
    assert advice.strategy == ("attention" if both else "late")


@pytest.mark.parametrize("declared", ["yes", "no"])
def test_what_was_declared_stands_beside_what_was_measured(declared: str) -> None:
    """Whichever way the probe points."""
    against = NOT_SHOWN if declared == "yes" else SHOWN
    profile = measured(
        against, against, timing=declared, interaction=declared, validation=("site",)
    )
    assert profile.carries_signal("timing") == declared
    advice = recommend(profile)
    assert advice.strategy == ("attention" if declared == "yes" else "late")
    reason = next(r for r in advice.reasons if r.axis == "temporal+interaction")
    assert f"Timing carries signal: {declared} (declared; measured: the loss" in reason.statement


def test_what_is_not_shown_stays_unknown() -> None:
    """A probe cannot disprove; unknown never counts as yes."""
    profile = measured(NOT_SHOWN, NOT_SHOWN)
    assert profile.carries_signal("timing") == "unknown"
    nothing = replace(profile, probes=profile.probes.assign(effect=np.nan, low=np.nan, shown=True))
    assert nothing.carries_signal("timing") == "unknown"
    assert nothing.probe("timing") is None


def test_an_effect_that_barely_shows_is_an_unstable_reason() -> None:
    """Drawn anew it is shown in half of the replicates; a large one always."""
    bare = recommend(measured((1e-6, 0.04), (0.5, 0.6), validation=("site",)))
    sure = recommend(measured((0.5, 0.6), (0.5, 0.6), validation=("site",)))
    assert bare.strategy == sure.strategy == "attention"
    assert bare.stability == pytest.approx(0.5, abs=0.08)
    assert sure.stability == 1.0


def test_a_profile_of_an_earlier_file_is_read() -> None:
    """One that knows neither probes nor arrival."""
    profile = measured(SHOWN, SHOWN)
    text = json.loads(profile.to_json())
    for name in (
        "probes",
        "mechanism",
        "arrival",
        "shift",
        "group_shift",
        "redundancy",
        "asynchrony",
        "staleness",
        "sizes",
        "compute",
    ):
        del text[name]
    again = DeploymentProfile.from_json(json.dumps(text))
    assert again.probes.empty
    assert again.carries_signal("timing") == "unknown"
    assert recommend(again).strategy == "late"


def test_every_number_of_a_reason_follows_from_the_json_of_the_profile() -> None:
    """Recomputed here with nothing but the file."""
    design = {"modalities": {"stream": 12, "c": 3}, "timing": {"stream": "order"}}
    ds = fw.make_cohort(300, 1, availability={"c": 0.7}, random_state=0, **design).train
    log = ["stream+c"] * 60 + ["stream"] * 30 + ["c"] * 10
    counts = pd.Series(log).value_counts().to_dict()
    profile = fw.profile(ds, {"patterns": counts}, probes=True)
    advice = recommend(DeploymentProfile.from_json(profile.to_json()))

    facts = json.loads(profile.to_json())
    tables = {
        name: pd.DataFrame(DeploymentProfile.from_json(json.dumps(facts)).__dict__[name])
        for name in ("availability", "dimensions", "probes", "redundancy")
    }
    rates = tables["availability"].sort_values("low")
    widths = tables["dimensions"]["width"]
    effective = tables["dimensions"]["effective"].sum()
    effects = tables["probes"].set_index("axis")[["effect", "low", "high", "n"]]
    known = {
        "availability": [*rates["rate"], rates["low"].iloc[0], 0.9, (rates["low"] < 0.9).sum(), 2],
        "dimensions": [widths.max() / widths.min(), widths.min(), widths.max(), 1],
        "temporal+interaction": effects.to_numpy().ravel().tolist(),
        "samples": [300, effective, 300 / effective],
        "redundancy": tables["redundancy"][["cka", "low", "high", "n"]].to_numpy().ravel().tolist(),
        "cohort": [],
        "arrival": [],
    }
    asked = {reason.axis: reason for reason in advice.reasons}
    assert set(asked) == set(known)
    for axis, reason in asked.items():
        for text in re.findall(r"-?\d[\d,]*(?:\.\d+)?", reason.statement):
            value = float(text.replace(",", ""))
            digits = len(text.partition(".")[2])
            near = [v for v in known[axis] if math.isclose(v, value, abs_tol=0.6 * 10**-digits)]
            assert near, f"{axis}: {text} in {reason.statement!r}"
