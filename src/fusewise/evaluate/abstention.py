"""Abstention: what a predictor gains by answering only where it is confident, per pattern."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fusewise.data import EMPTY_PATTERN, Result, parse_pattern
from fusewise.evaluate.conformal_pattern import sizes
from fusewise.evaluate.evaluation import canonical_order, classes_of, scoring_of
from fusewise.evaluate.metrics import Metric, sample_losses
from fusewise.evaluate.mixture import find_mixture
from fusewise.evaluate.patterns import AS_IT_CAME, UNANSWERED, plan_patterns
from fusewise.evaluate.predictions import Answers, Predicted
from fusewise.evaluate.weighted import ratio
from fusewise.exceptions import EvaluationError, did_you_mean

if TYPE_CHECKING:
    from fusewise.data import MultimodalDataset
    from fusewise.evaluate.predictions import Rows, Withholding
    from fusewise.evaluate.scoring import Part, Scoring
    from fusewise.evaluate.weighted import Floats, Scorer

SHARES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)

_LOSSES = {
    "binary": ("error", "log_loss"),
    "multiclass": ("error", "log_loss"),
    "regression": ("absolute_error", "squared_error"),
}

_CELL = {"view": "str", "pattern": "str", "n_absent": "int64", "n": "int64"}
_SCORE = {"low": "float64", "high": "float64"}
_END = {"small": "bool", "population": "str", "note": "str"}
_AREA = {**_CELL, "aurc": "float64", **_SCORE, "risk": "float64", "gain": "float64"} | {
    "gain_low": "float64",
    "gain_high": "float64",
    **_END,
}
_CURVE = {
    **_CELL,
    "share": "float64",
    "answered": "float64",
    "confidence": "float64",
    "risk": "float64",
    **_SCORE,
    **_END,
}

EVERYONE = "(all)"


@dataclass(frozen=True, eq=False, repr=False)
class RiskCoverage(Result):
    """What abstaining where confidence is low would do, per availability pattern.

    Parameters
    ----------
    loss : str
        What risk is the mean of: ``error`` (the most probable class is wrong), ``log_loss``,
        ``absolute_error`` or ``squared_error``.
    curve : DataFrame
        view, pattern, n_absent, n, share, answered, confidence, risk, low, high, small,
        population, note. ``risk`` among the samples with at least this ``confidence``; ``share``
        of the samples was asked for, ``answered`` is met: samples of equal confidence are answered
        together, so that it can be more. The interval holds the threshold fixed.
    area : DataFrame
        view, pattern, n_absent, n, aurc, low, high, risk, gain, gain_low, gain_high, small,
        population, note. ``aurc`` is the area under the curve, ``risk`` that with everyone
        answered, and ``gain`` the difference: positive where confidence ranks errors; 0 where
        it is a coin (paired).
    """

    loss: str
    curve: pd.DataFrame
    area: pd.DataFrame

    def __repr__(self) -> str:
        every = self.area[self.area["pattern"] == EVERYONE].iloc[0]
        return f"RiskCoverage({self.loss}, n={every['n']}, aurc={every['aurc']:.3f})"


def risk_coverage(
    model: Any,
    test: MultimodalDataset,
    *,
    loss: str | None = None,
    shares: Sequence[float] = SHARES,
    deployment: Any = None,
    n_boot: int = 1000,
    min_cell: int = 30,
    withheld_patterns: int = 30,
    random_state: int | None = 0,
) -> RiskCoverage:
    """Measure the risk-coverage curve of abstention, per availability pattern.

    The predictor answers the samples that it is most confident of, and abstains on the rest.
    Confidence is the largest class probability; for regression the narrowness of the interval of
    a :class:`ConformalPredictor`, which under ``exact`` is one number per pattern, so that only
    the row over all patterns has a curve. What is estimated is the mean loss of this fitted
    predictor among the answered, in the population of the pattern; intervals are as in
    :func:`evaluate`. The area (AURC, Geifman and El-Yaniv 2017) is the mean of that risk over
    the thresholds at which the samples themselves lie.

    A threshold that is chosen on these samples is optimistic for the next ones: choose it on
    calibration samples.

    Parameters
    ----------
    model : object
        As in :func:`evaluate`; ``predict_proba``, or for regression a conformal predictor.
    test : MultimodalDataset
    loss : {"error", "log_loss", "absolute_error", "squared_error"}, optional
        The first that fits the task where not given.
    shares : sequence of float
        Shares of the samples to answer, in (0, 1].
    deployment, n_boot, min_cell, withheld_patterns, random_state
        As in :func:`evaluate`.

    Returns
    -------
    RiskCoverage

    Raises
    ------
    EvaluationError
        If there is no confidence, the loss is none of the task, or there is no target.

    References
    ----------
    Geifman and El-Yaniv, "Selective classification for deep neural networks", NeurIPS 2017.

    Examples
    --------
    >>> from fusewise.simulate import make_cohort
    >>> cohort = make_cohort(10, 900, modalities={"a": 2, "b": 2}, availability=0.7, random_state=0)
    >>> class Posterior:
    ...     def predict_proba(self, dataset):
    ...         return cohort.bayes_proba(dataset)
    >>> result = risk_coverage(Posterior(), cohort.test, n_boot=200)
    >>> result
    RiskCoverage(error, n=900, aurc=0.182)
    >>> whole = result.curve[(result.curve["pattern"] == "(all)")]
    >>> whole.loc[whole["share"].isin([1.0, 0.5]), "risk"].round(2).tolist()
    [0.28, 0.19]
    """
    if test.target is None or test.task is None:
        raise EvaluationError(
            "The test set has no target, so no risk can be counted. Name target= when the dataset "
            "is built."
        )
    task = test.task
    loss = _find_loss(loss, task)
    for share in shares:
        if not 0 < share <= 1:
            raise EvaluationError(f"shares are of the samples to answer, in (0, 1], got {share!r}.")
    regression = task == "regression"
    needed = "predict_set" if regression else "predict_proba"
    if not hasattr(model, needed):
        hint = (
            "give a regression the intervals of fusewise.conformalise"
            if regression
            else "wrap it in a classifier that gives probabilities"
        )
        raise EvaluationError(
            f"{type(model).__name__} has no {needed}, so that nothing says how confident it is: "
            f"{hint}."
        )
    test = test[canonical_order(test)]
    classes = None if regression else classes_of(model, test)
    scoring = scoring_of(test, classes, (_AURC, _RISK), n_boot, min_cell, random_state)
    cells = _cells(
        Answers(model, test, {"label" if regression else "probability"}, classes),
        Answers(_Narrowness(model), test, {"label"}, None) if regression else None,
        loss,
        scoring,
        test,
        plan_patterns(
            test, find_mixture(deployment, test, None), min_cell=min_cell, limit=withheld_patterns
        ),
    )
    curve: list[dict[str, Any]] = []
    area: list[dict[str, Any]] = []
    for view, label, rows, judged, who in cells:
        kept = rows[judged.answered]
        names = test.modalities if label == EVERYONE else parse_pattern(label)
        common = {
            "view": view,
            "pattern": label,
            "n_absent": len(test.modalities) - len(names),
            "n": len(kept),
            "small": scoring.small(kept),
            "population": who,
        }
        silent = UNANSWERED if len(rows) and not len(kept) else ""
        known = judged[judged.answered]
        area.append(common | _area(scoring, kept, known, f"{who}:{label}", silent))
        points = _curve(scoring, kept, known, shares, f"{who}:{label}", silent)
        curve += [common | point for point in points]
    return RiskCoverage(
        loss,
        pd.DataFrame(curve, columns=list(_CURVE)).astype(_CURVE),
        pd.DataFrame(area, columns=list(_AREA)).astype(_AREA),
    )


class _Narrowness:
    """The confidence of a regression as a predictor: 1 for no width, 0 for an infinite one."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.answerable = model.answerable

    def predict(self, dataset: MultimodalDataset) -> Floats:
        # Upper minus lower limit differs in the last bits where widths are the same.
        share, power = np.frexp(sizes(self.model.predict_set(dataset)))
        return np.asarray(1 / (1 + np.ldexp(np.round(share, 9), power)))


