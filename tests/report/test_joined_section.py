"""What the page and the terminal say of pairs of modalities."""

from __future__ import annotations

import re
from dataclasses import replace

import pandas as pd
import pytest

from fusewise.cli.show import show_profile
from fusewise.report import report
from tests.report.report_results import make_profile

NAN = float("nan")
HOSTILE = '<img src=x onerror=alert(1)>"'


@pytest.fixture
def profile():
    return make_profile(n_patterns=4)


def words(profile):
    """Return the section as Markdown, on one line and without escapes."""
    text = report(profile).markdown.partition("## Dimensions and cadence")[2]
    return " ".join(text.partition("\n## ")[0].replace("\\", "").split())


def html(profile):
    """Return the HTML of the section."""
    return re.search(r'<section id="dimensions".*?</section>', report(profile).html, re.DOTALL)[0]


def said(profile, capsys):
    """Return what the terminal shows."""
    capsys.readouterr()
    show_profile(profile)
    return " ".join(capsys.readouterr().out.split())


def test_pairs_stand_in_the_order_of_their_likeness(profile, capsys):
    """With interval and n; the page shows 20, the terminal 5, and both say how many there are."""
    text = words(profile)
    assert "| static | vitals | 0.72 [0.69, 0.75] | 2,000 | 5,000 |" in text
    assert len(re.findall(r"\| 2,000 \| 5,000 \|", text)) == 20
    n = len(profile.redundancy)
    assert f"{n - 20} pairs more in the JSON" in text
    assert html(profile).count('class="heat') > 2
    shown = said(profile, capsys)
    assert f"Redundancy, 5 of {n} pairs" in shown
    assert "static and vitals 0.72 [0.69, 0.75] 2,000 5,000" in shown


def test_nothing_measured_is_nothing_shown(profile, capsys):
    """A profile of an older file, and pairs that could not be compared."""
    table = profile.redundancy
    for bare in (pd.DataFrame(), table[:0], table.assign(cka=NAN, low=NAN, high=NAN)):
        other = replace(profile, redundancy=bare)
        assert "Redundancy" not in html(other)
        assert "Redundancy" not in said(other, capsys)


def test_a_figure_without_an_interval_is_shown_without_one(profile, capsys):
    """Nothing is written as nan; what could not be compared is counted."""
    table = profile.redundancy.assign(low=NAN, high=NAN)
    table.loc[0, "cka"] = NAN
    other = replace(profile, redundancy=table)
    assert "| static | neuro | 0.66 |" in words(other)
    assert "1 pair could not be compared" in words(other)
    for text in (words(other), said(other, capsys)):
        assert "nan" not in re.split(r"\W", text.lower())


def test_two_modalities_need_no_drawing():
    """One figure is a sentence and a row."""
    two = make_profile({"a": 0.9, "b": 0.5}, n_patterns=3)
    assert "| a | b | 0.72 [0.69, 0.75] |" in words(two)
    assert 'class="heat' not in html(two)


def test_ages_and_lags_stand_with_their_intervals(profile, capsys):
    """The oldest and the furthest apart first; what was declared stands beside."""
    streams = profile.staleness["modality"]
    text = words(profile)
    row = f"| {streams.iloc[-1]} | 4,000 | 27.0 ([19.0, 30.0]) | 17.0 | 40.0 | 80.0 | 25.0 |"
    assert row in text
    assert "42.0% [40.0, 44.0]" in text
    last, before = streams.iloc[-1], streams.iloc[-2]
    assert (
        f"| {before} | {last} | 25.0 ([4.5, 30.5]) | 1.000 | 60.0 | 93.0% | 3,900 | 40.0% |" in text
    )
    assert "Declared is that they do not arrive together" in text
    n = len(profile.asynchrony)
    assert f"{n - 20} pairs more in the JSON" in text
    shown = said(profile, capsys)
    assert f"5 of {n} ordered pairs" in shown
    assert f"{before} after {last} 25 [4.5, 30.5] 1 to 60 3,900 40%" in shown
    assert "20 [19, 30] 10 to 40 25 42%" in shown


def test_streams_without_figures_are_left_out(profile, capsys):
    """Nothing is written as nan, and empty tables leave no heading."""
    numbers = ["lag", "lag_q25", "lag_q75", "low", "high", "preceded"]
    ages = profile.staleness.copy()
    ages[["typical_gap", "share_older", "share_low", "share_high", "low", "high"]] = NAN
    bare = replace(profile, asynchrony=profile.asynchrony.assign(**dict.fromkeys(numbers, NAN)),
                   staleness=ages)  # fmt: skip
    for text in (words(bare), said(bare, capsys)):
        assert "nan" not in re.split(r"\W", text.lower())
        assert "apart" not in text
    none = replace(profile, asynchrony=pd.DataFrame(), staleness=pd.DataFrame())
    assert "Staleness" not in words(none)
    assert "Latest event" not in said(none, capsys)


def test_names_are_shown_and_do_nothing(profile, capsys):
    """Whatever they say."""
    named = replace(
        profile,
        redundancy=profile.redundancy.assign(modality=HOSTILE),
        staleness=profile.staleness.assign(modality=HOSTILE),
        asynchrony=profile.asynchrony.assign(other=HOSTILE),
    )
    assert "<img" not in html(named)
    marked = replace(profile, redundancy=profile.redundancy.assign(modality="[red]x[/]"))
    assert "[red]x[/] and vitals" in said(marked, capsys)
