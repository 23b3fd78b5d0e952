"""Presence is a stored fact: declared or by rows, sliced and removed, never inferred from values."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusewise.data import (
    EMPTY_PATTERN,
    Modality,
    MultimodalDataset,
    parse_pattern,
    pattern_codes,
    pattern_label,
    pattern_labels,
    pattern_table,
)
from fusewise.exceptions import DatasetError

N = 10
NAMES = ("static", "notes", "vitals", "lab")


def build(presence, poison=None):
    """Return a dataset with this presence (n, 4), declared; absent samples hold `poison` or no rows.

    `vitals` is of kind events, the others are tables; `notes` has a categorical column.
    """
    n = len(presence)
    ids = np.arange(n)
    flags = {f"has_{m}": presence[:, i] for i, m in enumerate(NAMES)}
    samples = pd.DataFrame({"id": ids, "y": ids % 2} | flags)
    rows = {m: np.flatnonzero(presence[:, i]) for i, m in enumerate(NAMES)}
    tables = {
        "static": pd.DataFrame({"id": ids, "a": ids * 1.5, "b": -1.0 * ids}),
        "notes": pd.DataFrame({"id": ids, "length": ids % 4, "word": [f"w{i % 3}" for i in ids]}),
        "vitals": pd.DataFrame(
            {
                "id": np.tile(ids, 3),
                "t": np.repeat([0.0, 1.0, 2.0], n) + np.tile(ids, 3) / 7,
                "k": np.repeat(["hr", "rr", "hr"], n),
                "v": np.sin(np.arange(3 * n)),
            }
        ),
        "lab": pd.DataFrame({"id": ids, "x": np.sqrt(ids)}),
    }
    for name, table in tables.items():
        absent = ~table["id"].isin(rows[name])
        if poison is None:
            tables[name] = table[~absent]
        else:
            for column in table.columns.difference(["id", "t", "k", "word"]):
                table[column] = table[column].astype(float).mask(absent, poison)
            if "word" in table:
                table.loc[absent, "word"] = f"poison {poison}"
            if "k" in table:
                table.loc[absent, "k"] = f"poison {poison}"
    modalities = {m: Modality(tables[m], present=f"has_{m}") for m in NAMES if m != "vitals"}
    modalities["vitals"] = Modality(
        tables["vitals"], kind="events", time="t", variable="k", value="v", present="has_vitals"
    )
    return MultimodalDataset(
        {m: modalities[m] for m in NAMES}, samples=samples, id="id", target="y", task="binary"
    )


FULL = build(np.ones((N, len(NAMES)), dtype=bool))

presences = st.lists(
    st.lists(st.booleans(), min_size=len(NAMES), max_size=len(NAMES)), min_size=N, max_size=N
).map(lambda rows: np.array(rows, dtype=bool))
selections = st.lists(st.integers(-N, N - 1), max_size=2 * N)


def features(ds, name):
    """Return the features as values by position; the reference is given, as a fitted model does."""
    positions, frame = ds.features(name, reference=5.0)
    return positions.tolist(), frame


def assert_same(one, other):
    assert one.modalities == other.modalities
    assert one.ids.tolist() == other.ids.tolist()
    assert np.array_equal(one.presence, other.presence)
    for name in one.modalities:
        (rows, frame), (other_rows, other_frame) = features(one, name), features(other, name)
        assert rows == other_rows
        pd.testing.assert_frame_equal(frame, other_frame, check_exact=True)


# Laws over random presence ------------------------------------------------------------------


@given(presences)
@settings(max_examples=40)
def test_patterns_count_every_sample_once(presence):
    """Patterns sum to the samples, and each label names exactly what a sample has."""
    ds = FULL.with_presence(presence)
    table = ds.patterns()
    assert table["n"].sum() == N
    assert table["share"].sum() == pytest.approx(1)
    assert table["n"].is_monotonic_decreasing
    for label, row in zip(ds.pattern, ds.presence, strict=True):
        assert parse_pattern(label) == {m for m, p in zip(NAMES, row, strict=True) if p}


@given(presences, presences)
@settings(max_examples=40)
def test_with_presence_removes_and_never_creates(first, second):
    """Removing twice is removing both; a modality that is absent stays so."""
    ds = FULL.with_presence(first)
    assert np.array_equal(ds.with_presence(second).presence, first & second)
    assert (
        ds.with_presence(second).fingerprint() == FULL.with_presence(first & second).fingerprint()
    )
    assert np.array_equal(ds.presence, first)


@given(presences, selections, st.data())
@settings(max_examples=40)
def test_slicing_a_slice_is_slicing_once(presence, rows, data):
    """ds[a][b] equals ds[a[b]], also with repeated rows."""
    rows = np.array(rows, dtype=int)
    inner = st.lists(st.integers(0, len(rows) - 1)) if len(rows) else st.just([])
    again = np.array(data.draw(inner), dtype=int)
    ds = FULL.with_presence(presence)
    assert_same(ds[rows][again], ds[rows[again]])


@given(presences, selections)
@settings(max_examples=40)
def test_features_of_a_slice_are_the_slice_of_the_features(presence, rows):
    """Each selected sample keeps its values, bit for bit, wherever it lies."""
    ds = FULL.with_presence(presence)
    rows = np.array(rows, dtype=int) % N
    part = ds[rows]
    for name in NAMES:
        positions, frame = features(ds, name)
        where, sliced = features(part, name)
        assert where == [i for i, r in enumerate(rows) if r in positions]
        expected = frame.iloc[[positions.index(rows[i]) for i in where]].reset_index(drop=True)
        pd.testing.assert_frame_equal(sliced, expected, check_exact=True)


@given(presences, selections)
@settings(max_examples=25)
def test_a_pickled_slice_equals_the_slice(presence, rows):
    """What a worker receives is what was sent, also when it slices on."""
    part = FULL.with_presence(presence)[rows]
    again = pickle.loads(pickle.dumps(part))
    assert_same(part, again)
    assert part.fingerprint() == again.fingerprint()
    assert again.events("vitals").equals(part.events("vitals"))
    assert_same(part[::2], again[::2])


@given(presences, st.sets(st.sampled_from(NAMES)), selections)
@settings(max_examples=40)
def test_choosing_modalities_commutes_with_choosing_samples(presence, names, rows):
    """only, without, with_presence and slicing give the same in any order."""
    ds = FULL.with_presence(presence)
    others = set(NAMES) - names
    assert_same(ds.without(*names), ds.only(*others))
    assert_same(ds.without(*names)[rows], ds[rows].without(*names))
    columns = [NAMES.index(n) for n in NAMES if n in others]
    assert_same(FULL.without(*names).with_presence(presence[:, columns]), ds.without(*names))
    assert_same(FULL[rows].with_presence(presence[rows]), ds[rows])


@pytest.mark.filterwarnings("ignore:modality .* no sample has it")
@given(presences)
@settings(max_examples=15)
def test_reading_and_removing_give_the_same(presence):
    """A dataset read with a presence equals the complete one with that presence removed."""
    read, removed = build(presence), FULL.with_presence(presence)
    # Variables that nobody has are unknown to a dataset that never saw them.
    anybody = [name for name, has in zip(NAMES, presence.any(axis=0), strict=True) if has]
    assert_same(read.only(*anybody), removed.only(*anybody))
    assert np.array_equal(read.presence, removed.presence)


@pytest.mark.filterwarnings("ignore:modality .* no sample has it")
@given(presences, st.sampled_from([np.nan, np.inf, 1e30, -7.5]))
@settings(max_examples=15)
def test_what_is_stored_under_an_absent_modality_changes_nothing(presence, poison):
    """Rows kept for a declared absence, whatever they hold, leave every bit as it is."""
    clean, poisoned = build(presence), build(presence, poison)
    assert_same(clean, poisoned)
    assert clean.fingerprint() == poisoned.fingerprint()
    assert poisoned.ingestion["infinities"].sum() == 0
    absent = (~presence).sum(axis=0) * [1, 1, 3, 1]
    assert poisoned.ingestion["declared_absent"].tolist() == absent.tolist()


# Declared presence --------------------------------------------------------------------------


def test_declared_presence_needs_no_rows():
    """A patient without medications has an empty, present list; a table's cells are missing."""
    samples = pd.DataFrame({"id": [1, 2, 3], "has": [True, True, False]})
    drugs = pd.DataFrame({"id": [1, 3], "t": [0.0, 0.0], "dose": [2.0, 9.0]})
    ds = MultimodalDataset(
        {
            "drugs": Modality(drugs, kind="events", time="t", present="has"),
            "doses": Modality(drugs[["id", "dose"]].assign(unit="mg"), present="has"),
        },
        samples=samples,
        id="id",
    )
    assert ds.presence.tolist() == [[True, True], [True, True], [False, False]]
    positions, frame = ds.features("drugs")
    assert positions.tolist() == [0, 1]
    assert frame["dose:count"].tolist() == [1.0, 0.0]
    assert frame["dose:mean"].isna().tolist() == [False, True]
    positions, frame = ds.features("doses")
    assert frame["dose"].tolist()[0] == 2.0
    assert np.isnan(frame["dose"].tolist()[1])
    assert frame["unit"].tolist() == ["mg", None]
    assert ds.ingestion["declared_absent"].tolist() == [1, 1]


