"""Training against deployment: what is known of availability in use, from whichever source."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusewise.data import EMPTY_PATTERN, Deployment, described, parse_pattern, pattern_label
from fusewise.exceptions import DeploymentError
from fusewise.profile.availability import complete_case_table, rate_table
from fusewise.profile.counts import PatternCounts

FACTS = (
    "cohort",
    "synchronised",
    "timing",
    "interaction",
    "interpretability",
    "validation",
    "latency_ms",
    "memory_mb",
    "requests",
)


@dataclass(frozen=True)
class Use:
    """Availability in use.

    Attributes
    ----------
    rates : DataFrame
        ``modality, n, rate, low, high``. Where there are no counts, `n` is NaN and the interval
        collapses to what was declared; without any source all is NaN.
    shares : dict of str to float
        Pattern label to its share of requests; empty where it is unknown.
    counts : dict of str to int, or None
        Pattern label to number of requests, where they were counted.
    complete : DataFrame or None
        ``n, share, low, high`` of the complete cases.
    notes : tuple of str
    """

    rates: pd.DataFrame
    shares: dict[str, float]
    counts: dict[str, int] | None
    complete: pd.DataFrame | None
    notes: tuple[str, ...] = ()


def availability_in_use(deployment: Deployment, train: PatternCounts) -> Use:
    """Bring every way to know the deployment into one form.

    Counted sources (a log; the statement that it looks like training) have Wilson's limits.
    Declared ones have no sampling error: their intervals collapse.
    """
    modalities = train.modalities
    deployment.check_modalities(modalities)
    if deployment.source == "none":
        return Use(_declared(modalities, [math.nan] * len(modalities)), {}, None, None)
    if deployment.source == "training":
        return _counted(train)
    if deployment.counts is not None:
        return replace(
            _counted(_to_counts(deployment.counts, modalities)), notes=_window(deployment)
        )
    notes: tuple[str, ...] = ()
    if deployment.patterns is not None:
        total = sum(deployment.patterns.values())
        shares = {label: w / total for label, w in deployment.patterns.items() if w > 0}
        rates = [sum(w for k, w in shares.items() if m in parse_pattern(k)) for m in modalities]
        complete = shares.get(pattern_label(modalities), 0.0)
    else:
        declared = deployment.rates or {}
        rates = [float(declared.get(m, 1.0)) for m in modalities]
        complete = math.prod(rates)
        shares, notes = _independent(deployment, modalities, rates)
    table = pd.DataFrame(
        {"n": [math.nan], "share": [complete], "low": [complete], "high": [complete]}
    )
    return Use(_declared(modalities, rates), shares, None, table, notes)


def _window(deployment: Deployment) -> tuple[str, ...]:
    part = deployment.requests
    if part is None:
        return ()
    n = part["used"] + part["left_out"]
    return (f"Availability is of {part['used']:,} of the log's {n:,} requests: {described(part)}.",)


def _counted(counts: PatternCounts) -> Use:
    pooled = counts.pooled()
    numbers = dict(zip(pooled.labels(), pooled.n.tolist(), strict=True))
    shares = {label: n / max(1, pooled.total) for label, n in numbers.items()}
    rates = rate_table(pooled)
    rates["n"] = float(pooled.total)
    return Use(rates, shares, numbers, complete_case_table(pooled))


def _to_counts(numbers: dict[str, int], modalities: tuple[str, ...]) -> PatternCounts:
    patterns = [parse_pattern(label) for label in numbers]
    presence: npt.NDArray[np.bool_] = np.array(
        [[m in pattern for m in modalities] for pattern in patterns], dtype=bool
    )
    return PatternCounts.of(modalities, presence, list(numbers.values()))


def _declared(modalities: tuple[str, ...], rates: list[float]) -> pd.DataFrame:
    columns = {"modality": list(modalities), "n": [math.nan] * len(rates)}
    return pd.DataFrame(columns | dict.fromkeys(("rate", "low", "high"), rates))


def _independent(
    deployment: Deployment, modalities: tuple[str, ...], rates: list[float]
) -> tuple[dict[str, float], tuple[str, ...]]:
    nothing = math.prod(1 - r for r in rates)
    assumed = (
        "Declared rates say nothing of how absences go together; joint patterns take them as "
        "independent."
    )
    try:
        weights = deployment.pattern_weights(modalities) or {}
    except DeploymentError as error:
        return {}, (f"Joint patterns are not listed: {error}",)
    shares = {pattern_label(p): w * (1 - nothing) for p, w in weights.items()}
    if nothing > 0:
        shares[EMPTY_PATTERN] = nothing
    return shares, (assumed,) if sum(0 < r < 1 for r in rates) > 1 else ()


def pattern_comparison(train: PatternCounts, use: Use) -> pd.DataFrame:
    """Patterns of training and deployment side by side, the deployment's most frequent first.

    Returns
    -------
    DataFrame
        ``pattern, n_train, share_train, n_deployment, share_deployment, unseen``. The deployment's
        columns are NaN where it is unknown or was not counted. ``unseen``: met in deployment,
        never in training.
    """
    pooled = train.pooled()
    trained = dict(zip(pooled.labels(), pooled.n.tolist(), strict=True))
    labels = list(dict.fromkeys([*trained, *use.shares]))
    n_train = np.array([trained.get(label, 0) for label in labels], dtype=np.int64)
    share = [use.shares.get(label, 0.0 if use.shares else math.nan) for label in labels]
    counts = use.counts
    frame = pd.DataFrame(
        {
            "pattern": labels,
            "n_train": n_train,
            "share_train": n_train / max(1, pooled.total),
            "n_deployment": [
                math.nan if counts is None else float(counts.get(label, 0)) for label in labels
            ],
            "share_deployment": share,
            "unseen": [
                s > 0 and label not in trained for label, s in zip(labels, share, strict=True)
            ],
        }
    )
    order = frame.assign(known=frame["share_deployment"].fillna(0.0))
    order = order.sort_values(["known", "n_train", "pattern"], ascending=[False, False, True])
    return frame.loc[order.index].reset_index(drop=True)


def facts_of(deployment: Deployment) -> dict[str, object]:
    """Return what the user declared beside availability."""
    return {name: getattr(deployment, name) for name in FACTS}
