"""A table, or the summaries of events, as scaled numbers, flags and codes."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusewise.fusion.encode import FeatureEncoder
from fusewise.fusion.scaling import NormalScaling, bin_edges, varies

FloatArray = npt.NDArray[np.float64]

# Cells that are scaled at once.
_CELLS = 1 << 13


class TableArrays(NamedTuple):
    """Rows of a table: ``values`` and ``missing`` (k, p), ``codes`` (k, c)."""

    values: npt.NDArray[np.float32]
    missing: npt.NDArray[np.bool_]
    codes: npt.NDArray[np.int64]


class TableTensors:
    """Scale the numbers of a feature frame and code its categories, fitted on training rows only.

    A number column that never varies and never misses a cell is dropped, and so is a category
    with one level. An empty cell is 0 beside a flag. In a column without an empty cell in training
    the flag would mean something that was never learned: there an empty cell is the mean.

    Parameters
    ----------
    name, kind : str
        As for :class:`FeatureEncoder`, whose rules for columns apply.
    n_bins : int
        Bins per column of ``edges_``.

    Attributes
    ----------
    numbers_, words_ : list of str
        The columns that are used.
    edges_ : float array (p, n_bins + 1)
        Strictly increasing bin edges of the scaled values.
    """

    def __init__(self, name: str, kind: str, n_bins: int) -> None:
        self.name = name
        self.kind = kind
        self.n_bins = n_bins

    def fit(self, frame: pd.DataFrame) -> Self:
        self.features_ = FeatureEncoder(self.name, self.kind).fit(frame)
        columns, self.numbers_ = [], []
        for name in self.features_.numbers_:
            column = frame[name].to_numpy(dtype=float)
            filled = column[np.isfinite(column)]
            if varies(filled) or 0 < len(filled) < len(column):
                self.numbers_.append(name)
                columns.append(filled)
        self.misses_ = np.array([len(c) < len(frame) for c in columns], dtype=bool)
        self.scaling_ = NormalScaling().fit(columns)
        self.edges_ = np.zeros((len(columns), self.n_bins + 1))
        for j, column in enumerate(columns):
            self.edges_[j] = bin_edges(self.scaling_.column(j, column), self.n_bins)
        self._fit_words(frame)
        return self

    def _fit_words(self, frame: pd.DataFrame) -> None:
        self.words_: list[str] = []
        self.levels_: list[list[str]] = []
        self.rare_: list[list[str]] = []
        for i, column in enumerate(self.features_.words_):
            known = sorted(frame[column].dropna().unique().tolist())
            infrequent = self.features_.levels_.infrequent_categories_[i]
            rare = set() if infrequent is None else set(infrequent) & set(known)
            n_kinds = len(known) - max(0, len(rare) - 1) + int(frame[column].isna().any())
            if known and n_kinds > 1:
                self.words_.append(column)
                self.levels_.append([v for v in known if v not in rare])
                self.rare_.append(sorted(rare))

    @property
    def n_levels(self) -> list[int]:
        """Levels per category column; codes run from 0 (empty or unseen) to this number."""
        return [len(a) + bool(b) for a, b in zip(self.levels_, self.rare_, strict=True)]

    def transform(self, frame: pd.DataFrame) -> TableArrays:
        frame = self.features_.aligned(frame)
        values = np.zeros((len(frame), len(self.numbers_)), dtype=np.float32)
        missing = np.zeros(values.shape, dtype=bool)
        # Few columns at a time: whole tables in double precision may not fit beside each other.
        step = max(1, _CELLS // max(1, len(frame)))
        for start in range(0, len(self.numbers_), step):
            few = slice(start, start + step)
            scaled = self.scaling_.columns(few, frame[self.numbers_[few]].to_numpy(dtype=float))
            empty = np.isnan(scaled)
            values[:, few] = np.where(empty, 0.0, scaled)
            missing[:, few] = empty & self.misses_[few]
        codes = np.zeros((len(frame), len(self.words_)), dtype=np.int64)
        for i, column in enumerate(self.words_):
            codes[:, i] = self._codes(i, frame[column])
        return TableArrays(values, missing, codes)

    def _codes(self, i: int, column: pd.Series) -> npt.NDArray[np.int64]:
        code_of = {level: code for code, level in enumerate(self.levels_[i], start=1)}
        code_of |= dict.fromkeys(self.rare_[i], len(code_of) + 1)
        codes, met = pd.factorize(column)  # an empty cell gets -1, hence the last
        code = np.array([*(code_of.get(level, 0) for level in met), 0], dtype=np.int64)
        return code[codes]

    def empty(self) -> TableArrays:
        """Return the arrays of no rows."""
        p, c = len(self.numbers_), len(self.words_)
        return TableArrays(
            np.zeros((0, p), dtype=np.float32), np.zeros((0, p), dtype=bool), np.zeros((0, c), int)
        )
