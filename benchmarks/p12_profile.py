"""P12: the whole profile of split 1's training and validation rows, with everything that is asked.

    python benchmarks/p12_profile.py

No test row is read. The limit is three minutes on two cores.
"""

from __future__ import annotations

import resource
import time

import pandas as pd
from p12 import read
from results_table import keep

import fusewise as fw
from fusewise.profile import MARKS, time_to_share

LIMIT_S = 180


def main() -> None:
    """Profile, and write what it shows."""
    train, _ = read(1)
    start, spent = time.perf_counter(), time.process_time()
    profile = fw.profile(train, "training", probes=True)
    seconds, cpu = time.perf_counter() - start, time.process_time() - spent
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    cost = {"n": len(train), "modalities": train.n_modalities, "seconds": seconds}
    cost |= {"cpu_seconds": cpu, "limit_seconds": LIMIT_S, "peak_gb": peak}
    arrival = [
        {"modality": name}
        | {f"{share:.0%}": time_to_share(profile.arrival, name, share) for share in MARKS}
        | {"by the end": float(curve["share"].iloc[-1])}
        for name, curve in profile.arrival.groupby("modality", sort=False)
    ]
    asked = profile.mechanism
    columns = ["modality", "width", "effective", "variance_share"]
    keep(
        "p12_profile",
        "P12: the profile of the training rows",
        {
            "Cost": pd.DataFrame([cost]),
            "Does it carry signal?": profile.probes.drop(columns="note"),
            "What presence depends on, where it can be tested": asked[asked["p"].notna()].drop(
                columns="note"
            ),
            "Minutes by which a share of the samples has a modality": pd.DataFrame(arrival),
            "Cadence, most frequent first": profile.cadence.sort_values("median_gap"),
            "Who takes over when all are joined": profile.dimensions.sort_values(
                "variance_share", ascending=False
            )[columns],
        },
        [
            (
                "Effect: fall of the log loss in nats, 95 % interval. Score of presence: cross-fitted "
                "AUROC; p_holm is corrected over the modalities of one source. nan: never reached."
            )
        ],
    )


if __name__ == "__main__":
    main()
