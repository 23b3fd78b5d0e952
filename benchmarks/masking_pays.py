"""Masked against unmasked training, with modalities withheld at test time.

The same estimator is trained four ways: without masking, with uniform masking (rate .5), with the
curriculum (up to .7) and matched to the deployment, which lacks half of the modalities. Test
samples lose 0, 30, 50 and 70 % of their modalities, drawn anew in each of five repeats, the same
for all; a sample keeps at least one. Differences to unmasked training are paired; their intervals
resample the test samples, over whose repeats the scores are averaged.

    python benchmarks/masking_pays.py [--sets rosmap p12] [--attention] [--jobs 2]

Rows are kept, so that sets and models can be run one after the other. With
--members 1 a committee becomes one network, at a fifth of the cost and listed as such.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from p12 import read as read_p12
from paired import Rows, percentiles, resampled, score, scores
from repeated_splits import read as read_set
from results_table import keep
from threadpoolctl import threadpool_limits

import fusewise as fw
from fusewise.simulate import Interaction

COHORTS = {
    "simulated, additive": {
        "modalities": {"a": 5, "b": 5, "c": 5, "d": 5},
        "signal": 1.0,
    },
    "simulated, one strong": {
        "modalities": {"a": 5, "b": 20, "c": 50, "d": 5},
        "signal": {"a": 2.0, "b": 0.8, "c": 0.8, "d": 0.8},
    },
    "simulated, interaction": {
        "modalities": {"a": 5, "b": 5, "c": 5, "d": 5},
        "signal": {"a": 2.5, "b": 2.5, "c": 1.0, "d": 1.0},
        "interaction": Interaction("a", "b", kind="multiplicative"),
    },
}
SETS = ["handwritten", "rosmap", "p12", *COHORTS]
MODELS = {
    "intermediate": fw.IntermediateFusionClassifier,
    "attention": fw.AttentionFusionClassifier,
}
TRAININGS = ("none", "uniform .5", "curriculum .7", "deployment")
WITHHELD = (0.0, 0.3, 0.5, 0.7)
REPEATS = 5
N_BOOT = 500


def read(name: str, repeat: int) -> tuple[fw.MultimodalDataset, fw.MultimodalDataset]:
    """Return training and test rows; of the small sets stratified splits of the published sizes."""
    if name in COHORTS:
        cohort = fw.make_cohort(4_000, 10_000, **COHORTS[name], random_state=repeat)
        return cohort.train, cohort.test
    if name == "p12":
        return read_p12(1 + repeat)
    ds = read_set(name)
    if repeat == 0:
        return fw.split(ds, by="column", column="split")
    share = float((ds.samples["split"] == "test").mean())
    return fw.split(ds, test=share, stratify="target", random_state=repeat)


def masking(name: str, train: fw.MultimodalDataset) -> dict[str, object]:
    """Return the parameters of one training."""
    if name == "deployment":
        # Half of what training has of each modality: the joint patterns of the training samples,
        # thinned independently, as rates of twelve modalities with natural absence cannot say.
        shown = withheld(train, 0.5, 99)
        table = shown.patterns().set_index("pattern")["n"].to_dict()
        return {"masking": "deployment", "deployment": {"patterns": table}}
    given = {
        "none": None,
        "uniform .5": fw.Masking("uniform", rate=0.5),
        "curriculum .7": fw.Masking("curriculum", rate=0.7),
    }
    return {"masking": given[name]}


def withheld(ds: fw.MultimodalDataset, share: float, repeat: int) -> fw.MultimodalDataset:
    """Remove each modality with the same probability; a sample keeps one of its own."""
    if share == 0:
        return ds
    rng = np.random.default_rng([repeat, round(share * 100)])
    presence = ds.presence
    kept = presence & (rng.random(ds.shape) >= share)
    saved = np.where(presence, rng.random(ds.shape), -1.0).argmax(axis=1)
    emptied = np.flatnonzero(~kept.any(axis=1))
    kept[emptied, saved[emptied]] = True
    return ds.with_presence(kept)


def made(label: str, **given: object) -> object:
    """Return an estimator at its defaults, but for the number of networks in its label."""
    name, _, networks = label.partition(", ")
    if networks:
        given["n_members"] = int(networks.partition("=")[2])
    return MODELS[name](**given)


def one_fit(
    model: str, training: str, train: fw.MultimodalDataset, test: fw.MultimodalDataset, seed: int
) -> tuple[dict[float, list[np.ndarray]], float]:
    """Return probabilities by share withheld, one array per repeat, and the seconds of the fit."""
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.perf_counter()
        one = made(model, **masking(training, train), random_state=seed).fit(train)
        seconds = time.perf_counter() - start
        proba = {
            share: [
                one.predict_proba(withheld(test, share, r)) for r in range(REPEATS if share else 1)
            ]
            for share in WITHHELD
        }
    return proba, seconds


def compare(name: str, model: str, splits: int, jobs: int, kept: Rows) -> None:
    """Fit the four trainings of a set on each split and keep their rows."""
    pairs = [read(name, repeat) for repeat in range(splits)]
    pairs = [(train, test[test.presence.any(axis=1)]) for train, test in pairs]
    asked = [(split, t) for split in range(splits) for t in TRAININGS]
    each = dict(
        zip(
            asked,
            Parallel(n_jobs=jobs)(delayed(one_fit)(model, t, *pairs[s], s) for s, t in asked),
            strict=True,
        )
    )
    for split, (train, test) in enumerate(pairs):
        y = np.searchsorted(np.array(test.classes), test.target)
        counts = resampled(len(test), N_BOOT, split, 6)
        for share in WITHHELD:
            drawn = {
                t: np.mean([scores(y, p, counts) for p in each[split, t][0][share]], axis=0)
                for t in TRAININGS
            }
            point = {
                t: float(np.mean([score(y, p) for p in each[split, t][0][share]]))
                for t in TRAININGS
            }
            for t in TRAININGS:
                low, high = percentiles(drawn[t] - drawn["none"])
                kept.add(
                    {
                        "set": name,
                        "model": model,
                        "split": split,
                        "masking": t,
                        "withheld": share,
                        "train": len(train),
                        "test": len(test),
                        "metric": "AUROC" if len(test.classes) == 2 else "accuracy",
                        "score": point[t],
                        "difference": point[t] - point["none"],
                        "low": low,
                        "high": high,
                        "sd_boot": float(np.nanstd(drawn[t] - drawn["none"])),
                        "fit_seconds": round(each[split, t][1], 1),
                    }
                )


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row per set, model, masking and share: means over splits, widest honest interval.

    Test samples of several splits of one set are not independent: the standard error of the mean
    is then that of one split, as if splits added nothing; simulated cohorts are independent.
    """
    rows = []
    keys = ["set", "model", "metric", "withheld", "masking"]
    for key, some in table.groupby(keys, sort=False):
        row = dict(zip(keys, key, strict=True))
        k = len(some)
        row |= {"splits": k, "score": some["score"].mean(), "difference": some["difference"].mean()}
        if row["masking"] == "none":
            row |= {"low": np.nan, "high": np.nan, "pays": ""}
        else:
            if k == 1:
                low, high = some[["low", "high"]].iloc[0]
            else:
                error = float(np.sqrt((some["sd_boot"] ** 2).mean()))
                half = 1.96 * error / (np.sqrt(k) if row["set"] in COHORTS else 1)
                low, high = row["difference"] - half, row["difference"] + half
            pays = "yes" if low > 0 else "costs" if high < 0 else "undecided"
            row |= {"low": low, "high": high, "pays": pays}
        rows.append(row)
    return pd.DataFrame(rows)


