"""What a training is told and what it gives back."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fusewise.exceptions import DatasetError

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
Draw = Callable[[BoolArray, int, np.random.Generator], BoolArray]
"""``draw(presence, epoch, rng)``: what training sees of `presence` in one epoch."""

LOSSES = ("cross_entropy", "squared_error")
SCHEDULES = ("constant", "cosine")


@dataclass(frozen=True)
class Settings:
    """Settings of one training.

    Parameters
    ----------
    max_epochs : int
        Passes over the training rows at most.
    min_epochs : int
        For maskings that grow over the epochs: the first epoch that may be kept, counted from 1.
        Patience starts with it, whatever the loss was before.
    patience : int
        Epochs without a better check loss after which training stops.
    batch_size : int
        Samples per step, over all processes together. Batches are of equal size, so that the last
        one is not noisier than the others.
    learning_rate, weight_decay : float
        Of AdamW (Loshchilov and Hutter, ICLR 2019). Biases, norms, embeddings and learned tokens
        do not decay.
    warmup : float
        Epochs over which the learning rate rises from 0.
    schedule : {"constant", "cosine"}
        Course of the learning rate afterwards; ``cosine`` falls to a twentieth at `max_epochs`.
        With averaged weights and early stopping, ``constant`` needs no guess of the length.
    average : float
        Decay per step of the moving average of the weights, which is what is checked and kept;
        0 keeps the weights of the last step.
    gradient_clip : float
        Largest norm of the gradient; ``inf`` for no limit.
    auxiliary_weight : float
        Weight of the losses of the modalities' own heads beside the main one. A sample's auxiliary
        loss is the mean over the modalities it has, so that their number does not count.
    balance : {None, "modulated"}
        ``modulated`` slows the encoders of the modalities that run ahead.
    contribution_rows : int
        Rows of the check on which contributions are measured, shared among the modalities; 0 for
        no measurement.
    device : str
        ``cpu``, ``cuda``, or any other device of PyTorch.
    mixed_precision : bool
        bfloat16 in training where the device is a GPU.
    """

    max_epochs: int = 40
    min_epochs: int = 0
    patience: int = 6
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    warmup: float = 1.0
    schedule: str = "constant"
    average: float = 0.99
    gradient_clip: float = 1.0
    auxiliary_weight: float = 1.0
    balance: str | None = None
    contribution_rows: int = 500
    device: str = "cpu"
    mixed_precision: bool = False

    def check(self) -> None:
        """Raise where a setting is out of range."""
        for name, least in (
            ("max_epochs", 1), ("min_epochs", 0), ("patience", 1), ("batch_size", 1),
            ("warmup", 0), ("weight_decay", 0), ("auxiliary_weight", 0), ("contribution_rows", 0),
        ):  # fmt: skip
            if not least <= getattr(self, name) < math.inf:
                raise DatasetError(f"{name} must be at least {least}, got {getattr(self, name)}.")
        for name in ("learning_rate", "gradient_clip"):
            if not getattr(self, name) > 0:
                raise DatasetError(f"{name} must be above 0, got {getattr(self, name)}.")
        if not 0 <= self.average < 1:
            raise DatasetError(f"average must lie in [0, 1), got {self.average}.")
        if self.schedule not in SCHEDULES:
            raise DatasetError(
                f"schedule must be one of {', '.join(SCHEDULES)}, got {self.schedule!r}."
            )
        if self.balance not in (None, "modulated"):
            raise DatasetError(f"balance must be None or 'modulated', got {self.balance!r}.")
        if self.balance and not self.auxiliary_weight:
            raise DatasetError(
                "balance needs the modalities' own heads: auxiliary_weight must be above 0, got 0."
            )

    @property
    def first_kept(self) -> int:
        """First epoch, from 0, that may be kept."""
        return max(0, min(self.min_epochs, self.max_epochs) - 1)

    def rate(self, step: int, steps_per_epoch: int) -> float:
        """Return the learning rate of a step, counted from 0 over all epochs.

        Examples
        --------
        >>> settings = Settings(learning_rate=0.1, warmup=1.0)
        >>> [settings.rate(step, 4) for step in range(6)]
        [0.025, 0.05, 0.075, 0.1, 0.1, 0.1]
        """
        rising = min(1.0, (step + 1) / max(1.0, self.warmup * steps_per_epoch))
        if self.schedule == "cosine":
            done = min(1.0, step / (self.max_epochs * steps_per_epoch))
            return self.learning_rate * rising * (0.525 + 0.475 * math.cos(math.pi * done))
        return self.learning_rate * rising


@dataclass(frozen=True, eq=False)
class Check:
    """What a training is stopped by: rows that it does not learn from.

    Parameters
    ----------
    rows : int array (c,)
        Positions of samples; a sample may come several times, with different presence.
    presence : bool array (c, n_modalities)
        What is present of each.
    weight : float array (c,)
        How much each counts, for example such that the mixture is the deployment's.
    """

    rows: IntArray
    presence: BoolArray
    weight: FloatArray


@dataclass(frozen=True, eq=False)
class Trained:
    """What a training gives back.

    Parameters
    ----------
    snapshots : list of dict of arrays
        The state of the network at the end of the epochs that are `kept`, with averaged weights.
        What does not change (frozen parameters, constants) is one array, shared by all.
    kept : list of int
        Epochs of the snapshots, ascending: the last ones, twice as many as the patience, and the
        best of each readout.
    history : list of dict
        One record per epoch: ``epoch`` (from 0), ``train_loss``, ``check_loss`` (NaN without a
        check; the smallest of ``readouts``, see :func:`~fusewise.nn.readouts`),
        ``learning_rate``, ``seconds``; by modality ``auxiliary_loss``, ``contribution``
        (NaN where it cannot be measured) and ``pace`` (1, or less where it was slowed).
    stopped : str
        ``patience`` or ``max_epochs``.
    first : int
        First epoch that may be kept, from 0.
    """

    snapshots: list[dict[str, npt.NDArray[Any]]]
    kept: list[int]
    history: list[dict[str, Any]]
    stopped: str
    first: int = 0

    def place(self, epoch: int) -> int:
        """Return the place in `kept` of the nearest epoch not after `epoch`, else of the first."""
        return max(0, bisect_right(self.kept, epoch) - 1)

    @property
    def best(self) -> int:
        """Epoch from `first` on with the smallest check loss; the last one without a check."""
        losses = [record["check_loss"] for record in self.history[self.first :]]
        if any(math.isnan(loss) for loss in losses):
            return len(self.history) - 1
        return self.first + losses.index(min(losses))
