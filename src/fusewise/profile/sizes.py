"""What a model of each modality would be made of: its columns, its levels, its tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api.types import is_numeric_dtype

from fusewise.data import MultimodalDataset
from fusewise.profile.network_sizes import DEFAULTS

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

COLUMNS = (
    "modality", "kind", "n", "columns", "indicators", "level_inputs", "level_weights", "tokens",
    "token_values", "token_kinds",
)  # fmt: skip
MAX_ROWS = 1_000
MAX_LEVELS = 50
# How the learned strategies cut a stream into tokens.
LONGEST = 32
N_WINDOWS = 12
MANY_VARIABLES = 32
MOST = 8 * LONGEST


def sizes_table(ds: MultimodalDataset, rng: np.random.Generator) -> pd.DataFrame:
    """Measure what the estimate of cost needs, on at most 1,000 samples per modality.

    Returns
    -------
    DataFrame
        One row per modality:

        ``kind``, ``n`` (samples that were looked at);
        ``columns``: numeric features that vary or are sometimes empty (for events the summaries);
        ``indicators``: indicator columns of its categories, for trees and linear models;
        ``level_inputs``, ``level_weights``: what the categories become in a network, and the
        weights that this takes;
        ``tokens``: of events, the mean number of tokens of a sample that has the modality: moments,
        or windows of time where more than one sample in ten has over 32 moments;
        ``token_values``, ``token_kinds``: numbers in a token, and kinds of token. 0 for tables.

        Samples are drawn in the order of their ids. Levels that only others have are not seen.
    """
    by_id = np.argsort(ds.ids, kind="stable")
    reference = ds.time_reference()
    records = []
    for name, kind in ds.kinds.items():
        present = by_id[ds.presence[by_id, ds.modalities.index(name)]]
        if len(present) > MAX_ROWS:
            present = present[np.sort(rng.choice(len(present), MAX_ROWS, replace=False))]
        part = ds.only(name)[present]
        frame = part.features(name, reference)[1]
        record = {"modality": name, "kind": kind, "n": len(present), **_columns(frame, kind)}
        if kind == "events":
            record |= _tokens(part, name, reference)
        else:
            record |= {"tokens": 0.0, "token_values": 0, "token_kinds": 0}
        records.append(record)
    return pd.DataFrame(records, columns=list(COLUMNS))


def _columns(frame: pd.DataFrame, kind: str) -> dict[str, int]:
    if len(frame) == 0:
        return {"columns": 0, "indicators": 0, "level_inputs": 0, "level_weights": 0}
    if kind == "events":
        counts = [str(c) for c in frame.columns if str(c).endswith(":count")]
        met = {c.removesuffix(":count") for c in counts if frame[c].any()}
        frame = frame[[c for c in frame.columns if str(c).rpartition(":")[0] in met]]
    numbers = [c for c in frame.columns if is_numeric_dtype(frame[c])]
    values = frame[numbers].to_numpy(dtype=float)
    filled = np.isfinite(values)
    share = filled.sum(axis=0)
    known = np.where(filled, values, np.nan)
    some = share > 0
    varies = np.zeros(len(numbers), dtype=bool)
    varies[some] = np.nanmax(known[:, some], axis=0) > np.nanmin(known[:, some], axis=0)
    used = varies | (some & (share < len(frame)))
    found = {"columns": int(used.sum()), "indicators": 0, "level_inputs": 0, "level_weights": 0}
    for name in set(frame.columns) - set(numbers):
        present = frame[name].dropna()
        levels, empty = present.nunique(), int(len(present) < len(frame))
        if len(present) >= MAX_LEVELS and levels > 0.8 * len(present):
            continue  # text, which no estimator reads as a category
        found["indicators"] += min(MAX_LEVELS, levels + empty)
        if levels + empty > 1:
            known_levels = min(MAX_LEVELS, levels)
            wide = min(DEFAULTS.level_width, known_levels + 1)
            found["level_inputs"] += wide
            found["level_weights"] += wide * (known_levels + 1)
    return found


def _tokens(part: MultimodalDataset, name: str, reference: float | None) -> dict[str, Any]:
    """Count the tokens of a stream as the networks would cut it."""
    events = part.events(name)
    position = events["position"].to_numpy()
    time = events["time"].to_numpy(dtype=float)
    variable = events["variable"].cat.codes.to_numpy()
    n_variables = len(np.unique(variable))
    joint = n_variables <= MANY_VARIABLES
    new = np.ones(len(time), dtype=bool)
    if joint:
        new[1:] = (position[1:] != position[:-1]) | (time[1:] != time[:-1])
    lengths = np.bincount(position[new], minlength=len(part))
    windowed = bool(len(lengths) and np.quantile(lengths, 0.9) > LONGEST)
    if windowed:
        now = np.full(len(part), 0.0 if reference is None else reference)
        now = now if part.prediction_time is None else part.prediction_time
        age = np.maximum(now[position] - time, 0.0)
        span = min(age.max(), 2 * np.quantile(age, 0.99)) or 1.0
        window = np.minimum(age / span * N_WINDOWS, N_WINDOWS - 1).astype(np.int64)
        cell = (position * N_WINDOWS + window) * n_variables + (0 if joint else variable)
        lengths = np.bincount(np.unique(cell) // (N_WINDOWS * n_variables), minlength=len(part))
    values = 2 * n_variables if joint else 2 if windowed else 1
    return {
        "tokens": float(np.minimum(lengths, MOST).mean()) if len(lengths) else 0.0,
        "token_values": values if n_variables else 0,
        "token_kinds": (1 if joint else n_variables) if n_variables else 0,
    }
