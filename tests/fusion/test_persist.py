"""Model files: what is loaded equals what was saved, and nothing in a file can run."""

from __future__ import annotations

import collections
import enum
import functools
import hashlib
import io
import itertools
import json
import os
import pickle
import pkgutil
import sys
import zipfile
from dataclasses import dataclass, field
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
import skops.io
from hypothesis import given, settings
from hypothesis import strategies as st
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    QuantileTransformer,
    StandardScaler,
)
from sklearn.svm import SVC

from fusewise.exceptions import ModelFormatError, RunFolderError
from fusewise.fusion import persist
from fusewise.fusion.persist import load_model, read_manifest, save_model
from fusewise.fusion.persist_trees import _check_booster
from fusewise.fusion.persist_types import TRUSTED_TYPES

HERE = f"{__name__}.Holder"


class Holder(ClassifierMixin, BaseEstimator):
    """An estimator of somebody else, with one attribute of any kind."""

    def __init__(self, value=None):
        self.value = value


@dataclass(frozen=True)
class Facts:
    rate: float = 0.5
    names: tuple[str, ...] = ("a", "b")
    weights: dict[str, float] = field(default_factory=dict)


class Colour(enum.Enum):
    RED = 1


def identity(x):
    return x


def data(kind="mixed"):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=120), "b": rng.normal(size=120)})
    frame["c"] = np.array(["u", "v", None], dtype=object)[rng.integers(0, 3, 120)]
    frame.loc[3, "a"] = np.nan
    label = np.where(frame["b"] + rng.normal(size=120) > 0, "yes", "no")
    return (frame if kind == "mixed" else frame[["a", "b"]].fillna(0).to_numpy()), label


def columns(encoder):
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    return ColumnTransformer([("n", numbers, ["a", "b"]), ("c", encoder, ["c"])])


ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
lgbm = {"n_estimators": 5, "verbose": -1, "n_jobs": 1}
MODELS = {
    "one-hot, logistic": ("mixed", make_pipeline(columns(OneHotEncoder()), LogisticRegression())),
    "ordinal, boosting": ("mixed", make_pipeline(columns(ordinal), HistGradientBoostingClassifier(max_iter=4))),
    "ordinal, lightgbm": ("mixed", make_pipeline(columns(ordinal), LGBMClassifier(**lgbm))),
    "native categories": ("numbers", LGBMClassifier(**lgbm, min_data_per_group=5)),
    "forest": ("numbers", RandomForestClassifier(4, random_state=0)),
    "gradient boosting": ("numbers", GradientBoostingClassifier(n_estimators=3)),
    "calibrated": ("numbers", CalibratedClassifierCV(LogisticRegression(), method="isotonic")),
    "sigmoid": ("numbers", CalibratedClassifierCV(GaussianNB())),
    "grid": ("numbers", GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, cv=2)),
    "vote": ("numbers", VotingClassifier([("a", LogisticRegression())], voting="soft")),
    "network": ("numbers", MLPClassifier(max_iter=200, tol=1e-2)),
    "vector machine": ("numbers", SVC()),
    "components": ("numbers", make_pipeline(QuantileTransformer(n_quantiles=9), PCA(1), GaussianNB())),
    "function": ("numbers", make_pipeline(FunctionTransformer(np.abs), LogisticRegression())),
}  # fmt: skip
REGRESSORS = [
    RidgeCV(),
    LGBMRegressor(**lgbm),
    HistGradientBoostingRegressor(max_iter=3),
    ExtraTreesRegressor(3),
]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "model.fusewise"


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Return the bytes of a small valid file."""
    path = tmp_path_factory.mktemp("good") / "m.fusewise"
    save_model(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), path)
    return path.read_bytes()


def write(path, content, *, manifest=None, extra=(), compression=zipfile.ZIP_STORED):
    """Write a model file by hand around any content, with a checksum that fits."""
    facts = {
        "format": "fusewise-model",
        "version": 1,
        "members": {"model.skops": {"sha256": hashlib.sha256(content).hexdigest()}},
    }
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("manifest.json", json.dumps(facts | (manifest or {})))
        archive.writestr("model.skops", content)
        for name, value in extra:
            archive.writestr(name, value)
    return path


def rewrite(content, *, change=None, extra=(), compression=zipfile.ZIP_STORED):
    """Return a skops file with its schema changed or with further parts."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(buffer, "w", compression) as new,
    ):
        for name in old.namelist():
            part = old.read(name)
            if name == "schema.json" and change:
                schema = json.loads(part)
                change(schema)
                part = json.dumps(schema).encode()
            new.writestr(name, part)
        for name, value in extra:
            new.writestr(name, value)
    return buffer.getvalue()


