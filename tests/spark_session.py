"""One local Spark session for all tests that need one, small and without a network."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Compiling code for each of hundreds of small queries would take most of the time.
SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.log.level": "ERROR",
}


def why_not() -> str | None:
    """Say why there can be no Spark session here; None where there can."""
    if importlib.util.find_spec("pyspark") is None:
        return "PySpark is not installed; scripts/spark installs it"
    if not (os.environ.get("JAVA_HOME") or shutil.which("java")):
        return "there is no Java, which Spark runs on"
    return None


def session(folder: Path) -> Iterator[Any]:
    """Start a session on two threads, whose tables lie in `folder`, and stop it at the end."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    from pyspark.sql import SparkSession

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        builder = SparkSession.builder.master("local[2]")
        for key, value in SETTINGS.items():
            builder = builder.config(key, value)
        spark = builder.config("spark.sql.warehouse.dir", str(folder)).getOrCreate()
        try:
            yield spark
        finally:
            spark.stop()
