"""Which samples an index selects."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fusewise.exceptions import DatasetError

IntArray = npt.NDArray[np.intp]


def selected_rows(rows: Any, n: int) -> IntArray:
    """Return the positions that `rows` selects among `n` samples.

    Parameters
    ----------
    rows : int, sequence of int, bool mask (n,), slice, or a pair of one of these and ``...``
        Scikit-learn's splitters index with the pair.
    n : int

    Examples
    --------
    >>> selected_rows(([2, 2, -1], ...), 4).tolist()
    [2, 2, 3]
    """
    if isinstance(rows, tuple):
        everything = len(rows) == 2 and (
            rows[1] is Ellipsis or (isinstance(rows[1], slice) and rows[1] == slice(None))
        )
        if not everything:
            raise DatasetError(
                "a dataset is indexed by samples alone; choose modalities with only() or without()."
            )
        rows = rows[0]
    if isinstance(rows, str):
        raise DatasetError(
            f"a dataset is indexed by samples, got {rows!r}; choose modalities with only({rows!r})."
        )
    everyone = np.arange(n)
    if isinstance(rows, slice):
        return everyone[rows]
    selected = np.atleast_1d(np.asarray(rows))
    if selected.dtype == bool:
        if selected.shape != (n,):
            raise DatasetError(f"a boolean mask must have {n} entries, got {selected.shape}.")
        return everyone[selected]
    if selected.size == 0:
        return everyone[:0]
    if selected.dtype.kind not in "iu" or selected.ndim != 1:
        raise DatasetError(
            "a dataset is indexed by positions of samples (whole numbers, one dimension), got "
            f"{selected.dtype} of shape {selected.shape}."
        )
    return everyone[selected]
