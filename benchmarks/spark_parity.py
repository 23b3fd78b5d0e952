"""The same profile of a million samples by DuckDB and by local Spark: do they agree, and how long.

The script writes a cohort to Parquet in a temporary folder: a table of numbers and words, event
streams in long form, wide vectors, text ids, three sites, prediction times, and cells that are
NULL, NaN or infinite. Both engines profile it with ``fusewise.profile_tables``; every table of the
two profiles is compared cell by cell. Counts must be equal, statistics agree to 1e-9 (relative to
the larger of the number and 1).

    python benchmarks/spark_parity.py [--samples 1000000] [--memory 3g]

On a busy machine one engine after the other: ``--folder F --only duckdb-profile`` and so on keep the
tables and what was answered in F, and the script without ``--only`` then compares.
"""

# ruff: noqa: S608 - queries are built from names in this file
from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from results_table import keep

import fusewise as fw
from fusewise.profile import arrival_of_log

TABLES = (
    "availability", "group_availability", "patterns", "copresence", "complete_case", "dimensions",
    "cadence", "arrival", "shift", "group_shift", "read", "columns",
)  # fmt: skip
ENGINES = ("duckdb", "spark")
PARTS = tuple(f"{engine}-{what}" for engine in ENGINES for what in ("profile", "log"))
LIMIT = 1e-9


def write_cohort(folder: Path, n: int) -> None:
    """Write the tables; ids come in no order and have leading zeros."""
    con = duckdb.connect()
    con.execute("set threads = 1")
    con.execute("select setseed(0.5)")
    con.execute(
        "create table s as select printf('%08d', (i * 7919) % {n}) as id, "
        "['north', 'south', 'east'][1 + (i % 3)] as site, round(20 + 40 * random(), 1) as cut, "
        "random() < 0.95 as has_static, random() < 0.6 as has_vitals, random() < 0.7 as wired, "
        "random() < 0.3 as has_vector, random() as frailty from range({n}) r(i)".replace(
            "{n}", str(n)
        )
    )
    con.execute(f"copy (select id, site, cut, wired from s) to '{folder}/samples.parquet'")
    odd = "case when random() < 0.01 then 'nan'::double when random() < 0.001 then 'inf'::double "
    con.execute(
        f"copy (select id, {odd} when random() < 0.05 then null else 60 + 12 * random() end as age, "
        "random() as bmi, (1000 * random())::int as score, random() < 0.4 as smoker, "
        "chr(97 + (random() * 25)::int) as ward, 1e6 + random() as stamp from s where has_static) "
        f"to '{folder}/static.parquet'"
    )
    for name, who, many in (("vitals", "has_vitals", 10), ("wearable", "wired", 4)):
        con.execute(
            f"copy (select id, round(70 * random(), 1) as time, "
            "['pulse', 'rr', 'temp'][1 + (random() * 2)::int] as variable, "
            f"{odd} when random() < 0.02 then null else 80 + 9 * random() end as value "
            f"from s, range({many}) r(j) where {who} and random() < 0.7) "
            f"to '{folder}/{name}.parquet'"
        )
    items = ", ".join("random()" for _ in range(16))
    con.execute(
        f"copy (select id, [{items}] as vector from s where has_vector) to '{folder}/vector.parquet'"
    )
    con.execute(
        "copy (select id as request, m as modality, 0.0 as opened, round(48 * random(), 2) as "
        "arrived from s, (values ('static'), ('vitals'), ('vector')) t(m) "
        f"where random() < 0.5 union all select id, null, 0.0, null from s) to '{folder}/log.parquet'"
    )
    con.execute(
        f"copy (select request, modality from '{folder}/log.parquet' where modality is not null) "
        f"to '{folder}/requests.parquet'"
    )
    con.close()


def ask_profile(folder: Path, engine: str) -> str:
    """Profile the tables on one engine."""
    long = {"kind": "events", "time": "time", "variable": "variable", "value": "value"}
    at = {name: str(folder / f"{name}.parquet") for name in ("static", "vector")}
    found = fw.profile_tables(
        {
            "static": at["static"],
            "vector": at["vector"],
            "vitals": fw.Modality(str(folder / "vitals.parquet"), **long),
            "wearable": fw.Modality(str(folder / "wearable.parquet"), present="wired", **long),
        },
        samples=str(folder / "samples.parquet"),
        id="id",
        groups=["site"],
        prediction_time="cut",
        deployment={"observed": str(folder / "requests.parquet")},
        engine=engine,
    )
    return found.to_json()


def ask_log(folder: Path, engine: str) -> dict:
    """Tell the arrivals of the log on one engine."""
    curves = arrival_of_log(str(folder / "log.parquet"), closed=48.0, engine=engine)
    return curves.to_dict(orient="list")


