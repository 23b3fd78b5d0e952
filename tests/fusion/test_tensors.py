"""A modality as tensors: scaled, finite, and the same whatever stands beside it."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fusewise.data import Modality, MultimodalDataset
from fusewise.exceptions import ColumnNotFoundError, DatasetError
from fusewise.fusion.scaling import NormalScaling, bin_edges
from fusewise.fusion.tensors import TensorEncoder, fit_tensor_encoders
from fusewise.fusion.tensors_events import EventTokens
from fusewise.fusion.tensors_table import TableTensors

PARTS = ("sample", "values", "missing", "codes", "start", "time", "variable")


def table(frame: pd.DataFrame, n: int | None = None) -> MultimodalDataset:
    """A dataset of samples 0..n-1 with the table as its one modality."""
    ids = np.arange(len(frame) if n is None else n)
    frame = frame.assign(id=ids[: len(frame)])
    samples = pd.DataFrame({"id": ids, "y": ids % 2})
    return MultimodalDataset({"m": frame}, samples=samples, id="id", target="y", task="binary")


def stream(frame: pd.DataFrame, n: int, prediction_time: float | None = 100.0) -> MultimodalDataset:
    """A dataset of n samples that all have the events as their one modality."""
    events = Modality(
        frame, kind="events", time="time", variable="variable", value="value", present="here"
    )
    samples = pd.DataFrame({"id": np.arange(n), "y": np.arange(n) % 2, "here": True})
    return MultimodalDataset(
        {"m": events}, samples=samples, id="id", target="y", task="binary",
        prediction_time=prediction_time,
    )  # fmt: skip


def some_events(n: int, per_sample: int, seed: int = 0) -> pd.DataFrame:
    """Random events, several at one time, of up to three variables."""
    rng = np.random.default_rng(seed)
    size = n * per_sample
    return pd.DataFrame(
        {
            "id": rng.integers(0, n, size),
            "time": rng.integers(0, 100, size).astype(float),
            "variable": rng.choice(["hr", "bp", "temp"], size),
            "value": np.exp(rng.normal(size=size)),
        }
    )


def some_table(n: int = 60, seed: int = 0) -> pd.DataFrame:
    """Numbers of several shapes with empty cells, and categories."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "skewed": np.exp(2 * rng.normal(size=n)),
            "gaps": np.where(rng.random(n) < 0.3, np.nan, rng.normal(size=n)),
            "few": rng.integers(0, 3, n).astype(float),
            "stage": rng.choice(np.array(["a", "b", "c", None], dtype=object), n),
        }
    )


def tensors(rows):
    """Every tensor of the rows by name, those of the summary too."""
    found = {part: getattr(rows, part) for part in PARTS if hasattr(rows, part)}
    summary = getattr(rows, "summary", None)
    return found | ({f"summary.{k}": v for k, v in tensors(summary).items()} if summary else {})


def assert_same(a, b):
    a, b = tensors(a), tensors(b)
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


def assert_finite(rows):
    for name, tensor in tensors(rows).items():
        assert bool(torch.isfinite(tensor.double()).all()), name
    for part in (rows, getattr(rows, "summary", None)):
        if part is not None:
            assert not bool(part.values[part.missing].any())


# Scaling ----------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [120, 499, 500, 4000])
@pytest.mark.parametrize(
    "shape",
    [
        lambda rng, n: rng.normal(50, 3, n),
        lambda rng, n: np.exp(2 * rng.normal(size=n)),
        lambda rng, n: rng.poisson(1.5, n).astype(float),
        lambda rng, n: np.where(rng.random(n) < 0.8, 0.0, rng.gamma(2.0, size=n)),
        lambda rng, n: rng.uniform(size=n) * 1e-200,
    ],
    ids=["normal", "lognormal", "counts", "mostly zero", "tiny"],
)
def test_scaled_values_are_about_standard_normal(n, shape):
    """Mean 0, deviation 1 and no far tail, whatever the distribution was."""
    values = shape(np.random.default_rng(n), n)
    scaled = NormalScaling().fit([values]).column(0, values)
    assert abs(scaled.mean()) < 0.02
    assert abs(scaled.std() - 1) < 0.05
    assert np.abs(scaled).max() <= 5


