"""Redundancy as a reason: which modality can stand in for which. No rule reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from fusewise.profile import DeploymentProfile, most_alike

# By convention, as for a correlation: half of what the two span is common to both.
REDUNDANT = 0.5


@dataclass(frozen=True)
class Alike:
    """The pair that is alike with the most certainty; `rare` is less often available."""

    rare: str
    common: str
    value: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, profile: DeploymentProfile) -> Self | None:
        """Return the pair of a profile, or None where no pair was measured."""
        found = most_alike(profile.redundancy)
        if found is None:
            return None
        column = "rate" if profile.source != "none" else "rate_train"
        rates = profile.availability.set_index("modality")[column]
        rare, common = sorted((found["modality"], found["other"]), key=lambda m: (rates[m], m))
        value, low, high = (float(found[name]) for name in ("cka", "low", "high"))
        return cls(rare, common, value, low, high, int(found["n"]))


def words_on(alike: Alike) -> str:
    """Say what is alike, or that nothing is shown to be."""
    value, low, high = map(_two_digits, (alike.value, alike.low, alike.high))
    measured = f"debiased CKA {value} [{low}, {high}], n {alike.n:,}"
    if alike.low >= REDUNDANT:
        return (
            f"{alike.rare} and {alike.common} say much of the same ({measured}): where "
            f"{alike.rare} is absent, {alike.common} can stand in for much of it."
        )
    return (
        "No two modalities are shown to say much of the same; the most alike are "
        f"{alike.rare} and {alike.common} ({measured})."
    )


def _two_digits(value: float) -> str:
    text = f"{value:.2f}"
    return "0.00" if float(text) == 0 else text
