"""The evaluation as a result: tables, and the answer to what was required."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pandas as pd

from fusewise.data import EMPTY_PATTERN, Result, parse_pattern, pattern_label
from fusewise.evaluate.columns import table
from fusewise.evaluate.group_gaps import NO_GAP
from fusewise.evaluate.requirements import MET, NOT_MET


def _empty(name: str) -> Callable[[], pd.DataFrame]:
    # Evaluations that were saved before a table existed are read with an empty one.
    return lambda: table(name, [])


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation(Result):
    """How one fitted predictor does on one test set, structured by availability.

    Every ``low`` and ``high`` limits a 95 % percentile bootstrap interval for the score of this
    fitted predictor in the population that the samples come from. An undefined score is NaN, and
    the row's ``note`` says why; no row is hidden. A cell is ``small`` if it has fewer samples than
    the minimum cell size, or fewer than a third of it in any class.

    Parameters
    ----------
    task : {"binary", "multiclass", "regression"}
    metrics : tuple of str
    n : int
        Samples of the test set, answered or not.
    n_abstained : int
        Samples that the predictor cannot answer; they are in no score.
    n_boot : int
        Bootstrap replicates.
    headline : DataFrame
        metric, estimate, low, high, n, effective_n, small, by_pattern_mean, source, note. The
        metric computed once on the deployment's mixture of patterns; beside it the weighted mean of the
        scores per pattern.
    pooled : DataFrame
        metric, estimate, low, high, n, note. The test set as it came.
    by_pattern : DataFrame
        view, pattern, n_absent, n, n_positive, metric, estimate, low, high, small, weight,
        population, drop, drop_low, drop_high, pooled_estimate, pooled_low, pooled_high, note.
        Natural: samples that came with the pattern.
        Withheld: modalities taken from the complete cases (population ``complete``) or from all
        samples that have at least the pattern's modalities (``at least``), with the paired drop
        from the same samples as they came. ``weight``: the pattern's in the mixture. ``pooled``:
        natural cells, drawn towards each other (empirical Bayes); beside the raw figure only.
    by_n_absent : DataFrame
        view, n_absent, n, metric, estimate, low, high, small, n_patterns, population, note.
    degradation : DataFrame
        withheld, n_withheld, rate, n, metric, estimate, low, high, drop, drop_low, drop_high,
        n_emptied, small, note. One modality (its name), or a random share of the modality list
        (``k=2``: two per sample on average). A positive drop is worse, for losses too.
    baselines : DataFrame
        baseline, metric, n, estimate, low, high, difference, difference_low, difference_high,
        better, note. The difference is model minus baseline, paired on samples both answer.
    requirements : DataFrame
        requirement, metric, view, pattern, n, estimate, low, high, limit, threshold, status,
        reason, n_to_decide. The last: how many samples like these would decide an undetermined
        one (NaN for the others).
    calibration : DataFrame
        view, pattern, bin, n, mean_predicted, observed, low, high; binary tasks only.
    calibration_summary : DataFrame
        view, pattern, n, n_positive, metric, estimate, low, high, if_calibrated, small, note;
        binary tasks only. Intercept, slope and ECE in every cell of ``calibration``.
        ``if_calibrated``: what a calibrated predictor shows on average in so few samples.
    decision_curve : DataFrame
        pattern, n, n_positive, threshold, net_benefit, treat_all, treat_none, advantage (each but
        treat_none with _low and _high), small; binary tasks only. ``advantage``: over the better
        of acting on all and on none.
    by_group : DataFrame
        group, value, n, n_abstained, n_positive, metric, estimate, low, high, small, note.
    by_group_pattern : DataFrame
        group, value, pattern, n, n_positive, metric, estimate, low, high, small, note.
    group_presence : DataFrame
        group, value, modality, n, rate, low, high, rest, difference, difference_low,
        difference_high, lacks. How often each group has each modality, beside all others.
    group_gaps : DataFrame
        group, value, metric, n, n_rest, estimate, rest, gap, equal, by_availability (each of the
        three with _low and _high), covered, small, verdict, reason. How much worse the group is
        than the rest, as it is and at equal patterns.
    degradation_summary : DataFrame
        summary, where, of, metric, n, estimate, low, high, drop, drop_low, drop_high, small, note.
        The worst pattern of either view (limits that hold for all ``of`` cells at once), the
        deployment's patterns withheld from the same samples, the area under the degradation
        curve.
    corruption : DataFrame
        modality, corruption, level, n, metric, estimate, low, high, drop, withheld_drop,
        beyond_absence (the first and the last with _low and _high), small, note; where it was
        asked for. ``beyond_absence``: above zero, no values would be better than these.
    shifted : DataFrame
        kind, scenario, n, effective_n, n_emptied, metric, estimate, low, high, change, change_low,
        change_high, small, note. The headline were a pattern twice as often, a modality lost, or
        never there; a positive change is worse, for losses too.
    nested : DataFrame
        fewer, more, added, n, difference, low, high, p, p_adjusted, hurts, share_worse, share_low,
        share_high, small. Mean loss with one modality more minus without it, on the same samples:
        above zero it does harm.
    threshold : float or None
        The operating point: a sample is flagged from this probability on.
    uncovered : tuple of str
        Patterns of the deployment without an answered test sample.
    notes : tuple of str
    """

    task: str
    metrics: tuple[str, ...]
    n: int
    n_abstained: int
    n_boot: int
    headline: pd.DataFrame
    pooled: pd.DataFrame
    by_pattern: pd.DataFrame
    by_n_absent: pd.DataFrame
    degradation: pd.DataFrame
    baselines: pd.DataFrame
    requirements: pd.DataFrame
    calibration: pd.DataFrame
    uncovered: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    calibration_summary: pd.DataFrame = field(default_factory=_empty("calibration_summary"))
    decision_curve: pd.DataFrame = field(default_factory=_empty("decision_curve"))
    by_group: pd.DataFrame = field(default_factory=_empty("by_group"))
    by_group_pattern: pd.DataFrame = field(default_factory=_empty("by_group_pattern"))
    group_presence: pd.DataFrame = field(default_factory=_empty("group_presence"))
    group_gaps: pd.DataFrame = field(default_factory=_empty("group_gaps"))
    degradation_summary: pd.DataFrame = field(default_factory=_empty("degradation_summary"))
    corruption: pd.DataFrame = field(default_factory=_empty("corruption"))
    shifted: pd.DataFrame = field(default_factory=_empty("shifted"))
    nested: pd.DataFrame = field(default_factory=_empty("nested"))
    threshold: float | None = None

    @property
    def ok(self) -> bool:
        """Whether no requirement is "not met"; an undetermined one does not count against it."""
        return not (self.requirements["status"] == NOT_MET).any()

    @property
    def exit_code(self) -> int:
        """The exit status of a process: 0 all met, 1 one not met, 3 none so but undetermined.

        2 is left to wrong usage, as at the command line.
        """
        if not self.ok:
            return 1
        return 0 if (self.requirements["status"] == MET).all() else 3

    def __repr__(self) -> str:
        scores = ", ".join(
            f"{r.metric}={r.estimate:.3f}" for r in self.headline.itertuples(index=False)
        )
        return f"Evaluation({self.task}, n={self.n}, {scores})"

    def __str__(self) -> str:
        answered = self.n - self.n_abstained
        lines = [f"Evaluation on {self.n} samples, {answered} answered ({self.task})"]
        lines += self._headline_lines()
        lines += self._pattern_lines()
        if len(self.requirements):
            lines.append("Requirements")
            for r in self.requirements.itertuples(index=False):
                lines.append(f"  {r.status:<13} {r.requirement} ({_score(r)}; {r.reason})")
        lines += self._gap_lines()
        lines += [f"Note: {note}" for note in self.notes]
        return "\n".join(lines)

    def _headline_lines(self) -> list[str]:
        source = self.headline["source"].iloc[0]
        lines = [f"Headline, patterns weighted as in: {source}"]
        for r in self.headline.itertuples(index=False):
            mean = f"mean of patterns {r.by_pattern_mean:.3f}, effective n {r.effective_n:.0f}"
            mean += ", small" if getattr(r, "small", False) else ""
            lines.append(f"  {r.metric:<18} {_score(r):<22} {mean}")
        return lines

    def _gap_lines(self, most: int = 12) -> list[str]:
        worse = ~(self.group_gaps["gap"] < 0)  # of two groups, the other one is the same gap
        shown = self.group_gaps[worse & (self.group_gaps["verdict"] != NO_GAP)]
        lines = ["Gaps between groups (how much worse than the rest)"] if len(shown) else []
        for r in shown.head(most).to_dict("records"):
            size = "undefined"
            if not pd.isna(r["gap"]):
                size = f"{r['gap']:.3f} [{r['gap_low']:.3f}, {r['gap_high']:.3f}]"
            who = f"{r['group']} {r['value']}"
            lines.append(f"  {who}: {r['metric']} {size}, {r['verdict']} ({r['reason']})")
        if len(shown) > most:
            lines.append(f"  ... and {len(shown) - most} more gaps in .group_gaps")
        return lines

    def _pattern_lines(self, most: int = 12) -> list[str]:
        first = self.by_pattern[self.by_pattern["metric"] == self.metrics[0]]
        lines = [f"{self.metrics[0]} by pattern (natural | withheld)"]
        heaviest = first.sort_values(["weight", "pattern"], ascending=[False, True], kind="stable")
        shown = list(dict.fromkeys(heaviest["pattern"]))
        everything = frozenset[str]().union(*(parse_pattern(p) for p in shown))
        names = {p: _short(p, everything) for p in shown[:most]}
        width = max((len(name) for name in names.values()), default=0)
        for pattern, name in names.items():
            cells = []
            for view in ("natural", "withheld"):
                own = first[(first["pattern"] == pattern) & (first["view"] == view)]
                cells.append(
                    "-" if own.empty else next(_cell(r) for r in own.itertuples(index=False))
                )
            lines.append(f"  {name:<{width}}  {cells[0]:<34} | {cells[1]}")
        if len(shown) > most:
            lines.append(f"  ... and {len(shown) - most} more patterns in .by_pattern")
        return lines


def _short(pattern: str, everything: frozenset[str]) -> str:
    if len(pattern) <= 40:
        return pattern
    absent = pattern_label(everything - parse_pattern(pattern))
    return "(all)" if absent == EMPTY_PATTERN else min(pattern, f"all but {absent}", key=len)


def _score(row: object) -> str:
    estimate, low, high = (getattr(row, name) for name in ("estimate", "low", "high"))
    if pd.isna(estimate):
        return "undefined"
    if pd.isna(low):
        return f"{estimate:.3f}"
    return f"{estimate:.3f} [{low:.3f}, {high:.3f}]"


def _cell(row: object) -> str:
    small = ", small" if getattr(row, "small", False) else ""
    return f"{_score(row)} n={getattr(row, 'n', 0)}{small}"
