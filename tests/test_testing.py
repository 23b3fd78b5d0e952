"""The laws: a correct estimator keeps all of them, and each broken copy is seen to break its own."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.utils.validation import check_is_fitted

import fusewise as fw
from fusewise.exceptions import DatasetError, EmptySampleError
from fusewise.testing import LAWS, LawViolation, check_fusion_estimator, make_dataset
from fusewise.testing.trial import Trial


class Numbers:
    """Turns the features of one modality into a matrix that knows what training saw."""

    def fit(self, frame):
        numbers = frame.select_dtypes("number")
        # An event variable or a column that nobody here has is not known.
        self.columns = [c for c in numbers if numbers[c].notna().any() and (numbers[c] != 0).any()]
        self.means = numbers[self.columns].mean().to_numpy()
        self.spreads = numbers[self.columns].std(ddof=0).to_numpy() + 1e-9
        words = frame.columns.difference(numbers.columns)
        self.levels = [[c, w] for c in words for w in sorted(frame[c].dropna().unique())]
        return self

    def transform(self, frame):
        numbers = frame.reindex(columns=self.columns).to_numpy(dtype=float)
        numbers = (np.where(np.isnan(numbers), self.means, numbers) - self.means) / self.spreads
        words = [(frame[c] == w).to_numpy(dtype=float) for c, w in self.levels]
        return np.column_stack([numbers, *words])


class Mean(BaseEstimator):
    """Late fusion in a few lines: a linear expert per modality, and the mean of the present ones."""

    def __init__(self, C=1.0, random_state=None, verbose=None):
        self.C = C
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, y=None, sample_weight=None):
        X, y = self._checked(X, y)
        X, y = self._ordered(X, y)
        self._learn_classes(y)
        rows = self._drawn(len(X))
        X, y = X[rows], y[rows]
        names = sorted(m for m in X.modalities if X.only(m).presence.any())
        self.reference_ = X.time_reference()
        self.encoders_, self.experts_ = self._start()
        for name in names:
            positions, frame = X.features(name, self.reference_)
            if self._teaches(y[positions]):
                self.encoders_[name] = Numbers().fit(frame)
                matrix = self.encoders_[name].transform(frame)
                self.experts_[name] = self._expert().fit(matrix, y[positions])
        self.modalities_ = sorted(self.experts_)
        return self

    def _checked(self, X, y):
        if not isinstance(X, fw.MultimodalDataset):
            raise TypeError(f"expected a MultimodalDataset, got {type(X).__name__}")
        y = X.target if y is None else np.asarray(y)
        if len(y) != len(X):
            raise ValueError(f"y has {len(y)} values for {len(X)} samples")
        return X, y

    def _ordered(self, X, y):
        order = np.argsort(X.ids, kind="stable")
        return X[order], y[order]

    def _drawn(self, n):
        return np.random.default_rng(self.random_state).permutation(n)[: int(0.9 * n)]

    def _start(self):
        return {}, {}

    def _presence(self, X):
        check_is_fitted(self)
        columns = [
            X.only(m).presence[:, 0] if m in X.modalities else np.zeros(len(X), bool)
            for m in self.modalities_
        ]
        presence = np.column_stack(columns)
        if not presence.any(axis=1).all():
            raise EmptySampleError("samples without a known modality")
        return presence

    def _run(self, name, X, n_outputs):
        """Return the rows that have the modality, and the expert's answer for them."""
        answers = np.zeros((len(X), n_outputs))
        if name in X.modalities:
            positions, frame = X.features(name, self.reference_)
            if len(positions):
                matrix = self.encoders_[name].transform(frame)
                answers[positions] = self._ask(self.experts_[name], matrix)
        return answers

    def _mean(self, X, n_outputs):
        presence = self._presence(X)
        total = sum(self._run(m, X, n_outputs) for m in self.modalities_)
        return total / presence.sum(axis=1, keepdims=True)


class MeanClassifier(ClassifierMixin, Mean):
    def _learn_classes(self, y):
        self.classes_ = np.unique(y)

    def _teaches(self, y):
        return set(y) == set(self.classes_)

    def _expert(self):
        return LogisticRegression(C=self.C)

    def _ask(self, expert, matrix):
        return expert.predict_proba(matrix)

    def predict_proba(self, X):
        check_is_fitted(self)
        return self._mean(X, len(self.classes_))

    def predict(self, X):
        proba = self.predict_proba(X)
        return self.classes_[proba.argmax(axis=1)]


