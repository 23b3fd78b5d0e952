"""The recommendation: a strategy with everything that was weighed for and against it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from fusewise.data import Result
from fusewise.exceptions import TaskError
from fusewise.profile import share


@dataclass(frozen=True)
class Reason(Result):
    """One axis held against its threshold.

    Attributes
    ----------
    axis : str
        ``availability``, ``dimensions``, ``temporal+interaction``, ``cohort``, ``samples``,
        ``arrival`` or ``interpretability``.
    statement : str
        What was found, in words.
    value : float, str or None
        The statistic or the declared fact; None where it is unknown.
    low, high : float or None
        Its 95 % interval, where it has one.
    threshold : float or str
    met : bool
        Whether the threshold is reached: for availability its lower limit reaches it.
    """

    axis: str
    statement: str
    value: float | str | None
    low: float | None
    high: float | None
    threshold: float | str | None
    met: bool


@dataclass(frozen=True, eq=False, repr=False)
class Recommendation(Result):
    """Which fusion strategy fits the deployment, and why.

    Attributes
    ----------
    strategy : {"early", "intermediate", "late", "attention"}
    masking : str or None
        Modality masking to train `strategy` with.
    reasons : tuple of Reason
        The axis that decided comes first.
    conflicts : tuple of str
        What speaks for another strategy, and why it was not followed.
    alternatives : tuple of str
        The strategies to try next, in order; none that is ruled out.
    would_change_if : tuple of str
        The smallest changes of the facts that give another strategy.
    stability : float
        Share of replicates that keep the strategy, when the counted requests are resampled and all
        thresholds are moved at random by up to 20 %. Declared rates have no sampling error: then
        only the thresholds move.
    thresholds : dict of str to float
    trainable : str
        The strategy that `estimator` makes: `strategy`, unless somebody asks for another one, as a
        study file may.
    why_trainable : str
        Why it is another one; empty where it is `strategy`.
    rule : int
        Which rule of the precedence decided, from 1.
    excluded : dict of str to str
        Strategies that a requirement or a limit rules out, with the reason.
    maskings : dict of str to (str or None)
        The masking for each strategy, should it be trained.
    sensitivity : DataFrame
        ``threshold, value, moved_to, strategy``: each threshold moved alone by 20 % either way.
    task : str or None
    deployment : dict or None
        ``{"patterns": {pattern: weight}}``, which estimators weigh and mask by; None where the
        deployment is unknown or declared to look like training.
    """

    strategy: str
    masking: str | None
    reasons: tuple[Reason, ...]
    conflicts: tuple[str, ...]
    alternatives: tuple[str, ...]
    would_change_if: tuple[str, ...]
    stability: float
    thresholds: dict[str, float]
    trainable: str
    why_trainable: str
    rule: int
    excluded: dict[str, str]
    maskings: dict[str, str | None]
    sensitivity: pd.DataFrame
    task: str | None = None
    deployment: dict[str, Any] | None = None

    def estimator(self, random_state: int = 0, task: str | None = None, **params: Any) -> Any:
        """Return an unfitted estimator of the recommended strategy, masked as recommended.

        Parameters
        ----------
        random_state : int
        task : {"binary", "multiclass", "regression"}, optional
            Default: the task of the profiled dataset.
        **params
            Further parameters of the estimator; they win over what is recommended.

        Raises
        ------
        TaskError
            The profiled dataset had no target and no task is given.
        """
        from fusewise import fusion

        task = task or self.task
        if task not in ("binary", "multiclass", "regression"):
            raise TaskError(
                f"estimator: the task is {task!r}; give task='binary', 'multiclass' or "
                "'regression'."
            )
        kind = "Regressor" if task == "regression" else "Classifier"
        # No masking is a recommendation too, and not what every strategy does by default.
        given: dict[str, Any] = {
            "random_state": random_state,
            "masking": self.maskings[self.trainable],
        }
        if self.deployment is not None:
            given["deployment"] = self.deployment
        return getattr(fusion, f"{self.trainable.capitalize()}Fusion{kind}")(**{**given, **params})

    def __repr__(self) -> str:
        trained = "" if self.trainable == self.strategy else f", trains {self.trainable}"
        return (
            f"<Recommendation: {self.strategy} fusion (rule {self.rule}, decided by "
            f"{self.reasons[0].axis}), kept in {share(self.stability)} of replicates{trained}>"
        )

    def __str__(self) -> str:
        masked = f", masking {self.masking}" if self.masking else ""
        kept = f"kept in {share(self.stability)} of replicates"
        lines = [f"{self.strategy.capitalize()} fusion{masked} (rule {self.rule}; {kept})"]
        if self.why_trainable:
            lines.append(self.why_trainable)
        lines += ["", "Reasons"]
        width = max(len(reason.axis) for reason in self.reasons)
        for place, reason in enumerate(self.reasons):
            mark = "decided" if place == 0 else "reached" if reason.met else "not reached"
            lines.append(f"  {reason.axis.ljust(width)}  {mark:<11}  {reason.statement}")
        for title, texts in (
            ("Conflicts", self.conflicts),
            ("Would change", self.would_change_if),
        ):
            if texts:
                lines += ["", title, *(f"  {text}" for text in texts)]
        lines += ["", f"Alternatives, in this order: {', '.join(self.alternatives) or 'none'}"]
        return "\n".join(lines)
