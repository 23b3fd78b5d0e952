"""Policies: what each would choose in a deployment under a seed, read from the rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from selection.asking import POLICIES, STRATEGIES
from selection.looks import MATRIX
from selection.rows import Row

import fusewise as fw

FIXED = {f"always {strategy}": strategy for strategy in STRATEGIES}
# A policy that computes something is named by the row that it leaves.
NAMES = {"cv": "cross-validation, complete cases", "pilot": "matrix with its pilot"}


def name_of(what: str) -> str:
    """Return how the tables call the policy of a row."""
    return NAMES.get(what, what)


def choices(rows: list[Row], thresholds: Mapping[str, float] | None) -> dict[str, dict[int, Any]]:
    """Return for each policy its choice by seed, of one deployment.

    The matrix decides anew from the profile that was kept, so that other thresholds cost nothing.
    """
    found: dict[str, dict[int, Any]] = {name: {} for name in (MATRIX, *FIXED)}
    references: dict[int, str] = {}
    for row in rows:
        seed = row["seed"]
        if row["what"] == "profile":
            advice = recommended(row, thresholds)
            found[MATRIX][seed] = advice.strategy
        elif row["what"] in STRATEGIES:
            for name, strategy in FIXED.items():
                found[name][seed] = strategy
        elif row["what"] in POLICIES:
            found.setdefault(name_of(row["what"]), {})[seed] = row["chosen"]
            if "reference" in row:
                references[seed] = row["reference"]
    # A pilot that was held against another answer than the matrix now gives says nothing.
    pilot = found.get(NAMES["pilot"], {})
    for seed in [s for s in pilot if references[s] != found[MATRIX].get(s)]:
        del pilot[seed]
    return found


def recommended(row: Row, thresholds: Mapping[str, float] | None) -> Any:
    """Return the recommendation of a kept profile."""
    profile = fw.DeploymentProfile.from_dict(row["profile"])
    return fw.recommend(profile, thresholds=thresholds, n_boot=1)
