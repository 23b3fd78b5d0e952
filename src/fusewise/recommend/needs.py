"""What each strategy would need to be the matrix's answer, held against how things are.

For a reader who knows the field and not machine learning: one condition a line, with the fact that
it is held against.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from fusewise.profile import SOURCE_WORDS, number, share
from fusewise.recommend.facts import Facts
from fusewise.recommend.matrix import CONDITIONS, PRECEDENCE, STRATEGIES, Rule, holds
from fusewise.recommend.reasons import spell
from fusewise.recommend.result import Need
from fusewise.recommend.thresholds import Thresholds

# Which condition of a rule that comes first is given up to let a later one decide.
_GIVEN_UP = (
    "not availability known",
    "dimension gap",
    "interaction",
    "timing",
    "evaluation cohorts",
    "controlled cohort",
)


def needs_of(facts: Facts, thresholds: Thresholds, excluded: Mapping[str, str]) -> tuple[Need, ...]:
    """Return the conditions of every strategy, by the rule for it that lacks the fewest.

    Where all conditions of a strategy hold, the matrix answers with it.
    """
    found: list[Need] = []
    for strategy in STRATEGIES:
        rules = [
            _full(rule, number, facts, thresholds, excluded)
            for number, rule in enumerate(PRECEDENCE)
            if rule.strategy == strategy
        ]
        wanted = min(rules, key=lambda w: sum(not holds(c, facts, thresholds) for c in w))
        found += [
            Need(
                strategy,
                _NEEDED[condition](facts, thresholds),
                _NOW[condition.removeprefix("not ")](facts, thresholds),
                holds(condition, facts, thresholds),
            )
            for condition in wanted
        ]
        if strategy in excluded:
            found.append(Need(strategy, "Not ruled out", excluded[strategy], holds=False))
    return tuple(found)


def _full(
    rule: Rule, place: int, facts: Facts, thresholds: Thresholds, excluded: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the conditions of a rule, and those that keep the rules before it from deciding."""
    wanted = list(rule.conditions)
    truth = {name: holds(name, facts, thresholds) for name in CONDITIONS}
    for condition in wanted:
        _suppose(truth, condition)
    for earlier in PRECEDENCE[:place]:
        if earlier.strategy in (rule.strategy, *excluded) or not all(
            truth[c.removeprefix("not ")] == (not c.startswith("not ")) for c in earlier.conditions
        ):
            continue
        free = [c for c in _GIVEN_UP if c in earlier.conditions and c not in wanted]
        if free:
            wanted.append(_negated(free[0]))
            _suppose(truth, wanted[-1])
    return tuple(wanted)


def _negated(condition: str) -> str:
    return condition.removeprefix("not ") if condition.startswith("not ") else f"not {condition}"


def _suppose(truth: dict[str, bool], condition: str) -> None:
    name = condition.removeprefix("not ")
    truth[name] = name == condition
    if condition == "nearly always present":
        truth["availability known"] = True
    if condition == "not availability known":
        truth["nearly always present"] = False


def _samples_needed(facts: Facts, thresholds: Thresholds) -> str:
    if not facts.effective > 0:
        return f"At least {thresholds.samples_per_dimension:g} samples per effective dimension"
    least = math.ceil(thresholds.samples_per_dimension * facts.effective)
    return (
        f"At least {least:,} samples: {thresholds.samples_per_dimension:g} for each of the "
        f"{number(facts.effective)} effective dimensions"
    )


def _presence(facts: Facts, thresholds: Thresholds) -> str:
    if not facts.known:
        return "unknown: there is no log of requests, and nothing is declared"
    below = facts.below(thresholds.availability)
    if below:
        return spell(below)
    return f"the rarest, {facts.rates[0].modality}, is there in {share(facts.rates[0].value)}"


_Words = Callable[[Facts, Thresholds], str]

_NEEDED: Mapping[str, _Words] = {
    "availability known": lambda f, t: "It is known how often each modality is there in use",
    "not availability known": lambda f, t: (
        "It is not known how often each modality is there in use"
    ),
    "nearly always present": lambda f, t: (
        f"In use each modality is there for at least {100 * t.availability:g} % of the samples, "
        "shown with confidence"
    ),
    "not nearly always present": lambda f, t: (
        f"In use some modality is not shown to be there for {100 * t.availability:g} % of the samples"
    ),
    "dimension gap": lambda f, t: (
        f"The widest modality has at least {t.dimension_gap:g} times as many columns as the "
        "narrowest"
    ),
    "not dimension gap": lambda f, t: (
        f"The widest modality has less than {t.dimension_gap:g} times as many columns as the "
        "narrowest"
    ),
    "controlled cohort": lambda f, t: "Who is measured, and how, stays as in training",
    "not controlled cohort": lambda f, t: "Who is measured, or how, may change after training",
    "enough samples": _samples_needed,
    "timing": lambda f, t: "When things happen, or in which order, tells about the target",
    "not timing": lambda f, t: "When things happen is not known to tell about the target",
    "interaction": lambda f, t: "Two modalities together tell what neither tells alone",
    "not interaction": lambda f, t: (
        "Modalities are not known to tell more together than one by one"
    ),
    "evaluation cohorts": lambda f, t: "There are cohorts of their own to check the model on",
    "not evaluation cohorts": lambda f, t: "No cohort is declared to check the model on",
}

_NOW: Mapping[str, _Words] = {
    "availability known": lambda f, t: SOURCE_WORDS[f.source],
    "nearly always present": _presence,
    "dimension gap": lambda f, t: f"{number(f.dimension_ratio)} times",
    "controlled cohort": lambda f, t: f"the cohort is {f.cohort}",
    "enough samples": lambda f, t: f"{f.n_samples:,} samples",
    "timing": lambda f, t: _answer(f, "timing", f.timing),
    "interaction": lambda f, t: _answer(f, "interaction", f.interaction),
    "evaluation cohorts": lambda f, t: ", ".join(f.validation) or "none declared",
}


def _answer(facts: Facts, axis: str, answer: str) -> str:
    if axis in facts.declared:
        return f"{answer}, as declared"
    return f"{answer}, as measured" if axis in facts.measured else answer
