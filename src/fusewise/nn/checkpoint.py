"""Checkpoints of a training: tensors, numbers and text only, written whole or not at all."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusewise.exceptions import ModelFormatError

FORMAT = 2


def digest(*parts: Any) -> str:
    """Return a short text that two sets of arrays, mappings and numbers share only if equal.

    Examples
    --------
    >>> digest(torch.zeros(2)) == digest(torch.zeros(2)), digest(torch.ones(2)) == digest(0)
    (True, False)
    """
    hashed = hashlib.blake2b(digest_size=8)
    for part in parts:
        _feed(hashed, part)
    return hashed.hexdigest()


def _feed(hashed: Any, part: Any) -> None:
    if isinstance(part, Tensor):
        # As bytes: NumPy does not know every type of PyTorch.
        flat = part.detach().cpu().contiguous().flatten()
        hashed.update(f"{part.dtype}{tuple(part.shape)}".encode())
        hashed.update(flat.view(torch.uint8).numpy())
    elif isinstance(part, np.ndarray):
        hashed.update(f"{part.dtype}{part.shape}".encode())
        hashed.update(np.ascontiguousarray(part).reshape(-1).view(np.uint8))
    elif isinstance(part, Mapping):
        for name in sorted(part):
            hashed.update(f"{name}:".encode())
            _feed(hashed, part[name])
    elif is_dataclass(part):
        for field in fields(part):
            hashed.update(f"{field.name}:".encode())
            _feed(hashed, getattr(part, field.name))
    else:
        hashed.update(f"{part!r};".encode())


def save_checkpoint(
    path: str | os.PathLike[str], state: dict[str, Any], fingerprint: Mapping[str, Any]
) -> None:
    """Write a training's state, in place of an earlier one, or leave that as it was.

    Parameters
    ----------
    path : path
        In a folder that exists.
    state : dict
        Nested dicts and lists of tensors, numbers and text.
    fingerprint : mapping of str to number or text
        What the training was asked to do; `load_checkpoint` compares it.
    """
    target = Path(path)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            torch.save({"format": FORMAT, "fingerprint": dict(fingerprint), "state": state}, file)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def load_checkpoint(
    path: str | os.PathLike[str], fingerprint: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Return the state in a checkpoint of the same training, or None where there is no file.

    Nothing in the file is run: only tensors, numbers and text are read.

    Raises
    ------
    ModelFormatError
        The file is no checkpoint, is damaged, or belongs to a training with other settings, data,
        seed or network; the message names what differs.
    """
    target = Path(path)
    if not target.exists():
        return None
    try:
        found = torch.load(target, map_location="cpu", weights_only=True)
        version, theirs, state = found["format"], found["fingerprint"], found["state"]
    except (RuntimeError, UnpicklingError, EOFError, KeyError, TypeError, ValueError) as error:
        raise ModelFormatError(
            f"{target}: this is no checkpoint of a training, or it is damaged. Delete it to train "
            "from the start."
        ) from error
    if version != FORMAT:
        raise ModelFormatError(
            f"{target}: a checkpoint of format {version}; this version reads format {FORMAT}."
        )
    differing = [
        name
        for name in sorted({*theirs, *fingerprint})
        if theirs.get(name) != fingerprint.get(name)
    ]
    if differing:
        raise ModelFormatError(
            f"{target}: this checkpoint belongs to another training; {', '.join(differing)} "
            "differ. Delete it to train from the start, or name another file."
        )
    return dict(state)
