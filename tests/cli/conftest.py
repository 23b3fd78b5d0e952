"""Small tables on disk with a study file, and a way to call the command line in this process."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

import fusewise.evaluate  # noqa: F401 - makes the room known to sys.modules
from fusewise.cli import main
from fusewise.fusion import PresenceOnlyClassifier
from fusewise.study import model_stages, plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STUDY = """\
study: ward
samples: {table: samples.parquet, id: stay_id, target: died}
modalities:
  static: {table: static.parquet}
  lab: {table: lab.parquet}
deployment: {rates: {lab: 0.5}}
training: {seed: 1}
"""


@dataclass(frozen=True)
class Said:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Return a function that runs a command as the console script does."""

    def run(*arguments: object) -> Said:
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(a) for a in arguments])
        out, err = capfd.readouterr()
        code = end.value.code
        return Said(code if isinstance(code, int) else 0, out, err)

    return run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with tables and a study file; it is the current folder."""
    rng = np.random.default_rng(0)
    n = 150
    died = rng.integers(0, 2, n)
    ids = np.arange(n)
    pd.DataFrame({"stay_id": ids, "died": died}).to_parquet(tmp_path / "samples.parquet")
    static = pd.DataFrame({"stay_id": ids, "age": 60 + 10 * died + rng.normal(0, 9, n)})
    static.to_parquet(tmp_path / "static.parquet")
    some = np.flatnonzero(rng.random(n) < 0.6)
    lab = pd.DataFrame({"stay_id": ids[some], "lactate": died[some] + rng.normal(0, 1, len(some))})
    lab.to_parquet(tmp_path / "lab.parquet")
    (tmp_path / "study.yaml").write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train on presence alone wherever a run would train something larger."""
    monkeypatch.setattr(
        model_stages, "make_estimator", lambda plan, job: PresenceOnlyClassifier(random_state=0)
    )
    monkeypatch.setattr(plan.BestSingle, "of", classmethod(lambda cls, late, train: None))
    room = sys.modules["fusewise.evaluate"]
    less = {"metrics": ["roc_auc"], "n_boot": 50, "rates": (), "withheld_patterns": 1}
    monkeypatch.setattr(room, "evaluate", partial(room.evaluate, **less))
