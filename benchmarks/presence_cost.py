"""Cost follows presence: an epoch with 80 % absent against an epoch on complete data.

There are five modalities, of which each sample has all or one. Both have the same number of samples and are measured in one run, in turn, each in a fresh process
on one thread: a network of the estimator's default sizes is trained for a few epochs, and the
median epoch (the first one warms up) counts, by process CPU time and by the wall. Also the peak
memory of one epoch on the events of P12, beside that of the same process before it trains.
Where CUDA can be had, the same epochs run there, with the share of the time that the GPU is busy.

    python benchmarks/presence_cost.py [--samples 2000] [--epochs 3]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time

import numpy as np
import pandas as pd
from results_table import keep

import fusewise as fw

# Five modalities each, so that with one of them every sample lacks 80 % and none is left out.
# Up to 32 events a sample (its 90th percentile) are a network's tokens, more become windows.
COHORTS = {
    "tables of 60 columns": {"modalities": dict.fromkeys("abcde", 60)},
    "tables of 60 to 300 columns": {"modalities": {"a": 60, "b": 60, "c": 120, "d": 200, "e": 300}},
    "streams of 24 events": {
        "modalities": dict.fromkeys("abcde", 24),
        "timing": {**dict.fromkeys("abc", "times"), **dict.fromkeys("de", "order")},
    },
    "streams of 60 events (as windows)": {
        "modalities": dict.fromkeys("abcde", 60),
        "timing": {**dict.fromkeys("abc", "times"), **dict.fromkeys("de", "order")},
    },
    "tables of 60 and 300, streams of 24, 24, 60": {
        "modalities": {"a": 60, "b": 300, "c": 24, "d": 24, "e": 60},
        "timing": {"c": "times", "d": "order", "e": "values"},
    },
}
ONE_OF_FIVE = {"patterns": dict.fromkeys("abcde", 0.2)}
MODELS = {
    "intermediate": fw.IntermediateFusionClassifier,
    "attention": fw.AttentionFusionClassifier,
}
LIMIT = 0.35
MEMORY_LIMIT = 3.0
REPEATS = 3


def epochs(
    model: str, train: fw.MultimodalDataset, n_epochs: int, device: str = "cpu"
) -> dict[str, object]:
    """Train one member for some epochs; return wall and CPU seconds of the median epoch."""
    marks = []

    def tell(record: dict[str, object]) -> None:
        marks.append((time.perf_counter(), time.process_time(), record["seconds"]))

    estimator = MODELS[model](
        n_members=1,
        max_epochs=n_epochs + 1,
        patience=n_epochs + 1,
        masking=None,
        device=device,
        verbose=tell,
    )
    start = time.perf_counter()
    estimator.fit(train)
    total = time.perf_counter() - start
    wall, cpu = np.diff([m[0] for m in marks]), np.diff([m[1] for m in marks])
    return {
        "seconds": float(np.median(wall)),
        "cpu_seconds": float(np.median(cpu)),
        "fit_seconds": total,
    }


def one_process(request: dict[str, object]) -> dict[str, object]:
    """Do in this process what another one asks for."""
    import torch

    torch.set_num_threads(1)
    model, device = str(request["model"]), str(request.get("device", "cpu"))
    if request["data"] == "p12":
        from p12 import read

        train, _ = read(1)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        spent = epochs(model, train, int(request["epochs"]), device)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return spent | {"before_gb": before / 1e6, "peak_gb": after / 1e6}
    cohort = fw.make_cohort(
        int(request["samples"]),
        1,
        **COHORTS[str(request["data"])],
        availability=None if request["complete"] else ONE_OF_FIVE,
        random_state=0,
    )
    spent = epochs(model, cohort.train, int(request["epochs"]), device)
    if device != "cpu":
        spent |= {"busy": busy_share(model, cohort.train, int(request["epochs"]), device)}
    return spent | {"met": float(cohort.train.presence.mean())}


def busy_share(model: str, train: fw.MultimodalDataset, n_epochs: int, device: str) -> float:
    """Return the share of the epochs' wall time in which a kernel ran on the GPU."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        spent = epochs(model, train, n_epochs, device)
    spans = sorted(
        (e.time_range.start, e.time_range.end)
        for e in profiler.events()
        if str(e.device_type).endswith("CUDA")
    )
    busy, reached = 0.0, -np.inf
    for start, end in spans:
        busy += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return busy / 1e6 / (spent["seconds"] * (n_epochs + 1))


