"""Availability shift: known distances, honest chance levels, planted shifts and broken joins."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from fusewise.data import Deployment, Modality, MultimodalDataset
from fusewise.exceptions import DatasetError
from fusewise.profile.broken_joins import broken_joins
from fusewise.profile.counts import PatternCounts
from fusewise.profile.deployment import availability_in_use
from fusewise.profile.frequencies import Frequencies, compare, total_variation
from fusewise.profile.shift import COLUMNS, group_shift_table, shift_table, time_windows

NAMES = ("ehr", "lab", "scan")
PATTERNS = np.array([[i >> bit & 1 for bit in range(3)] for i in range(8)], dtype=bool)
numbers = st.lists(st.integers(0, 40), min_size=8, max_size=8).filter(any)


def rng(seed: int = 0) -> np.random.Generator:
    """A generator of its own."""
    return np.random.default_rng(seed)


def counted(n, names: tuple[str, ...] = NAMES) -> PatternCounts:
    """Counts of the eight patterns of three modalities."""
    return PatternCounts.of(names, PATTERNS, n)


def at_sites(**sites) -> PatternCounts:
    """Counts of the eight patterns at each site."""
    levels = pd.DataFrame({"site": np.repeat(list(sites), 8)})
    return PatternCounts.of(
        NAMES, np.tile(PATTERNS, (len(sites), 1)), np.concatenate(list(sites.values())), levels
    )


def shift(train: PatternCounts, deployment: object, seed: int = 0, n_boot: int = 200):
    """The one row of the table of a deployment."""
    use = availability_in_use(Deployment.of(deployment), train)
    table = shift_table(train, use, rng=rng(seed), n_boot=n_boot)
    assert len(table) == 1
    return table.iloc[0]


def use_of(counts: PatternCounts) -> Deployment:
    """A deployment observed with these counts."""
    numbers = dict(zip(counts.labels(), counts.n.tolist(), strict=True))
    return Deployment(source="observed", counts=numbers)


def test_a_known_distance() -> None:
    """Moving 30 of 100 requests from one pattern to another is a distance of .3."""
    before = counted([0, 50, 0, 50, 0, 0, 0, 0])
    after = counted([0, 20, 0, 50, 0, 30, 0, 0])
    row = shift(before, use_of(after))
    assert row["distance"] == pytest.approx(0.3)
    assert row["n_from"] == 100
    assert row["n_to"] == 100
    assert row["most_changed"] == "scan 0.00 to 0.30"
    assert row["low"] < 0.3 < row["high"]


@given(numbers, numbers)
@settings(max_examples=60)
def test_the_distance_is_one(one, two) -> None:
    """In [0, 1], symmetric, zero for equal frequencies, and no rate differs by more."""
    p, q = np.array(one) / sum(one), np.array(two) / sum(two)
    distance = float(total_variation(p, q))
    assert 0 <= distance <= 1
    assert distance == float(total_variation(q, p))
    assert total_variation(p, p) == 0
    assert (np.abs((p - q) @ PATTERNS) <= distance + 1e-12).all()
    one_to_two = shift(counted(one), use_of(counted(two)), n_boot=20) if two[0] < sum(two) else None
    if one_to_two is not None:
        assert one_to_two["distance"] == pytest.approx(distance)
        assert 0 <= one_to_two["low"] <= distance + 1e-12
        assert distance - 1e-12 <= one_to_two["high"] <= 1
        assert 0 < one_to_two["p"] <= 1


def test_p_is_uniform_where_nothing_shifted() -> None:
    """Of 300 comparisons of equal frequencies, about 5 % have p below .05, and 50 % below .5."""
    shares = rng(1).dirichlet(np.ones(40))
    draw = rng(2)
    found = []
    for i in range(300):
        one, two = (Frequencies.of("", draw.multinomial(n, shares)) for n in (400, 250))
        found.append(compare(one, two, rng(i), 99))
    p = np.array([f["p"] for f in found])
    for level in (0.05, 0.2, 0.5, 0.8):
        low, high = binom.interval(0.999, 300, level)
        assert low <= (p <= level).sum() <= high
    # The expected distance is that which is met, far from zero; and the truth, 0, is covered.
    met = np.mean([f["distance"] for f in found])
    assert np.mean([f["expected_if_same"] for f in found]) == pytest.approx(met, rel=0.03)
    assert met > 0.1
    assert np.mean([f["low"] == 0 for f in found]) > 0.9


@pytest.mark.parametrize(("n_patterns", "n"), [(2, 60), (8, 200), (150, 300)])
@pytest.mark.parametrize("moved", [0.0, 0.1, 0.4])
def test_the_limits_cover(n_patterns: int, n: int, moved: float) -> None:
    """The true distance lies within the limits in at least about 95 of 100, few patterns or many."""
    p = rng(3).dirichlet(np.full(n_patterns, 2.0))
    order = np.argsort(p)
    # Mass goes from the frequent patterns to the rarest one.
    q = p.copy()
    taken = np.minimum(np.cumsum(p[order[::-1]]), moved)
    q[order[::-1]] = np.maximum(p[order[::-1]] - np.diff(taken, prepend=0), 0)
    q[order[0]] += taken[-1]
    truth = float(total_variation(p, q))
    draw, covered = rng(4), 0
    for i in range(120):
        one, two = (Frequencies.of("", draw.multinomial(n, s)) for s in (p, q))
        found = compare(one, two, rng(i), 100)
        covered += found["low"] <= truth + 1e-12 and truth - 1e-12 <= found["high"]
    # Two standard deviations of the binomial below .95 are .91.
    assert covered / 120 >= 0.91


def test_a_planted_shift_is_found_at_its_site() -> None:
    """One site of three lacks scans: its distance is beyond chance, and the scan is named."""
    usual = np.array([10, 100, 30, 160, 20, 200, 80, 400])
    without = np.array([30, 300, 110, 560, 0, 0, 0, 0])
    counts = at_sites(east=usual, north=usual, west=without)
    table = group_shift_table(counts, rng=rng(), n_boot=200)
    assert table["to"].tolist() == ["site: east", "site: north", "site: west"]
    west = table.iloc[2]
    assert west["p"] == pytest.approx(1 / 201)
    assert west["most_changed"] == "scan 0.70 to 0.00"
    assert west["low"] > 0.6
    assert west["distance"] == pytest.approx(0.7)
    assert west[["n_from", "n_to"]].tolist() == [2000, 1000]


def test_equal_sites_are_not_apart() -> None:
    """Sites with the same frequencies have distance 0, p 1 and nothing that changed."""
    table = group_shift_table(at_sites(a=[5] * 8, b=[10] * 8), rng=rng(), n_boot=50)
    assert table["distance"].tolist() == [0, 0]
    assert table["p"].tolist() == [1, 1]
    assert table["most_changed"].tolist() == ["", ""]
    assert (table["expected_if_same"] > 0).all()
    assert (table["high"] > 0).all()


def test_two_levels_are_as_far_from_each_other() -> None:
    """With two levels, each against the other, distance and sizes mirror."""
    table = group_shift_table(at_sites(a=[9, 1] * 4, b=[1, 5] * 4), rng=rng(), n_boot=20)
    assert table["distance"].nunique() == 1
    assert table["n_from"].tolist() == table["n_to"].tolist()[::-1]


def test_a_declared_deployment_has_no_error_of_its_own() -> None:
    """Shares that were declared are not drawn: only training's sampling blurs the distance."""
    declared = {"patterns": {"ehr": 0.5, "ehr+lab": 0.5}}
    row = shift(counted([0, 50, 0, 50, 0, 0, 0, 0]), declared)
    assert row["distance"] == 0
    assert row["p"] == 1
    assert np.isnan(row["n_to"])
    # Half of |X / 100 - .5| twice, X binomial (100, .5): its mean deviation is .0398.
    assert row["expected_if_same"] == pytest.approx(0.0398, rel=0.15)
    far = shift(counted([0, 50, 0, 50, 0, 0, 0, 0]), {"patterns": {"ehr": 0.1, "ehr+lab": 0.9}})
    assert far["distance"] == pytest.approx(0.4)
    assert far["most_changed"] == "lab 0.50 to 0.90"
    assert far["p"] < 0.01


