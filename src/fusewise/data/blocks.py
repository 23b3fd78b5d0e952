"""Storage of a table modality: only the samples that have it, with their positions."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from fusewise.data.tables import is_number, is_time, to_floats
from fusewise.exceptions import DatasetError, FusewiseWarning

IntArray = npt.NDArray[np.intp]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TableBlock:
    """Rows of a table modality, stored once and shared by all slices of a dataset.

    ``row_of`` maps a sample to its row; -1 says that there is none (the sample lacks the modality,
    or has it declared present with every cell empty).
    """

    row_of: IntArray
    numeric_names: tuple[str, ...]
    numeric: FloatArray
    categorical_names: tuple[str, ...]
    categorical: npt.NDArray[np.object_]

    kind = "table"

    def feature_names(self) -> list[str]:
        return sorted((*self.numeric_names, *self.categorical_names))

    def features(
        self, samples: IntArray, reference: float | None, cutoffs: FloatArray | None
    ) -> pd.DataFrame:
        rows = self.row_of[samples]
        numeric = self.numeric[rows] if len(self.numeric) else np.zeros((len(rows), 0))
        if len(self.numeric) == 0:
            numeric = np.full((len(rows), len(self.numeric_names)), np.nan)
        elif (rows < 0).any():
            numeric[rows < 0] = np.nan
        frame = pd.DataFrame(numeric, columns=list(self.numeric_names))
        if self.categorical_names:
            words = np.full((len(rows), len(self.categorical_names)), None, dtype=object)
            known = rows >= 0
            if len(self.categorical):
                words[known] = self.categorical[rows[known]]
            text = pd.DataFrame(words, columns=list(self.categorical_names), dtype=object)
            frame = pd.concat([frame, text], axis=1)[self.feature_names()]
        return frame

    def take(self, samples: IntArray) -> TableBlock:
        """Return the block of the given samples alone (what a pickled slice carries)."""
        rows = self.row_of[samples]
        kept, inverse = np.unique(rows[rows >= 0], return_inverse=True)
        row_of = np.full(len(samples), -1, dtype=np.intp)
        row_of[rows >= 0] = inverse
        return replace(
            self, row_of=row_of, numeric=self.numeric[kept], categorical=self.categorical[kept]
        )


def split_columns(
    table: pa.Table, columns: Sequence[str], what: str
) -> tuple[dict[str, FloatArray], dict[str, npt.NDArray[np.object_]], int, int]:
    """Separate numeric from categorical columns and canonicalise both.

    List columns are expanded to ``name[0]``, ``name[1]``, ...; infinities become missing values.

    Returns
    -------
    numeric, categorical : dict
        Column name to values (n_rows,).
    n_infinite, n_missing : int
        Cells that were infinite, and cells that are empty (with the infinite ones).
    """
    numeric: dict[str, FloatArray] = {}
    categorical: dict[str, npt.NDArray[np.object_]] = {}
    left_out = []
    for name in columns:
        column = table.column(name)
        kind = column.type
        if pa.types.is_list(kind) or pa.types.is_large_list(kind) or _is_fixed_list(kind):
            numeric.update(_expand(name, column, f"{what}, column {name!r}"))
        elif is_number(kind) or pa.types.is_null(kind):
            numeric[name] = to_floats(column, f"{what}, column {name!r}")
        elif is_time(kind):
            left_out.append(name)
        else:
            categorical[name] = _words(column, f"{what}, column {name!r}")
    if left_out:
        warnings.warn(
            f"{what}: the timestamp columns {', '.join(left_out)} are no features and were left "
            "out. Derive a number (an age, a duration) where they matter.",
            FusewiseWarning,
            stacklevel=2,
        )
    infinite = missing = 0
    for name, values in numeric.items():
        endless = np.isinf(values)
        if endless.any():
            infinite += int(endless.sum())
            numeric[name] = values = np.where(endless, np.nan, values)
        missing += int(np.isnan(values).sum())
    missing += sum(int(sum(v is None for v in words)) for words in categorical.values())
    return numeric, categorical, infinite, missing


def stack(columns: dict[str, Any], n_rows: int, dtype: Any) -> npt.NDArray[Any]:
    """Return the columns, in the order of their names, as one matrix (n_rows, n_columns)."""
    names = sorted(columns)
    matrix = np.empty((n_rows, len(names)), dtype=dtype)
    for index, name in enumerate(names):
        matrix[:, index] = columns[name]
    return matrix


def _is_fixed_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_fixed_size_list(kind))


def _words(column: pa.ChunkedArray, what: str) -> npt.NDArray[np.object_]:
    kind = column.type
    value_type = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not (
        pa.types.is_string(value_type)
        or pa.types.is_large_string(value_type)
        or pa.types.is_string_view(value_type)
    ):
        raise DatasetError(
            f"{what}: expected numbers, booleans, text or lists of numbers, got {kind}. Leave it "
            "out with columns=, or convert it."
        )
    return np.array(column.to_pylist(), dtype=object)


def _expand(name: str, column: pa.ChunkedArray, what: str) -> dict[str, FloatArray]:
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    valid = np.asarray(array.is_valid())
    lengths = np.asarray(array.value_lengths().fill_null(0).to_numpy(zero_copy_only=False))
    lengths = lengths[valid]
    if len(lengths) == 0:
        return {}
    width = int(lengths.max())
    if int(lengths.min()) != width:
        raise DatasetError(
            f"{what}: lists must have one length, got {int(lengths.min())} to {width}. Pad them, or "
            "store them as events."
        )
    # flatten() skips NULL lists, which keeps the values aligned with the valid rows.
    values = to_floats(pa.chunked_array([array.flatten()]), what).reshape(-1, width)
    matrix = np.full((len(valid), width), np.nan)
    matrix[valid] = values
    digits = len(str(max(0, width - 1)))
    return {f"{name}[{i:0{digits}d}]": matrix[:, i] for i in range(width)}
