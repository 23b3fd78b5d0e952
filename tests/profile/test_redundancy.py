"""Redundancy between modalities, on features whose likeness is known."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

import fusewise as fw
from fusewise.profile import DeploymentProfile, debiased_cka, most_alike, redundancy_table
from fusewise.profile.redundancy import COLUMNS


def plain_cka(x: np.ndarray, y: np.ndarray) -> float:
    """CKA as it is usually written, with its bias."""
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    cross, own, other = ((a.T @ b) ** 2 for a, b in ((x, y), (x, x), (y, y)))
    return float(cross.sum() / math.sqrt(own.sum() * other.sum()))


def turned(width: int, seed: int) -> np.ndarray:
    """A random orthogonal map."""
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(width, width)))[0]


@pytest.mark.parametrize(("p", "q"), [(3, 3), (100, 5), (600, 400), (2_000, 2_000)])
def test_independent_features_have_nothing_in_common_whatever_their_number(p: int, q: int) -> None:
    """About zero with zero inside the interval; plain CKA grows towards 1 with the widths."""
    rng = np.random.default_rng(p + q)
    x, y = rng.normal(size=(200, p)), rng.normal(size=(200, q))
    found = debiased_cka(x, y)
    assert abs(found.cka) < 0.03
    assert found.low < 0 < found.high
    if min(p, q) > 200:
        assert plain_cka(x, y) > 0.6


@pytest.mark.parametrize("p", [2, 50, 600])
def test_a_rotation_times_a_number_plus_a_shift_is_the_same(p: int) -> None:
    """Alike 1, and without any uncertainty."""
    x = np.random.default_rng(0).normal(size=(150, p)) * np.linspace(0.1, 3, p)
    found = debiased_cka(x, 1e3 * x @ turned(p, 1) - 7)
    assert found == pytest.approx((1, 1, 1))


def test_rotations_and_scales_of_either_side_have_no_effect() -> None:
    """Neither does the order of the samples, nor which side comes first."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(120, 6))
    y = np.column_stack([x[:, :2] + rng.normal(size=(120, 2)), rng.normal(size=(120, 30))])
    found = debiased_cka(x, y)
    assert found.cka > 0.05
    order = rng.permutation(120)
    for other in (
        debiased_cka(1e-6 * x @ turned(6, 3), 1e6 * y @ turned(32, 4) + 50),
        debiased_cka(x[order], y[order]),
        debiased_cka(y, x),
    ):
        assert other == pytest.approx(found)


def test_the_known_value_of_shared_columns() -> None:
    """Of p and q uncorrelated columns s are shared: s / sqrt(p q)."""
    rng = np.random.default_rng(5)
    shared = rng.normal(size=(3_000, 4))
    x = np.column_stack([shared, rng.normal(size=(3_000, 12))])
    y = np.column_stack([rng.normal(size=(3_000, 5)), shared])
    found = debiased_cka(x, y)
    assert found.cka == pytest.approx(4 / 12, abs=0.02)


def test_wide_and_narrow_forms_agree_with_the_formula_and_leaving_out_by_hand() -> None:
    """Song et al.'s formula with Gram matrices; the jackknife by really leaving out each sample."""
    rng = np.random.default_rng(6)
    x, narrow, wide = (rng.normal(size=(14, p)) for p in (3, 2, 60))
    wide[:, 0] += 3 * x[:, 0]

    def formula(a: np.ndarray, b: np.ndarray) -> float:
        n, k, m = len(a), a @ a.T, b @ b.T
        k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
        rest = k.sum() * m.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (k @ m).sum()
        return float(((k * m).sum() + rest) / (n * (n - 3)))

    def by_hand(a: np.ndarray, b: np.ndarray) -> float:
        return formula(a, b) / math.sqrt(formula(a, a) * formula(b, b))

    for y in (narrow, wide):
        found = debiased_cka(x, y)
        assert found.cka == pytest.approx(by_hand(x, y))
        left = np.array([by_hand(*(np.delete(z, i, 0) for z in (x, y))) for i in range(14)])
        spread = math.sqrt(13 / 14 * ((left - left.mean()) ** 2).sum())
        assert found.low == pytest.approx(found.cka - 1.96 * spread)


def test_the_interval_covers_the_truth() -> None:
    """In about 95 of 100 draws (the limit is four standard errors below)."""
    truth = 2 / math.sqrt(8 * 40)
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(300):
        shared = rng.normal(size=(120, 2))
        x = np.column_stack([shared, rng.normal(size=(120, 6))])
        y = np.column_stack([shared, rng.normal(size=(120, 38))])
        found = debiased_cka(x, y)
        covered += found.low <= truth <= found.high
    assert covered >= 270


def test_what_cannot_be_told_is_nan() -> None:
    """Seven samples, and features that do not vary."""
    x = np.random.default_rng(8).normal(size=(7, 2))
    assert all(map(math.isnan, debiased_cka(x, x)))
    assert all(map(math.isnan, debiased_cka(np.ones((50, 3)), np.ones((50, 2)))))


