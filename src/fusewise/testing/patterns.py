"""Law 4: every pattern, seen or not."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
from sklearn.base import is_classifier

from fusewise.data import MultimodalDataset, pattern_label
from fusewise.exceptions import EmptySampleError
from fusewise.testing.trial import Trial
from fusewise.testing.violation import (
    LawViolation,
    Outputs,
    fitted,
    outputs,
    require,
)

_MAX_PATTERNS = 63  # all of six modalities
_N_OF_PATTERN = 4


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
