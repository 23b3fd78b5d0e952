"""A profile from declared numbers alone, before there are any data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from fusewise.data import Deployment
from fusewise.exceptions import DeploymentError
from fusewise.profile.counts import PatternCounts
from fusewise.profile.deployment import availability_in_use
from fusewise.profile.measure import assemble
from fusewise.profile.result import DeploymentProfile

MAX_MODALITIES = 12


def declared_profile(
    train: Mapping[str, float],
    deployment: Any = None,
    *,
    n_samples: int = 1_000,
    widths: Mapping[str, int] | None = None,
    effective: Mapping[str, float] | None = None,
    median_gaps: Mapping[str, float] | None = None,
    task: str | None = "binary",
) -> DeploymentProfile:
    """Build a profile from what is planned or known, without a dataset.

    For planning a study, and for trying what the recommendation makes of other facts. Presence of
    the modalities in training is taken as independent.

    Parameters
    ----------
    train : dict of str to float
        Rate of each modality in training, 12 at most.
    deployment : None, "training", dict, or Deployment
        As for :func:`profile`.
    n_samples : int
        Training samples.
    widths : dict of str to int, optional
        Default 10 for each modality.
    effective : dict of str to float, optional
        Effective dimensions. Default: the width.
    median_gaps : dict of str to float, optional
        Median gap between events; names the modalities that are events.
    task : str, optional

    Examples
    --------
    >>> plan = declared_profile(
    ...     {"ehr": 1.0, "omics": 0.4}, {"omics": 0.3}, widths={"ehr": 20, "omics": 5000}
    ... )
    >>> plan.dimension_ratio
    250.0
    """
    modalities = tuple(train)
    if not 1 <= len(modalities) <= MAX_MODALITIES:
        raise DeploymentError(
            f"declared_profile: expected 1 to {MAX_MODALITIES} modalities, got {len(modalities)}."
        )
    for name, rate in train.items():
        if not 0 <= rate <= 1:
            raise DeploymentError(
                f"declared_profile: the rate of {name!r} must lie between 0 and 1, got {rate!r}."
            )
    for given in (widths, effective, median_gaps):
        for name in given or {}:
            if name not in modalities:
                raise DeploymentError(
                    f"declared_profile: no modality {name!r}; there are {', '.join(modalities)}."
                )
    counts = _independent_counts(train, n_samples)
    declared = Deployment.of(deployment)
    use = availability_in_use(declared, counts)
    gaps = dict(median_gaps or {})
    dimensions = _dimensions(counts, widths or {}, effective or {}, gaps)
    cadence = pd.DataFrame(
        {
            "modality": pd.Series(list(gaps), dtype="str"),
            "events_per_sample": [math.nan] * len(gaps),
            "median_gap": pd.Series(list(gaps.values()), dtype=float),
            "regularity": [math.nan] * len(gaps),
            "age_at_prediction": [math.nan] * len(gaps),
            "n": dimensions.loc[dimensions["modality"].isin(list(gaps)), "n"].to_numpy(),
        }
    )
    return assemble(
        counts,
        use,
        declared,
        n_samples=n_samples,
        kinds={name: "events" if name in gaps else "table" for name in modalities},
        task=task,
        dimensions=dimensions,
        cadence=cadence,
        before=("Declared, not measured.",),
    )


def _independent_counts(train: Mapping[str, float], n_samples: int) -> PatternCounts:
    rates = np.array(list(train.values()))
    presence = np.array(list(product((True, False), repeat=len(rates))))
    share = np.where(presence, rates, 1 - rates).prod(axis=1)
    # The largest remainders keep the total exact.
    n = np.floor(share * n_samples).astype(np.int64)
    rest = np.argsort(n - share * n_samples, kind="stable")[: n_samples - int(n.sum())]
    n[rest] += 1
    return PatternCounts.of(tuple(train), presence[n > 0], n[n > 0])


def _dimensions(
    counts: PatternCounts,
    widths: Mapping[str, int],
    effective: Mapping[str, float],
    gaps: Mapping[str, float],
) -> pd.DataFrame:
    width = np.array([widths.get(name, 10) for name in counts.modalities], dtype=np.int64)
    filled = np.array(
        [effective.get(m, float(w)) for m, w in zip(counts.modalities, width, strict=True)]
    )
    return pd.DataFrame(
        {
            "modality": list(counts.modalities),
            "kind": ["events" if m in gaps else "table" for m in counts.modalities],
            "n": counts.n_present,
            "width": width,
            "effective": filled,
            "samples_per_dimension": counts.n_present / filled,
            "variance_share": width / width.sum(),
            "missing_share": 0.0,
        }
    )
