"""Everything that is computed for one deployment and seed: the profile, four fits, other policies.

Test samples are drawn for fits alone; what a policy is asked with are training rows and what the
user declares.
"""

from __future__ import annotations

import dataclasses
import json
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from paired import score
from selection.cap import CAP, fit_within
from selection.looks import state
from selection.posed import Posed
from selection.rows import DeploymentRows, Row
from selection.scoring import codes, declared_requirements, predicted, score_all
from sklearn.model_selection import StratifiedKFold

import fusewise as fw
from fusewise.exceptions import FusewiseError
from fusewise.recommend import Recommendation

STRATEGIES = ("early", "late", "intermediate", "attention")
# Cross-validation on complete cases: folds, rows at most, and the fewest of the rarest class.
N_FOLDS, MOST_CASES, FEWEST = 3, 2_000, 10


def make(advice: Recommendation, strategy: str, seed: int, **params: Any) -> Any:
    """Return what the recommendation would build for a strategy, masked as it says."""
    return dataclasses.replace(advice, trainable=strategy).estimator(random_state=seed, **params)


def ask_profile(posed: Posed, kept: Row | None) -> tuple[fw.DeploymentProfile, Recommendation, Row]:
    """Return the profile, the recommendation at its defaults, and a row with the whole profile.

    The row lets any other thresholds decide anew without another fit. A row that is there is
    taken as it is.
    """
    if kept is not None:
        found = fw.DeploymentProfile.from_dict(kept["profile"])
        return found, fw.recommend(found), kept
    began = time.process_time()
    found = fw.profile(posed.train, posed.deployment, probes=True, random_state=posed.seed)
    advice = fw.recommend(found)
    return (
        found,
        advice,
        {
            "profile": found.to_dict(),
            "chosen": advice.strategy,
            "rule": advice.rule,
            "maskings": advice.maskings,
            "excluded": sorted(advice.excluded),
            "cpu_seconds": round(time.process_time() - began, 2),
        },
    )


def ask_pilot(
    posed: Posed,
    found: fw.DeploymentProfile,
    advice: Recommendation,
    cap: float,  # noqa: ARG001 - its candidates are cheap by themselves
) -> Row:
    """Let a pilot confirm or overrule the matrix.

    At its defaults, but for what decides nothing: the smaller sizes and the crossover. The levels
    that a user requires are numbers; here they are made of the Bayes posterior.
    """
    began = time.process_time()
    row: Row = {"reference": advice.strategy, "chosen": advice.strategy}
    try:
        tried = fw.pilot(
            posed.train,
            found,
            requirements=declared_requirements(posed),
            sizes=[1],
            absent=[],
            random_state=posed.seed,
        )
    except FusewiseError as error:
        # No pilot can be made of so little: the matrix stands.
        row["error"] = f"{type(error).__name__}: {error}"
    else:
        row["chosen"] = fw.recommend(found, pilot=tried, n_boot=1).strategy
        row |= {"choice": tried.choice, "overrules": tried.overrules, "reason": tried.reason}
        row["comparison"] = json.loads(tried.comparison.to_json(orient="records"))
    return row | {"cpu_seconds": round(time.process_time() - began, 2)}


