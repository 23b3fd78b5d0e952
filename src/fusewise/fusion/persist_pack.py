"""Packing: what skops cannot carry, held as plain arrays and lists while a model is in a file.

skops loses or refuses pandas objects and dictionaries whose keys are not strings or numbers. They
are replaced on the way out, wherever they sit in estimators, in our own objects and in plain
containers, and restored on the way in. What holds none of them is left as it is. Encoders that the
user brought are not written at all: a mark is left, and the user brings them again.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator

from fusewise.exceptions import ModelFormatError


class PackedValues:
    """One-dimensional values with the name of their pandas type."""

    def __init__(self, values: pd.Series[Any] | pd.Index[Any]) -> None:
        dtype = values.dtype
        self.dtype = str(dtype)
        self.categories: PackedValues | None = None
        self.ordered = False
        self.array: npt.NDArray[Any]
        if isinstance(dtype, pd.CategoricalDtype):
            codes = values.cat.codes if isinstance(values, pd.Series) else values.codes  # type: ignore[attr-defined]
            self.array = np.asarray(codes)
            self.categories = PackedValues(dtype.categories)
            self.ordered = bool(dtype.ordered)
        elif isinstance(dtype, np.dtype):
            self.array = values.to_numpy()
        else:
            self.array = np.array([None if pd.isna(v) else v for v in values], dtype=object)

    def unpack(self) -> pd.Series[Any]:
        """Return the values as a Series with its default index."""
        if self.categories is None:
            return pd.Series(self.array, dtype=self.dtype)
        categories = pd.Index(self.categories.unpack())
        return pd.Series(
            pd.Categorical.from_codes(self.array, categories=categories, ordered=self.ordered)
        )


class PackedIndex:
    """An index: a range by its numbers, anything else by its values."""

    def __init__(self, index: pd.Index[Any]) -> None:
        if isinstance(index, pd.MultiIndex):
            raise ModelFormatError("a model that holds a table with a MultiIndex cannot be saved.")
        is_range = isinstance(index, pd.RangeIndex)
        self.range = [index.start, index.stop, index.step] if is_range else None  # type: ignore[attr-defined]
        self.values = None if is_range else PackedValues(index)
        self.name = index.name

    def unpack(self) -> pd.Index[Any]:
        """Return the index."""
        if self.values is None:
            return pd.RangeIndex(*self.range, name=self.name)  # type: ignore[misc]
        return pd.Index(self.values.unpack(), name=self.name)


class PackedSeries:
    """A Series by its values, index and name."""

    def __init__(self, series: pd.Series[Any]) -> None:
        self.values = PackedValues(series)
        self.index = PackedIndex(series.index)
        self.name = series.name

    def unpack(self) -> pd.Series[Any]:
        """Return the series."""
        series = self.values.unpack()
        series.index = self.index.unpack()
        series.name = self.name
        return series


class PackedFrame:
    """A DataFrame by its columns and both indexes."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.columns = PackedIndex(frame.columns)
        self.index = PackedIndex(frame.index)
        self.values = [PackedValues(frame.iloc[:, i]) for i in range(frame.shape[1])]

    def unpack(self) -> pd.DataFrame:
        """Return the frame."""
        index = self.index.unpack()
        frame = pd.DataFrame({i: v.unpack() for i, v in enumerate(self.values)})
        frame = frame.set_axis(index) if self.values else pd.DataFrame(index=index)
        return frame.set_axis(self.columns.unpack(), axis=1)


class PackedDict:
    """A dictionary with keys that are no plain strings, integers or floats."""

    def __init__(self, keys: list[Any], values: list[Any]) -> None:
        self.keys = keys
        self.values = values

    def unpack(self) -> dict[Any, Any]:
        """Return the dictionary, in its order."""
        return dict(zip(self.keys, self.values, strict=True))


class GivenModule:
    """The mark of an encoder that the user brought for the modality `name`."""

    def __init__(self, name: str, kind: str) -> None:
        self.name = name
        self.kind = kind


class PackedPath:
    """A path by its text."""

    def __init__(self, path: PurePath) -> None:
        self.text = str(path)

    def unpack(self) -> Path:
        """Return the path, of the system that reads it."""
        return Path(self.text)


_PACKED = (PackedFrame, PackedSeries, PackedIndex, PackedDict, PackedPath)


def pack(value: Any, modules: dict[str, Any] | None = None) -> Any:
    """Return `value` with everything replaced that skops cannot carry; it is itself not changed.

    Torch modules, which must stand in a dict by modality, are put into `modules`.
    """
    return _Packer({} if modules is None else modules).pack(value)


def unpack(value: Any, modules: Mapping[str, Any] | None = None) -> Any:
    """Undo :func:`pack` on what was loaded, in place where possible.

    Raises
    ------
    ModelFormatError
        `modules` lacks one that the model was trained with, or holds one that it was not.
    """
    unpacker = _Unpacker({} if modules is None else modules)
    value = unpacker.unpack(value)
    unpacker.check_used()
    return value


def attributes(value: Any) -> dict[str, Any]:
    """Return what is kept of one of our objects: its attributes, or the state that it names."""
    names_its_own = "__getstate__" in vars(type(value))
    state: dict[str, Any] = value.__getstate__() if names_its_own else vars(value)
    return state


