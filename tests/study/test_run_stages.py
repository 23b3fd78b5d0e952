"""Stages: what is done again and what is kept, and what an interruption leaves behind."""

from __future__ import annotations

import json
import os
import re
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fusewise.evaluate import Evaluation
from fusewise.exceptions import FusewiseWarning, StudyError
from fusewise.study import read_study, running
from fusewise.study.provenance import describe_round

ALL = ("data", "profile", "recommend", "fit", "presence", "evaluate", "report")

pytestmark = pytest.mark.usefixtures("quick")


def run(folder, settings=(), **how):
    return read_study(folder / "study.yaml", overrides=settings).run(folder / "run", **how)


def test_a_first_run_does_every_stage_and_a_second_none(folder):
    """Nothing changed, so nothing is done; the results are the same objects in content."""
    first = run(folder)
    assert (first.executed, first.kept) == (ALL, ())
    before = {p.name: p.stat().st_mtime_ns for p in (folder / "run").glob("[!.]*.*")}
    second = run(folder)
    assert (second.executed, second.kept) == ((), ALL)
    after = {p.name: p.stat().st_mtime_ns for p in (folder / "run").glob("[!.]*.*")}
    assert {n: t for n, t in after.items() if n != "run.lock"} == {
        n: t for n, t in before.items() if n != "run.lock"
    }
    assert second.evaluation == first.evaluation
    assert second.recommendation == first.recommendation
    assert second.profile == first.profile


def test_late_is_trained_beside_any_other_strategy_and_not_beside_itself(finished):
    """The late baseline stands beside early fusion and disappears when late is the model."""
    early = run(finished, {"training.strategy": "early"})
    assert "late" in early.executed
    assert (finished / "run" / "late.fusewise").exists()
    late = run(finished)
    assert "late" not in (*late.executed, *late.kept)
    assert not (finished / "run" / "late.fusewise").exists()


@pytest.mark.parametrize(
    ("settings", "executed"),
    [
        ({"requirements": []}, ("evaluate", "report")),
        ({"deployment.latency_ms": 5.0}, ("profile", "recommend", "evaluate", "report")),
        (
            {"deployment": {"observed": "training"}},
            ("profile", "recommend", "fit", "evaluate", "report"),
        ),
        ({"training.strategy": "early"}, ("fit", "late", "evaluate", "report")),
        ({"training.masking": "uniform"}, ("fit", "evaluate", "report")),
        ({"training.n_jobs": 2}, ("report",)),
        ({"profile.probes": False}, ("profile", "recommend", "report")),
        ({"samples.groups": []}, ALL),
        ({"training.seed": 4}, tuple(s for s in ALL if s != "data")),
        ({"study": "icu"}, ()),
    ],
)
def test_a_change_of_the_file_repeats_only_what_depends_on_it(finished, settings, executed):
    """Each part of the study file belongs to the stages that read it."""
    assert run(finished, settings).executed == executed


def test_a_table_that_was_only_touched_changes_nothing(finished):
    """Content decides, not the time of change."""
    os.utime(finished / "lab.csv", (1, 1))
    assert run(finished).executed == ()


def test_an_unchanged_table_is_not_read_again_to_know_it(finished, monkeypatch):
    """Size and time of change are enough where both are as noted, also after a touch."""
    from fusewise.study import fingerprints

    hashed = []
    true_hash = fingerprints.content_hash
    monkeypatch.setattr(
        fingerprints, "content_hash", lambda path: hashed.append(path.name) or true_hash(path)
    )
    run(finished)
    assert hashed == []
    os.utime(finished / "lab.csv", (1, 1))
    run(finished)
    run(finished)
    assert hashed == ["lab.csv"]


def test_a_table_written_anew_with_the_same_values_trains_nothing(finished):
    """Other bytes with the same rows are read again, and there it ends."""
    lab = pd.read_csv(finished / "lab.csv")
    lab.iloc[::-1].to_csv(finished / "lab.csv", index=False)
    assert run(finished).executed == ("data", "report")


