"""The same profile of a million samples by DuckDB and by local Spark: do they agree, and how long.

The script writes a cohort to Parquet in a temporary folder: a table of numbers and words, event
streams in long form, wide vectors, text ids, three sites, prediction times, and cells that are
NULL, NaN or infinite. Both engines profile it with ``fusewise.profile_tables``; every table of the
two profiles is compared cell by cell. Counts must be equal, statistics agree to 1e-9 (relative to
the larger of the number and 1).

    python benchmarks/spark_parity.py [--samples 1000000] [--memory 3g]
"""

# ruff: noqa: S608 - queries are built from names in this file
from __future__ import annotations

import argparse
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


def ask(folder: Path, engine: str) -> tuple[fw.DeploymentProfile, pd.DataFrame, float]:
    """Profile the tables, and the arrivals of the log, on one engine."""
    long = {"kind": "events", "time": "time", "variable": "variable", "value": "value"}
    at = {name: str(folder / f"{name}.parquet") for name in ("static", "vector")}
    start = time.perf_counter()
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
    log = arrival_of_log(str(folder / "log.parquet"), closed=48.0, engine=engine)
    return found, log, time.perf_counter() - start


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--memory", default="3g", help="of Spark's process")
    given = parser.parse_args()
    import pyspark
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    spark = SparkSession.builder.master("local[*]")
    settings = {
        "spark.driver.memory": given.memory,
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": "8",
    }
    for key, value in settings.items():
        spark = spark.config(key, value)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_cohort(folder, given.samples)
        megabytes = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
        by_duckdb, log_duckdb, s_duckdb = ask(folder, "duckdb")
        print(f"DuckDB: {s_duckdb:.1f} s", flush=True)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
        session = spark.getOrCreate()
        session.sparkContext.setLogLevel("ERROR")
        by_spark, log_spark, s_spark = ask(folder, "spark")
        session.stop()
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
