"""The command line: what each command prints, and how it ends."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import fusewise.evaluate  # noqa: F401 - makes the room known to sys.modules
from fusewise.cli import commands, progress, show, terminal
from fusewise.study import StageEvent, fact_stages, running


def test_the_commands_are_those_that_are_documented(call):
    """`--help` lists the commands; `--version` and no command at all are answered."""
    said = call("--help")
    assert said.code == 0
    for name in ("init", "demo", "profile", "recommend", "fit", "evaluate", "report", "run"):
        assert f"\n  {name} " in said.out
    assert call("--version").out.startswith("fusewise ")
    assert call().code == 2


def test_the_package_is_a_command_too():
    """Where the script is not on the path, ``python -m fusewise`` does the same."""
    asked = [sys.executable, "-m", "fusewise", "--version"]
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("fusewise ")


def test_profile_and_recommend_print_tables_and_end_well(folder, call):
    """Both read only what they need and print on standard output."""
    said = call("profile", "study.yaml")
    assert said.code == 0
    assert "Availability" in said.out
    assert "lab" in said.out
    assert "data done in" in said.err
    said = call("recommend", "study.yaml", "-q")
    assert said.code == 0
    assert said.out.startswith("Late fusion")
    assert "availability" in said.out
    assert said.err == ""


def test_the_whole_job_ends_with_the_path_of_the_report(folder, call):
    """`run` with real models: headline, patterns, baselines, and the report last."""
    said = call("run", "study.yaml")
    assert said.code == 0
    path = folder / said.out.splitlines()[-1]
    assert path == folder / "runs" / "ward" / "report.html"
    assert "</html>" in path.read_text(encoding="utf-8")
    for words in ("by availability pattern", "best single modality", "presence only"):
        assert words in said.out
    again = call("run", "study.yaml")
    assert again.code == 0
    assert again.out == said.out
    assert " done in " not in again.err
    model = call("fit", "study.yaml", "-q")
    assert model.out.splitlines()[-1] == "runs/ward/model.fusewise"
    assert call("report", "study.yaml", "-q").out == "runs/ward/report.html\n"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("command", ["run", "evaluate"])
def test_exit_codes_answer_the_requirements(folder, call, command):
    """0: met; 1: not met, with the next alternative; 3: undetermined."""

    def code(limit):
        setting = f"requirements=[{{present: [static], metric: log_loss, at_most: {limit}}}]"
        return call(command, "study.yaml", "--set", setting, "-q")

    assert code(99.0).code == 0
    failed = code(0.0001)
    assert failed.code == 1
    assert "not met" in failed.out
    assert "training.strategy=" in failed.out
    evaluation = json.loads((folder / "runs" / "ward" / "evaluation.json").read_text())
    middle = evaluation["requirements"]["$table"]["estimate"][0]
    assert code(middle).code == 3
    assert call("report", "study.yaml", "-q").code == 0


def test_an_unknown_key_is_one_message_without_a_stack(folder, call):
    """A typo ends with its line and a suggestion, on standard error, with code 2."""
    path = folder / "study.yaml"
    path.write_text(path.read_text().replace("modalities:", "modalitys:"))
    said = call("run", "study.yaml")
    assert said.code == 2
    assert said.out == ""
    assert "line 3, modalitys: unknown key. Did you mean 'modalities'?" in said.err
    assert "Traceback" not in said.err
    assert "Traceback" in call("run", "study.yaml", "--debug").err


def lose_table(folder):
    (folder / "lab.parquet").unlink()


def lose_column(folder):
    pd.DataFrame({"stay": [1], "x": [1.0]}).to_parquet(folder / "lab.parquet")


def repeat_ids(folder):
    pd.DataFrame({"stay_id": [1, 1], "died": [0, 1]}).to_parquet(folder / "samples.parquet")


def empty_samples(folder):
    frame = pd.read_parquet(folder / "samples.parquet").iloc[:0]
    frame.to_parquet(folder / "samples.parquet")


def single_row(folder):
    frame = pd.read_parquet(folder / "samples.parquet").iloc[:1]
    frame.to_parquet(folder / "samples.parquet")


def one_class(folder):
    frame = pd.read_parquet(folder / "samples.parquet").assign(died=1)
    frame.to_parquet(folder / "samples.parquet")


def three_values(folder):
    frame = pd.read_parquet(folder / "samples.parquet")
    frame.assign(died=frame["stay_id"] % 3).to_parquet(folder / "samples.parquet")


def words_for_numbers(folder):
    events = pd.DataFrame({"stay_id": [1, 2], "minute": [1, 2], "variable": "a", "value": "high"})
    events.to_parquet(folder / "lab.parquet")
    path = folder / "study.yaml"
    long = "{table: lab.parquet, kind: events, time: minute, variable: variable, value: value}"
    path.write_text(path.read_text().replace("{table: lab.parquet}", long))


def not_a_table(folder):
    (folder / "lab.parquet").write_text("not a table")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lose_table, ["1 table does not exist", "line 5 (modalities.lab.table)", "--root"]),
        (lose_column, ["modality 'lab'", "no column 'stay_id'"]),
        (repeat_ids, ["samples", "ids must be unique"]),
        (empty_samples, ["samples", "the table is empty"]),
        (single_row, ["one value only"]),
        (one_class, ["died", "one value only"]),
        (three_values, ["died", "multiclass", "regression"]),
        (words_for_numbers, ["modality 'lab'", "'high'"]),
        (not_a_table, ["modality 'lab'", "cannot be read"]),
    ],
)
def test_bad_input_is_one_clear_message(folder, call, spoil, words):
    """Whatever is wrong with the tables, the message names the object and there is no stack."""
    spoil(folder)
    said = call("run", "study.yaml", "-q")
    assert said.code == 2, said
    assert said.err.startswith("fusewise: ")
    assert "Traceback" not in said.err
    for word in words:
        assert word in said.err


def test_a_modality_that_nobody_has_is_noted_and_the_job_goes_on(folder, call):
    """Rows of unknown samples are counted; the modality teaches nothing and says so."""
    pd.DataFrame({"stay_id": [9000], "x": [1.0]}).to_parquet(folder / "lab.parquet")
    said = call("profile", "study.yaml")
    assert said.code == 0
    assert "note: lab: left out 1 row" in said.err
    assert "no sample has it" in said.err
    assert "No training sample has lab" in said.out


def test_a_run_folder_that_cannot_be_written_is_said(folder, call):
    """A file in the way of the run folder ends before any table is read."""
    (folder / "taken").write_text("a file")
    said = call("run", "study.yaml", "-o", "taken/run")
    assert said.code == 2
    assert "the run folder 'taken/run' cannot be written" in said.err
    assert "data" not in said.err.splitlines()[0].split(":")[0]


@pytest.mark.usefixtures("quick")
def test_an_interruption_says_how_to_go_on(folder, call, monkeypatch):
    """Ctrl-C keeps what is finished; the same command goes on from there."""
    fit = next(s for s in running.STAGES if s.name == "evaluate")

    def stop(self, job):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(fit), "compute", stop)
        said = call("run", "study.yaml")
    assert said.code == 130
    assert "evaluate interrupted\n" in said.err
    assert "failed" not in said.err
    assert "What is finished is kept in runs/ward; the same command goes on" in said.err
    again = call("run", "study.yaml")
    assert again.code == 0
    assert "presence kept" in again.err
    assert "evaluate done" in again.err


def test_a_fault_of_fusewise_is_told_as_one(folder, call, monkeypatch):
    """An error that nobody foresaw is not blamed on the input, and can be traced."""

    def broken(*_, **__):
        raise ZeroDivisionError("nobody foresaw this")

    monkeypatch.setattr(commands, "_run", broken)
    said = call("profile", "study.yaml")
    assert said.code == 70
    assert "ZeroDivisionError: nobody foresaw this" in said.err
    assert "--debug" in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize("arguments", [["launch"], ["run"], ["run", "study.yaml", "--folde", "x"]])
def test_wrong_usage_ends_with_two(call, arguments):
    """Usage errors have the code of input errors."""
    said = call(*arguments)
    assert said.code == 2
    assert "Traceback" not in said.err


def test_settings_reach_the_study(folder, call):
    """`--set` replaces values, `--root` where tables are."""
    (folder / "sub").mkdir()
    (folder / "sub" / "study.yaml").write_text((folder / "study.yaml").read_text())
    assert call("profile", "sub/study.yaml").code == 2
    said = call("profile", "sub/study.yaml", "--root", ".", "-s", "study=other", "-q")
    assert said.code == 0
    assert (folder / "runs" / "other" / "profile.json").exists()
    assert "write key=value" in call("profile", "study.yaml", "-s", "seed").err


def test_init_writes_a_study_that_runs_and_never_overwrites(folder, call):
    """`init` says what is left to decide; an existing file is safe."""
    assert call("init", ".").code == 2
    assert "--force" in call("init", ".").err
    said = call("init", ".", "--force")
    assert said.code == 0
    assert "Nothing is left to decide" in said.out
    assert said.out.splitlines()[-1] == "study.yaml"
    assert call("profile", "study.yaml", "-q").code == 0
    three_values(folder)
    said = call("init", ".", "--force")
    assert "choose: multiclass or regression" in said.out
    assert "1 line needs a decision" in said.out


def test_init_writes_elsewhere_with_the_way_back(folder, call):
    """With `--output` in another folder the study file says where its tables are."""
    (folder / "studies").mkdir()
    assert call("init", ".", "--output", "studies/ward.yaml").code == 0
    assert "root: .." in (folder / "studies" / "ward.yaml").read_text()
    assert call("profile", "studies/ward.yaml", "-q").code == 0
    assert "cannot be written" in call("init", ".", "--output", "nowhere/ward.yaml").err


def test_help_is_quick_and_profile_loads_no_model_library(folder):
    """Starting costs what it must: no data library for help, no torch or sklearn for profile."""
    code = (
        "import sys, atexit\n"
        "atexit.register(lambda: print(*sorted({'torch', 'sklearn', 'lightgbm', 'matplotlib',"
        " 'pandas', 'rich'} & set(sys.modules)), file=sys.stderr))\n"
        "from fusewise.cli import main\nmain()"
    )

    def loaded(*arguments):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
        )
        return set(done.stderr.split("\n")[-2].split())

    assert loaded("--help") == set()
    assert not loaded("profile", "study.yaml", "-q") & {"torch", "sklearn", "lightgbm"}
    assert "torch" not in loaded("recommend", "study.yaml", "-q")


def test_on_a_terminal_stages_are_marked_and_warnings_noted(capsys, monkeypatch):
    """The spinner leaves one line per stage, and what was left out below it."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress.follow() as tell:
        tell(StageEvent("data", "start", "Reading"))
        tell(StageEvent("data", "done", "Reading", "3 samples [odd]", 61.2, ("1 row left out",)))
        tell(StageEvent("late", "skipped", "Training", "not needed"))
    said = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().err)
    assert "✓ data" in said
    assert "1 min 1 s" in said
    assert "3 samples [odd]" in said
    assert "note 1 row left out" in said
    assert "- late" in said


