"""Evidence of the mechanism of availability, on cohorts whose mechanism is known."""

from __future__ import annotations

import random

import numpy as np
import pandas as pd
import pytest

from fusewise.data import Modality, MultimodalDataset
from fusewise.profile.mechanism import COLUMNS, holm, mechanism_notes, mechanism_table
from fusewise.simulate import Availability, make_cohort


def table_of(ds: MultimodalDataset, seed: int = 0, **settings: int) -> pd.DataFrame:
    """Return the table with (modality, source) as its index."""
    found = mechanism_table(ds, np.random.default_rng(seed), **settings)
    return found.set_index(["modality", "depends_on"])


def dataset(
    has: np.ndarray,
    *,
    values: np.ndarray | None = None,
    target: np.ndarray | None = None,
    **samples: np.ndarray,
) -> MultimodalDataset:
    """Modality `a` for everybody with five columns, and `b` for those who have it."""
    n = len(has)
    rng = np.random.default_rng(0)
    ids = pd.DataFrame({"id": np.arange(n)})
    shown = rng.normal(size=(n, 5)) if values is None else values
    b = pd.DataFrame(rng.normal(size=(n, 3)), columns=list("xyz"))
    return MultimodalDataset(
        {"a": ids.join(pd.DataFrame(shown, columns=list("uvwxy"))), "b": ids.join(b)[has]},
        samples=ids.assign(**samples) if target is None else ids.assign(target=target, **samples),
        id="id",
        target=None if target is None else "target",
        cluster="cluster" if "cluster" in samples else None,
        groups=[name for name in samples if name != "cluster"],
    )


def drawn(odds: np.ndarray, seed: int = 1) -> np.ndarray:
    """Presence with the given log-odds."""
    return np.random.default_rng(seed).random(len(odds)) < 1 / (1 + np.exp(-odds))


def null_cohorts(n_cohorts: int, n: int = 160) -> list[MultimodalDataset]:
    """Presence of b and c at random, but mostly together (phi 0.6): slices of one dataset."""
    rng = np.random.default_rng(n_cohorts)
    total = n_cohorts * n
    ids = pd.DataFrame({"id": np.arange(total)})
    has_c = rng.random(total) < 0.5
    has_b = has_c ^ (rng.random(total) < 0.2)
    tables = {}
    for name, width, has in (("a", 4, has_c | True), ("b", 30, has_b), ("c", 3, has_c)):
        columns = [f"x{i}" for i in range(width)]
        tables[name] = ids.join(pd.DataFrame(rng.normal(size=(total, width)), columns=columns))[has]
    samples = ids.assign(target=rng.integers(0, 2, total))
    ds = MultimodalDataset(tables, samples=samples, id="id", target="target")
    return [ds[start : start + n] for start in range(0, total, n)]


def alarms(found: list[pd.DataFrame], source: str) -> int:
    """Number of tables in which b depends on a source at the 5 % level."""
    return sum(table.loc[("b", source), "p"] <= 0.05 for table in found)


# What holds without dependence --------------------------------------------------------------


def test_presence_at_random_raises_no_more_alarms_than_it_may() -> None:
    """Of 40 null cohorts 2 are expected at the 5 % level; more than 6 has probability 0.003."""
    found = [table_of(ds, s, n_permutations=39) for s, ds in enumerate(null_cohorts(40))]
    for source in ("values", "target"):
        assert alarms(found, source) <= 6
        small = sum(table.loc[("b", source), "p"] <= 0.5 for table in found)
        assert 10 <= small <= 30  # uniform, not only seldom small
        scores = [table.loc[("b", source), "score"] for table in found]
        assert np.mean(scores) == pytest.approx(0.5, abs=0.03)  # no sample predicts itself


@pytest.mark.slow
def test_two_hundred_null_cohorts() -> None:
    """At most 18 alarms of 200: 10 are expected, and more than 18 has probability 0.005."""
    found = [table_of(ds, s, n_permutations=99) for s, ds in enumerate(null_cohorts(200))]
    for source in ("values", "target"):
        p = np.array([table.loc[("b", source), "p"] for table in found])
        assert (p <= 0.05).sum() <= 18
        assert 0.4 < p.mean() < 0.6


