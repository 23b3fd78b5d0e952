"""Experts of late fusion: candidates chosen by cross-fitting on the samples that have a modality."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone
from threadpoolctl import threadpool_limits

from fusewise.exceptions import DatasetError
from fusewise.fusion.boosting import BoostedTreesClassifier, BoostedTreesRegressor
from fusewise.fusion.brought import copy_of, fit_brought, knows_nan
from fusewise.fusion.linear import LinearClassifier, LinearRegressor, within_range

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
# A candidate this many standard errors behind on a fold is not worth its remaining folds.
_HOPELESS = 2.0
# One modality is narrower than all joined, and takes smaller trees (out of fold on P12's training
# rows: .852 against .850 with 15 leaves).
_LEAVES = 8
_EPS = 1e-6


@dataclass(frozen=True)
class ExpertTask:
    """What one worker needs to fit an expert: rows of the samples that have its modalities.

    ``fold`` is -1 for rows flagged as validation: never held out, used to stop boosting early.
    ``stop`` flags rows that stop boosting early where no row is flagged. ``shares`` is the mean
    target (k,) of all training samples, also those that lack the modalities.
    """

    name: str
    values: FloatArray
    target: npt.NDArray[Any]
    weight: FloatArray
    fold: IntArray
    stop: BoolArray
    n_classes: int
    shares: FloatArray
    scale: str
    estimator: Any
    seed: int


@dataclass(frozen=True)
class FittedExpert:
    """A fitted expert, what it was chosen from, and its out-of-fold predictions.

    ``losses`` maps each candidate to its mean out-of-fold log loss (squared error for amounts) on
    the folds that it was followed on.
    """

    model: Any
    candidate: str
    prior: FloatArray
    out_of_fold: FloatArray = field(repr=False)
    losses: dict[str, float]
    loss: float
    standard_error: float


def fit_expert(task: ExpertTask) -> FittedExpert:
    """Cross-fit the candidates, choose the one with the lowest loss, and fit it on all rows."""
    with threadpool_limits(1):
        return _fit_expert(replace(task, values=within_range(task.values)))


def _fit_expert(task: ExpertTask) -> FittedExpert:
    prior = _prior(task)
    candidates = _candidates(task)
    n_rows, width = len(task.target), max(1, task.n_classes)
    predicted = {label: np.tile(prior, (n_rows, 1)) for label in _labels(candidates)}
    trees: list[int] = []
    alive = dict.fromkeys(predicted, True)
    followed = dict.fromkeys(predicted, 0)
    for fold in range(int(task.fold.max(initial=-1)) + 1):
        held = task.fold == fold
        train = ~held
        if not held.any() or not _teaches(task, train):
            continue
        for kind, candidate in candidates.items():
            labels = _labels({kind: candidate})
            if not any(alive[label] for label in labels):
                continue
            models = _fit_candidate(task, kind, candidate, train)
            if kind == "boosting":
                trees.append(models[0].n_iter_)
            for label, model in zip(labels, models, strict=True):
                predicted[label][held] = _predict(model, task.values[held], prior, task.n_classes)
                followed[label] += 1
        _drop_hopeless(task, predicted, held, alive)
    folds = max(followed.values())
    losses = {
        label: _mean_loss(task, values)
        for label, values in predicted.items()
        if followed[label] == folds
    }
    best = min(losses, key=lambda label: losses[label])
    kind = next(k for k, c in candidates.items() if best in _labels({k: c}))
    model = _final_fit(task, kind, candidates[kind], best, trees)
    scored = task.fold >= 0
    each = sample_losses(predicted[best], task.target, task.n_classes)[scored]
    return FittedExpert(
        model=model,
        candidate=best,
        prior=prior,
        out_of_fold=predicted[best].reshape(n_rows, width),
        losses=losses,
        loss=losses[best],
        standard_error=float(each.std() / np.sqrt(max(1, len(each)))),
    )


def sample_losses(predicted: FloatArray, target: npt.NDArray[Any], n_classes: int) -> FloatArray:
    """Return the log loss, or the squared error where `n_classes` is 0, of each sample."""
    if n_classes == 0:
        return np.asarray((predicted[:, 0] - target) ** 2)
    chosen = predicted[np.arange(len(target)), target]
    return np.asarray(-np.log(np.clip(chosen, _EPS, 1.0)))


def predict_expert(expert: FittedExpert, values: FloatArray, n_classes: int) -> FloatArray:
    """Return probabilities (n_rows, n_classes), or amounts (n_rows, 1)."""
    with threadpool_limits(1):
        return _predict(expert.model, within_range(values), expert.prior, n_classes)


def _candidates(task: ExpertTask) -> dict[str, Any]:
    if task.estimator is not None:
        model = copy_of(task.estimator, f"expert {task.name!r}", task.seed)
        if np.isnan(task.values).any() and not knows_nan(model):
            raise DatasetError(
                f"expert {task.name!r}: {type(model).__name__} does not take NaN, but its modality "
                "has empty cells. Put an imputer before it in a Pipeline."
            )
        return {"given": model}
    if task.n_classes:
        return {
            "linear": LinearClassifier(scale=task.scale),
            "boosting": BoostedTreesClassifier(max_leaf_nodes=_LEAVES, random_state=task.seed),
        }
    return {
        "linear": LinearRegressor(scale=task.scale),
        "boosting": BoostedTreesRegressor(max_leaf_nodes=_LEAVES, random_state=task.seed),
    }


def _labels(candidates: dict[str, Any]) -> list[str]:
    labels = []
    for kind in candidates:
        labels += [f"linear(C={s:g})" for s in STRENGTHS] if kind == "linear" else [kind]
    return labels


def _fit_candidate(task: ExpertTask, kind: str, candidate: Any, train: BoolArray) -> list[Any]:
    X, y, weight = task.values[train], task.target[train], task.weight[train]
    if kind == "linear":
        return list(candidate.fit_path(X, y, STRENGTHS, weight))
    if kind == "boosting":
        flagged = (task.fold == -1)[train]
        held = flagged if flagged.any() else task.stop[train]
        return [clone(candidate).fit(X, y, weight, validation=held, refit=not flagged.any())]
    return [_fit_given(task, clone(candidate), X, y, weight)]


def _final_fit(task: ExpertTask, kind: str, candidate: Any, label: str, trees: list[int]) -> Any:
    if kind == "linear":
        strength = next(s for s in STRENGTHS if label == f"linear(C={s:g})")
        model = clone(candidate).set_params(C=strength)
        return model.fit(task.values, task.target, task.weight)
    if kind == "boosting":
        flagged = task.fold == -1
        if flagged.any():
            return clone(candidate).fit(task.values, task.target, task.weight, validation=flagged)
        model = clone(candidate).set_params(n_iter=int(np.median(trees)) if trees else 50)
        return model.fit(task.values, task.target, task.weight)
    return _fit_given(task, candidate, task.values, task.target, task.weight)


def _fit_given(
    task: ExpertTask, model: Any, X: FloatArray, y: npt.NDArray[Any], weight: FloatArray
) -> Any:
    return fit_brought(model, f"expert {task.name!r}", X, y, weight, task.n_classes)


def _teaches(task: ExpertTask, train: BoolArray) -> bool:
    if task.n_classes:
        return len(np.unique(task.target[train])) > 1
    return int(train.sum()) > 1


def _prior(task: ExpertTask) -> FloatArray:
    prior = mean_target(task.target, task.weight, task.n_classes)
    if task.n_classes:
        known = np.unique(task.target)
        prior = _completed(prior[None, known] / prior[known].sum(), known, task.shares)[0]
    return prior


def _completed(proba: FloatArray, known: IntArray, shares: FloatArray) -> FloatArray:
    """Spread probabilities of the `known` classes to all of them.

    A class that an expert never met keeps its share: that no sample of it has the modality is a
    fact of presence, which is no feature.
    """
    if len(known) == len(shares):
        return proba
    full = np.tile(shares, (len(proba), 1))
    full[:, known] = proba * shares[known].sum()
    return np.asarray(full / full.sum(axis=1, keepdims=True))


def _predict(model: Any, values: FloatArray, prior: FloatArray, n_classes: int) -> FloatArray:
    if len(values) == 0:
        return np.zeros((0, max(1, n_classes)))
    if n_classes == 0:
        return np.asarray(model.predict(values), dtype=float).reshape(-1, 1)
    proba = np.asarray(model.predict_proba(values), dtype=float)
    return _completed(proba, np.asarray(model.classes_, dtype=np.intp), prior)


def mean_target(target: npt.NDArray[Any], weight: FloatArray, n_classes: int) -> FloatArray:
    """Return the class shares (n_classes,), none of them zero, or the mean amount (1,)."""
    if n_classes == 0:
        return np.array([np.average(target, weights=weight)])
    mass = np.bincount(target, weight, minlength=n_classes) + _EPS
    return np.asarray(mass / mass.sum())


def _mean_loss(task: ExpertTask, predicted: FloatArray) -> float:
    scored = task.fold >= 0
    each = sample_losses(predicted, task.target, task.n_classes)[scored]
    return float(np.average(each, weights=task.weight[scored]))


def _drop_hopeless(
    task: ExpertTask,
    predicted: dict[str, FloatArray],
    held: BoolArray,
    alive: dict[str, bool],
) -> None:
    each = {
        label: sample_losses(values[held], task.target[held], task.n_classes)
        for label, values in predicted.items()
        if alive[label]
    }
    best = min(each, key=lambda label: float(each[label].mean()))
    kind_of_best = best.split("(")[0]
    for label, losses in each.items():
        if label.split("(")[0] == kind_of_best:
            continue
        behind = losses - each[best]
        with np.errstate(over="ignore"):  # far beyond training an amount has no bounds
            error = behind.std() / np.sqrt(max(1, len(behind)))
        if error > 0 and behind.mean() > _HOPELESS * error:
            alive[label] = False
