"""P12: how long one report on all strategies takes beyond training.

    python benchmarks/p12_comparison.py [--split 1] [--jobs 1] [--report FILE]

All four strategies are trained cheaply (few rows, few epochs), since only what comes after training
is timed: the evaluation of one of them, the comparison of all with the standing baselines, and the
report. Committees have their default size, so that predicting costs what it would. Processor seconds
are those of the one process; with --jobs the comparison's are elsewhere, and the wall seconds tell.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from p12 import read
from results_table import keep
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fusewise as fw
from fusewise.fusion.boosting import BoostedTreesClassifier

N_TRAIN = 1_500


class StaticAlone:
    """The model of one modality: what late fusion says from the static table."""

    def __init__(self, late: Any) -> None:
        self.late, self.classes_ = late, late.classes_

    def answerable(self, dataset: fw.MultimodalDataset) -> np.ndarray:
        """Return which samples have it."""
        return self.late.answerable(dataset.only("static"))

    def predict_proba(self, dataset: fw.MultimodalDataset) -> np.ndarray:
        """Return probabilities from it alone."""
        return self.late.predict_proba(dataset.only("static"))


def trained(train: fw.MultimodalDataset) -> dict[str, Any]:
    """Return all strategies and the standing baselines, cheaply trained."""
    few = {"max_epochs": 2, "random_state": 0}
    boosted = BoostedTreesClassifier(n_models=1, max_iter=100, random_state=0)
    linear = make_pipeline(
        SimpleImputer(keep_empty_features=True), StandardScaler(), LogisticRegression(max_iter=500)
    )
    late = fw.LateFusionClassifier(experts=linear, random_state=0)
    models = {
        "early": fw.EarlyFusionClassifier(estimator=boosted, random_state=0),
        "late": late,
        "intermediate": fw.IntermediateFusionClassifier(**few),
        "attention": fw.AttentionFusionClassifier(**few),
        "presence only": fw.PresenceOnlyClassifier(random_state=0),
    }
    fitted = {name: model.fit(train) for name, model in models.items()}
    return fitted | {"best single modality (static)": StaticAlone(fitted["late"])}


def timed(rows: list[dict[str, object]], what: str, do: Callable[[], Any]) -> Any:
    """Return what a step gives; note what it took."""
    wall, began = time.perf_counter(), time.process_time()
    found = do()
    rows.append(
        {
            "step": what,
            "processor seconds": round(time.process_time() - began, 1),
            "wall seconds": round(time.perf_counter() - wall, 1),
        }
    )
    print(rows[-1], flush=True)
    return found


def main() -> None:
    """Train cheaply, time the rest, keep the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--split", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="predictors asked at the same time")
    parser.add_argument("--report", type=Path, help="where to write the report (HTML)")
    given = parser.parse_args()
    train, test = read(given.split)
    rng = np.random.default_rng(0)
    train = train[np.sort(rng.permutation(len(train))[:N_TRAIN])]
    rows: list[dict[str, object]] = []
    models = timed(rows, "training, cheap", lambda: trained(train))
    common = {"train_presence": train.presence, "random_state": 0}
    baselines = {name: models[name] for name in ("late", "presence only")}
    evaluation = timed(
        rows,
        "evaluate (attention)",
        lambda: fw.evaluate(models["attention"], test, baselines=baselines, **common),
    )
    comparison = timed(
        rows,
        "compare (six predictors)",
        lambda: fw.compare(models, test, n_jobs=given.jobs, **common),
    )
    page = fw.report(evaluation=evaluation, comparison=comparison, title="P12")
    with tempfile.TemporaryDirectory() as folder:
        path = given.report or Path(folder) / "report.html"
        timed(rows, "report", lambda: page.save(path))
    after = sum(float(str(r["wall seconds"])) for r in rows[1:])
    keep(
        "p12_comparison",
        "One report on all strategies, P12: what it takes beyond training",
        {"Steps": pd.DataFrame(rows)},
        [
            (
                f"Split {given.split}: {len(test):,} test samples, {test.n_modalities} modalities, "
                f"{len(test.patterns())} natural patterns, {evaluation.n_boot:,} replicates, "
                f"{len(evaluation.metrics)} metrics. Beyond training {after:.0f} seconds, "
                f"{given.jobs} predictors at a time in the comparison. The models are trained for the time only: their scores mean nothing."
            )
        ],
    )


if __name__ == "__main__":
    main()
