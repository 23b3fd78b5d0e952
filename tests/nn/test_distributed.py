"""Several processes: the result is that of one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from fusewise.nn import Processes
from tests.nn.distributed_training import CASES, trained

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of what two processes made, together, of each case."""
    folder = tmp_path_factory.mktemp("two")
    done = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
            "-m", "tests.nn.distributed_training", str(folder),
        ],
        cwd=CHECKOUT, env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-5000:]
    return folder


@pytest.mark.parametrize("name", CASES)
def test_two_processes_are_one(two_processes: Path, name: str) -> None:
    """Weights, losses and contributions agree, also where a share lacks a modality or samples."""
    number = list(CASES).index(name)
    alone = trained(**CASES[name])
    for rank in range(2):
        together = np.load(two_processes / f"result-{number}-{rank}.npz")
        for key, array in alone.snapshots[-1].items():
            np.testing.assert_allclose(together[key], array, atol=1e-5)
        records = json.loads((two_processes / f"record-{number}-{rank}.json").read_text())
        for mine, theirs in zip(alone.history, records["history"], strict=True):
            for key in ("train_loss", "check_loss", "auxiliary_loss", "contribution", "pace"):
                assert theirs[key] == pytest.approx(mine[key], abs=1e-5, nan_ok=True)
        # The first alone speaks for both.
        assert records["reported"] == ([0, 1, 2] if rank == 0 else [])
    first, second = (np.load(two_processes / f"result-{number}-{rank}.npz") for rank in range(2))
    assert all(np.array_equal(first[key], second[key]) for key in first)


def test_no_thread_outlives_the_group(two_processes: Path) -> None:
    """One that did would meet the interpreter's end, where it now and then aborts the process."""
    for rank in range(2):
        threads = json.loads((two_processes / f"threads-{rank}.json").read_text())
        assert not [name for name in threads if "gloo" in name]


def test_one_process_goes_on_where_two_stopped(two_processes: Path) -> None:
    """Their checkpoint is that of the same training."""
    again = trained(**CASES["ordinary"], checkpoint=two_processes / "checkpoint-0.pt")
    together = np.load(two_processes / "result-0-0.npz")
    for key, array in again.snapshots[-1].items():
        assert np.array_equal(together[key], array)


def test_shares_are_a_partition() -> None:
    """Each sample of a batch is in one share; a share without any has a factor of zero."""
    samples = torch.tensor([5, 3, 9, 7, 1])
    shares = [Processes(r, 3, torch.device("cpu")).share(samples) for r in range(3)]
    assert sorted(torch.cat([own for own, _ in shares]).tolist()) == [1, 3, 5, 7, 9]
    assert {factor for _, factor in shares} == {1.0}
    own, factor = Processes(1, 2, torch.device("cpu")).share(samples[:1])
    assert (own.tolist(), factor) == ([5], 0.0)