def _cells(
    said: Answers,
    sure: Answers | None,
    loss: str,
    scoring: Scoring,
    test: MultimodalDataset,
    plan: tuple[list[Withholding], str, list[str]],
) -> list[tuple[str, str, Rows, Predicted, str]]:
    """Return view, pattern, samples, what they lose and how sure it is, and who they are."""
    experiments, population, _ = plan
    everyone = np.arange(len(test))
    natural = _judge(loss, scoring, everyone, said.natural, sure.natural if sure else None)
    cells = [("natural", EVERYONE, everyone, natural, AS_IT_CAME)]
    pattern = test.pattern
    for label in test.patterns()["pattern"]:
        rows = np.flatnonzero(pattern == label)
        if label != EMPTY_PATTERN or natural.answered[rows].any():
            cells.append(("natural", label, rows, natural[rows], AS_IT_CAME))
    confident = sure.ask(experiments) if sure else [None] * len(experiments)
    for e, values, other in zip(experiments, said.ask(experiments), confident, strict=True):
        judged = _judge(loss, scoring, e.rows, values, other)
        cells.append(("withheld", e.label, e.rows, judged, population))
    return cells


def _judge(
    loss: str, scoring: Scoring, rows: Rows, said: Predicted, sure: Predicted | None
) -> Predicted:
    # Loss and confidence travel as two columns, so that they are resampled as predictions are.
    truth = scoring.truth[rows]
    if sure is not None:
        error = np.abs(truth - said.response("label"))
        lost = error if loss == "absolute_error" else error**2
        return Predicted(said.answered, np.column_stack([lost, sure.response("label")]), None)
    probability = said.response("probability")
    if loss == "error":
        lost = (probability.argmax(axis=1) != truth).astype(np.float64)
    else:
        lost = sample_losses(truth, probability, scoring.n_classes)
    return Predicted(said.answered, np.column_stack([lost, probability.max(axis=1)]), None)


