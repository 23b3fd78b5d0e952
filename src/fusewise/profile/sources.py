"""What presence may depend on: the values of other modalities, the target, and the groups."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusewise.data import MultimodalDataset
from fusewise.profile.counts import levels_as_text
from fusewise.profile.directions import directions

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

MAX_POOL = 100_000


def independent_rows(ds: MultimodalDataset, rng: np.random.Generator) -> tuple[IntArray, str]:
    """Return rows in the order of their ids, at most 100,000 and one of each cluster; and a note.

    Which sample of a cluster is taken depends on nothing that is known of it: a preference for
    those with a rare modality would take them from large clusters.
    """
    by_id = np.argsort(ds.ids, kind="stable")
    shuffled = rng.permutation(by_id)
    about = ""
    if ds.cluster is not None:
        clusters, first = np.unique(ds.cluster[shuffled], return_index=True)
        if len(clusters) < len(ds):
            about = f"one sample of each of {len(clusters):,} clusters"
        shuffled = shuffled[np.sort(first)]
    chosen = np.zeros(len(ds), dtype=bool)
    chosen[shuffled[:MAX_POOL]] = True
    return by_id[chosen[by_id]], about


def known_columns(ds: MultimodalDataset, rows: IntArray) -> dict[str, pd.DataFrame]:
    """Return ``target`` and each ``group:NAME`` as one column: text for classes and levels."""
    known = {}
    if ds.target is not None:
        target = ds.target[rows]
        if ds.task != "regression":
            target = target.astype(str).astype(object)
        known["target"] = pd.DataFrame({"target": target})
    groups = levels_as_text(ds.groups.iloc[rows], len(rows))
    return known | {f"group:{name}": groups[[name]] for name in sorted(groups.columns)}


class Values:
    """The values of every modality as directions, for some rows of a dataset.

    Parameters
    ----------
    ds : MultimodalDataset
    rows : int array
        The rows of `ds` that are reckoned with.
    needed : int array
        Which of `rows` will be asked for. Directions are those of the needed samples that have
        the modality.
    names : sequence of str
        The modalities, by whose places :meth:`without` names them.
    rng : Generator
    """

    def __init__(
        self,
        ds: MultimodalDataset,
        rows: IntArray,
        needed: IntArray,
        names: Sequence[str],
        rng: np.random.Generator,
    ) -> None:
        reference = ds.time_reference()
        part = ds[rows[needed]]
        self._blocks: list[tuple[IntArray, FloatArray]] = []
        for name, child in zip(names, rng.spawn(len(names)), strict=True):
            positions, frame = part.features(name, reference)
            place = np.full(len(rows), -1)
            place[needed[positions]] = np.arange(len(positions))
            self._blocks.append((place, directions(frame, child)))

    def without(self, m: int, rows: IntArray) -> FloatArray:
        """Return the directions (n, d) of all modalities but one, joined; zero where absent."""
        blocks = [np.zeros((len(rows), 0))]
        for k, (place, values) in enumerate(self._blocks):
            if k != m and values.size:
                at = place[rows]
                blocks.append(np.where(at[:, None] >= 0, values[at], 0.0))
        return np.column_stack(blocks)
