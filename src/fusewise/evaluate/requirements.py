"""Requirements: what must hold per availability, answered met, not met or undetermined."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from fusewise.data import pattern_label
from fusewise.evaluate.group_filter import Pairs, as_pairs, check_pairs, in_words, members
from fusewise.evaluate.metrics import Metric, find_metric, tasks_of
from fusewise.exceptions import EvaluationError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from fusewise.evaluate.operating_points import OperatingPoint
    from fusewise.evaluate.predictions import Presence

# Keys that are lists of modalities beside `present`, which may also be a word.
LISTS = ("absent", "all", "any")
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
    all, any : sequence of str
        Samples that came with all of these modalities, or with at least one of them; nothing is
        withheld from them.
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
        If the limits are not exactly one, more than one of `present`, `absent`, `all` and `any`
        is given, or a limit does not fit.

    Examples
    --------
    >>> print(Requirement("roc_auc", absent=["liver"], max_drop=0.02))
    roc_auc without liver: drop at most 0.02
    """

    metric: str
    present: Literal["all"] | tuple[str, ...] | None = None
    absent: tuple[str, ...] = ()
    all: tuple[str, ...] = ()
    any: tuple[str, ...] = ()
    at_least: float | None = None
    at_most: float | None = None
    max_drop: float | None = None
    group: Pairs | Mapping[str, str] = ()

    def __post_init__(self) -> None:
        present = self.present
        if isinstance(present, str) and present != "all":
            raise self._wrong(
                "present", f"present is 'all' or a list of modalities, got {present!r}"
            )
        for key in LISTS:
            value = getattr(self, key)
            if isinstance(value, str):
                raise self._wrong(
                    key, f"{key} is a list of modalities, got {value!r}; use [{value!r}]"
                )
            object.__setattr__(self, key, tuple(value or ()))
        if present is not None and present != "all":
            object.__setattr__(self, "present", tuple(present))
        if self.present == ():
            raise self._wrong("present", "present is an empty list; name a modality")
        try:
            object.__setattr__(self, "group", as_pairs(self.group))
        except EvaluationError as error:
            raise self._wrong("group", str(error)) from error
        chosen = [key for key in ("present", *LISTS) if getattr(self, key) not in (None, ())]
        if len(chosen) > 1:
            raise self._wrong("", f"give {' or '.join(chosen)}, not both")
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
    def named(self) -> tuple[str, tuple[str, ...]]:
        """Which of its keys names modalities, and these; none where it is on all or the mixture."""
        for key in LISTS:
            if getattr(self, key):
                return key, getattr(self, key)
        return "present", () if self.present in (None, "all") else tuple(self.present or ())

    @property
    def where(self) -> str:
        """The availability that it is about, in words."""
        if self.present == "all":
            return "with everything present"
        if self.present is not None:
            return f"with {pattern_label(self.present)}"
        if self.absent:
            return f"without {pattern_label(self.absent)}"
        if self.all:
            return f"of who has {' and '.join(self.all)}"
        if self.any:
            return f"of who has {' or '.join(self.any)}"
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
        key, named = self.named
        for name in named:
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
