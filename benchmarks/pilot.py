"""A pilot on P12: early against late fusion by size and missing rate, on split 1's training rows.

    python benchmarks/pilot.py [--max-samples 3000] [--folds 3] [--again]

The pilot is kept; without --again its tables are made anew without fitting anew.
"""

from __future__ import annotations

import argparse

import pandas as pd
from p12 import read
from results_table import RESULTS, keep

import fusewise as fw

KEPT = RESULTS / "pilot_rows.json"
SCORE = ("score_difference", "score_low", "score_high")


def tables(pilot: fw.Pilot) -> dict[str, pd.DataFrame]:
    """Return the tables of a pilot."""
    own = pilot.losses[pilot.losses["regime"] == "deployment"]
    return {
        "Out of fold, patterns as in training": own[
            ["strategy", "size", "n", "loss", "low", "high", "score"]
        ].rename(columns={"loss": pilot.loss, "score": pilot.score}),
        f"Better than {pilot.reference} by": pilot.comparison[
            [*("strategy", "size", "n", "difference", "low", "high"), *SCORE]
        ],
        "By the share of modalities withheld (positive: the second does better)": pilot.crossover,
        "Where they change places": pilot.crossings,
    }


def main() -> None:
    """Make the pilot where there is none yet, and write its tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--max-samples", type=int, default=3000)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--again", action="store_true")
    arguments = parser.parse_args()
    if arguments.again or not KEPT.exists():
        train, _ = read(1)
        pilot = fw.pilot(
            train,
            fw.profile(train, "training", probes=False),
            strategies=["early", "late"],
            sizes=[0.25, 1],
            absent=[0.0, 0.3, 0.5],
            max_samples=arguments.max_samples,
            folds=arguments.folds,
            n_jobs=arguments.jobs,
            on_fit=print,
        )
        KEPT.parent.mkdir(exist_ok=True)
        pilot.to_json(KEPT)
    pilot = fw.Pilot.from_json(KEPT)
    keep(
        "pilot",
        "A pilot on P12: twelve modalities, deployment as in training",
        tables(pilot),
        [
            f"{pilot.headline} {pilot.reason}",
            (
                f"{pilot.n:,} of {pilot.n_given:,} training rows of split 1, {pilot.n_folds} "
                f"folds, {pilot.seconds:,.0f} s."
            ),
        ],
    )


if __name__ == "__main__":
    main()
