"""Effective dimension, of data whose dimension is known."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from fusewise.profile import effective_dimension
from fusewise.profile.dimensions import dimension_ratio, to_matrix


@pytest.mark.parametrize(("n", "p"), [(2000, 5), (2000, 100), (200, 100), (100, 1000)])
def test_isotropic_data_have_their_number_of_columns(n: int, p: int) -> None:
    """Uncorrelated features fill every direction, also where there are more than samples."""
    values = np.random.default_rng(0).normal(size=(n, p))
    assert effective_dimension(values) == pytest.approx(p, rel=0.05)


@pytest.mark.parametrize("n", [50, 2000])
def test_copies_of_one_feature_have_one_dimension(n: int) -> None:
    """Rank one is one dimension, whatever the scales."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=(n, 1)) * rng.uniform(0.1, 100, size=(1, 30)) + 5
    assert effective_dimension(values) == pytest.approx(1, abs=0.05)


def test_blocks_of_copies_count_once_each() -> None:
    """Four independent features, each copied five times, are four dimensions."""
    values = np.repeat(np.random.default_rng(2).normal(size=(3000, 4)), 5, axis=1)
    assert effective_dimension(values) == pytest.approx(4, rel=0.02)


def test_the_known_ratio_of_an_equicorrelated_matrix() -> None:
    """With correlation r among p features the ratio is p / (1 + (p - 1) r^2)."""
    p, r = 50, 0.3
    rng = np.random.default_rng(3)
    shared = rng.normal(size=(20_000, 1))
    values = math.sqrt(r) * shared + math.sqrt(1 - r) * rng.normal(size=(20_000, p))
    expected = p / (1 + (p - 1) * r**2)
    assert effective_dimension(values) == pytest.approx(expected, rel=0.05)


def test_scale_shift_and_order_have_no_effect() -> None:
    """Features are standardised, so their units do not matter."""
    rng = np.random.default_rng(4)
    values = rng.normal(size=(300, 8)) @ rng.normal(size=(8, 8))
    changed = (values * rng.uniform(1, 1e4, 8) + 1e3)[rng.permutation(300)][:, ::-1]
    assert effective_dimension(changed) == pytest.approx(effective_dimension(values))


def test_constant_and_empty_columns_do_not_count() -> None:
    """What does not vary has no direction; without any variation the dimension is zero."""
    values = np.random.default_rng(5).normal(size=(500, 3))
    more = np.column_stack([values, np.full(500, 0.1), np.full(500, np.nan)])
    assert effective_dimension(more) == pytest.approx(effective_dimension(values))
    assert effective_dimension(np.full((10, 2), 0.1)) == 0


def test_missing_cells_do_not_break_it() -> None:
    """A fifth of the cells missing at random leaves isotropic data nearly isotropic."""
    rng = np.random.default_rng(6)
    values = rng.normal(size=(2000, 20))
    values[rng.random(values.shape) < 0.2] = np.nan
    assert effective_dimension(values) == pytest.approx(20, rel=0.05)


def test_too_few_samples_are_not_guessed_from() -> None:
    """Three samples tell no dimension."""
    assert math.isnan(effective_dimension(np.eye(3)))


def test_categories_become_columns() -> None:
    """A categorical column counts one column per level; an empty cell has none."""
    frame = pd.DataFrame({"x": [1.0, 2.0, np.nan], "word": ["a", "b", None]})
    matrix = to_matrix(frame)
    np.testing.assert_array_equal(matrix[:, 1:], [[1, 0], [0, 1], [0, 0]])


def test_the_ratio_ignores_what_nobody_has() -> None:
    """Only modalities with samples and columns are compared."""
    table = pd.DataFrame({"n": [5, 0, 5, 5], "width": [2, 1000, 0, 50]})
    assert dimension_ratio(table) == 25
    assert math.isnan(dimension_ratio(table.head(0)))
