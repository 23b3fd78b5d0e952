"""The example scripts run as they are, and the example studies fit their data."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from fusewise.study import read_study

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("script", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_script_runs_to_its_end(script, tmp_path, monkeypatch, capsys):
    """Each numbered script works as it stands and leaves a report in its folder."""
    monkeypatch.setattr(sys, "argv", [str(script), str(tmp_path / "out")])
    runpy.run_path(str(script), run_name="__main__")
    assert list((tmp_path / "out").rglob("report.html"))


@pytest.mark.parametrize(
    "path", sorted(EXAMPLES.glob("*/study.yaml")), ids=lambda path: path.parent.name
)
def test_an_example_study_is_well_formed(path):
    """Each example can be read without its data."""
    study = read_study(path)
    assert study.name == path.parent.name
    assert study.file.requirements


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "train", "test"),
    [("p12", 10789, 1199), ("rosmap", 245, 106), ("handwritten", 1600, 400)],
)
def test_an_example_study_splits_as_published(data_dir, name, train, test):
    """The published training and test parts come out, validation rows in training."""
    study = read_study(EXAMPLES / name / "study.yaml", root=data_dir / name)
    if name == "p12":
        study = read_study(
            EXAMPLES / name / "study.yaml",
            root=data_dir / name,
            overrides={"modalities": {"static": {"table": "static.parquet"}}, "requirements": []},
        )
    parts = study.split()
    assert tuple(len(part) for part in parts) == (train, test)
