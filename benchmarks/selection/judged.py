"""Deployments judged: from their rows to scores, choices and regrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from selection.asking import STRATEGIES
from selection.policies import MATRIX, choices, recommended
from selection.regret import Array, BoolArray, best_of, cross_fitted, meets
from selection.rows import Row


@dataclass(frozen=True)
class Judged:
    """A deployment of which at least one seed has all four fits and a profile.

    Attributes
    ----------
    scores : (seeds, 2, strategies) array
    eligible : bool array (strategies,)
        Those that meet the declared requirements; all, where none does.
    none_meets : bool
    chosen : dict of str to list of int
        By policy, the place of its choice under each seed; -1 where it was not asked.
    rules : list of int
        Which rule of the matrix decided under each seed; ``why`` is its first reason, first seed.
    stale : int
        Fits that are masked in another way than the recommendation now would mask them.
    """

    name: str
    cluster: str
    half: str
    facts: dict[str, Any]
    seeds: list[int]
    scores: Array
    bayes: float
    eligible: BoolArray
    none_meets: bool
    chosen: dict[str, list[int]]
    rules: list[int]
    why: str
    stale: int
    fits: list[Row]

    def regret(self, policy: str, beside: str | None = None) -> float:
        """Return the regret of a policy, on the seeds where `beside` was asked as well."""
        chosen = self.chosen.get(policy, [-1] * len(self.seeds))
        if beside is not None:
            other = self.chosen.get(beside, [-1] * len(self.seeds))
            chosen = [c if o >= 0 else -1 for c, o in zip(chosen, other, strict=True)]
        return cross_fitted(self.scores, chosen, self.eligible)

    @property
    def best(self) -> int:
        """The strategy with the highest mean score among those that meet the requirements."""
        return best_of(self.scores, self.eligible)

    def breaches(self, policy: str) -> float:
        """Return in what share of the seeds the choice does not meet the requirements."""
        chosen = [c for c in self.chosen.get(policy, []) if c >= 0]
        return float(np.mean([not self.eligible[c] for c in chosen])) if chosen else float("nan")

    def mean_scores(self) -> dict[str, float]:
        """Return the mean score of each strategy over seeds and halves."""
        return dict(zip(STRATEGIES, map(float, self.scores.mean(axis=(0, 1))), strict=True))


def judge(rows: list[Row], thresholds: Mapping[str, float] | None = None) -> Judged | None:
    """Return the deployment of some rows, or None where no seed is complete."""
    by = {(row["seed"], row["what"]): row for row in rows}
    seeds = sorted(
        seed
        for seed in {row["seed"] for row in rows}
        if all((seed, what) in by for what in (*STRATEGIES, "profile"))
    )
    if not seeds:
        return None
    fits = [by[seed, strategy] for seed in seeds for strategy in STRATEGIES]
    scores = np.array(
        [[[_score(by[s, k], h) for k in STRATEGIES] for h in ("first", "second")] for s in seeds]
    )
    profile = by[seeds[0], "profile"]
    allowed = np.array([s not in profile["excluded"] for s in STRATEGIES])
    answers = {k: [by[s, k].get("requirements", []) for s in seeds] for k in STRATEGIES}
    meeting = np.array([meets(answers[k]) for k in STRATEGIES]) & allowed
    asked = [r for r in rows if r["seed"] in seeds]
    chosen = {
        policy: [STRATEGIES.index(choice[s]) if s in choice else -1 for s in seeds]
        for policy, choice in choices(asked, thresholds).items()
    }
    advice = [recommended(by[s, "profile"], thresholds) for s in seeds]
    known = [r["bayes"]["all"] for r in fits if r.get("bayes")]
    return Judged(
        name=profile["deployment"],
        cluster=profile["cluster"],
        half=profile["half"],
        facts=profile["facts"],
        seeds=seeds,
        scores=scores,
        bayes=float(np.mean(known)) if known else float("nan"),
        eligible=meeting if meeting.any() else allowed,
        none_meets=not meeting.any(),
        chosen=chosen,
        rules=[a.rule for a in advice],
        why=advice[0].reasons[0].statement,
        stale=sum(
            by[s, k]["masking"] != a.maskings[k]
            for s, a in zip(seeds, advice, strict=True)
            for k in STRATEGIES
        ),
        fits=fits,
    )


def _score(row: Row, half: str) -> float:
    return float(row["chance"] if "error" in row else row["score"][half])


def policies_of(judged: list[Judged]) -> list[str]:
    """Return the names of all policies, the matrix first, in the order in which they are met."""
    return list(dict.fromkeys([MATRIX, *(p for one in judged for p in one.chosen)]))
