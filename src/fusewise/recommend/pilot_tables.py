"""The tables of a pilot, made of what its fits said out of fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusewise.recommend.pilot_design import Design
from fusewise.recommend.pilot_fits import Fitted
from fusewise.recommend.pilot_paired import paired, paired_score, score_of

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

DEPLOYMENT = "deployment"
COLUMNS: dict[str, dict[str, str]] = {
    "fits": {
        "strategy": "str", "size": "int64", "regime": "str", "withheld": "float64",
        "fold": "int64", "n": "int64", "loss": "float64", "score": "float64", "seconds": "float64",
    },
    "losses": {
        "strategy": "str", "size": "int64", "regime": "str", "withheld": "float64",
        "absent": "float64", "folds": "int64", "n": "int64", "effective_n": "float64",
        "loss": "float64", "low": "float64", "high": "float64", "score": "float64",
    },
    "comparison": {
        "strategy": "str", "reference": "str", "size": "int64", "folds": "int64", "n": "int64",
        "difference": "float64", "low": "float64", "high": "float64",
        "score_difference": "float64", "score_low": "float64", "score_high": "float64",
        "shown": "bool",
    },
    "crossover": {
        "first": "str", "second": "str", "size": "int64", "withheld": "float64",
        "absent": "float64", "folds": "int64", "n": "int64", "difference": "float64",
        "low": "float64", "high": "float64",
    },
    "crossings": {
        "along": "str", "size": "float64", "withheld": "float64", "before": "str", "after": "str",
        "shown": "bool",
    },
    "requirements": {
        "strategy": "str", "requirement": "str", "n": "int64", "estimate": "float64",
        "low": "float64", "high": "float64", "status": "str", "reason": "str",
    },
}  # fmt: skip


def table(name: str, rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return rows as the named table: columns in order, each of its type, also when empty."""
    types = COLUMNS[name]
    return pd.DataFrame([dict(row) for row in rows], columns=list(types)).astype(types)


@dataclass(frozen=True)
class Said:
    """Everything that was predicted under one view at one size: rows of all draws, one below another.

    Attributes
    ----------
    sample : int array (n,)
    weight, fold, unit : arrays (n,)
    predictions : dict of str to array (n, k)
        By strategy; NaN where it did not answer.
    """

    sample: npt.NDArray[np.intp]
    weight: FloatArray
    fold: npt.NDArray[np.intp]
    unit: npt.NDArray[np.intp]
    predictions: dict[str, FloatArray]

    def answered(self, *strategies: str) -> BoolArray:
        """Which rows count and are answered by all named strategies."""
        out: BoolArray = np.asarray(self.weight > 0)
        for name in strategies:
            out = out & np.isfinite(self.predictions[name]).all(axis=1)
        return out


