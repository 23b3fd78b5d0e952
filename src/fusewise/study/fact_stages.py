"""The stages before the model: reading, profile, a pilot where it is asked for, recommendation."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from fusewise.study.folder import RunFolder, Writer
from fusewise.study.job import Job
from fusewise.study.pilot_stage import PILOT_STAGE
from fusewise.study.stage import Stage
from fusewise.study.summary import DataSummary, left_out, summarise


class _ReadData(Stage):
    """Read the tables, split, and note what was read."""

    name = "data"
    doing = "Reading the tables"

    def depends(self, job: Job) -> dict[str, Any]:
        file = job.study.file
        return {
            "samples": file.samples.model_dump(),
            "modalities": {name: m.model_dump() for name, m in file.modalities.items()},
            "connection": file.connection,
            "seed": None if file.samples.split.by in ("column", "time") else job.study.seed,
            "tables": job.table_hashes(),
            # What stands behind a connection has no fingerprint: it is read every time.
            "read": time.time_ns() if file.connection else None,
        }

    def compute(self, job: Job) -> DataSummary:
        return summarise(job.study.dataset(), *job.study.split())

    def check(self, job: Job, result: Callable[[], DataSummary]) -> None:
        if job.study.file.requirements:
            # A misspelt metric is found before hours of training, not after.
            grouped = any(r.group for r in job.study.file.requirements)
            job.study.check_requirements(result().task, job.test.samples if grouped else None)

    def writers(self, result: DataSummary) -> Mapping[str, Writer]:
        return {"data.json": result.to_json}

    def load(self, folder: RunFolder) -> DataSummary:
        return DataSummary.from_json(folder.file("data.json"))

    def summary(self, result: DataSummary) -> str:
        n = result.n_train + result.n_test
        return (
            f"{_plural(n, 'sample')} ({result.n_train:,} to train, {result.n_test:,} to test), "
            f"{_plural(len(result.modalities), 'modality', 'modalities')}, "
            f"{_plural(len(result.patterns), 'availability pattern')}"
        )

    def notes(self, result: DataSummary) -> tuple[str, ...]:
        return left_out(result.ingestion)


class _MakeProfile(Stage):
    """Measure how the modalities are and will be available."""

    name = "profile"
    doing = "Profiling the deployment"

    def depends(self, job: Job) -> dict[str, Any]:
        return {
            "train": job.result("data").train,
            "deployment": job.deployment_state(),
            "probes": job.study.file.profile.probes,
            "seed": job.study.seed,
        }

    def compute(self, job: Job) -> Any:
        from fusewise.profile import profile

        return profile(
            job.train,
            deployment=job.study.deployment,
            probes=job.study.file.profile.probes,
            random_state=job.study.seed,
        )

    def writers(self, result: Any) -> Mapping[str, Writer]:
        return {"profile.json": result.to_json}

    def load(self, folder: RunFolder) -> Any:
        from fusewise.profile import DeploymentProfile

        return DeploymentProfile.from_json(folder.file("profile.json"))

    def summary(self, result: Any) -> str:
        if result.source == "none":
            return "deployment availability unknown: none was observed or declared"
        rates = result.availability.sort_values("rate")
        rarest = rates.iloc[0]
        return f"rarest in deployment: {rarest['modality']}, there in {rarest['rate']:.0%}"


class _Recommend(Stage):
    """Choose the strategy that fits the profile."""

    name = "recommend"
    doing = "Choosing a strategy"

    def depends(self, job: Job) -> dict[str, Any]:
        tried = {"pilot": job.keys["pilot"]} if "pilot" in job.keys else {}
        return {"profile": job.keys["profile"], **tried}

    def compute(self, job: Job) -> Any:
        from fusewise.recommend import recommend

        return recommend(job.result("profile"), pilot=job.result("pilot"))

    def writers(self, result: Any) -> Mapping[str, Writer]:
        return {"recommendation.json": result.to_json}

    def load(self, folder: RunFolder) -> Any:
        from fusewise.recommend import Recommendation

        return Recommendation.from_json(folder.file("recommendation.json"))

    def summary(self, result: Any) -> str:
        masked = f", masking {result.masking}" if result.masking else ""
        overruled = "" if result.matrix == result.strategy else f"; the matrix says {result.matrix}"
        return f"{result.strategy} fusion{masked}{overruled}"

    def notes(self, result: Any) -> tuple[str, ...]:
        return tuple(result.masking_warnings)


def _plural(n: int, one: str, many: str | None = None) -> str:
    return f"{n:,} {one if n == 1 else many or one + 's'}"


FACT_STAGES: tuple[Stage, ...] = (_ReadData(), _MakeProfile(), PILOT_STAGE, _Recommend())
