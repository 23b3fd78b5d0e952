"""The Bayes posterior is what an independent computation, and the samples themselves, say it is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    log_loss,
    roc_auc_score,
)

from fusewise.exceptions import (
    DatasetError,
    EvaluationError,
    TaskError,
    UnknownModalityError,
)
from fusewise.simulate import Availability, Interaction, Noise, make_cohort

TWO = {"a": 4, "b": 3}

DESIGNS = {
    "additive": {"modalities": TWO, "signal": {"a": 1.0, "b": 1.5}, "prior": 0.25},
    "three classes": {"modalities": TWO, "signal": 2.0, "task": "multiclass", "prior": (0.5, 0.3, 0.2)},
    "xor": {"modalities": TWO, "signal": 2.5, "interaction": Interaction("a", "b")},
    "xor of three classes": {
        "modalities": TWO, "signal": 3.0, "task": "multiclass", "interaction": Interaction("b", "a")
    },
    "multiplicative": {
        "modalities": TWO, "signal": 2.5, "interaction": Interaction("a", "b", "multiplicative"), "prior": 0.4
    },
    "hidden noise": {"modalities": TWO, "signal": 2.0, "noise": Noise((0.4, 1.0, 3.0), observed=False)},
    "observed noise": {"modalities": TWO, "signal": 2.0, "noise": {"a": Noise((0.4, 3.0), (0.7, 0.3))}},
    "times": {"modalities": {"a": 4, "w": 12}, "timing": {"w": "times"}},
    "order": {"modalities": {"a": 4, "w": 12}, "timing": {"w": "order"}},
    "values": {"modalities": {"a": 4, "w": 6}, "timing": {"w": "values"}},
    "order shown only by a gate": {
        "modalities": {"a": 4, "w": 24}, "timing": {"w": "order"}, "signal": 3.0,
        "interaction": Interaction("a", "w"),
    },
}  # fmt: skip


def calibration_gaps(proba, target):
    """Return the gap of mean prediction to frequency, in standard errors, per bin and class."""
    gaps = []
    for label in range(proba.shape[1]):
        predicted, hit = proba[:, label], target == label
        bins = np.minimum((predicted * 10).astype(int), 9)
        for one in np.unique(bins):
            mine = bins == one
            if mine.sum() >= 50:
                spread = np.sqrt((predicted[mine] * (1 - predicted[mine])).sum())
                gaps.append((hit[mine].sum() - predicted[mine].sum()) / max(spread, 1e-9))
    return np.array(gaps)


def gaussian_likelihood(source, frame, shown):
    """Return p(x | shown) from the full density of the columns, mixed over hidden levels."""
    centre = source.basis @ source.coordinates(np.array([float(shown)]))[0]
    x = frame[source.columns].to_numpy()
    if source.noise.observed:
        return np.array(
            [
                multivariate_normal.pdf(row, centre, level**2 * np.eye(len(centre)))
                for row, level in zip(x, frame["noise_level"], strict=True)
            ]
        )
    levels = zip(source.noise.levels, source.noise.probabilities, strict=True)
    return sum(
        weight * multivariate_normal.pdf(x, centre, sd**2 * np.eye(len(centre)))
        for sd, weight in levels
    )


@pytest.mark.parametrize("name", ["additive", "three classes", "hidden noise", "observed noise"])
def test_additive_posterior_is_bayes_rule_on_the_full_densities(name):
    """The posterior is prior times the product of full densities of the present modalities."""
    cohort = make_cohort(50, 40, availability={"b": 0.5}, random_state=3, **DESIGNS[name])
    ds, design = cohort.test, cohort.design
    expected = np.tile(design.prior, (len(ds), 1))
    for source in design.sources:
        positions, frame = ds.features(source.name)
        for label in range(len(design.states)):
            expected[positions, label] *= gaussian_likelihood(source, frame, label)
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(cohort.bayes_proba(ds), expected, rtol=1e-9)


@pytest.mark.parametrize("name", ["xor", "xor of three classes", "multiplicative"])
def test_interacting_posterior_is_a_sum_over_the_latent_gate(name):
    """Enumerating every gate with full densities gives the same posterior."""
    cohort = make_cohort(50, 40, random_state=3, **DESIGNS[name])
    ds, design = cohort.test, cohort.design
    pair = design.interactions[0]
    first, second = (
        next(s for s in design.sources if s.name == n) for n in (pair.first, pair.second)
    )
    x1, x2 = ds.features(pair.first)[1], ds.features(pair.second)[1]
    classes = len(design.states)
    expected = np.zeros((len(ds), classes))
    for label in range(classes):
        if pair.kind == "xor":
            terms = [
                gaussian_likelihood(first, x1, gate)
                * gaussian_likelihood(second, x2, (label + gate) % classes)
                for gate in range(classes)
            ]
        else:
            terms = [
                gaussian_likelihood(first, x1, 0) * gaussian_likelihood(second, x2, -1),
                gaussian_likelihood(first, x1, 1) * gaussian_likelihood(second, x2, label),
            ]
        expected[:, label] = design.prior[label] * sum(terms)
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(cohort.bayes_proba(ds), expected, rtol=1e-9)


@pytest.mark.parametrize("name", ["times", "order"])
def test_stream_posterior_is_bayes_rule_on_the_raw_events(name):
    """Multiplying the densities of single events, normalised numerically, gives the posterior."""
    cohort = make_cohort(50, 30, random_state=5, **DESIGNS[name])
    ds = cohort.test.only("w")
    source = cohort.design.sources[1]
    events = ds.events("w")
    log_density = np.zeros((len(ds), 2))
    for label, sign in ((0, -1), (1, 1)):
        theta = sign * source.scale
        if name == "times":
            whole = quad(lambda t, theta=theta: np.exp(theta * (t / 24 - 1)), 0, 48)[0]
            each = theta * (events["time"] / 24 - 1) - np.log(whole)
            log_density[:, label] = each.groupby(events["position"]).sum()
            continue
        chance = 1 / (1 + np.exp(-theta))
        for position, mine in events.groupby("position"):
            slots = (mine["time"] // (48 / source.slots)).to_numpy()
            for slot in np.unique(slots):
                a_first = mine["variable"].to_numpy()[slots == slot][0] == "a"
                log_density[position, label] += np.log(chance if a_first else 1 - chance)
    expected = np.exp(log_density - logsumexp(log_density, axis=1, keepdims=True))
    np.testing.assert_allclose(cohort.bayes_proba(ds), expected, rtol=1e-8)


@pytest.mark.parametrize("name", DESIGNS)
def test_posterior_is_calibrated_within_every_pattern(name):
    """Of samples with posterior p, a share p is of the class, whichever modalities they have."""
    second = list(DESIGNS[name]["modalities"])[1]
    cohort = make_cohort(
        10, 25_000, availability={"a": 0.8, second: 0.7}, random_state=11, **DESIGNS[name]
    )
    proba, target = cohort.bayes_proba(cohort.test), cohort.test.target
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    for pattern in cohort.test.patterns()["pattern"]:
        mine = cohort.test.pattern == pattern
        assert np.abs(calibration_gaps(proba[mine], target[mine])).max() < 4.5, pattern


def test_calibration_check_sees_a_wrong_posterior():
    """The check above fails for a posterior that is off by a tenth in its log-odds' scale."""
    cohort = make_cohort(10, 40_000, random_state=11, **DESIGNS["additive"])
    proba = cohort.bayes_proba(cohort.test)[:, 1]
    wrong = 1 / (1 + ((1 - proba) / proba) ** 1.1)
    gaps = calibration_gaps(np.column_stack([1 - wrong, wrong]), cohort.test.target)
    assert np.abs(gaps).max() > 6


