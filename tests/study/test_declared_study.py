"""A study opened: dataset, split, deployment, and what is missing."""

from __future__ import annotations

import ibis
import pandas as pd
import pytest

from fusewise.exceptions import (
    ColumnNotFoundError,
    DeploymentError,
    NotAvailableError,
    StudyError,
    TableNotFoundError,
    TaskError,
)
from fusewise.study import read_study


def rewrite(folder, old, new):
    path = folder / "study.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def test_dataset_carries_what_the_file_declares(folder):
    """Kinds, target, task, clusters and subgroups arrive in the dataset."""
    ds = read_study(folder / "study.yaml").dataset()
    assert ds.modalities == ("static", "vitals", "lab")
    assert ds.kinds["vitals"] == "events"
    assert (ds.task, len(ds)) == ("binary", 120)
    assert ds.groups.columns.tolist() == ["sex"]
    assert ds.cluster is not None


def test_a_split_column_sends_validation_rows_to_train_and_flags_them(folder):
    """Rows marked validation are training rows that estimators may hold out inside."""
    train, test = read_study(folder / "study.yaml").split()
    assert (len(train), len(test)) == (80, 40)
    assert train.validation.sum() == 20
    assert set(test.samples["part"]) == {"test"}


def test_without_a_declared_split_a_fifth_is_drawn_by_the_seed(folder):
    """The default split is reproducible, and another seed gives another one."""
    path = rewrite(folder, "  split: part\n", "")
    first, again, other = (
        read_study(path, overrides={"training.seed": seed}).split()[1] for seed in (3, 3, 4)
    )
    assert len(first) == 24
    assert first.ids.tolist() == again.ids.tolist()
    assert first.ids.tolist() != other.ids.tolist()


def test_the_log_of_requests_becomes_the_deployment(folder):
    """A declared log is counted by pattern; facts stand beside it."""
    deployment = read_study(
        folder / "study.yaml", overrides={"deployment.cohort": "controlled"}
    ).deployment
    assert (deployment.source, deployment.cohort) == ("observed", "controlled")
    assert deployment.counts == {"static+vitals": 1, "lab+static+vitals": 1, "static": 1}


@pytest.mark.parametrize(
    ("settings", "source"),
    [
        ({"deployment": {"observed": "training"}}, "training"),
        ({"deployment": {"rates": {"lab": 0.5}}}, "rates"),
        ({"deployment": {"patterns": {"static": 1}}}, "patterns"),
        ({"deployment": {"cohort": "controlled"}}, "none"),
        ({"deployment": None}, "none"),
    ],
)
def test_each_way_to_declare_availability_keeps_its_name(folder, settings, source):
    """What is not declared stays unknown; it is never taken from training."""
    assert read_study(folder / "study.yaml", overrides=settings).deployment.source == source