@pytest.mark.parametrize("name", MODELS)
def test_a_loaded_classifier_predicts_the_same_bits(name, file):
    """Common experts load without trusting anything by hand, and equal themselves."""
    kind, model = MODELS[name]
    X, y = data(kind)
    model = clone(model).fit(X, y)
    save_model(model, file)
    method = "predict_proba" if hasattr(model, "predict_proba") else "decision_function"
    before, after = (getattr(m, method)(X) for m in (model, load_model(file)))
    assert before.tobytes() == after.tobytes()


@pytest.mark.parametrize("model", REGRESSORS, ids=lambda m: type(m).__name__)
def test_a_loaded_regressor_predicts_the_same_bits(model, file):
    """The same for amounts."""
    X, _ = data("numbers")
    model = clone(model).fit(X, X[:, 0])
    save_model(model, file)
    assert load_model(file).predict(X).tobytes() == model.predict(X).tobytes()


def test_native_categories_survive(file):
    """Boosting on a pandas category column finds its categories again."""
    X, y = data()
    X = X.assign(c=X["c"].astype("category"))
    for model in (LGBMClassifier(**lgbm), HistGradientBoostingClassifier(max_iter=3)):
        save_model(model.fit(X, y), file)
        assert load_model(file).predict_proba(X).tobytes() == model.predict_proba(X).tobytes()


frame = pd.DataFrame({
    "x": [1.5, np.nan], "s": ["a", None], "o": pd.Series(["a", None], dtype=object),
    "c": pd.Categorical(["u", None], categories=["v", "u"], ordered=True),
    "n": pd.array([1, None], dtype="Int64"), "t": pd.to_datetime(["2024-01-01", None]),
}, index=pd.Index(["r1", "r2"], name="row"))  # fmt: skip
VALUES = {
    "frame": frame,
    "empty frame": pd.DataFrame(),
    "range frame": frame.reset_index(drop=True),
    "series": frame["x"],
    "index": frame.index,
    "columns": frame.columns,
    "deployment log": {"observed": frame[["x", "s"]], "cohort": "open"},
    "tuple keys": {("a", "b"): 1, ("a",): 2},
    "set keys": {frozenset({"a"}): 0.5},
    "bool keys": {False: "no", True: "yes"},
    "none key": {None: 1},
    "mixed keys": {1: "a", "1": "b"},
    "integer keys": {3: np.ones(2)},
    "numpy keys": {np.int64(1): "a", np.str_("x"): "b"},
    "ordered": collections.OrderedDict(b=1, a=2),
    "frozen": Facts(0.25, ("x",), {"k": float("nan")}),
    "objects": np.array(["a", None, 1.5, float("inf")], dtype=object),
    "numbers": np.array([[1, -0.0], [np.nan, np.inf]], order="F"),
    "generator": np.random.default_rng(3),
    "frozenset": frozenset({"a", "b"}),
    "nested": [{"a": (frame, [Facts()])}],
    "ufunc": np.log1p,
    "function": identity,
    "partial": functools.partial(identity, 1),
}  # fmt: skip


