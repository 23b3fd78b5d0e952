"""Amputation removes what it says, where it says, as often as it says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, pearsonr
from sklearn.linear_model import LogisticRegression

from fusewise.data import Modality, MultimodalDataset
from fusewise.exceptions import (
    ColumnNotFoundError,
    DatasetError,
    FusewiseWarning,
    TaskError,
    UnknownModalityError,
)
from fusewise.simulate import Availability, ampute, make_cohort

NAMES = {"a": 4, "b": 3, "c": 5}
MECHANISMS = ("mcar", "mar", "mnar", "informative")


@pytest.fixture(scope="module")
def whole():
    """Return 20,000 complete samples."""
    return make_cohort(20_000, 10, modalities=NAMES, signal=1.5, random_state=0).train


@pytest.fixture(scope="module")
def gappy():
    """Return 20,000 samples with natural absence, none empty."""
    availability = {"a": 0.8, "b": Availability(0.6, "informative"), "c": 0.4}
    return make_cohort(
        20_000, 10, modalities=NAMES, signal=1.5, availability=availability, random_state=0
    ).train


def removed_share(before, after):
    """Return the share of samples that lost each modality, among those that had it."""
    return 1 - after.presence.sum(axis=0) / before.presence.sum(axis=0)


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("rate", [0.3, {"b": 0.5}, {"b": 0.8, "c": 0.2}])
def test_rates_are_met_and_nobody_is_emptied(whole, gappy, mechanism, rate):
    """Each mechanism reaches the rates, beside natural absence too, and only removes."""
    for before in (whole, gappy):
        after = ampute(before, mechanism=mechanism, rate=rate, random_state=1)
        given_rates = rate if isinstance(rate, dict) else dict.fromkeys(NAMES, rate)
        wanted = np.array([given_rates.get(name, 0.0) for name in NAMES])
        if mechanism == "mar":
            wanted[0] = 0.0  # the driver
        np.testing.assert_allclose(removed_share(before, after), wanted, atol=0.015)
        assert after.presence.any(axis=1).all()
        assert not (after.presence & ~before.presence).any()
        np.testing.assert_array_equal(after.ids, before.ids)


def test_drawn_rates_scatter_around_the_wanted_one_by_chance_alone(gappy):
    """Over many seeds the mean rate is the wanted one to a tenth of a single draw's error."""
    before = gappy[:1500]
    for mechanism in ("mcar", "mnar"):
        shares = [
            removed_share(before, ampute(before, mechanism=mechanism, rate=0.25, random_state=s))
            for s in range(60)
        ]
        error = np.std(shares, axis=0) / np.sqrt(len(shares))
        assert (np.abs(np.mean(shares, axis=0) - 0.25) < 4 * error).all(), mechanism


def test_mcar_removal_is_independent_of_features_target_and_other_removals(whole):
    """No draw is coupled to another, nor to the data, even with the seed that made the data."""
    after = ampute(whole, rate={"b": 0.4, "c": 0.5}, random_state=0)
    lost = ~after.presence
    for column in (1, 2):
        table = pd.crosstab(lost[:, column], whole.target)
        assert chi2_contingency(table).pvalue > 1e-3
        for name in NAMES:
            x = whole.features(name)[1].to_numpy()
            smallest = min(pearsonr(lost[:, column], x[:, j]).pvalue for j in range(x.shape[1]))
            assert smallest > 1e-4
    assert chi2_contingency(pd.crosstab(lost[:, 1], lost[:, 2])).pvalue > 1e-3


def test_mar_removal_depends_on_the_named_feature_only(whole):
    """Given the driver, own values and target do not matter; the sign is that of `strength`."""
    after = ampute(
        whole, mechanism="mar", rate={"b": 0.5}, depends_on=("a", "x01"), strength=1.5,
        random_state=3,
    )  # fmt: skip
    kept = after.presence[:, 1]
    driver = whole.features("a")[1]
    others = driver.drop(columns="x01").assign(y=whole.target)
    own = whole.features("b")[1]
    x = np.column_stack([driver["x01"] / driver["x01"].std(), others, own])
    effects = LogisticRegression(C=1e6, max_iter=500).fit(x, kept).coef_[0]
    assert effects[0] == pytest.approx(1.5, abs=0.12)
    np.testing.assert_allclose(effects[1:], 0, atol=0.12)


