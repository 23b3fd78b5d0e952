"""Intermediate and attention fusion against the Bayes score, where the truth is known.

Five designs of 10,000 training samples and 20,000 fresh test samples, for each of five seeds
(directions, training and test samples are drawn anew). The gap is the Bayes AUROC minus the
model's, both on the same test samples under the availability of the design; seeds are independent,
so that intervals are Student's over them. Estimators are at their defaults, except that late fusion
also stands with fixed weights where the noise varies.

    python benchmarks/learned_truth.py [--designs xor order] [--seeds 5] [--jobs 2]

Rows are kept, so that designs, models and seeds can be run one after the other. With
--members 1 a committee becomes one network, at a fifth of the cost and listed as such.
"""

from __future__ import annotations

import argparse
import time
import warnings

import pandas as pd
from joblib import Parallel, delayed
from paired import Rows, over_seeds
from results_table import keep
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

import fusewise as fw
from fusewise.simulate import Interaction, Noise

# modalities by name: number of columns, or of expected events where `timing` names them.
DESIGNS = {
    "xor": {
        "modalities": {"a": 5, "b": 5, "c": 5},
        "signal": {"a": 3.0, "b": 3.0, "c": 0.7},
        "interaction": Interaction("a", "b"),
    },
    "order": {
        "modalities": {"stream": 24, "c": 5},
        "signal": {"stream": 2.0, "c": 0.5},
        "timing": {"stream": "order"},
    },
    "times": {
        "modalities": {"stream": 24, "c": 5},
        "signal": {"stream": 2.0, "c": 0.5},
        "timing": {"stream": "times"},
    },
    "absence": {
        "modalities": {"a": 5, "b": 10, "c": 20, "d": 5},
        "signal": 1.0,
        "availability": 0.35,
    },
    "noise": {
        "modalities": {"a": 5, "b": 5, "c": 5},
        "signal": 1.0,
        "noise": Noise(levels=(0.5, 1.0, 4.0)),
    },
}
SAYS = {
    "xor": "two modalities tell only together (signal 3 each), a third one adds (0.7)",
    "order": "a stream of 24 events whose order tells, beside a table",
    "times": "a stream of 24 events whose times tell, beside a table",
    "absence": "four additive modalities, each there for 35 %",
    "noise": "three modalities whose noise is 0.5, 1 or 4 by sample, and known",
}
MODELS = {
    "intermediate": fw.IntermediateFusionClassifier,
    "attention": fw.AttentionFusionClassifier,
    "late": fw.LateFusionClassifier,
    "early": fw.EarlyFusionClassifier,
}
LEARNED = ("intermediate", "attention")
FIXED = ("mean", "weighted")
PAIRS = {
    "xor": [("intermediate", "late"), ("attention", "late")],
    "order": [("attention", "early"), ("attention", "late"), ("attention", "intermediate")],
    "times": [("attention", "early"), ("attention", "late"), ("attention", "intermediate")],
    "absence": [("intermediate", "late"), ("attention", "late")],
    "noise": [("attention", "late, mean"), ("attention", "late, weighted"), ("attention", "late")],
}


def estimator(name: str, seed: int) -> object:
    """Return an estimator at its defaults, but for what the name asks for."""
    kind, _, what = name.partition(", ")
    if kind == "late" and what:
        return fw.LateFusionClassifier(combiner=what, random_state=seed)
    if what:
        return MODELS[kind](n_members=int(what.partition("=")[2]), random_state=seed)
    return MODELS[kind](random_state=seed)


def one_fit(design: str, seed: int, name: str, n_train: int, n_test: int) -> dict[str, object]:
    """Draw the cohort of a seed, fit one model, and hold it against the Bayes posterior."""
    cohort = fw.make_cohort(n_train, n_test, **DESIGNS[design], random_state=seed)
    test, y = cohort.test, cohort.test.target
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        start = time.perf_counter()
        model = estimator(name, seed).fit(cohort.train)
        seconds = time.perf_counter() - start
        auroc = float(roc_auc_score(y, model.predict_proba(test)[:, 1]))
    bayes = float(roc_auc_score(y, cohort.bayes_proba(test)[:, 1]))
    # What can be reached without the pair, or without the stream.
    simple = cohort.bayes_proba(test.only("c"))[:, 1] if design in ("xor", "order", "times") else []
    return {
        "design": design,
        "seed": seed,
        "model": name,
        "epochs": getattr(model, "n_epochs_", None),
        "train": n_train,
        "test": n_test,
        "bayes": bayes,
        "bayes_c_alone": float(roc_auc_score(y, simple)) if len(simple) else None,
        "AUROC": auroc,
        "gap": bayes - auroc,
        "fit_seconds": round(seconds, 1),
    }


