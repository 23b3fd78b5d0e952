"""Time to availability: closed forms, known truths, and what a log and a dataset must agree on."""

from __future__ import annotations

import datetime as dt

import ibis
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusewise.data import Modality, MultimodalDataset
from fusewise.exceptions import (
    ColumnNotFoundError,
    DatasetError,
    DeploymentError,
    TableNotFoundError,
    UnknownModalityError,
)
from fusewise.profile.arrival import COLUMNS, arrival_notes, arrival_table, time_to_share
from fusewise.profile.arrival_log import arrival_of_log
from fusewise.profile.product_limit import arrival_curve, product_limit

waits = st.lists(st.tuples(st.integers(0, 30).map(float), st.booleans()), min_size=1, max_size=60)


# The estimate itself --------------------------------------------------------------------------


def test_without_censoring_it_is_the_share_that_has_come() -> None:
    """Uncensored, the estimate is the empirical distribution, ties and all."""
    waited = np.random.default_rng(0).integers(0, 20, 200).astype(float)
    at = np.arange(20.0)
    table = product_limit(waited, np.ones(200, dtype=bool), at)
    np.testing.assert_allclose(table["share"], [(waited <= t).mean() for t in at], atol=1e-12)
    assert table["at_risk"].tolist() == [(waited >= t).sum() for t in at]


def test_a_textbook_example() -> None:
    """Remission under 6-mercaptopurine (Freireich et al., 1963), as Kalbfleisch and Prentice do.

    Their table: S(6) = .857, S(7) = .807, S(10) = .753, S(13) = .690, S(16) = .627, S(22) = .538,
    S(23) = .448; Greenwood's standard errors at 6 and 23 are .0764 and .1346.
    """
    events = [6, 6, 6, 7, 10, 13, 16, 22, 23]
    open_still = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
    came = [True] * len(events) + [False] * len(open_still)
    table = product_limit(events + open_still, came, [6, 7, 10, 13, 16, 22, 23])
    expected = [0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448]
    np.testing.assert_allclose(1 - table["share"], expected, atol=6e-4)
    assert table["at_risk"].tolist() == [21, 17, 15, 12, 11, 7, 6]
    for row, error in ((0, 0.0764), (6, 0.1346)):
        still = 1 - table["share"][row]
        spread = np.exp(1.959964 * error / (still * abs(np.log(still))))
        assert table["low"][row] == pytest.approx(1 - still ** (1 / spread), abs=2e-4)
        assert table["high"][row] == pytest.approx(1 - still**spread, abs=2e-4)


def test_exponential_arrival_is_recovered_under_censoring() -> None:
    """With independent censoring the curve stays within its limits of 1 - exp(-t / tau)."""
    rng = np.random.default_rng(1)
    arrival, closing = rng.exponential(5.0, 4000), rng.exponential(8.0, 4000)
    at = np.array([1.0, 3.0, 5.0, 10.0])
    table = product_limit(np.minimum(arrival, closing), arrival <= closing, at)
    truth = 1 - np.exp(-at / 5)
    assert ((table["low"] < truth) & (truth < table["high"])).all()
    # The share of those that arrived, without regard to censoring, is far off.
    assert abs((arrival <= np.minimum(closing, 5.0)).mean() - truth[2]) > 0.1
    assert (table["high"] - table["low"]).max() < 0.06


def test_the_limits_cover() -> None:
    """Over 500 simulated cohorts of 60, the limits hold the truth in about 95 of 100."""
    rng = np.random.default_rng(2)
    at = np.array([1.0, 4.0, 8.0])
    truth = 1 - np.exp(-at / 5)
    covered = np.zeros(3)
    for _ in range(500):
        arrival, closing = rng.exponential(5.0, 60), rng.uniform(0, 20, 60)
        table = product_limit(np.minimum(arrival, closing), arrival <= closing, at)
        covered += (table["low"] <= truth) & (truth <= table["high"])
    # The binomial's standard deviation is .01.
    assert ((covered / 500 > 0.925) & (covered / 500 < 0.98)).all()


