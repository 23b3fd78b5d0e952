"""Real sets as deployments: each with its published splits, under several availability regimes.

Seeds 1, 2, 3, ... are: P12 the splits 1 to 5, glioma the folds 0 to 4, ROSMAP and the digits the
published split and then stratified ones of the same size, LIAR its one split. Amputation is drawn
with a seed made of the places of set and regime in this file, and the seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from repeated_splits import read as read_set
from results_table import data_folder
from selection.posed import Part, Posed
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from specialists import read_groups

import fusewise as fw
from fusewise.data import Deployment

Dataset = fw.MultimodalDataset
Pair = tuple[Dataset, Dataset]

# Glioma: dead within so many months; who was lost before that is left out.
MONTHS = 24
# LIAR's texts as so many directions of their words (TF-IDF), learned without a target.
TEXTS = {"statement": 64, "subjects": 32, "context": 32, "job": 16}
# Log of requests where a regime has one.
N_REQUESTS = 1_000


@lru_cache(maxsize=1)
def p12() -> Dataset:
    """Return P12 in three groups."""
    return read_groups(splits=range(1, 6))


def split_p12(seed: int) -> Pair:
    """Return a published split."""
    return fw.split(p12(), by="column", column=f"split_{seed}")


def split_resampled(name: str, seed: int) -> Pair:
    """Return the published split first, then stratified ones of its size."""
    ds = read_set(name)
    if seed == 1:
        return fw.split(ds, by="column", column="split")
    share = float((ds.samples["split"] == "test").mean())
    return fw.split(ds, test=share, stratify="target", random_state=seed)


def split_glioma(seed: int) -> Pair:
    """Return one fold; the target is death within two years."""
    folder = data_folder() / "gbmlgg"
    samples = pd.read_parquet(folder / "samples.parquet")
    dead = (samples["event"] == 1) & (samples["survival_months"] <= MONTHS)
    known = dead | (samples["survival_months"] > MONTHS)
    samples = samples.assign(dead=dead.astype(int))[known]
    tables = {}
    for path in sorted(folder.glob("*.parquet")):
        if path.stem != "samples":
            table = pd.read_parquet(path)
            tables[path.stem] = table[table["case_id"].isin(samples["case_id"])]
    fold = f"fold_{seed - 1}"
    ds = Dataset(
        tables,
        samples=samples[["case_id", "dead", fold]],
        id="case_id",
        target="dead",
        task="binary",
        extra=[fold],
    )
    return fw.split(ds, by="column", column=fold)


@lru_cache(maxsize=1)
def liar() -> Dataset:
    """Return LIAR without the history, which leaks the label; texts as directions of words."""
    folder = data_folder() / "liar"
    samples = pd.read_parquet(folder / "samples.parquet")
    training = set(samples.loc[samples["split"] != "test", "statement_id"])
    tables = {name: pd.read_parquet(folder / f"{name}.parquet") for name in ("speaker", "state")}
    for name, width in TEXTS.items():
        table = pd.read_parquet(folder / f"{name}.parquet")
        words = TfidfVectorizer(sublinear_tf=True, min_df=3)
        words.fit(table.loc[table["statement_id"].isin(training), name])
        found = words.transform(table[name])
        directions = TruncatedSVD(width, random_state=0)
        directions.fit(found[table["statement_id"].isin(training).to_numpy()])
        columns = [f"{name}_{i:02d}" for i in range(width)]
        values = pd.DataFrame(directions.transform(found), columns=columns)
        tables[name] = values.assign(statement_id=table["statement_id"].to_numpy())
    return Dataset(
        tables,
        samples=samples,
        id="statement_id",
        target="truth_level",
        task="multiclass",
        extra=["split"],
    )


def split_liar(seed: int) -> Pair:  # noqa: ARG001 - it has one split
    """Return the published split."""
    return fw.split(liar(), by="column", column="split")


# How to split, what its user declares beside availability, and the modality that goes missing
# where one does: the one that a hospital or a laboratory would lack first.
SETS: dict[str, tuple[Callable[[int], Pair], dict[str, Any], str]] = {
    "p12": (split_p12, {"cohort": "open", "validation": ("set c",)}, "laboratory"),
    "rosmap": (lambda seed: split_resampled("rosmap", seed), {"cohort": "controlled"}, "mrna"),
    "gbmlgg": (split_glioma, {"cohort": "open", "validation": ("second site",)}, "rnaseq"),
    "handwritten": (
        lambda seed: split_resampled("handwritten", seed),
        {"cohort": "controlled"},
        "pixel_averages",
    ),
    "liar": (split_liar, {"cohort": "open"}, "statement"),
}
REGIMES = (
    "as it is",
    "30 % absent",
    "60 % absent",
    "half absent in both",
    "one mostly absent",
    "40 % absent, depending",
)


def rates_of(train: Dataset, removed: dict[str, float]) -> dict[str, float]:
    """Return rates to declare: what training shows, less what the regime removes."""
    shares = dict(zip(train.modalities, train.presence.mean(axis=0), strict=True))
    return {name: float(share) * (1 - removed.get(name, 0.0)) for name, share in shares.items()}


def under(regime: str, pair: Pair, scarce: str, seeds: list[int]) -> tuple[Pair, dict[str, Any]]:
    """Return training and test rows of a regime, and what is known of its availability."""
    train, test = pair
    for_test, for_train, for_log = seeds
    if regime == "as it is":
        return pair, {"observed": "training"}
    if regime in ("30 % absent", "60 % absent"):
        rate = 0.3 if regime[0] == "3" else 0.6
        test = fw.ampute(test, rate=rate, random_state=for_test)
        return (train, test), {"rates": rates_of(train, dict.fromkeys(train.modalities, rate))}
    if regime == "half absent in both":
        test = fw.ampute(test, rate=0.5, random_state=for_test)
        return (fw.ampute(train, rate=0.5, random_state=for_train), test), {"observed": "training"}
    if regime == "one mostly absent":
        test = fw.ampute(test, rate={scarce: 0.9}, random_state=for_test)
        return (train, test), {"rates": rates_of(train, {scarce: 0.9})}
    # What is there depends on the values of another modality; a log of requests shows how often.
    test = fw.ampute(test, rate=0.4, mechanism="mar", random_state=for_test)
    log = train[np.random.default_rng(for_log).choice(len(train), N_REQUESTS)]
    seen = fw.ampute(log, rate=0.4, mechanism="mar", random_state=for_log).patterns()
    counts = zip(seen["pattern"], seen["n"], strict=True)
    return (train, test), {"counts": {str(pattern): int(n) for pattern, n in counts}}


def names() -> list[str]:
    """Return the names of all real deployments."""
    return [f"{name}: {regime}" for name in SETS for regime in REGIMES]


def pose(deployment: str, seed: int) -> Posed:
    """Return a real set under a regime."""
    name, _, regime = deployment.partition(": ")
    split, facts, scarce = SETS[name]
    place = [list(SETS).index(name), REGIMES.index(regime), seed]
    seeds = [int(s) for s in np.random.SeedSequence(place).generate_state(3)]
    (train, test), known = under(regime, split(seed), scarce, seeds)
    test = test[test.presence.any(axis=1)]
    second = second_half(test, name)

    def parts() -> Iterator[Part]:
        yield Part(test, second)

    given = (
        Deployment(source="observed", counts=known["counts"], **facts)
        if "counts" in known
        else Deployment.of(known | facts)
    )
    shown = {"samples": len(train), "set": name, "regime": regime}
    return Posed(deployment, name, "real", seed, train, given, parts, facts=shown)


def second_half(test: Dataset, name: str) -> np.ndarray:
    """Return which samples are of the second half: by id, so that it is the same in every split."""
    key = [list(SETS).index(name), 2]
    hashed = pd.util.hash_array(np.asarray(test.ids).astype(str).astype(object))
    mixed = hashed ^ np.random.SeedSequence(key).generate_state(1, np.uint64)[0]
    return np.asarray(pd.util.hash_array(mixed) % 2 == 1)
