"""Rows of similar length together, so that padding costs little."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

# What one more bucket costs, in tokens: the fixed part of a pass through some layers.
_TOKENS_PER_BUCKET = 512
# Cuts are sought between at most so many lengths.
_MAX_CUTS = 64


def length_buckets(lengths: Tensor, *, n_buckets: int = 4) -> list[Tensor]:
    """Cut rows into groups of similar length.

    The cuts minimise the number of slots after each group is padded to its longest row, plus a
    constant per group, so that a small batch is not cut at all. Exact for up to 64 distinct
    lengths (dynamic programming), over at most 64 of them beyond.

    Parameters
    ----------
    lengths : Tensor (k,) long
        Length of each row.
    n_buckets : int
        The most groups that are made.

    Returns
    -------
    list of Tensor long
        The numbers of the rows of each group, shortest group first; together 0..k-1, each once.
        Rows of one length stay in one group and in their order. Empty for no rows.

    Examples
    --------
    >>> [b.tolist() for b in length_buckets(torch.tensor([900, 2, 1000, 3]), n_buckets=2)]
    [[1, 3], [0, 2]]
    """
    if not len(lengths):
        return []
    order = torch.argsort(lengths, stable=True)
    distinct, count = np.unique(lengths.cpu().numpy(), return_counts=True)
    below = np.concatenate([[0], np.cumsum(count)])
    if len(distinct) > _MAX_CUTS:
        # By rank for the bulk, by length for a long tail.
        by_rank = np.linspace(0, len(distinct) - 1, _MAX_CUTS // 2).round().astype(int)
        steps = np.linspace(distinct[0], distinct[-1], _MAX_CUTS // 2)
        kept = np.union1d(by_rank, np.searchsorted(distinct, steps, side="right") - 1)
        distinct, below = distinct[kept], below[np.concatenate([[0], kept + 1])]
    cuts = _best_cuts(distinct, below, min(n_buckets, len(distinct)))
    return list(torch.split(order, np.diff(cuts).tolist()))


def _best_cuts(longest: np.ndarray, below: np.ndarray, n_buckets: int) -> np.ndarray:
    """Return row numbers at which sorted rows are cut, first 0, last the number of rows.

    `longest` (L,) are lengths in ascending order, ``below[i + 1]`` the rows up to ``longest[i]``.
    """
    size = len(longest)
    # cost[i, j]: one group of the lengths i..j.
    rows = below[None, 1:] - below[:-1, None]
    cost = np.where(rows > 0, rows * longest[None, :] + float(_TOKENS_PER_BUCKET), np.inf)
    best = cost[0].copy()
    paths = [np.zeros(size, dtype=int)]
    totals = [best[-1]]
    for _ in range(n_buckets - 1):
        # best[i - 1] + cost[i, j]: the last group begins at length i.
        options = np.full((size, size), np.inf)
        options[1:] = best[:-1, None] + cost[1:]
        first = options.argmin(axis=0)
        best = options[first, np.arange(size)]
        paths.append(first)
        totals.append(best[-1])
    groups = int(np.argmin(totals)) + 1
    cuts = [size]
    for path in paths[groups - 1 :: -1]:
        cuts.append(int(path[cuts[-1] - 1]))
    return below[np.array(cuts[::-1])]