def is_module(value: Any) -> bool:
    """Return whether `value` is a torch module; torch is not loaded for it."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.nn.Module)


def is_ours(value: Any) -> bool:
    """Return whether the attributes of `value` are looked into: estimators and our own objects."""
    kind = type(value)
    return hasattr(value, "__dict__") and (
        isinstance(value, BaseEstimator)
        or (kind.__module__.partition(".")[0] == "fusewise" and not isinstance(value, type))
    )


class _Packer:
    """Replaces once per object, so that what is shared stays shared."""

    def __init__(self, modules: dict[str, Any]) -> None:
        self.modules = modules
        self._keys: list[str] = []
        self._done: dict[int, tuple[Any, Any]] = {}
        self._open: set[int] = set()

    def pack(self, value: Any) -> Any:
        if is_module(value):
            return self._given(value)
        if id(value) in self._done:
            return self._done[id(value)][1]
        if id(value) in self._open:
            raise ModelFormatError(
                f"a model that refers to itself cannot be saved: {type(value).__name__} holds "
                "itself, directly or through its attributes."
            )
        self._open.add(id(value))
        result = self._packed(value)
        self._open.discard(id(value))
        self._done[id(value)] = (value, result)
        return result

    def _packed(self, value: Any) -> Any:
        if isinstance(value, pd.DataFrame):
            return PackedFrame(value)
        if isinstance(value, pd.Series):
            return PackedSeries(value)
        if isinstance(value, pd.Index):
            return PackedIndex(value)
        if isinstance(value, PurePath):
            return PackedPath(value)
        if type(value) is dict:
            return self._dict(value)
        if type(value) in (list, tuple):
            items = [self.pack(v) for v in value]
            same = all(a is b for a, b in zip(items, value, strict=True))
            return value if same else type(value)(items)
        if is_ours(value) and not isinstance(value, _PACKED):
            kept = attributes(value)
            packed = {k: self.pack(v) for k, v in kept.items()}
            if all(packed[k] is v for k, v in kept.items()):
                return value
            copy = object.__new__(type(value))
            copy.__dict__.update(packed)
            return copy
        return value

    def _dict(self, value: dict[Any, Any]) -> Any:
        items = {k: self._under(k, v) for k, v in value.items()}
        plain = {type(k) for k in value} <= {str}
        plain = plain or ({type(k) for k in value} <= {int} or {type(k) for k in value} <= {float})
        if not plain:
            return PackedDict([self.pack(k) for k in items], list(items.values()))
        return value if all(items[k] is v for k, v in value.items()) else items

    def _under(self, key: Any, value: Any) -> Any:
        self._keys.append(str(key))
        packed = self.pack(value)
        self._keys.pop()
        return packed

    def _given(self, module: Any) -> GivenModule:
        """Return a mark with the key of the innermost dict, which is the modality."""
        if not self._keys:
            raise ModelFormatError(
                f"a model that holds a torch module outside a dict by modality cannot be saved: "
                f"{type(module).__name__}."
            )
        self.modules.setdefault(self._keys[-1], module)
        return GivenModule(self._keys[-1], type(module).__name__)


class _Unpacker:
    def __init__(self, modules: Mapping[str, Any]) -> None:
        self._modules = modules
        self._used: set[str] = set()
        self._done: dict[int, tuple[Any, Any]] = {}

    def unpack(self, value: Any) -> Any:
        if id(value) not in self._done:
            self._done[id(value)] = (value, value)
            self._done[id(value)] = (value, self._unpacked(value))
        return self._done[id(value)][1]

    def check_used(self) -> None:
        """Raise where a module was supplied that the model does not know."""
        foreign = sorted(set(self._modules) - self._used)
        if foreign:
            known = ", ".join(sorted(self._used)) or "no modality"
            raise ModelFormatError(
                f"encoders= names {', '.join(foreign)}; the model was trained with encoders of "
                f"yours for {known}"
            )

    def _supplied(self, mark: GivenModule) -> Any:
        if mark.name not in self._modules:
            raise ModelFormatError(
                f"the model was trained with an encoder of yours for modality {mark.name!r} (a "
                f"{mark.kind}), which the file does not hold. Load it with "
                f"encoders={{{mark.name!r}: module}}; the trained weights are put into a copy"
            )
        self._used.add(mark.name)
        supplied = self._modules[mark.name]
        # A description of an encoder holds the module under this name.
        module = supplied if is_module(supplied) else getattr(supplied, "module", None)
        if not is_module(module):
            raise ModelFormatError(
                f"encoders=: expected a torch module for modality {mark.name!r}, got "
                f"{type(supplied).__name__}"
            )
        return module

    def _unpacked(self, value: Any) -> Any:
        if isinstance(value, GivenModule):
            return self._supplied(value)
        if isinstance(value, PackedDict):
            value.keys = [self.unpack(k) for k in value.keys]
            value.values = [self.unpack(v) for v in value.values]
        if isinstance(value, _PACKED):
            return value.unpack()
        if type(value) is dict:
            value.update({k: self.unpack(v) for k, v in value.items()})
        elif type(value) is list:
            value[:] = [self.unpack(v) for v in value]
        elif type(value) is tuple:
            items = tuple(self.unpack(v) for v in value)
            return value if all(a is b for a, b in zip(items, value, strict=True)) else items
        elif is_ours(value):
            vars(value).update({k: self.unpack(v) for k, v in vars(value).items()})
        return value
