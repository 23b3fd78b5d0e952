"""The demonstration's folder holds what its study file promises."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

from fusewise.data import Deployment, Modality, MultimodalDataset
from fusewise.exceptions import DatasetError, RunFolderError
from fusewise.simulate import write_oncology_cohort


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with the whole cohort."""
    path = tmp_path_factory.mktemp("demo") / "new" / "oncology"
    assert write_oncology_cohort(path, random_state=0) == path / "study.yaml"
    return path


@pytest.fixture(scope="module")
def dataset(folder):
    """Return the dataset as the study file declares it."""
    declared = yaml.safe_load((folder / "study.yaml").read_text())
    samples = declared["samples"]
    modalities = {
        name: Modality(**(keys | {"table": str(folder / keys["table"])}))
        for name, keys in declared["modalities"].items()
    }
    return MultimodalDataset(
        modalities, samples=str(folder / samples["table"]), id=samples["id"],
        target=samples["target"], groups=samples["groups"],
        prediction_time=samples["prediction_time"], extra=[samples["split"], "site"],
    )  # fmt: skip


def test_tables_have_the_promised_shapes(dataset):
    """3,000 patients, a quarter with progression; a wide, a rare and a timed modality."""
    assert dataset.task == "binary"
    assert len(dataset) == 3000
    assert dataset.target.mean() == pytest.approx(0.25, abs=0.03)
    shares = dict(zip(dataset.modalities, dataset.presence.mean(axis=0), strict=True))
    assert shares["clinical"] == 1
    assert shares["omics"] == pytest.approx(1 / 3, abs=0.03)
    assert shares["wearable"] == pytest.approx(0.6, abs=0.05)
    assert shares["imaging"] == pytest.approx(0.14, abs=0.03)
    widths = {name: len(dataset.feature_names(name)) for name in dataset.modalities}
    assert widths == {"clinical": 8, "omics": 5000, "wearable": 36, "imaging": 128}
    assert set(dataset.samples["split"]) == {"train", "validation", "test"}
    assert 150_000 < dataset.ingestion.loc["wearable", "rows"] < 250_000


def test_the_traps_of_real_tables_are_in_it(dataset):
    """Events after the visit, a disconnected wearable, one without events, and empty cells."""
    wearable = dataset.ingestion.loc["wearable"]
    assert wearable["after_prediction_time"] > 1000
    assert wearable["declared_absent"] > 100
    present = dataset.presence[:, dataset.modalities.index("wearable")]
    with_events = np.zeros(len(dataset), dtype=bool)
    with_events[dataset.events("wearable")["position"]] = True
    assert 0 < (present & ~with_events).sum() < 60
    assert (dataset.events("wearable")["time"]
            <= dataset.prediction_time[dataset.events("wearable")["position"]]).all()  # fmt: skip
    assert dataset.ingestion.loc["clinical", "missing_values"] > 500


def test_sicker_patients_get_imaging(dataset):
    """Presence of the scan goes with the target, as it would."""
    scanned = dataset.presence[:, dataset.modalities.index("imaging")]
    assert dataset.target[scanned].mean() > dataset.target[~scanned].mean() + 0.1


def test_deployment_differs_from_training(folder, dataset):
    """The log of requests has less of omics, wearable and imaging than the training rows."""
    deployment = Deployment.of({"observed": str(folder / "requests.parquet")})
    weights = deployment.pattern_weights(dataset.modalities)
    for name, share in zip(dataset.modalities, dataset.presence.mean(axis=0), strict=True):
        rate = sum(w for pattern, w in weights.items() if name in pattern)
        assert 0 < rate < share - (0.005 if name == "clinical" else 0.05)
    log = pd.read_parquet(folder / "requests.parquet")
    assert list(log.columns) == ["request", "modality", "time"]


def test_wide_table_is_one_list_column(folder):
    """Expression is stored as lists of single precision, which reads in a fraction of a second."""
    schema = pq.read_schema(folder / "omics.parquet")
    assert schema.names == ["patient_id", "expression"]
    assert str(schema.field("expression").type.value_type) == "float"


def test_every_modality_carries_signal(dataset):
    """Means of the leading features differ between the classes in each modality."""
    for name in ("omics", "imaging", "wearable"):
        positions, frame = dataset.features(name)
        x = frame.to_numpy(dtype=float)
        y = dataset.target[positions]
        x = (x - np.nanmean(x, axis=0)) / np.maximum(np.nanstd(x, axis=0), 1e-9)
        gap = np.nanmean(x[y == 1], axis=0) - np.nanmean(x[y == 0], axis=0)
        error = np.sqrt(1 / (y == 1).sum() + 1 / (y == 0).sum())
        assert (np.abs(gap) > 4.5 * error).any(), name


def test_same_seed_writes_the_same_tables(tmp_path):
    """The seed decides every cell, and writing again replaces the files without leftovers."""
    frames = []
    for seed in (1, 1, 2):
        write_oncology_cohort(tmp_path, n=100, random_state=seed)
        frames.append(pd.read_parquet(tmp_path / "clinical.parquet"))
    pd.testing.assert_frame_equal(frames[0], frames[1])
    assert not frames[0].equals(frames[2])
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "clinical.parquet", "imaging.parquet", "omics.parquet", "requests.parquet",
        "samples.parquet", "study.yaml", "wearable.parquet",
    ]  # fmt: skip


def test_folder_that_cannot_be_written_is_named(tmp_path):
    """A file in the place of the folder raises, and so does a cohort too small to show anything."""
    (tmp_path / "taken").write_text("")
    with pytest.raises(RunFolderError, match="taken"):
        write_oncology_cohort(tmp_path / "taken", n=100)
    with pytest.raises(DatasetError, match="at least 100"):
        write_oncology_cohort(tmp_path, n=10)