class MeanRegressor(RegressorMixin, Mean):
    def _learn_classes(self, y):
        pass

    def _teaches(self, y):
        return len(y) > 1

    def _expert(self):
        return Ridge(alpha=self.C)

    def _ask(self, expert, matrix):
        return expert.predict(matrix)[:, None]

    def predict(self, X):
        return self._mean(X, 1)[:, 0]


# One broken copy per way to break a law ---------------------------------------------------


class CountsPoison(MeanClassifier):
    """1: what is stored under absent modalities decides a penalty."""

    def fit(self, X, y=None, sample_weight=None):
        super().fit(X, y)
        self.rows_ = int(X.ingestion["declared_absent"].sum())
        return self

    def predict_proba(self, X):
        proba = super().predict_proba(X)
        return (proba + 0.001 * self.rows_) / (1 + 0.001 * self.rows_ * len(self.classes_))


class ReadsTheStore(MeanClassifier):
    """1: a statistic comes from every stored row, masked ones included."""

    def fit(self, X, y=None, sample_weight=None):
        super().fit(X, y)
        stored = X._store.blocks["monitor"].value if "monitor" in X.modalities else [0.0]
        self.centre_ = float(np.nanmean(stored))
        return self

    def predict_proba(self, X):
        proba = super().predict_proba(X)
        weight = 1 / (1 + np.exp(-self.centre_))
        return weight * proba + (1 - weight) / len(self.classes_)


class KnowsTheVocabulary(MeanClassifier):
    """1: the width of a modality is that of the store, with variables that only masked rows have."""

    def fit(self, X, y=None, sample_weight=None):
        super().fit(X, y)
        self.width_ = sum(len(X.feature_names(m)) for m in X.modalities)
        return self

    def predict_proba(self, X):
        proba = super().predict_proba(X)
        weight = 1 / (1 + 0.01 * self.width_)
        return weight * proba + (1 - weight) / len(self.classes_)


class LooksAround(MeanClassifier):
    """2: a prediction leans on the others in its batch."""

    def predict_proba(self, X):
        proba = super().predict_proba(X)
        return 0.9 * proba + 0.1 * proba.mean(axis=0)


class TakesThemAsTheyCome(MeanClassifier):
    """3: the draw of training samples follows their order in the dataset."""

    def _ordered(self, X, y):
        return X, y


class PrefersTheFirst(MeanClassifier):
    """3: modalities are weighted by their place."""

    def fit(self, X, y=None, sample_weight=None):
        super().fit(X, y)
        self.first_ = next(m for m in X.modalities if m in self.modalities_)
        return self

    def _run(self, name, X, n_outputs):
        answers = super()._run(name, X, n_outputs)
        sharper = answers**2 / np.maximum((answers**2).sum(axis=1, keepdims=True), 1e-12)
        return sharper if name == self.first_ else answers


class AnswersAnything(MeanClassifier):
    """4: a sample with nothing gets the prior in silence."""

    def _presence(self, X):
        check_is_fitted(self)
        columns = [
            X.only(m).presence[:, 0] if m in X.modalities else np.zeros(len(X), bool)
            for m in self.modalities_
        ]
        return np.column_stack(columns)

    def _mean(self, X, n_outputs):
        presence = self._presence(X)
        total = sum(self._run(m, X, n_outputs) for m in self.modalities_)
        mean = total / np.maximum(presence.sum(axis=1, keepdims=True), 1)
        return np.where(presence.any(axis=1)[:, None], mean, 1 / n_outputs)


class ForgetsToNormalise(MeanClassifier):
    """4: probabilities of incomplete samples do not sum to one."""

    def predict_proba(self, X):
        share = self._presence(X).mean(axis=1, keepdims=True)
        return super().predict_proba(X) * share


class OvershootsNewPatterns(MeanClassifier):
    """4: for a pattern that training never had, a probability exceeds one."""

    def fit(self, X, y=None, sample_weight=None):
        super().fit(X, y)
        self.patterns_ = sorted(set(X.pattern))
        return self

    def predict_proba(self, X):
        proba = super().predict_proba(X)
        new = ~np.isin(X.pattern.astype(str), self.patterns_)
        return proba + new[:, None] * [-1.0, 1.0]


