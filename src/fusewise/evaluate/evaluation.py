"""evaluate: one fitted predictor, one test set, every view on its quality under absence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fusewise.data import EMPTY_PATTERN
from fusewise.evaluate.answering import answer_each, plan_requirement
from fusewise.evaluate.baselines import score_baseline
from fusewise.evaluate.calibration import (
    calibration_cells,
    score_calibration,
    score_reliability,
)
from fusewise.evaluate.columns import table
from fusewise.evaluate.corruption import score_corrupted
from fusewise.evaluate.decision_curve import score_decisions
from fusewise.evaluate.degradation import (
    RATES,
    plan_random,
    plan_single,
    score_random,
    score_single,
)
from fusewise.evaluate.group_gaps import score_gaps
from fusewise.evaluate.groups import (
    find_groups,
    group_presence,
    score_groups,
    score_groups_by_pattern,
)
from fusewise.evaluate.metrics import choose_metrics
from fusewise.evaluate.mixture import find_mixture, mixture_notes, score_headline, weigh
from fusewise.evaluate.monotone import score_nested
from fusewise.evaluate.operating_points import OperatingPoint
from fusewise.evaluate.patterns import AT_LEAST, plan_patterns, score_n_absent, score_patterns
from fusewise.evaluate.pooling import pool_cells
from fusewise.evaluate.predictions import Answers, Predicted, Withholding
from fusewise.evaluate.requirements import Requirement, check_requirements
from fusewise.evaluate.result import Evaluation
from fusewise.evaluate.setting import (
    canonical_order,
    check_numbers,
    classes_of,
    responses_of,
    scoring_of,
    task_of,
)
from fusewise.evaluate.shifted import score_shifted
from fusewise.evaluate.summary import summarise
from fusewise.evaluate.words import plural
from fusewise.exceptions import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fusewise.data import MultimodalDataset
    from fusewise.evaluate.scoring import Scoring


def evaluate(
    model: Any,
    test: MultimodalDataset,
    *,
    metrics: Iterable[str] | None = None,
    deployment: Any = None,
    requirements: Iterable[Requirement | Mapping[str, Any]] = (),
    baselines: Mapping[str, Any] | None = None,
    train_presence: npt.ArrayLike | None = None,
    operating_point: OperatingPoint | Mapping[str, float] | None = None,
    groups: Iterable[str] | None = None,
    corruptions: bool = False,
    n_boot: int = 1000,
    min_cell: int = 30,
    withheld_patterns: int = 30,
    rates: Sequence[float] = RATES,
    repeats: int = 5,
    random_state: int | None = 0,
) -> Evaluation:
    """Evaluate a fitted predictor per availability pattern.

    What is estimated is the score of this fitted predictor, per pattern and on the deployment's
    mixture of patterns, in the population that the test samples were drawn from. Intervals are
    95 % percentile bootstrap intervals (Efron, 1979) over samples, or over whole clusters where
    ``test.cluster`` names them, stratified by class for ROC AUC only, paired for every difference.
    They assume that samples (clusters) are independent, and leave out the uncertainty of training.

    Parameters
    ----------
    model : object
        Any predictor over a MultimodalDataset: ``predict_proba(dataset)`` (n, n_classes) with
        ``classes_`` where the columns are not in sorted order, or ``predict(dataset)`` (n,). With
        ``answerable(dataset)`` it says which samples it can answer; without, it is asked for all
        that have any modality. The others are left out and counted.
    test : MultimodalDataset
        With a target; never seen in training. The order of its samples has no effect.
    metrics : list of str, optional
        scikit-learn's scorer names without ``neg_``. Binary: roc_auc, average_precision,
        log_loss, brier_score, accuracy, balanced_accuracy, f1, calibration_intercept,
        calibration_slope, ece, and with an operating point sensitivity, specificity, ppv, npv,
        alert_rate, net_benefit. Multiclass: roc_auc and average_precision (one against rest,
        macro), log_loss, brier_score, accuracy, balanced_accuracy, f1_macro, f1_weighted.
        Regression: rmse, mae, r2.
    deployment : optional
        What ``Deployment.of`` takes. None or ``"training"``: the training rows stand in if
        `train_presence` is given, else the test rows as they came; ``headline["source"]`` says so.
    requirements : list of dict or Requirement
        What must hold, for instance ``{"absent": ["liver"], "metric": "roc_auc",
        "max_drop": 0.02}``.
    baselines : dict of str to predictor, optional
        Simpler predictors to compare with, on the samples that both answer.
    train_presence : bool array (n_train, n_modalities), optional
        Presence of the training rows, columns in the order of ``test.modalities``.
    operating_point : dict or OperatingPoint, optional
        ``{"threshold": 0.2}``: from which probability of the positive class on a sample is
        flagged; binary tasks only. For an alert rate, :func:`choose_threshold` finds it.
    groups : list of str, optional
        Columns of the samples whose values are compared (bias checks); default: the groups that
        the dataset declares.
    corruptions : bool
        Whether each modality is also corrupted (noise, rows of others, wrong scale), which asks
        the predictor four times more for each.
    n_boot : int
        Bootstrap replicates; 0 leaves the intervals out.
    min_cell : int
        Cells with fewer samples (or fewer than a third of it in any class) are flagged ``small``.
    withheld_patterns : int
        At most so many patterns in the withheld view, the heaviest of the deployment first.
    rates : sequence of float
        Shares of the modality list that are withheld at random.
    repeats : int
        Random draws per rate.
    random_state : int or None
        The one seed of resampling and random withholding; the global generator is not touched.

    Returns
    -------
    Evaluation

    Raises
    ------
    EvaluationError
        If a metric or requirement is unknown or malformed, the test set has no target, or the
        predictor returns something that is not a prediction per sample.

    References
    ----------
    Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics, 1979.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from fusewise.data import MultimodalDataset
    >>> rng = np.random.default_rng(0)
    >>> samples = pd.DataFrame({"id": range(200), "died": np.arange(200) % 2})
    >>> marker = pd.DataFrame({"id": range(200), "x": rng.normal(size=200) + samples["died"]})
    >>> test = MultimodalDataset({"marker": marker}, samples=samples, id="id", target="died")
    >>> class Marker:
    ...     def predict_proba(self, dataset):
    ...         positions, frame = dataset.features("marker")
    ...         p = 1 / (1 + np.exp(-frame["x"].to_numpy()))
    ...         return np.column_stack([1 - p, p])
    >>> evaluation = evaluate(Marker(), test, metrics=["roc_auc"], n_boot=200)
    >>> evaluation.pooled[["metric", "n"]]
        metric    n
    0  roc_auc  200
    """
    check_numbers(n_boot, min_cell, withheld_patterns, rates, repeats, random_state)
    task = task_of(test)
    test = test[canonical_order(test)]
    point = None if operating_point is None else OperatingPoint.of(operating_point)
    chosen = choose_metrics(
        metrics, task, probabilities=hasattr(model, "predict_proba"), operating_point=point
    )
    checked = check_requirements(
        requirements, test.modalities, task, operating_point=point, samples=test.samples
    )
    grouped, group_notes = find_groups(test, groups)
    required, required_metrics = [r for r, _ in checked], [metric for _, metric in checked]
    classes = None if task == "regression" else classes_of(model, test)
    scoring = scoring_of(test, classes, chosen, n_boot, min_cell, random_state)
    calibrated = task == "binary" and hasattr(model, "predict_proba")
    responses = responses_of([*chosen, *required_metrics]) | (
        {"probability"} if calibrated else set()
    )

    answers = Answers(model, test, responses, classes)
    natural = answers.natural
    if not natural.answered.any():
        raise EvaluationError(
            f"{type(model).__name__} answers none of the {len(test)} test samples: they have no "
            f"modality that it knows."
        )
    mixture = find_mixture(deployment, test, train_presence)
    headline = weigh(mixture, test.pattern, natural.answered)

    by_pattern, population, left_out = plan_patterns(
        test, mixture, min_cell=min_cell, limit=withheld_patterns
    )
    singles = plan_single(test)
    randoms = plan_random(test, rates, repeats, scoring.entropy)
    lost = plan_single(test, alone=True)
    wanted = [plan_requirement(r, test) for r in required]
    said = _ask_all(
        answers,
        [by_pattern, singles, lost, *randoms, [w for w in wanted if w is not None]],
    )
    pattern_answers, single_answers, lost_answers, *random_answers, required_answers = said

    m = test.n_modalities
    cells = []
    if calibrated:
        cells = calibration_cells(scoring, test, natural, by_pattern, pattern_answers, population)
    by_group_pattern, unsplit = score_groups_by_pattern(scoring, test, natural, grouped, mixture)
    pattern_rows = score_patterns(
        scoring, test, natural, by_pattern, pattern_answers, mixture, population
    )
    pattern_table = pool_cells(table("by_pattern", pattern_rows))
    curve, area = score_random(scoring, natural, randoms, random_answers, rates, m)
    losses = task == "regression" or "probability" in responses
    return Evaluation(
        task=task,
        metrics=tuple(metric.name for metric in chosen),
        n=len(test),
        n_abstained=int((~natural.answered).sum()),
        n_boot=int(n_boot),
        headline=table(
            "headline", score_headline(scoring, natural, mixture, headline, pattern_table)
        ),
        pooled=table("pooled", _pooled(scoring, natural)),
        by_pattern=pattern_table,
        by_n_absent=table(
            "by_n_absent",
            score_n_absent(scoring, test, natural, by_pattern, pattern_answers, population),
        ),
        degradation=table(
            "degradation",
            score_single(scoring, natural, singles, single_answers, m) + curve,
        ),
        degradation_summary=table(
            "degradation_summary",
            summarise(scoring, natural, pattern_table, by_pattern, pattern_answers, mixture, area),
        ),
        corruption=table(
            "corruption",
            score_corrupted(
                scoring, model, test, natural, singles, single_answers, responses, classes
            )
            if corruptions
            else [],
        ),
        shifted=table(
            "shifted", score_shifted(scoring, test, natural, mixture, headline, lost, lost_answers)
        ),
        nested=table(
            "nested", score_nested(scoring, by_pattern, pattern_answers) if losses else []
        ),
        baselines=table(
            "baselines",
            [
                row
                for name, baseline in (baselines or {}).items()
                for row in score_baseline(
                    scoring,
                    str(name),
                    natural,
                    Answers(baseline, test, responses_of(chosen), classes).natural,
                )
            ],
        ),
        requirements=table(
            "requirements",
            answer_each(scoring, checked, wanted, required_answers, natural, mixture, test),
        ),
        calibration=table("calibration", score_reliability(scoring, cells)),
        calibration_summary=table("calibration_summary", score_calibration(scoring, cells)),
        decision_curve=table(
            "decision_curve",
            score_decisions(scoring, test, natural, mixture, point) if calibrated else [],
        ),
        by_group=table("by_group", score_groups(scoring, natural, grouped)),
        by_group_pattern=table("by_group_pattern", by_group_pattern),
        group_presence=table(
            "group_presence", group_presence(grouped, test.presence, test.modalities)
        ),
        group_gaps=table("group_gaps", score_gaps(scoring, test, natural, grouped, mixture)),
        threshold=None if point is None else point.on_probability(),
        uncovered=headline.uncovered,
        notes=_notes(test, natural, left_out, mixture.weights, population)
        + tuple(mixture_notes(mixture, headline, test.pattern, scoring))
        + tuple(group_notes + unsplit),
    )


def _ask_all(answers: Answers, groups: Sequence[Sequence[Withholding]]) -> list[list[Predicted]]:
    # In one go, since experiments of different tables overlap.
    said = iter(answers.ask([experiment for group in groups for experiment in group]))
    return [[next(said) for _ in group] for group in groups]


def _pooled(scoring: Scoring, natural: Predicted) -> list[dict[str, Any]]:
    rows = np.flatnonzero(natural.answered)
    measured = scoring.measure(rows, natural[rows], "all")
    return [
        {"metric": metric.name, **score.columns(), "n": len(rows)}
        for metric, score in zip(scoring.metrics, measured, strict=True)
    ]


def _notes(
    test: MultimodalDataset,
    natural: Predicted,
    left_out: Sequence[str],
    weights: Mapping[str, float],
    population: str,
) -> tuple[str, ...]:
    notes = []
    if population == AT_LEAST:
        complete = int(test.presence.all(axis=1).sum())
        notes.append(
            f"Complete cases are few ({complete} of {len(test)}): each withheld pattern is scored "
            f"on all samples that have at least its modalities. Compare patterns by their drops, "
            f"which are paired; their scores are not of the same samples."
        )
    silent = int((~natural.answered & (test.pattern != EMPTY_PATTERN)).sum())
    if silent:
        notes.append(
            f"{plural(silent, 'test sample', ('has', 'have'))} only modalities that the predictor "
            f"cannot answer from and {'is' if silent == 1 else 'are'} left out."
        )
    if left_out:
        share = sum(weights.get(label, 0.0) for label in left_out)
        notes.append(
            f"{plural(len(left_out), 'rarer pattern')} ({share:.1%} of the deployment) "
            f"{'is' if len(left_out) == 1 else 'are'} not in the withheld view; withheld_patterns "
            f"sets how many are."
        )
    return tuple(notes)
