"""Profile tables that outgrow memory, in DuckDB or on Spark, without reading them into a dataset."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from fusewise.data import (
    Deployment,
    Engine,
    KnownRows,
    Modality,
    MultimodalDataset,
    engine_of,
    is_spark_frame,
    open_engine,
    open_samples,
    portable,
)
from fusewise.exceptions import DatasetError, FusewiseWarning
from fusewise.profile.broken_joins import broken_joins, tables_without_matches
from fusewise.profile.deployment import availability_in_use
from fusewise.profile.dimensions import dimension_table
from fusewise.profile.measure import assemble
from fusewise.profile.mechanism import mechanism_table
from fusewise.profile.one_row import OneRow, reduce_to_samples
from fusewise.profile.probes import probe_table
from fusewise.profile.result import DeploymentProfile
from fusewise.profile.table_columns import column_table, missing_shares, widths
from fusewise.profile.table_times import followed, times_tables


def profile_tables(
    modalities: Mapping[str, Any],
    *,
    samples: Any,
    id: str,
    target: str | None = None,
    task: str = "auto",
    cluster: str | None = None,
    groups: Sequence[str] = (),
    prediction_time: Any = None,
    part: Mapping[str, Sequence[str]] | None = None,
    deployment: Any = None,
    engine: Any = None,
    n_in_memory: int = 10_000,
    probes: bool = False,
    random_state: int = 0,
) -> DeploymentProfile:
    """Profile tables that outgrow memory, in their own engine.

    The same figures as :func:`profile`, whose rules for point in time, presence and empty cells
    hold here, too. Each table is reduced to one row per sample where it lies; patterns, shift,
    cadence, arrival, widths and empty cells come from *all* samples, and only small tables come
    into this process.

    What needs rows in memory (effective dimensions, variance shares, and with `probes` what takes
    models to answer) is measured on a part of the samples: those that come first in the order of
    the MD5 of ``seed:id``, which is the same on every engine. The last of the notes says how many
    they are.

    Parameters
    ----------
    modalities : dict of str to Modality or table
        As for :class:`MultimodalDataset`. A table is a path, a data frame, an Arrow, Ibis or Spark
        table; on Spark paths are those of Parquet that the cluster can read.
    samples : path or table
        One row per sample.
    id, target, task, cluster, groups, prediction_time
        As for :class:`MultimodalDataset`.
    part : dict of str to sequence of str, optional
        A column of `samples` and the values of the samples to profile, e.g. ``{"split": ["train",
        "validation"]}``. The others are known and not profiled. Default: all samples.
    deployment : None, "training", dict, or Deployment
        As for :func:`profile`. A path or a Spark table of a log is read on the engine.
    engine : None, "duckdb", "spark", Ibis connection or SparkSession
        Default: that of the first Ibis table among the tables, else DuckDB in this process.
    n_in_memory : int, default 10,000
        Samples that are brought into memory; 0 leaves out what needs them.
    probes : bool
        As for :func:`profile`.
    random_state : int

    Returns
    -------
    DeploymentProfile
        With two more tables, ``read`` and ``columns``. Left out with ``n_in_memory=0``: effective
        dimensions, samples per dimension and variance shares are NaN, ``task`` is what was
        declared. With more than 2,000,000 samples cadence and arrival are measured on about that
        many of them, in the same order, and a note says so.

    Raises
    ------
    DatasetError, TableNotFoundError, ColumnNotFoundError, DuplicateIdError, DeploymentError
        Input is missing or contradicts its declaration.
    MissingDependencyError
        Spark is asked for and is not installed, or has no Java.

    Examples
    --------
    >>> found = profile_tables(
    ...     {
    ...         "ehr": pd.DataFrame({"id": [1, 2, 3, 4], "age": [61.0, 70.0, 54.0, 44.0]}),
    ...         "lab": pd.DataFrame({"id": [2, 3], "lactate": [4.1, 1.0]}),
    ...     },
    ...     samples=pd.DataFrame({"id": [1, 2, 3, 4]}),
    ...     id="id",
    ...     deployment={"lab": 0.9},
    ... )
    >>> found.availability[["modality", "rate_train", "rate"]]
      modality  rate_train  rate
    0      ehr         1.0   1.0
    1      lab         0.5   0.9
    """
    declared = {str(name): Modality.of(table) for name, table in modalities.items()}
    if not declared:
        raise DatasetError("profile_tables: at least one modality is needed, got none.")
    if n_in_memory < 0:
        raise DatasetError(f"n_in_memory: expected 0 or more, got {n_in_memory}.")
    for name, modality in declared.items():
        modality.check(name)
    tables = [samples, *(modality.table for modality in declared.values())]
    with open_engine(engine_of(tables) if engine is None else engine) as on:
        use_of = Deployment.of(_opened(deployment, on))
        use_of.check_modalities(tuple(declared))
        known = open_samples(
            on,
            samples,
            id=id,
            target=target,
            cluster=cluster,
            groups=groups,
            prediction_time=prediction_time,
            part=part,
            present={n: m.present for n, m in declared.items() if m.present},
        )
        with warnings.catch_warnings():
            # The part that is read into memory warns of the same columns.
            warnings.simplefilter("ignore" if n_in_memory else "default", FusewiseWarning)
            rows = [KnownRows.of(name, modality, known) for name, modality in declared.items()]
            one = reduce_to_samples(known, rows)
        memory = {
            "target": target, "task": task, "cluster": cluster, "groups": groups,
            "prediction_time": prediction_time,
        }  # fmt: skip
        return _measure(one, use_of, memory, n_in_memory, probes=probes, random_state=random_state)


def _measure(
    one: OneRow,
    declared: Deployment,
    memory: dict[str, Any],
    n_in_memory: int,
    *,
    probes: bool,
    random_state: int,
) -> DeploymentProfile:
    train = one.counts()
    n = train.total
    if n == 0:
        raise DatasetError("profile_tables: no sample is in the part to profile. Check part=.")
    use = availability_in_use(declared, train)
    # The children are those of profile(), so that the same counts give the same draws.
    seeds = np.random.SeedSequence(random_state).spawn(6)
    for_dimensions, _, _, for_shift, for_mechanism = (np.random.default_rng(s) for s in seeds[:5])
    present = dict(zip(one.names, train.n_present.tolist(), strict=True))
    columns = column_table(one, present)
    table, n_followed = followed(one, n, random_state)
    cadence, arrival = times_tables(
        one, table, present if n_followed == n else _present(one, table)
    )
    asked = {"arrival": arrival, "read": one.read, "columns": columns}
    notes = [*_clusters(one, n), *_joins(one, n, train)]
    if n_followed < n:
        notes.append(
            f"Cadence and arrival are those of {n_followed:,} of {n:,} samples, picked by the MD5 "
            "of seed and id."
        )
    task = None if memory["target"] is None or memory["task"] == "auto" else memory["task"]
    dimensions = _dimensions(one, columns, present)
    if n_in_memory:
        part = _into_memory(one, memory, n_in_memory, random_state)
        task = part.task
        measured = dimension_table(part, for_dimensions)
        dimensions = measured.assign(
            **{c: dimensions[c] for c in ("n", "width", "missing_share")},
            samples_per_dimension=(
                dimensions["n"] / measured["effective"].where(measured["effective"] > 0)
            ),
        )
        if probes:
            asked["probes"] = probe_table(part, seeds[5])
            asked["mechanism"] = mechanism_table(part, for_mechanism)
        if len(part) < n:
            also = ", the probes and what presence depends on" if probes else ""
            notes.append(
                f"Effective dimensions and variance shares{also} are those of {len(part):,} of "
                f"{n:,} samples, picked by the MD5 of seed and id; all else was counted where the "
                "tables are."
            )
    return assemble(
        train,
        use,
        declared,
        n_samples=n,
        kinds={rows.name: rows.modality.kind for rows in one.modalities},
        task=task,
        dimensions=dimensions,
        cadence=cadence,
        after=tuple(notes),
        rng=for_shift,
        asked=asked,
    )


def _opened(deployment: Any, on: Engine) -> Any:
    """Open the log of a deployment on the engine, where it is a path or a table of Spark."""
    what = "deployment, observed"
    if isinstance(deployment, Mapping):
        log = deployment.get("observed")
        opened = _opened(log, on)
        return deployment if opened is log else {**deployment, "observed": opened}
    if isinstance(deployment, str) and deployment in ("training", "none"):
        return deployment
    if is_spark_frame(deployment) or isinstance(deployment, str | os.PathLike):
        return on.open(deployment, what)
    return deployment


def _present(one: OneRow, table: Any) -> dict[str, int]:
    places = range(len(one.names))
    sums = {f"n{i}": table[f"_p{i}"].ifelse(1, 0).sum() for i in places}
    found = one.collect(table.aggregate(**sums))
    return {name: int(found[f"n{i}"].iloc[0]) for i, name in enumerate(one.names)}


def _clusters(one: OneRow, n: int) -> list[str]:
    if "_cluster" not in one.table.columns:
        return []
    found = one.collect(one.table.aggregate(n=one.table["_cluster"].nunique()))
    n_clusters = int(found["n"].iloc[0])
    if n_clusters == n:
        return []
    return [
        (
            f"{n:,} samples come in {n_clusters:,} clusters; the intervals of training take them as "
            "independent and are too narrow."
        )
    ]


def _joins(one: OneRow, n: int, train: Any) -> list[str]:
    read = one.read[["rows", "unknown_ids"]].to_numpy(dtype=int)
    return [
        *tables_without_matches(one.names, read, train.n_present / n),
        *broken_joins(train),
    ]


def _dimensions(one: OneRow, columns: pd.DataFrame, present: dict[str, int]) -> pd.DataFrame:
    """Return what can be told of dimensions without rows in memory."""
    width, empty = widths(columns, one), missing_shares(columns, one)
    return pd.DataFrame(
        {
            "modality": list(one.names),
            "kind": [rows.modality.kind for rows in one.modalities],
            "n": [present[name] for name in one.names],
            "width": [width[name] for name in one.names],
            "effective": np.nan,
            "samples_per_dimension": np.nan,
            "variance_share": np.nan,
            "missing_share": [empty[name] for name in one.names],
        }
    )


def _into_memory(
    one: OneRow, memory: dict[str, Any], n_in_memory: int, seed: int
) -> MultimodalDataset:
    """Read the samples that come first by the MD5 of seed and id, with all their rows."""
    engine, known = one.samples.engine, one.samples
    place = one.table.select(_picked="_id", _place=portable.order_by_id(one.table["_id"], seed))
    picked = engine.keep(place.order_by(["_place", "_picked"]).limit(n_in_memory))

    def taken(table: Any, column: str) -> Any:
        keyed = table.mutate(_picked=portable.key(table[column], column))
        return engine.collect(keyed.semi_join(picked, "_picked").drop("_picked"))

    tables = {
        rows.name: replace(rows.modality, table=taken(rows.table, rows.key))
        for rows in one.modalities
    }
    with warnings.catch_warnings():
        # Whoever is rare among all may be nobody's among these.
        warnings.filterwarnings("ignore", message=".*no sample has it", category=FusewiseWarning)
        return MultimodalDataset(
            tables, samples=taken(known.source, known.id), id=known.id, **memory
        )
