"""Do the intervals of an evaluation hold the true score, and do comparisons keep their level?

    python benchmarks/interval_coverage.py [--evaluations 2000] [--jobs 2]

A predictor whose logit is normal in each class has known scores: ROC AUC in closed form, the others
by integration over a fine grid. Each simulated evaluation draws a cell of samples anew, scores it and
its interval as `fusewise.evaluate` does, and the share of intervals that hold the true score is
counted. Cells differ in size and prevalence; in one, samples come in clusters of three that are
alike. For the comparison two predictors of equal skill are drawn, whose errors are correlated.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from results_table import keep
from scipy import stats
from scipy.special import expit
from sklearn.metrics import average_precision_score

from fusewise.evaluate import find_metric
from fusewise.evaluate.pairs import p_value
from fusewise.evaluate.predictions import Predicted
from fusewise.evaluate.scoring import Scoring

METRICS = ("roc_auc", "average_precision", "log_loss", "brier_score", "accuracy")
SHIFT = 1.5
# n, prevalence, samples per cluster.
CELLS = [
    (130, 0.5, 1),
    (250, 0.3, 1),
    (700, 0.1, 1),
    (1_000, 0.3, 1),
    (450, 0.3, 3),
    (60, 0.3, 1),
    (30, 0.5, 1),
]
ENOUGH = 50
# Correlation of the errors of two predictors, and of the samples of a cluster.
ALIKE, WITHIN = 0.5, 0.7


def truths(prevalence: float) -> dict[str, float]:
    """Return the true score of the calibrated predictor with this prevalence."""
    grid = stats.norm.ppf((np.arange(100_000) + 0.5) / 100_000)
    prior = np.log(prevalence / (1 - prevalence))
    logit = np.concatenate([SHIFT * grid + s * SHIFT**2 / 2 + prior for s in (1, -1)])
    y = np.repeat([1, 0], len(grid))
    weight = np.repeat([prevalence, 1 - prevalence], len(grid))
    p = expit(logit)
    proba = np.column_stack([1 - p, p])
    found = {"roc_auc": float(stats.norm.cdf(SHIFT / np.sqrt(2)))}
    for name in ("log_loss", "brier_score"):
        found[name] = float(find_metric(name, "binary").point(y, proba, 2, weight))
    found["average_precision"] = float(average_precision_score(y, p, sample_weight=weight))
    found["accuracy"] = float(np.average((p > 0.5) == (y == 1), weights=weight))
    return found


def drawn(
    rng: np.random.Generator, n: int, prevalence: float, size: int, n_predictors: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return classes, clusters, and the logits of predictors that are equally good."""
    unit = np.arange(n) // size
    y = (rng.random(unit[-1] + 1) < prevalence).astype(np.intp)[unit]
    own = rng.normal(size=(n_predictors, n))
    if size > 1:
        # Samples of a cluster share a part of their error.
        shared = rng.normal(size=(n_predictors, unit[-1] + 1))[:, unit]
        own = np.sqrt(WITHIN) * shared + np.sqrt(1 - WITHIN) * own
    common = rng.normal(size=n)
    error = own if n_predictors == 1 else np.sqrt(ALIKE) * common + np.sqrt(1 - ALIKE) * own
    prior = np.log(prevalence / (1 - prevalence))
    return y, unit, SHIFT * error + SHIFT**2 * (y - 0.5) + prior


def answered(logit: np.ndarray) -> Predicted:
    """Return a predictor's answers."""
    p = expit(logit)
    return Predicted(
        np.ones(len(p), dtype=bool), np.column_stack([1 - p, p]), (p > 0.5).astype(np.intp)
    )


def scoring_of(y: np.ndarray, unit: np.ndarray, seed: int, n_boot: int) -> Scoring:
    """Return how `evaluate` would score these samples."""
    metrics = tuple(find_metric(name, "binary") for name in METRICS)
    return Scoring(y, 2, unit, metrics, n_boot, 30, seed)


def one(cell: tuple[int, float, int], number: int, seed: int, n_boot: int) -> dict[str, object]:
    """Return whether each interval holds the truth, and whether equal predictors are told apart."""
    rng = np.random.default_rng([seed, number])
    n, prevalence, size = cell
    y, unit, logit = drawn(rng, n, prevalence, size, 1)
    rows = np.arange(n)
    out: dict[str, object] = {"fewest": int(np.bincount(y, minlength=2).min())}
    scoring = scoring_of(y, unit, seed, n_boot)
    truth = truths_of[prevalence]
    for name, score in zip(METRICS, scoring.measure(rows, answered(logit[0]), "cell"), strict=True):
        low, high, _ = score.limits()
        out[name] = np.nan if np.isnan(low) else float(low <= truth[name] <= high)
    y, unit, logits = drawn(rng, n, prevalence, size, 2)
    scoring = scoring_of(y, unit, seed, n_boot)
    arms = [[(rows, answered(logit))] for logit in logits]
    first, second = scoring.arms(rows, arms, "pair")
    for name, a, b in zip(METRICS, first, second, strict=True):
        p = p_value(a - b)
        out[f"told apart: {name}"] = np.nan if np.isnan(p) else float(p < 0.05)
    return out


truths_of = {prevalence: truths(prevalence) for _, prevalence, _ in CELLS}


def share(values: pd.Series) -> str:
    """Return a share with its 95 % Wilson limits."""
    known = values.dropna()
    if known.empty:
        return "-"
    limits = stats.binomtest(int(known.sum()), len(known)).proportion_ci(method="wilson")
    return f"{known.mean():.3f} [{limits.low:.3f}, {limits.high:.3f}]"


def main() -> None:
    """Simulate, count, keep the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--evaluations", type=int, default=2000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--boot", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    held, levels = [], []
    for number, cell in enumerate(CELLS):
        found = pd.DataFrame(
            Parallel(n_jobs=given.jobs, batch_size=25)(
                delayed(one)(cell, i, 1000 * given.seed + number, given.boot)
                for i in range(given.evaluations)
            )
        )
        n, prevalence, size = cell
        where = {"n": n, "prevalence": prevalence, "per cluster": size}
        large = found[found["fewest"] >= ENOUGH]
        for kind, some in (
            ("at least 50 of each class", large),
            ("fewer", found.drop(large.index)),
        ):
            if len(some) < 100:
                continue
            counted = where | {"cells": kind, "evaluations": len(some)}
            held.append(counted | {name: share(some[name]) for name in METRICS})
            levels.append(counted | {m: share(some[f"told apart: {m}"]) for m in METRICS})
        print(cell, "done", flush=True)
    keep(
        "interval_coverage",
        "Intervals and comparisons of an evaluation, where the truth is known",
        {
            "Share of 95 % intervals that hold the true score": pd.DataFrame(held),
            "Share of pairs of equally good predictors that are told apart (p < 0.05)": (
                pd.DataFrame(levels)
            ),
        },
        [
            (
                f"{given.evaluations} simulated evaluations per cell, {given.boot} bootstrap "
                "replicates each; Wilson limits of the shares in brackets."
            )
        ],
    )


if __name__ == "__main__":
    main()