def test_presence_that_follows_another_presence_is_no_evidence_for_values() -> None:
    """Who has c has high values of a, and mostly b too: given c, b depends on nothing."""
    n = 400
    rng = np.random.default_rng(0)
    values = rng.normal(size=(8 * n, 4))
    has_c = drawn(3 * values[:, 0])
    has_b = rng.random(8 * n) < np.where(has_c, 0.85, 0.15)
    ids = pd.DataFrame({"id": np.arange(8 * n)})
    tables = {
        "a": ids.join(pd.DataFrame(values, columns=list("uvwx"))),
        "b": ids.assign(z=rng.normal(size=8 * n))[has_b],
        "c": ids.assign(z=rng.normal(size=8 * n))[has_c],
    }
    ds = MultimodalDataset(tables, samples=ids, id="id")
    found = [table_of(ds[k * n : (k + 1) * n], k, n_permutations=39) for k in range(8)]
    assert alarms(found, "values") <= 2  # more than two of eight: 0.006
    for table in found:
        assert table.loc[("c", "values"), "p"] == 1 / 40


def test_clusters_count_once() -> None:
    """Presence and target constant in clusters, at random between them: no alarms, and a note."""
    rng = np.random.default_rng(0)
    cohort = np.repeat(np.arange(20), 60)
    of = np.repeat(np.arange(1200), rng.integers(1, 12, 1200))
    has, target = (rng.random(1200) < 0.5)[of], rng.integers(0, 2, 1200)[of]
    values = rng.normal(size=(1200, 5))[of] + 0.1 * rng.normal(size=(len(of), 5))
    ds = dataset(has, values=values, target=target, cluster=of)
    found = [table_of(ds[cohort[of] == k], k, n_permutations=39) for k in range(20)]
    assert found[0].loc[("b", "target"), "n"] == 60
    assert found[0].loc[("b", "target"), "note"] == "one sample of each of 60 clusters"
    for source in ("values", "target"):
        assert alarms(found, source) <= 4  # one is expected; more than four: 0.003


# What is found ------------------------------------------------------------------------------


def test_presence_that_depends_on_values_is_found() -> None:
    """MAR: the presence of b depends on the score of a, and on nothing else."""
    mar = {"b": Availability(0.5, "mar", "a", 1.5), "c": 0.5}
    ds = make_cohort(
        600, 4, modalities={"a": 6, "b": 4, "c": 4}, signal=0.0, availability=mar, random_state=0
    ).train
    found = table_of(ds, n_permutations=199)
    assert found.loc[("b", "values"), "p_holm"] <= 0.01
    assert found.loc[("b", "values"), "low"] > 0.6
    assert found.loc[("c", "values"), "p_holm"] > 0.05


def test_presence_that_is_informative_of_the_target_is_found() -> None:
    """The AUROC of a binary source is one half plus half the difference of the two rates."""
    informative = {"b": Availability(0.5, "informative", strength=0.6)}
    ds = make_cohort(
        1000, 4, modalities={"a": 3, "b": 3}, availability=informative, random_state=2
    ).train
    row = table_of(ds).loc[("b", "target")]
    assert row["p_holm"] == 1 / 500
    has, target = ds.presence[:, 1], np.asarray(ds.target)
    expected = 0.5 + abs(target[has].mean() - target[~has].mean()) / 2
    assert row["score"] == pytest.approx(expected, abs=0.02)
    assert row["low"] < expected < row["high"]


def test_a_group_that_lacks_it_is_found() -> None:
    """One site in four seldom has it; the other group tells nothing."""
    rng = np.random.default_rng(3)
    site, sex = rng.choice(list("stuv"), 500), rng.choice(["f", "m", None], 500)
    found = table_of(dataset(drawn(np.where(site == "s", -1.5, 0.5)), site=site, sex=sex))
    assert found.loc[("b", "group:site"), "p_holm"] == 1 / 500
    assert found.loc[("b", "group:sex"), "p_holm"] > 0.05


