"""Comparison of a model with what came back from its file."""

from __future__ import annotations

from dataclasses import is_dataclass
from typing import Any

import numpy as np
import pandas as pd

from fusewise.fusion.persist_pack import attributes, is_module, is_ours


def first_difference(saved: Any, loaded: Any) -> str | None:
    """Return where two models differ, or None.

    Looks into estimators, our own objects, containers, arrays and tables; other objects (a booster,
    a tree) are compared by their type.
    """
    return _Comparison().difference(saved, loaded, "the model")


class _Comparison:
    def __init__(self) -> None:
        self._seen: set[int] = set()

    def difference(self, a: Any, b: Any, where: str) -> str | None:
        if type(a) is not type(b):
            return f"{where} is a {type(a).__name__} and came back as {type(b).__name__}"
        if id(a) in self._seen or is_module(a):
            return None
        if is_ours(a) or (is_dataclass(a) and hasattr(a, "__dict__")):
            self._seen.add(id(a))
            return self._mapping(attributes(a), attributes(b), where, "{}.{}")
        if isinstance(a, dict):
            return self._mapping(a, b, where, "{}[{!r}]")
        if isinstance(a, list | tuple):
            return self._sequence(a, b, where)
        if isinstance(a, np.ndarray) and a.dtype == object:
            if a.shape != b.shape:
                return f"{where} has shape {a.shape} and came back as {b.shape}"
            return self._sequence(a.ravel().tolist(), b.ravel().tolist(), where)
        return None if _equal(a, b) else f"{where} ({a!r:.60}) came back as {b!r:.60}"

    def _mapping(self, a: dict[Any, Any], b: dict[Any, Any], where: str, form: str) -> str | None:
        if len(a) != len(b):
            return f"{where} has {len(a)} entries and came back with {len(b)}"
        for (key, value), (other, back) in zip(a.items(), b.items(), strict=True):
            if type(key) is not type(other) or not (key == other or _equal(key, other)):
                return f"the key {key!r} of {where} came back as {other!r}"
            found = self.difference(value, back, form.format(where, key))
            if found:
                return found
        return None

    def _sequence(self, a: Any, b: Any, where: str) -> str | None:
        if len(a) != len(b):
            return f"{where} has {len(a)} entries and came back with {len(b)}"
        for index, (value, back) in enumerate(zip(a, b, strict=True)):
            found = self.difference(value, back, f"{where}[{index}]")
            if found:
                return found
        return None


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, pd.DataFrame | pd.Series):
        same_types = (
            a.dtypes.equals(b.dtypes) if isinstance(a, pd.DataFrame) else a.dtype == b.dtype
        )
        return bool(same_types and a.equals(b) and a.index.identical(b.index))
    if isinstance(a, pd.Index):
        return bool(a.identical(b))
    if isinstance(a, np.random.SeedSequence):
        return bool(a.state == b.state)
    if isinstance(a, float | np.floating) and a != a:  # noqa: PLR0124 - NaN
        return bool(b != b)  # noqa: PLR0124
    has_no_equality = type(a).__eq__ is object.__eq__  # type: ignore[comparison-overlap]
    return has_no_equality or bool(np.all(a == b))
