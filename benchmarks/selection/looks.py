"""The log of looks at the held-out half and the real sets."""

from __future__ import annotations

import datetime as dt
import subprocess
from pathlib import Path

import pandas as pd

MATRIX = "matrix"

LOG = Path(__file__).parents[2] / "docs" / "heldout_looks.md"
UNSEEN = ("heldout", "real")


def state() -> str:
    """Return the state of the code: its commit, and whether something is not committed."""
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=LOG.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip() or "unknown"


def log_look(command: str, why: str, regrets: pd.DataFrame, path: Path = LOG) -> None:
    """Add a row: when, at which state of the code, what was run, why, and what was seen first."""
    seen = "; ".join(
        f"{row['scope']}: {row['mean_regret']:.4f} [{row['low']:.4f}, {row['high']:.4f}], "
        f"n {row['deployments']}"
        for row in regrets.to_dict("records")
        if row["policy"] == MATRIX and row["scope"] != "calibration"
    )
    today = dt.datetime.now(tz=dt.UTC).date().isoformat()
    line = f"| {today} | {state()} | `{command}` ({why}) | matrix, {seen} | |\n"
    with path.open("a", encoding="utf-8") as log:
        log.write(line)
