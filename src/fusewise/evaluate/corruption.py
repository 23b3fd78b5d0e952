"""Degradation under corrupted values: the modality is there, and what it says is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fusewise.evaluate.bootstrap import stream
from fusewise.evaluate.predictions import Answers, Predicted, Withholding

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from fusewise.data import MultimodalDataset
    from fusewise.evaluate.scoring import Part, Scoring
    from fusewise.evaluate.weighted import Floats

NOISE, SHUFFLED, SCALE = "noise", "shuffled", "scale"


@dataclass(frozen=True)
class Corruption:
    """A way in which values go wrong, and how far.

    Parameters
    ----------
    kind : {"noise", "shuffled", "scale"}
        ``noise``: to each number is added a normal one, whose standard deviation is `level` times
        that of its variable among the samples. ``shuffled``: samples that have the modality take
        the rows of another one of them: every value is a true one, of somebody else. ``scale``:
        numbers are multiplied by `level`, as by an error of unit.
    level : float
        1 for ``shuffled``.
    """

    kind: str
    level: float = 1.0


CORRUPTIONS = (
    Corruption(NOISE, 0.5),
    Corruption(NOISE, 1.0),
    Corruption(SHUFFLED),
    Corruption(SCALE, 10.0),
)


def corrupted(
    dataset: MultimodalDataset,
    name: str,
    corruption: Corruption,
    entropy: int | tuple[int, ...],
) -> MultimodalDataset:
    """Return the dataset with one modality corrupted; presence, words and times stay.

    Noise and shuffling have random streams of their own, by modality and level. Infinite results
    of scaling are cut off at the largest number.
    """
    rng = stream(entropy, "corruption", name, corruption.kind, f"{corruption.level:g}")
    if corruption.kind == SHUFFLED:
        has = np.flatnonzero(dataset.presence[:, dataset.modalities.index(name)])
        donors = np.arange(len(dataset))
        donors[has] = has[rng.permutation(len(has))]
        return dataset.with_values_of(name, donors)

    def change(variable: str, values: Floats) -> Floats:  # noqa: ARG001 - each alike
        if len(values) == 0:
            return values
        if corruption.kind == SCALE:
            largest = np.finfo(np.float64).max
            return np.clip(values * corruption.level, -largest, largest)
        return values + corruption.level * values.std() * rng.normal(size=len(values))

    return dataset.with_numbers(name, change)


def score_corrupted(
    scoring: Scoring,
    model: Any,
    test: MultimodalDataset,
    natural: Predicted,
    singles: Sequence[Withholding],
    withheld: Sequence[Predicted],
    responses: Collection[str],
    classes: tuple[Any, ...] | None,
) -> list[dict[str, Any]]:
    """Return one row per modality, corruption and metric.

    On the samples that have the modality and something else. ``drop`` is how much worse than with
    true values; ``withheld_drop`` how much worse the same samples are without the modality;
    ``beyond_absence`` the first minus the second: above zero, absence would be better than these
    values, and what notices the corruption should declare the modality absent. All paired.

    Parameters
    ----------
    scoring : Scoring
    model : object
    test : MultimodalDataset
    natural : Predicted
    singles, withheld : sequences of Withholding and Predicted
        Each modality withheld alone, from `plan_single`.
    responses : collection of {"probability", "label"}
    classes : tuple or None
    """
    out = []
    for experiment, without in zip(singles, withheld, strict=True):
        if len(experiment.rows) == 0:
            continue
        some = test[experiment.rows]
        before = natural[experiment.rows]
        for corruption in CORRUPTIONS:
            changed = corrupted(some, experiment.label, corruption, scoring.entropy)
            wrong = Answers(model, changed, responses, classes).natural
            out += _rows(scoring, experiment, corruption, before, wrong, without)
    return out


def _rows(
    scoring: Scoring,
    experiment: Withholding,
    corruption: Corruption,
    before: Predicted,
    wrong: Predicted,
    without: Predicted,
) -> list[dict[str, Any]]:
    both = before.answered & wrong.answered & without.answered
    rows = experiment.rows[both]
    at = np.arange(len(rows))
    arms: list[list[Part]] = [[(at, one[both])] for one in (wrong, before, without)]
    label = f"corrupted:{experiment.label}:{corruption.kind}:{corruption.level:g}"
    after, full, absent = scoring.arms(rows, arms, label)
    out = []
    for m, metric in enumerate(scoring.metrics):
        out.append(
            {
                "modality": experiment.label,
                "corruption": corruption.kind,
                "level": corruption.level,
                "n": len(rows),
                "metric": metric.name,
                **after[m].columns(),
                **metric.drop(full[m], after[m]).columns("drop"),
                "withheld_drop": metric.drop(full[m], absent[m]).estimate,
                **metric.drop(absent[m], after[m]).columns("beyond_absence"),
                "small": scoring.small(rows),
            }
        )
    return out