def same(a, b):
    if isinstance(a, pd.DataFrame):
        pd.testing.assert_frame_equal(a, b)
    elif isinstance(a, pd.Series):
        pd.testing.assert_series_equal(a, b)
    elif isinstance(a, pd.Index):
        pd.testing.assert_index_equal(a, b)
    elif isinstance(a, dict):
        assert [(type(k), k) for k in a] == [(type(k), k) for k in b]
        for key in a:
            same(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    elif isinstance(a, np.ndarray):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype
    elif isinstance(a, np.random.Generator):
        assert a.bit_generator.state == b.bit_generator.state
    elif isinstance(a, Facts | functools.partial):
        assert repr(a) == repr(b)
    else:
        assert a == b
    assert type(a) is type(b)


@pytest.mark.parametrize("name", VALUES)
def test_what_an_estimator_may_hold_comes_back_as_it_was(name, file):
    """Tables, odd dictionaries, dataclasses, arrays and functions are restored without loss."""
    save_model(Holder(VALUES[name]), file)
    own = [Holder, Facts, f"{__name__}.identity"]
    same(VALUES[name], load_model(file, trusted=own).value)


def test_saving_changes_nothing_in_the_model(file):
    """Packing works on copies: the saved model still holds its tables."""
    model = Holder({"a": [frame]})
    save_model(model, file)
    assert model.value["a"][0] is frame


def test_what_is_shared_stays_shared(file):
    """Two references to one table, or one array, are one object again after loading."""
    array = np.ones(3)
    save_model(Holder([array, array, {"f": frame}, frame]), file)
    value = load_model(file, trusted=[Holder]).value
    assert value[0] is value[1]
    assert value[2]["f"] is value[3]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (lambda x: x, "no lambdas"),
        (Colour.RED, "cannot be saved"),
        (collections.deque([1]), r"the model.value \(deque\(\[1\]\)\) came back as deque\(\[\]\)"),
        (np.random.SeedSequence(1), "came back as"),
        (np.empty((0, 2), dtype=object), "shape"),
        (frame.set_index(["s", "o"]), "MultiIndex"),
        (pd.Timestamp("2024-01-01"), "cannot be saved"),
        ({"a": {"b": [1 + 2j]}}, "cannot be saved"),
    ],
)
def test_what_would_not_come_back_is_refused_when_saving(value, message, file):
    """A model that could not be loaded later is not written at all."""
    with pytest.raises(ModelFormatError, match=message):
        save_model(Holder(value), file)
    assert not file.exists()


def test_a_model_that_holds_itself_is_refused(file):
    """A cycle ends in a message and not in a stack overflow."""
    model = Holder()
    model.value = [model]
    with pytest.raises(ModelFormatError, match="refers to itself"):
        save_model(model, file)


def test_the_manifest_tells_what_the_file_is(file):
    """Format, class, parameters, task, versions and checksum are read without loading."""
    X, y = data("numbers")
    model = LogisticRegression(C=0.5).fit(X, y)
    model.modalities_ = ("ehr", "notes")
    save_model(model, file)
    manifest = read_manifest(file)
    assert (manifest["format"], manifest["version"]) == ("fusewise-model", 1)
    assert manifest["class"] == "sklearn.linear_model._logistic.LogisticRegression"
    assert manifest["parameters"]["C"] == "0.5"
    assert manifest["modalities"] == ["ehr", "notes"]
    assert (manifest["task"], manifest["classes"]) == ("binary", ["no", "yes"])
    assert {"python", "numpy", "scikit-learn", "skops"} <= set(manifest["libraries"])
    with zipfile.ZipFile(file) as archive:
        content = archive.read("model.skops")
        assert all(m.compress_type == zipfile.ZIP_STORED for m in archive.infolist())
    assert manifest["members"]["model.skops"]["sha256"] == hashlib.sha256(content).hexdigest()


