"""Measured rows, one file per deployment, written as a whole and under a lock.

Rows are kept by (seed, what): ``what`` is a strategy, ``profile``, ``cv``, or another policy that
was asked. Processes may share a folder: each reads, adds and replaces a file while it holds its
lock, so that a kill leaves the file as it was.
"""

from __future__ import annotations

import fcntl
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from results_table import RESULTS

from fusewise.data.result import write_atomically

FOLDER = RESULTS / "selection_rows"
Row = dict[str, Any]


class DeploymentRows:
    """The rows of one deployment."""

    def __init__(self, deployment: str, folder: Path = FOLDER) -> None:
        self.path = folder / f"{re.sub('[^a-z0-9]+', '_', deployment.lower()).strip('_')}.json"

    def read(self) -> list[Row]:
        """Return all rows."""
        if not self.path.exists():
            return []
        rows: list[Row] = json.loads(self.path.read_text(encoding="utf-8"))
        return rows

    def add(self, new: Iterable[Row]) -> None:
        """Add rows in the place of older ones with the same seed and ``what``."""
        new = list(new)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = self.path.parent / ".lock"
        with lock.open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            rows = {key(row): row for row in [*self.read(), *new]}
            text = ",\n".join(json.dumps(rows[k]) for k in sorted(rows))
            write_atomically(self.path, f"[\n{text}\n]\n".encode())

    def done(self, seed: int) -> set[str]:
        """Return what one seed has already."""
        return {row["what"] for row in self.read() if row["seed"] == seed}


def key(row: Row) -> tuple[int, str]:
    """Return what a row is kept by."""
    return row["seed"], row["what"]
