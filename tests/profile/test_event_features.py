"""Features of streams: what they say of when and in which order, worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import fusewise as fw
from fusewise.profile.event_features import timed, untimed


def events(*rows: tuple[int, float, str, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["position", "time", "variable", "value"])


def test_the_course_of_a_variable_is_worked_out_by_hand() -> None:
    """Three values at 0, 1 and 4 of a clock from 0 to 6."""
    table = events((0, 0.0, "a", 1.0), (0, 1.0, "a", 3.0), (0, 4.0, "a", 2.0))
    found = timed(table, 1, (0.0, 6.0)).iloc[0]
    expected = {
        ":occasions": 3, ":first": 0, ":last": 4, ":gap": 2, ":smallest_gap": 1,
        ":irregularity": 0.5, "a:time": 5 / 3, "a:first": 1, "a:last": 2, "a:step": 1.5,
        "a:highest_at": 1, "a:lowest_at": 0, "a:count_0": 2, "a:count_1": 0, "a:count_2": 1,
        "a:mean_0": 2, "a:mean_2": 2,
        "a:slope": np.polyfit([0, 1, 4], [1, 3, 2], 1)[0],
        "a:time_spread": np.std([0, 1, 4]),
    }  # fmt: skip
    for name, value in expected.items():
        assert found[name] == pytest.approx(value), name
    assert np.isnan(found["a:mean_1"])


@pytest.mark.parametrize(
    ("times", "share"),
    [((1.0, 2.0), 1.0), ((2.0, 1.0), -1.0), ((1.0, 1.0), 0.0)],
)
def test_who_comes_first_is_told(times: tuple[float, float], share: float) -> None:
    """The nearest b follows each a, or precedes it, or comes with it."""
    one, other = times
    table = events(
        *((p, one + 10 * k, "a", 0.0) for p in range(2) for k in range(3)),
        *((p, other + 10 * k, "b", 0.0) for p in range(2) for k in range(3)),
    )
    np.testing.assert_array_equal(timed(table, 2, (0.0, 30.0))["a<b"], [share, share])


def test_events_of_other_samples_are_no_neighbours() -> None:
    """A sample with one variable alone has nothing that precedes or follows it."""
    table = events((0, 1.0, "a", 0.0), (1, 1.5, "b", 0.0), (2, 1.0, "a", 0.0), (2, 3.0, "b", 0.0))
    np.testing.assert_array_equal(timed(table, 3, (0.0, 3.0))["a<b"], [np.nan, np.nan, 1.0])


def test_the_order_of_rows_has_no_effect() -> None:
    """Also not that of events at one time."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "position": rng.integers(0, 20, 400),
            "time": rng.integers(0, 12, 400).astype(float),
            "variable": rng.choice(["a", "b", "c"], 400),
            "value": rng.normal(size=400),
        }
    )
    pd.testing.assert_frame_equal(
        timed(table, 21, (0.0, 12.0)), timed(table.sample(frac=1, random_state=1), 21, (0.0, 12.0))
    )


def test_empty_cells_and_samples_without_events_stay_empty() -> None:
    """A value that is not there has no highest; nobody's features are made up."""
    table = events((0, 1.0, "a", np.nan), (0, 2.0, "a", np.nan), (2, 1.0, "a", 5.0))
    found = timed(table, 3, (0.0, 3.0))
    assert found.loc[1].isna().all()
    assert np.isnan(found.loc[0, "a:highest_at"])
    assert found.loc[2, "a:highest_at"] == 1.0


def test_what_is_called_untimed_knows_no_times() -> None:
    """Times that are dealt out anew leave it as it was, to rounding."""
    cohort = fw.make_cohort(
        60, 1, modalities={"stream": 12, "c": 2}, timing={"stream": "order"}, random_state=0
    )
    table = cohort.train.events("stream")
    mixed = table.assign(time=np.random.default_rng(0).permutation(table["time"]))
    ids = np.arange(len(cohort.train))
    summaries = []
    for each in (table, mixed):
        again = fw.MultimodalDataset(
            {
                "stream": fw.Modality(
                    each.rename(columns={"position": "id"}),
                    kind="events", time="time", variable="variable", value="value",
                )
            },
            samples=pd.DataFrame({"id": ids}),
            id="id",
        )  # fmt: skip
        summaries.append(untimed(again.features("stream")[1]))
    assert summaries[0].shape[1] == 10
    pd.testing.assert_frame_equal(*summaries, atol=1e-9)