def test_one_changed_value_repeats_everything(finished):
    """A single cell of a single table is enough."""
    static = pd.read_parquet(finished / "static.parquet")
    static.loc[0, "age"] += 1
    static.to_parquet(finished / "static.parquet")
    assert run(finished).executed == ALL


def test_another_log_of_requests_trains_again_what_weighs_samples_by_it(finished):
    """Late fusion weighs patterns as in deployment; early fusion looks only where it masks so."""
    unmasked = {"training.strategy": "early", "training.masking": "none"}
    run(finished, unmasked)
    pd.DataFrame({"request": [1, 2], "modality": ["static", "lab"]}).to_parquet(
        finished / "requests.parquet"
    )
    facts = ("profile", "recommend")
    assert run(finished, unmasked).executed == (*facts, "late", "evaluate", "report")
    assert run(finished).executed == ("fit", "evaluate", "report")


def test_a_split_by_a_column_does_not_depend_on_the_seed_but_a_drawn_one_does(folder):
    """The seed is part of the data stage only where it draws."""
    text = (folder / "study.yaml").read_text().replace("  split: part\n", "")
    (folder / "study.yaml").write_text(text)
    run(folder, until="data")
    assert run(folder, {"training.seed": 9}, until="data").executed == ("data",)


@pytest.mark.parametrize("stage", ["presence", "evaluate"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_interrupted_run_goes_on_after_its_last_finished_stage(
    folder, monkeypatch, stage, error
):
    """Whatever ends a run, finished stages are kept and the rest is done later."""
    broken = next(s for s in running.STAGES if s.name == stage)

    def fail(job):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(type(broken), "compute", lambda self, job: fail(job))
        with pytest.raises(error):
            run(folder)
    assert not (folder / "run" / "report.html").exists()
    again = run(folder)
    done = ALL.index(stage)
    assert (again.kept, again.executed) == (ALL[:done], ALL[done:])


def test_an_interruption_while_writing_leaves_no_half_of_a_result(folder, monkeypatch):
    """A result appears whole or not at all, and leftovers are cleared."""

    def half(self, result):
        def write(path):
            path.write_text("half")
            raise KeyboardInterrupt

        return {"model.fusewise": write}

    fit = next(s for s in running.STAGES if s.name == "fit")
    with monkeypatch.context() as patch:
        patch.setattr(type(fit), "writers", half)
        with pytest.raises(KeyboardInterrupt):
            run(folder)
    assert not (folder / "run" / "model.fusewise").exists()
    assert not (folder / "run" / ".writing").exists()
    assert run(folder).executed == ALL[ALL.index("fit") :]


def test_a_result_that_was_changed_or_deleted_is_made_again(finished):
    """The manifest knows the content of each file that it vouches for."""
    (finished / "run" / "profile.json").write_text("{}")
    (finished / "run" / "report.md").unlink()
    assert run(finished).executed == ("profile", "report")


def test_force_does_everything_again(finished):
    """A run can be repeated from nothing without deleting its folder."""
    assert run(finished, force=True).executed == ALL


def test_stages_up_to_a_named_one(folder):
    """`until` ends early, and what it did counts for a longer run later."""
    first = run(folder, until="recommend")
    assert first.executed == ("data", "profile", "recommend")
    assert first.evaluation is None
    assert first.report is None
    assert first.exit_code == 0
    assert run(folder).kept == first.executed
    with pytest.raises(StudyError, match="Did you mean 'report'"):
        run(folder, until="reports")


def test_the_version_of_fusewise_is_part_of_every_key(finished, monkeypatch):
    """Another version does everything again."""
    monkeypatch.setattr("fusewise.study.running.__version__", "99.0")
    assert run(finished).executed == ALL


def test_progress_tells_each_stage_once_it_starts_and_once_it_ends(folder):
    """Events come in pairs, with what was found."""
    events = []
    run(folder, until="profile", progress=events.append)
    assert [(e.stage, e.state) for e in events] == [
        ("data", "start"),
        ("data", "done"),
        ("profile", "start"),
        ("profile", "done"),
    ]
    assert "120 samples (80 to train, 40 to test), 3 modalities" in events[1].message
    events.clear()
    run(folder, until="data", progress=events.append)
    assert [e.state for e in events] == ["start", "kept"]


def test_warnings_are_kept_with_the_stage_and_told_again(folder):
    """What was left out is told with the stage, also by a run that keeps it."""
    lab = pd.read_csv(folder / "lab.csv").assign(died=1)
    lab.to_csv(folder / "lab.csv", index=False)
    events = []
    with warnings.catch_warnings():
        warnings.simplefilter("error", FusewiseWarning)
        run(folder, until="data", progress=events.append)
    assert "died" in events[-1].warnings[0]
    run(folder, until="data", progress=events.append)
    assert (events[-1].state, events[-1].warnings) == ("kept", events[1].warnings)


def test_rows_that_are_not_used_are_counted_and_reported(folder):
    """Unknown samples, late events and infinities are told on the way and in the report."""
    lab = pd.read_csv(folder / "lab.csv")
    lab.loc[0, "lactate"] = float("inf")
    lab = pd.concat([lab, pd.DataFrame({"stay_id": [1, 2], "lactate": 1.0})])
    lab.to_parquet(folder / "lab.parquet", index=False)
    settings = {"samples.prediction_time": 60, "modalities.lab.table": "lab.parquet"}
    events = []
    done = run(folder, settings, progress=events.append)
    lab_note, vitals_note = sorted(events[1].warnings)
    assert "lab: left out 2 rows of samples that the samples table does not have" in lab_note
    assert "1 infinite value" in lab_note
    late = done.data.ingestion.set_index("modality").loc["vitals", "after_prediction_time"]
    assert late > 0
    assert f"vitals: left out {late} rows later than the prediction time" in vitals_note
    text = (folder / "run" / "report.md").read_text()
    assert "rows later than the prediction time" in text


@pytest.mark.parametrize(
    ("requirement", "key", "said"),
    [
        ({"metric": "roc_acu", "at_least": 0.5}, "metric", "unknown metric 'roc_acu'. Did you"),
        ({"metric": "log_loss", "at_least": 0.5}, "at_least", "log_loss cannot be limited by at_"),
        (
            {"metric": "roc_auc", "max_drop": 0.5, "absent": ["static", "vitals", "lab"]},
            "absent",
            "absent names every modality",
        ),
    ],
)
def test_a_requirement_that_needs_no_data_to_be_refused_is_refused_at_once(
    folder, requirement, key, said
):
    """Reading the study file finds it, and says where it stands."""
    text = f"\\(requirements\\[0\\].{key}\\): {re.escape(said)}"
    with pytest.raises(StudyError, match=text) as caught:
        read_study(folder / "study.yaml", overrides={"requirements": [requirement]})
    assert "{" not in str(caught.value)


def test_a_metric_of_another_task_is_found_before_anything_is_written(folder):
    """The task may be known from the data only: then the first stage refuses, also a kept one."""
    settings = {"requirements": [{"metric": "rmse", "at_most": 5.0}]}
    said = r"\(requirements\[0\].metric\): unknown metric 'rmse' for the task 'binary'"
    with pytest.raises(StudyError, match=said):
        run(folder, settings, until="profile")
    assert not (folder / "run" / "data.json").exists()
    run(folder, until="data")
    with pytest.raises(StudyError, match=said):
        run(folder, settings, until="profile")
    assert not (folder / "run" / "profile.json").exists()


def test_exit_code_answers_the_requirements(folder):
    """0 where all are met, 1 where one is not, 3 where none failed and one is open."""
    met = {"present": ["static"], "metric": "roc_auc", "at_least": 0.01}
    failed = {"present": ["static"], "metric": "roc_auc", "at_least": 0.99}
    unclear = {"present": ["static"], "metric": "log_loss", "at_most": 0.6932}
    for requirements, code in (([], 0), ([met], 0), ([met, failed], 1)):
        assert run(folder, {"requirements": requirements}).exit_code == code
    done = run(folder, {"requirements": [met, unclear]})
    status = done.evaluation.requirements["status"].tolist()
    assert done.exit_code == (3 if "undetermined" in status else 0)


def test_a_requirement_that_is_not_met_names_the_next_alternative(folder):
    """Nothing is switched; each alternative comes in its turn, and none twice."""
    failed = [{"present": ["static"], "metric": "roc_auc", "at_least": 0.99}]
    done = run(folder, {"requirements": failed})
    order = [done.recommendation.strategy, *done.recommendation.alternatives]
    assert sorted(order) == ["attention", "early", "intermediate", "late"]
    order.remove("late")
    for strategy in order:
        assert done.next_alternative == strategy
        assert f"run again with training.strategy={strategy}." in done.next_step
        assert (folder / "run" / "report.md").read_text().count(done.next_step) == 1
        done = run(folder, {"requirements": failed, "training.strategy": strategy})
    assert done.next_alternative is None
    assert "every alternative was tried" in done.next_step
    rounds = json.loads((folder / "run" / "run.json").read_text())["rounds"]
    assert [r["strategy"] for r in rounds] == ["late", *order]
    assert "late fusion was recommended" in done.note


def test_rounds_on_other_rows_do_not_count_as_tried(finished):
    """New data give every strategy a new chance."""
    failed = {"requirements": [{"present": ["static"], "metric": "roc_auc", "at_least": 0.99}]}
    run(finished, failed | {"training.strategy": "early"})
    static = pd.read_parquet(finished / "static.parquet")
    static.assign(age=static["age"] + 1).to_parquet(finished / "static.parquet")
    assert "training.strategy=early" in run(finished, failed).next_step


def test_the_manifest_tells_versions_seeds_timings_and_content(finished):
    """Enough to say what a folder of results came from."""
    manifest = json.loads((finished / "run" / "run.json").read_text())
    assert (manifest["study"], manifest["seed"], manifest["format"]) == ("icu", 3, 1)
    assert set(manifest["stages"]) == set(ALL)
    assert all(e["seconds"] >= 0 and e["files"] for e in manifest["stages"].values())
    assert len(manifest["tables"]) == 5
    assert str(finished) not in json.dumps(manifest["tables"])


def test_a_score_that_does_not_exist_is_told_as_undefined(finished):
    """Neither the progress line nor the rounds of the report print nan; few samples are marked."""
    evaluation = Evaluation.from_json(finished / "run" / "evaluation.json")
    stage = next(s for s in running.STAGES if s.name == "evaluate")
    nothing = evaluation.headline.assign(estimate=np.nan, low=np.nan, high=np.nan)
    said = stage.summary(replace(evaluation, headline=nothing.assign(small=True, n=2)))
    assert said.startswith("roc_auc undefined (few samples); requirements: ")
    entry = {"strategy": "late", "masking": None, "metric": "roc_auc", "requirements": {}}
    assert describe_round(entry | {"score": [np.nan] * 3}) == "late fusion: roc_auc undefined"


def test_a_warning_of_reading_is_told_once_and_at_reading(folder):
    """A stage that has to read the tables again does not repeat what reading them said."""
    lab = pd.read_csv(folder / "lab.csv").assign(died=1)
    lab.to_csv(folder / "lab.csv", index=False)
    run(folder, until="data")
    events = []
    run(folder, progress=events.append)
    told = [(e.stage, text) for e in events for text in e.warnings if "died" in text]
    assert [stage for stage, _ in told] == ["data"]
    assert events[1].state == "kept"
    report = (folder / "run" / "report.md").read_text()
    assert report.count("died also stands in the samples table") == 1


def test_probes_are_made_unless_the_file_says_otherwise(finished):
    """What takes models to answer can be left out; all else of the profile stays."""
    asked = run(finished).profile
    left_out = run(finished, {"profile.probes": False}).profile
    assert set(asked.probes["axis"]) == {"timing", "interaction"}
    assert set(asked.mechanism["depends_on"]) == {"values", "target", "group:sex"}
    assert left_out.probes.empty
    assert left_out.mechanism.empty
    assert left_out.arrival.equals(asked.arrival)
