"""The tables of the benchmark, made of judged deployments."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
from selection.asking import STRATEGIES
from selection.judged import Judged, policies_of
from selection.policies import MATRIX, NAMES
from selection.regret import interval

LIMIT, AIM, CLOSE = 0.015, 0.005, 0.01
WORST = 8
# Held against all others; the pilot where its rows are there.
OURS = (MATRIX, NAMES["pilot"])


def scopes(judged: list[Judged]) -> dict[str, list[Judged]]:
    """Return the deployments of each half, and those that count together."""
    found = {
        half: [j for j in judged if j.half == half] for half in ("calibration", "heldout", "real")
    }
    found["heldout and real"] = found["heldout"] + found["real"]
    return {name: some for name, some in found.items() if some}


def mean_regrets(judged: list[Judged]) -> pd.DataFrame:
    """Return one row per scope and policy."""
    rows = []
    for scope, some in scopes(judged).items():
        for policy in policies_of(some):
            asked = [j for j in some if not np.isnan(j.regret(policy))]
            if not asked:
                continue
            regrets = np.array([j.regret(policy) for j in asked])
            rows.append(
                {
                    "scope": scope,
                    "policy": policy,
                    "deployments": len(asked),
                    "clusters": len({j.cluster for j in asked}),
                    "mean_regret": (of := interval(regrets, [j.cluster for j in asked]))["mean"],
                    "low": of["low"],
                    "high": of["high"],
                    "within_.01": float((regrets <= CLOSE).mean()),
                    "largest": float(regrets.max()),
                    "breaches": float(np.mean([j.breaches(policy) for j in asked])),
                }
            )
    return pd.DataFrame(rows)


def paired(judged: list[Judged]) -> pd.DataFrame:
    """Return the difference of regrets between our policies and each other one."""
    rows = []
    for scope, some in scopes(judged).items():
        names = policies_of(some)
        for ours in [p for p in OURS if p in names]:
            for other in [p for p in names if p != ours]:
                both = [j for j in some if not np.isnan(j.regret(ours, other))]
                both = [j for j in both if not np.isnan(j.regret(other, ours))]
                if not both:
                    continue
                differences = [j.regret(ours, other) - j.regret(other, ours) for j in both]
                of = interval(differences, [j.cluster for j in both])
                rows.append(
                    {
                        "scope": scope,
                        "policy": ours,
                        "minus": other,
                        "deployments": len(both),
                        "difference": of["mean"],
                        "low": of["low"],
                        "high": of["high"],
                        "says": "better"
                        if of["high"] < 0
                        else "worse"
                        if of["low"] > 0
                        else "undecided",
                    }
                )
    return pd.DataFrame(rows)


def by_rule(judged: list[Judged]) -> pd.DataFrame:
    """Return what the rules of the matrix came to: one row per scope and rule."""
    rows = []
    for scope, some in scopes(judged).items():
        for rule in sorted({j.rules[0] for j in some}):
            mine = [j for j in some if j.rules[0] == rule]
            best = pd.Series([STRATEGIES[j.best] for j in mine]).value_counts()
            rows.append(
                {
                    "scope": scope,
                    "rule (first seed)": rule,
                    "chooses": STRATEGIES[mine[0].chosen[MATRIX][0]],
                    "deployments": len(mine),
                    "mean_regret": float(np.mean([j.regret(MATRIX) for j in mine])),
                    **{f"best: {s}": int(best.get(s, 0)) for s in STRATEGIES},
                }
            )
    return pd.DataFrame(rows)


def worst(judged: list[Judged]) -> pd.DataFrame:
    """Return the deployments with the largest regret of the matrix, with their facts."""
    order = sorted(judged, key=lambda j: -j.regret(MATRIX))[:WORST]
    return pd.DataFrame(
        [_shown(one) | {"why": one.why, "facts": json.dumps(one.facts)} for one in order]
    )


def every(judged: list[Judged]) -> pd.DataFrame:
    """Return all deployments."""
    return pd.DataFrame([_shown(one) for one in judged])


def costs(judged: list[Judged]) -> pd.DataFrame:
    """Return what the fits took, and how many had to give something up to keep the cap."""
    fits = pd.DataFrame([fit for one in judged for fit in one.fits])
    if "error" not in fits:
        fits["error"] = np.nan
    rows = []
    for strategy in STRATEGIES:
        mine = fits[fits["what"] == strategy]
        rows.append(
            {
                "strategy": strategy,
                "fits": len(mine),
                "median_seconds": mine["cpu_seconds"].median(),
                "largest_seconds": mine["cpu_seconds"].max(),
                "past_the_defaults": int((mine["step"] > 0).sum()),
                "failed": int(mine["error"].notna().sum()),
            }
        )
    return pd.DataFrame(rows)


def _shown(one: Judged) -> dict[str, object]:
    return {
        "deployment": one.name,
        "half": one.half,
        "seeds": " ".join(map(str, one.seeds)),
        "rules": " ".join(map(str, one.rules)),
        "matrix": " ".join(STRATEGIES[c] for c in one.chosen[MATRIX]),
        "best": STRATEGIES[one.best],
        "regret": one.regret(MATRIX),
        "bayes": one.bayes,
        **one.mean_scores(),
        "not_meeting": " ".join(s for s, e in zip(STRATEGIES, one.eligible, strict=True) if not e)
        + (" (none meets)" if one.none_meets else ""),
    }


def all_tables(judged: list[Judged], wanted: list[str]) -> dict[str, pd.DataFrame]:
    """Return all tables; the last one says which deployments are still missing."""
    held = {one.name for one in judged}
    missing = [name for name in wanted if name not in held]
    states = sorted({str(fit.get("state")) for one in judged for fit in one.fits})
    return {
        "Mean cross-fitted regret": mean_regrets(judged),
        "Paired differences of the regret (below 0: the policy is better)": paired(judged),
        "By rule of the matrix": by_rule(judged),
        "The largest regrets of the matrix": worst(judged),
        "What the fits took (processor seconds)": costs(judged),
        "Every deployment": every(judged),
        "What these tables hold": pd.DataFrame(
            [
                {
                    "deployments": len(held),
                    "of": len(wanted),
                    "missing": " ".join(missing) if missing else "none",
                    "states of the code": " ".join(states),
                }
            ]
        ),
    }
