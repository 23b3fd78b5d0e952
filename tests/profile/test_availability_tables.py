"""Availability of tables: wide, long, and one per modality give the same figures."""

from __future__ import annotations

import ibis
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from fusewise.exceptions import (
    ColumnNotFoundError,
    DatasetError,
    TableNotFoundError,
    UnknownModalityError,
)
from fusewise.profile import Availability, availability

NAMES = ["ehr", "imaging", "notes"]


@pytest.fixture(scope="module")
def wide() -> pd.DataFrame:
    """Presence of 300 requests from two sites, some without any modality."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.random((300, 3)) < [0.8, 0.3, 0.5], columns=NAMES)
    return frame.assign(request=np.arange(300), site=np.where(np.arange(300) % 3, "a", "b"))


@pytest.fixture(scope="module")
def long(wide: pd.DataFrame) -> pd.DataFrame:
    """The same requests as a log, with repeated rows and empty requests as NULL rows."""
    rows = wide.melt(["request", "site"], var_name="modality").query("value")
    rows = rows.drop(columns="value")
    nothing = wide[~wide[NAMES].any(axis=1)][["request", "site"]].assign(modality=None)
    return pd.concat([rows, rows.head(50), nothing]).sample(frac=1, random_state=0)


def same(one: Availability, two: Availability) -> None:
    """Assert that two results hold the same figures."""
    assert one.n_samples == two.n_samples
    for name in ("rates", "group_rates", "patterns", "copresence", "complete_case"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(two, name), check_dtype=False)


def test_wide_counts_are_those_of_the_presence(wide: pd.DataFrame) -> None:
    """Rates and patterns equal what numpy counts."""
    found = availability(wide[NAMES])
    np.testing.assert_allclose(found.rates["rate"], wide[NAMES].mean())
    assert found.patterns["n"].sum() == 300
    complete = wide[NAMES].all(axis=1).sum()
    assert found.patterns.set_index("pattern")["n"]["ehr+imaging+notes"] == complete


def test_every_form_gives_the_same_figures(
    wide: pd.DataFrame, long: pd.DataFrame, tmp_path
) -> None:
    """Wide, long, and one table per modality agree, from memory and from files."""
    expected = availability(wide, group="site")
    same(expected, availability(long, group="site"))
    same(expected, availability(long, group="site", modalities=NAMES))
    of = {name: wide.loc[wide[name], ["request"]] for name in NAMES}
    same(expected, availability(of, samples=wide, group="site"))
    wide.to_parquet(tmp_path / "wide.parquet")
    wide.to_csv(tmp_path / "wide.csv", index=False)
    (tmp_path / "parts").mkdir()
    wide.head(100).to_parquet(tmp_path / "parts" / "0.parquet")
    wide.tail(200).to_parquet(tmp_path / "parts" / "1.parquet")
    for name, frame in of.items():
        frame.to_parquet(tmp_path / f"{name}.parquet")
    same(expected, availability(tmp_path / "wide.parquet", group="site"))
    same(expected, availability(str(tmp_path / "wide.csv"), group="site"))
    same(expected, availability(tmp_path / "parts", group="site"))
    files = {name: tmp_path / f"{name}.parquet" for name in NAMES}
    same(expected, availability(files, samples=tmp_path / "wide.parquet", group="site"))


@pytest.mark.parametrize(
    "convert",
    [pl.from_pandas, pa.Table.from_pandas, ibis.memtable],
    ids=["polars", "arrow", "ibis"],
)
def test_every_kind_of_table_is_read(wide: pd.DataFrame, convert) -> None:
    """polars, Arrow and Ibis tables give what pandas gives."""
    same(availability(wide, group="site"), availability(convert(wide), group="site"))


def test_an_empty_cell_is_absent(wide: pd.DataFrame) -> None:
    """NULL in a presence column counts as absent, and its pattern merges with that of False."""
    holes = wide[NAMES].astype("boolean")
    holes = holes.mask(~wide[NAMES] & (wide[["request"]].to_numpy() % 2 == 0))
    assert holes.isna().any().all()
    same(availability(wide[NAMES]), availability(holes))


def test_integer_flags_are_presence_where_they_are_named(wide: pd.DataFrame) -> None:
    """Columns of 0 and 1 count when modalities= names them; they are not guessed."""
    numbers = wide[NAMES].astype(int)
    same(availability(wide[NAMES]), availability(numbers, modalities=NAMES))
    with pytest.raises(DatasetError, match="no boolean column"):
        availability(numbers)


def test_named_modalities_keep_their_order(wide: pd.DataFrame) -> None:
    """modalities= chooses columns and their order."""
    found = availability(wide, modalities=["notes", "ehr"])
    assert found.modalities == ("notes", "ehr")
    assert found.rates["modality"].tolist() == ["notes", "ehr"]


def test_more_modalities_than_bits_in_a_number() -> None:
    """130 modalities of a long log are counted exactly, and a foreign name is still found."""
    rng = np.random.default_rng(1)
    names = [f"m{i:03d}" for i in range(130)]
    wide = pd.DataFrame(rng.random((40, 130)) < 0.5, columns=names)
    log = wide.assign(request=range(40)).melt("request", var_name="modality").query("value")
    same(availability(wide), availability(log, modalities=names))
    with pytest.raises(UnknownModalityError, match="'m129'"):
        availability(log, modalities=names[:-1])


def test_a_modality_that_no_request_names_is_absent_throughout(long: pd.DataFrame) -> None:
    """A declared modality that the log lacks has rate 0 and not an error."""
    found = availability(long, modalities=[*NAMES, "omics"])
    row = found.rates.set_index("modality").loc["omics"]
    assert row["n"] == 0
    assert row["low"] == 0 < row["high"]


def test_a_foreign_name_in_the_log_is_an_error_with_a_suggestion(long: pd.DataFrame) -> None:
    """The message names the modality, how many requests have it, and the nearest known one."""
    wrong = long.replace({"modality": {"imaging": "imagin"}})
    with pytest.raises(UnknownModalityError, match=r"'imagin'.*Did you mean 'imaging'\?"):
        availability(wrong, modalities=NAMES)


def test_errors_say_what_is_wrong(wide: pd.DataFrame, long: pd.DataFrame, tmp_path) -> None:
    """Missing files, columns and samples, and presence that is no boolean."""
    with pytest.raises(TableNotFoundError, match="no file or folder"):
        availability(tmp_path / "nothing.parquet")
    (tmp_path / "broken.parquet").write_text("no parquet")
    with pytest.raises(TableNotFoundError, match="cannot be read"):
        availability(tmp_path / "broken.parquet")
    with pytest.raises(UnknownModalityError, match=r"'note'.*Did you mean 'notes'\?"):
        availability(wide, modalities=["note"])
    with pytest.raises(DatasetError, match="'site': expected booleans"):
        availability(wide, modalities=["site"])
    with pytest.raises(ColumnNotFoundError, match=r"'sit'.*Did you mean 'site'\?"):
        availability(wide, group="sit")
    with pytest.raises(DatasetError, match="needs samples="):
        availability({"ehr": wide})
    with pytest.raises(ColumnNotFoundError, match="modality 'ehr'"):
        availability({"ehr": wide[["site"]]}, samples=wide)
    with pytest.raises(DatasetError, match="no rows"):
        availability(wide.head(0))
    with pytest.raises(DatasetError, match="names no modality"):
        availability(long.head(0))
    with pytest.raises(DatasetError, match="got int"):
        availability(3)


def test_results_print_and_travel(wide: pd.DataFrame) -> None:
    """A result prints its figures, and JSON gives the same result back."""
    found = availability(wide, group="site")
    assert "300 samples" in str(found)
    assert "ehr" in repr(found)
    assert Availability.from_json(found.to_json()) == found


def test_the_same_expressions_compile_for_spark(long: pd.DataFrame, monkeypatch) -> None:
    """What runs on DuckDB is plain SQL that PySpark has too."""
    from fusewise.profile import tables

    seen = []
    run = tables._run
    monkeypatch.setattr(tables, "_run", lambda e: seen.append(e) or run(e))
    availability(long, group="site")
    availability(long.assign(ehr=True, notes=False).drop(columns="modality"), group="site")
    statements = [ibis.to_sql(e, dialect="pyspark") for e in seen]
    assert len(statements) == 3
    assert any("BIT_OR" in s for s in statements)


@pytest.mark.spark
def test_spark_gives_the_same_figures(
    wide: pd.DataFrame, long: pd.DataFrame, tmp_path, spark
) -> None:
    """Wide, long and per-modality tables on a Spark session equal those on DuckDB."""
    con = ibis.pyspark.connect(spark)
    wide.to_parquet(tmp_path / "wide.parquet")
    long.to_parquet(tmp_path / "long.parquet")
    table, log = (con.read_parquet(str(tmp_path / f"{n}.parquet")) for n in ("wide", "long"))
    same(availability(wide, group="site"), availability(table, group="site"))
    same(availability(long, group="site"), availability(log, group="site"))
    of = {name: table.filter(table[name]) for name in NAMES}
    same(availability(wide[NAMES]), availability(of, samples=table))
