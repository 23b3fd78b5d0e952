"""Several processes by ``torchrun``: each takes its share of every batch, the result is one."""

from __future__ import annotations

import atexit
import gc
import importlib
import os
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class Processes:
    """The processes that train together; as a rule one.

    Parameters
    ----------
    rank : int
        Number of this process, from 0.
    size : int
        How many there are.
    device : torch.device
        Where this one computes.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process speaks for all: it alone reports and writes checkpoints."""
        return self.rank == 0

    def share(self, samples: Tensor) -> tuple[Tensor, float]:
        """Return this process's part of a batch and the factor of its weights.

        A process whose part is empty takes a sample of another with factor 0: it then goes through
        the same steps as all others and adds nothing.
        """
        own = samples[self.rank :: self.size]
        return (own, 1.0) if len(own) else (samples[:1], 0.0)

    def total(self, values: Tensor) -> Tensor:
        """Return the sum over all processes; with one process, the values as they are."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values

    def wrap(self, objective: nn.Module) -> nn.Module:
        """Return a module whose gradients are those of all processes together.

        DistributedDataParallel (Li et al., VLDB 2020) gives their mean, so losses are multiplied
        by the number of processes. An encoder that some process did not run counts as zero there;
        one that no process ran keeps no gradient, as with one process.
        """
        if self.size == 1:
            return objective
        return DistributedDataParallel(objective, find_unused_parameters=True)

    def same(self, number: int) -> bool:
        """Tell whether all processes have the same number."""
        if self.size == 1:
            return True
        pair = torch.tensor([number, -number], device=self.device)
        distributed.all_reduce(pair, distributed.ReduceOp.MAX)
        return int(pair[0]) == -int(pair[1])


def join_processes(device: str) -> Processes:
    """Join the other processes where ``torchrun`` started this one, else be the only one.

    Parameters
    ----------
    device : str
        As in :class:`~fusewise.nn.Settings`; with ``cuda`` each process takes the GPU of its local
        rank.
    """
    if not distributed.is_available():
        return Processes(0, 1, torch.device(device))
    if not distributed.is_initialized() and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        # DistributedDataParallel imports this module, whose defaults hold the group for ever if it
        # exists by then: its threads would then meet the interpreter's end and abort.
        importlib.import_module("torch.distributed.nn.functional")
        distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
        # Kept for later trainings in the same processes.
        atexit.register(_leave)
    if not distributed.is_initialized():
        return Processes(0, 1, torch.device(device))
    where = torch.device(device)
    if where.type == "cuda" and where.index is None:
        where = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(where)
    return Processes(distributed.get_rank(), distributed.get_world_size(), where)


def _leave() -> None:
    """End the group and its threads while the interpreter still lives."""
    gc.collect()  # A wrapped module is part of cycles and holds the group.
    if distributed.is_initialized():
        distributed.destroy_process_group()
