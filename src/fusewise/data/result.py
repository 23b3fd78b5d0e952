"""Results: frozen dataclasses of plain tables and numbers, to and from JSON without loss."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import tempfile
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from fusewise.exceptions import RunFolderError

_SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class Result:
    """Base of every result that fusewise computes.

    A subclass is a frozen dataclass whose fields are numbers, strings, booleans, None, tuples,
    lists, dicts with string keys, pandas data frames with string column names, and other results.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Share(Result):
    ...     value: float
    >>> Share.from_json(Share(0.25).to_json())
    Share(value=0.25)
    """

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return {f.name: _encode(getattr(self, f.name)) for f in dataclasses.fields(self)}  # type: ignore[arg-type]

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Build the result from what :meth:`to_dict` returned."""
        names = [f.name for f in dataclasses.fields(cls)]  # type: ignore[arg-type]
        return cls(**{name: _decode(values[name]) for name in names if name in values})

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the result as JSON text, and write it to `path` (atomically) where given."""
        text = json.dumps(self.to_dict(), allow_nan=False, indent=1, ensure_ascii=False)
        if path is not None:
            write_atomically(path, text.encode())
        return text

    @classmethod
    def from_json(cls, source: str | os.PathLike[str]) -> Self:
        """Read the result from JSON text or from a file that :meth:`to_json` wrote."""
        if not (isinstance(source, str) and source.lstrip().startswith("{")):
            source = Path(source).read_text(encoding="utf-8")
        return cls.from_dict(json.loads(source))

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return bool(self.to_dict() == other.to_dict())

    __hash__ = None  # type: ignore[assignment]

    def __init_subclass__(cls) -> None:
        _RESULTS[cls.__name__] = cls


_RESULTS: dict[str, type[Result]] = {}


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Write `content` under a temporary name beside `path`, then rename it into place.

    Raises
    ------
    RunFolderError
        The folder does not exist.
    """
    target = Path(path)
    if not target.parent.is_dir():
        missing = f"the folder {str(target.parent)!r} does not exist"
        error = RunFolderError(f"{missing}. Create it.")
        error.strerror = missing  # as any OSError has it
        raise error
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        # mkstemp makes files private; results are as readable as the umask allows.
        umask = os.umask(0)
        os.umask(umask)
        Path(name).chmod(0o666 & ~umask)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _encode(value: Any) -> Any:
    if isinstance(value, Result):
        return {"$result": type(value).__name__, "fields": value.to_dict()}
    if isinstance(value, pd.DataFrame):
        return _encode_table(value)
    if isinstance(value, dict):
        return {"$dict": {_name(k): _encode(v) for k, v in value.items()}}
    if isinstance(value, tuple):
        return {"$tuple": [_encode(v) for v in value]}
    if isinstance(value, list):
        return [_encode(v) for v in value]
    if isinstance(value, np.generic):
        return _encode(value.item())
    if isinstance(value, np.ndarray):
        raise TypeError("a result holds tables and numbers, not arrays")
    if value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": next(k for k, v in _SPECIAL.items() if str(v) == str(value))}
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    raise TypeError(f"a result cannot hold {type(value).__name__}")


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode(v) for v in value]
    if not isinstance(value, dict):
        return value
    if "$table" in value:
        return _decode_table(value)
    if "$tuple" in value:
        return tuple(_decode(v) for v in value["$tuple"])
    if "$dict" in value:
        return {k: _decode(v) for k, v in value["$dict"].items()}
    if "$float" in value:
        return _SPECIAL[value["$float"]]
    if "$result" in value:
        name = value["$result"]
        if name not in _RESULTS:
            raise ValueError(f"this JSON holds a result of the unknown kind {name!r}.")
        return _RESULTS[name].from_dict(value["fields"])
    return value


def _encode_table(frame: pd.DataFrame) -> dict[str, Any]:
    if frame.index.nlevels > 1:
        raise TypeError("a result holds tables with one level of row labels; reset_index() first")
    columns = [_name(c) for c in frame.columns]
    encoded = {
        "$table": {c: [_encode(v) for v in frame[c].tolist()] for c in columns},
        "dtypes": {c: _encode_dtype(frame[c].dtype) for c in columns},
    }
    if not frame.index.equals(pd.RangeIndex(len(frame))) or frame.index.name is not None:
        index = frame.index.to_frame(index=False, name="index")
        encoded["index"] = _encode_table(index) | {"name": frame.index.name}
    return encoded


def _decode_table(value: dict[str, Any]) -> pd.DataFrame:
    columns = {
        name: pd.Series([_decode(v) for v in values], dtype=object).astype(
            _decode_dtype(value["dtypes"][name])
        )
        for name, values in value["$table"].items()
    }
    frame = pd.DataFrame(columns, columns=pd.Index(columns, dtype="str"))
    if "index" in value:
        labels = _decode_table(value["index"])["index"]
        index = pd.Index(labels).rename(value["index"]["name"])
        frame = frame.set_axis(index) if columns else pd.DataFrame(index=index)
    return frame


def _encode_dtype(dtype: Any) -> Any:
    if isinstance(dtype, pd.CategoricalDtype):
        return {"categories": _encode_table(dtype.categories.to_frame(index=False, name="of")),
                "ordered": bool(dtype.ordered)}  # fmt: skip
    return str(dtype)


def _decode_dtype(dtype: Any) -> Any:
    if isinstance(dtype, dict):
        categories = pd.Index(_decode_table(dtype["categories"])["of"]).rename(None)
        return pd.CategoricalDtype(categories, dtype["ordered"])
    return dtype


def _name(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"a result names columns and dict entries by text, got {key!r}")
    return key
