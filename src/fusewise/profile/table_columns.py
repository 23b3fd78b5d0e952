"""Columns of tables and variables of events, described in the tables' own engine."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from fusewise.data import KnownRows, portable
from fusewise.exceptions import DatasetError
from fusewise.profile.one_row import OneRow, counting, usable

COLUMNS = ("modality", "column", "n", "missing_share", "infinite", "mean", "sd", "distinct")
# Counting the distinct values of one more column sends every row through the engine once more.
MAX_DISTINCT = 20
# Columns per query: a query of thousands of columns takes longer to plan than to run.
CHUNK = 200


def column_table(one: OneRow, present: dict[str, int]) -> pd.DataFrame:
    """Describe every column of each table, and every variable of each event modality.

    Parameters
    ----------
    one : OneRow
    present : dict of str to int
        Profiled samples that have each modality.

    Returns
    -------
    DataFrame
        ``modality, column``;
        ``n``: cells of a table that are not empty; events of a variable;
        ``missing_share``: empty cells among the samples that have the modality (for events: samples
        that have it and no event of the variable); NaN where nobody has it;
        ``infinite``: cells that were infinite and count as empty; NaN for text and events;
        ``mean, sd``: of the finite values, the latter with n - 1; NaN for text and lists;
        ``distinct``: different values; NaN for lists and events, and in a table of more than 20
        columns.

        A list column of k numbers has one row, with k in its name: ``vector[512]``, and its n
        counts items.
    """
    parts = [
        _of_events(one, rows, present[rows.name])
        if rows.is_events
        else _of_table(one, rows, present[rows.name])
        for rows in one.modalities
    ]
    kinds: dict[str, Any] = {"modality": "str", "column": "str", "n": "int64"}
    records = [record for part in parts for record in part]
    table = pd.DataFrame(records, columns=list(COLUMNS))
    return table.astype(kinds | dict.fromkeys(COLUMNS[3:], float))


def widths(columns: pd.DataFrame, one: OneRow) -> dict[str, int]:
    """Return how many numbers or words each modality has: items of lists, variables of events."""
    found = dict.fromkeys(one.names, 0)
    for name, column in zip(columns["modality"], columns["column"], strict=True):
        found[name] += _items(one, name, column)
    return found


def missing_shares(columns: pd.DataFrame, one: OneRow) -> dict[str, float]:
    """Return the share of empty cells of each modality among the samples that have it."""
    found = {}
    for name in one.names:
        part = columns[columns["modality"] == name]
        weight = [_items(one, name, column) for column in part["column"]]
        empty = sum(w * m for w, m in zip(weight, part["missing_share"], strict=True))
        found[name] = empty / sum(weight) if sum(weight) else math.nan
    return found


def _items(one: OneRow, name: str, column: str) -> int:
    rows = one.modalities[one.names.index(name)]
    if rows.is_events or column in rows.features:
        return 1
    return int(column[column.rindex("[") + 1 : -1])


def _of_table(one: OneRow, rows: KnownRows, n_present: int) -> list[dict[str, Any]]:
    table = counting(rows)
    table = table.filter(table["_part"])
    kinds = {c: rows.table.schema()[c] for c in rows.features}
    plain = [(i, c) for i, c in enumerate(rows.features) if not kinds[c].is_array()]
    found: dict[str, Any] = {}
    for start in range(0, len(plain), CHUNK):
        wanted = {}
        for i, column in plain[start : start + CHUNK]:
            cell = table[f"_x{i}"]
            wanted[f"n{i}"] = cell.count()
            if not kinds[column].is_string():
                wanted |= {f"mean{i}": cell.mean(), f"sd{i}": cell.std(how="sample")}
            if f"_inf{i}" in table.columns:
                wanted[f"inf{i}"] = table[f"_inf{i}"].ifelse(1, 0).sum()
            if len(rows.features) <= MAX_DISTINCT:
                wanted[f"distinct{i}"] = cell.nunique()
        found |= one.samples.engine.collect(table.aggregate(**wanted)).to_pylist()[0]
    records = []
    for i, column in enumerate(rows.features):
        if kinds[column].is_array():
            records += _of_list(one, rows.what, table, i, column, n_present)
            continue
        cells = int(found[f"n{i}"])
        records.append(
            {
                "column": column,
                "n": cells,
                "missing_share": 1 - cells / n_present if n_present else math.nan,
                "infinite": math.nan
                if kinds[column].is_string()
                else float(found.get(f"inf{i}") or 0),
                "mean": _number(found.get(f"mean{i}")),
                "sd": _number(found.get(f"sd{i}")) if cells > 1 else math.nan,
                "distinct": _number(found.get(f"distinct{i}")),
            }
        )
    return [{"modality": rows.name} | record for record in records]


def _of_list(
    one: OneRow, what: str, table: Any, i: int, column: str, n_present: int
) -> list[dict[str, Any]]:
    cell = table[f"_x{i}"]
    size = cell.length()
    lengths = table.aggregate(low=size.min(), high=size.max())
    found = one.samples.engine.collect(lengths).to_pylist()[0]
    width = int(found["high"] or 0)
    if width == 0:
        return []
    if found["low"] != width:
        raise DatasetError(
            f"{what}, column {column!r}: lists must have one length, got {found['low']} to {width}. "
            "Pad them, or store them as events."
        )
    items = table.select(item=cell.unnest())
    name = one.samples.engine.name
    counted = items.aggregate(
        n=portable.number(items["item"], name).count(),
        infinite=portable.infinite(items["item"], name).ifelse(1, 0).sum(),
    )
    found = one.samples.engine.collect(counted).to_pylist()[0]
    n = int(found["n"] or 0)
    return [
        {
            "column": f"{column}[{width}]",
            "n": n,
            "missing_share": 1 - n / (n_present * width) if n_present else math.nan,
            "infinite": float(found["infinite"] or 0),
        }
    ]


def _of_events(one: OneRow, rows: KnownRows, n_present: int) -> list[dict[str, Any]]:
    table = counting(rows)
    table = table.filter(table["_part"] & usable(rows, table))
    found = _of_long(one, table) if rows.is_long else _of_wide(one, rows, table)
    records = [
        {
            "modality": rows.name,
            "column": str(variable["_variable"]),
            "n": int(variable["n"]),
            "missing_share": 1 - variable["samples"] / n_present if n_present else math.nan,
            "mean": variable["mean"],
            "sd": variable["sd"] if variable["n"] > 1 else math.nan,
        }
        for variable in found
        if variable["n"]
    ]
    return sorted(records, key=lambda record: str(record["column"]))


def _of_long(one: OneRow, table: Any) -> list[dict[str, Any]]:
    per = table.group_by("_variable").agg(
        n=table.count(),
        samples=table["_id"].nunique(),
        mean=table["_value"].mean(),
        sd=table["_value"].std(how="sample"),
    )
    found: list[dict[str, Any]] = one.samples.engine.collect(per).to_pylist()
    return [{**v, "mean": _number(v["mean"]), "sd": _number(v["sd"])} for v in found]


def _of_wide(one: OneRow, rows: KnownRows, table: Any) -> list[dict[str, Any]]:
    places = range(len(rows.features))
    cells = {i: table[f"_x{i}"] for i in places}
    wanted = {f"n{i}": cells[i].count() for i in places}
    wanted |= {f"mean{i}": cells[i].mean() for i in places}
    wanted |= {f"sd{i}": cells[i].std(how="sample") for i in places}
    found = one.samples.engine.collect(table.aggregate(**wanted)).to_pylist()[0]
    per = table.group_by("_id").agg(**{f"n{i}": cells[i].count() for i in places})
    some = per.aggregate(**{f"s{i}": (per[f"n{i}"] > 0).ifelse(1, 0).sum() for i in places})
    found |= one.samples.engine.collect(some).to_pylist()[0]
    return [
        {
            "_variable": column,
            "n": int(found[f"n{i}"] or 0),
            "samples": int(found[f"s{i}"] or 0),
            "mean": _number(found[f"mean{i}"]),
            "sd": _number(found[f"sd{i}"]),
        }
        for i, column in enumerate(rows.features)
    ]


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
