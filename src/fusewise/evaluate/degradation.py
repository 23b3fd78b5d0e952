"""Degradation: what the score loses when modalities are withheld from the same samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fusewise.evaluate.bootstrap import stream
from fusewise.evaluate.predictions import Predicted, Withholding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fusewise.data import MultimodalDataset
    from fusewise.evaluate.scoring import Part, Scoring

RATES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7)


def plan_single(test: MultimodalDataset) -> list[Withholding]:
    """Withhold each modality from the samples that have it and something else.

    Returns
    -------
    list of Withholding
        One per modality, labelled by its name; the other modalities stay as they came.
    """
    presence = test.presence
    experiments = []
    for column, name in enumerate(test.modalities):
        rows = np.flatnonzero(presence[:, column] & (presence.sum(axis=1) > 1))
        keep = np.ones((len(rows), len(test.modalities)), dtype=bool)
        keep[:, column] = False
        experiments.append(Withholding(name, rows, keep))
    return experiments


def plan_random(
    test: MultimodalDataset, rates: Sequence[float], repeats: int, entropy: int | tuple[int, ...]
) -> list[list[Withholding]]:
    """Withhold a random share of the modality list from every sample.

    From each sample `rate` times the number of modalities are withheld, chosen at random from the
    whole list, present or not, as when sensors fail (the protocol of Zhang et al., Raindrop,
    ICLR 2022). A fractional number is rounded at random, so that the mean is exact: with 3
    modalities a rate of 0.1 withholds one of them from 30 % of the samples. Within a repeat, what
    a lower rate withholds a higher one withholds too.

    Returns
    -------
    list (one per rate) of lists (one per repeat; rate 0 needs one) of Withholding
    """
    n, m = test.presence.shape
    by_name = np.argsort(np.array(test.modalities, dtype=str), kind="stable")
    everyone = np.arange(n)
    plans: list[list[Withholding]] = [[] for _ in rates]
    for repeat in range(repeats):
        rng = stream(entropy, "random removal", str(repeat))
        rank = np.empty((n, m), dtype=np.intp)
        rank[:, by_name] = np.argsort(np.argsort(rng.random((n, m)), axis=1), axis=1)
        rounding = rng.random(n)
        for plan, rate in zip(plans, rates, strict=True):
            if rate == 0 and repeat:
                continue
            # Rounding to 9 digits first: 0.7 times 10 is not 7 in binary.
            count = np.floor(np.round(rate * m, 9) + rounding)
            plan.append(Withholding(f"k={rate * m:.3g}", everyone, rank >= count[:, None]))
    return plans


def score_single(
    scoring: Scoring,
    natural: Predicted,
    experiments: Sequence[Withholding],
    answers: Sequence[Predicted],
    n_modalities: int,
) -> list[dict[str, Any]]:
    """Return one row per modality and metric: the score without it, and the paired drop."""
    out = []
    for experiment, predicted in zip(experiments, answers, strict=True):
        before = natural[experiment.rows]
        both = before.answered & predicted.answered
        rows = experiment.rows[both]
        at = np.arange(len(rows))
        arms: list[list[Part]] = [[(at, predicted[both])], [(at, before[both])]]
        common = {
            "withheld": experiment.label,
            "n_withheld": 1.0,
            "rate": 1.0 / n_modalities,
            "n": len(rows),
            "n_emptied": float((before.answered & ~predicted.answered).sum()),
            "small": scoring.small(rows),
        }
        out += _rows(scoring, rows, arms, f"without:{experiment.label}", common)
    return out


def score_random(
    scoring: Scoring,
    natural: Predicted,
    plans: Sequence[Sequence[Withholding]],
    answers: Sequence[Sequence[Predicted]],
    rates: Sequence[float],
    n_modalities: int,
) -> list[dict[str, Any]]:
    """Return one row per rate and metric, averaged over the repeats.

    Samples that withholding emptied are left out of that repeat, from the score with everything
    too: the drop compares the same samples. ``n`` and ``n_emptied`` are means over repeats.
    """
    known = np.flatnonzero(natural.answered)
    before = natural[known]
    untouched: Part = (np.arange(len(known)), before)
    out = []
    for rate, plan, predictions in zip(rates, plans, answers, strict=True):
        after: list[Part] = []
        full: list[Part] = []
        for predicted in predictions:
            mine = predicted[known]
            at = np.flatnonzero(mine.answered)
            after.append((at, mine[at]))
            full.append(untouched if len(at) == len(known) else (at, before[at]))
        scored = float(np.mean([len(at) for at, _ in after]))
        common = {
            "withheld": plan[0].label,
            "n_withheld": rate * n_modalities,
            "rate": rate,
            "n": round(scored),
            "n_emptied": len(known) - scored,
            "small": any(scoring.small(known[at]) for at, _ in after),
        }
        out += _rows(scoring, known, [after, full], f"random:{rate:g}", common)
    return out


def _rows(
    scoring: Scoring, rows: Any, arms: list[list[Part]], label: str, common: dict[str, Any]
) -> list[dict[str, Any]]:
    without, complete = scoring.arms(rows, arms, label)
    out = []
    for metric, after, before in zip(scoring.metrics, without, complete, strict=True):
        drop = metric.drop(before, after)
        out.append({**common, "metric": metric.name, **after.columns(), **drop.columns("drop")})
    return out