def test_a_failed_write_leaves_the_old_file(file, monkeypatch):
    """Writing is atomic: either the new file is there, or the old one untouched."""
    save_model(LogisticRegression(C=1.0).fit([[0.0], [1.0]], [0, 1]), file)
    before = file.read_bytes()
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        save_model(LogisticRegression(C=2.0).fit([[0.0], [1.0]], [0, 1]), file)
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


# Damaged and foreign files ---------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_any_damage_is_refused_or_harmless(good, tmp_path_factory, data):
    """A file with one byte changed, or cut short, is refused or loads equal: never anything else."""
    path = tmp_path_factory.getbasetemp() / "damaged.fusewise"
    if data.draw(st.booleans()):
        broken = good[: data.draw(st.integers(0, len(good) - 1))]
    else:
        place = data.draw(st.integers(0, len(good) - 1))
        changed = good[place] ^ data.draw(st.integers(1, 255))
        broken = good[:place] + bytes([changed]) + good[place + 1 :]
    path.write_bytes(broken)
    try:
        model = load_model(path)
    except ModelFormatError as error:
        assert str(path) in str(error)  # noqa: PT017 - both ends are right
    else:
        assert model.predict([[0.0], [1.0]]).tolist() == [0, 1]


def test_a_missing_file_is_a_missing_file(tmp_path):
    """No file is not a damaged file."""
    with pytest.raises(FileNotFoundError, match="no model file"):
        load_model(tmp_path / "none.fusewise")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "damaged or truncated"),
        (b"PK\x03\x04 and then nothing", "damaged or truncated"),
        (b"a,b\n1,2\n", "not a fusewise model"),
        (pickle.dumps({"a": 1}), "looks like a pickle"),
    ],
)
def test_other_files_are_refused_by_kind(content, message, file):
    """Empty, cut, foreign and pickled files each get their own words."""
    file.write_bytes(content)
    with pytest.raises(ModelFormatError, match=message):
        load_model(file)


