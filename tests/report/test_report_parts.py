"""Numbers, scales, names and sentences."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusewise.report import report
from fusewise.report.frames import Patterns
from fusewise.report.glossary import TERMS
from fusewise.report.numbers import estimate, number, percent, percent_interval, signed
from fusewise.report.plots.scale import Scale, tick_label
from fusewise.report.plots.svg import Svg, fit, text_width
from fusewise.report.plots.upset import PatternBar, draw_upset
from fusewise.report.text import escape_markdown, say

finite = st.floats(allow_nan=False, allow_infinity=False, width=32)


@given(finite)
def test_a_rounded_zero_has_no_sign(value):
    """No number is written as minus zero, and each is read back to within its rounding."""
    text = number(value)
    assert not re.fullmatch(r"[−-]0[.0]*", text)
    back = float(text.replace("−", "-").replace(",", ""))
    assert math.isclose(back, value, rel_tol=0.01, abs_tol=6e-4)


@given(st.floats(0, 1))
def test_only_everything_is_a_hundred_percent(share):
    """A share below one is never rounded to all, nor one above zero to none."""
    assert (percent(share) == "100%") == (share == 1.0)
    assert (percent(share) == "0%") == (share == 0.0)


def test_missing_numbers_are_never_nan():
    """What is not known is written as not available."""
    for write in (number, percent, signed, estimate):
        assert write(math.nan) == "n/a"
        assert write(None) == "n/a"


def test_an_interval_of_no_width_is_left_out():
    """A declared rate has no sampling error, so it gets no interval."""
    assert percent_interval(0.5, 0.5, 0.5) == "50.0%"


@given(finite, st.floats(1e-6, 1e6), st.integers(1, 12))
def test_ticks_lie_inside_and_differ(low, width, about):
    """Ticks are inside the scale, evenly spaced, and written differently."""
    high = low + width
    if not high > low + 1e-9 * abs(low):
        return
    ticks = Scale(low, high, 0, 100).ticks(about)
    step = (high - low) * 1e-6
    assert all(low - step <= t <= high + step for t in ticks)


@pytest.mark.parametrize(
    ("ticks", "texts"),
    [
        ([0.7, 0.75, 0.8], ["0.70", "0.75", "0.80"]),
        ([1300, 1320], ["1,300", "1,320"]),
        ([0, 5000, 10000], ["0", "5k", "10k"]),
    ],
)
def test_ticks_are_written_alike(ticks, texts):
    """All ticks of one axis have the decimals that tell them apart."""
    assert [tick_label(t, ticks) for t in ticks] == texts


@given(st.text(min_size=1, max_size=60), st.floats(20, 300))
def test_shortened_names_fit(text, width):
    """A name is shortened until it fits, and a short one is left alone."""
    short = fit(text, width)
    assert text_width(short) <= width + 0.5 or short == "…"
    assert short == text or "…" in short


@given(st.text())
def test_inserted_values_are_text(value):
    """Whatever is inserted into a sentence is escaped, and found again unescaped."""
    html = str(say("**{v}** [[sample]]", v=value).html)
    inner = html.split("<b>", 1)[1].rsplit("</b>", 1)[0]
    assert "<" not in inner
    assert ">" not in inner
    assert say("{v}", v=value).plain == value


def test_drawings_escape_their_text():
    """Text, titles and attributes of a drawing cannot leave their place."""
    svg = Svg(10, 10, 'a"><script>')
    svg.add("text", "</text><script>", x=1, y=1, title="<script>", class_='"><script>')
    assert "<script>" not in svg.markup()


def test_markdown_marks_are_escaped():
    """What Markdown would read as a mark is shown; underscores inside names stay readable."""
    assert escape_markdown("*a* `b` [x](y) blood_gas _i_") == (
        r"\*a\* \`b\` \[x\](y) blood_gas \_i\_"
    )


def test_unknown_words_are_refused():
    """A sentence cannot link a word that the glossary does not have."""
    with pytest.raises(KeyError):
        _ = say("[[no such word]]").html


def test_glossary_ends_in_full_sentences():
    """Every word is explained by a sentence."""
    assert all(text[0].isupper() and text.endswith(".") for text in TERMS.values())


def test_patterns_are_named_by_the_shorter_side():
    """A pattern that lacks little is named by what it lacks, a short one by what it has."""
    names = Patterns(("static", "vitals", "labs", "notes", "imaging"))
    assert names.short("imaging+labs+notes+static+vitals") == "complete case"
    assert names.short("labs+notes+static+vitals") == "without imaging"
    assert names.short("static") == "static"
    assert names.short("(none)") == "(none)"
    assert names.short("without imaging") == "without imaging"
    assert names.spoken("static") == "static"


def test_a_headline_on_few_samples_is_marked_wherever_it_stands(results):
    """In its card, in its table and beside the recommended strategy."""
    profile, advice, evaluation = results
    few = replace(evaluation, headline=evaluation.headline.assign(small=True))
    page = report(profile, advice, few).html
    assert "few samples</b>: no ground for a decision" in page
    assert "n = 1,199 · few samples" in page
    assert "no ground for a decision" not in report(profile, advice, evaluation).html


def test_cadence_names_the_unit_of_its_figures(results):
    """Also where there is one modality with events only."""
    said = "Gaps and ages are in the unit of the event times (seconds where those are timestamps)."
    profile = results[0]
    assert said in report(profile).markdown
    assert said in report(replace(profile, cadence=profile.cadence.head(1))).markdown


def test_a_declared_rate_has_no_interval(results):
    """Nothing was counted: the value stands with the word, and not between itself and itself."""
    advice = results[1]
    declared = replace(advice.reasons[0], value=0.2, low=0.2, high=0.2)
    text = report(recommendation=replace(advice, reasons=(declared,))).markdown
    assert "0.200 declared, threshold 0.9" in text
    assert "[0.200" not in text


def test_what_the_headline_does_not_cover_is_told_once(results):
    """The note of the evaluation is the title of the warning, and no note beside it."""
    profile, advice, evaluation = results
    told = (
        "1 pattern with 3.0% of the deployment has no answered test sample; the headline says ..."
    )
    one = replace(evaluation, uncovered=("static",), notes=(told, "Another note."))
    text = report(profile, advice, one).markdown
    assert text.count("no answered test sample") == 1
    assert "without any test sample" not in text
    assert "Another note." in text
    alone = report(profile, advice, replace(one, notes=())).markdown
    assert "1 pattern met in deployment without any test sample: the headline says nothing" in alone


@pytest.mark.parametrize("training", [0.500, 0.512, 0.53, 0.55, 0.58, 0.2])
def test_the_dash_of_training_does_not_strike_out_the_label(training):
    """The label stands clear of the dash, wherever that is."""
    bar = PatternBar("a", 0.5, training, (True,))
    drawn = str(
        draw_upset([bar, PatternBar("b", 0.6, 0.6, (False,))], ["a"], [0.5], width=700, column=22)
    )
    label = float(re.search(r'<text[^>]*y="([\d.]+)"[^>]*>50.0%<', drawn)[1].replace(",", ""))
    dash = float(re.search(r'd="M[\d.]+ ([\d.]+)h', drawn)[1])
    assert not label - 11 < dash < label + 1


def test_one_sample_without_prediction_is_told_in_the_singular(results):
    """It has none, they have none."""
    one = report(evaluation=replace(results[2], n_abstained=1)).markdown
    assert "1 sample got no prediction**: It has no modality" in one
    assert "3 samples got no prediction**: They have" in report(evaluation=results[2]).markdown
