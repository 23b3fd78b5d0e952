"""Which modality masking each strategy should train with."""

from __future__ import annotations

from fusewise.recommend.facts import Facts
from fusewise.recommend.matrix import STRATEGIES

LEARNED_BY_EPOCH = ("intermediate", "attention")


def maskings(facts: Facts) -> dict[str, str | None]:
    """Return the masking to train each strategy with, None for none.

    Late fusion needs none: its experts never see another modality's absence. For the others:

    - deployment unknown (or its joint patterns are): ``uniform``, which draws every number of
      absent modalities alike; strategies that learn by epochs take ``curriculum``, which ramps up
      to the same range. There is no rate to match.
    - deployment known and everything always present, or declared to look like training: none.
      Nothing is absent, or the training rows show that absence already.
    - deployment known otherwise: ``deployment``, which removes with 1 - q/p.
    """
    return {strategy: _masking(strategy, facts) for strategy in STRATEGIES}


def _masking(strategy: str, facts: Facts) -> str | None:
    if strategy == "late":
        return None
    if not facts.known or not facts.joint:
        return "curriculum" if strategy in LEARNED_BY_EPOCH else "uniform"
    if facts.source == "training" or facts.complete_share >= 1:
        return None
    return "deployment"
