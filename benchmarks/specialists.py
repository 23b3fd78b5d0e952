"""One masked model against specialists for single availability patterns.

The specialist of a pattern is the same class at the same settings, fitted on every training sample
that has at least the pattern's modalities, restricted to them. Both are scored on the same test
samples, those that have at least the pattern, with everything else withheld. The loss is the
specialist's score minus the one model's, in AUROC (accuracy for digits), averaged over patterns;
its interval resamples the test samples of a set, the same draws for all of its patterns and both
models. P12 is in three groups, each of which joins the tables of its panels.

    python benchmarks/specialists.py [--sets handwritten p12] [--model intermediate] [--jobs 2]

Rows are kept, so that sets and models can be run one after the other. With
--members 1 a committee becomes one network, at a fifth of the cost and listed as such.
"""

from __future__ import annotations

import argparse
import itertools
import time
import warnings
from collections.abc import Iterable

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from p12 import GROUPS
from paired import Rows, percentiles, resampled, score, scores
from repeated_splits import read as read_set
from results_table import data_folder, keep
from threadpoolctl import threadpool_limits

import fusewise as fw
from fusewise.simulate import Noise

COHORTS = {
    "simulated, additive": {
        "modalities": {"a": 5, "b": 20, "c": 50},
        "signal": {"a": 1.2, "b": 1.0, "c": 0.8},
        "availability": {"a": 0.8, "b": 0.6, "c": 0.5},
    },
    "simulated, noise and a stream": {
        "modalities": {"a": 10, "b": 10, "stream": 12},
        "signal": {"a": 1.5, "b": 1.0, "stream": 1.2},
        "timing": {"stream": "values"},
        "noise": {"a": Noise(levels=(0.5, 1.0, 2.0))},
        "availability": {"a": 0.8, "b": 0.6, "stream": 0.6},
    },
}
SETS = ["handwritten", "p12", *COHORTS]
MODELS = {
    "intermediate": fw.IntermediateFusionClassifier,
    "attention": fw.AttentionFusionClassifier,
}
# Of handwritten's 63 patterns: all of one, of five and of six views, and of each other number a
# share drawn with a fixed seed, as each pattern needs a specialist of its own.
SAMPLED = {2: 5, 3: 5, 4: 5}
LEAST = 100
N_BOOT = 1000
LIMIT = 0.005
UPPER_LIMIT = 0.01


def read(name: str) -> tuple[fw.MultimodalDataset, fw.MultimodalDataset]:
    """Return training and test rows."""
    if name in COHORTS:
        cohort = fw.make_cohort(10_000, 10_000, **COHORTS[name], random_state=0)
        return cohort.train, cohort.test
    if name == "p12":
        return fw.split(read_groups(), by="column", column="split_1")
    return fw.split(read_set(name), by="column", column="split")


def read_groups(splits: Iterable[int] = (1,)) -> fw.MultimodalDataset:
    """Return P12 with three modalities (static, bedside, laboratory), and some of its splits."""
    folder = data_folder() / "p12"
    events = {"kind": "events", "time": "minute", "variable": "variable", "value": "value"}
    joined = {
        group: pd.concat([pd.read_parquet(folder / f"{p}.parquet") for p in panels])
        for group, panels in GROUPS.items()
    }
    return fw.MultimodalDataset(
        {
            "static": fw.Modality(folder / "static.parquet"),
            **{group: fw.Modality(table, **events) for group, table in joined.items()},
        },
        samples=folder / "samples.parquet",
        id="stay_id",
        target="in_hospital_death",
        prediction_time=48 * 60,
        extra=[f"split_{split}" for split in splits],
    )


def patterns(name: str, modalities: tuple[str, ...], all_of_them: bool) -> list[tuple[str, ...]]:
    """Return the patterns to compare on, fewest modalities first."""
    rng = np.random.default_rng(0)
    chosen = []
    for size in range(1, len(modalities) + 1):
        each = list(itertools.combinations(sorted(modalities), size))
        if name == "handwritten" and size in SAMPLED and not all_of_them:
            picked = sorted(rng.choice(len(each), SAMPLED[size], replace=False))
            each = [each[i] for i in picked]
        chosen += each
    return chosen


def having(ds: fw.MultimodalDataset, pattern: tuple[str, ...]) -> np.ndarray:
    """Return which samples have at least the pattern's modalities."""
    columns = [ds.modalities.index(m) for m in pattern]
    return ds.presence[:, columns].all(axis=1)


def codes(test: fw.MultimodalDataset) -> np.ndarray:
    """Return the target as codes of the classes in order."""
    return np.searchsorted(np.array(test.classes), test.target)


def made(label: str, **given: object) -> object:
    """Return an estimator at its defaults, but for the number of networks in its label."""
    name, _, networks = label.partition(", ")
    if networks:
        given["n_members"] = int(networks.partition("=")[2])
    return MODELS[name](**given)


def fitted(model: str, masking: object, train: fw.MultimodalDataset, n_jobs: int) -> tuple:
    """Return a model at its defaults (another masking where one is given) and its seconds."""
    given = {} if masking == "default" else {"masking": masking}
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        start = time.perf_counter()
        one = made(model, n_jobs=n_jobs, **given).fit(train)
        return one, time.perf_counter() - start


