"""Tables come in from anywhere, and mean the same whoever wrote them."""

from __future__ import annotations

from decimal import Decimal

import duckdb
import ibis
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fusewise.data import Modality, MultimodalDataset, execute, open_table
from fusewise.exceptions import DatasetError, FusewiseWarning, TableNotFoundError

SAMPLES = pd.DataFrame({"id": [1, 2, 3, 4]})
FRAME = pd.DataFrame(
    {"id": [4, 2, 1], "a": [1.5, None, 3.5], "b": [7, 8, 9], "w": ["x", "y", None]}
)


def read(table, samples=SAMPLES, **declared):
    return MultimodalDataset({"m": Modality(table, **declared)}, samples=samples, id="id")


def features(table, **declared):
    return read(table, **declared).features("m")[1]


def sources(folder):
    """Return FRAME in every form in which a table may come."""
    FRAME.to_parquet(folder / "one.parquet")
    parts = folder / "parts" / "year=2024"
    parts.mkdir(parents=True)
    FRAME[:2].to_parquet(folder / "parts" / "first.parquet")
    FRAME[2:][["w", "a", "b", "id"]].to_parquet(folder / "parts" / "second.parquet")
    FRAME.to_csv(folder / "one.csv", index=False)
    FRAME.to_csv(folder / "one.csv.gz", index=False)
    FRAME.to_csv(folder / "one.TSV", index=False, sep="\t")
    arrow = pa.Table.from_pandas(FRAME, preserve_index=False)
    other = ibis.duckdb.connect()
    other.con.register("arrow", arrow)
    other.con.execute("create table m as select * from arrow")
    with duckdb.connect(str(folder / "db.duckdb")) as file:
        file.register("arrow", arrow)
        file.execute("create table m as select * from arrow")
    return {
        "Parquet file": folder / "one.parquet",
        "path as text": str(folder / "one.parquet"),
        "folder of files": folder / "parts",
        "CSV": folder / "one.csv",
        "compressed CSV": folder / "one.csv.gz",
        "TSV": folder / "one.TSV",
        "pandas": FRAME,
        "pandas with an index": FRAME.set_index(pd.Index([7, 7, 8])),
        "polars": pl.from_pandas(FRAME),
        "Arrow table": arrow,
        "Arrow batch": arrow.to_batches()[0],
        "Ibis in memory": ibis.memtable(arrow),
        "Ibis on another connection": other.table("m"),
        "Ibis expression": other.table("m").filter(ibis._.b > 0).mutate(a=ibis._.a * 1.0),
        "Ibis on a read-only file": ibis.duckdb.connect(folder / "db.duckdb", read_only=True).table(
            "m"
        ),
    }


@pytest.fixture(scope="module")
def every_source(tmp_path_factory):
    return sources(tmp_path_factory.mktemp("tables"))


def test_every_form_of_a_table_gives_the_same_dataset(every_source):
    """Files, folders, frames, Arrow and Ibis tables, also on other connections: equal content."""
    expected = read(FRAME)
    assert expected.ids[expected.presence[:, 0]].tolist() == [1, 2, 4]
    for form, source in every_source.items():
        ds = read(source, columns=("a", "b", "w"))
        assert ds.features("m")[1].equals(expected.features("m")[1]), form
        assert ds.fingerprint() == expected.fingerprint(), form
        assert ds.ingestion.loc["m", "missing_values"] == 2, form


def test_every_form_of_an_events_table_gives_the_same_events(every_source):
    """Events are joined to their samples on the engine that holds them."""
    expected = read(FRAME, kind="events", time="b", columns=("a",))
    for form, source in every_source.items():
        ds = read(source, kind="events", time="b", columns=("a",))
        assert ds.fingerprint() == expected.fingerprint(), form


def test_samples_may_come_in_every_form_too(every_source):
    """The samples table is opened as the others are."""
    for form, source in every_source.items():
        ds = MultimodalDataset({"m": FRAME[["id", "a"]]}, samples=source, id="id", target="b",
                               task="regression")  # fmt: skip
        assert ds.ids.tolist() == [4, 2, 1], form
        assert ds.target.tolist() == [7.0, 8.0, 9.0], form


def nan_files(folder):
    """Write one table with NaN by two writers: pyarrow keeps NaN, pandas writes NULL."""
    values = np.array([1.0, np.nan, 3.0, np.inf])
    with np.errstate(invalid="ignore"):
        computed = np.where(np.isnan(values), np.float64(np.inf) - np.inf, values)
    pq.write_table(pa.table({"id": [1, 2, 3, 4], "v": computed}), folder / "pyarrow.parquet")
    pd.DataFrame({"id": [1, 2, 3, 4], "v": values}).to_parquet(folder / "pandas.parquet")
    return folder / "pyarrow.parquet", folder / "pandas.parquet"