class Joined(MeanClassifier):
    """Early fusion over joined, standardised features: right, with a presence column."""

    fill = 0.0
    flags = True

    def fit(self, X, y=None, sample_weight=None):
        super().fit(X, y)
        X, y = self._ordered(*self._checked(X, y))
        self.joined_ = LogisticRegression().fit(self._matrix(X), y)
        return self

    def _matrix(self, X):
        blocks = []
        for column, name in zip(self._presence(X).T, self.modalities_, strict=True):
            encoder = self.encoders_[name]
            block = np.full((len(X), len(encoder.columns) + len(encoder.levels)), 0.0)
            block[:, : len(encoder.columns)] = self._filled(encoder)
            if name in X.modalities and column.any():
                positions, frame = X.features(name, self.reference_)
                block[positions] = encoder.transform(frame)
            blocks += [block, column[:, None].astype(float)] if self.flags else [block]
        return np.hstack(blocks)

    def _filled(self, encoder):
        return 0.0

    def predict_proba(self, X):
        check_is_fitted(self)
        return self.joined_.predict_proba(self._matrix(X))


class ImputesTheMean(Joined):
    """5: after standardising, zero is the training mean; absence looks like it."""

    flags = False

    def _drawn(self, n):
        return np.arange(n)

    def _matrix(self, X):
        # Categories would tell a present row; numbers alone do not.
        for encoder in self.encoders_.values():
            encoder.levels = []
        return super()._matrix(X)


class ImputesZero(ImputesTheMean):
    """5: absence is filled with raw zeros."""

    def _filled(self, encoder):
        return (0.0 - encoder.means) / encoder.spreads


class Remembers(MeanClassifier):
    """6: experts of an earlier fit stay."""

    def _start(self):
        return {}, getattr(self, "experts_", {})

    def _run(self, name, X, n_outputs):
        return (
            super()._run(name, X, n_outputs)
            if name in self.encoders_
            else 0.5 * np.ones((len(X), n_outputs))
        )


class KeepsItsOwnTarget(MeanClassifier):
    """6: a target that is given is not read."""

    def _checked(self, X, y):
        super()._checked(X, y)
        return X, X.target


class ReturnsNothing(MeanClassifier):
    """6: fit does not return self."""

    def fit(self, X, y=None, sample_weight=None):
        super().fit(X, y)


class AnswersUnfitted(MeanClassifier):
    """6: prediction before fit fails by accident and not by name."""

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class TakesNoTarget(MeanClassifier):
    """6: fit has no y, so that no tool of scikit-learn can call it."""

    def fit(self, X):
        return super().fit(X)


class SeedsTheWorld(MeanClassifier):
    """7: the global generator is seeded."""

    def _drawn(self, n):
        np.random.seed(self.random_state)  # noqa: NPY002
        return np.random.permutation(n)[: int(0.9 * n)]  # noqa: NPY002


class DrawsFromTheWorld(MeanClassifier):
    """7: the global generator is drawn from."""

    def fit(self, X, y=None, sample_weight=None):
        np.random.random()  # noqa: NPY002
        return super().fit(X, y)


class LosesBits(MeanClassifier):
    """8: saving rounds."""

    def __getstate__(self):
        state = dict(self.__dict__)
        if "experts_" in state:
            state["experts_"] = {n: clone(e) for n, e in state["experts_"].items()}
        return state


class SavesSomethingElse(MeanClassifier):
    """8: its own save writes another model."""

    def save(self, path):
        from fusewise.fusion.persist import save_model

        other = clone(self)
        other.__dict__.update(self.__dict__)
        other.experts_ = dict(reversed(list(self.experts_.items())))
        other.classes_ = self.classes_[::-1].copy()
        save_model(other, path)


class HoldsALambda(MeanClassifier):
    """8: it cannot be written."""

    def fit(self, X, y=None, sample_weight=None):
        self.link_ = lambda x: x
        return super().fit(X, y)


