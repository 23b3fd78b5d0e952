"""What all slices of a dataset share: the samples as read, and one block per modality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusewise.data.blocks import TableBlock
from fusewise.data.columns import shown
from fusewise.data.events import EventBlock
from fusewise.data.ingest import COUNTS, ReadModality, read_modality
from fusewise.data.modality import Modality
from fusewise.data.samples import SampleTable
from fusewise.exceptions import DatasetError

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Store:
    """The samples and modalities of a dataset in memory, never changed after they were read.

    ``ingestion`` has one row per modality, with what was counted on the way.
    """

    samples: SampleTable
    blocks: Mapping[str, TableBlock | EventBlock]
    ingestion: pd.DataFrame

    def take(self, samples: IntArray, names: Sequence[str]) -> Self:
        """Return the given samples and modalities alone, or the whole where that is the same."""
        everyone = len(samples) == len(self.samples.index.ids)
        if everyone and len(names) == len(self.blocks):
            return self
        if everyone:
            blocks = {name: self.blocks[name] for name in names}
            return type(self)(self.samples, blocks, self.ingestion)
        return self.rearranged(samples, names)

    def rearranged(self, samples: IntArray, names: Sequence[str]) -> Self:
        """Return a copy with the given samples, in this order; they may repeat."""
        blocks = {name: self.blocks[name] for name in names}
        taken = {name: block.take(samples) for name, block in blocks.items()}
        return type(self)(self.samples.take(samples), taken, self.ingestion)


def read_store(modalities: Mapping[str, Modality], samples: SampleTable) -> tuple[Store, BoolArray]:
    """Read all modalities; return them with who has what (n_samples, n_modalities).

    Raises
    ------
    DatasetError
        A dataset with a target in which nobody has anything, or event times that are numbers
        here and timestamps there.
    """
    read = {
        name: read_modality(name, modality, samples.index, samples.present.get(name))
        for name, modality in modalities.items()
    }
    if samples.target is not None:
        _require_known_ids(read, samples)
    _require_one_clock(read)
    ingestion = pd.DataFrame(
        [[r.counts[c] for c in COUNTS] for r in read.values()],
        columns=list(COUNTS),
        index=pd.Index(list(read), name="modality"),
    )
    presence = np.column_stack([r.presence for r in read.values()])
    return Store(samples, {name: r.block for name, r in read.items()}, ingestion), presence


def _require_known_ids(read: Mapping[str, ReadModality], samples: SampleTable) -> None:
    rows = sum(r.counts["rows"] for r in read.values())
    if rows and rows == sum(r.counts["unknown_ids"] for r in read.values()):
        raise DatasetError(
            f"no modality knows any of the {len(samples.index.ids):,} samples: none of {rows:,} "
            f"rows has an id such as {shown(samples.index.ids, 1)}. Check id=."
        )


def _require_one_clock(read: Mapping[str, ReadModality]) -> None:
    clocks: dict[str, str] = {}
    for name, modality in read.items():
        if modality.clock is not None:
            clocks.setdefault(modality.clock, name)
    if len(clocks) > 1:
        said = " and ".join(f"{name!r} in {clock}" for clock, name in clocks.items())
        raise DatasetError(
            f"the times of events are given in different ways: modality {said}. Store all in one "
            "way, since the time since the last event is measured against one reference."
        )
