"""What a strategy is estimated to cost, held against the limits that are declared."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from fusewise.profile import DeploymentProfile, number

LIMITS = {"latency_ms": "ms per sample", "memory_mb": "MB"}
_COLUMNS = {"latency_ms": "latency", "memory_mb": "memory"}
_WHEN = {"latency_ms": " with everything present", "memory_mb": ""}


@dataclass(frozen=True)
class Estimate:
    """An estimate of a cost, and the bounds that its error leaves."""

    value: float
    low: float
    high: float


def estimates_of(profile: DeploymentProfile) -> dict[str, dict[str, Estimate]]:
    """Return the estimates of a profile with everything present, by strategy and limit.

    A limit holds for every answer, so also for the samples that cost the most.
    """
    found: dict[str, dict[str, Estimate]] = {}
    for row in profile.compute.to_dict("records"):
        if row["situation"] != "complete":
            continue
        found[str(row["strategy"])] = {
            name: Estimate(*(float(row[c]) for c in (name, f"{short}_low", f"{short}_high")))
            for name, short in _COLUMNS.items()
            if not math.isnan(row[name])
        }
    return found


def over_the_limit(strategy: str, name: str, estimate: Estimate, limit: float) -> str:
    """Say that even the lower bound of an estimate is above a limit; empty where it is not."""
    if not estimate.low > limit:
        return ""
    return (
        f"{strategy.capitalize()} fusion is estimated to need {_figures(name, estimate)}; the limit "
        f"is {limit:g}."
    )


def limits_in_doubt(
    estimates: Mapping[str, Mapping[str, Estimate]],
    limits: Mapping[str, float],
    measured: Mapping[str, Mapping[str, float]],
) -> list[str]:
    """Say which strategies an estimate is too close to a limit to rule out."""
    said = []
    for name, limit in limits.items():
        close = [
            f"{strategy} {_figures(name, costs[name])}"
            for strategy, costs in estimates.items()
            if name in costs
            and name not in measured.get(strategy, {})
            and costs[name].low <= limit < costs[name].high
        ]
        if close:
            said.append(
                f"Not ruled out by the limit of {limit:g} {LIMITS[name]}, as the estimate is too "
                f"close to it: {'; '.join(close)}. Measure before you rely on it."
            )
    return said


def _figures(name: str, estimate: Estimate) -> str:
    bounds = f"{number(estimate.low)} to {number(estimate.high)}"
    return (
        f"{number(estimate.value)} {LIMITS[name]}{_WHEN[name]} ({bounds} within the error of the "
        "estimate)"
    )
