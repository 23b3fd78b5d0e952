"""Weights and multiply-adds of the learned strategies at their defaults, in plain numbers.

The networks live in a room above this one and need PyTorch; these formulas need neither, so that a
profile can say what a network would cost before there is one. A test holds them against networks
that are built at the same sizes, and against what PyTorch counts while they answer.

Letters: d width of a token, h hidden, S submodels, H heads, K outputs, p numeric columns, m
modalities that are present.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class NetworkDefaults:
    """What the estimators of intermediate and attention fusion are made with."""

    width: int = 32
    hidden: int = 128
    heads: int = 4
    bins: int = 8
    submodels: int = 8
    members: int = 5
    wide: int = 1_000
    rank: int = 32
    widening: int = 2
    clock: int = 18
    # A category becomes at most so many numbers.
    level_width: int = 8


DEFAULTS = NetworkDefaults()
LEARNED = ("intermediate", "attention")

Sizes = Mapping[str, Any]
"""One row of a profile's ``sizes``."""


@dataclass(frozen=True)
class Count:
    """Weights, and multiply-adds for one sample."""

    weights: float
    multiply_adds: float

    def __add__(self, other: Count) -> Count:
        return Count(self.weights + other.weights, self.multiply_adds + other.multiply_adds)


def network_weights(strategy: str, sizes: Iterable[Sizes], outputs: int) -> float:
    """Return the weights of one network (a committee has five)."""
    rows = list(sizes)
    own = sum(_encoder(row).weights + _own_head(row, outputs).weights for row in rows)
    return own + _joined(strategy, len(rows), len(rows), outputs).weights


def own_multiply_adds(row: Sizes, outputs: int) -> float:
    """Return the multiply-adds of one network for one modality that is present."""
    return _encoder(row).multiply_adds + _own_head(row, outputs).multiply_adds


def joining_multiply_adds(strategy: str, n_modalities: int, present: int, outputs: int) -> float:
    """Return the multiply-adds of one network after its encoders."""
    return _joined(strategy, n_modalities, present, outputs).multiply_adds


def network_multiply_adds(
    strategy: str, n_modalities: int, present: Iterable[Sizes], outputs: int
) -> float:
    """Return the multiply-adds of one network for one sample.

    Only matrix products count, which is nearly all that there is. Those of attention count, too,
    which PyTorch's own counter leaves out on a CPU.

    Parameters
    ----------
    strategy : {"intermediate", "attention"}
    n_modalities : int
        All that the network knows.
    present : iterable of rows of sizes
        The modalities that the sample has.
    outputs : int
    """
    rows = list(present)
    own = sum(own_multiply_adds(row, outputs) for row in rows)
    return own + joining_multiply_adds(strategy, n_modalities, len(rows), outputs)


def _encoder(row: Sizes, c: NetworkDefaults = DEFAULTS) -> Count:
    if row["kind"] == "events":
        return _events(row, c)
    return _wide_table(row, c) if row["columns"] > c.wide else _table(row, c)


def _table(row: Sizes, c: NetworkDefaults) -> Count:
    d, s, p = c.width, c.submodels, row["columns"]
    inputs = max(1, p * (c.bins + 1) + p + row["level_inputs"])
    enter = Count(
        inputs * d + d + s * max(1, 2 * p + row["level_inputs"]) + row["level_weights"],
        inputs * d * s,
    )
    return enter + _residual(d, s) + Count(2 * d + d * d + d + 2 * d, d * d * s)


def _wide_table(row: Sizes, c: NetworkDefaults) -> Count:
    d, r = c.width, c.rank
    inputs = row["columns"] + row["level_inputs"] + 1
    enter = Count(inputs * r + r + row["level_weights"], inputs * r)
    return enter + Count(2 * r + r * d + d + 2 * d, r * d) + _residual(d, 1)


def _residual(width: int, views: int) -> Count:
    return Count(2 * width + 2 * (width**2 + width), 2 * width**2 * views)


def _events(row: Sizes, c: NetworkDefaults) -> Count:
    d, tokens = c.width, row["tokens"]
    values = 2 * row["token_values"] + c.clock
    per_token = values * d + d * d + (2 * d + 2) * d + d * d
    embed = Count(per_token + 4 * d + 3 * d * row["token_kinds"], per_token * tokens)
    # Events without a summary have one view of a learned token.
    views = c.submodels if row["columns"] else 1
    first = _table({**row, "level_inputs": 0, "level_weights": 0}, c) if row["columns"] else None
    return embed + (first or Count(d, 0)) + _layer(views, views + tokens, c) + Count(2 * d, 0)


def _layer(askers: float, seen: float, c: NetworkDefaults) -> Count:
    """Count a transformer layer in which `askers` tokens look at `seen` ones."""
    d = c.width
    think = 2 * c.widening * d * d
    weights = 2 * d + 4 * d * d + 2 * d + think + (c.widening + 1) * d
    look = askers * d * d + seen * 2 * d * d + 2 * askers * seen * d + askers * d * d
    return Count(weights, look + askers * think)


def _own_head(row: Sizes, outputs: int, c: NetworkDefaults = DEFAULTS) -> Count:
    d, p = c.width, row["columns"]
    views = c.submodels
    return Count(d * outputs + outputs + 2 * p * outputs, views * d * outputs + 2 * p * outputs)


def _joined(
    strategy: str, n_modalities: int, present: int, outputs: int, c: NetworkDefaults = DEFAULTS
) -> Count:
    """Count what comes after the encoders: the merge or the attention, and the last map."""
    d, s = c.width, c.submodels
    if strategy == "intermediate":
        join = _concatenation(n_modalities, present, c)
        last = c.hidden
    else:
        join = _hierarchical(n_modalities, present, c)
        last = 4 * d
    return join + Count(s * last * outputs + s * outputs, s * last * outputs)


def _concatenation(n_modalities: int, present: int, c: NetworkDefaults) -> Count:
    """A map of each embedding that is there, a learned vector for each that is not, and a sum."""
    d, h = c.width, c.hidden
    weights = n_modalities * (d * h + h) + h
    return Count(weights, c.submodels * (present * d * h + n_modalities * h))


def _hierarchical(n_modalities: int, present: int, c: NetworkDefaults) -> Count:
    """One token per modality: they look at each other, and are weighed and projected."""
    d, s = c.width, c.submodels
    look = _layer(present, present, c)
    weights = n_modalities * d + look.weights
    weights += 2 * d + d * c.heads + n_modalities * d * 4 * d + c.heads + 4 * d
    weighed = present * (d * c.heads + d * 4 * d)
    return Count(weights, s * (look.multiply_adds + weighed))
