"""Which combiner late fusion takes: the mean, unless another is clearly better out of fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fusewise.fusion.combine import Combiner
from fusewise.fusion.experts import sample_losses

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]


@dataclass(frozen=True)
class OutOfFold:
    """Out-of-fold predictions of all experts, one row per sample that a combiner learns from.

    ``outputs`` (n, n_experts, k), ``present`` (n, n_experts), ``sample``, ``fold``, ``target`` and
    ``weight`` (n,), the experts' ``priors`` (n_experts, k) and the ``prior`` (k,) of all training
    samples. ``sample`` numbers what is independent: masked copies of a sample, its repeats in a
    bootstrap, and samples of one cluster are rows of their own with the same number.
    """

    outputs: FloatArray
    present: BoolArray
    sample: IntArray
    fold: IntArray
    target: npt.NDArray[Any]
    weight: FloatArray
    priors: FloatArray
    prior: FloatArray
    n_classes: int

    def fitted(self, name: str, by_pattern: bool | None, rows: BoolArray) -> Combiner:
        """Return a combiner fitted on some of the rows."""
        return Combiner(name, self.n_classes, by_pattern).fit(
            self.outputs[rows],
            self.present[rows],
            self.priors,
            self.prior,
            self.target[rows],
            self.weight[rows],
        )


def fit_combiner(
    table: OutOfFold, names: Sequence[str], by_pattern: bool | None
) -> tuple[Combiner, dict[str, float]]:
    """Return the combiner that is chosen, fitted on all rows, and the cross-fitted losses."""
    chosen = names[0]
    scores: dict[str, float] = {}
    if len(names) > 1 and table.present.shape[1] > 1:
        losses = {name: np.zeros(len(table.target)) for name in names}
        for number in np.unique(table.fold):
            held = table.fold == number
            if held.all():
                continue
            for name in names:
                combiner = table.fitted(name, by_pattern, ~held)
                combined = combiner.combine(table.outputs[held], table.present[held])
                losses[name][held] = sample_losses(combined, table.target[held], table.n_classes)
        chosen, scores = choose_combiner(tuple(names), losses, table.weight, table.sample)
    everything = np.ones(len(table.target), dtype=bool)
    return table.fitted(chosen, by_pattern, everything), scores


def choose_combiner(
    names: tuple[str, ...], losses: dict[str, FloatArray], weight: FloatArray, sample: IntArray
) -> tuple[str, dict[str, float]]:
    """Return the mean unless another beats it by one standard error of the paired difference.

    The most likely reason for a small gain is chance, and the mean has nothing to overfit. Rows of
    one sample or cluster count as one.
    """
    means = {n: float(np.average(losses[n], weights=weight)) for n in names}
    _, codes = np.unique(sample, return_inverse=True)
    chosen = "mean"
    for name in names:
        gain = np.bincount(codes, weight * (losses["mean"] - losses[name]))
        gain = gain / np.bincount(codes, weight).mean()
        if gain.mean() > gain.std() / np.sqrt(len(gain)) and means[name] < means[chosen]:
            chosen = name
    return chosen, means
