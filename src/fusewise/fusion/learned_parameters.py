"""The parameters of the learned strategies: what they may be, and what they come to."""

from __future__ import annotations

import numbers
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin

from fusewise.exceptions import DatasetError
from fusewise.fusion.base import FusionEstimator
from fusewise.fusion.committee import several_processes
from fusewise.fusion.tensors import TensorEncoder
from fusewise.fusion.weights import FittedNetwork

BoolArray = npt.NDArray[np.bool_]

# Steps per epoch that an automatic batch size aims at, on complete data.
_STEPS = 64
UNSEEN = ("ignore", "refuse")


class LearnedParameters(FusionEstimator):
    """Base of the strategies that are networks: checks what was asked for."""

    encoders: Any
    masking: Any
    deployment: Any
    n_members: int
    max_epochs: int
    patience: int
    batch_size: int | str
    learning_rate: float
    weight_decay: float
    width: int
    dropout: float
    balance: str | None
    unseen: str
    device: str
    checkpoint: Any
    random_state: int
    n_jobs: int | None
    verbose: Any

    encoders_: dict[str, TensorEncoder]  # type: ignore[assignment]
    networks_: list[FittedNetwork]

    def _joinings(self) -> tuple[str, ...]:
        """Return the ways of joining to choose from; the first one wins a draw."""
        raise NotImplementedError

    def _sizes(self) -> dict[str, Any]:
        """Return what a strategy's networks are made of beside their width."""
        raise NotImplementedError

    @property
    def _n_classes(self) -> int:
        return len(self.classes_) if isinstance(self, ClassifierMixin) else 0

    def _settings(self, presence: BoolArray) -> Any:
        from fusewise.nn import Settings

        for name in ("n_members", "max_epochs", "patience", "width"):
            self._check_number(name, whole=True)
        for name in ("learning_rate", "weight_decay", "dropout"):
            self._check_number(name, whole=False)
        if self.unseen not in UNSEEN:
            raise DatasetError(
                f"{type(self).__name__}: unseen must be one of {', '.join(UNSEEN)}, got "
                f"{self.unseen!r}."
            )
        if not self.dropout < 1:
            raise DatasetError(
                f"{type(self).__name__}: dropout must be below 1, got {self.dropout!r}."
            )
        n_heads = self._sizes()["n_heads"]
        if self.width % n_heads:
            raise DatasetError(
                f"{type(self).__name__}: width must be a multiple of {n_heads}, got {self.width!r}."
            )
        self._check_surroundings()
        settings = Settings(
            max_epochs=int(self.max_epochs),
            patience=int(self.patience),
            batch_size=self._batch_size(presence),
            learning_rate=float(self.learning_rate),
            weight_decay=float(self.weight_decay),
            balance=self.balance,
            device=self._device(),
            mixed_precision=self._device() != "cpu",
        )
        settings.check()
        return settings

    def _batch_size(self, presence: BoolArray) -> int:
        """Return the samples per step.

        ``auto`` takes some sixty steps an epoch on complete data, and fewer in proportion where
        modalities are absent: an encoder then still sees as many rows in a step, and the number
        of steps, whose fixed cost is most of that of a small one, follows presence too.
        """
        if isinstance(self.batch_size, str) and self.batch_size == "auto":
            size = presence.size / _STEPS / max(1, presence.sum()) * len(presence)
            return int(2 ** np.clip(np.round(np.log2(max(1.0, size))), 4, 9))
        self._check_number("batch_size", whole=True)
        return int(self.batch_size)

    def _check_number(self, name: str, *, whole: bool) -> None:
        value = getattr(self, name)
        least = 1 if whole else 0
        # numpy registers its scalars with `numbers`; that of its booleans is none.
        fits = isinstance(value, numbers.Integral if whole else numbers.Real)
        if isinstance(value, bool) or not fits or not least <= float(value) < np.inf:
            what = "a whole number of at least 1" if whole else "a finite number of at least 0"
            raise DatasetError(f"{type(self).__name__}: {name} must be {what}, got {value!r}.")

    def _check_surroundings(self) -> None:
        """Check what says where and how it is trained, and not what."""
        who = type(self).__name__
        path, jobs = self.checkpoint, self.n_jobs
        if path is not None and not (isinstance(path, str | os.PathLike) and os.fspath(path)):
            raise DatasetError(f"{who}: checkpoint must be the path of a folder, got {path!r}.")
        if path is not None and Path(path).exists() and not Path(path).is_dir():
            raise DatasetError(f"{who}: checkpoint must be a folder, and {path} is a file.")
        whole = isinstance(jobs, numbers.Integral) and not isinstance(jobs, bool)
        if jobs is not None and not (whole and jobs):
            raise DatasetError(
                f"{who}: n_jobs must be None or a whole number other than 0, got {jobs!r}."
            )
        if not callable(self.verbose) and not isinstance(self.verbose, numbers.Integral):
            raise DatasetError(
                f"{who}: verbose must be a whole number or a function, got {self.verbose!r}."
            )
        if several_processes() and self.random_state is None:
            raise DatasetError(
                f"{who}: processes that train together need one random_state, got None."
            )
        if path is not None and self.random_state is None:
            raise DatasetError(
                f"{who}: a checkpoint can only be gone on from with the same random_state, got None."
            )

    def _checkpoint_folder(self) -> Path | None:
        """Return the folder of the checkpoints, made where it does not exist yet."""
        if self.checkpoint is None:
            return None
        folder = Path(self.checkpoint)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DatasetError(
                f"{type(self).__name__}: the checkpoint folder {folder} cannot be made "
                f"({error.strerror or error}). Name a folder that can be written."
            ) from error
        return folder

    def _device(self) -> str:
        import torch

        if isinstance(self.device, str) and self.device == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        if not isinstance(self.device, str | torch.device):
            raise DatasetError(
                f"{type(self).__name__}: device must be 'auto' or the name of a device of PyTorch, "
                f"got {self.device!r}."
            )
        try:
            torch.zeros(1, device=self.device).item()
        except (RuntimeError, AssertionError, TypeError) as error:
            raise DatasetError(
                f"{type(self).__name__}: device {self.device!r} cannot be used here "
                f"({str(error).splitlines()[0]}). Use 'cpu' or 'auto'."
            ) from None
        return str(self.device)
