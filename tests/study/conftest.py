"""Small tables on disk, a study file on them, and stand-ins that train in no time."""

from __future__ import annotations

import shutil
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fusewise.evaluate  # noqa: F401 - makes the room known to sys.modules
from fusewise.fusion import PresenceOnlyClassifier
from fusewise.study import model_stages, plan, read_study

STUDY = """\
study: icu
samples:
  table: samples.parquet
  id: stay_id
  target: died
  cluster: patient_id
  groups: [sex]
  split: part
modalities:
  static: {table: static.parquet}
  vitals: {table: vitals.parquet, kind: events, time: minute, variable: variable, value: value}
  lab: {table: lab.csv}
deployment:
  observed: requests.parquet
requirements:
  - {present: [static], metric: roc_auc, at_least: 0.05}
training: {strategy: late, seed: 3}
"""


def write_tables(folder: Path, n: int = 120) -> None:
    """Write a samples table, three modalities and a log of requests."""
    rng = np.random.default_rng(0)
    ids = np.arange(1000, 1000 + n)
    died = rng.integers(0, 2, n)
    part = np.array(["train", "train", "train", "validation", "test", "test"])[np.arange(n) % 6]
    samples = pd.DataFrame({"stay_id": ids, "patient_id": ids, "died": died, "part": part})
    samples["sex"] = np.where(rng.random(n) < 0.5, "f", "m")
    samples.to_parquet(folder / "samples.parquet")
    static = pd.DataFrame({"stay_id": ids, "age": 60 + 10 * died + rng.normal(0, 9, n)})
    static.to_parquet(folder / "static.parquet")
    some = np.repeat(np.flatnonzero(rng.random(n) < 0.7), 3)
    vitals = pd.DataFrame({"stay_id": ids[some], "minute": np.tile([5, 30, 90], len(some) // 3)})
    vitals["variable"] = "pulse"
    vitals["value"] = 80 + 8 * died[some] + rng.normal(0, 9, len(some))
    vitals.to_parquet(folder / "vitals.parquet")
    few = np.flatnonzero(rng.random(n) < 0.5)
    lab = pd.DataFrame({"stay_id": ids[few], "lactate": 1 + died[few] + rng.normal(0, 1, len(few))})
    lab.to_csv(folder / "lab.csv", index=False)
    log = pd.DataFrame({"request": [0, 0, 1, 1, 1, 2], "modality": "static"})
    log["modality"] = ["static", "vitals", "static", "vitals", "lab", "static"]
    log.to_parquet(folder / "requests.parquet")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with tables and a study file."""
    write_tables(tmp_path)
    (tmp_path / "study.yaml").write_text(STUDY)
    return tmp_path


def stand_in(patch: pytest.MonkeyPatch) -> None:
    """Train on presence alone and evaluate little, wherever a run would do more."""
    patch.setattr(
        model_stages, "make_estimator", lambda plan, job: PresenceOnlyClassifier(random_state=0)
    )
    patch.setattr(plan.BestSingle, "of", classmethod(lambda cls, late, train: None))
    # The package has a function of the room's name, so the room is taken from where it is kept.
    room = sys.modules["fusewise.evaluate"]
    less = {"metrics": ["roc_auc"], "n_boot": 50, "rates": (), "withheld_patterns": 1}
    patch.setattr(room, "evaluate", partial(room.evaluate, **less))
    patch.setattr(room, "compare", partial(room.compare, **less))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make stages quick; see `stand_in`."""
    stand_in(monkeypatch)


@pytest.fixture(scope="session")
def finished_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run a study once for all tests that begin with a finished run."""
    folder = tmp_path_factory.mktemp("finished")
    write_tables(folder)
    (folder / "study.yaml").write_text(STUDY)
    with pytest.MonkeyPatch.context() as patch:
        stand_in(patch)
        read_study(folder / "study.yaml").run(folder / "run")
    return folder


@pytest.fixture
def finished(finished_once: Path, tmp_path: Path, quick: None) -> Path:
    """Return a copy of a folder whose study has been run to the end in `run`."""
    return Path(shutil.copytree(finished_once, tmp_path / "finished"))