def test_mnar_removal_depends_on_own_values(whole):
    """A model of the removed modality's own values predicts its removal; the others' do not."""
    kept = ampute(whole, mechanism="mnar", rate={"b": 0.5}, random_state=3).presence[:, 1]
    x = np.column_stack([whole.features("b")[1], whole.features("c")[1], whole.target])
    effects = LogisticRegression(C=1e6, max_iter=500).fit(x, kept).coef_[0]
    assert np.abs(effects[:3]).max() > 0.5
    np.testing.assert_allclose(effects[3:], 0, atol=0.12)


def test_informative_removal_depends_on_the_target(whole):
    """With strength above zero, samples of the higher class keep the modality more often."""
    kept = ampute(whole, mechanism="informative", rate={"b": 0.5}, random_state=3).presence[:, 1]
    assert kept[whole.target == 1].mean() > kept[whole.target == 0].mean() + 0.3


def test_patterns_are_left_with_their_weights(whole, gappy):
    """Joint patterns are met on complete data; on gappy data each keeps what it has of them."""
    patterns = {"a": 1, "a+b": 2, "b+c": 1}
    shares = ampute(whole, patterns=patterns, random_state=0).patterns().set_index("pattern")
    np.testing.assert_allclose(
        shares["share"][["a", "a+b", "b+c"]].astype(float), [0.25, 0.5, 0.25], atol=0.012
    )
    after = ampute(gappy, patterns={"a": 1, "a+b": 2}, random_state=0)
    assert after.presence.any(axis=1).all()
    only_c = gappy.pattern == "c"
    assert (after.pattern[only_c] == "c").all()
    assert (after.pattern[gappy.pattern == "a+b+c"] != "a+b+c").all()
    emptied = ampute(gappy, patterns={"a": 1, "a+b": 2}, keep_one=False, random_state=0)
    assert not emptied.presence[only_c].any()


def test_unreachable_rate_warns_and_says_what_was_reached():
    """Complete samples of three modalities cannot lose nine in ten and keep one."""
    ds = make_cohort(3000, 10, modalities=NAMES, random_state=0).train
    with pytest.warns(FusewiseWarning, match=r"a 0\.9 \(reached 0\.667\)"):
        after = ampute(ds, rate=0.9)
    assert (after.presence.sum(axis=1) == 1).all()
    np.testing.assert_allclose(
        ampute(ds, rate=0.9, keep_one=False).presence.mean(axis=0), 0.1, atol=0.02
    )


def test_lone_modality_stays():
    """A sample with one modality keeps it, and a rate that needs more says so."""
    ds = make_cohort(500, 10, modalities={"a": 2}, random_state=0).train
    with pytest.warns(FusewiseWarning, match="out of reach"):
        assert ampute(ds, rate=0.5).presence.all()


@given(
    presence=st.lists(st.tuples(*[st.booleans()] * 3), min_size=4, max_size=40),
    rate=st.floats(0, 1),
    mechanism=st.sampled_from(MECHANISMS),
    seed=st.integers(0, 10),
)
@pytest.mark.filterwarnings("ignore::fusewise.exceptions.FusewiseWarning")
def test_any_presence_is_only_reduced_and_never_emptied(presence, rate, mechanism, seed):
    """Whatever is present, and at any rate, nothing is created and nobody is emptied."""
    cohort = _some()
    before = cohort[: len(presence)].with_presence(np.array(presence))
    after = ampute(before, mechanism=mechanism, rate=rate, random_state=seed)
    assert not (after.presence & ~before.presence).any()
    np.testing.assert_array_equal(after.presence.any(axis=1), before.presence.any(axis=1))


