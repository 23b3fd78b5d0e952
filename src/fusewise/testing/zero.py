"""Law 5: zero is not absence."""

from __future__ import annotations

import numpy as np

from fusewise.data import MultimodalDataset
from fusewise.testing.parts import Change, Parts
from fusewise.testing.trial import Trial
from fusewise.testing.violation import (
    LawViolation,
    differ,
    fitted,
    outputs,
)

_N_COMPOSED = 12
_N_AGAIN = 3
_MEANS, _SHIFTED = "training means", "nearly the training means"


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
        # Where even a shifted input looks absent, the model is flat there, and nothing is shown.
        if found.pop((name, _SHIFTED), False):
            found[name, _MEANS] = False
    return found


def _fills(train: Parts, name: str) -> dict[str, Change]:
    """Return the fills of one modality: all numbers zero, the training means, and near these.

    Summaries of events of one value are not the means of the summaries: events are zero only.
    """
    numbers = train.numbers(name)
    means = {c: float(train.tables[name][c].mean()) for c in numbers}
    fills: dict[str, Change] = {"zeros": lambda t: t.assign(**dict.fromkeys(numbers, 0.0))}
    if train.kinds[name] != "events":
        shifted = {c: m + 0.25 * float(train.tables[name][c].std()) for c, m in means.items()}
        fills |= {_MEANS: lambda t: t.assign(**means), _SHIFTED: lambda t: t.assign(**shifted)}
    return fills
