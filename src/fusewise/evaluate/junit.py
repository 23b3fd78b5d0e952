"""Requirements as JUnit XML, which continuous integration shows beside other tests."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pandas as pd

from fusewise.data import write_atomically
from fusewise.evaluate.requirements import MET, NOT_MET, UNDETERMINED

if TYPE_CHECKING:
    from fusewise.evaluate.result import Evaluation

# XML 1.0 knows no control characters, not even escaped.
_UNWRITABLE = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_junit(
    evaluation: Evaluation, path: str | os.PathLike[str], suite: str = "requirements"
) -> None:
    """Write one test case for each requirement.

    A requirement that is met is a test that passed, one that is not met a failure. One that is
    undetermined is a skipped test, with the reason: nothing was shown, neither way.

    Parameters
    ----------
    evaluation : Evaluation
    path : str or path
        Written whole or not at all.
    suite : str
        Name of the test suite, for instance of the study.

    Raises
    ------
    RunFolderError
        The folder does not exist.
    """
    status = evaluation.requirements["status"]
    root = ET.Element(
        "testsuite",
        name=_text(suite),
        tests=str(len(status)),
        failures=str(int((status == NOT_MET).sum())),
        errors="0",
        skipped=str(int((status == UNDETERMINED).sum())),
    )
    for row in evaluation.requirements.itertuples(index=False):
        case = ET.SubElement(root, "testcase", classname=_text(suite), name=_text(row.requirement))
        message = f"{row.status}: {_figure(row)}; {row.reason}"
        if row.status == NOT_MET:
            found = ET.SubElement(case, "failure", type="requirement")
        elif row.status == UNDETERMINED:
            found = ET.SubElement(case, "skipped")
        else:
            assert row.status == MET
            found = ET.SubElement(case, "system-out")
            found.text = _text(message)
            continue
        found.set("message", _text(message))
    ET.indent(root)
    write_atomically(path, ET.tostring(root, encoding="utf-8", xml_declaration=True))


def _figure(row: object) -> str:
    estimate, low, high, n = (getattr(row, name) for name in ("estimate", "low", "high", "n"))
    if pd.isna(estimate):
        return f"undefined, n {n}"
    limits = "" if pd.isna(low) else f" [{low:.4g}, {high:.4g}]"
    return f"{estimate:.4g}{limits}, n {n}"


def _text(value: object) -> str:
    return _UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", str(value))
