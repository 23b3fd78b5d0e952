"""Bad input is refused with a message that says what to do, or counted where it can be left out."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from fusewise.data import Modality, MultimodalDataset
from fusewise.exceptions import (
    ColumnNotFoundError,
    DatasetError,
    DuplicateIdError,
    FusewiseError,
    FusewiseWarning,
    NotAvailableError,
    TableNotFoundError,
    TaskError,
)

SAMPLES = pd.DataFrame({"id": [1, 2, 3, 4], "y": [0, 1, 0, 1]})
TABLE = pd.DataFrame({"id": [1, 2, 3], "a": [1.0, 2.0, 3.0]})
EVENTS = pd.DataFrame(
    {"id": [1, 1, 2], "t": [0.0, 1.0, 2.0], "k": ["hr", "rr", "hr"], "v": [1.0, 2, 3]}
)
LONG = {"kind": "events", "time": "t", "variable": "k", "value": "v"}


def read(table=TABLE, *, samples=SAMPLES, name="m", id="id", target="y", task="auto", **declared):
    others = {k: declared.pop(k) for k in ("cluster", "groups", "extra") if k in declared}
    return MultimodalDataset(
        {name: Modality(table, **declared)},
        samples=samples,
        id=id,
        target=target,
        task=task,
        **others,
    )


# Files and columns --------------------------------------------------------------------------


def test_a_missing_file_is_named(tmp_path):
    """The message names the modality and the path, and is a FileNotFoundError too."""
    with pytest.raises(
        FileNotFoundError, match=r"modality 'm': no file or folder '.*none\.parquet'"
    ):
        read(tmp_path / "none.parquet")
    with pytest.raises(TableNotFoundError, match=r"samples: no file or folder '.*none\.csv'"):
        read(samples=tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: read(TABLE.rename(columns={"id": "pid"})),
            r"modality 'm': no column 'id'; it has pid, a\. Did you mean 'pid'\?",
        ),
        (lambda: read(columns=("b", "a")), "modality 'm': no column 'b'; it has id, a"),
        (
            lambda: read(EVENTS, **LONG | {"value": "value"}),
            "no column 'value'; it has id, t, k, v",
        ),
        (lambda: read(EVENTS, **LONG | {"time": "tt"}), r"no column 'tt'.* Did you mean 't'\?"),
        (lambda: read(id="ids"), r"samples: no column 'ids'; it has id, y\. Did you mean 'id'\?"),
        (lambda: read(target="yy"), r"samples: no column 'yy'.* Did you mean 'y'\?"),
        (lambda: read(cluster="patient"), "samples: no column 'patient'"),
        (lambda: read(present="has_m"), "samples: no column 'has_m'"),
    ],
)
def test_a_missing_column_is_named_with_a_suggestion(call, message):
    """The message names the table and shows what it has; the error is a KeyError too."""
    with pytest.raises(ColumnNotFoundError, match=message) as error:
        call()
    assert isinstance(error.value, KeyError)


@pytest.mark.parametrize("argument", ["groups", "extra"])
def test_one_word_is_no_list_of_columns(argument):
    """A string would be read letter by letter."""
    with pytest.raises(DatasetError, match=f"{argument}: expected a list of columns, got 'sex'"):
        read(**{argument: "sex"})
    with pytest.raises(DatasetError, match=r"columns= takes a list of columns, got 'a'"):
        read(columns="a")


def test_roles_cannot_be_named_as_features():
    """Id, time and target are refused where columns= names them."""
    with pytest.raises(DatasetError, match=r"'y' is the id, a time, or .* can be no feature"):
        read(TABLE.assign(y=1), columns=("a", "y"))
    with pytest.raises(DatasetError, match=r"'id' is the id, a time, or .* can be no feature"):
        read(columns=("id", "a"))
    with pytest.raises(DatasetError, match=r"'t' is the id, a time, or .* can be no feature"):
        read(EVENTS[["id", "t", "v"]], kind="events", time="t", columns=("t", "v"))


def test_the_target_in_a_modality_is_left_out():
    """The label that stands in another table too is no feature there, and that is said."""
    with pytest.warns(FusewiseWarning, match="'m': y also stands in the samples table as target"):
        ds = read(TABLE.assign(y=[0, 1, 0]))
    assert ds.feature_names("m") == ["a"]
    with (
        pytest.raises(DatasetError, match="'m': it has no feature column besides its ids"),
        pytest.warns(FusewiseWarning),
    ):
        read(TABLE.rename(columns={"a": "y"}))


# Ids ----------------------------------------------------------------------------------------


def test_duplicate_sample_ids_are_refused():
    """The message counts and shows them and says what a repeated unit is."""
    samples = pd.DataFrame({"id": [5, 5, 7, 7, 7], "y": [0, 1, 0, 1, 1]})
    with pytest.raises(
        DuplicateIdError, match=r"column 'id': .* 3 rows repeat one \(e\.g\. 5, 7\).*cluster="
    ):
        read(samples=samples)


def test_duplicate_rows_of_a_table_are_refused():
    """One row per sample; the message shows who has several and the three ways out."""
    table = pd.concat([TABLE, TABLE[1:]])
    with pytest.raises(
        DuplicateIdError,
        match=r"2 samples have several \(e\.g\. 2, 3\)\..* time= .*, or declare kind='events'",
    ):
        read(table)


def test_unknown_ids_are_counted():
    """Rows of samples that the samples table does not know are left out and counted."""
    ds = read(pd.concat([TABLE, pd.DataFrame({"id": [8, 9], "a": [1.0, 1.0]})]))
    assert ds.ingestion.loc["m", ["rows", "unknown_ids"]].tolist() == [5, 2]
    assert ds.features("m")[0].tolist() == [0, 1, 2]
    events = read(pd.concat([EVENTS, EVENTS.assign(id=9)]), **LONG)
    assert events.ingestion.loc["m", ["rows", "unknown_ids"]].tolist() == [6, 3]
    assert len(events.events("m")) == 3


@pytest.mark.parametrize("declared", [{}, LONG], ids=["table", "events"])
def test_a_modality_whose_ids_nobody_knows_is_warned_of(declared):
    """The warning says that all its ids are strange; the dataset is built without it."""
    strange = EVENTS.assign(id=EVENTS["id"].to_numpy() + 100 + np.arange(3))
    with pytest.warns(FusewiseWarning, match="'m': no sample has it: none of its 3 rows belongs"):
        ds = MultimodalDataset(
            {"m": Modality(strange, **declared), "n": TABLE}, samples=SAMPLES, id="id", target="y"
        )
    assert ds.presence.sum(axis=0).tolist() == [0, 3]
    assert ds.ingestion.loc["m", "unknown_ids"] == 3


def test_ids_that_no_modality_knows_are_refused():
    """With a target, a dataset in which nobody has anything is a mistake in the ids."""
    with (
        pytest.warns(FusewiseWarning, match="none of its 3 rows"),
        pytest.raises(DatasetError, match=r"knows any of the 4 samples.* such as 1\. Check id="),
    ):
        read(TABLE.assign(id=TABLE["id"] + 100))


def test_one_request_may_have_nothing():
    """Without a target, a single sample that no table knows is a sample without modalities."""
    with pytest.warns(FusewiseWarning, match="none of its 3 rows"):
        ds = read(samples=pd.DataFrame({"id": [77]}), target=None)
    assert ds.pattern.tolist() == ["(none)"]


@pytest.mark.parametrize("declared", [{}, LONG], ids=["table", "events"])
def test_text_and_numbers_are_different_ids(declared):
    """The message shows one id of each kind."""
    with pytest.raises(
        DatasetError,
        match=r"'m': its ids are text \(e\.g\. '\d'\) but .* whole numbers \(e\.g\. 1\)",
    ):
        read(EVENTS.astype({"id": str})[1:], **declared)
    with pytest.raises(DatasetError, match="its ids are whole numbers .* samples are text"):
        read(EVENTS[1:], samples=SAMPLES.astype({"id": str}), **declared)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (pa.array([1, None, 3]), "some ids are empty"),
        (pa.array([1.0, np.nan, 3.0]), r"some ids are empty \(NaN\)"),
        (pa.array([1.0, 1.5, 3.0]), "ids must be whole numbers or text, got fractions"),
    ],
    ids=["NULL", "NaN", "fraction"],
)
def test_ids_that_are_no_ids_are_refused(ids, message):
    """Every row needs an id, in the samples and in each modality, of both kinds."""
    table = pa.table({"id": ids, "t": [0, 1, 2], "a": [1.0, 2.0, 3.0], "y": [0, 1, 0]})
    with pytest.raises(DatasetError, match=f"samples, column 'id': {message}"):
        read(samples=table)
    for declared in ({"columns": ("a",)}, {"kind": "events", "time": "t", "columns": ("a",)}):
        with pytest.raises(DatasetError, match=f"modality 'm': {message}"):
            read(table, **declared)


def test_an_empty_cluster_is_refused():
    """Nobody knows which unit such a sample belongs to."""
    samples = SAMPLES.assign(patient=["p", None, "q", "q"])
    with pytest.raises(DatasetError, match="cluster column 'patient': some ids are empty"):
        read(samples=samples, cluster="patient")


# Samples and target -------------------------------------------------------------------------


def test_an_empty_samples_table_is_refused():
    """There is nothing to build a dataset from."""
    with pytest.raises(DatasetError, match="samples: the table is empty"):
        read(samples=SAMPLES[:0])


def test_a_dataset_needs_a_modality():
    """An empty dict is refused."""
    with pytest.raises(DatasetError, match="at least one modality, got none"):
        MultimodalDataset({}, samples=SAMPLES, id="id")


def test_samples_without_any_modality_are_allowed_and_counted():
    """They stay in the dataset; its repr says how many there are."""
    ds = read()
    assert ds.pattern.tolist() == ["m", "m", "m", "(none)"]
    assert "1 samples without any modality" in repr(ds)


def test_a_single_row_is_a_dataset():
    """One sample is enough to build and slice, where its task is said."""
    ds = read(TABLE[:1], samples=SAMPLES[:1], task="binary")
    assert (len(ds), ds.features("m")[1].shape) == (1, (1, 1))
    events = read(EVENTS[:1], samples=SAMPLES[:1], task="binary", **LONG)
    assert events.features("m")[1]["hr:count"].tolist() == [1.0]


@pytest.mark.parametrize(
    ("target", "task", "message"),
    [
        ([1, 1, 1, 1], "auto", r"one value only \(1\), so .* nothing can be learned"),
        (["a"] * 4, "auto", r"one value only \('a'\)"),
        ([1, 2, 3, 1], "auto", "whole numbers with 3 values may be classes or amounts"),
        ([1.0, 2.0, 3.0, 1.0], "auto", "whole numbers with 3 values may be classes or amounts"),
        ([0, 1, 2, 0], "binary", "'binary' takes two values, got 3"),
        (["a", "b", "a", "b"], "regression", "regression needs numbers, got text such as 'a'"),
        (
            [0.5, 1.5, 2.5, 0.5],
            "multiclass",
            "classes must be text or whole numbers, got fractions",
        ),
        ([0, 1, 0, 1], "classify", "task must be auto, binary, multiclass, regression, got 'cl"),
        (
            pd.to_datetime(["2024-01-01"] * 4),
            "auto",
            "expected numbers, booleans or text, got time",
        ),
    ],
)
def test_a_task_that_does_not_fit_is_refused(target, task, message):
    """One class only, or numbers that may be classes or amounts: the message says what to say."""
    with pytest.raises(TaskError, match=f"target 'y': .*{message}"):
        read(samples=SAMPLES.assign(y=target), task=task)


@pytest.mark.parametrize(
    ("target", "task", "found", "classes"),
    [
        ([0, 1, 0, 1], "auto", "binary", (0, 1)),
        ([False, True, False, True], "auto", "binary", (0, 1)),
        ([1.0, 2.0, 1.0, 2.0], "auto", "binary", (1, 2)),
        (["no", "yes", "no", "yes"], "auto", "binary", ("no", "yes")),
        (["a", "b", "c", "a"], "auto", "multiclass", ("a", "b", "c")),
        ([3, 1, 2, 3], "multiclass", "multiclass", (1, 2, 3)),
        ([0.5, 1.5, 2.5, 0.5], "auto", "regression", None),
        ([3, 1, 2, 3], "regression", "regression", None),
        ([1, 1, 1, 1], "binary", "binary", (1,)),
    ],
)
def test_a_task_that_is_clear_is_guessed(target, task, found, classes):
    """Two values are binary, words are classes, fractions are amounts."""
    ds = read(samples=SAMPLES.assign(y=target), task=task)
    assert (ds.task, ds.classes) == (found, classes)
    assert ds.target.dtype == (float if found == "regression" else ds.target.dtype)


@pytest.mark.parametrize(("n", "classes"), [(100, 21), (24, 6), (8, 7)])
def test_text_with_many_values_is_not_guessed(n, classes):
    """Names and free text are no classes unless they are declared to be."""
    samples = pd.DataFrame({"id": range(n), "y": [f"c{i % classes}" for i in range(n)]})
    message = f"target 'y': text with {classes} values in {n} samples .* task='multiclass'"
    with pytest.raises(TaskError, match=message):
        read(samples=samples)
    assert len(read(samples=samples, task="multiclass").classes) == classes


@pytest.mark.parametrize(("n", "classes"), [(100, 20), (25, 5), (5, 5), (30, 6)])
def test_text_with_few_values_is_classes(n, classes):
    """Up to 20 words, of five samples each or at most five of them, are classes."""
    samples = pd.DataFrame({"id": range(n), "y": [f"c{i % classes}" for i in range(n)]})
    assert read(samples=samples).task == "multiclass"


@pytest.mark.parametrize("task", ["auto", "multiclass", "regression"])
def test_the_id_is_no_target(task):
    """Every sample would be a class of its own, whatever task is declared."""
    with pytest.raises(TaskError, match="target 'id': it is the id column"):
        read(target="id", task=task)


def test_more_than_twenty_whole_numbers_are_amounts():
    """Ages are not classes."""
    samples = pd.DataFrame({"id": range(21), "y": range(21)})
    assert read(samples=samples).task == "regression"


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ([0, None, 1, None], "2 of 4 values are empty"),
        (pa.array([0.5, np.nan, 1.5, 2.0]), "1 values are NaN or infinite"),
        ([0.5, np.inf, 1.5, 2.0], "1 values are NaN or infinite"),
    ],
    ids=["NULL", "NaN", "infinite"],
)
def test_a_target_with_holes_is_refused(target, message):
    """No sample is dropped silently for want of a target."""
    samples = pa.table({"id": [1, 2, 3, 4], "y": target})
    with pytest.raises(DatasetError, match=f"target 'y': {message}"):
        read(samples=samples)


def test_tasks_and_kinds_that_do_not_exist_yet_say_so():
    """What is planned is told apart from what is misspelt."""
    with pytest.raises(NotAvailableError, match="'survival' is planned"):
        read(task="survival")
    with pytest.raises(NotAvailableError, match="kind 'image' is planned"):
        read(kind="image")
    with pytest.raises(NotAvailableError, match="kind 'text' is planned"):
        read("none.parquet", samples="none.parquet", kind="text")
    with pytest.raises(
        DatasetError, match=r"kind must be one of table, events, got 'event'.*Did you"
    ):
        read(kind="event")


# Values -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["1", "2.5", None, "4", "5", "<0.1"], r"1 of 5 values are no numbers \(e\.g\. '<0\.1'\)"),
        (
            ["1", "2", "3,5", "4", "", "9"],
            "1 of 5 values .* '3,5'.*clean it. Write decimals with a",
        ),
        (["1,5"] * 5 + ["2,5"], "6 of 6 values .* '1,5', '2,5'.* decimals with a point"),
    ],
    ids=["censored", "one comma", "commas"],
)
@pytest.mark.parametrize("kind", ["str", "category"])
def test_numbers_that_are_read_as_categories_are_warned_of(words, message, kind):
    """A column of numbers with a few other values is named, with the count and examples."""
    samples = pd.DataFrame({"id": range(6), "y": [0, 1] * 3})
    table = pd.DataFrame({"id": range(6), "a": pd.Series(words, dtype=kind)})
    with pytest.warns(FusewiseWarning, match=f"modality 'm', column 'a': {message}"):
        ds = read(table, samples=samples)
    assert ds.features("m")[1]["a"].dtype == object


@pytest.mark.parametrize("words", [["a", "b", "3", "4"], ["001", "002", "", None], [None] * 4])
def test_categories_are_warned_of_only_where_they_look_like_numbers(words):
    """Words, and codes stored as text, are categories."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", FusewiseWarning)
        read(pd.DataFrame({"id": [1, 2, 3, 4], "a": pd.Series(words, dtype="str")}))


