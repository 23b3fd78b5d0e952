"""The comparison of several predictors as a result: tables, and who is ahead where."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from fusewise.data import Result


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Result):
    """How several fitted predictors do on one test set, held against each other.

    Every ``low`` and ``high`` limits a 95 % percentile bootstrap interval; both sides of a
    difference are drawn by the same weights and scored on the samples that both answer. ``p`` is
    two-sided, of no difference (of a metric with a target, such as the calibration slope, in its
    distance from it); ``p_adjusted`` is Holm's (1979), over all pairs of one metric and,
    in the tables by pattern, over all patterns of one view. Who is ``ahead`` is decided by
    ``p_adjusted`` below 0.05, never by the interval alone.

    Parameters
    ----------
    task : {"binary", "multiclass", "regression"}
    models : tuple of str
        The predictors, in the order given.
    metrics : tuple of str
    n : int
        Samples of the test set.
    n_boot : int
    overall : DataFrame
        model, metric, estimate, low, high, n, effective_n, small, source, note. On the
        deployment's mixture, each predictor on the samples that it answers.
    differences : DataFrame
        first, second, metric, n, difference, low, high, p, p_adjusted, ahead, note. First minus
        second on the mixture.
    by_pattern : DataFrame
        view, pattern, n, model, metric, estimate, low, high, small, weight, note.
    leaders : DataFrame
        view, pattern, n, metric, small, weight, leader, unbeaten, note. ``leader``: the predictor
        that is ahead of every other one on this pattern; empty where there is none, which is the
        common case and no fault. ``unbeaten``: those that are behind nobody. Small cells take no
        part in the adjustment and have no leader.
    curve : DataFrame
        model, rate, n_withheld, metric, n, estimate, low, high, small, note. A random share of
        the modality list withheld from every sample, the same for all predictors.
    crossovers : DataFrame
        first, second, metric, rate, low, high, share, note. The missing rate at which the
        difference on the curve first changes its sign, and the share of resamples where it does;
        an interval only where nearly all of them do.
    requirements : DataFrame
        model, and the columns of an evaluation's requirements.
    notes : tuple of str
    """

    task: str
    models: tuple[str, ...]
    metrics: tuple[str, ...]
    n: int
    n_boot: int
    overall: pd.DataFrame
    differences: pd.DataFrame
    by_pattern: pd.DataFrame
    leaders: pd.DataFrame
    curve: pd.DataFrame
    crossovers: pd.DataFrame
    requirements: pd.DataFrame
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Comparison({', '.join(self.models)}; n={self.n})"

    def __str__(self) -> str:
        metric = self.metrics[0]
        lines = [f"{len(self.models)} predictors on {self.n} samples, {metric} on the mixture"]
        own = self.overall[self.overall["metric"] == metric]
        width = max(len(name) for name in self.models)
        lines += [
            f"  {r.model:<{width}}  {_score(r, 'estimate')}  n={r.n}"
            for r in own.itertuples(index=False)
        ]
        lines.append("Differences (first minus second, both on the same samples)")
        for r in self.differences[self.differences["metric"] == metric].itertuples(index=False):
            said = "neither is ahead" if r.ahead == "neither" else f"{r.ahead} is ahead"
            lines.append(f"  {r.first} - {r.second}: {_score(r, 'difference')}, {said}")
        lines += [f"Note: {note}" for note in self.notes]
        return "\n".join(lines)


def _score(row: object, name: str) -> str:
    estimate, low, high = (getattr(row, key) for key in (name, "low", "high"))
    if pd.isna(estimate):
        return "undefined"
    if pd.isna(low):
        return f"{estimate:.3f}"
    return f"{estimate:.3f} [{low:.3f}, {high:.3f}]"
