"""Law 9: work follows presence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from fusewise.data import MultimodalDataset
from fusewise.testing.parts import ID, Change, Parts
from fusewise.testing.spy import Calls, watched
from fusewise.testing.trial import Trial
from fusewise.testing.violation import (
    fitted,
    outputs,
    require,
)


def law_09_work_follows_presence(trial: Trial) -> None:
    """The expert or encoder of an absent modality is not run for that sample.

    Watched are the parts of the fitted model: whatever has ``predict``, ``predict_proba``,
    ``decision_function``, ``transform`` or ``forward``. A part works for one modality alone if its
    input changes with the values of that modality and of no other; it may then be given no more
    rows than there are samples with the modality, or than it is given where the samples without
    the modality are left out (a part may work event by event). (A model of joined features is no
    such part.)
    """
    law = 9
    train, test = trial.pair
    model = fitted(law, trial.estimator, train)
    straight = trial.parts.of_samples(trial.test_ids)
    other = straight.stacked(
        [straight.changed(_scrambled(straight, m), m) for m in test.modalities]
    )
    X, n = other.build(), len(test)
    outputs(law, model, test)  # parts that are built when they are first used are watched too
    calls, *others = [
        _work(law, model, X[k * n : (k + 1) * n]) for k in range(test.n_modalities + 1)
    ]
    changed = {
        name: {key for key in calls if key not in again or calls[key] != again[key]}
        for name, again in zip(test.modalities, others, strict=True)
    }
    for index, name in enumerate(test.modalities):
        present = test.presence[:, index]
        alone = changed[name].difference(*(changed[m] for m in changed if m != name))
        if not alone:
            continue
        without_others = _work(law, model, X[np.flatnonzero(present)])
        for key in sorted(alone):
            limit = int(present.sum())
            if key in without_others:
                limit = max(limit, without_others[key].n_rows)
            expected = f"at most {limit} rows of samples with {name} to be given to {key[1]}"
            require(calls[key].n_rows <= limit, law, model, expected, f"{calls[key].n_rows}")


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