class Tables:
    """Collects what fits said and makes the tables of it."""

    def __init__(self, design: Design, entropy: int) -> None:
        rows = design.rows
        self.design = design
        self._entropy = entropy
        classes = rows.classes
        self.n_classes = 0 if classes is None else len(classes)
        target = np.asarray(rows.target)
        self.truth: npt.NDArray = (
            target.astype(float)
            if classes is None
            else np.array([classes.index(v) for v in target.tolist()], dtype=np.intp)
        )
        unit = rows.ids if rows.cluster is None else rows.cluster
        self.unit = np.unique(unit.astype(str), return_inverse=True)[1].ravel()
        self._said: dict[tuple[int, int, str, int], FloatArray] = {}
        self._seconds: dict[tuple[int, int, str, int], float] = {}

    def add(self, done: Fitted) -> None:
        """Take in the answers of one fit."""
        fit = done.fit
        for view, answers in done.answers.items():
            key = fit.decks, view, fit.strategy, fit.fold
            self._said[key], self._seconds[key] = answers, done.seconds

    def folds_done(self, decks: int, view: int, *strategies: str) -> list[int]:
        """Return the folds that all named strategies have answered."""
        return [
            k
            for k in range(self.design.n_folds)
            if all((decks, view, s, k) in self._said for s in strategies)
        ]

    def said(self, decks: int, view: int, strategies: Sequence[str]) -> Said:
        """Return the predictions of strategies on the folds that all of them have answered."""
        design, done = self.design, self.folds_done(decks, view, *strategies)
        shown = design.views[view].shown
        held = [np.flatnonzero(design.fold == k) for k in done]
        sample = np.concatenate([np.tile(h, len(shown)) for h in held] or [np.zeros(0, np.intp)])
        weights = self._weights(view)
        weight = np.concatenate([w[h] for h in held for w in weights] or [np.zeros(0)])
        width = max(1, self.n_classes)
        predictions = {
            s: np.concatenate(
                [self._said[decks, view, s, k].reshape(-1, width) for k in done]
                or [np.zeros((0, width))]
            )
            for s in strategies
        }
        return Said(sample, weight, design.fold[sample], self.unit[sample], predictions)

    def losses_of(self, said: Said, strategy: str, rows: BoolArray) -> FloatArray:
        """Return the loss of each of some rows."""
        from fusewise.evaluate import sample_losses

        prediction = said.predictions[strategy][rows]
        shown = prediction if self.n_classes else prediction[:, 0]
        return sample_losses(self.truth[said.sample[rows]], shown, self.n_classes)

    def score(self, said: Said, strategy: str, rows: BoolArray) -> float:
        """Return the ranking score on some rows; NaN where it is undefined."""
        from fusewise.evaluate import find_metric

        metric = find_metric(*score_of(self.n_classes))
        truth = self.truth[said.sample[rows]]
        if metric.undefined(truth, self.n_classes):
            return float("nan")
        prediction = said.predictions[strategy][rows]
        shown = prediction if self.n_classes else prediction[:, 0]
        return float(metric.point(truth, shown, self.n_classes, said.weight[rows]))

    def fits(self) -> pd.DataFrame:
        """One row per fit and view: its loss and score on the held-out fold."""
        rows = []
        for decks, view, strategy, fold in self._ordered():
            said = self.said(decks, view, [strategy])
            own = said.answered(strategy) & (said.fold == fold)
            rows.append(
                {
                    **self._where(strategy, decks, view),
                    "fold": fold,
                    "n": len(np.unique(said.sample[own])),
                    "loss": _mean(self.losses_of(said, strategy, own), said.weight[own]),
                    "score": self.score(said, strategy, own),
                    "seconds": self._seconds[decks, view, strategy, fold],
                }
            )
        return table("fits", rows)

    def losses(self) -> pd.DataFrame:
        """One row per candidate, size and view: the loss over all folds that it has done."""
        rows = []
        for decks, view, strategy in dict.fromkeys(key[:3] for key in self._ordered()):
            said = self.said(decks, view, [strategy])
            own = said.answered(strategy)
            weight, loss = said.weight[own], self.losses_of(said, strategy, own)
            found = paired(
                loss[None],
                weight,
                said.unit[own],
                said.fold[own],
                self._ratio(decks),
                self._stream("losses"),
            )
            rows.append(
                {
                    **self._where(strategy, decks, view),
                    "absent": self.absent_share(view),
                    "folds": len(self.folds_done(decks, view, strategy)),
                    "n": len(np.unique(said.sample[own])),
                    "effective_n": _effective(said, own),
                    "loss": found.difference[0],
                    "low": found.low[0],
                    "high": found.high[0],
                    "score": self.score(said, strategy, own),
                }
            )
        return table("losses", rows)

    def comparison(self, reference: str, others: Sequence[str]) -> pd.DataFrame:
        """Hold each other candidate against the reference under the deployment's absence."""
        rows: list[dict[str, Any]] = []
        for decks in self.design.decks:
            there = [s for s in others if self.folds_done(decks, 0, s, reference)]
            if not there:
                continue
            said = self.said(decks, 0, [reference, *there])
            own = said.answered(reference, *there)
            if not own.any():
                continue
            base = self.losses_of(said, reference, own)
            gains = np.stack([base - self.losses_of(said, s, own) for s in there])
            weight, unit = said.weight[own], said.unit[own]
            found = paired(
                gains,
                weight,
                unit,
                said.fold[own],
                self._ratio(decks),
                self._stream("comparison"),
            )
            for place, strategy in enumerate(there):
                scores = said.predictions[strategy][own], said.predictions[reference][own]
                better, low, high = paired_score(
                    scores,
                    self.truth[said.sample[own]],
                    self.n_classes,
                    weight,
                    unit,
                    self._stream("score"),
                )
                rows.append(
                    {
                        "strategy": strategy,
                        "reference": reference,
                        "size": self.design.n_train(decks),
                        "folds": len(np.unique(said.fold)),
                        "n": len(np.unique(said.sample[own])),
                        "difference": found.difference[place],
                        "low": found.low[place],
                        "high": found.high[place],
                        "score_difference": better,
                        "score_low": low,
                        "score_high": high,
                        "shown": bool(found.low[place] > 0),
                    }
                )
        return table("comparison", rows)

    def crossover(self, first: str, second: str) -> pd.DataFrame:
        """Hold the first two strategies against each other at every missing rate and size."""
        rows = []
        for decks in self.design.decks:
            for view, regime in enumerate(self.design.views):
                done = self.folds_done(decks, view, first, second)
                if regime.withheld is None or not done:
                    continue
                said = self.said(decks, view, [first, second])
                own = said.answered(first, second)
                gain = self.losses_of(said, first, own) - self.losses_of(said, second, own)
                found = paired(
                    gain[None],
                    said.weight[own],
                    said.unit[own],
                    said.fold[own],
                    self._ratio(decks),
                    self._stream("crossover"),
                )
                rows.append(
                    {
                        "first": first,
                        "second": second,
                        "size": self.design.n_train(decks),
                        "withheld": regime.withheld,
                        "absent": self.absent_share(view),
                        "folds": len(done),
                        "n": len(np.unique(said.sample[own])),
                        "difference": found.difference[0],
                        "low": found.low[0],
                        "high": found.high[0],
                    }
                )
        return table("crossover", rows)

    def absent_share(self, view: int) -> float:
        """Return the mean share of modalities that are absent under a view."""
        shown = self.design.views[view].shown
        weights = self._weights(view)
        mass = sum(float(w.sum()) for w in weights)
        absent = [float(w @ (1 - s.mean(axis=1))) for s, w in zip(shown, weights, strict=True)]
        return sum(absent) / mass if mass > 0 else float("nan")

    def _weights(self, view: int) -> tuple[FloatArray, ...]:
        if view == 0:
            return self.design.weights
        # What withholding emptied cannot be answered by anybody.
        shown = self.design.views[view].shown
        return tuple(np.asarray(s.any(axis=1), dtype=float) for s in shown)

    def _ordered(self) -> list[tuple[int, int, str, int]]:
        from fusewise.recommend.matrix import STRATEGIES

        return sorted(self._said, key=lambda k: (k[0], k[1], STRATEGIES.index(k[2]), k[3]))

    def _where(self, strategy: str, decks: int, view: int) -> dict[str, Any]:
        withheld = self.design.views[view].withheld
        return {
            "strategy": strategy,
            "size": self.design.n_train(decks),
            "regime": DEPLOYMENT if withheld is None else "withheld",
            "withheld": float("nan") if withheld is None else withheld,
        }

    def _ratio(self, decks: int) -> float:
        """Size of a held-out fold by that of what its fit learned from."""
        return len(self.design.rows) / self.design.n_folds / max(1, self.design.n_train(decks))

    def _stream(self, label: str) -> np.random.Generator:
        labels = ("losses", "comparison", "score", "crossover")
        key = (99, labels.index(label))
        return np.random.default_rng(np.random.SeedSequence(self._entropy, spawn_key=key))