def test_limits_exist_where_nobody_or_everybody_has_come() -> None:
    """None of 10, and all of 10 at once, have the exact binomial limits."""
    none = product_limit([3.0] * 10, [False] * 10, [0.0, 3.0])
    assert none["low"].tolist() == [0, 0]
    np.testing.assert_allclose(none["high"], 1 - 0.025 ** (1 / 10))
    everybody = product_limit([0.0] * 10, [True] * 10, [0.0])
    assert everybody["share"].item() == 1
    assert everybody["low"].item() == pytest.approx(0.025 ** (1 / 10))
    assert everybody["high"].item() == 1


@given(waits)
def test_the_share_never_falls_and_lies_in_its_limits(pairs) -> None:
    """Between 0 and 1, rising with time, inside its limits, whatever the waits."""
    waited, came = zip(*pairs, strict=True)
    table = arrival_curve(waited, came, 25)
    assert table["time"].is_monotonic_increasing
    assert table["time"].is_unique
    assert table["share"].is_monotonic_increasing
    assert table["at_risk"].is_monotonic_decreasing
    assert table[["share", "low", "high"]].notna().all(axis=None)
    assert ((table["low"] >= 0) & (table["high"] <= 1)).all()
    assert (table["low"] <= table["share"] + 1e-12).all()
    assert (table["share"] <= table["high"] + 1e-12).all()
    assert table["time"].iloc[-1] == max(waited)


@settings(max_examples=50)
@given(waits, st.integers(5, 40))
def test_the_grid_is_small_and_holds_the_quarters(pairs, n_points) -> None:
    """At most n_points times; quarter, half and three quarters stand where they are reached."""
    waited, came = (np.array(column) for column in zip(*pairs, strict=True))
    table = arrival_curve(waited, came, n_points).assign(modality="m")
    assert len(table) <= n_points
    every = product_limit(waited, came, np.unique(waited)).assign(modality="m")
    for share in (0.25, 0.5, 0.75):
        np.testing.assert_equal(time_to_share(table, "m", share), time_to_share(every, "m", share))


@pytest.mark.parametrize("n_points", [5, 10, 25])
def test_many_arrivals_take_no_more_times(n_points: int) -> None:
    """The grid is as large as was asked for where there are enough arrivals, and no larger."""
    waited = np.random.default_rng(0).exponential(1.0, 500)
    table = arrival_curve(waited, waited < 2, n_points)
    assert n_points - 4 <= len(table) <= n_points


# A dataset ------------------------------------------------------------------------------------


def events(ids, times, variable: str = "v", value: object = 1.0) -> pd.DataFrame:
    """Events in long form."""
    return pd.DataFrame({"id": ids, "t": times, "variable": variable, "value": value})


def dataset(streams: dict[str, pd.DataFrame], samples: pd.DataFrame, **more) -> MultimodalDataset:
    """A dataset of event streams; `more` are further arguments, `declared` those of Modality."""
    declared = {"kind": "events", "time": "t", "variable": "variable", "value": "value"}
    declared |= more.pop("declared", {})
    return MultimodalDataset(
        {name: Modality(frame, **declared) for name, frame in streams.items()},
        samples=samples, id="id", **more,
    )  # fmt: skip


def curve(ds: MultimodalDataset, name: str | None = None, seed: int = 0, **more) -> pd.DataFrame:
    """The arrival table of one modality."""
    table = arrival_table(ds, np.random.default_rng(seed), **more)
    return table if name is None else table[table["modality"] == name].reset_index(drop=True)


def test_a_sample_without_it_is_open_until_its_prediction_time() -> None:
    """Censored at 4, a sample that never got it is not at risk when another gets it at 6."""
    samples = pd.DataFrame({"id": [1, 2, 3], "at": [10.0, 4.0, 8.0]})
    ds = dataset({"s": events([1, 1, 3], [2.0, 5.0, 6.0])}, samples, prediction_time="at")
    table = curve(ds)
    assert table["time"].tolist() == [2, 6]
    np.testing.assert_allclose(table["share"], [1 / 3, 1])
    assert table["at_risk"].tolist() == [3, 1]


