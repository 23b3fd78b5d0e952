"""The stages that train, evaluate and report.

A stage depends on the *content* that it reads (fingerprints of the training and test rows, the
recommended strategy) and not on whether an earlier stage was executed, so that a table which was
only written again, or a latency limit that changes no advice, trains nothing again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fusewise.study.folder import RunFolder, Writer
from fusewise.study.job import Job
from fusewise.study.operating import point_of, point_state, requirements_of
from fusewise.study.plan import (
    LEARNED,
    BestSingle,
    Plan,
    make_estimator,
    plan_training,
    settings_of,
)
from fusewise.study.provenance import provenance, spell_score
from fusewise.study.stage import Stage
from fusewise.study.training_log import FILE as TRAINING
from fusewise.study.training_log import Listener, TrainingLog

LIBRARIES = ("lightgbm", "numpy", "scikit-learn")


class FitModel(Stage):
    """Train the strategy that was recommended or asked for."""

    name = "fit"
    doing = "Training the model"
    file = "model.fusewise"

    def plan(self, job: Job) -> Plan:
        """Return what to train."""
        return plan_training(job)

    def depends(self, job: Job) -> dict[str, Any]:
        plan = self.plan(job)
        settings = settings_of(plan, job)
        # How many processes do it is no reason to do it again.
        settings.pop("n_jobs", None)
        # Late and learned strategies weigh samples like the deployment, whatever the masking.
        weighs = plan.strategy in ("late", *LEARNED) or plan.masking == "deployment"
        learned = ("torch",) if plan.strategy in LEARNED else ()
        return {
            "train": job.result("data").train,
            "strategy": plan.strategy,
            "masking": plan.masking,
            "deployment": job.result("recommend").deployment if weighs else None,
            "settings": settings,
            "seed": job.study.seed,
            "libraries": {name: version(name) for name in (*LIBRARIES, *learned)},
        }

    def compute(self, job: Job) -> Any:
        model = make_estimator(self.plan(job), job)
        if "checkpoint" not in model.get_params(deep=False):
            return model.fit(job.train, job.train.target)
        job.unfinished.mkdir(parents=True, exist_ok=True)
        model.set_params(
            checkpoint=job.unfinished,
            verbose=Listener(job.tell, model),
        )
        model.fit(job.train, job.train.target)
        # Where this run kept its checkpoints is no property of the model.
        return model.set_params(checkpoint=None, verbose=0)

    def writers(self, result: Any) -> Mapping[str, Writer]:
        log = TrainingLog.of(result)
        return {self.file: result.save} | ({} if log is None else {TRAINING: log.to_json})

    def load(self, folder: RunFolder) -> Any:
        from fusewise.fusion import load

        return load(folder.file(self.file))

    def summary(self, result: Any) -> str:
        log = TrainingLog.of(result)
        return type(result).__name__ + ("" if log is None else f": {log.summary}")


class _FitLate(FitModel):
    """Train late fusion, the standing baseline and the source of the best single modality."""

    name = "late"
    doing = "Training late fusion beside it"
    file = "late.fusewise"

    def skipped(self, job: Job) -> str:
        return "the model is late fusion itself" if plan_training(job).strategy == "late" else ""

    def plan(self, job: Job) -> Plan:
        return Plan("late", None)


class _FitPresence(FitModel):
    """Train the model that sees presence alone, which shows what a shortcut would earn."""

    name = "presence"
    doing = "Training on presence alone"
    file = "presence.fusewise"

    def plan(self, job: Job) -> Plan:
        return Plan("presence", None)


class _Evaluate(Stage):
    """Measure quality per availability pattern and check the requirements."""

    name = "evaluate"
    doing = "Evaluating per availability pattern"

    def depends(self, job: Job) -> dict[str, Any]:
        return {
            "models": {n: job.keys[n] for n in ("fit", "late", "presence") if n in job.keys},
            "test": job.result("data").test,
            "train": job.result("data").train,
            "deployment": job.deployment_state(),
            "requirements": requirements_of(job),
            "operating point": point_state(job),
            "corruptions": job.study.file.evaluation.corruptions,
            "seed": job.study.seed,
        }

    def compute(self, job: Job) -> Any:
        from fusewise.evaluate import evaluate

        model, presence = job.result("fit"), job.result("presence")
        late = job.result("late") if "late" in job.keys else model
        baselines = {} if late is model else {"late": late}
        single = BestSingle.of(late, job.train)
        if single is not None:
            baselines[single.name] = single
        baselines["presence only"] = presence
        return evaluate(
            model,
            job.test,
            deployment=job.study.deployment,
            requirements=requirements_of(job),
            operating_point=point_of(job),
            corruptions=job.study.file.evaluation.corruptions,
            baselines=baselines,
            train_presence=job.train.presence,
            random_state=job.study.seed,
        )

    def writers(self, result: Any) -> Mapping[str, Writer]:
        return {"evaluation.json": result.to_json}

    def load(self, folder: RunFolder) -> Any:
        from fusewise.evaluate import Evaluation

        return Evaluation.from_json(folder.file("evaluation.json"))

    def summary(self, result: Any) -> str:
        first = result.headline.iloc[0]
        text = f"{first['metric']} {spell_score(*first[['estimate', 'low', 'high']])}"
        if first.get("small", False):
            text += " (few samples)"
        status = result.requirements["status"].value_counts()
        met = ", ".join(
            f"{status[s]} {s}" for s in ("met", "not met", "undetermined") if s in status
        )
        return f"{text}; requirements: {met}" if met else text


class _WriteReport(Stage):
    """Render everything as HTML, Markdown and JSON."""

    name = "report"
    doing = "Writing the report"

    def depends(self, job: Job) -> dict[str, Any]:
        made = provenance(job)
        return {
            "data": job.result("data").to_dict(),
            "results": {
                n: job.keys[n]
                for n in ("profile", "recommend", "fit", "evaluate", "compare")
                if n in job.keys
            },
            # How long it took changes no result.
            "provenance": {name: value for name, value in made.items() if name != "seconds"},
        }

    def compute(self, job: Job) -> Any:
        from fusewise.report import report

        plan, advice, evaluation = (
            plan_training(job),
            job.result("recommend"),
            job.result("evaluate"),
        )
        if plan.strategy != advice.trainable:
            advice = replace(advice, trainable=plan.strategy, why_trainable=plan.note)
        return report(
            job.result("profile"),
            advice,
            evaluation,
            comparison=job.result("compare"),
            training=TrainingLog.kept_in(job.folder),
            title=job.study.name,
            provenance=provenance(job),
        )

    def writers(self, result: Any) -> Mapping[str, Writer]:
        return {f"report.{suffix}": result.save for suffix in ("html", "md", "json")}

    def load(self, folder: RunFolder) -> Path:
        return folder.file("report.html")


FIT_STAGES: tuple[Stage, ...] = (FitModel(), _FitLate(), _FitPresence())
EVALUATE_STAGE: Stage = _Evaluate()
REPORT_STAGE: Stage = _WriteReport()