def test_a_foreign_zip_is_refused(file):
    """A zip archive of something else is not a model."""
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("word/document.xml", "<w/>")
    with pytest.raises(ModelFormatError, match=r"without manifest.json"):
        load_model(file)


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ({"format": "other"}, "its format is 'other'"),
        ({"version": 2, "fusewise": "9.0"}, "written in format 2 by fusewise 9.0.*Update fusewise"),
        ({"version": "1"}, "format version is '1'"),
        ({"version": True}, "format version is True"),
        ({"members": {}}, "does not list model.skops"),
        ({"members": {"model.skops": {}, "more.bin": {}}}, "more.bin is missing"),
        ({"members": {"model.skops": {"sha256": "0" * 64}}}, "does not match its checksum"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(manifest, message, good, file):
    """A newer format, a missing part and a wrong checksum are each named."""
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        write(file, archive.read("model.skops"), manifest=manifest)
    with pytest.raises(ModelFormatError, match=message):
        load_model(file)


def test_a_model_that_is_gone_from_the_archive_is_named(file):
    """An archive with its manifest alone is damaged."""
    with zipfile.ZipFile(file, "w") as archive:
        facts = {"format": "fusewise-model", "version": 1, "members": {"model.skops": {}}}
        archive.writestr("manifest.json", json.dumps(facts))
    with pytest.raises(ModelFormatError, match=r"model.skops is missing"):
        load_model(file)


# Files made to harm -----------------------------------------------------------------------


IDS = itertools.count(10**9)  # a repeated number would mean the same object again


def node(module, name, loader, **content):
    names = {"__class__": name, "__module__": module, "__loader__": loader}
    return {**names, "__id__": next(IDS), **content}


def text(value):
    return {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "content": json.dumps(value)}  # fmt: skip


def arguments(*values):
    return node("builtins", "tuple", "TupleNode", content=[text(v) for v in values])  # fmt: skip


def with_value(forged):
    """Return a skops file of a regression whose parameter C is the forged node."""
    content = skops.io.dumps(LogisticRegression())
    return rewrite(content, change=lambda s: s["content"]["content"].update(C=forged))


def attacks(target):
    command = f"touch {target}"
    return {
        "a function": node("os", "system", "FunctionNode"),
        "a call": node("os", "system", "ConstructorFromReduceNode", content=arguments(command)),
        "exec": node("builtins", "exec", "ConstructorFromReduceNode", content=arguments(f"open({target!r}, 'w')")),
        "a type": node("subprocess", "Popen", "TypeNode"),
        "a key that calls": node("builtins", "dict", "DictNode", content={command: text(1)},
                                 key_types={"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "__id__": next(IDS),
                                            "content": [node("os", "system", "TypeNode")]}),
        "a list that calls": node("os", "listdir", "ListNode", content=[]),
        "an operator": node("operator", "call", "OperatorFuncNode", attrs=arguments(command)),
        "a partial": node("functools", "partial", "PartialNode", content={
            "func": node("os", "system", "FunctionNode"), "args": arguments(command),
            "kwds": text({}), "namespace": text(None)}),
        "a method": node("builtins", "str", "MethodNode", content={"func": "format", "obj": text("x")}),
        "a trusted type called": node("lightgbm.basic", "Booster", "ConstructorFromReduceNode",
                                      content=arguments({}, None, "/etc/passwd")),
        "our own function": node("fusewise.fusion.persist", "load_model", "FunctionNode"),
        "a module that is not loaded": node("antigravity", "fly", "FunctionNode"),
        "an unknown loader": node("os", "system", "PickleNode"),
        "a random function": node("numpy.random", "Generator", "RandomGeneratorNode", content={
            "bit_generator": node("builtins", "dict", "DictNode", content={"bit_generator": text("seed")},
                                  key_types=node("builtins", "list", "ListNode", content=[])),
            "seed_seq": text({})}),
    }  # fmt: skip


@pytest.mark.parametrize("name", attacks("x"))
@pytest.mark.parametrize("protocol", [0, 2])
def test_a_file_that_names_code_is_refused_and_nothing_runs(name, protocol, file, tmp_path):
    """Functions, calls, methods and foreign modules are refused, also under old protocols."""
    target = tmp_path / "ran"
    forged = with_value(attacks(str(target))[name])
    write(file, rewrite(forged, change=lambda s: s.update(protocol=protocol)))
    sys.modules.pop("antigravity", None)
    refusals = r"not trusted|not allowed|Can't find loader"
    message = "skops protocol" if protocol == 0 else refusals
    with pytest.raises(ModelFormatError, match=message):
        load_model(file)
    assert not target.exists()
    assert "antigravity" not in sys.modules


def test_a_real_system_call_in_a_model_is_refused_and_named(file):
    """A transformer around os.system is listed with how to allow it."""
    write(file, skops.io.dumps(FunctionTransformer(os.system)))
    with pytest.raises(
        ModelFormatError, match=r"not trusted: \w+\.system.*trusted=\['\w+\.system'\]"
    ):
        load_model(file)


def test_an_unknown_class_is_refused_and_loads_once_trusted(file):
    """The message gives the list to pass; a type or its name will do."""
    save_model(Holder(3), file)
    with pytest.raises(ModelFormatError, match=f"not trusted: {HERE}"):
        load_model(file)
    assert load_model(file, trusted=[HERE]).value == 3
    assert load_model(file, trusted=[Holder]).value == 3
    with pytest.raises(TypeError, match="must be a list"):
        load_model(file, trusted=HERE)


def test_a_pickle_inside_is_refused(good, file):
    """A pickled part, in the archive or in the model, is never read."""
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        content = archive.read("model.skops")
    bomb = pickle.dumps({"a": 1})
    write(file, content, extra=[("model.pkl", bomb)])
    with pytest.raises(ModelFormatError, match=r"also holds \['model.pkl'\]"):
        load_model(file)
    write(file, rewrite(content, extra=[("weights.pkl", bomb)]))
    with pytest.raises(ModelFormatError, match=r"unexpected part 'weights.pkl'"):
        load_model(file)
    array = io.BytesIO()
    np.save(array, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    write(file, rewrite(content, extra=[("123.npy", array.getvalue())]))
    with pytest.raises(ModelFormatError, match=r"array '123.npy'"):
        load_model(file)


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil.npy", "..\\evil.npy"])
def test_names_that_leave_the_archive_are_refused(name, good, file):
    """Traversal names are refused, outside and inside the model part."""
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        content = archive.read("model.skops")
    for forged in ((content, [(name, b"x")]), (rewrite(content, extra=[(name, b"x")]), [])):
        write(file, forged[0], extra=forged[1])
        with pytest.raises(ModelFormatError, match="evil"):
            load_model(file)


def test_compressed_parts_are_refused_before_they_unfold(good, file):
    """A zip bomb, outside or inside, is refused by its kind of compression."""
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        content = archive.read("model.skops")
    bomb = rewrite(content, extra=[("1.bin", bytes(10**7))], compression=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 10**5
    write(file, bomb)
    with pytest.raises(ModelFormatError, match="compressed"):
        load_model(file)
    write(file, content, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(ModelFormatError, match="compressed"):
        load_model(file)


@pytest.mark.parametrize("shape", [(2**40,), (2**32, 2**32), (-1,), (3,)])
def test_an_array_that_claims_more_than_it_holds_is_refused(shape, good, file):
    """A forged array header does not make numpy ask for memory."""
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        content = archive.read("model.skops")
    array = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(array, header)
    write(file, rewrite(content, extra=[("9.npy", array.getvalue() + bytes(8))]))
    with pytest.raises(ModelFormatError, match=r"array '9.npy'"):
        load_model(file)


def test_a_sparse_matrix_is_bounded(good, file, monkeypatch):
    """The one compressed part of the format may not unfold without limit."""
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        content = archive.read("model.skops")
    inner = io.BytesIO()
    np.savez_compressed(inner, data=np.zeros(10**5))
    monkeypatch.setattr("fusewise.fusion.persist_types.MAX_INFLATED_BYTES", 10**5)
    write(file, rewrite(content, extra=[("9.npz", inner.getvalue())]))
    with pytest.raises(ModelFormatError, match="unfold"):
        load_model(file)


def test_a_deeply_nested_file_is_refused(file):
    """Nesting without end is an error message and not a crash."""
    forged = text(1)
    content = with_value(text(1))
    for _ in range(3000):
        forged = {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "content": [forged]}  # fmt: skip
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        content = with_value(forged)
    finally:
        sys.setrecursionlimit(limit)
    write(file, content)
    with pytest.raises(ModelFormatError, match="cannot be restored"):
        load_model(file)


# Forged trees -----------------------------------------------------------------------------


def forged_tree(column, value):
    X, y = data("numbers")
    model = RandomForestClassifier(2, random_state=0).fit(X, y)
    tree = model.estimators_[1].tree_
    state = tree.__getstate__()
    state["nodes"][column][0] = value
    tree.__setstate__(state)
    return model


@pytest.mark.parametrize(
    ("column", "value", "what"),
    [
        ("left_child", 10**6, "nodes"),
        ("right_child", 0, "nodes"),
        ("right_child", -5, "nodes"),
        ("feature", 10**6, "features"),
        ("feature", -7, "features"),
    ],
)
def test_a_tree_that_points_outside_is_refused(column, value, what, file):
    """scikit-learn would read foreign memory, or walk forever, at the first prediction."""
    write(file, skops.io.dumps(forged_tree(column, value)))
    with pytest.raises(ModelFormatError, match=f"outside its {what}"):
        load_model(file)


@pytest.mark.parametrize(
    ("column", "value", "what"),
    [("left", 10**6, "nodes"), ("right", 0, "nodes"), ("feature_idx", 77, "features")],
)
def test_a_boosted_tree_that_points_outside_is_refused(column, value, what, file):
    """The same for histogram gradient boosting, which checks nothing at prediction."""
    X, y = data("numbers")
    model = HistGradientBoostingClassifier(max_iter=2).fit(X, y)
    model._predictors[1][0].nodes[column][0] = value
    write(file, skops.io.dumps(model))
    with pytest.raises(ModelFormatError, match=f"outside its {what}"):
        load_model(file)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("left_child=", "left_child=999 ", "nodes"),
        ("right_child=", "right_child=0 ", "nodes"),
        ("split_feature=", "split_feature=55 ", "features"),
        ("cat_boundaries=0", "cat_boundaries=900", "categories"),
    ],
)
def test_a_lightgbm_tree_that_points_outside_is_refused(old, new, what, file):
    """The same for LightGBM, whose text names children, features and category sets."""
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=300), rng.integers(0, 6, 300)])
    y = (X[:, 1] % 2 + 0.3 * rng.normal(size=300) > 0.5).astype(int)
    model = LGBMClassifier(**lgbm, num_leaves=5).fit(X, y, categorical_feature=[1])
    save_model(model, file)
    assert load_model(file).predict_proba(X).tobytes() == model.predict_proba(X).tobytes()
    content = model.booster_.model_to_string()
    first, _, rest = content.partition(old)
    values = rest.split("\n", 1)[0].split(" ")
    forged = first + new + " ".join(values[1:]) + "\n" + rest.split("\n", 1)[1]
    with pytest.raises(ModelFormatError, match=f"outside its {what}"):
        _check_booster(forged, 2)