def test_declared_rates_are_compared_by_the_patterns_that_they_imply() -> None:
    """Independent rates of .5 and .5 against training that has both or neither: half must move."""
    counts = counted([0, 50, 0, 0, 0, 0, 0, 50])
    row = shift(counts, {"ehr": 1.0, "lab": 0.5, "scan": 0.5})
    assert row["distance"] == pytest.approx(0.5)
    assert row["most_changed"] == ""


def test_rates_without_joint_patterns_have_no_distance() -> None:
    """Beyond twelve uncertain modalities patterns are not listed; the changed rate is still told."""
    names = tuple(f"m{i:02d}" for i in range(14))
    counts = PatternCounts.of(names, np.ones((50, 14)))
    row = shift(counts, dict.fromkeys(names, 0.9) | {"m03": 0.2})
    assert row[["distance", "low", "high", "expected_if_same", "p"]].isna().all()
    assert row["most_changed"] == "m03 1.00 to 0.20"


def test_an_unknown_deployment_gives_no_row() -> None:
    """Nothing is known: the table is empty, with its columns and types."""
    counts = counted([1] * 8)
    use = availability_in_use(Deployment.of(None), counts)
    table = shift_table(counts, use, rng=rng())
    known = availability_in_use(Deployment.of("training"), counts)
    filled = shift_table(counts, known, rng=rng(), n_boot=5)
    assert table.empty
    assert tuple(table.columns) == COLUMNS
    assert table.dtypes.tolist() == filled.dtypes.tolist()
    assert filled["distance"].tolist() == [0]


