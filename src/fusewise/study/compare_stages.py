"""The stages that train further strategies and hold all of them against each other, if asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fusewise.study.folder import RunFolder, Writer
from fusewise.study.job import Job
from fusewise.study.model_stages import FitModel
from fusewise.study.operating import point_state, point_to_check, requirements_of
from fusewise.study.plan import BestSingle, Plan, plan_training
from fusewise.study.stage import Stage

STRATEGIES = ("early", "late", "intermediate", "attention")
NOT_ASKED = "not asked for (evaluation.compare)"


def asked_for(job: Job) -> tuple[str, ...]:
    """Return the strategies that the study file wants compared.

    ``all`` leaves out what the recommendation rules out; a list is taken at its word.
    """
    asked = job.study.file.evaluation.compare
    if asked is None:
        return ()
    if "all" in asked:
        return tuple(s for s in STRATEGIES if s not in job.result("recommend").excluded)
    return tuple(s for s in STRATEGIES if s in asked)


class _FitBeside(FitModel):
    """Train one further strategy, masked as the recommendation says."""

    def __init__(self, strategy: str) -> None:
        self.strategy = strategy
        # Instead of class attributes: one class, a stage for each strategy.
        self.name = f"beside_{strategy}"  # type: ignore[misc]
        self.doing = f"Training {strategy} fusion to compare with"  # type: ignore[misc]
        self.file = f"{strategy}.fusewise"

    def skipped(self, job: Job) -> str:
        if self.strategy == plan_training(job).strategy:
            return "it is the model itself"
        return "" if self.strategy in asked_for(job) else NOT_ASKED

    def plan(self, job: Job) -> Plan:
        return Plan(self.strategy, job.result("recommend").maskings[self.strategy])

    def writers(self, result: Any) -> Mapping[str, Writer]:
        return {self.file: result.save}


class _Compare(Stage):
    """Hold the strategies and the standing baselines against each other."""

    name = "compare"
    doing = "Comparing the strategies per availability pattern"

    def skipped(self, job: Job) -> str:
        return "" if asked_for(job) else NOT_ASKED

    def depends(self, job: Job) -> dict[str, Any]:
        fits = ("fit", "late", "presence", *(stage.name for stage in BESIDE_STAGES))
        return {
            "models": {name: job.keys[name] for name in fits if name in job.keys},
            "compared": asked_for(job),
            "test": job.result("data").test,
            "train": job.result("data").train,
            "deployment": job.deployment_state(),
            "requirements": requirements_of(job, of_the_model=False),
            "operating point": point_state(job),
            "seed": job.study.seed,
        }

    def compute(self, job: Job) -> Any:
        from fusewise.evaluate import compare

        return compare(
            compared_models(job),
            job.test,
            deployment=job.study.deployment,
            requirements=requirements_of(job, of_the_model=False),
            operating_point=_declared_threshold(job),
            train_presence=job.train.presence,
            n_jobs=job.study.file.training.n_jobs,
            random_state=job.study.seed,
        )

    def writers(self, result: Any) -> Mapping[str, Writer]:
        return {"comparison.json": result.to_json}

    def load(self, folder: RunFolder) -> Any:
        from fusewise.evaluate import Comparison

        return Comparison.from_json(folder.file("comparison.json"))

    def summary(self, result: Any) -> str:
        metric = result.metrics[0]
        own = result.differences[result.differences["metric"] == metric]
        ahead = own[own["ahead"] != "neither"]
        if ahead.empty:
            return f"no difference in {metric} between {', '.join(result.models)} is clear"
        beaten = {
            name
            for row in ahead.itertuples(index=False)
            for name in (row.first, row.second)
            if name != row.ahead
        }
        return f"in {metric} nothing is ahead of {', '.join(m for m in result.models if m not in beaten)}"


def _declared_threshold(job: Job) -> Any:
    declared = job.study.file.evaluation.operating_point
    return (
        None if declared is None or declared.threshold is None else point_to_check(job.study.file)
    )


def compared_models(job: Job) -> dict[str, Any]:
    """Return what is compared by name: strategies in their order, then the standing baselines."""
    trained = plan_training(job).strategy
    late = job.result("late") if "late" in job.keys else job.result("fit")
    made = {trained: job.result("fit"), "late": late}
    for stage in BESIDE_STAGES:
        if stage.name in job.keys:
            made[stage.strategy] = job.result(stage.name)
    models = {s: made[s] for s in STRATEGIES if s in made}
    single = BestSingle.of(late, job.train)
    if single is not None:
        models[single.name] = single
    return models | {"presence only": job.result("presence")}


# Late fusion is trained as a standing baseline whatever is compared.
BESIDE_STAGES: tuple[_FitBeside, ...] = tuple(_FitBeside(s) for s in STRATEGIES if s != "late")
COMPARE_STAGE: Stage = _Compare()
