"""`fusewise init`: a first study file from a folder of tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import yaml

from fusewise.data import draft_choices, draft_study
from fusewise.exceptions import StudyError, TableNotFoundError
from fusewise.study import read_study


def tables(folder, **frames):
    for name, frame in frames.items():
        frame.to_parquet(folder / f"{name}.parquet")
    return folder


def samples(n=30, **columns):
    frame = pd.DataFrame({"stay_id": np.arange(n), "died": np.arange(n) % 2})
    return frame.assign(**columns)


def lab(n=30):
    return pd.DataFrame({"stay_id": np.arange(n), "lactate": np.linspace(0, 4, n)})


def drafted(folder):
    return yaml.safe_load(draft_study(folder))


def test_a_plain_folder_gives_a_study_that_reads_back_and_opens(folder):
    """Where nothing is ambiguous the drafted file runs as it is."""
    (folder / "study.yaml").unlink()
    text = draft_study(folder)
    assert draft_choices(text) == []
    (folder / "study.yaml").write_text(text)
    study = read_study(folder / "study.yaml")
    ds = study.dataset()
    assert ds.modalities == ("lab", "static", "vitals")
    assert ds.kinds == {"lab": "table", "static": "table", "vitals": "events"}
    assert (ds.task, ds.groups.columns.tolist()) == ("binary", ["sex"])
    assert study.file.samples.split.column == "part"
    assert study.deployment.source == "observed"


def test_the_samples_table_is_found_whatever_it_is_called(tmp_path):
    """It has the id that all share, each once, and something like a target."""
    tables(tmp_path, main=samples(), lab=lab())
    study = drafted(tmp_path)
    assert study["samples"]["table"] == "main.parquet"
    assert (study["samples"]["id"], study["samples"]["target"]) == ("stay_id", "died")
    assert list(study["modalities"]) == ["lab"]


def test_a_stored_index_is_neither_id_nor_target(tmp_path):
    """Every table that pandas wrote may have one, unique in each."""
    main, part = samples(), lab().sort_values("lactate", ascending=False)
    main.iloc[::-1].to_parquet(tmp_path / "samples.parquet")
    part.to_parquet(tmp_path / "lab.parquet")
    part.to_csv(tmp_path / "more.csv")
    study = drafted(tmp_path)
    assert (study["samples"]["id"], study["samples"]["target"]) == ("stay_id", "died")
    assert "__index" not in draft_study(tmp_path)


def test_long_and_wide_events_are_told_apart(tmp_path):
    """Several timed rows per id are events; variable and value make the long form."""
    ids = np.repeat(np.arange(30), 2)
    long = pd.DataFrame({"stay_id": ids, "charttime": 1.5, "item": "pulse", "value": 70.0})
    wide = pd.DataFrame({"stay_id": ids, "hour": np.tile([1, 2], 30), "pulse": 70.0, "pain": 1.0})
    tables(tmp_path, samples=samples(), long=long, wide=wide)
    modalities = drafted(tmp_path)["modalities"]
    assert modalities["long"] == {
        "table": "long.parquet",
        "kind": "events",
        "time": "charttime",
        "variable": "item",
        "value": "value",
    }
    assert modalities["wide"] == {"table": "wide.parquet", "kind": "events", "time": "hour"}


def test_presence_availability_clusters_and_cutoffs_are_recognised(tmp_path):
    """Columns that say what they are become the keys that they stand for."""
    seen = pd.Timestamp("2024-03-01") + pd.to_timedelta(np.repeat(np.arange(30), 2), unit="D")
    wearable = pd.DataFrame({"stay_id": np.repeat(np.arange(30), 2), "taken_time": seen})
    wearable = wearable.assign(available_at=seen, variable="steps", value=1.0)
    main = samples(
        patient_id=np.arange(30) // 2,
        has_wearable=True,
        prediction_time=pd.Timestamp("2024-03-09"),
        part=["train", "test"] * 15,
    )
    tables(tmp_path, samples=main, wearable=wearable, lab=lab())
    study = drafted(tmp_path)
    assert study["samples"]["cluster"] == "patient_id"
    assert study["samples"]["prediction_time"] == "prediction_time"
    assert study["samples"]["split"] == "part"
    assert study["modalities"]["wearable"]["present"] == "has_wearable"
    assert study["modalities"]["wearable"]["available_at"] == "available_at"


def test_an_id_of_another_name_is_found_by_its_values(tmp_path):
    """A table that calls the id otherwise says so with `id`."""
    tables(tmp_path, samples=samples(), lab=lab(), ct=lab().rename(columns={"stay_id": "case_id"}))
    assert drafted(tmp_path)["modalities"]["ct"] == {"table": "ct.parquet", "id": "case_id"}


@pytest.mark.parametrize(
    ("columns", "line", "words"),
    [
        ({"died": np.arange(30) % 5}, "task: auto", "multiclass or regression (died has 5"),
        ({"died": 1}, "target: null", "no column looks like a target"),
    ],
)
def test_what_cannot_be_guessed_is_marked_with_its_line(tmp_path, columns, line, words):
    """A person decides, and the file says where."""
    tables(tmp_path, samples=samples(**columns), lab=lab())
    text = draft_study(tmp_path)
    ((number, marked),) = draft_choices(text)
    assert line in marked
    assert words in marked
    assert text.splitlines()[number - 1].strip() == marked


def test_two_targets_that_look_alike_are_left_to_a_person(tmp_path):
    """Nobody wants the wrong outcome predicted; the file reads and training asks."""
    tables(tmp_path, samples=samples(readmitted=[0, 0, 1] * 10), lab=lab())
    text = draft_study(tmp_path)
    assert "# choose: died or readmitted" in text
    (tmp_path / "study.yaml").write_text(text)
    with pytest.raises(StudyError, match=r"line \d+ \(samples.target\).*needs a target"):
        read_study(tmp_path / "study.yaml").run(tmp_path / "run", until="fit")


def stays(n=30):
    return pd.DataFrame({"stay_id": np.repeat(np.arange(n), 2), "hour": 1.0, "pulse": 70.0})


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ({"admitted": pd.Timestamp("2024-03-01")}, "admitted"),
        ({"admit_hour": np.arange(30.0)}, "admit_hour"),
    ],
)
def test_the_prediction_time_is_asked_where_events_could_leak(tmp_path, columns, named):
    """A time in the samples table may be the moment after which events must not count."""
    tables(tmp_path, samples=samples(**columns), vitals=stays())
    choices = [line for _, line in draft_choices(draft_study(tmp_path))]
    (line,) = [line for line in choices if line.startswith("prediction_time: null")]
    assert f"perhaps {named}" in line
    assert drafted(tmp_path)["samples"]["prediction_time"] is None


def test_the_prediction_time_is_not_asked_where_nothing_is_timed(tmp_path):
    """Tables with one row per sample have no events to ignore."""
    tables(tmp_path, samples=samples(admitted=pd.Timestamp("2024-03-01")), lab=lab())
    assert draft_choices(draft_study(tmp_path)) == []


def test_a_target_guessed_among_several_is_asked(tmp_path):
    """The first guess stays in the file, and the line says what else is there."""
    tables(tmp_path, samples=samples(age=np.arange(30) + 40, sex=["f", "m"] * 15), lab=lab())
    text = draft_study(tmp_path)
    ((_, line),) = draft_choices(text)
    assert line == "target: died  # choose: died is a guess; also there: age"


@pytest.mark.parametrize(
    ("died", "metric"), [(np.arange(30) % 2, "roc_auc"), (np.linspace(0, 1, 30), "r2")]
)
def test_the_proposed_requirements_fit_the_target(tmp_path, died, metric):
    """An amount has no area under a curve."""
    tables(tmp_path, samples=samples(died=died), lab=lab())
    text = draft_study(tmp_path)
    assert text.count(f"metric: {metric}") == 2
    assert text.count("metric:") == 2


@pytest.mark.parametrize("words", [[f"c{i % 7}" for i in range(30)], np.arange(30.0) // 5])
def test_a_task_that_auto_would_not_guess_is_asked(tmp_path, words):
    """The drafted file does not fail with a question that it could have asked."""
    tables(tmp_path, samples=samples(died=words), lab=lab())
    ((_, line),) = draft_choices(draft_study(tmp_path))
    assert line.startswith("task: auto  # choose: multiclass")


def test_what_cannot_be_used_is_left_out_with_its_reason(tmp_path):
    """Text, images, repeated rows without time, and tables without ids stay as comments."""
    ids = np.arange(30)
    notes = pd.DataFrame(
        {"stay_id": ids, "note": ["a long clinical note about the patient" * 3] * 30}
    )
    scans = pd.DataFrame({"stay_id": ids, "path": ["a.png", "b.png"] * 15})
    twice = pd.DataFrame({"stay_id": np.repeat(ids, 2), "code": 1.0})
    other = pd.DataFrame({"station": ["a"], "beds": [4]})
    tables(
        tmp_path, samples=samples(), lab=lab(), notes=notes, scans=scans, twice=twice, other=other
    )
    text = draft_study(tmp_path)
    assert "# notes: notes.parquet looks like free text" in text
    assert "# scans: scans.parquet looks like images" in text
    assert "# twice: {table: twice.parquet}  # choose: it repeats stay_id" in text
    assert "# other: other.parquet has no column with the ids" in text
    assert list(yaml.safe_load(text)["modalities"]) == ["lab"]


def test_availability_is_never_guessed_from_the_tables(tmp_path):
    """Without a log of requests the deployment stays unknown."""
    tables(tmp_path, samples=samples(), lab=lab())
    (tmp_path / "study.yaml").write_text(draft_study(tmp_path))
    assert read_study(tmp_path / "study.yaml").deployment.source == "none"


def test_names_that_yaml_would_misread_are_quoted(tmp_path):
    """A table called `no` and a column with a colon survive."""
    main = samples().rename(columns={"stay_id": "id: stay"})
    part = lab().rename(columns={"stay_id": "id: stay"})
    tables(tmp_path, samples=main, no=part)
    (tmp_path / "study.yaml").write_text(draft_study(tmp_path))
    assert read_study(tmp_path / "study.yaml").dataset().modalities == ("no",)


def test_folders_of_parquet_and_damaged_files(tmp_path):
    """A folder of Parquet files is one table; a file that cannot be read is told, not fatal."""
    tables(tmp_path, samples=samples())
    (tmp_path / "lab").mkdir()
    for part in range(2):
        lab().iloc[part * 15 : part * 15 + 15].to_parquet(tmp_path / "lab" / f"{part}.parquet")
    (tmp_path / "broken.parquet").write_text("no parquet")
    text = draft_study(tmp_path)
    assert "# Not read: table 'broken.parquet'" in text
    assert yaml.safe_load(text)["modalities"] == {"lab": {"table": "lab"}}


def test_a_folder_without_tables_is_said(tmp_path):
    """A wrong path and an empty folder are different mistakes."""
    with pytest.raises(TableNotFoundError, match="no folder"):
        draft_study(tmp_path / "nowhere")
    with pytest.raises(TableNotFoundError, match="holds no table"):
        draft_study(tmp_path)


def test_a_folder_with_one_table_asks_for_modalities(tmp_path):
    """Everything in one table is no multimodal study, and the file says where to go on."""
    tables(tmp_path, samples=samples())
    text = draft_study(tmp_path)
    assert "# choose: no table beside samples.parquet" in text


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "target", "left"),
    [("p12", "in_hospital_death", 1), ("rosmap", "alzheimer", 0), ("handwritten", "digit", 1)],
)
def test_real_folders_are_understood(data_dir, name, target, left):
    """Samples, ids, targets, splits and kinds of published data sets are found."""
    text = draft_study(data_dir / name)
    study = yaml.safe_load(text)
    assert study["samples"]["target"] == target
    assert study["samples"]["split"] in ("split", "split_1")
    assert len(study["modalities"]) == {"p12": 12, "rosmap": 3, "handwritten": 6}[name]
    assert len(draft_choices(text)) == left
