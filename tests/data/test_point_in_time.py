"""Point in time: nothing that came after the prediction time is ever used, and it is counted."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from fusewise.data import Modality, MultimodalDataset
from fusewise.exceptions import DatasetError, DuplicateIdError

NOON = pd.Timestamp("2024-03-01 12:00:00")


def read_events(events, samples, *, prediction_time="now", **declared):
    """Return a dataset of one modality of long events named `m`."""
    declared = {"time": "t", "variable": "k", "value": "v"} | declared
    return MultimodalDataset(
        {"m": Modality(events, kind="events", **declared)},
        samples=samples,
        id="id",
        prediction_time=prediction_time,
    )


def times_as(kind):
    """Return (prediction times of two samples, event times early, on time and late) in one type."""
    numbers = ([10.0, 10.0], [9.0, 10.0, 10.5])
    stamps = ([NOON, NOON], [NOON - pd.Timedelta("1h"), NOON, NOON + pd.Timedelta("1us")])
    dates = ([dt.date(2024, 3, 2)] * 2, [dt.date(2024, 3, d) for d in (1, 2, 3)])
    berlin = "Europe/Berlin"
    return {
        "float": numbers,
        "integer": ([10, 10], [9, 10, 11]),
        "nanoseconds": ([10**18] * 2, [10**18 - 10**9, 10**18, 10**18 + 10**9]),
        "decimal": tuple([Decimal(str(v)) for v in side] for side in numbers),
        "timestamp": stamps,
        "timestamp[ns]": tuple(pd.DatetimeIndex(s).astype("datetime64[ns]") for s in stamps),
        "zoned": tuple(pd.DatetimeIndex(s).tz_localize(berlin) for s in stamps),
        "two zones": (
            pd.DatetimeIndex(stamps[0]).tz_localize("UTC").tz_convert("Asia/Tokyo"),
            pd.DatetimeIndex(stamps[1]).tz_localize("UTC").tz_convert("America/New_York"),
        ),
        "date": dates,
        "date and timestamp": (dates[0], [pd.Timestamp(d) for d in dates[1]]),
    }[kind]


@pytest.mark.parametrize(
    "kind",
    [
        "float",
        "integer",
        "nanoseconds",
        "decimal",
        "timestamp",
        "timestamp[ns]",
        "zoned",
        "two zones",
        "date",
        "date and timestamp",
    ],
)
def test_a_row_counts_until_the_prediction_time_and_not_after(kind):
    """Rows at exactly the prediction time count, later ones never do, in every type of time."""
    now, (early, on_time, late) = times_as(kind)
    samples = pd.DataFrame({"id": ["a", "b"], "now": now})
    events = pd.DataFrame(
        {"id": ["a", "a", "a", "b"], "t": [late, on_time, early, late], "k": "x", "v": [3, 2, 1, 9]}
    )
    ds = read_events(events, samples)
    assert ds.events("m")["value"].tolist() == [1.0, 2.0]
    assert ds.presence[:, 0].tolist() == [True, False]
    assert ds.ingestion.loc["m", "after_prediction_time"] == 2
    assert ds.features("m")[1]["x:since_last"].tolist() == [0.0]


def test_each_sample_has_its_own_prediction_time():
    """The same events count for a sample that asks later."""
    samples = pd.DataFrame({"id": [1, 2, 3], "now": [0.0, 1.0, 2.0]})
    events = pd.DataFrame(
        {"id": np.repeat([1, 2, 3], 3), "t": [0.5, 1.0, 2.0] * 3, "k": "x", "v": 1}
    )
    ds = read_events(events, samples)
    assert ds.features("m")[0].tolist() == [1, 2]
    assert ds.features("m")[1]["x:count"].tolist() == [2.0, 3.0]


@pytest.mark.parametrize(
    ("constant", "times"),
    [
        (10, [9, 10, 11]),
        (np.int64(10), [9.0, 10.0, 11.0]),
        (np.float32(10), [9.0, 10.0, 11.0]),
        (NOON, [NOON - pd.Timedelta("1s"), NOON, NOON + pd.Timedelta("1s")]),
        (NOON.to_pydatetime(), [NOON - pd.Timedelta("1s"), NOON, NOON + pd.Timedelta("1s")]),
        (
            NOON.tz_localize("UTC"),
            pd.DatetimeIndex([NOON - pd.Timedelta("1s"), NOON, NOON + pd.Timedelta("1s")])
            .tz_localize("UTC")
            .tz_convert("Asia/Tokyo"),
        ),
    ],
    ids=["int", "numpy int", "numpy float", "timestamp", "datetime", "zoned"],
)
def test_the_prediction_time_may_be_a_constant(constant, times):
    """One number or timestamp for all samples, in the unit of the event times."""
    events = pd.DataFrame({"id": 1, "t": times, "k": "x", "v": [1.0, 2.0, 3.0]})
    ds = read_events(events, pd.DataFrame({"id": [1]}), prediction_time=constant)
    assert ds.events("m")["value"].tolist() == [1.0, 2.0]
    assert len(ds.prediction_time) == 1


def test_available_at_decides_and_time_orders():
    """A result that was signed later than it was taken counts from its signature."""
    samples = pd.DataFrame({"id": [1], "now": [10.0]})
    events = pd.DataFrame(
        {"id": 1, "t": [1.0, 2.0, 11.0], "signed": [12.0, 3.0, 9.0], "k": "x", "v": [1.0, 2.0, 3.0]}
    )
    ds = read_events(events, samples, available_at="signed")
    assert ds.events("m")["value"].tolist() == [2.0, 3.0]
    assert ds.ingestion.loc["m", "after_prediction_time"] == 1
    assert ds.features("m")[1].loc[0, ["x:first", "x:last"]].tolist() == [2.0, 3.0]


@pytest.mark.parametrize("column", ["t", "signed"])
@pytest.mark.parametrize("nothing", [None, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("now", ["now", None])
def test_a_row_without_a_time_never_counts(column, nothing, now):
    """It could be from the future: it is left out and counted, with and without cutoffs."""
    samples = pd.DataFrame({"id": [1, 2], "now": [10.0, 10.0]})
    events = pd.DataFrame(
        {"id": [1, 1, 2], "t": 1.0, "signed": 2.0, "k": "x", "v": [1.0, 2.0, 3.0]}
    )
    events.loc[1:, column] = nothing
    ds = read_events(events, samples, available_at="signed", prediction_time=now)
    assert ds.events("m")["value"].tolist() == [1.0]
    assert ds.presence[:, 0].tolist() == [True, False]
    assert ds.ingestion.loc["m", ["without_time", "after_prediction_time"]].tolist() == [2, 0]


def test_a_column_without_any_time_counts_all_rows_as_untimed():
    """An all-NULL column has no type to compare, and lets nothing through."""
    events = pa.table({"id": [1], "t": pa.nulls(1), "k": ["x"], "v": [1.0]})
    with pytest.warns(match="'m': no sample has it"):
        ds = read_events(events, pd.DataFrame({"id": [1], "now": [NOON]}))
    assert ds.ingestion.loc["m", "without_time"] == 1


def test_without_a_prediction_time_all_events_count():
    """Nothing is late where no time is given."""
    events = pd.DataFrame({"id": 1, "t": [NOON, NOON + pd.Timedelta("9999D")], "k": "x", "v": 1.0})
    ds = read_events(events, pd.DataFrame({"id": [1]}), prediction_time=None)
    assert ds.features("m")[1]["x:count"].tolist() == [2.0]
    assert ds.prediction_time is None


def test_wide_events_obey_the_prediction_time():
    """In wide form a row is late with all its cells, and presence follows the rows that are left."""
    samples = pd.DataFrame({"id": [1, 2, 3], "now": [10.0] * 3})
    events = pd.DataFrame(
        {
            "id": [1, 1, 2, 3],
            "t": [9, 11, 11, 9],
            "hr": [80, 99, 99, None],
            "rr": [12.0, 99, 99, None],
        }
    )
    ds = MultimodalDataset(
        {"m": Modality(events, kind="events", time="t")},
        samples=samples,
        id="id",
        prediction_time="now",
    )
    assert sorted(ds.events("m")["value"]) == [12.0, 80.0]
    assert ds.presence[:, 0].tolist() == [True, False, True]
    assert ds.ingestion.loc["m", ["rows", "after_prediction_time"]].tolist() == [4, 2]


# Tables with versions -----------------------------------------------------------------------


def versions(**declared):
    """Return a dataset over a table in which sample 1 has three versions."""
    table = pd.DataFrame(
        {"id": [1, 1, 1, 2], "t": [3.0, 1.0, 7.0, 8.0], "late": [4, 2, 9, 9], "a": [30, 10, 70, 80]}
    )
    return MultimodalDataset(
        {"m": Modality(table, **declared)},
        samples=pd.DataFrame({"id": [1, 2], "now": [5.0, 5.0]}),
        id="id",
        prediction_time="now",
    )


@pytest.mark.parametrize(
    "declared",
    [
        {"time": "t", "columns": ("a",)},
        {"available_at": "late", "columns": ("a",)},
        {"time": "t", "available_at": "late"},
    ],
    ids=["time", "available_at", "both"],
)
def test_the_latest_version_that_was_known_counts(declared):
    """Of several rows of a table, the newest one before the prediction time is the sample's."""
    ds = versions(**declared)
    assert ds.features("m")[1]["a"].tolist() == [30.0]
    assert ds.presence[:, 0].tolist() == [True, False]
    assert ds.ingestion.loc["m", "after_prediction_time"] == 2