def crossings(crossover: pd.DataFrame) -> pd.DataFrame:
    """Find where the difference changes sign, by linear interpolation between neighbours.

    ``along`` says what varies: ``withheld`` at one size, or ``size`` at one missing rate. ``shown``:
    the intervals on both sides leave zero out, one above and one below.
    """
    rows = []
    for along, fixed in (("withheld", "size"), ("size", "withheld")):
        for _, part in crossover.groupby(fixed, sort=True):
            steps = part.sort_values(along).to_dict("records")
            for one, other in pairwise(steps):
                if not one["difference"] * other["difference"] < 0:
                    continue
                share = one["difference"] / (one["difference"] - other["difference"])
                at = one[along] + share * (other[along] - one[along])
                ahead = [r["second"] if r["difference"] > 0 else r["first"] for r in (one, other)]
                firm = [r["low"] > 0 or r["high"] < 0 for r in (one, other)]
                rows.append(
                    {fixed: one[fixed], along: at, "along": along}
                    | {"before": ahead[0], "after": ahead[1], "shown": all(firm)}
                )
    return table("crossings", rows)


def _mean(values: FloatArray, weight: FloatArray) -> float:
    return float(values @ weight / weight.sum()) if weight.sum() > 0 else float("nan")


def _effective(said: Said, rows: BoolArray) -> float:
    """Kish's effective number of samples; the draws of one sample count as one."""
    weight = np.bincount(said.sample[rows], said.weight[rows])
    squares = float((weight**2).sum())
    return float(weight.sum()) ** 2 / squares if squares > 0 else 0.0
