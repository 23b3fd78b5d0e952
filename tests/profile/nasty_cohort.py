"""A small cohort with everything that tables do to those who read them, written as Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fusewise.data import Modality

N = 240
# What is counted while a table is read.
READ = ("rows", "unknown_ids", "after_prediction_time", "without_time", "declared_absent")


def write(folder: Path, *, stamps: bool = False, cutoffs: bool = True) -> dict[str, Any]:
    """Write the tables and return the arguments of ``profile_tables`` that read them.

    Ids are digits as text, with leading zeros. In the tables: NaN, infinity, NULL and empty text;
    events at one time; events after the prediction time and without a time; rows of ids that
    nobody has; a stream that is declared present and empty; a modality that nobody has; a sample
    with nothing; several rows of one sample, of which the latest counts; a list column.
    """
    rng = np.random.default_rng(7)
    ids = np.array([f"{i:05d}" for i in range(N)], dtype=object)
    cut = np.round(rng.uniform(20, 60, N), 1)
    site = rng.choice(np.array(["north", "south", "", None], dtype=object), N)
    tables = {
        "samples": {
            "id": ids,
            "died": rng.integers(0, 2, N),
            "patient": np.repeat(np.arange(N // 2), 2),
            "site": site,
            "ward": pa.array([None if i % 7 == 0 else int(i % 3) for i in range(N)]),
            "wired": rng.random(N) < 0.6,
            "part": rng.choice(["train", "validation", "test"], N, p=[0.6, 0.2, 0.2]),
            "cut": _clock(cut, stamps),
        },
        "static": _static(ids, rng, stamps),
        "vitals": _vitals(ids, cut, rng, stamps),
        "wide": _wide(ids, rng, stamps),
        "wearable": _wearable(ids, rng, stamps),
        "vector": _vector(ids, rng),
        "nobody": {"id": pa.array(["x1", "x2"]), "value": [1.0, 2.0]},
    }
    for name, columns in tables.items():
        # pyarrow keeps NaN apart from NULL, as pandas does not.
        table = pa.table(
            {c: v if isinstance(v, pa.Array) else pa.array(v) for c, v in columns.items()}
        )
        pq.write_table(table, folder / f"{name}.parquet")
    at = {name: str(folder / f"{name}.parquet") for name in tables}
    long = {"kind": "events", "time": "time", "variable": "variable", "value": "value"}
    modalities = {
        "static": Modality(at["static"], time="at"),
        "vitals": Modality(at["vitals"], available_at="known", **long),
        "wide": Modality(at["wide"], kind="events", time="time", absent_when="all_null"),
        "wearable": Modality(at["wearable"], present="wired", **long),
        "vector": Modality(at["vector"], absent_when="all_null"),
        "nobody": Modality(at["nobody"]),
    }
    return {
        "modalities": modalities,
        "samples": at["samples"],
        "id": "id",
        "target": "died",
        "cluster": "patient",
        "groups": ["site", "ward"],
        "prediction_time": "cut" if cutoffs else None,
    }


def _clock(hours: np.ndarray, stamps: bool) -> pa.Array:
    """Hours as numbers, or as timestamps from the year 2024 on; NaN is an empty cell."""
    if not stamps:
        return pa.array(hours)
    micros = [None if np.isnan(h) else round(h * 3.6e9) + 1_704_067_200_123_456 for h in hours]
    return pa.array(micros, pa.timestamp("us"))


def _static(ids: np.ndarray, rng: np.random.Generator, stamps: bool) -> dict[str, Any]:
    has = ids[rng.random(N) < 0.8]
    n = len(has)
    age = rng.normal(60, 10, n)
    age[:3] = [np.nan, np.inf, -np.inf]
    again = has[:10]
    return {
        # Ten samples have an older row, which must not count.
        "id": np.concatenate([has, again, ["zz"]]).astype(object),
        "at": _clock(np.concatenate([np.full(n, 2.0), np.full(11, 1.0)]), stamps),
        "age": np.concatenate([age, np.full(11, 1e6)]),
        "word": np.array([None, "", "a"] * (n // 3) + ["b"] * (n % 3) + ["old"] * 11, dtype=object),
        "flag": pa.array([None if i % 5 == 0 else bool(i % 2) for i in range(n + 11)]),
        "whole": pa.array([None if i % 4 == 0 else i for i in range(n + 11)]),
    }


def _vitals(
    ids: np.ndarray, cut: np.ndarray, rng: np.random.Generator, stamps: bool
) -> dict[str, Any]:
    who = rng.choice(N, 3000)
    time = np.round(rng.uniform(0, 70, 3000), 0)  # ties in time
    value = rng.normal(80, 9, 3000)
    value[::50], value[1::50], value[2::97] = np.nan, np.inf, 1e200
    time[5::111] = np.nan
    delay = rng.choice([0.0, 1.0, 5.0], 3000)
    some = [None if i % 60 == 0 else v for i, v in enumerate(value)]
    name = rng.choice(np.array(["pulse", "rr", "", None, "died"], dtype=object), 3000,
                      p=[0.5, 0.3, 0.1, 0.05, 0.05])  # fmt: skip
    who[-20:] = -1
    known = np.array([*ids, "nobody"], dtype=object)
    keep = who != 3  # a sample with nothing
    return {
        "id": pa.array(known[who][keep]),
        "time": _clock(time[keep], stamps),
        "known": _clock((time + delay)[keep], stamps),
        "variable": pa.array(name[keep]),
        "value": pa.array([v for v, k in zip(some, keep, strict=True) if k]),
    }


def _wide(ids: np.ndarray, rng: np.random.Generator, stamps: bool) -> dict[str, Any]:
    who = np.sort(rng.choice(np.arange(10, N), 500))
    cells = {c: rng.normal(size=500) for c in ("a", "b")}
    cells["a"][::3] = np.nan
    empty = who % 9 == 0
    b = pa.array(
        [
            None if e or i % 4 == 0 else v
            for i, (v, e) in enumerate(zip(cells["b"], empty, strict=True))
        ]
    )
    a = pa.array([None if e else v for v, e in zip(cells["a"], empty, strict=True)])
    return {"id": ids[who], "time": _clock(rng.integers(0, 40, 500) / 4, stamps), "a": a, "b": b}


def _wearable(ids: np.ndarray, rng: np.random.Generator, stamps: bool) -> dict[str, Any]:
    who = rng.choice(np.arange(40, N), 900)
    return {
        "id": ids[who],
        "time": _clock(rng.uniform(-2, 30, 900), stamps),
        "variable": np.full(900, "steps", dtype=object),
        "value": rng.integers(0, 100, 900),
    }


def _vector(ids: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
    has = ids[50:150]
    rows = [None if i % 11 == 0 else [float(v) for v in rng.normal(size=4)] for i in range(100)]
    rows[1] = [1.0, float("nan"), None, float("inf")]
    return {"id": has, "vector": pa.array(rows, pa.list_(pa.float64()))}


def write_log(folder: Path, *, stamps: bool = False) -> Path:
    """Write a log of requests with ties, repeated rows and what has not come yet."""
    rng = np.random.default_rng(1)
    request = rng.choice(200, 500)
    opened = np.round(rng.uniform(0, 100, 200), 1)[request]
    arrived = np.round(opened + rng.exponential(8, 500), 0) + 1
    arrived[::13] = np.nan
    name = rng.choice(np.array(["vitals", "static", "wide"], dtype=object), 500)
    path = folder / "log.parquet"
    columns = {"request": request, "modality": name, "opened": _clock(opened, stamps),
               "arrived": _clock(arrived, stamps)}  # fmt: skip
    pq.write_table(pa.table(columns), path)
    return path