def test_a_value_that_is_no_number_is_named():
    """The message names value, variable and sample, and counts how many there are."""
    events = EVENTS.assign(v=["1.5", "high", "pending"])
    with pytest.raises(
        DatasetError,
        match=r"column 'v': expected numbers, got 'high' for variable 'rr' of sample 1 \(2 such",
    ):
        read(events, **LONG)


def test_only_values_that_count_have_to_be_numbers():
    """A word under an unknown sample or an absent modality is never looked at."""
    events = EVENTS.assign(id=[1, 9, 2], v=["1.5", "high", "pending"])
    samples = SAMPLES.assign(has=[True, True, False, False])
    with pytest.raises(DatasetError, match="got 'pending' for variable 'hr' of sample 2"):
        read(events, **LONG, present="has", samples=samples)
    samples["has"] = [True, False, False, False]
    assert len(read(events, **LONG, present="has", samples=samples).events("m")) == 1


def test_a_wide_column_that_is_no_number_is_named():
    """Wide events hold numbers; the message offers the long form."""
    events = pd.DataFrame({"id": [1], "t": [0.0], "hr": ["fast"]})
    with pytest.raises(
        DatasetError, match=r"column 'hr': expected numbers, got .*string.* long events"
    ):
        read(events, kind="events", time="t")
    with pytest.raises(DatasetError, match="wide events need at least one variable column"):
        read(events[["id", "t"]], kind="events", time="t")


