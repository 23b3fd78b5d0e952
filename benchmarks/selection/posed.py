"""One deployment with one seed, as the benchmark poses it: what is known before, and what comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

import fusewise as fw
from fusewise.data import Deployment

Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Part:
    """Test samples of the deployment's mixture.

    ``second`` says which of the two halves of the test each sample belongs to; ``bayes`` are the
    probabilities of the Bayes posterior where the truth is known. ``data`` may be withheld further
    by a requirement; ``bayes_of`` says what the Bayes posterior is then.
    """

    data: fw.MultimodalDataset
    second: BoolArray
    bayes: Array | None = None
    bayes_of: Callable[[fw.MultimodalDataset], Array] | None = None


@dataclass(frozen=True)
class Posed:
    """A deployment.

    Attributes
    ----------
    name, cluster, half : str
        ``cluster`` is what is independent of all others: the cell, or the real set.
    seed : int
    train : MultimodalDataset
    deployment : Deployment
        What its user knows and declares.
    requirements : list of dict
        ``absent`` with ``below_bayes``: with these modalities withheld, a strategy may score so
        much less than the Bayes posterior on the same samples.
    facts : dict
        What a reader of the tables wants to know of it.
    parts : callable
        Returns the test samples, part by part and anew with each call.
    """

    name: str
    cluster: str
    half: str
    seed: int
    train: fw.MultimodalDataset
    deployment: Deployment
    parts: Callable[[], Iterator[Part]]
    requirements: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


def withheld(data: fw.MultimodalDataset, absent: list[str]) -> fw.MultimodalDataset:
    """Return the samples that have all of `absent` and something else, without it."""
    names = list(data.modalities)
    lost = np.isin(names, absent)
    presence = data.presence
    chosen = presence[:, lost].all(axis=1) & presence[:, ~lost].any(axis=1)
    some = data[chosen]
    return some.with_presence(some.presence & ~lost)
