"""The small cohort that the laws are tried on."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusewise.data import Modality, MultimodalDataset

Task = Literal["binary", "multiclass", "regression"]


def make_dataset(
    task: Task = "binary", n_samples: int = 180, random_state: int = 0
) -> MultimodalDataset:
    """Return a small cohort with every kind of input and of absence.

    Three modalities, all of them with signal: ``static``, a narrow table with a categorical column
    and empty cells; ``omics``, a wider table of numbers; ``monitor``, events with several values at
    one time. Presence of each is declared and at random; some samples have an empty, present
    ``static`` or ``monitor``. Ids are not in the order of the samples.

    Parameters
    ----------
    task : {"binary", "multiclass", "regression"}
    n_samples : int, default=180
    random_state : int, default=0

    Examples
    --------
    >>> ds = make_dataset(n_samples=60)
    >>> ds.modalities, len(ds), ds.task
    (('static', 'omics', 'monitor'), 60, 'binary')
    """
    rng = np.random.default_rng(np.random.SeedSequence(random_state))
    signal = rng.normal(size=n_samples)
    ids = np.array([f"s{i:04d}" for i in rng.permutation(n_samples)], dtype=object)
    presence = rng.random((n_samples, 3)) < (0.85, 0.6, 0.7)
    presence[~presence.any(axis=1), 0] = True
    samples = pd.DataFrame({"id": ids, "y": _target(task, signal, rng)})
    for index, name in enumerate(("static", "omics", "monitor")):
        samples[f"has_{name}"] = presence[:, index]
    # Declared and empty: a patient without medications has an empty list, and has it.
    filled = presence & (rng.random((n_samples, 3)) > (0.03, 0.0, 0.05))
    static, omics, monitor = _static(signal, rng), _omics(signal, rng), _monitor(signal, rng)
    # So rare that a mask can hide them altogether.
    rare = rng.permutation(np.flatnonzero(presence.all(axis=1)))[:4]
    static.loc[static["row"].isin(rare), "ward"] = "annex"
    monitor.loc[monitor["row"].isin(rare) & ~monitor["row"].duplicated(), "variable"] = "alarm"
    return MultimodalDataset(
        {
            "static": Modality(_of(static, ids, filled[:, 0]), present="has_static"),
            "omics": Modality(_of(omics, ids, filled[:, 1]), present="has_omics"),
            "monitor": Modality(
                _of(monitor, ids, filled[:, 2]),
                kind="events",
                time="time",
                variable="variable",
                value="value",
                present="has_monitor",
            ),
        },
        samples=samples,
        id="id",
        target="y",
        task=task,
    )


def _target(task: Task, signal: npt.NDArray[Any], rng: np.random.Generator) -> npt.NDArray[Any]:
    noisy = signal + 0.4 * rng.normal(size=len(signal))
    if task == "regression":
        return 10 + 3 * noisy
    if task == "binary":
        return (noisy > 0.2).astype(np.int64)
    return np.array(["low", "middle", "top"], dtype=object)[np.digitize(noisy, [-0.5, 0.5])]


def _static(signal: npt.NDArray[Any], rng: np.random.Generator) -> pd.DataFrame:
    n = len(signal)
    ward = np.where(signal + rng.normal(size=n) > 0, "acute", "plain").astype(object)
    ward[rng.random(n) < 0.1] = "rare"
    ward[rng.random(n) < 0.1] = None
    score = 2 - signal + rng.normal(size=n)
    score[rng.random(n) < 0.15] = np.nan
    return pd.DataFrame({"row": range(n), "age": 5 + signal + rng.normal(size=n), "score": score}).assign(ward=ward)  # fmt: skip


def _omics(signal: npt.NDArray[Any], rng: np.random.Generator) -> pd.DataFrame:
    values = rng.normal(size=(len(signal), 12)) + 1
    values[:, :4] += signal[:, None]
    return pd.DataFrame(values, columns=[f"g{i:02d}" for i in range(12)]).assign(row=range(len(signal)))  # fmt: skip


def _monitor(signal: npt.NDArray[Any], rng: np.random.Generator) -> pd.DataFrame:
    row = np.repeat(np.arange(len(signal)), rng.integers(3, 9, len(signal)))
    variable = np.array(["pressure", "rate"], dtype=object)[rng.integers(0, 2, len(row))]
    value = 4 + np.where(variable == "rate", signal[row], 0) + rng.normal(size=len(row))
    time = rng.integers(0, 4, len(row)).astype(float)  # few times: many events share one
    return pd.DataFrame({"row": row, "time": time, "variable": variable, "value": value})


def _of(table: pd.DataFrame, ids: npt.NDArray[Any], kept: npt.NDArray[np.bool_]) -> pd.DataFrame:
    table = table[kept[table["row"]]]
    return table.assign(id=ids[table["row"]]).drop(columns="row")
