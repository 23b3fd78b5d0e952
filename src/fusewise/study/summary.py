"""What was read: sizes, counts and fingerprints, small enough to keep beside the results."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fusewise.data import MultimodalDataset, Result
from fusewise.study.fingerprints import key_of

LEFT_OUT = {
    "unknown_ids": "row{} of samples that the samples table does not have",
    "after_prediction_time": "row{} later than the prediction time",
    "without_time": "row{} without a time",
    "declared_absent": "row{} of samples that are declared absent",
    "infinities": "infinite value{}",
}


@dataclass(frozen=True)
class DataSummary(Result):
    """What was read: sizes, counts while reading, and fingerprints of the rows.

    Attributes
    ----------
    n_train, n_validation, n_test : int
        Samples; validation rows are among the training rows.
    modalities : tuple of str
    kinds : dict
        Kind of each modality.
    task : str or None
    classes : tuple of str or None
    prevalence : dict
        Share of each class among the training rows; empty for regression.
    ingestion : DataFrame
        ``modality`` and what was counted while it was read.
    patterns : DataFrame
        ``pattern``, ``n``, ``share`` over all samples.
    train, test : str
        Content fingerprints of the rows.
    """

    n_train: int
    n_validation: int
    n_test: int
    modalities: tuple[str, ...]
    kinds: dict[str, str]
    task: str | None
    classes: tuple[str, ...] | None
    prevalence: dict[str, float]
    ingestion: pd.DataFrame
    patterns: pd.DataFrame
    train: str
    test: str


def summarise(
    whole: MultimodalDataset, train: MultimodalDataset, test: MultimodalDataset
) -> DataSummary:
    """Summarise what was read and how it was split."""
    prevalence = {}
    if train.target is not None and whole.classes is not None:
        prevalence = {str(c): float(np.mean(train.target == c)) for c in whole.classes}
    return DataSummary(
        n_train=len(train),
        n_validation=int(train.validation.sum()),
        n_test=len(test),
        modalities=whole.modalities,
        kinds=whole.kinds,
        task=whole.task,
        classes=None if whole.classes is None else tuple(str(c) for c in whole.classes),
        prevalence=prevalence,
        ingestion=whole.ingestion.rename_axis("modality").reset_index(),
        patterns=whole.patterns(),
        train=rows_fingerprint(train),
        test=rows_fingerprint(test),
    )


def rows_fingerprint(rows: MultimodalDataset) -> str:
    """Hash everything of some samples that a stage can see."""
    carried = pd.util.hash_pandas_object(rows.samples.astype(str), index=False)
    return key_of(
        {
            "values": rows.fingerprint(),
            "samples": [list(map(str, rows.samples.columns)), str(carried.to_numpy().tobytes())],
            "validation": rows.validation.tobytes().hex(),
            "times": None if rows.prediction_time is None else rows.prediction_time.tobytes().hex(),
            "kinds": rows.kinds,
        }
    )


def left_out(ingestion: pd.DataFrame) -> tuple[str, ...]:
    """Say per modality which rows and values were counted and not used.

    Examples
    --------
    >>> left_out(pd.DataFrame({"modality": ["lab"], "unknown_ids": [2], "infinities": [0]}))
    ('lab: left out 2 rows of samples that the samples table does not have',)
    """
    notes = []
    for row in ingestion.to_dict("records"):
        found = [
            f"{row[c]:,} {words.format('' if row[c] == 1 else 's')}"
            for c, words in LEFT_OUT.items()
            if row.get(c, 0) > 0
        ]
        if found:
            notes.append(f"{row['modality']}: left out {', '.join(found)}")
    return tuple(notes)
