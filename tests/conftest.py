"""What all tests share: the real data sets where they are, and Hypothesis without surprises."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests import spark_session
from tests.real_data import find_data

# Figures are drawn into files; no test needs a display.
os.environ.setdefault("MPLBACKEND", "Agg")

CHECKOUT = Path(__file__).resolve().parents[1]

# The same examples in every run, on machines of any speed. HYPOTHESIS_PROFILE=explore looks further.
settings.register_profile(
    "ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", deadline=None, max_examples=500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if find_data(dict(os.environ), CHECKOUT) is not None:
        return
    absent = pytest.mark.skip(
        reason="the real data sets are not here: set FUSEWISE_DATA to their folder, "
        "or put them in ../shared/data beside the checkout"
    )
    for item in items:
        # Not item.keywords: they hold the names of folders too, and one folder of tests is "data".
        if item.get_closest_marker("data") is not None:
            item.add_marker(absent)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Return the folder of the real data sets; tests that ask for it are marked ``data``."""
    folder = find_data(dict(os.environ), CHECKOUT)
    if folder is None:
        pytest.skip("the real data sets are not here; see FUSEWISE_DATA in tests/real_data.py")
    return folder


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Return the Spark session of all tests; those that ask for it are marked ``spark``."""
    yield from spark_session.session(tmp_path_factory.mktemp("warehouse"))
