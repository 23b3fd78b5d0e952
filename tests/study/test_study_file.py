"""The study file: what it may say, and what is said about what it may not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fusewise.data import StudyFile, read_study_file
from fusewise.exceptions import NotAvailableError, StudyError
from fusewise.study import read_study

MINIMAL = """\
study: icu
samples: {table: samples.parquet, id: stay_id}
modalities:
  static: {table: static.parquet}
"""

WHOLE = """\
study: icu-mortality
samples:
  table: samples.parquet
  id: stay_id
  target: in_hospital_death
  task: auto
  cluster: patient_id
  groups: [gender]
  prediction_time: null
  split: split_1
modalities:
  static:  {table: static.parquet}
  vitals:  {table: vitals.parquet, kind: events, time: minute, variable: variable, value: value}
  wearable: {table: wearable.parquet, kind: events, time: ts, present: has_wearable}
  notes:   {table: notes.parquet, kind: text, column: note, time: charted_at, available_at: signed_at}
  imaging: {table: ct.parquet, kind: image, column: path}
  liver: {table: liver.parquet}
deployment:
  observed: requests.parquet
  cohort: open
  synchronised: false
  timing: unknown
  interaction: unknown
  interpretability: preferred
  validation: {cohorts: [site]}
  latency_ms: 50
  memory_mb: 2000
requirements:
  - {present: all, metric: roc_auc, at_least: 0.85}
  - {absent: [liver], metric: roc_auc, max_drop: 0.02}
  - {present: [vitals, static], metric: roc_auc, at_least: 0.80}