def test_many_values_become_normal_in_shape():
    """The quantiles of a skewed column become those of the normal distribution."""
    values = np.exp(2 * np.random.default_rng(0).normal(size=5000))
    scaled = NormalScaling().fit([values]).column(0, values)
    got = np.quantile(scaled, [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99])
    np.testing.assert_allclose(got, [-2.326, -1.282, -0.674, 0, 0.674, 1.282, 2.326], atol=0.03)


numbers = st.floats(allow_nan=False, allow_infinity=False)


@settings(deadline=None, max_examples=60)
@given(
    train=st.lists(numbers, min_size=1, max_size=40),
    new=st.lists(numbers, min_size=2, max_size=40),
    repeat=st.sampled_from([1, 30]),
)
@example(train=[0.0, 1e-9, 2e-9], new=[1.0, 1e308], repeat=1)
def test_scaling_keeps_the_order_and_is_finite(train, new, repeat):
    """A larger value is never scaled to less, also far outside of training; nothing overflows."""
    column = np.tile(np.array(train), repeat if len(train) * repeat >= 500 else 1)
    scaling = NormalScaling().fit([column])
    scaled = scaling.column(0, np.sort(np.array(new + train)))
    assert np.isfinite(scaled).all()
    assert np.abs(scaled).max() <= 5
    assert (np.diff(scaled) >= 0).all()


@pytest.mark.parametrize("n", [100, 2000])
def test_different_values_within_training_stay_different(n):
    """Between the ends of the training range the scaling rises strictly."""
    values = np.sort(np.random.default_rng(0).normal(size=n))
    scaled = NormalScaling().fit([values]).column(0, values)
    assert (np.diff(scaled) > 0).all()


def test_the_order_of_training_values_has_no_effect():
    """Shuffled values give the same knots and the same sums, bit for bit."""
    rng = np.random.default_rng(0)
    for n in (300, 3000):
        values = np.exp(rng.normal(size=n))
        a, b = NormalScaling().fit([values]), NormalScaling().fit([rng.permutation(values)])
        assert a.column(0, values).tobytes() == b.column(0, values).tobytes()


@settings(deadline=None, max_examples=60)
@given(values=st.lists(st.floats(-5, 5), max_size=50), n_bins=st.integers(1, 12))
def test_bin_edges_rise_strictly_also_in_single_precision(values, n_bins):
    """No bin is empty of width, however few distinct values there are."""
    edges = bin_edges(np.array(values), n_bins).astype(np.float32)
    assert edges.shape == (n_bins + 1,)
    assert (np.diff(edges) > 0).all()


# Tables -----------------------------------------------------------------------------------


def test_numbers_are_scaled_flagged_and_categories_coded():
    """An empty cell is 0 with a flag; an empty or unseen level is code 0."""
    frame = pd.DataFrame({"x": [1.0, np.nan, 3.0, 5.0], "c": ["b", None, "a", "b"]})
    encoder = TensorEncoder("m", "table").fit(table(frame))
    assert encoder.sizes() == {"kind": "table", "n_columns": 1, "n_levels": [2]}
    rows = encoder.transform(table(frame))
    assert rows.missing[:, 0].tolist() == [False, True, False, False]
    assert rows.values[1, 0] == 0
    assert rows.codes[:, 0].tolist() == [2, 0, 1, 2]
    new = pd.DataFrame({"x": [2.0], "c": ["new"]})
    assert encoder.transform(table(new)).codes.tolist() == [[0]]


def test_levels_beyond_the_most_frequent_share_a_code():
    """Rare levels of a wide category are one level, which is not the unseen one."""
    common = np.repeat([f"c{i:02d}" for i in range(49)], 4)
    rare = np.array([f"r{i}" for i in range(20)])
    frame = pd.DataFrame({"c": np.concatenate([common, rare])})
    encoder = TensorEncoder("m", "table").fit(table(frame))
    codes = encoder.transform(table(frame)).codes[:, 0]
    assert encoder.sizes()["n_levels"] == [50]
    assert set(codes[-20:].tolist()) == {50}
    assert set(codes[:-20].tolist()) == set(range(1, 50))


