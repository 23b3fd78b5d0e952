"""How firmly the facts and the thresholds hold the recommendation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusewise.data import parse_pattern
from fusewise.profile import DeploymentProfile, wilson
from fusewise.recommend.facts import SIGNALS, Facts, Rate
from fusewise.recommend.matrix import decide
from fusewise.recommend.thresholds import Thresholds

FloatArray = npt.NDArray[np.float64]

MOVE = 0.2
# Of a 95 % interval half is so many standard errors.
Z = 1.96


def stability(
    profile: DeploymentProfile,
    facts: Facts,
    thresholds: Thresholds,
    excluded: Mapping[str, str],
    n_boot: int,
    rng: np.random.Generator,
) -> float:
    """Share of replicates that keep the strategy.

    A replicate resamples the counted requests (multinomial over their patterns, so that absences
    that go together stay together), draws each measured effect that answers a question anew (normal,
    with the standard error of its interval), and moves every threshold by its own uniform factor
    between 0.8 and 1.2. Widths, effective dimensions and declared facts are taken as they are.
    """
    now, _, _ = decide(facts, thresholds, excluded)
    names = list(thresholds.to_dict())
    factors = rng.uniform(1 - MOVE, 1 + MOVE, size=(n_boot, len(names)))
    resampled = _resampled_rates(profile, facts, n_boot, rng)
    draws = rng.standard_normal((n_boot, len(SIGNALS)))
    kept = 0
    for index in range(n_boot):
        moved = thresholds.moved(**dict(zip(names, factors[index].tolist(), strict=True)))
        replicate = facts if resampled is None else _with_rates(facts, resampled[:, index])
        replicate = _with_signals(replicate, draws[index])
        kept += decide(replicate, moved, excluded)[0] == now
    return kept / n_boot


def _resampled_rates(
    profile: DeploymentProfile, facts: Facts, n_boot: int, rng: np.random.Generator
) -> FloatArray | None:
    """Rates and limits (3, n_boot, n_modalities) of resampled requests; None without counts."""
    counts = profile.patterns["n_deployment"].fillna(0).to_numpy()
    if not counts.sum() > 0:
        return None
    present = [parse_pattern(label) for label in profile.patterns["pattern"]]
    presence = np.array([[r.modality in p for r in facts.rates] for p in present], dtype=float)
    total = int(counts.sum())
    draws = rng.multinomial(total, counts / counts.sum(), size=n_boot)
    have = draws @ presence
    return np.stack([have / total, *wilson(have, np.full_like(have, total))])


def _with_rates(facts: Facts, values: FloatArray) -> Facts:
    """Facts with other rates, in the same order of modalities."""
    rates = tuple(
        Rate(rate.modality, *column)
        for rate, column in zip(facts.rates, values.T.tolist(), strict=True)
    )
    return replace(facts, rates=rates)


def _with_signals(facts: Facts, draws: FloatArray) -> Facts:
    """Facts with measured effects drawn anew; declared answers stand."""
    answers: dict[str, Any] = {}
    for axis, draw in zip(SIGNALS, draws.tolist(), strict=True):
        found = facts.measured.get(axis)
        if found is None or axis in facts.declared:
            continue
        half = (found.high - found.low) / 2
        shown = found.value + draw * half / Z > half
        answers[axis] = "yes" if shown else "unknown"
    return replace(facts, **answers)


def sensitivity(facts: Facts, thresholds: Thresholds, excluded: Mapping[str, str]) -> pd.DataFrame:
    """Move each threshold alone by 20 % either way: ``threshold, value, moved_to, strategy``."""
    records = []
    for name, value in thresholds.to_dict().items():
        for factor in (1 - MOVE, 1 + MOVE):
            moved = thresholds.moved(**{name: factor})
            records.append(
                {
                    "threshold": name,
                    "value": value,
                    "moved_to": getattr(moved, name),
                    "strategy": decide(facts, moved, excluded)[0],
                }
            )
    return pd.DataFrame(records)
