"""conformalise: prediction sets of a fitted predictor that hold per availability pattern."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
import pandas as pd

from fusewise.data import MultimodalDataset
from fusewise.evaluate.conformal_predictor import ConformalPredictor
from fusewise.evaluate.conformal_rows import METHODS
from fusewise.evaluate.conformal_scores import find_score
from fusewise.evaluate.evaluation import canonical_order
from fusewise.exceptions import EvaluationError, did_you_mean


def conformalise(
    model: Any,
    calibration: MultimodalDataset,
    *,
    alpha: float = 0.1,
    method: str = "auto",
    score: str | None = None,
    random_state: int | None = 0,
) -> ConformalPredictor:
    """Give a fitted predictor prediction sets that hold per availability pattern.

    **The guarantee.** For a fresh sample with pattern P, ``predict_set`` contains its target with
    probability at least ``1 - alpha`` (``exact``; ``nested``: see below), over the draw of the
    calibration samples and of that sample, whatever the predictor, if

    1. calibration samples are in neither the training nor the test set (ids are compared with the
       test set by :func:`coverage_by_pattern`; a fitted predictor does not tell what it has seen);
    2. calibration and test samples are exchangeable (units of one population, in no order);
    3. absence is independent of the covariates, and of the target given the covariates. Then the
       samples that have more than P, with the rest withheld, are like those that came with P.

    Where presence is informative (3 fails), coverage per pattern is empirical only: measure it.
    ``mondrian`` does without 3. The guarantee is on average over the samples of a pattern: not
    for each class, subgroup or value; and over calibration sets: with n calibration samples a
    given one covers ``1 - alpha`` give or take about ``sqrt(alpha * (1 - alpha) / n)``.

    Parameters
    ----------
    model : object
        Any fitted predictor that :func:`evaluate` takes; for classification with
        ``predict_proba``. Which samples it can answer may depend on their presence alone.
    calibration : MultimodalDataset
        With a target. Where it names ``cluster``, one sample per cluster is drawn for each pattern
        among those that qualify (Dunn, Wasserman and Ramdas, JASA 2023): the guarantee is then for
        one random sample of a fresh cluster. The order of samples has no effect.
    alpha : float
        Accepted share of sets that miss, in (0, 1).
    method : {"auto", "exact", "nested", "mondrian", "split"}
        Which calibration samples stand for a pattern P.

        - ``exact`` (CP-MDA-Exact): those with at least P's modalities, scored with exactly P.
        - ``nested`` (CP-MDA-Nested, for sets in its later form CP-MDA-Nested*): all that share a
          modality with P, each scored with what it shares and compared with the test sample seen
          through the same. More samples for rare patterns, larger sets. A class is left out by an
          average of p-values, one per presence that is shared; such an average is below ``alpha``
          with probability ``alpha`` if they agree, usually less if they scatter, and at most
          ``2 * alpha`` whatever their dependence (Vovk and Wang, Biometrika 2020; small groups add
          a little).
          The papers give conditions under which it is ``alpha``. Samples that share nothing
          with P are left out.
        - ``auto``: ``exact`` where it has enough samples to leave anything out of a set (9 for
          ``alpha=0.1``), else ``nested`` where that has, else ``exact``, whose set is then
          everything. Decided by presence alone, so that the guarantee stays.
        - ``mondrian``: those that came with exactly P (Vovk et al. 2003). Holds for samples that
          come with P of themselves also where presence is informative; rare patterns get
          everything, and it says nothing about modalities that are lost later.
        - ``split``: all as they came, one threshold for every pattern. Holds on average over
          patterns only; for comparison.
    score : {"lac", "aps", "absolute"}, optional
        ``lac`` (default of classification) or ``aps``, see
        :func:`~fusewise.evaluate.conformal_scores.class_scores`; ``absolute``, the absolute
        residual, for regression.
    random_state : int or None
        Seed of the draws of ``aps`` and of clusters, which are functions of the ids. The global
        generator is not touched.

    Returns
    -------
    ConformalPredictor
        Frozen around `model`; with ``predict_set``.

    Raises
    ------
    EvaluationError
        If a parameter is invalid, the calibration set is empty, has no target or classes that the
        predictor does not know, or a prediction is NaN.

    References
    ----------
    Zaffran, Dieuleveut, Josse and Romano, "Conformal prediction with missing values", ICML 2023.
    Zaffran, Josse, Romano and Dieuleveut, "Predictive uncertainty quantification with missing
    covariates", arXiv:2405.15641, 2024.
    Vovk, Lindsay, Nouretdinov and Gammerman, "Mondrian confidence machine", 2003.

    Examples
    --------
    >>> import numpy as np
    >>> from fusewise.simulate import make_cohort
    >>> cohort = make_cohort(
    ...     500, 200, modalities={"a": 2, "b": 2}, availability=0.7, random_state=0
    ... )
    >>> class Posterior:
    ...     def predict_proba(self, dataset):
    ...         return cohort.bayes_proba(dataset)
    >>> model = conformalise(Posterior(), cohort.train)
    >>> model
    ConformalPredictor(Posterior, alpha=0.1, method='auto', score='lac', n_calibration=500)
    >>> sets = model.predict_set(cohort.test)
    >>> sets.shape, sets.dtype
    ((200, 2), dtype('bool'))
    """
    if isinstance(alpha, bool) or not isinstance(alpha, numbers.Real) or not 0 < alpha < 1:
        raise EvaluationError(
            f"alpha is the accepted share of sets that miss, between 0 and 1, got {alpha!r}: 0.1 "
            f"asks for sets that hold in 90 %."
        )
    if method not in METHODS:
        raise EvaluationError(
            f"method {method!r} is none of {', '.join(METHODS)}.{did_you_mean(method, METHODS)}"
        )
    if random_state is not None and (
        not isinstance(random_state, int | np.integer) or random_state < 0
    ):
        raise EvaluationError(
            f"random_state is a whole number from 0, or None, got {random_state!r}."
        )
    _check_calibration(model, calibration)
    calibration = calibration[canonical_order(calibration)]
    task = str(calibration.task)
    entropy = np.random.SeedSequence(random_state).entropy
    assert isinstance(entropy, int)
    return ConformalPredictor(
        model, calibration, float(alpha), method, find_score(score, task), entropy
    )


def _check_calibration(model: Any, calibration: Any) -> None:
    if not isinstance(calibration, MultimodalDataset):
        raise EvaluationError(
            f"calibration is a MultimodalDataset, got {type(calibration).__name__}."
        )
    if len(calibration) == 0:
        raise EvaluationError(
            "the calibration set is empty. Keep samples apart from training and test: with "
            "alpha=0.1 at least 9 per pattern, some hundreds for sets of a steady size."
        )
    if calibration.target is None or calibration.task is None:
        raise EvaluationError(
            "the calibration set has no target, so that no prediction can be held against it. "
            "Name target= when the dataset is built."
        )
    needed = "predict" if calibration.task == "regression" else "predict_proba"
    if not hasattr(model, needed):
        raise EvaluationError(
            f"{type(model).__name__} has no {needed}, which prediction sets of a "
            f"{calibration.task} task are made of."
        )
    unknown = np.asarray(pd.isna(calibration.target))
    if unknown.any():
        raise EvaluationError(
            f"{int(unknown.sum())} of {len(calibration)} calibration samples have no target (NaN "
            f"or None). Leave them out."
        )