@pytest.mark.parametrize("kind", ["table", "events"])
def test_nan_means_missing_whoever_wrote_it(tmp_path, kind):
    """NaN from pyarrow and NULL from pandas give equal features, counts, bits and fingerprints."""
    by_pyarrow, by_pandas = nan_files(tmp_path)
    assert pq.read_table(by_pyarrow).column("v").null_count == 0
    assert pq.read_table(by_pandas).column("v").null_count == 1
    declared = {"kind": kind, "time": "id"} if kind == "events" else {}
    if kind == "events":
        events = [
            open_table(p).mutate(t=ibis._.id, k=ibis.literal("v")) for p in (by_pyarrow, by_pandas)
        ]
        declared = {"kind": "events", "time": "t", "variable": "k", "value": "v"}
    one, other = (
        read(s, **declared) for s in (events if kind == "events" else nan_files(tmp_path))
    )
    assert one.ingestion.equals(other.ingestion)
    assert one.ingestion.loc["m", ["infinities", "missing_values"]].tolist() == [1, 2]
    (_, left), (_, right) = one.features("m", 4.0), other.features("m", 4.0)
    assert left.to_numpy().tobytes() == right.to_numpy().tobytes()
    assert one.fingerprint() == other.fingerprint()


# Columns ------------------------------------------------------------------------------------


def test_numbers_of_every_type_become_floats():
    """Booleans, decimals, small and large integers, and columns of NULL are numeric features."""
    table = pa.table(
        {
            "id": [1, 2, 3],
            "flag": [True, None, False],
            "decimal": pa.array([Decimal("1.25"), None, Decimal("3.5")], pa.decimal128(9, 2)),
            "small": pa.array([1, None, 3], pa.int8()),
            "unsigned": pa.array([1, 2, 2**64 - 1], pa.uint64()),
            "large": [2**53 + 1, 2**62, -(2**62)],
            "single": pa.array([0.5, None, np.inf], pa.float32()),
            "nothing": pa.nulls(3),
        }
    )
    ds = read(table)
    frame = ds.features("m")[1]
    assert set(frame.dtypes) == {np.dtype(float)}
    assert frame["flag"].tolist()[::2] == [1.0, 0.0]
    assert frame["decimal"].tolist()[::2] == [1.25, 3.5]
    assert frame["large"].tolist() == [float(2**53), float(2**62), -float(2**62)]
    assert frame["unsigned"].tolist()[2] == float(2**64)
    assert frame["nothing"].isna().all()
    assert ds.ingestion.loc["m", ["infinities", "missing_values"]].tolist() == [1, 8]


@pytest.mark.parametrize(
    "words",
    [
        pa.array(["x", None, "y"]),
        pa.array(["x", None, "y"], pa.large_string()),
        pa.array(["x", None, "y"]).dictionary_encode(),
        pd.Series(["x", None, "y"], dtype="str"),
        pd.Series(["x", None, "y"], dtype=object),
        pd.Series(["x", None, "y"], dtype="category"),
        pl.Series(["x", None, "y"], dtype=pl.Categorical),
        pl.Series(["x", None, "y"], dtype=pl.Enum(["y", "x"])),
    ],
    ids=["string", "large", "dictionary", "str", "object", "category", "Categorical", "Enum"],
)
def test_words_of_every_type_become_text(words):
    """Text, dictionaries and categoricals are categorical features: objects, None where empty."""
    if isinstance(words, pd.Series):
        table = pd.DataFrame({"id": [1, 2, 3], "w": words})
    elif isinstance(words, pl.Series):
        table = pl.DataFrame({"id": [1, 2, 3], "w": words})
    else:
        table = pa.table({"id": [1, 2, 3], "w": words})
    frame = features(table)
    assert frame["w"].dtype == object
    assert frame["w"].tolist() == ["x", None, "y"]