def main() -> None:
    """Compare on the sets that are asked for; write the tables of all so far."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--attention", action="store_true", help="attention in place")
    parser.add_argument("--splits", type=int, default=1, help="splits, or cohorts, of each set")
    parser.add_argument("--members", type=int, help="networks of a committee; default: as it is")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    kept = Rows("masking_pays", ["set", "model", "split", "masking", "withheld"])
    model = "attention" if arguments.attention else "intermediate"
    model += f", n_members={arguments.members}" if arguments.members else ""
    for name in arguments.sets:
        compare(name, model, arguments.splits, arguments.jobs, kept)
    everything = summary(pd.DataFrame(kept.rows))
    half = everything[(everything["withheld"] == 0.5) & (everything["masking"] != "none")]
    count = half.assign(pays=half["pays"] == "yes").groupby(["model", "masking"], sort=False)
    counted = count.agg(sets=("set", "nunique"), pays_on=("pays", "sum")).reset_index()
    keep(
        "masking_pays",
        "Masked against unmasked training, modalities withheld at test time",
        {
            "50 % withheld: on how many sets the paired interval is above zero": counted,
            "50 % withheld": half,
            "All shares": everything,
        },
        [
            (
                "Intervals: 95 %, from resampled test samples, paired, scores averaged over "
                f"{REPEATS} draws of what is withheld; they do not hold the spread of another "
                "training. Over several splits of one real set the standard error is that of one "
                "split. `deployment`: matched to training samples of which half the modalities are "
                "withheld. Other settings are defaults."
            )
        ],
    )


if __name__ == "__main__":
    main()
