"""Late fusion against the Bayes score, per availability pattern, where the truth is known.

Five additive cohorts (modalities independent given the target): 20,000 training samples, 100,000
fresh test samples; the gap is the Bayes AUROC minus the model's, both on the same samples.

    python benchmarks/known_truth.py [--cohorts 5] [--jobs 2]
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd
from results_table import keep
from sklearn.metrics import roc_auc_score

import fusewise as fw

DESIGNS = [
    {"modalities": {"a": 5, "b": 5, "c": 5}, "signal": 1.0, "availability": 0.7},
    {"modalities": {"a": 3, "b": 20, "c": 50}, "signal": {"a": 1.5, "b": 1.0, "c": 0.7},
     "availability": {"a": 0.95, "b": 0.6, "c": 0.3}},
    {"modalities": {"a": 8, "b": 8, "c": 8, "d": 8}, "signal": 0.8, "availability": 0.6},
    {"modalities": {"a": 10, "b": 10}, "signal": {"a": 2.0, "b": 0.5}, "availability": 0.8},
    {"modalities": {"a": 4, "b": 4, "c": 30, "d": 6}, "signal": 1.2, "prior": 0.2,
     "availability": {"a": 0.9, "b": 0.7, "c": 0.4, "d": 0.2}},
]  # fmt: skip


def main() -> None:
    """Fit, compare pattern by pattern, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cohorts", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    rows = []
    for seed, design in enumerate(DESIGNS[: arguments.cohorts]):
        cohort = fw.make_cohort(20_000, 100_000, **design, random_state=seed)
        model = fw.LateFusionClassifier(n_jobs=arguments.jobs).fit(cohort.train)
        got = model.predict_proba(cohort.test)[:, 1]
        bayes = cohort.bayes_proba(cohort.test)[:, 1]
        for pattern, n in cohort.test.patterns()[["pattern", "n"]].itertuples(index=False):
            which = cohort.test.pattern == pattern
            y = cohort.test.target[which]
            truth, ours = roc_auc_score(y, bayes[which]), roc_auc_score(y, got[which])
            rows.append(
                {
                    "cohort": seed + 1,
                    "pattern": pattern,
                    "n": n,
                    "bayes": truth,
                    "late": ours,
                    "gap": truth - ours,
                    "combiner": model.combiner_.name,
                }
            )
        print(f"cohort {seed + 1}: {model.combiner_.name}", flush=True)
    table = pd.DataFrame(rows)
    by_cohort = table.groupby("cohort").agg(
        patterns=("pattern", "size"), mean_gap=("gap", "mean"), largest_gap=("gap", "max")
    )
    keep(
        "known_truth",
        "Late fusion against the Bayes AUROC on additive cohorts",
        {
            "By cohort": by_cohort.reset_index(),
            "By pattern": table,
            "Mean gap over patterns": pd.DataFrame(
                [{"mean_gap": float(np.mean(table["gap"])), "limit": 0.01}]
            ),
        },
        [],
    )


if __name__ == "__main__":
    main()
