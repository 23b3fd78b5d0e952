"""The page: complete, self-contained, inert, and the same for the same results."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fusewise.data import MultimodalDataset
from fusewise.evaluate import evaluate
from fusewise.profile import profile as measure
from fusewise.recommend import recommend
from fusewise.report import report
from tests.report.report_results import (
    FINDINGS,
    PROVENANCE,
    make_evaluation,
    make_profile,
    make_recommendation,
)

VOID = {"meta", "link", "img", "br", "hr", "input", "wbr", "source"}
LOADING = {"src", "srcset", "data", "poster", "action", "formaction", "background", "xlink:href"}
HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)>'
ORDER = (
    "recommendation",
    "requirements",
    "headline",
    "availability",
    "dimensions",
    "evidence",
    "cost",
    "patterns",
    "degradation",
    "calibration",
    "findings",
    "making",
    "words",
)


class Page(HTMLParser):
    """Collect the tags, attributes and text of a page, and check that tags close in order."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.open, self.words = [], [], [], []
        self.feed(html)
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in ("wbr", "a", "b", "span"):
            self.words.append(" ")
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "title"):
            self.words.append(data)

    @property
    def text(self):
        return "".join(self.words)

    def values(self, name):
        return [value for _, attribute, value in self.attributes if attribute == name]


@pytest.fixture(scope="module")
def full(results):
    return report(*results, FINDINGS, title="ICU mortality", provenance=PROVENANCE)


@pytest.fixture(scope="module")
def page(full):
    return Page(full.html)


def test_page_loads_nothing(full, page):
    """Nothing outside of the file is referred to, and a policy forbids it as well."""
    assert not {"script", "link", "iframe", "img", "object", "embed", "base"} & set(page.tags)
    assert not [a for a in page.attributes if a[1] in LOADING]
    assert all(value.startswith("#") for value in page.values("href"))
    assert not re.search(r"@import|url\(|https?://", full.html)
    assert "default-src 'none'" in full.html
    assert not [a for a in page.attributes if a[1].startswith("on")]


def test_every_link_has_its_target_and_ids_are_unique(page):
    """Each link of the contents and of the words leads to exactly one place."""
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert {value[1:] for value in page.values("href")} <= set(ids)


def test_sections_come_in_order(full):
    """The answer comes first, how it was made last."""
    found = re.findall(r'<section id="([a-z]+)"', full.html)
    assert tuple(found) == ORDER


def test_headings_do_not_skip_a_level(page):
    """One main heading, then sections, then what is inside them."""
    levels = [int(tag[1]) for tag in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))


def test_every_drawing_speaks(page):
    """Each drawing has a role and says in words what it shows."""
    drawings = page.tags.count("svg")
    assert drawings > 20
    labels = [value for tag, name, value in page.attributes if (tag, name) == ("svg", "aria-label")]
    assert len(labels) == drawings
    assert all(labels)


def test_every_figure_has_its_table(full):
    """What is drawn can be read as numbers below it."""
    figures = re.findall(r"<figure>.*?</figure>", full.html, flags=re.DOTALL)
    assert len(figures) >= 10
    assert all("<table>" in figure for figure in figures)


def test_page_is_small(full):
    """Twelve modalities and forty patterns stay well below a megabyte and a half."""
    assert len(full.html.encode()) < 1_000_000


def test_every_pattern_appears_with_its_estimate(full, page, results):
    """No row of the table by pattern is left out, small cells included."""
    frame = results[2].by_pattern
    text = page.text
    assert set(frame["pattern"]) <= set(text.split())
    first = frame[frame["metric"] == "roc_auc"]
    for value in first["estimate"].dropna():
        assert f"{value:.3f}" in text
    assert text.count("few samples") >= frame["small"].sum()


