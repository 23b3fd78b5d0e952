"""What is trained: the recommended strategy, or the one that the study file asks for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fusewise.data import MultimodalDataset, parse_pattern, pattern_label

if TYPE_CHECKING:
    from fusewise.study.job import Job


# What of the section `training` each strategy reads, under the names of its estimator's parameters.
_LEARNED = ("n_jobs", "n_members", "max_epochs", "batch_size", "device")
SETTINGS = {
    "early": (),
    "late": ("n_jobs", "groups"),
    "intermediate": ("merge", *_LEARNED),
    "attention": ("mechanism", *_LEARNED),
    "presence": (),
}
LEARNED = ("intermediate", "attention")


@dataclass(frozen=True)
class Plan:
    """A strategy and its masking, with a sentence where it is not what was recommended."""

    strategy: str
    masking: str | None
    note: str = ""


def plan_training(job: Job) -> Plan:
    """Decide what to train; nothing is switched without saying so."""
    advice, training = job.result("recommend"), job.study.file.training
    if training.strategy == "auto":
        strategy, note = advice.trainable, advice.why_trainable
    else:
        strategy = training.strategy
        note = (
            f"The study file asks for {strategy} fusion; {advice.strategy} fusion was recommended."
            if strategy != advice.strategy
            else ""
        )
    masking = advice.maskings[strategy] if training.masking == "auto" else training.masking
    return Plan(strategy, None if masking == "none" else masking, note)


def settings_of(plan: Plan, job: Job) -> dict[str, Any]:
    """Return what the study file sets of a strategy's own parameters."""
    training = job.study.file.training
    given = {name: getattr(training, name) for name in SETTINGS[plan.strategy]}
    return {name: value for name, value in given.items() if value is not None}


def make_estimator(plan: Plan, job: Job) -> Any:
    """Return the unfitted estimator of a plan."""
    from fusewise import fusion

    training, task = job.study.file.training, job.result("data").task
    if plan.strategy == "presence":
        kind = "Regressor" if task == "regression" else "Classifier"
        return getattr(fusion, f"PresenceOnly{kind}")(random_state=training.seed)
    # Through the recommendation, so that a study and a script build the same estimator.
    advice = replace(
        job.result("recommend"),
        trainable=plan.strategy,
        maskings={plan.strategy: plan.masking},
    )
    return advice.estimator(random_state=training.seed, task=task, **settings_of(plan, job))


class BestSingle:
    """Late fusion restricted to the one expert that does best on the training rows.

    Which one is decided by the out-of-fold scores of the experts, never by test rows. Samples
    that lack its modality are not answerable, and so are abstained from.

    Parameters
    ----------
    late : fitted late fusion estimator
    members : tuple of str
        The modality that it is left; several where they share an expert.
    """

    def __init__(self, late: Any, members: tuple[str, ...]) -> None:
        self.late = late
        self.members = members
        if hasattr(late, "classes_"):
            self.classes_ = late.classes_
            self.predict_proba = self._predict_proba

    @property
    def name(self) -> str:
        """What the baseline is called."""
        kind = "modality" if len(self.members) == 1 else "group"
        return f"best single {kind} ({pattern_label(self.members)})"

    @classmethod
    def of(cls, late: Any, train: MultimodalDataset) -> BestSingle | None:
        """Choose the expert that lowers the loss most over all training samples.

        Experts are scored out of fold on the samples that have their modality, so the losses of a
        rare and of a common one stand on different people. Compared is the mean gain over the
        whole training set where a sample without the modality gets the prevalence (for regression
        the mean), that is: share of samples that have it, times the loss of the constant
        prediction among these minus the expert's.

        Returns None where there is nothing to choose from.
        """
        scores = late.expert_scores_
        if len(scores) < 2 or train.target is None:
            return None
        gains = {}
        for members, loss in zip(scores["modality"], scores["loss"], strict=True):
            names = tuple(sorted(parse_pattern(members)))
            has = train.only(*names).presence.any(axis=1)
            constant = _constant_loss(train.target[has], regression=train.task == "regression")
            gains[names] = has.mean() * (constant - loss)
        return cls(late, max(sorted(gains), key=gains.__getitem__))

    def _predict_proba(self, X: MultimodalDataset) -> Any:
        """Probabilities from the one modality."""
        return self.late.predict_proba(X.only(*self.members))

    def predict(self, X: MultimodalDataset) -> Any:
        """Predictions from the one modality."""
        return self.late.predict(X.only(*self.members))

    def answerable(self, X: MultimodalDataset) -> Any:
        """Which samples have the modality."""
        return self.late.answerable(X.only(*self.members))


def _constant_loss(target: Any, *, regression: bool) -> float:
    """Loss of the best constant: squared error of the mean, or log loss of the prevalence."""
    if regression:
        return float(np.var(np.asarray(target, dtype=float)))
    shares = np.unique(target, return_counts=True)[1] / len(target)
    return float(-(shares * np.log(shares)).sum())