@pytest.mark.parametrize("kind", ["regression", "multiclass"])
def test_targets_of_other_tasks(kind: str) -> None:
    """A regression target whose extremes lack it, and the middle one of three classes."""
    number = np.random.default_rng(4).normal(size=500)
    three = np.array(["high", "low", "mid"])[np.digitize(number, [-0.5, 0.5])]
    target = number if kind == "regression" else three
    odds = 1.5 - 1.5 * number**2 if kind == "regression" else np.where(three == "low", 1.0, -1.0)
    assert table_of(dataset(drawn(odds), target=target)).loc[("b", "target"), "p"] == 1 / 500


def test_a_u_shape_is_found() -> None:
    """Both extremes of one column lack the modality; its mean does not differ."""
    values = np.random.default_rng(5).normal(size=(500, 5))
    row = table_of(dataset(drawn(1.5 - 1.5 * values[:, 2] ** 2), values=values)).loc["b", "values"]
    assert row["p"] == 1 / 500
    assert row["score"] > 0.65


@pytest.mark.slow
@pytest.mark.parametrize(("mechanism", "source"), [("mar", "values"), ("informative", "target")])
def test_power_grows_with_strength(mechanism: str, source: str) -> None:
    """Of 40 cohorts of 500 samples, at three strengths: the strongest is hardly ever missed."""
    power = []
    for strength in (0.25, 0.5, 1.0):
        part = {"b": Availability(0.5, mechanism, strength=strength)}
        ds = make_cohort(
            40 * 500, 4, modalities={"a": 6, "b": 4}, signal=0.5, availability=part, random_state=0
        ).train
        found = [table_of(ds[k * 500 : (k + 1) * 500], k, n_permutations=99) for k in range(40)]
        power.append(alarms(found, source) / 40)
    assert power[0] < power[1] <= power[2], power
    assert power[2] >= 0.95, power


# What has no effect, and what cannot be tested ----------------------------------------------


def test_order_and_the_global_generator_have_no_effect() -> None:
    """Samples shuffled, modalities reversed, other draws before: the same figures."""
    random.random(), np.random.random(1000)  # noqa: NPY002, S311 - no seed's first state
    state, legacy = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    (ds,) = null_cohorts(1)
    first = mechanism_table(ds, np.random.default_rng(0), n_permutations=19, max_rows=100)
    assert list(first["modality"].unique()) == ["a", "b", "c"]
    shuffled = ds[np.random.default_rng(1).permutation(len(ds))]
    shuffled._names = ds.modalities[::-1]
    shuffled._presence = shuffled._presence[:, ::-1]
    again = mechanism_table(shuffled, np.random.default_rng(0), n_permutations=19, max_rows=100)
    assert list(again["modality"].unique()) == ["c", "b", "a"]
    assert random.getstate() == state
    assert np.random.get_state()[1].tolist() == legacy  # noqa: NPY002
    key = ["modality", "depends_on"]
    pd.testing.assert_frame_equal(
        first.set_index(key), again.set_index(key).loc[first.set_index(key).index]
    )


def test_what_cannot_be_tested_has_a_row_that_says_why() -> None:
    """Constant presence, one modality, one class, no counterpart: NaN and a note."""
    has = np.arange(60) % 2 == 0
    found = table_of(dataset(has, group=np.full(60, "all")), n_permutations=19)
    assert found.columns.tolist() == COLUMNS[2:]
    assert found.loc[("a", "values"), "note"].startswith("0 samples lack it; 10 with")
    assert found.loc[("b", "group:group"), "note"] == "the group has one value only"
    untested = found[found["note"] != ""]
    assert untested[["score", "low", "high", "p", "p_holm"]].isna().all(axis=None)
    assert (untested["n"] == 0).all()
    alone = table_of(dataset(has).only("b"), n_permutations=19)
    assert alone.loc[("b", "values"), "note"] == "there is no other modality"
    assert "target" not in alone.index.get_level_values(1)

    ids = pd.DataFrame({"id": np.arange(60)})
    either = {"a": ids.assign(x=1.0 * ids["id"])[has], "b": ids.assign(x=1.0 * ids["id"])[~has]}
    never_alike = table_of(MultimodalDataset(either, samples=ids, id="id"))
    assert "counterpart with the same other modalities" in never_alike.loc[("a", "values"), "note"]

    constant = table_of(dataset(has, values=np.ones((60, 5))), n_permutations=19)
    assert constant.loc[("b", "values"), "note"] == "values: nothing varies"