def test_groups_that_compare_nothing_give_no_row() -> None:
    """Without groups, and with one level, there are no others; nobody at all is no error."""
    empty = group_shift_table(counted([1] * 8), rng=rng())
    assert empty.empty
    assert tuple(empty.columns) == COLUMNS
    assert group_shift_table(at_sites(only=[1] * 8), rng=rng()).empty
    nobody = PatternCounts.of(NAMES, np.zeros((0, 3)), levels=pd.DataFrame({"site": []}))
    assert group_shift_table(nobody, rng=rng()).empty
    assert np.isnan(shift(nobody, {"lab": 0.5})["distance"])


def test_one_sample_is_compared_and_means_nothing() -> None:
    """A single sample is as far as can be, and is expected to be."""
    table = group_shift_table(
        at_sites(a=[0, 1] + [0] * 6, b=[0, 40, 60] + [0] * 5), rng=rng(), n_boot=100
    )
    assert table["distance"].iloc[0] == pytest.approx(0.6)
    assert table["p"].iloc[0] > 0.05
    assert table["low"].iloc[0] == 0


def test_an_empty_cell_is_a_level() -> None:
    """Samples without a site are compared as the level (missing)."""
    levels = pd.DataFrame({"site": ["a"] * 8 + [None] * 8})
    counts = PatternCounts.of(NAMES, np.tile(PATTERNS, (2, 1)), None, levels)
    table = group_shift_table(counts, rng=rng(), n_boot=5)
    assert table["to"].tolist() == ["site: (missing)", "site: a"]


def test_the_order_of_rows_and_modalities_has_no_effect() -> None:
    """Shuffled samples give the same table, and reordered modalities the same figures."""
    presence = rng(5).random((500, 3)) < [0.9, 0.5, 0.3]
    site = pd.DataFrame({"site": np.where(rng(6).random(500) < 0.4, "a", "b")})
    order = rng(7).permutation(500)
    one = PatternCounts.of(NAMES, presence, levels=site)
    two = PatternCounts.of(NAMES, presence[order], levels=site.iloc[order])
    turned = PatternCounts.of(NAMES[::-1], presence[:, ::-1], levels=site)
    tables = [group_shift_table(c, rng=rng(), n_boot=50) for c in (one, two, turned)]
    pd.testing.assert_frame_equal(tables[0], tables[1])
    pd.testing.assert_frame_equal(tables[0], tables[2])
    against = {"patterns": {"ehr": 1, "ehr+lab": 2}}
    rows = [shift(c, against, n_boot=50) for c in (one, two, turned)]
    pd.testing.assert_series_equal(rows[0], rows[1])
    pd.testing.assert_series_equal(rows[0], rows[2])


