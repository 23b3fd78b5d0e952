"""Dealing: units that stay together, strata that stay balanced, and the draw over both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusewise.exceptions import DatasetError

if TYPE_CHECKING:
    from fusewise.data.dataset import MultimodalDataset

IntArray = npt.NDArray[np.intp]
BoolArray = npt.NDArray[np.bool_]

# Whole clusters cannot hit the share and the strata exactly: the best of a few draws is taken.
_CANDIDATES = 8


def seeded(random_state: int, purpose: int) -> np.random.Generator:
    """Return the generator of one purpose: a seed given to two of them must not couple draws."""
    return np.random.default_rng(np.random.SeedSequence(random_state).spawn(purpose + 1)[purpose])


def numbered(values: npt.ArrayLike, what: str) -> IntArray:
    """Number distinct values in their sorted order, so that numbers do not follow sample order."""
    codes, _ = pd.factorize(np.asarray(values), sort=True)
    if (codes < 0).any():
        raise DatasetError(f"{what} is empty for {int((codes < 0).sum())} samples: fill it in")
    return np.asarray(codes, dtype=np.intp)


def units_of(ds: MultimodalDataset) -> IntArray:
    """Number what must stay together: clusters, else ids (a bootstrap may repeat them)."""
    if ds.cluster is None:
        return numbered(ds.ids, "the id")
    return numbered(ds.cluster, "the cluster")


def joined(units: IntArray, sites: IntArray) -> IntArray:
    """Join units and sites that share a sample: neither is to be separated."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n_units, n_sites = int(units.max()) + 1, int(sites.max()) + 1
    size = n_units + n_sites
    edges = coo_array((np.ones(len(units)), (sites, n_sites + units)), shape=(size, size))
    _, component = connected_components(edges, directed=False)
    return numbered(component[sites], "the site")


def strata_of(
    ds: MultimodalDataset, stratify: str | None, y: npt.ArrayLike | None = None
) -> IntArray:
    """Number the strata, target first, patterns by falling frequency (so rare ones are adjacent)."""
    strata = np.zeros(len(ds), dtype=np.intp)
    target = ds.target if y is None else np.asarray(y)
    if stratify in ("target", "both"):
        if target is None:
            raise DatasetError(f"stratify={stratify!r} needs a dataset with a target")
        strata = _target_strata(target, ds.task == "regression")
    if stratify in ("pattern", "both"):
        pattern = numbered(ds.pattern, "the pattern")
        frequency_rank = np.argsort(np.argsort(-np.bincount(pattern), kind="stable"), kind="stable")
        strata = strata * (int(pattern.max()) + 1) + frequency_rank[pattern]
    return numbered(strata, "the stratum")


def _target_strata(target: npt.NDArray[Any], regression: bool) -> IntArray:
    if not regression:
        return numbered(target, "the target")
    bins = int(np.clip(len(target) // 5, 1, 10))
    edges = np.unique(np.quantile(target, np.linspace(0, 1, bins + 1)[1:-1]))
    return np.searchsorted(edges, target, side="right")


def ordered_units(units: IntArray, strata: IntArray, rng: np.random.Generator) -> IntArray:
    """Order units by stratum, then size, then at random: what is dealt in turn is then balanced.

    A unit that spans several strata counts as its rarest, which is the one hardest to balance.
    """
    sizes = np.bincount(units)
    by_rarity = np.argsort(np.bincount(strata), kind="stable")
    rarity = np.argsort(by_rarity, kind="stable")
    rarest = np.full(len(sizes), len(by_rarity))
    np.minimum.at(rarest, units, rarity[strata])
    return np.lexsort((rng.permutation(len(sizes)), -sizes, by_rarity[rarest]))


def held_out(
    units: IntArray, strata: IntArray, share: float, rng: np.random.Generator
) -> BoolArray:
    """Choose about `share` of the samples as whole units, each stratum alike."""
    sizes = np.bincount(units)
    if len(sizes) < 2:
        raise DatasetError(
            f"nothing can be held out: {len(units)} samples belong to {len(sizes)} unit (one "
            "sample, one cluster or one site), which is never separated"
        )
    if sizes.max() == 1:
        order = ordered_units(units, strata, rng)
        count = int(np.clip(round(len(sizes) * share), 1, len(sizes) - 1))
        places = np.floor((np.arange(count) + rng.random()) * len(sizes) / count).astype(np.intp)
        return np.isin(units, order[places])
    draws = [_whole_units(units, strata, sizes, share, rng) for _ in range(_CANDIDATES)]
    return min(draws, key=lambda chosen: _distance(chosen, strata, share))


def _whole_units(
    units: IntArray, strata: IntArray, sizes: IntArray, share: float, rng: np.random.Generator
) -> BoolArray:
    """Walk the ordered units and take one whenever what is owed reaches half its size."""
    chosen = np.zeros(len(sizes), dtype=bool)
    order = ordered_units(units, strata, rng)
    owed = (rng.random() - 0.5) * float(np.median(sizes))
    for unit, size in zip(order.tolist(), sizes[order].tolist(), strict=True):
        owed += share * size
        if owed >= size / 2:
            chosen[unit] = True
            owed -= size
    if not chosen.any():
        chosen[np.argmin(np.abs(sizes - share * sizes.sum()))] = True
    elif chosen.all():
        chosen[np.argmin(np.abs(sizes - (1 - share) * sizes.sum()))] = False
    return np.asarray(chosen[units])


def _distance(chosen: BoolArray, strata: IntArray, share: float) -> float:
    everyone = np.bincount(strata) / len(strata)
    part = np.bincount(strata[chosen], minlength=len(everyone)) / chosen.sum()
    return float(abs(chosen.mean() - share) + np.abs(part - everyone).sum() / 2)
