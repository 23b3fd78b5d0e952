"""Availability patterns: which modalities a sample has, written ``ehr+imaging``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

EMPTY_PATTERN = "(none)"

BoolArray = npt.NDArray[np.bool_]


def pattern_label(present: Iterable[str]) -> str:
    """Return the label of a pattern: names in alphabetical order, joined by ``+``.

    Examples
    --------
    >>> pattern_label(["imaging", "ehr"])
    'ehr+imaging'
    >>> pattern_label([])
    '(none)'
    """
    return "+".join(sorted(present)) or EMPTY_PATTERN


def parse_pattern(label: str) -> frozenset[str]:
    """Return the modality names of a label that :func:`pattern_label` wrote.

    Examples
    --------
    >>> sorted(parse_pattern("ehr+imaging"))
    ['ehr', 'imaging']
    """
    if label.strip() in ("", EMPTY_PATTERN):
        return frozenset()
    return frozenset(part.strip() for part in label.split("+") if part.strip())


def pattern_codes(presence: BoolArray) -> tuple[BoolArray, npt.NDArray[np.intp]]:
    """Return the distinct rows of a presence matrix and, for each sample, which one it has."""
    if len(presence) == 0:
        return presence[:0], np.zeros(0, dtype=np.intp)
    # One whole number per row, renumbered before it overflows: sorting numbers is fast.
    key = np.zeros(len(presence), dtype=np.uint64)
    for column in range(presence.shape[1]):
        if column and column % 32 == 0:
            key = np.unique(key, return_inverse=True)[1].astype(np.uint64)
        key = (key << np.uint64(1)) | presence[:, column].astype(np.uint64)
    _, first, codes = np.unique(key, return_index=True, return_inverse=True)
    return presence[first], codes


def pattern_labels(presence: BoolArray, modalities: Sequence[str]) -> npt.NDArray[np.object_]:
    """Return the pattern label of each row of a presence matrix (n_samples, n_modalities)."""
    if not len(modalities):
        return np.full(len(presence), EMPTY_PATTERN, dtype=object)
    distinct, codes = pattern_codes(presence)
    labels = [pattern_label(np.array(modalities, dtype=object)[row]) for row in distinct]
    return np.array(labels, dtype=object)[codes]


def pattern_table(labels: npt.NDArray[np.object_]) -> pd.DataFrame:
    """Count patterns: columns ``pattern``, ``n``, ``share``, most frequent first."""
    names, counts = np.unique(labels.astype(str), return_counts=True)
    frame = pd.DataFrame({"pattern": names.astype(object), "n": counts.astype(np.int64)})
    frame["share"] = frame["n"] / max(1, len(labels))
    return frame.sort_values(["n", "pattern"], ascending=[False, True], ignore_index=True)
