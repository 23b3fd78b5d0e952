"""What the terminal says of the training rows."""

from __future__ import annotations

import re
from dataclasses import replace

import pandas as pd
import pytest

from fusewise.cli.show import show_profile
from tests.report.report_results import make_profile

NAN = float("nan")
TABLES = ("probes", "mechanism", "arrival", "shift", "group_shift")
TITLES = {
    "probes": "Signal in the training rows",
    "mechanism": "What presence depends on",
    "arrival": "Arrival",
    "shift": "Availability shift",
}


@pytest.fixture
def profile():
    return make_profile(n_patterns=4)


@pytest.fixture
def shown(capsys):
    """Return a function that shows a profile and returns the words that it printed."""

    def show(profile):
        capsys.readouterr()
        show_profile(profile)
        return " ".join(capsys.readouterr().out.split())

    return show


def only(profile, *kept):
    """Return the profile with no table of these but those named."""
    return replace(profile, **{name: pd.DataFrame() for name in TABLES if name not in kept})


@pytest.mark.parametrize("name", TITLES)
def test_each_table_is_shown_where_there_is_something(profile, shown, name):
    """A profile without any of them, of an older file, shows none."""
    said = shown(only(profile, name))
    assert [title for title in TITLES.values() if title in said] == [TITLES[name]]
    assert not [title for title in TITLES.values() if title in shown(only(profile))]
    empty = replace(profile, **{table: getattr(profile, table)[:0] for table in TABLES})
    assert not [title for title in TITLES.values() if title in shown(empty)]


def test_the_figures_stand_in_the_tables(profile, shown):
    """Answers, dependences, times and distances, each with its interval."""
    said = shown(profile)
    for piece in (
        "Does timing carry signal? shown 0.0150 [0.0060, 0.0240] 0.827 0.850 roc_auc 4,000",
        "Do modalities interact? not shown 0.0020 [-0.0015, 0.0055]",
        "vitals values of other modalities 0.570 [0.520, 0.620] 0.024 1,000",
        "vitals group gender",
        "vitals 24 48 72 85% [83%, 87%] 72",
        "urine 72 144 never 65% [63%, 67%] 216",
        "deployment training 11% [8%, 13%] 3% 0.002 cardiac 0.30 to 0.28",
        "site: 1 all others",
        "Groups: 2 of 11 levels differ",
    ):
        assert piece in said
    assert "site: 2" not in said


def test_only_findings_are_listed_and_the_rest_is_counted(profile, shown):
    """What is not beyond chance, and what could not be tested, takes one line."""
    said = shown(only(profile, "mechanism"))
    assert "0.310" not in said
    assert "18 of 33 tested dependences found at corrected p 0.05, 3 not testable" in said
    nothing = profile.mechanism.assign(p_holm=0.06)
    said = shown(only(replace(profile, mechanism=nothing), "mechanism"))
    assert "0 of 36 tested" in said
    assert "AUROC of presence" not in said


def test_a_question_that_could_not_be_put_says_why(profile, shown):
    """In place of its figures."""
    probes = profile.probes.assign(effect=NAN, low=NAN, high=NAN, note="no modality has [times]")
    said = shown(only(replace(profile, probes=probes), "probes"))
    assert said.count("not measured no modality has [times]") == 2


def test_a_declared_likeness_is_no_distance(profile, shown):
    """It is not shown as measured."""
    alike = replace(only(profile, "shift"), source="training")
    assert "Availability shift" not in shown(alike)


def test_what_does_not_exist_is_not_printed_as_nan(profile, shown):
    """Each number of each table at once."""
    bare = {}
    for name in TABLES:
        frame = getattr(profile, name).copy()
        frame[[c for c in frame.select_dtypes("float") if c != "time"]] = NAN
        bare[name] = frame
    assert "nan" not in re.split(r"\W", shown(replace(profile, **bare)).lower())


def test_names_are_no_markup(profile, shown):
    """Brackets in names are printed as they are."""
    name = "[red]x[/]"
    said = shown(
        replace(
            only(profile),
            probes=profile.probes.assign(axis=name, metric=name),
            mechanism=profile.mechanism.assign(modality=name, depends_on=f"group:{name}"),
            arrival=profile.arrival.assign(modality=name),
            shift=profile.shift.assign(to=name, most_changed=name),
            group_shift=profile.group_shift.assign(to=name, most_changed=name),
        )
    )
    for piece in ("{} not shown", "group {} 0.570", "{} 24 ", "{} training", "{} all others"):
        assert piece.format(name) in said
