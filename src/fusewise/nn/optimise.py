"""Which weights decay, and which belong to a modality's encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from fusewise.exceptions import DatasetError
from fusewise.nn.faults import encoders_of
from fusewise.nn.settings import Settings

# Their rows are vectors that stand for something, not maps: decay would draw them together.
_EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)


def optimiser(
    network: nn.Module, settings: Settings, names: Sequence[str], device: torch.device
) -> torch.optim.AdamW:
    """Return AdamW over the trainable parameters of a network.

    Its groups carry ``modality``: the number of the modality whose encoder they belong to, or -1.

    Raises
    ------
    DatasetError
        The network has nothing to train.
    """
    owner = {
        id(parameter): m
        for m, name in enumerate(names)
        if name in encoders_of(network)
        for parameter in encoders_of(network)[name].parameters()
    }
    groups: dict[tuple[int, bool], list[nn.Parameter]] = {}
    seen: set[int] = set()
    for module in network.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if not parameter.requires_grad or id(parameter) in seen:
                continue
            seen.add(id(parameter))
            # Apart only where the pace of encoders may differ: fewer groups are faster.
            modality = owner.get(id(parameter), -1) if settings.balance else -1
            key = (modality, _decays(module, name, parameter))
            groups.setdefault(key, []).append(parameter)
    if not groups:
        raise DatasetError("train: the network has no parameter to train; all are frozen.")
    described: list[dict[str, Any]] = [
        {
            "params": groups[key],
            "modality": key[0],
            "weight_decay": settings.weight_decay if key[1] else 0.0,
        }
        for key in sorted(groups)
    ]
    fused = device.type in ("cpu", "cuda")
    return torch.optim.AdamW(described, lr=settings.learning_rate, fused=fused)


def _decays(module: nn.Module, name: str, parameter: nn.Parameter) -> bool:
    """Matrices of maps decay; biases, norms, embeddings and learned tokens do not."""
    return "weight" in name and parameter.ndim > 1 and not isinstance(module, _EMBEDDINGS)
