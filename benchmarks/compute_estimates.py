"""What a strategy costs in use: estimated before training against measured after it.

Estimates come from a profile and know no model. Measured are the four strategies at their defaults
(networks after one epoch, which costs in use what a trained one costs): the mean processor time
of `predict_proba` for single samples on one thread, which is what it takes on a machine that is not
busy; the resident memory of a process that has loaded
the saved model and answered; and the size of the model in it.

    python benchmarks/compute_estimates.py --calibrate    # fits the constants, on simulated cohorts
    python benchmarks/compute_estimates.py                # holds estimates against other cohorts
    python benchmarks/compute_estimates.py --again        # the same from the rows that were kept

Rows are kept, and what is there is not measured again. The constants of `fusewise.profile.compute_costs` were fitted by the first, and judged by the second.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from results_table import RESULTS, keep
from scipy.optimize import least_squares, nnls

import fusewise as fw
from fusewise.profile import sizes_table
from fusewise.profile.compute import estimate, work_of
from fusewise.profile.network_sizes import LEARNED

STRATEGIES = ("early", "intermediate", "late", "attention")
SIMULATED = {
    "two tables": {"modalities": {"a": 5, "b": 5}},
    "eight tables": {"modalities": {f"t{i}": 10 for i in range(8)}},
    "a wide one": {"modalities": {"a": 10, "w": 3_000}},
    "two middling": {"modalities": {"a": 200, "b": 700}},
    "four streams": {
        "modalities": {"a": 10, "s": 12, "t": 30, "u": 30, "v": 8},
        "timing": {"s": "order", "t": "values", "u": "times", "v": "order"},
    },
    "three classes": {"modalities": {"a": 10, "b": 30, "c": 10}, "task": "multiclass"},
}
REAL = ("rosmap", "p12")
# For the check: shapes that the constants were not fitted on.
OTHERS = {
    "five streams and a wide table": {
        "modalities": {"a": 900, "s": 20, "t": 60, "u": 15, "v": 40, "x": 9},
        "timing": dict.fromkeys("stuvx", "order"),
    },
    "twelve tables, four classes": {
        "modalities": {f"t{i:02d}": 4 + 5 * i for i in range(12)},
        "task": "multiclass",
        "prior": [1, 1, 1, 1],
    },
}
MAX_TRAIN = 150
N_TIMED = 6


def cohorts(kind: str) -> Iterator[tuple[str, fw.MultimodalDataset, fw.MultimodalDataset]]:
    """Yield name, training and test rows."""
    if kind == "calibrate":
        for name, design in SIMULATED.items():
            cohort = fw.make_cohort(80, 60, availability=0.7, random_state=0, **design)
            yield name, cohort.train, cohort.test
        return
    for name, design in OTHERS.items():
        cohort = fw.make_cohort(80, 60, availability=0.7, random_state=1, **design)
        yield name, cohort.train, cohort.test
    yield "oncology (simulated)", *_some(*fw.read_study(_oncology()).split())
    for name in REAL:
        if name == "p12":
            from p12 import read

            train, test = read(1)
        else:
            from repeated_splits import read as read_set

            train, test = fw.split(read_set(name), by="column", column="split")
        yield name, *_some(train, test)


def _some(
    train: fw.MultimodalDataset, test: fw.MultimodalDataset
) -> tuple[fw.MultimodalDataset, fw.MultimodalDataset]:
    rng = np.random.default_rng(0)
    rows = np.sort(rng.permutation(len(train))[:MAX_TRAIN])
    return train[rows], test[: min(len(test), 400)]


def _oncology() -> Path:
    from fusewise.simulate import write_oncology_cohort

    return write_oncology_cohort(Path(tempfile.mkdtemp()) / "oncology")


def fitted(strategy: str, train: fw.MultimodalDataset) -> object:
    """Return the strategy at its defaults; networks after one epoch."""
    kind = getattr(fw, f"{strategy.capitalize()}FusionClassifier")
    if strategy in ("intermediate", "attention"):
        return kind(max_epochs=1, random_state=0).fit(train)
    return kind(random_state=0).fit(train)


def measured(model: object, test: fw.MultimodalDataset) -> list[dict[str, object]]:
    """Return the mean time of single samples: complete ones, as they came, and with one modality."""
    rng = np.random.default_rng(0)
    presence = test.presence
    shown = {"complete": presence.all(axis=1), "as it came": presence.any(axis=1)}
    views = {name: (test, np.flatnonzero(rows)) for name, rows in shown.items()}
    alone = np.zeros_like(presence)
    first = presence.argmax(axis=1)
    alone[np.arange(len(test)), first] = presence.any(axis=1)
    views["one modality"] = (test.with_presence(alone), np.flatnonzero(alone.any(axis=1)))
    found = []
    for name, (ds, rows) in views.items():
        if len(rows) == 0:
            continue
        drawn = rng.choice(rows, N_TIMED)
        singles = [ds[[int(i)]] for i in drawn]
        for one in singles[:3]:
            model.predict_proba(one)  # type: ignore[attr-defined]
        # The mean over samples, since they differ in what they have; of each the faster of two.
        seconds = [min(_spent(model, one), _spent(model, one)) for one in singles]
        found.append(
            {
                "view": name,
                "ms": 1e3 * float(np.mean(seconds)),
                "presence": [ds.presence[int(i)].tolist() for i in drawn],
            }
        )
    return found


def _spent(model: object, one: fw.MultimodalDataset) -> float:
    start = time.thread_time()
    model.predict_proba(one)  # type: ignore[attr-defined]
    return time.thread_time() - start


_SERVE = """
import pickle, sys, resource
import fusewise as fw
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 1e6
import fusewise.fusion
with open(sys.argv[2], "rb") as file:
    one = pickle.load(file)
