"""Several predictors on the same samples: scores, paired differences, and who is ahead."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from fusewise.evaluate.scoring import Measured
from fusewise.profile import holm as adjusted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fusewise.evaluate.metric import Metric
    from fusewise.evaluate.predictions import Predicted, Rows
    from fusewise.evaluate.scoring import Part, Scoring
    from fusewise.evaluate.weighted import Floats

LEVEL = 0.05

Pair = tuple[str, str]


class Arms:
    """Arms of one resampling, with equal parts held once.

    A part is what one predictor says on some samples. Predictors that answer the same samples,
    which is the rule, share them in every pair, so that each is scored once.
    """

    def __init__(self, predicted: Mapping[str, Predicted]) -> None:
        self._predicted = predicted
        self._parts: dict[tuple[str, bytes], Part] = {}

    def part(self, name: str, which: npt.NDArray[np.bool_]) -> Part:
        """Return what `name` says on the samples flagged in `which`."""
        key = (name, np.packbits(which).tobytes())
        if key not in self._parts:
            at = np.flatnonzero(which)
            self._parts[key] = (at, self._predicted[name][at])
        return self._parts[key]


def pairs_of(names: Iterable[str]) -> list[Pair]:
    """Return all pairs, in the order of the names."""
    return list(combinations(names, 2))


def both_answer(predicted: Mapping[str, Predicted], pair: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Return the samples that all of `pair` answer."""
    return np.logical_and.reduce([predicted[name].answered for name in pair])


def score_cell(
    scoring: Scoring, rows: Rows, predicted: Mapping[str, Predicted], label: str
) -> tuple[dict[str, list[Measured]], dict[Pair, list[Measured]]]:
    """Score predictors on one set of samples, and hold each two against each other.

    Parameters
    ----------
    scoring : Scoring
    rows : ndarray of int (k,)
        Positions in the test set.
    predicted : mapping of str to Predicted
        Each aligned with `rows`.
    label : str
        Names the random stream.

    Returns
    -------
    scores : dict of str to list (one per metric) of Measured
        Each on the samples that it answers.
    differences : dict of (str, str) to list (one per metric) of Measured
        First minus second on the samples that both answer, under one resampling.
    """
    arms = Arms(predicted)
    pairs = pairs_of(predicted)
    asked: list[list[Part]] = [[arms.part(n, predicted[n].answered)] for n in predicted]
    for pair in pairs:
        both = both_answer(predicted, pair)
        asked += [[arms.part(name, both)] for name in pair]
    found = scoring.arms(rows, asked, label)
    scores = dict(zip(predicted, found, strict=False))
    held = iter(found[len(predicted) :])
    differences = {pair: held_against(scoring, next(held), next(held)) for pair in pairs}
    return scores, differences


def held_against(
    scoring: Scoring, first: Sequence[Measured], second: Sequence[Measured]
) -> list[Measured]:
    """Return first minus second by metric; with a target, of their distances from it."""
    return [
        a - b if metric.target is None else metric.drop(b, a)
        for metric, a, b in zip(scoring.metrics, first, second, strict=True)
    ]


def p_value(difference: Measured) -> float:
    """Return the two-sided p-value of no difference, by the normal law of the bootstrap's spread.

    The share of replicates beyond zero could not go below one in their number, which no
    correction for many patterns would survive. NaN where there is no interval; 1 where two
    predictors never differ.

    Examples
    --------
    >>> spread = np.random.default_rng(0).normal(0.0, 1.0, 2000)
    >>> round(p_value(Measured(1.96, 1.96 + spread)), 2)
    0.05
    """
    low, high, _ = difference.limits()
    if np.isnan(low) or np.isnan(high):
        return np.nan
    spread = float(np.nanstd(difference.replicates))
    if spread == 0:
        return 1.0 if difference.estimate == 0 else np.nan
    return float(2 * stats.norm.sf(abs(difference.estimate) / spread))


def holm(p: Sequence[float]) -> Floats:
    """Return p-values adjusted by Holm (1979): any false one among them at most at its level.

    Undefined ones stay undefined and are not counted.

    Examples
    --------
    >>> holm([0.01, 0.04, float("nan"), 0.03]).tolist()
    [0.03, 0.06, nan, 0.06]
    """
    return adjusted(pd.Series(p, dtype=np.float64)).to_numpy()


def ahead(metric: Metric, pair: Pair, estimate: float, p: float) -> str:
    """Return which of a pair the difference (first minus second) favours, or ``neither``."""
    if not p < LEVEL:
        return "neither"
    more_is_better = metric.greater_is_better and metric.target is None
    return pair[0] if (estimate > 0) == more_is_better else pair[1]


def standing(names: Sequence[str], favoured: Mapping[Pair, str]) -> tuple[str, tuple[str, ...]]:
    """Return who is ahead of all others (or an empty string), and who is behind nobody.

    Examples
    --------
    >>> standing(["a", "b", "c"], {("a", "b"): "a", ("a", "c"): "a", ("b", "c"): "neither"})
    ('a', ('a',))
    >>> standing(["a", "b", "c"], {("a", "b"): "neither", ("a", "c"): "a", ("b", "c"): "neither"})
    ('', ('a', 'b'))
    """
    beaten = {n for pair, best in favoured.items() if best != "neither" for n in pair if n != best}
    leads = [
        name
        for name in names
        if all(best == name for pair, best in favoured.items() if name in pair)
    ]
    unbeaten = tuple(name for name in names if name not in beaten)
    return (leads[0] if leads and len(names) > 1 else ""), unbeaten


def crossing(rates: npt.NDArray[Any], lines: Floats) -> Floats:
    """Return where each line (n_lines, n_rates) first changes its sign; NaN where it does not.

    Between two rates the line is taken as straight.

    Examples
    --------
    >>> crossing(np.array([0.0, 0.2, 0.4]), np.array([[1.0, 0.5, -0.5], [1.0, 1.0, 1.0]])).round(2)
    array([0.3, nan])
    """
    out = np.full(len(lines), np.nan)
    for i in range(lines.shape[1] - 1):
        left, right = lines[:, i], lines[:, i + 1]
        here = np.isnan(out) & (left * right < 0)
        share = left[here] / (left[here] - right[here])
        out[here] = rates[i] + share * (rates[i + 1] - rates[i])
    return out
