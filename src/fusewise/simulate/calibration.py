"""Intercepts of logistic presence models that reach given rates, with nobody left empty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import expit

if TYPE_CHECKING:
    from fusewise.simulate.signal import Array

BoolArray = npt.NDArray[np.bool_]

_SWEEPS = 200
_CLOSE = 1e-9


@dataclass(frozen=True)
class PresenceModel:
    """Independent presence of each modality, given its driver, and a rule for the empty draw.

    Modality m is kept with probability ``expit(intercepts[m] + strengths[m] * driver)``. A sample
    that would keep nothing gets one modality back where ``keep_one``: one of those that it had,
    with probabilities in proportion to ``restore`` (the wanted rates), independently of all else.
    The restored modality is drawn once, so every probability stays a closed expression.
    """

    intercepts: Array
    strengths: Array
    restore: Array
    keep_one: bool

    def kept(self, drivers: Array, natural: BoolArray) -> Array:
        """Return the probability (n, M) to be kept before anything is restored."""
        return natural * expit(self.intercepts + self.strengths * drivers)

    def restored(self, natural: BoolArray) -> Array:
        """Return the probability (n, M) to be the one restored, given an empty draw."""
        weight = natural * np.maximum(self.restore, 1e-12)
        return weight / np.maximum(weight.sum(axis=1, keepdims=True), 1e-300)

    def expected(self, drivers: Array, natural: BoolArray, weights: Array) -> Array:
        """Return the expected share (M,) kept among the samples that naturally have it."""
        kept = self.kept(drivers, natural)
        if self.keep_one:
            kept = kept + self.restored(natural) * (1 - kept).prod(axis=1, keepdims=True)
        mass = weights @ natural
        return (weights @ (kept * natural)) / np.where(mass > 0, mass, 1.0)

    def draw(self, drivers: Array, natural: BoolArray, rng: np.random.Generator) -> BoolArray:
        """Draw presence (n, M)."""
        present = rng.random(natural.shape) < self.kept(drivers, natural)
        # Drawn for everybody: whether a sample is empty must not shift another one's numbers.
        chosen = rng.random(len(natural))
        empty = np.flatnonzero(natural.any(axis=1) & ~present.any(axis=1))
        if self.keep_one and len(empty):
            edges = self.restored(natural[empty]).cumsum(axis=1)
            edges[:, -1] = 1.0
            back = (chosen[empty, None] >= edges).sum(axis=1)
            # The last edge is 1 by force: step back to a modality that the sample has.
            has = natural[empty]
            last = has.shape[1] - 1 - has[:, ::-1].argmax(axis=1)
            present[empty, np.minimum(back, last)] = True
        return present


def calibrate(
    drivers: Array,
    strengths: Array,
    rates: Array,
    natural: BoolArray,
    *,
    weights: Array | None = None,
    keep_one: bool = True,
) -> tuple[PresenceModel, Array]:
    """Return the presence model whose expected rates are `rates`, and the rates that it reaches.

    Parameters
    ----------
    drivers : (n, M) array
        What presence depends on, about standardised; zero where it depends on nothing.
    strengths : (M,) array
        Change of the log-odds of presence per unit of the driver.
    rates : (M,) array
        Wanted share of samples that keep each modality, among those that have it.
    natural : (n, M) bool array
        Which modalities each sample has to begin with.
    weights : (n,) array, optional
        How many samples each row stands for.
    keep_one : bool
        Whether a sample that would lose everything gets one modality back.

    Notes
    -----
    One bisection (Brent's) per modality, over the rows themselves, repeated in turn because with
    `keep_one` the rates depend on each other. A rate below what restoring alone gives is out of
    reach: the model then comes as near as it can.
    """
    mass = np.ones(len(natural)) if weights is None else weights
    settled = np.where(rates >= 1, np.inf, -np.inf)
    free = np.flatnonzero((rates > 0) & (rates < 1) & (mass @ natural > 0))
    intercepts = settled.copy()
    intercepts[free] = np.log(rates[free] / (1 - rates[free]))
    model = PresenceModel(intercepts, strengths, rates, keep_one)
    kept = model.kept(drivers, natural)
    back = model.restored(natural) if keep_one else np.zeros(natural.shape)
    for _ in range(_SWEEPS):
        before = intercepts[free].copy()
        for m in free.tolist():
            rows = natural[:, m]
            mine, share = drivers[rows, m], mass[rows] / mass[rows].sum()
            spare = back[rows, m] * np.delete(1 - kept[rows], m, axis=1).prod(axis=1)
            bound = 40 + abs(strengths[m]) * float(np.abs(mine).max(initial=0))

            def excess(
                intercept: float,
                mine: Array = mine,
                share: Array = share,
                spare: Array = spare,
                m: int = m,
            ) -> float:
                p = expit(intercept + strengths[m] * mine)
                return float(share @ (p + (1 - p) * spare)) - rates[m]

            if excess(-bound) >= 0:
                intercepts[m] = -bound
            else:
                intercepts[m] = brentq(excess, -bound, bound, xtol=1e-11)
            kept[rows, m] = expit(intercepts[m] + strengths[m] * mine)
        if np.abs(intercepts[free] - before).max(initial=0) < _CLOSE:
            break
    return model, model.expected(drivers, natural, mass)
