"""A dataset holds samples, whatever they lack, and slices like an array."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import KFold, cross_validate, train_test_split

from fusewise.data import Modality, MultimodalDataset
from fusewise.exceptions import DatasetError, UnknownModalityError

N = 12


def tables():
    """Return samples and three modalities: `static` for all, `lab` for even ids, `vitals` for 3."""
    ids = np.arange(N)
    samples = pd.DataFrame(
        {
            "id": ids,
            "y": ids % 2,
            "patient": ids // 2,
            "sex": np.where(ids % 3 == 0, "f", "m"),
            "site": np.where(ids < 6, "north", "south"),
            "valid": ids == 4,
        }
    )
    static = pd.DataFrame({"id": ids, "b": ids * 1.0, "a": ids * 10.0, "word": samples["sex"]})
    lab = pd.DataFrame({"id": ids[::2], "x": ids[::2] + 0.5})
    vitals = pd.DataFrame(
        {
            "id": [1, 1, 1, 5, 7],
            "t": [0.0, 2.0, 2.0, 1.0, 4.0],
            "k": ["hr", "hr", "rr", "hr", "rr"],
            "v": [80.0, 90.0, 12.0, 70.0, 15.0],
        }
    )
    return samples, static, lab, vitals


def build(samples, static, lab, vitals, **changes):
    arguments = {
        "samples": samples,
        "id": "id",
        "target": "y",
        "cluster": "patient",
        "groups": ["sex"],
        "validation": "valid",
        "extra": ["site"],
    }
    return MultimodalDataset(
        {
            "static": static,
            "lab": lab,
            "vitals": Modality(vitals, kind="events", time="t", variable="k", value="v"),
        },
        **(arguments | changes),
    )


@pytest.fixture(scope="module")
def ds():
    return build(*tables())


def changed(frame, row, column, value):
    """Return the frame with one cell changed."""
    frame = frame.copy()
    frame.loc[row, column] = value
    return frame


def same(one, other):
    """Whether two datasets hold the same samples with the same values, bit for bit."""
    values = one.modalities == other.modalities and one.ids.tolist() == other.ids.tolist()
    for name in one.modalities:
        (rows, frame), (other_rows, other_frame) = (d.features(name, 9.0) for d in (one, other))
        values &= rows.tolist() == other_rows.tolist() and frame.equals(other_frame)
    return values and np.array_equal(one.presence, other.presence)


# What it holds ------------------------------------------------------------------------------


def test_presence_says_who_has_rows(ds):
    """Without a declaration, a sample has a modality when the table has rows of it."""
    assert ds.modalities == ("static", "lab", "vitals")
    assert ds.shape == (N, 3) == (len(ds), ds.n_modalities)
    assert ds.presence[:, 0].all()
    assert ds.ids[ds.presence[:, 1]].tolist() == [0, 2, 4, 6, 8, 10]
    assert ds.ids[ds.presence[:, 2]].tolist() == [1, 5, 7]


def test_features_come_for_the_samples_that_have_them_and_no_others(ds):
    """Positions name the samples; columns lie in the order of their names."""
    positions, frame = ds.features("lab")
    assert positions.tolist() == [0, 2, 4, 6, 8, 10]
    assert frame["x"].tolist() == [0.5, 2.5, 4.5, 6.5, 8.5, 10.5]
    assert (
        list(ds.features("static")[1].columns) == ["a", "b", "word"] == ds.feature_names("static")
    )


def test_what_describes_samples_follows_the_samples(ds):
    """Ids, target, cluster, groups, carried columns and validation flags are sliced together."""
    part = ds[[4, 1, 4]]
    assert part.ids.tolist() == [4, 1, 4]
    assert part.target.tolist() == [0, 1, 0]
    assert part.cluster.tolist() == [2, 0, 2]
    assert part.groups["sex"].tolist() == ["m", "m", "m"]
    assert part.samples["site"].tolist() == ["north"] * 3
    assert part.validation.tolist() == [True, False, True]
    assert part.samples.index.tolist() == [0, 1, 2]


def test_columns_with_another_role_are_no_features(ds):
    """Target, cluster, split, id and declared presence stay out of every modality's features."""
    samples, static, lab, vitals = tables()
    leaky = static.assign(y=samples["y"], patient=1, site="x", valid=0, has=1)
    named = pd.concat([vitals, pd.DataFrame({"id": [1], "t": [1.0], "k": ["y"], "v": [1.0]})])
    with (
        pytest.warns(match=r"'static': has, patient, site, valid, y also stands in the samples"),
        pytest.warns(match=r"'vitals': y also stands in the samples"),
    ):
        built = MultimodalDataset(
            {
                "static": Modality(leaky.rename(columns={"id": "key"}).assign(id=1), id="key"),
                "lab": Modality(lab, present="has"),
                "vitals": Modality(named, kind="events", time="t", variable="k", value="v"),
            },
            samples=samples.assign(has=True),
            id="id",
            target="y",
            cluster="patient",
            validation="valid",
            extra=["site"],
        )
    assert built.feature_names("static") == ["a", "b", "word"]
    assert {f.split(":")[0] for f in built.feature_names("vitals")} == {"hr", "rr"}


