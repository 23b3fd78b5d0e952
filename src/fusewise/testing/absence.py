"""Laws about absence: 1 (poison), 4 (patterns), 5 (zero) and 9 (work)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import is_classifier

from fusewise.data import MultimodalDataset, pattern_label
from fusewise.exceptions import EmptySampleError
from fusewise.testing.parts import ID, Change, Parts, has
from fusewise.testing.spy import Calls, watched
from fusewise.testing.trial import Trial
from fusewise.testing.violation import (
    LawViolation,
    Outputs,
    differ,
    fitted,
    outputs,
    require,
    require_same_bits,
)

_MAX_PATTERNS = 63  # all of six modalities
_N_OF_PATTERN = 4
_N_COMPOSED = 12
_N_AGAIN = 3


def law_01_absent_values_change_nothing(trial: Trial) -> None:
    """Rows stored under an absent modality change no bit, in training or in prediction.

    Tried with NaN, 1e30, noise (with a new category, a new event variable and late times) and with
    the real values of modalities that a mask has removed (and with them a variable and a category).
    """
    law, rng = 1, trial.generator(1)
    train, test = trial.pair
    model = fitted(law, trial.estimator, train)
    clean = outputs(law, model, test)
    poisoned = trial.pair_of(trial.parts.with_rows(_poison(trial.parts, rng)).build())
    stored = "unchanged bits with NaN, 1e30 and noise stored under absent modalities"
    again = outputs(law, model, poisoned[1])
    require_same_bits(law, model, clean, again, f"{stored} of test samples")
    other = fitted(law, trial.estimator, poisoned[0], "poison under absent modalities")
    again = outputs(law, other, poisoned[1])
    require_same_bits(law, model, clean, again, f"{stored} of training samples")
    kept = _kept(trial, train, rng)
    alone = _only(trial.parts, dict(zip(train.ids, kept, strict=True))).build()
    a = fitted(law, trial.estimator, train.with_presence(kept), "masked samples")
    b = fitted(law, trial.estimator, alone, "samples without what is masked")
    expected = "the same bits from masked samples as from tables that hold nothing else"
    require_same_bits(law, model, outputs(law, a, test), outputs(law, b, test), expected)


def law_04_every_pattern_gives_valid_output(trial: Trial) -> None:
    """Probabilities or amounts for every pattern, seen or not; an error for samples with nothing.

    One pattern is hidden from training. Samples with no modality, or only with one that training
    never had, must raise :class:`fusewise.exceptions.EmptySampleError`.
    """
    law = 4
    train, test = trial.pair
    hidden = _hide_a_pattern(train)
    model = fitted(law, trial.estimator, hidden, "training samples without one pattern")
    known, seen = set(trial.taught()), set(trial.seen())
    patterns = list(_patterns(trial))
    donors = [donor for pattern in patterns for donor in trial.donors(pattern, _N_OF_PATTERN)]
    composed = trial.parts.composed(donors).build()
    for index, pattern in enumerate(patterns):
        X = composed[index * _N_OF_PATTERN : (index + 1) * _N_OF_PATTERN]
        what = f"samples with {pattern_label(pattern)}"
        if pattern & known:
            _require_valid(law, model, outputs(law, model, X, what), len(X), what)
        elif not pattern & seen:
            _require_refusal(law, model, X, f"{what}, which training never saw")
    _require_refusal(law, model, test.with_presence(np.zeros(test.shape, bool)), "empty samples")
    mixed = test.presence.copy()
    mixed[-1] = False
    _require_refusal(law, model, test.with_presence(mixed), "a batch with one empty sample")
    for index, pattern in enumerate(patterns):
        if len(pattern) == 1 and pattern <= known:
            alone = composed[index * _N_OF_PATTERN : (index + 1) * _N_OF_PATTERN]
            _try_without(trial, model, next(iter(pattern)), alone)


def _try_without(trial: Trial, model: Any, name: str, alone: MultimodalDataset) -> None:
    """Leave a modality out of the batch; then out of training, by list and by presence."""
    law = 4
    train, test = trial.pair
    others = test.without(name) if test.n_modalities > 1 else test
    rest = others.presence[:, [m in trial.taught() for m in others.modalities]].any(axis=1)
    if test.n_modalities == 1 or not rest.any():
        return
    what = f"a dataset without the modality {name}"
    _require_valid(law, model, outputs(law, model, others[rest], what), int(rest.sum()), what)
    for X in trial.lacking(train, name):
        never = fitted(law, trial.estimator, X, f"training samples without {name}")
        _require_refusal(law, never, alone, f"samples with {name} alone, which training never saw")


def law_05_zero_is_not_absence(trial: Trial) -> None:
    """A present input of zeros, or of the training means, is answered otherwise than an absent one.

    (The means are what zeros become where tables are standardised.) Left out is a modality that
    the model does not use, whatever its values. A tree may by chance send one input where it sends
    an absent one, so a coincidence counts only if it is there again on other training samples.
    """
    law, rng = 5, trial.generator(5)
    train, _ = trial.pair
    suspects = {pair for pair, same in _taken_for_absent(trial, train).items() if same}
    for _ in range(_N_AGAIN):
        if suspects:
            some = np.sort(rng.permutation(len(train))[: int(0.8 * len(train))])
            again = _taken_for_absent(trial, train[some])
            suspects = {pair for pair in suspects if again.get(pair, True)}
    for name, label in sorted(suspects):
        expected = f"other output for a present {name} of {label} than for an absent one"
        raise LawViolation(law, trial.estimator, expected, "the same for all samples")


def _taken_for_absent(trial: Trial, train: MultimodalDataset) -> dict[tuple[str, str], bool]:
    """Return for each modality in use, and what it is filled with, whether it looks absent."""
    law, found = 5, {}
    model = fitted(law, trial.estimator, train)
    for name in trial.taught():
        others = [m for m in trial.taught() if m != name]
        if not others:
            continue
        donors = trial.donors(frozenset({name, *others}), _N_COMPOSED)
        # Half of the samples have one further modality, half have all of them.
        donors = [
            {m: d[m] for m in d if m in (name, others[i % len(others)]) or i % 2}
            for i, d in enumerate(donors)
        ]
        real = trial.parts.composed(donors)
        fills = _fills(trial.parts.of_samples(train.ids.tolist()), name)
        X = real.stacked([real.changed(fill, name) for fill in fills.values()]).build()
        first = X[:_N_COMPOSED]
        kept = np.array([[m != name for m in X.modalities]] * _N_COMPOSED)
        without = outputs(law, model, first.with_presence(kept), f"samples without {name}")
        if not differ(outputs(law, model, first), without):
            continue
        for number, label in enumerate(fills, start=1):
            rows = slice(number * _N_COMPOSED, (number + 1) * _N_COMPOSED)
            answer = outputs(law, model, X[rows], f"a {name} of {label}")
            found[name, label] = not differ(answer, without)
    return found


def law_09_work_follows_presence(trial: Trial) -> None:
    """The expert or encoder of an absent modality is not run for that sample.

    Watched are the parts of the fitted model: whatever has ``predict``, ``predict_proba``,
    ``decision_function``, ``transform`` or ``forward``. A part works for one modality alone if its
    input changes with the values of that modality and of no other; it may then be given no more
    rows than there are samples with the modality. (A model of joined features is no such part.)
    """
    law = 9
    train, test = trial.pair
    model = fitted(law, trial.estimator, train)
    straight = trial.parts.of_samples(trial.test_ids)
    other = straight.stacked(
        [straight.changed(_scrambled(straight, m), m) for m in test.modalities]
    )
    X, n = other.build(), len(test)
    calls, *others = [
        _work(law, model, X[k * n : (k + 1) * n]) for k in range(test.n_modalities + 1)
    ]
    changed = {
        name: {key for key in calls if key not in again or calls[key] != again[key]}
        for name, again in zip(test.modalities, others, strict=True)
    }
    for index, name in enumerate(test.modalities):
        n_present = int(test.presence[:, index].sum())
        alone = changed[name].difference(*(changed[m] for m in changed if m != name))
        for key in sorted(alone):
            expected = f"at most {n_present} samples with {name} to be given to {key[1]}"
            require(calls[key].n_rows <= n_present, law, model, expected, f"{calls[key].n_rows}")


def _poison(parts: Parts, rng: np.random.Generator) -> Mapping[str, pd.DataFrame]:
    """Return rows for samples that are declared not to have a modality: a third of each kind."""
    rows = {}
    for name, table in parts.tables.items():
        absent = np.array(sorted(set(parts.samples[ID]) - parts.present(name)), dtype=object)
        if len(absent) and len(table):
            taken = table.iloc[rng.integers(0, len(table), len(absent))].reset_index(drop=True)
            third = np.arange(len(taken)) % 3
            for column in taken.columns.difference([ID]):
                noisy: Any = "poison"
                if column in _floats(taken):
                    noisy = 50 * rng.normal(size=len(taken))
                    if column != "time":
                        taken[column] = np.where(third == 0, np.nan, 1e30)
                taken[column] = taken[column].where(third < 2, noisy)
            rows[name] = taken.assign(**{ID: absent})
    return rows


def _floats(rows: pd.DataFrame) -> list[str]:
    return [str(c) for c in rows if rows[c].dtype.kind == "f"]


def _kept(trial: Trial, train: MultimodalDataset, rng: np.random.Generator) -> npt.NDArray[Any]:
    """Draw a mask that leaves every sample something, and nobody the rarest word of a modality."""
    may = train.presence.copy()
    for index, name in enumerate(train.modalities):
        holders = _holders_of_rarest_word(trial.parts.tables[name], trial.train_ids)
        may[[i in holders for i in train.ids], index] = False
    kept = may & (rng.random(train.shape) < 0.6)
    for allowed in (may, train.presence):
        empty = ~kept.any(axis=1)
        kept[empty] = allowed[empty]
    return kept


def _holders_of_rarest_word(table: pd.DataFrame, among: frozenset[Any]) -> set[Any]:
    table = table[table[ID].isin(among)]
    holders: list[set[Any]] = []
    for column in table.columns.difference([ID, "time", *_floats(table)]):
        groups = table.groupby(column)[ID].agg(set).tolist()
        holders += [min(groups, key=len)] if len(groups) > 1 else []
    return set().union(*holders)


def _only(parts: Parts, kept: Mapping[Any, Any]) -> Parts:
    """Return the parts of the samples in `kept` alone, with the modalities that they keep."""
    samples = parts.samples[parts.samples[ID].isin(list(kept))].reset_index(drop=True)
    tables = {}
    for index, name in enumerate(parts.names):
        keepers = {i for i, row in kept.items() if row[index]}
        samples[has(name)] = samples[ID].isin(keepers)
        tables[name] = parts.tables[name][parts.tables[name][ID].isin(keepers)]
    return replace(parts, samples=samples, tables=tables)


def _patterns(trial: Trial) -> Iterator[frozenset[str]]:
    """Yield the non-empty patterns that can be composed, small and large ones first."""
    names = [m for m in trial.parts.names if len(trial.parts.tables[m])]
    sizes = sorted(range(1, len(names) + 1), key=lambda k: min(k, len(names) - k))
    found = (frozenset(c) for size in sizes for c in combinations(names, size))
    for _, pattern in zip(range(_MAX_PATTERNS), found, strict=False):
        yield pattern


def _hide_a_pattern(train: Any) -> Any:
    """Return training samples none of which has the commonest pattern of several modalities."""
    several = [p for p in train.patterns()["pattern"] if "+" in p]
    if not several:
        return train
    presence = train.presence.copy()
    for row in np.flatnonzero(train.pattern == several[-1]):
        presence[row, np.flatnonzero(presence[row])[0]] = False
    return train.with_presence(presence)


def _require_valid(law: int, model: Any, out: Outputs, n: int, what: str) -> None:
    for method, values in out.items():
        require(len(values) == n, law, model, f"{n} rows of {method} for {what}", f"{len(values)}")
        if values.dtype.kind == "f":
            finite = bool(np.isfinite(values).all())
            require(finite, law, model, f"finite {method} for {what}", "NaN or infinity")
    proba = out.get("predict_proba")
    if proba is not None:
        shape = (n, len(model.classes_))
        require(
            proba.shape == shape, law, model, f"probabilities {shape} for {what}", f"{proba.shape}"
        )
        inside = bool(((proba >= 0) & (proba <= 1)).all())
        require(
            inside,
            law,
            model,
            f"probabilities in [0, 1] for {what}",
            f"{proba.min()} to {proba.max()}",
        )
        sums = proba.sum(axis=1)
        one = bool(np.allclose(sums, 1, atol=1e-6))
        require(
            one, law, model, f"probabilities that sum to 1 for {what}", f"sums from {sums.min()}"
        )
    if is_classifier(model):
        labels = set(np.asarray(out["predict"]).tolist())
        known = set(np.asarray(model.classes_).tolist())
        require(
            labels <= known, law, model, f"labels among {known} for {what}", f"{labels - known}"
        )


def _require_refusal(law: int, model: Any, X: Any, what: str) -> None:
    methods = [m for m in ("predict", "predict_proba") if hasattr(model, m)]
    for method in methods:
        try:
            got = getattr(model, method)(X)
        except EmptySampleError:
            continue
        except Exception as error:
            raise LawViolation(law, model, f"EmptySampleError from {method} for {what}", f"{type(error).__name__}: {error}") from error  # fmt: skip
        raise LawViolation(law, model, f"EmptySampleError from {method} for {what}", f"{np.asarray(got)[-1]}")  # fmt: skip


def _fills(train: Parts, name: str) -> dict[str, Change]:
    """Return the fills of one modality: every number zero, and every number the training mean.

    Summaries of events of one value are not the means of the summaries: events are zero only.
    """
    numbers = train.numbers(name)
    means = {c: float(train.tables[name][c].mean()) for c in numbers}
    fills: dict[str, Change] = {"zeros": lambda t: t.assign(**dict.fromkeys(numbers, 0.0))}
    if train.kinds[name] != "events":
        fills["training means"] = lambda t: t.assign(**means)
    return fills


def _work(law: int, model: Any, X: MultimodalDataset) -> Calls:
    with watched(model) as calls:
        outputs(law, model, X)
    return calls


def _scrambled(parts: Parts, name: str) -> Change:
    """Return a change of everything that one modality holds."""
    numbers = parts.numbers(name)

    def change(rows: pd.DataFrame) -> pd.DataFrame:
        rows = rows.assign(**{c: 1.7 * rows[c] + 0.3 for c in numbers})
        for column in rows.columns.difference([ID, "time", *numbers]):
            # Each sample takes the word of the one before it.
            rows[column] = np.roll(rows[column].to_numpy(), 1)
        return rows

    return change
