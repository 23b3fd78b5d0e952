"""Running a study: stage after stage, each done only when what it depends on has changed."""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusewise import __version__
from fusewise.exceptions import FusewiseWarning, StudyError, did_you_mean
from fusewise.study.compare_stages import BESIDE_STAGES, COMPARE_STAGE
from fusewise.study.fact_stages import FACT_STAGES
from fusewise.study.fingerprints import key_of
from fusewise.study.folder import RunFolder
from fusewise.study.job import Job
from fusewise.study.model_stages import EVALUATE_STAGE, FIT_STAGES, REPORT_STAGE
from fusewise.study.operating import THRESHOLD_STAGE
from fusewise.study.plan import plan_training
from fusewise.study.provenance import next_alternatives, next_step, note_round
from fusewise.study.stage import Stage

if TYPE_CHECKING:
    from fusewise.study.declared import Study

STAGES: tuple[Stage, ...] = (
    *FACT_STAGES,
    *FIT_STAGES,
    *BESIDE_STAGES,
    THRESHOLD_STAGE,
    EVALUATE_STAGE,
    COMPARE_STAGE,
    REPORT_STAGE,
)

# The commands that stop early, and the last stage of each.
UNTIL = {
    "data": "data",
    "profile": "profile",
    "recommend": "recommend",
    "fit": BESIDE_STAGES[-1].name,
    "evaluate": "evaluate",
    "compare": "compare",
    "report": "report",
}

# What the process says about the requirements; 2 is left to errors of usage and input.
MET, NOT_MET, UNDETERMINED = 0, 1, 3


@dataclass(frozen=True)
class StageEvent:
    """What a run tells while it works.

    Attributes
    ----------
    stage : str
        Name of the stage.
    state : {"start", "progress", "done", "kept", "skipped", "failed", "interrupted"}
        ``progress``: it is under way; training tells every epoch. ``kept``: nothing that it depends
        on has changed since it was done.
    doing : str
        What the stage does, in words.
    message : str
        Its result in one line, how far it is, or why it was skipped.
    seconds : float
        How long it took, or has taken so far; 0 while it starts.
    warnings : tuple of str
        What was left out or assumed.
    """

    stage: str
    state: str
    doing: str
    message: str = ""
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()


Progress = Callable[[StageEvent], None]


@dataclass(frozen=True, repr=False)
class Run:
    """A finished run.

    Attributes
    ----------
    folder : Path
        The run folder.
    executed, kept : tuple of str
        Stages that were done now, and those that were kept from before.
    data : DataSummary
        What was read.
    profile : DeploymentProfile or None
    recommendation : Recommendation or None
    evaluation : Evaluation or None
        None where the run ended before.
    comparison : Comparison or None
        None where the study file asks for none, or the run ended before.
    report : Path or None
        The HTML report.
    trained : str or None
        The strategy that was trained.
    note : str
        Why it is not the recommended one, where it is not.
    next_alternative : str or None
        Where a requirement is not met: the next strategy to try.
    next_step : str
        The same as a sentence.
    """

    folder: Path
    executed: tuple[str, ...]
    kept: tuple[str, ...]
    data: Any
    profile: Any = None
    recommendation: Any = None
    evaluation: Any = None
    comparison: Any = None
    report: Path | None = None
    trained: str | None = None
    note: str = ""
    next_alternative: str | None = None
    next_step: str = ""

    def __repr__(self) -> str:
        done, kept = ", ".join(self.executed) or "nothing", ", ".join(self.kept) or "nothing"
        return f"<Run in {str(self.folder)!r}: did {done}; kept {kept}>"

    @property
    def model(self) -> Any:
        """The trained model, read from the run folder."""
        from fusewise.fusion import load

        return load(self.folder / "model.fusewise")

    @property
    def exit_code(self) -> int:
        """0: every requirement is met; 1: one is not; 3: none failed, one is undetermined."""
        if self.evaluation is None:
            return MET
        statuses = set(self.evaluation.requirements["status"])
        if "not met" in statuses:
            return NOT_MET
        return UNDETERMINED if "undetermined" in statuses else MET


def default_folder(study: str) -> Path:
    """Return ``runs/<study name>``, with what a file system may refuse written as ``-``."""
    return Path("runs") / (re.sub(r"[^\w.-]+", "-", study).strip("-.") or "study")