def test_no_other_score_beats_the_posterior():
    """On 100,000 samples AUROC and log loss are best for the posterior itself."""
    cohort = make_cohort(
        20_000, 100_000, modalities={"a": 5, "b": 20, "c": 3}, signal={"a": 1.0, "b": 0.7, "c": 1.3},
        availability={"c": 0.6}, random_state=2,
    )  # fmt: skip
    test = cohort.test[cohort.test.pattern == "a+b+c"]
    best = cohort.bayes_score(test, ["roc_auc", "log_loss"]).set_index(["pattern", "metric"])
    best = best["score"].loc["(all)"]

    def joined(ds):
        return np.column_stack([ds.features(name)[1] for name in ds.modalities])

    train = cohort.train[cohort.train.presence.all(axis=1)]
    model = LogisticRegression().fit(joined(train), train.target)
    proba = model.predict_proba(joined(test))
    rivals = [proba, cohort.bayes_proba(test.without("a")), cohort.bayes_proba(test) ** 2]
    for rival in rivals:
        normal = rival / rival.sum(axis=1, keepdims=True)
        assert roc_auc_score(test.target, normal[:, 1]) <= best["roc_auc"] + 1e-12
        assert log_loss(test.target, normal) > best["log_loss"]
    # And the learned one comes close: the posterior is not out of anybody's reach.
    assert roc_auc_score(test.target, proba[:, 1]) > best["roc_auc"] - 0.005


