"""Ragged rows: each sample owns a run of rows, delimited by where the runs start."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.intp]


def gathered(start: IntArray, samples: IntArray) -> tuple[IntArray, IntArray]:
    """Return the rows of the given samples, run after run, and which of the samples owns each.

    Parameters
    ----------
    start : int array (n_samples + 1,)
        Sample ``i`` owns the rows from ``start[i]`` to ``start[i + 1]``.
    samples : int array (k,)
        May repeat.

    Examples
    --------
    >>> rows, owner = gathered(np.array([0, 2, 2, 3]), np.array([2, 0, 2]))
    >>> rows.tolist(), owner.tolist()
    ([2, 0, 1, 2], [0, 1, 1, 2])
    """
    lengths = np.diff(start)[samples]
    owner = np.repeat(np.arange(len(samples)), lengths)
    offset = np.repeat(start[samples] - np.cumsum(lengths) + lengths, lengths)
    return (np.arange(len(owner)) + offset).astype(np.intp), owner


def restarted(start: IntArray, samples: IntArray) -> IntArray:
    """Return where the runs start once the given samples stand alone.

    Examples
    --------
    >>> restarted(np.array([0, 2, 2, 3]), np.array([2, 0])).tolist()
    [0, 1, 3]
    """
    return np.concatenate([[0], np.cumsum(np.diff(start)[samples])]).astype(np.intp)