def run_study(
    study: Study,
    folder: str | Path | None = None,
    *,
    until: str = "report",
    progress: Progress | None = None,
    force: bool = False,
) -> Run:
    """Run a study; see `Study.run`."""
    if until not in UNTIL:
        raise StudyError(
            f"until must be one of {', '.join(UNTIL)}, got {until!r}.{did_you_mean(until, UNTIL)}"
        )
    tell = progress or _quiet
    names = [stage.name for stage in STAGES]
    wanted = STAGES[: names.index(UNTIL[until]) + 1]
    tries = study.file.training.pilot is not None and len(wanted) > names.index("pilot")
    if tries or len(wanted) > names.index("fit"):
        study.require_target()
    study.tables()
    path = default_folder(study.name) if folder is None else Path(folder)
    with RunFolder(path, study.name).open() as opened:
        job = Job(study, opened)
        executed, kept = [], []
        for stage in wanted:
            reason = stage.skipped(job)
            if reason:
                opened.drop(stage.name)
                tell(StageEvent(stage.name, "skipped", stage.doing, reason))
            elif _do(stage, job, tell, force=force):
                executed.append(stage.name)
            else:
                kept.append(stage.name)
        _note_tables(job)
        plan = plan_training(job) if "fit" in job.keys else None
        return Run(
            folder=path,
            executed=tuple(executed),
            kept=tuple(kept),
            data=job.result("data"),
            profile=job.result("profile"),
            recommendation=job.result("recommend"),
            evaluation=job.result("evaluate"),
            comparison=job.result("compare"),
            report=opened.file("report.html") if "report" in job.keys else None,
            trained=None if plan is None else plan.strategy,
            note="" if plan is None else plan.note,
            next_alternative=next(iter(next_alternatives(job)), None),
            next_step=next_step(job),
        )


def _quiet(event: StageEvent) -> None:
    """Tell nobody."""


def _do(stage: Stage, job: Job, tell: Progress, *, force: bool) -> bool:
    """Do one stage unless its result is current; return whether it was done."""
    tell(StageEvent(stage.name, "start", stage.doing))
    start = time.perf_counter()
    try:
        depends = stage.depends(job)
        key = key_of({"stage": stage.name, "fusewise": __version__, **depends})
        if not force and job.folder.is_current(stage.name, key):
            job.passed(stage.name, key, stage.load)
            stage.check(job, lambda: job.result(stage.name))
            entry = job.folder.manifest["stages"][stage.name]
            said, warned = entry.get("summary", ""), tuple(entry.get("warnings", ()))
            tell(StageEvent(stage.name, "kept", stage.doing, said, entry["seconds"], warned))
            return False
        job.begin(
            job.folder.unfinished(stage.name, key, anew=force),
            lambda said: tell(
                StageEvent(stage.name, "progress", stage.doing, said, time.perf_counter() - start)
            ),
        )
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", FusewiseWarning)
            result = stage.compute(job)
        stage.check(job, lambda: result)
        seconds, warned = time.perf_counter() - start, (*_heard(caught), *stage.notes(result))
        warned = tuple(text for text in warned if text not in _told(job))
        job.passed(stage.name, key, stage.load, result)
        _note_facts(stage, job)
        job.folder.commit(
            stage.name,
            key,
            stage.writers(result),
            seconds=seconds,
            summary=stage.summary(result),
            warnings=list(warned),
        )
    except BaseException as error:
        state = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        tell(StageEvent(stage.name, state, stage.doing, "", time.perf_counter() - start))
        raise
    tell(StageEvent(stage.name, "done", stage.doing, stage.summary(result), seconds, warned))
    return True


def _heard(caught: list[warnings.WarningMessage]) -> tuple[str, ...]:
    """Keep our own warnings as text, for the manifest and the report; pass on all others."""
    for warning in caught:
        if not issubclass(warning.category, FusewiseWarning):
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
    own = [str(w.message) for w in caught if issubclass(w.category, FusewiseWarning)]
    return tuple(dict.fromkeys(own))


def _told(job: Job) -> set[str]:
    """Return the warnings of the stages before: a table that is read again warns again."""
    stages = job.folder.manifest["stages"]
    return {text for name in job.keys for text in stages.get(name, {}).get("warnings", ())}


def _note_tables(job: Job) -> None:
    """Remember the state of each table, so that large ones are not hashed again next time."""
    before = job.folder.manifest.get("tables", {})
    now = before | job.tables.noted
    if now != before:
        job.folder.manifest["tables"] = now
        job.folder.save_manifest()


def _note_facts(stage: Stage, job: Job) -> None:
    """Write into the manifest what the stage tells about the whole run."""
    manifest = job.folder.manifest
    manifest["fusewise"] = __version__
    manifest["seed"] = job.study.seed
    if stage.name == "evaluate":
        note_round(job)
