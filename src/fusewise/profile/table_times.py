"""Cadence and arrival of event modalities, from the table of one row per sample."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from fusewise.data import portable
from fusewise.profile.arrival import TIMESTAMP, joined
from fusewise.profile.one_row import OneRow
from fusewise.profile.product_limit import arrival_curve

# Exact medians and waits are held by one process: 2 million take some 100 MB.
MAX_FOLLOWED = 2_000_000
N_POINTS = 25
CADENCE = (
    "modality", "events_per_sample", "median_gap", "regularity", "age_at_prediction", "n"
)  # fmt: skip


def followed(one: OneRow, n: int, seed: int) -> tuple[Any, int]:
    """Return the rows of at most about 2,000,000 samples, picked by their ids, and their number."""
    if n <= MAX_FOLLOWED:
        return one.table, n
    mark = f"{int(MAX_FOLLOWED / n * 16**8):08x}"
    part = one.table.filter(portable.order_by_id(one.table["_id"], seed).substr(0, 8) < mark)
    return part, int(one.samples.engine.collect(part.count().as_table())[0][0].as_py())


def times_tables(
    one: OneRow, table: Any, present: dict[str, int]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure cadence and arrival, as ``cadence_table`` and ``arrival_table`` do in memory.

    Parameters
    ----------
    one : OneRow
    table : Ibis table
        Rows of ``one.table``.
    present : dict of str to int
        Profiled samples that have each modality.

    Returns
    -------
    cadence, arrival : DataFrame
        See :func:`~fusewise.profile.cadence.cadence_table` and
        :func:`~fusewise.profile.arrival.arrival_table`.
    """
    events = one.events
    if not events:
        empty: dict[str, Any] = {"modality": "str", "n": np.int64}
        none = pd.DataFrame({c: pd.Series(dtype=empty.get(c, float)) for c in CADENCE})
        return none, joined([])
    found = _medians(one, table)
    reference = max((v for v in (found[f"latest{i}"] for i, _ in events) if v is not None),
                    default=math.nan)  # fmt: skip
    cadence = []
    for i, rows in events:
        age = found[f"age{i}"]
        if age is None and found[f"last{i}"] is not None:
            age = reference - found[f"last{i}"]
        cadence.append(
            {
                "modality": rows.name,
                "events_per_sample": _number(found[f"events{i}"]),
                "median_gap": _number(found[f"gap{i}"]),
                "regularity": _number(found[f"regularity{i}"]),
                "age_at_prediction": _number(age),
                "n": present[rows.name],
            }
        )
    own_start = found["earliest"] is not None and found["earliest"] >= TIMESTAMP
    curves = [_curve(one, table, i, reference, own_start=own_start) for i, _ in events]
    return pd.DataFrame(cadence)[list(CADENCE)], joined([c for c in curves if c is not None])


def _earliest(one: OneRow, table: Any) -> Any:
    """Time of a sample's first event of any modality; NULL where it has none."""
    import ibis

    first = [table[f"_first{i}"] for i, _ in one.events]
    return ibis.least(*first) if len(first) > 1 else first[0]


def _medians(one: OneRow, table: Any) -> dict[str, Any]:
    """Return the medians over samples, all in one query."""
    import ibis

    nothing = ibis.null("float64")
    # A sample that has the modality and no event counts zero; an absent one does not count.
    columns = {"_earliest": _earliest(one, table)}
    for i, _ in one.events:
        here = table[f"_p{i}"]
        columns[f"_n{i}"] = here.ifelse(table[f"_n{i}"].cast("float64"), nothing)
        columns[f"_gap{i}"] = table[f"_gap{i}"]
        even = 1 / (1 + table[f"_spread{i}"])
        columns[f"_regularity{i}"] = (table[f"_gaps{i}"] >= 2).ifelse(even, nothing)
        columns[f"_last{i}"] = table[f"_last{i}"]
        if "_cutoff" in table.columns:
            columns[f"_age{i}"] = table["_cutoff"] - table[f"_last{i}"]
    part = table.select(**columns)
    wanted = {"earliest": part["_earliest"].median()}
    for i, _ in one.events:
        wanted |= {
            f"events{i}": part[f"_n{i}"].median(),
            f"gap{i}": part[f"_gap{i}"].median(),
            f"regularity{i}": part[f"_regularity{i}"].median(),
            f"latest{i}": part[f"_last{i}"].max(),
        }
        if f"_age{i}" in part.columns:
            wanted[f"age{i}"] = part[f"_age{i}"].median()
        else:
            wanted[f"last{i}"] = part[f"_last{i}"].median()
    found = one.samples.engine.collect(part.aggregate(**wanted)).to_pylist()[0]
    gaps = {f"{name}{i}": None for i, _ in one.events for name in ("age", "last")}
    return gaps | found


def _curve(
    one: OneRow, table: Any, i: int, reference: float, *, own_start: bool
) -> pd.DataFrame | None:
    """Return the arrival curve of one modality; the engine counts how many waited how long."""
    import ibis

    first, here = table[f"_first{i}"], table[f"_p{i}"]
    end = table["_cutoff"] if "_cutoff" in table.columns else ibis.literal(reference)
    start = _earliest(one, table) if own_start else ibis.literal(0.0)
    # Of two the smaller, but nothing where the first is nothing: least() would leave it out.
    until = here.ifelse((first > end).ifelse(end, first), end) - start
    waits = table.select(_wait=(until < 0).ifelse(0.0, until), _came=here)
    waits = waits.filter(waits["_wait"].notnull())
    found = one.collect(waits.group_by(["_wait", "_came"]).agg(_samples=waits.count()))
    found = found[~found["_wait"].isna()].sort_values(["_wait", "_came"])
    if found.empty:
        return None
    wait, came = found["_wait"].to_numpy(float), found["_came"].to_numpy(bool)
    curve = arrival_curve(wait, came, N_POINTS, n=found["_samples"].to_numpy(np.int64))
    return curve.assign(modality=one.names[i])


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
