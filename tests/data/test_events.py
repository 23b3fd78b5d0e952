"""Event summaries equal a plain computation, to the bit in whatever order the events come."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusewise.data import Modality, MultimodalDataset
from fusewise.data.events import _order

STATISTICS = ("count", "first", "last", "max", "mean", "min", "since_last", "slope", "std")


def read(events, ids=(1, 2, 3), **declared):
    """Return a dataset of one modality of long events named `m`."""
    declared = {"time": "t", "variable": "k", "value": "v"} | declared
    arguments = {key: declared.pop(key) for key in ("prediction_time",) if key in declared}
    return MultimodalDataset(
        {"m": Modality(events, kind="events", **declared)},
        samples=pd.DataFrame({"id": list(ids)}),
        id="id",
        **arguments,
    )


def reference(times, values, now):
    """Return the summaries of one sample's events of one variable, computed plainly."""
    if len(values) == 0:
        return dict.fromkeys(STATISTICS, np.nan) | {"count": 0.0}
    times, values = np.asarray(times, float), np.asarray(values, float)
    dt, dv = times - times.mean(), values - values.mean()
    return {
        "count": float(len(values)),
        "first": values[times == times.min()].min(),
        "last": values[times == times.max()].min(),
        "max": values.max(),
        "mean": values.mean(),
        "min": values.min(),
        "since_last": now - times.max(),
        "slope": (dt @ dv) / (dt @ dt) if len(set(times.tolist())) > 1 else np.nan,
        "std": values.std(),
    }


def random_events(seed, n=400, n_samples=12):
    """Return events with many ties in time, several variables, and samples without any."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "id": rng.integers(0, n_samples, n) * 2,
            "t": rng.integers(0, 6, n) / 4,
            "k": rng.choice(
                ["hr", "hr max", "hr:max", "Hb", "ärzte"], n, p=[0.5, 0.3, 0.1, 0.09, 0.01]
            ),
            "v": np.round(rng.normal(size=n), 2),
        }
    )


@pytest.mark.parametrize("seed", range(4))
def test_summaries_equal_a_plain_computation(seed):
    """Ties, single events, variables that a sample lacks: all statistics as computed one by one."""
    events = random_events(seed)
    ds = read(events, ids=range(24), prediction_time=2.0)
    positions, frame = ds.features("m")
    assert list(frame.columns) == sorted(f"{k}:{s}" for k in set(events["k"]) for s in STATISTICS)
    assert ds.ids[positions].tolist() == sorted(set(events["id"]))
    for row, sample in enumerate(ds.ids[positions]):
        for variable in set(events["k"]):
            own = events[(events["id"] == sample) & (events["k"] == variable)]
            expected = reference(own["t"], own["v"], now=2.0)
            for statistic, value in expected.items():
                assert frame.loc[row, f"{variable}:{statistic}"] == pytest.approx(
                    value, rel=1e-9, abs=1e-9, nan_ok=True
                ), (sample, variable, statistic)


def test_a_single_event_has_no_slope_and_no_spread():
    """One event: standard deviation 0, slope unknown."""
    ds = read(pd.DataFrame({"id": [1], "t": [3.0], "k": ["x"], "v": [5.0]}))
    summary = ds.features("m", reference=10.0)[1].iloc[0]
    assert summary[["x:count", "x:first", "x:last", "x:std", "x:since_last"]].tolist() == [
        1.0, 5.0, 5.0, 0.0, 7.0,
    ]  # fmt: skip
    assert np.isnan(summary["x:slope"])


def test_of_tied_values_the_smallest_is_first_and_last():
    """At one time there is no order, so that the value decides."""
    events = pd.DataFrame({"id": 1, "t": [0.0, 0, 5, 5], "k": "x", "v": [4.0, 2.0, 9.0, 7.0]})
    summary = read(events).features("m")[1].iloc[0]
    assert summary[["x:first", "x:last"]].tolist() == [2.0, 7.0]


def test_the_slope_survives_large_times():
    """Seconds since 1970 do not cancel: one unit per hour is one unit per hour in any year."""
    hours = pd.date_range("2024-01-01", periods=24, freq="h")
    events = pd.DataFrame({"id": 1, "t": hours, "k": "x", "v": np.arange(24.0)})
    slope = read(events).features("m")[1]["x:slope"][0]
    assert slope * 3600 == pytest.approx(1.0, rel=1e-9)


def test_present_and_empty_is_not_absent():
    """A sample with declared, empty events has counts of zero and nothing else."""
    events = pd.DataFrame({"id": [1], "t": [0.0], "k": ["x"], "v": [1.0]})
    ds = MultimodalDataset(
        {"m": Modality(events, kind="events", time="t", variable="k", value="v", present="has")},
        samples=pd.DataFrame({"id": [1, 2, 3], "has": [True, True, False]}),
        id="id",
    )
    positions, frame = ds.features("m")
    assert positions.tolist() == [0, 1]
    assert frame["x:count"].tolist() == [1.0, 0.0]
    assert frame.drop(columns="x:count").iloc[1].isna().all()
    assert ds[1:2].features("m")[1]["x:count"].tolist() == [0.0]


def test_nobody_has_an_event_and_somebody_has_the_modality():
    """No variable is known then, and the frame has a row and no column."""
    events = pd.DataFrame({"id": [1], "t": [0.0], "k": ["x"], "v": [None]}).astype({"v": float})
    ds = read(events)
    positions, frame = ds.features("m")
    assert positions.tolist() == [0]
    assert frame.shape == (1, 0)
    assert ds.time_reference() is None
    assert ds.events("m").empty


# Order --------------------------------------------------------------------------------------


@given(st.permutations(list(range(40))))
@settings(max_examples=10)
def test_events_in_any_order_give_identical_bits(order):
    """The order of rows, and of events at one time, has no effect on the last bit."""
    events = random_events(0, n=40, n_samples=3)
    events["v"] *= np.pi
    shuffled = read(events.iloc[order], ids=range(6))
    ds = read(events, ids=range(6))
    assert ds.features("m")[1].equals(shuffled.features("m")[1])
    assert ds.events("m").equals(shuffled.events("m"))
    assert ds.fingerprint() == shuffled.fingerprint()


def test_summaries_do_not_depend_on_who_else_was_read():
    """A sample read alone has the bits that it has among a thousand others."""
    rng = np.random.default_rng(0)
    events = pd.DataFrame(
        {
            "id": rng.integers(0, 1000, 30_000),
            "t": rng.uniform(0, 48, 30_000),
            "k": rng.choice([f"k{i}" for i in range(20)], 30_000),
            "v": rng.normal(size=30_000),
        }
    )
    together = read(events, ids=range(1000))
    for alone in (3, 501, 998):
        one = read(events, ids=[alone]).features("m", 48.0)[1]
        assert one.equals(together[[alone]].features("m", 48.0)[1][one.columns])


# Time since the last event ------------------------------------------------------------------


def test_since_last_is_measured_against_the_prediction_time():
    """Each sample's own prediction time counts, and no reference can replace it."""
    events = pd.DataFrame({"id": [1, 2], "t": [1.0, 1.0], "k": "x", "v": 1.0})
    ds = MultimodalDataset(
        {"m": Modality(events, kind="events", time="t", variable="k", value="v")},
        samples=pd.DataFrame({"id": [1, 2], "now": [4.0, 9.0]}),
        id="id",
        prediction_time="now",
    )
    assert ds.features("m")[1]["x:since_last"].tolist() == [3.0, 8.0]
    assert ds.features("m", reference=100.0)[1]["x:since_last"].tolist() == [3.0, 8.0]


