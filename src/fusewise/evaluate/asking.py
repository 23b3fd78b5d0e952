"""What to ask for first: the expected gain of each absent modality, by withholding it."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fusewise.data import EMPTY_PATTERN, parse_pattern, pattern_label
from fusewise.evaluate.evaluation import canonical_order, classes_of, responses_of, scoring_of
from fusewise.evaluate.metrics import find_metric
from fusewise.evaluate.mixture import find_mixture
from fusewise.evaluate.predictions import Answers, Withholding
from fusewise.exceptions import EvaluationError, did_you_mean

if TYPE_CHECKING:
    from fusewise.data import MultimodalDataset
    from fusewise.evaluate.predictions import Predicted
    from fusewise.evaluate.scoring import Part, Scoring

_COLUMNS = {
    "pattern": "str",
    "weight": "float64",
    "ask": "str",
    "n": "int64",
    "metric": "str",
    "without": "float64",
    "with": "float64",
    "gain": "float64",
    "gain_low": "float64",
    "gain_high": "float64",
    "helps": "str",
    "cost": "float64",
    "gain_per_cost": "float64",
    "rank": "int64",
    "small": "bool",
    "note": "str",
}


def value_of_asking(
    model: Any,
    test: MultimodalDataset,
    *,
    costs: Mapping[str, float] | None = None,
    metric: str | None = None,
    deployment: Any = None,
    n_boot: int = 1000,
    min_cell: int = 30,
    patterns: int = 30,
    random_state: int | None = 0,
) -> pd.DataFrame:
    """Estimate what each absent modality would add, per availability pattern.

    For a pattern P and a modality m that it lacks, the gain is how much better the score is with
    P and m than with P alone, on the same samples: those that have at least both, everything else
    withheld. The estimand is that expectation for this fitted predictor, over samples with at
    least P and m.

    It answers "ask for m first" under an assumption: that samples which have m are like those that
    lack it and would get it. Where m is measured because somebody suspects something (a test that
    is ordered, not routine), they are not: the gain then holds for those whom m was ordered for.
    The figures rank modalities on average over a pattern; they do not say which for one sample. Of
    several that are close, the one that looks best looks better than it is.

    Parameters
    ----------
    model : object
        As in :func:`evaluate`.
    test : MultimodalDataset
    costs : mapping of str to float, optional
        What asking for each modality costs, positive, in any one unit. Ranks then go by gain per
        cost; a modality without a cost comes last.
    metric : str, optional
        As in :func:`evaluate`; ``log_loss``, or ``mae`` for regression, where not given.
    deployment : optional
        As in :func:`evaluate`: whose patterns count, and how much.
    n_boot, min_cell, random_state
        As in :func:`evaluate`.
    patterns : int
        At most so many patterns, the heaviest first.

    Returns
    -------
    DataFrame
        One row per pattern and modality that it lacks, best first: pattern; weight: of the
        pattern in the deployment; ask; n: samples that have both; metric; without, with: the
        scores; gain, gain_low, gain_high: positive is better, for losses too, with a paired 95 %
        bootstrap interval over samples or clusters; helps: ``yes``, ``no`` or ``undecided``, by
        that interval; cost, gain_per_cost; rank within the pattern, by the estimate (0 where there
        is none); small; note.

    Raises
    ------
    EvaluationError
        If a cost names an unknown modality or is not positive, the metric is unknown, or there is
        no target.

    Examples
    --------
    >>> from fusewise.simulate import make_cohort
    >>> cohort = make_cohort(
    ...     10, 900, modalities=3, signal={"m1": 0.5, "m2": 1, "m3": 2}, random_state=0
    ... )
    >>> class Posterior:
    ...     def predict_proba(self, dataset):
    ...         return cohort.bayes_proba(dataset)
    >>> table = value_of_asking(
    ...     Posterior(), cohort.test, deployment={"patterns": {"m1": 1}}, costs={"m2": 1, "m3": 9}
    ... )
    >>> table[["pattern", "ask", "gain", "cost", "rank"]].round(2)
      pattern ask  gain  cost  rank
    0      m1  m2  0.11   1.0     1
    1      m1  m3  0.31   9.0     2
    """
    if test.target is None or test.task is None:
        raise EvaluationError(
            "The test set has no target, so no gain can be measured. Name target= when the dataset "
            "is built."
        )
    if not isinstance(patterns, int | np.integer) or patterns < 0:
        raise EvaluationError(f"patterns is a whole number from 0, got {patterns!r}.")
    prices = _check_costs(costs, test.modalities)
    default = "mae" if test.task == "regression" else "log_loss"
    chosen = find_metric(default if metric is None else metric, test.task)
    test = test[canonical_order(test)]
    classes = None if test.task == "regression" else classes_of(model, test)
    scoring = scoring_of(test, classes, (chosen,), n_boot, min_cell, random_state)
    mixture = find_mixture(deployment, test, None)
    weights = dict(mixture.weights)
    everything = pattern_label(test.modalities)
    met = [p for p in mixture.ranked() if p not in (EMPTY_PATTERN, everything)][:patterns]
    pairs = [
        (label, name)
        for label in met
        for name in test.modalities
        if name not in parse_pattern(label)
    ]
    experiments = [e for label, name in pairs for e in _plan(test, label, name)]
    said = iter(Answers(model, test, responses_of([chosen]), classes).ask(experiments))
    rows = []
    for (label, name), experiment in zip(pairs, experiments[::2], strict=True):
        row = _measure(scoring, experiment, next(said), next(said), f"{label} ask {name}")
        price = prices.get(name, np.nan) if costs is not None else np.nan
        row |= {"pattern": label, "weight": weights.get(label, 0.0), "ask": name, "cost": price}
        row["gain_per_cost"] = row["gain"] / price
        if costs is not None and name not in prices:
            row["note"] = "; ".join(filter(None, (row["note"], "no cost is declared")))
        rows.append(row)
    by = "gain" if costs is None else "gain_per_cost"
    ranked = []
    for label in met:
        own = [row for row in rows if row["pattern"] == label]
        own.sort(key=lambda row: (math.isnan(row[by]), -row[by], row["ask"]))
        for rank, row in enumerate(own, start=1):
            row["rank"] = 0 if math.isnan(row[by]) else rank
        ranked += own
    return pd.DataFrame(ranked, columns=list(_COLUMNS)).astype(_COLUMNS)


def _plan(test: MultimodalDataset, label: str, name: str) -> list[Withholding]:
    names = parse_pattern(label)
    less = np.array([m in names for m in test.modalities])
    more = less | np.array([m == name for m in test.modalities])
    rows = np.flatnonzero(test.presence[:, more].all(axis=1))
    return [Withholding(label, rows, np.tile(keep, (len(rows), 1))) for keep in (less, more)]


def _measure(
    scoring: Scoring, experiment: Withholding, less: Predicted, more: Predicted, label: str
) -> dict[str, Any]:
    both = less.answered & more.answered
    rows = experiment.rows[both]
    at = np.arange(len(rows))
    arms: list[list[Part]] = [[(at, less[both])], [(at, more[both])]]
    (without,), (with_it,) = scoring.arms(rows, arms, label)
    (metric,) = scoring.metrics
    gain = metric.drop(with_it, without)
    columns = gain.columns("gain")
    low, high, note = gain.limits()
    helps = "yes" if low > 0 else "no" if high <= 0 else "undecided"
    if len(experiment.rows) and not len(rows):
        note = "the predictor does not answer with less"
    return columns | {
        "n": len(rows),
        "metric": metric.name,
        "without": without.estimate,
        "with": with_it.estimate,
        "helps": helps,
        "small": scoring.small(rows),
        "note": note,
    }


def _check_costs(
    costs: Mapping[str, float] | None, modalities: tuple[str, ...]
) -> dict[str, float]:
    for name, value in (costs or {}).items():
        if name not in modalities:
            raise EvaluationError(
                f"costs: no modality {name!r}; the test set has {', '.join(modalities)}."
                f"{did_you_mean(name, modalities)}"
            )
        if (
            isinstance(value, bool)
            or not isinstance(value, numbers.Real)
            or not math.isfinite(value)
            or value <= 0
        ):
            raise EvaluationError(
                f"costs: that of {name!r} is a positive number, got {value!r}. What costs nothing "
                f"needs no ranking by cost; leave costs out, or give it a small one."
            )
    return {name: float(value) for name, value in (costs or {}).items()}