@pytest.mark.parametrize("name", DESIGNS)
def test_removing_a_modality_never_raises_the_score(name):
    """Withholding a modality from the same samples leaves the Bayes AUROC equal or lower."""
    cohort = make_cohort(10, 12_000, random_state=4, **DESIGNS[name])
    whole = cohort.bayes_score(cohort.test, "roc_auc")["score"].iloc[-1]
    for left_out in cohort.test.modalities:
        rest = cohort.bayes_score(cohort.test.without(left_out), "roc_auc")["score"].iloc[-1]
        assert rest <= whole + 0.005


@pytest.mark.parametrize("name", ["xor", "xor of three classes"])
def test_xor_modalities_tell_nothing_alone_and_much_together(name):
    """Each modality of an XOR pair leaves the posterior at the prior; both together do not."""
    cohort = make_cohort(10, 20_000, random_state=6, **DESIGNS[name])
    for alone in ("a", "b"):
        proba = cohort.bayes_proba(cohort.test.only(alone))
        np.testing.assert_allclose(proba, np.tile(cohort.design.prior, (20_000, 1)), atol=1e-9)
    together = cohort.bayes_score(cohort.test, "roc_auc")["score"].iloc[-1]
    assert together > 0.8
    assert cohort.deployment.interaction == "yes"


def test_signal_is_the_distance_between_classes():
    """One modality with signal d reaches an AUROC of Phi(d / sqrt 2); its log-odds add up."""
    cohort = make_cohort(10, 100_000, modalities=2, signal={"m1": 1.0, "m2": 2.0}, random_state=0)
    for names, distance in ((("m1",), 1.0), (("m2",), 2.0), (("m1", "m2"), np.sqrt(5))):
        score = cohort.bayes_score(cohort.test.only(*names), "roc_auc")["score"].iloc[-1]
        assert score == pytest.approx(norm.cdf(distance / np.sqrt(2)), abs=0.004)
    log_odds = [
        np.log(p[:, 1] / p[:, 0])
        for p in (
            cohort.bayes_proba(cohort.test),
            cohort.bayes_proba(cohort.test.only("m1")),
            cohort.bayes_proba(cohort.test.only("m2")),
        )
    ]
    np.testing.assert_allclose(log_odds[0], log_odds[1] + log_odds[2], atol=1e-8)


@pytest.mark.parametrize("carries", ["times", "order", "values"])
def test_streams_have_about_the_signal_asked_for(carries):
    """Whatever carries the signal of an event stream, its strength means about the same."""
    cohort = make_cohort(
        10, 20_000, modalities={"w": 20}, timing={"w": carries}, signal=1.5, random_state=1
    )
    score = cohort.bayes_score(cohort.test, "roc_auc")["score"].iloc[-1]
    assert score == pytest.approx(norm.cdf(1.5 / np.sqrt(2)), abs=0.03)


