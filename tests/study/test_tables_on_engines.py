"""A study profiled where its tables lie: from files, behind a connection, at the command line."""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb
import ibis
import pandas as pd
import pytest

import fusewise as fw
from fusewise.cli import main
from fusewise.exceptions import DatasetError, MissingDependencyError, StudyError
from fusewise.profile import DeploymentProfile

TABLES = ("availability", "group_availability", "patterns", "copresence", "shift", "cadence")
LONG = "kind: events, time: minute, variable: variable, value: value"
BEHIND = """\
study: icu
connection: {uri}
samples: {{table: {at}samples, id: stay_id, target: died, groups: [sex], split: part}}
modalities:
  static: {{table: {at}static}}
  vitals: {{table: {at}vitals, kind: events, time: minute, variable: variable, value: value}}
deployment: {{observed: {at}requests}}
profile: {{probes: false}}
"""


def same(one: DeploymentProfile, two: DeploymentProfile) -> None:
    """Assert that two profiles hold the same."""
    for name in TABLES:
        a, b = getattr(one, name), getattr(two, name)
        pd.testing.assert_frame_equal(a, b, rtol=1e-9, check_dtype=False, obj=name)


def of_training(study: fw.Study) -> DeploymentProfile:
    """Return the profile of the training rows, in memory."""
    return fw.profile(study.split()[0], study.deployment, random_state=study.seed)


def behind(folder: Path, uri: str, at: str = "") -> fw.Study:
    """Return the study with its tables behind a connection, without the one that is a CSV file."""
    log = pd.read_parquet(folder / "requests.parquet")
    log[log["modality"] != "lab"].to_parquet(folder / "requests.parquet")
    path = folder / "behind.yaml"
    path.write_text(BEHIND.format(uri=uri, at=at))
    return fw.read_study(path)


def test_the_training_rows_are_profiled(folder: Path) -> None:
    """A split by column gives the profile of training and validation rows, CSV files included."""
    study = fw.read_study(folder / "study.yaml", overrides={"profile.probes": False})
    found = study.profile_tables()
    same(of_training(study), found)
    assert found.read.set_index("modality").loc["static", "unknown_ids"] == 0
    assert not any("All samples" in note for note in found.notes)


def test_a_split_that_is_drawn_leaves_all_samples_to_profile(folder: Path) -> None:
    """Who is in the test part of a random split is not known to an engine, and that is said."""
    overrides = {"samples.split": {"by": "random"}, "profile.probes": False}
    found = fw.read_study(folder / "study.yaml", overrides=overrides).profile_tables("duckdb")
    assert found.n_samples == 120
    assert "All samples are profiled" in found.notes[-1]


@pytest.mark.parametrize("engine", [None, "duckdb"])
def test_tables_behind_a_connection(folder: Path, engine: str | None) -> None:
    """Tables of a database are profiled in it, by name with or without its schema."""
    study = behind(folder, f"duckdb://{folder}/ward.duckdb", "main.")
    con = duckdb.connect(folder / "ward.duckdb")
    for name in ("samples", "static", "vitals", "requests"):
        con.read_parquet(str(folder / f"{name}.parquet")).create(name)
    con.close()
    same(of_training(study), study.profile_tables(engine))
    with pytest.raises(StudyError, match="behind a connection to duckdb"):
        study.profile_tables(ibis.duckdb.connect())


def test_the_command_profiles_on_an_engine(folder: Path, capsys, monkeypatch) -> None:
    """It prints the profile, writes it where asked, and makes no run folder."""
    monkeypatch.chdir(folder)
    ask = ["profile", "study.yaml", "--engine", "duckdb", "--set", "profile.probes=false"]
    with pytest.raises(SystemExit) as end:
        main([*ask, "--output", "found.json"])
    assert end.value.code == 0
    assert "Availability" in capsys.readouterr().out
    study = fw.read_study(folder / "study.yaml")
    same(DeploymentProfile.from_json(folder / "found.json"), of_training(study))
    assert not (folder / "runs").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--engine", "duckdb", "-o", "run"], "--folder has no meaning with --engine"),
        (["--output", "found.json"], "--output is for --engine"),
        (["--engine", "sparc"], "Did you mean 'spark'?"),
    ],
)
def test_the_command_refuses_what_does_not_go_together(
    folder: Path, capsys, more: list[str], said: str
) -> None:
    """Wrong usage ends with code 2 and one message."""
    with pytest.raises(SystemExit) as end:
        main(["profile", str(folder / "study.yaml"), *more])
    assert end.value.code == 2
    assert said in " ".join(capsys.readouterr().err.replace("│", "").split())


