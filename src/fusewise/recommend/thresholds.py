"""The thresholds of the decision, with their defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from fusewise.exceptions import DeploymentError, did_you_mean


@dataclass(frozen=True)
class Thresholds:
    """Where a measured fact begins to count. Conventions, not laws: see their sensitivity.

    Parameters
    ----------
    availability : float, default 0.90
        A modality is nearly always present when the lower limit of its rate in deployment reaches
        this. Complete-case thinking fails long before: five modalities at 0.90 leave 59 % complete.
    dimension_gap : float, default 100
        Ratio of the widest to the narrowest modality from which columns that are joined drown the
        narrow one: two orders of magnitude.
    samples_per_dimension : float, default 10
        Samples per effective dimension of the joined features that early fusion needs: the usual
        ten events per variable, on what the features really span.

    Examples
    --------
    >>> Thresholds.of({"availability": 0.95}).availability
    0.95
    """

    availability: float = 0.90
    dimension_gap: float = 100.0
    samples_per_dimension: float = 10.0

    @classmethod
    def of(cls, given: Any) -> Self:
        """Return thresholds from None (the defaults), thresholds, or a dict of changed ones."""
        if given is None:
            return cls().checked()
        if isinstance(given, cls):
            return given.checked()
        if not isinstance(given, Mapping):
            raise DeploymentError(
                f"thresholds: expected a dict or Thresholds, got {type(given).__name__}."
            )
        known = [f.name for f in fields(cls)]
        for name, value in given.items():
            if name not in known:
                raise DeploymentError(
                    f"thresholds: unknown {name!r}; there are {', '.join(known)}."
                    f"{did_you_mean(name, known)}"
                )
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise DeploymentError(f"thresholds: {name} must be a number, got {value!r}.")
        return cls(**{name: float(value) for name, value in given.items()}).checked()

    def moved(self, **factors: float) -> Self:
        """Return thresholds multiplied by factors.

        For availability it is the tolerated absence that is multiplied (0.10 becomes 0.08 or
        0.12): a rate threshold of 0.90 times 1.2 could be met by nothing.
        """
        changes = {}
        for name, factor in factors.items():
            value = getattr(self, name)
            changes[name] = 1 - (1 - value) * factor if name == "availability" else value * factor
        return replace(self, **changes)

    def to_dict(self) -> dict[str, float]:
        """Return the thresholds by name."""
        return asdict(self)

    def checked(self) -> Self:
        """Return the thresholds, or raise where one cannot be used."""
        if not 0 < self.availability < 1:
            raise DeploymentError(
                f"thresholds: availability must lie between 0 and 1, got {self.availability!r}."
            )
        for name in ("dimension_gap", "samples_per_dimension"):
            if not getattr(self, name) > 0:
                raise DeploymentError(
                    f"thresholds: {name} must be positive, got {getattr(self, name)!r}."
                )
        return self
