"""Cadence of event streams whose timing is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fusewise.data import Modality, MultimodalDataset
from fusewise.profile import profile


def dataset(
    streams: dict[str, pd.DataFrame], n: int, prediction_time: float | None = None
) -> MultimodalDataset:
    """A dataset of event streams for samples 0 to n - 1."""
    declared = {
        name: Modality(events, kind="events", time="t", variable="variable", value="value")
        for name, events in streams.items()
    }
    return MultimodalDataset(
        declared,
        samples=pd.DataFrame({"id": np.arange(n)}),
        id="id",
        prediction_time=prediction_time,
    )


def stream(times: list[np.ndarray], variable: str = "v") -> pd.DataFrame:
    """Events of each sample at the given times."""
    return pd.DataFrame(
        {
            "id": np.repeat(np.arange(len(times)), [len(t) for t in times]),
            "t": np.concatenate(times).astype(float),
            "variable": variable,
            "value": 1.0,
        }
    )


def test_a_clock_is_regular_and_a_poisson_process_is_half() -> None:
    """Regularity is 1 for equal gaps and about 0.5 for exponential ones."""
    rng = np.random.default_rng(0)
    clock = stream([np.arange(40) * 3.0 for _ in range(60)])
    poisson = stream([np.cumsum(rng.exponential(10.0, 400)) for _ in range(60)])
    table = profile(dataset({"clock": clock, "poisson": poisson}, 60)).cadence
    table = table.set_index("modality")
    assert table.loc["clock", "regularity"] == 1
    assert table.loc["clock", "median_gap"] == 3
    assert table.loc["poisson", "regularity"] == pytest.approx(0.5, abs=0.03)
    assert table.loc["poisson", "median_gap"] == pytest.approx(10 * np.log(2), rel=0.05)


def test_regularity_of_known_gaps() -> None:
    """Gaps of 1 and 3 have mean 2 and standard deviation 1: 1 / (1 + 1/2)."""
    row = profile(dataset({"s": stream([np.array([0.0, 1.0, 4.0])])}, 1)).cadence.iloc[0]
    assert row["median_gap"] == 2
    assert row["regularity"] == pytest.approx(2 / 3)


def test_the_ratio_compares_the_slowest_with_the_fastest() -> None:
    """Gaps of 2 and 50 give 25; a single stream has no ratio."""
    fast, slow = stream([np.arange(9) * 2.0] * 3), stream([np.arange(4) * 50.0] * 3)
    assert profile(dataset({"fast": fast, "slow": slow}, 3)).cadence_ratio == 25
    assert np.isnan(profile(dataset({"fast": fast}, 3)).cadence_ratio)


def test_variables_measured_at_once_are_one_occasion() -> None:
    """A panel of three values every hour has gaps of an hour, and three times the events."""
    hours = [np.arange(5.0)] * 4
    panel = pd.concat([stream(hours, v) for v in "abc"])
    row = profile(dataset({"panel": panel}, 4)).cadence.iloc[0]
    assert row["median_gap"] == 1
    assert row["regularity"] == 1
    assert row["events_per_sample"] == 15


def test_age_is_measured_to_the_prediction_time() -> None:
    """With a prediction time the age ends there, without one at the last event of all samples."""
    events = stream([np.array([0.0, 4.0]), np.array([1.0, 10.0]), np.array([2.0, 6.0])])
    row = profile(dataset({"s": events}, 3, prediction_time=20.0)).cadence.iloc[0]
    assert row["age_at_prediction"] == 14
    row = profile(dataset({"s": events}, 3)).cadence.iloc[0]
    assert row["age_at_prediction"] == 4


def test_a_declared_and_empty_stream_counts_as_zero_events() -> None:
    """Most samples are present without an event: the median number of events is zero."""
    events = stream([np.array([1.0, 2.0])])
    ds = MultimodalDataset(
        {"s": Modality(events, kind="events", time="t", variable="variable", value="value",
                       present="has")},
        samples=pd.DataFrame({"id": [0, 1, 2], "has": True}), id="id",
    )  # fmt: skip
    row = profile(ds).cadence.iloc[0]
    assert row["n"] == 3
    assert row["events_per_sample"] == 0
    assert row["median_gap"] == 1
    assert np.isnan(row["regularity"])


def test_a_stream_that_nobody_has_is_nan_and_not_an_error() -> None:
    """No event tells no cadence."""
    two = dataset({"a": stream([np.arange(3.0)] * 2), "b": stream([np.arange(3.0)] * 2)}, 2)
    presence = two.presence.copy()
    presence[:, 1] = False
    row = profile(two.with_presence(presence)).cadence.iloc[1]
    assert row["n"] == 0
    assert row[["events_per_sample", "median_gap", "age_at_prediction"]].isna().all()


def test_without_events_the_table_is_empty() -> None:
    """Tables have no cadence."""
    ids = pd.DataFrame({"id": [1, 2]})
    ds = MultimodalDataset({"t": ids.assign(x=1.0)}, samples=ids, id="id")
    found = profile(ds)
    assert found.cadence.empty
    assert np.isnan(found.cadence_ratio)
    assert "Cadence" not in str(found)
