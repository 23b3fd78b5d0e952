"""Ragged batches: rows only for who has the modality, taken, padded and bucketed without a trace."""

from __future__ import annotations

import pickle
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fusewise.exceptions import DatasetError
from fusewise.nn import EventRows, PaddedEvents, Rows, TableRows, length_buckets


def table_rows(presence: list[bool], seed: int = 0) -> TableRows:
    """Return three columns and one category for the samples that have them."""
    generator = torch.Generator().manual_seed(seed)
    sample = torch.tensor(presence, dtype=torch.bool).nonzero()[:, 0]
    k = len(sample)
    missing = torch.rand(k, 3, generator=generator) < 0.3
    return TableRows(
        n=len(presence),
        sample=sample,
        values=torch.randn(k, 3, generator=generator).masked_fill(missing, 0),
        missing=missing,
        codes=torch.randint(0, 4, (k, 1), generator=generator),
    )


def event_rows(lengths: list[int | None], seed: int = 0, *, summary: bool = True) -> EventRows:
    """Return so many events per sample, with two values each; None is a sample without a row."""
    generator = torch.Generator().manual_seed(seed)
    length = torch.tensor([n for n in lengths if n is not None], dtype=torch.long)
    start = torch.cat([length.new_zeros(1), length.cumsum(0)])
    t = int(start[-1])
    table = table_rows([n is not None for n in lengths], seed)
    missing = torch.rand(t, 2, generator=generator) < 0.2
    return EventRows(
        n=len(lengths),
        sample=table.sample,
        start=start,
        time=torch.rand(t, generator=generator),
        variable=torch.randint(0, 5, (t,), generator=generator),
        values=torch.randn(t, 2, generator=generator).masked_fill(missing, 0),
        missing=missing,
        summary=table if summary else None,
    )


def content(rows: Rows, sample: int) -> object:
    """Return all that the rows hold of one sample, or None where it has no row."""
    found = (rows.sample == sample).nonzero()[:, 0]
    if not len(found):
        return None
    (i,) = found.tolist()
    if isinstance(rows, TableRows):
        return rows.values[i].tolist(), rows.missing[i].tolist(), rows.codes[i].tolist()
    here = slice(int(rows.start[i]), int(rows.start[i + 1]))
    return (
        [part[here].tolist() for part in (rows.time, rows.variable, rows.values, rows.missing)],
        None if rows.summary is None else content(rows.summary, sample),
    )


@st.composite
def questions(draw):
    """Draw who has the modality and with how many events, whom is asked for, and who keeps it."""
    lengths = draw(st.lists(st.none() | st.integers(0, 4), min_size=1, max_size=8))
    samples = draw(st.lists(st.integers(0, len(lengths) - 1), max_size=10))
    presence = draw(st.lists(st.booleans(), min_size=len(samples), max_size=len(samples)))
    return lengths, samples, presence


@given(questions(), st.booleans())
def test_take_equals_a_slow_loop(question, events) -> None:
    """Each asked sample that is present gets its own row back, repeated ones too; others get none."""
    lengths, samples, presence = question
    rows = event_rows(lengths) if events else table_rows([n is not None for n in lengths])
    taken = rows.take(
        torch.tensor(samples, dtype=torch.long), torch.tensor(presence, dtype=torch.bool)
    )
    assert type(taken) is type(rows)
    assert taken.n == len(samples)
    for i, (sample, present) in enumerate(zip(samples, presence, strict=True)):
        assert content(taken, i) == (content(rows, sample) if present else None)
    if isinstance(taken, EventRows) and taken.summary is not None:
        assert torch.equal(taken.summary.sample, taken.sample)
        assert taken.summary.n == taken.n


def test_take_refuses_a_sample_that_does_not_exist() -> None:
    """A position outside the set is an error, not an absent modality."""
    rows = table_rows([True, False])
    with pytest.raises(DatasetError, match=r"must lie in 0\.\.1, they go from -1 to 0"):
        rows.take(torch.tensor([0, -1]), torch.tensor([True, True]))
    with pytest.raises(DatasetError, match="two lists of one length"):
        rows.take(torch.tensor([0, 1]), torch.tensor([True]))


@given(st.lists(st.integers(0, 5), min_size=1, max_size=6), st.data())
def test_padding_holds_the_events_and_else_nothing(lengths, data) -> None:
    """Padded rows hold their events in order; all other slots are empty, missing and not valid."""
    rows = event_rows(lengths)
    index = data.draw(st.lists(st.integers(0, len(lengths) - 1), min_size=1, max_size=6))
    padded = rows.padded(torch.tensor(index))
    longest = max(lengths[i] for i in index)
    assert padded.values.shape == (len(index), longest, 2)
    for j, i in enumerate(index):
        here, n = slice(int(rows.start[i]), int(rows.start[i + 1])), lengths[i]
        assert torch.equal(padded.valid[j], torch.arange(longest) < n)
        for name in ("values", "missing", "variable", "time"):
            assert torch.equal(getattr(padded, name)[j, :n], getattr(rows, name)[here])
        assert not padded.values[j, n:].any()
        assert not padded.time[j, n:].any()
        assert not padded.variable[j, n:].any()
        assert padded.missing[j, n:].all()


