"""One modality's features as a numeric matrix, fitted on training rows only."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api.types import is_numeric_dtype
from sklearn.preprocessing import OneHotEncoder

from fusewise.exceptions import (
    ColumnNotFoundError,
    DatasetError,
    FusewiseWarning,
    did_you_mean,
)

FloatArray = npt.NDArray[np.float64]

_MISSING = "(missing)"


class FeatureEncoder:
    """Turn the feature frame of one modality into numbers.

    Numeric columns stay as they are, empty cells as NaN; categorical columns become one indicator
    per level that training saw (the most frequent `max_levels`, the rest pooled; an empty cell is
    a level of its own; a level that training never saw is none of them).

    Parameters
    ----------
    name : str
        The modality, named in errors.
    kind : str
        ``table`` or ``events``. A variable that a batch of events does not hold at all was not
        measured: its count is 0. A column that a table lacks is an error.
    max_levels : int
        Indicators per categorical column at most.
    """

    def __init__(self, name: str, kind: str, max_levels: int = 50) -> None:
        self.name = name
        self.kind = kind
        self.max_levels = max_levels

    def fit(self, frame: pd.DataFrame) -> Self:
        if self.kind == "events":
            # The frame has a column for each variable of the whole table; what no training row
            # measured must not shape the model.
            counts = [str(c) for c in frame.columns if str(c).endswith(":count")]
            met = {c.removesuffix("count") for c in counts if frame[c].any()}
            frame = frame[[c for c in frame.columns if f"{str(c).rpartition(':')[0]}:" in met]]
        words = [c for c in frame.columns if not is_numeric_dtype(frame[c])]
        text = [c for c in words if _looks_like_text(frame[c])]
        if text:
            warnings.warn(
                f"modality {self.name!r}: {', '.join(text)} has a different value in almost every "
                "row and says nothing as a category; it was left out. Give text as an embedding.",
                FusewiseWarning,
                stacklevel=2,
            )
        self.words_ = [c for c in words if c not in text]
        self.numbers_ = [c for c in frame.columns if c not in words]
        self.columns_ = list(self.numbers_)
        if self.words_:
            self.levels_ = OneHotEncoder(
                max_categories=self.max_levels,
                handle_unknown="ignore",
                sparse_output=False,
                dtype=np.float64,
            ).fit(_filled(frame, self.words_))
            self.columns_ += list(self.levels_.get_feature_names_out(self.words_))
        return self

    def transform(self, frame: pd.DataFrame) -> FloatArray:
        """Return the matrix (n_rows, n_columns) for the columns that were fitted."""
        frame = self.aligned(frame)
        numbers = frame[self.numbers_].to_numpy(dtype=float)
        if not self.words_:
            return numbers
        return np.hstack([numbers, self.levels_.transform(_filled(frame, self.words_))])

    def aligned(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the frame with every column that was fitted, of the type that it was fitted with.

        Raises
        ------
        ColumnNotFoundError
            A table lacks a column.
        DatasetError
            A column came as text that was fitted as numbers, or the reverse.
        """
        absent = [c for c in (*self.numbers_, *self.words_) if c not in frame.columns]
        if absent:
            frame = self._complete(frame, absent)
        self._check_types(frame)
        return frame

    def _check_types(self, frame: pd.DataFrame) -> None:
        """Raise where a column came as numbers that was fitted as categories, or the reverse."""
        # Cells are only looked at where the type of a column is another one: it may be empty, and
        # thousands of columns take most of the time of a single prediction.
        numeric = {c for c, kind in frame.dtypes.items() if is_numeric_dtype(kind)}
        for columns, fitted, came in (
            (self.numbers_, "numbers", "text"),
            (self.words_, "text", "numbers"),
        ):
            for column in columns:
                if (column in numeric) == (fitted == "numbers"):
                    continue
                present = frame[column].dropna()
                if len(present):
                    raise DatasetError(
                        f"modality {self.name!r}, column {column!r}: it was fitted as {fitted} and "
                        f"came as {came} (e.g. {present.tolist()[0]!r}). Give it the type that it "
                        "had in training."
                    )

    def _complete(self, frame: pd.DataFrame, absent: Sequence[str]) -> pd.DataFrame:
        if self.kind != "events":
            raise ColumnNotFoundError(
                f"modality {self.name!r}: it was fitted with {len(self.numbers_) + len(self.words_)}"
                f" columns, and {len(absent)} of them did not come: {', '.join(absent[:5])}"
                f"{', ...' if len(absent) > 5 else ''}. It came with "
                f"{', '.join(map(str, frame.columns[:5]))}{', ...' if frame.shape[1] > 5 else ''}."
                f"{did_you_mean(absent[0], map(str, frame.columns))}"
            )
        # A batch without a single event of a variable did not measure it.
        empty: dict[str, Any] = {c: 0.0 if c.endswith(":count") else np.nan for c in absent}
        added = pd.DataFrame(empty, index=frame.index)
        return pd.concat([frame, added], axis=1)


def _filled(frame: pd.DataFrame, columns: list[str]) -> npt.NDArray[np.object_]:
    values = frame[columns].to_numpy(dtype=object)
    return np.where(pd.isna(values), _MISSING, values).astype(object)


def _looks_like_text(column: pd.Series) -> bool:
    present = column.dropna()
    return len(present) >= 50 and present.nunique() > 0.8 * len(present)
