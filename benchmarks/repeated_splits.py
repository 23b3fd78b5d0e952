"""ROSMAP and handwritten: default estimators against the mean of per-modality regressions.

Twenty stratified splits of the published sizes, paired; the published split once beside them. The
baseline is, per modality, an imputed and standardised logistic regression whose penalty is chosen
by five-fold cross-validation inside training; its prediction is the mean of the probabilities.

    python benchmarks/repeated_splits.py [--models late intermediate] [--repeats 20] [--jobs 2]

Rows are kept, so that models can be run one after the other; --again fits anew. Tables are of the
models asked for, in the files that --name names (repeated_splits_learned for intermediate).
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from paired import Rows, over_splits
from results_table import data_folder, keep
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

import fusewise as fw

SETS = {
    "rosmap": {"target": "alzheimer", "task": "binary", "limit": -0.01, "metric": "AUC"},
    "handwritten": {"target": "digit", "task": "multiclass", "limit": -0.005, "metric": "accuracy"},
}
MODELS = {
    "late": fw.LateFusionClassifier,
    "early": fw.EarlyFusionClassifier,
    "intermediate": fw.IntermediateFusionClassifier,
    "attention": fw.AttentionFusionClassifier,
}
BASELINE = "per-modality regressions"


def read(name: str) -> fw.MultimodalDataset:
    """Return the whole set, with its published split carried along."""
    folder = data_folder() / name
    tables = sorted(p for p in folder.glob("*.parquet") if p.stem != "samples")
    return fw.MultimodalDataset(
        {p.stem: p for p in tables},
        samples=folder / "samples.parquet",
        id="sample_id",
        target=SETS[name]["target"],
        task=SETS[name]["task"],
        extra=["split"],
    )


def baseline(train: fw.MultimodalDataset, test: fw.MultimodalDataset) -> np.ndarray:
    """Return the mean of per-modality logistic regressions' probabilities."""
    total = 0.0
    for name in train.modalities:
        _, X = train.features(name)
        model = make_pipeline(
            SimpleImputer(),
            StandardScaler(),
            LogisticRegressionCV(
                Cs=np.logspace(-4, 1, 6),
                cv=5,
                scoring="neg_log_loss",
                max_iter=1000,
                use_legacy_attributes=False,
                l1_ratios=(0,),
            ),
        ).fit(X.to_numpy(), train.target)
        total = total + model.predict_proba(test.features(name)[1].to_numpy())
    return total / len(train.modalities)


def metric(name: str, y: np.ndarray, proba: np.ndarray) -> float:
    """Return AUC (binary) or accuracy (multiclass)."""
    if SETS[name]["metric"] == "AUC":
        return float(roc_auc_score(y, proba[:, 1]))
    return float(accuracy_score(y, np.unique(y)[proba.argmax(axis=1)]))


def pair(ds: fw.MultimodalDataset, seed: int) -> tuple[fw.MultimodalDataset, fw.MultimodalDataset]:
    """Return training and test rows of a stratified split; of the published one for seed -1."""
    if seed < 0:
        return fw.split(ds, by="column", column="split")
    share = float((ds.samples["split"] == "test").mean())
    return fw.split(ds, test=share, stratify="target", random_state=seed)


def one_fit(name: str, ds: fw.MultimodalDataset, seed: int, model: str) -> dict[str, object]:
    """Fit one model on a split and score it on the test rows."""
    train, test = pair(ds, seed)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        start = time.perf_counter()
        if model == BASELINE:
            proba = baseline(train, test)
        else:
            proba = MODELS[model](random_state=max(0, seed)).fit(train).predict_proba(test)
        seconds = time.perf_counter() - start
    return {
        "set": name,
        "seed": seed,
        "model": model,
        "train": len(train),
        "test": len(test),
        "score": metric(name, test.target, proba),
        "seconds": round(seconds, 1),
    }


def tables(rows: list[dict[str, object]], models: list[str]) -> dict[str, pd.DataFrame]:
    """Return the paired comparison over the splits, and the published split, of some models."""
    table = pd.DataFrame(rows)
    summary, published = [], []
    for name, facts in SETS.items():
        some = table[table["set"] == name]
        if some.empty:
            continue
        wide = some[some["seed"] >= 0].pivot_table(index="seed", columns="model", values="score")
        share = float((some["test"] / some["train"]).iloc[0])
        for model in [m for m in models if m in wide]:
            both = wide[[model, BASELINE]].dropna()
            difference = both[model] - both[BASELINE]
            interval = over_splits(difference, share)
            summary.append(
                {
                    "set": name,
                    "metric": facts["metric"],
                    "model": model,
                    "splits": len(both),
                    "score": both[model].mean(),
                    "baseline": both[BASELINE].mean(),
                    "difference": interval["mean"],
                    "low": interval["low"],
                    "high": interval["high"],
                    "difference_sd": difference.std(ddof=1),
                    "limit": facts["limit"],
                    "seconds": some.loc[some["model"] == model, "seconds"].mean(),
                }
            )
        once = some[some["seed"] < 0]
        published.append(
            {"set": name, "metric": facts["metric"]}
            | {"n": int(once["test"].iloc[0])}
            | {m: once.loc[once["model"] == m, "score"].max() for m in [*models, BASELINE]}
        )
    return {
        "Repeated stratified splits, paired": pd.DataFrame(summary),
        "The published split, once": pd.DataFrame(published).dropna(axis=1, how="all"),
    }


def main() -> None:
    """Run what is asked for, and write the tables of all that was run so far."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--again", action="store_true", help="fit anew what was fitted before")
    parser.add_argument("--name", default="repeated_splits", help="of the files with the tables")
    arguments = parser.parse_args()
    kept = Rows("repeated_splits", ["set", "seed", "model"])
    done = {(r["set"], r["seed"], r["model"]) for r in kept.rows}
    for name in arguments.sets:
        ds = read(name)
        asked = [
            (seed, model)
            for seed in range(-1, arguments.repeats)
            for model in [BASELINE, *arguments.models]
            if (name, seed, model) not in done or (arguments.again and model != BASELINE)
        ]
        parallel = Parallel(n_jobs=arguments.jobs, return_as="generator_unordered")
        for row in parallel(delayed(one_fit)(name, ds, seed, model) for seed, model in asked):
            kept.add(row)
    keep(
        arguments.name,
        "Default estimators against the mean of per-modality logistic regressions",
        tables(kept.rows, arguments.models),
        [
            (
                "Difference: model minus baseline, with a 95 % interval that is corrected for the "
                "overlap of the splits (Nadeau and Bengio 2003); the standard deviation over "
                "splits is no standard error. Seconds of one fit on one thread, contended."
            )
        ],
    )


if __name__ == "__main__":
    main()