@pytest.mark.parametrize(
    "kind",
    [pa.list_(pa.float64()), pa.large_list(pa.float32()), pa.list_(pa.int16(), 11)],
    ids=["list", "large list", "fixed-size list"],
)
def test_lists_become_one_column_per_item(kind):
    """A wide vector is expanded in order; a NULL list is a row of missing values."""
    vectors = [list(range(11)), None, [*range(1, 11), None]]
    ds = read(pa.table({"id": [1, 2, 3], "e": pa.array(vectors, kind), "z": [0, 0, 0]}))
    frame = ds.features("m")[1]
    assert list(frame.columns) == [*(f"e[{i:02d}]" for i in range(11)), "z"]
    assert frame.iloc[0, :-1].tolist() == list(range(11))
    assert frame.iloc[1, :-1].isna().all()
    assert frame.iloc[2, :10].tolist() == list(range(1, 11))
    assert ds.ingestion.loc["m", "missing_values"] == 12


def test_lists_of_files_equal_lists_in_memory(tmp_path):
    """Parquet keeps vectors, from pandas and from polars."""
    vectors = [[1.0, 2.0], [3.0, 4.0]]
    pl.DataFrame({"id": [1, 2], "e": vectors}, schema={"id": pl.Int64, "e": pl.Array(pl.Float64, 2)}
                 ).write_parquet(tmp_path / "polars.parquet")  # fmt: skip
    pd.DataFrame({"id": [1, 2], "e": vectors}).to_parquet(tmp_path / "pandas.parquet")
    frames = [features(tmp_path / f"{name}.parquet") for name in ("polars", "pandas")]
    assert frames[0].equals(frames[1])
    assert frames[0].to_numpy().tolist() == vectors


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ([[1.0, 2.0], [3.0]], "column 'e': lists must have one length, got 1 to 2"),
        ([[1.0], []], "column 'e': lists must have one length, got 0 to 1"),
        ([["a"], ["b"]], "column 'e': expected numbers, got 'a'"),
        ([{"x": 1}, {"x": 2}], "column 'e': expected numbers, booleans, text or lists"),
        ([b"1", b"2"], "column 'e': expected numbers, booleans, text or lists of numbers, got bin"),
    ],
    ids=["ragged", "empty", "words", "struct", "bytes"],
)
def test_values_that_are_no_features_are_refused(vectors, message):
    """The message names the column and says what to do."""
    with pytest.raises(DatasetError, match=message):
        read(pa.table({"id": [1, 2], "e": vectors}))


def test_an_item_cannot_be_called_like_a_column():
    """Two features of one name would hide each other."""
    table = pa.table({"id": [1], "e": [[1.0]], "e[0]": [2.0]})
    with pytest.raises(DatasetError, match=r"items are called 'e\[0\]', as is a column"):
        read(table)


def test_lists_without_any_item_are_no_feature():
    """Nothing can be said of vectors that nobody has."""
    table = pa.table({"id": [1, 2], "e": pa.array([None, []], pa.list_(pa.float64())), "z": [1, 2]})
    assert list(features(table).columns) == ["z"]


@pytest.mark.parametrize("words", [{"a": "b", "A": "b"}, {"a": "b", "b": "b"}])
def test_columns_of_one_name_are_refused(words):
    """The engine cannot tell them apart; upper and lower case count as one."""
    frame = pd.DataFrame({"id": [1], "a": [1.0], "b": [2.0]}).rename(columns={"a": "b"})
    if "A" in words:
        frame.columns = ["id", "b", "B"]
    with pytest.raises(DatasetError, match="'b' and '[bB]' have one name"):
        read(frame)


def test_columns_named_by_numbers_are_named_by_their_text():
    """A frame made of a matrix has features '0', '1', ..."""
    frame = pd.DataFrame(np.eye(2)).assign(id=[1, 2])
    assert list(features(frame).columns) == ["0", "1"]


def test_times_and_durations_are_no_features():
    """They are left out with a warning, and refused where they are named."""
    table = pd.DataFrame(
        {
            "id": [1],
            "a": [1.0],
            "born": pd.to_datetime(["2000-01-01"]),
            "stay": pd.to_timedelta(["1h"]),
        }
    )
    with pytest.warns(FusewiseWarning, match="'m': the columns born, stay hold times or durations"):
        assert list(features(table).columns) == ["a"]
    with pytest.raises(DatasetError, match="column 'born': a timestamp.* is no feature"):
        read(table, columns=("born",))


# Only what is needed ------------------------------------------------------------------------