def test_values_of_another_type_are_named():
    """A value column of dates is no number either."""
    with pytest.raises(DatasetError, match="column 'v': expected numbers, got values of type"):
        read(EVENTS.assign(v=pd.Timestamp("2024-01-01")), **LONG)


def test_a_column_of_mixed_types_is_named():
    """A frame whose column holds numbers and words cannot be stored."""
    with pytest.raises(DatasetError, match="'m': a column mixes types .* column a"):
        read(TABLE.assign(a=[1, "two", 3.0]))


def test_nan_and_infinities_are_counted():
    """Both become missing values of a present modality."""
    table = pa.table({"id": [1, 2, 3], "a": [np.nan, np.inf, -np.inf], "b": [None, 1.0, 2.0]})
    ds = read(table)
    assert ds.ingestion.loc["m", ["infinities", "missing_values"]].tolist() == [2, 4]
    assert ds.presence[:3, 0].all()
    assert ds.features("m")[1]["a"].isna().all()


def test_values_of_samples_that_do_not_count_are_not_counted():
    """Infinities under unknown ids or absent modalities are nobody's."""
    table = pd.DataFrame({"id": [1, 2, 9], "a": [1.0, np.inf, np.inf]})
    ds = read(table, present="has", samples=SAMPLES.assign(has=[True, False, True, False]))
    assert ds.ingestion.loc["m", ["infinities", "missing_values"]].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("table", "declared"),
    [
        (TABLE[:0], {}),
        (EVENTS[:0], LONG),
        (EVENTS[:0][["id", "t", "v"]], {"kind": "events", "time": "t"}),
        (pd.DataFrame({c: [] for c in EVENTS}), LONG),
        (pd.DataFrame({c: pd.Series([], dtype=object) for c in TABLE}), {}),
    ],
    ids=["table", "long events", "wide events", "untyped events", "untyped table"],
)
def test_an_empty_table_is_a_modality_that_nobody_has(table, declared):
    """It is warned of, drawn with a rate of zero, and gives no features for nobody."""
    with pytest.warns(FusewiseWarning, match="modality 'm': no sample has it"):
        ds = read(table, **declared)
    assert ds.presence.sum() == 0
    positions, frame = ds.features("m")
    assert (len(positions), len(frame)) == (0, 0)
    assert ds.patterns()["pattern"].tolist() == ["(none)"]
    assert "0.0%" in repr(ds)


