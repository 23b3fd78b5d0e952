"""The additive projection: what is a sum over modalities stays, what acts together goes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusewise.profile.additive import additive_projection

BLOCKS = [slice(3, 5), slice(5, 6), slice(6, 8)]


def samples(rng: np.random.Generator, presence: np.ndarray) -> np.ndarray:
    """Flags of presence, then the columns of three modalities; NaN where one is absent."""
    values = rng.normal(size=(len(presence), 5))
    for m, block in enumerate(BLOCKS):
        columns = np.arange(8)[block] - 3
        values[np.ix_(~presence[:, m], columns)] = np.nan
    return np.concatenate([presence.astype(float), values], axis=1)


@given(
    st.integers(0, 10_000),
    st.lists(st.tuples(*[st.booleans()] * 3).filter(any), min_size=1, max_size=12),
)
def test_a_sum_over_modalities_is_returned_unchanged(seed: int, patterns: list) -> None:
    """Also where each term depends on which modalities are present, and whoever lends values."""
    rng = np.random.default_rng(seed)
    presence = np.array(patterns)
    everyone = np.ones((5, 3), dtype=bool)

    def model(rows: np.ndarray) -> np.ndarray:
        flags, x = rows[:, :3], np.nan_to_num(rows[:, 3:])
        n = flags.sum(axis=1)
        terms = np.sin(x[:, 0] * x[:, 1]) * n + np.exp(x[:, 2] / 3) * flags[:, 0] + x[:, 3] / n
        return np.stack([terms + flags[:, 1], -terms], axis=1)

    rows = samples(rng, presence)
    found = additive_projection(
        model, rows, presence, BLOCKS, samples(rng, everyone), everyone, rng, n_donors=4
    )
    np.testing.assert_allclose(found, model(rows), atol=1e-9)


def test_a_product_loses_what_acts_together() -> None:
    """Of x_a x_b with lent values of mean zero nothing is left."""
    rng = np.random.default_rng(0)
    presence = np.ones((50, 3), dtype=bool)
    rows, lent = samples(rng, presence), samples(rng, np.ones((4_000, 3), dtype=bool))
    found = additive_projection(
        lambda r: (r[:, 3] * r[:, 5])[:, None], rows, presence, BLOCKS, lent,
        np.ones((4_000, 3), dtype=bool), rng, n_donors=4_000,
    )  # fmt: skip
    assert np.abs(rows[:, 3] * rows[:, 5]).max() > 1
    assert np.abs(found).max() < 0.2


def test_a_sample_with_one_modality_keeps_what_the_model_says() -> None:
    """There is nothing that could act together with it."""
    rng = np.random.default_rng(0)
    presence = np.array([[True, False, False]] * 4)
    rows = samples(rng, presence)
    lent, everyone = samples(rng, np.ones((9, 3), dtype=bool)), np.ones((9, 3), dtype=bool)
    found = additive_projection(
        lambda r: np.exp(r[:, 3:5]), rows, presence, BLOCKS, lent, everyone, rng
    )
    np.testing.assert_allclose(found, np.exp(rows[:, 3:5]))


@pytest.mark.parametrize("n", [0, 1])
def test_few_samples(n: int) -> None:
    """None gives none."""
    rng = np.random.default_rng(0)
    presence = np.ones((n, 3), dtype=bool)
    rows = samples(rng, presence)
    found = additive_projection(
        lambda r: r[:, 3:4], rows, presence, BLOCKS, samples(rng, np.ones((2, 3), dtype=bool)),
        np.ones((2, 3), dtype=bool), rng,
    )  # fmt: skip
    assert found.shape == (n, 1)
