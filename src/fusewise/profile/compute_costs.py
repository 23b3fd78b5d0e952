"""Constants of the estimates of cost: measured once, and how far off they were elsewhere.

Fitted by ``benchmarks/compute_estimates.py --calibrate`` on simulated cohorts, and judged by the
same script on others (``benchmarks/results/compute_estimates.md``). They are of one machine: a
thread of a server's processor of 2026. Another machine moves all of them by about the same factor.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """Milliseconds for one sample: what there always is, and what comes with size.

    Attributes
    ----------
    fixed : float
    known : float
        For each modality that the model knows, present or not.
    table, stream : float
        For each table, and each stream of events, that is present.
    columns : float
        For each hundred columns that are present.
    work : float
        For each million multiply-adds of a network, or thousand trees that are walked.
    error : float
        A measured time lies between the estimate over this and the estimate times this.
    libraries_mb : float
        Resident memory of a process that has answered with the smallest model.
    """

    fixed: float
    known: float
    table: float
    stream: float
    columns: float
    work: float
    error: float
    libraries_mb: float


# Measured times were 0.45 to 2.9 of the estimates; with everything present 0.50 to 1.8. Other
# machines are not in it.
ERROR = 3.0
# In the order of the fields of Cost.
COSTS = {
    "early": Cost(0.0, 0.67, 1.0, 0.10, 1.05, 0.061, ERROR, 430.0),
    "intermediate": Cost(10.3, 0.76, 7.0, 25.3, 0.76, 1.94, ERROR, 518.0),
    "late": Cost(0.37, 0.079, 10.6, 17.3, 0.45, 2.97, ERROR, 428.0),
    "attention": Cost(24.3, 0.58, 5.0, 28.9, 0.49, 1.23, ERROR, 520.0),
}
# Memory hardly depends on the model: measured between the estimate over this and times this.
MEMORY_ERROR = 1.25

# Trees that early stopping is taken to leave: nobody knows it before training.
TREES = 150
LEAVES = {"early": 15, "late": 8}
# Models that are averaged.
SEEDS = {"early": 3, "late": 1}
# Of one tree, per leaf, in the memory of LightGBM; of a weight, single and double precision.
BYTES_PER_LEAF = 120
BYTES_PER_WEIGHT = 12
