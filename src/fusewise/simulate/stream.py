"""Event streams whose times, order or values carry the signal, with a known likelihood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusewise.data import Modality, MultimodalDataset

if TYPE_CHECKING:
    from fusewise.simulate.signal import Array

Carries: TypeAlias = Literal["times", "order", "values"]

HORIZON = 48.0
STREAM_CARRIES = ("times", "order", "values")
_SLOT_FILLED = 0.75


@dataclass(frozen=True)
class StreamSource:
    """A stream of timed events of two variables, ``a`` and ``b``, between 0 and 48 hours.

    What is shown moves one natural parameter, ``scale * level(shown)``, and nothing else:

    ``times``
        The events' times follow an exponentially tilted uniform law; how many events there are,
        their variables and their values do not depend on the target.
    ``order``
        Time is cut into slots, some of which hold one ``a`` and one ``b``; only which of the two
        comes first depends on the target.
    ``values``
        The events' values are shifted; times and order do not depend on the target.
    """

    name: str
    carries: Carries
    events: float
    n_classes: int | None
    scale: float

    @classmethod
    def create(
        cls, name: str, *, carries: Carries, events: float, signal: float, n_classes: int | None
    ) -> StreamSource:
        """Choose the natural parameter that gives about the asked for signal."""
        half = signal if n_classes is None else signal / 2
        units = max(1.0, events / 2) if carries == "order" else events
        if carries == "order":
            scale = 2 * np.arctanh(half / np.hypot(np.sqrt(units), half))
        else:
            scale = half * np.sqrt((3.0 if carries == "times" else 1.0) / units)
        return cls(name, carries, float(events), n_classes, float(scale))

    @property
    def slots(self) -> int:
        """Number of slots that may hold an episode (carries ``order``)."""
        return max(1, round(self.events / 2 / _SLOT_FILLED))

    def natural(self, shown: Array) -> Array:
        """Return the natural parameter (S,): classes are evenly spaced in [-scale, scale]."""
        if self.n_classes is None:
            return self.scale * shown
        level = np.append(np.linspace(-1, 1, self.n_classes), 0.0)
        return self.scale * level[shown.astype(int)]

    def _draw_order(self, shown: Array, rng: np.random.Generator) -> pd.DataFrame:
        filled = rng.random((len(shown), self.slots)) < _SLOT_FILLED
        filled[~filled.any(axis=1), 0] = True
        row, slot = np.nonzero(filled)
        within = np.sort(rng.uniform(0.01, 0.99, size=(len(row), 2)), axis=1)
        time = (slot[:, None] + within) * (HORIZON / self.slots)
        chance = 1 / (1 + np.exp(-self.natural(shown)))
        a_first = rng.random(len(row)) < chance[row]
        code = np.column_stack([~a_first, a_first]).astype(np.int8)
        return pd.DataFrame({"row": row.repeat(2), "time": time.ravel(), "code": code.ravel()})

    def _draw_times(self, shown: Array, rng: np.random.Generator) -> pd.DataFrame:
        count = 1 + rng.poisson(max(0.0, self.events - 1), size=len(shown))
        row = np.arange(len(shown)).repeat(count)
        at = rng.random(len(row))
        if self.carries == "times":
            tilt = self.natural(shown)[row]
            flat = np.abs(tilt) < 1e-8
            safe = np.where(flat, 1.0, tilt)
            # Inverse distribution function of exp(tilt * u) on [-1, 1].
            tilted = np.log(np.exp(-safe) + at * 2 * np.sinh(safe)) / safe
            at = np.where(flat, at, np.clip((1 + tilted) / 2, 0, 1))
        code = rng.integers(0, 2, size=len(row)).astype(np.int8)
        return pd.DataFrame({"row": row, "time": at * HORIZON, "code": code})

    def draw(self, shown: Array, rng: np.random.Generator) -> tuple[pd.DataFrame, Array]:
        """Return events, at least one per sample; the score is the first event's value."""
        draw = self._draw_order if self.carries == "order" else self._draw_times
        table = draw(shown, rng).sort_values(["row", "time"], ignore_index=True)
        code = table.pop("code").to_numpy()
        table["variable"] = pd.Categorical.from_codes(code, pd.Index(["a", "b"]))
        row = table["row"].to_numpy()
        table["value"] = self.score_law(shown)[0][row] + rng.standard_normal(len(row))
        first = np.unique(row, return_index=True)[1]
        return table, table["value"].to_numpy()[first]

    def draw_score(self, shown: Array, rng: np.random.Generator) -> Array:
        """Return first values without drawing the streams."""
        return self.score_law(shown)[0] + rng.standard_normal(len(shown))

    def score_law(self, shown: Array) -> tuple[Array, Array, Array]:
        """Return the Gaussian that the first value follows."""
        mean = self.natural(shown) if self.carries == "values" else np.zeros(len(shown))
        return mean, np.ones(1), np.ones(1)

    def modality(self, table: pd.DataFrame) -> Modality:
        """Return a modality of kind ``events`` in long form."""
        return Modality(table, kind="events", time="time", variable="variable", value="value")

    def statistics(self, dataset: MultimodalDataset) -> tuple[npt.NDArray[np.intp], Array]:
        """Return first value, sufficient statistic and number of units of each sample."""
        events = dataset.events(self.name)
        position = events["position"].to_numpy()
        time = events["time"].to_numpy(dtype=np.float64)
        value = events["value"].to_numpy(dtype=np.float64)
        positions, first = np.unique(position, return_index=True)
        if self.carries == "order":
            slot = np.floor(time * (self.slots / HORIZON)).astype(np.int64)
            begins = np.ones(len(position), dtype=bool)
            begins[1:] = (np.diff(position) != 0) | (np.diff(slot) != 0)
            unit = position[begins]
            amount = (events["variable"] == "a").to_numpy()[begins].astype(np.float64)
        else:
            unit = position
            amount = value if self.carries == "values" else 2 * time / HORIZON - 1
        total = np.bincount(unit, weights=amount, minlength=len(dataset))[positions]
        count = np.bincount(unit, minlength=len(dataset))[positions]
        return positions, np.column_stack([value[first], total, count])

    def log_likelihood(self, statistics: Array, shown: Array) -> Array:
        """Return the log-likelihoods of a one-parameter exponential family."""
        natural = self.natural(shown)
        if self.carries == "order":
            partition = np.logaddexp(0, natural)
        elif self.carries == "values":
            partition = natural**2 / 2
        else:
            size = np.maximum(np.abs(natural), 1e-8)
            partition = size + np.log1p(-np.exp(-2 * size)) - np.log(2 * size)
        return np.outer(statistics[:, 1], natural) - np.outer(statistics[:, 2], partition)