def test_columns_that_say_nothing_are_dropped():
    """Constant and all-empty columns leave; a constant one with empty cells keeps its flag."""
    frame = pd.DataFrame(
        {
            "x": [1.0, 2.0, 3.0],
            "same": [7.0, 7.0, 7.0],
            "none": [np.nan] * 3,
            "flag": [1.0, np.nan, 1.0],
            "word": ["w", "w", "w"],
        }
    )
    encoder = TensorEncoder("m", "table").fit(table(frame))
    assert encoder.columns_ == ["flag", "x"]
    rows = encoder.transform(table(frame))
    assert rows.values[:, 0].tolist() == [0, 0, 0]
    assert rows.missing[:, 0].tolist() == [False, True, False]


def test_a_gap_that_training_never_met_is_the_mean_without_a_flag():
    """A flag whose weight was never trained is never raised."""
    train = pd.DataFrame({"x": np.arange(10.0), "z": np.arange(10.0) ** 2})
    encoder = TensorEncoder("m", "table").fit(table(train))
    rows = encoder.transform(table(pd.DataFrame({"x": [np.nan, 3.0], "z": [4.0, 4.0]})))
    assert_finite(rows)
    assert not bool(rows.missing.any())
    assert rows.values[0, 0] == 0


@pytest.mark.parametrize("n", [1, 2, 60, 700])
def test_everything_is_finite(n):
    """One row, huge values, infinities and empty columns all give finite tensors."""
    frame = some_table(n).assign(huge=np.geomspace(1e-300, 1e300, n), empty=np.nan)
    encoder = TensorEncoder("m", "table").fit(table(frame))
    odd = some_table(8, 1).assign(
        huge=[np.inf, -np.inf, 1e308, -1e308, np.nan, 0.0, 5e-324, 1.0], empty=1e30
    )
    for new in (frame, odd):
        assert_finite(encoder.transform(table(new)))
    assert np.isfinite(encoder.edges_).all()
    assert (np.diff(encoder.edges_) > 0).all()
    assert len(encoder.edges_) == encoder.sizes()["n_columns"]


