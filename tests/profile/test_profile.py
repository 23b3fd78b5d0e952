"""The profile of a dataset and its deployment."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import fusewise as fw
from fusewise.exceptions import DatasetError, DeploymentError
from fusewise.profile import DeploymentProfile, declared_profile, profile, wilson

N = 400


def cohort(order: np.ndarray | None = None) -> fw.MultimodalDataset:
    """A clinical table that all have, omics that 40 % have, a sensor that 70 % have."""
    rng = np.random.default_rng(3)
    ids = np.array([f"p{i:03d}" for i in range(N)])
    samples = pd.DataFrame(
        {
            "id": ids,
            "y": rng.integers(0, 2, N),
            "sex": np.where(rng.random(N) < 0.4, "f", "m"),
            "at": 100.0,
        }
    )
    clinical = pd.DataFrame({"id": ids, "age": rng.normal(60, 9, N), "stage": rng.choice(4, N)})
    clinical.loc[:39, "age"] = np.nan
    omics = pd.DataFrame(rng.normal(size=(N, 250))).add_prefix("g").assign(id=ids)
    omics = omics[rng.random(N) < 0.4]
    has_sensor = np.flatnonzero(rng.random(N) < 0.7)
    sensor = pd.DataFrame(
        {
            "id": np.repeat(ids[has_sensor], 10),
            "t": np.tile(np.arange(10) * 5.0, len(has_sensor)),
            "variable": "pulse",
            "value": rng.normal(size=10 * len(has_sensor)),
        }
    )
    if order is not None:
        samples, clinical = samples.iloc[order], clinical.iloc[order]
    return fw.MultimodalDataset(
        {
            "clinical": clinical,
            "omics": omics,
            "sensor": fw.Modality(sensor, kind="events", time="t", variable="variable",
                                  value="value"),
        },
        samples=samples, id="id", target="y", groups=["sex"], prediction_time="at",
    )  # fmt: skip


@pytest.fixture(scope="module")
def ds() -> fw.MultimodalDataset:
    """One cohort for all tests."""
    return cohort()


def by(frame: pd.DataFrame, *keys: str) -> pd.DataFrame:
    """Index a table by its names."""
    return frame.set_index(list(keys))


def test_training_rates_are_those_of_the_presence(ds: fw.MultimodalDataset) -> None:
    """Rates, counts and Wilson's limits of training come from the stored presence."""
    found = profile(ds).availability
    np.testing.assert_allclose(found["rate_train"], ds.presence.mean(axis=0))
    low, high = wilson(ds.presence.sum(axis=0), np.full(3, N))
    np.testing.assert_allclose(found["low_train"], low)
    np.testing.assert_allclose(found["high_train"], high)


def test_an_unknown_deployment_stays_unknown(ds: fw.MultimodalDataset) -> None:
    """Without a declaration no rate of training stands as one of the deployment."""
    found = profile(ds)
    assert found.source == "none"
    assert found.availability[["n_deployment", "rate", "low", "high"]].isna().all(axis=None)
    assert found.patterns["share_deployment"].isna().all()
    assert found.complete_case["population"].tolist() == ["train"]
    assert np.isnan(found.unseen_share)
    assert "unknown" in found.notes[0]


def test_a_deployment_like_training_has_its_rates(ds: fw.MultimodalDataset) -> None:
    """Declared to look like training, the deployment takes its counts and so its intervals."""
    found = profile(ds, "training")
    table = found.availability
    for deployed, trained in (("rate", "rate_train"), ("low", "low_train"), ("high", "high_train")):
        assert table[deployed].tolist() == table[trained].tolist()
    assert (table["n_deployment"] == N).all()
    assert found.patterns["share_deployment"].tolist() == found.patterns["share_train"].tolist()
    assert found.unseen_share == 0