def test_statuses_and_reasons_appear(page, results):
    """Each requirement shows its status; each reason its statement, value and threshold."""
    text = " ".join(page.text.split())
    for row in results[2].requirements.itertuples():
        assert row.requirement.replace("roc_auc", "AUROC") in text
    assert "1 met, 1 not met, 1 undetermined" in text
    for reason in results[1].reasons:
        assert reason.statement in text
    assert "0.275 [0.256, 0.295]" in text
    assert "decided by availability" in text


def test_only_requirements_are_met_or_not(results):
    """A reason reaches its threshold or not, and the one that decided is marked as that."""
    made = report(recommendation=results[1])
    badges = re.findall(r'<span class="badge">([^<]*)</span>', made.html)
    assert badges == ["decided", "not reached", "not reached", "not reached", "reached"]
    assert "- **decided**: Often absent" in made.markdown
    assert "not met" not in made.markdown


def test_names_are_inert():
    """A modality, a group, a finding or a setting called like a tag is shown and does nothing."""
    rates = {HOSTILE: 0.9, "ehr": 1.0, "{{ 7 * 7 }}": 0.5, "**bold** [[sample]] {x}": 0.7}
    profile = make_profile(rates, n_patterns=8)
    profile.group_availability["level"] = HOSTILE
    evaluation = make_evaluation(profile)
    made = report(
        profile,
        make_recommendation(HOSTILE, "late"),
        evaluation,
        [type(FINDINGS[0])(code=HOSTILE, title=HOSTILE, severity=HOSTILE, detail=HOSTILE)],
        title=HOSTILE,
        provenance={HOSTILE: {HOSTILE: HOSTILE}},
    )
    page = Page(made.html)
    assert not {"script", "img"} & set(page.tags)
    assert not [a for a in page.attributes if a[1].startswith("on")]
    assert HOSTILE in page.text
    assert "{{ 7 * 7 }}" in page.text
    assert "**bold** [[sample]] {x}" in page.text
    assert "<script" not in made.markdown.replace("\\<", "")


def test_same_results_give_same_bytes(full, results):
    """Rendering has no clock, no random number and no order of a set in it."""
    again = report(*results, FINDINGS, title="ICU mortality", provenance=PROVENANCE)
    assert again.html == full.html
    assert again.markdown == full.markdown


def test_bytes_do_not_depend_on_the_hash_seed(tmp_path):
    """Another process, with another hash seed, writes the same page."""
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
        "from tests.report.report_results import *\nfrom fusewise.report import report\n"
        "p = make_profile(n_patterns=6)\n"
        "r = report(p, make_recommendation(), make_evaluation(p, metrics=('roc_auc',)))\n"
        "r.save(sys.argv[1])"
    )
    path = tmp_path / "there.html"
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, env=environment)
    profile = make_profile(n_patterns=6)
    here = report(
        profile, make_recommendation(), make_evaluation(profile, metrics=("roc_auc",))
    ).html
    assert path.read_text(encoding="utf-8") == here


@pytest.mark.parametrize("kept", range(1, 8))
def test_any_subset_of_results(kept, results):
    """Each result alone, and each combination, gives a page with the sections that it can fill."""
    given = [value if kept >> place & 1 else None for place, value in enumerate(results)]
    made = report(*given)
    page = Page(made.html)
    assert (given[0] is not None) == ("availability" in page.values("id"))
    assert (given[1] is not None) == ("recommendation" in page.values("id"))
    assert (given[2] is not None) == ("patterns" in page.values("id"))
    assert made.markdown.startswith("# Deployment report")
    assert "findings" not in page.values("id")


def test_one_modality_and_regression():
    """One modality without a declared deployment, and metrics in thousands."""
    profile = make_profile({"ehr": 1.0}, source="none")
    evaluation = make_evaluation(profile, metrics=("rmse", "r2"), task="regression")
    text = Page(report(profile, None, evaluation).html).text
    assert "1,342" in text
    assert "R²" in text
    assert "No deployment was declared or observed" in text


