"""Storage of a table modality: only the samples that have it, with their positions."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fusewise.data.columns import is_number, is_text, parse_floats, shown, to_floats
from fusewise.exceptions import DatasetError, FusewiseWarning

IntArray = npt.NDArray[np.intp]
FloatArray = npt.NDArray[np.float64]

# From this share of numbers on, a text column is taken for numbers that need cleaning.
_MOSTLY = 0.8


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
        """Return the features of the given samples, columns in the order of their names."""
        rows = self.row_of[samples]
        frame = pd.DataFrame(
            _taken(self.numeric, rows, np.nan),
            columns=pd.Index(self.numeric_names, dtype="str"),
            copy=False,
        )
        if self.categorical_names:
            words = pd.DataFrame(
                _taken(self.categorical, rows, None),
                columns=list(self.categorical_names),
                dtype=object,
            )
            frame = pd.concat([frame, words], axis=1)[self.feature_names()]
        return frame

    def n_missing(self) -> int:
        """Count the empty cells of the stored rows."""
        empty_words = sum(1 for word in self.categorical.ravel() if word is None)
        return int(np.isnan(self.numeric).sum()) + empty_words

    def contents(self, samples: IntArray) -> Iterator[bytes]:
        """Yield what the given samples hold, so that equal contents give equal bytes."""
        rows = self.row_of[samples]
        yield "\x1f".join((*self.numeric_names, "", *self.categorical_names)).encode()
        yield (rows >= 0).tobytes()
        rows = rows[rows >= 0]
        for start in range(0, len(rows), 4096):
            # Adding zero makes -0.0 and 0.0, which are equal, one.
            yield (self.numeric[rows[start : start + 4096]] + 0.0).tobytes()
        for column in range(len(self.categorical_names)):
            yield pd.util.hash_array(self.categorical[rows, column]).tobytes()

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
) -> tuple[dict[str, FloatArray], dict[str, npt.NDArray[np.object_]], int]:
    """Separate numeric from categorical columns and canonicalise both.

    List columns are expanded to ``name[0]``, ``name[1]``, ...; infinities become missing values.

    Returns
    -------
    numeric, categorical : dict
        Column name to values (n_rows,).
    n_infinite : int
        Cells that were infinite.
    """
    numeric: dict[str, FloatArray] = {}
    categorical: dict[str, npt.NDArray[np.object_]] = {}
    for name in columns:
        column = table.column(name)
        kind = column.type
        where = f"{what}, column {name!r}"
        if _is_list(kind):
            expanded = _expand(name, column, where)
            taken = sorted(set(expanded) & (set(columns) | set(numeric)))
            if taken:
                raise DatasetError(f"{where}: its items are called {taken[0]!r}, as is a column.")
            numeric.update(expanded)
        elif is_number(kind) or pa.types.is_null(kind):
            numeric[name] = to_floats(column, where)
        else:
            categorical[name] = _words(column, where)
            _warn_of_numbers(column, where)
    n_infinite = 0
    for name, values in numeric.items():
        endless = np.isinf(values)
        if endless.any():
            n_infinite += int(endless.sum())
            numeric[name] = np.where(endless, np.nan, values)
    return numeric, categorical, n_infinite


def stack(columns: dict[str, Any], n_rows: int, dtype: Any) -> npt.NDArray[Any]:
    """Return the columns, in the order of their names, as one matrix (n_rows, n_columns).

    `columns` is emptied on the way, so that a wide table is not held twice.
    """
    names = sorted(columns)
    matrix = np.empty((n_rows, len(names)), dtype=dtype)
    for index, name in enumerate(names):
        matrix[:, index] = columns.pop(name)
    return matrix


def _taken(stored: npt.NDArray[Any], rows: IntArray, empty: Any) -> npt.NDArray[Any]:
    """Return the stored rows; a row of `empty` cells where there is none (-1)."""
    if (rows >= 0).all():
        return stored[rows]
    taken = np.full((len(rows), stored.shape[1]), empty, dtype=stored.dtype)
    taken[rows >= 0] = stored[rows[rows >= 0]]
    return taken


def _is_list(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _words(column: pa.ChunkedArray, what: str) -> npt.NDArray[np.object_]:
    kind = column.type
    value_type = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not is_text(value_type):
        raise DatasetError(
            f"{what}: expected numbers, booleans, text or lists of numbers, got {kind}. Leave it "
            "out with columns=, or convert it."
        )
    return np.array(column.to_pylist(), dtype=object)


def _warn_of_numbers(column: pa.ChunkedArray, what: str) -> None:
    """Warn of a column of numbers that a few other values, or decimal commas, make a text."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    counted = pc.value_counts(column.drop_null().cast(pa.large_string()))
    if len(counted) == 0:
        return
    words = pa.chunked_array([counted.field("values")])
    counts = counted.field("counts").to_numpy()
    values, bad = parse_floats(words)
    if not bad.any():
        return
    text = words.to_pandas().astype(str).str.strip()
    comma = bad & text.str.fullmatch(r"[+-]?\d+,\d+").to_numpy(bool)
    numbers = int(counts[~np.isnan(values) | comma].sum())
    n_bad = int(counts[bad].sum())
    total = int(counts[~np.isnan(values)].sum()) + n_bad
    if numbers < _MOSTLY * total:
        return
    examples = shown(text[bad].to_numpy(object))
    hint = " Write decimals with a point." if comma.any() else ""
    warnings.warn(
        f"{what}: {n_bad:,} of {total:,} values are no numbers (e.g. {examples}), so that it was "
        f"read as categories; clean it.{hint}",
        FusewiseWarning,
        stacklevel=2,
    )


def _expand(name: str, column: pa.ChunkedArray, what: str) -> dict[str, FloatArray]:
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    valid = np.asarray(array.is_valid())
    lengths = np.asarray(array.value_lengths().fill_null(0))[valid]
    width = int(lengths.max(initial=0))
    if width == 0:
        return {}
    if int(lengths.min()) != width:
        raise DatasetError(
            f"{what}: lists must have one length, got {int(lengths.min())} to {width}. Pad them, or "
            "store them as events."
        )
    # flatten() skips NULL lists, which keeps the values aligned with the valid rows.
    values = to_floats(pa.chunked_array([array.flatten()]), what).reshape(-1, width)
    matrix = np.full((len(valid), width), np.nan)
    matrix[valid] = values
    digits = len(str(width - 1))
    return {f"{name}[{i:0{digits}d}]": matrix[:, i] for i in range(width)}
