"""Reading one modality: who it belongs to, what could be known, and then its values."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fusewise.data.ingest_events import read_events
from fusewise.data.ingest_table import read_table
from fusewise.data.ingested import COUNTS, ReadModality, Source
from fusewise.data.modality import Modality
from fusewise.data.samples import SampleIndex
from fusewise.data.tables import open_table, require_columns

__all__ = ["COUNTS", "ReadModality", "read_modality"]

BoolArray = npt.NDArray[np.bool_]


def read_modality(
    name: str, modality: Modality, index: SampleIndex, declared: BoolArray | None
) -> ReadModality:
    """Read one modality for the given samples.

    Rows that could not be known at prediction time are counted and discarded before presence is
    computed; rows of samples that are declared absent are discarded unseen.

    Parameters
    ----------
    name : str
    modality : Modality
    index : SampleIndex
    declared : bool array (n_samples,), optional
        Who has it, where the samples table says so; otherwise presence means having rows.
    """
    what = f"modality {name!r}"
    table = open_table(modality.table, what=what)
    key = modality.id or index.id
    source = Source(what, table, modality, key, index, declared)
    require_columns(table, [key, *source.timed, *(modality.columns or ())], what)
    read = (read_events if modality.kind == "events" else read_table)(source)
    rows, unknown = read.counts["rows"], read.counts["unknown_ids"]
    if rows and rows == unknown:
        source.warn(
            f"no sample has it: none of its {rows:,} rows belongs to a known sample. Check that "
            f"its column {key!r} and the samples' {index.id!r} hold the same ids."
        )
    elif not read.presence.any():
        source.warn("no sample has it.")
    return read