def specialist(
    model: str,
    masking: str,
    train: fw.MultimodalDataset,
    shown: fw.MultimodalDataset,
    pattern: tuple[str, ...],
) -> tuple[np.ndarray, int, float]:
    """Return the specialist's probabilities, its number of training samples and its seconds."""
    own = train.only(*pattern)[having(train, pattern)]
    # Same settings for both: masking is a part of them, and does nothing for one modality.
    with threadpool_limits(1):
        one, seconds = fitted(model, masking, own, 1)
        return one.predict_proba(shown), len(own), seconds


def compare(name: str, model: str, masking: str, jobs: int, all_patterns: bool, kept: Rows) -> None:
    """Fit one model and the specialists of a set; keep a row and the replicates per pattern."""
    train, test = read(name)
    y = codes(test)
    chosen = []
    for pattern in patterns(name, train.modalities, all_patterns):
        enough = np.bincount(y[having(test, pattern)], minlength=len(test.classes)).min()
        # A digit is scored by accuracy over ten classes, where each has its 40.
        if len(test.classes) > 2 or enough >= LEAST:
            chosen.append(pattern)
    one, seconds = fitted(model, masking, train, jobs)
    print(f"{name}: {model} in {seconds:.0f} s, {len(chosen)} patterns", flush=True)
    shown = [test.only(*p)[having(test, p)] for p in chosen]
    each = Parallel(n_jobs=jobs)(
        delayed(specialist)(model, masking, train, s, p) for s, p in zip(shown, chosen, strict=True)
    )
    counts = resampled(len(test), N_BOOT, 5)
    losses = []
    for pattern, s, (theirs, n_train, their_seconds) in zip(chosen, shown, each, strict=True):
        which = having(test, pattern)
        ours = one.predict_proba(s)
        difference = scores(y[which], theirs, counts[:, which]) - scores(
            y[which], ours, counts[:, which]
        )
        losses.append(difference)
        low, high = percentiles(difference)
        row = {
            "set": name,
            "model": model,
            "masking": masking,
            "pattern": "+".join(pattern),
            "train": n_train,
            "test": int(which.sum()),
            "rarer_class": int(np.bincount(y[which]).min()),
            "one_model": score(y[which], ours),
            "specialist": score(y[which], theirs),
            "loss": score(y[which], theirs) - score(y[which], ours),
            "low": low,
            "high": high,
            "specialist_seconds": round(their_seconds, 1),
            "one_model_seconds": round(seconds, 1),
        }
        kept.add(row)
    mean = np.mean(losses, axis=0)
    means = Rows("specialists_means", ["set", "model", "masking"])
    low, high = percentiles(mean)
    rows = [
        r["loss"]
        for r in kept.rows
        if (r["set"], r["model"], r["masking"]) == (name, model, masking)
        and r["pattern"] in {"+".join(p) for p in chosen}
    ]
    means.add(
        {
            "set": name,
            "model": model,
            "masking": masking,
            "patterns": len(rows),
            "mean_loss": float(np.mean(rows)),
            "low": low,
            "high": high,
            "sd_boot": float(np.nanstd(mean)),
        }
    )


def main() -> None:
    """Compare on the sets that are asked for; write the tables of all so far."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--model", choices=MODELS, default="intermediate")
    parser.add_argument("--masking", default="default", help="of both, by name")
    parser.add_argument("--all-patterns", action="store_true", help="all 63 of handwritten")
    parser.add_argument("--members", type=int, help="networks of a committee; default: as it is")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    networks = f", n_members={arguments.members}" if arguments.members else ""
    kept = Rows("specialists", ["set", "model", "masking", "pattern"])
    for name in arguments.sets:
        compare(
            name,
            arguments.model + networks,
            arguments.masking,
            arguments.jobs,
            arguments.all_patterns,
            kept,
        )
    table = pd.DataFrame(kept.rows)
    by_set = pd.DataFrame(Rows("specialists_means", ["set", "model", "masking"]).rows)
    overall = []
    for (model, masking), some in by_set.groupby(["model", "masking"], sort=False):
        # Sets are independent of each other, patterns of one set are not; every pattern counts
        # the same, or every set does.
        for weighing, w in (("patterns", some["patterns"]), ("sets", some["patterns"] * 0 + 1)):
            share = w / w.sum()
            mean = float((share * some["mean_loss"]).sum())
            half = 1.96 * float(np.sqrt((share**2 * some["sd_boot"] ** 2).sum()))
            overall.append(
                {
                    "model": model,
                    "masking": masking,
                    "sets": len(some),
                    "patterns": int(some["patterns"].sum()),
                    "same weight to": weighing,
                    "mean_loss": mean,
                    "low": mean - half,
                    "high": mean + half,
                    "limit": LIMIT,
                    "upper_limit": UPPER_LIMIT,
                }
            )
    keep(
        "specialists",
        "One masked model against specialists for single patterns",
        {
            "Mean loss over all patterns": pd.DataFrame(overall),
            "Mean loss by set": by_set.drop(columns="sd_boot"),
            "All patterns": table.drop(columns="one_model_seconds"),
        },
        [
            (
                "Loss: specialist minus one model, in AUROC, for handwritten in accuracy; patterns "
                f"with fewer than {LEAST} test samples of the rarer class are left out (not for "
                "the ten digits, 40 test samples each). Intervals: 95 %, from resampled test "
                "samples, paired; they do not hold the spread of another training. Of handwritten "
                "all patterns of one, five and six views and five drawn ones of two, three and "
                "four, unless more rows are listed. P12: split 1."
            )
        ],
    )


if __name__ == "__main__":
    main()