def test_of_equal_changes_the_first_by_name_is_told() -> None:
    """Two rates that change by the same, whatever the order of the modalities."""
    for names in (("b", "a", "c"), ("a", "b", "c")):
        before = PatternCounts.of(names, [[1, 1, 1]], n=[10])
        row = shift(before, {"patterns": {"c": 1, "a+b+c": 1}}, n_boot=5)
        assert row["most_changed"] == "a 1.00 to 0.50"


def test_ten_million_samples_cost_what_a_thousand_do() -> None:
    """Only pattern counts are drawn from."""
    seconds = []
    for scale in (1, 10_000):
        counts = at_sites(a=np.arange(8) * scale * 5, b=np.arange(8)[::-1] * scale * 5)
        begin = time.perf_counter()
        group_shift_table(counts, rng=rng(), n_boot=2000)
        seconds.append(time.perf_counter() - begin)
    assert seconds[1] < 5 * seconds[0] + 0.5


def test_more_samples_than_permutations_take() -> None:
    """Beyond a thousand million samples the draws are multinomial, and say the same."""
    usual = np.array([1, 10, 3, 16, 2, 20, 8, 40])
    table = group_shift_table(
        at_sites(a=usual * 10**7, b=usual * 10**7, c=(usual * 1.001 * 10**7).astype(int)),
        rng=rng(), n_boot=50,
    )  # fmt: skip
    assert (table["expected_if_same"] < 1e-4).all()
    assert (table["p"] > 0.5).all()


def test_draws_must_be_asked_for() -> None:
    """Without draws there is no p."""
    with pytest.raises(DatasetError, match="n_boot"):
        group_shift_table(counted([1] * 8), rng=rng(), n_boot=0)


# Windows of time ------------------------------------------------------------------------------


@given(st.lists(st.integers(-50, 50) | st.none(), min_size=1, max_size=60), st.integers(1, 12))
def test_windows_divide_the_times_in_order(times, n_windows) -> None:
    """Each time has one window; equal times share it, and labels sort as the times do."""
    labels = time_windows(np.array(times, dtype=float), n_windows)
    assert [label is None for label in labels] == [t is None for t in times]
    known = sorted((t, label) for t, label in zip(times, labels, strict=True) if t is not None)
    assert len(set(known)) == len({t for t, _ in known})
    assert [label for _, label in known] == sorted(label for _, label in known)
    assert len({label for _, label in known}) <= n_windows


def test_windows_of_distinct_times_are_equally_full() -> None:
    """A hundred distinct times in four windows: 25 each, labelled by their limits."""
    labels = pd.Series(time_windows(rng(0).permutation(100), 4))
    assert labels.value_counts().sort_index().to_dict() == {
        "1/4: 0 to 24": 25, "2/4: 25 to 49": 25, "3/4: 50 to 74": 25, "4/4: 75 to 99": 25,
    }  # fmt: skip


def test_many_windows_sort_as_the_times_do() -> None:
    """Beyond nine, the alphabetical order of groups would put the tenth window second."""
    labels = time_windows(np.arange(24), 12).tolist()
    assert len(set(labels)) == 12
    assert labels == sorted(labels)


def test_windows_of_timestamps() -> None:
    """Timestamps are labelled as such; what is no time is refused."""
    days = pd.date_range("2024-01-01", periods=4)
    assert time_windows(days, 2)[0] == "1/2: 2024-01-01 00:00:00 to 2024-01-02 00:00:00"
    with pytest.raises(DatasetError, match="numbers or timestamps"):
        time_windows(["monday"], 2)
    with pytest.raises(DatasetError, match="n_windows"):
        time_windows(days, 0)
    assert time_windows([np.nan], 3).tolist() == [None]


# Broken joins ---------------------------------------------------------------------------------


