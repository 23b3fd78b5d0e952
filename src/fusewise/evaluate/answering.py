"""Answering requirements: the samples that show it, the interval, and the verdict."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fusewise.data import pattern_label
from fusewise.evaluate.mixture import weigh
from fusewise.evaluate.predictions import Predicted, Withholding
from fusewise.evaluate.requirements import MET, NOT_MET, UNDETERMINED
from fusewise.evaluate.sample_size import advice_on_size

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fusewise.data import MultimodalDataset
    from fusewise.evaluate.metric import Metric
    from fusewise.evaluate.mixture import Headline, Mixture
    from fusewise.evaluate.requirements import Requirement
    from fusewise.evaluate.scoring import Measured, Scoring


def plan_requirement(requirement: Requirement, test: MultimodalDataset) -> Withholding | None:
    """Return the experiment that answers a requirement; None for the deployment's mixture."""
    key, names = requirement.named
    if not names and requirement.present is None:
        return None
    named = np.array([not names or m in names for m in test.modalities])
    has = test.presence[:, named]
    chosen = has.any(axis=1) if key == "any" else has.all(axis=1)
    rows = np.flatnonzero(chosen & requirement.members(test.samples))
    keep = {"absent": ~named, "present": named}.get(key, np.ones_like(named))
    return Withholding(requirement.where, rows, np.tile(keep, (len(rows), 1)))


def answer_each(
    scoring: Scoring,
    checked: Iterable[tuple[Requirement, Metric]],
    plans: Iterable[Withholding | None],
    said: Iterable[Predicted],
    natural: Predicted,
    mixture: Mixture,
    test: MultimodalDataset,
) -> list[dict[str, Any]]:
    """Return the row of each requirement; `said` answers the plans that are not None, in order.

    One on the mixture is answered on the samples of its group, weighted to the mixture.
    """
    samples, pattern = test.samples, test.pattern
    answers = iter(said)
    return [
        answer_requirement(
            scoring,
            requirement,
            metric,
            natural,
            weigh(mixture, pattern, natural.answered & requirement.members(samples)),
            None if plan is None else (plan, next(answers)),
            test.modalities,
        )
        for (requirement, metric), plan in zip(checked, plans, strict=True)
    ]


def answer_requirement(
    scoring: Scoring,
    requirement: Requirement,
    metric: Metric,
    natural: Predicted,
    headline: Headline,
    asked: tuple[Withholding, Predicted] | None,
    modalities: tuple[str, ...],
) -> dict[str, Any]:
    """Return the row of one requirement.

    It is met if the whole 95 % interval is on the right side of the limit, not met if the whole
    interval is on the wrong side, and undetermined if the interval straddles the limit, if the
    cell is small, or if the metric is undefined there; ``reason`` says which. A metric that is
    biased upwards in few samples (ECE) is not met only where the interval stays beyond the limit
    with the bias of a calibrated predictor's resamples taken off.
    """
    scoring = scoring.with_metrics((metric,))
    if asked is None:
        view, pattern, rows = "mixture", "(deployment)", headline.rows
        scored = natural[rows]
        where = str(requirement) if requirement.group else "all"
        (measured,) = scoring.measure(rows, scored, where, headline.weights)
    else:
        experiment, predicted = asked
        before = natural[experiment.rows]
        kept = predicted.answered
        taken = requirement.absent or requirement.present not in (None, "all")
        view = "withheld" if taken else "natural"
        pattern = experiment.label
        if requirement.present is not None:
            pattern = pattern_label(
                modalities if requirement.present == "all" else requirement.present
            )
        if requirement.limit == "max_drop":
            kept = kept & before.answered
        rows, scored = experiment.rows[kept], predicted[kept]
        at = np.arange(len(rows))
        if requirement.limit == "max_drop":
            (after,), (full,) = scoring.arms(
                rows, [[(at, scored)], [(at, before[kept])]], str(requirement)
            )
            measured = metric.drop(full, after)
        else:
            measured = scoring.measure(rows, scored, str(requirement))[0]
    columns = measured.columns()
    note = columns.pop("note")
    effective = headline.effective_n if asked is None else float(len(rows))
    excess = 0.0
    if metric.bias is not None and requirement.limit != "max_drop" and not note:
        # A resample of a sample doubles the variance of what chance adds.
        weights = headline.weights if asked is None else None
        response = scored.response(metric.response)
        excess = metric.bias(scoring.truth[rows], response, scoring.n_classes, weights)
        excess *= math.sqrt(2)
    status, reason = _verdict(requirement, measured, scoring, rows, effective, note, excess)
    needed = np.nan
    if status == UNDETERMINED:
        needed = scoring.samples_to_decide(rows, effective, measured, requirement.threshold)
        reason += advice_on_size(needed)
    return {
        "requirement": str(requirement),
        "metric": requirement.metric,
        "view": view,
        "pattern": pattern,
        "n": len(rows),
        **columns,
        "limit": requirement.limit,
        "threshold": float(requirement.threshold),
        "status": status,
        "reason": reason,
        "n_to_decide": needed,
    }


def _verdict(
    requirement: Requirement,
    measured: Measured,
    scoring: Scoring,
    rows: Any,
    effective: float,
    note: str,
    excess: float = 0.0,
) -> tuple[str, str]:
    low, high, _ = measured.limits()
    if len(rows) == 0:
        return UNDETERMINED, "no sample of the test set can show it"
    if np.isnan(low):
        return UNDETERMINED, note or "no interval without resampling"
    few = scoring.too_few(rows, effective)
    if few:
        return UNDETERMINED, f"too few: {few} (minimum cell size {scoring.min_cell})"
    at_least = requirement.limit == "at_least"
    limit = requirement.threshold
    if low >= limit if at_least else high <= limit:
        return MET, "the whole interval is within the limit"
    if low > limit >= low - excess and requirement.limit == "at_most":
        return UNDETERMINED, (
            f"the interval is beyond the limit, but {requirement.metric} is biased upwards in few "
            f"samples: by up to {excess:.3g} in the resamples"
        )
    if high < limit if at_least else low > limit:
        return NOT_MET, "the whole interval is beyond the limit"
    return UNDETERMINED, "the interval straddles the limit"
