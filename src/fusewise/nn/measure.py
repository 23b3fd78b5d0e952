"""What is measured at the end of an epoch, on rows that training does not learn from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fusewise.exceptions import TrainingError
from fusewise.nn.balance import contributions
from fusewise.nn.batch import Rows
from fusewise.nn.distributed import Processes
from fusewise.nn.faults import culprit
from fusewise.nn.losses import READOUTS, readouts, sample_losses
from fusewise.nn.settings import Check, FloatArray, Settings


class Measure:
    """Losses of a network on the rows of a check.

    Parameters
    ----------
    network : nn.Module
        As in :func:`~fusewise.nn.train`.
    batch : mapping of str to Rows
        All samples, on the device of the network.
    target : Tensor (n,)
        Their targets.
    check : Check or None
        Rows with weight 0 are left out.
    loss : str
        As in :func:`~fusewise.nn.sample_losses`.
    settings : Settings
        Batches are twice as large as in training, as nothing is kept for gradients.
    processes : Processes
        Each evaluates its share of the batches.
    """

    def __init__(
        self,
        network: nn.Module,
        batch: Mapping[str, Rows],
        target: Tensor,
        check: Check | None,
        loss: str,
        settings: Settings,
        processes: Processes,
    ) -> None:
        self.network, self.batch, self.target = network, batch, target
        self.loss, self.settings, self.processes = loss, settings, processes
        self.check: Check | None = None
        if check is not None:
            kept = np.flatnonzero(np.asarray(check.weight) > 0)
            self.check = Check(
                np.asarray(check.rows, dtype=np.int64)[kept],
                np.asarray(check.presence, dtype=bool)[kept],
                np.asarray(check.weight, dtype=np.float64)[kept],
            )

    @property
    def checked(self) -> bool:
        """Whether there is anything to stop by."""
        return self.check is not None and len(self.check.rows) > 0

    def __call__(self, rng: np.random.Generator, epoch: int) -> dict[str, Any]:
        """Return the entries of an epoch's record; none without a check.

        Raises
        ------
        TrainingError
            However the network is read, its loss is not finite; names the modality.
        """
        if self.check is None or not self.checked:
            return {}
        names = list(self.batch)
        read, own, has = self._losses(self.check)
        weight = self.check.weight
        losses = {
            name: float(np.average(loss, weights=weight))
            for name, loss in zip(READOUTS, read, strict=True)
            if np.isfinite(loss).all()
        }
        if not losses:
            raise TrainingError(
                f"Training stopped after epoch {epoch} (counted from 0): the loss on the rows that "
                f"stop it is not finite. {self._culprit(self.check, read[0])}"
            )
        # Training goes on as long as one way of reading the network gets better.
        record: dict[str, Any] = {
            "check_loss": min(losses.values()),
            "readouts": losses,
        }
        if self.settings.auxiliary_weight:
            counted = weight[:, None] * has
            with np.errstate(invalid="ignore"):
                means = (counted * own).sum(axis=0) / counted.sum(axis=0)
            record["auxiliary_loss"] = dict(zip(names, means.tolist(), strict=True))
        if self.settings.contribution_rows:
            record["contribution"] = contributions(
                lambda check: self._losses(check)[0][0], self.check, read[0], names,
                max_rows=self.settings.contribution_rows, rng=rng,
            )  # fmt: skip
        return record

    def _culprit(self, check: Check, loss: FloatArray) -> str:
        ill = np.flatnonzero(~np.isfinite(loss))[: self.settings.batch_size]
        rows = torch.from_numpy(check.rows[ill]).to(self.target.device)
        seen = torch.from_numpy(check.presence[ill]).to(self.target.device)
        batch = {
            name: own.take(rows, seen[:, m]) for m, (name, own) in enumerate(self.batch.items())
        }
        return culprit(self.network, batch, self.target[rows])

    def _losses(self, check: Check) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return losses by readout (3, c), of the heads (c, M), and where these exist (c, M)."""
        names = list(self.batch)
        c, device = len(check.rows), self.target.device
        rows = torch.from_numpy(check.rows).to(device)
        presence = torch.from_numpy(check.presence).to(device)
        # Apple's GPUs have no doubles.
        dtype = torch.float32 if device.type == "mps" else torch.float64
        first = len(READOUTS)
        found = torch.zeros(2 * len(names) + first, c, device=device, dtype=dtype)
        self.network.eval()
        parts = torch.arange(c, device=device).split(2 * self.settings.batch_size)
        with torch.no_grad():
            for part in parts[self.processes.rank :: self.processes.size]:
                chosen, seen = rows[part], presence[part]
                batch = {
                    name: self.batch[name].take(chosen, seen[:, m]) for m, name in enumerate(names)
                }
                output, target = self.network(batch, seen), self.target[chosen]
                read = readouts(self.loss, output)
                for row, readout in enumerate(READOUTS):
                    said = read.get(readout)
                    found[row, part] = (
                        torch.nan
                        if said is None
                        else sample_losses(self.loss, said, target).to(dtype)
                    )
                for name, (sample, prediction) in output.auxiliary.items():
                    m = names.index(name)
                    own = sample_losses(self.loss, prediction, target[sample])
                    found[first + m, part[sample]] = own.to(dtype)
                    found[first + len(names) + m, part[sample]] = 1.0
        totals = self.processes.total(found).cpu().double().numpy()
        heads = totals[first:].T
        return totals[:first], heads[:, : len(names)], heads[:, len(names) :]
