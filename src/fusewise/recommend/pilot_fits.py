"""The fits of a pilot: in which order, within which time, and what each says out of fold."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fusewise.exceptions import FusewiseError, FusewiseWarning
from fusewise.recommend.candidates import make_candidate
from fusewise.recommend.matrix import STRATEGIES
from fusewise.recommend.pilot_design import Design

FloatArray = npt.NDArray[np.float64]

OnFit = Callable[[dict[str, Any]], Any]


@dataclass(frozen=True)
class Fit:
    """One fit that is to be made.

    Attributes
    ----------
    strategy : str
    decks, fold : int
    masking : str, Masking or None
    views : tuple of int
        Which views of the design are predicted.
    seed : int
    keep : bool
        Whether the fitted model is needed afterwards.
    """

    strategy: str
    decks: int
    fold: int
    masking: Any
    views: tuple[int, ...]
    seed: int
    keep: bool = False


@dataclass(frozen=True)
class Fitted:
    """What a fit said of the held-out rows.

    ``answers`` holds, by view, an array (n_draws, n_held, k) with NaN where it cannot answer; k is
    the number of classes, 1 for regression. Where the fit failed, `fault` says why.
    """

    fit: Fit
    answers: dict[int, FloatArray]
    n_train: int
    seconds: float
    warnings: tuple[str, ...] = ()
    fault: str = ""
    model: Any = None


def plan_fits(
    design: Design,
    strategies: Sequence[str],
    maskings: Mapping[str, Any],
    views: Mapping[str, tuple[int, ...]],
    entropy: int,
    keep: bool,
) -> list[Fit]:
    """Return the fits in order: the smallest size, then the largest, then those between.

    The smallest tells early whether everything works and how long it takes; the largest decides.
    Within a size folds come one after the other, so that all candidates are equally far.
    """
    smallest, largest = design.decks[0], design.decks[-1]
    between = [d for d in design.decks if d not in (smallest, largest)]
    order = list(dict.fromkeys([smallest, largest, *reversed(between)]))
    return [
        Fit(
            strategy,
            decks,
            fold,
            maskings[strategy],
            views[strategy],
            seed_of(entropy, strategy, decks, fold),
            keep and decks == largest,
        )
        for decks in order
        for fold in range(design.n_folds)
        for strategy in strategies
    ]


def seed_of(entropy: int, strategy: str, decks: int, fold: int) -> int:
    """Return the seed of a fit, which does not depend on the other candidates."""
    key = (STRATEGIES.index(strategy), decks, fold)
    return int(np.random.SeedSequence(entropy, spawn_key=key).generate_state(1)[0] >> 1)


def run_fits(
    design: Design,
    fits: Sequence[Fit],
    deployment: Any,
    params: Mapping[str, Mapping[str, Any]],
    deadline: float | None,
    n_jobs: int | None,
) -> Iterator[Fitted]:
    """Make fits in order; one whose turn comes after the deadline is left out."""
    if n_jobs in (None, 1):
        for fit in fits:
            done = _in_time(design, fit, deployment, params, deadline)
            if done is None:
                return
            yield done
        return
    from joblib import Parallel, delayed

    said = Parallel(n_jobs=n_jobs, return_as="generator")(
        delayed(_in_time)(design, fit, deployment, params, deadline) for fit in fits
    )
    yield from (done for done in said if done is not None)


def _in_time(
    design: Design,
    fit: Fit,
    deployment: Any,
    params: Mapping[str, Mapping[str, Any]],
    deadline: float | None,
) -> Fitted | None:
    if deadline is not None and time.time() >= deadline:
        return None
    return run_fit(design, fit, deployment, params.get(fit.strategy, {}))


def run_fit(design: Design, fit: Fit, deployment: Any, params: Mapping[str, Any]) -> Fitted:
    """Fit a candidate on its rows and let it answer the held-out ones, as each view shows them."""
    start = time.perf_counter()
    rows = design.rows
    train = rows[design.training(fit.fold, fit.decks)]
    task = str(rows.task)
    model = make_candidate(fit.strategy, task, fit.masking, deployment, params, fit.seed)
    answers: dict[int, FloatArray] = {}
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always", FusewiseWarning)
        try:
            model.fit(train, train.target)
            answers = _answers(model, design, fit)
        except FusewiseError as error:
            return Fitted(fit, {}, len(train), time.perf_counter() - start, (), str(error))
    said = [str(w.message) for w in heard if issubclass(w.category, FusewiseWarning)]
    seconds = time.perf_counter() - start
    told = tuple(dict.fromkeys(said))
    return Fitted(fit, answers, len(train), seconds, told, model=model if fit.keep else None)


def _answers(model: Any, design: Design, fit: Fit) -> dict[int, FloatArray]:
    """Ask for all views and draws at once: reading features costs more than predicting."""
    held = np.flatnonzero(design.fold == fit.fold)
    views = [design.views[number].shown for number in fit.views]
    shown = np.concatenate([one[held] for view in views for one in view])
    # What several draws leave alike is asked once.
    where = np.tile(np.arange(len(held)), len(shown) // len(held))
    distinct, back = np.unique(np.column_stack([where, shown]), axis=0, return_inverse=True)
    asked = design.rows[held[distinct[:, 0]]].with_presence(distinct[:, 1:].astype(bool))
    said = answer(model, asked)[back.ravel()]
    parts = np.split(said, np.cumsum([len(held) * len(view) for view in views])[:-1])
    return {
        number: part.reshape(len(view), len(held), -1)
        for number, view, part in zip(fit.views, views, parts, strict=True)
    }


def answer(model: Any, held: Any) -> FloatArray:
    """Return probabilities in the order of the dataset's classes, or amounts (n, 1); NaN if none."""
    classes = held.classes
    out = np.full((len(held), 1 if classes is None else len(classes)), np.nan)
    known = np.flatnonzero(model.answerable(held))
    if len(known) == 0:
        return out
    asked = held[known]
    if classes is None:
        out[known, 0] = model.predict(asked)
        return out
    # A class that the few rows of a fit did not hold is given no probability.
    said = np.zeros((len(known), len(classes)))
    columns = [classes.index(c) for c in np.asarray(model.classes_).tolist()]
    said[:, columns] = model.predict_proba(asked)
    out[known] = said
    return out


