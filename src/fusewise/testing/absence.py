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
from fusewise.testing.spy import watched
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
_N_COMPOSED = 12


def law_01_absent_values_change_nothing(trial: Trial) -> None:
    """Rows stored under an absent modality change no bit, in training or in prediction.

    Tried with NaN, 1e30, noise (with a new category, a new event variable and late times) and with
    the real values of modalities that a mask has removed (and with them a variable and a category).
    """
    law, rng = 1, trial.generator(1)
    train, test = trial.pair()
    model = fitted(law, trial.estimator, train)
    clean = outputs(law, model, test)
    for label, poison in _poisons(rng).items():
        poisoned = trial.pair(trial.parts.with_rows(_under_absence(trial.parts, poison, rng)))
        stored = f"unchanged bits with {label} stored under absent modalities"
        again = outputs(law, model, poisoned[1])
        require_same_bits(law, model, clean, again, f"{stored} of test samples")
        other = fitted(law, trial.estimator, poisoned[0], f"{label} under absent modalities")
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
    train, test = trial.pair()
    hidden = _hide_a_pattern(train)
    model = fitted(law, trial.estimator, hidden, "training samples without one pattern")
    known, seen = set(trial.taught()), set(trial.seen())
    for pattern in _patterns(trial):
        X = trial.parts.composed(trial.donors(pattern, 5)).build()
        what = f"samples with {pattern_label(pattern)}"
        if pattern & known:
            _require_valid(law, model, outputs(law, model, X, what), len(X), what)
        elif not pattern & seen:
            _require_refusal(law, model, X, f"{what}, which training never saw")
    _require_refusal(law, model, test.with_presence(np.zeros(test.shape, bool)), "empty samples")
    mixed = test.presence.copy()
    mixed[-1] = False
    _require_refusal(law, model, test.with_presence(mixed), "a batch with one empty sample")
    for name in sorted(known):
        _try_without(trial, law, model, name)


def _try_without(trial: Trial, law: int, model: Any, name: str) -> None:
    """Leave a modality out of the batch; then out of training, by list and by presence."""
    train, test = trial.pair()
    others = test.without(name) if test.n_modalities > 1 else test
    rest = others.presence[:, [m in trial.taught() for m in others.modalities]].any(axis=1)
    if test.n_modalities == 1 or not rest.any():
        return
    what = f"a dataset without the modality {name}"
    _require_valid(law, model, outputs(law, model, others[rest], what), int(rest.sum()), what)
    alone = trial.parts.composed(trial.donors(frozenset({name}), 3)).build()
    nobody = train.presence.copy()
    nobody[:, train.modalities.index(name)] = False
    for X in (train.without(name), train.with_presence(nobody)):
        rows = X.presence.any(axis=1)
        never = fitted(law, trial.estimator, X[rows], f"training samples without {name}")
        _require_refusal(law, never, alone, f"samples with {name} alone, which training never saw")


def law_05_zero_is_not_absence(trial: Trial) -> None:
    """A present input of zeros, or of the training means, is answered otherwise than an absent one.

    (The means are what zeros become where inputs are standardised.) A modality that the model
    does not use at all is left out: it must then make no difference whatever its values.
    """
    law = 5
    train, _ = trial.pair()
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
        absent = [{m: d[m] for m in d if m != name} for d in donors]
        without = outputs(law, model, trial.parts.composed(absent).build())
        real = outputs(law, model, trial.parts.composed(donors).build())
        if not differ(real, without):
            continue
        for label, fill in _fills(trial, name).items():
            present = trial.parts.composed(donors).changed(fill, name)
            filled = outputs(law, model, present.build())
            expected = f"other output for a present {name} of {label} than for an absent one"
            require(differ(filled, without), law, model, expected, "the same for all samples")


