"""The recommendation: a strategy with everything that was weighed for and against it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from fusewise.data import Result
from fusewise.exceptions import TaskError
from fusewise.profile import share
from fusewise.recommend.masking import masking_lines
from fusewise.recommend.pilot_result import Pilot


@dataclass(frozen=True)
class Reason(Result):
    """One axis held against its threshold.

    Attributes
    ----------
    axis : str
        ``availability``, ``dimensions``, ``temporal+interaction``, ``cohort``, ``samples``,
        ``arrival``, ``redundancy`` or ``interpretability``.
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


@dataclass(frozen=True)
class Need(Result):
    """One condition of a strategy.

    Attributes
    ----------
    strategy : {"early", "intermediate", "late", "attention"}
    needed : str
        The condition in words, with its threshold.
    now : str
        The fact that it is held against, in words.
    holds : bool
    """

    strategy: str
    needed: str
    now: str
    holds: bool


@dataclass(frozen=True, eq=False, repr=False)
class Recommendation(Result):
    """Which fusion strategy fits the deployment, and why.

    Attributes
    ----------
    strategy : {"early", "intermediate", "late", "attention"}
        The answer: the matrix's, or that of a pilot which overrules it.
    masking : str or None
        Modality masking to train `strategy` with.
    reasons : tuple of Reason
        Of the matrix's strategy; the axis that decided comes first.
    conflicts : tuple of str
        What speaks for another strategy, and why it was not followed.
    alternatives : tuple of str
        The strategies to try next, in order; none that is ruled out.
    would_change_if : tuple of str
        The smallest changes of the facts that give another strategy of the matrix.
    stability : float
        Share of replicates that keep the matrix's strategy, when the counted requests are resampled and all
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
    masking_rates : DataFrame
        ``schedule, modality, rate_train, rate_deployment, removed, reached``: how often each
        schedule in `maskings` removes each modality, and the rate that training then shows.
    masking_warnings : tuple of str
        Where training is sparser than the deployment, which no masking can simulate.
    needs : tuple of Need
        What each strategy would need to be the matrix's answer, and how things are. All needs of
        the answer hold, and some need of every other strategy does not.
    pilot : Pilot or None
        What was tried on training rows; None where it was not.
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
    masking_rates: pd.DataFrame = field(default_factory=pd.DataFrame)
    masking_warnings: tuple[str, ...] = ()
    needs: tuple[Need, ...] = ()
    pilot: Pilot | None = None

    @property
    def matrix(self) -> str:
        """The matrix's answer, which is `strategy` unless a pilot overrules it."""
        return self.strategy if self.pilot is None else self.pilot.reference

    @property
    def masking_lines(self) -> tuple[str, ...]:
        """The masking schedule of what is trained in words, then what it removes of each modality."""
        return masking_lines(self.maskings.get(self.trainable), self.masking_rates)

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
        overruled = "" if self.matrix == self.strategy else f", pilot overrules {self.matrix}"
        return (
            f"<Recommendation: {self.strategy} fusion (rule {self.rule}, decided by "
            f"{self.reasons[0].axis}), kept in {share(self.stability)} of replicates{overruled}"
            f"{trained}>"
        )

    def __str__(self) -> str:
        masked = f", masking {self.masking}" if self.masking else ""
        kept = f"kept in {share(self.stability)} of replicates"
        if self.matrix == self.strategy:
            lines = [f"{self.strategy.capitalize()} fusion{masked} (rule {self.rule}; {kept})"]
        else:
            lines = [
                f"{self.strategy.capitalize()} fusion{masked} (by the pilot)",
                f"Matrix: {self.matrix} fusion (rule {self.rule}; {kept})",
            ]
        if self.why_trainable:
            lines.append(self.why_trainable)
        if self.pilot is not None:
            lines += ["", self.pilot.headline, self.pilot.reason]
        lines += ["", "Reasons" if self.matrix == self.strategy else "Reasons of the matrix"]
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
        schedule, *removed = self.masking_lines
        lines += ["", f"Masking {schedule}", *(f"  {text}" for text in removed)]
        lines += [f"  Warning: {text}" for text in self.masking_warnings]
        if self.pilot is not None:
            lines += ["", *str(self.pilot).splitlines()[3:]]
        lines += ["", f"Alternatives, in this order: {', '.join(self.alternatives) or 'none'}"]
        return "\n".join(lines)
