"""The run folder: its lock, its manifest, and folders that cannot be used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fusewise.exceptions import RunFolderError
from fusewise.study import default_folder, read_study
from fusewise.study import folder as folder_module
from fusewise.study.folder import RunFolder

HOLD = """
import sys, time
from pathlib import Path
from fusewise.study.folder import RunFolder
with RunFolder(Path(sys.argv[1]), "icu").open():
    print("held", flush=True)
    time.sleep(60)
"""


def test_two_runs_cannot_use_one_folder_at_once(tmp_path):
    """The second one is told who holds the folder, and may go on when it is free."""
    with RunFolder(tmp_path / "run", "icu").open():
        said = rf"in use by process {os.getpid()} on .*since"
        with pytest.raises(RunFolderError, match=said), RunFolder(tmp_path / "run", "icu").open():
            pass
    with RunFolder(tmp_path / "run", "icu").open():
        pass


def test_the_lock_of_a_process_that_died_is_free(tmp_path):
    """A killed run leaves its lock file behind and nobody needs to clean up."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline().strip() == "held"
    said = f"process {holder.pid}"
    with pytest.raises(RunFolderError, match=said), RunFolder(tmp_path / "run", "icu").open():
        pass
    holder.kill()
    holder.wait()
    holder.stdout.close()
    with RunFolder(tmp_path / "run", "icu").open():
        pass


def test_a_folder_that_cannot_be_written_is_said_before_any_work(folder):
    """A file in the way, or rights that are missing, end in one message."""
    (folder / "taken").write_text("a file")
    study = read_study(folder / "study.yaml")
    for path in (folder / "taken", folder / "taken" / "inside"):
        with pytest.raises(RunFolderError, match=r"cannot be written: .*--folder"):
            study.run(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_the_right_to_write_is_said(folder):
    """A folder of somebody else is not a fault of the data."""
    closed = folder / "closed"
    closed.mkdir(mode=0o500)
    with pytest.raises(RunFolderError, match="cannot be written"):
        read_study(folder / "study.yaml").run(closed / "run")


def test_a_disk_that_is_full_is_said_as_such(folder, monkeypatch):
    """An error of the file system while a result is written names the folder."""
    from fusewise.study import fact_stages

    def full(path):
        raise OSError(28, "No space left on device")

    stage = type(fact_stages.FACT_STAGES[0])
    monkeypatch.setattr(stage, "writers", lambda self, result: {"data.json": full})
    with pytest.raises(RunFolderError, match="No space left on device"):
        read_study(folder / "study.yaml").run(folder / "run")


def test_the_folder_of_another_study_is_refused(folder):
    """Results of one study are not overwritten by another."""
    read_study(folder / "study.yaml").run(folder / "run", until="data")
    other = read_study(folder / "study.yaml", overrides={"study": "ward"})
    with pytest.raises(RunFolderError, match="holds a run of the study 'icu', not of 'ward'"):
        other.run(folder / "run", until="data")


def test_the_folder_of_a_newer_version_is_refused(tmp_path):
    """What a newer version wrote is not guessed at."""
    manifest = {"format": 99, "study": "icu", "stages": {}}
    (tmp_path / "run.json").write_text(json.dumps(manifest))
    said = "newer version of fusewise"
    with pytest.raises(RunFolderError, match=said), RunFolder(tmp_path, "icu").open():
        pass


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": 1}', '{"format": 1, "study": "icu", "stages": {"a": {}}}']
)
def test_a_damaged_manifest_vouches_for_nothing(tmp_path, text):
    """Without a readable manifest everything is done again."""
    (tmp_path / "run.json").write_text(text)
    with RunFolder(tmp_path, "icu").open() as opened:
        assert opened.manifest["stages"] == {}


def test_a_result_may_be_a_folder(tmp_path):
    """A folder is put in place, replaced and checked like a file."""

    def write(text):
        def writer(path: Path):
            path.mkdir()
            (path / "part").write_text(text)

        return writer

    with RunFolder(tmp_path, "icu").open() as opened:
        for text in ("one", "two"):
            opened.commit("fit", text, {"model": write(text)}, seconds=0.0)
            assert (tmp_path / "model" / "part").read_text() == text
            assert opened.is_current("fit", text)
        (tmp_path / "model" / "part").write_text("else")
        assert not opened.is_current("fit", "two")
        opened.drop("fit")
        assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("icu-mortality", "icu-mortality"),
        ("a/b: c", "a-b-c"),
        ("../..", "study"),
        ("ICU 2", "ICU-2"),
    ],
)
def test_the_default_folder_is_named_after_the_study(name, folder):
    """A name cannot lead out of `runs`."""
    assert default_folder(name) == Path("runs") / folder


def test_a_run_that_wrote_nothing_leaves_nothing(tmp_path):
    """The lock goes with the run, and so do the folders that it made and left empty."""
    with pytest.raises(KeyError), RunFolder(tmp_path / "runs" / "icu", "icu").open():
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_there_before_stays(tmp_path):
    """Only what the run made is taken away."""
    (tmp_path / "run").mkdir()
    with RunFolder(tmp_path / "run", "icu").open():
        assert (tmp_path / "run" / "run.lock").exists()
    assert list((tmp_path / "run").iterdir()) == []
    with RunFolder(tmp_path / "other", "icu").open() as opened:
        opened.save_manifest()
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["run.json"]


def test_a_lock_that_was_removed_while_it_was_being_taken_is_not_one(tmp_path, monkeypatch):
    """Who opened the file before it was removed takes the new one, so that one run holds it."""
    take, removed = folder_module._take, []

    def slow(lock):
        if not removed:
            removed.append(Path(lock.name))
            removed[0].unlink()
        return take(lock)

    monkeypatch.setattr(folder_module, "_take", slow)
    with RunFolder(tmp_path / "run", "icu").open():
        assert removed
        monkeypatch.setattr(folder_module, "_take", take)
        with pytest.raises(RunFolderError, match="in use"), RunFolder(tmp_path / "run", "i").open():
            pass
