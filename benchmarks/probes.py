"""False alarms and power of the probes and of the tests of what presence depends on.

Cohorts of 1,000 simulated samples. Where nothing is planted an alarm is false: 200 cohorts for each
question, of which at most 18 may raise one at the .05 level. What is planted comes in three
strengths, 40 cohorts each; the strong ones should be found in nine of ten.

    python benchmarks/probes.py [--cells timing interaction] [--quick] [--jobs 2]

Rows are kept, so that cells can be run one after the other; --quick takes a tenth of the cohorts.
"""

from __future__ import annotations

import argparse
import time
import warnings
from functools import partial

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from paired import Rows
from results_table import keep
from threadpoolctl import threadpool_limits

import fusewise as fw
from fusewise.profile import mechanism_table, probe_table, wilson
from fusewise.simulate import Interaction

N_SAMPLES = 1_000
N_NULL, N_PLANTED, LIMIT = 200, 40, 18
STREAM = {"modalities": {"stream": 24, "c": 5}}
TABLES = {"modalities": {"a": 5, "b": 5, "c": 5}}
Dataset = fw.MultimodalDataset


def simulated(seed: int, **design: object) -> Dataset:
    """Return a cohort of the generator."""
    return fw.make_cohort(N_SAMPLES, 1, random_state=seed, **design).train


def stream(seed: int, carries: str, signal: float) -> Dataset:
    """Return a stream in which one thing tells about the target, and a table."""
    return simulated(
        seed, timing={"stream": carries}, signal={"stream": signal, "c": 0.5}, **STREAM
    )


def pair(seed: int, kind: str, signal: float) -> Dataset:
    """Return two modalities that tell together, and one that adds."""
    return simulated(
        seed,
        signal={"a": signal, "b": signal, "c": 0.7},
        interaction=Interaction("a", "b", kind=kind),
        **TABLES,
    )


def additive(seed: int, availability: float | None) -> Dataset:
    """Return three modalities that add up."""
    return simulated(seed, signal=1.0, availability=availability, **TABLES)


def lacking(seed: int, source: str, slope: float) -> Dataset:
    """Return a modality whose presence depends on one column of another, or on the target.

    `slope` is in log-odds per standard deviation. A third modality comes with it more often than
    by chance, whatever the slope.
    """
    rng = np.random.default_rng(seed)
    ids, y = np.arange(N_SAMPLES), rng.integers(0, 2, N_SAMPLES)
    a = rng.normal(size=(N_SAMPLES, 4)) + 0.5 * y[:, None]
    on = a[:, 0] / a[:, 0].std() if source == "values" else (y - 0.5) * 2
    has = rng.random(N_SAMPLES) < 1 / (1 + np.exp(-slope * on))
    also = rng.random(N_SAMPLES) < np.where(has, 0.8, 0.3)
    columns = [f"x{i}" for i in range(4)]

    def table(values: np.ndarray, rows: np.ndarray) -> pd.DataFrame:
        return pd.DataFrame(values[rows], columns=columns).assign(id=ids[rows])

    b, c = (rng.normal(size=(N_SAMPLES, 4)) for _ in range(2))
    every = np.ones(N_SAMPLES, dtype=bool)
    modalities = {"a": table(a, every), "b": table(b, has), "c": table(c, also)}
    samples = pd.DataFrame({"id": ids, "y": y})
    return Dataset(modalities, samples=samples, id="id", target="y")


