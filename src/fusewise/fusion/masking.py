"""Modality masking: which modalities training hides, so that absence is exercised."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fusewise.data import Deployment, pattern_codes
from fusewise.exceptions import FusewiseWarning, MaskingError

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]

SCHEDULES = ("uniform", "curriculum", "deployment")


@dataclass(frozen=True)
class Masking:
    """A masking schedule, the same object for every strategy.

    Masking composes with natural absence: it removes and never creates, and it never removes the
    last modality of a sample. Test data are never masked.

    Parameters
    ----------
    schedule : {"uniform", "curriculum", "deployment"}
        ``uniform``: each present modality is removed independently with probability `rate`.
        ``curriculum``: the same with a probability that grows from 0 to `rate` over the epochs
        (for estimators without epochs, over the masked copies), since training protects only up
        to the highest rate that it reached. ``deployment``: removals are drawn such that the
        patterns of the training samples become those of the deployment as far as removing can.
    rate : float
        Highest removal probability of ``uniform`` and ``curriculum``.
    copies : int
        Masked copies of every training sample, for estimators without epochs.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> Masking("uniform", rate=0.5).draw(np.ones((3, 2), dtype=bool), 0, rng).any(axis=1)
    array([ True,  True,  True])
    """

    schedule: str = "uniform"
    rate: float = 0.7
    copies: int = 4

    @classmethod
    def of(cls, given: Any) -> Masking | None:
        """Return a schedule from its name, a schedule as it is, or None for no masking."""
        if given is None or given == "none":
            return None
        masking = cls(given) if isinstance(given, str) else given
        if not isinstance(masking, cls):
            raise MaskingError(
                f"masking: expected one of {', '.join(SCHEDULES)}, a Masking or None, got "
                f"{type(given).__name__}."
            )
        masking.check()
        return masking

    def check(self) -> None:
        """Raise where a setting is out of range."""
        if self.schedule not in SCHEDULES:
            raise MaskingError(
                f"masking: schedule must be one of {', '.join(SCHEDULES)}, got {self.schedule!r}."
            )
        if not isinstance(self.rate, numbers.Real) or not 0 < self.rate < 1:
            raise MaskingError(f"masking: rate must lie between 0 and 1, got {self.rate!r}.")
        if not isinstance(self.copies, numbers.Integral) or self.copies < 1:
            raise MaskingError(
                f"masking: copies must be at least 1 and a whole number, got {self.copies!r}."
            )

    def rate_at(self, epoch: int, n_epochs: int) -> float:
        """Return the removal probability in one epoch of `n_epochs`."""
        if self.schedule == "curriculum":
            return self.rate * (epoch + 1) / max(1, n_epochs)
        return self.rate

    def draw(
        self,
        presence: BoolArray,
        epoch: int,
        rng: np.random.Generator,
        *,
        n_epochs: int | None = None,
        plan: RemovalPlan | None = None,
    ) -> BoolArray:
        """Return what training sees of `presence` (n_samples, n_modalities) in one epoch.

        `plan` is what ``deployment`` needs, made once by :func:`plan_removals`.
        """
        if self.schedule == "deployment":
            if plan is None:
                raise MaskingError(
                    "masking: the schedule 'deployment' needs a deployment=; give the estimator "
                    "one, or use 'uniform' or 'curriculum'."
                )
            return plan.draw(presence, rng)
        rate = self.rate_at(epoch, self.copies if n_epochs is None else n_epochs)
        return _remove_independently(presence, np.full(presence.shape[1], rate), rng)


@dataclass(frozen=True)
class RemovalPlan:
    """For each natural pattern, the probabilities of the patterns that it is reduced to.

    ``shortfall`` is the total variation distance that remains between the masked training samples
    and the deployment: what removing alone cannot reach.
    """

    sources: BoolArray
    targets: BoolArray
    kernel: FloatArray
    shortfall: float

    def draw(self, presence: BoolArray, rng: np.random.Generator) -> BoolArray:
        """Reduce each sample to a pattern drawn for its own."""
        distinct, codes = pattern_codes(presence)
        masked = presence.copy()
        uniform = rng.random(len(presence))
        for code, pattern in enumerate(distinct):
            rows = np.flatnonzero(codes == code)
            known = np.flatnonzero((self.sources == pattern).all(axis=1))
            if len(known) == 0:
                continue
            steps = np.cumsum(self.kernel[known[0]])
            chosen = np.searchsorted(steps, uniform[rows] * steps[-1], side="right")
            masked[rows] = self.targets[np.minimum(chosen, len(self.targets) - 1)] & pattern
        return masked


def plan_removals(
    presence: BoolArray,
    modalities: Sequence[str],
    deployment: Deployment,
    declared: Sequence[str] | None = None,
) -> RemovalPlan:
    """Plan removals that turn training patterns into those of the deployment.

    Joint patterns are matched by iterative proportional fitting (Deming and Stephan 1940) of a
    table of natural by reduced patterns, in which a pattern is only ever reduced to its own
    subsets. For one modality that is present with probability p in training and q in deployment,
    this is the removal with probability ``1 - q / p``. Where the deployment has more of a modality
    than training, it cannot be simulated; the plan then comes as near as removing can, and warns.
    `declared` names the modalities that the deployment may speak of, where some of them are in no
    training sample; requests that hold only such ones are left out.

    Parameters
    ----------
    presence : bool array (n_samples, n_modalities)
        Natural presence in training.
    modalities : sequence of str
        Its columns.
    deployment : Deployment
    declared : sequence of str, optional
        `modalities` where not given.

    Raises
    ------
    MaskingError
        The deployment's availability is unknown, or shares no modality with training.
    """
    known = modalities if declared is None or deployment.source == "training" else declared
    weights = deployment.pattern_weights(known, presence)
    if weights is None:
        raise MaskingError(
            "masking: the schedule 'deployment' needs the deployment's availability. Declare "
            "rates, patterns or a log of requests, or use 'uniform' or 'curriculum'."
        )
    distinct, codes = pattern_codes(presence)
    filled = np.asarray(distinct.any(axis=1))
    share = np.bincount(codes, minlength=len(distinct)).astype(float)[filled]
    sources, share = distinct[filled], share / share.sum()
    # Requests with unknown modalities only cannot be answered, so there is nothing to train for.
    weights = {p: w for p, w in weights.items() if p & frozenset(modalities)}
    answered = sum(weights.values())
    if answered <= 0:
        raise MaskingError(
            f"masking: the deployment has none of the modalities that training has "
            f"({', '.join(modalities)})."
        )
    weights = {p: w / answered for p, w in weights.items()}
    wanted = np.array([[m in pattern for m in modalities] for pattern in weights], dtype=bool)
    # A sample whose pattern has no subset in the deployment keeps what both have in common, or
    # stays as it is: it must not be emptied.
    targets = np.unique(np.vstack([wanted, sources]), axis=0)
    aim = _aims(targets, wanted, np.array(list(weights.values())))
    # Patterns that only training has get no mass unless nothing else is possible.
    subset = np.asarray((~targets[None, :, :] | sources[:, None, :]).all(axis=2))
    reach = subset & (aim > 0)[None, :]
    stuck = np.asarray(~reach.any(axis=1))
    same = np.asarray((targets[None, :, :] == sources[:, None, :]).all(axis=2))
    reach[stuck] = same[stuck]
    kernel = _fit_margins(reach.astype(float), share, aim)
    reached = share @ kernel
    shortfall = float(0.5 * np.abs(reached - aim).sum())
    if shortfall > 0.02:
        scarce = _scarcer_in_training(presence, modalities, weights)
        warnings.warn(
            f"masking: removing modalities cannot make the training samples look like the "
            f"deployment; {shortfall:.0%} of it stays out of reach"
            f"{f' (training has too little of {scarce})' if scarce else ''}.",
            FusewiseWarning,
            stacklevel=3,
        )
    return RemovalPlan(sources, targets, kernel, shortfall)


def _aims(targets: BoolArray, wanted: BoolArray, weights: FloatArray) -> FloatArray:
    aim = np.zeros(len(targets))
    for pattern, weight in zip(wanted, weights, strict=True):
        aim[(targets == pattern).all(axis=1)] += weight
    return aim


def _fit_margins(kernel: FloatArray, rows: FloatArray, columns: FloatArray) -> FloatArray:
    """Scale a table with zeros to the column shares, keeping each row a distribution."""
    kernel = kernel / kernel.sum(axis=1, keepdims=True)
    for _ in range(500):
        reached = rows @ kernel
        factor = np.divide(columns, reached, out=np.ones_like(columns), where=reached > 0)
        # A column without aim holds only rows that can go nowhere else.
        factor[columns == 0] = 1.0
        scaled = kernel * factor
        scaled /= scaled.sum(axis=1, keepdims=True)
        if np.abs(scaled - kernel).max() < 1e-9:
            break
        kernel = scaled
    return kernel


def _scarcer_in_training(
    presence: BoolArray, modalities: Sequence[str], weights: Mapping[frozenset[str], float]
) -> str:
    rates = presence.mean(axis=0)
    short = [
        m
        for m, rate in zip(modalities, rates, strict=True)
        if sum(w for p, w in weights.items() if m in p) > rate + 0.01
    ]
    return ", ".join(short)


def _remove_independently(
    presence: BoolArray, rates: FloatArray, rng: np.random.Generator
) -> BoolArray:
    kept = presence & (rng.random(presence.shape) >= rates)
    emptied = presence.any(axis=1) & ~kept.any(axis=1)
    if emptied.any():
        # One of the sample's own modalities, each with the same probability.
        draws = np.where(presence[emptied], rng.random((int(emptied.sum()), presence.shape[1])), -1)
        kept[np.flatnonzero(emptied), draws.argmax(axis=1)] = True
    return kept
