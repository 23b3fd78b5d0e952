"""Where benchmark scripts find the real data, and how they print and keep their tables."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

RESULTS = Path(__file__).parent / "results"


def data_folder() -> Path:
    """Return the folder of the real data sets (FUSEWISE_DATA, or ``../shared/data``)."""
    folder = Path(os.environ.get("FUSEWISE_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        raise SystemExit("No data: set FUSEWISE_DATA to the folder of the real data sets.")
    return folder


def keep(name: str, title: str, tables: dict[str, pd.DataFrame], notes: list[str]) -> None:
    """Print the tables and write them to ``results/NAME.md`` and ``results/NAME.json``."""
    lines = [f"# {title}", ""]
    for caption, table in tables.items():
        lines += [f"**{caption}**", "", as_markdown(table), ""]
    packages = ("fusewise", "scikit-learn", "lightgbm", "numpy", "duckdb")
    made_with = ", ".join(f"{p} {version(p)}" for p in packages)
    lines += [*notes, f"Python {platform.python_version()}, {made_with}.", ""]
    text = "\n".join(lines)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(text, encoding="utf-8")
    rows = {caption: json.loads(t.to_json(orient="records")) for caption, t in tables.items()}
    (RESULTS / f"{name}.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(text)


def as_markdown(table: pd.DataFrame) -> str:
    """Return a GitHub table; numbers with four decimals."""
    rows = [[_cell(v) for v in row] for row in table.itertuples(index=False)]
    head = [str(c) for c in table.columns]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def _cell(value: object) -> str:
    if isinstance(value, float | np.floating):
        return f"{value:.4f}" if abs(value) < 10 else f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int | np.integer) else str(value)