class RunsEveryExpert(MeanClassifier):
    """9: every expert answers for every sample, and absent answers are thrown away."""

    def _run(self, name, X, n_outputs):
        if name not in X.modalities:
            return np.zeros((len(X), n_outputs))
        positions, frame = X.features(name, self.reference_)
        encoder = self.encoders_[name]
        matrix = np.zeros((len(X), len(encoder.columns) + len(encoder.levels)))
        if len(positions):
            matrix[positions] = encoder.transform(frame)
        answers = self._ask(self.experts_[name], matrix)
        answers[np.setdiff1d(np.arange(len(X)), positions)] = 0
        return answers


class ValidatesEarly(MeanClassifier):
    """10: the constructor checks."""

    def __init__(self, C=1.0, random_state=None, verbose=None):
        if not C > 0:
            raise ValueError("C must be positive")
        super().__init__(C, random_state, verbose)


class Prepares(MeanClassifier):
    """10: the constructor does more than store."""

    def __init__(self, C=1.0, random_state=None, verbose=None):
        super().__init__(C, random_state, verbose)
        self.cache = {}


class TidiesUp(MeanClassifier):
    """10: fit changes a parameter."""

    def fit(self, X, y=None, sample_weight=None):
        self.verbose = self.verbose or "quiet"
        return super().fit(X, y)


class TakesAnyTarget(MeanClassifier):
    """10: a target of another length is made to fit."""

    def _checked(self, X, y):
        return super()._checked(X, np.resize(X.target if y is None else y, len(X)))


BROKEN = [
    *[(1, kind) for kind in (CountsPoison, ReadsTheStore, KnowsTheVocabulary)],
    (2, LooksAround),
    *[(3, kind) for kind in (TakesThemAsTheyCome, PrefersTheFirst)],
    *[(4, kind) for kind in (AnswersAnything, ForgetsToNormalise, OvershootsNewPatterns)],
    *[(5, kind) for kind in (ImputesTheMean, ImputesZero)],
    *[(6, kind) for kind in (Remembers, KeepsItsOwnTarget, ReturnsNothing)],
    *[(6, kind) for kind in (AnswersUnfitted, TakesNoTarget)],
    *[(7, kind) for kind in (SeedsTheWorld, DrawsFromTheWorld)],
    *[(8, kind) for kind in (LosesBits, SavesSomethingElse, HoldsALambda)],
    (9, RunsEveryExpert),
    *[(10, kind) for kind in (ValidatesEarly, Prepares, TidiesUp, TakesAnyTarget)],
]


@pytest.fixture(scope="module")
def small():
    return make_dataset(n_samples=100)


@pytest.mark.parametrize("kind", [MeanClassifier, Joined])
def test_a_correct_classifier_keeps_every_law(kind, small):
    """A late and an early fusion in a few lines pass, so the laws ask nothing impossible."""
    check_fusion_estimator(kind(), dataset=small)


def test_a_correct_regressor_keeps_every_law():
    """The same for amounts, on the default cohort."""
    check_fusion_estimator(MeanRegressor())


def test_a_correct_classifier_of_three_classes_keeps_every_law():
    """The same with words as classes."""
    check_fusion_estimator(MeanClassifier(), dataset=make_dataset("multiclass"))


def laws_broken(estimator, dataset, laws=LAWS):
    found = {}
    trial = Trial.of(estimator, dataset, random_state=0)
    for law in laws:
        try:
            LAWS[law](trial)
        except LawViolation as violation:
            found[law] = str(violation)
    return found


@pytest.mark.parametrize(("law", "kind"), BROKEN, ids=lambda v: getattr(v, "__name__", str(v)))
def test_a_broken_copy_breaks_its_law(law, kind, small):
    """Each law is seen to fail on estimators that break it, each in another way."""
    found = laws_broken(kind(), small, [law])
    assert found[law].startswith(f"law {law} (")
    assert kind.__name__ in found[law]


# All the others are as true and take a minute and a half together.
QUICK = {1: CountsPoison, 5: ImputesTheMean, 9: RunsEveryExpert}


@pytest.mark.parametrize(
    ("law", "kind"),
    [
        pytest.param(law, kind, marks=() if QUICK.get(law) is kind else pytest.mark.slow)
        for law, kind in BROKEN
    ],
    ids=lambda v: getattr(v, "__name__", str(v)),
)
def test_a_broken_copy_breaks_no_other_law(law, kind, small):
    """A law says what it says: breaking one leaves the others standing."""
    assert list(laws_broken(kind(), small)) == [law]