def test_two_latest_versions_are_an_error():
    """Nothing tells which of two rows of one time is the newer one."""
    table = pd.DataFrame({"id": [1, 1, 1], "t": [1.0, 3.0, 3.0], "a": [1, 2, 3]})
    with pytest.raises(DuplicateIdError, match=r"1 samples have several \(e\.g\. 1\).*in 't'"):
        MultimodalDataset(
            {"m": Modality(table, time="t")}, samples=pd.DataFrame({"id": [1]}), id="id"
        )


def test_older_versions_may_tie():
    """Only the latest row of a sample has to be one."""
    table = pd.DataFrame({"id": [1, 1, 1], "t": [1.0, 1.0, 3.0], "a": [1, 2, 3]})
    ds = MultimodalDataset(
        {"m": Modality(table, time="t")}, samples=pd.DataFrame({"id": [1]}), id="id"
    )
    assert ds.features("m")[1]["a"].tolist() == [3.0]


def test_a_version_without_a_time_is_never_the_latest():
    """An unknown time is not later than all others."""
    table = pd.DataFrame({"id": [1, 1], "t": [None, 3.0], "known": [1.0, 1.0], "a": [1, 2]})
    ds = MultimodalDataset(
        {"m": Modality(table, time="t", available_at="known")},
        samples=pd.DataFrame({"id": [1]}),
        id="id",
    )
    assert ds.features("m")[1]["a"].tolist() == [2.0]
    assert ds.ingestion.loc["m", "without_time"] == 1


