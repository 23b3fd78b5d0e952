"""From values to pixels, and where the ticks go."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

from fusewise.report.numbers import MINUS, known


@dataclass(frozen=True)
class Scale:
    """A linear or logarithmic map of ``[low, high]`` onto ``[start, end]``.

    Examples
    --------
    >>> Scale(0, 10, 100, 200)(5), Scale(1, 100, 0, 200, log=True)(10)
    (150.0, 100.0)
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return the pixel of a value; values outside are moved to the nearer end."""
        turn: Callable[[float], float] = math.log10 if self.log else float
        low, high = turn(self.low), turn(self.high)
        at = turn(min(max(float(value), self.low), self.high))
        share = (at - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)

    def ticks(self, about: int = 5) -> list[float]:
        """Return round values inside the scale, about as many as asked."""
        if self.log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            values = [10.0**p for p in powers if self.low <= 10.0**p <= self.high]
            if len(values) <= about / 2:
                finer = [f * 10.0**p for p in powers for f in (1, 2, 5)]
                return [v for v in finer if self.low <= v <= self.high]
            return values[:: max(1, math.ceil(len(values) / max(about, 2)))]
        for wanted in (about, 2 * about, 4 * about):
            step = _round_step((self.high - self.low) / max(wanted, 1))
            first = math.ceil(self.low / step - 1e-9)
            last = math.floor(self.high / step + 1e-9)
            if last - first >= 2:
                break
        return [round(i * step, 10) + 0.0 for i in range(first, last + 1)]


def _round_step(raw: float) -> float:
    power = 10.0 ** math.floor(math.log10(raw)) if raw > 0 else 1.0
    return next(power * f for f in (1, 2, 2.5, 5, 10) if power * f >= raw * 0.999)


def around(values: Iterable[float], *, include: float | None = None) -> tuple[float, float]:
    """Return limits that hold all known values with a little room.

    Examples
    --------
    >>> around([0.6, 0.8, float("nan")])
    (0.588, 0.812)
    >>> around([])
    (0.0, 1.0)
    """
    found = [float(v) for v in values if known(v)]
    if include is not None:
        found.append(include)
    if not found:
        return 0.0, 1.0
    low, high = min(found), max(found)
    room = 0.06 * (high - low) or 0.05 * abs(high) or 0.5
    return low - room, high + room


def tick_label(value: float, step_of: list[float]) -> str:
    """Write a tick with as many decimals as its neighbours need.

    Examples
    --------
    >>> tick_label(0.5, [0.5, 0.6]), tick_label(-0.02, [-0.02, 0.0]), tick_label(2000, [0, 2000])
    ('0.5', '−0.02', '2k')
    """
    steps = [abs(b - a) for a, b in pairwise(step_of)]
    step = min(steps, default=abs(value)) or 1.0
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size and step >= size / 2:
            return f"{value / size:.4g}{letter}".replace("-", MINUS)
    decimals = next((d for d in range(7) if abs(round(step, d) - step) < 1e-9), 7)
    return f"{value:,.{decimals}f}".replace("-", MINUS)