def tables(rows: list[dict[str, object]]) -> dict[str, pd.DataFrame]:
    """Return gaps, paired differences and all fits."""
    table = pd.DataFrame(rows)
    gaps, pairs = [], []
    for design in [d for d in DESIGNS if d in set(table["design"])]:
        some = table[table["design"] == design]
        wide = some.pivot_table(index="seed", columns="model", values="AUROC")
        for model, own in some.groupby("model", sort=False):
            gap = over_seeds(own["gap"])
            gaps.append(
                {
                    "design": design,
                    "model": model,
                    "seeds": len(own),
                    "bayes": own["bayes"].mean(),
                    "AUROC": own["AUROC"].mean(),
                    "gap": gap["mean"],
                    "low": gap["low"],
                    "high": gap["high"],
                    "largest_gap": own["gap"].max(),
                    "bayes_c_alone": own["bayes_c_alone"].astype(float).mean(),
                    "fit_seconds": own["fit_seconds"].mean(),
                }
            )
        # A single network in the place of a committee is compared as that would be.
        known = {name: _variants(name, wide) for pair in PAIRS[design] for name in pair}
        named = [(a, b) for one, other in PAIRS[design] for a in known[one] for b in known[other]]
        for one, other in named:
            if not _learned(other) or one.partition(", ")[2] == other.partition(", ")[2]:
                difference = (wide[one] - wide[other]).dropna()
                if len(difference):
                    pairs.append(
                        {
                            "design": design,
                            "model": one,
                            "minus": other,
                            "seeds": len(difference),
                            **over_seeds(difference),
                            "smallest": difference.min(),
                        }
                    )
    return {
        "Gap to Bayes (AUROC), mean over seeds": pd.DataFrame(gaps),
        "Paired differences of the AUROC, mean over seeds": pd.DataFrame(pairs),
        "Every fit": table.sort_values(["design", "model", "seed"]),
    }


def _variants(name: str, table: pd.DataFrame) -> list[str]:
    return [c for c in table if c == name or (_learned(name) and c.startswith(f"{name}, "))]


def _learned(name: str) -> bool:
    return name.partition(", ")[0] in LEARNED


def main() -> None:
    """Fit what is asked for, and write the tables of all that was fitted so far."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--designs", nargs="+", choices=DESIGNS, default=list(DESIGNS))
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--members", type=int, help="networks of a committee; default: as it is")
    parser.add_argument("--train", type=int, default=10_000)
    parser.add_argument("--test", type=int, default=20_000)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    kept = Rows("learned_truth", ["design", "seed", "model"])
    networks = f", n_members={arguments.members}" if arguments.members else ""
    named = [m + networks if m in LEARNED else m for m in arguments.models]
    asked = [
        (design, seed, model)
        for seed in range(arguments.seeds)
        for design in arguments.designs
        for model in named
    ]
    if "noise" in arguments.designs and "late" in arguments.models:
        fixed = [f"late, {combiner}" for combiner in FIXED]
        asked += [("noise", seed, m) for seed in range(arguments.seeds) for m in fixed]
    parallel = Parallel(n_jobs=arguments.jobs, return_as="generator_unordered")
    for row in parallel(delayed(one_fit)(*a, arguments.train, arguments.test) for a in asked):
        kept.add(row)
    keep(
        "learned_truth",
        "Intermediate and attention fusion against the Bayes AUROC",
        tables(kept.rows),
        [
            "Designs: " + "; ".join(f"{name}: {says}" for name, says in SAYS.items()) + ".",
            (
                "`bayes_c_alone`: the Bayes AUROC without the pair that interacts, or without the "
                "stream. Intervals: Student's 95 % over seeds. One thread a fit."
            ),
        ],
    )


if __name__ == "__main__":
    main()
