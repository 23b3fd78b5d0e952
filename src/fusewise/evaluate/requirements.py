"""Requirements: what must hold per availability, answered met, not met or undetermined."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from fusewise.data import pattern_label
from fusewise.evaluate.group_filter import Pairs, as_pairs, check_pairs, in_words, members
from fusewise.evaluate.metrics import Metric, find_metric, tasks_of
from fusewise.evaluate.mixture import weigh
from fusewise.evaluate.predictions import Predicted, Presence, Withholding
from fusewise.evaluate.sample_size import advice_on_size
from fusewise.exceptions import EvaluationError, did_you_mean

if TYPE_CHECKING:
    from fusewise.data import MultimodalDataset
    from fusewise.evaluate.mixture import Headline, Mixture
    from fusewise.evaluate.operating_points import OperatingPoint
    from fusewise.evaluate.scoring import Measured, Scoring

LIMITS = ("at_least", "at_most", "max_drop")

MET, NOT_MET, UNDETERMINED = "met", "not met", "undetermined"


class RequirementError(EvaluationError):
    """One requirement is malformed.

    Parameters
    ----------
    key : str
        Which of its keys, or empty for the requirement as a whole.
    why : str
        What is wrong with it and what to do.
    position : int, optional
        Which of a list it is.
    """

    def __init__(self, key: str, why: str, position: int | None = None) -> None:
        self.key, self.why, self.position = key, why, position
        name = "requirement" if position is None else f"requirements[{position}]"
        super().__init__(f"{name}{key and '.'}{key}: {why}")


@dataclass(frozen=True)
class Requirement:
    """What must hold of one metric when modalities are present or absent.

    Parameters
    ----------
    metric : str
        Any metric of the task, also one that is not reported otherwise.
    present : "all", sequence of str or None
        ``"all"``: complete cases as they came. Names: exactly these modalities are available; the
        samples are those that have all of them, and their others are withheld.
    absent : sequence of str
        These modalities are withheld from the samples that have all of them; the others stay as
        they came. With neither `present` nor `absent` the requirement is on the headline, the
        deployment's mixture.
    at_least, at_most : float, optional
        Limit of the score: `at_least` for metrics where more is better, `at_most` for losses,
        either for metrics with a target (calibration intercept and slope).
    max_drop : float, optional
        Limit of how much worse the score becomes by withholding, on the same samples (paired).
    group : dict of str to str, optional
        Restricts the samples to those with this value of each named group, ``{"sex": "F"}``; an
        empty cell has the value ``(unknown)``.

    Raises
    ------
    EvaluationError
        If the limits are not exactly one, both `present` and `absent` are given, or a limit does
        not fit.

    Examples
    --------
    >>> print(Requirement("roc_auc", absent=["liver"], max_drop=0.02))
    roc_auc without liver: drop at most 0.02
    """

    metric: str
    present: Literal["all"] | tuple[str, ...] | None = None
    absent: tuple[str, ...] = ()
    at_least: float | None = None
    at_most: float | None = None
    max_drop: float | None = None
    group: Pairs | Mapping[str, str] = ()

    def __post_init__(self) -> None:
        present, absent = self.present, self.absent
        if isinstance(present, str) and present != "all":
            raise self._wrong(
                "present", f"present is 'all' or a list of modalities, got {present!r}"
            )
        if isinstance(absent, str):
            raise self._wrong(
                "absent", f"absent is a list of modalities, got {absent!r}; use [{absent!r}]"
            )
        if present is not None and present != "all":
            object.__setattr__(self, "present", tuple(present))
        object.__setattr__(self, "absent", tuple(absent or ()))
        if self.present == ():
            raise self._wrong("present", "present is an empty list; name a modality")
        try:
            object.__setattr__(self, "group", as_pairs(self.group))
        except EvaluationError as error:
            raise self._wrong("group", str(error)) from error
        if self.present is not None and self.absent:
            raise self._wrong("", "give present or absent, not both")
        given = [name for name in LIMITS if getattr(self, name) is not None]
        if len(given) != 1:
            raise self._wrong(
                "", f"give exactly one of {', '.join(LIMITS)}, got {' and '.join(given) or 'none'}"
            )
        value = self.threshold
        if (
            isinstance(value, bool)
            or not isinstance(value, numbers.Real)
            or not math.isfinite(value)
        ):
            raise self._wrong(self.limit, f"{self.limit} is a finite number, got {value!r}")
        if self.limit == "max_drop" and value < 0:
            raise self._wrong("max_drop", f"max_drop is 0 or more (how much worse), got {value!r}")
        if self.limit == "max_drop" and (self.present in (None, "all") and not self.absent):
            raise self._wrong(
                "max_drop", "max_drop compares with what was withheld; name it by absent"
            )

    @classmethod
    def of(cls, given: Any) -> Requirement:
        """Return a requirement from a mapping with these keys, or the requirement itself."""
        if isinstance(given, cls):
            return given
        if not isinstance(given, Mapping):
            raise RequirementError(
                "",
                f"expected a dict with metric and a limit, or a Requirement, got "
                f"{type(given).__name__} {given!r}.",
            )
        known = [f.name for f in fields(cls)]
        for key in given:
            if key not in known:
                raise RequirementError(
                    str(key), f"unknown key.{did_you_mean(key, known)} Known: {', '.join(known)}."
                )
        if not isinstance(given.get("metric"), str):
            raise RequirementError("metric", "it names no metric. Add metric.")
        return cls(**given)

    @property
    def limit(self) -> str:
        """Which limit it sets: ``at_least``, ``at_most`` or ``max_drop``."""
        return next(name for name in LIMITS if getattr(self, name) is not None)

    @property
    def threshold(self) -> float:
        """The value of its limit."""
        value: float = getattr(self, self.limit)
        return value

    @property
    def where(self) -> str:
        """The availability that it is about, in words."""
        if self.present == "all":
            return "with everything present"
        if self.present is not None:
            return f"with {pattern_label(self.present)}"
        if self.absent:
            return f"without {pattern_label(self.absent)}"
        return "on the deployment's mixture"

    def __str__(self) -> str:
        words = {"at_least": "at least", "at_most": "at most", "max_drop": "drop at most"}
        who = in_words(self.group)
        where = f"{self.where} where {who}" if who else self.where
        return f"{self.metric} {where}: {words[self.limit]} {self.threshold:g}"

    def check(
        self,
        modalities: tuple[str, ...],
        task: str | None,
        operating_point: OperatingPoint | None = None,
        samples: pd.DataFrame | None = None,
    ) -> Metric:
        """Return its metric, after checking its names against the test set.

        Parameters
        ----------
        modalities : tuple of str
        task : str or None
            None where it is not known yet: its metric must then be one of any task.
        operating_point : OperatingPoint, optional
            Where sensitivity and the like are taken.
        samples : DataFrame, optional
            Columns of the samples, for `group`; None where they are not read yet.

        Raises
        ------
        EvaluationError
            If it names an unknown metric, modality or group, withholds everything, or limits a
            metric from the wrong side.
        """
        try:
            metric = find_metric(self.metric, task or tasks_of(self.metric)[0], operating_point)
        except EvaluationError as error:
            raise self._wrong("metric", str(error).removesuffix(".")) from error
        key = "absent" if self.absent else "present"
        named = self.absent or (() if self.present in (None, "all") else self.present)
        for name in named or ():
            if name not in modalities:
                raise self._wrong(
                    key,
                    f"unknown modality {name!r}.{did_you_mean(name, modalities)} There are "
                    f"{', '.join(modalities)}",
                )
        if self.absent and set(self.absent) >= set(modalities):
            raise self._wrong(
                "absent", "absent names every modality; nothing is left to predict from"
            )
        if self.limit not in ("max_drop", *metric.limits):
            side, use = (
                ("more is better", "at_least")
                if metric.greater_is_better
                else ("it is a loss: less is better", "at_most")
            )
            raise self._wrong(
                self.limit,
                f"{self.metric} cannot be limited by {self.limit}, {side}; use {use}",
            )
        if samples is not None:
            try:
                check_pairs(self.group, samples)
            except EvaluationError as error:
                raise self._wrong("group", str(error).removesuffix(".")) from error
        return metric

    def members(self, samples: pd.DataFrame) -> Presence:
        """Return which samples are of its group (n,); all of them without one."""
        return members(self.group, samples)

    def _wrong(self, key: str, why: str) -> RequirementError:
        return RequirementError(key, f"{why}.")


def check_requirements(
    given: Iterable[Any],
    modalities: tuple[str, ...],
    task: str | None,
    *,
    operating_point: OperatingPoint | None = None,
    samples: pd.DataFrame | None = None,
) -> list[tuple[Requirement, Metric]]:
    """Return requirements with their metrics, checked against what there is to evaluate on.

    Parameters
    ----------
    given : iterable of dict or Requirement
    modalities : tuple of str
    task : str or None
        None where it is not known yet.
    operating_point : OperatingPoint, optional
        Where sensitivity and the like are taken.
    samples : DataFrame, optional
        Columns of the samples, for groups; None where they are not read yet.

    Raises
    ------
    EvaluationError
        One is malformed; the message says which of them and where.

    Examples
    --------
    >>> asked = {"metric": "roc_auc", "absent": ["labs"], "max_drop": 0.02}
    >>> [(requirement, metric)] = check_requirements([asked], ("labs", "notes"), "binary")
    >>> metric.greater_is_better
    True
    """
    found = []
    for position, one in enumerate(given):
        try:
            requirement = Requirement.of(one)
            found.append(
                (requirement, requirement.check(modalities, task, operating_point, samples))
            )
        except RequirementError as error:
            raise RequirementError(error.key, error.why, position) from error
    return found


def plan_requirement(requirement: Requirement, test: MultimodalDataset) -> Withholding | None:
    """Return the experiment that answers a requirement; None for the deployment's mixture."""
    if requirement.present is None and not requirement.absent:
        return None
    names = requirement.absent or requirement.present
    named = np.array([names == "all" or m in (names or ()) for m in test.modalities])
    rows = np.flatnonzero(test.presence[:, named].all(axis=1) & requirement.members(test.samples))
    keep = ~named if requirement.absent else named
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
        view = "natural" if requirement.present == "all" else "withheld"
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
