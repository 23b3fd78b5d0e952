"""compare: several fitted predictors, one test set, and whether one of them is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed

from fusewise.data import EMPTY_PATTERN
from fusewise.evaluate.answering import answer_each, plan_requirement
from fusewise.evaluate.columns import table
from fusewise.evaluate.comparison import Comparison
from fusewise.evaluate.curves import score_curves
from fusewise.evaluate.degradation import RATES, plan_random
from fusewise.evaluate.metrics import choose_metrics
from fusewise.evaluate.mixture import Mixture, find_mixture, mixture_notes, weigh
from fusewise.evaluate.operating_points import OperatingPoint
from fusewise.evaluate.pairs import (
    Pair,
    ahead,
    both_answer,
    held_against,
    holm,
    p_value,
    pairs_of,
    score_cell,
    standing,
)
from fusewise.evaluate.patterns import AS_IT_CAME, plan_patterns
from fusewise.evaluate.predictions import Answers, Predicted, Withholding
from fusewise.evaluate.requirements import Requirement, check_requirements
from fusewise.evaluate.setting import (
    canonical_order,
    check_numbers,
    classes_of,
    responses_of,
    scoring_of,
    task_of,
)
from fusewise.exceptions import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fusewise.data import MultimodalDataset
    from fusewise.evaluate.predictions import Rows
    from fusewise.evaluate.scoring import Measured, Scoring


@dataclass(frozen=True)
class _Cell:
    """Some samples in one view, and what every predictor says of them."""

    view: str
    pattern: str
    rows: Rows
    predicted: dict[str, Predicted]
    population: str


def compare(
    models: Mapping[str, Any],
    test: MultimodalDataset,
    *,
    metrics: Iterable[str] | None = None,
    deployment: Any = None,
    requirements: Iterable[Requirement | Mapping[str, Any]] = (),
    train_presence: npt.ArrayLike | None = None,
    operating_point: OperatingPoint | Mapping[str, float] | None = None,
    n_boot: int = 1000,
    min_cell: int = 30,
    withheld_patterns: int = 30,
    rates: Sequence[float] = RATES,
    repeats: int = 5,
    n_jobs: int | None = None,
    random_state: int | None = 0,
) -> Comparison:
    """Hold fitted predictors against each other per availability pattern.

    What is estimated are the differences between the scores of these fitted predictors, in the
    population that the test samples were drawn from: on the deployment's mixture, per pattern in
    both views, and along the degradation curve. All comparisons are paired: the same samples, the
    same withholding, the same resampling (whole clusters where the dataset names them). p-values
    take a paired difference as normal with the spread of its bootstrap replicates, and are
    adjusted by Holm's method (1979) over all that is compared by one metric in one table. The
    uncertainty of training is not in them: another training set or seed gives other predictors.

    Parameters
    ----------
    models : mapping of str to predictor
        At least two, as `evaluate` takes them. Put the standing baselines (late fusion, the best
        single modality, presence only) among them.
    test : MultimodalDataset
        With a target; never seen in training.
    metrics, deployment, requirements, train_presence, operating_point, n_boot, min_cell, \
