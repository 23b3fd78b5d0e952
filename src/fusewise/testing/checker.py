"""Running the laws."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from fusewise.data import MultimodalDataset
from fusewise.testing.face import (
    law_06_fit_forgets_and_sklearn_works,
    law_08_saved_and_loaded_is_equal,
    law_10_init_only_stores,
)
from fusewise.testing.order import (
    law_02_alone_equals_batch,
    law_03_order_has_no_effect,
    law_07_seed_decides,
)
from fusewise.testing.patterns import law_04_every_pattern_gives_valid_output
from fusewise.testing.poison import law_01_absent_values_change_nothing
from fusewise.testing.trial import Trial
from fusewise.testing.work import law_09_work_follows_presence
from fusewise.testing.zero import law_05_zero_is_not_absence

LAWS: dict[int, Callable[[Trial], None]] = {
    1: law_01_absent_values_change_nothing,
    2: law_02_alone_equals_batch,
    3: law_03_order_has_no_effect,
    4: law_04_every_pattern_gives_valid_output,
    5: law_05_zero_is_not_absence,
    6: law_06_fit_forgets_and_sklearn_works,
    7: law_07_seed_decides,
    8: law_08_saved_and_loaded_is_equal,
    9: law_09_work_follows_presence,
    10: law_10_init_only_stores,
}


def check_fusion_estimator(
    estimator: Any,
    *,
    dataset: MultimodalDataset | None = None,
    laws: Iterable[int] | None = None,
    random_state: int = 0,
) -> None:
    """Hold an estimator to the laws of fusion estimators.

    Parameters
    ----------
    estimator : classifier or regressor
        Anybody's estimator that fits and predicts on a :class:`fusewise.MultimodalDataset`. It is
        cloned and never changed. Small settings make the check fast: it is fitted some forty
        times.
    dataset : MultimodalDataset, optional
        Samples with a target to try the laws on. Default: a small cohort of three modalities
        (:func:`make_dataset`), binary for classifiers and regression for regressors.
    laws : iterable of int, optional
        Numbers of the laws to run; all ten where not given.
    random_state : int, default=0
        Seed of the cohort, the split and the poison.

    Raises
    ------
    LawViolation
        For the first law that the estimator breaks: which law, what was expected, what came.
    DatasetError
        If the dataset and the estimator do not fit together.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from fusewise import EarlyFusionClassifier
    >>> model = EarlyFusionClassifier(LogisticRegression(), absent="impute")
    >>> check_fusion_estimator(model, laws=[2, 10])
    """
    chosen = list(LAWS) if laws is None else list(laws)
    unknown = [law for law in chosen if law not in LAWS]
    if unknown:
        raise ValueError(f"there is no law {unknown[0]!r}: the laws are 1 to {len(LAWS)}")
    trial = Trial.of(estimator, dataset, random_state)
    for law in chosen:
        LAWS[law](trial)