def test_one_class_tells_nothing() -> None:
    """Training rows of one class have no target to depend on."""
    ds = dataset(np.arange(80) % 2 == 0, target=np.arange(80) // 40)
    row = table_of(ds[:40], n_permutations=19).loc[("b", "target")]
    assert row["note"] == "the target has one value only"
    assert np.isnan(row["p"])


def test_empty_cells_words_wide_tables_and_events_are_fine() -> None:
    """Missing values are no obstacle, and that a cell is empty is itself a value."""
    n = 300
    rng = np.random.default_rng(6)
    ids = pd.DataFrame({"id": np.arange(n)})
    has = rng.random(n) < 0.5
    wide = pd.DataFrame(rng.normal(size=(n, 80)), columns=[f"c{i}" for i in range(80)])
    wide = wide.mask(rng.random(wide.shape) < 0.3).assign(none=np.nan)
    events = pd.DataFrame({"id": rng.integers(0, n, 900), "time": rng.random(900)})
    tables = {
        "wide": ids.join(wide),
        "words": ids.assign(word=rng.choice(["x", "y", None], n), z=np.where(has, 1.0, np.nan)),
        "stream": Modality(
            events.assign(variable="v", value=1.0), kind="events", time="time",
            variable="variable", value="value",
        ),
        "b": ids.assign(x=1.0 * ids["id"])[has],
    }  # fmt: skip
    found = table_of(MultimodalDataset(tables, samples=ids, id="id"))
    row = found.loc[("b", "values")]
    assert row["p"] == 1 / 500
    assert row["score"] > 0.8
    assert np.isfinite(found.loc["stream", "p"]).all()


def test_too_few_permutations_are_noted() -> None:
    """With 19 permutations of two modalities nothing corrected can be as small as 5 %."""
    found = table_of(null_cohorts(1)[0], n_permutations=19)
    assert found.loc[("b", "target"), "note"] == "19 permutations are too few for a small p_holm"
    assert found.loc[("a", "target"), "note"].startswith("0 samples lack it")


def test_holm_is_the_step_down_of_its_definition() -> None:
    """The smallest is multiplied by the number of tests, later ones by less, never decreasing."""
    corrected = holm(pd.Series([0.2, 0.01, np.nan, 0.02, 0.9]))
    np.testing.assert_allclose(corrected, [0.4, 0.04, np.nan, 0.06, 0.9])


def test_findings_are_a_sentence_per_source() -> None:
    """Only corrected findings are told, each with its figures."""
    table = pd.DataFrame(
        [
            ["liver", "target", 900, 0.62, 0.6, 0.64, 0.002, 0.005, ""],
            ["liver", "group:site", 900, 0.7, 0.66, 0.74, 0.002, 0.01, ""],
            ["lactate", "values", 900, 0.52, 0.49, 0.55, 0.04, 0.08, ""],
            ["static", "values", 0, *[np.nan] * 5, "0 samples lack it"],
        ],
        columns=COLUMNS,
    )
    first, second = mechanism_notes(table)
    assert first == (
        "Presence depends on the target (AUROC: liver 0.62 [0.60, 0.64]): what is learned from who "
        "lacks it may not hold elsewhere."
    )
    assert second.startswith("Presence depends on the group site (AUROC: liver 0.70 ")
