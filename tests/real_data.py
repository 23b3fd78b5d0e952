"""Where the real data sets are. They are not part of this repository: licences differ."""

from __future__ import annotations

from pathlib import Path

import pytest


def find_data(environment: dict[str, str], checkout: Path) -> Path | None:
    """Return the folder of the real data sets, None where there is none.

    A folder that was named and does not exist is an error: whoever named it expects these tests to
    run.
    """
    named = environment.get("FUSEWISE_DATA")
    if named:
        folder = Path(named)
        if not folder.is_dir():
            message = f"FUSEWISE_DATA names {folder}, which is no folder. Correct it or unset it."
            raise pytest.UsageError(message)
        return folder
    beside = checkout.parent / "shared" / "data"
    return beside if beside.is_dir() else None