def test_subgroups_are_no_roles(ds):
    """A column that also names a subgroup may be a feature: sex is measured, not leaked."""
    samples, static, lab, vitals = tables()
    built = build(samples, static.assign(sex=samples["sex"]), lab, vitals)
    assert "sex" in built.feature_names("static")


def test_a_dataset_draws_itself(ds):
    """The repr shows each modality with its kind and rate, and who has nothing."""
    assert "static  table " in repr(ds)
    assert "lab     table   ██████████··········  50.0%" in repr(ds)
    assert "vitals  events" in repr(ds)
    assert "9 samples without any modality" in repr(ds.only("vitals"))
    assert "0 samples" in repr(ds[[]])


# Order has no effect ------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_rows_columns_and_modalities_has_no_effect(ds, seed):
    """Shuffled tables give the same bits and the same fingerprint."""
    rng = np.random.default_rng(seed)
    samples, *others = tables()
    others = [t.iloc[rng.permutation(len(t))][rng.permutation(t.columns)] for t in others]
    shuffled = build(samples, *others)
    assert same(ds, shuffled)
    assert ds.fingerprint() == shuffled.fingerprint()
    reordered = ds.only("lab", "static")
    assert reordered.modalities == ("static", "lab")


def test_the_samples_keep_the_order_of_their_table(ds):
    """Shuffling the samples table permutes the dataset and changes nothing else."""
    order = np.random.default_rng(0).permutation(N)
    samples, *others = tables()
    assert same(ds[order], build(samples.iloc[order], *others))


# Slicing ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rows",
    [
        [0, 3, 3],
        np.array([0, 3, 3]),
        pd.Index([0, 3, 3]),
        ([0, 3, 3], ...),
        (np.array([0, 3, 3]), slice(None)),
        np.array([0, -9, 3], dtype=np.int8),
    ],
)
def test_indices_select_samples_and_may_repeat(ds, rows):
    """Lists, arrays, and the pair that scikit-learn's splitters use select the same samples."""
    assert ds[rows].ids.tolist() == [0, 3, 3]


def test_masks_slices_and_single_positions_select_samples(ds):
    """A mask of one flag per sample, a slice and a whole number are indices too."""
    assert ds[ds.ids > 8].ids.tolist() == [9, 10, 11]
    assert ds[(ds.ids > 8).tolist()].ids.tolist() == [9, 10, 11]
    assert ds[pd.Series(ds.ids > 8), ...].ids.tolist() == [9, 10, 11]
    assert ds[::-5].ids.tolist() == [11, 6, 1]
    assert ds[2].ids.tolist() == ds[np.int64(2)].ids.tolist() == [2]
    assert [one.ids[0] for one in ds] == list(range(N))


@pytest.mark.parametrize("nothing", [[], np.zeros(N, dtype=bool), slice(0, 0), np.array([])])
def test_no_samples_is_a_dataset_too(ds, nothing):
    """An empty selection keeps the modalities and their features."""
    empty = ds[nothing]
    assert empty.shape == (0, 3)
    assert len(empty.patterns()) == 0
    for name in ds.modalities:
        assert list(empty.features(name)[1].columns) == ds.feature_names(name)
    assert empty.time_reference() is None


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ("lab", r"indexed by samples, got 'lab'; choose modalities with only\('lab'\)"),
        ((0, 1), r"indexed by samples alone"),
        (([0], [1], ...), r"indexed by samples alone"),
        (([0], np.array([0, 1])), r"indexed by samples alone"),
        (np.array([True, False]), r"a boolean mask must have 12 entries, got \(2,\)"),
        (np.array([0.5]), r"positions of samples \(whole numbers, one dimension\), got float64"),
        (np.zeros((2, 2), int), r"got int64 of shape \(2, 2\)"),
    ],
)
def test_an_index_that_selects_no_samples_is_refused(ds, index, message):
    """The message says what was expected and what came."""
    with pytest.raises(DatasetError, match=message):
        ds[index]


