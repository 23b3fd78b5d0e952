"""How far apart modalities come in time: evidence beside what is declared. No rule reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from fusewise.profile import DeploymentProfile, longest_lag, number


@dataclass(frozen=True)
class Apart:
    """The pair of event modalities that is apart the longest, of `n_pairs` with a lag."""

    modality: str
    other: str
    lag: float
    low: float
    high: float
    n: int
    n_pairs: int

    @classmethod
    def of(cls, profile: DeploymentProfile) -> Self | None:
        """Return the pair of a profile, or None where no pair was measured."""
        found = longest_lag(profile.asynchrony)
        if found is None:
            return None
        lag, low, high = (float(found[name]) for name in ("lag", "low", "high"))
        n_pairs = int(profile.asynchrony["low"].notna().sum())
        names = str(found["modality"]), str(found["other"])
        return cls(*names, lag, low, high, int(found["n"]), n_pairs)

    def __str__(self) -> str:
        return (
            f"when {self.modality} speaks, the latest event of {self.other} is {number(self.lag)} "
            f"time units old (median, {number(self.low)} to {number(self.high)}, n {self.n:,})"
        )


def evidence_of_lags(apart: Apart | None) -> str:
    """Return a sentence to be put after what is declared; empty where nothing was measured."""
    if apart is None:
        return ""
    if apart.low == apart.high == 0:
        return f" Measured: none of {apart.n_pairs:,} pairs of event modalities is apart in time."
    return f" Measured, the longest lag of {apart.n_pairs:,} pairs: {apart}."
