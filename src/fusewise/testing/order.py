"""Laws about order and chance: 2 (batches), 3 (order) and 7 (seeds)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from fusewise.data import MultimodalDataset
from fusewise.testing.parts import ID, Change, Parts
from fusewise.testing.trial import Trial
from fusewise.testing.violation import (
    LawViolation,
    Outputs,
    expecting,
    fitted,
    fresh,
    outputs,
    require,
    require_close,
    require_same_bits,
)

_N_ALONE = 12


def law_02_alone_equals_batch(trial: Trial) -> None:
    """A sample's prediction does not depend on what else is in the batch (to 1e-6)."""
    law = 2
    train, test = trial.pair
    model = fitted(law, trial.estimator, train)
    batch = outputs(law, model, test)
    for row in _one_of_each_pattern(test):
        alone = outputs(law, model, test[[row]], "one sample alone")
        expected = f"sample {test.ids[row]!r} ({test.pattern[row]}) to equal itself in the batch"
        require_close(law, model, _taken(batch, [row]), alone, expected)
    for label, rows in (
        ("the first half", np.arange(len(test) // 2)),
        ("a batch with repeated samples", np.repeat(np.arange(min(5, len(test))), 3)),
        ("the batch of complete samples", np.flatnonzero(test.presence.all(axis=1))),
    ):
        if len(rows):
            some = outputs(law, model, test[rows], label)
            require_close(
                law, model, _taken(batch, rows), some, f"{label} to equal the whole batch"
            )


def law_03_order_has_no_effect(trial: Trial) -> None:
    """Order of modalities, columns, samples, table rows and events at one time changes nothing.

    Each is changed in training and in prediction alike (to 1e-6).
    """
    law, rng = 3, trial.generator(3)
    train, test = trial.pair
    model = fitted(law, trial.estimator, train)
    straight = _by_id(outputs(law, model, test), test)

    def compare(label: str, parts: Parts, names: Sequence[str] | None = None) -> None:
        changed = trial.pair_of(parts.build(names))
        again = _by_id(outputs(law, model, changed[1]), changed[1])
        expected = f"no effect of the order of {label}"
        require_close(law, model, straight, again, f"{expected} in prediction")
        other = fitted(law, trial.estimator, changed[0], f"another order of {label}")
        again = _by_id(outputs(law, other, changed[1]), changed[1])
        require_close(law, model, straight, again, f"{expected} in training")

    turned = tuple(reversed(trial.parts.names))
    shuffle = _shuffler(rng)
    samples = replace(trial.parts, samples=shuffle(trial.parts.samples))
    rows = trial.parts.changed(shuffle)
    columns = trial.parts.changed(_columns_reversed)
    try:
        together = samples.changed(shuffle).changed(_columns_reversed)
        compare("modalities, columns, samples and rows together", together, turned)
    except LawViolation:
        # Which of them it was.
        compare("modalities", trial.parts, turned)
        compare("columns", columns)
        compare("samples", samples)
        compare("table rows and events at one time", rows)
        raise


def law_07_seed_decides(trial: Trial) -> None:
    """One seed gives the same bits whatever the global generators say; these do not move."""
    law = 7
    train, test = trial.pair
    state = (np.random.get_state(), random.getstate())  # noqa: NPY002
    try:
        results = []
        for seed in (1, 2):
            np.random.seed(seed)  # noqa: NPY002
            random.seed(seed)
            before = _global_state()
            model = fresh(trial.estimator)
            with expecting(law, model, "fit to accept the training samples"):
                model.fit(train)
            results.append(outputs(law, model, test))
            moved = _global_state() != before
            require(not moved, law, model, "untouched global generators", "they moved")
        require_same_bits(law, model, results[0], results[1], "the same bits from the same seed")
        with expecting(law, model, "fit to accept the training samples again"):
            model.fit(train)
        again = outputs(law, model, test)
        require_same_bits(law, model, results[0], again, "the same bits when fitted again")
    finally:
        np.random.set_state(state[0])  # noqa: NPY002
        random.setstate(state[1])


def _one_of_each_pattern(ds: MultimodalDataset) -> list[int]:
    first = {label: row for row, label in reversed(list(enumerate(ds.pattern)))}
    more = [row for row in range(min(len(ds), _N_ALONE)) if row not in first.values()]
    return [*first.values(), *more][:_N_ALONE]


def _taken(out: Outputs, rows: Any) -> Outputs:
    return {method: values[rows] for method, values in out.items()}


def _by_id(out: Outputs, ds: MultimodalDataset) -> Outputs:
    return _taken(out, np.argsort(ds.ids, kind="stable"))


def _columns_reversed(table: pd.DataFrame) -> pd.DataFrame:
    return table[[ID, *[c for c in reversed(table.columns) if c != ID]]]


def _shuffler(rng: np.random.Generator) -> Change:
    def shuffle(table: pd.DataFrame) -> pd.DataFrame:
        return table.iloc[rng.permutation(len(table))].reset_index(drop=True)

    return shuffle


def _global_state() -> str:
    return repr((np.random.get_state(legacy=False), random.getstate()))  # noqa: NPY002