def test_only_the_columns_that_are_needed_are_read(tmp_path, monkeypatch):
    """A column that is not named is not fetched: not of a modality, and not of the samples."""
    fetched = []
    engine = ibis.duckdb.connect()
    plain = engine.to_pyarrow
    monkeypatch.setattr(
        engine, "to_pyarrow", lambda e, **k: fetched.append(set(e.schema().names)) or plain(e, **k)
    )
    FRAME.assign(t=1, late=2).to_parquet(tmp_path / "m.parquet")
    SAMPLES.assign(y=[0, 1, 0, 1], secret=1).to_parquet(tmp_path / "s.parquet")
    table, samples = (engine.read_parquet(tmp_path / f"{n}.parquet") for n in "ms")
    MultimodalDataset(
        {
            "table": Modality(table, columns=("a",)),
            "events": Modality(table, kind="events", time="t", columns=("b",)),
            "all": Modality(table, time="t", available_at="late"),
        },
        samples=samples,
        id="id",
        target="y",
    )
    assert fetched[0] == {"id", "y"}
    assert fetched[1] == {"id", "a"}
    assert set.union(*fetched[2:-1]) <= {"id", "t", "b", "_n", "_position", "_variable", "_value"}
    assert fetched[-1] == {"id", "t", "late", "a", "b", "w"}


def test_a_whole_csv_decides_the_type_of_a_column(tmp_path):
    """A word in row 30,000 makes the column text, whatever a sample of rows says."""
    lines = ["id,v", *(f"{i},{i}" for i in range(30_000)), "30000,unknown"]
    (tmp_path / "m.csv").write_text("\n".join(lines))
    ds = read(tmp_path / "m.csv", samples=pd.DataFrame({"id": [3, 30_000]}))
    assert ds.features("m")[1]["v"].tolist() == ["3", "unknown"]


# Ids ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ids",
    [
        pa.array([1, 3], pa.int16()),
        pa.array([1, 3], pa.uint64()),
        pa.array([1.0, 3.0]),
        pa.array([Decimal(1), Decimal(3)], pa.decimal128(20, 0)),
        pa.array([1, 3]).dictionary_encode(),
    ],
    ids=["int16", "uint64", "double", "decimal", "dictionary"],
)
@pytest.mark.parametrize("kind", ["table", "events"])
def test_whole_numbers_of_every_type_are_the_same_ids(ids, kind):
    """Ids are compared as numbers, whatever type each table stores them in."""
    table = pa.table({"id": ids, "t": [0, 0], "v": [5.0, 6.0]})
    ds = read(table, kind=kind, **({"time": "t"} if kind == "events" else {}))
    assert ds.ids[ds.presence[:, 0]].tolist() == [1, 3]


@pytest.mark.parametrize("kind", ["table", "events"])
def test_text_ids_are_compared_as_they_are(kind):
    """Leading zeros count, and categories are their words."""
    table = pd.DataFrame({"id": pd.Categorical(["001", "1", "é"]), "t": 0, "v": [5.0, 6.0, 7.0]})
    samples = pd.DataFrame({"id": ["001", "01", "é"]})
    ds = read(table, samples, kind=kind, **({"time": "t"} if kind == "events" else {}))
    assert ds.presence[:, 0].tolist() == [True, False, True]
    assert ds.ingestion.loc["m", "unknown_ids"] == 1


def test_a_modality_may_call_its_id_otherwise():
    """id= of the modality names the column; a column called as the samples' id is no feature."""
    table = pd.DataFrame({"pid": [2, 1], "id": [77, 78], "v": [1.0, 2.0]})
    frame = features(table, id="pid")
    assert frame.to_dict("list") == {"v": [2.0, 1.0]}


# Opening ------------------------------------------------------------------------------------


def test_what_cannot_be_opened_is_named(tmp_path):
    """Path, reason and what to do stand in the message."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "delta" / "_delta_log").mkdir(parents=True)
    (tmp_path / "m.parquet").write_text("this is no Parquet")
    for message in (
        r"no file or folder '.*none\.parquet'",
        r"the folder '.*empty' has no \.parquet file",
        r"'.*delta' is a Delta table, whose files also hold replaced rows",
        r"'.*m\.parquet' cannot be read as Parquet or CSV \(",
    ):
        path = message.split("'")[1].removeprefix(".*").replace("\\", "")
        with pytest.raises(TableNotFoundError, match="modality 'm': " + message) as error:
            read(tmp_path / path)
        assert isinstance(error.value, FileNotFoundError)
    with pytest.raises(DatasetError, match="expected a path, a pandas, .* got LazyFrame"):
        open_table(pl.DataFrame({"a": [1]}).lazy())


def test_an_engine_that_fails_says_which_way(tmp_path):
    """An error of the engine while reading becomes one of ours."""
    FRAME.to_parquet(tmp_path / "m.parquet")
    table = open_table(tmp_path / "m.parquet")
    (tmp_path / "m.parquet").unlink()
    with pytest.raises(DatasetError, match="a table cannot be read"):
        execute(table)
