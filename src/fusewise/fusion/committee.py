"""A cross-validated committee: each member learns from the rows outside one fold.

Every row teaches all members but one, and that one tells when to stop. All members stop at one
epoch, the best of their pooled loss, since a single fold often has too few positives to tell
(Krogh and Vedelsby 1995 on committees that see different rows; Prechelt 1998 on early stopping).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from joblib import Parallel, delayed, effective_n_jobs

from fusewise.exceptions import TrainingError
from fusewise.fusion.masking import Masking, RemovalPlan
from fusewise.fusion.weights import FittedNetwork

if TYPE_CHECKING:
    from torch import nn

    from fusewise.nn import Check, Rows, Settings, Trained

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Draw:
    """What one epoch of training sees; the curriculum reaches its rate after `ramp` epochs."""

    masking: Masking
    plan: RemovalPlan | None
    ramp: int

    def __call__(self, presence: BoolArray, epoch: int, rng: np.random.Generator) -> BoolArray:
        step = min(epoch, self.ramp - 1)
        return self.masking.draw(presence, step, rng, n_epochs=self.ramp, plan=self.plan)


@dataclass(frozen=True, eq=False)
class Task:
    """What all members are trained on."""

    batch: Mapping[str, Rows]
    presence: BoolArray
    target: npt.NDArray[Any]
    weight: FloatArray
    loss: str
    draw: Draw | None
    settings: Settings
    edges: Mapping[str, FloatArray]
    given: Mapping[str, nn.Module]
    n_threads: int
    verbose: Any
    checkpoint: Path | None


@dataclass(frozen=True, eq=False)
class Member:
    """One member before it is trained: which rows teach it, and which stop it."""

    number: int
    spec: Mapping[str, Any]
    fit: IntArray
    check: Check
    seed: int

    @property
    def label(self) -> str:
        """What it is called in logs and checkpoints."""
        return f"{self.spec['joining']}-{self.number}"


def several_processes() -> bool:
    """Tell whether ``torchrun`` started this process together with others."""
    return int(os.environ.get("WORLD_SIZE") or 1) > 1


def train_members(task: Task, members: Sequence[Member], n_jobs: int | None) -> list[Trained]:
    """Train the members, `n_jobs` at a time in processes of their own."""
    if several_processes():
        # They train each network together, and so must all be at the same one.
        n_jobs = 1
    tell = task.verbose if callable(task.verbose) and effective_n_jobs(n_jobs) > 1 else None
    if tell is not None:
        # What is told in another process is heard by nobody.
        task = replace(task, verbose=0)
    parallel = Parallel(n_jobs=n_jobs, return_as="generator")
    trained = []
    for member, one in zip(
        members, parallel(delayed(_train_member)(task, m) for m in members), strict=True
    ):
        trained.append(one)
        if tell is not None:
            tell(_told(member, task, one.history[-1]))
    return trained


def _told(member: Member, task: Task, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record of an epoch with what it belongs to; epochs count from 1."""
    place = {"joining": member.spec["joining"], "member": member.number}
    at_most = {"epoch": record["epoch"] + 1, "max_epochs": task.settings.max_epochs}
    return {**place, **record, **at_most}


def _listener(member: Member, task: Task) -> Callable[[dict[str, Any]], None] | None:
    if callable(task.verbose):
        return lambda record: task.verbose(_told(member, task, record))
    return _Log(member.label) if task.verbose else None