def test_knowing_the_noise_level_helps():
    """The same cohort is easier where the noise level of each sample is a column."""
    scores = []
    for observed in (True, False):
        noise = Noise((0.3, 1.0, 4.0), observed=observed)
        cohort = make_cohort(10, 30_000, modalities={"a": 3}, noise=noise, random_state=8)
        assert ("noise_level" in cohort.test.feature_names("a")) == observed
        scores.append(cohort.bayes_score(cohort.test, "roc_auc")["score"].iloc[-1])
    assert scores[0] > scores[1] + 0.01


@pytest.mark.parametrize(
    "pair", [(), Interaction("a", "b"), Interaction("a", "b", "multiplicative")]
)
def test_regression_posterior_mean_is_the_best_prediction(pair):
    """Residuals of the posterior mean are uncorrelated with it; no rescaling of it does better."""
    cohort = make_cohort(
        10, 10_000, modalities=TWO, signal={"a": 1.5, "b": 1.0}, task="regression",
        interaction=pair, availability={"b": 0.7}, random_state=9,
    )  # fmt: skip
    mean, target = cohort.bayes_predict(cohort.test), cohort.test.target
    slope = (mean @ target) / (mean @ mean)
    assert slope == pytest.approx(1, abs=0.05)
    gone = cohort.bayes_score(cohort.test.without("b"), "r2")["score"].iloc[-1]
    assert gone < cohort.bayes_score(cohort.test, "r2")["score"].iloc[-1]


def test_additive_regression_is_gaussian_conditioning():
    """For linear Gaussian modalities the grid gives the closed form of the posterior mean."""
    signal = {"a": 2.0, "b": 0.5}
    cohort = make_cohort(
        10, 20_000, modalities=TWO, signal=signal, task="regression", random_state=9
    )
    total, precision = 0.0, 1.0
    for source in cohort.design.sources:
        x = cohort.test.features(source.name)[1].to_numpy()
        total = total + signal[source.name] * (x @ source.basis[:, 0])
        precision += signal[source.name] ** 2
    np.testing.assert_allclose(cohort.bayes_predict(cohort.test), total / precision, atol=1e-9)
    score = cohort.bayes_score(cohort.test, "r2")["score"].iloc[-1]
    assert score == pytest.approx(4.25 / 5.25, abs=0.01)


SELECTED = {
    "informative": {
        "a": Availability(0.7, "informative"),
        "b": Availability(0.6, "informative", strength=-2.0),
    },
    "mnar": {"a": Availability(0.6, "mnar"), "b": Availability(0.5, "mnar", strength=-1.5)},
    "mnar beside mcar": {"a": 0.5, "b": Availability(0.6, "mnar", strength=3.0)},
}


@pytest.mark.parametrize("design", ["additive", "xor", "multiplicative", "hidden noise"])
@pytest.mark.parametrize("selection", SELECTED)
def test_posterior_given_presence_is_calibrated_where_presence_is_selective(design, selection):
    """Conditioning on presence too is calibrated in each pattern, also where none is certain."""
    cohort = make_cohort(
        10, 40_000, availability=SELECTED[selection], random_state=12, **DESIGNS[design]
    )
    test = cohort.test
    proba = cohort.bayes_proba(test, given_presence="deployment")
    for pattern in test.patterns()["pattern"]:
        mine = test.pattern == pattern
        assert np.abs(calibration_gaps(proba[mine], test.target[mine])).max() < 4.5, pattern


def test_posterior_on_values_only_is_miscalibrated_where_presence_is_informative():
    """Values alone cannot know who was selected, which is why the parameter exists."""
    cohort = make_cohort(
        10, 40_000, availability=SELECTED["informative"], random_state=12, **DESIGNS["additive"]
    )
    proba = cohort.bayes_proba(cohort.test)
    mine = cohort.test.pattern == "b"
    assert np.abs(calibration_gaps(proba[mine], cohort.test.target[mine])).max() > 10