def law_09_work_follows_presence(trial: Trial) -> None:
    """The expert or encoder of an absent modality is not run for that sample.

    Watched are the parts of the fitted model: whatever has ``predict``, ``predict_proba``,
    ``decision_function``, ``transform`` or ``forward``. A part works for one modality alone if its
    input changes with the values of that modality and of no other; it may then be given no more
    rows than there are samples with the modality. (A model of joined features is no such part.)
    """
    law = 9
    train, test = trial.pair()
    model = fitted(law, trial.estimator, train)
    with watched(model) as calls:
        outputs(law, model, test)
    changed = {}
    for name in test.modalities:
        _, other = trial.pair(trial.parts.changed(_scramble(trial, name), name))
        with watched(model) as again:
            outputs(law, model, other)
        changed[name] = {key for key in calls if key not in again or calls[key] != again[key]}
    for index, name in enumerate(test.modalities):
        n_present = int(test.presence[:, index].sum())
        alone = changed[name].difference(*(changed[m] for m in changed if m != name))
        for key in sorted(alone):
            expected = f"at most {n_present} samples with {name} to be given to {key[1]}"
            require(calls[key].n_rows <= n_present, law, model, expected, f"{calls[key].n_rows}")


def _poisons(rng: np.random.Generator) -> dict[str, Change]:
    def constant(value: float) -> Change:
        def poison(rows: pd.DataFrame) -> pd.DataFrame:
            numbers = [c for c in _floats(rows) if c != "time"]
            return rows.assign(**dict.fromkeys(numbers, value))

        return poison

    def noise(rows: pd.DataFrame) -> pd.DataFrame:
        rows = rows.assign(**{c: 50 * rng.normal(size=len(rows)) for c in _floats(rows)})
        for column in [c for c in rows if c != ID and rows[c].dtype.kind != "f"]:
            rows[column] = "poison"
        return rows

    return {"NaN": constant(np.nan), "1e30": constant(1e30), "noise": noise}


def _floats(rows: pd.DataFrame) -> list[str]:
    return [str(c) for c in rows if rows[c].dtype.kind == "f"]


def _under_absence(
    parts: Parts, poison: Change, rng: np.random.Generator
) -> Mapping[str, pd.DataFrame]:
    """Return rows for samples that are declared not to have the modality."""
    rows = {}
    for name, table in parts.tables.items():
        absent = np.array(sorted(set(parts.samples[ID]) - parts.present(name)), dtype=object)
        if len(absent) and len(table):
            taken = table.iloc[rng.integers(0, len(table), len(absent))].reset_index(drop=True)
            rows[name] = poison(taken.assign(**{ID: absent}))
    return rows


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


def _fills(trial: Trial, name: str) -> dict[str, Change]:
    """Return the fills of one modality: every number zero, and every number the training mean."""
    table, numbers = trial.parts.tables[name], trial.parts.numbers(name)
    train = table[table[ID].isin(trial.train_ids)]

    def zeros(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(**dict.fromkeys(numbers, 0.0))

    def means(rows: pd.DataFrame) -> pd.DataFrame:
        if trial.parts.kinds[name] == "events":
            by_variable = train.groupby("variable")["value"].mean()
            return rows.assign(value=rows["variable"].map(by_variable).astype(float))
        return rows.assign(**{c: train[c].mean() for c in numbers})

    return {"zeros": zeros, "training means": means}


def _scramble(trial: Trial, name: str) -> Change:
    """Return a change of everything that one modality holds for test samples."""
    numbers = trial.parts.numbers(name)

    def change(rows: pd.DataFrame) -> pd.DataFrame:
        tested = rows[ID].isin(trial.test_ids).to_numpy()
        rows = rows.assign(**{c: rows[c].where(~tested, 1.7 * rows[c] + 0.3) for c in numbers})
        for column in rows.columns.difference([ID, "time", *numbers]):
            # Each sample takes the word of the one before it.
            rows.loc[tested, column] = np.roll(rows.loc[tested, column].to_numpy(), 1)
        return rows

    return change
