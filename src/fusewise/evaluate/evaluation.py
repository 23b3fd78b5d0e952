"""evaluate: one fitted predictor, one test set, every view on its quality under absence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusewise.data import EMPTY_PATTERN
from fusewise.evaluate.baselines import score_baseline
from fusewise.evaluate.calibration import reliability
from fusewise.evaluate.columns import table
from fusewise.evaluate.degradation import (
    RATES,
    plan_random,
    plan_single,
    score_random,
    score_single,
)
from fusewise.evaluate.metrics import Metric, choose_metrics
from fusewise.evaluate.mixture import find_mixture, mixture_notes, score_headline, weigh
from fusewise.evaluate.patterns import AT_LEAST, plan_patterns, score_n_absent, score_patterns
from fusewise.evaluate.predictions import Answers, Predicted, Withholding, class_codes
from fusewise.evaluate.requirements import (
    Requirement,
    answer_each,
    check_requirements,
    plan_requirement,
)
from fusewise.evaluate.result import Evaluation
from fusewise.evaluate.scoring import Scoring
from fusewise.evaluate.words import plural
from fusewise.exceptions import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fusewise.data import MultimodalDataset


def evaluate(
    model: Any,
    test: MultimodalDataset,
    *,
    metrics: Iterable[str] | None = None,
    deployment: Any = None,
    requirements: Iterable[Requirement | Mapping[str, Any]] = (),
    baselines: Mapping[str, Any] | None = None,
    train_presence: npt.ArrayLike | None = None,
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
        log_loss, brier_score, accuracy, balanced_accuracy, f1. Multiclass: roc_auc (one against
        rest, macro), log_loss, brier_score, accuracy, balanced_accuracy, f1_macro. Regression:
        rmse, mae, r2.
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
    if test.target is None or test.task is None:
        raise EvaluationError(
            "The test set has no target, so nothing can be scored. Name target= when the dataset "
            "is built."
        )
    task = test.task
    test = test[canonical_order(test)]
    chosen = choose_metrics(metrics, task, probabilities=hasattr(model, "predict_proba"))
    checked = check_requirements(requirements, test.modalities, task)
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
    wanted = [plan_requirement(r, test) for r in required]
    said = _ask_all(
        answers,
        [by_pattern, singles, *randoms, [w for w in wanted if w is not None]],
    )
    pattern_answers, single_answers, *random_answers, required_answers = said

    m = test.n_modalities
    pattern_table = table(
        "by_pattern",
        score_patterns(scoring, test, natural, by_pattern, pattern_answers, mixture, population),
    )
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
            score_single(scoring, natural, singles, single_answers, m)
            + score_random(scoring, natural, randoms, random_answers, rates, m),
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
            answer_each(
                scoring, checked, wanted, required_answers, natural, headline, test.modalities
            ),
        ),
        calibration=table(
            "calibration",
            _calibration(scoring, test, natural, by_pattern, pattern_answers) if calibrated else [],
        ),
        uncovered=headline.uncovered,
        notes=_notes(test, natural, left_out, mixture.weights, population)
        + tuple(mixture_notes(mixture, headline, test.pattern, scoring)),
    )


def check_numbers(
    n_boot: int,
    min_cell: int,
    withheld_patterns: int,
    rates: Sequence[float],
    repeats: int,
    random_state: int | None,
) -> None:
    """Raise where a number that an evaluation is made with makes no sense."""
    least = {"n_boot": 0, "min_cell": 1, "withheld_patterns": 0, "repeats": 1}
    given = {
        "n_boot": n_boot,
        "min_cell": min_cell,
        "withheld_patterns": withheld_patterns,
        "repeats": repeats,
    }
    for name, value in given.items():
        if not isinstance(value, int | np.integer) or value < least[name]:
            raise EvaluationError(f"{name} is a whole number from {least[name]}, got {value!r}.")
    if random_state is not None and (
        not isinstance(random_state, int | np.integer) or random_state < 0
    ):
        raise EvaluationError(
            f"random_state is a whole number from 0, or None, got {random_state!r}: one seed, from "
            f"which every draw gets its own stream."
        )
    for rate in rates:
        if not 0 <= rate < 1:
            raise EvaluationError(
                f"rates are shares of the modality list from 0 to below 1, got {rate!r}."
            )


def canonical_order(test: MultimodalDataset) -> npt.NDArray[np.intp]:
    """Return the order of the samples in which everything is computed."""
    # By id, then presence (a slice may repeat a sample), so that the order given has no effect.
    ids, _ = pd.factorize(np.asarray(test.ids).astype(str), sort=True)
    return np.lexsort((*test.presence.T, ids))


def classes_of(model: Any, test: MultimodalDataset) -> tuple[Any, ...]:
    """Return the classes of the target and the predictor together."""
    classes = tuple(test.classes or ())
    known = tuple(np.asarray(getattr(model, "classes_", ())).tolist())
    if test.task == "multiclass" or len(classes) < 2:
        both = {*classes, *known}
        classes = tuple(sorted(both, key=lambda c: (isinstance(c, str), c)))
    if len(classes) < 2 or (test.task == "binary" and len(classes) != 2):
        raise EvaluationError(
            f"The test target has the classes {test.classes}, the predictor knows {known or '?'}; "
            f"together that is no {test.task} task."
        )
    return classes


def scoring_of(
    test: MultimodalDataset,
    classes: tuple[Any, ...] | None,
    metrics: tuple[Metric, ...],
    n_boot: int,
    min_cell: int,
    random_state: int | None,
) -> Scoring:
    """Return how scores of this test set are measured."""
    target = np.asarray(test.target)
    unit = test.ids if test.cluster is None else test.cluster
    codes, _ = pd.factorize(np.asarray(unit).astype(str))
    entropy = np.random.SeedSequence(random_state).entropy
    assert isinstance(entropy, int)
    return Scoring(
        truth=target.astype(float) if classes is None else class_codes(target, classes, "target"),
        n_classes=0 if classes is None else len(classes),
        units=codes.astype(np.intp),
        metrics=metrics,
        n_boot=int(n_boot),
        min_cell=int(min_cell),
        entropy=entropy,
    )


def responses_of(metrics: Iterable[Metric]) -> set[str]:
    """Return what the metrics read."""
    return {metric.response for metric in metrics}


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


def _calibration(
    scoring: Scoring,
    test: MultimodalDataset,
    natural: Predicted,
    experiments: Sequence[Withholding],
    answers: Sequence[Predicted],
) -> list[dict[str, Any]]:
    pattern = test.pattern
    cells = [("natural", "(all)", np.arange(len(test)), natural)]
    for label in test.patterns()["pattern"]:
        rows = np.flatnonzero(pattern == label)
        cells.append(("natural", label, rows, natural[rows]))
    for experiment, predicted in zip(experiments, answers, strict=True):
        cells.append(("withheld", experiment.label, experiment.rows, predicted))
    out = []
    for view, label, rows, predicted in cells:
        kept = predicted.answered
        if kept.sum() >= scoring.min_cell:
            probability = predicted[kept].response("probability")[:, 1]
            out += reliability(probability, scoring.truth[rows[kept]] == 1, view, label)
    return out


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