withheld_patterns, rates, repeats, random_state
        As in :func:`evaluate`. Metrics by default as for predictors with probabilities, if all
        have them.
    n_jobs : int, optional
        How many predictors are asked at the same time, in processes of their own; predictors must
        then be picklable. The figures do not depend on it.

    Returns
    -------
    Comparison

    Raises
    ------
    EvaluationError
        If fewer than two predictors are given, or one of them, a metric or a requirement does
        not fit the test set.

    References
    ----------
    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics, 1979.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from fusewise.data import MultimodalDataset
    >>> rng = np.random.default_rng(0)
    >>> samples = pd.DataFrame({"id": range(400), "died": np.arange(400) % 2})
    >>> marker = pd.DataFrame({"id": range(400), "x": rng.normal(size=400) + samples["died"]})
    >>> test = MultimodalDataset({"marker": marker}, samples=samples, id="id", target="died")
    >>> class Marker:
    ...     def __init__(self, slope):
    ...         self.slope = slope
    ...     def predict_proba(self, dataset):
    ...         positions, frame = dataset.features("marker")
    ...         p = 1 / (1 + np.exp(-self.slope * frame["x"].to_numpy()))
    ...         return np.column_stack([1 - p, p])
    >>> found = compare({"right": Marker(1.0), "reversed": Marker(-1.0)}, test, n_boot=200)
    >>> found.differences.loc[0, "ahead"]
    'right'
    """
    models = _named(models)
    check_numbers(n_boot, min_cell, withheld_patterns, rates, repeats, random_state)
    task = task_of(test)
    test = test[canonical_order(test)]
    probabilities = all(hasattr(model, "predict_proba") for model in models.values())
    point = None if operating_point is None else OperatingPoint.of(operating_point)
    chosen = choose_metrics(metrics, task, probabilities=probabilities, operating_point=point)
    checked = check_requirements(
        requirements, test.modalities, task, operating_point=point, samples=test.samples
    )
    classes = None
    if task != "regression":
        known = [classes_of(model, test) for model in models.values()]
        classes = max(known, key=len)
    scoring = scoring_of(test, classes, chosen, n_boot, min_cell, random_state)
    responses = responses_of([*chosen, *(metric for _, metric in checked)])
    mixture = find_mixture(deployment, test, train_presence)
    by_pattern, population, _ = plan_patterns(
        test, mixture, min_cell=min_cell, limit=withheld_patterns
    )
    randoms = plan_random(test, rates, repeats, scoring.entropy)
    wanted = [plan_requirement(requirement, test) for requirement, _ in checked]
    asked = [*by_pattern, *(e for plan in randoms for e in plan), *filter(None, wanted)]
    told = Parallel(n_jobs=n_jobs)(
        delayed(_ask)(name, model, test, responses, classes, asked)
        for name, model in models.items()
    )
    natural = {name: own for name, (own, _) in zip(models, told, strict=True)}
    said = {name: answers for name, (_, answers) in zip(models, told, strict=True)}
    n_patterns, n_required = len(by_pattern), sum(w is not None for w in wanted)
    cells = _cells(test, natural, by_pattern, said, population)
    pattern_rows, leader_rows = _score_patterns(scoring, cells, mixture)
    n_random = len(asked) - n_patterns - n_required
    withheld = {name: list(rows[n_patterns : n_patterns + n_random]) for name, rows in said.items()}
    curve_rows, crossover_rows = score_curves(
        scoring, natural, randoms, withheld, rates, test.n_modalities
    )
    headlines = {n: weigh(mixture, test.pattern, p.answered) for n, p in natural.items()}
    first = next(iter(headlines.values()))
    return Comparison(
        task=task,
        models=tuple(models),
        metrics=tuple(metric.name for metric in chosen),
        n=len(test),
        n_boot=int(n_boot),
        overall=table("compared_overall", _overall(scoring, natural, mixture, headlines)),
        differences=table(
            "compared_differences", _differences(scoring, natural, mixture, test.pattern)
        ),
        by_pattern=table("compared_by_pattern", pattern_rows),
        leaders=table("leaders", leader_rows),
        curve=table("compared_curve", curve_rows),
        crossovers=table("crossovers", crossover_rows),
        requirements=table(
            "compared_requirements",
            [
                {"model": name, **row}
                for name in models
                for row in answer_each(
                    scoring,
                    checked,
                    wanted,
                    said[name][len(asked) - n_required :],
                    natural[name],
                    mixture,
                    test,
                )
            ],
        ),
        notes=tuple(mixture_notes(mixture, first, test.pattern, scoring)),
    )


def _ask(
    name: str,
    model: Any,
    test: MultimodalDataset,
    responses: set[str],
    classes: tuple[Any, ...] | None,
    asked: Sequence[Withholding],
) -> tuple[Predicted, list[Predicted]]:
    """Return what one predictor says, of each distinct sample and presence once."""
    try:
        answers = Answers(model, test, responses, classes)
        said = answers.ask(asked)
    except EvaluationError as error:
        raise EvaluationError(f"{name}: {error}") from error
    if not answers.natural.answered.any():
        raise EvaluationError(
            f"{name}: it answers none of the {len(test)} test samples: they have no modality that "
            f"it knows."
        )
    return answers.natural, said


def _named(models: Mapping[str, Any]) -> dict[str, Any]:
    if not hasattr(models, "items") or len(models) < 2:
        raise EvaluationError(
            "compare expects a dict of at least two fitted predictors by name, got "
            f"{type(models).__name__}. A single one is evaluated by evaluate."
        )
    return {str(name): model for name, model in models.items()}


def _overall(
    scoring: Scoring,
    natural: Mapping[str, Predicted],
    mixture: Mixture,
    headlines: Mapping[str, Any],
) -> list[dict[str, Any]]:
    rows = []
    for name, headline in headlines.items():
        measured = scoring.measure(
            headline.rows, natural[name][headline.rows], "all", headline.weights
        )
        for metric, score in zip(scoring.metrics, measured, strict=True):
            rows.append(
                {
                    "model": name,
                    "metric": metric.name,
                    **score.columns(),
                    "n": len(headline.rows),
                    "effective_n": headline.effective_n,
                    "small": bool(scoring.too_few(headline.rows, headline.effective_n)),
                    "source": mixture.source,
                }
            )
    return rows


def _differences(
    scoring: Scoring, natural: Mapping[str, Predicted], mixture: Mixture, pattern: npt.NDArray[Any]
) -> list[dict[str, Any]]:
    found: list[tuple[Pair, int, list[Measured]]] = []
    for pair in pairs_of(natural):
        # Samples that both answer are weighed to the mixture by themselves.
        headline = weigh(mixture, pattern, both_answer(natural, pair))
        at = np.arange(len(headline.rows))
        one, other = scoring.arms(
            headline.rows,
            [[(at, natural[name][headline.rows])] for name in pair],
            "all",
            headline.weights,
        )
        found.append((pair, len(at), held_against(scoring, one, other)))
    out = []
    for m, metric in enumerate(scoring.metrics):
        p = [p_value(scores[m]) for _, _, scores in found]
        for (pair, n, scores), own, adjusted in zip(found, p, holm(p), strict=True):
            score = scores[m]
            low, high, note = score.limits()
            out.append(
                {
                    "first": pair[0],
                    "second": pair[1],
                    "metric": metric.name,
                    "n": n,
                    "difference": score.estimate,
                    "low": low,
                    "high": high,
                    "p": own,
                    "p_adjusted": adjusted,
                    "ahead": ahead(metric, pair, score.estimate, adjusted),
                    "note": note,
                }
            )
    return out


def _cells(
    test: MultimodalDataset,
    natural: Mapping[str, Predicted],
    experiments: Sequence[Withholding],
    said: Mapping[str, Sequence[Predicted]],
    population: str,
) -> list[_Cell]:
    pattern = test.pattern
    cells = []
    for label in test.patterns()["pattern"]:
        rows = np.flatnonzero(pattern == label)
        own = {name: p[rows] for name, p in natural.items()}
        if label == EMPTY_PATTERN and not any(p.answered.any() for p in own.values()):
            continue
        cells.append(_Cell("natural", str(label), rows, own, AS_IT_CAME))
    for number, experiment in enumerate(experiments):
        # Who is answered with less is answered as it came; a predictor may think otherwise.
        own = {}
        for name, answers in said.items():
            one = answers[number]
            known = one.answered & natural[name].answered[experiment.rows]
            own[name] = Predicted(known, one.probability, one.label)
        cells.append(_Cell("withheld", experiment.label, experiment.rows, own, population))
    return cells


def _score_patterns(
    scoring: Scoring, cells: Sequence[_Cell], mixture: Mixture
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    scores, standings = [], []
    held: dict[tuple[str, str], list[tuple[dict[str, Any], dict[Pair, Measured]]]] = {}
    for cell in cells:
        own, differences = score_cell(
            scoring, cell.rows, cell.predicted, f"{cell.population}:{cell.pattern}"
        )
        where = {
            "view": cell.view,
            "pattern": cell.pattern,
            "weight": mixture.weights.get(cell.pattern, 0.0),
        }
        for m, metric in enumerate(scoring.metrics):
            for name, measured in own.items():
                rows = cell.rows[cell.predicted[name].answered]
                scores.append(
                    where
                    | {
                        "n": len(rows),
                        "model": name,
                        "metric": metric.name,
                        **measured[m].columns(),
                        "small": scoring.small(rows),
                    }
                )
            rows = cell.rows[both_answer(cell.predicted, tuple(cell.predicted))]
            row = where | {
                "n": len(rows),
                "metric": metric.name,
                "small": scoring.small(rows),
                "leader": "",
                "unbeaten": "",
                "note": "",
            }
            standings.append(row)
            if row["small"]:
                row["note"] = "too few samples that all answer"
                continue
            held.setdefault((cell.view, metric.name), []).append(
                (row, {pair: found[m] for pair, found in differences.items()})
            )
    for (_, name), rows_of in held.items():
        _lead(next(m for m in scoring.metrics if m.name == name), rows_of)
    return scores, standings


def _lead(metric: Any, cells: Sequence[tuple[dict[str, Any], dict[Pair, Measured]]]) -> None:
    """Fill in who leads, adjusted over all pairs and patterns of one view and metric."""
    flat = [(row, pair, found) for row, pairs in cells for pair, found in pairs.items()]
    adjusted = holm([p_value(found) for _, _, found in flat])
    favoured: dict[int, dict[Pair, str]] = {}
    for (row, pair, found), p in zip(flat, adjusted, strict=True):
        favoured.setdefault(id(row), {})[pair] = ahead(metric, pair, found.estimate, p)
        row["note"] = row["note"] or found.note
    for row, pairs in cells:
        names = list(dict.fromkeys(name for pair in pairs for name in pair))
        row["leader"], unbeaten = standing(names, favoured[id(row)])
        row["unbeaten"] = ", ".join(unbeaten)