def test_since_last_is_measured_against_the_reference_that_fit_stored():
    """Without prediction times it is the given reference; without one, the dataset's last event."""
    events = pd.DataFrame({"id": [1, 2, 3], "t": [1.0, 5.0, 9.0], "k": "x", "v": 1.0})
    ds = read(events)
    train, one = ds[:2], ds[:1]
    assert (ds.time_reference(), train.time_reference(), one.time_reference()) == (9.0, 5.0, 1.0)
    assert train.features("m")[1]["x:since_last"].tolist() == [4.0, 0.0]
    assert one.features("m", train.time_reference())[1]["x:since_last"].tolist() == [4.0]


def test_the_reference_is_the_last_event_of_any_present_modality():
    """Modalities share one reference; what is absent or left out has no part in it."""
    early = pd.DataFrame({"id": [1, 2], "t": [1.0, 2.0], "v": 1.0})
    ds = MultimodalDataset(
        {
            "a": Modality(early, kind="events", time="t"),
            "b": Modality(early.assign(t=early["t"] + 10), kind="events", time="t"),
            "c": early[["id", "v"]],
        },
        samples=pd.DataFrame({"id": [1, 2]}),
        id="id",
    )
    assert ds.time_reference() == 12.0
    assert ds.without("b").time_reference() == 2.0
    presence = ds.presence.copy()
    presence[1, 1] = False
    assert ds.with_presence(presence).time_reference() == 11.0
    assert ds.only("c").time_reference() is None


# Raw events and wide form -------------------------------------------------------------------


