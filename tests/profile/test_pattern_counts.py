"""Pattern counts: what they must keep of the presence they are reduced from."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from fusewise.exceptions import DatasetError
from fusewise.profile.availability import (
    complete_case_table,
    copresence_table,
    group_table,
    rate_table,
    summarise,
)
from fusewise.profile.counts import MISSING_LEVEL, PatternCounts

presences = arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=66))


def names(presence: np.ndarray) -> tuple[str, ...]:
    """Name the columns so that alphabetical order is not column order."""
    return tuple(f"m{(7 * i) % 97:02d}" for i in range(presence.shape[1]))


@given(presences)
def test_counts_keep_every_sample(presence: np.ndarray) -> None:
    """The counts sum to the number of samples, and each pattern stands once."""
    counts = PatternCounts.of(names(presence), presence)
    assert counts.total == len(presence)
    assert (counts.n > 0).all()
    assert len(set(counts.labels())) == len(counts.n)


@given(presences)
def test_rates_from_patterns_equal_rates_from_presence(presence: np.ndarray) -> None:
    """Nothing about single modalities is lost by counting patterns."""
    counts = PatternCounts.of(names(presence), presence)
    assert counts.n_present.tolist() == presence.sum(axis=0).tolist()
    np.testing.assert_allclose(rate_table(counts)["rate"], presence.mean(axis=0))
    assert counts.n_complete == presence.all(axis=1).sum()


@settings(max_examples=40)
@given(presences, st.randoms(use_true_random=False))
def test_the_order_of_samples_has_no_effect(presence: np.ndarray, random) -> None:
    """Counts of shuffled samples are the same table in the same order."""
    order = list(range(len(presence)))
    random.shuffle(order)
    levels = pd.DataFrame({"site": np.arange(len(presence)) % 3})
    one = PatternCounts.of(names(presence), presence, levels=levels)
    two = PatternCounts.of(names(presence), presence[order], levels=levels.iloc[order])
    assert one.labels() == two.labels()
    assert one.n.tolist() == two.n.tolist()
    pd.testing.assert_frame_equal(one.levels, two.levels)


@settings(max_examples=30)
@given(presences)
def test_phi_is_the_correlation_of_presences(presence: np.ndarray) -> None:
    """Phi is symmetric, equals Pearson's correlation, and is NaN only for a constant presence."""
    table = copresence_table(PatternCounts.of(names(presence), presence))
    column = dict(zip(names(presence), presence.T, strict=True))
    phi = {(r.modality, r.other): r.phi for r in table.itertuples()}
    for (a, b), value in list(phi.items())[:50]:
        assert value == phi[b, a] or np.isnan([value, phi[b, a]]).all()
        constant = column[a].all() or not column[a].any() or column[b].all() or not column[b].any()
        assert np.isnan(value) == constant
        if not constant:
            assert value == pytest.approx(np.corrcoef(column[a], column[b])[0, 1], abs=1e-9)
    both = {(r.modality, r.other): r.both for r in table.itertuples()}
    for (a, b), value in list(both.items())[:50]:
        assert value == pytest.approx((column[a] & column[b]).mean())


@settings(max_examples=30)
@given(presences)
def test_groups_divide_the_samples(presence: np.ndarray) -> None:
    """Over the levels of a group, sizes sum to all samples and present ones to all present ones."""
    site = np.array(["north", None, "south"], dtype=object)[np.arange(len(presence)) % 3]
    levels = pd.DataFrame({"site": site, "wave": np.arange(len(presence)) % 2})
    table = group_table(PatternCounts.of(names(presence), presence, levels=levels))
    assert set(table["group"]) == {"site", "wave"}
    first = table[table["modality"] == names(presence)[0]]
    for _, part in first.groupby("group"):
        assert part["n"].sum() == len(presence)
        assert (part["n"] * part["rate"]).sum() == pytest.approx(presence[:, 0].sum())
    if len(presence) > 1:
        assert MISSING_LEVEL in set(table["level"])


def test_weighted_rows_stand_for_many_samples() -> None:
    """A row with n = 5 counts as five samples."""
    counts = PatternCounts.of(("a", "b"), [[1, 0], [1, 1]], n=[5, 2])
    assert counts.total == 7
    assert counts.n_present.tolist() == [7, 2]


def test_aligned_reorders_and_fills_with_absence() -> None:
    """A modality that the counts do not know is absent for everyone."""
    counts = PatternCounts.of(("a", "b"), [[1, 0], [1, 1]]).aligned(("c", "b", "a"))
    assert counts.modalities == ("c", "b", "a")
    assert counts.n_present.tolist() == [0, 1, 2]


def test_all_figures_of_a_known_table() -> None:
    """A table small enough to count by hand."""
    presence = [[1, 1], [1, 1], [1, 0], [0, 0]]
    found = summarise(PatternCounts.of(("x", "y"), presence))
    assert found.n_samples == 4
    assert found.patterns.to_dict("list") == {
        "pattern": ["x+y", "(none)", "x"],
        "n": [2, 1, 1],
        "share": [0.5, 0.25, 0.25],
    }
    assert found.rates["rate"].tolist() == [0.75, 0.5]
    assert found.copresence["both"].tolist() == [0.5, 0.5]
    assert found.complete_case["share"].tolist() == [0.5]
    assert found.group_rates.empty


def test_one_modality_has_no_pairs() -> None:
    """With a single modality the table of pairs is empty and nothing fails."""
    counts = PatternCounts.of(("x",), [[True], [False]])
    assert copresence_table(counts).empty
    assert complete_case_table(counts)["share"].item() == 0.5


def test_a_presence_of_another_width_is_refused() -> None:
    """The message names the modalities and the shape that came."""
    with pytest.raises(DatasetError, match=r"\(n_samples, 2\).*a, b.*\(1, 3\)"):
        PatternCounts.of(("a", "b"), [[1, 0, 1]])
