"""The deployment as declared or observed: how often each modality will be there."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from fusewise.data.presence import EMPTY_PATTERN, parse_pattern, pattern_codes, pattern_label
from fusewise.data.request_log import count_requests
from fusewise.data.request_window import KEYS
from fusewise.data.result import Result
from fusewise.exceptions import DeploymentError, did_you_mean

BoolArray = npt.NDArray[np.bool_]

SOURCES = ("observed", "rates", "patterns", "training", "none")
_CHOICES = {
    "cohort": ("open", "controlled"),
    "timing": ("yes", "no", "unknown"),
    "interaction": ("yes", "no", "unknown"),
    "interpretability": ("required", "preferred", "none"),
}
# Beyond this many uncertain modalities the joint patterns of independent rates are too many to
# list (2^12 = 4096), and most would never be met.
_MAX_INDEPENDENT = 12


@dataclass(frozen=True, eq=False)
class Deployment(Result):
    """What is known of the deployment: availability, and facts that the user declares.

    Availability comes from one source: a log of past requests (``counts``), ``rates`` per
    modality, joint ``patterns`` with weights, or the statement that it looks like ``training``.
    Without one, ``source`` is ``none`` and availability counts as unknown.

    Parameters
    ----------
    source : {"observed", "rates", "patterns", "training", "none"}
    counts : dict of str to int, optional
        The log of requests, reduced to how often each pattern came.
    rates : dict of str to float, optional
        Probability that each modality is present; one that is not named is always there.
    patterns : dict of str to float, optional
        Weight of each joint pattern, e.g. ``{"ehr+imaging": 0.2, "ehr": 0.8}``.
    cohort : {"open", "controlled"}
    synchronised : bool
        Whether the modalities arrive together.
    timing, interaction : {"yes", "no", "unknown"}
        Whether timing, and whether cross-modal interaction, carries signal. Unknown is no yes.
    interpretability : {"required", "preferred", "none"}
    validation : tuple of str
        Evaluation cohorts that exist.
    latency_ms, memory_mb : float, optional
        Limits in use.
    requests : dict, optional
        Which part of the log was counted: ``since``, ``until``, ``time``, ``where``, and how many
        requests were ``used`` and ``left_out``; None where the whole log was.

    Examples
    --------
    >>> Deployment.of({"liver": 0.5, "cardiac": 0.3}).source
    'rates'
    >>> deployment = Deployment.of({"ehr": 3, "ehr+imaging": 1})
    >>> deployment.pattern_weights(["ehr", "imaging"])[frozenset({"ehr"})]
    0.75
    """

    source: str = "none"
    counts: dict[str, int] | None = None
    rates: dict[str, float] | None = None
    patterns: dict[str, float] | None = None
    cohort: str = "open"
    synchronised: bool = False
    timing: str = "unknown"
    interaction: str = "unknown"
    interpretability: str = "preferred"
    validation: tuple[str, ...] = ()
    latency_ms: float | None = None
    memory_mb: float | None = None
    requests: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise DeploymentError(
                f"deployment: source must be one of {', '.join(SOURCES)}, got {self.source!r}."
            )
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise DeploymentError(
                    f"deployment: {name} must be one of {', '.join(choices)}, got "
                    f"{getattr(self, name)!r}."
                )
        for name, rate in (self.rates or {}).items():
            if not _is_number(rate) or not 0 <= rate <= 1:
                raise DeploymentError(
                    f"deployment: the rate of {name!r} must lie between 0 and 1 (the probability "
                    f"that it is present), got {rate!r}."
                )
        for table in (self.patterns, self.counts):
            _check_weights(table)
        given = {"observed": self.counts, "rates": self.rates, "patterns": self.patterns}
        for source, table in given.items():
            if (table is not None) != (source == self.source):
                raise DeploymentError(
                    f"deployment: source is {self.source!r}, but "
                    f"{'counts' if source == 'observed' else source} "
                    f"{'is not given' if table is None else 'is given as well'}. "
                    "Build it with Deployment.of()."
                )

    @classmethod
    def of(cls, given: Any) -> Self:
        """Return a deployment from what a user declares.

        Parameters
        ----------
        given : None, Deployment, "training", path, table, or dict
            A path or a table (pandas, polars, Arrow, Ibis) is the log of past requests. A dict
            holds rates by modality (``{"liver": 0.5}``), weights of joint patterns where a name
            in it joins several (``{"ehr+imaging": 1, "ehr": 4}``), or the keys of this class
            with one of ``observed`` (a log of requests, or the word ``training``), ``rates`` and
            ``patterns``. Beside a log, ``since`` and ``until`` (on its column ``time``) and
            ``where`` (``{"site": ["A", "B"]}``) take a part of it.
        """
        if isinstance(given, cls):
            return given
        if given is None:
            return cls()
        if isinstance(given, str):
            if given in ("training", "none"):
                return cls(source=given)
            given = {"observed": given}
        elif not isinstance(given, Mapping):
            if not _is_log(given):
                raise DeploymentError(
                    "deployment: expected a dict of rates ({'liver': 0.5}), a dict of patterns "
                    "({'ehr+imaging': 1, 'ehr': 4}), a dict with the keys of the section "
                    "`deployment`, a log of requests (a path, a pandas, polars, Arrow or Ibis "
                    f"table), 'training', a Deployment or None, got {type(given).__name__}."
                )
            given = {"observed": given}
        facts = {f.name for f in fields(cls)} | {"observed", *KEYS}
        if given and not facts & set(given) and all(_is_number(v) for v in given.values()):
            joint = any("+" in str(k) or k == EMPTY_PATTERN for k in given)
            given = {"patterns" if joint else "rates": dict(given)}
        unknown = [k for k in given if k not in facts]
        if unknown:
            hint = did_you_mean(unknown[0], facts)
            if _is_number(given[unknown[0]]):
                hint = f" A rate beside other facts stands under rates: {{{unknown[0]!r}: ...}}."
            raise DeploymentError(f"deployment: unknown key {unknown[0]!r}.{hint}")
        window = {k: given[k] for k in KEYS if given.get(k) is not None}
        values = {k: v for k, v in given.items() if v is not None and k not in ("observed", *KEYS)}
        sources = [k for k in ("observed", "rates", "patterns") if given.get(k) is not None]
        if len(sources) > 1:
            raise DeploymentError(
                f"deployment: availability is declared twice, by {' and by '.join(sources)}. "
                "Keep one."
            )
        observed = given.get("observed")
        if window and (observed is None or (isinstance(observed, str) and observed == "training")):
            raise DeploymentError(
                f"deployment: {', '.join(window)} takes a part of a log of requests, but there is "
                "none. Name the log by observed=."
            )
        if isinstance(observed, str) and observed == "training":
            values["source"] = "training"
        elif observed is not None:
            counts, requests = count_requests(observed, window)
            values |= {"source": "observed", "counts": counts, "requests": requests}
        elif sources:
            values["source"] = sources[0]
        if "validation" in values:
            names = values["validation"]
            if isinstance(names, Mapping):
                names = names.get("cohorts") or ()
            values["validation"] = tuple([names] if isinstance(names, str) else names)
        for name in ("rates", "patterns"):
            if name in values:
                values[name] = {str(k): v for k, v in values[name].items()}
        if values.get("patterns"):
            values["patterns"] = _joined_labels(values["patterns"])
        return cls(**values)

    @property
    def n_requests(self) -> int | None:
        """Number of requests in the log; None where availability was not observed."""
        return None if self.counts is None else sum(self.counts.values())

    def check_modalities(self, modalities: Sequence[str]) -> None:
        """Raise where the declaration names a modality that is not among `modalities`."""
        named: set[str] = set(self.rates or ())
        for table in (self.patterns, self.counts):
            named.update(*(parse_pattern(label) for label in table or ()))
        for name in sorted(named):
            if name not in modalities:
                raise DeploymentError(
                    f"deployment: no modality {name!r}; there are {', '.join(modalities)}."
                    f"{did_you_mean(name, modalities)}"
                )

    def pattern_weights(
        self, modalities: Sequence[str], train_presence: BoolArray | None = None
    ) -> dict[frozenset[str], float] | None:
        """Return the probability of each non-empty joint pattern, or None where it is unknown.

        Declared rates say nothing of how absences go together: they are taken as independent.
        Requests without any modality are left out, since nothing can be predicted for them.

        Parameters
        ----------
        modalities : sequence of str
        train_presence : bool array (n_samples, n_modalities), optional
            Presence in the training rows, for the source ``training``.
        """
        self.check_modalities(modalities)
        weights: dict[frozenset[str], float] = {}
        if self.source == "training":
            if train_presence is None:
                return None
            distinct, codes = pattern_codes(np.asarray(train_presence, dtype=bool))
            names = np.array(modalities, dtype=object)
            for row, count in zip(distinct, np.bincount(codes), strict=True):
                weights[frozenset(names[row])] = float(count)
        elif self.counts is not None or self.patterns is not None:
            table: Mapping[str, float] = self.counts or self.patterns or {}
            weights = {parse_pattern(label): float(w) for label, w in table.items()}
        elif self.rates is not None:
            weights = _independent(self.rates, modalities)
        else:
            return None
        weights.pop(frozenset(), None)
        total = sum(weights.values())
        if total <= 0:
            raise DeploymentError("deployment: no modality is ever present in it.")
        return {pattern: w / total for pattern, w in weights.items() if w > 0}


def _independent(
    rates: Mapping[str, float], modalities: Sequence[str]
) -> dict[frozenset[str], float]:
    certain = [m for m in modalities if rates.get(m, 1.0) >= 1]
    uncertain = [m for m in modalities if 0 < rates.get(m, 1.0) < 1]
    if len(uncertain) > _MAX_INDEPENDENT:
        raise DeploymentError(
            f"deployment: rates of {len(uncertain)} uncertain modalities give 2^{len(uncertain)} "
            "joint patterns. Declare patterns:, or a log of requests as observed:."
        )
    weights = {}
    for present in itertools.product((True, False), repeat=len(uncertain)):
        pattern = frozenset([*certain, *itertools.compress(uncertain, present)])
        weights[pattern] = math.prod(
            rates[m] if p else 1 - rates[m] for m, p in zip(uncertain, present, strict=True)
        )
    return weights


def _joined_labels(patterns: Mapping[str, float]) -> dict[str, float]:
    """Write labels in their one way; ``a+b`` and ``b+a`` are one pattern, given twice."""
    joined: dict[str, float] = {}
    for given, weight in patterns.items():
        label = pattern_label(parse_pattern(given))
        if label in joined:
            raise DeploymentError(
                f"deployment: the pattern {label!r} is given twice. Keep one weight for it."
            )
        joined[label] = weight
    return joined


def _check_weights(table: Mapping[str, float] | None) -> None:
    if table is None:
        return
    for label, weight in table.items():
        if not _is_number(weight) or not 0 <= weight < math.inf:
            raise DeploymentError(
                f"deployment: the weight of pattern {label!r} must be a number that is not "
                f"negative, got {weight!r}."
            )
    if not any(w > 0 for k, w in table.items() if k != EMPTY_PATTERN):
        raise DeploymentError(
            "deployment: it holds no request with a modality. Give at least one pattern a weight."
        )


def _is_log(given: Any) -> bool:
    """Whether a value is a path or a table of any kind that is read."""
    known = isinstance(given, os.PathLike | pd.DataFrame | pa.Table | pa.RecordBatch)
    return known or hasattr(given, "to_arrow") or hasattr(given, "to_pyarrow")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)
