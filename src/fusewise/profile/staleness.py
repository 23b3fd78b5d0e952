"""How old the last word of each event modality is when a prediction is made."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusewise.data import MultimodalDataset
from fusewise.profile.asynchrony import Occasions
from fusewise.profile.median import median_interval
from fusewise.profile.wilson import wilson

FloatArray = npt.NDArray[np.float64]

COLUMNS = (
    "modality", "n", "age_q25", "age", "age_q75", "age_q90", "low", "high",
    "typical_gap", "share_older", "share_low", "share_high", "note",
)  # fmt: skip
NO_TIME = "no sample has a prediction time; ages are to the last event of all samples"


def staleness_table(
    part: MultimodalDataset,
    occasions: dict[str, Occasions],
    gaps: dict[str, float],
    reference: float | None,
) -> pd.DataFrame:
    """Measure the age of each modality's latest event at prediction time.

    The estimand is the distribution over samples with an event of the modality of the time from its
    latest event to the prediction time: what is known is at least so old. Without prediction times
    ages are taken to the last event of all samples, and a note says so.

    Parameters
    ----------
    part : MultimodalDataset
    occasions : dict of str to Occasions
    gaps : dict of str to float
        The typical gap of each modality: its ``median_gap`` in the profile's ``cadence``.
    reference : float or None
        The last event of all samples.

    Returns
    -------
    DataFrame
        One row per event modality: ``n`` samples with an event; quantiles ``age_q25, age, age_q75, age_q90`` in the unit of the times, and
        ``low, high``, a 95 % interval of the median from order statistics; ``share_older`` than
        ``typical_gap``, with Wilson's limits: these miss at least one measurement at the usual
        pace.
    """
    now, note = np.full(len(part), math.nan), ""
    if part.prediction_time is not None:
        now = part.prediction_time
    elif reference is not None:
        now, note = np.full(len(part), reference), NO_TIME
    records = [
        {"modality": name, **_ages(own, now, gaps.get(name, math.nan)), "note": note}
        for name, own in occasions.items()
    ]
    if not records:
        kinds: dict[str, Any] = {"modality": "str", "note": "str", "n": np.int64}
        return pd.DataFrame({c: pd.Series(dtype=kinds.get(c, float)) for c in COLUMNS})
    return pd.DataFrame(records)[list(COLUMNS)]


def _ages(own: Occasions, now: FloatArray, gap: float) -> dict[str, Any]:
    last = np.ones(len(own.time), dtype=bool)
    last[:-1] = own.sample[1:] != own.sample[:-1]
    ages = now[own.sample[last]] - own.time[last]
    n = len(ages)
    quantiles = np.quantile(ages, (0.25, 0.5, 0.75, 0.9)).tolist() if n else [math.nan] * 4
    low, high = median_interval(ages)
    older = int((ages > gap).sum())
    share, share_low, share_high = math.nan, math.nan, math.nan
    if n and not math.isnan(gap):
        share = older / n
        share_low, share_high = (float(limit) for limit in wilson(older, n))
    return {
        "n": n,
        **dict(zip(("age_q25", "age", "age_q75", "age_q90"), quantiles, strict=True)),
        "low": low, "high": high, "typical_gap": gap,
        "share_older": share, "share_low": share_low, "share_high": share_high,
    }  # fmt: skip
