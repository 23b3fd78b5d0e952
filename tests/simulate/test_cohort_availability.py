"""Presence in simulated cohorts depends on what was declared, and on nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2_contingency, chisquare, pearsonr
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from fusewise.data import parse_pattern
from fusewise.exceptions import DatasetError, TaskError, UnknownModalityError
from fusewise.simulate import Availability, Interaction, Noise, make_cohort

THREE = {"a": 4, "b": 3, "c": 5}
N = 40_000


def association(presence, target):
    """Return the p-value of independence of a presence column and the class."""
    return chi2_contingency([[np.sum(presence & (target == k)), np.sum(~presence & (target == k))]
                             for k in np.unique(target)]).pvalue  # fmt: skip


def score_of(whole, name):
    """Return the score that drives presence, from the complete data."""
    source = next(s for s in whole.design.sources if s.name == name)
    return source.statistics(whole.test)[1][:, 0]


def twins(availability, seed=5, **more):
    """Return the same samples twice: with absence, and complete."""
    common = {"modalities": THREE, "signal": 1.5, "random_state": seed} | more
    return (
        make_cohort(10, N, availability=availability, **common),
        make_cohort(10, N, availability=None, **common),
    )


def test_mcar_presence_depends_on_nothing():
    """Presence at random is independent of target, of values, and between modalities."""
    cohort, whole = twins({"b": 0.5, "c": 0.3})
    presence, target = cohort.test.presence, cohort.test.target
    np.testing.assert_array_equal(target, whole.test.target)
    for column in (1, 2):
        assert association(presence[:, column], target) > 1e-3
        for name in THREE:
            assert pearsonr(presence[:, column], score_of(whole, name)).pvalue > 1e-3
    assert association(presence[:, 1], presence[:, 2].astype(int)) > 1e-3


def test_mnar_presence_depends_on_own_values():
    """Present values are shifted, the other modality's values matter only through the target."""
    cohort, whole = twins({"b": Availability(0.5, "mnar", strength=1.5)})
    presence, own, other = cohort.test.presence[:, 1], score_of(whole, "b"), score_of(whole, "a")
    own_effect, other_effect = (
        LogisticRegression(C=1e6)
        .fit(np.column_stack([own / own.std(), other / other.std()]), presence)
        .coef_[0]
    )
    assert own_effect == pytest.approx(1.5, abs=0.08)
    assert other_effect == pytest.approx(0, abs=0.05)


def test_mar_presence_depends_on_the_other_modality_only():
    """Given the driver's observed values, neither own values nor the target matter."""
    cohort, whole = twins({"b": Availability(0.5, "mar", "a", strength=1.5)})
    target, presence = cohort.test.target, cohort.test.presence[:, 1]
    driver, own = score_of(whole, "a"), score_of(whole, "b")
    x = np.column_stack([driver / driver.std(), own / own.std(), target])
    effects = LogisticRegression(C=1e6).fit(x, presence).coef_[0]
    np.testing.assert_allclose(effects, [1.5, 0, 0], atol=0.1)
    # Marginally it does go with the target, which is what makes MAR a trap.
    assert association(presence, target) < 1e-6


def test_informative_presence_depends_on_the_target_only():
    """Within a class, presence is independent of all values."""
    cohort, whole = twins({"b": Availability(0.5, "informative", strength=1.0)})
    presence, target = cohort.test.presence[:, 1], cohort.test.target
    assert association(presence, target) < 1e-6
    for label in (0, 1):
        mine = target == label
        for name in THREE:
            assert pearsonr(presence[mine], score_of(whole, name)[mine]).pvalue > 1e-3


AVAILABILITIES = {
    "mcar": {"a": 0.9, "b": 0.5, "c": 0.2},
    "mcar, just feasible": {"a": 0.4, "b": 0.4, "c": 0.3},
    "mnar": dict.fromkeys(THREE, Availability(0.5, "mnar")),
    "mar": {"b": Availability(0.2, "mar"), "c": Availability(0.9, "mar", strength=-3.0)},
    "informative": dict.fromkeys(THREE, Availability(0.4, "informative", strength=3.0)),
    "mixed": {"b": Availability(0.7, "informative"), "c": Availability(0.05, "mnar"), "a": 0.6},
}