def _area(scoring: Scoring, rows: Rows, judged: Predicted, label: str, note: str) -> dict[str, Any]:
    aurc, risk = scoring.measure(rows, judged, label)
    columns = aurc.columns()
    columns["aurc"] = columns.pop("estimate")
    columns["note"] = note or columns["note"]
    return columns | {"risk": risk.estimate} | (risk - aurc).columns("gain")


def _curve(
    scoring: Scoring,
    rows: Rows,
    judged: Predicted,
    shares: Sequence[float],
    label: str,
    note: str,
) -> list[dict[str, Any]]:
    confidence = judged.response("probability")[:, 1]
    ranked = -np.sort(-confidence)
    cuts = [ranked[int(np.ceil(share * len(rows))) - 1] for share in shares if len(rows)]
    arms: list[list[Part]] = []
    for cut in cuts:
        at = np.flatnonzero(confidence >= cut)
        arms.append([(at, judged[at])])
    measured = scoring.with_metrics((_RISK,)).arms(rows, arms, label)
    out = []
    for share, cut, (score,), ((at, _),) in zip(shares, cuts, measured, arms, strict=False):
        columns = score.columns()
        columns["risk"] = columns.pop("estimate")
        answered = {"share": share, "answered": len(at) / len(rows), "confidence": cut}
        out.append(answered | columns)
    return out or [{"share": share, "note": note or "no sample"} for share in shares]


def _bind_area(_truth: Any, judged: Floats, _n_classes: int) -> Scorer:
    order = np.argsort(-judged[:, 1], kind="stable")
    lost, confidence = judged[order, 0], judged[order, 1]
    # Samples of equal confidence are answered together: they share the risk at their end.
    starts = np.flatnonzero(np.append(True, confidence[1:] != confidence[:-1]))

    def scorer(weights: Floats) -> Floats:
        ranked = weights[:, order]
        mass = np.add.reduceat(ranked, starts, axis=1)
        loss = np.cumsum(np.add.reduceat(ranked * lost, starts, axis=1), axis=1)
        # No weight so far: the block's own is zero, too.
        risk = np.nan_to_num(ratio(loss, np.cumsum(mass, axis=1)))
        return ratio((mass * risk).sum(axis=1), mass.sum(axis=1))

    return scorer


def _bind_risk(_truth: Any, judged: Floats, _n_classes: int) -> Scorer:
    lost = np.ascontiguousarray(judged[:, 0])
    return lambda weights: ratio(weights @ lost, weights.sum(axis=1))


def _metric(name: str, bind: Any) -> Metric:
    def point(truth: Any, judged: Any, n_classes: int, _weight: Any) -> float:
        return float(bind(truth, judged, n_classes)(np.ones((1, len(judged))))[0])

    return Metric(name, "probability", greater_is_better=False, point=point, bind=bind)


_AURC, _RISK = _metric("aurc", _bind_area), _metric("risk", _bind_risk)


def _find_loss(name: str | None, task: str) -> str:
    known = _LOSSES.get(task)
    if known is None:
        raise EvaluationError(
            f"the task {task!r} has no risk-coverage curve: expected one of {', '.join(_LOSSES)}."
        )
    if name is None:
        return known[0]
    if name not in known:
        raise EvaluationError(
            f"loss {name!r} is none of the task {task!r}: expected {' or '.join(known)}."
            f"{did_you_mean(name, known)}"
        )
    return name
