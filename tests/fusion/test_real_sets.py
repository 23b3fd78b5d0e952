"""Late fusion and reading on real data sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import fusewise as fw


@pytest.mark.data
def test_late_fusion_degrades_gracefully_on_rosmap(data_dir: Path) -> None:
    """On the published split the joined omics beat each alone, and each alone still answers."""
    folder = data_dir / "rosmap"
    ds = fw.MultimodalDataset(
        {m: folder / f"{m}.parquet" for m in ("mrna", "methylation", "mirna")},
        samples=folder / "samples.parquet",
        id="sample_id",
        target="alzheimer",
        extra=["split"],
    )
    train, test = fw.split(ds, by="column", column="split")
    model = fw.LateFusionClassifier().fit(train)

    def score(shown: fw.MultimodalDataset) -> float:
        return float(roc_auc_score(shown.target, model.predict_proba(shown)[:, 1]))

    alone = [score(test.only(m)) for m in test.modalities]
    assert score(test) > max(alone) - 0.02
    assert min(alone) > 0.65


@pytest.mark.data
def test_p12_reads_as_its_description_says(data_dir: Path) -> None:
    """Twelve modalities, 148 patterns, 10.5 % complete, no event after 48 hours used."""
    folder = data_dir / "p12"
    panels = sorted(p.stem for p in folder.glob("*.parquet") if p.stem not in ("samples", "static"))
    events = {"kind": "events", "time": "minute", "variable": "variable", "value": "value"}
    ds = fw.MultimodalDataset(
        {
            "static": folder / "static.parquet",
            **{p: fw.Modality(folder / f"{p}.parquet", **events) for p in panels},
        },
        samples=folder / "samples.parquet",
        id="stay_id",
        target="in_hospital_death",
        prediction_time=48 * 60,
    )
    assert ds.shape == (11_988, 12)
    assert len(ds.patterns()) == 148
    assert ds.presence.all(axis=1).mean() == pytest.approx(0.105, abs=0.001)
    assert ds.ingestion["rows"].sum() > 4_600_000
    assert ds.target is not None and np.mean(ds.target) == pytest.approx(0.142, abs=0.001)