class OutOfFold:
    """A predictor of the pilot's rows: each sample is answered by the fit that never saw it.

    It makes the pilot's predictions an object that :func:`fusewise.evaluate` can take.
    """

    def __init__(self, design: Design, models: Sequence[Any]) -> None:
        self._models = models
        self._fold = dict(zip(design.rows.ids.tolist(), design.fold.tolist(), strict=True))
        self._n_columns = 1 if design.rows.classes is None else len(design.rows.classes)
        if design.rows.classes is not None:
            self.classes_ = np.asarray(design.rows.classes)
            self.predict_proba = self._answers

    def answerable(self, X: Any) -> npt.NDArray[np.bool_]:
        """Which samples the fit of their fold can answer."""
        out = np.zeros(len(X), dtype=bool)
        for number, rows in self._parts(X):
            out[rows] = self._models[number].answerable(X[rows])
        return out

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Amounts, or the most probable class."""
        answers = self._answers(X)
        return self.classes_[answers.argmax(axis=1)] if hasattr(self, "classes_") else answers[:, 0]

    def _answers(self, X: Any) -> FloatArray:
        """Probabilities, or amounts (n, 1)."""
        out = np.full((len(X), self._n_columns), np.nan)
        for number, rows in self._parts(X):
            out[rows] = answer(self._models[number], X[rows])
        return out

    def _parts(self, X: Any) -> Iterator[tuple[int, npt.NDArray[np.intp]]]:
        fold = np.array([self._fold[i] for i in X.ids.tolist()])
        for number in np.unique(fold).tolist():
            yield number, np.flatnonzero(fold == number)