def test_declared_rates_have_no_interval(ds: fw.MultimodalDataset) -> None:
    """A declared rate is not estimated: its limits equal it, and there is no n."""
    found = profile(ds, {"omics": 0.25, "sensor": 0.5})
    table = by(found.availability, "modality")
    assert table.loc["omics", ["rate", "low", "high"]].tolist() == [0.25, 0.25, 0.25]
    assert table.loc["clinical", "rate"] == 1
    assert table["n_deployment"].isna().all()
    complete = by(found.complete_case, "population")
    assert complete.loc["deployment", "share"] == pytest.approx(0.125)


def test_declared_rates_equal_those_of_their_patterns(ds: fw.MultimodalDataset) -> None:
    """The patterns that rates imply give the rates back, with the requests that have nothing."""
    rates = {"clinical": 0.6, "omics": 0.25, "sensor": 0.5}
    found = profile(ds, rates)
    shares = by(found.patterns, "pattern")["share_deployment"]
    assert shares.sum() == pytest.approx(1)
    assert shares["(none)"] == pytest.approx(0.4 * 0.75 * 0.5)
    for name, rate in rates.items():
        assert sum(s for p, s in shares.items() if name in p.split("+")) == pytest.approx(rate)
    assert any("independent" in note for note in found.notes)
    assert any("without any modality" in note for note in found.notes)


def test_a_log_is_counted_and_its_unseen_patterns_found(ds: fw.MultimodalDataset) -> None:
    """Requests that came without the clinical table were never trained on, and are named."""
    log = pd.DataFrame(
        {
            "request": [1, 1, 1, 2, 3, 4, 4],
            "modality": [
                "clinical",
                "omics",
                "sensor",
                "omics",
                "clinical",
                "clinical",
                "clinical",
            ],
        }
    )
    found = profile(ds, {"observed": log})
    table = by(found.availability, "modality")
    assert (table["n_deployment"] == 4).all()
    assert table["rate"].tolist() == [0.75, 0.5, 0.25]
    low, _ = wilson(3, 4)
    assert table.loc["clinical", "low"] == pytest.approx(float(low))
    patterns = by(found.patterns, "pattern")
    assert patterns.index[patterns["unseen"]].tolist() == ["omics"]
    assert patterns["n_deployment"].sum() == 4
    assert patterns.loc["clinical+sensor", "n_deployment"] == 0
    assert found.unseen_share == 0.25
    assert by(found.complete_case, "population").loc["deployment", "share"] == 0.25


def test_a_wide_log_equals_the_long_one(ds: fw.MultimodalDataset) -> None:
    """Both forms of the same requests give the same profile."""
    wide = pd.DataFrame({"clinical": [True, True], "omics": [False, True], "sensor": [False, True]})
    long = pd.DataFrame(
        {"request": [0, 1, 1, 1], "modality": ["clinical", "clinical", "omics", "sensor"]}
    )
    assert profile(ds, {"observed": wide}) == profile(ds, {"observed": long})


def test_declared_patterns_are_weighted(ds: fw.MultimodalDataset) -> None:
    """Weights are scaled to shares; rates follow from them."""
    found = profile(ds, {"patterns": {"clinical": 3, "omics+clinical": 1}})
    assert by(found.availability, "modality")["rate"].tolist() == [1, 0.25, 0]
    assert any("sensor: never present in deployment" in note for note in found.notes)


def test_more_in_deployment_than_in_training_is_noted(ds: fw.MultimodalDataset) -> None:
    """Masking cannot create presence, so a higher rate in deployment is said."""
    notes = " ".join(profile(ds, {"omics": 0.9}).notes)
    assert "omics" in notes
    assert "cannot" in notes or "not create" in notes


def test_groups_are_profiled_in_training(ds: fw.MultimodalDataset) -> None:
    """Rates within each level are those of its samples."""
    table = by(profile(ds).group_availability, "group", "level", "modality")
    women = (ds.groups["sex"] == "f").to_numpy()
    row = table.loc[("sex", "f", "omics")]
    assert row["n"] == women.sum()
    assert row["rate"] == pytest.approx(ds.presence[women, 1].mean())