# cell: (what is asked, {design: {strength: how to draw}}); strength 0 plants nothing.
CELLS = {
    "timing": {
        "values that tell at any time": {0.0: partial(stream, carries="values", signal=2.0)},
        "order": {s: partial(stream, carries="order", signal=s) for s in (0.5, 1.0, 2.0)},
        "times": {s: partial(stream, carries="times", signal=s) for s in (0.5, 1.0, 2.0)},
    },
    "interaction": {
        "additive": {0.0: partial(additive, availability=None)},
        "additive, 60 % present": {0.0: partial(additive, availability=0.6)},
        "exclusive or": {s: partial(pair, kind="xor", signal=s) for s in (1.0, 2.0, 3.0)},
        "product": {s: partial(pair, kind="multiplicative", signal=s) for s in (1.0, 2.0, 3.0)},
    },
    "values": {
        "another one comes with it": {0.0: partial(lacking, source="values", slope=0.0)},
        "one column": {s: partial(lacking, source="values", slope=s) for s in (0.25, 0.5, 1.0)},
    },
    "target": {
        "another one comes with it": {0.0: partial(lacking, source="target", slope=0.0)},
        "the target": {s: partial(lacking, source="target", slope=s) for s in (0.125, 0.25, 0.5)},
    },
}


def one(cell: str, design: str, strength: float, seed: int) -> dict[str, object]:
    """Ask one cohort; return whether the answer was yes, and the effect or AUROC."""
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds = CELLS[cell][design][strength](seed)
        start = time.perf_counter()
        if cell in ("timing", "interaction"):
            row = probe_table(ds, np.random.SeedSequence(seed)).set_index("axis").loc[cell]
            yes, size = bool(row["shown"]), float(row["effect"])
        else:
            table = mechanism_table(ds, np.random.default_rng(seed))
            row = table.set_index(["modality", "depends_on"]).loc[("b", cell)]
            yes, size = bool(row["p"] <= 0.05), float(row["score"])
        seconds = round(time.perf_counter() - start, 2)
    place = {"cell": cell, "design": design, "strength": strength, "seed": seed}
    return place | {"yes": yes, "size": size, "seconds": seconds}


def tables(rows: list[dict[str, object]]) -> dict[str, pd.DataFrame]:
    """Return shares of yes by cell, and what they should be."""
    table = pd.DataFrame(rows)
    records = []
    for (cell, design, strength), part in table.groupby(["cell", "design", "strength"], sort=False):
        low, high = wilson(np.array([part["yes"].sum()]), np.array([len(part)]))
        records.append(
            {
                "asked": cell,
                "design": design,
                "strength": strength,
                "cohorts": len(part),
                "yes": int(part["yes"].sum()),
                "share": part["yes"].mean(),
                "low": float(low[0]),
                "high": float(high[0]),
                "mean_size": part["size"].mean(),
                "seconds": part["seconds"].median(),
            }
        )
    found = pd.DataFrame(records)
    null = found["strength"] == 0
    return {
        f"Nothing planted: at most {LIMIT} of {N_NULL} may be found": found[null],
        "Planted": found[~null].sort_values(["asked", "design", "strength"]),
    }


def main() -> None:
    """Ask the cohorts that were not asked yet, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    key = ["cell", "design", "strength", "seed"]
    kept = Rows("probes", key)
    done = {tuple(row[k] for k in key) for row in kept.rows}
    asked = [
        (cell, design, strength, seed)
        for cell in arguments.cells
        for design, strengths in CELLS[cell].items()
        for strength in strengths
        for seed in range((N_PLANTED if strength else N_NULL) // (10 if arguments.quick else 1))
        if (cell, design, strength, seed) not in done
    ]
    parallel = Parallel(n_jobs=arguments.jobs, return_as="generator_unordered")
    for row in parallel(delayed(one)(*each) for each in asked):
        kept.add(row)
    keep(
        "probes",
        "What the probes find, and what they find where nothing is",
        tables(kept.rows),
        [
            (
                f"Cohorts of {N_SAMPLES:,} samples. A yes is an interval above zero (timing, "
                "interaction) or p at most .05 before correction (values, target: of presence). Size "
                "is the mean fall of the loss in nats, or the mean AUROC of presence. Strength is the "
                "signal of the generator, or log-odds of presence per standard deviation. Seconds of "
                "both probes, or of all tests of a cohort, on one thread."
            )
        ],
    )


if __name__ == "__main__":
    main()