# Clocks that do not match -------------------------------------------------------------------


ZONED = NOON.tz_localize("UTC")


@pytest.mark.parametrize(
    ("now", "time", "words"),
    [
        (10.0, NOON, "holds timestamps, the prediction time is given in numbers"),
        (NOON, 10.0, "holds numbers, the prediction time is given in timestamps"),
        (NOON, ZONED, "holds timestamps with a time zone, the prediction time .* in timestamps"),
        (ZONED, NOON, "holds timestamps, the prediction time .* timestamps with a time zone"),
        (ZONED, dt.date(2024, 1, 1), "holds timestamps, the prediction time .* with a time zone"),
    ],
)
@pytest.mark.parametrize("as_column", [True, False])
def test_times_on_different_clocks_are_refused(now, time, words, as_column):
    """Hours that are unknown could hide the future: the message says what holds what."""
    samples = pd.DataFrame({"id": [1], "now": [now]})
    events = pd.DataFrame({"id": [1], "t": [time], "k": ["x"], "v": [1.0]})
    with pytest.raises(DatasetError, match=rf"modality 'm': column 't' {words}"):
        read_events(events, samples, prediction_time="now" if as_column else now)


def test_event_modalities_share_one_clock():
    """Numbers in one modality and timestamps in another have no common reference."""
    samples = pd.DataFrame({"id": [1]})
    number = pd.DataFrame({"id": [1], "t": [1.0], "v": [1.0]})
    stamp = number.assign(t=NOON)
    with pytest.raises(DatasetError, match=r"'a' in numbers and 'b' in timestamps.*one reference"):
        MultimodalDataset(
            {
                "a": Modality(number, kind="events", time="t"),
                "b": Modality(stamp, kind="events", time="t"),
            },
            samples=samples,
            id="id",
        )


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (
            ["2024-03-01", "soon"],
            r"column 't': expected numbers, got '2024-03-01' \(2 such values\)",
        ),
        (pd.to_timedelta([1, 2], unit="h"), "column 't': durations are not read"),
    ],
    ids=["text", "durations"],
)
def test_times_that_are_no_times_are_refused(times, message):
    """Text is not parsed by guess; the message says what times may be."""
    events = pd.DataFrame({"id": [1, 1], "t": times, "k": "x", "v": 1.0})
    with pytest.raises(DatasetError, match=message):
        read_events(events, pd.DataFrame({"id": [1]}), prediction_time=None)


@pytest.mark.parametrize(
    ("prediction_time", "message"),
    [
        ("now", "column 'now': 1 prediction times are empty"),
        (float("nan"), "expected a column of samples, a number or a timestamp, got nan"),
        (True, "expected a column of samples, a number or a timestamp, got True"),
        ("nov", "no column 'nov'.*Did you mean 'now'"),
    ],
)
def test_a_prediction_time_that_says_nothing_is_refused(prediction_time, message):
    """Every sample has one, or none has."""
    samples = pd.DataFrame({"id": [1, 2], "now": [1.0, None]})
    events = pd.DataFrame({"id": [1], "t": [1.0], "k": "x", "v": 1.0})
    with pytest.raises(DatasetError, match=message):
        read_events(events, samples, prediction_time=prediction_time)