def test_a_site_without_a_common_modality_is_named() -> None:
    """None of 60 where 70 % have it is named; none of 10, or of a rare modality, is not."""
    usual = [10, 20, 10, 20, 20, 50, 20, 50]
    found = broken_joins(at_sites(good=usual, bad=[10, 20, 10, 20, 0, 0, 0, 0]))
    assert len(found) == 1
    assert "None of 60 samples of site 'bad' has scan, which 0.70 of the others" in found[0]
    assert broken_joins(at_sites(good=[0] * 7 + [900], small=[0, 0, 0, 19, 0, 0, 0, 0])) == []
    assert len(broken_joins(at_sites(good=[0] * 7 + [900], large=[0, 0, 0, 20] + [0] * 4))) == 1
    assert broken_joins(at_sites(good=usual, small=[5, 5, 0, 0, 0, 0, 0, 0])) == []
    rare = [90, 100, 0, 0, 2, 0, 0, 0]
    assert broken_joins(at_sites(good=rare, other=[30, 30, 0, 0, 0, 0, 0, 0])) == []
    assert broken_joins(counted(usual)) == []


def with_lab(ids: list[str], groups: object = None) -> MultimodalDataset:
    """200 samples with a note each, and a laboratory table with these ids."""
    samples = pd.DataFrame({"id": [f"{i:04d}" for i in range(200)]})
    samples["site"] = np.where(np.arange(200) < 60, "north", "south")
    return MultimodalDataset(
        {
            "note": samples[["id"]].assign(x=1.0),
            "lab": Modality(
                pd.DataFrame({"id": ids, "t": 1.0, "variable": "v", "value": 1.0}),
                kind="events", time="t", variable="variable", value="value",
            ),
        },
        samples=samples, id="id", groups=["site"],
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*no sample has it")
def test_a_table_whose_ids_match_nobody_is_named() -> None:
    """Ids without their leading zeros match none, or few, of the samples."""
    found = broken_joins(with_lab([f"x{i}" for i in range(150)]))
    assert len(found) == 1
    assert "150 rows of lab, none belongs to a known sample" in found[0]
    few = broken_joins(with_lab([f"{i:04d}" if i < 5 else str(i) for i in range(150)]))
    assert "150 rows of lab, 5 belong to a known sample" in few[0]


@pytest.mark.filterwarnings("ignore:.*no sample has it")
def test_declared_presence_does_not_hide_that_no_id_matches() -> None:
    """Everybody is declared to have it, and none of its rows belongs to anybody."""
    ids = pd.DataFrame({"id": range(150), "has": True})
    table = pd.DataFrame({"id": np.arange(150) + 1000, "x": 1.0})
    ds = MultimodalDataset(
        {"note": ids[["id"]].assign(y=1.0),
         "lab": Modality(table.assign(t=1.0, v="v"), kind="events", time="t", variable="v",
                         value="x", present="has")},
        samples=ids, id="id",
    )  # fmt: skip
    assert "none belongs" in broken_joins(ds)[0]


def test_a_table_of_a_larger_population_is_not_named() -> None:
    """Nine in ten rows belong to others, but the samples are all there."""
    assert broken_joins(with_lab([f"{i:04d}" for i in range(3000)])) == []


def test_a_site_is_found_in_a_dataset() -> None:
    """A dataset's groups are looked through as well."""
    found = broken_joins(with_lab([f"{i:04d}" for i in range(60, 200)]))
    assert len(found) == 1
    assert "None of 60 samples of site 'north' has lab, which 1.00 of the others" in found[0]


def test_of_many_levels_the_largest_are_compared() -> None:
    """A column of ids as a group costs no more than two hundred levels."""
    presence = np.ones((401, 2), dtype=bool)
    levels = pd.DataFrame({"site": [f"s{i:03d}" for i in range(400)] + ["big"]})
    n = np.r_[np.ones(399, dtype=int), 5, 50]
    counts = PatternCounts.of(("a", "b"), presence, n, levels)
    table = group_shift_table(counts, rng=np.random.default_rng(0), n_boot=20)
    assert len(table) == 200
    assert {"site: big", "site: s399", "site: s000"} <= set(table["to"])
    assert "site: s398" not in set(table["to"])
