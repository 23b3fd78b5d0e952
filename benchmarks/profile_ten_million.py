"""The availability profile of ten million samples against the best hand-written DuckDB query.

Three forms of the same five modalities: a wide table of booleans, a long log with one row per
request and modality, and one table per modality beside a table of samples. Both sides open their
own connection, read the same Parquet files with all threads, and give the same counts; the profile
also derives its rates, intervals, co-presence and complete cases from them. Several hand-written
queries are tried and the fastest is the opponent. Pairs alternate within one run, and the figure
is the median of their ratios.

    python benchmarks/profile_ten_million.py [--samples 10000000] [--pairs 7]
"""

# ruff: noqa: S608 - queries are built from names in this file
from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import ibis

from fusewise.profile import Availability, availability

RATES = {"static": 0.95, "vitals": 0.8, "notes": 0.5, "imaging": 0.3, "genomics": 0.15}
NAMES = list(RATES)
LIMIT = 1.3
RESULTS = Path(__file__).parent / "results"


def write_tables(folder: Path, n: int) -> None:
    """Write the three forms; ids come in no order, as they do in practice."""
    con = duckdb.connect()
    con.execute("set threads = 1")
    con.execute("select setseed(0.25)")
    flags = ", ".join(f"random() < {rate} as {name}" for name, rate in RATES.items())
    con.execute(
        f"copy (select (i * 7919) % {n} as sample, {flags} from range({n}) r(i)) "
        f"to '{folder}/wide.parquet'"
    )
    con.execute(f"copy (select sample from '{folder}/wide.parquet') to '{folder}/samples.parquet'")
    parts = " union all ".join(
        f"select sample as request, '{name}' as modality from '{folder}/wide.parquet' where {name}"
        for name in NAMES
    )
    con.execute(f"copy (select * from ({parts}) order by request) to '{folder}/long.parquet'")
    for name in NAMES:
        con.execute(
            f"copy (select sample, random() as value from '{folder}/wide.parquet' where {name}) "
            f"to '{folder}/of_{name}.parquet'"
        )


def queries(folder: Path) -> dict[str, dict[str, str]]:
    """Hand-written queries by form, each returning one row per pattern with its count last."""
    wide, long = f"'{folder}/wide.parquet'", f"'{folder}/long.parquet'"
    samples = f"'{folder}/samples.parquet'"
    of = {name: f"'{folder}/of_{name}.parquet'" for name in NAMES}
    columns = ", ".join(NAMES)
    bits = " + ".join(f"(case when {m} then {1 << i} else 0 end)" for i, m in enumerate(NAMES))
    cases = " ".join(f"when '{m}' then {1 << i}::tinyint" for i, m in enumerate(NAMES))
    any_of = ", ".join(f"bool_or(modality = '{m}') as {m}" for m in NAMES)
    member = ", ".join(f"s.sample in (select sample from {of[m]}) as {m}" for m in NAMES)
    joins = " ".join(f"left join {of[m]} as t_{m} using (sample)" for m in NAMES)
    joined = ", ".join(f"t_{m}.sample is not null as {m}" for m in NAMES)
    union = " union all ".join(
        f"select sample, {1 << i}::tinyint as f from {of[m]}" for i, m in enumerate(NAMES)
    )
    reduced = "select p, count(*) from ({}) group by p"
    return {
        "wide": {
            "group by the columns": f"select {columns}, count(*) from {wide} group by all",
            "group by a sum of bits": f"select {bits} as p, count(*) from {wide} group by p",
        },
        "long": {
            "bit_or per request": reduced.format(
                f"select bit_or(case modality {cases} end) as p from {long} group by request"
            ),
            "bool_or per request": f"select {columns}, count(*) from "
            f"(select {any_of} from {long} group by request) group by all",
        },
        "tables": {
            "membership": f"select {member}, count(*) from {samples} as s group by all",
            "left joins": f"select {joined}, count(*) from {samples} as s {joins} group by all",
            "union and bit_or": reduced.format(
                f"select bit_or(f) as p from (select sample, 0::tinyint as f from {samples} "
                f"union all {union}) group by sample"
            ),
        },
    }


