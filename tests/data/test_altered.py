"""Datasets with altered values: what is asked for changes, and nothing else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import fusewise as fw
from fusewise.exceptions import DatasetError, UnknownModalityError

EVENTS = {"kind": "events", "time": "t", "variable": "v", "value": "x"}


@pytest.fixture
def dataset():
    samples = pd.DataFrame({"id": list("abcde"), "y": [0, 1, 0, 1, 0]})
    table = pd.DataFrame({"id": ["a", "b", "d"], "n": [1.0, 2.0, np.nan], "w": ["p", "q", "p"]})
    events = pd.DataFrame(
        {"id": list("aabce"), "t": [1, 2, 1, 1, 3], "v": ["h", "s", "h", "s", "h"]}
    ).assign(x=[10.0, 20.0, 30.0, 40.0, 50.0])
    return fw.MultimodalDataset(
        {"table": table, "stream": fw.Modality(events, **EVENTS)},
        samples=samples,
        id="id",
        target="y",
    )


def same(one, other, name):
    (p, a), (q, b) = one.features(name), other.features(name)
    assert p.tolist() == q.tolist()
    pd.testing.assert_frame_equal(a, b)


def test_numbers_are_changed_by_variable_and_nothing_else(dataset):
    """Empty cells stay empty, words stay, presence stays, the other modality stays."""
    asked = []

    def change(variable, values):
        asked.append((variable, values.tolist()))
        return values * 10

    changed = dataset.with_numbers("table", change)
    assert asked == [("n", [1.0, 2.0])]
    frame = changed.features("table")[1]
    assert frame["n"].tolist()[:2] == [10.0, 20.0]
    assert np.isnan(frame["n"].iloc[2])
    assert frame["w"].tolist() == ["p", "q", "p"]
    assert (changed.presence == dataset.presence).all()
    same(changed, dataset, "stream")
    assert dataset.features("table")[1]["n"].iloc[0] == 1.0
    assert changed.fingerprint() != dataset.fingerprint()


def test_events_are_changed_by_variable(dataset):
    """Times and variables stay; the order of equal times follows the new values."""
    changed = dataset.with_numbers("stream", lambda v, x: -x if v == "h" else x)
    before, after = dataset.events("stream"), changed.events("stream")
    assert after["value"].tolist() == [-10.0, 20.0, -30.0, 40.0, -50.0]
    pd.testing.assert_frame_equal(before.drop(columns="value"), after.drop(columns="value"))


def test_doing_nothing_changes_nothing(dataset):
    """The identity gives an equal dataset, also of a slice that repeats a sample."""
    for ds in (dataset, dataset[[4, 1, 1, 0]]):
        for name in ds.modalities:
            for other in (
                ds.with_numbers(name, lambda variable, values: values),
                ds.with_values_of(name, np.arange(len(ds))),
            ):
                assert other.fingerprint() == ds.fingerprint()
                same(other, ds, "table")
                same(other, ds, "stream")


def test_values_of_another_sample_come_as_a_whole(dataset):
    """Two exchange their table, one keeps its own; who lacks it is not asked."""
    moved = dataset.with_values_of("table", np.array([3, 1, -9, 0, 99]))
    positions, frame = moved.features("table")
    assert positions.tolist() == [0, 1, 3]
    assert frame["w"].tolist() == ["p", "q", "p"]
    assert np.isnan(frame["n"].iloc[0])
    assert frame["n"].tolist()[1:] == [2.0, 1.0]
    same(moved, dataset, "stream")
    stream = dataset.with_values_of("stream", np.array([1, 0, 2, -1, 4]))
    assert stream.events("stream")["value"].tolist() == [30.0, 10.0, 20.0, 40.0, 50.0]


def test_wrong_input_is_told(dataset):
    """A change that takes values away, a donor that has nothing, a name that is not there."""
    with pytest.raises(DatasetError, match="finite numbers"):
        dataset.with_numbers("table", lambda variable, values: values * np.nan)
    with pytest.raises(DatasetError, match="as many finite numbers"):
        dataset.with_numbers("table", lambda variable, values: values[:1])
    with pytest.raises(DatasetError, match="do not have 'table' themselves"):
        dataset.with_values_of("table", np.array([2, 1, 2, 3, 4]))
    with pytest.raises(DatasetError, match="5 positions"):
        dataset.with_values_of("table", np.arange(4))
    with pytest.raises(UnknownModalityError, match="Did you mean 'table'"):
        dataset.with_numbers("tables", lambda variable, values: values)


def test_the_features_stay_where_a_slice_lacks_a_variable(dataset):
    """A slice without any event of a variable keeps its columns, as every slice does."""
    part = dataset[[1, 4]]
    assert set(part.events("stream")["variable"]) == {"h"}
    changed = part.with_numbers("stream", lambda variable, values: values + 1)
    assert changed.feature_names("stream") == part.feature_names("stream")
    assert changed.features("stream")[1]["s:count"].tolist() == [0.0, 0.0]


def test_what_is_stored_under_an_absent_modality_is_not_seen(dataset):
    """Values that presence hides do not reach the change, of tables and of events."""
    hidden = np.ones((5, 2), dtype=bool)
    hidden[[1, 0], [0, 1]] = False
    asked = {}
    for name in dataset.modalities:
        dataset.with_presence(hidden).with_numbers(
            name, lambda variable, values: asked.setdefault(variable, values.tolist()) and values
        )
    assert asked == {"n": [1.0], "h": [30.0, 50.0], "s": [40.0]}


@pytest.mark.parametrize("unit", [1.0, 0.1])
def test_events_of_another_sample_keep_their_distance_to_the_prediction_time(unit):
    """No event of a donor lies after the receiver's prediction time; order stays canonical."""
    samples = pd.DataFrame({"id": [1, 2, 3], "now": [10.0 * unit, 100.0 * unit, 7.0]})
    events = pd.DataFrame(
        {"id": [1, 1, 2, 2], "t": np.array([9.0, 8.0, 98.0, 70.0]) * unit, "v": ["h"] * 4}
    ).assign(x=[1.0, 2.0, 3.0, 4.0])
    timed = fw.MultimodalDataset(
        {"stream": fw.Modality(events, **EVENTS), "all": pd.DataFrame({"id": [3], "z": [0.0]})},
        samples=samples,
        id="id",
        prediction_time="now",
    )
    moved = timed.with_values_of("stream", np.array([1, 0, 2]))
    since = moved.features("stream")[1]["h:since_last"].to_numpy()
    np.testing.assert_allclose(since, timed.features("stream")[1]["h:since_last"].to_numpy()[::-1])
    found = moved.events("stream")
    assert (found["time"] <= moved.prediction_time[found["position"]]).all()
    np.testing.assert_allclose(found["time"], np.array([-20.0, 8.0, 98.0, 99.0]) * unit)
    assert found["value"].tolist() == [4.0, 3.0, 2.0, 1.0]
    assert moved.with_values_of("stream", np.array([1, 0, 2])).events("stream")[
        "value"
    ].tolist() == (timed.events("stream")["value"].tolist())
