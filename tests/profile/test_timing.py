"""Asynchrony and staleness of event streams whose timing is known."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

import fusewise as fw
from fusewise.data import Modality, MultimodalDataset
from fusewise.profile import DeploymentProfile, longest_lag
from fusewise.profile.median import median_interval, medians_by
from fusewise.profile.staleness import NO_TIME

N = 40


def stream(times: list[np.ndarray], variables: tuple[str, ...] = ("v",)) -> pd.DataFrame:
    """Events of each sample at the given times, in a shuffled order."""
    frame = pd.DataFrame({"id": np.repeat(np.arange(len(times)), [len(t) for t in times]),
                          "t": np.concatenate(times).astype(float), "value": 1.0})  # fmt: skip
    each = pd.concat([frame.assign(variable=v) for v in variables])
    return each.sample(frac=1, random_state=0)


def dataset(
    prediction_time: object = None, n: int = N, **streams: pd.DataFrame
) -> MultimodalDataset:
    """A dataset of event streams for samples 0 to n - 1."""
    declared = {
        name: Modality(events, kind="events", time="t", variable="variable", value="value")
        for name, events in streams.items()
    }
    samples = pd.DataFrame({"id": np.arange(n)})
    if isinstance(prediction_time, np.ndarray):
        samples["at"], prediction_time = prediction_time, "at"
    return MultimodalDataset(declared, samples=samples, id="id", prediction_time=prediction_time)


def lags(ds: MultimodalDataset) -> pd.DataFrame:
    """The asynchrony by pair."""
    return fw.profile(ds).asynchrony.set_index(["modality", "other"])


def starts() -> np.ndarray:
    """Each sample begins somewhere of its own."""
    return np.random.default_rng(1).uniform(0, 1_000, N).round(2)


def test_a_planted_lag_is_found() -> None:
    """`b` comes three before `a`, which comes every ten: 3 one way, and 7 the other."""
    a = [s + 10.0 * np.arange(1, 9) for s in starts()]
    table = lags(dataset(a=stream(a), b=stream([t - 3 for t in a])))
    there, back = table.loc[("a", "b")], table.loc[("b", "a")]
    assert there[["lag_q25", "lag", "lag_q75", "low", "high"]].tolist() == pytest.approx([3] * 5)
    assert back["lag"] == pytest.approx(7)
    assert there["preceded"] == 1
    assert back["preceded"] == pytest.approx(7 / 8)
    assert there["n"] == there["n_both"] == N
    assert there["share_both"] == 1


def test_one_clock_has_no_lag_whatever_the_unit() -> None:
    """Measured together: 0 both ways, also for seconds since 1970, and with many variables."""
    times = [1.7e9 + 1e6 * s + 0.5 * np.arange(20) for s in starts()]
    table = lags(dataset(a=stream(times, ("x", "y", "z")), b=stream(times)))
    assert (table["lag"] == 0).all()
    assert (table["lag_q75"] == 0).all()
    assert (table["preceded"] == 1).all()
    late = lags(dataset(a=stream(times), b=stream([t - 0.25 for t in times])))
    assert late.loc[("a", "b"), "lag"] == pytest.approx(0.25, abs=1e-6)


def test_a_sample_counts_once_however_many_events_it_has() -> None:
    """One busy sample among forty does not set the quartiles."""
    a = [np.arange(1.0, 4.0)] * (N - 1) + [np.linspace(1, 50, 5_000)]
    b = [np.array([0.0, 1.0, 2.0, 3.0])] * (N - 1) + [np.array([0.0])]
    assert lags(dataset(a=stream(a), b=stream(b))).loc[("a", "b"), "lag_q75"] == 0


def test_the_order_of_rows_and_of_samples_has_no_effect() -> None:
    """Random streams, turned round; the lags are those found by hand."""
    rng = np.random.default_rng(2)
    a, b = ([np.sort(rng.uniform(0, 48, rng.integers(0, 9))) for _ in range(N)] for _ in range(2))
    ds = dataset(a=stream(a), b=stream(b))
    table = lags(ds)
    pd.testing.assert_frame_equal(lags(ds[np.arange(N)[::-1]]), table)
    by_hand = []
    for one, other in zip(a, b, strict=True):
        own = [t - max(s for s in other if s <= t) for t in one if (other <= t).any()]
        by_hand += [np.median(own)] if own else []
    row = table.loc[("a", "b")]
    assert row["n"] == len(by_hand)
    assert row["lag"] == pytest.approx(np.median(by_hand))
    assert row["lag_q25"] == pytest.approx(np.quantile(by_hand, 0.25))
    assert row["n_both"] == sum(len(x) > 0 and len(y) > 0 for x, y in zip(a, b, strict=True))


def test_streams_that_never_meet_have_no_lag() -> None:
    """No sample with both, and one that always comes first."""
    never = [np.array([5.0])] * 20 + [np.zeros(0)] * 20
    other = [np.zeros(0)] * 20 + [np.array([5.0])] * 20
    row = lags(dataset(a=stream(never), b=stream(other))).loc[("a", "b")]
    assert row["n_both"] == row["n"] == 0
    assert math.isnan(row["lag"])
    assert math.isnan(row["preceded"])
    first = [np.array([1.0])] * N
    row = lags(dataset(a=stream(first), b=stream([t + 1 for t in first]))).loc[("a", "b")]
    assert row["n_both"] == N
    assert row["n"] == row["preceded"] == 0


def test_ages_are_those_at_prediction_time() -> None:
    """The last event is 1 to 40 old; the typical gap is 10, so 30 of 40 are older."""
    at = np.full(N, 500.0)
    times = [500.0 - k - np.array([20.0, 10.0, 0.0]) for k in range(1, N + 1)]
    row = fw.profile(dataset(at, s=stream(times))).staleness.iloc[0]
    ages = np.arange(1, N + 1)
    assert row[["age_q25", "age", "age_q75", "age_q90"]].tolist() == pytest.approx(
        np.quantile(ages, [0.25, 0.5, 0.75, 0.9]).tolist()
    )
    assert row["low"] < 20.5 < row["high"]
    assert row["typical_gap"] == 10
    assert row["share_older"] == 30 / 40
    assert row["share_low"] < 0.75 < row["share_high"]
    assert row["n"] == N
    assert row["note"] == ""


def test_without_prediction_times_ages_end_at_the_last_event_of_all() -> None:
    """A note says so; with a prediction time there is none."""
    times = [np.array([10.0, 20.0])] * (N - 1) + [np.array([10.0, 90.0])]
    row = fw.profile(dataset(None, s=stream(times))).staleness.iloc[0]
    assert row["n"] == N
    assert row["age"] == 70
    assert row["note"] == NO_TIME


def test_without_events_both_tables_are_empty() -> None:
    """And travel through JSON."""
    ids = pd.DataFrame({"id": [1, 2]})
    found = fw.profile(MultimodalDataset({"t": ids.assign(x=1.0)}, samples=ids, id="id"))
    assert found.asynchrony.empty
    assert found.staleness.empty
    again = DeploymentProfile.from_json(found.to_json())
    pd.testing.assert_frame_equal(again.staleness, found.staleness)
    assert "apart in time" not in str(found)


@pytest.mark.parametrize("n", [6, 25, 400])
def test_the_interval_of_a_median_covers_it(n: int) -> None:
    """Also of a skewed distribution, with at least 95 %."""
    rng = np.random.default_rng(n)
    draws = [median_interval(rng.exponential(size=n)) for _ in range(600)]
    covered = np.mean([low <= np.log(2) <= high for low, high in draws])
    assert covered >= 0.93


def test_medians_of_groups_are_those_of_each() -> None:
    """Even and odd numbers; five values have no interval."""
    rng = np.random.default_rng(3)
    group, values = rng.integers(0, 9, 200), rng.normal(size=200)
    expected = [np.median(values[group == g]) for g in range(9)]
    assert medians_by(group, values).tolist() == pytest.approx(expected)
    assert all(map(math.isnan, median_interval([1, 2, 3, 4, 5])))


def test_the_reason_of_arrival_shows_the_evidence_beside_what_is_declared() -> None:
    """`synchronised` stands, whatever was measured."""
    a = [s + 10.0 * np.arange(1, 9) for s in starts()]
    ds = dataset(a=stream(a), b=stream([t - 3 for t in a]))
    for declared, first in ((True, "arrive together"), (False, "not declared to arrive together")):
        profile = fw.profile(ds, {"rates": {"b": 0.5}, "synchronised": declared})
        reason = next(r for r in fw.recommend(profile).reasons if r.axis == "arrival")
        assert reason.met is declared
        assert first in reason.statement
        pair = longest_lag(profile.asynchrony)
        assert pair is not None
        assert (pair["modality"], pair["other"]) == ("b", "a")
        assert (
            "when b speaks, the latest event of a is 7 time units old (median, 7 to 7, n 40)"
            in reason.statement
        )
