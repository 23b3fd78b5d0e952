"""Prediction sets at 90 % per availability pattern: how often they hold, and how large they are.

Simulated: on cohorts whose absence is independent of all else, one model is fitted once, and
calibration and test samples are drawn anew 100 times. All patterns come equally often in the test
draws (a shift: in the calibration draws they do not). A pattern holds if the lower 99 % limit of
its mean coverage (Student, one-sided, over redraws) is at least .895. Draws are large, as few
samples could not tell .895 from .9. Real: P12 on split 1 (fitted on training, calibrated on
validation, measured on test rows), and handwritten with a quarter of its training rows kept for
calibration and modalities withheld from its test rows; there nothing is promised.

    python benchmarks/prediction_sets.py [--sets binary regression p12] [--redraws 100] [--jobs 2]

Rows are kept, so that sets can be run one after the other.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from p12 import read as read_p12
from paired import Rows
from repeated_splits import read as read_set
from results_table import keep
from scipy.stats import t as student
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

import fusewise as fw
from fusewise.evaluate.conformal_pattern import covers, sizes

ALPHA, LIMIT = 0.1, 0.895
CALIBRATION, TEST = 6_000, 12_000
PATTERNS = ("a", "b", "c", "a+b", "a+c", "b+c", "a+b+c")
WIDTHS = {"a": 5, "b": 5, "c": 5}
# Few calibration samples have all three, none has b and c alone, which the test draws ask for.
RARE = {"patterns": {"a": 0.3, "b": 0.25, "c": 0.2, "a+b": 0.2495, "a+b+c": 0.0005}}


def linear(last: object) -> object:
    """Return a cheap model on imputed and standardised features."""
    return make_pipeline(SimpleImputer(), StandardScaler(), last)


STRONG = {"a": 1.5, "b": 1.0, "c": 0.6}
COHORTS = {
    "binary": {
        "design": {"signal": STRONG, "availability": 0.7},
        "model": lambda: fw.LateFusionClassifier(experts=linear(LogisticRegression())),
    },
    "three classes": {
        "design": {"signal": STRONG, "availability": 0.7, "task": "multiclass"},
        "model": lambda: fw.EarlyFusionClassifier(linear(LogisticRegression()), absent="impute"),
    },
    "three classes, aps": {
        "design": {"signal": STRONG, "availability": 0.7, "task": "multiclass"},
        "model": lambda: fw.EarlyFusionClassifier(linear(LogisticRegression()), absent="impute"),
        "score": "aps",
    },
    "regression": {
        "design": {"signal": STRONG, "availability": 0.7, "task": "regression"},
        "model": lambda: fw.LateFusionRegressor(experts=linear(Ridge())),
    },
    "binary, rare patterns": {
        "design": {"signal": STRONG, "availability": RARE},
        "model": lambda: fw.LateFusionClassifier(experts=linear(LogisticRegression())),
    },
}
REAL = ("p12", "handwritten")
SIMULATED_METHODS = ("auto", "split")
REAL_METHODS = ("auto", "mondrian", "split")


def one_redraw(
    cohort: fw.simulate.Cohort, model: object, score: str | None, seed: int
) -> list[dict[str, object]]:
    """Return coverage and size of every pattern and method in one redraw."""
    calibration = cohort.draw(CALIBRATION, regime="training", random_state=2 * seed)
    test = cohort.draw(TEST, regime="deployment", random_state=2 * seed + 1)
    rows = []
    with threadpool_limits(1):
        for method in SIMULATED_METHODS:
            sets_of = fw.conformalise(
                model, calibration, alpha=ALPHA, method=method, score=score, random_state=seed
            )
            sets = sets_of.predict_set(test)
            truth = test.target
            if sets.dtype == bool:
                truth = np.searchsorted(sets_of.classes_, truth)
            behind = sets_of.thresholds(test).set_index("pattern")
            for pattern in PATTERNS:
                own = test.pattern == pattern
                rows.append(
                    {
                        "method": method,
                        "pattern": pattern,
                        "used": behind.loc[pattern, "method"],
                        "n_calibration": int(behind.loc[pattern, "n_calibration"]),
                        "coverage": covers(sets[own], truth[own]).mean(),
                        "mean_size": sizes(sets[own]).mean(),
                    }
                )
    return rows


def simulate(name: str, redraws: int, jobs: int, kept: Rows) -> None:
    """Fit one model and keep the mean coverage of every pattern over the redraws."""
    facts = COHORTS[name]
    start = time.perf_counter()
    cohort = fw.make_cohort(
        1_500,
        10,
        modalities=WIDTHS,
        deployment_availability={"patterns": dict.fromkeys(PATTERNS, 1)},
        random_state=0,
        **facts["design"],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = facts["model"]().fit(cohort.train)
    drawn = Parallel(n_jobs=jobs)(
        delayed(one_redraw)(cohort, model, facts.get("score"), seed) for seed in range(redraws)
    )
    table = pd.DataFrame([row for rows in drawn for row in rows])
    for (method, pattern), some in table.groupby(["method", "pattern"], sort=False):
        mean = some["coverage"].mean()
        error = some["coverage"].std(ddof=1) / np.sqrt(len(some))
        low = mean - student.ppf(0.99, len(some) - 1) * error
        kept.add(
            {
                "set": name,
                "method": method,
                "view": "natural",
                "pattern": pattern,
                "used": ", ".join(sorted(set(some["used"]))),
                "redraws": len(some),
                "n_calibration": round(some["n_calibration"].mean()),
                "coverage": mean,
                "low_99": low,
                "mean_size": some["mean_size"].mean(),
                "holds": "yes" if low >= LIMIT else "no",
            }
        )
    print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)


def read_real(name: str) -> tuple[object, fw.MultimodalDataset, fw.MultimodalDataset, object]:
    """Return training, calibration and test rows, and the deployment to withhold for."""
    if name == "p12":
        train, test = read_p12(1)
        flags = np.asarray(train.validation)
        return train[~flags], train[flags], test[test.presence.any(axis=1)], None
    train, test = fw.split(read_set(name), by="column", column="split")
    train, calibration = fw.split(train, test=0.25, stratify="target", random_state=0)
    rates = dict.fromkeys(test.modalities, 0.5)
    return train, calibration, test, {"rates": rates}


def measure(name: str, jobs: int, kept: Rows) -> None:
    """Fit late fusion of linear experts and keep the coverage table of each method."""
    start = time.perf_counter()
    train, calibration, test, deployment = read_real(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        last = LogisticRegression(C=0.1, max_iter=500)
        model = fw.LateFusionClassifier(experts=linear(last), n_jobs=jobs).fit(train)
    for method in REAL_METHODS:
        sets_of = fw.conformalise(model, calibration, alpha=ALPHA, method=method)
        table = fw.coverage_by_pattern(sets_of, test, deployment=deployment)
        kept.rows = [r for r in kept.rows if (r["set"], r["method"]) != (name, method)]
        kept.add(
            *(
                {k: _plain(v) for k, v in row.items()} | {"set": name, "method": method}
                for row in table.rename(columns={"method": "used"}).to_dict("records")
            )
        )
    print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)


def _plain(value: object) -> object:
    return None if isinstance(value, float) and not np.isfinite(value) else value


def tables(rows: list[dict[str, object]]) -> dict[str, pd.DataFrame]:
    """Return the tables of all that was measured so far."""
    table = pd.DataFrame(rows)
    known = table[table["set"].isin(COHORTS)]
    order = {name: i for i, name in enumerate(COHORTS)}
    known = known.sort_values("set", key=lambda c: c.map(order), kind="stable")
    counted = known.groupby(["set", "method"], sort=False).agg(
        patterns=("pattern", "nunique"),
        hold=("holds", lambda h: int((h == "yes").sum())),
        lowest_coverage=("coverage", "min"),
        lowest_limit=("low_99", "min"),
        highest_coverage=("coverage", "max"),
        mean_size=("mean_size", "mean"),
    )
    columns = ["set", "method", "pattern", "used", "redraws", "n_calibration"]
    columns += ["coverage", "low_99", "holds", "mean_size"]
    every = known[columns].astype({"redraws": int, "n_calibration": int})
    out = {
        "Simulated: patterns that hold": counted.reset_index(),
        "Simulated: every pattern": every,
    }
    real = table[table["set"].isin(REAL)]
    if len(real):
        large = real[(real["n"] >= 30) & (real["pattern"] != "(all)")]
        summary = large.groupby(["set", "method", "view"], sort=False).agg(
            patterns=("pattern", "nunique"),
            lowest_coverage=("coverage", "min"),
            median_coverage=("coverage", "median"),
            highest_coverage=("coverage", "max"),
            surely_below=("high", lambda h: int((h < 1 - ALPHA).sum())),
            surely_above=("low", lambda h: int((h > 1 - ALPHA).sum())),
            mean_size=("mean_size", "mean"),
        )
        shown = ["set", "method", "pattern", "used", "n", "n_calibration"]
        everyone = real[real["pattern"] == "(all)"]
        common = ["coverage", "low", "high", "lowest_class_coverage", "mean_size"]
        common += ["share_empty", "share_single", "share_everything"]
        out["Real: all test samples as they came"] = everyone[
            ["set", "method", "n", *common]
        ].astype({"n": int})
        out["Real: patterns with at least 30 test samples"] = summary.reset_index()
        natural = large[large["view"] == "natural"]
        out["Real: natural patterns with at least 30 test samples"] = natural[
            [*shown, "coverage", "low", "high", "mean_size", "share_everything"]
        ].astype({"n": int, "n_calibration": int})
    return {caption: t.fillna(np.nan) for caption, t in out.items()}


def main() -> None:
    """Measure the sets that are asked for; write the tables of all so far."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    every = [*COHORTS, *REAL]
    parser.add_argument("--sets", nargs="*", choices=every, default=every)
    parser.add_argument("--redraws", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    kept = Rows("prediction_sets", ["set", "method", "view", "pattern"])
    for name in arguments.sets:
        if name in REAL:
            measure(name, arguments.jobs, kept)
        else:
            simulate(name, arguments.redraws, arguments.jobs, kept)
    keep(
        "prediction_sets",
        "Prediction sets at 90 % per availability pattern",
        tables(kept.rows),
        [
            (
                f"Simulated: {CALIBRATION:,} calibration and {TEST:,} test samples a redraw; "
                "`low_99` is the lower 99 % limit of the mean over redraws, and a pattern holds if "
                f"it is at least {LIMIT}. `used` is what `auto` chose. `mean_size`: classes, or "
                "width. Real: late fusion of linear experts (cheap, not the best), fitted, calibrated and measured once; "
                "intervals (Wilson, 95 %) hold neither another calibration set nor another "
                "training. `surely_below` counts patterns whose interval ends below .9. On P12 "
                "presence is informative, so that nothing is promised but to `mondrian`'s natural "
                "patterns. In handwritten all samples are complete: its withheld view has the 30 "
                "heaviest patterns of a deployment that lacks each view half of the time."
            )
        ],
    )


if __name__ == "__main__":
    main()
