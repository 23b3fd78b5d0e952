"""The encoder of one modality: levels, empty cells, and columns that come otherwise."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fusewise.exceptions import DatasetError, FusewiseWarning
from fusewise.fusion.encode import FeatureEncoder


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "age": [50.0, np.nan, 70.0],
            "stage": np.array(["early", None, "late"], dtype=object),
        }
    )


def test_an_empty_cell_of_a_category_is_a_level_of_its_own(frame):
    """Numbers keep NaN; each level, the empty one too, has an indicator."""
    encoder = FeatureEncoder("clinic", "table").fit(frame)
    got = encoder.transform(frame)
    np.testing.assert_array_equal(got[:, 0], [50, np.nan, 70])
    assert got[:, 1:].sum(axis=1).tolist() == [1, 1, 1]
    assert got.shape[1] == 4


def test_a_level_that_training_never_saw_is_none_of_them(frame):
    """An unknown level has no indicator."""
    encoder = FeatureEncoder("clinic", "table").fit(frame)
    other = frame.assign(stage=np.array(["new", "early", "late"], dtype=object))
    assert encoder.transform(other)[:, 1:].sum(axis=1).tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("age", np.array(["old", None, None], dtype=object), "fitted as numbers and came as text"),
        ("stage", np.array([1.0, 2.0, np.nan]), "fitted as text and came as numbers"),
    ],
)
def test_a_column_of_another_type_is_named(frame, column, values, message):
    """The modality, the column and an example are named."""
    encoder = FeatureEncoder("clinic", "table").fit(frame)
    with pytest.raises(DatasetError, match=f"'clinic', column '{column}'.*{message}"):
        encoder.transform(frame.assign(**{column: values}))


def test_a_column_that_came_empty_is_missing(frame):
    """An all-empty column has no type to compare."""
    encoder = FeatureEncoder("clinic", "table").fit(frame)
    got = encoder.transform(frame.assign(stage=np.full(3, np.nan)))
    assert got.shape == (3, 4)


def test_free_text_is_left_out_and_said():
    """A column with a different value in almost every row is no category."""
    notes = np.array([f"note {i}" for i in range(80)], dtype=object)
    frame = pd.DataFrame({"note": notes, "x": np.arange(80.0)})
    with pytest.warns(FusewiseWarning, match="note has a different value in almost every row"):
        encoder = FeatureEncoder("notes", "table").fit(frame)
    assert encoder.transform(frame).shape == (80, 1)