def test_values_only_is_the_truth_for_withheld_and_ignorable_absence():
    """Under MCAR and MAR, conditioning on presence changes nothing."""
    availability = {"b": Availability(0.5, "mar", "a"), "c": 0.5}
    cohort = make_cohort(
        10, 500, modalities={"a": 3, "b": 3, "c": 3}, availability=availability, random_state=0
    )
    np.testing.assert_array_equal(
        cohort.bayes_proba(cohort.test),
        cohort.bayes_proba(cohort.test, given_presence="deployment"),
    )


def test_order_of_modalities_and_batches_change_nothing():
    """The posterior of a sample is the same alone, in a batch, and in a shuffled dataset."""
    cohort = make_cohort(10, 300, availability=0.7, random_state=0)
    proba = cohort.bayes_proba(cohort.test)
    order = np.random.default_rng(0).permutation(300)
    np.testing.assert_allclose(cohort.bayes_proba(cohort.test[order]), proba[order], atol=1e-12)
    np.testing.assert_allclose(cohort.bayes_proba(cohort.test[7]), proba[[7]], atol=1e-12)


def test_sample_without_any_modality_gets_the_prior():
    """Where nothing is known the posterior is the prior."""
    cohort = make_cohort(50, 200, availability=0.3, keep_one=False, prior=0.2, random_state=0)
    empty = ~cohort.test.presence.any(axis=1)
    assert empty.any()
    np.testing.assert_allclose(cohort.bayes_proba(cohort.test)[empty], [[0.8, 0.2]] * empty.sum())


def test_score_table_holds_one_score_per_pattern_and_metric():
    """Each row is the metric on the samples of its pattern; one class alone has no AUROC."""
    cohort = make_cohort(10, 400, modalities=TWO, availability={"b": 0.5}, random_state=0)
    table = cohort.bayes_score(cohort.test).set_index(["pattern", "metric"])
    proba, test = cohort.bayes_proba(cohort.test), cohort.test
    mine = test.pattern == "a"
    assert table["n"]["a", "roc_auc"] == mine.sum()
    expected = {
        "roc_auc": roc_auc_score(test.target[mine], proba[mine, 1]),
        "average_precision": average_precision_score(test.target[mine], proba[mine, 1]),
        "brier_score": brier_score_loss(test.target[mine], proba[mine, 1]),
        "log_loss": log_loss(test.target[mine], proba[mine, 1]),
        "accuracy": np.mean((proba[mine, 1] > 0.5) == test.target[mine]),
    }
    assert table["score"]["a"].to_dict() == pytest.approx(expected)
    assert table["n"]["(all)", "log_loss"] == 400
    one_class = test[test.target == 1]
    assert cohort.bayes_score(one_class, "roc_auc")["score"].isna().all()


def test_posterior_asked_for_what_it_cannot_know_says_so():
    """Foreign modalities, unknown metrics and presence of dropped modalities are refused."""
    cohort = make_cohort(10, 20, modalities=TWO, random_state=0)
    other = make_cohort(10, 20, modalities={"z": 2}, task="regression", random_state=0)
    with pytest.raises(UnknownModalityError, match="no modality 'z'"):
        cohort.bayes_proba(other.test)
    with pytest.raises(DatasetError, match="must keep all modalities"):
        cohort.bayes_proba(cohort.test.without("a"), given_presence="training")
    with pytest.raises(DatasetError, match="given_presence: must be None or"):
        cohort.bayes_proba(cohort.test, given_presence="test")
    with pytest.raises(EvaluationError, match="Did you mean 'roc_auc'"):
        cohort.bayes_score(cohort.test, "roc_auk")
    with pytest.raises(TaskError, match="use bayes_predict"):
        other.bayes_proba(other.test)
    with pytest.raises(DatasetError, match="regime: must be one of"):
        cohort.draw(5, regime="test", random_state=0)