def test_forty_modalities_with_long_names():
    """Many modalities with long names still fit into one small page."""
    rates = {f"a_very_long_modality_name_number_{i}": 0.99 - 0.02 * i for i in range(40)}
    profile = make_profile(rates, n_patterns=60)
    html = report(profile, make_recommendation(), make_evaluation(profile)).html
    assert len(html.encode()) < 1_500_000
    assert set(profile.modalities) <= set(re.findall(r"\w+", Page(html).text))


def test_undefined_scores_say_why(results):
    """A cell without an estimate shows its note, or what its counts tell, and no number."""
    evaluation = results[2]
    frame = evaluation.by_pattern.copy()
    undefined = frame.index[frame["estimate"].isna()]
    frame.loc[undefined[0], "note"] = "a reason of its own"
    noted = Page(report(None, None, replace(evaluation, by_pattern=frame)).html).text
    bare = replace(evaluation, by_pattern=frame.drop(columns="note"))
    counted = Page(report(None, None, bare).html).text
    assert "n/a: a reason of its own" in noted
    assert "n/a: one class only" in noted
    assert "n/a: one class only" in counted
    assert "n/a: no samples" in counted
    assert "nan" not in re.split(r"\W", (noted + counted).lower())


def test_what_was_trained_in_fact_is_said():
    """Where the study file asks for another strategy, that is said before the reasons."""
    text = " ".join(Page(report(None, make_recommendation("attention", "late")).html).text.split())
    assert "Trained in fact: late fusion, not attention fusion" in text
    assert "The study file asks for late fusion" in text


def test_no_findings_is_not_no_audit(results):
    """An audit without findings says so; without an audit there is no such section."""
    assert "has no finding" in Page(report(findings=[]).html).text
    assert 'id="findings"' not in report(*results).html


def test_empty_tables_are_left_out(results):
    """A result whose tables are empty gives a page without the figures, not an error."""
    profile, _, evaluation = results
    frames = {
        name: value.iloc[:0] if isinstance(value, pd.DataFrame) else value
        for result in (profile, evaluation)
        for name, value in vars(result).items()
    }
    bare = type(profile)(**{name: frames[name] for name in vars(profile)})
    bare_evaluation = type(evaluation)(**{name: frames[name] for name in vars(evaluation)})
    page = Page(report(bare, None, bare_evaluation).html)
    assert "svg" not in page.tags
    assert "No requirement was declared" in page.text


class _Marker:
    classes_ = (0, 1)

    def predict_proba(self, dataset):
        p = np.full(len(dataset), 0.5)
        for name in dataset.modalities:
            positions, frame = dataset.features(name)
            p[positions] = 1 / (1 + np.exp(-frame["x"].to_numpy()))
        return np.column_stack([1 - p, p])


def test_real_results_are_rendered():
    """What the other rooms return is rendered as it is, without a stand-in."""
    rng = np.random.default_rng(0)
    n = 300
    samples = pd.DataFrame({"id": range(n), "died": np.arange(n) % 2})
    tables = {}
    for name, rate in (("labs", 1.0), ("notes", 0.7), ("imaging", 0.4)):
        rows = np.flatnonzero(rng.random(n) < rate)
        tables[name] = pd.DataFrame({"id": rows, "x": rng.normal(size=len(rows)) + rows % 2})
    ds = MultimodalDataset(tables, samples=samples, id="id", target="died")
    profile = measure(ds, deployment={"imaging": 0.2, "notes": 0.7, "labs": 1.0})
    evaluation = evaluate(
        _Marker(),
        ds,
        n_boot=50,
        deployment={"imaging": 0.2, "notes": 0.7, "labs": 1.0},
        requirements=[{"metric": "roc_auc", "absent": ["imaging"], "max_drop": 0.1}],
        baselines={"the same": _Marker()},
    )
    made = report(profile, recommend(profile), evaluation, provenance={"seed": 0})
    page = Page(made.html)
    assert set(ORDER) - {"findings"} == {i for i in page.values("id") if i in ORDER}
    assert f"{evaluation.headline['estimate'].iloc[0]:.3f}" in page.text
    assert "AUROC without imaging: drop at most 0.1" in page.text
