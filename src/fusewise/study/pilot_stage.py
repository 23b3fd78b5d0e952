"""The stage that tries the candidates on training rows, where the study file asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from fusewise.study.folder import RunFolder, Writer
from fusewise.study.job import Job
from fusewise.study.operating import requirements_of_scores
from fusewise.study.plan import LEARNED, SETTINGS
from fusewise.study.stage import Stage

# What a pilot keeps small, whatever is trained afterwards.
_OWN = ("n_jobs", "n_members", "max_epochs")


class _TryCandidates(Stage):
    """Fit the candidates cheaply under the deployment's absence; the answer may overrule the matrix."""

    name = "pilot"
    doing = "Trying the candidates on training rows"

    def skipped(self, job: Job) -> str:
        return "" if job.study.file.training.pilot else "not asked for (training.pilot)"

    def depends(self, job: Job) -> dict[str, Any]:
        from fusewise.recommend import recommend

        profile, declared = job.result("profile"), job.study.file.training.pilot
        assert declared is not None
        # What the pilot reads of the profile: a changed latency limit tries nothing again.
        matrix = recommend(profile, n_boot=1)
        asked = declared.strategies or tuple(matrix.maskings)
        learned = ("torch",) if {*asked, matrix.strategy} & {*LEARNED} else ()
        return {
            "train": job.result("data").train,
            "matrix": matrix.strategy,
            "excluded": sorted(matrix.excluded),
            "maskings": matrix.maskings,
            "deployment": [profile.source, matrix.deployment],
            "requirements": requirements_of_scores(job),
            "settings": declared.model_dump(),
            "params": _params(job),
            "seed": job.study.seed,
            "libraries": {name: version(name) for name in ("lightgbm", "numpy", *learned)},
        }

    def compute(self, job: Job) -> Any:
        from fusewise.recommend import pilot

        declared = job.study.file.training.pilot
        assert declared is not None
        return pilot(
            job.train,
            job.result("profile"),
            requirements=requirements_of_scores(job),
            params=_params(job),
            n_jobs=job.study.file.training.n_jobs,
            random_state=job.study.seed,
            on_fit=lambda said: job.tell(_progress(said)),
            **declared.model_dump(),
        )

    def writers(self, result: Any) -> Mapping[str, Writer]:
        return {"pilot.json": result.to_json}

    def load(self, folder: RunFolder) -> Any:
        from fusewise.recommend import Pilot

        return Pilot.from_json(folder.file("pilot.json"))

    def summary(self, result: Any) -> str:
        verb = "overrules" if result.overrules else "does not overrule"
        if result.choice == result.reference:
            return f"{result.reference} fusion, as the matrix says"
        return f"{result.choice} fusion {verb} {result.reference} fusion"

    def notes(self, result: Any) -> tuple[str, ...]:
        lacks = (f"The time ended before: {'; '.join(result.lacks)}.",) if result.lacks else ()
        return (*lacks, *result.notes)


def _params(job: Job) -> dict[str, dict[str, Any]]:
    """Return what the study file sets of each strategy's own parameters, sizes left out."""
    training = job.study.file.training
    found = {}
    for strategy, names in SETTINGS.items():
        given = {n: getattr(training, n) for n in names if n not in _OWN}
        given = {name: value for name, value in given.items() if value is not None}
        if given:
            found[strategy] = given
    return found


def _progress(said: Mapping[str, Any]) -> str:
    return (
        f"{said['done']} of {said['total']} fits, {said['strategy']} fusion on "
        f"{said['size']:,} rows in {said['seconds']:.1f} s"
    )


PILOT_STAGE: Stage = _TryCandidates()
