"""Tables profiled where they lie: as in memory on DuckDB, and as on DuckDB on Spark."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fusewise as fw
from fusewise.data import Modality, MultimodalDataset, open_engine, portable
from fusewise.exceptions import DatasetError, DuplicateIdError
from fusewise.profile import arrival_of_log, table_times
from tests.profile import nasty_cohort

TABLES = (
    "availability", "group_availability", "patterns", "copresence", "complete_case", "dimensions",
    "cadence", "arrival", "shift", "group_shift",
)  # fmt: skip
ON_TABLES = ("read", "columns")
COUNTED = ("n", "n_train", "at_risk", "width", "distinct", "infinite", *nasty_cohort.READ)

pytestmark = pytest.mark.filterwarnings("ignore::fusewise.exceptions.FusewiseWarning")


def same(one: Any, two: Any, tables: tuple[str, ...]) -> None:
    """Assert that two profiles hold the same: counts exactly, statistics to 1e-9."""
    for name in tables:
        a, b = getattr(one, name), getattr(two, name)
        pd.testing.assert_frame_equal(a, b, rtol=1e-9, atol=1e-9, obj=name)
        for column in set(COUNTED) & set(a.columns):
            np.testing.assert_array_equal(a[column], b[column], err_msg=f"{name}.{column}")
    assert one.notes == two.notes
    assert (one.n_samples, one.kinds, one.task) == (two.n_samples, two.kinds, two.task)


def in_memory(declared: dict[str, Any]) -> MultimodalDataset:
    """Read what ``profile_tables`` takes as a dataset."""
    rest = {key: value for key, value in declared.items() if key != "modalities"}
    return MultimodalDataset(declared["modalities"], **rest)


@pytest.mark.parametrize("cutoffs", [True, False], ids=["cutoffs", "no cutoffs"])
@pytest.mark.parametrize("stamps", [True, False], ids=["timestamps", "numbers"])
def test_tables_give_the_profile_of_the_dataset(tmp_path, stamps: bool, cutoffs: bool) -> None:
    """Nothing that tables can hold makes the engine's figures differ from those in memory."""
    declared = nasty_cohort.write(tmp_path, stamps=stamps, cutoffs=cutoffs)
    ds = in_memory(declared)
    found = fw.profile_tables(**declared, deployment={"vitals": 0.5})
    same(fw.profile(ds, {"vitals": 0.5}), found, TABLES)
    read = ds.ingestion[list(nasty_cohort.READ)].reset_index()
    pd.testing.assert_frame_equal(found.read, read, check_dtype=False)
    assert fw.DeploymentProfile.from_json(found.to_json()) == found


def test_only_the_named_part_is_profiled(tmp_path) -> None:
    """Samples outside the part are known, so that their rows are no strangers, and not counted."""
    declared = nasty_cohort.write(tmp_path)
    ds = in_memory(declared)
    part = pd.read_parquet(declared["samples"])["part"]
    found = fw.profile_tables(**declared, part={"part": ["train", "validation"]})
    expected = fw.profile(ds[(part != "test").to_numpy()])
    same(expected, found, tuple(name for name in TABLES if name != "dimensions"))
    whole = fw.profile_tables(**declared).read
    pd.testing.assert_frame_equal(found.read, whole)


def test_columns_are_described(tmp_path) -> None:
    """Counts, means and deviations are those of the cells that are neither empty nor infinite."""
    age = np.array([1.0, np.nan, np.inf, 4.0, 9.0])
    tables = {
        "id": [1, 2, 3, 4, 5], "age": age, "word": ["a", None, "", "a", "b"],
        "pair": [[1.0, 2.0], [3.0, np.nan], None, [1.0, 1.0], [2.0, 2.0]],
    }  # fmt: skip
    pq.write_table(pa.table(tables), tmp_path / "t.parquet")
    pq.write_table(pa.table({"id": [1, 2, 3, 4, 5, 6]}), tmp_path / "s.parquet")
    found = fw.profile_tables(
        {"t": tmp_path / "t.parquet"}, samples=tmp_path / "s.parquet", id="id"
    ).columns.set_index("column")
    row = found.loc["age"]
    assert (row["n"], row["infinite"], row["distinct"]) == (3, 1, 3)
    assert row["mean"] == pytest.approx(14 / 3)
    assert row["sd"] == pytest.approx(np.std([1, 4, 9], ddof=1))
    assert row["missing_share"] == pytest.approx(2 / 5)
    assert (found.loc["word", "n"], found.loc["word", "distinct"]) == (4, 3)
    assert found.loc["pair[2]", "n"] == 7