def test_without_prediction_times_it_is_open_until_the_last_event() -> None:
    """The end is the largest event time of all samples, also of another modality."""
    samples = pd.DataFrame({"id": [1, 2, 3, 4]})
    streams = {"s": events([1, 3], [2.0, 6.0]), "other": events([4], [50.0])}
    table = curve(dataset(streams, samples), "s")
    assert table["time"].tolist() == [2, 6, 50]
    assert table["share"].tolist() == [0.25, 0.5, 0.5]
    assert table["at_risk"].tolist() == [4, 3, 2]


def test_arrival_is_that_of_a_known_process() -> None:
    """Exponential arrivals, cut at random prediction times, give their closed form."""
    rng = np.random.default_rng(5)
    n, tau = 3000, 7.0
    arrival, at = rng.exponential(tau, n), rng.uniform(1, 40, n)
    samples = pd.DataFrame({"id": np.arange(n), "at": at})
    ds = dataset({"s": events(np.arange(n), arrival)}, samples, prediction_time="at")
    table = curve(ds)
    assert time_to_share(table, "s", 0.5) == pytest.approx(tau * np.log(2), rel=0.08)
    early = table[table["at_risk"] > 100]
    np.testing.assert_allclose(early["share"], 1 - np.exp(-early["time"] / tau), atol=0.03)


def test_an_event_before_the_start_was_there_at_the_start() -> None:
    """A negative time is a wait of zero."""
    ds = dataset({"s": events([1, 2], [-3.0, 4.0])}, pd.DataFrame({"id": [1, 2]}))
    assert curve(ds)["time"].tolist() == [0, 4]


def test_timestamps_start_at_the_first_event_of_the_sample() -> None:
    """The clock of each sample is its own, in seconds; one without any event has none."""
    day = pd.Timestamp("2024-03-01 08:00")
    hour = pd.Timedelta(hours=1)
    streams = {
        "vitals": events([1, 2, 3], [day, day + 100 * hour, day + 5 * hour]),
        "lab": events([1, 2], [day + 2 * hour, day + 103 * hour]),
    }
    samples = pd.DataFrame({"id": [1, 2, 3, 4]})
    samples["at"] = [day + 24 * hour, day + 124 * hour, day + 29 * hour, day + 24 * hour]
    ds = dataset(streams, samples, prediction_time="at")
    lab = curve(ds, "lab")
    assert lab["time"].tolist() == [7200, 10800, 86400]
    np.testing.assert_allclose(lab["share"], [1 / 3, 2 / 3, 2 / 3])
    assert lab["at_risk"].tolist() == [3, 2, 1]
    vitals = curve(ds, "vitals")
    assert vitals[["time", "share"]].to_numpy().tolist() == [[0, 1]]


def test_who_has_it_without_an_event_is_left_out() -> None:
    """Declared present and empty: it has arrived, and nobody knows when."""
    samples = pd.DataFrame({"id": [1, 2, 3], "has": [True, True, False]})
    ds = dataset(
        {"s": events([1], [2.0])}, samples, prediction_time=9.0, declared={"present": "has"}
    )
    table = curve(ds)
    assert table["share"].tolist() == [0.5, 0.5]
    assert table["at_risk"].tolist() == [2, 1]


def test_what_counts_was_there_by_the_prediction_time() -> None:
    """A row that was available before its own time (a plan) has arrived by the prediction time."""
    plan = events([1], [30.0]).assign(known=[5.0])
    ds = dataset(
        {"s": plan}, pd.DataFrame({"id": [1, 2]}), prediction_time=9.0,
        declared={"available_at": "known"},
    )  # fmt: skip
    assert curve(ds)["time"].tolist() == [9]


def test_events_after_the_prediction_time_leave_it_open() -> None:
    """The future does not tell when something arrived."""
    ds = dataset(
        {"s": events([1, 2], [30.0, 3.0])}, pd.DataFrame({"id": [1, 2]}), prediction_time=9.0
    )
    assert curve(ds)[["time", "share"]].to_numpy().tolist() == [[3, 0.5], [9, 0.5]]


def test_a_modality_removed_from_a_sample_is_open() -> None:
    """What is stored under an absent modality has no effect."""
    ds = dataset(
        {"s": events([1, 2], [1.0, 3.0])}, pd.DataFrame({"id": [1, 2]}), prediction_time=9.0
    )
    table = curve(ds.with_presence(np.array([[False], [True]])))
    assert table["share"].tolist() == [0.5, 0.5]
    assert table["time"].tolist() == [3, 9]


