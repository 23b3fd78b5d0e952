"""Law 1: what is stored under an absent modality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusewise.data import MultimodalDataset
from fusewise.testing.parts import ID, Parts, has
from fusewise.testing.trial import Trial
from fusewise.testing.violation import (
    fitted,
    outputs,
    require_same_bits,
)


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
