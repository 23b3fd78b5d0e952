"""Splits keep units whole, strata balanced and draws reproducible."""

from __future__ import annotations

import random

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusewise.data import MultimodalDataset, folds, inner_validation, split
from fusewise.exceptions import ColumnNotFoundError, DatasetError


def make(n=100, *, order=None, target=None, cluster=None, n_lab=None, **columns):
    """Return a dataset of n samples: `lab` for all of them, `omics` for the first `n_lab`."""
    rng = np.random.default_rng(0)
    samples = pd.DataFrame({"id": [f"s{i:04d}" for i in range(n)]})
    samples["y"] = np.arange(n) % 2 if target is None else target
    task = "regression" if samples["y"].dtype == float else "multiclass"
    if cluster is not None:
        samples["patient"] = cluster
    for name, values in columns.items():
        samples[name] = values
    lab = pd.DataFrame({"id": samples["id"], "a": rng.normal(size=n)})
    omics = lab.iloc[: n // 2 if n_lab is None else n_lab].rename(columns={"a": "g"})
    if order is not None:
        samples = samples.iloc[order]
    return MultimodalDataset(
        {"lab": lab, "omics": omics},
        samples=samples,
        id="id",
        target="y",
        task=task,
        cluster=None if cluster is None else "patient",
        extra=list(columns),
    )


def members(ds):
    return set(ds.ids.tolist())


clusters = st.lists(st.integers(0, 12), min_size=4, max_size=60).filter(lambda c: len(set(c)) > 1)


def test_a_random_split_holds_exactly_the_share_and_loses_nobody():
    """Every sample is on exactly one side, and the test part has the rounded share."""
    ds = make(101)
    train, test = split(ds, test=0.25, random_state=3)
    assert len(test) == 25
    assert members(train) | members(test) == members(ds)
    assert not members(train) & members(test)


@pytest.mark.parametrize("stratify", ["target", "both"])
def test_stratification_keeps_the_class_shares_within_one_sample(stratify):
    """Each class has its share of the test part, also a rare one."""
    y = np.repeat([0, 1, 2], [150, 40, 10])
    ds = make(200, target=y)
    _, test = split(ds, test=0.2, stratify=stratify, random_state=1)
    assert np.abs(np.bincount(test.target) - np.array([30, 8, 2])).max() <= 1


def test_stratification_by_pattern_keeps_the_pattern_shares():
    """Availability patterns are as frequent in the test part as overall."""
    ds = make(200, n_lab=30)
    _, test = split(ds, test=0.2, stratify="pattern")
    assert abs(int(test.presence[:, 1].sum()) - 6) <= 1


def test_rare_strata_are_drawn_as_a_pool():
    """Twenty classes of one sample each still give about a fifth of them to the test part."""
    y = np.concatenate([np.zeros(80, int), np.arange(1, 21)])
    _, test = split(make(100, target=y), test=0.2, stratify="target")
    assert 3 <= (test.target > 0).sum() <= 5


def test_a_regression_target_is_stratified_by_quantiles():
    """Each fifth of the target's range gives its share to the test part."""
    y = np.random.default_rng(0).exponential(size=500)
    ds = make(500, target=y)
    _, test = split(ds, test=0.2, stratify="target")
    edges = np.quantile(y, [0.2, 0.4, 0.6, 0.8])
    assert np.abs(np.bincount(np.searchsorted(edges, test.target)) - 20).max() <= 3


@settings(max_examples=40, deadline=None)
@given(cluster=clusters, seed=st.integers(0, 5), data=st.data())
def test_no_cluster_is_ever_on_both_sides(cluster, seed, data):
    """Random, cluster, time and site splits, folds and inner validation keep clusters whole."""
    n = len(cluster)
    time = data.draw(st.lists(st.integers(0, 9), min_size=n, max_size=n))
    site = data.draw(st.lists(st.sampled_from("abcd"), min_size=n, max_size=n))
    ds = make(n, cluster=cluster, target=np.arange(n) % 2, time=time, site=site)
    ways = [{"by": "random", "stratify": "both"}, {"by": "cluster"}]
    ways += [{"by": "time", "column": "time"}, {"by": "site", "column": "site"}]
    for way in ways:
        try:
            train, test = split(ds, test=0.3, random_state=seed, **way)
        except DatasetError:
            assert way["by"] in ("time", "site")  # only these may have a single unit here
            continue
        assert not set(train.cluster) & set(test.cluster)
        assert len(train)
        assert len(test)
    held = inner_validation(ds, random_state=seed)
    assert held.any()
    assert not held.all()
    assert not set(ds.cluster[held]) & set(ds.cluster[~held])
    fold = folds(ds, n_splits=2, random_state=seed)
    assert not set(ds.cluster[fold == 0]) & set(ds.cluster[fold == 1])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(15, 60), clustered=st.booleans())