def test_numbers_are_shown_as_people_read_them():
    """Shares near the ends keep a digit; undefined scores say so."""
    assert [terminal.percent(x) for x in (0.5, 0.004, 0.996, 1.0, float("nan"))] == [
        "50%",
        "0.4%",
        "99.6%",
        "100%",
        "?",
    ]
    nan = float("nan")
    assert terminal.interval(nan, nan, nan, terminal.number) == "undefined"
    assert show._pattern("a+b", ["a", "b"], 2) == "all"
    assert show._pattern("a+b+c", ["a", "b", "c", "d"], 4) == "all but d"


def test_reasons_of_the_recommendation_are_not_met_or_unmet(folder, call):
    """The words of requirements are left to requirements; the reason that decided says so."""
    said = call("recommend", "study.yaml", "-q").out
    assert "  decided      availability: " in said
    assert "  not reached  " in said
    assert "not met" not in said


def test_cadence_names_its_unit_and_has_no_exponent(folder, call):
    """Half a day between timestamps is 43,200 seconds, and the table says seconds."""
    times = pd.to_datetime(["2020-01-01 00:00", "2020-01-01 12:00"] * 75)
    events = pd.DataFrame({"stay_id": np.repeat(np.arange(75), 2), "at": times, "value": 1.0})
    events.assign(variable="pulse").to_parquet(folder / "lab.parquet")
    path = folder / "study.yaml"
    long = "{table: lab.parquet, kind: events, time: at, variable: variable, value: value}"
    path.write_text(path.read_text().replace("{table: lab.parquet}", long))
    said = call("profile", "study.yaml", "-q").out
    assert "in the unit of the event times (seconds for timestamps)" in said
    assert "43,200" in said
    assert "e+0" not in said