def differences(one: pd.DataFrame, two: pd.DataFrame) -> tuple[int, float]:
    """Return how many counts or words differ, and the largest difference of a statistic."""
    if one.shape != two.shape or list(one.columns) != list(two.columns):
        return max(one.size, two.size), np.inf
    unequal, largest = 0, 0.0
    for name in one.columns:
        a, b = one[name], two[name]
        if not pd.api.types.is_float_dtype(a):
            unequal += int((a.to_numpy(object) != b.to_numpy(object)).sum())
            continue
        x, y = a.to_numpy(float), b.to_numpy(float)
        unequal += int((np.isnan(x) != np.isnan(y)).sum())
        apart = np.abs(x - y) / np.maximum(1.0, np.maximum(np.abs(x), np.abs(y)))
        apart = np.where(x == y, 0.0, apart)
        largest = max(largest, float(np.nanmax(apart, initial=0.0)))
        # Counts are held as floats where they may be unknown.
        if name in ("n", "n_deployment", "n_from", "n_to", "infinite", "distinct"):
            unequal += int((np.nan_to_num(x) != np.nan_to_num(y)).sum())
    return unequal, largest


def start_spark(memory: str) -> object:
    """Start a local session whose settings suit one run of minutes."""
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    settings = {
        "spark.driver.memory": memory,
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
        "spark.sql.shuffle.partitions": "4",
        "spark.sql.adaptive.enabled": "false",
        # A run of minutes does not earn back what the second compiler costs.
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    }
    builder = SparkSession.builder.master("local[*]")
    for key, value in settings.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def answered(folder: Path, part: str, memory: str) -> dict:
    """Return what one engine said of one part, asked once and kept beside the tables."""
    kept = folder / f"{part}.json"
    if not kept.exists():
        engine, _, what = part.partition("-")
        load = os.getloadavg()[0]
        session = start_spark(memory) if engine == "spark" else None
        start = time.perf_counter()
        answer = ask_profile(folder, engine) if what == "profile" else ask_log(folder, engine)
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
        kept.write_text(json.dumps({"answer": answer, "seconds": seconds, "load": load,
                                    "peak": peak}))  # fmt: skip
        print(f"{part}: {seconds:.1f} s", flush=True)
        if session is not None:
            session.stop()
    return json.loads(kept.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--memory", default="3g", help="of Spark's process")
    parser.add_argument("--folder", type=Path, help="keep tables and answers here, and go on there")
    parser.add_argument("--only", choices=PARTS, help="ask for this part and stop")
    given = parser.parse_args()
    import pyspark

    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "requests.parquet").exists():
            write_cohort(folder, given.samples)
        if given.only:
            answered(folder, given.only, given.memory)
            return
        megabytes = sum(path.stat().st_size for path in folder.glob("*.parquet")) / 1e6
        parts = {part: answered(folder, part, given.memory) for part in PARTS}
    by_duckdb, by_spark = (
        fw.DeploymentProfile.from_json(parts[f"{engine}-profile"]["answer"]) for engine in ENGINES
    )
    log_duckdb, log_spark = (pd.DataFrame(parts[f"{engine}-log"]["answer"]) for engine in ENGINES)
    s_duckdb, s_spark = (
        sum(parts[f"{engine}-{what}"]["seconds"] for what in ("profile", "log"))
        for engine in ENGINES
    )
    load = max(part["load"] for part in parts.values())
    peak = parts["duckdb-profile"]["peak"]
    rows = []
    pairs = {name: (getattr(by_duckdb, name), getattr(by_spark, name)) for name in TABLES}
    for name, (one, two) in (pairs | {"arrivals of the log": (log_duckdb, log_spark)}).items():
        unequal, largest = differences(one, two)
        rows.append({"table": name, "cells": one.size, "counts and words that differ": unequal,
                     "largest difference of a statistic": f"{largest:.1e}"})  # fmt: skip
    agree = by_duckdb.notes == by_spark.notes and all(
        row["counts and words that differ"] == 0
        and float(row["largest difference of a statistic"]) <= LIMIT
        for row in rows
    )
    times = pd.DataFrame(
        {"engine": ["DuckDB", "Spark, local"], "seconds": [round(s_duckdb, 1), round(s_spark, 1)]}
    )
    keep(
        "spark_parity",
        f"The profile of {given.samples:,} samples by DuckDB and by local Spark",
        {"Differences": pd.DataFrame(rows), "Time": times},
        [
            (
                f"{'They agree' if agree else '**They do not agree**'}: counts, words and notes must be "
                f"equal, and statistics to {LIMIT:.0e} (of the number, or of 1 where it is smaller). "
                f"{int(by_duckdb.read['rows'].sum()):,} rows in {len(by_duckdb.read)} modalities, "
                f"{megabytes:.0f} MB of Parquet; effective dimensions and variance shares are those of "
                "10,000 samples that are picked by their ids, the same on both."
            ),
            "",
            (
                f"{os.cpu_count()} cores shared with other work (load {load:.1f} at the start, "
                f"{os.getloadavg()[0]:.1f} at the end): the times tell an order of magnitude. Spark's "
                f"hold the start of its session's first queries; its process had {given.memory}. Peak "
                f"memory of this process after DuckDB's turn {peak:.1f} GB. PySpark "
                f"{pyspark.__version__}."
            ),
            "",
            f"`python benchmarks/spark_parity.py --samples {given.samples}`",
            "",
        ],
    )
    raise SystemExit(0 if agree else 1)


if __name__ == "__main__":
    main()
