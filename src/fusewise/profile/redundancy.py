"""What modalities have in common: how alike each pair is on the samples that have both."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusewise.data import MultimodalDataset
from fusewise.profile.alignment import FEWEST, debiased_cka
from fusewise.profile.dimensions import standardise, to_matrix
from fusewise.profile.sources import independent_rows

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

COLUMNS = ("modality", "other", "n_both", "n", "cka", "low", "high", "note")
MAX_ROWS = 2_000
# Of pairs with a modality of more columns than this fewer samples are drawn.
WIDE = 2_000
WIDE_ROWS = 700


def redundancy_table(
    ds: MultimodalDataset,
    rng: np.random.Generator,
    *,
    max_rows: int = MAX_ROWS,
    wide_rows: int = WIDE_ROWS,
) -> pd.DataFrame:
    """Measure for each pair of modalities how alike they are, by debiased linear CKA.

    The estimand is that of :func:`~fusewise.profile.alignment.debiased_cka` for standardised
    features, among samples that have both modalities: 1 where the two tell the same up to a
    rotation and a scale, 0 where nothing of the one correlates with anything of the other. It
    speaks of what is common to both *as a whole*: a narrow modality that is contained in a wide
    one is redundant, and yet not alike.

    Events enter by their summaries (:meth:`MultimodalDataset.features`), a category by an
    indicator per frequent level. Columns are standardised by their filled cells over the samples
    drawn, and an empty cell is then 0, the mean: badly observed columns count less, and emptiness
    itself counts nothing.

    Parameters
    ----------
    ds : MultimodalDataset
        Training rows. Of each declared cluster one sample is drawn, so that the samples are
        independent, as the interval takes them.
    rng : Generator
        Samples are drawn in the order of their ids.
    max_rows, wide_rows : int
        Samples drawn for each pair: `wide_rows` of them where one of the two has more than 2,000
        columns, since cost grows with samples squared times columns there.

    Returns
    -------
    DataFrame
        One row per pair, in the order of the modalities: ``modality, other``; ``n_both``, samples
        that have both; ``n``, those that were compared; ``cka, low, high`` with a 95 % interval
        (jackknife); ``note``: why there are no figures.
    """
    for_rows, for_order = rng.spawn(2)
    rows, _ = independent_rows(ds, for_rows)
    # One order for all pairs, so that they share samples and each modality is read once.
    rows = rows[for_order.permutation(len(rows))]
    widths = {name: len(ds.feature_names(name)) for name in ds.modalities}
    pairs = list(combinations(range(ds.n_modalities), 2))
    drawn: dict[tuple[int, int], IntArray] = {}
    for a, b in pairs:
        wide = max(widths[ds.modalities[k]] for k in (a, b)) > WIDE
        both = np.flatnonzero(ds.presence[rows][:, [a, b]].all(axis=1))
        drawn[a, b] = both[: wide_rows if wide else max_rows]
    blocks = {
        k: _block(ds, name, rows, [own for pair, own in drawn.items() if k in pair])
        for k, name in enumerate(ds.modalities)
    }
    records = [
        {
            "modality": ds.modalities[a],
            "other": ds.modalities[b],
            "n_both": int(ds.presence[:, [a, b]].all(axis=1).sum()),
            "n": len(drawn[a, b]),
            **_compared(blocks[a], blocks[b], drawn[a, b]),
        }
        for a, b in pairs
    ]
    if not records:
        kinds: dict[str, Any] = {"n_both": np.int64, "n": np.int64}
        kinds |= dict.fromkeys(("modality", "other", "note"), "str")
        return pd.DataFrame({c: pd.Series(dtype=kinds.get(c, float)) for c in COLUMNS})
    return pd.DataFrame(records)[list(COLUMNS)]


_Block = tuple[IntArray, FloatArray]
"""Where each row of the dataset's draw stands (-1: nowhere), and standardised features there."""


def _block(ds: MultimodalDataset, name: str, rows: IntArray, drawn: list[IntArray]) -> _Block:
    place = np.full(len(rows), -1, dtype=np.intp)
    needed = np.unique(np.concatenate(drawn)) if drawn else place[:0]
    if not len(needed):
        return place, np.zeros((0, 0))
    _, frame = ds.only(name)[rows[needed]].features(name, ds.time_reference())
    place[needed] = np.arange(len(needed))
    return place, _reduced(standardise(to_matrix(frame)))


def _reduced(values: FloatArray) -> FloatArray:
    """Return as few columns as there are samples, with the same products between all samples."""
    if values.shape[1] <= 2 * len(values):
        return values
    strength, direction = np.linalg.eigh(values @ values.T)
    return np.asarray(direction * np.sqrt(np.maximum(strength, 0.0)))


def _compared(one: _Block, other: _Block, rows: IntArray) -> dict[str, Any]:
    unknown = {"cka": math.nan, "low": math.nan, "high": math.nan}
    if len(rows) < FEWEST:
        return unknown | {"note": f"fewer than {FEWEST} samples to compare have both"}
    found = debiased_cka(*(values[place[rows]] for place, values in (one, other)))
    note = "too little varies in one of the two for so few samples" if math.isnan(found.cka) else ""
    return found._asdict() | {"note": note}


def most_alike(table: pd.DataFrame) -> dict[str, Any] | None:
    """Return the pair that is alike with the most certainty: the highest lower limit."""
    known = table[table["low"].notna()] if len(table) else table
    if known.empty:
        return None
    row = known.sort_values(["low", "cka"], ascending=False, kind="stable").iloc[0]
    return {str(name): value for name, value in row.to_dict().items()}
