"""How often the event modalities speak, how evenly, and how old their last word is."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusewise.data import MultimodalDataset

FloatArray = npt.NDArray[np.float64]

MAX_SAMPLES = 20_000


def cadence_table(ds: MultimodalDataset, rng: np.random.Generator) -> pd.DataFrame:
    """Measure the timing of each event modality, on at most 20,000 samples that have it.

    Returns
    -------
    DataFrame
        One row per event modality; times in their own unit (seconds for timestamps):

        ``events_per_sample``: median number of events of a sample, 0 for one that is declared
        present and has none;
        ``median_gap``: median over samples of a sample's median gap between successive distinct
        times (several variables measured at once are one occasion);
        ``regularity``: median over samples of ``1 / (1 + CV)`` of those gaps, for samples with at
        least three occasions: 1 for a clock, about 0.5 for a Poisson process, less for bursts;
        ``age_at_prediction``: median time from the last event to the prediction time (where there
        is none: to the last event of all samples);
        ``n``: samples that have the modality.

        NaN says that no sample has enough events to tell.
    """
    by_id = np.argsort(ds.ids, kind="stable")
    reference = ds.time_reference()
    records = []
    for name, kind in ds.kinds.items():
        if kind != "events":
            continue
        present = by_id[ds.presence[by_id, ds.modalities.index(name)]]
        n = len(present)
        if n > MAX_SAMPLES:
            present = present[np.sort(rng.choice(n, MAX_SAMPLES, replace=False))]
        part = ds.only(name)[present]
        frame = part.events(name)
        position = frame["position"].to_numpy()
        time = frame["time"].to_numpy(dtype=float)
        records.append(
            {
                "modality": name,
                "events_per_sample": _median(np.bincount(position, minlength=len(present))),
                **_gaps(position, time),
                "age_at_prediction": _median(_age(part, position, time, reference)),
                "n": n,
            }
        )
    columns = [
        "modality", "events_per_sample", "median_gap", "regularity", "age_at_prediction", "n"
    ]  # fmt: skip
    if not records:
        kinds: dict[str, Any] = {"modality": "str", "n": np.int64}
        return pd.DataFrame({c: pd.Series(dtype=kinds.get(c, float)) for c in columns})
    return pd.DataFrame(records)[columns]


def _gaps(position: npt.NDArray[np.intp], time: FloatArray) -> dict[str, float]:
    """Median gap and regularity of occasions, from events sorted by sample and time."""
    new = np.ones(len(time), dtype=bool)
    new[1:] = (position[1:] != position[:-1]) | (time[1:] != time[:-1])
    position, time = position[new], time[new]
    same = position[1:] == position[:-1]
    gaps = pd.DataFrame({"sample": position[1:][same], "gap": np.diff(time)[same]})
    by_sample = gaps.groupby("sample", sort=False)["gap"]
    enough = by_sample.size().to_numpy() >= 2
    spread = by_sample.std(ddof=0).to_numpy() / by_sample.mean().to_numpy()
    return {
        "median_gap": _median(by_sample.median().to_numpy()),
        "regularity": _median(1 / (1 + spread[enough])),
    }


def _age(
    part: MultimodalDataset,
    position: npt.NDArray[np.intp],
    time: FloatArray,
    reference: float | None,
) -> FloatArray:
    """Time from each sample's last event to its prediction time."""
    last = np.ones(len(time), dtype=bool)
    last[:-1] = position[1:] != position[:-1]
    now = np.full(len(part), math.nan if reference is None else reference)
    if part.prediction_time is not None:
        now = np.where(np.isnan(part.prediction_time), now, part.prediction_time)
    return np.asarray(now[position[last]] - time[last])


def _median(values: npt.NDArray) -> float:
    return float(np.median(values)) if len(values) else math.nan


def cadence_ratio(table: pd.DataFrame) -> float:
    """Ratio of the longest to the shortest median gap; NaN with fewer than two to compare."""
    gaps = table.loc[table["median_gap"] > 0, "median_gap"]
    return float(gaps.max() / gaps.min()) if len(gaps) > 1 else math.nan
