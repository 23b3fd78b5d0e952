"""Watching the parts of a fitted model at work."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd

from fusewise.data import MultimodalDataset

METHODS = ("predict", "predict_proba", "decision_function", "transform", "forward")


@dataclass(frozen=True)
class Call:
    """What one call was given: how many rows, and a hash of them."""

    n_rows: int
    digest: str


Calls = dict[tuple[int, str, int], Call]


@contextmanager
def watched(model: Any) -> Iterator[Calls]:
    """Record the calls of the model's parts while inside: ``(part, method, which time)``.

    Parts are numbered in the order in which they are found, so that two runs of one model can be
    compared. Calls with a dataset, and of the model itself, are not recorded.
    """
    parts = {id(part): number for number, part in enumerate(_parts(model))}
    calls: Calls = {}
    counts: dict[tuple[int, str], int] = {}

    def spy(original: Any, name: str) -> Any:
        def recorded(self: Any, *arguments: Any, **named: Any) -> Any:
            given = arguments[0] if arguments else next(iter(named.values()), None)
            number = parts.get(id(self))
            if number is not None and not isinstance(given, MultimodalDataset):
                label = f"{type(self).__name__}.{name}"
                time = counts[number, label] = counts.get((number, label), -1) + 1
                calls[number, label, time] = _call(given)
            return original(self, *arguments, **named)

        return recorded

    with ExitStack() as stack:
        for owner, name in _methods(model):
            original = vars(owner)[name]
            stack.enter_context(patch.object(owner, name, spy(original, name)))
        yield calls


def _call(given: Any) -> Call:
    try:
        n_rows = int(np.shape(given)[0])
    except (IndexError, ValueError, TypeError):
        n_rows = 0
    return Call(n_rows, hashlib.blake2b(_content(given), digest_size=16).hexdigest())


def _content(given: Any) -> bytes:
    if isinstance(given, pd.DataFrame | pd.Series):
        return bytes(pd.util.hash_pandas_object(given.astype(str)).to_numpy().tobytes())
    if isinstance(given, list | tuple):
        # Arrays in it may be of several shapes.
        return b"".join(_content(part) for part in given)
    values = np.asarray(given)
    return values.tobytes() if values.dtype != object else repr(values.tolist()).encode()


def _parts(model: Any) -> Iterator[Any]:
    """Yield the objects inside a model that can work, the model itself excepted."""
    seen: set[int] = {id(model)}
    waiting = list(vars(model).values())[::-1]
    while waiting:
        value = waiting.pop()
        if id(value) in seen or isinstance(value, type | np.ndarray | MultimodalDataset):
            continue
        seen.add(id(value))
        if isinstance(value, dict):
            waiting.extend(list(value.values())[::-1])
        elif isinstance(value, list | tuple):
            waiting.extend(value[::-1])
        elif hasattr(value, "__dict__"):
            if any(callable(getattr(type(value), m, None)) for m in METHODS):
                yield value
            waiting.extend(list(vars(value).values())[::-1])


def _methods(model: Any) -> Iterator[tuple[type, str]]:
    """Yield the classes that define a method of a part, each once."""
    owners = {
        (owner, name): None
        for part in _parts(model)
        for name in METHODS
        for owner in type(part).__mro__
        if name in vars(owner) and callable(vars(owner)[name])
    }
    yield from owners
