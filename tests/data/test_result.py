"""Results go to JSON and back without loss, and are written whole or not at all."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusewise.data import Result, write_atomically
from fusewise.exceptions import RunFolderError


@dataclass(frozen=True, eq=False)
class Inner(Result):
    """A result within a result."""

    value: float
    table: pd.DataFrame


@dataclass(frozen=True, eq=False)
class Outer(Result):
    """A result that holds anything."""

    content: Any
    note: str = "none"


def there_and_back(content):
    """Return the content after a journey through JSON text."""
    return Outer.from_json(Outer(content).to_json()).content


TABLE = pd.DataFrame(
    {
        "pattern": ["ehr", "ehr+imaging", None],
        "n": [3, -(2**62), 0],
        "share": [0.1, math.nan, -math.inf],
        "small": [True, False, True],
        "class": pd.Categorical(["b", None, "a"], categories=["b", "a", "c"], ordered=True),
        "code": pd.Categorical([3, 1, 3]),
        "count": pd.array([1, None, 3], dtype="Int64"),
        "flag": pd.array([True, None, False], dtype="boolean"),
        "single": np.array([0.1, 0.2, 0.3], dtype=np.float32),
        "tiny": np.array([1, 2, 3], dtype=np.int8),
        "day": pd.to_datetime(["2024-01-01", None, "2024-01-03"]),
        "zoned": pd.to_datetime(["2024-01-01", None, "2024-01-03"]).tz_localize("Europe/Berlin"),
        "anything": pd.Series([1, "one", math.nan], dtype=object),
    }
)

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(
            st.text(max_size=6) | st.sampled_from(["$table", "$float"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(plain)
def test_plain_values_come_back_as_they_were(content):
    """Numbers, text, None, lists, tuples and dicts of any depth: same values and same types."""
    again = there_and_back(content)
    assert repr(again) == repr(content)


@given(
    st.lists(st.floats(), max_size=6),
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=6),
)
def test_columns_come_back_to_the_bit(floats, integers):
    """Every float and every integer, also NaN, infinities and minus zero."""
    for values, dtype in ((floats, float), (integers, np.int64)):
        table = pd.DataFrame({"x": np.array(values, dtype=dtype)})
        again = there_and_back(table)
        assert again["x"].dtype == dtype
        np.testing.assert_array_equal(again["x"], table["x"])
        # The sign of what is no number means nothing, and JSON has no place for it.
        signs = [np.signbit(t["x"].dropna()) for t in (again, table)]
        np.testing.assert_array_equal(*signs)


@pytest.mark.parametrize(
    "table",
    [
        TABLE,
        TABLE[:0],
        TABLE[["n"]].set_axis(["a", "b", "c"]),
        TABLE[TABLE["small"]],
        TABLE[["n"]].rename_axis("row"),
        TABLE[["n"]].set_axis(pd.CategoricalIndex(["x", "y", "x"], name="m")),
        pd.DataFrame(),
        pd.DataFrame(index=[5, 6]),
        pd.DataFrame(columns=["a", "b"]),
        pd.DataFrame({"": [1], "ä b": [2]}),
    ],
    ids=["all types", "no rows", "named rows", "filtered", "named index", "categories", "empty",
         "rows only", "columns only", "odd names"],
)  # fmt: skip
def test_tables_come_back_with_their_types(table):
    """Types, categories and their order, missing values, row labels, also where nothing is left."""
    again = there_and_back(table)
    pd.testing.assert_frame_equal(again, table, check_exact=True, check_column_type=False)
    assert Outer(again) == Outer(table)


def test_results_nest():
    """A result inside dicts and tuples comes back as its class."""
    inner = Inner(math.inf, TABLE)
    again = there_and_back({"a": (inner, [inner]), "b": None})
    assert isinstance(again["a"], tuple)
    assert isinstance(again["a"][0], Inner)
    assert again["a"][0] == inner == again["a"][1][0]


def test_numpy_scalars_become_plain_numbers():
    """A float64 is a float, a bool_ a bool."""
    again = there_and_back((np.float64(0.1), np.int8(3), np.bool_(True), np.float32(0.5)))
    assert again == (0.1, 3, True, 0.5)
    assert [type(v) for v in again] == [float, int, bool, float]


def test_equality_is_of_class_and_content():
    """NaN equals NaN here; another value, type of column or class does not."""
    assert Outer(math.nan) == Outer(math.nan)
    assert Outer(TABLE) == Outer(TABLE.copy())
    assert Outer(TABLE) != Outer(TABLE.astype({"n": float}))
    assert Outer(1) != Outer(2)
    assert Outer((1,)) != Outer([1])
    assert Outer(1) != 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.zeros(3), "tables and numbers, not arrays"),
        ({1: "one"}, "by text, got 1"),
        (pd.DataFrame({0: [1]}), "by text, got 0"),
        ({"a": {1, 2}}, "cannot hold set"),
        (object(), "cannot hold object"),
        (pd.DataFrame({"x": [1]}, index=pd.MultiIndex.from_tuples([(1, 2)])), "one level"),
    ],
    ids=["array", "key", "column", "set", "object", "levels"],
)
def test_what_would_be_lost_is_refused(content, message):
    """A result that could not come back is not written."""
    with pytest.raises((TypeError, ValueError), match=message):
        Outer(content).to_json()


def test_json_of_unknown_kinds_is_refused():
    """The message names the class that is not known."""
    text = Outer(Inner(1.0, TABLE)).to_json().replace('"Inner"', '"Stranger"')
    with pytest.raises(ValueError, match="unknown kind 'Stranger'"):
        Outer.from_json(text)


def test_fields_that_are_new_take_their_default():
    """JSON of an older version, without a field, is still read; an unknown field is ignored."""
    assert Outer.from_dict({"content": 1, "later": 2}) == Outer(1)


def test_json_is_plain_text_of_standard_json(tmp_path):
    """No NaN literal, names readable; the file holds what to_json returns."""
    result = Outer({"größe": math.nan})
    text = result.to_json(tmp_path / "result.json")
    assert "NaN," not in text.replace('"NaN"', "")
    assert "größe" in text
    assert (tmp_path / "result.json").read_text(encoding="utf-8") == text
    assert Outer.from_json(tmp_path / "result.json") == result
    assert Outer.from_json(str(tmp_path / "result.json")) == result


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    """The old content stays, and no half-written file is left behind."""
    path = tmp_path / "result.json"
    Outer("old").to_json(path)

    def fail(self, target):
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        Outer("new").to_json(path)
    assert Outer.from_json(path).content == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["result.json"]


def test_a_result_that_cannot_be_written_keeps_the_old_file(tmp_path):
    """Content that JSON cannot hold is found before anything is touched."""
    path = tmp_path / "result.json"
    Outer("old").to_json(path)
    with pytest.raises(TypeError):
        Outer(np.zeros(2)).to_json(path)
    assert Outer.from_json(path).content == "old"


def test_files_are_as_readable_as_the_umask_allows(tmp_path):
    """Results can be shared: they are not private as temporary files are."""
    before = os.umask(0o022)
    try:
        write_atomically(tmp_path / "a.json", b"{}")
    finally:
        os.umask(before)
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o644


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    """The message names the folder that is missing, and no temporary file."""
    with pytest.raises(RunFolderError) as caught:
        write_atomically(tmp_path / "none" / "a.json", b"{}")
    assert str(caught.value) == f"the folder '{tmp_path / 'none'}' does not exist. Create it."
    assert caught.value.strerror == f"the folder '{tmp_path / 'none'}' does not exist"
