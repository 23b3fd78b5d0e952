"""Events as tokens: one per moment, or one per window of time where a sample has very many."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusewise.fusion.scaling import NormalScaling

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

# A sample with far more events than is usual keeps the latest of them.
_MOST = 8
# In spans: ages beyond say no more than "long ago".
_FARTHEST = 4.0
# Windows that hold every variable, met or not, grow with their number.
_MANY_VARIABLES = 32


class EventArrays(NamedTuple):
    """Tokens of k rows: ``start`` (k + 1,), and per token its time, variable, values, flags."""

    start: npt.NDArray[np.int64]
    time: npt.NDArray[np.float32]
    variable: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]
    missing: npt.NDArray[np.bool_]


class EventTokens:
    """Turn events into tokens in the order of time, fitted on training rows only.

    A token is a moment at which something happened: for each variable the mean of its scaled
    values then, and for each ``log(1 + count)``. Where more than one in ten training samples has
    more than `max_tokens` moments, the span of training is cut into windows of equal width
    instead, and a token is a window that holds an event. With more than 32 variables tokens speak
    of one variable each: an event with its value, or the mean and the count of a window.

    Parameters
    ----------
    max_tokens : int
        The longest usual list of moments. A longer list than eight times this is cut to its
        latest ones.
    n_windows : int
        Windows of a longer stream. What is earlier than the span falls into the first one.

    Attributes
    ----------
    variables_ : list of str
        What training measured; other variables are ignored.
    windowed_ : bool
        Whether tokens are windows.
    joint_ : bool
        Whether a token speaks of all variables.
    span_ : float
        What the windows divide: the largest age in training, but at most twice the age that 99 in
        100 events stay below, so that a single wrong date does not set it.
    clock_ : float
        The age that becomes time 1; the span, unless several modalities share a clock.
    """

    def __init__(self, max_tokens: int, n_windows: int) -> None:
        self.max_tokens = max_tokens
        self.n_windows = n_windows

    def fit(self, events: pd.DataFrame, now: FloatArray, n_samples: int) -> Self:
        """Fit on events, as ``MultimodalDataset.events`` gives them, of `n_samples` samples.

        `now` (n_events,) is the time for which each event's sample is predicted.
        """
        names = events["variable"].cat.categories.astype(str)
        codes = events["variable"].cat.codes.to_numpy()
        met = np.bincount(codes, minlength=len(names)) > 0
        self.variables_ = [str(name) for name in names[met]]
        self.joint_ = len(self.variables_) <= _MANY_VARIABLES
        position = events["position"].to_numpy()
        if self.joint_:
            position = position[_changes(position, events["time"].to_numpy())]
        counts = np.unique(position, return_counts=True)[1]
        without = np.zeros(n_samples - len(counts), dtype=np.intp)
        lengths = np.concatenate([without, counts])
        self.windowed_ = bool(n_samples and np.quantile(lengths, 0.9) > self.max_tokens)
        age = np.maximum(now - events["time"].to_numpy(), 0.0)
        self.span_ = self.clock_ = _span(age)
        value = events["value"].to_numpy(dtype=float)
        each = (value[places] for places in _places(codes, len(names)))
        self.scaling_ = NormalScaling().fit([c[np.isfinite(c)] for c in each if len(c)])
        return self

    @property
    def n_variables(self) -> int:
        """Number of different ``variable`` that tokens can have."""
        return 1 if self.joint_ else len(self.variables_)

    @property
    def n_values(self) -> int:
        """Number of values of a token."""
        return 2 * len(self.variables_) if self.joint_ else 2 if self.windowed_ else 1

    def tokens(self, events: pd.DataFrame, now: FloatArray, positions: IntArray) -> EventArrays:
        """Return the tokens of the samples at `positions` (k,), which ascend."""
        rank_of = {name: rank for rank, name in enumerate(self.variables_)}
        names = events["variable"].cat.categories.astype(str)
        ranks = np.array([rank_of.get(name, -1) for name in names] + [-1], dtype=np.int64)
        variable = ranks[events["variable"].cat.codes.to_numpy()]
        known = variable >= 0
        variable = variable[known]
        row = np.searchsorted(positions, events["position"].to_numpy()[known])
        time = events["time"].to_numpy()[known]
        age = np.clip(now[known] - time, 0.0, _FARTHEST * self.clock_)
        value = events["value"].to_numpy(dtype=float)[known]
        scaled = np.full(len(value), np.nan)
        for code, places in enumerate(_places(variable, len(self.variables_))):
            scaled[places] = self.scaling_.column(code, value[places])
        make = self._joined if self.windowed_ or self.joint_ else self._raw
        return make(row, age, variable, scaled, len(positions))

    def _raw(
        self, row: IntArray, age: FloatArray, variable: IntArray, value: FloatArray, k: int
    ) -> EventArrays:
        latest = self._latest(row, k)
        value = value[latest, None]
        missing = np.isnan(value)
        return EventArrays(
            _starts(row[latest], k),
            (age[latest] / self.clock_).astype(np.float32),
            variable[latest],
            np.where(missing, 0.0, value).astype(np.float32),
            missing,
        )

    def _joined(
        self, row: IntArray, age: FloatArray, variable: IntArray, value: FloatArray, k: int
    ) -> EventArrays:
        when = age
        if self.windowed_:
            window = np.minimum(age / self.span_ * self.n_windows, self.n_windows - 1)
            when = (np.floor(window) + 0.5) * (self.span_ / self.n_windows)
        # Events ascend in time within a row, so those of one token lie side by side.
        is_first = _changes(row, when)
        first = np.flatnonzero(is_first)
        n_variables = len(self.variables_)
        # Sums are made of what was measured, cell by cell; most tokens lack most variables.
        cells, cell = np.unique(
            (np.cumsum(is_first) - 1) * n_variables + variable, return_inverse=True
        )
        token, column = np.divmod(cells, n_variables)
        token_variable = np.zeros(len(first), dtype=np.int64)
        if not self.joint_:
            first, token_variable, n_variables = first[token], column, 1
            token, column = np.arange(len(cells)), np.zeros_like(column)
        latest = self._latest(row[first], k)
        first, token_variable = first[latest], token_variable[latest]
        kept = latest[token]
        token, column = (np.cumsum(latest) - 1)[token[kept]], column[kept]
        has_value = ~np.isnan(value)
        sums = np.bincount(cell[has_value], value[has_value], len(cells))[kept]
        n_values = np.bincount(cell[has_value], minlength=len(cells))[kept]
        counts = np.bincount(cell, minlength=len(cells))[kept]
        values = np.zeros((len(first), 2 * n_variables), dtype=np.float32)
        missing = np.zeros(values.shape, dtype=bool)
        missing[:, :n_variables] = True
        values[token, column] = sums / np.maximum(n_values, 1)
        missing[token, column] = n_values == 0
        values[token, n_variables + column] = np.log1p(counts)
        return EventArrays(
            _starts(row[first], k),
            (when[first] / self.clock_).astype(np.float32),
            token_variable,
            values,
            missing,
        )

    def _latest(self, row: IntArray, k: int) -> npt.NDArray[np.bool_]:
        """Return which tokens stay (n_tokens,): in each row the last ones."""
        end = np.cumsum(np.bincount(row, minlength=k))
        return end[row] - np.arange(len(row)) <= _MOST * self.max_tokens


def _starts(row: IntArray, k: int) -> npt.NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(np.bincount(row, minlength=k))]).astype(np.int64)


def _changes(row: npt.NDArray[Any], when: FloatArray) -> npt.NDArray[np.bool_]:
    """Return where something new begins: another row, or another time in it."""
    new = np.ones(len(row), dtype=bool)
    new[1:] = (row[1:] != row[:-1]) | (when[1:] != when[:-1])
    return new


def _places(codes: npt.NDArray[Any], n_codes: int) -> list[IntArray]:
    """Return where each code stands; one sort, as a pass per code is slow for thousands of them."""
    ends = np.cumsum(np.bincount(codes, minlength=n_codes))[: n_codes - 1]
    return np.split(np.argsort(codes, kind="stable"), ends)[:n_codes]


def _span(age: FloatArray) -> float:
    if len(age) == 0 or age.max() <= 0:
        return 1.0
    usual = 2 * float(np.quantile(age, 0.99))
    return min(float(age.max()), usual) if usual > 0 else float(age.max())
