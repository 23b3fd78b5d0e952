"""ROSMAP and handwritten: default late fusion against the mean of per-modality regressions.

Twenty stratified splits of the published sizes, paired; the published split once beside them. The
baseline is, per modality, an imputed and standardised logistic regression whose penalty is chosen
by five-fold cross-validation inside training; its prediction is the mean of the probabilities.

    python benchmarks/repeated_splits.py [--repeats 20] [--jobs 2]
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
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


def one_split(
    name: str, train: fw.MultimodalDataset, test: fw.MultimodalDataset, seed: int
) -> dict[str, float]:
    """Fit both on the same training rows and score them on the same test rows."""
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        late = fw.LateFusionClassifier(random_state=seed).fit(train, train.target)
        ours = metric(name, test.target, late.predict_proba(test))
        theirs = metric(name, test.target, baseline(train, test))
    return {"seed": seed, "late": ours, "baseline": theirs, "combiner": late.combiner_.name}


def main() -> None:
    """Run both sets and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    summary, published = [], []
    for name, facts in SETS.items():
        ds = read(name)
        share = float((ds.samples["split"] == "test").mean())
        pairs = [
            fw.split(ds, test=share, stratify="target", random_state=seed)
            for seed in range(arguments.repeats)
        ]
        rows = Parallel(n_jobs=arguments.jobs)(
            delayed(one_split)(name, train, test, seed) for seed, (train, test) in enumerate(pairs)
        )
        difference = np.array([r["late"] - r["baseline"] for r in rows])
        summary.append(
            {
                "set": name,
                "metric": facts["metric"],
                "splits": len(rows),
                "train": len(pairs[0][0]),
                "test": len(pairs[0][1]),
                "late": float(np.mean([r["late"] for r in rows])),
                "baseline": float(np.mean([r["baseline"] for r in rows])),
                "difference": float(difference.mean()),
                "difference_sd": float(difference.std(ddof=1)),
                "limit": facts["limit"],
            }
        )
        print(summary[-1], flush=True)
        train, test = fw.split(ds, by="column", column="split")
        row = one_split(name, train, test, 0)
        published.append({"set": name, "metric": facts["metric"], "n": len(test), **row})
        print(published[-1], flush=True)
    keep(
        "repeated_splits",
        "Default late fusion against the mean of per-modality logistic regressions",
        {
            "Repeated stratified splits, paired": pd.DataFrame(summary),
            "The published split, once": pd.DataFrame(published).drop(columns="seed"),
        },
        ["Splits overlap, so that the standard deviation over them is no standard error."],
    )


if __name__ == "__main__":
    main()
