"""Reasons: each axis held against its threshold, in words and numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from fusewise.profile import fall_text, number, share
from fusewise.recommend.apart import evidence_of_lags
from fusewise.recommend.facts import Facts, Rate
from fusewise.recommend.matrix import Rule, fires
from fusewise.recommend.redundancy import REDUNDANT, words_on
from fusewise.recommend.result import Reason
from fusewise.recommend.thresholds import Thresholds

SHOWN = 3


def reasons_for(rule: Rule, facts: Facts, thresholds: Thresholds) -> tuple[Reason, ...]:
    """Return the reason of every axis, those that decided first."""
    order = dict.fromkeys([*rule.axes, *_AXES])
    found = (_AXES[axis](facts, thresholds) for axis in order)
    return tuple(reason for reason in found if reason is not None)


def spell(rates: Sequence[Rate]) -> str:
    """Write the rarest modalities with their rates: ``cardiac 0.30, liver 0.52 and 4 more``."""
    shown = ", ".join(f"{rate.modality} {share(rate.value)}" for rate in rates[:SHOWN])
    more = len(rates) - SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _availability(facts: Facts, thresholds: Thresholds) -> Reason:
    limit = thresholds.availability
    rarest = facts.rates[0]
    if not facts.known:
        statement = (
            "Availability in deployment is unknown: there is no log of requests, and no rates or "
            f"patterns are declared. In training the rarest are {spell(facts.rates[:SHOWN])}, "
            "which says nothing of the deployment."
        )
        return Reason("availability", statement, None, None, None, limit, False)
    below = facts.below(limit)
    absent = [rate for rate in below if rate.value < limit]
    if absent:
        statement = (
            f"Often absent in deployment: {spell(absent)}. The lower limit of {len(below)} of "
            f"{len(facts.rates)} modalities is below {limit:.2f}."
        )
    elif below:
        statement = (
            f"Not shown to be nearly always present: {spell(below)}, but the lower limit of "
            f"{rarest.modality} is {share(rarest.low)}, below {limit:.2f}. More requests would tell."
        )
    else:
        statement = (
            f"Nearly always present in deployment: every lower limit is at least {limit:.2f}; the "
            f"rarest is {rarest.modality} with {share(rarest.value)}."
        )
    return Reason(
        "availability", statement, rarest.value, rarest.low, rarest.high, limit, not below
    )


def _dimensions(facts: Facts, thresholds: Thresholds) -> Reason | None:
    if not facts.widths:
        return None
    (narrow, low), (wide, high) = facts.widths[0], facts.widths[-1]
    ratio = facts.dimension_ratio
    statement = (
        f"Widths span {number(ratio)} : 1, from {narrow} ({low:,}) to {wide} ({high:,})."
        if len(facts.widths) > 1
        else f"There is one modality, {narrow} ({low:,} wide): no gap of dimensions."
    )
    met = ratio >= thresholds.dimension_gap
    return Reason("dimensions", statement, ratio, None, None, thresholds.dimension_gap, met)


def _signal(facts: Facts, thresholds: Thresholds) -> Reason:
    met = fires(("timing", "interaction", "evaluation cohorts"), facts, thresholds)
    unknown = (
        " Unknown never counts as yes." if "unknown" in (facts.timing, facts.interaction) else ""
    )
    cohorts = ", ".join(facts.validation) or "none"
    return Reason(
        "temporal+interaction",
        f"Timing carries signal: {facts.timing}{_evidence(facts, 'timing')}. Modalities interact: "
        f"{facts.interaction}{_evidence(facts, 'interaction')}. "
        f"Evaluation cohorts: {cohorts}.{unknown}",
        f"{facts.timing}, {facts.interaction}",
        None,
        None,
        "yes, yes, with an evaluation cohort",
        met,
    )


def _evidence(facts: Facts, axis: str) -> str:
    """Say where an answer comes from; what was declared stands, with what was measured beside."""
    found = facts.measured.get(axis)
    if found is None:
        return ""
    source = "declared; measured" if axis in facts.declared else "measured"
    fall = fall_text(found.value, found.low, found.high)
    return f" ({source}: the loss {fall} with it, n {found.n:,})"


def _cohort(facts: Facts, _: Thresholds) -> Reason:
    met = facts.cohort == "controlled"
    statement = (
        "The cohort is tightly controlled: who is measured, and how, stays as in training."
        if met
        else "The cohort is open: who is measured, and how, may change after training."
    )
    return Reason("cohort", statement, facts.cohort, None, None, "controlled", met)


def _samples(facts: Facts, thresholds: Thresholds) -> Reason:
    value, limit = facts.samples_per_dimension, thresholds.samples_per_dimension
    if math.isnan(value):
        statement = "Too few samples to measure the effective dimensions."
        return Reason("samples", statement, None, None, None, limit, False)
    statement = (
        f"{facts.n_samples:,} samples for {number(facts.effective)} effective dimensions in all "
        f"modalities together: {number(value)} for each."
    )
    return Reason("samples", statement, value, None, None, limit, value >= limit)


def _arrival(facts: Facts, _: Thresholds) -> Reason:
    if facts.synchronised:
        statement = "The modalities arrive together, so asynchrony is no reason for late fusion."
    else:
        gaps = (
            f" Their median gaps between events differ {number(facts.cadence_ratio)} : 1."
            if not math.isnan(facts.cadence_ratio)
            else ""
        )
        statement = (
            "The modalities are not declared to arrive together; late fusion can answer with those "
            f"that have come.{gaps}"
        )
    statement += evidence_of_lags(facts.apart)
    value = "synchronised" if facts.synchronised else "asynchronous"
    return Reason("arrival", statement, value, None, None, "synchronised", facts.synchronised)


def _redundancy(facts: Facts, _: Thresholds) -> Reason | None:
    alike = facts.alike
    if alike is None:
        return None
    statement, met = words_on(alike), alike.low >= REDUNDANT
    return Reason("redundancy", statement, alike.value, alike.low, alike.high, REDUNDANT, met)


def _interpretability(facts: Facts, _: Thresholds) -> Reason | None:
    if facts.interpretability != "required":
        return None
    return Reason(
        "interpretability",
        "Interpretability is required: attention is ruled out, as its weights explain nothing.",
        "required",
        None,
        None,
        "required",
        True,
    )


_AXES: Mapping[str, Callable[[Facts, Thresholds], Reason | None]] = {
    "availability": _availability,
    "dimensions": _dimensions,
    "temporal+interaction": _signal,
    "cohort": _cohort,
    "samples": _samples,
    "arrival": _arrival,
    "redundancy": _redundancy,
    "interpretability": _interpretability,
}
