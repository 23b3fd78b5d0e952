"""A cohort whose best score is known for every availability pattern, and predictors for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from fusewise.data import MultimodalDataset

SHIFTS = {"a": 1.5, "b": 1.0, "c": 0.5}


@dataclass
class Oracle:
    """The best predictor: each present modality adds ``shift * x`` to the log-odds."""

    shifts: Mapping[str, float] = field(default_factory=lambda: dict(SHIFTS))
    calls: int = 0
    rows: int = 0

    def predict_proba(self, dataset: MultimodalDataset) -> np.ndarray:
        self.calls += 1
        self.rows += len(dataset)
        logit = np.zeros(len(dataset))
        for name in dataset.modalities:
            positions, frame = dataset.features(name)
            logit[positions] += self.shifts.get(name, 0.0) * frame["x"].to_numpy()
        p = 1 / (1 + np.exp(-logit))
        return np.column_stack([1 - p, p])

    @staticmethod
    def auroc(pattern: str) -> float:
        """The true AUROC of a pattern: log-odds differ by sum of squared shifts between classes."""
        return float(norm.cdf(np.sqrt(sum(SHIFTS[m] ** 2 for m in pattern.split("+")) / 2)))


Cohort = Callable[..., MultimodalDataset]


def make_cohort(
    n: int = 600,
    *,
    rates: Mapping[str, float] | None = None,
    presence: np.ndarray | None = None,
    seed: int = 0,
    y: np.ndarray | None = None,
    cluster: np.ndarray | None = None,
    order: np.ndarray | None = None,
) -> MultimodalDataset:
    """Classes differ by ``shift`` in the mean of each modality; absence is at random."""
    rng = np.random.default_rng(seed)
    drawn = (rng.random(n) < 0.5).astype(int)
    y = drawn if y is None else y
    x = {m: rng.normal(size=n) + shift * (y - 0.5) for m, shift in SHIFTS.items()}
    random = rng.random((n, len(SHIFTS)))
    if presence is None:
        limits = np.array([(rates or {}).get(m, 1.0) for m in SHIFTS])
        presence = random < limits
        presence[:, 0] |= ~presence.any(axis=1)
    ids = np.array([f"s{i:05d}" for i in range(n)])
    samples = pd.DataFrame({"id": ids, "y": y})
    if cluster is not None:
        samples["cluster"] = cluster
    if order is not None:
        samples = samples.iloc[order]
    tables = {
        m: pd.DataFrame({"id": ids[has], "x": x[m][has]})
        for m, has in zip(SHIFTS, presence.T, strict=True)
    }
    return MultimodalDataset(
        tables,
        samples=samples,
        id="id",
        target="y",
        task="binary",
        cluster=None if cluster is None else "cluster",
    )


@pytest.fixture
def cohort() -> Cohort:
    return make_cohort


@pytest.fixture
def oracle() -> Oracle:
    return Oracle()


@pytest.fixture
def oracle_type() -> type[Oracle]:
    return Oracle
