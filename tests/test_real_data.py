"""Tests on real data run where the data are, and are skipped with a reason where they are not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.real_data import find_data

HERE = Path(__file__).parent


def test_the_folder_of_the_data_sets(tmp_path: Path) -> None:
    """The variable comes first, then the folder beside the checkout; a wrong variable is told."""
    checkout = tmp_path / "checkout"
    beside = tmp_path / "shared" / "data"
    assert find_data({}, checkout) is None
    beside.mkdir(parents=True)
    assert find_data({}, checkout) == beside
    named = tmp_path / "elsewhere"
    with pytest.raises(pytest.UsageError, match=r"FUSEWISE_DATA names .*elsewhere"):
        find_data({"FUSEWISE_DATA": str(named)}, checkout)
    named.mkdir()
    assert find_data({"FUSEWISE_DATA": str(named)}, checkout) == named


def test_only_marked_tests_are_skipped(tmp_path: Path) -> None:
    """Without the data sets a marked test is skipped with a reason; its neighbours run."""
    folder = tmp_path / "checkout" / "tests" / "data"
    folder.mkdir(parents=True)
    for name in ("conftest.py", "real_data.py", "spark_session.py"):
        shutil.copy(HERE / name, folder.parent)
    (folder / "test_both.py").write_text(
        "import pytest\n"
        "@pytest.mark.data\ndef test_real(data_dir): raise AssertionError\n"
        "def test_other(): pass\n",
        encoding="utf-8",
    )
    (tmp_path / "checkout" / "pytest.ini").write_text(
        "[pytest]\nmarkers = data: real\n", encoding="utf-8"
    )
    environment = {k: v for k, v in os.environ.items() if k != "FUSEWISE_DATA"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider"],
        cwd=tmp_path / "checkout",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "1 passed, 1 skipped" in done.stdout
    assert "set FUSEWISE_DATA to their folder" in done.stdout
