"""The operating point of a study: a declared threshold, or one chosen on training rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fusewise.study.folder import RunFolder, Writer
from fusewise.study.job import Job
from fusewise.study.plan import make_estimator, plan_training
from fusewise.study.stage import Stage

if TYPE_CHECKING:
    from fusewise.data import StudyFile
    from fusewise.evaluate import OperatingPoint


def point_to_check(file: StudyFile) -> OperatingPoint | None:
    """Return an operating point to check names by, before anything was trained."""
    from fusewise.evaluate import OperatingPoint

    declared = file.evaluation.operating_point
    if declared is None:
        return None
    # An alert rate becomes some threshold later; which one changes no name.
    return OperatingPoint(threshold=0.5 if declared.threshold is None else declared.threshold)


def point_of(job: Job) -> OperatingPoint | None:
    """Return the operating point of the model of this run, or None where none is declared."""
    declared = job.study.file.evaluation.operating_point
    if declared is None or declared.threshold is not None:
        return point_to_check(job.study.file)
    chosen: OperatingPoint = job.result("threshold").operating_point
    return chosen


def point_state(job: Job) -> dict[str, Any]:
    """Return what a result that uses the operating point depends on."""
    declared = job.study.file.evaluation.operating_point
    return {
        "declared": None if declared is None else declared.model_dump(),
        "chosen": job.keys.get("threshold"),
    }


def requirements_of(job: Job, *, of_the_model: bool = True) -> list[dict[str, Any]]:
    """Return the requirements as plain values.

    Those at an operating point are of the model that the point was chosen for: the same threshold
    means another alert rate for another predictor. Without `of_the_model` they stay only where the
    threshold itself is declared.
    """
    declared = job.study.file.evaluation.operating_point
    if of_the_model or declared is None or declared.threshold is not None:
        return [r.as_dict() for r in job.study.file.requirements]
    return requirements_of_scores(job)


def requirements_of_scores(job: Job) -> list[dict[str, Any]]:
    """Return the requirements that can be answered without an operating point."""
    from fusewise.evaluate import AT_A_POINT

    asked = [r.as_dict() for r in job.study.file.requirements]
    return [r for r in asked if r["metric"] not in AT_A_POINT]


class _ChooseThreshold(Stage):
    """Find the threshold that keeps the declared alert rate, on out-of-fold predictions."""

    name = "threshold"
    doing = "Choosing the threshold on training rows"

    def skipped(self, job: Job) -> str:
        declared = job.study.file.evaluation.operating_point
        if declared is None:
            return "no operating point is declared (evaluation.operating_point)"
        return "" if declared.threshold is None else "the threshold is declared"

    def depends(self, job: Job) -> dict[str, Any]:
        declared = job.study.file.evaluation.operating_point
        assert declared is not None
        return {
            "model": job.keys["fit"],
            "alert_rate": declared.alert_rate,
            "deployment": job.deployment_state(),
            "seed": job.study.seed,
        }

    def compute(self, job: Job) -> Any:
        from fusewise.evaluate import choose_threshold

        declared = job.study.file.evaluation.operating_point
        assert declared is not None
        assert declared.alert_rate is not None
        return choose_threshold(
            make_estimator(plan_training(job), job),
            job.train,
            alert_rate=declared.alert_rate,
            deployment=job.study.deployment,
            random_state=job.study.seed,
        )

    def writers(self, result: Any) -> Mapping[str, Writer]:
        return {"threshold.json": result.to_json}

    def load(self, folder: RunFolder) -> Any:
        from fusewise.evaluate import ThresholdChoice

        return ThresholdChoice.from_json(folder.file("threshold.json"))

    def summary(self, result: Any) -> str:
        return f"{result.threshold:.3f} for {result.alert_rate:.1%} alerts"


THRESHOLD_STAGE: Stage = _ChooseThreshold()
