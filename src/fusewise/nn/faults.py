"""What stops a training: numbers that are not finite, and too little memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fusewise.exceptions import NotEnoughMemoryError
from fusewise.nn.batch import Batch


def culprit(network: nn.Module, batch: Batch, target: Tensor) -> str:
    """Say in a sentence what in a batch made the loss or a gradient not finite.

    The inputs of each modality are looked at first, then the output of each encoder.
    """
    spoiled = [name for name, rows in batch.items() if not _finite(rows)]
    if spoiled:
        return (
            f"The input of {_named(spoiled)} holds numbers that are not finite. "
            "Look for infinities or overflow in its table."
        )
    if target.is_floating_point() and not bool(target.isfinite().all()):
        return "The target holds numbers that are not finite."
    parameters = (p for p in network.parameters() if p.requires_grad)
    if not all(bool(p.isfinite().all()) for p in parameters):
        return "Every input is finite, but the weights have overflowed. Lower the learning rate."
    encoders = encoders_of(network)
    overflowed = []
    with torch.no_grad():
        for name, rows in batch.items():
            if name in encoders and len(rows.sample) and not _finite(encoders[name](rows)):
                overflowed.append(name)
    if overflowed:
        return (
            f"The encoder of {_named(overflowed)} gives numbers that are not finite, although its "
            "input is finite. Lower the learning rate, or look at the encoder if it is your own."
        )
    return "Every input and every encoder's output is finite. Lower the learning rate."


def encoders_of(network: nn.Module) -> Mapping[str, nn.Module]:
    """Return the encoder of each modality, as far as the network names them."""
    encoders: Any = getattr(network, "encoders", {})
    return dict(encoders.items())


@contextmanager
def memory_watched(batch_size: int) -> Iterator[None]:
    """Turn an error about memory into one that says what to do.

    Raises
    ------
    NotEnoughMemoryError
        With half the batch size as a suggestion.
    """
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError, RuntimeError) as error:
        if isinstance(error, NotEnoughMemoryError) or not _about_memory(error):
            raise
        advice = (
            f"Try batch_size={max(1, batch_size // 2)}"
            if batch_size > 1
            else "Shorten the longest samples, or take a narrower network"
        )
        raise NotEnoughMemoryError(
            f"Training with batches of {batch_size} samples does not fit into memory. {advice}."
        ) from error


@contextmanager
def moving_watched(device: torch.device) -> Iterator[None]:
    """Turn an error about the memory of a device, which is to hold all rows, into advice.

    Raises
    ------
    NotEnoughMemoryError
        Smaller batches would not help.
    """
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError, RuntimeError) as error:
        if not _about_memory(error):
            raise
        advice = (
            "Leave out modalities or samples, or keep fewer events of each"
            if device.type == "cpu"
            else "Train with device='cpu', or leave out modalities or samples"
        )
        raise NotEnoughMemoryError(
            f"The rows of all samples do not fit into the memory of device '{device}', which "
            f"holds them throughout training. {advice}."
        ) from error


def _about_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    words = str(error)
    return "can't allocate memory" in words or "out of memory" in words


def _finite(part: Any) -> bool:
    if isinstance(part, Tensor):
        return not part.is_floating_point() or bool(part.isfinite().all())
    if is_dataclass(part):
        return all(_finite(getattr(part, field.name)) for field in fields(part))
    return True


def _named(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names)
    return f"modality {shown}" if len(names) == 1 else f"the modalities {shown}"
