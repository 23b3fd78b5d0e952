"""When each modality arrives: the share of samples that have it by a time, and what waiting buys.

Two sources, one table. A dataset tells when the first event of a modality took place
(:func:`arrival_table`); a log of requests tells when the modality came in
(:func:`~fusewise.profile.arrival_log.arrival_of_log`), which is what a deployment waits for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusewise.data import MultimodalDataset
from fusewise.exceptions import DatasetError, UnknownModalityError, did_you_mean
from fusewise.profile.product_limit import MARKS, arrival_curve
from fusewise.profile.text import number, share

FloatArray = npt.NDArray[np.float64]

COLUMNS = ("modality", "time", "share", "low", "high", "at_risk")
LEAST_POINTS = len(MARKS) + 2
# Timestamps are stored as seconds since 1970, which pass this in March 1973. Times since an
# admission, a start or a purchase do not come near it in any usual unit.
TIMESTAMP = 1e8


def arrival_table(
    ds: MultimodalDataset,
    rng: np.random.Generator,
    *,
    max_samples: int = 20_000,
    n_points: int = 25,
) -> pd.DataFrame:
    """Estimate which share of samples has each event modality by a time.

    The estimand is the probability that a modality's first event that counts at prediction time
    took place within t of the sample's start. Among all samples: one that never gets the modality
    stays open for good, so that the curve ends at the share that has it.

    *Start.* 0 for times that are numbers (since admission, since a start); an event before it was
    there at the start. Timestamps have no common start: each sample's clock starts at its own
    first event of any modality in `ds`. Whoever comes first then waited zero, by definition, and
    the curve says how long after the first sign of a sample the others follow, among samples that
    have any event. Times count as timestamps where the median sample's first event is at 1e8 or
    later (seconds since 1970: from March 1973 on), since a dataset does not keep what they were.

    *Arrival* is the time of the event. A dataset uses ``available_at`` to decide which rows count
    and does not keep it; where results come in long after they were taken (a culture, a report),
    the curve is early by that delay and a log of requests tells the truth.

    *Still open* is a sample without the modality, until its prediction time; without prediction
    times, until the last event of all samples. A sample that has the modality and no event of it
    (declared present, or rows without a usable value) is left out: it has arrived, and nobody
    knows when. The prediction time is assumed to have nothing to do with what is still to come.

    Parameters
    ----------
    ds : MultimodalDataset
        Training rows.
    rng : numpy Generator
        Draws the samples where there are more than `max_samples`.
    max_samples : int, default 20,000
        Of all samples, in the order of their ids.
    n_points : int, default 25
        Most times per modality, at least 5.

    Returns
    -------
    DataFrame
        ``modality, time, share, low, high, at_risk``: Kaplan and Meier's estimate with Greenwood's
        limits on the scale log(-log), 95 %, at each time alone (see
        :func:`~fusewise.profile.product_limit.product_limit`); times since the start in their own
        unit, seconds for timestamps. Late rows may rest on few samples that are still watched;
        their limits say so, the notes do not. Empty without event modalities.

    Raises
    ------
    DatasetError
        `n_points` or `max_samples` is too small.

    Examples
    --------
    >>> from fusewise.data import Modality
    >>> lab = pd.DataFrame({"id": [1, 2], "hour": [3.0, 7.0], "name": "lactate", "value": 1.0})
    >>> ds = MultimodalDataset(
    ...     {"lab": Modality(lab, kind="events", time="hour", variable="name", value="value")},
    ...     samples=pd.DataFrame({"id": [1, 2, 3, 4]}),
    ...     id="id",
    ...     prediction_time=24,
    ... )
    >>> table = arrival_table(ds, np.random.default_rng(0))
    >>> table[["modality", "time", "share", "at_risk"]]
      modality  time  share  at_risk
    0      lab   3.0   0.25        4
    1      lab   7.0   0.50        3
    2      lab  24.0   0.50        2
    """
    check_points(n_points)
    if max_samples < 1:
        raise DatasetError(f"max_samples: expected at least 1, got {max_samples}.")
    names = [name for name, kind in ds.kinds.items() if kind == "events"]
    reference = ds.time_reference()
    # Samples are drawn in the order of their ids, so that the order of the rows has no effect.
    picked = np.argsort(ds.ids, kind="stable")
    if len(picked) > max_samples:
        picked = picked[np.sort(rng.choice(len(picked), max_samples, replace=False))]
    part = ds.only(*names)[picked]
    first = {name: _first_times(part, name) for name in names}
    end = np.full(len(part), math.nan if reference is None else reference)
    if part.prediction_time is not None:
        end = part.prediction_time
    start = _starts(len(part), first.values())
    curves = []
    for column, name in enumerate(names):
        has = part.presence[:, column]
        # What counts at prediction time was there by then, whatever its own time says.
        until = np.where(has, np.minimum(first[name], end), end) - start
        known = ~np.isnan(until)
        if known.any():
            waited = np.maximum(until[known], 0.0)
            curves.append(arrival_curve(waited, has[known], n_points).assign(modality=name))
    return joined(curves)


def _first_times(part: MultimodalDataset, name: str) -> FloatArray:
    """Time of each sample's first event (n_samples,), NaN where it has none."""
    frame = part.events(name)
    position, time = frame["position"].to_numpy(), frame["time"].to_numpy(dtype=float)
    new = np.ones(len(position), dtype=bool)
    new[1:] = position[1:] != position[:-1]
    first = np.full(len(part), math.nan)
    first[position[new]] = time[new]
    return first


