"""The few facts of a profile that the decision reads."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fusewise.data import EMPTY_PATTERN
from fusewise.profile import QUESTIONS, DeploymentProfile
from fusewise.recommend.apart import Apart
from fusewise.recommend.estimates import Estimate, estimates_of
from fusewise.recommend.redundancy import Alike

SIGNALS = tuple(QUESTIONS)


@dataclass(frozen=True)
class Rate:
    """Rate of one modality with its limits."""

    modality: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Signal:
    """What a probe measured: by how much the loss falls, with its interval, on n samples."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Facts:
    """What the rules ask about; changing one field asks "what if".

    Attributes
    ----------
    source : str
        Where availability in deployment is known from; ``none`` where it is not.
    rates : tuple of Rate
        In deployment, rarest first; where it is unknown, those of training, to be shown only.
    complete_share : float
        Share of requests with every modality; NaN where it is unknown.
    joint : bool
        Whether the joint patterns of the deployment are listed.
    widths : tuple of (str, int)
        Narrowest first, of the modalities that some training sample has.
    n_samples : int
    effective : float
        Sum of the effective dimensions. It bounds that of the joined features from above as long
        as the modalities are uncorrelated with one another.
    cadence_ratio : float
    cohort, interpretability : str
    timing, interaction : str
        As declared; measured where that is unknown.
    measured : dict of str to Signal
        What the probes found, by axis; also of an axis that was declared.
    declared : frozenset of str
        Those of the two that were declared.
    alike : Alike or None
        The pair of modalities that says the most of the same; to be shown only.
    apart : Apart or None
        The pair of event modalities with the longest lag; to be shown only.
    estimates : dict of str to dict of str to Estimate
        By strategy, what ``latency_ms`` and ``memory_mb`` are estimated to be.
    synchronised : bool
    validation : tuple of str
    latency_ms, memory_mb : float or None
    """

    source: str
    rates: tuple[Rate, ...]
    complete_share: float
    joint: bool
    widths: tuple[tuple[str, int], ...]
    n_samples: int
    effective: float
    cadence_ratio: float
    cohort: str
    synchronised: bool
    timing: str
    interaction: str
    interpretability: str
    validation: tuple[str, ...]
    latency_ms: float | None
    memory_mb: float | None
    measured: Mapping[str, Signal] = field(default_factory=dict)
    declared: frozenset[str] = frozenset()
    alike: Alike | None = None
    apart: Apart | None = None
    estimates: Mapping[str, Mapping[str, Estimate]] = field(default_factory=dict)

    @classmethod
    def of(cls, profile: DeploymentProfile) -> Facts:
        """Read the facts of a profile."""
        known = profile.source != "none"
        names = ("rate", "low", "high") if known else ("rate_train", "low_train", "high_train")
        rates = [
            Rate(str(row["modality"]), *(float(row[name]) for name in names))
            for row in profile.availability.to_dict("records")
        ]
        dimensions = profile.dimensions[profile.dimensions["n"] > 0]
        complete = profile.complete_case
        share = complete.loc[complete["population"] == "deployment", "share"]
        declared: dict[str, Any] = {**profile.deployment}
        declared.pop("requests", None)
        declared["validation"] = tuple(declared.get("validation") or ())
        told = frozenset(a for a in SIGNALS if declared.get(a) not in (None, "unknown"))
        declared |= {axis: profile.carries_signal(axis) for axis in SIGNALS}
        probes = {axis: probe for axis in SIGNALS if (probe := profile.probe(axis))}
        return cls(
            source=profile.source,
            rates=tuple(sorted(rates, key=lambda rate: (rate.low, rate.value, rate.modality))),
            complete_share=float(share.iloc[0]) if len(share) else math.nan,
            joint=bool(profile.patterns["share_deployment"].notna().any()),
            widths=tuple(
                sorted(
                    zip(dimensions["modality"], map(int, dimensions["width"]), strict=True),
                    key=lambda pair: (pair[1], pair[0]),
                )
            ),
            n_samples=profile.n_samples,
            effective=float(dimensions["effective"].sum(skipna=False)),
            cadence_ratio=profile.cadence_ratio,
            measured={
                axis: Signal(p["effect"], p["low"], p["high"], int(p["n"]))
                for axis, p in probes.items()
            },
            declared=told,
            alike=Alike.of(profile),
            apart=Apart.of(profile),
            estimates=estimates_of(profile),
            **declared,
        )

    @property
    def known(self) -> bool:
        """Whether availability in deployment is known."""
        return self.source != "none"

    @property
    def dimension_ratio(self) -> float:
        """Widest over narrowest modality; 1 where there is nothing to compare."""
        widths = [width for _, width in self.widths if width > 0]
        return widths[-1] / widths[0] if widths else 1.0

    @property
    def samples_per_dimension(self) -> float:
        """Samples per effective dimension; NaN where that could not be measured."""
        return self.n_samples / self.effective if self.effective > 0 else math.nan

    def below(self, threshold: float) -> tuple[Rate, ...]:
        """Modalities whose lower limit does not reach a threshold, rarest first."""
        return tuple(rate for rate in self.rates if rate.low < threshold)


def deployment_patterns(profile: DeploymentProfile) -> dict[str, float] | None:
    """Return the joint patterns in deployment with their weights.

    None where they are unknown or declared to be those of training. Requests without any modality are left out, as nothing can be trained for them.
    """
    if profile.source == "training":
        return None
    table = profile.patterns
    rows = table[(table["share_deployment"] > 0) & (table["pattern"] != EMPTY_PATTERN)]
    total = float(rows["share_deployment"].sum())
    if not total > 0:
        return None
    shares = (float(share) / total for share in rows["share_deployment"])
    return dict(zip(map(str, rows["pattern"]), shares, strict=True))
