"""The page for a reader who knows the field: every need with its fact, the answer first."""

from __future__ import annotations

from fusewise.profile import declared_profile
from fusewise.recommend import recommend
from fusewise.report import report
from fusewise.report.sections.plain import plain_section
from tests.report.report_results import make_recommendation

PLAN = declared_profile({"ehr": 1.0, "imaging": 0.6}, {"imaging": 0.4})
ADVICE = recommend(PLAN, n_boot=1)


def rows_of(section):
    """Return the rows of the tables of a section, as texts."""
    tables = [block for block in section.blocks if block.block == "table"]
    return [[tuple(cell.text for cell in row) for row in table.rows] for table in tables]


def test_the_answer_comes_first_and_all_that_it_needs_holds():
    """Then the others, each with what it lacks."""
    answer, *others = rows_of(plain_section(PLAN, ADVICE))
    assert {holds for _, _, holds in answer} == {"yes"}
    assert len(others) == 3
    assert all("no" in {holds for _, _, holds in rows} for rows in others)


def test_every_need_of_the_recommendation_is_shown():
    """Nothing is computed here, and nothing is left out."""
    shown = [row for rows in rows_of(plain_section(PLAN, ADVICE)) for row in rows]
    given = [(n.needed, n.now, "yes" if n.holds else "no") for n in ADVICE.needs]
    assert sorted(shown) == sorted(given)


def test_rates_in_use_are_told_and_those_of_training_are_not_taken_for_them():
    """Where nothing is known of the deployment, the page says so."""
    assert "In use they are there: imaging in 40" in report(PLAN, ADVICE).markdown
    unknown = declared_profile({"ehr": 1.0, "imaging": 0.6}, None)
    page = report(unknown, recommend(unknown, n_boot=1)).markdown
    assert "in use is not known; in the data for training they are there: imaging in 60" in page


def test_a_recommendation_of_an_earlier_file_has_no_such_page():
    """It does not say what strategies need."""
    assert plain_section(PLAN, make_recommendation()) is None
