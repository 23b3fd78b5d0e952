"""What cannot be used at all: hard requirements and limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fusewise.exceptions import DeploymentError, did_you_mean
from fusewise.recommend.estimates import LIMITS, over_the_limit
from fusewise.recommend.facts import Facts
from fusewise.recommend.matrix import STRATEGIES


def excluded_strategies(facts: Facts, costs: Mapping[str, Mapping[str, float]]) -> dict[str, str]:
    """Return the strategies that a requirement or a limit rules out, each with its reason.

    A measured cost decides; without one an estimate does, where the limit is out of its error.
    """
    excluded = {}
    if facts.interpretability == "required":
        excluded["attention"] = (
            "Interpretability is required, and attention weights are not an explanation."
        )
    for strategy in STRATEGIES:
        for name, unit in LIMITS.items():
            limit, measured = getattr(facts, name), costs.get(strategy, {}).get(name)
            estimate = facts.estimates.get(strategy, {}).get(name)
            if limit is None:
                continue
            if measured is not None and measured > limit:
                excluded[strategy] = (
                    f"{strategy.capitalize()} fusion needs {measured:g} {unit}; the limit is "
                    f"{limit:g}."
                )
            elif measured is None and estimate is not None:
                text = over_the_limit(strategy, name, estimate, limit)
                if text and strategy not in excluded:
                    excluded[strategy] = text
    return excluded


def limits_not_applied(facts: Facts, costs: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Say which declared limits dropped nothing because nothing was measured or estimated."""
    return [
        f"A limit of {getattr(facts, name):g} {unit} is declared, but no strategy's cost was "
        "measured or estimated, so none was dropped for it. Hold it against what the trained model "
        "takes."
        for name, unit in LIMITS.items()
        if getattr(facts, name) is not None
        and not any(name in cost for cost in [*costs.values(), *facts.estimates.values()])
    ]


def check_costs(costs: Any) -> dict[str, Mapping[str, float]]:
    """Validate measured costs: strategy to ``{"latency_ms": ..., "memory_mb": ...}``."""
    if costs is None:
        return {}
    if not isinstance(costs, Mapping):
        raise DeploymentError(f"costs: expected a dict by strategy, got {type(costs).__name__}.")
    for strategy, cost in costs.items():
        if strategy not in STRATEGIES:
            raise DeploymentError(
                f"costs: no strategy {strategy!r}; there are {', '.join(STRATEGIES)}."
                f"{did_you_mean(strategy, STRATEGIES)}"
            )
        for name in cost:
            if name not in LIMITS:
                raise DeploymentError(
                    f"costs of {strategy}: unknown {name!r}; there are {', '.join(LIMITS)}."
                    f"{did_you_mean(name, LIMITS)}"
                )
    return {strategy: dict(cost) for strategy, cost in costs.items()}
