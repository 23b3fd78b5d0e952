"""Gaps between groups, and whether availability explains them.

A group that lacks a modality more often is served worse by any predictor that uses it. That gap is
closed by making the modality available; a gap at equal patterns is not. So each gap is measured
twice: as it is, and with both sides weighted to the same mixture of availability patterns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fusewise.evaluate.bootstrap import class_strata, resample, stream
from fusewise.evaluate.groups import values_of
from fusewise.evaluate.scoring import Measured

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fusewise.data import MultimodalDataset
    from fusewise.evaluate.groups import Labels
    from fusewise.evaluate.metric import Metric
    from fusewise.evaluate.mixture import Mixture
    from fusewise.evaluate.predictions import Predicted, Rows
    from fusewise.evaluate.scoring import Scoring
    from fusewise.evaluate.weighted import Floats, Scorer

EXPLAINED, PARTLY, NOT_EXPLAINED = "explained by availability", "partly", "not explained"
HIDDEN, NO_GAP, UNDETERMINED = "hidden by availability", "no gap shown", "undetermined"

# More than half of a gap must surely go for it to be explained; less than a tenth is no part of it.
HALF, TENTH = 0.5, 0.1

# Two sums of the same numbers in another order are no gap.
ROUNDING = 1e-12

# With less of the mixture in patterns that both sides have, equal patterns say too little.
COVERED = 0.8


@dataclass(frozen=True)
class Side:
    """A group or the rest: its rows, and which pattern of the standard each of them has.

    Parameters
    ----------
    at : ndarray of int (k,)
        Positions in the population.
    cell : ndarray of int (k,)
        Number of the pattern among those that both sides have, -1 for another one.
    """

    at: Rows
    cell: Rows

    def standard(self, weights: Floats, shares: Floats) -> Floats:
        """Weigh so that each pattern has its share, in each replicate (n_replicates, n_common).

        Direct standardisation. The shares are met anew in every replicate: how often a pattern
        was drawn by chance must not pass for availability.
        """
        common = self.cell >= 0
        cell = self.cell[common]
        own = np.take(weights, self.at[common], axis=1)
        mass = own @ np.eye(len(shares))[cell]
        factor = np.divide(shares, mass, out=np.zeros_like(mass), where=mass > 0)
        return own * np.take(factor, cell, axis=1) * len(cell)


def score_gaps(
    scoring: Scoring,
    test: MultimodalDataset,
    natural: Predicted,
    groups: Mapping[str, Labels],
    mixture: Mixture,
) -> list[dict[str, Any]]:
    """Return one row per group, value and metric: the gap to the rest, and what explains it.

    ``gap`` is how much *worse* the group's score is than that of all other samples (the rest, those
    of unknown group included), as ``drop`` is elsewhere: positive is worse, for losses too, and for
    metrics with a target by the distance from it. ``equal`` is the gap at equal patterns: both
    sides weighted to the mixture (the deployment's, else the test set's), over the patterns of
    which each side has at least ``min_cell`` samples; ``covered`` is their share of the mixture.
    ROC AUC at equal patterns is computed once on the weighted samples, as the headline is.
    ``by_availability`` is ``gap - equal``. Intervals are 95 % percentile bootstrap intervals, all
    three paired: samples or whole clusters resampled together, the weights met anew each time.

    The verdict is about the gap of this fitted predictor in the population, at 95 %, each by
    itself:

    - **no gap shown**: the interval of the gap contains 0;
    - **explained by availability**: more than half of the gap goes at equal patterns (the interval
      of ``by_availability`` minus half the gap is on the gap's side of 0), and the interval of
      what stays contains 0;
    - **partly**: something goes and something stays (both intervals on the gap's side of 0), and it
      is none of the others;
    - **not explained**: something stays, and nothing is shown to go, or surely less than a tenth of
      the gap;
    - **hidden by availability**: no gap shown, but one at equal patterns, which availability makes
      up for;
    - **undetermined**: anything else, a side that is small, patterns in common with less than 80 %
      of the mixture, or a metric that is undefined; ``reason`` says which.

    It assumes that samples of one group and pattern are like those that would have the pattern if
    availability were changed. That availability explains a gap does not excuse it, and equal
    patterns do not make the groups alike in anything else: prevalence, for one, moves log loss,
    Brier score and predictive values.
    """
    known = np.flatnonzero(natural.answered)
    if not len(known):
        return []
    pattern = test.pattern[known].astype(str)
    out = []
    for name, labels in groups.items():
        own = labels[known]
        values = values_of(own)
        for value in values if len(values) > 1 else []:
            sides, shares = _sides(own == value, pattern, mixture, scoring.min_cell)
            gaps = _measure(scoring, known, natural[known], sides, shares, f"gap:{name}")
            small = [scoring.small(known[side.at]) for side in sides]
            for metric, (scores, gap, equal) in zip(scoring.metrics, gaps, strict=True):
                verdict, reason = judge(gap, equal, float(shares.sum()), small=any(small))
                out.append(
                    {
                        "group": name,
                        "value": value,
                        "metric": metric.name,
                        "n": len(sides[0].at),
                        "n_rest": len(sides[1].at),
                        "estimate": scores[0],
                        "rest": scores[1],
                        **gap.columns("gap"),
                        **equal.columns("equal"),
                        **(gap - equal).columns("by_availability"),
                        "covered": float(shares.sum()),
                        "small": any(small),
                        "verdict": verdict,
                        "reason": reason,
                    }
                )
    return out


def judge(gap: Measured, equal: Measured, covered: float, *, small: bool) -> tuple[str, str]:
    """Return the verdict on a gap and its reason; the rules are those of :func:`score_gaps`."""
    if np.isnan(gap.estimate):
        return UNDETERMINED, gap.note
    if np.isnan(gap.limits()[0]):
        return UNDETERMINED, gap.limits()[2] or "no interval without resampling"
    if small:
        return UNDETERMINED, "too few samples on one side"
    shown = _side_of(gap)
    if covered < COVERED or np.isnan(equal.limits()[0]):
        if not shown:
            return NO_GAP, "the interval of the gap contains 0"
        why = equal.note or f"both sides have patterns with only {covered:.0%} of the mixture"
        return UNDETERMINED, f"a gap, but {why}"
    stays, goes = _side_of(equal), _side_of(gap - equal)
    if not shown:
        if stays and goes == -stays:
            return HIDDEN, "a gap at equal patterns, made up for by availability"
        return NO_GAP, "the interval of the gap contains 0"
    moved = gap - equal
    if stays == 0 and _side_of(moved - _share_of(gap, HALF)) == shown:
        return EXPLAINED, "more than half of the gap goes at equal patterns, none is shown to stay"
    if stays == shown and (goes != shown or _side_of(moved - _share_of(gap, TENTH)) == -shown):
        return NOT_EXPLAINED, "the gap stays at equal patterns"
    if stays == shown:
        return PARTLY, "a part goes at equal patterns, a part stays"
    return UNDETERMINED, "too uncertain how much of the gap stays at equal patterns"


def _share_of(gap: Measured, share: float) -> Measured:
    return Measured(gap.estimate * share, gap.replicates * share)


def _side_of(measured: Measured) -> int:
    # 1 where the whole interval is above 0, -1 where below, 0 where it contains it.
    low, high, _ = measured.limits()
    return int(low > ROUNDING) - int(high < -ROUNDING)


def _sides(
    member: npt.NDArray[np.bool_], pattern: npt.NDArray[Any], mixture: Mixture, min_cell: int
) -> tuple[tuple[Side, Side], Floats]:
    """Return group and rest, and the share in the mixture of each pattern that both have."""
    counts = [dict(zip(*np.unique(pattern[m], return_counts=True), strict=True)) for m in
              (member, ~member)]  # fmt: skip
    common = [
        label
        for label in mixture.ranked()
        if mixture.weights[label] > 0 and min(c.get(label, 0) for c in counts) >= min_cell
    ]
    number = {label: i for i, label in enumerate(common)}
    cell = np.array([number.get(p, -1) for p in pattern], dtype=np.intp)
    mine, rest = np.flatnonzero(member), np.flatnonzero(~member)
    shares = np.array([mixture.weights[label] for label in common], dtype=np.float64)
    return (Side(mine, cell[mine]), Side(rest, cell[rest])), shares


@dataclass(frozen=True)
class _Pair:
    # One metric on both sides, over their samples (k,) each.
    metric: Metric
    truth: list[npt.NDArray[Any]]
    response: list[npt.NDArray[Any]]
    n_classes: int
    note: str

    def scores(self, weights: Sequence[Floats | None]) -> list[float]:
        if self.note:
            return [np.nan, np.nan]
        each = zip(self.truth, self.response, weights, strict=True)
        return [float(self.metric.point(y, p, self.n_classes, w)) for y, p, w in each]

    def scorers(self) -> list[Scorer]:
        each = zip(self.truth, self.response, strict=True)
        return [self.metric.bind(y, p, self.n_classes) for y, p in each]


def _pair(scoring: Scoring, metric: Metric, parts: Sequence[tuple[Rows, Predicted]]) -> _Pair:
    truth = [scoring.truth[rows] for rows, _ in parts]
    response = [predicted.response(metric.response) for _, predicted in parts]
    notes = [
        metric.undefined(y, scoring.n_classes, p) for y, p in zip(truth, response, strict=True)
    ]
    note = next((note for note in notes if note), "")
    return _Pair(metric, truth, response, scoring.n_classes, note)


def _measure(
    scoring: Scoring,
    rows: Rows,
    predicted: Predicted,
    sides: Sequence[Side],
    shares: Floats,
    label: str,
) -> list[tuple[list[float], Measured, Measured]]:
    """Return, per metric, the scores of both sides, the gap, and the gap at equal patterns."""
    evenly = [side.at[side.cell >= 0] for side in sides]
    raw = [(rows[side.at], predicted[side.at]) for side in sides]
    even = [(rows[at], predicted[at]) for at in evenly]
    ones = np.ones((1, len(rows)))
    weights = [side.standard(ones, shares)[0] for side in sides]
    # Per metric: as they are, and at equal patterns.
    pairs = [(_pair(scoring, m, raw), _pair(scoring, m, even)) for m in scoring.metrics]
    moved = [
        [np.full(scoring.n_boot, np.nan), np.full(scoring.n_boot, np.nan)] for _ in scoring.metrics
    ]
    units = scoring.units[rows]
    for stratified in (False, True) if len(np.unique(units)) > 1 else ():
        bound = {
            i: [None if pair.note else pair.scorers() for pair in pairs[i]]
            for i, metric in enumerate(scoring.metrics)
            if metric.stratified == stratified
        }
        if not bound:
            continue
        strata = class_strata(units, scoring.truth[rows]) if stratified else None
        rng = stream(scoring.entropy, label, "stratified" if stratified else "plain")
        done = 0
        for drawn in resample(units, scoring.n_boot, rng, strata):
            here = slice(done, done + len(drawn))
            done += len(drawn)
            both = (
                [np.take(drawn, side.at, axis=1) for side in sides],
                [side.standard(drawn, shares) for side in sides],
            )
            for i, scorers in bound.items():
                for of, own, given in zip(moved[i], scorers, both, strict=True):
                    if own is not None:
                        mine, rest = (f(w) for f, w in zip(own, given, strict=True))
                        of[here] = scoring.metrics[i].drop(rest, mine)
    out = []
    for (pair, equal), metric, drawn_gaps in zip(pairs, scoring.metrics, moved, strict=True):
        scores, evened = pair.scores([None, None]), equal.scores(weights)
        gap = Measured(float(metric.drop(scores[1], scores[0])), drawn_gaps[0], pair.note)
        stays = Measured(float(metric.drop(evened[1], evened[0])), drawn_gaps[1], equal.note)
        out.append((scores, gap, stays))
    return out