def test_raw_events_are_sorted_by_sample_time_variable_and_value():
    """Positions follow the slice, also a repeated one."""
    events = pd.DataFrame(
        {
            "id": [2, 1, 1, 1],
            "t": [0.0, 2.0, 1.0, 2.0],
            "k": ["b", "b", "b", "a"],
            "v": [1.0, 2, 3, 4],
        }
    )
    raw = read(events)[[1, 0, 1]].events("m")
    assert raw["position"].tolist() == [0, 1, 1, 1, 2]
    assert raw["time"].tolist() == [0.0, 1.0, 2.0, 2.0, 0.0]
    assert raw["variable"].astype(str).tolist() == ["b", "b", "a", "b", "b"]
    assert raw["value"].tolist() == [1.0, 3.0, 4.0, 2.0, 1.0]


def test_wide_and_long_events_are_the_same_events():
    """One column per variable, of any numeric type, or one row per measurement: equal bits."""
    wide = pd.DataFrame(
        {
            "id": [1, 1, 2],
            "t": [0.0, 1.0, 0.0],
            "hr": pd.array([80, None, 70], dtype="Int64"),
            "on": [True, False, True],
            "rr": [np.nan, 12.5, np.nan],
        }
    )
    melted = wide.astype({"hr": float, "on": float}).melt(["id", "t"], var_name="k", value_name="v")
    one = read(wide, variable=None, value=None)
    other = read(melted.dropna())
    assert one.features("m")[1].equals(other.features("m")[1])
    assert one.fingerprint() == other.fingerprint()
    assert one.ingestion.loc["m", ["rows", "missing_values"]].tolist() == [3, 0]


def test_wide_events_take_the_columns_that_are_named():
    """columns= chooses the variables of wide events."""
    wide = pd.DataFrame({"id": [1], "t": [0.0], "hr": [80.0], "note": ["text"]})
    ds = read(wide, variable=None, value=None, columns=("hr",))
    assert {f.split(":")[0] for f in ds.feature_names("m")} == {"hr"}


def test_values_that_are_no_values_are_counted_and_left_out():
    """NaN, infinities, values whose square is no number, and rows without a variable's name."""
    events = pd.DataFrame(
        {
            "id": 1,
            "t": np.arange(7.0),
            "k": ["x", "x", "x", "x", "x", None, "x"],
            "v": [1.0, np.nan, np.inf, -np.inf, 1e200, 5.0, 3.0],
        }
    )
    ds = read(events)
    assert ds.events("m")["value"].tolist() == [1.0, 3.0]
    assert ds.ingestion.loc["m", ["infinities", "missing_values"]].tolist() == [3, 5]
    assert np.isfinite(ds.features("m")[1].to_numpy()).all()


def test_text_that_spells_numbers_is_read_as_numbers():
    """A value column of text holds numbers where each value is one, or nothing."""
    events = pd.DataFrame({"id": 1, "t": [0.0, 1, 2, 3], "k": "x", "v": [" 1.5", "2", "NaN", ""]})
    ds = read(events)
    assert ds.events("m")["value"].tolist() == [1.5, 2.0]
    assert ds.ingestion.loc["m", "missing_values"] == 2


@given(
    st.lists(
        st.tuples(
            st.sampled_from([1, 2]), st.sampled_from([-0.0, 0.0, 1.5]), st.sampled_from(["a", "b"]),
            st.sampled_from([-0.0, 0.0, 2.0, -3.0]),
        ),
        max_size=12,
    ),
    st.randoms(use_true_random=False),
)  # fmt: skip
@settings(max_examples=20)
@pytest.mark.filterwarnings("ignore:modality .* no sample has it")
def test_ties_of_every_kind_have_one_order(rows, random):
    """Equal times, equal values, both zeros, exact repeats: the stored order is one, to the bit."""
    columns = {"id": int, "t": float, "k": str, "v": float}
    events = pd.DataFrame(rows, columns=list(columns)).astype(columns)
    shuffled = events.iloc[random.sample(range(len(events)), len(events))]
    ds, other = read(events, ids=(1, 2)), read(shuffled, ids=(1, 2))
    raw = ds.events("m")
    expected = events.assign(position=events["id"] - 1).rename(
        columns={"t": "time", "k": "variable", "v": "value"}
    )
    order = ["position", "time", "variable", "value"]
    expected = expected[order].sort_values(order, ignore_index=True)
    assert raw.astype({"variable": str}).to_numpy().tolist() == expected.to_numpy().tolist()
    assert ds.fingerprint() == other.fingerprint()
    one, another = (d.features("m", 2.0)[1].to_numpy().tobytes() for d in (ds, other))
    assert one == another


def test_events_too_many_for_one_number_are_sorted_all_the_same():
    """Where samples, variables and times do not fit into one integer, the plain sort takes over."""
    group = np.array([2**62, 3, 2**62, 3, 2**62])
    time = np.array([2.0, 1.0, 1.0, 1.0, 1.0])
    value = np.array([1.0, 5.0, 7.0, 4.0, 6.0])
    assert _order(group, time, value).tolist() == [3, 1, 4, 2, 0]
