"""Any result as plain values that JSON knows."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd


def plain_data(value: Any) -> Any:
    """Return `value` with tables as lists of rows and results as dicts.

    Examples
    --------
    >>> plain_data({"table": pd.DataFrame({"n": [3], "rate": [float("nan")]}), "seed": np.int64(1)})
    {'table': [{'n': 3, 'rate': None}], 'seed': 1}
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, np.generic):
        return plain_data(value.item())
    if isinstance(value, pd.DataFrame):
        rows = value.to_dict("records")
        return [{str(key): plain_data(cell) for key, cell in row.items()} for row in rows]
    if isinstance(value, np.ndarray | pd.Series):
        return plain_data(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): plain_data(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((plain_data(item) for item in value), key=str)
    if isinstance(value, list | tuple):
        return [plain_data(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain_data(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    if hasattr(value, "__dict__") and not callable(value):
        return {k: plain_data(v) for k, v in vars(value).items() if not k.startswith("_")}
    return str(value)
