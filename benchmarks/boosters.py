"""Which booster early fusion takes by default: LightGBM against scikit-learn's, out of fold.

Five folds over the training and validation rows of P12's first split; no test row is used.
Differences are paired, with percentile intervals of a bootstrap over samples.

    python benchmarks/boosters.py
"""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
from p12 import read
from results_table import keep
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

import fusewise as fw
from fusewise.fusion import BoostedTreesClassifier

MODELS = {
    "LightGBM, the default (three seeds)": None,
    "LightGBM, one seed": BoostedTreesClassifier(),
    "HistGradientBoosting, defaults": HistGradientBoostingClassifier(random_state=0),
    "HistGradientBoosting, small steps, column subsampling": HistGradientBoostingClassifier(
        learning_rate=0.03,
        max_iter=2000,
        max_leaf_nodes=15,
        l2_regularization=10,
        max_features=0.2,
        early_stopping=True,
        n_iter_no_change=50,
        validation_fraction=0.15,
        random_state=0,
    ),
}
REPLICATES = 1000


def main() -> None:
    """Predict out of fold, compare pairwise, and write the table."""
    train, _ = read(1)
    train = train.with_validation(np.zeros(len(train), dtype=bool))
    y = train.target
    folds = list(StratifiedKFold(5, shuffle=True, random_state=0).split(np.zeros(len(y)), y))
    predicted, seconds = {}, {}
    for name, estimator in MODELS.items():
        proba, spent = np.zeros(len(y)), 0.0
        for fit, held in folds:
            start = time.perf_counter()
            with threadpool_limits(1):
                model = fw.EarlyFusionClassifier(estimator).fit(train[fit], y[fit])
            spent += time.perf_counter() - start
            proba[held] = model.predict_proba(train[held])[:, 1]
        predicted[name], seconds[name] = proba, spent / len(folds)
        print(name, roc_auc_score(y, proba), f"{seconds[name]:.1f} s", flush=True)
    rng = np.random.default_rng(0)
    draws = [rng.integers(0, len(y), len(y)) for _ in range(REPLICATES)]
    reference = next(iter(MODELS))
    rows = []
    for name, proba in predicted.items():
        difference = [
            roc_auc_score(y[d], predicted[reference][d]) - roc_auc_score(y[d], proba[d])
            for d in draws
        ]
        low, high = np.percentile(difference, [2.5, 97.5])
        gain = roc_auc_score(y, predicted[reference]) - roc_auc_score(y, proba)
        rows.append(
            {
                "booster": name,
                "n": len(y),
                "AUROC": roc_auc_score(y, proba),
                "AUPRC": average_precision_score(y, proba),
                "default minus this, AUROC": f"{gain:+.4f} [{low:+.4f}, {high:+.4f}]",
                "seconds a fit": seconds[name],
            }
        )
    keep(
        "boosters",
        "The default booster of early fusion, on P12",
        {"Out of fold, training and validation rows of split 1": pd.DataFrame(rows)},
        ["One thread a fit."],
    )


if __name__ == "__main__":
    main()
