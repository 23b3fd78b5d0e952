"""States of a network as arrays, in which what does not change is kept once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

Arrays = dict[str, npt.NDArray[Any]]


def arrays_of(network: nn.Module, previous: Mapping[str, npt.NDArray[Any]]) -> Arrays:
    """Return the state of a network; arrays equal to those of `previous` are the same objects."""
    arrays: Arrays = {}
    for name, tensor in network.state_dict().items():
        array = tensor.detach().cpu().numpy().copy()
        before = previous.get(name)
        same = before is not None and np.array_equal(array, before)
        arrays[name] = before if before is not None and same else array
    return arrays


def needed(history: Sequence[Mapping[str, Any]], patience: int, first: int) -> list[int]:
    """Return the epochs whose state may still be asked for, ascending.

    The last ones, within twice the patience, as several networks stop at one epoch that lies near
    the best of each; and the best of each readout from epoch `first` on.

    Examples
    --------
    >>> losses = [0.5, 0.1, 0.4, 0.6, 0.6, 0.6]
    >>> needed([{"readouts": {"joint": loss}} for loss in losses], patience=1, first=0)
    [1, 4, 5]
    """
    best: dict[str, tuple[float, int]] = {}
    for epoch, record in enumerate(history[first:], start=first):
        for name, loss in record["readouts"].items():
            best[name] = min(best.get(name, (loss, epoch)), (loss, epoch))
    last = range(max(0, len(history) - 2 * patience), len(history))
    return sorted({*last, *(epoch for _, epoch in best.values())})


def as_tensors(snapshots: Sequence[Mapping[str, npt.NDArray[Any]]]) -> list[dict[str, Tensor]]:
    """Return tensors over the same memory; one array shared by several gives one tensor."""
    made: dict[int, Tensor] = {}
    return [
        {name: made.setdefault(id(a), torch.from_numpy(a)) for name, a in snapshot.items()}
        for snapshot in snapshots
    ]


def as_arrays(snapshots: Sequence[Mapping[str, Tensor]]) -> list[Arrays]:
    """Return arrays over the same memory; tensors that share theirs give one array."""
    made: dict[tuple[int, tuple[int, ...]], npt.NDArray[Any]] = {}
    return [
        {
            name: made.setdefault((t.data_ptr(), tuple(t.shape)), t.numpy())
            for name, t in snapshot.items()
        }
        for snapshot in snapshots
    ]