def test_rows_in_memory_are_those_of_the_lowest_digests(tmp_path) -> None:
    """Anybody can tell which samples were brought into memory: MD5 of the seed and the id."""
    ids = np.arange(500)
    rng = np.random.default_rng(0)
    x = pd.DataFrame({"id": ids, "a": rng.normal(size=500), "b": rng.normal(size=500)})
    samples = pd.DataFrame({"id": ids})
    found = fw.profile_tables({"x": x}, samples=samples, id="id", n_in_memory=60, random_state=3)
    digest = [hashlib.md5(f"3:{i}".encode(), usedforsecurity=False).hexdigest() for i in ids]
    taken = np.sort(np.argsort(digest)[:60])
    expected = fw.profile(
        MultimodalDataset({"x": x.iloc[taken]}, samples=samples.iloc[taken], id="id")
    )
    assert found.dimensions["effective"][0] == expected.dimensions["effective"][0]
    assert found.dimensions["n"][0] == 500
    assert "60 of 500 samples" in found.notes[-1]


def test_without_rows_in_memory_what_needs_them_is_left_out(tmp_path) -> None:
    """Widths and empty cells need none; effective dimensions are unknown, and not invented."""
    declared = nasty_cohort.write(tmp_path)
    with_rows, without = (fw.profile_tables(**declared, n_in_memory=n) for n in (10_000, 0))
    same_columns = ["modality", "kind", "n", "width", "missing_share"]
    pd.testing.assert_frame_equal(
        with_rows.dimensions[same_columns], without.dimensions[same_columns]
    )
    assert without.dimensions[["effective", "variance_share"]].isna().all(axis=None)
    assert "Dimensions" in str(without)
    assert fw.recommend(without).strategy == "late"


def test_many_samples_are_followed_in_part(tmp_path, monkeypatch) -> None:
    """Beyond a limit cadence and arrival rest on a part that ids decide, and a note says so."""
    declared = nasty_cohort.write(tmp_path)
    whole = fw.profile_tables(**declared, n_in_memory=0)
    monkeypatch.setattr(table_times, "MAX_FOLLOWED", 120)
    part = fw.profile_tables(**declared, n_in_memory=0)
    assert 60 < part.arrival["at_risk"].max() < 180
    pd.testing.assert_frame_equal(whole.patterns, part.patterns)
    assert any("Cadence and arrival are those of" in note for note in part.notes)


# Faults ------------------------------------------------------------------------------------------


