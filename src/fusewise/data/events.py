"""Storage of an events modality: one array each for times, variables and values."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusewise.data.ragged import gathered, restarted
from fusewise.data.summaries import STATISTICS, Summaries, summarise

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]


@dataclass(frozen=True)
class EventBlock:
    """Events of all samples, sorted by sample, variable, time and value.

    The order is canonical, so that neither the order of the rows in the table nor of events at
    one time has any effect. Values are finite; ``start`` (n_samples + 1,) delimits each sample.
    """

    start: IntArray
    time: FloatArray
    variable: npt.NDArray[np.int32]
    value: FloatArray
    variables: tuple[str, ...]
    _cache: dict[str, Summaries] = field(default_factory=dict, repr=False, compare=False)

    kind = "events"

    @classmethod
    def of(
        cls,
        n_samples: int,
        positions: IntArray,
        times: FloatArray,
        codes: npt.NDArray[np.int32],
        values: FloatArray,
        names: Sequence[str],
    ) -> Self:
        """Sort events into a block; `codes` point into `names`, of which only used ones stay."""
        used = np.bincount(codes, minlength=len(names)) > 0
        variables = sorted(itertools.compress(names, used))
        rank_of = {name: rank for rank, name in enumerate(variables)}
        ranks = np.array([rank_of.get(name, -1) for name in names], dtype=np.int32)
        variable = ranks[codes] if len(codes) else np.zeros(0, dtype=np.int32)
        # Adding zero makes -0.0 and 0.0 one: they are equal, and their order would be anybody's.
        times, values = times + 0.0, values + 0.0
        order = _order(positions * max(1, len(variables)) + variable, times, values)
        start = np.concatenate([[0], np.cumsum(np.bincount(positions, minlength=n_samples))])
        return cls(
            start.astype(np.intp), times[order], variable[order], values[order], tuple(variables)
        )

    def altered(self, time: FloatArray, value: FloatArray) -> EventBlock:
        """Return the block with other times and values of its events, in the canonical order.

        The variables stay, also those that have no event here: a slice keeps the features of the
        whole.
        """
        owner = np.repeat(np.arange(len(self.start) - 1), np.diff(self.start))
        time, value = time + 0.0, value + 0.0
        order = _order(owner * max(1, len(self.variables)) + self.variable, time, value)
        return EventBlock(
            self.start, time[order], self.variable[order], value[order], self.variables
        )

    def feature_names(self) -> list[str]:
        """Return the names of the summaries, ``variable:statistic``, sorted."""
        return sorted(f"{v}:{s}" for v in self.variables for s in STATISTICS)

    def features(
        self, samples: IntArray, reference: float | None, cutoffs: FloatArray | None
    ) -> pd.DataFrame:
        """Return the summaries of the given samples, columns in the order of their names.

        ``since_last`` is measured against the prediction times `cutoffs`, else against
        `reference`.
        """
        summaries = self._summaries()
        groups, row = gathered(summaries.start, samples)
        # Sorted with the colon that follows them, variables lie as the feature names do (unless
        # one holds a colon itself), so that a group's statistics are written side by side.
        slots = sorted(range(len(self.variables)), key=lambda v: f"{self.variables[v]}:")
        slot_of = np.argsort(np.array(slots, dtype=np.intp))
        values = np.full((len(samples), len(slots), len(STATISTICS)), np.nan)
        values[:, :, STATISTICS.index("count")] = 0.0
        if len(groups):
            now = cutoffs if cutoffs is not None else np.full(len(samples), reference)
            taken = summaries.values[groups]
            taken[:, STATISTICS.index("since_last")] = now[row] - summaries.last_time[groups]
            values[row, slot_of[summaries.variable[groups]]] = taken
        names = [f"{self.variables[v]}:{s}" for v in slots for s in STATISTICS]
        flat = values.reshape(len(samples), len(names))
        frame = pd.DataFrame(flat, columns=pd.Index(names, dtype="str"), copy=False)
        in_order = self.feature_names()
        return frame if names == in_order else frame[in_order]

    def events(self, samples: IntArray) -> pd.DataFrame:
        """Return the raw events of the given samples; ``position`` counts within `samples`."""
        rows, position = gathered(self.start, samples)
        rows = rows[np.lexsort((self.value[rows], self.variable[rows], self.time[rows], position))]
        variable = pd.Categorical.from_codes(
            self.variable[rows], categories=pd.Index(self.variables, dtype="str")
        )
        return pd.DataFrame(
            {
                "position": position,
                "time": self.time[rows],
                "variable": variable,
                "value": self.value[rows],
            }
        )

    def last_time(self, samples: IntArray) -> float | None:
        """Return the largest time of the given samples; None where they have no event."""
        rows, _ = gathered(self.start, samples)
        return float(self.time[rows].max()) if len(rows) else None

    def take(self, samples: IntArray) -> EventBlock:
        """Return the block of the given samples alone (what a pickled slice carries)."""
        rows, _ = gathered(self.start, samples)
        block = EventBlock(
            restarted(self.start, samples),
            self.time[rows],
            self.variable[rows],
            self.value[rows],
            self.variables,
        )
        if "summaries" in self._cache:
            # Summaries cost a pass over all events; a slice keeps the part that it needs.
            block._cache["summaries"] = self._cache["summaries"].take(samples)
        return block

    def contents(self, samples: IntArray) -> Iterator[bytes]:
        """Yield what the given samples hold, so that equal contents give equal bytes."""
        rows, _ = gathered(self.start, samples)
        yield "\x1f".join(self.variables).encode()
        yield np.diff(self.start)[samples].tobytes()
        for column in (self.variable, self.time, self.value):
            yield column[rows].tobytes()

    def _summaries(self) -> Summaries:
        if "summaries" not in self._cache:
            self._cache["summaries"] = summarise(self.start, self.time, self.variable, self.value)
        return self._cache["summaries"]


def _order(group: IntArray, time: FloatArray, value: FloatArray) -> IntArray:
    """Return the order by group, time and value.

    One sort of whole numbers, and a second one of ties alone, take less than half the time of
    ``lexsort`` on millions of events.
    """
    if len(group) == 0:
        return np.zeros(0, dtype=np.intp)
    moments, rank = np.unique(time, return_inverse=True)
    if int(group.max()) >= np.iinfo(np.int64).max // len(moments):
        return np.lexsort((value, time, group))
    key = group * len(moments) + rank
    order = np.argsort(key)
    key = key[order]
    same = np.append(key[1:] == key[:-1], False)
    tied = np.flatnonzero(same | np.roll(same, 1))
    order[tied] = order[tied][np.lexsort((value[order[tied]], key[tied]))]
    return order
