"""Training of one network from one seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fusewise.exceptions import DatasetError
from fusewise.nn.batch import Batch
from fusewise.nn.distributed import join_processes
from fusewise.nn.faults import memory_watched
from fusewise.nn.loop import Loop
from fusewise.nn.settings import LOSSES, BoolArray, Check, Draw, IntArray, Settings, Trained


def train(
    network: nn.Module,
    batch: Batch,
    presence: BoolArray,
    target: Tensor,
    weight: Any,
    *,
    fit: IntArray,
    check: Check | None = None,
    loss: str,
    draw: Draw | None = None,
    settings: Settings | None = None,
    seed: int = 0,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
    checkpoint: Path | str | None = None,
    identity: Any = None,
) -> Trained:
    """Train a network on the rows `fit`, and stop it by the rows of `check`.

    Everything random (order of batches, dropout, masking) comes from `seed` and the number of the
    epoch; the global generators are left as they were. On a CPU the same seed gives the same bits
    with the same versions, numbers of threads and processes. Several processes that ``torchrun``
    started take their shares of each batch; without dropout, whose draws differ, the result is
    that of one process within rounding. All of them return it.

    Parameters
    ----------
    network : nn.Module
        ``network(batch, presence)`` gives an output with ``main`` (n, K) and ``auxiliary``,
        ``{modality: (sample (j,), (j, K))}``; ``encoders`` maps modalities to modules. It is
        trained in place and ends with the averaged weights of the last epoch.
    batch : Batch
        Rows of all n samples, by modality.
    presence : bool array (n, M)
        Columns in the order of the modalities' sorted names. Rows of a modality that is not
        present are not looked at.
    target : Tensor (n,)
        Classes 0..K-1 or numbers.
    weight : array (n,)
        Sample weights, not negative; only their ratios count.
    fit : int array
        Positions to train on. Those with weight 0 or without any modality are left out.
    check : Check, optional
        Rows whose weighted loss stops the training; without them it runs `max_epochs`.
    loss : {"cross_entropy", "squared_error"}
        As in :func:`~fusewise.nn.sample_losses`.
    draw : callable, optional
        ``draw(presence, epoch, rng)`` returns what training sees of the presence of the training
        rows in an epoch; it can remove, not add.
    settings : Settings, optional
        The defaults where not given.
    seed : int
        Not negative.
    on_epoch : callable, optional
        Called with the record of each epoch, after the checkpoint; by the first process only.
    checkpoint : path, optional
        Written after each epoch. A training that finds its own checkpoint goes on from there, to
        the same bits as one that was never interrupted. A ``draw`` is compared where it is a
        dataclass.
    identity : optional
        What the network is beside its weights, such as its dropout: text, numbers and mappings of
        them. A checkpoint of a training with another one is refused.

    Raises
    ------
    TrainingError
        A loss or a gradient is not finite; names epoch, batch and modality.
    NotEnoughMemoryError
        Suggests a batch size, or another device where the rows do not fit into its memory.
    ModelFormatError
        The checkpoint is damaged or belongs to another training.
    DatasetError
        Shapes do not fit each other, a setting is out of range, or nothing is left to train on.
    """
    settings = settings or Settings()
    settings.check()
    if loss not in LOSSES:
        raise DatasetError(f"train: loss must be one of {', '.join(LOSSES)}, got {loss!r}.")
    presence = np.asarray(presence, dtype=bool)
    weight = np.asarray(weight, dtype=np.float64)
    n, names = len(target), sorted(batch)
    shapes = {presence.shape: (n, len(names)), weight.shape: (n,)}
    shapes |= {(rows.n,): (n,) for rows in batch.values()}
    for found, expected in shapes.items():
        if found != expected:
            raise DatasetError(
                f"train: target has {n} samples and the batch {len(names)} modalities, but "
                f"presence, weight or rows have the shape {found} instead of {expected}."
            )
    fit = np.asarray(fit, dtype=np.int64)
    fit = fit[(weight[fit] > 0) & presence[fit].any(axis=1)]
    if not len(fit):
        raise DatasetError(
            "train: no training sample is left that has a weight above 0 and a modality."
        )
    processes = join_processes(settings.device)
    with memory_watched(settings.batch_size), _own_randomness(processes.device):
        loop = Loop(
            network, batch, presence, target, weight, fit, check, loss, draw, settings, seed,
            processes, None if checkpoint is None else Path(checkpoint), identity,
        )  # fmt: skip
        return loop.run(on_epoch if processes.first else None)


@contextmanager
def _own_randomness(device: torch.device) -> Iterator[None]:
    devices = []
    if device.type == "cuda":
        devices = [torch.cuda.current_device() if device.index is None else device.index]
    with torch.random.fork_rng(devices):
        yield