def test_all_null_rows_are_absent_only_where_that_is_declared():
    """By default a row of empty cells is a present modality with missing values."""
    samples = pd.DataFrame({"id": [1, 2, 3]})
    export = pd.DataFrame({"id": [1, 2, 3], "a": [1.0, None, 0.0], "w": [None, None, "x"]})
    plain = MultimodalDataset({"m": export}, samples=samples, id="id")
    assert plain.presence[:, 0].tolist() == [True, True, True]
    assert plain.ingestion.loc["m", "missing_values"] == 3
    declared = MultimodalDataset(
        {"m": Modality(export, absent_when="all_null")}, samples=samples, id="id"
    )
    assert declared.presence[:, 0].tolist() == [True, False, True]
    assert declared.ingestion.loc["m", ["declared_absent", "missing_values"]].tolist() == [1, 1]


@pytest.mark.parametrize("long", [True, False])
def test_all_null_events_are_absent_only_where_that_is_declared(long):
    """A sample whose events hold no value has them, unless all_null is declared."""
    events = pd.DataFrame({"id": [1, 1, 2], "t": [0.0, 1.0, 0.0], "v": [None, 3.0, None]})
    names = {"variable": "k", "value": "v"} if long else {}
    events = events.assign(k="hr") if long else events
    for absent_when, expected in ((None, [True, True]), ("all_null", [True, False])):
        ds = MultimodalDataset(
            {"m": Modality(events, kind="events", time="t", absent_when=absent_when, **names)},
            samples=pd.DataFrame({"id": [1, 2]}),
            id="id",
        )
        assert ds.presence[:, 0].tolist() == expected
        assert ds.ingestion.loc["m", "declared_absent"] == (not all(expected))