def test_tables_start_from_root_wherever_it_is_given(folder, tmp_path_factory):
    """`root` in the file is relative to the file; an argument replaces it."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    path = elsewhere / "study.yaml"
    path.write_text((folder / "study.yaml").read_text())
    with pytest.raises(TableNotFoundError):
        read_study(path).dataset()
    assert len(read_study(path, root=folder).dataset()) == 120
    (elsewhere / "data").symlink_to(folder, target_is_directory=True)
    assert len(read_study(path, overrides={"root": "data"}).dataset()) == 120


def test_all_missing_tables_are_named_with_their_lines(folder):
    """A missing file is told by the line that names it, and every one at once."""
    (folder / "lab.csv").unlink()
    (folder / "requests.parquet").unlink()
    with pytest.raises(TableNotFoundError) as caught:
        read_study(folder / "study.yaml").dataset()
    said = str(caught.value)
    assert "2 tables do not exist" in said
    assert "study.yaml, line 12 (modalities.lab.table)" in said
    assert "study.yaml, line 14 (deployment.observed)" in said
    assert "--root" in said


def test_a_missing_column_is_named_with_those_that_exist(folder):
    """The message of the data room comes through."""
    path = rewrite(folder, "target: died", "target: dead")
    with pytest.raises(ColumnNotFoundError, match=r"no column 'dead'.*died"):
        read_study(path).dataset()


def test_whole_numbers_with_few_values_ask_for_the_task(folder):
    """A target with the values 0, 1, 2 may be classes or amounts: nobody guesses."""
    samples = pd.read_parquet(folder / "samples.parquet")
    samples["died"] = samples["stay_id"] % 3
    samples.to_parquet(folder / "samples.parquet")
    with pytest.raises(TaskError, match=r"(?s)multiclass.*regression"):
        read_study(folder / "study.yaml").dataset()
    path = folder / "study.yaml"
    assert read_study(path, overrides={"samples.task": "multiclass"}).dataset().task == "multiclass"


@pytest.mark.parametrize("kind", ["text", "image"])
def test_planned_kinds_say_so_before_anything_is_read(folder, kind):
    """Text and images are in the file format and not there yet."""
    path = rewrite(folder, "{table: lab.csv}", f"{{table: no.csv, kind: {kind}, column: c}}")
    with pytest.raises(NotAvailableError, match=rf"line 12.*kind {kind} is planned"):
        read_study(path)


def test_survival_says_that_it_is_planned(folder):
    """A right-censored target is in the file format and not there yet."""
    path = rewrite(folder, "target: died", "target: {time: months, event: died}")
    with pytest.raises(NotAvailableError, match=r"line 5.*survival"):
        read_study(path)


def test_a_target_can_wait_until_a_model_is_needed(folder):
    """Profile and recommendation need no target; training says that it does."""
    study = read_study(rewrite(folder, "  target: died\n", ""))
    assert study.run(folder / "run", until="recommend").recommendation is not None
    with pytest.raises(StudyError, match=r"samples.target.*a model needs a target"):
        study.run(folder / "run", until="fit")


def test_tables_behind_a_connection_are_named_by_their_name(folder):
    """With `connection`, bare names are tables there and files are still files."""
    con = ibis.duckdb.connect(folder / "hospital.duckdb")
    con.create_table("lab_values", ibis.memtable(pd.read_csv(folder / "lab.csv")))
    con.disconnect()
    uri = f"duckdb://{folder / 'hospital.duckdb'}?read_only=True"
    overrides = {"connection": uri, "modalities.lab.table": "lab_values"}
    study = read_study(folder / "study.yaml", overrides=overrides)
    here = read_study(folder / "study.yaml").dataset()
    assert (study.dataset().presence == here.presence).all()
    overrides["modalities.lab.table"] = "lab_vaules"
    with pytest.raises(TableNotFoundError, match=r"connection.*no table 'lab_vaules'"):
        read_study(folder / "study.yaml", overrides=overrides).dataset()


def test_a_log_that_names_unknown_modalities_is_refused_when_profiled(folder):
    """A log of another system does not pass for this deployment."""
    pd.DataFrame({"request": [1], "modality": ["labs"]}).to_parquet(folder / "requests.parquet")
    with pytest.raises(DeploymentError, match="Did you mean 'lab'"):
        read_study(folder / "study.yaml").run(folder / "run", until="profile")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("training.n_jobs=0", "training.n_jobs.*other than 0"),
        ("training.device=gpu", r"training.device.*'gpu'.*auto, cpu, cuda"),
        ("training.device=cuda0", "training.device.*'cuda0'"),
        ("training.device=cuda:one", "training.device.*'cuda:one'"),
    ],
)
def test_where_it_is_trained_is_checked_when_the_file_is_read(folder, setting, words):
    """Not after the tables were read and profiled."""
    with pytest.raises(StudyError, match=words):
        read_study(folder / "study.yaml", overrides=[setting])


@pytest.mark.parametrize("setting", ["n_jobs=-1", "device=auto", "device=cuda:1", "device=mps"])
def test_settings_that_some_machine_has_are_taken(folder, setting):
    """Whether this machine has the device is asked when something is trained on it."""
    assert read_study(folder / "study.yaml", overrides=[f"training.{setting}"]).seed == 3