def test_the_split_belongs_to_the_ids_and_not_to_their_order(seed, n, clustered):
    """Shuffled samples give the same sides, folds and inner validation for each id."""
    order = np.random.default_rng(seed).permutation(n)
    columns = {"cluster": np.arange(n) // 3} if clustered else {}
    one = make(n, target=np.arange(n) % 2, **columns)
    two = make(n, target=np.arange(n) % 2, order=order, **columns)
    for stratify in (None, "both"):
        first, second = (split(d, stratify=stratify, random_state=seed)[1] for d in (one, two))
        assert members(first) == members(second)
    for draw in (folds, inner_validation):
        a = dict(zip(one.ids, draw(one, random_state=seed).tolist(), strict=True))
        b = dict(zip(two.ids, draw(two, random_state=seed).tolist(), strict=True))
        assert a == b


def test_a_cluster_split_comes_close_to_the_share_and_the_strata():
    """With clusters of many sizes, share and class balance are met to a few per cent."""
    rng = np.random.default_rng(1)
    cluster = np.repeat(np.arange(150), rng.integers(1, 12, 150))
    n = len(cluster)
    y = (rng.random(n) < np.where(rng.random(150) < 0.2, 0.5, 0.05)[cluster]).astype(int)
    ds = make(n, cluster=cluster, target=y)
    for seed in range(5):
        _, test = split(ds, by="cluster", stratify="target", test=0.2, random_state=seed)
        assert abs(len(test) / n - 0.2) < 0.02
        assert abs(test.target.mean() - y.mean()) < 0.03


def test_one_giant_cluster_still_leaves_both_sides_filled():
    """Where one cluster holds nearly all samples, the small ones are the test part."""
    ds = make(104, cluster=[0] * 100 + [1, 2, 3, 4])
    train, test = split(ds, test=0.2)
    assert (len(train), len(test)) == (100, 4)


def test_the_time_split_tests_on_the_latest_and_never_separates_equal_times():
    """The test part holds whole days, the latest ones, close to the share."""
    day = np.repeat(np.arange(10), 10)[np.random.default_rng(0).permutation(100)]
    train, test = split(make(100, day=day), by="time", column="day", test=0.23)
    assert len(test) == 20
    assert train.samples["day"].max() < test.samples["day"].min()


def test_the_time_split_moves_a_cluster_with_its_latest_sample():
    """Training holds nothing from the cut on, even where a cluster spans the cut."""
    cluster = [0, 1, 2, 3, 4, 5, 6, 7, 0, 8]
    ds = make(10, cluster=cluster, day=np.arange(10))
    train, test = split(ds, by="time", column="day", test=0.2)
    assert set(test.cluster) == {0, 8}
    assert train.samples["day"].max() == 7


def test_timestamps_can_be_split_by():
    """A time column may hold timestamps."""
    when = pd.date_range("2024-01-01", periods=50)
    _, test = split(make(50, when=when), by="time", column="when", test=0.1)
    assert test.samples["when"].min() == when[45]


def test_the_site_split_draws_whole_sites():
    """No value of the column is on both sides, and clusters that span sites join them."""
    site = np.repeat(list("abcdefghij"), 10)
    train, test = split(make(100, site=site), by="site", column="site", test=0.2)
    assert not set(train.samples["site"]) & set(test.samples["site"])
    assert len(test) == 20
    cluster = np.where(np.arange(100) % 10 == 0, 999, np.arange(100))  # one patient seen everywhere
    with pytest.raises(DatasetError, match="belong to 1 unit"):
        split(make(100, site=site, cluster=cluster), by="site", column="site")


def test_a_given_column_flags_validation_rows_in_train():
    """Validation rows belong to train, flagged; estimators get them as inner validation."""
    part = np.repeat(["train", "validation", "test"], [60, 15, 25])
    train, test = split(make(100, part=part), by="column", column="part")
    assert (len(train), len(test)) == (75, 25)
    assert train.validation.sum() == 15
    assert not test.validation.any()
    assert set(train.samples["part"][train.validation]) == {"validation"}
    np.testing.assert_array_equal(inner_validation(train), train.validation)


@pytest.mark.parametrize("other", ["test", "validation"])
def test_a_given_column_that_separates_a_cluster_is_refused_with_examples(other):
    """A patient in two parts is a leak: the message names some."""
    part = np.array(["train"] * 5 + ["validation"] * 2 + ["test"] * 3)
    part[1] = other
    with pytest.raises(DatasetError, match=r"several sides, for example \[7\]"):
        split(make(10, cluster=[7, 7, *range(10, 18)], part=part), by="column", column="part")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["train"] * 5 + ["Test"] * 5, "also holds 'Test'"),
        (["train"] * 5 + [None] * 5, "also holds None"),
        (["train"] * 10, "no sample as 'test'"),
        (["test"] * 10, "no sample as 'train'"),
    ],
)
def test_a_given_column_must_name_the_parts(values, message):
    """Other words, empty cells and missing sides are refused by name."""
    with pytest.raises(DatasetError, match=message):
        split(make(10, part=values), by="column", column="part")