def _train_member(task: Task, member: Member) -> Trained:
    import torch

    from fusewise.fusion.architecture import build
    from fusewise.nn import train

    before = torch.get_num_threads()
    torch.set_num_threads(task.n_threads)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(member.seed)
            edges = {m: torch.from_numpy(e).float() for m, e in task.edges.items()}
            network = build(member.spec, task.given, edges)
        checkpoint = task.checkpoint
        if checkpoint is not None:
            checkpoint = checkpoint / f"{member.label}.pt"
        return train(
            network,
            task.batch,
            task.presence,
            torch.from_numpy(task.target),
            task.weight,
            fit=member.fit,
            check=member.check,
            loss=task.loss,
            draw=task.draw,
            settings=task.settings,
            seed=member.seed,
            on_epoch=_listener(member, task),
            checkpoint=checkpoint,
            # Weights do not tell what is done with them.
            identity={"spec": member.spec, "given": {m: repr(g) for m, g in task.given.items()}},
        )
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True)
class _Log:
    """Prints one line per epoch."""

    label: str

    def __call__(self, record: Mapping[str, Any]) -> None:
        carried = record.get("contribution", {})
        known = [m for m in carried if not math.isnan(carried[m])]
        most = sorted(known, key=lambda m: -carried[m])[:3]
        shares = ", ".join(f"{m} {carried[m]:+.4f}" for m in most)
        print(  # noqa: T201 - asked for by verbose=
            f"{self.label}: epoch {record['epoch'] + 1}, loss {record['train_loss']:.4f} in "
            f"training, {record['check_loss']:.4f} outside, {record['seconds']:.1f} s"
            f"{f'; without it the loss rises by: {shares}' if shares else ''}",
            flush=True,
        )


def pooled_losses(members: Sequence[Member], trained: Sequence[Trained]) -> pd.DataFrame:
    """Return the loss on the rows outside the members' own, pooled by weight.

    One row per epoch, one column per readout. Each member counts with its loss as
    :func:`stopped_at` would take it: one that stopped early with the last, one that no longer has
    an epoch with that in its place. An epoch that no member has is never chosen.
    """
    for member, one in zip(members, trained, strict=True):
        if not any(record["readouts"] for record in one.history):
            raise TrainingError(
                f"Network {member.label}: there is no row that stops it, so no epoch can be "
                "chosen. Give more samples, or flag other ones for validation."
            )
    epochs = range(max(len(t.history) for t in trained))
    nobody = [not any(epoch in t.kept for t in trained) for epoch in epochs]
    weights = np.array([m.check.weight.sum() for m in members])
    curves = {}
    for name in dict.fromkeys(n for t in trained for r in t.history for n in r["readouts"]):
        # One that was not a number in some epoch is not chosen there.
        taken = [[t.history[t.kept[t.place(epoch)]] for epoch in epochs] for t in trained]
        each = [[record["readouts"].get(name, np.inf) for record in t] for t in taken]
        curves[name] = np.where(nobody, np.inf, weights @ np.array(each) / weights.sum())
    return pd.DataFrame(curves)


def best_of(losses: pd.DataFrame, least: int = 0) -> tuple[int, str, float]:
    """Return the epoch (from 0, at least `least`) and readout with the smallest loss, and that."""
    allowed = losses.to_numpy(dtype=float).copy()
    allowed[:least] = np.inf  # a growing masking has not reached its rate before
    epoch, column = divmod(int(allowed.argmin()), allowed.shape[1])
    return epoch, str(losses.columns[column]), float(allowed[epoch, column])


def stopped_at(
    trained: Sequence[Trained], epoch: int, specs: Sequence[Mapping[str, Any]], given: Any
) -> list[FittedNetwork]:
    """Return the members after an epoch, or the nearest before it that they have, or their first."""
    return [
        FittedNetwork(spec, result.snapshots[result.place(epoch)], given)
        for spec, result in zip(specs, trained, strict=True)
    ]


def history_table(members: Sequence[Member], trained: Sequence[Trained]) -> pd.DataFrame:
    """Return one row per member and epoch."""
    return pd.DataFrame(
        [
            {
                "joining": member.spec["joining"],
                "member": member.number,
                "epoch": record["epoch"] + 1,
                "train_loss": record["train_loss"],
                "check_loss": record["check_loss"],
                "learning_rate": record["learning_rate"],
                "seconds": record["seconds"],
            }
            for member, result in zip(members, trained, strict=True)
            for record in result.history
        ]
    )


def contribution_table(members: Sequence[Member], trained: Sequence[Trained]) -> pd.DataFrame:
    """Return one row per member, epoch and modality."""
    return pd.DataFrame(
        [
            {
                "joining": member.spec["joining"],
                "member": member.number,
                "epoch": record["epoch"] + 1,
                "modality": modality,
                "auxiliary_loss": record["auxiliary_loss"][modality],
                "contribution": record["contribution"][modality],
                "pace": record["pace"][modality],
            }
            for member, result in zip(members, trained, strict=True)
            for record in result.history
            for modality in sorted(record["auxiliary_loss"])
        ]
    )