@pytest.mark.parametrize("name", AVAILABILITIES)
def test_rates_are_met_and_patterns_are_those_declared_to_the_deployment(name):
    """Expected rates hold although nobody is left empty; the deployment knows the joint truth."""
    cohort = make_cohort(
        100, N, modalities=THREE, availability=AVAILABILITIES[name], random_state=1
    )
    rates = cohort.availability()["rate_deployment"].to_numpy()
    presence = cohort.test.presence
    assert presence.any(axis=1).all()
    np.testing.assert_allclose(presence.mean(axis=0), rates, atol=0.012)
    weights = cohort.deployment.pattern_weights(list(THREE))
    marginal = [sum(w for p, w in weights.items() if m in p) for m in THREE]
    np.testing.assert_allclose(marginal, rates, atol=1e-6)
    counted = cohort.test.patterns().set_index("pattern")["n"]
    expected = {"+".join(sorted(p)): w * N for p, w in weights.items() if w * N > 5}
    observed = [counted.get(label, 0) for label in expected]
    assert set(counted.index) - set(expected) == set() or counted.drop(list(expected)).sum() < 50
    scale = sum(observed) / sum(expected.values())
    # The weights of a selective mechanism come from a large reference draw: allow for its noise.
    assert chisquare(observed, np.array(list(expected.values())) * scale).pvalue > 1e-5


def test_training_and_deployment_can_differ():
    """Each part follows its own availability, and fresh samples follow the one asked for."""
    cohort = make_cohort(
        20_000, 20_000, modalities=THREE, availability={"b": 0.9},
        deployment_availability={"patterns": {"a": 0.5, "a+b": 0.2, "a+b+c": 0.3}}, random_state=1,
    )  # fmt: skip
    np.testing.assert_allclose(cohort.train.presence.mean(axis=0), [1, 0.9, 1], atol=0.01)
    np.testing.assert_allclose(cohort.test.presence.mean(axis=0), [1, 0.5, 0.3], atol=0.012)
    assert {parse_pattern(p) for p in cohort.test.pattern} == {
        frozenset("a"), frozenset("ab"), frozenset("abc")
    }  # fmt: skip
    fresh = cohort.draw(20_000, regime="training", random_state=0)
    np.testing.assert_allclose(fresh.presence.mean(axis=0), [1, 0.9, 1], atol=0.01)
    assert not set(fresh.ids) & {*cohort.train.ids, *cohort.test.ids}


@pytest.mark.parametrize("carries", ["times", "order"])
def test_in_timing_cohorts_the_values_alone_are_at_chance(carries):
    """Counts and values of events say nothing of the class; times and order do."""
    cohort = make_cohort(
        4000, 4000, modalities={"w": 16}, timing={"w": carries}, signal=2.0, random_state=3
    )
    assert cohort.deployment.timing == "yes"
    assert cohort.bayes_score(cohort.test, "roc_auc")["score"].iloc[-1] > 0.88

    def values_of(ds):
        frame = ds.features("w")[1]
        kept = [c for c in frame if c.split(":")[1] in ("count", "max", "mean", "min", "std")]
        return frame[kept]

    model = HistGradientBoostingClassifier(max_iter=50, random_state=0)
    model.fit(values_of(cohort.train), cohort.train.target)
    proba = model.predict_proba(values_of(cohort.test))[:, 1]
    assert roc_auc_score(cohort.test.target, proba) == pytest.approx(0.5, abs=0.03)


def test_same_seed_gives_same_bits_and_leaves_the_global_generator_alone():
    """The seed decides everything, down to the bit, and nothing outside is touched."""
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - it is what must not change
    spec = {"modalities": {"a": 4, "w": 6}, "timing": {"w": "order"}, "availability": {"a": 0.6}}
    one, same, other = (make_cohort(200, 100, random_state=s, **spec) for s in (7, 7, 8))
    assert one.train.fingerprint() == same.train.fingerprint() != other.train.fingerprint()
    assert one.test.fingerprint() == same.test.fingerprint() != one.train.fingerprint()
    draws = [c.draw(50, random_state=7) for c in (one, same)]
    assert draws[0].fingerprint() == draws[1].fingerprint()
    assert draws[0].fingerprint() != one.draw(50, random_state=8).fingerprint()
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_draws_with_the_cohorts_own_seed_are_fresh():
    """A seed that was used before, for something else, gives independent samples."""
    cohort = make_cohort(2000, 2000, modalities={"a": 3}, random_state=0)
    fresh = cohort.draw(2000, random_state=0)
    x = [ds.features("a")[1]["x00"] for ds in (cohort.train, cohort.test, fresh)]
    for other in x[:2]:
        assert abs(pearsonr(x[2], other).statistic) < 0.08
    assert abs(pearsonr(fresh.target, cohort.train.target).statistic) < 0.08


