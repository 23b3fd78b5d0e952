"""Which weights decay, and which belong to a modality's encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fusewise.exceptions import DatasetError
from fusewise.nn.attention import QueryPool
from fusewise.nn.faults import encoders_of
from fusewise.nn.merge import Concatenation, GatedSum
from fusewise.nn.settings import Settings
from fusewise.nn.submodels import LastLinear
from fusewise.nn.weighed import WeighedSum

# Their rows are vectors that stand for something, not maps: decay would draw them together.
_EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)
# Stacks of maps, of a head or a modality each.
_MAPS = (
    (QueryPool, "value"),
    (WeighedSum, "value"),
    (Concatenation, "value"),
    (GatedSum, "gate"),
    (LastLinear, "weight"),
)


class Optimiser:
    """AdamW over the trainable parameters of a network, which lie side by side in few tensors.

    A step over a hundred small tensors takes longer than the gradients of a small batch. So the
    parameters of each encoder, and those of the rest, become views of one tensor for those that
    decay and one for the others, until `release` gives each its own memory again.

    An encoder whose modality nobody in a batch has is left as it is.

    Parameters
    ----------
    network : nn.Module
        On its device, as it stays there.
    settings : Settings
    names : sequence of str
        The modalities, in the order of the columns of presence.

    Raises
    ------
    DatasetError
        The network has nothing to train.
    """

    def __init__(self, network: nn.Module, settings: Settings, names: Sequence[str]) -> None:
        encoders = encoders_of(network)
        owner = {
            id(parameter): m
            for m, name in enumerate(names)
            if name in encoders
            for parameter in encoders[name].parameters()
        }
        parts: dict[tuple[int, bool, str], list[nn.Parameter]] = {}
        seen: set[int] = set()
        for module in network.modules():
            for name, parameter in module.named_parameters(recurse=False):
                if not parameter.requires_grad or id(parameter) in seen:
                    continue
                seen.add(id(parameter))
                own = owner.get(id(parameter), -1)
                key = (own, _decays(module, name, parameter), str(parameter.dtype))
                parts.setdefault(key, []).append(parameter)
        if not parts:
            raise DatasetError("train: the network has no parameter to train; all are frozen.")
        self.parts = [parts[key] for key in sorted(parts)]
        self.flat = [_side_by_side(part) for part in self.parts]
        groups: dict[tuple[int, bool], list[nn.Parameter]] = {}
        for (own, decays, _), flat in zip(sorted(parts), self.flat, strict=True):
            # Apart only where the pace of encoders may differ: fewer groups are faster.
            groups.setdefault((own if settings.balance else -1, decays), []).append(flat)
        described: list[dict[str, Any]] = [
            {
                "params": groups[key],
                "modality": key[0],
                "weight_decay": settings.weight_decay if key[1] else 0.0,
            }
            for key in sorted(groups)
        ]
        self.clip = settings.gradient_clip
        fused = self.flat[0].device.type in ("cpu", "cuda")
        self.adam = torch.optim.AdamW(described, lr=settings.learning_rate, fused=fused)

    def clear(self) -> None:
        """Forget the gradients."""
        for part in self.parts:
            for parameter in part:
                parameter.grad = None

    def clipped(self) -> Tensor:
        """Collect the gradients, limit their norm and return what it was."""
        for part, flat in zip(self.parts, self.flat, strict=True):
            flat.grad = None
            if any(parameter.grad is not None for parameter in part):
                flat.grad = torch.cat(
                    [(torch.zeros_like(p) if p.grad is None else p.grad).reshape(-1) for p in part]
                )
        return nn.utils.clip_grad_norm_(self.flat, self.clip)

    def step(self, rate: float, paces: Sequence[float]) -> None:
        """Take a step with a learning rate, times the pace of each modality's encoder."""
        for group in self.adam.param_groups:
            m = group["modality"]
            group["lr"] = rate if m < 0 else rate * paces[m]
        self.adam.step()

    def release(self) -> None:
        """Let each parameter have memory of its own again."""
        for part in self.parts:
            for parameter in part:
                parameter.data = parameter.data.clone()


def _side_by_side(part: Sequence[nn.Parameter]) -> nn.Parameter:
    """Return the values of parameters as one; from now on each is a view of it."""
    flat = nn.Parameter(torch.cat([p.detach().reshape(-1) for p in part]))
    for parameter, values in zip(part, flat.data.split([p.numel() for p in part]), strict=True):
        parameter.data = values.view(parameter.shape)
    return flat


def _decays(module: nn.Module, name: str, parameter: nn.Parameter) -> bool:
    """Matrices of maps decay; biases, norms, embeddings and learned tokens do not."""
    if any(isinstance(module, kind) and name == stack for kind, stack in _MAPS):
        return True
    return "weight" in name and parameter.ndim > 1 and not isinstance(module, _EMBEDDINGS)