def test_a_position_beyond_the_end_is_an_index_error(ds):
    """Iteration over a dataset ends as over a list."""
    with pytest.raises(IndexError):
        ds[N]


def test_modalities_are_chosen_by_name(ds):
    """Methods only and without reduce the modality list and suggest the name that was meant."""
    assert ds.only("vitals", "static").modalities == ds.without("lab").modalities
    assert ds.without().modalities == ds.modalities
    assert ds.only().shape == (N, 0)
    assert set(ds.only().pattern) == {"(none)"}
    for call in (ds.only, ds.without, ds.features, ds.events, ds.feature_names):
        with pytest.raises(UnknownModalityError, match=r"no modality 'vital'.*'vitals'"):
            call("vital")
    with pytest.raises(DatasetError, match="'lab' is of kind 'table' and has no events"):
        ds.events("lab")


def test_slicing_leaves_the_dataset_as_it_was(ds):
    """What is derived shares nothing that can be written to."""
    before = ds.fingerprint()
    part = ds[[0, 1]]
    for frame in (part.features("static")[1], part.samples, part.groups, part.ingestion):
        frame.iloc[:, -1] = frame.iloc[::-1, -1].to_numpy()
    part.target[:] = 7
    part.cluster[:] = 7
    ds.validation[:] = True
    for array in (ds.presence, part.presence, pickle.loads(pickle.dumps(part)).presence):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = False
    assert ds.fingerprint() == before


def test_validation_flags_can_be_set(ds):
    """with_validation replaces the flags, one per sample."""
    assert ds.with_validation(ds.ids < 2).validation.sum() == 2
    assert ds.validation.sum() == 1
    with pytest.raises(DatasetError, match=r"validation must have 12 flags, got \(3,\)"):
        ds.with_validation(np.zeros(3, bool))


# Fingerprints -------------------------------------------------------------------------------


def test_equal_data_has_an_equal_fingerprint(ds):
    """Built again, pickled, or with a value stored under an absent modality: no difference."""
    assert build(*tables()).fingerprint() == ds.fingerprint()
    assert pickle.loads(pickle.dumps(ds[3:])).fingerprint() == ds[3:].fingerprint()
    samples, static, lab, vitals = tables()
    stranger = pd.concat([lab, pd.DataFrame({"id": [99], "x": [1.0]})])
    assert build(samples, static, stranger, vitals).fingerprint() == ds.fingerprint()


SAMPLES, STATIC, LAB, VITALS = tables()


@pytest.mark.parametrize(
    "change",
    [
        {"samples": changed(SAMPLES, 0, "y", 1)},
        {"samples": changed(SAMPLES, 0, "patient", 9)},
        {"samples": changed(SAMPLES, 0, "sex", "m")},
        {"samples": changed(SAMPLES, 0, "site", "south")},
        {"samples": changed(SAMPLES, 0, "valid", True)},
        {"static": changed(STATIC, 3, "a", 30.000001)},
        {"static": changed(STATIC, 3, "a", np.nan)},
        {"static": changed(STATIC, 3, "word", None)},
        {"static": changed(STATIC, 3, "word", "m ")},
        {"static": STATIC.rename(columns={"a": "c"})},
        {"lab": LAB.iloc[1:]},
        {"vitals": changed(VITALS, 0, "v", 81.0)},
        {"vitals": changed(VITALS, 0, "t", 0.5)},
        {"vitals": changed(VITALS, 0, "k", "rr")},
        {"vitals": pd.concat([VITALS, VITALS.iloc[:1]])},
        {"task": "regression"},
        {"prediction_time": 10.0},
        {"prediction_time": 11.0},
    ],
    ids=str,
)
def test_any_change_of_the_data_changes_the_fingerprint(ds, change):
    """One cell, one row, one name, or one declaration is enough."""
    parts = {"samples": SAMPLES, "static": STATIC, "lab": LAB, "vitals": VITALS} | change
    assert build(**parts).fingerprint() != ds.fingerprint()