def test_every_law_has_a_broken_copy():
    """No law is there that was never seen to fail."""
    assert {law for law, _ in BROKEN} == set(LAWS)


def test_a_violation_says_which_law_what_was_expected_and_what_came(small):
    """The three parts can be read by a program too, and the error is an assertion."""
    with pytest.raises(AssertionError, match=r"law 2 .*LooksAround: expected .*; got ") as caught:
        check_fusion_estimator(LooksAround(), dataset=small)
    violation = caught.value
    assert violation.law == 2
    assert "equal itself in the batch" in violation.expected
    assert "different for 1 of 1 samples" in violation.got


def test_the_estimator_that_is_given_is_not_changed(small):
    """The laws work on clones."""
    model = MeanClassifier(C=0.5)
    check_fusion_estimator(model, dataset=small, laws=[2])
    assert vars(model) == {"C": 0.5, "random_state": None, "verbose": None}


@settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 10_000), rates=st.lists(st.floats(0.3, 1.0), min_size=3, max_size=3))
def test_the_laws_hold_under_random_presence(seed, rates):
    """Whatever the presence, a correct estimator keeps the laws about absence."""
    ds = make_dataset("regression", n_samples=90, random_state=seed)
    kept = np.random.default_rng(seed).random(ds.shape) < rates
    ds = ds.with_presence(kept)
    ds = ds[ds.presence.any(axis=1)]
    check_fusion_estimator(MeanRegressor(), dataset=ds, laws=[1, 2, 3, 4, 9], random_state=seed)


def test_a_modality_that_nobody_has_is_no_obstacle(small):
    """The laws skip what cannot be tried."""
    presence = small.presence.copy()
    presence[:, 1] = False
    ds = small.with_presence(presence)
    check_fusion_estimator(MeanClassifier(), dataset=ds[ds.presence.any(axis=1)], laws=[1, 4, 5, 9])


def test_clusters_prediction_times_and_lists_are_carried_along():
    """The laws can be tried on a dataset with everything that a dataset may have."""
    rng = np.random.default_rng(0)
    n = 90
    samples = pd.DataFrame({"id": range(n), "y": rng.integers(0, 2, n), "who": np.arange(n) // 2})
    samples["now"] = pd.Timestamp("2024-01-02") + pd.to_timedelta(rng.integers(0, 99, n), unit="h")
    samples["held"] = rng.random(n) < 0.1
    wide = pd.DataFrame({"id": range(0, n, 2), "vector": list(rng.normal(size=(n // 2, 3)))})
    events = pd.DataFrame({"id": rng.integers(0, n, 400), "hour": rng.integers(0, 200, 400)})
    events["hour"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(events["hour"], unit="h")
    events["pulse"] = samples["y"].to_numpy()[events["id"]] + rng.normal(size=400)
    ds = fw.MultimodalDataset(
        {"wide": wide, "events": fw.Modality(events, kind="events", time="hour")},
        samples=samples,
        id="id",
        target="y",
        cluster="who",
        prediction_time="now",
        validation="held",
    )
    check_fusion_estimator(
        MeanClassifier(), dataset=ds[ds.presence.any(axis=1)], laws=[1, 2, 3, 4, 5, 9]
    )


@pytest.mark.parametrize(
    ("estimator", "dataset", "message"),
    [
        (BaseEstimator(), None, "expected a classifier or a regressor"),
        (MeanClassifier(), make_dataset("regression", 40), "does not fit a dataset of task"),
        (MeanRegressor(), make_dataset("binary", 40), "does not fit a dataset of task"),
        (MeanRegressor(), make_dataset("regression", 8), "at least 5 test samples"),
    ],
)
def test_what_cannot_be_checked_is_refused(estimator, dataset, message):
    """An estimator without a kind, or of another task than the dataset, is no violation."""
    with pytest.raises(DatasetError, match=message):
        check_fusion_estimator(estimator, dataset=dataset)


def test_a_law_that_does_not_exist_is_refused():
    """The message counts the laws."""
    with pytest.raises(ValueError, match="1 to 10"):
        check_fusion_estimator(MeanClassifier(), laws=[11])