N = 500


def cohort(order: np.ndarray | None = None, clusters: bool = False) -> fw.MultimodalDataset:
    """`twin` is a rotated `clinical`; `noise` is independent and wide; a stream repeats a column."""
    rng = np.random.default_rng(9)
    ids = np.array([f"s{i:03d}" for i in range(N)])
    values = rng.normal(size=(N, 4))
    twin = pd.DataFrame(values @ turned(4, 10) * 30).add_prefix("t").assign(id=ids)
    clinical = pd.DataFrame(values).add_prefix("c").assign(id=ids, place=rng.choice(["a", "b"], N))
    noise = pd.DataFrame(rng.normal(size=(N, 3_000))).add_prefix("g").assign(id=ids)
    noise = noise.mask(rng.random(noise.shape) < 0.3).assign(id=ids)[rng.random(N) < 0.6]
    stream = pd.DataFrame({"id": ids, "t": 1.0, "variable": "v", "value": values[:, 0]})
    samples = pd.DataFrame({"id": ids, "who": np.arange(N) // 4})
    if order is not None:
        samples, clinical = samples.iloc[order], clinical.iloc[order[::-1]]
    return fw.MultimodalDataset(
        {
            "clinical": clinical,
            "twin": twin,
            "noise": noise,
            "stream": fw.Modality(stream, kind="events", time="t", variable="variable",
                                  value="value"),
        },
        samples=samples, id="id", cluster="who" if clusters else None,
    )  # fmt: skip


def measured(ds: fw.MultimodalDataset) -> pd.DataFrame:
    """The table by pair."""
    return redundancy_table(ds, np.random.default_rng(0)).set_index(["modality", "other"])


def test_a_twin_is_found_and_noise_is_not() -> None:
    """Also among empty cells, and with more columns than samples; n says what was compared."""
    table = measured(cohort())
    twin, noise = table.loc[("clinical", "twin")], table.loc[("twin", "noise")]
    # One level of the category is a fifth direction, told by two columns.
    assert twin["cka"] > 0.65
    assert twin["n"] == twin["n_both"] == N
    assert abs(noise["cka"]) < 0.02
    assert noise["low"] < 0 < noise["high"]
    assert noise["n"] == noise["n_both"] < 350
    # One of four columns: 1 / sqrt(4).
    assert table.loc[("twin", "stream"), "cka"] == pytest.approx(0.5, abs=0.06)


def test_the_order_of_samples_has_no_effect_and_clusters_count_once() -> None:
    """Samples are drawn by their ids, one of each cluster."""
    order = np.random.default_rng(11).permutation(N)
    pd.testing.assert_frame_equal(measured(cohort(order)), measured(cohort()))
    clustered = measured(cohort(clusters=True)).loc[("clinical", "twin")]
    assert clustered["n"] == N // 4
    assert clustered["n_both"] == N


def test_wide_pairs_are_compared_on_fewer_samples() -> None:
    """And say so; the others are not."""
    table = redundancy_table(cohort(), np.random.default_rng(0), max_rows=300, wide_rows=100)
    table = table.set_index(["modality", "other"])
    assert table.loc[("clinical", "noise"), "n"] == 100
    assert table.loc[("clinical", "twin"), "n"] == 300


def test_pairs_that_nobody_has_say_why() -> None:
    """No figure, and no error; a single modality has no pairs."""
    ds = cohort()
    presence = ds.presence.copy()
    presence[:, 1] = ~presence[:, 2]
    row = measured(ds.with_presence(presence)).loc[("twin", "noise")]
    assert row["n"] == row["n_both"] == 0
    assert row["note"] == "fewer than 8 samples to compare have both"
    assert math.isnan(row["cka"])
    alone = redundancy_table(ds.only("twin"), np.random.default_rng(0))
    assert list(alone.columns) == list(COLUMNS)
    assert alone.empty


def test_the_profile_has_it_and_the_recommendation_says_who_can_stand_in_for_whom() -> None:
    """The rarer of the pair is the one that is stood in for; no rule reads it."""
    ds = cohort().only("twin", "clinical", "noise")
    profile = fw.profile(ds, {"twin": 0.95, "clinical": 0.5})
    again = DeploymentProfile.from_json(profile.to_json())
    pd.testing.assert_frame_equal(again.redundancy, profile.redundancy)
    assert "Most alike" in str(again)
    pair = most_alike(again.redundancy)
    assert pair is not None
    assert {pair["modality"], pair["other"]} == {"clinical", "twin"}
    reason = next(r for r in fw.recommend(again).reasons if r.axis == "redundancy")
    assert reason.met
    assert (reason.value, reason.low, reason.high) == (pair["cka"], pair["low"], pair["high"])
    assert "where clinical is absent, twin can stand in for much of it" in reason.statement
    other = fw.recommend(fw.profile(ds.without("clinical"), {"twin": 0.95}))
    reason = next(r for r in other.reasons if r.axis == "redundancy")
    assert not reason.met
    assert "No two modalities are shown" in reason.statement