if sys.argv[1].startswith("learned"):
    import torch
    torch.set_num_threads(1)
else:
    import sklearn.ensemble, lightgbm
before = resident()
model = fw.load(sys.argv[3])
model.predict_proba(one)
print(before, resident())
"""


def served(strategy: str, model: object, test: fw.MultimodalDataset) -> tuple[float, float]:
    """Return resident megabytes of a process with the libraries, and after model and answer."""
    folder = Path(tempfile.mkdtemp())
    model.save(folder / "model.fusewise")  # type: ignore[attr-defined]
    rows = np.flatnonzero(test.presence.any(axis=1))[:1]
    with (folder / "one.pickle").open("wb") as file:
        pickle.dump(test[rows], file)
    learned = "learned" if strategy in ("intermediate", "attention") else "trees"
    said = subprocess.run(
        [sys.executable, "-c", _SERVE, learned, folder / "one.pickle", folder / "model.fusewise"],
        capture_output=True, text=True, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    before, after = map(float, said.stdout.split())
    return before, after


def trees_of(model: object) -> float:
    """Return the mean number of trees of the boosted models in it; NaN without any."""
    found = []
    for held in [getattr(model, "model_", None)] + [
        expert.model for expert in getattr(model, "experts_", {}).values()
    ]:
        found += [trees for _, trees in getattr(held, "models_", [])]
    return float(np.mean(found)) if found else float("nan")


def rows_of(kind: str) -> list[dict[str, object]]:
    """Fit, time and weigh each strategy on each cohort."""
    import torch

    torch.set_num_threads(1)
    path = RESULTS / f"compute_estimates_{kind}_rows.json"
    rows = json.loads(path.read_text()) if path.exists() else []
    done = {(row["cohort"], row["strategy"]) for row in rows}
    for name, train, test in cohorts(kind):
        sizes = sizes_table(train, np.random.default_rng(0))
        outputs = len(np.unique(train.target))
        for strategy in STRATEGIES:
            if (name, strategy) in done:
                continue
            model = fitted(strategy, train)
            before, after = served(strategy, model, test) if kind == "check" else (0.0, 0.0)
            for view in measured(model, test):
                presence = np.array(view.pop("presence"))
                rows.append(
                    {
                        "cohort": name, "strategy": strategy, "outputs": outputs,
                        "n": len(train), "libraries_mb": before, "process_mb": after,
                        "trees": trees_of(model), **view,
                        "rates": presence.mean(axis=0).tolist(),
                        "sizes": json.loads(sizes.to_json(orient="records")),
                    }
                )  # fmt: skip
                path.write_text(json.dumps(rows) + "\n", encoding="utf-8")
                print(name, strategy, view, f"{before:.0f} -> {after:.0f} MB", flush=True)
    return rows


def parts(row: dict[str, object], trees: float) -> np.ndarray:
    """Return what the latency is linear in: 1, known modalities, tables, streams, hundreds of columns, work."""
    sizes = [own for own in row["sizes"] if own["n"]]
    share = [r for own, r in zip(row["sizes"], row["rates"], strict=True) if own["n"]]
    streams = sum(r for own, r in zip(sizes, share, strict=True) if own["kind"] == "events")
    columns = sum(
        r * (own["columns"] + own["indicators"]) for own, r in zip(sizes, share, strict=True)
    )
    counts = {round(sum(share)): 1.0}
    strategy = str(row["strategy"])
    work = work_of(strategy, sizes, share, counts, int(row["outputs"]), trees)
    unit = 1e6 if strategy in LEARNED else 1e3
    return np.array([1.0, len(sizes), sum(share) - streams, streams, columns / 100, work / unit])


def calibrated(rows: list[dict[str, object]]) -> pd.DataFrame:
    """Fit the constants: non-negative, by the ratio of measured to fitted."""
    found = []
    for strategy in STRATEGIES:
        own = [row for row in rows if row["strategy"] == strategy]
        trees = [
            0.0 if row["trees"] is None or np.isnan(row["trees"]) else row["trees"] for row in own
        ]
        x = np.array([parts(row, t) for row, t in zip(own, trees, strict=True)])
        y = np.array([float(row["ms"]) for row in own])
        start, _ = nnls(x / y[:, None], np.ones(len(y)))
        # By the logarithm: an estimate of half counts like one of twice.
        constants = least_squares(
            lambda c, x=x, y=y: np.log(x @ c) - np.log(y), start + 1e-3, bounds=(0, np.inf)
        ).x
        ratio = y / (x @ constants)
        names = ("fixed", "known", "table", "stream", "columns", "work")
        found.append(
            {"strategy": strategy, **dict(zip(names, constants, strict=True)),
             "least ratio": ratio.min(), "largest ratio": ratio.max(),
             "median trees": float(np.median([t for t in trees if t] or [np.nan]))}
        )  # fmt: skip
    return pd.DataFrame(found)


def checked(rows: list[dict[str, object]]) -> dict[str, pd.DataFrame]:
    """Hold the estimates of a profile against what was measured."""
    latency, memory = [], []
    for row in rows:
        strategy = str(row["strategy"])
        sizes = [own for own in row["sizes"] if own["n"]]
        share = [r for own, r in zip(row["sizes"], row["rates"], strict=True) if own["n"]]
        counts = {round(sum(share)): 1.0}
        found = estimate(strategy, sizes, share, counts, int(row["outputs"]))
        place = {"cohort": row["cohort"], "strategy": strategy}
        latency.append(
            {**place, "view": row["view"], "modalities present": sum(share),
             "estimated ms": found["latency_ms"], "measured ms": row["ms"],
             "measured / estimated": float(row["ms"]) / found["latency_ms"]}
        )  # fmt: skip
        if place not in [{k: m[k] for k in place} for m in memory]:
            memory.append(
                {**place, "estimated MB": found["memory_mb"], "measured MB": row["process_mb"],
                 "measured / estimated": float(row["process_mb"]) / found["memory_mb"],
                 "trees": row["trees"]}
            )  # fmt: skip
    times, sizes = pd.DataFrame(latency), pd.DataFrame(memory)
    return {
        "Latency, measured over estimated, by strategy": _ratios(times),
        "Memory, measured over estimated, by strategy": _ratios(sizes),
        "Latency of single samples": times,
        "Resident memory of a serving process": sizes,
    }


def _ratios(table: pd.DataFrame) -> pd.DataFrame:
    ratio = table.groupby("strategy", sort=False)["measured / estimated"]
    return ratio.agg(["size", "min", "median", "max"]).reset_index().rename(columns={"size": "n"})


def main() -> None:
    """Calibrate, or check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calibrate", action="store_true")
    parser.add_argument("--again", action="store_true")
    arguments = parser.parse_args()
    kind = "calibrate" if arguments.calibrate else "check"
    path = RESULTS / f"compute_estimates_{kind}_rows.json"
    rows = json.loads(path.read_text()) if arguments.again else rows_of(kind)
    if kind == "calibrate":
        keep(
            "compute_estimates_constants",
            "Constants of the estimates of cost",
            {"Fitted, in ms": calibrated(rows)},
            [
                (
                    "Milliseconds: fixed, per modality known, per table and per stream present, per hundred columns, per "
                    "million multiply-adds or thousand trees. Ratios are measured over fitted."
                )
            ],
        )
        return
    keep(
        "compute_estimates",
        "Cost in use: estimated before training, measured after it",
        checked(rows),
        [
            (
                "One thread. Latency: mean processor time of 6 single samples. None of these cohorts "
                "took part in the fit of the constants."
            )
        ],
    )


if __name__ == "__main__":
    main()
