"""The Bayes-optimal posterior for exactly the modalities that a sample has, and its scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import logsumexp, softmax

from fusewise.exceptions import DatasetError, EvaluationError, UnknownModalityError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fusewise.data import MultimodalDataset
    from fusewise.simulate.availability import Regime
    from fusewise.simulate.design import Design
    from fusewise.simulate.signal import Array

# Cells of one chunk's work arrays: bounds memory where a target has hundreds of states.
_CELLS = 1 << 21

ALL_PATTERNS = "(all)"
CLASSIFICATION = ("roc_auc", "average_precision", "brier_score", "log_loss", "accuracy")
REGRESSION = ("r2", "mean_squared_error", "mean_absolute_error")


def posterior(design: Design, dataset: MultimodalDataset, regime: Regime | None = None) -> Array:
    """Return the posterior (n, S) over target states, given the values that are present.

    Parameters
    ----------
    regime : Regime, optional
        The law of presence to condition on as well. None conditions on values only.
    """
    for name in dataset.modalities:
        if name not in design.names:
            raise UnknownModalityError(
                f"dataset: the cohort has no modality {name!r}; it has {', '.join(design.names)}."
                + did_you_mean(name, design.names)
            )
    if regime is not None and set(dataset.modalities) != set(design.names):
        raise DatasetError(
            "given_presence: presence tells about the target as it arose, so the dataset must keep "
            f"all modalities ({', '.join(design.names)}); it has {', '.join(dataset.modalities)}."
        )
    n = len(dataset)
    present = np.zeros((n, len(design.names)), dtype=bool)
    statistics: dict[str, Array] = {}
    for column, source in enumerate(design.sources):
        if source.name in dataset.modalities:
            positions, known = source.statistics(dataset)
            filled = np.full((n, known.shape[1]), np.nan)
            filled[positions] = known
            statistics[source.name] = filled
            present[positions, column] = True
    if regime is not None and regime.ignorable:
        regime = None
    result = np.empty((n, len(design.states)))
    step = max(1, _CELLS // len(design.states))
    for start in range(0, n, step):
        rows = slice(start, start + step)
        part = {name: values[rows] for name, values in statistics.items()}
        result[rows] = _posterior(design, part, present[rows], regime)
    return result


def _posterior(
    design: Design, statistics: dict[str, Array], present: np.ndarray, regime: Regime | None
) -> Array:
    shape = (len(present), len(design.states))
    with np.errstate(divide="ignore"):
        prior = np.broadcast_to(np.log(design.prior), shape)
    seen, empty = prior.copy(), prior.copy()
    column_of = {source.name: i for i, source in enumerate(design.sources)}
    for block in design.blocks():
        # One entry per gate: likelihood with the presence as drawn, and with an empty draw.
        drawn, none = [], []
        for shown in block.shown:
            as_drawn, as_none = np.zeros(shape), np.zeros(shape)
            for name, values in zip(block.names, shown, strict=True):
                source, there = design.sources[column_of[name]], present[:, column_of[name]]
                fit = np.zeros(shape)
                if there.any():
                    fit[there] = source.log_likelihood(statistics[name][there], values)
                as_drawn += fit
                if regime is not None:
                    score = statistics[name][:, 0]
                    kept, lost = regime.log_presence(source, score, there, values, design.states)
                    as_drawn += kept
                    as_none += fit + lost
            drawn.append(as_drawn)
            none.append(as_none)
        seen += logsumexp(np.stack(drawn), axis=0) if len(drawn) > 1 else drawn[0]
        if regime is not None:
            empty += logsumexp(np.stack(none), axis=0) if len(none) > 1 else none[0]
    if regime is not None and regime.model is not None and regime.model.keep_one:
        # A lone modality may also be what an empty draw was given back.
        alone = present.sum(axis=1) == 1
        back = regime.model.restored(np.ones((1, present.shape[1]), dtype=bool))[0]
        weight = np.log((present[alone] * back).sum(axis=1))
        seen[alone] = np.logaddexp(seen[alone], weight[:, None] + empty[alone])
    return softmax(seen, axis=1)


def score_table(
    dataset: MultimodalDataset, predicted: Array, metrics: Sequence[str], classes: int | None
) -> pd.DataFrame:
    """Return columns ``pattern``, ``n``, ``metric``, ``score``: one row per pattern and metric.

    The last pattern is ``(all)``: all samples together, which is not a mean of the others.
    """
    known = REGRESSION if classes is None else CLASSIFICATION
    for metric in metrics:
        if metric not in known:
            raise EvaluationError(
                f"metric: {metric!r} is not known for this target; there are {', '.join(known)}."
                + did_you_mean(metric, known)
            )
    target, pattern = dataset.target, dataset.pattern
    if target is None:
        raise DatasetError("dataset: it has no target to score against.")
    rows = []
    for label in [*dataset.patterns()["pattern"], ALL_PATTERNS]:
        chosen = np.ones(len(dataset), dtype=bool) if label == ALL_PATTERNS else pattern == label
        for metric in metrics:
            score = _score(metric, np.asarray(target)[chosen], predicted[chosen], classes)
            rows.append((label, int(chosen.sum()), metric, score))
    return pd.DataFrame(rows, columns=["pattern", "n", "metric", "score"])


def _score(metric: str, y: np.ndarray, predicted: Array, classes: int | None) -> float:
    from sklearn import metrics as sk

    if classes is None:
        if metric == "r2" and len(y) < 2:
            return float("nan")
        function: Any = sk.r2_score if metric == "r2" else getattr(sk, metric)
        return float(function(y, predicted))
    labels = np.arange(classes)
    if metric == "accuracy":
        return float(sk.accuracy_score(y, predicted.argmax(axis=1)))
    if metric == "log_loss":
        return float(sk.log_loss(y, predicted, labels=labels))
    if metric == "brier_score":
        squared = (predicted - (y[:, None] == labels)) ** 2
        return float(squared.sum(axis=1).mean() / (2 if classes == 2 else 1))
    function = sk.roc_auc_score if metric == "roc_auc" else sk.average_precision_score
    scores = []
    for label in labels[1:] if classes == 2 else labels:
        positive = y == label
        if positive.all() or not positive.any():
            return float("nan")
        scores.append(function(positive, predicted[:, label]))
    return float(np.mean(scores))
