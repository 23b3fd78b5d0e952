"""A study profiled where its tables lie, without a dataset in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fusewise.data import engine_of, open_engine
from fusewise.exceptions import StudyError

if TYPE_CHECKING:
    from fusewise.profile import DeploymentProfile
    from fusewise.study.declared import Study

TRAINING = ("train", "validation")
ENGINE_OF = {"duckdb": "duckdb", "pyspark": "spark"}


def profile_study(
    study: Study, engine: Any, *, n_in_memory: int, random_state: int
) -> DeploymentProfile:
    """Profile the tables of a study on an engine; see :meth:`Study.profile_tables`."""
    from fusewise.profile import profile_tables

    if engine != "spark":
        # Whether a path exists is for a cluster to say.
        study.tables()
    modalities, samples, deployment = study.modalities(), study.samples(), study.deployment_facts()
    here = engine_of([samples["samples"], *(m.table for m in modalities.values())])
    if engine is None or (here is not None and engine == ENGINE_OF.get(here.name)):
        engine = here
    with open_engine(engine) as on:
        if here is not None and here is not on.connection:
            raise StudyError(
                f"{study.where('connection')}: the tables stand behind a connection to {here.name}, "
                f"which the engine {on.name} cannot read. Leave the engine out, or write "
                "`connection: spark` for tables of a Spark session."
            )
        rule = study.file.samples.split
        part = {str(rule.column): TRAINING} if rule.by == "column" else None
        found = profile_tables(
            modalities,
            **samples,
            part=part,
            deployment=deployment,
            engine=on,
            n_in_memory=n_in_memory,
            probes=study.file.profile.probes and n_in_memory > 0,
            random_state=random_state,
        )
    if part is not None:
        return found
    note = (
        f"All samples are profiled, not the training rows alone: the split by {rule.by} is drawn "
        "from samples in memory."
    )
    return replace(found, notes=(*found.notes, note))
