"""What each strategy would cost in use, estimated before anything is trained."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from fusewise.data import EMPTY_PATTERN, MultimodalDataset, parse_pattern
from fusewise.profile.compute_costs import (
    BYTES_PER_LEAF,
    BYTES_PER_WEIGHT,
    COSTS,
    LEAVES,
    MEMORY_ERROR,
    SEEDS,
    TREES,
)
from fusewise.profile.network_sizes import (
    DEFAULTS,
    LEARNED,
    joining_multiply_adds,
    network_weights,
    own_multiply_adds,
)

COLUMNS = (
    "strategy", "situation", "outputs", "modalities", "parameters", "model_mb", "multiply_adds",
    "memory_mb", "memory_low", "memory_high", "latency_ms", "latency_low", "latency_high",
)  # fmt: skip
SITUATIONS = ("complete", "deployment")


def compute_table(
    sizes: pd.DataFrame, availability: pd.DataFrame, patterns: pd.DataFrame, outputs: int
) -> pd.DataFrame:
    """Estimate parameters, multiply-adds, memory and latency of the strategies at their defaults.

    Networks are counted by formulas that agree with built ones
    (:mod:`fusewise.profile.network_sizes`). Boosted trees depend on where early stopping ends,
    which nobody knows before training: 150 trees are taken for each model, and late fusion to
    boost every modality, although it takes a linear model where that is better.

    Latency is that of ``predict_proba`` for one sample of a dataset that is in memory, on one
    thread of a processor that is not busy: a fixed part for the strategy, parts for each modality
    and each hundred columns that are present (and a small one for each that is not), and the work at a measured throughput
    (:mod:`fusewise.profile.compute_costs`). It is the library's way from a dataset to a
    probability, most of which is the handling of tables and not arithmetic.

    Parameters
    ----------
    sizes : DataFrame
        Of :func:`~fusewise.profile.sizes.sizes_table`.
    availability, patterns : DataFrame
        Of the profile: the rates of the deployment, and its joint patterns where they are listed.
    outputs : int
        Classes, or 1 for an amount.

    Returns
    -------
    DataFrame
        Two rows per strategy: ``situation`` is ``complete``, everything present, or
        ``deployment``, the mean over requests (NaN where availability in deployment is unknown).
        ``outputs``; ``modalities``, how many are present (a mean);
        ``parameters`` of all networks of a committee, or the numbers in all trees;
        ``model_mb``, what these take in memory;
        ``multiply_adds`` of matrix products for one sample, or comparisons in trees;
        ``memory_mb``, of a process that serves the model: the libraries and the model;
        ``latency_ms``. ``low`` and ``high`` are no intervals of sampling but the largest error
        that the benchmark met.
    """
    known: list[Any] = sizes[sizes["n"] > 0].to_dict("records")
    rate = availability.set_index("modality")["rate"].to_dict()
    records = []
    for strategy in COSTS:
        for situation in SITUATIONS:
            share = [1.0 if situation == "complete" else float(rate[r["modality"]]) for r in known]
            counts = _counts(patterns, known, share, situation)
            records.append(
                {"strategy": strategy, "situation": situation, "outputs": outputs}
                | estimate(strategy, known, share, counts, outputs)
            )
    return pd.DataFrame(records, columns=list(COLUMNS))


def n_outputs(ds: MultimodalDataset) -> int:
    """Return the classes of the target, 1 for an amount, 2 without a target."""
    if ds.task == "regression":
        return 1
    return 2 if ds.target is None else max(2, len(np.unique(ds.target)))


def estimated_latency(
    strategy: str, known: int, tables: float, streams: float, columns: float, work: float
) -> float:
    """Return milliseconds for a model that knows `known` modalities.

    `work` is in multiply-adds, or in trees that are walked.
    """
    cost = COSTS[strategy]
    unit = 1e6 if strategy in LEARNED else 1e3
    return (
        cost.fixed
        + cost.known * known
        + cost.table * tables
        + cost.stream * streams
        + cost.columns * columns / 100
        + cost.work * work / unit
    )


def work_of(
    strategy: str,
    known: list[dict[str, Any]],
    share: list[float],
    counts: dict[int, float],
    outputs: int,
    trees: float = TREES,
) -> float:
    """Return the work for a sample: multiply-adds of a committee, or trees that are walked.

    `share` is how often each modality is present, `counts` how often so many of them are.
    """
    if strategy not in LEARNED:
        grown = trees * SEEDS[strategy] * (outputs if outputs > 2 else 1)
        return grown if strategy == "early" else grown * sum(share)
    n = len(known)
    own = sum(s * own_multiply_adds(row, outputs) for row, s in zip(known, share, strict=True))
    joined = sum(p * joining_multiply_adds(strategy, n, m, outputs) for m, p in counts.items())
    return DEFAULTS.members * (own + joined)


def estimate(
    strategy: str,
    known: list[dict[str, Any]],
    share: list[float],
    counts: dict[int, float],
    outputs: int,
) -> dict[str, Any]:
    """Estimate the cost of one strategy; parameters as for :func:`work_of`."""
    cost = COSTS[strategy]
    if strategy in LEARNED:
        parameters = DEFAULTS.members * network_weights(strategy, known, outputs)
        model_mb = parameters * BYTES_PER_WEIGHT / 1e6
    else:
        leaves = LEAVES[strategy]
        models = SEEDS[strategy] * (1 if strategy == "early" else len(known))
        trees = TREES * models * (outputs if outputs > 2 else 1)
        parameters = trees * (leaves + 2 * (leaves - 1))
        model_mb = trees * leaves * BYTES_PER_LEAF / 1e6
    memory = cost.libraries_mb + model_mb
    found = {
        "modalities": sum(share), "parameters": int(parameters), "model_mb": model_mb,
        "memory_mb": memory, "memory_low": memory / MEMORY_ERROR,
        "memory_high": memory * MEMORY_ERROR,
    }  # fmt: skip
    if math.isnan(sum(share)):
        nan = dict.fromkeys(
            ("multiply_adds", "latency_ms", "latency_low", "latency_high"), math.nan
        )
        return found | nan
    streams = sum(s for row, s in zip(known, share, strict=True) if row["kind"] == "events")
    columns = sum(
        s * (row["columns"] + row["indicators"]) for row, s in zip(known, share, strict=True)
    )
    work = work_of(strategy, known, share, counts, outputs)
    latency = estimated_latency(strategy, len(known), sum(share) - streams, streams, columns, work)
    depth = 1 if strategy in LEARNED else math.log2(LEAVES[strategy]) + 1
    return found | {
        "multiply_adds": work * depth, "latency_ms": latency,
        "latency_low": latency / cost.error, "latency_high": latency * cost.error,
    }  # fmt: skip


def _counts(
    patterns: pd.DataFrame, known: list[dict[str, Any]], share: list[float], situation: str
) -> dict[int, float]:
    """Return how often so many modalities are present; all at their mean where nothing is listed."""
    if situation == "complete":
        return {len(known): 1.0}
    names = {row["modality"] for row in known}
    listed = patterns[patterns["share_deployment"] > 0]
    if listed.empty:
        mean = sum(share)
        return {} if math.isnan(mean) else {round(mean): 1.0}
    counts: dict[int, float] = {}
    for label, weight in zip(listed["pattern"], listed["share_deployment"], strict=True):
        if label != EMPTY_PATTERN:
            present = len(names & set(parse_pattern(label)))
            counts[present] = counts.get(present, 0.0) + float(weight)
    return counts
