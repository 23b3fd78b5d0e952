"""Recommend a fusion strategy from a deployment profile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fusewise.exceptions import DeploymentError
from fusewise.profile import DeploymentProfile
from fusewise.recommend.conflicts import conflicts_with
from fusewise.recommend.estimates import LIMITS, limits_in_doubt
from fusewise.recommend.exclusions import check_costs, excluded_strategies, limits_not_applied
from fusewise.recommend.facts import Facts, deployment_patterns
from fusewise.recommend.masking import masking_rates, masking_warnings, maskings
from fusewise.recommend.matrix import alternatives, decide
from fusewise.recommend.needs import needs_of
from fusewise.recommend.pilot_result import Pilot
from fusewise.recommend.reasons import reasons_for
from fusewise.recommend.result import Recommendation
from fusewise.recommend.stability import sensitivity, stability
from fusewise.recommend.thresholds import Thresholds
from fusewise.recommend.what_if import nearest_changes


def recommend(
    profile: DeploymentProfile,
    *,
    thresholds: Thresholds | Mapping[str, float] | None = None,
    costs: Mapping[str, Mapping[str, float]] | None = None,
    pilot: Pilot | None = None,
    n_boot: int = 500,
    random_state: int = 0,
) -> Recommendation:
    """Recommend the fusion strategy that fits the deployment, with reasons.

    A transparent prior, not the last word: it weighs what is known before training by a small
    table of rules (``docs/recommendation.md``). Hold it against what is measured afterwards, or
    beforehand by a pilot.

    Parameters
    ----------
    profile : DeploymentProfile
    thresholds : dict or Thresholds, optional
        Thresholds that differ from the defaults.
    costs : dict, optional
        Measured costs by strategy, ``{"late": {"latency_ms": 3.0, "memory_mb": 200.0}}``. A
        strategy that exceeds a declared limit is dropped. A cost that is not given is taken from
        the profile's estimate, which drops a strategy only where the limit lies outside its error.
    pilot : Pilot, optional
        What :func:`fusewise.pilot` found on the training rows of this profile. It is shown beside
        the matrix's answer, and takes its place where it overrules.
    n_boot : int, default 500
        Replicates for the stability.
    random_state : int

    Raises
    ------
    DeploymentError
        A threshold or cost is malformed, `profile` is something else, or the pilot was made for
        another deployment or another answer of the matrix.

    Examples
    --------
    >>> from fusewise.profile import declared_profile
    >>> plan = declared_profile({"ehr": 1.0, "imaging": 0.6}, {"imaging": 0.4})
    >>> advice = recommend(plan)
    >>> advice.strategy
    'late'
    >>> advice.reasons[0].statement
    'Often absent in deployment: imaging 0.40. The lower limit of 1 of 2 modalities is below 0.90.'
    """
    if not isinstance(profile, DeploymentProfile):
        raise DeploymentError(
            f"recommend: expected a DeploymentProfile, got {type(profile).__name__}. Call "
            "profile(dataset, deployment) first."
        )
    if n_boot < 1:
        raise DeploymentError(f"recommend: n_boot must be at least 1, got {n_boot}.")
    limits, measured = Thresholds.of(thresholds), check_costs(costs)
    facts = Facts.of(profile)
    declared = {name: float(v) for name in LIMITS if (v := getattr(facts, name)) is not None}
    excluded = excluded_strategies(facts, measured)
    matrix, rule, number = decide(facts, limits, excluded)
    masks = maskings(facts)
    patterns = deployment_patterns(profile)
    deployment = None if patterns is None else {"patterns": patterns}
    if pilot is not None:
        _check_pilot(pilot, matrix, profile.source, deployment)
    strategy = matrix if pilot is None else pilot.strategy
    others = tuple(
        s
        for s in dict.fromkeys([matrix, *alternatives(rule, facts, limits), rule.strategy])
        if s != strategy and s not in excluded
    )
    return Recommendation(
        strategy=strategy,
        masking=masks[strategy],
        reasons=reasons_for(rule, facts, limits),
        conflicts=(
            *conflicts_with(facts, limits, excluded),
            *limits_not_applied(facts, measured),
            *limits_in_doubt(facts.estimates, declared, measured),
        ),
        alternatives=others,
        would_change_if=nearest_changes(
            facts, limits, lambda other: excluded_strategies(other, measured)
        ),
        stability=stability(
            profile, facts, limits, excluded, n_boot, np.random.default_rng(random_state)
        ),
        thresholds=limits.to_dict(),
        trainable=strategy,
        why_trainable="",
        rule=number,
        excluded=excluded,
        maskings=masks,
        sensitivity=sensitivity(facts, limits, excluded),
        task=profile.task,
        deployment=deployment,
        masking_rates=masking_rates(profile, masks),
        masking_warnings=masking_warnings(profile),
        needs=needs_of(facts, limits, excluded),
        pilot=pilot,
    )


def _check_pilot(pilot: Any, matrix: str, source: str, deployment: Any) -> None:
    if not isinstance(pilot, Pilot):
        raise DeploymentError(
            f"recommend: expected a Pilot, got {type(pilot).__name__}. Call pilot(train, profile)."
        )
    if pilot.reference != matrix:
        raise DeploymentError(
            f"recommend: the pilot held its candidates against {pilot.reference} fusion, but the "
            f"matrix says {matrix} fusion here. Make the pilot with the same profile, thresholds "
            "and costs."
        )
    if (pilot.source, pilot.deployment) != (source, deployment):
        raise DeploymentError(
            "recommend: the pilot was scored under another deployment than that of the profile. "
            "Make it with this profile."
        )