def test_the_order_of_rows_has_no_effect() -> None:
    """Shuffled samples and events give the same table, also where samples are drawn."""
    rng = np.random.default_rng(3)
    n = 300
    rows = events(rng.integers(0, n, 900), rng.exponential(9.0, 900))
    samples = pd.DataFrame({"id": np.arange(n)})
    one = dataset({"s": rows}, samples, prediction_time=20.0)
    two = dataset(
        {"s": rows.sample(frac=1, random_state=1)}, samples.sample(frac=1, random_state=2),
        prediction_time=20.0,
    )  # fmt: skip
    for most in (1000, 100):
        pd.testing.assert_frame_equal(curve(one, max_samples=most), curve(two, max_samples=most))
    assert curve(one, max_samples=100)["at_risk"].max() <= 100


def test_without_event_modalities_the_table_is_empty_and_typed() -> None:
    """Tables have no arrival; the columns and their types stand all the same."""
    ids = pd.DataFrame({"id": [1, 2]})
    table = curve(MultimodalDataset({"t": ids.assign(x=1.0)}, samples=ids, id="id"))
    filled = curve(dataset({"s": events([1], [1.0])}, ids))
    assert table.empty
    assert tuple(table.columns) == COLUMNS
    assert table.dtypes.tolist() == filled.dtypes.tolist()
    assert arrival_notes(table) == []


def test_a_modality_that_nobody_has_stays_at_zero() -> None:
    """With a prediction time it is open to the end; without any time there is nothing to tell."""
    ids = pd.DataFrame({"id": [1, 2]})
    has = dataset({"s": events([1, 2], [1.0, 2.0])}, ids, prediction_time=8.0)
    nobody = has.with_presence(np.zeros((2, 1), dtype=bool))
    assert curve(nobody)[["time", "share", "low"]].to_numpy().tolist() == [[8, 0, 0]]
    untimed = dataset({"s": events([1, 2], [1.0, 2.0])}, ids)
    assert curve(untimed.with_presence(np.zeros((2, 1), dtype=bool))).empty


def test_one_sample_is_enough() -> None:
    """A single arrival is an estimate with wide limits."""
    table = curve(dataset({"s": events([1], [3.0])}, pd.DataFrame({"id": [1]})))
    assert table[["time", "share", "high", "at_risk"]].to_numpy().tolist() == [[3, 1, 1, 1]]
    assert table["low"].item() == pytest.approx(0.025)


def test_wrong_arguments_are_refused() -> None:
    """A grid that cannot hold the quarters, and no samples, are errors."""
    ds = dataset({"s": events([1], [3.0])}, pd.DataFrame({"id": [1]}))
    with pytest.raises(DatasetError, match="at least 5"):
        curve(ds, n_points=4)
    with pytest.raises(DatasetError, match="max_samples"):
        curve(ds, max_samples=0)


# A log of requests ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    """400 requests; all have ehr at once, imaging comes after an exponential time or never."""
    rng = np.random.default_rng(7)
    n = 400
    opened = rng.uniform(0, 100, n)
    wait = rng.exponential(6.0, n)
    closed = opened + rng.uniform(2, 30, n)
    ehr = pd.DataFrame({"request": np.arange(n), "modality": "ehr", "arrived": opened})
    imaging = pd.DataFrame({"request": np.arange(n), "modality": "imaging"})
    imaging["arrived"] = opened + wait
    imaging = imaging[imaging["arrived"] <= closed]
    rows = pd.concat([ehr, imaging, imaging.head(20).assign(arrived=lambda f: f["arrived"] + 1)])
    rows["opened"], rows["closed"] = opened[rows["request"]], closed[rows["request"]]
    return rows.sample(frac=1, random_state=0, ignore_index=True)


def test_a_log_and_a_dataset_agree(log: pd.DataFrame) -> None:
    """The log's waits, read as events with prediction times, give the same curve."""
    found = arrival_of_log(log, closed="closed")
    first = log.drop_duplicates("request")
    samples = pd.DataFrame({"id": first["request"], "at": first["closed"] - first["opened"]})
    waits = log.assign(wait=log["arrived"] - log["opened"])
    streams = {
        name: events(part["request"], part["wait"]) for name, part in waits.groupby("modality")
    }
    ds = dataset(streams, samples, prediction_time="at")
    pd.testing.assert_frame_equal(found, curve(ds))
    assert found.loc[found["modality"] == "ehr", "share"].tolist()[0] == 1