def test_cleaning_forgets_what_stands_in_void_slots() -> None:
    """Poison in padded slots and missing cells is gone, bit for bit, after cleaning."""
    padded = event_rows([2, 0, 4]).padded()
    void = ~padded.valid
    poisoned = PaddedEvents(
        values=padded.values.masked_fill(padded.missing, float("nan")),
        missing=padded.missing & padded.valid[..., None],
        variable=padded.variable.masked_fill(void, 10**6),
        time=padded.time.masked_fill(void, 1e30),
        valid=padded.valid,
    ).clean()
    for name in ("values", "missing", "variable", "time", "valid"):
        assert torch.equal(getattr(poisoned, name), getattr(padded, name))


@given(st.lists(st.integers(0, 300), max_size=60), st.integers(1, 6))
def test_buckets_hold_each_row_once_by_length(lengths, n_buckets) -> None:
    """Buckets hold all rows once, are no more than asked for, and never interleave in length."""
    length = torch.tensor(lengths, dtype=torch.long)
    buckets = length_buckets(length, n_buckets=n_buckets)
    assert len(buckets) <= n_buckets
    assert sorted(i for bucket in buckets for i in bucket.tolist()) == list(range(len(lengths)))
    for shorter, longer in pairwise(buckets):
        assert length[shorter].max() < length[longer].min()


def slots(lengths: np.ndarray, cuts: tuple[int, ...]) -> int:
    """Return what padded groups of sorted lengths cost, a group itself as much as 512 slots."""
    groups = np.split(np.sort(lengths), cuts)
    return sum(len(group) * int(group.max()) + 512 for group in groups)


def test_buckets_waste_as_little_as_can_be() -> None:
    """No other cut into at most three groups has fewer padded slots."""
    lengths = np.random.default_rng(0).integers(0, 2000, 25)
    buckets = length_buckets(torch.from_numpy(lengths), n_buckets=3)
    made = sum(len(b) * int(lengths[b].max()) + 512 for b in (bucket.numpy() for bucket in buckets))
    inner = range(1, len(lengths))
    options = [(), *((i,) for i in inner), *((i, j) for i in inner for j in inner if i < j)]
    assert made == min(slots(lengths, cuts) for cuts in options)
    assert len(buckets) > 1


def test_a_heavy_tail_is_cut_off() -> None:
    """A few very long rows do not make all the others long, among many distinct lengths too."""
    lengths = torch.cat([torch.arange(1, 201), torch.tensor([5000, 5001])])
    buckets = length_buckets(lengths)
    assert buckets[-1].tolist() == [200, 201]
    assert sum(len(b) * int(lengths[b].max()) for b in buckets) < 2 * int(lengths.sum())


def test_one_giant_does_not_blur_the_others() -> None:
    """Beside one giant the many distinct short lengths are still cut among themselves."""
    short = torch.arange(1, 1001)
    *buckets, giant = length_buckets(torch.cat([short, torch.tensor([10**7])]))
    assert giant.tolist() == [1000]
    # Three equal cuts of evenly spread lengths pad 1 1/3 times.
    assert sum(len(b) * int(short[b].max()) for b in buckets) < 1.4 * int(short.sum())


def test_one_row_is_not_cut() -> None:
    """Small batches stay whole: a group costs more than their padding."""
    assert len(length_buckets(torch.tensor([1, 20]))) == 1
    assert length_buckets(torch.tensor([], dtype=torch.long)) == []


def test_rows_move_and_count_their_bytes() -> None:
    """Only floating tensors change their precision, in the summary too."""
    rows = event_rows([2, None, 3])
    double = rows.to(dtype=torch.float64)
    assert double.values.dtype == double.time.dtype == torch.float64
    assert double.summary is not None
    assert double.summary.values.dtype == torch.float64
    assert double.variable.dtype == double.summary.codes.dtype == torch.long
    assert double.missing.dtype == torch.bool
    floats = 5 * 2 + 5 + 2 * 3
    assert double.nbytes - rows.nbytes == 4 * floats
    assert rows.n_rows == 2
    assert rows.lengths.tolist() == [2, 3]


def test_rows_travel_to_other_processes() -> None:
    """Rows survive pickling, which is how they reach a parallel worker."""
    rows = event_rows([2, None, 3])
    copy = pickle.loads(pickle.dumps(rows))
    assert [content(copy, i) for i in range(3)] == [content(rows, i) for i in range(3)]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"sample": torch.tensor([2, 0])}, "ascending"),
        ({"sample": torch.tensor([0, 0])}, "ascending"),
        ({"sample": torch.tensor([0, 3])}, "ascending"),
        ({"missing": torch.zeros(2, 2, dtype=torch.bool)}, "missing has the shape"),
        ({"codes": torch.zeros(3, 1, dtype=torch.long)}, "codes has the shape"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(change, fault) -> None:
    """Rows out of order, repeated, beyond the samples, or of unequal shapes are named."""
    with pytest.raises(DatasetError, match=fault):
        replace(table_rows([True, False, True]), **change)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"start": torch.tensor([0, 2, 4])}, "start must rise from 0 to the 5 events"),
        ({"start": torch.tensor([0, 7, 5])}, "start must rise"),
        ({"time": torch.zeros(4)}, "variable has the shape"),
        ({"summary": table_rows([True, True, False])}, "summary must have the rows of the same"),
    ],
)
def test_events_that_do_not_fit_are_refused(change, fault) -> None:
    """Offsets that do not cover the events, unequal lists and foreign summaries are named."""
    with pytest.raises(DatasetError, match=fault):
        replace(event_rows([2, None, 3]), **change)