def test_whose_event_it_is_changes_the_fingerprint():
    """The same events, dealt otherwise among two samples, are other data."""
    events = pd.DataFrame({"id": [1, 1, 2], "t": [0.0, 1.0, 2.0], "v": [5.0, 6.0, 7.0]})
    one, other = (
        MultimodalDataset(
            {"m": Modality(events.assign(id=ids), kind="events", time="t")},
            samples=pd.DataFrame({"id": [1, 2]}),
            id="id",
        )
        for ids in ([1, 1, 2], [1, 2, 2])
    )
    assert one.fingerprint() != other.fingerprint()


def test_selections_have_fingerprints_of_their_own(ds):
    """Other samples, modalities, presence or order of samples: another fingerprint."""
    fewer = ds.presence.copy()
    fewer[0, 0] = False
    selections = [
        ds,
        ds[1:],
        ds[::-1],
        ds[[0, *range(N)]],
        ds.without("lab"),
        ds.without("static"),
        ds.with_presence(fewer),
        ds.with_validation(np.zeros(N, bool)),
        build(*tables(), prediction_time=10.0),
        build(*tables(), prediction_time=11.0),
    ]
    assert len({s.fingerprint() for s in selections}) == len(selections)


# Pickles and scikit-learn -------------------------------------------------------------------


def test_a_pickled_slice_carries_its_share_alone():
    """A worker's share of one in a hundred samples is small, and equal to the slice."""
    n = 2000
    rng = np.random.default_rng(0)
    big = MultimodalDataset(
        {
            "wide": pd.DataFrame(
                {"id": range(n)} | {f"g{i}": rng.normal(size=n) for i in range(100)}
            ),
            "ev": Modality(
                pd.DataFrame({"id": np.repeat(np.arange(n), 20), "t": 1.0, "x": 2.0}),
                kind="events",
                time="t",
            ),
        },
        samples=pd.DataFrame({"id": range(n)}),
        id="id",
    )
    whole = len(pickle.dumps(big))
    assert len(pickle.dumps(big[:20])) < whole / 50
    assert len(pickle.dumps(big.without("wide"))) < whole / 2
    big.features("ev")
    part = big[[7, 7, 3]]
    again = pickle.loads(pickle.dumps(part))
    assert len(pickle.dumps(part)) < whole / 50
    assert same(part, again)
    assert again.events("ev").equals(part.events("ev"))


class Majority(ClassifierMixin, BaseEstimator):
    """Predicts the larger class of a dataset that carries its own target."""

    def fit(self, X, y=None):
        y = X.target if y is None else y
        self.classes_, counts = np.unique(y, return_counts=True)
        self.most_ = self.classes_[counts.argmax()]
        assert X.presence.shape == (len(X), 3)
        return self

    def predict(self, X):
        return np.full(len(X), self.most_)


def test_scikit_learn_splits_and_cross_validates_a_dataset(ds):
    """train_test_split, KFold and cross_validate take a dataset for X."""
    train, test, y_train, y_test = train_test_split(ds, ds.target, test_size=4, random_state=0)
    assert isinstance(train, MultimodalDataset)
    assert (len(train), len(test)) == (8, 4)
    assert train.target.tolist() == y_train.tolist()
    assert test.target.tolist() == y_test.tolist()
    folds = list(KFold(3).split(ds))
    assert sorted(np.concatenate([ds[held].ids for _, held in folds])) == list(range(N))
    scores = cross_validate(Majority(), ds, ds.target, cv=3, error_score="raise")
    assert len(scores["test_score"]) == 3


@pytest.mark.parametrize("method", ["only", "without"])
@pytest.mark.parametrize("names", [["lab"], ("lab",)], ids=["list", "tuple"])
def test_a_list_of_names_is_sent_to_the_way_to_write_it(ds, method, names):
    """Names are arguments, and the message writes the call out."""
    with pytest.raises(DatasetError, match=rf"write {method}\('lab'\)\."):
        getattr(ds, method)(names)