def test_a_present_zero_is_not_an_absent_modality():
    """Zeros are values: presence does not look at them."""
    ds = MultimodalDataset(
        {"m": Modality(pd.DataFrame({"id": [1], "a": [0.0]}), absent_when="all_null")},
        samples=pd.DataFrame({"id": [1, 2]}),
        id="id",
    )
    assert ds.presence[:, 0].tolist() == [True, False]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([True, None, False], "expected true or false for every sample, got bool with 1 empty"),
        ([1, 2, 0], r"expected true or false, got 2\.0"),
        (["yes", "no", "no"], "expected true or false for every sample, got"),
    ],
)
def test_declared_presence_must_be_true_or_false(flags, message):
    """The message names the column and what came."""
    samples = pd.DataFrame({"id": [1, 2, 3], "has": pd.array(flags)})
    with pytest.raises(DatasetError, match="samples, column 'has': " + message):
        MultimodalDataset(
            {"m": Modality(pd.DataFrame({"id": [1], "a": [1]}), present="has")},
            samples=samples,
            id="id",
        )


@pytest.mark.parametrize(
    "given", [np.ones((N, 3), bool), np.ones((N, 4)), np.ones(N, bool)], ids=["m", "float", "1-D"]
)
def test_with_presence_takes_booleans_of_the_datasets_shape(given):
    """Anything else is refused before it can select the wrong thing."""
    with pytest.raises(DatasetError, match=r"presence must be booleans of shape \(10, 4\), got"):
        FULL.with_presence(given)


# Labels -------------------------------------------------------------------------------------


def test_labels_are_written_in_one_way():
    """Names are sorted and joined; labels and sets of names translate both ways."""
    assert pattern_label(["b", "a"]) == pattern_label(("a", "b")) == "a+b"
    assert parse_pattern(" b + a ") == {"a", "b"}
    assert parse_pattern(EMPTY_PATTERN) == parse_pattern("") == frozenset()


@pytest.mark.parametrize("width", [1, 8, 31, 32, 33, 64, 70, 200])
def test_pattern_codes_tell_apart_any_number_of_modalities(width):
    """Equal rows have equal codes and different rows different ones, also beyond 64 modalities."""
    rng = np.random.default_rng(width)
    base = rng.random((6, width)) < 0.5
    flipped = base.copy()
    flipped[:, 0] ^= True
    presence = np.concatenate([base, flipped])[rng.integers(0, 12, 300)]
    distinct, codes = pattern_codes(presence)
    assert np.array_equal(distinct[codes], presence)
    assert len(np.unique(distinct, axis=0)) == len(distinct) == codes.max() + 1


def test_patterns_of_no_samples_and_of_no_modalities():
    """Nothing counts as nothing, and samples without modalities have the empty pattern."""
    assert pattern_labels(np.zeros((0, 2), bool), ["a", "b"]).tolist() == []
    assert pattern_labels(np.zeros((2, 0), bool), []).tolist() == [EMPTY_PATTERN] * 2
    assert pattern_table(np.array([], dtype=object)).empty
    table = pattern_table(np.array(["b", "a", "c", "c"], dtype=object))
    assert table["pattern"].tolist() == ["c", "a", "b"]
    assert table["share"].tolist() == [0.5, 0.25, 0.25]
