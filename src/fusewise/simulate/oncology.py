"""The demonstration: an oncology-like cohort as a folder of tables with its study file."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.special import expit

from fusewise.data import write_atomically
from fusewise.exceptions import DatasetError, RunFolderError

GENES = 5000
PATHWAYS = 20
EMBEDDING = 128
DAYS_BEFORE, DAYS_AFTER = 30, 2
REQUESTS = 1500

STUDY = """\
study: oncology-demo
samples:
  table: samples.parquet
  id: patient_id
  target: progression
  task: binary
  groups: [sex]
  prediction_time: visit_time
  split: split              # a column: train, validation, test
modalities:
  clinical: {table: clinical.parquet}
  omics:    {table: omics.parquet}        # one list column of 5,000 values
  wearable: {table: wearable.parquet, kind: events, time: time, variable: variable, value: value,
             present: has_wearable}
  imaging:  {table: imaging.parquet}      # one list column of 128 values
deployment:
  observed: requests.parquet              # a log of past requests and what came with them
  cohort: open
  synchronised: false
  timing: unknown
  interaction: unknown
  interpretability: preferred
  validation: {cohorts: [site]}
  latency_ms: 50
requirements:
  - {present: [clinical, wearable], metric: roc_auc, at_least: 0.70}
  - {absent: [imaging], metric: roc_auc, max_drop: 0.05}
  - {present: [clinical], metric: roc_auc, at_least: 0.65}
  - {present: all, metric: roc_auc, at_least: 0.85}