def test_dimensions_of_the_modalities(ds: fw.MultimodalDataset) -> None:
    """Widths are columns and variables; missing cells are counted inside present modalities."""
    found = profile(ds)
    table = by(found.dimensions, "modality")
    assert table["width"].tolist() == [2, 250, 1]
    assert found.dimension_ratio == 250
    assert found.orders_of_magnitude == pytest.approx(np.log10(250))
    assert table.loc["clinical", "missing_share"] == pytest.approx(40 / N / 2)
    assert table.loc["sensor", "missing_share"] == 0
    assert table["variance_share"].sum() == pytest.approx(1)
    assert table["variance_share"].idxmax() == "omics"
    assert table.loc["omics", "effective"] == pytest.approx(250, rel=0.05)


def test_cadence_of_a_regular_stream(ds: fw.MultimodalDataset) -> None:
    """Ten events every five units until 45, asked about at 100."""
    row = profile(ds).cadence.iloc[0]
    assert row["events_per_sample"] == 10
    assert row["median_gap"] == 5
    assert row["regularity"] == 1
    assert row["age_at_prediction"] == 55
    assert row["n"] == ds.presence[:, 2].sum()


def test_the_order_of_samples_has_no_effect(ds: fw.MultimodalDataset) -> None:
    """A shuffled samples table gives the same profile."""
    one, two = profile(ds, "training"), profile(cohort(np.random.default_rng(5).permutation(N)))
    pd.testing.assert_frame_equal(one.group_availability, two.group_availability)
    pd.testing.assert_frame_equal(one.dimensions, two.dimensions)
    pd.testing.assert_frame_equal(one.cadence, two.cadence)


def test_the_global_random_state_is_left_alone(ds: fw.MultimodalDataset) -> None:
    """Profiling draws from its own seed and not from numpy's global one."""
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - this is what must not change
    profile(ds)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


@pytest.mark.parametrize("deployment", [None, "training", {"omics": 0.3}], ids=str)
def test_a_profile_travels_through_json(ds: fw.MultimodalDataset, deployment, tmp_path) -> None:
    """Written and read it is equal, table by table, NaN and dtypes included."""
    found = profile(ds, deployment)
    found.to_json(tmp_path / "profile.json")
    again = DeploymentProfile.from_json(tmp_path / "profile.json")
    assert again == found
    for name in ("availability", "patterns", "complete_case", "dimensions", "cadence"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(found, name))
    assert str(again) == str(found)


def test_a_profile_prints_what_matters(ds: fw.MultimodalDataset) -> None:
    """The text names every modality, the source and the spread of the widths."""
    text = str(profile(ds, {"omics": 0.3}))
    for words in ("clinical", "omics", "sensor", "declared rates", "250 : 1", "Cadence"):
        assert words in text
    assert repr(profile(ds)) == "<DeploymentProfile: 400 samples, 3 modalities, deployment unknown>"


def test_clusters_are_noted() -> None:
    """Wilson's interval takes samples as independent; where they are not, the reader is told."""
    ids = pd.DataFrame({"id": range(6), "patient": [1, 1, 1, 2, 2, 2], "stay": range(6)})
    tables = {"t": ids[["id"]].assign(x=1.0)}
    notes = [
        profile(fw.MultimodalDataset(tables, samples=ids, id="id", cluster=c), "training").notes
        for c in ("patient", "stay", None)
    ]
    assert ["2 clusters" in " ".join(n) for n in notes] == [True, False, False]


def test_a_single_sample_is_profiled() -> None:
    """One sample with one modality gives a profile whose unknowns are NaN and not errors."""
    one = cohort()[[0]]
    found = profile(one, "training")
    assert found.n_samples == 1
    assert found.dimensions["effective"].isna().all()


def test_a_modality_that_nobody_has(ds: fw.MultimodalDataset) -> None:
    """It is profiled with rate 0 and noted, and takes no part in the gap of dimensions."""
    presence = ds.presence.copy()
    presence[:, 1] = False
    found = profile(ds.with_presence(presence), "training")
    table = by(found.availability, "modality")
    assert table.loc["omics", "rate"] == 0
    assert found.dimension_ratio == 2
    assert any("No training sample has omics" in note for note in found.notes)


