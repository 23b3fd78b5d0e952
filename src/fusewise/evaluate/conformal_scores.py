"""Conformity scores: how badly a target fits a prediction; the larger, the worse."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fusewise.exceptions import EvaluationError, did_you_mean

if TYPE_CHECKING:
    from fusewise.evaluate.weighted import Floats

LAC, APS, ABSOLUTE = "lac", "aps", "absolute"

_SCORES = {"binary": (LAC, APS), "multiclass": (LAC, APS), "regression": (ABSOLUTE,)}

# A sample that is predicted alone and in a batch may differ in the last bits, which would decide
# ties. Rounding is part of the score, so that it costs no validity.
_DIGITS = 9


def find_score(name: str | None, task: str) -> str:
    """Return the score of this name for this task, or the task's default.

    Raises
    ------
    EvaluationError
        If the task has no such score.

    Examples
    --------
    >>> find_score(None, "binary"), find_score(None, "regression")
    ('lac', 'absolute')
    """
    known = _SCORES.get(task)
    if known is None:
        raise EvaluationError(
            f"the task {task!r} has no prediction sets: expected one of {', '.join(_SCORES)}."
        )
    if name is None:
        return known[0]
    if name not in known:
        raise EvaluationError(
            f"score {name!r} is none of the task {task!r}: expected {' or '.join(known)}."
            f"{did_you_mean(name, known)}"
        )
    return name


def class_scores(name: str, probability: Floats, uniform: Floats) -> Floats:
    """Return the score of every class for every sample (n, n_classes).

    ``lac``: one minus the class's probability (Sadinle, Lei and Wasserman, JASA 2019), which gives
    the smallest sets on average if probabilities are right, and empty ones where nothing is
    likely enough. ``aps``: the probability of all likelier classes plus a random share of its own
    (Romano, Sesia and Candes, NeurIPS 2020), which varies more in size with the sample; classes of
    equal probability count in their order.

    Parameters
    ----------
    name : {"lac", "aps"}
    probability : ndarray of float (n, n_classes)
    uniform : ndarray of float (n,)
        The random share of each sample, in [0, 1); read by ``aps`` alone.

    Examples
    --------
    >>> p = np.array([[0.5, 0.2, 0.3]])
    >>> class_scores("lac", p, np.zeros(1)).tolist()
    [[0.5, 0.8, 0.7]]
    >>> class_scores("aps", p, np.array([0.5])).round(2).tolist()
    [[0.25, 0.9, 0.65]]
    """
    if name == LAC:
        return np.round(1 - probability, _DIGITS)
    order = np.argsort(-probability, axis=1, kind="stable")
    ranked = np.take_along_axis(probability, order, axis=1)
    likelier = np.cumsum(ranked, axis=1) - ranked
    out = np.empty_like(probability)
    np.put_along_axis(out, order, likelier + uniform[:, None] * ranked, axis=1)
    return np.round(out, _DIGITS)


def uniforms(ids: npt.NDArray[Any], entropy: int, label: str) -> Floats:
    """Return one number in [0, 1) per id (n,), a function of the seed, the label and the id alone.

    A sample's number must not depend on its place or on the batch that it comes in; a stream of
    draws would.

    Examples
    --------
    >>> u = uniforms(np.array(["s1", "s2", "s3"]), 0, "aps")
    >>> bool((u[1:] == uniforms(np.array(["s2", "s3"]), 0, "aps")).all())
    True
    """
    seed = hashlib.blake2b(f"{entropy}:{label}".encode(), digest_size=32).digest()
    numbers = [
        int.from_bytes(hashlib.blake2b(str(i).encode(), digest_size=8, key=seed).digest(), "big")
        for i in ids.tolist()
    ]
    return np.array(numbers, dtype=np.uint64).astype(np.float64) / 2.0**64
