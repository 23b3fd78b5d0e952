"""Temporal depth beside the cadence: how event modalities lie to each other and to the prediction."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fusewise.data import MultimodalDataset
from fusewise.profile.asynchrony import asynchrony_table, drawn_samples, occasions_of
from fusewise.profile.staleness import staleness_table


def timing_tables(
    ds: MultimodalDataset, cadence: pd.DataFrame, rng: np.random.Generator
) -> dict[str, pd.DataFrame]:
    """Return ``asynchrony`` and ``staleness``, both of the same samples, 5,000 at most."""
    part = drawn_samples(ds, rng)
    occasions = occasions_of(part)
    gaps = dict(zip(cadence["modality"], cadence["median_gap"], strict=True))
    return {
        "asynchrony": asynchrony_table(part, occasions),
        "staleness": staleness_table(part, occasions, gaps, ds.time_reference()),
    }
