"""The pilot as a result: what was tried, what came out, and whether it overrules the matrix."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from fusewise.data import Result
from fusewise.profile import share

LOSS_WORDS = {"log_loss": "log loss", "squared_error": "squared error"}


@dataclass(frozen=True, eq=False, repr=False)
class Pilot(Result):
    """Cheap masked fits of the candidates on training rows, scored under the deployment's absence.

    All scores are out of fold: a sample is answered by a fit that saw neither it nor its cluster.
    Losses and differences are means over samples that are withheld from and weighed such that
    their patterns are those of the deployment; every candidate sees the same rows, folds and
    withheld modalities. A positive difference is a candidate that does better. Intervals are 95 %;
    those of `comparison` hold for all candidates of a size at once.

    Attributes
    ----------
    reference : str
        The matrix's strategy, which the candidates are held against.
    choice : str
        The pilot's own answer: the candidate that may overrule, else the one with the lowest loss.
    overrules : bool
        Whether `choice` takes the place of the matrix's strategy.
    reason : str
        Why, in words.
    candidates : dict of str to str
        Each strategy, and how its candidate differs from what would be trained.
    maskings : dict of str to (str or None)
        What the candidates were masked by.
    task, loss, score : str
        What decides (``log_loss`` or ``squared_error``), and the score that is shown beside it.
    source : str
        Where the deployment's availability comes from, as in the profile.
    deployment : dict or None
        Its joint patterns, as in the recommendation.
    n, n_given, n_folds : int
        Training rows in the pilot, those that it was given, and its folds.
    sizes : tuple of int
        Rows that the fits of each size learned from.
    fits : DataFrame
        ``strategy, size, regime, withheld, fold, n, loss, score, seconds``. `regime` is
        ``deployment``, or ``withheld`` where a share of the modality list was withheld at random
        beside natural absence; `n` counts held-out samples.
    losses : DataFrame
        ``strategy, size, regime, withheld, absent, folds, n, effective_n, loss, low, high,
        score``. `absent` is the mean share of modalities that were absent.
    comparison : DataFrame
        ``strategy, reference, size, folds, n, difference, low, high, score_difference, score_low,
        score_high, shown``. `shown`: the interval lies above zero.
    crossover : DataFrame
        ``first, second, size, withheld, absent, folds, n, difference, low, high``: the matrix's
        strategy and the best other one, by missing rate and size. Positive: `second` does better.
        Both are masked up to the highest rate here, so that neither meets what it never trained
        for.
    crossings : DataFrame
        ``along, size, withheld, before, after, shown``: where the difference changes sign, along
        the missing rate at one size or along the size at one missing rate.
    requirements : DataFrame
        ``strategy, requirement, n, estimate, low, high, status, reason``, on the out-of-fold
        predictions of the largest size.
    seconds : float
    budget : float or None
        Seconds that were allowed.
    lacks : tuple of str
        What the budget did not allow; empty for a whole pilot.
    notes : tuple of str
    """

    reference: str
    choice: str
    overrules: bool
    reason: str
    candidates: dict[str, str]
    maskings: dict[str, str | None]
    task: str
    loss: str
    score: str
    source: str
    deployment: dict[str, Any] | None
    n: int
    n_given: int
    n_folds: int
    sizes: tuple[int, ...]
    fits: pd.DataFrame
    losses: pd.DataFrame
    comparison: pd.DataFrame
    crossover: pd.DataFrame
    crossings: pd.DataFrame
    requirements: pd.DataFrame
    seconds: float
    budget: float | None = None
    lacks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def strategy(self) -> str:
        """The strategy that stands after the pilot."""
        return self.choice if self.overrules else self.reference

    @property
    def complete(self) -> bool:
        """Whether everything that was planned was done."""
        return not self.lacks

    @property
    def headline(self) -> str:
        """Both answers in a line."""
        if self.overrules:
            return (
                f"The pilot's answer, {self.choice} fusion, overrules the matrix's, "
                f"{self.reference} fusion."
            )
        if self.choice == self.reference:
            return f"The pilot's answer is the matrix's: {self.reference} fusion."
        return (
            f"The pilot's answer is {self.choice} fusion, the matrix's {self.reference} fusion, "
            "which stands."
        )

    @property
    def where_places_change(self) -> tuple[str, ...]:
        """Say in words at which missing rate and size the first two strategies change places."""
        return crossing_texts(self.crossover, self.crossings)

    def __repr__(self) -> str:
        verb = "overrules" if self.overrules else "does not overrule"
        return (
            f"<Pilot: {self.choice} {verb} {self.reference}; {len(self.candidates)} candidates, "
            f"{self.n:,} rows, {self.n_folds} folds, {self.seconds:.0f} s>"
        )

    def __str__(self) -> str:
        lines = [self.headline, self.reason, ""]
        title = (
            f"{LOSS_WORDS[self.loss].capitalize()} out of fold under the deployment's absence "
            f"({self.n:,} training rows, {self.n_folds} folds; positive differences are better than "
            f"{self.reference})"
        )
        lines.append(title)
        own = self.losses[self.losses["regime"] == "deployment"]
        gains = {(r.strategy, r.size): r for r in self.comparison.itertuples(index=False)}
        for row in own.itertuples(index=False):
            found = gains.get((row.strategy, row.size))
            gain = (
                ""
                if found is None
                else f"  difference {spell(found.difference, found.low, found.high, signed=True)}"
            )
            lines.append(
                f"  {row.strategy:<12}  {row.size:>7,} rows  {spell(row.loss, row.low, row.high)}  "
                f"{self.score} {row.score:.3f}  n {row.n:,}{gain}"
            )
        if self.where_places_change:
            lines += ["", "Crossover", *(f"  {text}" for text in self.where_places_change)]
        if len(self.requirements):
            lines += ["", "Requirements, out of fold"]
            lines += [
                f"  {r.strategy:<12}  {r.status:<12}  {r.requirement} ({r.estimate:.3f}; {r.reason})"
                for r in self.requirements.itertuples(index=False)
            ]
        if self.lacks:
            lines += ["", "Not done", *(f"  {text}" for text in self.lacks)]
        lines += [f"Note: {note}" for note in self.notes]
        return "\n".join(lines)


def spell(value: Any, low: Any, high: Any, *, signed: bool = False) -> str:
    """Write a number with its interval.

    Examples
    --------
    >>> spell(0.02, 0.01, 0.03, signed=True), spell(float("nan"), 0.0, 0.0)
    ('+0.0200 [+0.0100, +0.0300]', 'undefined')
    """
    if math.isnan(value):
        return "undefined"
    form = "+.4f" if signed else ".4f"
    if math.isnan(low):
        return f"{value:{form}}"
    return f"{value:{form}} [{low:{form}}, {high:{form}}]"


def crossing_texts(crossover: pd.DataFrame, crossings: pd.DataFrame) -> tuple[str, ...]:
    """Say where the first two strategies change places, or that they do not."""
    if crossover.empty:
        return ()
    first, second = str(crossover["first"].iloc[0]), str(crossover["second"].iloc[0])
    texts = []
    for row in crossings.to_dict("records"):
        firm = "" if row["shown"] else " (not firm: an interval beside it holds zero)"
        withheld, rows = share(float(row["withheld"])), f"{row['size']:,.0f} rows"
        if row["along"] == "withheld":
            texts.append(
                f"With {rows}: {row['before']} up to {withheld} of the modalities withheld, then "
                f"{row['after']}{firm}."
            )
        else:
            texts.append(
                f"With {withheld} withheld: {row['before']} up to about {rows}, then "
                f"{row['after']}{firm}."
            )
    if texts:
        return tuple(texts)
    ahead = second if crossover["difference"].mean() > 0 else first
    rates, sizes = crossover["withheld"], crossover["size"]
    nowhere = (
        f"{first.capitalize()} and {second} do not change places between {share(rates.min())} and "
        f"{share(rates.max())} withheld and {sizes.min():,} and {sizes.max():,} rows: {ahead} does "
        "better throughout."
    )
    return (nowhere,)
