"""A network and data of a few numbers, with the signature that training asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fusewise.nn import Check, TableRows

NAMES = ("blood", "image", "notes")


@dataclass(frozen=True)
class TinyOutput:
    main: Tensor
    auxiliary: dict[str, tuple[Tensor, Tensor]]
    weights: None = None


class TinyEncoder(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.map = nn.Linear(3, width)

    def forward(self, rows: TableRows) -> Tensor:
        return self.map(rows.values)


class TinyNetwork(nn.Module):
    """The sum of linear embeddings, a nonlinear step, a head; and one head per modality."""

    def __init__(self, n_outputs: int = 2, dropout: float = 0.1, names=NAMES, seed: int = 7):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.encoders = nn.ModuleDict({name: TinyEncoder(8) for name in names})
            self.heads = nn.ModuleDict({name: nn.Linear(8, n_outputs) for name in names})
            self.main = nn.Linear(8, n_outputs)
        self.dropout = nn.Dropout(dropout)

    def forward(self, batch, presence, *, need_weights: bool = False) -> TinyOutput:
        total = self.main.weight.new_zeros(len(presence), 8)
        auxiliary = {}
        for name, encoder in self.encoders.items():
            rows = batch[name]
            if len(rows.sample):
                embedding = encoder(rows)
                total = total.index_add(0, rows.sample, embedding)
                auxiliary[name] = (rows.sample, self.heads[name](embedding))
        return TinyOutput(self.main(self.dropout(torch.tanh(total))), auxiliary)


def tables(values: np.ndarray, presence: np.ndarray) -> dict[str, TableRows]:
    """Return rows of `values` (n, M, 3) where they are present."""
    batch = {}
    for m, name in enumerate(NAMES):
        sample = torch.from_numpy(np.flatnonzero(presence[:, m]))
        own = torch.from_numpy(values[presence[:, m], m]).float()
        batch[name] = TableRows(
            len(values), sample, own, torch.zeros_like(own, dtype=torch.bool),
            torch.zeros(len(own), 0, dtype=torch.long),
        )  # fmt: skip
    return batch


def cohort(n: int = 400, *, strength=(1.0, 1.0, 1.0), rate: float = 0.8, seed: int = 0) -> Any:
    """Return keyword arguments of `train`: an additive signal, of one strength per modality."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, 3, 3))
    logit = (values[:, :, 0] * np.asarray(strength)).sum(axis=1)
    target = (rng.random(n) < 1 / (1 + np.exp(-3 * logit))).astype(np.int64)
    presence = rng.random((n, 3)) < rate
    presence[~presence.any(axis=1), 0] = True
    fit, check = np.arange(0, n * 3 // 4), np.arange(n * 3 // 4, n)
    return {
        "batch": tables(values, presence),
        "presence": presence,
        "target": torch.from_numpy(target),
        "weight": np.ones(n),
        "fit": fit,
        "check": Check(check, presence[check], np.ones(len(check))),
        "loss": "cross_entropy",
    }


def hide_some(presence: np.ndarray, epoch: int, rng: np.random.Generator) -> np.ndarray:
    """Remove modalities at random, leaving one."""
    kept = presence & (rng.random(presence.shape) < 0.7)
    return np.where(kept.any(axis=1, keepdims=True), kept, presence)


def same_bits(a: Any, b: Any) -> bool:
    """Tell whether two results of `train` hold the same weights and losses, bit for bit."""
    bits = all(
        x.keys() == y.keys() and all(np.array_equal(x[k], y[k]) for k in x)
        for x, y in zip(a.snapshots, b.snapshots, strict=True)
    )
    timeless = [[{**r, "seconds": 0} for r in t.history] for t in (a, b)]
    return bits and a.kept == b.kept and repr(timeless[0]) == repr(timeless[1])
