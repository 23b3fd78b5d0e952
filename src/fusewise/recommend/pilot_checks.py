"""What a pilot is asked for, checked before anything is drawn or fitted."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fusewise.data import MultimodalDataset
from fusewise.exceptions import PilotError, did_you_mean
from fusewise.profile import DeploymentProfile
from fusewise.recommend.matrix import STRATEGIES


def check_pilot(
    train: Any,
    profile: Any,
    folds: Any,
    max_samples: Any,
    seconds: Any,
    absent: Any,
    random_state: Any,
) -> None:
    """Raise where an argument cannot be used."""
    if not isinstance(train, MultimodalDataset):
        raise PilotError(
            f"pilot: expected a MultimodalDataset of training rows, got {type(train).__name__}."
        )
    if not isinstance(profile, DeploymentProfile):
        raise PilotError(
            f"pilot: expected a DeploymentProfile, got {type(profile).__name__}. Call "
            "profile(train, deployment) first."
        )
    if train.target is None or train.task is None:
        raise PilotError("pilot: the dataset has no target. Name target= when it is built.")
    if set(train.modalities) != set(profile.modalities):
        raise PilotError(
            f"pilot: the rows have the modalities {', '.join(sorted(train.modalities))}, the "
            f"profile {', '.join(sorted(profile.modalities))}. Profile these rows."
        )
    for name, value, least in (("folds", folds, 2), ("max_samples", max_samples, 1)):
        if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
            raise PilotError(f"pilot: {name} is a whole number from {least}, got {value!r}.")
    if isinstance(random_state, bool) or not isinstance(random_state, numbers.Integral):
        raise PilotError(f"pilot: random_state is a whole number, got {random_state!r}.")
    positive = isinstance(seconds, numbers.Real) and 0 < float(seconds) < math.inf
    if seconds is not None and not positive:
        raise PilotError(f"pilot: seconds is a positive number or None, got {seconds!r}.")
    for rate in absent if absent is not None else ():
        if not isinstance(rate, numbers.Real) or not 0 <= float(rate) < 1:
            raise PilotError(
                f"pilot: absent holds shares of the modality list from 0 to below 1, got {rate!r}."
            )


def check_candidates(
    strategies: Sequence[str] | None, reference: str, excluded: Mapping[str, str]
) -> list[str]:
    """Return the candidates, the matrix's strategy first."""
    if isinstance(strategies, str):
        raise PilotError(f"pilot: strategies is a list of names, got {strategies!r}.")
    if strategies is None:
        strategies = [s for s in STRATEGIES if s not in excluded]
    for name in strategies:
        if name not in STRATEGIES:
            raise PilotError(
                f"pilot: no strategy {name!r}; there are {', '.join(STRATEGIES)}."
                f"{did_you_mean(str(name), STRATEGIES)}"
            )
        if name in excluded and name != reference:
            raise PilotError(f"pilot: {name} fusion is ruled out: {excluded[name]}")
    asked = {reference, *strategies}
    if len(asked) < 2:
        raise PilotError(
            f"pilot: {reference} fusion is the matrix's answer, and no other candidate is left to "
            "hold against it."
        )
    return [reference, *(s for s in STRATEGIES if s in asked and s != reference)]


def check_asked(requirements: Iterable[Any], train: MultimodalDataset) -> list[Any]:
    """Return the requirements, checked against the rows."""
    asked = list(requirements)
    if not asked:
        return []
    from fusewise.evaluate import check_requirements

    return [r for r, _ in check_requirements(asked, train.modalities, train.task)]
