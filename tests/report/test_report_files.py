"""Markdown, JSON, and files."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import numpy as np
import pytest

from fusewise.exceptions import ReportError, RunFolderError
from fusewise.report import report
from tests.report.report_results import FINDINGS, PROVENANCE, make_recommendation


@pytest.fixture(scope="module")
def full(results):
    return report(*results, FINDINGS, title="ICU mortality", provenance=PROVENANCE)


def test_markdown_holds_the_figures(full, results):
    """The Markdown has the strategy, the headline, every requirement and every pattern."""
    text = full.markdown
    assert "Recommended strategy: Late fusion" in text
    assert "0.853" in text
    assert "0.275 [0.256, 0.295]" in text
    for status in ("met", "not met", "undetermined"):
        assert f"**{status}**" in text
    assert set(results[2].by_pattern["pattern"]) <= set(re.split(r"[ ()|]", text))


def test_markdown_tables_are_regular(full):
    """Every row of a table has as many cells as its head."""
    table = []
    for line in [*full.markdown.splitlines(), ""]:
        if line.startswith("|"):
            table.append(len(re.findall(r"(?<!\\)\|", line)))
        elif table:
            assert len(set(table)) == 1
            assert len(table) >= 2
            table = []


def test_markdown_details_are_closed(full):
    """What is folded is closed again, with the empty lines that GitHub needs around a table."""
    assert full.markdown.count("<details>") == full.markdown.count("</details>") > 3
    assert "</summary>\n\n|" in full.markdown


def test_markdown_cells_cannot_break_the_table(results):
    """A pipe or a line break in a name stays inside its cell."""
    text = report(provenance={"a|b\nc": {"d|e": "f\n| g"}}).markdown
    assert "a\\|b c".lower() in text.lower()
    assert "f \\| g" in text


def test_json_holds_everything(full, results):
    """The JSON has each table row by row, with nothing in it that JSON does not know."""
    data = json.loads(json.dumps(full.to_dict(), allow_nan=False))
    assert data["title"] == "ICU mortality"
    assert data["recommendation"]["reasons"][0]["low"] == 0.256
    rows = data["evaluation"]["by_pattern"]
    assert len(rows) == len(results[2].by_pattern)
    assert rows[0]["pattern"] == results[2].by_pattern["pattern"].iloc[0]
    assert any(row["estimate"] is None for row in rows)
    assert data["findings"][0]["code"] == "FW301"
    assert data["provenance"] == PROVENANCE


@pytest.mark.parametrize("suffix", [".html", ".md", ".json", ".HTML"])
def test_suffix_decides(full, tmp_path, suffix):
    """The suffix chooses the format, whatever its case."""
    path = full.save(tmp_path / f"report{suffix}")
    text = path.read_text(encoding="utf-8")
    starts = {".html": "<!doctype html>", ".md": "# ICU", ".json": "{"}
    assert text.startswith(starts[suffix.lower()])
    assert [p.name for p in tmp_path.iterdir()] == [f"report{suffix}"]


@pytest.mark.parametrize("name", ["report.pdf", "report"])
def test_unknown_suffix_is_refused(full, tmp_path, name):
    """The message says what was expected, what came, and what to do."""
    with pytest.raises(RunFolderError, match=r"expected one of \.html, \.md, \.json") as error:
        full.save(tmp_path / name)
    assert name in str(error.value)
    assert "report.html" in str(error.value)
    assert not list(tmp_path.iterdir())


def test_folder_that_is_not_there(full, tmp_path):
    """A missing folder is named."""
    with pytest.raises(RunFolderError, match="Create the folder") as error:
        full.save(tmp_path / "missing" / "report.html")
    assert str(tmp_path / "missing") in str(error.value)
    assert isinstance(error.value, OSError)


def test_interrupted_write_leaves_the_old_report(full, tmp_path, monkeypatch):
    """A write that fails half way keeps the old file and leaves nothing else behind."""
    path = tmp_path / "report.md"
    path.write_text("old")

    def fail(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(RunFolderError, match="Permission denied"):
        full.save(path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["report.md"]


def test_nothing_to_report():
    """A report on nothing is refused."""
    with pytest.raises(ReportError, match="nothing to report"):
        report()


def test_swapped_results_are_named(results):
    """A result in the place of another is told where it belongs."""
    profile, _, evaluation = results
    with pytest.raises(ReportError, match=r"profile must be a DeploymentProfile.*evaluation="):
        report(evaluation)
    with pytest.raises(ReportError, match=r"evaluation must be an? Evaluation.*profile="):
        report(evaluation=profile)
    with pytest.raises(ReportError, match="got str"):
        report(recommendation="late")
    with pytest.raises(ReportError, match="findings must be objects"):
        report(findings=["a finding"])


def test_report_prints_and_shows_itself(full):
    """The repr names the sections; in a notebook the page stands in a frame of its own."""
    assert repr(full).startswith("Report('ICU mortality': recommendation, requirements, headline")
    shown = full._repr_html_()
    assert shown.startswith("<iframe")
    assert shown.count("<") == 2
    assert "sandbox" in shown


def test_provenance_of_any_depth():
    """Nested settings, lists of settings, seeds and warnings all find their place."""
    made = report(
        provenance={
            "seed": 20240101,
            "rounds": [{"strategy": "late", "score": np.float64(0.85)}, {"strategy": "early"}],
            "rows": {"train": 9590},
            "warnings": ["a warning"],
            "next step": "Collect more of it.",
        }
    )
    for text in ("20240101", "9,590", "a warning", "strategy", "0.85", "Collect more of it."):
        assert text in made.html
        assert text in made.markdown


def test_next_step_stands_beside_the_requirements(results):
    """Where whoever ran it has a proposal, it is shown with what was not met."""
    made = report(None, None, results[2], provenance={"next step": "Try early fusion."})
    section = made.html.split('id="requirements"')[1].split("<section")[0]
    assert "Try early fusion." in section


def test_objects_with_the_same_attributes_will_do():
    """Only attributes are read, so a stand-in with the same names is rendered too."""
    advice = make_recommendation()
    stand_in = SimpleNamespace(**vars(advice))
    assert report(None, stand_in).html == report(None, advice).html


def test_the_next_step_is_told_once(results):
    """Beside the requirements, and not again where the page tells how it was made."""
    made = report(*results, provenance={"seed": 0, "next step": "Take early fusion."})
    assert made.markdown.count("Take early fusion.") == 1
    assert made.html.count("Take early fusion.") == 1
    assert "Take early fusion." in report(provenance={"next step": "Take early fusion."}).markdown
