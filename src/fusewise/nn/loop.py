"""The training loop: one network, one record and one snapshot per epoch, of which few are kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import asdict, is_dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fusewise.exceptions import MaskingError, ModelFormatError, TrainingError
from fusewise.nn.average import WeightAverage
from fusewise.nn.balance import Modulation, constant_loss
from fusewise.nn.batch import Batch
from fusewise.nn.checkpoint import digest, load_checkpoint, save_checkpoint
from fusewise.nn.distributed import Processes
from fusewise.nn.faults import culprit, moving_watched
from fusewise.nn.losses import Objective
from fusewise.nn.measure import Measure
from fusewise.nn.optimise import Optimiser
from fusewise.nn.settings import BoolArray, Check, Draw, IntArray, Settings, Trained
from fusewise.nn.snapshots import arrays_of, as_arrays, as_tensors, needed

# Steps between two looks at figures.
_LOOK = 10


class Loop:
    """The state of one training, epoch by epoch; parameters as in :func:`~fusewise.nn.train`."""

    def __init__(
        self,
        network: nn.Module,
        batch: Batch,
        presence: BoolArray,
        target: Tensor,
        weight: np.ndarray,
        fit: IntArray,
        check: Check | None,
        loss: str,
        draw: Draw | None,
        settings: Settings,
        seed: int,
        processes: Processes,
        checkpoint: Path | None,
        identity: Any,
    ) -> None:
        self.settings, self.seed, self.processes, self.draw = settings, seed, processes, draw
        self.names = sorted(batch)
        self.checkpoint = checkpoint
        self.fingerprint: dict[str, Any] = {}
        if self.checkpoint is not None:
            self.fingerprint = {
                **{k: v for k, v in asdict(settings).items() if k != "device"},
                "seed": seed,
                "loss": loss,
                "masking": digest(draw) if is_dataclass(draw) else draw is not None,
                "data": digest(batch, presence, target, weight, fit, check),
                "network": digest(network.state_dict()),
                "identity": digest(identity),
            }
        device = processes.device
        with moving_watched(device):
            self.batch = {name: batch[name].to(device) for name in self.names}
        self.network = network.to(device)
        dtype = next(network.parameters()).dtype
        self.target = target.to(device, dtype if target.is_floating_point() else target.dtype)
        self.weight = torch.from_numpy(weight / weight[fit].mean()).to(dtype).to(device)
        self.fit = torch.from_numpy(fit).to(device)
        self.fit_presence = presence[fit]
        self.n_steps = math.ceil(len(fit) / settings.batch_size)
        # Before processes share the parameters, as it moves them.
        self.optimiser = Optimiser(self.network, settings, self.names)
        self.average = WeightAverage(self.optimiser.flat, settings.average)
        self.objective = processes.wrap(
            Objective(self.network, loss, settings.auxiliary_weight, self.names)
        )
        self.modulation = Modulation(
            len(self.names), constant_loss(loss, self.target[self.fit], self.weight[self.fit])
        )
        self.paces = [1.0] * len(self.names)
        self.measure = Measure(
            self.network, self.batch, self.target, check, loss, settings, processes
        )
        self.history: list[dict[str, Any]] = []
        self.snapshots: dict[int, dict[str, np.ndarray]] = {}

    def run(self, on_epoch: Callable[[dict[str, Any]], None] | None) -> Trained:
        """Train until something says stop, from the checkpoint on where there is one."""
        self._resume()
        while not self._stopped():
            record = self._epoch(len(self.history))
            self.history.append(record)
            kept = needed(self.history, self.settings.patience, self.settings.first_kept)
            self.snapshots = {epoch: self.snapshots[epoch] for epoch in kept}
            if self.checkpoint is not None and self.processes.first:
                save_checkpoint(self.checkpoint, self._state(), self.fingerprint)
            if on_epoch is not None:
                on_epoch(deepcopy(record))
        snapshots = list(self.snapshots.values())
        self.network.load_state_dict(as_tensors(snapshots[-1:])[0])
        self.network.eval()
        self.optimiser.release()
        return Trained(
            snapshots, list(self.snapshots), self.history, self._stopped(), self.settings.first_kept
        )

    def _stopped(self) -> str:
        """Return why there is no further epoch, or an empty text."""
        done = len(self.history)
        if done >= self.settings.max_epochs:
            return "max_epochs"
        first = self.settings.first_kept
        if done <= first or not self.measure.checked:
            return ""
        losses = [record["check_loss"] for record in self.history[first:]]
        waited = len(losses) - 1 - int(np.argmin(losses))
        return "patience" if waited >= self.settings.patience else ""

    def _epoch(self, epoch: int) -> dict[str, Any]:
        started = perf_counter()
        orders, masks, measures = (
            np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(epoch, stream)))
            for stream in range(3)
        )
        self._seed_dropout(epoch)
        presence = self._masked(epoch, masks)
        order = torch.from_numpy(orders.permutation(len(self.fit))).to(presence.device)
        # Of equal sizes, as a small last batch would be a noisy step.
        batches = order.tensor_split(self.n_steps)
        self.network.train()
        sums = torch.zeros(len(self.names) + 1, 2, device=order.device, dtype=self.weight.dtype)
        recent, healthy = torch.zeros_like(sums), []
        for step, chosen in enumerate(batches):
            rate = self.settings.rate(epoch * self.n_steps + step, self.n_steps)
            found, finite = self._step(chosen, presence, rate)
            recent += found
            healthy.append(finite)
            last = step == self.n_steps - 1
            if last or step % _LOOK == _LOOK - 1:
                self.processes.total(recent)
                if self.settings.balance:
                    self.modulation.update(recent[:-1])
                    self.paces = self.modulation.paces()
                sums += recent
                recent.zero_()
            # Asking a GPU for a figure makes it wait; on a CPU it costs nothing.
            if last or order.device.type == "cpu" or step % _LOOK == _LOOK - 1:
                self._stop_if_ill(healthy, batches, presence, epoch)
        with self.average.applied():
            self.snapshots[epoch] = arrays_of(self.network, self.snapshots.get(epoch - 1, {}))
            measured = self.measure(measures, epoch)
        trained = (sums[:, 0] / sums[:, 1]).tolist()
        return {
            "epoch": epoch,
            "train_loss": trained[-1],
            "check_loss": math.nan,
            "readouts": {},
            "learning_rate": rate,
            "auxiliary_loss": dict(zip(self.names, trained[:-1], strict=True)),
            "contribution": dict.fromkeys(self.names, math.nan),
            "pace": dict(zip(self.names, self.paces, strict=True)),
            **measured,
            "seconds": perf_counter() - started,
        }

    def _step(self, chosen: Tensor, presence: Tensor, rate: float) -> tuple[Tensor, Tensor]:
        """Take one step; return the sums of losses and whether all was finite."""
        own, factor = self.processes.share(chosen)
        rows, seen = self.fit[own], presence[own]
        # The mean over the whole batch; several processes give the mean of their gradients.
        scale = factor * self.processes.size / len(chosen)
        with torch.autocast(
            rows.device.type,
            torch.bfloat16,
            enabled=self.settings.mixed_precision and rows.device.type == "cuda",
        ):
            total, sums = self.objective(
                self._take(rows, seen), seen, self.target[rows], self.weight[rows] * scale
            )
        self.optimiser.clear()
        total.backward()
        healthy = self.optimiser.clipped().isfinite()
        # The weights stay as they were, so that the culprit can be found with them.
        if rows.device.type != "cpu" or healthy:
            self.optimiser.step(rate, self.paces)
            self.average.update()
        return sums * (len(chosen) / self.processes.size), healthy

    def _take(self, rows: Tensor, seen: Tensor) -> Batch:
        return {name: self.batch[name].take(rows, seen[:, m]) for m, name in enumerate(self.names)}

    def _masked(self, epoch: int, rng: np.random.Generator) -> Tensor:
        """Return what this epoch sees of the training rows' presence (n_fit, M)."""
        seen = self.fit_presence
        if self.draw is not None:
            seen = np.asarray(self.draw(self.fit_presence.copy(), epoch, rng), dtype=bool)
            if seen.shape != self.fit_presence.shape or (seen & ~self.fit_presence).any():
                raise MaskingError(
                    f"train: draw must return presence of the shape {self.fit_presence.shape} "
                    f"that it was given, and can remove modalities but not add them."
                )
        return torch.from_numpy(seen).to(self.fit.device)

    def _seed_dropout(self, epoch: int) -> None:
        key = (epoch, 3, self.processes.rank)
        seed = int(np.random.SeedSequence(self.seed, spawn_key=key).generate_state(1)[0])
        torch.default_generator.manual_seed(seed)
        if self.fit.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def _stop_if_ill(
        self, healthy: list[Tensor], batches: Sequence[Tensor], presence: Tensor, epoch: int
    ) -> None:
        if bool(torch.stack(healthy[-_LOOK:]).all()):
            return
        step = next(i for i, fine in enumerate(healthy) if not fine)
        rows = self.fit[batches[step]]
        cause = culprit(self.network, self._take(rows, presence[batches[step]]), self.target[rows])
        raise TrainingError(
            f"Training stopped in epoch {epoch}, batch {step} (counted from 0): its loss or "
            f"gradient is not finite. {cause}"
        )

    def _state(self) -> dict[str, Any]:
        return {
            "weights": [flat.detach() for flat in self.optimiser.flat],
            "optimizer": self.optimiser.adam.state_dict(),
            "average": self.average.state(),
            "modulation": self.modulation.state(),
            "paces": self.paces,
            "history": self.history,
            "kept": list(self.snapshots),
            "snapshots": as_tensors(list(self.snapshots.values())),
        }

    def _resume(self) -> None:
        if self.checkpoint is None:
            return
        state = load_checkpoint(self.checkpoint, self.fingerprint)
        if not self.processes.same(len(state["history"]) if state else 0):
            raise ModelFormatError(
                f"{self.checkpoint}: the processes find different checkpoints. Put it in a folder "
                "that all of them share."
            )
        if state is None:
            return
        self.snapshots = dict(zip(state["kept"], as_arrays(state["snapshots"]), strict=True))
        self.history = state["history"]
        self.network.load_state_dict(state["snapshots"][-1])
        with torch.no_grad():
            for parameter, value in zip(self.optimiser.flat, state["weights"], strict=True):
                parameter.copy_(value)
        self.optimiser.adam.load_state_dict(state["optimizer"])
        self.average.load(state["average"])
        self.modulation.load(state["modulation"])
        self.paces = state["paces"]