def test_folds_are_balanced_in_size_and_class():
    """Fold sizes differ by at most one, and so does each class over the folds."""
    y = np.repeat([0, 1], [83, 20])
    fold = folds(make(103, target=y), n_splits=5)
    assert np.ptp(np.bincount(fold)) <= 1
    assert np.ptp(np.bincount(fold[y == 1], minlength=5)) <= 1


def test_a_class_with_two_samples_is_in_every_training_part():
    """Two samples of a class never share a fold."""
    y = np.array([0] * 30 + [1] * 28 + [2] * 2)
    for seed in range(20):
        fold = folds(make(60, target=y), n_splits=5, random_state=seed)
        assert len(set(fold[y == 2].tolist())) == 2


def test_folds_of_a_regression_spread_the_targets_range():
    """Every fold meets each fifth of the target."""
    y = np.random.default_rng(2).normal(size=100)
    fold = folds(make(100, target=y), n_splits=5)
    fifth = np.searchsorted(np.quantile(y, [0.2, 0.4, 0.6, 0.8]), y)
    assert (pd.crosstab(fold, fifth).to_numpy() > 0).all()


def test_folds_take_another_target():
    """An estimator that was given y stratifies by it and not by the dataset's own target."""
    y = np.repeat(["no", "yes"], [50, 10])
    fold = folds(make(60), n_splits=5, y=y)
    assert np.bincount(fold[y == "yes"], minlength=5).tolist() == [2] * 5


def test_a_repeated_sample_stays_in_one_fold():
    """A bootstrap sample that repeats an id must not be on both sides of a fold."""
    ds = make(30)[np.random.default_rng(0).integers(0, 30, 60)]
    fold = pd.Series(folds(ds, n_splits=5))
    assert (fold.groupby(ds.ids).nunique() == 1).all()
    train, test = split(ds)
    assert not members(train) & members(test)


def test_the_inner_validation_has_about_its_share_of_each_class():
    """Without flags, a stratified part of the training samples is held out."""
    ds = make(200, target=np.repeat([0, 1], [160, 40]))
    held = inner_validation(ds, share=0.15)
    assert held.sum() == 30
    assert ds.target[held].sum() == 6


def test_seeds_decide_and_purposes_are_independent():
    """The same seed repeats, another differs, and split and inner validation are not coupled."""
    ds = make(400)
    first, again, other = (members(split(ds, random_state=s)[1]) for s in (0, 0, 1))
    assert first == again
    assert first != other
    overlap = len(first & set(ds.ids[inner_validation(ds, share=0.2)].tolist()))
    assert 5 <= overlap <= 30  # 16 by chance; 80 or 0 would be the same draw twice


def test_the_global_generators_are_untouched():
    """Neither numpy's nor Python's global generator moves."""
    before = (str(np.random.get_state()), random.getstate())  # noqa: NPY002
    ds = make(50, cluster=np.arange(50) // 4)
    split(ds, stratify="both")
    folds(ds)
    inner_validation(ds)
    assert before == (str(np.random.get_state()), random.getstate())  # noqa: NPY002


def test_too_few_samples_are_refused_in_words():
    """One sample, one cluster, or fewer units than folds cannot be separated."""
    with pytest.raises(DatasetError, match="at least 2 samples, got 1"):
        split(make(3)[:1])
    with pytest.raises(DatasetError, match="never separated"):
        split(make(10, cluster=[1] * 10))
    with pytest.raises(DatasetError, match="never separated"):
        inner_validation(make(3)[:1])
    with pytest.raises(DatasetError, match="at least 5 samples, got 4"):
        folds(make(4))
    with pytest.raises(DatasetError, match="at least 5 clusters, got 2"):
        folds(make(10, cluster=[0, 1] * 5))
    with pytest.raises(DatasetError, match="two distinct times"):
        split(make(10, day=[1] * 10), by="time", column="day")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"test": 0}, "between 0 and 1"),
        ({"test": 1.0}, "between 0 and 1"),
        ({"by": "tim"}, "Did you mean 'time'"),
        ({"by": "cluster"}, "needs a dataset with a cluster"),
        ({"by": "site"}, "needs column="),
        ({"by": "time"}, "needs column="),
        ({"by": "time", "column": "day", "stratify": "target"}, "no meaning"),
        ({"column": "day"}, "no meaning"),
        ({"stratify": "y"}, "stratify must be"),
    ],
)
def test_arguments_that_do_not_fit_together_are_refused(arguments, message):
    """Each message says what was expected and what came."""
    with pytest.raises(DatasetError, match=message):
        split(make(10, day=range(10)), **arguments)


def test_an_unknown_column_is_refused_with_the_known_ones():
    """The message lists what samples carries and suggests the closest."""
    with pytest.raises(ColumnNotFoundError, match="Did you mean 'day'"):
        split(make(10, day=range(10)), by="time", column="dya")


def test_an_empty_time_is_refused():
    """A sample without a time belongs to neither side."""
    with pytest.raises(DatasetError, match="empty for 1 samples"):
        split(make(4, day=[1.0, 2.0, np.nan, 3.0]), by="time", column="day")