def test_a_log_recovers_its_process(log: pd.DataFrame) -> None:
    """Half of the images are there after tau log 2."""
    found = arrival_of_log(log, closed="closed")
    assert time_to_share(found, "imaging", 0.5) == pytest.approx(6 * np.log(2), rel=0.15)


def test_timestamps_give_seconds(log: pd.DataFrame) -> None:
    """The same log in timestamps, with and without a zone, has its waits in seconds."""
    expected = arrival_of_log(log, closed="closed")
    for start in (pd.Timestamp("2024-05-01"), pd.Timestamp("2024-05-01", tz="Europe/Berlin")):
        times = {
            c: start + pd.to_timedelta((log[c] * 3600).round(3), unit="s")
            for c in ("opened", "arrived", "closed")
        }
        found = arrival_of_log(log.assign(**times), closed="closed")
        np.testing.assert_allclose(found["time"], expected["time"] * 3600, atol=0.01)
        np.testing.assert_allclose(found["share"], expected["share"])


@pytest.mark.parametrize(
    "convert",
    [pl.from_pandas, pa.Table.from_pandas, ibis.memtable],
    ids=["polars", "arrow", "ibis"],
)
def test_every_kind_of_table_is_read(log: pd.DataFrame, convert) -> None:
    """polars, Arrow and Ibis tables give what pandas gives."""
    expected = arrival_of_log(log, closed="closed")
    pd.testing.assert_frame_equal(arrival_of_log(convert(log), closed="closed"), expected)


def test_files_are_read(log: pd.DataFrame, tmp_path) -> None:
    """Parquet and CSV give what the frame gives; a path that is not there says so."""
    expected = arrival_of_log(log, closed="closed")
    log.to_parquet(tmp_path / "log.parquet")
    log.to_csv(tmp_path / "log.csv", index=False)
    for name in ("log.parquet", "log.csv"):
        found = arrival_of_log(tmp_path / name, closed="closed")
        pd.testing.assert_frame_equal(found, expected)
    with pytest.raises(TableNotFoundError):
        arrival_of_log(tmp_path / "nothing.parquet")


def small(**columns) -> pd.DataFrame:
    """Three requests that opened at 0; the third came with nothing."""
    base = {
        "request": [1, 1, 2, 3],
        "modality": ["a", "b", "a", None],
        "opened": [0.0] * 4,
        "arrived": [1.0, 6.0, 2.0, None],
    }
    return pd.DataFrame(base | columns)


def test_a_request_with_nothing_is_open_to_the_end_of_the_log() -> None:
    """Without a closing the last time of the log ends all waits."""
    found = arrival_of_log(small())
    a = found[found["modality"] == "a"]
    assert a["time"].tolist() == [1, 2, 6]
    np.testing.assert_allclose(a["share"], [1 / 3, 2 / 3, 2 / 3])
    assert a["at_risk"].tolist() == [3, 2, 1]


def test_an_arrival_after_the_closing_did_not_come_in_time() -> None:
    """Closed at 4, the arrival at 6 counts as open at 4; a time for all equals a column of it."""
    found = arrival_of_log(small(), closed=4.0)
    b = found[found["modality"] == "b"]
    assert b[["time", "share", "at_risk"]].to_numpy().tolist() == [[4, 0, 3]]
    pd.testing.assert_frame_equal(arrival_of_log(small(end=4.0), closed="end"), found)


def test_an_empty_closing_is_the_last_time() -> None:
    """A request without a closing is still open."""
    assert arrival_of_log(small(end=[np.nan] * 4), closed="end").equals(arrival_of_log(small()))


def test_other_names_of_columns() -> None:
    """Each column may have its own name."""
    renamed = small().rename(
        columns={"request": "r", "modality": "m", "opened": "o", "arrived": "a"}
    )
    found = arrival_of_log(renamed, request="r", modality="m", arrived="a", opened="o")
    pd.testing.assert_frame_equal(found, arrival_of_log(small()))


