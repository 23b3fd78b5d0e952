"""How far apart the event modalities of a sample are in time."""

from __future__ import annotations

import math
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusewise.data import MultimodalDataset
from fusewise.profile.median import median_interval, medians_by

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

MAX_SAMPLES = 5_000
COLUMNS = (
    "modality", "other", "n_both", "share_both", "n", "preceded", "lag_q25", "lag", "lag_q75",
    "low", "high",
)  # fmt: skip


class Occasions(NamedTuple):
    """Distinct times at which something happened, sorted by sample and time."""

    sample: IntArray
    time: FloatArray


def drawn_samples(ds: MultimodalDataset, rng: np.random.Generator) -> MultimodalDataset:
    """Return the event modalities of at most 5,000 samples, in the order of their ids."""
    picked = np.argsort(ds.ids, kind="stable")
    if len(picked) > MAX_SAMPLES:
        picked = picked[np.sort(rng.choice(len(picked), MAX_SAMPLES, replace=False))]
    return ds.only(*(name for name, kind in ds.kinds.items() if kind == "events"))[picked]


def occasions_of(part: MultimodalDataset) -> dict[str, Occasions]:
    """Return the occasions of each event modality."""
    found = {}
    for name in part.modalities:
        frame = part.events(name)
        sample, time = frame["position"].to_numpy(), frame["time"].to_numpy(dtype=float)
        new = np.ones(len(time), dtype=bool)
        new[1:] = (sample[1:] != sample[:-1]) | (time[1:] != time[:-1])
        found[name] = Occasions(sample[new], time[new])
    return found


def asynchrony_table(part: MultimodalDataset, occasions: dict[str, Occasions]) -> pd.DataFrame:
    """Measure, when one modality speaks, how long ago the other one did.

    The estimand is the *lag*: for an occasion of the one modality (a distinct time at which it has
    an event), the time since the latest occasion of the other that is not after it. A sample counts
    once, with the median over its occasions; the table has quartiles over samples. Two modalities
    that are always measured together have lag 0 both ways. Where the other one always comes three
    hours before, the lag is 3 this way, and the other way what is left of the cycle.

    An occasion before the first one of the other modality has no lag; `preceded` tells how many
    have one. All event times are on one clock, as point-in-time alignment needs it.

    Parameters
    ----------
    part : MultimodalDataset
        Its event modalities.
    occasions : dict of str to Occasions
        Of :func:`occasions_of`.

    Returns
    -------
    DataFrame
        One row per ordered pair of event modalities: ``n_both`` and ``share_both``, how many of
        all samples that were looked at have events of both; ``n``, how many of these have a lag;
        ``preceded``, the mean over samples that have both of the share of occasions with an
        earlier one of the other; ``lag_q25, lag, lag_q75`` in the unit of the times (seconds for
        timestamps), and ``low, high``, a 95 % interval of the median that assumes no distribution
        (order statistics), with samples taken as independent.
    """
    lines = _Lines(len(part), occasions)
    records = [
        {"modality": one, "other": other, **lines.compared(one, other)}
        for one, other in permutations(occasions, 2)
    ]
    if not records:
        kinds: dict[str, Any] = {"n_both": np.int64, "n": np.int64}
        kinds |= dict.fromkeys(("modality", "other"), "str")
        return pd.DataFrame({c: pd.Series(dtype=kinds.get(c, float)) for c in COLUMNS})
    return pd.DataFrame(records)[list(COLUMNS)]


class _Lines:
    """All samples' times one after the other, so that one search serves them all."""

    def __init__(self, n_samples: int, occasions: dict[str, Occasions]) -> None:
        self.n_samples, self.occasions = n_samples, occasions
        first = np.full(n_samples, np.inf)
        last = np.full(n_samples, -np.inf)
        for own in occasions.values():
            np.minimum.at(first, own.sample, own.time)
            np.maximum.at(last, own.sample, own.time)
        some = last >= first
        # From each sample's own start: timestamps of years would leave no digits for seconds.
        far = 2 * (float((last - first)[some].max()) if some.any() else 0.0) + 1
        self.line = {
            name: own.sample * far + (own.time - first[own.sample])
            for name, own in occasions.items()
        }

    def compared(self, one: str, other: str) -> dict[str, Any]:
        sample, time = self.occasions[one]
        of_other, when = self.occasions[other]
        both = np.bincount(sample, minlength=self.n_samples) > 0
        both &= np.bincount(of_other, minlength=self.n_samples) > 0
        n_both = int(both.sum())
        place = np.searchsorted(self.line[other], self.line[one], side="right") - 1
        met = place >= 0
        met[met] = of_other[place[met]] == sample[met]
        lags = medians_by(sample[met], time[met] - when[place[met]])
        shared = both[sample]
        n_occasions = np.bincount(sample[shared], minlength=self.n_samples)
        n_met = np.bincount(sample[met], minlength=self.n_samples)
        q25, lag, q75 = (
            np.quantile(lags, (0.25, 0.5, 0.75)).tolist() if len(lags) else [math.nan] * 3
        )
        low, high = median_interval(lags)
        return {
            "n_both": n_both,
            "share_both": n_both / self.n_samples if self.n_samples else math.nan,
            "n": len(lags),
            "preceded": float((n_met[both] / n_occasions[both]).mean()) if n_both else math.nan,
            "lag_q25": q25, "lag": lag, "lag_q75": q75, "low": low, "high": high,
        }  # fmt: skip


def longest_lag(table: pd.DataFrame) -> dict[str, Any] | None:
    """Return the pair that is apart the longest with the most certainty, by the lower limit."""
    known = table[table["low"].notna()] if len(table) else table
    if known.empty:
        return None
    row = known.sort_values(["low", "lag"], ascending=False, kind="stable").iloc[0]
    return {str(name): value for name, value in row.to_dict().items()}
