"""The two rounds of a pilot's fits: the deployment's absence, then the missing rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from fusewise.exceptions import PilotError
from fusewise.recommend.pilot_design import Design
from fusewise.recommend.pilot_fits import OnFit, OutOfFold, plan_fits, run_fits
from fusewise.recommend.pilot_tables import Tables, table

# Notes that fits may add: many fits warn of the same in other figures.
_MOST_NOTES = 8


class Rounds:
    """The fits of one pilot, in two rounds: the deployment's absence, then the missing rates."""

    def __init__(
        self,
        design: Design,
        candidates: Sequence[str],
        reference: str,
        masks: Mapping[str, str | None],
        rates: Sequence[float],
        params: Mapping[str, Mapping[str, Any]],
        deployment: Any,
    ) -> None:
        self.design = design
        self.candidates = list(candidates)
        self.reference = reference
        self.maskings = dict(masks)
        self.params = params
        self.deployment = None if deployment.source == "none" else deployment
        self.second: str | None = None
        self.done: list[Any] = []
        self.lacks: list[str] = []
        self.notes: list[str] = []
        self._swept = tuple(range(1, len(design.views)))
        self._ramp = _ramp(rates)

    def go(
        self,
        entropy: int,
        deadline: float | None,
        n_jobs: int | None,
        on_fit: OnFit | None,
        *,
        keep: bool,
    ) -> None:
        """Make all fits for which there is time."""
        same = {s: self._same(s) for s in self.candidates}
        views = {s: (0, *self._swept) if same[s] else (0,) for s in self.candidates}
        first = plan_fits(self.design, self.candidates, self.maskings, views, entropy, keep)
        extra = 0
        if self._swept and len(self.candidates) > 1:
            extra = len(self.design.decks) * self.design.n_folds
            extra *= (not same[self.reference]) + (not all(same.values()))
        self._run(first, deadline, n_jobs, on_fit, len(first) + extra)
        self._check_each_was_fitted(deadline)
        self._tell_missing(first, "under the deployment's absence")
        self.second = self._best_other(entropy)
        if not self._swept or self.second is None:
            return
        pair = [s for s in (self.reference, self.second) if not same[s]]
        ramped = dict.fromkeys(pair, self._ramp)
        swept = dict.fromkeys(pair, self._swept)
        again = plan_fits(self.design, pair, ramped, swept, entropy, keep=False)
        self._run(again, deadline, n_jobs, on_fit, len(first) + len(again))
        self._tell_missing(again, "at the missing rates")

    def requirements(
        self, asked: list[Any], comparison: pd.DataFrame, size: int, random_state: int
    ) -> pd.DataFrame:
        """Answer the requirements out of fold, for the matrix's strategy and those that win."""
        from fusewise.evaluate import answer_requirements

        last = comparison[(comparison["size"] == size) & comparison["shown"]]
        rows: list[dict[str, Any]] = []
        for strategy in [self.reference, *last["strategy"]] if asked else []:
            models = {
                d.fit.fold: d.model
                for d in self.done
                if d.fit.strategy == strategy and d.model is not None
            }
            if len(models) < self.design.n_folds:
                continue
            found = answer_requirements(
                OutOfFold(self.design, [models[k] for k in range(self.design.n_folds)]),
                self.design.rows,
                asked,
                deployment=self.deployment,
                train_presence=self.design.rows.presence,
                random_state=random_state,
            )
            names = ["requirement", "n", "estimate", "low", "high", "status", "reason"]
            rows += [
                {"strategy": strategy, **{str(k): v for k, v in r.items()}}
                for r in found[names].to_dict("records")
            ]
        return table("requirements", rows)

    def _same(self, strategy: str) -> bool:
        """Whether one fit serves both rounds: nothing is masked, or at large already."""
        return strategy == "late" or self.maskings[strategy] in ("uniform", "curriculum")

    def _run(
        self,
        fits: Sequence[Any],
        deadline: float | None,
        n_jobs: int | None,
        on_fit: OnFit | None,
        total: int,
    ) -> None:
        for done in run_fits(self.design, fits, self.deployment, self.params, deadline, n_jobs):
            strategy = done.fit.strategy
            if done.fault:
                self._drop(strategy, done.fault)
            elif strategy in self.candidates:
                self.done.append(done)
                new = [t for t in done.warnings if t not in self.notes]
                self.notes += new[: max(0, _MOST_NOTES - len(self.notes))]
            if on_fit is not None:
                on_fit(
                    {
                        "done": len(self.done),
                        "total": total,
                        "strategy": strategy,
                        "size": done.n_train,
                        "fold": done.fit.fold,
                        "seconds": done.seconds,
                    }
                )

    def _drop(self, strategy: str, fault: str) -> None:
        if strategy == self.reference:
            raise PilotError(f"pilot: {strategy} fusion, the matrix's answer, failed: {fault}")
        if strategy in self.candidates:
            self.candidates.remove(strategy)
            self.done = [d for d in self.done if d.fit.strategy != strategy]
            self.notes.append(f"{strategy.capitalize()} fusion could not be tried: {fault}")

    def _check_each_was_fitted(self, deadline: float | None) -> None:
        fitted = {d.fit.strategy for d in self.done}
        missing = [s for s in self.candidates if s not in fitted]
        if missing:
            took = ", ".join(f"{d.fit.strategy} {d.seconds:.1f} s" for d in self.done[:4])
            raise PilotError(
                f"pilot: the time ended before one fit of each candidate; {', '.join(missing)} had "
                f"none{f' (so far: {took})' if took else ''}. Allow more seconds, fewer strategies "
                "or a smaller max_samples."
            )

    def _tell_missing(self, planned: Sequence[Any], where: str) -> None:
        made = {(d.fit.strategy, d.fit.decks, d.fit.fold, d.fit.views) for d in self.done}
        count: dict[tuple[str, int], int] = {}
        for fit in planned:
            key = fit.strategy, fit.decks, fit.fold, fit.views
            if fit.strategy in self.candidates and key not in made:
                count[fit.strategy, fit.decks] = count.get((fit.strategy, fit.decks), 0) + 1
        for (strategy, decks), n in count.items():
            self.lacks.append(
                f"{strategy}, {self.design.n_train(decks):,} rows, {where}: {n} of "
                f"{self.design.n_folds} folds"
            )

    def _best_other(self, entropy: int) -> str | None:
        tables = Tables(self.design, entropy)
        for done in self.done:
            tables.add(done)
        others = [s for s in self.candidates if s != self.reference]
        found = tables.comparison(self.reference, others)
        if found.empty:
            return None
        last = found[found["size"] == found["size"].max()]
        return str(last.loc[last["difference"].idxmax(), "strategy"])


def _ramp(rates: Sequence[float]) -> Any:
    from fusewise.fusion import Masking

    # A growing schedule protects up to the highest rate that it reached.
    return Masking("curriculum", rate=min(0.95, max([0.7, *rates])))
