"""Rows of modalities in their own engine: which of them count for which sample.

The same rules as for tables in memory (`point_in_time`, `ingest_table`, `ingest_events`), written
as expressions, for tables that do not fit there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from fusewise.data import portable
from fusewise.data.columns import to_times
from fusewise.data.engine import Engine
from fusewise.data.ingested import Source
from fusewise.data.modality import Modality
from fusewise.data.samples import SampleIndex
from fusewise.data.tables import require_columns
from fusewise.exceptions import DatasetError, DuplicateIdError


class RowStatus(IntEnum):
    """Whether a row counts, and else why not, in the order in which that is decided."""

    COUNTS = 0
    UNKNOWN = 1
    UNTIMED = 2
    LATE = 3
    UNDECLARED = 4


@dataclass(frozen=True)
class KnownSamples:
    """The samples in their engine, and what reading a modality needs to know of them.

    ``table`` has a row per sample: ``_id``, ``_part`` (whether it is profiled), and where they are
    declared ``_cutoff``, ``_cluster``, ``_has_NAME`` and one column per group.
    """

    engine: Engine
    id: str
    source: Any
    table: Any
    groups: tuple[str, ...]
    clock: str | None
    reserved: frozenset[str]
    n: int

    @property
    def is_text(self) -> bool:
        """Whether ids are text."""
        return bool(self.table.schema()["_id"].is_string())


def open_samples(
    engine: Engine,
    source: Any,
    *,
    id: str,
    target: str | None,
    cluster: str | None,
    groups: Sequence[str],
    prediction_time: Any,
    part: Mapping[str, Sequence[str]] | None,
    present: Mapping[str, str],
) -> KnownSamples:
    """Open the samples table on an engine, keep what is needed of it there, and check that.

    Raises
    ------
    DatasetError
        No sample, an empty id, a prediction time or a declared presence that is empty.
    DuplicateIdError
        An id occurs twice.
    """
    what = "samples"
    table = engine.open(source, what)
    column = prediction_time if isinstance(prediction_time, str) else None
    roles = [c for c in (target, cluster, column, *(part or {})) if c]
    require_columns(table, [id, *roles, *groups, *present.values()], what)
    import ibis

    columns: dict[str, Any] = {"_id": portable.key(table[id], f"samples, column {id!r}")}
    inside = ibis.literal(True)
    for name, values in (part or {}).items():
        inside = inside & table[name].cast("string").isin(list(values)).fill_null(False)
    columns["_part"] = inside
    cutoff, clock = _cutoff(table, prediction_time, engine.name)
    if cutoff is not None:
        columns["_cutoff"] = cutoff
    if cluster is not None:
        columns["_cluster"] = table[cluster]
    for name, flag in present.items():
        columns[f"_has_{name}"] = portable.number(table[flag].cast("float64"), engine.name) == 1
    columns |= {name: table[name] for name in groups if name not in columns}
    kept = engine.keep(table.select(**columns))
    reserved = frozenset({*roles, *present.values()})
    n = _check(engine, kept, id, prediction_time, present)
    return KnownSamples(engine, id, table, kept, tuple(groups), clock, reserved, n)


def _cutoff(table: Any, prediction_time: Any, engine: str) -> tuple[Any, str | None]:
    import ibis

    if prediction_time is None:
        return None, None
    if isinstance(prediction_time, str):
        column = table[prediction_time]
        what = f"samples, column {prediction_time!r}"
        return portable.seconds(column, engine, what), portable.clock_of(column.type())
    if isinstance(prediction_time, bool) or pd.isna(prediction_time):
        raise DatasetError(
            "prediction_time: expected a column of samples, a number or a timestamp, got "
            f"{prediction_time!r}."
        )
    if isinstance(prediction_time, int | float | np.number):
        return ibis.literal(float(prediction_time)), "numbers"
    stamp = pa.chunked_array([pa.array([pd.Timestamp(prediction_time)])])
    zone = " with a time zone" if getattr(stamp.type, "tz", None) else ""
    return ibis.literal(float(to_times(stamp, "prediction_time")[0])), f"timestamps{zone}"


def _check(
    engine: Engine, kept: Any, id: str, prediction_time: Any, present: Mapping[str, str]
) -> int:
    wanted = {"n": kept.count(), "ids": kept["_id"].count(), "distinct": kept["_id"].nunique()}
    if "_cutoff" in kept.columns:
        wanted["cutoffs"] = kept["_cutoff"].count()
    wanted |= {f"flag_{flag}": kept[f"_has_{name}"].count() for name, flag in present.items()}
    found = engine.collect(kept.aggregate(**wanted)).to_pylist()[0]
    n = int(found["n"])
    if n == 0:
        raise DatasetError("samples: the table is empty. It needs one row per sample.")
    if found["ids"] < n:
        raise DatasetError(
            f"samples, column {id!r}: {n - found['ids']:,} ids are empty or no whole numbers. "
            "Every row needs an id."
        )
    if found["distinct"] < n:
        twice = kept.group_by("_id").agg(_n=kept.count())
        twice = twice.filter(twice["_n"] > 1).order_by("_id").limit(3)
        examples = ", ".join(map(repr, engine.collect(twice)["_id"].to_pylist()))
        raise DuplicateIdError(
            f"samples, column {id!r}: ids must be unique, but {n - found['distinct']:,} rows repeat "
            f"one (e.g. {examples}). Keep one row per sample; name the repeated unit as cluster=."
        )
    if found.get("cutoffs", n) < n:
        raise DatasetError(
            f"samples, column {prediction_time!r}: {n - found['cutoffs']:,} prediction times are "
            "empty. Give every sample one, or none at all."
        )
    for flag in present.values():
        if found[f"flag_{flag}"] < n:
            raise DatasetError(
                f"samples, column {flag!r}: expected true or false for every sample, got "
                f"{n - found[f'flag_{flag}']:,} empty cells."
            )
    return n


@dataclass(frozen=True)
class KnownRows:
    """The rows of one modality in their engine, as declared."""

    name: str
    modality: Modality
    table: Any
    samples: KnownSamples

    @classmethod
    def of(cls, name: str, modality: Modality, samples: KnownSamples) -> KnownRows:
        """Open the table of a modality on the engine of the samples, and check its columns."""
        what = f"modality {name!r}"
        opened = samples.engine.open(modality.table, what)
        rows = cls(name, modality, opened, samples)
        needed = [c for c in (modality.variable, modality.value) if c]
        columns = [rows.key, *rows.timed, *needed, *(modality.columns or ())]
        require_columns(opened, columns, what)
        rows._check_types()
        return rows

    @property
    def what(self) -> str:
        """The modality, for messages."""
        return f"modality {self.name!r}"

    @property
    def key(self) -> str:
        """The column with the id of the sample."""
        return self.modality.id or self.samples.id

    @property
    def timed(self) -> list[str]:
        """The columns that hold times, each once; the last one says when a row was known."""
        named = (self.modality.time, self.modality.available_at)
        return list(dict.fromkeys(c for c in named if c))

    @property
    def is_long(self) -> bool:
        """Whether these are events with a column that names the variable."""
        return self.modality.variable is not None

    @property
    def is_events(self) -> bool:
        """Whether these are events."""
        return self.modality.kind == "events"

    @cached_property
    def features(self) -> list[str]:
        """The feature columns of a table; the variables of wide events."""
        if self.is_long:
            return []
        index = SampleIndex(
            self.samples.id, np.zeros(0, dtype=np.int64), None, None, self.samples.reserved
        )
        source = Source(self.what, self.table, self.modality, self.key, index, None)
        columns = source.feature_columns()
        if not columns:
            raise DatasetError(f"{self.what}: it has no feature column besides its ids and times.")
        return columns

    @property
    def clock(self) -> str | None:
        """What the times of events are given in."""
        if not self.is_events:
            return None
        return portable.clock_of(self.table.schema()[self.modality.time])

    @cached_property
    def rows(self) -> Any:
        """Every row with ``_id``, ``_status`` (0 counts), ``_part``, ``_time`` and its values.

        Values are ``_value`` and ``_variable`` of long events, else one column per feature:
        numbers as floats with NULL for NaN and infinity, text and lists as they are.
        """
        import ibis

        engine, table = self.samples.engine.name, self.table
        columns: dict[str, Any] = {"_id": portable.key(table[self.key], self.what)}
        for place, column in enumerate(self.timed):
            what = f"{self.what}, column {column!r}"
            columns[f"_time{place}"] = portable.seconds(table[column], engine, what)
        if self.is_long:
            columns["_variable"] = table[self.modality.variable].cast("string")
            columns["_value"] = portable.measured(table[self.modality.value], engine)
            columns["_wrong"] = portable.no_number(table[self.modality.value])
        convert = portable.measured if self.is_events else portable.number
        for place, column in enumerate(self.features):
            kind = table.schema()[column]
            numeric = kind.is_numeric() or kind.is_boolean()
            columns[f"_x{place}"] = convert(table[column], engine) if numeric else table[column]
            if kind.is_floating() and not self.is_events:
                columns[f"_inf{place}"] = portable.infinite(table[column], engine)
        rows = table.select(**columns)
        known = self.samples.table
        taken = {"_known": known["_id"], "_part": known["_part"]}
        if "_cutoff" in known.columns:
            taken["_cutoff"] = known["_cutoff"]
        if self.modality.present:
            taken["_has"] = known[f"_has_{self.name}"]
        known = known.select(**taken)
        joined = rows.left_join(known, rows["_id"] == known["_known"])
        reasons = [(joined["_known"].isnull(), RowStatus.UNKNOWN.value)]
        times = [joined[f"_time{place}"] for place in range(len(self.timed))]
        reasons += [(time.isnull(), RowStatus.UNTIMED.value) for time in times]
        if times and "_cutoff" in taken:
            reasons.append((times[-1] > joined["_cutoff"], RowStatus.LATE.value))
        if "_has" in taken:
            reasons.append((~joined["_has"], RowStatus.UNDECLARED.value))
        status = ibis.cases(*reasons, else_=RowStatus.COUNTS.value)
        extra = {"_status": status, "_part": joined["_part"].fill_null(False)}
        if times:
            extra["_time"] = times[0]
        return joined.mutate(**extra)

    def _check_types(self) -> None:
        mine = portable.key(self.table[self.key], self.what).type()
        if mine.is_string() != self.samples.is_text:
            words = {True: "text", False: "whole numbers"}
            raise DatasetError(
                f"{self.what}: its ids are {words[mine.is_string()]} but the ids of the samples "
                f"are {words[self.samples.is_text]}. Store both as one type."
            )
        if self.timed and self.samples.clock is not None:
            clock = portable.clock_of(self.table.schema()[self.timed[-1]])
            if clock != self.samples.clock:
                raise DatasetError(
                    f"{self.what}: column {self.timed[-1]!r} holds {clock}, the prediction time is "
                    f"given in {self.samples.clock}. Store both in one way, or nothing can be said "
                    "of before and after."
                )
        for column in self.features:
            kind = self.table.schema()[column]
            fits = kind.is_numeric() or kind.is_boolean() or kind.is_null()
            if self.is_events and not fits:
                raise DatasetError(
                    f"{self.what}, column {column!r}: expected numbers, got {kind}. Give long "
                    "events variable= and value=, or leave the column out with columns=."
                )
            if not (fits or kind.is_string() or kind.is_array()):
                raise DatasetError(
                    f"{self.what}, column {column!r}: expected numbers, booleans, text or lists of "
                    f"numbers, got {kind}. Leave it out with columns=, or convert it."
                )
