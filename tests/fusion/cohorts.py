"""Small datasets for the tests of fusion."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fusewise.data import Modality, MultimodalDataset


def small_dataset(n: int = 240, *, seed: int = 0, task: str = "binary") -> MultimodalDataset:
    """A narrow table with a category and empty cells, a wider table, and events; all incomplete."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=n)
    if task == "binary":
        y = (latent + 0.5 * rng.normal(size=n) > 0).astype(int)
    elif task == "multiclass":
        y = np.array(["low", "middle", "top"], dtype=object)[np.digitize(latent, [-0.5, 0.5])]
    else:
        y = latent * 3 + 10
    ids = np.array([f"s{i:04d}" for i in range(n)])
    clinic = pd.DataFrame(
        {
            "id": ids,
            "age": latent + rng.normal(size=n),
            "bmi": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n)),
            "stage": np.where(latent > 0, "late", np.where(rng.random(n) < 0.2, None, "early")),
        }
    )[rng.random(n) < 0.9]
    omics = pd.DataFrame(
        latent[:, None] * rng.normal(size=12) + rng.normal(size=(n, 12)) * 2,
        columns=[f"g{i}" for i in range(12)],
    ).assign(id=ids)[rng.random(n) < 0.6]
    streams = []
    for i in np.flatnonzero(rng.random(n) < 0.7):
        count = int(rng.integers(1, 6))
        streams.append(
            pd.DataFrame(
                {
                    "id": ids[i],
                    "time": np.sort(rng.uniform(0, 10, count)),
                    "variable": rng.choice(["hr", "bp"], count),
                    "value": latent[i] + rng.normal(size=count),
                }
            )
        )
    wearable = pd.concat(streams, ignore_index=True)
    return MultimodalDataset(
        {
            "clinic": clinic,
            "omics": omics,
            "wearable": Modality(
                wearable, kind="events", time="time", variable="variable", value="value"
            ),
        },
        samples=pd.DataFrame({"id": ids, "y": y, "patient": np.arange(n) // 2}),
        id="id",
        target="y",
        task=task,
        cluster="patient",
    )