def table(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(columns)


LONG = {"kind": "events", "time": "t", "variable": "v", "value": "x"}
FAULTS = {
    "twice": (table(id=[1, 1], x=[1.0, 2.0]), {}, DuplicateIdError, "1 samples have several"),
    "text": (table(id=["1"], x=[1.0]), {}, DatasetError, "its ids are text but the ids of the"),
    "empty": (table(id=[1.0, np.nan], x=[1.0, 2.0]), {}, DatasetError, "1 ids are empty"),
    "half": (table(id=[1.5], x=[1.0]), {}, DatasetError, "1 ids are empty or no whole"),
    "words": (table(id=[1], t=[1.0], v="a", x=["high"]), LONG, DatasetError, "text in 1 rows"),
    "clock": (
        table(id=[1], t=[pd.Timestamp("2024-01-01")], v="a", x=[1.0]), LONG, DatasetError,
        "holds timestamps, the prediction time is given in numbers",
    ),
    "column": (table(id=[1], t=[1.0], v="a"), LONG, DatasetError, "no column 'x'"),
    "nothing": (table(id=[1]), {}, DatasetError, "no feature column"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_named(fault: str) -> None:
    """The engine finds what reading into memory finds, and says which modality it is."""
    rows, declared, error, message = FAULTS[fault]
    with pytest.raises(error, match=message) as raised:
        fw.profile_tables(
            {"m": Modality(rows, **declared)}, samples=table(id=[1, 2]), id="id",
            prediction_time=5.0,
        )  # fmt: skip
    assert "'m'" in str(raised.value)


def test_repeated_samples_are_named() -> None:
    """Ids of samples are unique, also in a table that nobody can look through."""
    with pytest.raises(DuplicateIdError, match=r"1 rows repeat one \(e.g. 7\)"):
        fw.profile_tables({"m": table(id=[7], x=[1.0])}, samples=table(id=[7, 7, 8]), id="id")


# Spark -------------------------------------------------------------------------------------------


def _views(spark) -> list[str]:
    """Return what a profile left behind; the catalogue cannot tell of all that other tests left."""
    names = [row.tableName for row in spark.sql("SHOW TABLES").collect()]
    return [name for name in names if name.startswith("fusewise")]


@pytest.mark.spark
@pytest.mark.parametrize("stamps", [False, True], ids=["numbers", "timestamps"])
def test_spark_gives_the_profile_of_duckdb(tmp_path, spark, stamps: bool) -> None:
    """Every table of the profile, of the cohort with everything in it, is equal on both engines."""
    declared = nasty_cohort.write(tmp_path, stamps=stamps, cutoffs=not stamps)
    more = {
        "deployment": {"observed": str(nasty_cohort.write_log(tmp_path))},
        "part": {"part": ["train", "validation"]}, "n_in_memory": 100,
    }  # fmt: skip
    here = fw.profile_tables(**declared, **more)
    there = fw.profile_tables(**declared, **more, engine=spark)
    same(here, there, (*TABLES, *ON_TABLES))
    assert _views(spark) == []


@pytest.mark.spark
@pytest.mark.parametrize("stamps", [False, True], ids=["numbers", "timestamps"])
def test_spark_gives_the_arrivals_of_duckdb(tmp_path, spark, stamps: bool) -> None:
    """Curves from a log are the same, and faults in it are named in the same words."""
    path = nasty_cohort.write_log(tmp_path, stamps=stamps)
    here, there = (arrival_of_log(path, engine=e) for e in ("duckdb", spark))
    pd.testing.assert_frame_equal(here, there, rtol=1e-9, atol=1e-9)
    broken = pq.read_table(path).to_pandas()
    broken.loc[3, "arrived"] = broken["opened"].min() - (broken["opened"].max() * 0 + 1 if not stamps
                                                         else pd.Timedelta("1D"))  # fmt: skip
    broken.to_parquet(path)
    said = []
    for engine in ("duckdb", spark):
        with pytest.raises(fw.exceptions.DeploymentError) as raised:
            arrival_of_log(path, engine=engine)
        said.append(str(raised.value))
    assert said[0] == said[1]


@pytest.mark.spark
def test_spark_takes_frames_of_every_kind(spark) -> None:
    """A pandas frame, an Arrow table and a Spark frame are one table to a Spark session."""
    ids = pd.DataFrame({"id": ["007", "7", "a"], "site": ["x", None, "x"]})
    lab = pa.table({"id": ["007", "a"], "x": [1.0, float("nan")]})
    ehr = spark.createDataFrame([("7", 1.0)], ["id", "y"])
    tables = {"lab": lab, "ehr": ehr}
    found = fw.profile_tables(tables, samples=ids, id="id", groups=["site"])
    expected = fw.profile_tables(
        {"lab": lab, "ehr": ehr.toArrow()}, samples=ids, id="id", groups=["site"]
    )
    same(expected, found, (*TABLES, *ON_TABLES))


@pytest.mark.spark
def test_spark_names_a_path_that_it_cannot_read(tmp_path, spark) -> None:
    """A missing path and a CSV file are told in one sentence."""
    with pytest.raises(fw.exceptions.TableNotFoundError, match=r"samples: Spark cannot read"):
        fw.profile_tables({"m": "m.parquet"}, samples=str(tmp_path / "no"), id="id", engine=spark)
    with pytest.raises(fw.exceptions.TableNotFoundError, match="read on DuckDB alone"):
        fw.profile_tables({"m": "m.parquet"}, samples="s.csv", id="id", engine=spark)


# The expressions that everything is made of ------------------------------------------------------

CELLS = {
    "x": [1.5, float("nan"), float("inf"), -float("inf"), None, 1e200, -0.0],
    "text": [" 1.5 ", "1e3", "inf", "", "1.5d", "1_000", None],
    "whole": [1, 2**53 + 1, -3, 0, None, 7, 8],
    "id": ["007", "7", "ä", "", " 7", "A", "a"],
    "real": [1.0, 2.5, float("nan"), None, -4.0, 1e300, 0.0],
    "t": [1_577_836_800_700_001, -315_619_199_299_999, None, 0, 1, -1, 999_999],
}
PORTABLE = {
    "number": lambda t, e: portable.number(t.x, e),
    "infinite": lambda t, e: portable.infinite(t.x, e),
    "measured": lambda t, e: portable.measured(t.x, e),
    "measured_text": lambda t, e: portable.measured(t.text, e),
    "no_number": lambda t, e: portable.no_number(t.text),
    "whole_number": lambda t, e: portable.number(t.whole, e),
    "micros": lambda t, e: portable.micros(t.t, e),
    "zoned": lambda t, e: portable.micros(t.zoned, e),
    "seconds": lambda t, e: portable.seconds(t.t, e, "t"),
    "day": lambda t, e: portable.seconds(t.day, e, "day"),
    "key": lambda t, e: portable.key(t.id, "id"),
    "whole_key": lambda t, e: portable.key(t.whole, "id"),
    "real_key": lambda t, e: portable.key(t.real, "id"),
    "order": lambda t, e: portable.order_by_id(t.id, 5),
}  # fmt: skip
EXPECTED = {
    "number": [1.5, None, None, None, None, 1e200, 0.0],
    "infinite": [False, False, True, True, False, False, False],
    "measured": [1.5, None, None, None, None, None, 0.0],
    "measured_text": [1.5, 1000.0, None, None, None, None, None],
    "no_number": [False, False, False, False, True, True, False],
    "whole_number": [1.0, float(2**53), -3.0, 0.0, None, 7.0, 8.0],
    "micros": CELLS["t"],
    "zoned": CELLS["t"],
    "seconds": [None if t is None else t / 1e6 for t in CELLS["t"]],
    "day": [86400.0] * 7,
    "key": CELLS["id"],
    "whole_key": CELLS["whole"],
    "real_key": [1, None, None, None, -4, None, 0],
    "order": [
        hashlib.md5(f"5:{i}".encode(), usedforsecurity=False).hexdigest() for i in CELLS["id"]
    ],
}


@pytest.mark.parametrize("engine", ["duckdb", pytest.param("spark", marks=pytest.mark.spark)])
def test_expressions_mean_the_same_everywhere(tmp_path, engine: str, request) -> None:
    """Each expression gives the known answer on cells that engines are known to differ about."""
    columns = {name: pa.array(v) for name, v in CELLS.items()}
    columns["zoned"] = pa.array(CELLS["t"], pa.timestamp("us", tz="Europe/Berlin"))
    columns["t"] = pa.array(CELLS["t"], pa.timestamp("us"))
    columns["day"] = pa.array([1] * 7, pa.date32())
    columns["row"] = pa.array(range(7))
    pq.write_table(pa.table(columns), tmp_path / "cells.parquet")
    with open_engine(engine if engine == "duckdb" else request.getfixturevalue("spark")) as on:
        cells = on.open(str(tmp_path / "cells.parquet"), "cells")
        wanted = {name: make(cells, on.name) for name, make in PORTABLE.items()}
        found = on.collect(cells.select("row", **wanted).order_by("row"))
    assert {name: found[name].to_pylist() for name in EXPECTED} == EXPECTED
