"""A user's own encoder in the place of ours, and pretrained weights from a file.

Shapes in words: k = samples that have the modality, T = events of the longest of them,
f = values per event, p = numeric columns, c = categorical columns, d = width.
"""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from fusewise.exceptions import (
    DatasetError,
    FusewiseError,
    MissingDependencyError,
    ModelFormatError,
    ModelNotFoundError,
)
from fusewise.nn.batch import EventRows, Rows, Tokens


class GivenEncoder(nn.Module):
    """A given module, followed by a linear layer to the width of the network; one token per row.

    The module is copied: training changes the copy, never what the user holds. It sees only the
    samples that have the modality. For a table it is called as ``module(values)`` with the numeric
    columns (k, p), 0 where a cell is empty, or as ``module(values, codes)`` where there are
    categorical columns (k, c), with level 0 for empty or unseen; for events as ``module(values, time, variable,
    valid)`` with values (k, T, f) and the others (k, T), 0 in padded slots and missing values.

    Parameters
    ----------
    module : nn.Module
        Returns embeddings (k, output_width).
    output_width : int
        Width of what the module returns.
    width : int
        Width d of the token.
    frozen : bool
        Keep the module's weights: they take no gradient, and the module stays in evaluation mode.
        The linear layer is trained all the same.
    name : str
        The modality, for messages.

    Raises
    ------
    DatasetError
        In use: the module raises, or returns something else than a tensor (k, output_width).
    """

    def __init__(
        self,
        module: nn.Module,
        output_width: int,
        width: int,
        *,
        frozen: bool = False,
        name: str = "?",
    ) -> None:
        super().__init__()
        self.module = copy.deepcopy(module)
        self.output_width, self.width = output_width, width
        self.frozen, self.name = frozen, name
        self.project = nn.Linear(output_width, width)
        self.norm = nn.LayerNorm(width)
        if frozen:
            self.module.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        """Set training mode; a frozen module stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.module.eval()
        return self

    def forward(self, rows: Rows) -> Tokens:
        """Return one token per row."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            embedding = self._embedding(rows)
        expected = (rows.n_rows, self.output_width)
        came = tuple(embedding.shape) if isinstance(embedding, Tensor) else type(embedding).__name__
        if came != expected:
            raise DatasetError(
                f"The encoder given for modality '{self.name}' returned {_shown(came)}; expected "
                f"the shape {expected}: one vector of width {self.output_width} for each of "
                f"{rows.n_rows} samples. Declare the width that it has, or change the encoder."
            )
        return Tokens.single(rows.sample, self.norm(self.project(embedding)))

    def _embedding(self, rows: Rows) -> Any:
        dtype = self.project.weight.dtype
        if isinstance(rows, EventRows):
            events = rows.padded()
            return self._call(
                values=events.values.to(dtype),
                time=events.time.to(dtype),
                variable=events.variable,
                valid=events.valid,
            )
        values = rows.values.masked_fill(rows.missing, 0).to(dtype)
        codes = {"codes": rows.codes} if rows.codes.shape[1] else {}
        return self._call(values=values, **codes)

    def _call(self, **given: Tensor) -> Any:
        """Call the module; what it raises is told with the modality and what it was given."""
        try:
            return self.module(*given.values())
        except (FusewiseError, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            if "out of memory" in str(error) or "can't allocate memory" in str(error):
                raise  # told as what it is by the training
            if "more than 1 value per channel" in str(error):
                raise DatasetError(
                    f"The encoder given for modality '{self.name}' normalises over the batch, and "
                    "only one of the samples in a batch has the modality. Take LayerNorm in the "
                    "place of BatchNorm, a larger batch_size, or a frozen encoder."
                ) from error
            shapes = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in given.items())
            raise DatasetError(
                f"The encoder given for modality '{self.name}' failed on {shapes}: "
                f"{type(error).__name__}: {error}. Check its input width and its arguments."
            ) from error


def load_weights(module: nn.Module, path: str | Path) -> None:
    """Fill a module with pretrained weights; no code from the file is run.

    Parameters
    ----------
    module : nn.Module
        Changed in place.
    path : str or Path
        A ``.safetensors`` file, or a ``.pt`` or ``.pth`` file that ``torch.save`` wrote of a
        module's ``state_dict()``.

    Raises
    ------
    ModelNotFoundError
        There is no file at the path.
    ModelFormatError
        The file has another suffix, is damaged, holds more than tensors, or does not fit the
        module: it lacks weights, has others, or some have other shapes.
    MissingDependencyError
        The file is in safetensors format and the library is not installed.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelNotFoundError(f"There is no file with weights at {path}.")
    weights = _read_weights(path)
    if not isinstance(weights, Mapping) or not all(isinstance(w, Tensor) for w in weights.values()):
        raise ModelFormatError(
            f"{path} does not hold weights by name; expected what module.state_dict() gives."
        )
    own = module.state_dict()
    faults = [f"lacks {name}" for name in own if name not in weights]
    faults += [f"has {name}, which the module does not" for name in weights if name not in own]
    faults += [
        f"has {name} of shape {tuple(weights[name].shape)}, expected {tuple(tensor.shape)}"
        for name, tensor in own.items()
        if name in weights and weights[name].shape != tensor.shape
    ]
    if faults:
        more = f", and {len(faults) - 5} more" if len(faults) > 5 else ""
        raise ModelFormatError(
            f"The weights in {path} do not fit {type(module).__name__}: the file "
            f"{'; '.join(faults[:5])}{more}."
        )
    module.load_state_dict(weights)


def _read_weights(path: Path) -> Any:
    suffix = path.suffix.lower()
    if suffix == ".safetensors":
        try:
            from safetensors import SafetensorError
            from safetensors.torch import load_file
        except ImportError as error:
            raise MissingDependencyError(
                f"Reading {path} needs safetensors: pip install safetensors."
            ) from error
        try:
            return load_file(path)
        except SafetensorError as error:
            raise ModelFormatError(f"{path} is no readable safetensors file: {error}") from error
    if suffix not in {".pt", ".pth"}:
        raise ModelFormatError(
            f"{path} has the suffix '{path.suffix}'; weights are read from .safetensors, .pt, .pth."
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise ModelFormatError(
            f"{path} holds no plain weights, or is damaged ({_reason(error)}). Write it with "
            "torch.save(module.state_dict(), path)."
        ) from error


def _reason(error: Exception) -> str:
    """Return what a reader was stopped by, without PyTorch's advice and its terminal colours."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [type(error).__name__]
    found = next((line for line in lines if "Unsupported" in line), lines[0])
    first = re.split(r"(?<=\w)\.\s", found)[0].removeprefix("WeightsUnpickler error: ")
    return first.rstrip(".") if len(first) <= 200 else f"{first[:197]}..."


def _shown(came: tuple[int, ...] | str) -> str:
    return f"the shape {came}" if isinstance(came, tuple) else f"an object of type {came}"