def test_events_after_the_prediction_time_are_counted_and_never_used():
    """A sample with late events alone does not have the modality."""
    ds = MultimodalDataset(
        {"m": Modality(EVENTS, **LONG)}, samples=SAMPLES, id="id", prediction_time=0.5
    )
    assert ds.ingestion.loc["m", "after_prediction_time"] == 2
    assert ds.presence[:, 0].tolist() == [True, False, False, False]
    assert ds.events("m")["value"].tolist() == [1.0]
    assert ds.feature_names("m") == sorted(ds.feature_names("m"))
    assert all(name.startswith("hr:") for name in ds.feature_names("m"))


# Declarations -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ehr+imaging", "", " ", "ehr ", "(none)"])
def test_names_that_patterns_cannot_hold_are_refused(name):
    """Names are joined by '+' in patterns."""
    with pytest.raises(DatasetError, match=r"name must not be empty.*'\+', which joins names"):
        read(name=name)


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"kind": "events"}, "events need time="),
        ({"kind": "events", "time": "t", "variable": "k"}, "variable= and value= belong together"),
        ({"variable": "k", "value": "v"}, "are for kind 'events'"),
        ({"absent_when": "null"}, "absent_when must be 'all_null', got 'null'"),
        ({"absent_when": "all_null", "present": "y"}, "declare presence once"),
        (LONG | {"columns": ("v",)}, "columns= is for wide events"),
    ],
)
def test_declarations_that_contradict_themselves_are_refused(declared, message):
    """The message names the modality and the two sides."""
    with pytest.raises(DatasetError, match=f"modality 'm': .*{message}"):
        read(EVENTS, **declared)


def test_good_input_warns_of_nothing():
    """Nothing is said where nothing was left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", FusewiseWarning)
        assert read().ingestion.loc["m"].drop("rows").sum() == 0
        assert read(EVENTS, **LONG).ingestion.loc["m"].drop("rows").sum() == 0


def test_every_error_is_ours_and_a_builtin_one():
    """Except ValueError keeps working, and so does except FusewiseError."""
    with pytest.raises(ValueError, match="at least one modality"):
        MultimodalDataset({}, samples=SAMPLES, id="id")
    assert issubclass(DatasetError, FusewiseError)