def test_a_table_is_never_held_twice_in_double_precision():
    """Thousands of columns of many samples fill the memory once, in single precision."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(2_000, 600)), columns=[f"g{i}" for i in range(600)])
    table = TableTensors("genes", "table", 8).fit(frame)
    tracemalloc.start()
    try:
        arrays = table.transform(frame)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 1.1 * (arrays.values.nbytes + arrays.missing.nbytes)


def test_a_batch_without_anything_of_a_column_is_finite():
    """A column of a batch may be empty throughout, whatever type it then has."""
    encoder = TensorEncoder("m", "table").fit(table(some_table()))
    batch = some_table(3, 1).assign(gaps=np.nan, skewed=np.nan, stage=np.nan)
    rows = encoder.transform(table(batch))
    assert_finite(rows)
    assert rows.codes.tolist() == [[0]] * 3


def test_columns_that_lack_or_changed_are_refused_as_elsewhere():
    """A lacking column and a number that became text are errors that name them."""
    encoder = TensorEncoder("m", "table").fit(table(some_table()))
    with pytest.raises(ColumnNotFoundError, match="'m'.*gaps"):
        encoder.transform(table(some_table(5).drop(columns="gaps")))
    with pytest.raises(DatasetError, match="column 'few': it was fitted as numbers"):
        encoder.transform(table(some_table(5).assign(few=list("abcde"))))


# Events -----------------------------------------------------------------------------------


def test_short_lists_become_one_token_per_moment():
    """What was measured at one time stands in one token, in the order of time, with its age."""
    events = pd.DataFrame(
        {
            "id": [0, 0, 0, 0, 2],
            "time": [60.0, 0.0, 0.0, 100.0, 80.0],
            "variable": ["hr", "bp", "bp", "bp", "hr"],
            "value": [1.0, 5.0, 5.0, 6.0, 2.0],
        }
    )
    ds = stream(events, 3)
    encoder = TensorEncoder("m", "events").fit(ds)
    assert not encoder.tokens_.windowed_
    assert (encoder.sizes()["n_variables"], encoder.sizes()["n_values"]) == (1, 4)
    rows = encoder.transform(ds)
    assert rows.start.tolist() == [0, 3, 3, 4]
    np.testing.assert_allclose(rows.time, [1.0, 0.4, 0.0, 0.2], rtol=1e-6)
    bp, hr = rows.values[:, 0], rows.values[:, 1]
    assert bp[0] < 0 < bp[2] and hr[1] < 0 < hr[3]
    assert rows.missing[:, :2].tolist() == [[0, 1], [1, 0], [0, 1], [1, 0]]
    np.testing.assert_allclose(rows.values[:2, 2:], np.log([[3, 1], [1, 2]]), rtol=1e-6)


def test_events_of_very_many_variables_have_a_token_each():
    """A token of all variables would be nearly empty: tokens name their variable instead."""
    events = some_events(6, 20).assign(variable=[f"v{i % 40:02d}" for i in range(120)])
    rows = TensorEncoder("m", "events").fit(stream(events, 6)).transform(stream(events, 6))
    assert rows.values.shape == (120, 1)
    assert sorted(set(rows.variable.tolist())) == list(range(40))


def test_long_streams_become_windows_like_a_slow_loop():
    """Each window that holds an event has the mean of scaled values and the count per variable."""
    ds = stream(some_events(12, 120), 12)
    encoder = TensorEncoder("m", "events", n_windows=5).fit(ds)
    assert encoder.tokens_.windowed_
    rows = encoder.transform(ds)
    tokens = encoder.tokens_
    cells: dict[tuple[int, int], dict[int, list[float]]] = {}
    for event in ds.events("m").itertuples():
        age = 100.0 - event.time
        window = min(int(age / tokens.span_ * 5), 4)
        variable = tokens.variables_.index(event.variable)
        scaled = tokens.scaling_.column(variable, np.array([event.value]))[0]
        cells.setdefault((event.position, -window), {}).setdefault(variable, []).append(scaled)
    assert len(cells) == len(rows.time)
    assert rows.lengths.tolist() == [sum(k[0] == i for k in cells) for i in range(12)]
    for token, key in enumerate(sorted(cells)):
        assert rows.time[token] == pytest.approx((0.5 - key[1]) / 5 * tokens.span_ / tokens.clock_)
        for variable in range(3):
            inside = cells[key].get(variable, [])
            assert bool(rows.missing[token, variable]) == (not inside)
            assert rows.values[token, variable] == pytest.approx(
                np.mean(inside) if inside else 0, abs=1e-6
            )
            assert rows.values[token, 3 + variable] == pytest.approx(np.log1p(len(inside)))
            assert not rows.missing[token, 3 + variable]


def test_many_variables_have_a_token_each_per_window():
    """The tokens hold what the joint windows hold, without room for what was not measured."""
    events = some_events(12, 400)
    events["variable"] += np.random.default_rng(1).integers(0, 20, len(events)).astype(str)
    ds = stream(events, 12)
    encoder = TensorEncoder("m", "events", n_windows=4).fit(ds)
    joint = TensorEncoder("m", "events", n_windows=4).fit(ds)
    joint.tokens_.joint_ = True
    assert (encoder.sizes()["n_variables"], encoder.sizes()["n_values"]) == (60, 2)
    rows, wide = encoder.transform(ds), joint.transform(ds)
    token, variable = (~wide.missing[:, :60]).nonzero(as_tuple=True)
    assert not bool(rows.missing.any())
    assert torch.equal(rows.variable, variable)
    assert torch.equal(rows.time, wide.time[token])
    assert torch.equal(rows.values[:, 0], wide.values[token, variable])
    assert torch.equal(rows.values[:, 1], wide.values[token, 60 + variable])
    owner = torch.repeat_interleave(torch.arange(12), wide.lengths)[token]
    assert torch.equal(rows.lengths, torch.bincount(owner, minlength=12))


def test_moments_are_held_once_and_in_single_precision():
    """Of thirty variables that come one by one, nothing but the tokens takes room for each."""
    events = some_events(400, 30)
    events["variable"] += np.random.default_rng(1).integers(0, 10, len(events)).astype(str)
    encoder = EventTokens(32, 12)
    positions, now = np.arange(400), np.full(len(events), 100.0)
    frame = stream(events, 400).events("m")
    encoder.fit(frame, now, 400)
    assert (encoder.joint_, encoder.windowed_, encoder.n_values) == (True, False, 60)
    tracemalloc.start()
    try:
        arrays = encoder.tokens(frame, now, positions)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 2 * sum(part.nbytes for part in arrays)


@pytest.mark.parametrize("per_sample", [6, 120])
def test_events_are_finite_and_foreign_ones_ignored(per_sample):
    """Unseen variables, far values, events before and after everything change no shape."""
    encoder = TensorEncoder("m", "events").fit(stream(some_events(12, per_sample), 12), 100.0)
    odd = pd.DataFrame(
        {
            "id": [0, 0, 0, 1, 1],
            "time": [-1e50, 50.0, 1e50, 50.0, 50.0],
            "variable": ["hr", "hr", "bp", "new", "hr"],
            "value": [1e149, -1e149, 0.0, 3.0, np.inf],
        }
    )
    rows = encoder.transform(stream(odd, 3, prediction_time=None), 100.0)
    assert_finite(rows)
    assert rows.n == 3 and rows.lengths[2] == 0
    assert bool(((rows.time >= 0) & (rows.time <= 4)).all())
    assert rows.values.shape[1] == encoder.sizes()["n_values"]
    assert rows.summary.values.shape[1] == encoder.sizes()["n_columns"]


@pytest.mark.parametrize("per_sample", [6, 120])
def test_an_empty_present_list_has_a_row_without_tokens(per_sample):
    """Also where nobody of a batch has an event at all."""
    encoder = TensorEncoder("m", "events").fit(stream(some_events(12, per_sample), 12))
    nobody = stream(some_events(2, 3)[:0], 2)
    rows = encoder.transform(nobody)
    assert rows.lengths.tolist() == [0, 0]
    assert rows.summary.n_rows == 2
    assert_finite(rows)


def test_training_without_an_event_knows_no_column():
    """The modality has nothing to learn from, and says so by its columns."""
    ds = stream(some_events(4, 3)[:0], 4)
    encoder = TensorEncoder("m", "events").fit(ds)
    assert encoder.columns_ == []
    assert encoder.transform(stream(some_events(4, 3), 4)).lengths.tolist() == [0] * 4


def test_a_very_long_list_keeps_its_latest_events():
    """Beyond eight times the usual length the past is cut off."""
    encoder = TensorEncoder("m", "events", max_tokens=5).fit(stream(some_events(9, 2), 9))
    long = pd.DataFrame(
        {"id": 0, "time": np.arange(50.0), "variable": "hr", "value": np.arange(50.0)}
    )
    short = pd.DataFrame({"id": [1], "time": [3.0], "variable": ["hr"], "value": [1.0]})
    rows = encoder.transform(stream(pd.concat([long, short]), 2))
    assert rows.lengths.tolist() == [40, 1]
    assert bool((rows.time[1:40] < rows.time[:39]).all())
    np.testing.assert_allclose(rows.time[39] * encoder.tokens_.clock_, 51.0, rtol=1e-6)


def test_each_sample_is_told_from_its_own_prediction_time():
    """The same events seen a day later are a day older."""
    frame = pd.DataFrame({"id": [0, 1], "time": [5.0, 5.0], "variable": "hr", "value": [1.0, 2.0]})
    samples = pd.DataFrame({"id": [0, 1], "y": [0, 1], "now": [5.0, 15.0]})
    events = Modality(frame, kind="events", time="time", variable="variable", value="value")
    ds = MultimodalDataset({"m": events}, samples=samples, id="id", target="y", prediction_time="now")  # fmt: skip
    encoder = TensorEncoder("m", "events").fit(ds)
    assert encoder.transform(ds).time.tolist() == [0, 1]


def test_a_single_wrong_date_does_not_set_the_clock():
    """One event of a century ago leaves the others apart from each other."""
    events = some_events(40, 10)
    events.loc[0, "time"] = -1e7
    encoder = TensorEncoder("m", "events").fit(stream(events, 40))
    assert encoder.tokens_.span_ < 300


def test_modalities_share_one_clock():
    """Fitted together, the same age is the same time in each; windows keep their own span."""
    slow = some_events(12, 5).assign(time=lambda e: e["time"] * 10 - 900)
    quick = some_events(12, 120)
    names = {"kind": "events", "time": "time", "variable": "variable", "value": "value"}
    samples = pd.DataFrame({"id": np.arange(12), "y": np.arange(12) % 2})
    ds = MultimodalDataset(
        {"slow": Modality(slow, **names), "quick": Modality(quick, **names)},
        samples=samples, id="id", target="y", task="binary", prediction_time=100.0,
    )  # fmt: skip
    encoders = fit_tensor_encoders(ds)
    clocks = {e.tokens_.clock_ for e in encoders.values()}
    assert clocks == {encoders["slow"].tokens_.span_}
    assert encoders["quick"].tokens_.span_ < 101
    rows = encoders["quick"].transform(ds)
    assert rows.time.max() < 0.15
    assert len(torch.unique(rows.time)) == encoders["quick"].n_windows


# The same whatever stands beside it ---------------------------------------------------------


def kinds():
    yield "table", table(some_table()), 0
    yield "events", stream(some_events(30, 5), 30), 0
    yield "events", stream(some_events(30, 120), 30), 0


@pytest.mark.parametrize(("kind", "ds", "_"), list(kinds()), ids=["table", "events", "windows"])
def test_a_sample_does_not_depend_on_its_batch(kind, ds, _):
    """Alone, reversed or repeated, a sample has the same bits."""
    encoder = TensorEncoder("m", kind).fit(ds)
    rows = encoder.transform(ds)
    everyone = torch.ones(len(ds), dtype=torch.bool)
    for picked in ([4], list(range(len(ds)))[::-1], [3, 3, 9]):
        index = torch.tensor(picked)
        assert_same(encoder.transform(ds[picked]), rows.take(index, everyone[: len(picked)]))


@pytest.mark.parametrize(("kind", "ds", "_"), list(kinds()), ids=["table", "events", "windows"])
def test_the_order_of_samples_has_no_effect_on_the_fit(kind, ds, _):
    """Fitted on shuffled samples, the rows have the same bits."""
    order = np.random.default_rng(1).permutation(len(ds))
    a, b = TensorEncoder("m", kind).fit(ds), TensorEncoder("m", kind).fit(ds[order])
    assert_same(a.transform(ds), b.transform(ds))


def test_the_order_of_rows_and_columns_has_no_effect():
    """Tables and events that were written in another order give the same bits."""
    frame, events = some_table(), some_events(30, 120)
    rng = np.random.default_rng(2)
    for a, b in (
        (table(frame), table(frame[frame.columns[::-1]])),
        (stream(events, 30), stream(events.iloc[rng.permutation(len(events))], 30)),
        (stream(events[:200], 30), stream(events[:200].iloc[rng.permutation(200)], 30)),
    ):
        kind = a.kinds["m"]
        one, other = TensorEncoder("m", kind).fit(a), TensorEncoder("m", kind).fit(b)
        assert one.columns_ == other.columns_
        assert_same(one.transform(a), other.transform(b))


@pytest.mark.parametrize(("kind", "ds", "_"), list(kinds()), ids=["table", "events", "windows"])
def test_only_samples_that_have_the_modality_have_rows(kind, ds, _):
    """Positions count within the dataset; a dataset without the modality has no row at all."""
    encoder = TensorEncoder("m", kind).fit(ds)
    presence = np.zeros(ds.shape, dtype=bool)
    presence[[2, 5]] = True
    rows = encoder.transform(ds.with_presence(presence))
    assert (rows.n, rows.sample.tolist()) == (len(ds), [2, 5])
    none = encoder.transform(ds.with_presence(presence & False))
    assert (none.n, none.n_rows) == (len(ds), 0)
    assert none.values.shape[1:] == rows.values.shape[1:]
    assert_finite(none)
    other = table(some_table(4))
    renamed = TensorEncoder("other", kind)
    renamed.__dict__.update({k: v for k, v in vars(encoder).items() if k != "name"})
    assert renamed.transform(other).n_rows == 0
