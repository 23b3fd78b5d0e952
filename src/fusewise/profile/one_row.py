"""One row per sample, in the tables' own engine: what every figure of a large profile is made of.

Each modality is reduced to one row per sample in one pass (and, for events, one more that orders
occasions in time). These are joined to the samples and kept in the engine; patterns, cadence and
arrival are then small aggregates of that one table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fusewise.data import KnownRows, KnownSamples, RowStatus
from fusewise.exceptions import DatasetError, DuplicateIdError
from fusewise.profile.counts import PatternCounts

# What is counted while a table is read, and the status of the rows behind it.
READ = ("rows", "unknown_ids", "after_prediction_time", "without_time", "declared_absent")
LEFT_OUT = tuple(
    status.value
    for status in (RowStatus.UNKNOWN, RowStatus.LATE, RowStatus.UNTIMED, RowStatus.UNDECLARED)
)


@dataclass(frozen=True)
class OneRow:
    """The table of one row per profiled sample, and what was read to make it.

    ``table`` has ``_id``, the groups, ``_cutoff`` and ``_cluster`` where there are any, and for
    modality i ``_p{i}`` (presence); for events also ``_n{i}`` (events), ``_first{i}``,
    ``_last{i}``, ``_gap{i}`` (median gap of occasions), ``_gaps{i}`` (their number) and
    ``_spread{i}`` (standard deviation over mean). ``read`` has a row per modality: what was left
    out for which reason.
    """

    samples: KnownSamples
    modalities: tuple[KnownRows, ...]
    table: Any
    read: pd.DataFrame

    @property
    def names(self) -> tuple[str, ...]:
        """The modalities."""
        return tuple(rows.name for rows in self.modalities)

    @property
    def events(self) -> list[tuple[int, KnownRows]]:
        """The event modalities with their places."""
        return [(i, rows) for i, rows in enumerate(self.modalities) if rows.is_events]

    def collect(self, expression: Any) -> pd.DataFrame:
        """Run an expression and return its rows."""
        frame: pd.DataFrame = self.samples.engine.collect(expression).to_pandas()
        return frame

    def counts(self) -> PatternCounts:
        """Count the patterns per combination of group levels."""
        keys = [f"_p{i}" for i in range(len(self.modalities))] + list(self.samples.groups)
        found = self.collect(self.table.group_by(keys).agg(_samples=self.table.count()))
        presence = found[keys[: len(self.modalities)]].to_numpy(dtype=bool)
        groups = found[list(self.samples.groups)]
        return PatternCounts.of(self.names, presence, found["_samples"].to_numpy(np.int64), groups)


def reduce_to_samples(samples: KnownSamples, modalities: Sequence[KnownRows]) -> OneRow:
    """Reduce the tables to one row per sample, and keep it in the engine.

    Raises
    ------
    DatasetError
        A table has empty ids or values that are no numbers, or events on two clocks.
    DuplicateIdError
        A table of kind ``table`` has several rows of one sample, and nothing says which counts.
    """
    _require_one_clock(modalities)
    engine = samples.engine
    table = samples.table.filter(samples.table["_part"]).drop("_part")
    read = []
    for i, rows in enumerate(modalities):
        one = engine.keep(_per_sample(rows))
        read.append(_read(rows, one))
        if rows.is_events:
            one = _with_gaps(rows, one)
        table = _joined(table, one, i, rows)
    kept = engine.keep(table.drop(*(c for c in table.columns if c.startswith("_has_"))))
    names = pd.Index([rows.name for rows in modalities], name="modality")
    found = pd.DataFrame(read, columns=list(READ), index=names, dtype=np.int64)
    return OneRow(samples, tuple(modalities), kept, found.reset_index())


def counting(rows: KnownRows) -> Any:
    """Return the rows that count; of several rows of a sample in a table the latest."""
    table = _marked(rows)
    return table.filter(table["_counts"])


def _marked(rows: KnownRows) -> Any:
    """Return all rows with ``_counts``: whether a row counts and is the latest that does."""
    import ibis

    table = rows.rows
    counts = table["_status"] == RowStatus.COUNTS.value
    if rows.is_events or not rows.timed:
        return table.mutate(_counts=counts)
    # Tied rows share the first rank: they are found as two rows of one sample.
    latest = ibis.rank().over(
        ibis.window(group_by=["_id", "_status"], order_by=table["_time"].desc())
    )
    ranked = table.mutate(_rank=latest)
    first = (ranked["_status"] == RowStatus.COUNTS.value) & (ranked["_rank"] == 0)
    return ranked.mutate(_counts=first).drop("_rank")


def usable(rows: KnownRows, table: Any) -> Any:
    """Whether a row holds a value: of long events one with a name, else any cell."""
    import ibis

    if rows.is_long:
        reserved = sorted(rows.samples.reserved)
        named = table["_variable"].notnull() & table["_value"].notnull()
        return named & ~table["_variable"].isin(reserved) if reserved else named
    return ibis.or_(*(table[f"_x{i}"].notnull() for i in range(len(rows.features))))


def _per_sample(rows: KnownRows) -> Any:
    """One row per id of a table: how many rows, what they are, and when its events are."""
    table = _marked(rows)
    counts = table["_counts"]
    written = counts & usable(rows, table)
    per = {
        "_rows": table.count(),
        "_count": counts.ifelse(1, 0).sum(),
        "_written": written.ifelse(1, 0).sum(),
    }
    per |= {f"_out{code}": (table["_status"] == code).ifelse(1, 0).sum() for code in LEFT_OUT}
    if rows.is_events:
        many = written.ifelse(1, 0)
        if not rows.is_long:
            cells = [table[f"_x{i}"].notnull().ifelse(1, 0) for i in range(len(rows.features))]
            many = counts.ifelse(sum(cells[1:], cells[0]), 0)
        per |= {
            "_n": many.sum(),
            "_first": table["_time"].min(where=written),
            "_last": table["_time"].max(where=written),
        }
    if rows.is_long:
        per["_wrong"] = (counts & table["_wrong"]).ifelse(1, 0).sum()
    return table.group_by("_id").agg(**per)


def _read(rows: KnownRows, one: Any) -> list[int]:
    """Add up what was read of a modality, and raise where it cannot be."""
    total = {c.lstrip("_"): one[c].sum() for c in one.columns if c.startswith(("_rows", "_out"))}
    total["unkeyed"] = one["_rows"].sum(where=one["_id"].isnull())
    if "_wrong" in one.columns:
        total["wrong"] = one["_wrong"].sum()
    if not rows.is_events:
        total["twice"] = (one["_count"] > 1).ifelse(1, 0).sum()
    if rows.modality.absent_when == "all_null":
        total["empty"] = one["_count"].sum(where=one["_written"] == 0)
    engine = rows.samples.engine
    raw = engine.collect(one.aggregate(**total)).to_pylist()[0]
    found = {name: int(value or 0) for name, value in raw.items()}
    if found["unkeyed"]:
        raise DatasetError(
            f"{rows.what}: {found['unkeyed']:,} ids are empty or no whole numbers. Every row needs "
            "an id."
        )
    if found.get("wrong"):
        raise DatasetError(
            f"{rows.what}, column {rows.modality.value!r}: expected numbers, got text in "
            f"{found['wrong']:,} rows. Clean them, or give words a modality of their own."
        )
    if found.get("twice"):
        several = one.filter(one["_count"] > 1).order_by("_id").limit(3).select("_id")
        examples = ", ".join(map(repr, engine.collect(several)["_id"].to_pylist()))
        raise DuplicateIdError(
            f"{rows.what}: kind 'table' takes one row per sample, but {found['twice']:,} samples "
            f"have several (e.g. {examples}). Remove the others, name a time= that tells them "
            "apart (the latest known row counts), or declare kind='events'."
        )
    found[f"out{RowStatus.UNDECLARED.value}"] += found.get("empty", 0)
    return [found["rows"], *(found[f"out{code}"] for code in LEFT_OUT)]


def _with_gaps(rows: KnownRows, one: Any) -> Any:
    """Add the gaps between occasions: distinct times of events of one sample."""
    import ibis

    events = counting(rows)
    events = events.filter(usable(rows, events)).select("_id", "_time").distinct()
    before = events["_time"].lag().over(ibis.window(group_by="_id", order_by="_time"))
    gaps = events.mutate(_gap=events["_time"] - before)
    gaps = gaps.filter(gaps["_gap"].notnull())
    spread = gaps["_gap"].std(how="pop") / gaps["_gap"].mean()
    per = gaps.group_by("_id").agg(
        _gap=gaps["_gap"].median(), _gaps=gaps["_gap"].count(), _spread=spread
    )
    per = per.rename(_of="_id")
    return one.left_join(per, one["_id"] == per["_of"]).drop("_of")


def _joined(table: Any, one: Any, i: int, rows: KnownRows) -> Any:
    names = {"_n": 0, "_first": None, "_last": None, "_gap": None, "_gaps": 0, "_spread": None}
    here = "_written" if rows.modality.absent_when == "all_null" else "_count"
    taken = {"_of": one["_id"], "_here": one[here] > 0}
    taken |= {f"{name}{i}": one[name] for name in names if name in one.columns}
    part = one.select(**taken)
    joined = table.left_join(part, table["_id"] == part["_of"])
    present = joined["_here"].fill_null(False)
    if rows.modality.present:
        present = joined[f"_has_{rows.name}"]
    filled = {f"_p{i}": present}
    filled |= {
        f"{name}{i}": joined[f"{name}{i}"].fill_null(0)
        for name, empty in names.items()
        if empty == 0 and f"{name}{i}" in taken
    }
    return joined.mutate(**filled).drop("_of", "_here")


def _require_one_clock(modalities: Sequence[KnownRows]) -> None:
    clocks: dict[str, str] = {}
    for rows in modalities:
        if rows.clock is not None:
            clocks.setdefault(rows.clock, rows.name)
    if len(clocks) > 1:
        said = " and ".join(f"{name!r} in {clock}" for clock, name in clocks.items())
        raise DatasetError(
            f"the times of events are given in different ways: modality {said}. Store all in one "
            "way, since the time since the last event is measured against one reference."
        )
