"""Degradation: what the score loses when modalities are withheld from the same samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fusewise.evaluate.bootstrap import stream
from fusewise.evaluate.predictions import Predicted, Withholding
from fusewise.evaluate.scoring import Measured

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fusewise.data import MultimodalDataset
    from fusewise.evaluate.scoring import Part, Scoring
    from fusewise.evaluate.weighted import Floats

RATES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7)


def plan_single(test: MultimodalDataset, *, alone: bool = False) -> list[Withholding]:
    """Withhold each modality from the samples that have it and something else.

    With `alone` also from those that have nothing else, which are emptied.

    Returns
    -------
    list of Withholding
        One per modality, labelled by its name; the other modalities stay as they came.
    """
    presence = test.presence
    experiments = []
    for column, name in enumerate(test.modalities):
        rows = np.flatnonzero(presence[:, column] & (alone | (presence.sum(axis=1) > 1)))
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
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the degradation curve, and the area under it.

    Curve: one row per rate and metric, averaged over the repeats. Samples that withholding emptied
    are left out of that repeat, from the score with everything too: the drop compares the same
    samples. ``n`` and ``n_emptied`` are means over repeats.

    Area: one row per metric, the mean of the score over the rates from the lowest to the highest
    (trapezoids), beside that of the same samples with everything. All rates are resampled
    together, so that it has an interval.
    """
    known = np.flatnonzero(natural.answered)
    before = natural[known]
    untouched: Part = (np.arange(len(known)), before)
    arms: list[list[Part]] = []
    commons = []
    for rate, plan, predictions in zip(rates, plans, answers, strict=True):
        after: list[Part] = []
        full: list[Part] = []
        for predicted in predictions:
            mine = predicted[known]
            at = np.flatnonzero(mine.answered)
            after.append((at, mine[at]))
            full.append(untouched if len(at) == len(known) else (at, before[at]))
        scored = float(np.mean([len(at) for at, _ in after]))
        commons.append(
            {
                "withheld": plan[0].label,
                "n_withheld": rate * n_modalities,
                "rate": rate,
                "n": round(scored),
                "n_emptied": len(known) - scored,
                "small": any(scoring.small(known[at]) for at, _ in after),
            }
        )
        arms += [after, full]
    if not arms:
        return [], []
    found = scoring.arms(known, arms, "random")
    after_all, full_all = found[::2], found[1::2]
    curve = []
    for common, without, complete in zip(commons, after_all, full_all, strict=True):
        curve += _scored(scoring, without, complete, common)
    if len(rates) < 2:
        return curve, []
    shares = area_weights(rates)
    area = _scored(
        scoring,
        [mean_of(scores, shares) for scores in zip(*after_all, strict=True)],
        [mean_of(scores, shares) for scores in zip(*full_all, strict=True)],
        {"n": len(known), "small": any(common["small"] for common in commons)},
    )
    return curve, area


def area_weights(rates: Sequence[float]) -> Floats:
    """Return what each rate counts in the mean over the range of rates, by trapezoids.

    Examples
    --------
    >>> area_weights([0.0, 0.2, 0.6]).round(3).tolist()
    [0.167, 0.5, 0.333]
    """
    order = np.argsort(rates)
    at = np.asarray(rates, dtype=np.float64)[order]
    steps = np.diff(at)
    weights = np.zeros(len(at))
    weights[:-1] += steps / 2
    weights[1:] += steps / 2
    out = np.zeros(len(at))
    out[order] = weights / steps.sum()
    return out


def mean_of(scores: Sequence[Measured], shares: Floats) -> Measured:
    """Return a weighted mean of scores that were resampled together."""
    note = next((score.note for score in scores if score.note), "")
    estimate = float(shares @ [score.estimate for score in scores])
    return Measured(estimate, shares @ np.stack([score.replicates for score in scores]), note)


def _rows(
    scoring: Scoring, rows: Any, arms: list[list[Part]], label: str, common: dict[str, Any]
) -> list[dict[str, Any]]:
    without, complete = scoring.arms(rows, arms, label)
    return _scored(scoring, without, complete, common)


def _scored(
    scoring: Scoring,
    without: Sequence[Measured],
    complete: Sequence[Measured],
    common: dict[str, Any],
) -> list[dict[str, Any]]:
    out = []
    for metric, after, before in zip(scoring.metrics, without, complete, strict=True):
        drop = metric.drop(before, after)
        out.append({**common, "metric": metric.name, **after.columns(), **drop.columns("drop")})
    return out