training: {strategy: auto, masking: auto, seed: 0}
"""


def write_oncology_cohort(
    folder: str | os.PathLike[str], *, n: int = 3000, random_state: int | None = 0
) -> Path:
    """Write a simulated oncology-like cohort: tables, a log of requests, and a study file.

    Patients are seen at a visit; about a quarter progress. A small clinical table is there for
    all; expression of 5,000 genes for about a third, more often where the site sequences; a
    wearable's events for about half; an imaging embedding for about one in seven, more often the
    sicker ones. The log of requests shows a deployment with less of everything. Nothing in it
    describes real patients.

    Parameters
    ----------
    folder : path
        Is created where it does not exist; files of the same names are replaced, each in one step,
        the study file last.
    n : int
        Number of patients, at least 100.
    random_state : int or None

    Returns
    -------
    Path
        The study file.

    Raises
    ------
    RunFolderError
        The folder cannot be created or written.

    Notes
    -----
    The wearable's events go on after the visit, so that point-in-time reading has something to
    leave out; a few patients have a wearable without events (present, empty), and a few have
    events of a wearable that was disconnected (declared absent).
    """
    if n < 100:
        raise DatasetError(f"write_oncology_cohort: n must be at least 100, got {n}.")
    tables = _tables(n, np.random.SeedSequence(random_state))
    place = Path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            buffer = io.BytesIO()
            pq.write_table(table, buffer)
            write_atomically(place / f"{name}.parquet", buffer.getvalue())
        write_atomically(place / "study.yaml", STUDY.encode())
    except OSError as error:
        raise RunFolderError(
            f"folder {str(place)!r}: cannot be written ({error.strerror or error}). "
            "Give another folder."
        ) from error
    return place / "study.yaml"


def _tables(n: int, root: np.random.SeedSequence) -> dict[str, pa.Table]:
    """Draw all tables; each has its own child of the seed."""
    latent_seed, *seeds = root.spawn(7)
    latent = _latent(n, np.random.default_rng(latent_seed))
    ids = np.array([f"P{i:05d}" for i in range(1, n + 1)])
    makers = (_samples, _clinical, _omics, _wearable, _imaging)
    names = ("samples", "clinical", "omics", "wearable", "imaging")
    tables = {
        name: maker(ids, latent, np.random.default_rng(seed))
        for name, maker, seed in zip(names, makers, seeds, strict=False)
    }
    tables["requests"] = _requests(np.random.default_rng(seeds[-1]))
    return tables


def _latent(n: int, rng: np.random.Generator) -> dict[str, Any]:
    """Draw what nobody sees, the target that follows from it, and who has what."""
    severity, decline, burden = rng.standard_normal((3, n))
    pathways = rng.standard_normal((n, PATHWAYS))
    site = rng.choice(["east", "north", "south", "west"], size=n, p=[0.2, 0.35, 0.25, 0.2])
    risk = 1.5 * severity + 1.1 * decline + 1.2 * burden + 1.4 * pathways[:, 0]
    risk -= 0.7 * pathways[:, 1] * (severity > 0)
    sequenced = np.select([site == "north", site == "west"], [0.5, 0.1], 0.3)
    has_wearable = rng.random(n) < expit(0.4 - 0.4 * severity)
    return {
        "severity": severity,
        "decline": decline,
        "burden": burden,
        "pathways": pathways,
        "site": site,
        "progression": (rng.random(n) < expit(1.5 * risk - 3.0)).astype(np.int8),
        "has_omics": rng.random(n) < sequenced,
        "has_imaging": rng.random(n) < expit(-2.0 + 0.8 * severity + 0.4 * burden),
        "has_wearable": has_wearable,
        # A wearable can be worn without a usable event, or be disconnected after some.
        "has_events": np.where(has_wearable, rng.random(n) > 0.01, rng.random(n) < 0.02),
        "visit": _times(np.datetime64("2022-01-03T08:00"), rng.uniform(0, 900, size=n)),
    }


def _times(start: np.datetime64, days: np.ndarray) -> np.ndarray:
    """Return timestamps, to the minute, some days after `start`."""
    minutes = np.round(days * 1440).astype("timedelta64[m]")
    return (start.astype("datetime64[m]") + minutes).astype("datetime64[us]")


def _samples(ids: np.ndarray, latent: dict[str, Any], rng: np.random.Generator) -> pa.Table:
    target = latent["progression"]
    split = np.empty(len(ids), dtype=object)
    for label in (0, 1):
        # The same share of each class in each part.
        mine = rng.permutation(np.flatnonzero(target == label))
        train, validation = int(len(mine) * 0.6), int(len(mine) * 0.72)
        split[mine[:train]] = "train"
        split[mine[train:validation]] = "validation"
        split[mine[validation:]] = "test"
    return pa.table(
        {
            "patient_id": ids,
            "progression": target,
            "site": latent["site"],
            "sex": rng.choice(["female", "male"], size=len(ids)),
            "has_wearable": latent["has_wearable"],
            "visit_time": latent["visit"],
            "split": pa.array(split.tolist()),
        }
    )


def _clinical(ids: np.ndarray, latent: dict[str, Any], rng: np.random.Generator) -> pa.Table:
    n, severity = len(ids), latent["severity"]
    stage = np.digitize(severity + 0.5 * rng.standard_normal(n), [-0.8, 0.2, 1.2])
    values = {
        "ecog": np.clip(np.round(0.8 + 0.7 * severity + 0.5 * rng.standard_normal(n)), 0, 3),
        "ldh": np.exp(5.3 + 0.2 * severity + 0.25 * rng.standard_normal(n)).round(),
        "albumin": (40 - 2.2 * severity + 3.5 * rng.standard_normal(n)).round(1),
        "haemoglobin": (12.8 - 0.5 * severity + 1.5 * rng.standard_normal(n)).round(1),
    }
    for name, missing in {"ecog": 0.04, "ldh": 0.15, "albumin": 0.08, "haemoglobin": 0.03}.items():
        values[name][rng.random(n) < missing] = np.nan
    words = np.array(["current", "former", "never", None], dtype=object)
    smoking = words[rng.choice(4, size=n, p=[0.2, 0.4, 0.33, 0.07])]
    histology = rng.choice(
        ["adeno", "other", "small cell", "squamous"], n, p=[0.5, 0.1, 0.15, 0.25]
    )
    return pa.table(
        {
            "patient_id": ids,
            "age": np.clip(np.round(63 + 9.5 * rng.standard_normal(n)), 30, 92),
            "stage": np.array(["I", "II", "III", "IV"])[stage],
            "histology": histology,
            "smoking": pa.array(smoking.tolist(), pa.string()),
            **{name: pa.array(column, from_pandas=True) for name, column in values.items()},
        }
    )


def _list_column(values: np.ndarray) -> pa.Array:
    """Return the rows of a matrix as one Arrow list column of single precision."""
    flat = pa.array(values.astype(np.float32).ravel())
    offsets = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
    return pa.ListArray.from_arrays(pa.array(offsets), flat)


def _omics(ids: np.ndarray, latent: dict[str, Any], rng: np.random.Generator) -> pa.Table:
    has = latent["has_omics"]
    loadings = rng.standard_normal((PATHWAYS, GENES)) * (rng.random((PATHWAYS, GENES)) < 0.05)
    level = rng.gamma(4.0, 1.5, size=GENES)
    values = level + latent["pathways"][has] @ loadings + rng.standard_normal((has.sum(), GENES))
    return pa.table({"patient_id": ids[has], "expression": _list_column(values)})


def _imaging(ids: np.ndarray, latent: dict[str, Any], rng: np.random.Generator) -> pa.Table:
    has = latent["has_imaging"]
    factors = np.column_stack([1.5 * latent["burden"], rng.standard_normal((len(ids), 5))])[has]
    values = factors @ rng.standard_normal((6, EMBEDDING)) / 3
    values += 0.4 * rng.standard_normal(values.shape)
    return pa.table({"patient_id": ids[has], "embedding": _list_column(values)})


def _wearable(ids: np.ndarray, latent: dict[str, Any], rng: np.random.Generator) -> pa.Table:
    has = np.flatnonzero(latent["has_events"])
    decline = latent["decline"][has, None]
    day = np.arange(-DAYS_BEFORE, DAYS_AFTER)[None, :]
    shape = (len(has), day.shape[1])
    level = rng.standard_normal((4, len(has), 1))
    # Over the month before the visit, who declines walks less and less, with a faster pulse.
    course = decline * (day + DAYS_BEFORE) / DAYS_BEFORE
    noise = rng.standard_normal((4, *shape))
    values = {
        "steps": np.maximum(0, 6500 + 1500 * level[0] - 1700 * course + 1200 * noise[0]).round(),
        "resting_hr": (66 + 6 * level[1] + 3.5 * course + 3 * noise[1]).round(),
        "sleep_hours": np.clip(6.8 + 0.7 * level[2] - 0.2 * course + noise[2], 0, 14).round(2),
        "spo2": np.clip(96.5 + level[3] + 0.8 * noise[3], 80, 100).round(1),
    }
    hour = {"steps": 22.0, "resting_hr": 6.0, "sleep_hours": 8.0, "spo2": 14.0}
    # Nights and days without the device leave gaps in all variables at once.
    worn = rng.random(shape) < rng.uniform(0.75, 1.0, size=(len(has), 1))
    parts = []
    for name, value in values.items():
        row, column = np.nonzero(worn & (rng.random(shape) < (0.5 if name == "spo2" else 0.97)))
        clock = hour[name] + rng.uniform(-1.5, 1.5, size=len(row))
        since = (day[0, column] * 1440 + clock * 60 - 840).round().astype("timedelta64[m]")
        time = latent["visit"][has[row]] + since
        parts.append(
            pd.DataFrame(
                {
                    "patient_id": ids[has[row]],
                    "time": time,
                    "variable": name,
                    "value": value[row, column],
                }
            )
        )
    table = pd.concat(parts).sort_values(["patient_id", "time"], ignore_index=True)
    return pa.Table.from_pandas(table, preserve_index=False)


def _requests(rng: np.random.Generator) -> pa.Table:
    """Draw the log: a deployment in which scans and sequencing come later, or never."""
    sicker = rng.standard_normal(REQUESTS)
    came = np.column_stack(
        [
            rng.random(REQUESTS) < 0.985,
            rng.random(REQUESTS) < 0.2,
            rng.random(REQUESTS) < expit(-0.5 - 0.4 * sicker),
            rng.random(REQUESTS) < expit(-2.9 + 0.9 * sicker),
        ]
    )
    request, column = np.nonzero(came)
    time = np.sort(_times(np.datetime64("2025-01-01T00:00"), rng.uniform(0, 120, size=REQUESTS)))
    return pa.table(
        {
            "request": np.array([f"R{i:05d}" for i in range(1, REQUESTS + 1)])[request],
            "modality": np.array(["clinical", "omics", "wearable", "imaging"])[column],
            "time": time[request],
        }
    )
