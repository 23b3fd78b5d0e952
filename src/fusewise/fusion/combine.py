"""Combiners of late fusion: predictions of the present experts, joined in prediction space."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fusewise.exceptions import DatasetError, did_you_mean
from fusewise.fusion.calibrate import Likelihood, PatternCalibration, descend, to_output

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]

_EPS = 1e-6
# Weights of a rarely present expert stay near those of the others: as if one more sample had said.
_RIDGE = 1.0

COMBINERS = ("mean", "weighted", "log_pool")


def check_combiner(name: str) -> None:
    """Raise where there is no such combiner."""
    if name not in (*COMBINERS, "auto"):
        raise DatasetError(
            f"combiner must be auto, {', '.join(COMBINERS)}, got {name!r}."
            f"{did_you_mean(name, COMBINERS)}"
        )


class Combiner:
    """Join the predictions of the present experts, then calibrate.

    An absent expert has weight exactly zero; nothing stands in for it.

    - ``mean``: the mean of the present experts' probabilities (amounts).
    - ``weighted``: the mean of their log probabilities (amounts) with weights on the simplex, over
      the present ones.
    - ``log_pool``: the log prior plus the weighted sum, over the present ones, of each expert's log
      probabilities minus the log prior of the samples that it learned from. With modalities that
      are independent given the class and weights of one this is Bayes' rule (Genest and Zidek
      1986; Hinton 2002). For amounts: the same sum of deviations from the mean.

    Weights are fitted by likelihood on out-of-fold predictions. Presence is no feature.

    Parameters
    ----------
    name : {"mean", "weighted", "log_pool"}
    n_classes : int
        0 for amounts.
    by_pattern : bool or None
        Whether the calibration's slope depends on the pattern; None for no calibration.
    """

    def __init__(self, name: str, n_classes: int, by_pattern: bool | None = True) -> None:
        self.name = name
        self.n_classes = n_classes
        self.by_pattern = by_pattern

    def fit(
        self,
        outputs: FloatArray,
        present: BoolArray,
        priors: FloatArray,
        prior: FloatArray,
        target: npt.NDArray[Any],
        weight: FloatArray,
    ) -> Self:
        """Fit weights and calibration.

        Parameters
        ----------
        outputs : array (n, n_experts, k)
            Out-of-fold predictions; whatever stands at an absent expert is not read.
        present : bool array (n, n_experts)
        priors : array (n_experts, k)
            Mean target of the samples that each expert learned from.
        prior : array (k,)
            Mean target of all training samples.
        target, weight : array (n,)
        """
        self.priors_ = self._scores(priors)
        self.prior_ = self._scores(prior)
        self.weights_ = np.ones(present.shape[1])
        likelihood = Likelihood(np.asarray(target, dtype=float), self.n_classes, weight)
        deviations = self._deviations(outputs, present)
        if self.name != "mean":
            self.weights_ = self._fit_weights(deviations, present, likelihood)
        self.calibration_ = None
        if self.by_pattern is not None:
            evidence = self._evidence(outputs, present)
            self.calibration_ = PatternCalibration(self.by_pattern).fit(
                evidence, present, likelihood, self.prior_
            )
        return self

    def combine(self, outputs: FloatArray, present: BoolArray) -> FloatArray:
        """Return probabilities (n, n_classes) or amounts (n, 1)."""
        evidence = self._evidence(outputs, present)
        if self.calibration_ is None:
            return to_output(self.prior_ + evidence, self.n_classes)
        return to_output(self.calibration_.apply(evidence, present, self.prior_), self.n_classes)

    def _scores(self, outputs: FloatArray) -> FloatArray:
        return np.log(np.clip(outputs, _EPS, 1.0)) if self.n_classes else outputs

    def _deviations(self, outputs: FloatArray, present: BoolArray) -> FloatArray:
        """Scores minus the prior that belongs to the combiner; zero where absent."""
        centre = self.priors_ if self.name == "log_pool" else self.prior_
        return np.where(present[:, :, None], self._scores(outputs) - centre, 0.0)

    def _evidence(self, outputs: FloatArray, present: BoolArray) -> FloatArray:
        if self.name == "mean":
            kept = np.where(present[:, :, None], outputs, 0.0)
            mean = kept.sum(axis=1) / present.sum(axis=1)[:, None]
            return self._scores(mean) - self.prior_
        weights = self.weights_ * present
        pooled = np.einsum("ne,nek->nk", weights, self._deviations(outputs, present))
        if self.name == "log_pool":
            return pooled
        return pooled / np.maximum(weights.sum(axis=1), 1e-12)[:, None]

    def _fit_weights(
        self, deviations: FloatArray, present: BoolArray, likelihood: Likelihood
    ) -> FloatArray:
        n_experts = present.shape[1]
        normalised = self.name == "weighted"

        def objective(theta: FloatArray) -> tuple[float, FloatArray]:
            # The pool's weights carry its scale; only a weighted mean needs a stretch of its own.
            weights, stretch = theta[:n_experts], theta[n_experts] if normalised else 1.0
            pooled = np.einsum("e,nek->nk", weights, deviations)
            total = present @ weights if normalised else np.ones(len(present))
            evidence = pooled / total[:, None]
            value, gradient = likelihood(self.prior_ + stretch * evidence)
            scaled = gradient * (stretch / total)[:, None]
            slopes = np.einsum("nk,nek->e", scaled, deviations)
            if normalised:
                slopes -= present.T @ (scaled * evidence).sum(axis=1)
            value += 0.5 * _RIDGE * float(((weights - 1) ** 2).sum())
            slopes += _RIDGE * (weights - 1)
            by_stretch = float((gradient * evidence).sum()) if normalised else 0.0
            return value, np.append(slopes, by_stretch)

        lower = np.append(np.full(n_experts, 1e-4 if normalised else 0.0), 0.01)
        theta = descend(objective, np.ones(n_experts + 1), lower)
        weights = theta[:n_experts]
        return weights / weights.sum() if normalised else weights
