"""Profile a dataset: every fact about it and its deployment that the recommendation weighs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from fusewise.data import EMPTY_PATTERN, Deployment, MultimodalDataset
from fusewise.exceptions import DatasetError
from fusewise.profile.arrival import arrival_table
from fusewise.profile.availability import (
    complete_case_table,
    copresence_table,
    group_table,
    rate_table,
)
from fusewise.profile.broken_joins import broken_joins
from fusewise.profile.cadence import cadence_ratio, cadence_table
from fusewise.profile.compute import compute_table, n_outputs
from fusewise.profile.counts import PatternCounts
from fusewise.profile.deployment import Use, availability_in_use, facts_of, pattern_comparison
from fusewise.profile.dimensions import dimension_ratio, dimension_table
from fusewise.profile.mechanism import mechanism_table
from fusewise.profile.probes import probe_table
from fusewise.profile.redundancy import redundancy_table
from fusewise.profile.result import DeploymentProfile
from fusewise.profile.shift import group_shift_table, shift_table
from fusewise.profile.sizes import sizes_table
from fusewise.profile.text import share
from fusewise.profile.timing import timing_tables


def profile(
    ds: MultimodalDataset, deployment: Any = None, *, probes: bool = False, random_state: int = 0
) -> DeploymentProfile:
    """Measure what decides about fusion: availability, dimensions, cadence, and declared facts.

    Availability is a property of the deployment. It comes from `deployment` and never from the
    training rows, unless the user says that deployment looks like training.

    With `probes` the training rows are also asked what takes models to answer: whether timing and
    interaction carry signal (:func:`~fusewise.profile.probes.probe_table`), which then stands where
    the deployment says ``unknown``, and what presence depends on
    (:func:`~fusewise.profile.mechanism.mechanism_table`).

    Parameters
    ----------
    ds : MultimodalDataset
        Training rows.
    deployment : None, "training", dict, or Deployment
        What :meth:`Deployment.of` takes: rates by modality, ``{"observed": log}``,
        ``{"patterns": {...}}``, with further facts. None: unknown.
    probes : bool
        Also ask what takes models to answer; a minute or two, at most 4,000 samples each.
    random_state : int
        Seeds which samples are drawn where a measure takes a part of them, and the probes.

    Raises
    ------
    DatasetError
        `ds` has no sample.
    DeploymentError
        The deployment is malformed, or names a modality that `ds` does not have.

    Examples
    --------
    >>> import pandas as pd
    >>> ds = MultimodalDataset(
    ...     {
    ...         "ehr": pd.DataFrame({"id": [1, 2, 3, 4], "age": [61.0, 70.0, 54.0, 44.0]}),
    ...         "lab": pd.DataFrame({"id": [2, 3], "lactate": [4.1, 1.0]}),
    ...     },
    ...     samples=pd.DataFrame({"id": [1, 2, 3, 4]}),
    ...     id="id",
    ... )
    >>> found = profile(ds, {"lab": 0.9})
    >>> found.availability[["modality", "rate_train", "rate"]]
      modality  rate_train  rate
    0      ehr         1.0   1.0
    1      lab         0.5   0.9
    """
    if not isinstance(ds, MultimodalDataset):
        raise DatasetError(
            f"profile: expected a MultimodalDataset, got {type(ds).__name__}. For a table of "
            "presence or a log of requests use fusewise.profile.availability."
        )
    if len(ds) == 0:
        raise DatasetError("profile: the dataset has no sample, so there is nothing to measure.")
    declared = Deployment.of(deployment)
    train = PatternCounts.of(ds.modalities, ds.presence, levels=ds.groups)
    # A malformed deployment is refused before anything is measured.
    use = availability_in_use(declared, train)
    seeds = np.random.SeedSequence(random_state).spawn(9)
    for_dimensions, for_cadence, for_arrival, for_shift, for_mechanism = (
        np.random.default_rng(s) for s in seeds[:5]
    )
    cadence = cadence_table(ds, for_cadence)
    asked = {
        "arrival": arrival_table(ds, for_arrival),
        "redundancy": redundancy_table(ds, np.random.default_rng(seeds[6])),
        "sizes": sizes_table(ds, np.random.default_rng(seeds[7])),
        **timing_tables(ds, cadence, np.random.default_rng(seeds[8])),
    }
    if probes:
        asked["probes"] = probe_table(ds, seeds[5])
        asked["mechanism"] = mechanism_table(ds, for_mechanism)
    found = assemble(
        train,
        use,
        declared,
        n_samples=len(ds),
        kinds=dict(ds.kinds),
        task=ds.task,
        dimensions=dimension_table(ds, for_dimensions),
        cadence=cadence,
        after=(*_clusters(ds), *broken_joins(ds, train)),
        rng=for_shift,
        asked=asked,
    )
    costs = compute_table(found.sizes, found.availability, found.patterns, n_outputs(ds))
    return replace(found, compute=costs)


def assemble(
    train: PatternCounts,
    use: Use,
    declared: Deployment,
    *,
    n_samples: int,
    kinds: dict[str, str],
    task: str | None,
    dimensions: pd.DataFrame,
    cadence: pd.DataFrame,
    before: tuple[str, ...] = (),
    after: tuple[str, ...] = (),
    rng: np.random.Generator | None = None,
    asked: Mapping[str, pd.DataFrame] | None = None,
) -> DeploymentProfile:
    """Derive a profile from pattern counts and tables, measured or declared.

    `before` and `after` are notes that stand around those on availability; with `rng` pattern
    frequencies are compared, too; `asked` are the tables of further questions, by field.
    """
    found: dict[str, Any] = dict(asked or {})
    pooled = train.pooled()
    table = compare_rates(pooled, use)
    if rng is not None:
        found["shift"] = shift_table(pooled, use, rng=rng)
        found["group_shift"] = group_shift_table(train, rng=rng)
    return DeploymentProfile(
        n_samples=n_samples,
        modalities=tuple(kinds),
        kinds=kinds,
        task=task,
        deployment=facts_of(declared),
        source=declared.source,
        availability=table,
        group_availability=group_table(train),
        patterns=pattern_comparison(pooled, use),
        copresence=copresence_table(pooled),
        complete_case=complete_cases(pooled, use),
        dimensions=dimensions,
        dimension_ratio=dimension_ratio(dimensions),
        cadence=cadence,
        cadence_ratio=cadence_ratio(cadence),
        notes=(*before, *use.notes, *notes_on(table, use, declared.source), *after),
        **found,
    )


def compare_rates(train: PatternCounts, use: Use) -> pd.DataFrame:
    """Rates of training and deployment side by side, one row per modality."""
    rates = rate_table(train)
    return pd.DataFrame(
        {
            "modality": rates["modality"],
            "n_train": rates["n"],
            "rate_train": rates["rate"],
            "low_train": rates["low"],
            "high_train": rates["high"],
            "n_deployment": use.rates["n"].astype(float),
            "rate": use.rates["rate"].astype(float),
            "low": use.rates["low"].astype(float),
            "high": use.rates["high"].astype(float),
        }
    )


def complete_cases(train: PatternCounts, use: Use) -> pd.DataFrame:
    """Share of complete cases in training and, where it is known, in deployment."""
    parts = [complete_case_table(train).assign(population="train")]
    if use.complete is not None:
        parts.append(use.complete.assign(population="deployment"))
    table = pd.concat(parts, ignore_index=True)[["population", "n", "share", "low", "high"]]
    return table.assign(n=table["n"].astype(float))


def notes_on(table: pd.DataFrame, use: Use, source: str) -> list[str]:
    """Say in words what a reader of the rates should not overlook."""
    notes = []
    if source == "none":
        notes.append(
            "Availability in deployment is unknown; the rates of training are shown and are not "
            "taken for it."
        )
    nobody = table.loc[table["n_train"] == 0, "modality"].tolist()
    if nobody:
        notes.append(f"No training sample has {', '.join(nobody)}: nothing can be learned from it.")
    scarce = table[(table["rate"] > table["high_train"]) & (table["n_train"] > 0)]
    if len(scarce):
        notes.append(
            f"{', '.join(scarce['modality'])}: more often present in deployment than in training. "
            "Masking can remove presence, not create it."
        )
    never = table.loc[table["rate"] == 0, "modality"].tolist()
    if never:
        notes.append(f"{', '.join(never)}: never present in deployment.")
    empty = use.shares.get(EMPTY_PATTERN, 0.0)
    if empty > 0 and not math.isnan(empty):
        notes.append(
            f"{share(empty)} of requests come without any modality and need an abstention."
        )
    return notes


def _clusters(ds: MultimodalDataset) -> list[str]:
    if ds.cluster is None:
        return []
    n_clusters = len(np.unique(ds.cluster))
    if n_clusters == len(ds):
        return []
    text = (
        f"{len(ds):,} samples come in {n_clusters:,} clusters; the intervals of training take them "
        "as independent and are too narrow."
    )
    return [text]
