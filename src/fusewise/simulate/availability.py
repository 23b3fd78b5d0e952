"""Availability with a known law: at random, by other values, by own values, by the target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from scipy.special import expit, log_expit

from fusewise.data import parse_pattern, pattern_label
from fusewise.exceptions import DatasetError, UnknownModalityError, did_you_mean
from fusewise.simulate.calibration import BoolArray, PresenceModel, calibrate

if TYPE_CHECKING:
    from fusewise.simulate.design import Design
    from fusewise.simulate.signal import Array, Source

Mechanism: TypeAlias = Literal["mcar", "mar", "mnar", "informative"]
MECHANISMS = ("mcar", "mar", "mnar", "informative")

_REFERENCE = 1 << 15
_MOST_ENUMERATED = 10


@dataclass(frozen=True)
class Availability:
    """How often a modality is present, and what its presence depends on.

    Presence is drawn with log-odds ``intercept + strength * driver``; the intercept is chosen so
    that the expected rate is `rate`. Rubin (1976) names the first three mechanisms.

    Parameters
    ----------
    rate : float
        Expected share of samples that have the modality.
    mechanism : {"mcar", "mar", "mnar", "informative"}
        The driver: ``mcar`` nothing; ``mar`` the observed score of `depends_on`, a modality that
        is always present; ``mnar`` the modality's own score, observed or not; ``informative``
        the target.
    depends_on : str, optional
        The modality that drives ``mar``; the first that is always present where not given.
    strength : float
        Change of the log-odds per standard deviation of the driver. Above zero, a high score
        makes presence more likely.

    Examples
    --------
    >>> Availability(0.3, "informative")
    Availability(rate=0.3, mechanism='informative', depends_on=None, strength=2.0)
    """

    rate: float
    mechanism: Mechanism = "mcar"
    depends_on: str | None = None
    strength: float = 2.0

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= 1:
            raise DatasetError(f"Availability: rate must be from 0 to 1, got {self.rate!r}.")
        if self.mechanism not in MECHANISMS:
            raise DatasetError(
                f"Availability: mechanism must be one of {', '.join(MECHANISMS)}, "
                f"got {self.mechanism!r}."
            )
        if not np.isfinite(self.strength):
            raise DatasetError(f"Availability: strength must be finite, got {self.strength!r}.")
        if self.depends_on is not None and self.mechanism != "mar":
            raise DatasetError(
                f"Availability: depends_on is for mechanism 'mar', got {self.mechanism!r}."
            )


@dataclass(frozen=True)
class Regime:
    """The law of presence in one population, calibrated.

    Attributes
    ----------
    names : tuple of str
    parts : tuple of Availability
        One per modality; of joint patterns: their marginal rates.
    model : PresenceModel or None
        None where `patterns` are drawn.
    centre, spread : float arrays (M + 1,)
        What standardises the scores, and last the target.
    patterns : (K, M) bool array
        Patterns that can occur; with a model, those of the enumeration.
    weights : (K,) array
        Their true weights.
    """

    names: tuple[str, ...]
    parts: tuple[Availability, ...]
    model: PresenceModel | None
    centre: Array
    spread: Array
    patterns: BoolArray
    weights: Array

    def _drivers(self, target: Array, scores: Array) -> Array:
        """Return what presence depends on (n, M), standardised."""
        everything = (np.column_stack([scores, target]) - self.centre) / self.spread
        drivers = np.zeros(scores.shape)
        for m, part in enumerate(self.parts):
            if part.mechanism == "mar":
                drivers[:, m] = everything[:, self.names.index(str(part.depends_on))]
            elif part.mechanism != "mcar":
                drivers[:, m] = everything[:, m if part.mechanism == "mnar" else -1]
        return drivers

    def draw(self, target: Array, scores: Array, seed: np.random.SeedSequence) -> BoolArray:
        """Draw presence (n, M) for targets (n,) and scores (n, M)."""
        rng = np.random.default_rng(seed)
        if self.model is None:
            return self.patterns[rng.choice(len(self.weights), size=len(target), p=self.weights)]
        natural = np.ones(scores.shape, dtype=bool)
        return self.model.draw(self._drivers(target, scores), natural, rng)

    @property
    def ignorable(self) -> bool:
        """Whether presence tells nothing about the target beyond the values that are present."""
        return self.model is None or all(p.mechanism in ("mcar", "mar") for p in self.parts)

    def log_presence(
        self, source: Source, score: Array, present: BoolArray, shown: Array, states: Array
    ) -> tuple[Array, Array]:
        """Return two log-probabilities (n, S) of one modality, given what it shows in each state.

        The first is that of the presence drawn (before anything is restored), the second that of
        drawing it absent; both also given the observed score where it is present.
        """
        assert self.model is not None
        m = self.names.index(source.name)
        part = self.parts[m]
        base, slope = self.model.intercepts[m], self.model.strengths[m]
        shape = (len(present), len(states))
        if part.mechanism == "informative":
            logit = base + slope * (states - self.centre[-1]) / self.spread[-1]
            there, away = (np.broadcast_to(log_expit(sign * logit), shape) for sign in (1, -1))
            return np.where(present[:, None], there, away), away
        if part.mechanism != "mnar":
            # Ignorable: the same in every state. (MAR needs an always-present modality, so that
            # nothing is ever restored beside it.)
            there, away = (np.full(shape, log_expit(sign * base)) for sign in (1, -1))
            return np.where(present[:, None], there, away), away
        mean, levels, weights = source.score_law(shown)
        node, node_weight = np.polynomial.hermite_e.hermegauss(80)
        score_at = mean[:, None, None] + levels[:, None] * node
        logit = base + slope * (score_at - self.centre[m]) / self.spread[m]
        with np.errstate(divide="ignore"):
            away_mean = np.log(expit(-logit) @ (node_weight / node_weight.sum()) @ weights)
        logit = base + slope * (np.where(present, score, 0.0) - self.centre[m]) / self.spread[m]
        away = np.where(present[:, None], log_expit(-logit)[:, None], away_mean)
        return np.where(present[:, None], log_expit(logit)[:, None], away_mean), away


def as_availability(given: Any, names: Sequence[str], what: str) -> dict[str, Availability]:
    """Return one `Availability` per modality from a rate, or a mapping of rates or mechanisms."""
    if given is None:
        given = {}
    if isinstance(given, int | float | Availability):
        given = dict.fromkeys(names, given)
    if not isinstance(given, Mapping):
        raise DatasetError(
            f"{what}: expected a rate, an Availability, a mapping from modality to one of them, or "
            f"{{'patterns': {{...}}}}, got {type(given).__name__}."
        )
    known = {name: Availability(1.0) for name in names}
    for name, part in given.items():
        if name not in known:
            raise UnknownModalityError(
                f"{what}: there is no modality {name!r}; there are {', '.join(names)}."
                + did_you_mean(name, names)
            )
        known[name] = part if isinstance(part, Availability) else Availability(float(part))
    always = [name for name, part in known.items() if part.rate == 1]
    for name, part in known.items():
        if part.mechanism != "mar" or part.rate == 1:
            continue
        driver = part.depends_on or next(iter(always), None)
        if driver not in always:
            raise DatasetError(
                f"{what}: {name!r} is MAR, so it must depend on a modality that is always present; "
                f"got {driver!r}, and {', '.join(always) or 'none'} always is."
            )
        known[name] = Availability(part.rate, "mar", driver, part.strength)
    return known


def pattern_matrix(
    patterns: Mapping[str, float], names: Sequence[str], what: str
) -> tuple[BoolArray, Array]:
    """Return patterns (K, M) and weights (K,) that sum to one from labels and weights."""
    rows, weights = [], []
    for label, weight in patterns.items():
        present = parse_pattern(label)
        for name in present - set(names):
            raise UnknownModalityError(
                f"{what}: pattern {label!r} names {name!r}; there are {', '.join(names)}."
                + did_you_mean(name, names)
            )
        if not (np.isfinite(weight) and weight >= 0):
            raise DatasetError(f"{what}: the weight of {label!r} must be 0 or more, got {weight}.")
        rows.append([name in present for name in names])
        weights.append(float(weight))
    if not sum(weights) > 0:
        raise DatasetError(f"{what}: no pattern has a weight above 0.")
    return np.array(rows, dtype=bool), np.array(weights) / sum(weights)


def make_regime(
    design: Design, given: Any, *, keep_one: bool, seed: np.random.SeedSequence, what: str
) -> Regime:
    """Return the calibrated law of presence that `given` describes."""
    names = design.names
    if isinstance(given, Mapping) and set(given) == {"patterns"}:
        patterns, weights = pattern_matrix(given["patterns"], names, what)
        if keep_one and weights[~patterns.any(axis=1)].sum() > 0:
            raise DatasetError(
                f"{what}: a pattern without any modality has weight; give keep_one=False if "
                "samples may be empty."
            )
        parts = tuple(Availability(float(rate)) for rate in weights @ patterns)
        flat = np.zeros(len(names) + 1)
        return Regime(names, parts, None, flat, flat + 1, patterns, weights)
    parts = tuple(as_availability(given, names, what).values())
    rates = np.array([part.rate for part in parts])
    if keep_one and rates.sum() <= 1 and not (rates == 1).any():
        raise DatasetError(
            f"{what}: rates that sum to {rates.sum():.3g} leave samples without any modality; "
            "raise them, give keep_one=False, or declare joint patterns."
        )
    target, scores = design.draw_scores(_REFERENCE, seed)
    everything = np.column_stack([scores, target])
    none = np.zeros((0, len(names)), dtype=bool)
    spread = np.maximum(everything.std(axis=0), 1e-12)
    draft = Regime(names, parts, None, everything.mean(axis=0), spread, none, np.zeros(0))
    drivers = draft._drivers(target, scores)  # noqa: SLF001 - a draft of itself
    if all(part.mechanism == "mcar" for part in parts):
        drivers = drivers[:1]
    natural = np.ones(drivers.shape, dtype=bool)
    strengths = np.array([0.0 if p.mechanism == "mcar" else p.strength for p in parts])
    model, _ = calibrate(drivers, strengths, rates, natural, keep_one=keep_one)
    patterns, weights = _true_patterns(model, drivers)
    return Regime(names, parts, model, draft.centre, draft.spread, patterns, weights)


def _true_patterns(model: PresenceModel, drivers: Array) -> tuple[BoolArray, Array]:
    """Return patterns and their expected weights over the reference population.

    Exact where presence depends on nothing. Above ten modalities, counted in one large draw.
    """
    n, width = drivers.shape
    natural = np.ones((n, width), dtype=bool)
    if width > _MOST_ENUMERATED:
        rows = np.resize(np.arange(n), _REFERENCE)
        drawn = model.draw(drivers[rows], natural[rows], np.random.default_rng(0))
        patterns, counts = np.unique(drawn, axis=0, return_counts=True)
        return patterns, counts / counts.sum()
    kept = model.kept(drivers, natural)
    patterns = np.array(list(product([False, True], repeat=width)), dtype=bool)
    weights = np.array([np.where(row, kept, 1 - kept).prod(axis=1).mean() for row in patterns])
    if model.keep_one:
        empty, weights[0] = weights[0], 0.0
        for m in range(width):
            weights[1 << (width - 1 - m)] += empty * model.restored(natural[:1])[0, m]
    used = weights > 1e-12
    return patterns[used], weights[used] / weights[used].sum()


def pattern_weights(regime: Regime) -> dict[str, float]:
    """Return the true weight of each pattern of a regime, by label."""
    names = np.array(regime.names)
    return {
        pattern_label(names[row]): float(weight)
        for row, weight in zip(regime.patterns, regime.weights, strict=True)
    }