def profiles(folder: Path) -> dict[str, Callable[[], Availability]]:
    """Return the same question to fusewise, by form."""
    of = {name: folder / f"of_{name}.parquet" for name in NAMES}
    return {
        "wide": lambda: availability(folder / "wide.parquet"),
        "long": lambda: availability(folder / "long.parquet", modalities=NAMES),
        "tables": lambda: availability(of, samples=folder / "samples.parquet", request="sample"),
    }


def by_hand(query: str) -> list[tuple[object, ...]]:
    con = duckdb.connect()
    try:
        return con.execute(query).fetchall()
    finally:
        con.close()


def timed(call: Callable[[], object]) -> tuple[float, object]:
    start = time.perf_counter()
    value = call()
    return time.perf_counter() - start, value


def compare(query: dict[str, str], profile: Callable[[], Availability], pairs: int) -> dict:
    """Measure one form: find the best query, then alternate it with the profile."""
    profile()
    trial = {
        name: min(timed(lambda q=q: by_hand(q))[0] for _ in range(2)) for name, q in query.items()
    }
    best = min(trial, key=trial.__getitem__)
    ours, theirs = [], []
    for index in range(pairs):
        # Who goes first alternates too, so that neither always finds the files warm.
        order = (0, 1) if index % 2 else (1, 0)
        for side in order:
            if side:
                seconds, result = timed(profile)
                ours.append(seconds)
            else:
                seconds, rows = timed(lambda: by_hand(query[best]))
                theirs.append(seconds)
        counted = sorted(int(row[-1]) for row in rows)
        if counted != sorted(result.patterns["n"].tolist()):
            raise SystemExit(f"the counts differ: {counted} against {result.patterns}")
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return {
        "best_query": best,
        "tried": trial,
        "fusewise_s": statistics.median(ours),
        "query_s": statistics.median(theirs),
        "ratio": statistics.median(ratios),
        "ratio_low": min(ratios),
        "ratio_high": max(ratios),
        "pairs": pairs,
        "samples": result.n_samples,
        "patterns": len(result.patterns),
    }


def report(found: dict[str, dict], n: int, load: tuple[float, ...]) -> str:
    lines = [
        f"# Availability profile of {n:,} samples by {len(NAMES)} modalities",
        "",
        "| form | fusewise, s | best query by hand, s | ratio, median | lowest to highest | query |",
        "|---|--:|--:|--:|--:|---|",
    ]
    for form, row in found.items():
        lines.append(
            f"| {form} | {row['fusewise_s']:.3f} | {row['query_s']:.3f} | **{row['ratio']:.2f}** | "
            f"{row['ratio_low']:.2f} to {row['ratio_high']:.2f} | {row['best_query']} |"
        )
    worst = max(row["ratio"] for row in found.values())
    pairs = next(iter(found.values()))["pairs"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    how = (
        f"Limit {LIMIT}; worst {worst:.2f}. Medians of {pairs} alternating pairs in one run, files "
        "in the page cache; each side opens its own connection. The profile also derives rates, "
        "intervals, co-presence and complete cases."
    )
    where = (
        f"Python {platform.python_version()}, DuckDB {duckdb.__version__}, Ibis "
        f"{ibis.__version__}, {os.cpu_count()} cores, load {load[0]:.1f} at the start and "
        f"{os.getloadavg()[0]:.1f} at the end, peak memory {peak:.1f} GB (both sides)."
    )
    lines += ["", how, "", where, "", "`python benchmarks/profile_ten_million.py`", ""]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=10_000_000)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--folder", type=Path, help="keep the tables here, and reuse them")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / f"of_{NAMES[-1]}.parquet").exists():
            write_tables(folder, given.samples)
        load = os.getloadavg()
        by_form, by_profile = queries(folder), profiles(folder)
        found = {form: compare(by_form[form], by_profile[form], given.pairs) for form in by_profile}
    text = report(found, given.samples, load)
    given.results.mkdir(parents=True, exist_ok=True)
    (given.results / "profile_ten_million.md").write_text(text, encoding="utf-8")
    (given.results / "profile_ten_million.json").write_text(
        json.dumps(found, indent=1) + "\n", encoding="utf-8"
    )
    print(text)


if __name__ == "__main__":
    main()
