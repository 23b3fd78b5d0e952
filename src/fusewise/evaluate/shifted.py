"""The headline under shifted availability: other patterns, and modalities that are gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fusewise.data import parse_pattern
from fusewise.evaluate.predictions import Predicted
from fusewise.evaluate.scoring import Measured

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fusewise.data import MultimodalDataset
    from fusewise.evaluate.mixture import Headline, Mixture
    from fusewise.evaluate.predictions import Withholding
    from fusewise.evaluate.scoring import Scoring
    from fusewise.evaluate.weighted import Floats

DOUBLED, LOST, NEVER = "twice as often", "lost", "never there"
# Patterns whose frequency is doubled at most, the heaviest of the deployment first.
MOST_PATTERNS = 10


def score_shifted(
    scoring: Scoring,
    test: MultimodalDataset,
    natural: Predicted,
    mixture: Mixture,
    headline: Headline,
    lost: Sequence[Withholding],
    answers: Sequence[Predicted],
) -> list[dict[str, Any]]:
    """Return the headline's score where availability is not what was declared.

    Three kinds, each with the paired change from the headline (positive is worse):

    ``twice as often``
        One pattern comes twice as often, the others less in proportion. Assumes, as the headline
        does, that within a pattern requests are like the test samples.
    ``lost``
        A modality fails altogether: it is withheld from every sample of the mixture that has it.
        The same people, so the change is what its absence alone costs. Samples that had nothing
        else can no longer be answered; they are left out of both sides and counted.
    ``never there``
        A site that never has the modality: the part of the mixture that came without it. Other
        people too, so the change holds who they are beside what is not known of them.

    The weights are held fixed in the bootstrap, as in the headline.

    Parameters
    ----------
    scoring : Scoring
    test : MultimodalDataset
    natural : Predicted
    mixture : Mixture
    headline : Headline
        The answered samples as `weigh` weighs them to the mixture.
    lost : sequence of Withholding
        From `plan_single`, also of samples that have nothing else.
    answers : sequence of Predicted
        Aligned with `lost`.
    """
    rows = headline.rows
    if len(rows) == 0:
        return []
    weights = np.ones(len(rows)) if headline.weights is None else headline.weights
    before = scoring.measure(rows, natural[rows], "all", weights)
    pattern = test.pattern[rows].astype(str)
    out = []
    for label in mixture.ranked()[:MOST_PATTERNS]:
        own = pattern == label
        if not own.any() or own.all():
            continue
        # Renormalising changes no score.
        shifted = np.where(own, 2 * weights, weights)
        out += _reweighed(scoring, headline, natural, before, shifted, DOUBLED, label)
    for experiment, predicted in zip(lost, answers, strict=True):
        out += _without(scoring, headline, natural, weights, experiment, predicted)
        has = np.array([experiment.label in parse_pattern(label) for label in pattern])
        if has.any() and not has.all():
            shifted = np.where(has, 0.0, weights)
            out += _reweighed(scoring, headline, natural, before, shifted, NEVER, experiment.label)
    return out


def _reweighed(
    scoring: Scoring,
    headline: Headline,
    natural: Predicted,
    before: Sequence[Measured],
    weights: Floats,
    kind: str,
    scenario: str,
) -> list[dict[str, Any]]:
    rows = headline.rows
    counted = rows[weights > 0]
    # The same samples and label: drawn by the same resampling as the headline.
    after = scoring.measure(rows, natural[rows], "all", weights)
    why = [
        metric.undefined(scoring.truth[counted], scoring.n_classes) for metric in scoring.metrics
    ]
    after = [
        Measured(np.nan, np.full(scoring.n_boot, np.nan), note) if note else score
        for score, note in zip(after, why, strict=True)
    ]
    return _rows(scoring, counted, weights[weights > 0], before, after, kind, scenario)


def _without(
    scoring: Scoring,
    headline: Headline,
    natural: Predicted,
    weights: Floats,
    experiment: Withholding,
    predicted: Predicted,
) -> list[dict[str, Any]]:
    rows = headline.rows
    place = np.full(len(scoring.truth), -1)
    place[experiment.rows] = np.arange(len(experiment.rows))
    at = place[rows]
    has = at >= 0
    if not has.any():
        return []
    after = _replaced(natural[rows], has, predicted[at[has]])
    kept = after.answered
    left = np.flatnonzero(kept)
    arms = [[(np.arange(len(left)), p[left])] for p in (after, natural[rows])]
    gone, came = scoring.arms(rows[left], arms, f"lost:{experiment.label}", weights[left])
    emptied = int((~kept).sum())
    return _rows(
        scoring, rows[left], weights[left], came, gone, LOST, experiment.label, emptied=emptied
    )


def _replaced(natural: Predicted, where: Any, by: Predicted) -> Predicted:
    def put(one: Any, other: Any) -> Any:
        if one is None:
            return None
        out = one.copy()
        out[where] = other
        return out

    return Predicted(
        put(natural.answered, by.answered),
        put(natural.probability, by.probability),
        put(natural.label, by.label),
    )


def _rows(
    scoring: Scoring,
    rows: Any,
    weights: Floats,
    before: Sequence[Measured],
    after: Sequence[Measured],
    kind: str,
    scenario: str,
    *,
    emptied: int = 0,
) -> list[dict[str, Any]]:
    effective = float(weights.sum() ** 2 / (weights**2).sum()) if len(weights) else 0.0
    return [
        {
            "kind": kind,
            "scenario": scenario,
            "n": len(rows),
            "effective_n": effective,
            "n_emptied": emptied,
            "metric": metric.name,
            **score.columns(),
            **metric.drop(came, score).columns("change"),
            "small": bool(scoring.too_few(rows, effective)),
        }
        for metric, came, score in zip(scoring.metrics, before, after, strict=True)
    ]