def test_quiet_is_quiet_also_about_what_was_left_out(folder, call):
    """With -q only errors are told; the note stays in the manifest, and stands there without -q."""
    lab = pd.read_parquet(folder / "lab.parquet").assign(died=1)
    lab.to_parquet(folder / "lab.parquet")
    assert call("profile", "study.yaml", "-q").err == ""
    manifest = (folder / "runs" / "ward" / "run.json").read_text()
    assert "died also stands in the samples table" in manifest
    told = call("profile", "study.yaml", "--force").err
    assert told.count("died also stands in the samples table") == 1


def test_an_interruption_before_anything_was_written_does_not_promise_it(folder, call, monkeypatch):
    """Without a finished stage there is no run folder to go on from."""
    data = next(s for s in fact_stages.FACT_STAGES if s.name == "data")

    def stop(self, job):
        raise KeyboardInterrupt

    monkeypatch.setattr(type(data), "compute", stop)
    said = call("run", "study.yaml")
    assert said.code == 130
    assert "data interrupted" in said.err
    assert "Interrupted. No stage was finished" in said.err
    assert not (folder / "runs").exists()


def test_a_log_hears_of_a_long_training_now_and_then(capsys, monkeypatch):
    """Without a terminal an epoch is a line only where nothing was said for half a minute."""
    clock = iter([0.0, 5.0, 31.0, 31.0, 40.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with progress.follow() as tell:
        tell(StageEvent("fit", "start", "Training the model"))
        for epoch, seconds in ((1, 5.0), (2, 31.0), (3, 40.0)):
            tell(StageEvent("fit", "progress", "Training", f"epoch {epoch}", seconds))
        tell(StageEvent("fit", "done", "Training the model", "ready", 41.0))
    assert capsys.readouterr().err == "fit after 31.0 s: epoch 2\nfit done in 41.0 s: ready\n"