_CACHE = {}


def _some():
    if "ds" not in _CACHE:
        _CACHE["ds"] = make_cohort(40, 10, modalities=NAMES, random_state=0).train
    return _CACHE["ds"]


def test_words_events_and_empty_cells_can_drive_removal():
    """Scores come from any kind of feature, and empty cells count as average."""
    rng = np.random.default_rng(0)
    ids = np.arange(2000)
    samples = pd.DataFrame({"id": ids, "y": rng.normal(size=2000)})
    table = pd.DataFrame({"id": ids, "word": rng.choice(["x", "y", "z"], 2000),
                          "empty": np.nan, "part": np.where(ids % 3, ids, np.nan)})  # fmt: skip
    events = pd.DataFrame({"id": ids.repeat(3), "t": rng.random(6000), "v": "hr",
                           "x": rng.normal(size=6000)})  # fmt: skip
    ds = MultimodalDataset(
        {"t": table, "e": Modality(events, kind="events", time="t", variable="v", value="x")},
        samples=samples, id="id", target="y",
    )  # fmt: skip
    for mechanism in MECHANISMS:
        after = ampute(ds, mechanism=mechanism, rate={"e": 0.5})
        assert removed_share(ds, after)[1] == pytest.approx(0.5, abs=0.04)
    by_word = ampute(ds, mechanism="mar", rate={"e": 0.5}, depends_on=("t", "word"))
    shares = pd.Series(by_word.presence[:, 1]).groupby(table["word"]).mean()
    assert shares["x"] < shares["y"] - 0.1 < shares["z"] - 0.2


def test_same_seed_same_removal_and_global_generator_untouched(whole):
    """The seed decides the removal; nothing else does."""
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - it is what must not change
    for mechanism in MECHANISMS:
        one, same, other = (
            ampute(whole, mechanism=mechanism, rate=0.4, random_state=s).presence for s in (1, 1, 2)
        )
        np.testing.assert_array_equal(one, same)
        assert (one != other).any()
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize(
    ("error", "words", "arguments"),
    [
        (DatasetError, "give rate=, or patterns=", {}),
        (DatasetError, "and not both", {"rate": 0.1, "patterns": {"a": 1}}),
        (DatasetError, "mechanism: must be one of", {"rate": 0.1, "mechanism": "MCAR!"}),
        (DatasetError, "from 0 to 1", {"rate": 1.2}),
        (UnknownModalityError, "rate: no modality 'imaging'", {"rate": {"imaging": 0.1}}),
        (UnknownModalityError, "names 'd'", {"patterns": {"d": 1}}),
        (DatasetError, "completely at random", {"patterns": {"a": 1}, "mechanism": "mar"}),
        (DatasetError, "none to depend on", {"rate": dict.fromkeys(NAMES, 0.1),
                                             "mechanism": "mar"}),
        (DatasetError, "makes it MNAR", {"rate": {"a": 0.1}, "mechanism": "mar",
                                         "depends_on": "a"}),
        (DatasetError, "is for mechanism 'mar'", {"rate": 0.1, "depends_on": "a"}),
        (ColumnNotFoundError, "no feature 'x9'", {"rate": {"b": 0.1}, "mechanism": "mar",
                                                  "depends_on": ("a", "x9")}),
    ],
)  # fmt: skip
def test_contradictions_are_named(error, words, arguments):
    """A call that makes no sense raises, and says what came and what to do."""
    with pytest.raises(error, match=words):
        ampute(_some(), **arguments)


def test_informative_removal_needs_a_target():
    """Without a target there is nothing to inform."""
    samples = pd.DataFrame({"id": [1, 2, 3]})
    table = pd.DataFrame({"id": [1, 2, 3], "x": [1.0, 2.0, 3.0]})
    ds = MultimodalDataset({"t": table}, samples=samples, id="id")
    with pytest.raises(TaskError, match="no target"):
        ampute(ds, mechanism="informative", rate=0.1)