def clock_starts(ds: MultimodalDataset) -> FloatArray:
    """Return when the clock of each sample starts (n_samples,): 0, or for timestamps its first event.

    NaN for a sample without any event by which to tell a timestamp.
    """
    names = (name for name, kind in ds.kinds.items() if kind == "events")
    return _starts(len(ds), (_first_times(ds, name) for name in names))


def _starts(n_samples: int, first: Iterable[FloatArray]) -> FloatArray:
    """Return when clocks start, from the times of the first event in each modality."""
    earliest = np.full(n_samples, math.nan)
    for times in first:
        earliest = np.fmin(earliest, times)
    known = earliest[~np.isnan(earliest)]
    if len(known) and np.median(known) >= TIMESTAMP:
        return earliest
    return np.zeros(n_samples)


def check_points(n_points: int) -> None:
    """Raise where a grid could not hold the marks, the first arrival and the end."""
    if n_points < LEAST_POINTS:
        raise DatasetError(f"n_points: expected at least {LEAST_POINTS}, got {n_points}.")


def joined(curves: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the curves of all modalities as one table."""
    if curves:
        table = pd.concat(curves, ignore_index=True)[list(COLUMNS)]
        return table.astype({"modality": "str"})
    kinds: dict[str, Any] = {"modality": "str", "at_risk": np.int64}
    return pd.DataFrame({c: pd.Series(dtype=kinds.get(c, float)) for c in COLUMNS})


def time_to_share(table: pd.DataFrame, modality: str, share: float) -> float:
    """Return the first time in an arrival table by which at least `share` of the samples have it.

    Exact for a quarter, a half and three quarters. Between the times of the table nothing is
    interpolated, because arrivals may come in jumps (a round every six hours): other shares may
    be reached up to one row earlier.

    Parameters
    ----------
    table : DataFrame
        Of :func:`arrival_table` or of a log.
    modality : str
    share : float
        Between 0 and 1.

    Returns
    -------
    float
        In the unit of the table; NaN where that share is never reached.

    Raises
    ------
    UnknownModalityError
        The table does not have the modality.
    """
    curve = _curve(table, modality)
    if not 0 <= share <= 1:
        raise DatasetError(f"share: expected a number between 0 and 1, got {share!r}.")
    reached = curve["time"][curve["share"] >= share - 1e-12]
    return float(reached.iloc[0]) if len(reached) else math.nan


def _curve(table: pd.DataFrame, modality: str) -> pd.DataFrame:
    # A profile that was declared has a table without columns.
    curve = table[table["modality"] == modality] if len(table) else table
    if curve.empty:
        known = list(dict.fromkeys(table["modality"])) if len(table) else []
        raise UnknownModalityError(
            f"arrival: no modality {modality!r}; the table has {', '.join(known) or 'none'}."
            f"{did_you_mean(modality, known)}"
        )
    return curve.sort_values("time")


def arrival_notes(table: pd.DataFrame, *, unit: str = "") -> list[str]:
    """Say in words what waiting buys, a sentence for each modality of an arrival table.

    Parameters
    ----------
    table : DataFrame
        Of :func:`arrival_table` or of a log.
    unit : str, optional
        What the times are given in, e.g. ``"h"``; the table does not know.

    Examples
    --------
    >>> curve = arrival_curve([2.0, 5.2, 5.2, 9.0, 48.0], [True, True, True, True, False], 25)
    >>> arrival_notes(curve.assign(modality="lactate"), unit="h")
    ['Half of the samples have lactate after 5.2 h; waiting from 5.2 to 10.4 h raises it from 0.60
     to 0.80.']
    """
    return [_note(name, _curve(table, name), unit) for name in dict.fromkeys(table["modality"])]


def _note(name: str, curve: pd.DataFrame, unit: str) -> str:
    def clock(time: float) -> str:
        return f"{number(time)} {unit}".rstrip()

    time, have = curve["time"].to_numpy(), curve["share"].to_numpy()
    end, final = float(time[-1]), float(have[-1])
    if final == 0:
        return f"No sample has {name} by {clock(end)}."
    half = final >= 0.5 - 1e-12
    turn = np.argmax(have >= (0.5 if half else final / 2) - 1e-12)
    if time[turn] <= 0:
        rest = "" if final == have[turn] else f"; by {clock(end)} it is {share(final)}"
        return f"{share(have[turn])} of the samples have {name} at the start{rest}."
    until = min(2 * float(time[turn]), end)
    later = float(have[np.searchsorted(time, until, side="right") - 1])
    waiting = (
        ""
        if later == have[turn]
        else (
            f"; waiting from {number(time[turn])} to {clock(until)} raises it from "
            f"{share(have[turn])} to {share(later)}"
        )
    )
    if half:
        return f"Half of the samples have {name} after {clock(time[turn])}{waiting}."
    return f"Only {share(final)} of the samples have {name} by {clock(end)}{waiting}."
