"""What each process of ``test_distributed.py`` runs: a training, whose result the first writes."""

from __future__ import annotations

import atexit
import json
import os
import sys
from pathlib import Path

import numpy as np
import torch

from fusewise.nn import Settings, train
from tests.nn.tiny import TinyNetwork, cohort, hide_some


def trained(*, batch_size: int, rate: float, n: int, on_epoch=None, checkpoint=None):
    """Train the same network on the same data, whatever the number of processes."""
    settings = Settings(
        max_epochs=3, batch_size=batch_size, learning_rate=1e-2, balance="modulated",
        weight_decay=0.5,
    )  # fmt: skip
    given = cohort(n, rate=rate) | {"weight": np.linspace(0.5, 2, n)}
    return train(
        TinyNetwork(dropout=0), **given, settings=settings, draw=hide_some, on_epoch=on_epoch,
        checkpoint=checkpoint,
    )  # fmt: skip


CASES = {
    "ordinary": {"batch_size": 32, "rate": 0.8, "n": 200},
    "a share often lacks a modality": {"batch_size": 6, "rate": 0.15, "n": 100},
    "a share is empty": {"batch_size": 1, "rate": 0.5, "n": 30},
}


def threads() -> list[str]:
    """Return the names of this process's threads, or nothing where the system does not tell."""
    return [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    rank = os.environ["RANK"]
    left = folder / f"threads-{rank}.json"
    # What is registered first is called last: after the processes have left their group.
    atexit.register(lambda: left.write_text(json.dumps(threads())))
    for number, case in enumerate(CASES.values()):
        reported = []
        result = trained(
            **case,
            on_epoch=lambda record, seen=reported: seen.append(record["epoch"]),
            checkpoint=folder / f"checkpoint-{number}.pt",
        )
        np.savez(folder / f"result-{number}-{rank}.npz", **result.snapshots[-1])
        record = {"history": result.history, "reported": reported}
        (folder / f"record-{number}-{rank}.json").write_text(json.dumps(record))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