def test_a_modality_more_leaves_the_others_as_they_were():
    """Each modality has its own stream of numbers: adding one does not redraw the rest."""
    small = make_cohort(50, 50, modalities={"a": 3}, random_state=0)
    large = make_cohort(50, 50, modalities={"a": 3, "b": 2}, random_state=0)
    np.testing.assert_array_equal(small.train.features("a")[1], large.train.features("a")[1])


def test_cohort_shows_its_law():
    """The text of a cohort names sizes, mechanisms and rates."""
    text = repr(make_cohort(50, 20, availability={"m2": 0.5}, random_state=0))
    assert "50 training and 20 test samples" in text
    assert "m2  0.500 mcar" in text


@pytest.mark.parametrize(
    ("error", "words", "arguments"),
    [
        (DatasetError, "at least one modality", {"modalities": {}}),
        (DatasetError, "'a' needs a whole number", {"modalities": {"a": 0}}),
        (UnknownModalityError, "no modality 'd'", {"signal": {"d": 1.0}}),
        (DatasetError, "number from 0 up", {"signal": -1.0}),
        (DatasetError, "rate must be from 0 to 1", {"availability": 1.5}),
        (UnknownModalityError, "no modality 'd'", {"availability": {"d": 0.5}}),
        (DatasetError, "sum to 0.9", {"availability": 0.3}),
        (DatasetError, "always present", {"availability": Availability(0.5, "mar")}),
        (DatasetError, "keep_one=False", {"availability": {"patterns": {"(none)": 1, "a": 1}}}),
        (UnknownModalityError, "names 'd'", {"availability": {"patterns": {"a+d": 1}}}),
        (DatasetError, "expected a rate", {"availability": "mcar"}),
        (DatasetError, "one of times, order, values", {"timing": {"a": "gaps"}}),
        (DatasetError, "'d' is no modality", {"interaction": Interaction("a", "d")}),
        (DatasetError, "two interactions", {"interaction": [Interaction("a", "b"),
                                                            Interaction("b", "c")]}),
        (TaskError, "task: must be one of", {"task": "survival"}),
        (TaskError, "prior: binary", {"prior": (0.2, 0.3, 0.5)}),
        (TaskError, "prior: multiclass", {"prior": 0.5, "task": "multiclass"}),
        (TaskError, "no classes", {"prior": 0.5, "task": "regression"}),
    ],
)  # fmt: skip
def test_contradictions_are_named(error, words, arguments):
    """A description that makes no sense raises, and says what came and what to do."""
    with pytest.raises(error, match=words):
        make_cohort(20, 20, **({"modalities": THREE, "random_state": 0} | arguments))


def test_parts_of_a_description_check_themselves():
    """Noise, Interaction and Availability refuse what they cannot mean."""
    for broken in (
        lambda: Noise(levels=(0.0, 1.0)),
        lambda: Noise(levels=(1.0, 2.0), weights=(1.0,)),
        lambda: Interaction("a", "a"),
        lambda: Interaction("a", "b", "and"),
        lambda: Availability(0.5, "random"),
        lambda: Availability(0.5, "mnar", depends_on="a"),
    ):
        with pytest.raises(DatasetError):
            broken()


def test_presence_shares_no_random_numbers_with_target_or_values():
    """With a single modality, where a reused seed would pair the draws one to one, none pair."""
    common = {"modalities": {"a": 1}, "random_state": 0}
    cohort = make_cohort(10, N, availability=0.5, keep_one=False, **common)
    whole = make_cohort(10, N, **common)
    presence = cohort.test.presence[:, 0]
    assert association(presence, cohort.test.target) > 1e-3
    assert pearsonr(presence, score_of(whole, "a")).pvalue > 1e-3