DAY = pd.Timestamp("2024-01-01")


@pytest.mark.parametrize(
    ("columns", "more", "error", "match"),
    [
        ({}, {"arrived": "arrivd"}, ColumnNotFoundError, "Did you mean 'arrived'"),
        ({}, {"closed": "closd"}, ColumnNotFoundError, "no column 'closd'"),
        ({"arrived": [1.0, -6.0, 2.0, None]}, {}, DeploymentError, "has 'b' before it was opened"),
        ({"arrived": [DAY] * 4}, {}, DeploymentError, "'arrived' holds timestamps"),
        ({}, {"closed": DAY}, DeploymentError, "closed= holds timestamps"),
        ({}, {"closed": dt.date(2024, 1, 1)}, DeploymentError, "closed= holds timestamps"),
        ({"opened": ["x"] * 4}, {}, DeploymentError, "expected numbers or timestamps"),
        ({"opened": [0.0, "x", 1, 2]}, {}, DatasetError, "mixes types"),
        ({"opened": [0.0, 1.0, 0.0, 0.0]}, {}, DeploymentError, "request 1 was opened at more"),
        ({"opened": [0.0, None, 0.0, 0.0]}, {}, DeploymentError, "without an opening"),
        ({"request": [1, 1, 2, None]}, {}, DeploymentError, "have no 'request'"),
        ({"modality": [None] * 4}, {}, DeploymentError, "names no modality"),
        ({}, {"closed": np.nan}, DeploymentError, "closed= is nan, which is no time"),
        ({}, {"closed": np.inf}, DeploymentError, "closed= is inf, which is no time"),
        ({}, {"closed": -1.0}, DeploymentError, r"closed before it was opened \(3 requests\)"),
    ],
)
def test_faults_of_a_log_are_named(columns, more, error, match) -> None:
    """Each fault says what and where it is."""
    with pytest.raises(error, match=match):
        arrival_of_log(small(**columns), **more)


def test_an_empty_log_is_refused() -> None:
    """Nothing can be told of no request."""
    with pytest.raises(DeploymentError, match="is empty"):
        arrival_of_log(small().iloc[:0].astype({"modality": "str"}))


# What is read off the table -------------------------------------------------------------------


def test_time_to_share_reads_steps() -> None:
    """The first time at which at least that share is there; NaN beyond what is ever reached."""
    table = arrival_of_log(small())
    assert time_to_share(table, "a", 0.0) == 1
    assert time_to_share(table, "a", 1 / 3) == 1
    assert time_to_share(table, "a", 0.5) == 2
    assert np.isnan(time_to_share(table, "a", 0.9))
    with pytest.raises(UnknownModalityError, match="no modality 'aa'"):
        time_to_share(table, "aa", 0.5)
    with pytest.raises(DatasetError, match="between 0 and 1"):
        time_to_share(table, "a", 50)
    with pytest.raises(UnknownModalityError, match="the table has none"):
        time_to_share(pd.DataFrame(), "a", 0.5)  # of a profile that was declared


def note(waited, came, unit: str = "h") -> str:
    """The sentence on one modality."""
    return arrival_notes(arrival_curve(waited, came, 25).assign(modality="lab"), unit=unit)[0]


def test_notes_say_what_waiting_buys() -> None:
    """One sentence for each shape of a curve."""
    ten = np.arange(1.0, 11.0)
    assert note(ten, ten < 100) == (
        "Half of the samples have lab after 5 h; waiting from 5 to 10 h raises it from 0.50 to "
        "1.00."
    )
    assert note(ten, ten < 5) == (
        "Only 0.40 of the samples have lab by 10 h; waiting from 2 to 4 h raises it from 0.20 to "
        "0.40."
    )
    assert note(ten, ten > 100) == "No sample has lab by 10 h."
    assert note(ten, ten < 2, "") == "Only 0.10 of the samples have lab by 10."
    assert note(ten * 0, ten > 0) == "1.00 of the samples have lab at the start."
    assert note([0, 0, 0, 8], [True, True, True, True]) == (
        "0.75 of the samples have lab at the start; by 8 h it is 1.00."
    )