@pytest.mark.parametrize(
    ("deployment", "message"),
    [
        ({"omix": 0.5}, r"no modality 'omix'.*Did you mean 'omics'\?"),
        ({"omics": 1.5}, r"rate of 'omics' must lie between 0 and 1"),
        ({"omics": -0.1}, r"rate of 'omics' must lie between 0 and 1"),
        ({"patterns": {"clinical": -1}}, r"not negative, got -1"),
        ({"patterns": {"clinical+omix": 1}}, r"no modality 'omix'"),
        ({"observed": pd.DataFrame({"omics": pd.Series([], dtype=bool)})}, "empty"),
        ({"observed": pd.DataFrame({"request": [], "modality": []})}, "empty"),
        (
            {"observed": pd.DataFrame({"request": [1], "modality": ["sensors"]})},
            r"no modality 'sensors'.*Did you mean 'sensor'\?",
        ),
        ({"rates": {"omics": 0.5}, "cohrt": "open"}, r"'cohrt'.*Did you mean 'cohort'\?"),
    ],
)
def test_bad_deployments_say_what_is_wrong(
    ds: fw.MultimodalDataset, deployment, message: str
) -> None:
    """Each names the object, what came, and what is near."""
    with pytest.raises(DeploymentError, match=message):
        profile(ds, deployment)


def test_bad_datasets_say_what_is_wrong(ds: fw.MultimodalDataset) -> None:
    """A table is pointed to the right function; no sample is nothing to measure."""
    with pytest.raises(DatasetError, match=r"fusewise\.profile\.availability"):
        profile(pd.DataFrame({"a": [True]}))  # type: ignore[arg-type]
    with pytest.raises(DatasetError, match="no sample"):
        profile(ds[[]])


def test_declared_profiles_are_what_was_declared() -> None:
    """Rates, widths, effective dimensions and gaps are taken as given."""
    plan = declared_profile(
        {"a": 1.0, "b": 0.5, "c": 0.25},
        {"b": 0.4},
        n_samples=800,
        widths={"a": 5, "b": 500},
        effective={"b": 40},
        median_gaps={"c": 2.0},
    )
    assert by(plan.availability, "modality")["n_train"].tolist() == [800, 400, 200]
    assert plan.patterns["n_train"].sum() == 800
    table = by(plan.dimensions, "modality")
    assert table["width"].tolist() == [5, 500, 10]
    assert table.loc["b", "samples_per_dimension"] == 10
    assert plan.kinds == {"a": "table", "b": "table", "c": "events"}
    assert DeploymentProfile.from_json(plan.to_json()) == plan
    with pytest.raises(DeploymentError, match="between 0 and 1"):
        declared_profile({"a": 2.0})
    with pytest.raises(DeploymentError, match="no modality 'd'"):
        declared_profile({"a": 1.0}, widths={"d": 3})
    with pytest.raises(DeploymentError, match="1 to 12"):
        declared_profile({})


@pytest.mark.data
def test_p12_is_profiled(data_dir) -> None:
    """The rates of the rarest panels are those that its documentation states."""
    folder = data_dir / "p12"
    panels = {
        name: fw.Modality(
            folder / f"{name}.parquet", kind="events", time="minute", variable="variable",
            value="value",
        )
        for name in ("cardiac", "liver", "lactate")
    }  # fmt: skip
    data = fw.MultimodalDataset(
        {"static": folder / "static.parquet", **panels},
        samples=folder / "samples.parquet", id="stay_id", target="in_hospital_death",
    )  # fmt: skip
    found = profile(data, "training")
    rates = by(found.availability, "modality")["rate"]
    assert rates["cardiac"] == pytest.approx(0.30, abs=0.005)
    assert rates["liver"] == pytest.approx(0.52, abs=0.005)
    assert rates["lactate"] == pytest.approx(0.55, abs=0.005)
