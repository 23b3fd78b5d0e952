"""A modality as a few numbers per sample, made without looking at anybody's presence."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusewise.profile.dimensions import to_matrix

FloatArray = npt.NDArray[np.float64]

MAX_DIRECTIONS = 20


def directions(frame: pd.DataFrame, rng: np.random.Generator) -> FloatArray:
    """Reduce features to at most 20 directions and their squares, together of unit variance.

    Each numeric column is taken to normal scores (ranks, so that neither units nor outliers
    matter) with empty cells at the median; which cells are empty follows as further columns, and
    each frequent level of a category is one. More than 20 columns are reduced to their leading
    principal components by a randomised singular value decomposition. The squares let a linear
    model see dependence that turns round in the middle of a direction; products of two directions
    are not seen.

    Parameters
    ----------
    frame : DataFrame (n, p)
        NaN or None is an empty cell.
    rng : Generator
        Seeds the decomposition.

    Returns
    -------
    float array (n, d)
        Finite; d is at most 40, and 0 where nothing varies.

    References
    ----------
    N. Halko et al., Finding structure with randomness, SIAM Review 53 (2011).
    """
    if len(frame) == 0:
        return np.zeros((0, 0))
    values = to_matrix(frame)
    empty = ~np.isfinite(values)
    # Columns are often empty together (all summaries of one variable): one flag tells it.
    flags = np.unique(empty, axis=1)
    columns = _varying(np.column_stack([_normal_scores(values, empty), flags.astype(float)]))
    if columns.shape[1] > MAX_DIRECTIONS:
        columns = _principal(columns, rng)
    if columns.shape[1] == 0:
        return columns
    scale = np.sqrt((columns**2).mean(axis=0))
    squares = (columns / scale) ** 2 - 1
    spread = np.sqrt((squares**2).mean(axis=0))
    bends = spread > 1e-9  # the square of two equally frequent values is constant
    squares = squares[:, bends] * (scale / np.where(bends, spread, 1.0))[bends]
    both = np.column_stack([columns, squares])
    return np.asarray(both / np.sqrt((both**2).mean(axis=0).sum()))


def _principal(columns: FloatArray, rng: np.random.Generator) -> FloatArray:
    from sklearn.utils.extmath import randomized_svd

    n_directions = min(MAX_DIRECTIONS, len(columns))
    left, strength, _ = randomized_svd(
        columns, n_directions, random_state=int(rng.integers(2**31 - 1))
    )
    kept = strength > 1e-9 * strength[0]
    return np.asarray(left[:, kept] * strength[kept])


def _normal_scores(values: FloatArray, empty: npt.NDArray[np.bool_]) -> FloatArray:
    from scipy.special import ndtri

    rank = pd.DataFrame(np.where(empty, np.nan, values)).rank().to_numpy()
    scores = ndtri((rank - 0.5) / np.maximum(1, (~empty).sum(axis=0)))
    return np.where(empty, 0.0, scores)


def _varying(columns: FloatArray) -> FloatArray:
    """Standardise, and drop what does not vary."""
    centred = columns - columns.mean(axis=0)
    spread = np.sqrt((centred**2).mean(axis=0))
    varies = spread > 1e-9
    return np.asarray(centred[:, varies] / spread[varies])
