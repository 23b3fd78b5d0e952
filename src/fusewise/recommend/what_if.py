"""The nearest changes of the facts that give another strategy, found by deciding again."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations

from fusewise.profile import number, share
from fusewise.recommend.facts import Facts, Rate
from fusewise.recommend.matrix import decide, holds
from fusewise.recommend.reasons import spell
from fusewise.recommend.thresholds import Thresholds

MAX_CHANGES = 3
MAX_SHOWN = 5

Exclude = Callable[[Facts], dict[str, str]]


@dataclass(frozen=True)
class Change:
    """One fact that could be otherwise: in words, and as the facts would then be."""

    words: str
    changed: Callable[[Facts], Facts]


def nearest_changes(facts: Facts, thresholds: Thresholds, exclude: Exclude) -> tuple[str, ...]:
    """Return the smallest sets of changes that give another strategy, fewest changes first.

    Every set of up to three changes is tried; one that contains a smaller set that already
    suffices is left out.
    """
    now, _, _ = decide(facts, thresholds, exclude(facts))
    changes = list(_changes(facts, thresholds))
    found: list[tuple[frozenset[int], str]] = []
    for size in range(1, MAX_CHANGES + 1):
        for chosen in combinations(range(len(changes)), size):
            if any(smaller <= set(chosen) for smaller, _ in found):
                continue
            other = facts
            for index in chosen:
                other = changes[index].changed(other)
            strategy, _, _ = decide(other, thresholds, exclude(other))
            if strategy != now:
                words = " and ".join(changes[index].words for index in chosen)
                found.append((frozenset(chosen), f"{strategy.capitalize()}, if {words}."))
    return tuple(text for _, text in found[:MAX_SHOWN])


def _changes(facts: Facts, thresholds: Thresholds) -> Iterator[Change]:
    yield _availability(facts, thresholds)
    yield _dimensions(facts, thresholds)
    other = "open" if facts.cohort == "controlled" else "controlled"
    yield Change(f"the cohort were {other}", lambda f: replace(f, cohort=other))
    if facts.effective > 0:
        yield _samples(facts, thresholds)
    timing = "no" if facts.timing == "yes" else "yes"
    negated = " no" if timing == "no" else ""
    yield Change(f"timing carried{negated} signal", lambda f: replace(f, timing=timing))
    interaction = "no" if facts.interaction == "yes" else "yes"
    verb = "did not interact" if interaction == "no" else "interacted"
    yield Change(f"modalities {verb}", lambda f: replace(f, interaction=interaction))
    if facts.validation:
        yield Change("there were no evaluation cohort", lambda f: replace(f, validation=()))
    else:
        yield Change(
            "an evaluation cohort were declared", lambda f: replace(f, validation=("declared",))
        )
    if facts.interpretability == "required":
        yield Change(
            "interpretability were not required",
            lambda f: replace(f, interpretability="preferred"),
        )
    else:
        yield Change(
            "interpretability were required", lambda f: replace(f, interpretability="required")
        )


def _availability(facts: Facts, thresholds: Thresholds) -> Change:
    limit = thresholds.availability
    below = facts.below(limit)
    if not facts.known:
        words = f"a log or declared rates showed every modality at {limit:.2f} or more"
    elif len(below) == 1:
        words = (
            f"the availability of {below[0].modality} were at least {limit:.2f} (lower limit now "
            f"{share(below[0].low)})"
        )
    elif below:
        words = f"every modality were available in at least {limit:.2f} (now {spell(below)})"
    else:
        rarest = facts.rates[0]
        words = (
            f"the availability of {rarest.modality} fell below {limit:.2f} (lower limit now "
            f"{share(rarest.low)})"
        )
        low = tuple(Rate(r.modality, 0.0, 0.0, 0.0) for r in facts.rates[:1])
        return Change(words, lambda f: replace(f, rates=(*low, *f.rates[1:])))
    source = facts.source if facts.known else "rates"
    full = tuple(Rate(r.modality, 1.0, 1.0, 1.0) for r in facts.rates)
    return Change(words, lambda f: replace(f, source=source, rates=full))


def _dimensions(facts: Facts, thresholds: Thresholds) -> Change:
    limit, now = thresholds.dimension_gap, number(facts.dimension_ratio)
    if holds("dimension gap", facts, thresholds):
        words = f"widths spanned less than {limit:g} : 1 (now {now} : 1)"
        return Change(words, lambda f: replace(f, widths=(("all", 1),)))
    wide = (("narrow", 1), ("wide", math.ceil(limit)))
    words = f"widths spanned at least {limit:g} : 1 (now {now} : 1)"
    return Change(words, lambda f: replace(f, widths=wide))


def _samples(facts: Facts, thresholds: Thresholds) -> Change:
    needed = math.ceil(thresholds.samples_per_dimension * facts.effective)
    if holds("enough samples", facts, thresholds):
        words = f"there were fewer than {needed:,} samples (now {facts.n_samples:,})"
        return Change(words, lambda f: replace(f, n_samples=0))
    words = f"there were at least {needed:,} samples (now {facts.n_samples:,})"
    return Change(words, lambda f: replace(f, n_samples=needed))