def asked(**request: object) -> dict[str, object]:
    """Measure in a process of its own, so that peaks and caches are its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--one", json.dumps(request)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"},
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--samples", type=int, default=2_000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--skip-p12", action="store_true")
    parser.add_argument("--one", help="what a process of its own is asked")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(one_process(json.loads(arguments.one))))
        return
    rows, memory, gpu = [], [], []
    for model in arguments.models:
        for data in COHORTS:
            common = {"model": model, "samples": arguments.samples, "epochs": arguments.epochs}
            each = [
                (
                    asked(data=data, complete=True, **common),
                    asked(data=data, complete=False, **common),
                )
                for _ in range(arguments.repeats)
            ]
            cpu = [absent["cpu_seconds"] / complete["cpu_seconds"] for complete, absent in each]
            wall = [absent["seconds"] / complete["seconds"] for complete, absent in each]
            rows.append(
                {
                    "model": model,
                    "modalities": data,
                    "present": float(each[0][1]["met"]),
                    "complete_cpu_s": float(np.median([c["cpu_seconds"] for c, _ in each])),
                    "absent_cpu_s": float(np.median([a["cpu_seconds"] for _, a in each])),
                    "ratio_cpu": float(np.median(cpu)),
                    "largest_cpu": max(cpu),
                    "ratio_wall": float(np.median(wall)),
                    "limit": LIMIT,
                }
            )
            print(rows[-1], flush=True)
    tables = {"Epoch with 80 % absent by epoch on complete data": pd.DataFrame(rows)}
    if not arguments.skip_p12:
        for model in arguments.models:
            spent = asked(model=model, data="p12", epochs=1)
            memory.append(
                {
                    "model": model,
                    "before_gb": spent["before_gb"],
                    "peak_gb": spent["peak_gb"],
                    "limit_gb": MEMORY_LIMIT,
                    "epoch_cpu_s": spent["cpu_seconds"],
                }
            )
            print(memory[-1], flush=True)
        tables["Peak memory of a process that reads P12 and trains"] = pd.DataFrame(memory)
    import torch

    if torch.cuda.is_available():
        for model in arguments.models:
            for data in COHORTS:
                common = {"model": model, "samples": arguments.samples, "epochs": arguments.epochs}
                common |= {"data": data, "complete": True}
                slow, fast = asked(**common), asked(device="cuda", **common)
                gpu.append(
                    {
                        "model": model,
                        "modalities": data,
                        "cpu_s": slow["seconds"],
                        "gpu_s": fast["seconds"],
                        "cpu_by_gpu": slow["seconds"] / fast["seconds"],
                        "gpu_busy": fast["busy"],
                    }
                )
                print(gpu[-1], flush=True)
        name = torch.cuda.get_device_name()
        tables[f"An epoch on one CPU thread and on {name}"] = pd.DataFrame(gpu)
    load = os.getloadavg()[0]
    keep(
        "presence_cost",
        "Cost follows presence",
        tables,
        [
            (
                f"{arguments.samples:,} samples, medians over {arguments.repeats} pairs of "
                f"processes, each the median of {arguments.epochs} epochs after one that warms up; "
                "one network at the estimator's default sizes without masking, one thread. An "
                "epoch includes what is measured after it (check loss, contributions). Load at the "
                f"end {load:.1f}."
            ),
            (
                "The automatic batch is larger where modalities are absent, so that an encoder "
                "sees as many rows in a step: an epoch with 80 % absent also takes fewer steps."
            ),
        ],
    )


if __name__ == "__main__":
    main()