training: {strategy: auto, masking: auto, seed: 0}
"""


def read(tmp_path: Path, text: str, *settings: str) -> StudyFile:
    path = tmp_path / "study.yaml"
    path.write_text(text)
    return read_study_file(path, settings)[0]


def complaint(tmp_path: Path, text: str, *settings: str) -> str:
    with pytest.raises(StudyError) as caught:
        read(tmp_path, text, *settings)
    return str(caught.value)


def test_every_key_of_the_documented_example_is_read(tmp_path):
    """The example of the design, with all kinds and sections, is a valid study file."""
    study = read(tmp_path, WHOLE)
    assert study.samples.split.column == "split_1"
    assert study.modalities["vitals"].variable == "variable"
    assert study.deployment is not None
    assert study.deployment.validation.cohorts == ["site"]
    assert [r.as_dict() for r in study.requirements] == [
        {"present": "all", "metric": "roc_auc", "at_least": 0.85},
        {"absent": ["liver"], "metric": "roc_auc", "max_drop": 0.02},
        {"present": ["vitals", "static"], "metric": "roc_auc", "at_least": 0.80},
    ]


def test_a_minimal_file_has_honest_defaults(tmp_path):
    """Without a deployment section nothing is assumed about the deployment."""
    study = read(tmp_path, MINIMAL)
    assert study.deployment is None
    assert study.samples.task == "auto"
    assert study.training.strategy == "auto"
    assert (study.samples.split.by, study.samples.split.test) == ("random", 0.2)


def test_an_unknown_key_is_named_with_its_line_and_the_nearest_known_one(tmp_path):
    """A typo in a section gives the line, the path and a suggestion."""
    text = MINIMAL.replace("id: stay_id}", "id: stay_id,\n  targt: died}")
    said = complaint(tmp_path, text)
    assert "line 3, samples.targt: unknown key. Did you mean 'target'?" in said


def test_a_key_in_the_wrong_section_is_sent_to_the_right_one(tmp_path):
    """A key that belongs elsewhere is not only refused but placed."""
    said = complaint(tmp_path, MINIMAL + "taget: died\n")
    assert "line 5, taget: unknown key. Did you mean 'samples.target'?" in said


def test_a_key_that_resembles_nothing_lists_the_known_ones(tmp_path):
    """Without a near match the message lists what may stand there."""
    said = complaint(tmp_path, MINIMAL + "xyzzy: 1\n")
    assert "Known here: study, root, connection, samples" in said


def test_all_problems_are_told_at_once_in_the_order_of_the_file(tmp_path):
    """Mistakes in several sections come in one message, sorted by line."""
    text = MINIMAL + "deployment: {cohort: opn}\ntraining: {seed: -1, masking: unifrm}\n"
    said = complaint(tmp_path, text)
    assert "3 problems" in said.splitlines()[0]
    assert "Did you mean 'open'?" in said
    assert "Did you mean 'uniform'?" in said
    lines = [int(n) for n in re.findall(r"line (\d+)", said)]
    assert lines == sorted(lines) == [5, 6, 6]


@pytest.mark.parametrize(
    ("section", "path"),
    [
        ("deployment: {rates: {statc: 0.5}}", "deployment.rates.statc"),
        ("deployment: {patterns: {static+statc: 1}}", "deployment.patterns.static+statc"),
        (
            "requirements: [{absent: [statc], metric: roc_auc, max_drop: 0.1}]",
            "requirements.0.absent",
        ),
        (
            "requirements: [{present: [statc], metric: roc_auc, at_least: 0.1}]",
            "requirements.0.present",
        ),
        ("training: {groups: {all: [statc]}}", "training.groups.all"),
    ],
)
def test_a_modality_that_is_not_declared_is_found_wherever_it_is_named(tmp_path, section, path):
    """Deployment, requirements and groups may only name declared modalities."""
    said = complaint(tmp_path, f"{MINIMAL}{section}\n")
    assert f"{path}: no modality 'statc'. Did you mean 'static'?" in said


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("samples: {table: s, id: i}", "samples: given again in line 5"),
        ("deployment: {observed: training, rates: {static: 1}}", "not observed and rates"),
        ("deployment: {rates: {static: 1.5}}", "less than or equal to 1"),
        ("deployment: {patterns: {static: 0}}", "positive sum"),
        ("requirements: [{metric: roc_auc}]", "exactly one of at_least, at_most and max_drop"),
        ("requirements: [{metric: roc_auc, max_drop: 0.1}]", "max_drop needs `absent`"),
        ("requirements: [{present: most, metric: f1, at_least: 1}]", "no modality 'most'"),
        ("requirements: {metric: roc_auc}", "requirements: expected a list"),
        ("training: {seed: one}", "training.seed: expected a whole number, got 'one'"),
        ("training: {seed: .inf}", "training.seed: expected a whole number"),
        ("deployment: {latency_ms: .inf}", "expected a finite number"),
        ("deployment: {synchronised: maybe}", "expected true or false, got 'maybe'"),
        ("root: ''", "root: must not be empty"),
    ],
)
def test_wrong_values_say_what_was_expected_and_what_came(tmp_path, section, words):
    """Each kind of wrong value has a message in the words of the file."""
    assert words in complaint(tmp_path, f"{MINIMAL}{section}\n")


@pytest.mark.parametrize(
    ("modality", "words"),
    [
        ("{table: t, kind: events}", "kind events needs `time`"),
        ("{table: t, kind: events, time: t, variable: v}", "go together"),
        ("{table: t, variable: v, value: x}", "belong to `kind: events`"),
        ("{table: t, column: note}", "use `columns: [...]` here"),
        ("{table: t, present: p, absent_when: all_null}", "declare presence once"),
        ("{kind: table}", "modalities.m.table: this key is required"),
        ("", "modalities.m: expected keys with values, got nothing"),
    ],
)
def test_a_modality_whose_keys_do_not_fit_its_kind_is_refused(tmp_path, modality, words):
    """Long form, wide form, text and presence each have their own keys."""
    assert words in complaint(tmp_path, f"{MINIMAL}  m: {modality}\n")


@pytest.mark.parametrize("kind", ["text", "image"])
def test_a_planned_kind_is_said_before_its_keys_are_asked(tmp_path, kind):
    """Nobody should fill in a column for something that does not exist yet."""
    (tmp_path / "study.yaml").write_text(f"{MINIMAL}  m: {{table: t, kind: {kind}}}\n")
    with pytest.raises(NotAvailableError, match=f"kind {kind} is planned but not there yet"):
        read_study(tmp_path / "study.yaml")


@pytest.mark.parametrize(
    ("split", "words"),
    [
        ("{by: site}", "by: site needs `column`"),
        ("{by: random, column: c}", "`column` has no meaning with by: random"),
        ("{by: time, stratify: target}", "`stratify` has no meaning with by: time"),
        ("{by: cluster}", "needs `cluster`"),
        ("{test: 1.0}", "less than 1"),
    ],
)
def test_a_split_rule_that_contradicts_itself_is_refused(tmp_path, split, words):
    """The keys of a split must fit its rule."""
    text = MINIMAL.replace("id: stay_id}", f"id: stay_id, split: {split}}}")
    assert words in complaint(tmp_path, text)


def test_a_name_that_yaml_takes_for_something_else_is_explained(tmp_path):
    """A modality called `no` is a boolean to YAML; the message says to quote it."""
    said = complaint(tmp_path, f"{MINIMAL}  no: {{table: t.parquet}}\n")
    assert "the key no is not a text; write 'no'" in said


def test_yes_and_no_mean_the_words(tmp_path):
    """YAML reads a bare yes as true; the file means the answer."""
    study = read(tmp_path, MINIMAL + "deployment: {timing: yes, interaction: no}\n")
    assert study.deployment is not None
    assert (study.deployment.timing, study.deployment.interaction) == ("yes", "no")


@pytest.mark.parametrize("text", ["", "- a\n", "study: [a\n", "a: b: c\n", "\tstudy: x\n"])
def test_what_is_no_study_at_all_is_said_in_one_sentence(tmp_path, text):
    """An empty file, a list and broken YAML do not end in a stack of causes."""
    said = complaint(tmp_path, text)
    assert "study.yaml" in said
    assert len(said.splitlines()) == 1


def test_a_missing_file_points_to_init(tmp_path):
    """Who has no study file yet is told how to get one."""
    with pytest.raises(StudyError, match=r"no study file .*nowhere.yaml.*fusewise init FOLDER"):
        read_study_file(tmp_path / "nowhere.yaml")


def test_a_setting_replaces_a_value_by_its_dotted_key(tmp_path):
    """Values are read as YAML; sections and entries of lists can be reached and made."""
    study = read(
        tmp_path,
        WHOLE,
        "samples.split=split_2",
        "requirements.0.at_least=0.5",
        "training.groups={bedside: [static, vitals]}",
        "deployment.observed=training",
    )
    assert study.samples.split.column == "split_2"
    assert study.requirements[0].at_least == 0.5
    assert study.training.groups == {"bedside": ["static", "vitals"]}
    assert read(tmp_path, MINIMAL, "deployment.rates.static=0.5").deployment.rates == {
        "static": 0.5
    }


def test_a_wrong_setting_is_told_as_a_setting(tmp_path):
    """An error that a setting caused is not blamed on a line of the file."""
    said = complaint(tmp_path, WHOLE, "samples.task=binry")
    assert "setting samples.task: expected" in said
    assert "the list has 3 entries" in complaint(tmp_path, WHOLE, "requirements.7.at_least=1")
    assert "write key=value" in complaint(tmp_path, WHOLE, "samples.task")


@pytest.mark.parametrize(
    ("setting", "where"),
    [
        ("training.devise=cpu", "setting training.devise: unknown key"),
        ("training.max_epochs=0", "setting training.max_epochs: "),
        ("trainin.seed=3", "setting trainin: unknown key"),
        ("profile.probe=no", "setting profile.probe: unknown key. Did you mean 'probes'?"),
        ("deployment.rates.static=high", "setting deployment.rates.static: expected a number"),
        ("requirements.7.at_least=1", "setting requirements.7.at_least: the list has 3 entries"),
    ],
)
def test_a_setting_that_the_file_lacks_is_blamed_on_no_line_of_it(tmp_path, setting, where):
    """Its section may stand in the file; the mistake does not."""
    said = complaint(tmp_path, WHOLE, setting)
    assert where in said
    assert "line " not in said.replace(str(tmp_path), "")


def test_every_key_is_described_in_the_reference():
    """`docs/study-file.md` has a row or heading for each key of each section."""
    text = (Path(__file__).parents[2] / "docs" / "study-file.md").read_text(encoding="utf-8")
    from fusewise.data.study_yaml import SECTIONS

    missing = [
        ".".join((*map(str, at), name))
        for at, section in SECTIONS.items()
        for name in section.model_fields
        if f"`{name}`" not in text
    ]
    assert missing == []
