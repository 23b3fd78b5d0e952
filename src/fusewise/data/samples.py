"""The samples table: ids, target, clusters, groups, prediction times, declared presence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from fusewise.data.columns import clock_of, is_number, shown, to_floats, to_keys, to_times
from fusewise.data.tables import fetch, open_table, require_columns
from fusewise.data.target import read_target
from fusewise.exceptions import DatasetError, DuplicateIdError, TaskError

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]


@dataclass(frozen=True)
class SampleIndex:
    """What reading a modality needs to know about the samples.

    ``cutoffs`` (n_samples,) are the prediction times, and ``clock`` what they are given in;
    ``reserved`` are the columns of the samples table that can be no feature.
    """

    id: str
    ids: npt.NDArray[Any]
    cutoffs: FloatArray | None
    clock: str | None
    reserved: frozenset[str]

    def positions(self, keys: npt.NDArray[Any], what: str) -> IntArray:
        """Return the position of each key among the samples, -1 where it is unknown."""
        if len(keys) and len(self.ids) and (keys.dtype == object) != (self.ids.dtype == object):
            mine, theirs = (
                "text" if ids.dtype == object else "whole numbers" for ids in (self.ids, keys)
            )
            raise DatasetError(
                f"{what}: its ids are {theirs} (e.g. {shown(keys, 1)}) but the ids of the samples "
                f"are {mine} (e.g. {shown(self.ids, 1)}). Store both as one type."
            )
        return pd.Index(self.ids).get_indexer(pd.Index(keys)).astype(np.intp)


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
    id: str,
    target: str | None,
    task: str,
    cluster: str | None,
    groups: tuple[str, ...],
    prediction_time: Any,
    validation: str | None,
    extra: tuple[str, ...],
    present: Mapping[str, str],
) -> SampleTable:
    """Read the columns of the samples table that are named, and check them."""
    what = "samples"
    if target == id:
        raise TaskError(
            f"target {target!r}: it is the id column, from which nothing can be learned. Name the "
            "column to predict."
        )
    table = open_table(source, what=what)
    time_column = prediction_time if isinstance(prediction_time, str) else None
    carried = [c for c in (id, target, cluster, *groups, time_column, validation, *extra) if c]
    flags = list(present.values())
    require_columns(table, [*carried, *flags], what)
    rows = fetch(table, [*carried, *flags])
    if rows.num_rows == 0:
        raise DatasetError("samples: the table is empty. It needs one row per sample.")
    ids = to_keys(rows.column(id), f"samples, column {id!r}")
    _require_unique(ids, id)
    cutoffs, clock = _cutoffs(rows, prediction_time)
    values, found_task, classes = (None, None, None)
    if target is not None:
        values, found_task, classes = read_target(rows.column(target), task, target)
    reserved = {c for c in (target, cluster, time_column, validation, *extra) if c}
    carried = list(dict.fromkeys(carried))
    frame = rows.select(carried).to_pandas()
    frame[id] = ids
    return SampleTable(
        index=SampleIndex(id, ids, cutoffs, clock, frozenset(reserved | set(flags))),
        target=values,
        task=found_task,
        classes=classes,
        cluster=(
            None
            if cluster is None
            else to_keys(rows.column(cluster), f"samples, cluster column {cluster!r}")
        ),
        groups=frame[list(groups)],
        frame=frame,
        validation=(
            np.zeros(len(ids), dtype=bool)
            if validation is None
            else _flags(rows.column(validation), validation)
        ),
        present={name: _flags(rows.column(c), c) for name, c in present.items()},
    )


def _require_unique(ids: npt.NDArray[Any], name: str) -> None:
    series = pd.Series(ids)
    repeated = series[series.duplicated()]
    if len(repeated):
        examples = shown(repeated.unique())
        raise DuplicateIdError(
            f"samples, column {name!r}: ids must be unique, but {len(repeated):,} rows repeat one "
            f"(e.g. {examples}). Keep one row per sample; name the repeated unit as cluster=."
        )


def _cutoffs(rows: pa.Table, prediction_time: Any) -> tuple[FloatArray | None, str | None]:
    """Return the prediction time of each sample, and what it is given in."""
    if prediction_time is None:
        return None, None
    if isinstance(prediction_time, str):
        column = rows.column(prediction_time)
        times = to_times(column, f"samples, column {prediction_time!r}")
        if not np.isfinite(times).all():
            raise DatasetError(
                f"samples, column {prediction_time!r}: {int((~np.isfinite(times)).sum()):,} "
                "prediction times are empty. Give every sample one, or none at all."
            )
        return times, clock_of(column.type)
    if isinstance(prediction_time, bool) or pd.isna(prediction_time):
        raise DatasetError(
            "prediction_time: expected a column of samples, a number or a timestamp, got "
            f"{prediction_time!r}."
        )
    if isinstance(prediction_time, int | float | np.number):
        return np.full(rows.num_rows, float(prediction_time)), "numbers"
    constant = pa.chunked_array([pa.array([pd.Timestamp(prediction_time)])])
    time = to_times(constant, "prediction_time")
    return np.full(rows.num_rows, time[0]), clock_of(constant.type)


def _flags(column: pa.ChunkedArray, name: str) -> BoolArray:
    what = f"samples, column {name!r}"
    if not is_number(column.type) or column.null_count:
        raise DatasetError(
            f"{what}: expected true or false for every sample, got {column.type}"
            f"{f' with {column.null_count:,} empty cells' if column.null_count else ''}."
        )
    values = to_floats(column, what)
    other = values[~np.isin(values, (0.0, 1.0))]
    if len(other):
        raise DatasetError(f"{what}: expected true or false, got {shown(other, 1)}.")
    return values == 1.0
