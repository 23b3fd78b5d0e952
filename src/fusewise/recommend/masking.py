"""Which modality masking each strategy should train with."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from fusewise.profile import DeploymentProfile, share
from fusewise.recommend.facts import Facts
from fusewise.recommend.matrix import STRATEGIES

LEARNED_BY_EPOCH = ("intermediate", "attention")
# The highest removal probability of the schedules `uniform` and `curriculum` (fusion.Masking),
# which is written here too so that recommending loads no library that trains.
HIGHEST = 0.7

SCHEDULE_WORDS = {
    "uniform": f"each present modality is removed with probability {HIGHEST:g} in the masked copies",
    "curriculum": f"each present modality is removed with a probability that grows from 0 to {HIGHEST:g}",
    "deployment": "removals are drawn such that training comes in the deployment's patterns",
    "none": "nothing is removed",
}
_RATE_COLUMNS = {
    "schedule": "str",
    "modality": "str",
    "rate_train": "float64",
    "rate_deployment": "float64",
    "removed": "float64",
    "reached": "float64",
}


def maskings(facts: Facts) -> dict[str, str | None]:
    """Return the masking to train each strategy with, None for none.

    Late fusion needs none: its experts never see another modality's absence. For the others:

    - deployment unknown (or its joint patterns are): ``uniform``, which draws every number of
      absent modalities alike; strategies that learn by epochs take ``curriculum``, which ramps up
      to the same range. There is no rate to match.
    - deployment known and everything always present, or declared to look like training: none.
      Nothing is absent, or the training rows show that absence already.
    - deployment known otherwise: ``deployment``, which removes with 1 - q/p.
    """
    return {strategy: _masking(strategy, facts) for strategy in STRATEGIES}


def _masking(strategy: str, facts: Facts) -> str | None:
    if strategy == "late":
        return None
    if not facts.known or not facts.joint:
        return "curriculum" if strategy in LEARNED_BY_EPOCH else "uniform"
    if facts.source == "training" or facts.complete_share >= 1:
        return None
    return "deployment"


def masking_rates(profile: DeploymentProfile, masks: Mapping[str, str | None]) -> pd.DataFrame:
    """Return how often each modality is removed by each schedule in `masks`.

    ``removed`` is the share of the samples that have it (for a growing schedule at its end), and
    ``reached`` the rate that training then shows: ``deployment`` removes ``1 - q / p`` (p, q: rate in
    training and deployment) and so composes with natural absence; it can remove, not create.
    """
    rows = []
    for schedule in dict.fromkeys(m for m in masks.values() if m is not None):
        for row in profile.availability.to_dict("records"):
            p, q = float(row["rate_train"]), float(row["rate"])
            removed = HIGHEST
            if schedule == "deployment":
                removed = max(0.0, 1 - q / p) if p > 0 else 0.0
            rows.append(
                {
                    "schedule": schedule,
                    "modality": row["modality"],
                    "rate_train": p,
                    "rate_deployment": q,
                    "removed": removed,
                    "reached": p * (1 - removed),
                }
            )
    return pd.DataFrame(rows, columns=list(_RATE_COLUMNS)).astype(_RATE_COLUMNS)


def masking_warnings(profile: DeploymentProfile) -> tuple[str, ...]:
    """Say where training is sparser than the deployment, so that no masking can simulate it.

    A modality counts where the intervals of its two rates leave each other out.
    """
    if profile.source in ("none", "training"):
        return ()
    said = []
    for row in profile.availability.to_dict("records"):
        if not row["high_train"] < row["low"]:
            continue
        said.append(
            f"Training has {row['modality']} in {share(row['rate_train'])} of its samples "
            f"({int(row['n_train']):,}), the deployment in {share(row['rate'])}: masking removes and "
            "never adds, so that regime cannot be simulated. What is learned and measured of it "
            "rests on those samples."
        )
    return tuple(said)


def masking_lines(schedule: str | None, rates: pd.DataFrame) -> tuple[str, ...]:
    """Return the schedule in words, and the modalities that it removes, most first."""
    lines = [f"{schedule or 'none'}: {SCHEDULE_WORDS[schedule or 'none']}"]
    if schedule != "deployment" or rates.empty:
        return tuple(lines)
    own = rates[(rates["schedule"] == schedule) & (rates["removed"] > 0)]
    order = own.sort_values(["removed", "modality"], ascending=[False, True], kind="stable")
    lines += [
        f"{r['modality']}: from {share(r['rate_train'])} to {share(r['reached'])} "
        f"({share(r['removed'])} of those that have it lose it; deployment "
        f"{share(r['rate_deployment'])})"
        for r in order.to_dict("records")
    ]
    return tuple(lines)
