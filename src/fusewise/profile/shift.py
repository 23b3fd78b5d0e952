"""Availability shift: do patterns come as often in use as in training, at each site, over time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusewise.data import parse_pattern
from fusewise.exceptions import DatasetError
from fusewise.profile.counts import PatternCounts
from fusewise.profile.deployment import Use
from fusewise.profile.frequencies import Frequencies, compare
from fusewise.profile.text import share

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

COLUMNS = (
    "from", "to", "n_from", "n_to", "distance", "low", "high", "expected_if_same", "p",
    "most_changed",
)  # fmt: skip
OTHERS = "all others"
MAX_LEVELS = 200


def shift_table(
    train: PatternCounts, use: Use, *, rng: np.random.Generator, n_boot: int = 500
) -> pd.DataFrame:
    r"""Compare the pattern frequencies of the deployment with those of training.

    The estimand is the total variation :math:`d = \frac12 \sum_a |p_a - q_a|` between the pattern
    frequencies p and q: the share of requests that would have to come with another pattern for the
    two to agree, from 0 (equal) to 1 (no pattern in common). It bounds how far the rate of any
    modality, or of any set of patterns, differs.

    The plug-in `distance` is biased upwards, the more so the more rare patterns there are: read it
    beside `expected_if_same`. What both are judged by is drawn from the few pattern counts; no
    sample is read. Samples and requests are taken as independent: where they come in clusters, p
    is too small and the limits are too narrow. A deployment that was declared to look like
    training has distance 0 by that declaration, which is no test of it.

    Parameters
    ----------
    train : PatternCounts
        Training rows; groups are summed over.
    use : Use
        The deployment. Where it is declared and not counted it has no sampling error: `n_to` is
        NaN, and training alone is drawn anew, from the declared frequencies for `expected_if_same`
        and p. Where rates were declared for too many modalities to list joint patterns, the
        distance is NaN, and `most_changed` is told.
    rng : numpy Generator
    n_boot : int, default 500
        Draws; the smallest p is 1 / (1 + n_boot).

    Returns
    -------
    DataFrame
        One row; empty where the deployment is unknown.

        ``from, to, n_from, n_to``: what is compared, and its samples;
        ``distance``: the plug-in total variation;
        ``low, high``: limits with at least about 95 % coverage. By the triangle inequality the
        distance exceeds d by no more than the noise of both sides, whose distribution is that
        under equal frequencies: `low` is the distance less its 95 % quantile, above 0 only where
        p is at most .05. `high` is the 97.5 % quantile of a multinomial bootstrap of both sides,
        whose bias upwards keeps it on the safe side: with many rare patterns it is far too high;
        ``expected_if_same``: mean of the distance if both came from the pooled frequencies,
        dealt anew to sides of these sizes (a permutation; multinomial beyond 1e9 samples);
        ``p``: share of these draws that are at least as far apart, with the observed one;
        ``most_changed``: the modality whose own rate differs most, and its two rates.

    Raises
    ------
    DatasetError
        `n_boot` is below 1.

    References
    ----------
    B. Phipson and G. K. Smyth, Permutation p-values should never be zero, Statistical
    Applications in Genetics and Molecular Biology 9 (2010). A. C. Davison and D. V. Hinkley,
    Bootstrap Methods and their Application (1997), chapters 4 and 5.

    Examples
    --------
    >>> from fusewise.data import Deployment
    >>> from fusewise.profile.deployment import availability_in_use
    >>> train = PatternCounts.of(("ehr", "lab"), [[1, 0], [1, 1]], n=[200, 800])
    >>> use = availability_in_use(Deployment.of({"lab": 0.5}), train)
    >>> table = shift_table(train, use, rng=np.random.default_rng(0))
    >>> table[["from", "to", "distance", "most_changed"]]
           from          to  distance      most_changed
    0  training  deployment       0.3  lab 0.80 to 0.50
    """
    _check(n_boot)
    if use.rates["rate"].isna().all():
        return _table([])
    pooled = train.pooled()
    trained = dict(zip(pooled.labels(), pooled.n.tolist(), strict=True))
    # Draws follow the order of the patterns, so that theirs in the sources must not matter.
    labels = sorted({*trained, *use.shares})
    counted = np.array([trained.get(label, 0) for label in labels], dtype=np.int64)
    one = Frequencies.of("training", counted)
    if use.counts is not None:
        numbers = [use.counts.get(label, 0) for label in labels]
        two = Frequencies.of("deployment", np.array(numbers, dtype=np.int64))
    else:
        nothing = 0.0 if use.shares else math.nan
        shares = np.array([use.shares.get(label, nothing) for label in labels], dtype=float)
        # Weights of many patterns may sum to a little more than 1, which the draws refuse.
        two = Frequencies("deployment", shares / shares.sum(), None)
    rates = _rates(one, _presence(labels, train.modalities)), use.rates["rate"].to_numpy(float)
    return _table([_record(one, two, _most_changed(train.modalities, *rates), rng, n_boot)])


def group_shift_table(
    counts: PatternCounts, *, rng: np.random.Generator, n_boot: int = 500
) -> pd.DataFrame:
    """Compare the pattern frequencies of each level of each group with those of all other levels.

    A group may be a site, or a window of time (:func:`time_windows`). The columns, the estimand
    and what is assumed are those of :func:`shift_table`; `from` is ``all others`` and `to` the
    level. Each p stands for itself: of 20 levels that are alike, one has p below .05 on average,
    so hold the smallest against .05 over the number of rows (and draw at least 20 times that
    number, or no p can be as small).

    Returns
    -------
    DataFrame
        One row per level, groups in their order, levels in alphabetical order. A group with one
        level has no other to compare with, and no row. Of a group with more than 200 levels only
        the 200 largest have one: a handful of samples differs from all others by chance.

    Examples
    --------
    >>> presence = [[1, 1], [1, 0], [1, 1], [1, 0]]
    >>> site = pd.DataFrame({"site": ["north", "north", "south", "south"]})
    >>> counts = PatternCounts.of(("ehr", "lab"), presence, n=[90, 10, 30, 70], levels=site)
    >>> table = group_shift_table(counts, rng=np.random.default_rng(0))
    >>> table[["from", "to", "distance", "most_changed"]]
             from           to  distance      most_changed
    0  all others  site: north       0.6  lab 0.30 to 0.90
    1  all others  site: south       0.6  lab 0.90 to 0.30
    """
    _check(n_boot)
    labels = np.array(counts.labels(), dtype=object)
    distinct, code = np.unique(labels.astype(str), return_inverse=True)
    presence = _presence(distinct.tolist(), counts.modalities)
    everyone = _summed(code, counts.n, len(distinct))
    records = []
    for group in counts.levels.columns:
        level_of = counts.levels[group].to_numpy()
        size = pd.Series(counts.n).groupby(level_of).sum()
        # Of equally large ones the first by name.
        levels = sorted(size.sort_values(ascending=False, kind="stable").index[:MAX_LEVELS])
        for level in levels if len(levels) > 1 else []:
            rows = level_of == level
            here = _summed(code[rows], counts.n[rows], len(distinct))
            one = Frequencies.of(OTHERS, everyone - here)
            two = Frequencies.of(f"{group}: {level}", here)
            rates = (_rates(side, presence) for side in (one, two))
            changed = _most_changed(counts.modalities, *rates)
            records.append(_record(one, two, changed, rng, n_boot))
    return _table(records)


def time_windows(times: Any, n_windows: int) -> npt.NDArray[np.object_]:
    """Label each sample with its window of time, so that windows can be compared as a group.

    Windows hold about equally many samples. Equal times are never divided, so that there may be
    fewer windows, and unequal ones, where many are.

    Parameters
    ----------
    times : array-like (n_samples,)
        Numbers or timestamps.
    n_windows : int
        At least 1.

    Returns
    -------
    object ndarray (n_samples,)
        ``"1/4: 0 to 12"``, with the first and the last time that are in it; None without a time.

    Raises
    ------
    DatasetError
        `n_windows` is below 1, or the times are neither numbers nor timestamps.

    Examples
    --------
    >>> time_windows([5, 1, 9, 12], 2).tolist()
    ['1/2: 1 to 5', '1/2: 1 to 5', '2/2: 9 to 12', '2/2: 9 to 12']
    """
    if n_windows < 1:
        raise DatasetError(f"n_windows: expected at least 1, got {n_windows}.")
    given = pd.Series(times)
    stamps = pd.api.types.is_datetime64_any_dtype(given)
    if not stamps and not pd.api.types.is_numeric_dtype(given):
        raise DatasetError(f"times: expected numbers or timestamps, got {given.dtype}.")
    labels = np.full(len(given), None, dtype=object)
    known = given.notna().to_numpy()
    values = given[known].reset_index(drop=True)
    if values.empty:
        return labels
    # The window of a time is that of its first place in order.
    place = values.rank(method="min").to_numpy() - 1
    window = np.unique(np.floor(place * n_windows / len(values)), return_inverse=True)[1]
    n_found = int(window.max()) + 1
    names = []
    for index in range(n_found):
        inside = values[window == index]
        limits = (str(t) if stamps else f"{t:g}" for t in (inside.min(), inside.max()))
        # Leading zeros keep the alphabetical order that of time.
        names.append(f"{index + 1:0{len(str(n_found))}}/{n_found}: {' to '.join(limits)}")
    labels[known] = np.array(names, dtype=object)[window]
    return labels


def _record(
    one: Frequencies, two: Frequencies, changed: str, rng: np.random.Generator, n_boot: int
) -> dict[str, Any]:
    named = {"from": one.name, "to": two.name, "n_from": one.n, "n_to": two.n}
    return named | compare(one, two, rng, n_boot) | {"most_changed": changed}


def _presence(labels: list[str], modalities: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """Which modality each pattern has (k, M)."""
    patterns = [parse_pattern(label) for label in labels]
    rows = [[name in pattern for name in modalities] for pattern in patterns]
    return np.array(rows, dtype=bool).reshape(len(labels), len(modalities))


def _rates(side: Frequencies, presence: npt.NDArray[np.bool_]) -> FloatArray:
    return np.asarray(side.shares @ presence, dtype=float)


def _most_changed(modalities: tuple[str, ...], one: FloatArray, two: FloatArray) -> str:
    """Name the modality whose rate differs most, with its rates; nothing where none differs."""
    change = np.abs(one - two)
    # Of equal ones the first by name, so that the order of the modalities has no effect.
    order = sorted(
        range(len(modalities)), key=lambda i: (-round(float(change[i]), 12), modalities[i])
    )
    if not order or not change[order[0]] > 1e-12:
        return ""
    most = order[0]
    return f"{modalities[most]} {share(one[most])} to {share(two[most])}"


def _summed(code: npt.NDArray[np.intp], n: IntArray, size: int) -> IntArray:
    total = np.zeros(size, dtype=np.int64)
    np.add.at(total, code, n)
    return total


def _table(records: list[dict[str, Any]]) -> pd.DataFrame:
    text = ("from", "to", "most_changed")
    kinds = {name: "str" if name in text else "float64" for name in COLUMNS}
    return pd.DataFrame(records, columns=list(COLUMNS)).astype(kinds)


def _check(n_boot: int) -> None:
    if n_boot < 1:
        raise DatasetError(f"n_boot: expected at least 1, got {n_boot}.")