def ask_cv(
    posed: Posed,
    found: fw.DeploymentProfile,  # noqa: ARG001 - it looks at no profile
    advice: Recommendation,
    cap: float,
) -> Row:
    """Choose by cross-validation on the complete cases of the training rows.

    Each fit has the cap of a fit by the number of folds. Where a class has too few complete cases,
    ``early`` is taken: there is nothing to choose by.
    """
    began = time.process_time()
    rows = np.flatnonzero(posed.train.presence.all(axis=1))
    rng = np.random.default_rng([posed.seed, len(rows)])
    rows = np.sort(rng.permutation(rows)[:MOST_CASES])
    some = posed.train[rows]
    y = codes(some)
    counts = np.bincount(y, minlength=len(posed.train.classes))
    scores: dict[str, float] = {}
    if counts.min() >= FEWEST:
        folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=posed.seed).split(y, y)
        pairs = list(folds)
        for strategy in STRATEGIES:
            if strategy in advice.excluded:
                continue
            each = []
            before: Row | None = None
            for train, test in pairs:
                made = partial(make, advice, strategy, posed.seed)
                try:
                    one = fit_within(
                        made, strategy, some[train], posed.seed, cap=cap / N_FOLDS, before=before
                    )
                except FusewiseError:
                    each.append(0.0)
                    continue
                # The folds are of one size: the next begins where this one ended.
                before = {"step": one.step, "used": one.used}
                each.append(score(y[test], predicted(one.model, some[test])))
            scores[strategy] = float(np.mean(each))
    chosen = max(scores, key=lambda s: scores[s]) if scores else "early"
    return {
        "chosen": chosen,
        "scores": scores,
        "complete": len(rows),
        "cpu_seconds": round(time.process_time() - began, 2),
    }


# Policies that compute something of their own. Their rows name what is `chosen`.
Ask = Callable[[Posed, fw.DeploymentProfile, Recommendation, float], Row]
POLICIES: dict[str, Ask] = {"pilot": ask_pilot, "cv": ask_cv}


def ask_fit(
    posed: Posed, advice: Recommendation, strategy: str, cap: float, rows: DeploymentRows
) -> Row:
    """Fit one strategy within the cap and score it; return its row."""
    mine = [r for r in rows.read() if r["what"] == strategy and "step" in r]
    deepest = max(mine, key=lambda r: r["step"], default=None)
    row: Row = {"masking": advice.maskings[strategy]}
    made = partial(make, advice, strategy, posed.seed)
    try:
        one = fit_within(made, strategy, posed.train, posed.seed, cap=cap, before=deepest)
    except FusewiseError as error:
        # What cannot be trained is a choice that fails: it scores as chance.
        chance = 1 / len(posed.train.classes)
        return row | {"error": f"{type(error).__name__}: {error}", "chance": chance}
    began = time.process_time()
    row |= score_all(posed, {strategy: one.model})[strategy]
    return row | {
        "used": one.used,
        "step": one.step,
        "cpu_seconds": round(one.seconds, 2),
        "cpu_in_vain": round(one.in_vain, 2),
        "cpu_scoring": round(time.process_time() - began, 2),
    }


def ask(
    pose: Callable[[], Posed],
    name: str,
    seed: int,
    asked: list[str],
    rows: DeploymentRows,
    cap: float = CAP,
) -> dict[str, Any]:
    """Compute what is missing of one deployment and seed, and keep it.

    Returns seconds and what was added; no score, so that a held-out half can be run unseen.
    """
    missing = [what for what in asked if what not in rows.done(seed)]
    if not missing:
        return {"deployment": name, "seed": seed, "added": []}
    wall, began = time.perf_counter(), time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        posed = pose()
        of = {
            "deployment": name,
            "cluster": posed.cluster,
            "half": posed.half,
            "seed": seed,
            "facts": posed.facts,
            "state": state(),
        }
        there = [r for r in rows.read() if (r["what"], r["seed"]) == ("profile", seed)]
        found, advice, profile = ask_profile(posed, there[0] if there else None)
        if not there:
            rows.add([of | {"what": "profile"} | profile])
        spent = {}
        for strategy in [s for s in STRATEGIES if s in missing]:
            row = ask_fit(posed, advice, strategy, cap, rows)
            rows.add([of | {"what": strategy} | row])
            spent[strategy] = row.get("cpu_seconds")
        for policy, choose in POLICIES.items():
            if policy in missing:
                rows.add([of | {"what": policy} | choose(posed, found, advice, cap)])
    return {
        "deployment": name,
        "seed": seed,
        "added": missing,
        "cpu_seconds": round(time.process_time() - began, 1),
        "wall_seconds": round(time.perf_counter() - wall, 1),
        "fit_seconds": spent,
    }