# The allow-list ---------------------------------------------------------------------------


def test_the_allow_list_names_types_that_exist():
    """Every name can be imported, so that a rename upstream is noticed here."""
    for name in TRUSTED_TYPES:
        module, _, attribute = name.rpartition(".")
        assert hasattr(import_module(module), attribute), name


# They work while a model is fitted and are not part of it.
PASSING = {
    "Block",
    "Draw",
    "EventArrays",
    "ExpertTask",
    "FusionClassifierMixin",
    "FusionEstimator",
    "FusionRegressorMixin",
    "LearnedAnswers",
    "LearnedClassifierMixin",
    "LearnedFusion",
    "LearnedParameters",
    "LearnedRegressorMixin",
    "Likelihood",
    "Member",
    "OutOfFold",
    "TableArrays",
    "Task",
}


def test_every_class_of_the_fusion_room_is_on_the_allow_list():
    """A new part of a fitted model cannot be forgotten: its models could not be loaded."""
    import fusewise.fusion as room

    found = set()
    for info in pkgutil.iter_modules(room.__path__, "fusewise.fusion."):
        for name, kind in vars(import_module(info.name)).items():
            if (
                isinstance(kind, type)
                and kind.__module__ == info.name
                and "persist" not in info.name
            ):
                found.add(f"{info.name}.{name}")
    forgotten = {
        name for name in found - set(TRUSTED_TYPES)
        if not name.rpartition(".")[2].startswith("_") and name.rpartition(".")[2] not in PASSING
    }  # fmt: skip
    assert not forgotten


def test_loading_reads_the_format_version_that_saving_writes(good, tmp_path):
    """Raising the version without a reader for the old one would be noticed here."""
    path = tmp_path / "m"
    path.write_bytes(good)
    assert read_manifest(path)["version"] == persist.FORMAT_VERSION == 1


def test_saving_into_a_folder_that_does_not_exist_says_so(tmp_path):
    """The folder is named, not a temporary file in it."""
    with pytest.raises(RunFolderError, match="nowhere' does not exist. Create it"):
        save_model(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), tmp_path / "nowhere" / "m")
