"""Two ways to predict the same samples, compared out of fold."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fusewise.data import MultimodalDataset, folds

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

N_FOLDS = 5
# Of the training part of a fold one part in seven stops the boosting.
_INNER = 7
_SETTINGS: dict[str, Any] = {
    "learning_rate": 0.1,
    "num_leaves": 15,
    "min_child_samples": 20,
    "reg_lambda": 10.0,
    "subsample": 0.8,
    "subsample_freq": 1,
    "n_estimators": 300,
    "n_jobs": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}
_PATIENCE = 20
# Of the columns for each tree, but no fewer than eight.
_COLUMNS = 0.3


@dataclass(frozen=True)
class Part:
    """The rows of one fold: to fit on, to stop by, to predict; and its seed."""

    fit: IntArray
    stop: IntArray
    test: IntArray
    seed: int


@dataclass(frozen=True)
class Effect:
    """By how much one way of predicting is better than another, out of fold.

    Attributes
    ----------
    n : int
        Samples.
    metric : str
        ``roc_auc``, ``accuracy`` or ``r2``, of which `scores` has both.
    scores : (float, float)
    value, low, high : float
        By how much the mean loss falls, with a 95 % interval: log loss in nats, or squared error
        in units of the target's variance.
    """

    n: int
    metric: str
    scores: tuple[float, float]
    value: float
    low: float
    high: float


Raw = Callable[[FloatArray], FloatArray]
"""From features (n, p) to log-odds (n, k), one column for two classes, or amounts (n, 1)."""


Ways = Callable[[Part, npt.NDArray[Any], int], tuple[FloatArray, FloatArray]]
"""Two ways to predict the test rows of a part, given the coded target and number of classes."""


def coded(ds: MultimodalDataset) -> tuple[npt.NDArray[Any], int]:
    """Return class codes and the number of classes, or standardised amounts and 0."""
    assert ds.target is not None
    if ds.task == "regression":
        y = ds.target.astype(float)
        return (y - y.mean()) / (y.std() or 1.0), 0
    classes, codes = np.unique(ds.target, return_inverse=True)
    return codes, len(classes)


def fitted(features: FloatArray, y: npt.NDArray[Any], n_classes: int, part: Part) -> Raw:
    """Boost trees on some rows, stopped by others; return what predicts without a link."""
    from lightgbm import LGBMClassifier, LGBMRegressor, early_stopping

    share = min(1.0, max(_COLUMNS, 8 / features.shape[1]))
    kind = LGBMClassifier if n_classes else LGBMRegressor
    model = kind(**_SETTINGS, random_state=part.seed, colsample_bytree=share)
    model.fit(
        features[part.fit],
        y[part.fit],
        eval_X=features[part.stop],
        eval_y=y[part.stop],
        callbacks=[early_stopping(_PATIENCE, verbose=False)],
    )

    def raw(rows: FloatArray) -> FloatArray:
        out = np.asarray(model.booster_.predict(rows, raw_score=True), dtype=float)
        return out if out.ndim == 2 else out[:, None]

    return raw


def compare(ds: MultimodalDataset, ways: Sequence[Ways], seed: np.random.SeedSequence) -> Effect:
    """Predict each sample in two ways by models that did not see it, and compare the losses.

    This is done once for each of `ways`, with other folds and seeds. The interval is Student's over
    samples, or over whole clusters where they are declared, of the mean over repetitions; to its
    variance comes that of the repetitions, since two boosted models differ by chance, too. What
    another draw of all samples would change in the models is not in it.

    Parameters
    ----------
    ds : MultimodalDataset
    ways : sequence of callable
        ``ways(part, y, n_classes)`` returns what both ways say of the test rows of a part, as
        :data:`Raw` does.
    seed : SeedSequence
    """
    y, k = coded(ds)
    said = [
        _out_of_fold(ds, y, k, way, s) for way, s in zip(ways, seed.spawn(len(ways)), strict=True)
    ]
    falls = np.stack([_losses(y, k, one) - _losses(y, k, other) for one, other in said])
    value, half = _mean_and_half(falls, ds.cluster)
    one, other = np.mean(said, axis=0)
    metric, scores = _scores(y, k, one, other)
    return Effect(len(ds), metric, scores, value, value - half, value + half)


def _out_of_fold(
    ds: MultimodalDataset, y: npt.NDArray[Any], k: int, way: Ways, seed: np.random.SeedSequence
) -> tuple[FloatArray, FloatArray]:
    dealt, *fits = (int(s.generate_state(1)[0] >> 1) for s in seed.spawn(1 + N_FOLDS))
    fold = folds(ds, N_FOLDS, dealt)
    one, other = (np.zeros((len(ds), k if k > 2 else 1)) for _ in range(2))
    for number, fit_seed in enumerate(fits):
        train, test = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        # Whole clusters stop the boosting, as whole clusters test it.
        stops = folds(ds[train], _INNER, fit_seed) == 0
        one[test], other[test] = way(Part(train[~stops], train[stops], test, fit_seed), y, k)
    return one, other


def _losses(y: npt.NDArray[Any], n_classes: int, raw: FloatArray) -> FloatArray:
    if not n_classes:
        return np.asarray((y - raw[:, 0]) ** 2)
    if n_classes == 2:
        return np.asarray(np.logaddexp(0, np.where(y == 1, -raw[:, 0], raw[:, 0])))
    return np.asarray(np.logaddexp.reduce(raw, axis=1) - raw[np.arange(len(y)), y])


def _scores(
    y: npt.NDArray[Any], n_classes: int, one: FloatArray, other: FloatArray
) -> tuple[str, tuple[float, float]]:
    from sklearn.metrics import accuracy_score, r2_score, roc_auc_score

    if not n_classes:
        return "r2", (float(r2_score(y, one[:, 0])), float(r2_score(y, other[:, 0])))
    if n_classes == 2:
        both = float(roc_auc_score(y, one[:, 0])), float(roc_auc_score(y, other[:, 0]))
        return "roc_auc", both
    first, second = (float(accuracy_score(y, raw.argmax(axis=1))) for raw in (one, other))
    return "accuracy", (first, second)


def _mean_and_half(values: FloatArray, cluster: npt.NDArray[Any] | None) -> tuple[float, float]:
    """Return the mean of values (repetitions, n) and half its 95 % interval."""
    from scipy.stats import t

    mean = float(values.mean())
    sums = values.mean(axis=0) - mean
    if cluster is not None:
        sums = np.bincount(np.unique(cluster, return_inverse=True)[1], weights=sums)
    units, repeats = len(sums), len(values)
    if units < 2:
        return mean, math.inf
    variance = units / (units - 1) * float((sums**2).sum()) / values.shape[1] ** 2
    if repeats > 1:
        variance += float(values.mean(axis=1).var(ddof=1)) / repeats
    return mean, float(t.ppf(0.975, units - 1)) * math.sqrt(variance)
