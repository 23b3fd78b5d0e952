"""The section on what the training rows say: shown where there is something, and all of it."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import pandas as pd
import pytest

from fusewise.report import report
from fusewise.report.plots.arrival import Arrived, draw_arrival
from tests.report.report_results import make_profile

NAN = float("nan")
TABLES = ("probes", "mechanism", "arrival", "shift", "group_shift")
HOSTILE = '<img src=x onerror=alert(1)>"'
TITLES = {
    "probes": "Two questions about signal",
    "mechanism": "What presence depends on",
    "arrival": "When each modality arrives",
    "shift": "Availability shift",
}


@pytest.fixture
def profile():
    return make_profile(n_patterns=4)


def only(profile, *kept):
    """Return the profile with no table of this section but those named."""
    return replace(profile, **{name: pd.DataFrame() for name in TABLES if name not in kept})


def section(profile):
    """Return the HTML of the section, empty where there is none."""
    found = re.search(r'<section id="evidence".*?</section>', report(profile).html, re.DOTALL)
    return found[0] if found else ""


def words(profile):
    """Return the section as Markdown, on one line and without escapes."""
    text = report(profile).markdown.partition("## What the training rows say")[2]
    return " ".join(text.partition("\n## ")[0].replace("\\", "").split())


def test_nothing_asked_is_nothing_shown(profile):
    """Tables without columns, and tables without rows, leave the section out."""
    assert not section(only(profile))
    assert not section(replace(profile, **{name: getattr(profile, name)[:0] for name in TABLES}))


@pytest.mark.parametrize("name", TITLES)
def test_each_table_alone_makes_its_part_and_no_other(profile, name):
    """What was not asked leaves no heading behind."""
    text = section(only(profile, name))
    assert [title for title in TITLES.values() if f">{title}<" in text] == [TITLES[name]]


def test_a_question_is_answered_with_its_figures(profile):
    """The effect with its interval, n, and both scores; what is not found is not disproved."""
    text = words(only(profile, "probes"))
    for piece in (
        "**shown**: **Does timing carry signal?** Yes",
        "effect 0.0150 [0.0060, 0.0240]",
        "AUROC 0.827 without, 0.850 with · n = 4,000",
        "**not shown**: **Do modalities interact?**",
        "effect 0.0020 [−0.0015, 0.0055]",
        "That does not disprove it",
    ):
        assert piece in text


def test_a_question_that_could_not_be_put_says_why(profile):
    """No figure, and no drawing of one."""
    probes = profile.probes.assign(note="no modality has times", shown=False)
    probes[["effect", "low", "high", "score_without", "score_with"]] = NAN
    text = section(only(replace(profile, probes=probes), "probes"))
    assert text.count("Not measured: no modality has times.") == 2
    assert "<svg" not in text
    assert "effect n/a" not in text
    assert "open" in re.findall(r'<li class="verdict (\w+)"', text)


def test_what_was_declared_stands_beside_what_was_measured(profile):
    """Both are told, so that a contradiction is seen."""
    declared = replace(profile, deployment={**profile.deployment, "interaction": "yes"})
    assert words(only(declared, "probes")).count("declared: yes") == 1
    assert "declared:" not in words(only(profile, "probes"))


def test_a_dependence_beyond_chance_is_marked_and_explained(profile):
    """By the corrected p; what a finding means stands once for each source that has one."""
    text = words(only(profile, "mechanism"))
    assert text.count("● 0.") == (profile.mechanism["p_holm"] <= 0.05).sum()
    assert "● 0.570 ([0.520, 0.620] p = 0.024)" in text
    assert "0.590 ([0.540, 0.640] p = 0.310)" in text
    assert "**The target**:" in text
    assert "**The group gender**:" in text
    assert "**Values of other modalities**:" in text
    chance = profile.mechanism.assign(p_holm=0.051)
    text = words(only(replace(profile, mechanism=chance), "mechanism"))
    assert "● 0." not in text
    assert "**The target**:" not in text
    assert "Nothing was found" in text
    assert "does not prove that absence is harmless" in text


def test_what_could_not_be_tested_takes_one_line(profile):
    """Counted, with one reason, and not listed as rows."""
    text = words(only(profile, "mechanism"))
    left = profile.mechanism["score"].isna()
    said = f"{left.sum()} of {len(left)} pairs of modality and source could not be tested"
    assert text.count("0 samples lack it") == 1
    assert f"{said}, for example static and values of other modalities: 0 samples lack it." in text
    assert "| static |" not in text
    none = profile.mechanism[left]
    text = words(only(replace(profile, mechanism=none), "mechanism"))
    assert "3 of 3 pairs" in text
    assert "●" not in text


def test_sources_keep_their_order_whatever_was_tested_first(profile):
    """The modality in the first row was not tested against the first source."""
    rows = profile.mechanism
    place = rows["modality"].eq("vitals") & rows["depends_on"].eq("values")
    some = rows.assign(score=rows["score"].mask(place))
    text = words(only(replace(profile, mechanism=some), "mechanism"))
    assert "| modality | values of other modalities | the target | group: gender |" in text


def test_arrival_tells_when_a_quarter_a_half_and_three_quarters_have_it(profile):
    """And what share has it in the end; a share never reached is never."""
    page = only(profile, "arrival")
    row = "| vitals | 24 | 48 | 72 | 85.0% [83.0, 87.0] | 72 | 700 |"
    assert row in words(page)
    assert "| urine | 72 | 144 | never | 65.0% [63.0, 67.0] | 216 | 700 |" in words(page)
    assert "Half of the samples have **vitals** by 48, the first" in words(page)
    text = section(page)
    assert text.count('class="stroke s-a"') == text.count('class="band-of s-a"') == 11
    assert text.count(">85.0%</text>") >= 1


def test_many_modalities_are_drawn_in_part_and_told_in_full():
    """Panels stay readable; the table has all."""
    many = make_profile({f"m{i}": 0.5 for i in range(20)}, n_patterns=4)
    page = only(many, "arrival")
    text = section(page)
    assert text.count("<svg") == 16
    assert all(f"| m{i} |" in words(page) for i in range(20))
    assert "In the table only: 4 modalities more." in words(page)


def test_the_curve_keeps_its_height_until_the_next_step():
    """Steps and no slopes; all at once and nobody at all are drawn, too."""
    drawn = str(
        draw_arrival(
            [Arrived(4, 0.5, 0.4, 0.6), Arrived(8, 0.75, 0.7, 0.8)],
            label="a", until=8, half=4, width=200, height=120,
        )
    )  # fmt: skip
    path = re.search(r'd="M([^"]*)" class="stroke', drawn)[1]
    points = [tuple(map(float, pair.split())) for pair in path.split("L")]
    assert len(points) == 5
    assert all(a[0] == b[0] or a[1] == b[1] for a, b in pairwise(points))
    assert points[0][1] > points[2][1] > points[4][1]
    for share in (0.0, 1.0):
        flat = str(
            draw_arrival(
                [Arrived(0, share)], label="a", until=0, half=NAN, width=200, height=120
            )
        )  # fmt: skip
        assert "nan" not in flat
        assert f">{100 * share:.0f}%</text>" in flat


def test_shift_names_the_deployment_and_the_groups_that_differ_most(profile):
    """Eight levels at most, the others counted; the lower limit decides the order."""
    text = words(only(profile, "shift", "group_shift"))
    assert "**Deployment and training differ** by 11.2% [8.3, 13.4]" in text
    assert "where 3.1% is expected" in text
    assert "Most changed: cardiac 0.30 to 0.28." in text
    shown = re.findall(r"\| site: (\d+)", text)
    assert shown == [str(i) for i in range(8)]
    assert "Of 11 levels" in text
    assert "2 differ beyond chance" in text
    assert "3 more were compared" in text


def test_a_declared_likeness_is_no_test(profile):
    """A distance of zero by declaration is not shown as measured."""
    alike = replace(only(profile, "shift"), source="training")
    assert "no test of it" in words(alike)
    assert "| deployment" not in words(alike)


def test_a_distance_that_is_not_known_is_not_written_as_one(profile):
    """With rates of too many modalities only what changed most is told."""
    unknown = profile.shift.assign(
        n_to=NAN, distance=NAN, low=NAN, high=NAN, expected_if_same=NAN, p=NAN
    )
    text = words(only(replace(profile, shift=unknown), "shift"))
    assert "is not known" in text
    assert "Most changed: cardiac" in text
    assert "| declared |" in text


def test_numbers_that_do_not_exist_are_never_nan(profile):
    """Every number of every table at once."""
    bare = {}
    for name in TABLES:
        frame = getattr(profile, name).copy()
        numbers = [c for c in frame.select_dtypes("float") if c != "time"]
        frame[numbers] = NAN
        bare[name] = frame
    text = section(replace(profile, **bare)) + words(replace(profile, **bare))
    assert text
    assert "nan" not in re.split(r"\W", text.lower())


def test_names_are_shown_and_do_nothing(profile):
    """In each table, whatever the name says."""
    named = replace(
        profile,
        probes=profile.probes.assign(axis=HOSTILE, metric=HOSTILE, note=HOSTILE),
        mechanism=profile.mechanism.assign(modality=HOSTILE, depends_on=f"group:{HOSTILE}"),
        arrival=profile.arrival.assign(modality=HOSTILE),
        shift=profile.shift.assign(to=HOSTILE, most_changed=HOSTILE),
        group_shift=profile.group_shift.assign(to=HOSTILE, most_changed=HOSTILE),
    )
    text = section(named)
    assert "<img" not in text
    assert text.replace("<wbr>", "").count("&lt;img src=x") > 20


def test_the_section_is_the_same_each_time_whatever_the_order_of_rows(profile):
    """Drawings and tables are ordered by what they say."""
    turned = {name: getattr(profile, name)[::-1] for name in ("arrival", "group_shift")}
    assert section(profile) == section(profile)
    assert section(profile) == section(replace(profile, **turned))


def test_the_json_has_every_row(profile):
    """Also those that the page only counts."""
    held = report(profile).to_dict()["profile"]
    assert all(len(held[name]) == len(getattr(profile, name)) for name in TABLES)
