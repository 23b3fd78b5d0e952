"""The samples table: ids, target, clusters, groups, prediction times, declared presence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from fusewise.data.ingest import SampleIndex
from fusewise.data.tables import (
    fetch,
    is_number,
    is_time,
    open_table,
    require_columns,
    to_floats,
    to_keys,
)
from fusewise.data.target import read_target
from fusewise.exceptions import DatasetError, DuplicateIdError

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.intp]


@dataclass(frozen=True)
class SampleTable:
    """The samples table in memory, one entry per sample everywhere."""

    index: SampleIndex
    target: npt.NDArray[Any] | None
    task: str | None
    classes: tuple[Any, ...] | None
    cluster: npt.NDArray[Any] | None
    groups: pd.DataFrame
    frame: pd.DataFrame
    validation: BoolArray
    present: Mapping[str, BoolArray]

    def take(self, rows: IntArray) -> SampleTable:
        """Return the given samples."""
        index = replace(
            self.index,
            ids=self.index.ids[rows],
            cutoffs=None if self.index.cutoffs is None else self.index.cutoffs[rows],
        )
        return replace(
            self,
            index=index,
            target=None if self.target is None else self.target[rows],
            cluster=None if self.cluster is None else self.cluster[rows],
            groups=self.groups.iloc[rows].reset_index(drop=True),
            frame=self.frame.iloc[rows].reset_index(drop=True),
            validation=self.validation[rows],
            present={name: flags[rows] for name, flags in self.present.items()},
        )


def read_samples(
    source: Any,
    *,
    id: str,  # noqa: A002
    target: str | None,
    task: str,
    cluster: str | None,
    groups: tuple[str, ...],
    prediction_time: str | float | None,
    validation: str | None,
    extra: tuple[str, ...],
    present: Mapping[str, str | None],
) -> SampleTable:
    """Read the columns of the samples table that are named, and check them."""
    what = "samples"
    table = open_table(source, what=what)
    time_column = prediction_time if isinstance(prediction_time, str) else None
    carried = [c for c in (id, target, cluster, *groups, time_column, validation, *extra) if c]
    flags = [c for c in present.values() if c]
    require_columns(table, [*carried, *flags], what)
    rows = fetch(table, [*carried, *flags])
    if rows.num_rows == 0:
        raise DatasetError("samples: the table is empty. It needs one row per sample.")
    ids = to_keys(rows.column(id), f"samples, column {id!r}")
    _require_unique(ids, id)
    cutoffs, cutoff_is_time = _cutoffs(rows, prediction_time)
    values, found_task, classes = (None, None, None)
    if target is not None:
        values, found_task, classes = read_target(rows.column(target), task, target)
    reserved = {c for c in (target, cluster, time_column, validation, *extra) if c}
    carried = list(dict.fromkeys(carried))
    frame = rows.select(carried).to_pandas()
    frame[id] = ids
    return SampleTable(
        index=SampleIndex(id, ids, cutoffs, cutoff_is_time, frozenset(reserved | set(flags))),
        target=values,
        task=found_task,
        classes=classes,
        cluster=None if cluster is None else to_keys(rows.column(cluster), f"column {cluster!r}"),
        groups=frame[list(groups)],
        frame=frame,
        validation=(
            np.zeros(len(ids), dtype=bool)
            if validation is None
            else _flags(rows.column(validation), validation)
        ),
        present={name: _flags(rows.column(c), c) for name, c in present.items() if c},
    )


def _require_unique(ids: npt.NDArray[Any], name: str) -> None:
    series = pd.Series(ids)
    repeated = series[series.duplicated()]
    if len(repeated):
        examples = ", ".join(repr(i) for i in repeated.unique()[:3])
        raise DuplicateIdError(
            f"samples, column {name!r}: ids must be unique, but {len(repeated):,} rows repeat one "
            f"(e.g. {examples}). Keep one row per sample; name the repeated unit as cluster=."
        )


def _cutoffs(
    rows: pa.Table, prediction_time: str | float | None
) -> tuple[npt.NDArray[np.float64] | None, bool]:
    if prediction_time is None:
        return None, False
    if isinstance(prediction_time, str):
        column = rows.column(prediction_time)
        times = to_floats(column, f"samples, column {prediction_time!r}")
        if not np.isfinite(times).all():
            raise DatasetError(
                f"samples, column {prediction_time!r}: {int((~np.isfinite(times)).sum()):,} "
                "prediction times are empty. Give every sample one, or none at all."
            )
        return times, is_time(column.type)
    if isinstance(prediction_time, int | float):
        return np.full(rows.num_rows, float(prediction_time)), False
    stamp = pd.Timestamp(prediction_time)
    return np.full(rows.num_rows, stamp.timestamp()), True


def _flags(column: pa.ChunkedArray, name: str) -> BoolArray:
    what = f"samples, column {name!r}"
    if not is_number(column.type) or column.null_count:
        raise DatasetError(
            f"{what}: expected true or false for every sample, got {column.type}"
            f"{f' with {column.null_count:,} empty cells' if column.null_count else ''}."
        )
    values = to_floats(column, what)
    if not np.isin(values, (0.0, 1.0)).all():
        raise DatasetError(f"{what}: expected true or false, got {values[0]!r}.")
    return values == 1.0
