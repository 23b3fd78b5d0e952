"""What the page and the terminal say of cost."""

from __future__ import annotations

import re
from dataclasses import replace

import pandas as pd

from fusewise.cli.show import show_profile
from fusewise.report import report
from tests.report.report_results import make_profile

NAN = float("nan")


def words(profile):
    """Return the section as Markdown, on one line and without escapes."""
    text = report(profile).markdown.partition("## Cost in use")[2]
    return " ".join(text.partition("\n## ")[0].replace("\\", "").split())


def said(profile, capsys):
    """Return what the terminal shows."""
    capsys.readouterr()
    show_profile(profile)
    return " ".join(capsys.readouterr().out.split())


def test_each_strategy_has_a_row_with_its_bounds(capsys):
    """Complete and in use, memory and latency; the declared limit stands below."""
    profile = make_profile(n_patterns=4)
    row = "| Late fusion | 25,800 | 2,944 | 431 ([345, 539]) | 28.6 ([14.3, 57.2]) | 22.9 |"
    assert row in words(profile)
    assert "Declared limits: **50.0 ms per sample**" in words(profile)
    assert "late 25,800 2,944 431 [345, 539] 29 [14, 57] 23" in said(profile, capsys)


def test_an_unknown_deployment_has_no_cost_in_use(capsys):
    """And no nan."""
    profile = make_profile(n_patterns=4, source="none")
    assert "| n/a |" in words(profile)
    assert "29 [14, 57] unknown" in said(profile, capsys)
    bare = replace(profile, compute=profile.compute.assign(latency_low=NAN, latency_high=NAN))
    assert "nan" not in re.split(r"\W", words(bare).lower())


def test_nothing_estimated_is_nothing_shown(capsys):
    """A profile of an older file."""
    profile = make_profile(n_patterns=4)
    for table in (pd.DataFrame(), profile.compute[:0]):
        bare = replace(profile, compute=table)
        assert not words(bare)
        assert "Cost of one" not in said(bare, capsys)
