"""Requirements alone: their answers without the other views of an evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from fusewise.evaluate.answering import answer_each, plan_requirement
from fusewise.evaluate.columns import table
from fusewise.evaluate.mixture import find_mixture
from fusewise.evaluate.operating_points import OperatingPoint
from fusewise.evaluate.predictions import Answers
from fusewise.evaluate.requirements import Requirement, check_requirements
from fusewise.evaluate.setting import canonical_order, classes_of, responses_of, scoring_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

    from fusewise.data import MultimodalDataset


def answer_requirements(
    model: Any,
    test: MultimodalDataset,
    requirements: Iterable[Requirement | Mapping[str, Any]],
    *,
    deployment: Any = None,
    train_presence: npt.ArrayLike | None = None,
    operating_point: OperatingPoint | Mapping[str, float] | None = None,
    n_boot: int = 1000,
    min_cell: int = 30,
    random_state: int | None = 0,
) -> pd.DataFrame:
    """Return the table ``requirements`` of :func:`evaluate`, to the bit, and nothing else.

    Parameters are those of :func:`evaluate`; the predictor is asked only what they need.
    """
    test = test[canonical_order(test)]
    point = None if operating_point is None else OperatingPoint.of(operating_point)
    checked = check_requirements(
        requirements,
        test.modalities,
        test.task,
        operating_point=point,
        samples=test.samples,
    )
    metrics = [metric for _, metric in checked]
    classes = None if test.task == "regression" else classes_of(model, test)
    scoring = scoring_of(test, classes, (), n_boot, min_cell, random_state)
    answers = Answers(model, test, responses_of(metrics), classes)
    natural = answers.natural
    mixture = find_mixture(deployment, test, train_presence)
    wanted = [plan_requirement(requirement, test) for requirement, _ in checked]
    said = answers.ask([w for w in wanted if w is not None])
    rows = answer_each(scoring, checked, wanted, said, natural, mixture, test)
    return table("requirements", rows)
