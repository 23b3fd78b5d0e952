"""Absence that looks like a broken join, kept apart from true absence."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fusewise.data import MultimodalDataset
from fusewise.profile.counts import PatternCounts
from fusewise.profile.text import number, share

# A level this small may lack a modality by chance.
LEAST_SAMPLES = 20
# Probability that a level lacks a modality altogether if it were as frequent there as elsewhere.
UNLIKELY = 1e-6
# A table with so few rows tells nothing by whom it does not know.
LEAST_ROWS = 100
# Few match: nine in ten rows belong to nobody, and nine in ten samples have no row.
FEW = 0.1


def broken_joins(
    source: MultimodalDataset | PatternCounts, counts: PatternCounts | None = None
) -> list[str]:
    """Name absences that a fault in the data would explain better than the world does.

    *A level without a modality.* None of a level's samples (a site, a year) has a modality that is
    common among all. If presence had nothing to do with the level, the chance of that is
    (1 - rate)^n; below one in a million, with at least 20 samples, it is named. It may be true (a
    hospital without a scanner) or a table that was never delivered, or whose ids are written in
    another way there: the data cannot tell the two apart, people can.

    *A table whose ids do not match.* Of a table with at least 100 rows none, or at most one in
    ten, belongs to a known sample, and at most one in ten samples has it. A table of a larger
    population is not named as long as the samples are found in it. Ids of two types (text and
    whole numbers) are refused when the dataset is read, and need no finding; the same type written
    in two ways ("007" and "7") is what this finds.

    Both are screens, without correction for their number: a sentence is a reason to look, not a
    result.

    Parameters
    ----------
    source : MultimodalDataset or PatternCounts
        Pattern counts have levels and no tables. A dataset's levels are those of its groups; to
        look at a column that is no group, give ``PatternCounts.of(ds.modalities, ds.presence,
        levels=ds.samples[["site"]])``.
    counts : PatternCounts, optional
        Those of the dataset, where they were counted before.

    Returns
    -------
    list of str
        A sentence each, that says what to check; empty where nothing looks broken.

    Examples
    --------
    >>> import pandas as pd
    >>> site = pd.DataFrame({"site": ["north", "south", "south"]})
    >>> counts = PatternCounts.of(
    ...     ("ehr", "lab"), [[1, 0], [1, 0], [1, 1]], n=[50, 60, 140], levels=site
    ... )
    >>> broken_joins(counts)
    ["None of 50 samples of site 'north' has lab, which 0.70 of the others have. Check whether it
      is not measured there, or its rows are lacking or carry other ids."]
    """
    if isinstance(source, PatternCounts):
        return _levels_without(source)
    if counts is None:
        counts = PatternCounts.of(source.modalities, source.presence, levels=source.groups)
    return [*_tables_without_matches(source), *_levels_without(counts)]


def _levels_without(counts: PatternCounts) -> list[str]:
    found = []
    total, have = counts.total, counts.n_present
    for group in counts.levels.columns:
        for level in sorted(set(counts.levels[group])):
            here = counts.at(group, level)
            n, present = here.total, here.n_present
            if n < LEAST_SAMPLES:
                continue
            for index, name in enumerate(counts.modalities):
                rate = have[index] / total
                if present[index] or rate == 0:
                    continue
                if n * math.log1p(-rate) < math.log(UNLIKELY):
                    elsewhere = have[index] / (total - n)
                    found.append(
                        f"None of {n:,} samples of {group} {level!r} has {name}, which "
                        f"{share(elsewhere)} of the others have. Check whether it is not measured "
                        "there, or its rows are lacking or carry other ids."
                    )
    return found


def _tables_without_matches(ds: MultimodalDataset) -> list[str]:
    read = ds.ingestion.reindex(list(ds.modalities))[["rows", "unknown_ids"]].to_numpy(dtype=int)
    have = ds.presence.mean(axis=0) if len(ds) else np.full(len(ds.modalities), math.nan)
    return tables_without_matches(ds.modalities, read, have)


def tables_without_matches(
    modalities: Sequence[str], read: npt.NDArray, rates: npt.NDArray
) -> list[str]:
    """Name tables whose ids match nobody's.

    Parameters
    ----------
    modalities : sequence of str, length M
    read : int array (M, 2)
        Rows of each table, and how many of them belong to no known sample.
    rates : array (M,)
        Share of the samples that have each modality.
    """
    found = []
    for column, name in enumerate(modalities):
        rows, unknown = read[column].tolist()
        if rows < LEAST_ROWS:
            continue
        matched = rows - unknown
        have = float(rates[column])
        if matched == 0 or (matched <= FEW * rows and have <= FEW):
            found.append(
                f"Of the {number(rows)} rows of {name}, {number(matched) if matched else 'none'} "
                f"belong{'s' if not matched else ''} to a known sample. Check that its ids and "
                "those of the samples are written in one way (leading zeros, spaces, upper case, "
                "prefixes), and that it is the table of these samples."
            )
    return found
