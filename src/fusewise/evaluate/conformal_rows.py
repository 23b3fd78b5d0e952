"""Which calibration samples stand for a pattern, and what is withheld from each.

Every choice depends on who has which modality and on the seed, never on values or targets. Where
absence is independent of both, that leaves calibration and test samples exchangeable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from fusewise.evaluate.predictions import Presence, Rows
    from fusewise.evaluate.weighted import Floats

AUTO, EXACT, NESTED, MONDRIAN, SPLIT = "auto", "exact", "nested", "mondrian", "split"

METHODS = (AUTO, EXACT, NESTED, MONDRIAN, SPLIT)


@dataclass(frozen=True)
class Chosen:
    """Calibration samples for one pattern.

    Parameters
    ----------
    method : {"exact", "nested", "mondrian", "split"}
        ``auto`` is resolved.
    rows : ndarray of int (k,)
        Positions in the calibration set.
    presence : ndarray of bool (k, n_modalities)
        With what each is scored.
    """

    method: str
    rows: Rows
    presence: Presence


def limit(n: int, alpha: float) -> float:
    """Return how many of `n` scores may lie below a target's before it is left out of the set.

    A target is in the set where fewer scores are strictly below its own. With ``limit > n``
    nothing can be left out: the set is everything.

    Examples
    --------
    >>> limit(9, 0.1), limit(8, 0.1) > 8
    (9.0, True)
    """
    # (1 - 0.1) * 30 is not 27 in binary.
    return round((1 - alpha) * (n + 1), 9)


def enough(n: int, alpha: float) -> bool:
    """Return whether `n` calibration samples can leave anything out.

    Examples
    --------
    >>> [n for n in range(20) if enough(n, 0.1)][0]
    9
    """
    return limit(n, alpha) <= n


def choose_rows(
    method: str,
    pattern: npt.NDArray[np.bool_],
    presence: Presence,
    units: Rows,
    rank: Floats,
    alpha: float,
) -> Chosen:
    """Choose the calibration samples for a pattern.

    Parameters
    ----------
    method : {"auto", "exact", "nested", "mondrian", "split"}
    pattern : ndarray of bool (n_modalities,)
    presence : ndarray of bool (n, n_modalities)
        Of the calibration samples, as they came.
    units : ndarray of int (n,)
        Their units of independence; one sample of each is taken.
    rank : ndarray of float (n,)
        The random priority of each sample inside its unit.
    alpha : float

    Returns
    -------
    Chosen
        ``exact``: samples that have at least the pattern's modalities, scored with exactly these.
        ``nested``: all samples that share a modality with the pattern, each scored with what it
        shares. ``mondrian``: samples that came with the very pattern. ``split``: all samples as
        they came. ``auto``: ``exact`` where it has enough samples to leave anything out, else
        ``nested`` where that has, else ``exact``.
    """
    if method == AUTO:
        exact = choose_rows(EXACT, pattern, presence, units, rank, alpha)
        if enough(len(exact.rows), alpha):
            return exact
        nested = choose_rows(NESTED, pattern, presence, units, rank, alpha)
        return nested if enough(len(nested.rows), alpha) else exact
    shared = presence & pattern
    eligible = {
        EXACT: (shared == pattern).all(axis=1),
        # What is empty cannot be scored. Only patterns say which those are, so that leaving them
        # out is a choice like any other subset of the calibration samples.
        NESTED: shared.any(axis=1),
        MONDRIAN: (presence == pattern).all(axis=1),
        SPLIT: presence.any(axis=1),
    }[method]
    rows = _one_per_unit(np.flatnonzero(eligible), units, rank)
    return Chosen(method, rows, presence[rows] if method == SPLIT else shared[rows])


def _one_per_unit(rows: Rows, units: Rows, rank: Floats) -> Rows:
    order = rows[np.lexsort((rank[rows], units[rows]))]
    first = np.unique(units[order], return_index=True)[1]
    return np.sort(order[first])
