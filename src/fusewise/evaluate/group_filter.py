"""Samples of one group: columns with the value that they must have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fusewise.evaluate.groups import UNKNOWN, labels_of, values_of
from fusewise.exceptions import EvaluationError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from fusewise.evaluate.predictions import Presence

Pairs = tuple[tuple[str, str], ...]


def as_pairs(given: Any) -> Pairs:
    """Return ``{"sex": "F"}`` as pairs in order of the names, so that equal ones are equal.

    Raises
    ------
    EvaluationError
        If it is no mapping of columns to one value each.

    Examples
    --------
    >>> as_pairs({"site": 3, "sex": "F"})
    (('sex', 'F'), ('site', '3'))
    """
    if given is None or given == ():
        return ()
    if isinstance(given, tuple) and all(isinstance(p, tuple) and len(p) == 2 for p in given):
        given = dict(given)
    if not isinstance(given, Mapping) or not given:
        raise EvaluationError(
            f"group names columns with their value, as {{'sex': 'F'}}, got {given!r}"
        )
    for name, value in given.items():
        if isinstance(value, list | tuple | set | dict) or value is None:
            raise EvaluationError(
                f"group {name!r} takes one value, got {value!r}; write one requirement for each "
                f"value, and {UNKNOWN!r} for empty cells"
            )
    return tuple(sorted((str(name), str(value)) for name, value in given.items()))


def in_words(pairs: Pairs | Mapping[str, str]) -> str:
    """Return the group in words, ``sex is F and site is 3``."""
    return " and ".join(f"{name} is {value}" for name, value in dict(pairs).items())


def check_pairs(pairs: Pairs | Mapping[str, str], samples: pd.DataFrame) -> None:
    """Raise where a column does not exist, or no sample has the value."""
    for name, value in dict(pairs).items():
        known = values_of(labels_of(samples, name))
        if value not in known:
            raise EvaluationError(
                f"no sample has {name} {value!r}.{did_you_mean(value, known)} There are "
                f"{', '.join(known)}"
            )


def members(pairs: Pairs | Mapping[str, str], samples: pd.DataFrame) -> Presence:
    """Return which samples have all these values (n,)."""
    inside = np.ones(len(samples), dtype=bool)
    for name, value in dict(pairs).items():
        inside &= labels_of(samples, name) == value
    return inside