def test_a_missing_pyspark_is_named(folder: Path, monkeypatch) -> None:
    """Who asks for Spark without PySpark is told what to install, from a study file, too."""
    for name in [name for name in sys.modules if name.split(".")[0] == "pyspark"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyspark", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "fusewise\[spark\]"'):
        fw.read_study(folder / "study.yaml").profile_tables("spark")
    study = behind(folder, "spark")
    with pytest.raises(
        MissingDependencyError, match=r"behind.yaml, line 2 \(connection\): .*spark"
    ):
        study.dataset()


def test_other_engines_are_refused() -> None:
    """An engine that profiles were never tried on is no engine here."""
    with pytest.raises(DatasetError, match="sqlite is neither"):
        fw.profile_tables({"m": pd.DataFrame({"id": [1], "x": [1]})}, id="id",
                          samples=pd.DataFrame({"id": [1]}), engine=ibis.sqlite.connect())  # fmt: skip
    with pytest.raises(DatasetError, match="got int"):
        fw.profile_tables({"m": "m.parquet"}, id="id", samples="s.parquet", engine=3)


# Spark -------------------------------------------------------------------------------------------


@pytest.mark.spark
def test_without_java_it_is_named(monkeypatch) -> None:
    """Local mode needs Java, which is said before Spark says something else."""
    from pyspark.sql import SparkSession

    from fusewise.data import engine

    monkeypatch.setattr(SparkSession, "getActiveSession", classmethod(lambda cls: None))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.delenv("PYSPARK_GATEWAY_PORT", raising=False)
    monkeypatch.setattr(engine.shutil, "which", lambda name: None)
    with pytest.raises(MissingDependencyError, match="there is no Java"):
        engine.open_engine("spark")


@pytest.mark.spark
def test_tables_of_a_spark_catalog(folder: Path, spark) -> None:
    """`connection: spark` reads catalog.schema.table, into memory and where the tables lie."""
    spark.sql("create schema if not exists icu")
    study = behind(folder, "spark", "spark_catalog.icu.")
    for name in ("samples", "static", "vitals", "requests"):
        frame = spark.read.parquet(str(folder / f"{name}.parquet"))
        frame.write.mode("overwrite").saveAsTable(f"icu.{name}")
    assert study.dataset().n_samples == 120
    same(of_training(study), study.profile_tables())
    with pytest.raises(fw.exceptions.TableNotFoundError, match="no table 'spark_catalog.icu.no'"):
        fw.read_study(study.path, overrides={"modalities.static.table": "spark_catalog.icu.no"}
                      ).profile_tables("spark")  # fmt: skip


@pytest.mark.spark
def test_the_command_profiles_files_on_spark(folder: Path, spark, capsys) -> None:
    """The same study file without its CSV table, on Spark, at the command line."""
    path = folder / "files.yaml"
    text = BEHIND.format(uri="null", at="")
    for name in ("samples", "static", "vitals", "requests"):
        text = text.replace(f": {name}}}", f": {name}.parquet}}").replace(
            f": {name},", f": {name}.parquet,"
        )
    behind(folder, "spark")
    path.write_text(text)
    with pytest.raises(SystemExit) as end:
        main(["profile", str(path), "--engine", "spark", "--output", str(folder / "found.json")])
    assert end.value.code == 0, capsys.readouterr().err
    same(DeploymentProfile.from_json(folder / "found.json"), of_training(fw.read_study(path)))
