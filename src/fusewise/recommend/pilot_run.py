"""pilot: try the candidates on training rows, under the deployment's absence."""

from __future__ import annotations

import math
import numbers
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fusewise.data import MultimodalDataset
from fusewise.exceptions import PilotError, did_you_mean
from fusewise.profile import DeploymentProfile
from fusewise.recommend.candidates import check_params, describe, weakened
from fusewise.recommend.exclusions import check_costs, excluded_strategies
from fusewise.recommend.facts import Facts, deployment_patterns
from fusewise.recommend.masking import maskings
from fusewise.recommend.matrix import STRATEGIES, decide
from fusewise.recommend.overrule import judge
from fusewise.recommend.pilot_design import Design, as_deployment, make_design
from fusewise.recommend.pilot_fits import OnFit, OutOfFold, plan_fits, run_fits
from fusewise.recommend.pilot_paired import score_of
from fusewise.recommend.pilot_result import Pilot
from fusewise.recommend.pilot_tables import Tables, crossings, table
from fusewise.recommend.thresholds import Thresholds


def pilot(
    train: MultimodalDataset,
    profile: DeploymentProfile,
    *,
    requirements: Iterable[Any] = (),
    strategies: Sequence[str] | None = None,
    sizes: Sequence[float] | None = None,
    absent: Sequence[float] | None = None,
    folds: int = 4,
    max_samples: int = 4_000,
    seconds: float | None = None,
    params: Mapping[str, Mapping[str, Any]] | None = None,
    thresholds: Thresholds | Mapping[str, float] | None = None,
    costs: Mapping[str, Mapping[str, float]] | None = None,
    n_jobs: int | None = None,
    random_state: int = 0,
    on_fit: OnFit | None = None,
) -> Pilot:
    """Try the candidate strategies by cheap masked fits, and say whether one overrules the matrix.

    Estimated is the loss (log loss; squared error for regression) that a candidate trained on so
    many rows has on requests that come as in the deployment, assuming that within an availability
    pattern they are like the training rows. Training rows alone are used, cross-validated; folds
    keep clusters whole. From held-out samples modalities are withheld at random such that their
    joint patterns become the deployment's (by ``1 - q / p`` for one modality, iterative
    proportional fitting for joint patterns), and what withholding cannot reach is weighed by
    deployment over shown frequency. All candidates see the same rows, folds and withheld patterns.

    Candidates are what the recommendation would train, masked as it would be, but cheap: early and
    late fusion at their defaults, the learned strategies as one network with at most 15 epochs in
    place of five with 40. So a learned candidate is underrated: that it does not win says little.

    Parameters
    ----------
    train : MultimodalDataset
        Training rows with a target. Rows flagged as validation are rows like the others here.
    profile : DeploymentProfile
        Of these rows and their deployment.
    requirements : iterable of dict or Requirement
        What must hold; a candidate that answers one worse than the matrix's strategy does not
        overrule.
    strategies : sequence of str, optional
        The candidates; all that are not ruled out where not given. The matrix's strategy is always
        among them.
    sizes : sequence of float, optional
        How much of the rows the fits learn from: shares up to 1, or numbers of rows. A quarter, a
        half and all where not given. The largest decides.
    absent : sequence of float, optional
        Shares of the modality list that are withheld at random, for the crossover;
        ``evaluate``'s rates where not given, none for an empty list.
    folds : int
        At least 2.
    max_samples : int
        Rows at most, drawn by target and pattern, clusters whole.
    seconds : float, optional
        Time after which no fit is begun. A pilot that ends early says what it lacks, and overrules
        only where what decides was done.
    params : dict of str to dict, optional
        Parameters of candidates, by strategy.
    thresholds, costs : optional
        As given to ``recommend``.
    n_jobs : int, optional
        Fits at the same time, in processes of their own.
    random_state : int
        The one seed. The same seed gives the same bits, as long as the time suffices.
    on_fit : callable, optional
        Called after each fit with a dict: ``done, total, strategy, size, fold, seconds``.

    Returns
    -------
    Pilot

    Raises
    ------
    PilotError
        Too few samples, one class only, an unknown or excluded strategy, or less time than one fit
        of each candidate takes.

    References
    ----------
    Bayle, Bayle, Janson and Mackey, "Cross-validation confidence intervals for test error",
    NeurIPS 2020. Nadeau and Bengio, "Inference for the generalization error", Machine Learning,
    2003. Westfall and Young, "Resampling-based multiple testing", 1993.

    Examples
    --------
    >>> import fusewise as fw
    >>> cohort = fw.make_cohort(
    ...     300, 1, availability={"m3": 0.7}, deployment_availability={"m3": 0.4}, random_state=0
    ... )
    >>> profile = fw.profile(cohort.train, cohort.deployment, probes=False)
    >>> tried = pilot(cohort.train, profile, strategies=["early"], sizes=[1], absent=[], folds=2)
    >>> tried.reference, sorted(tried.candidates)
    ('late', ['early', 'late'])
    >>> fw.recommend(profile, pilot=tried).matrix
    'late'
    """
    _check(train, profile, folds, max_samples, seconds, absent, random_state)
    given = check_params(params)
    facts, limits = Facts.of(profile), Thresholds.of(thresholds)
    excluded = excluded_strategies(facts, check_costs(costs))
    reference, _, _ = decide(facts, limits, excluded)
    candidates = _candidates(strategies, reference, excluded)
    patterns = deployment_patterns(profile)
    deployment = as_deployment(profile.source, None if patterns is None else {"patterns": patterns})
    requirements = _requirements(requirements, train)
    rates = _rates(absent)
    start = time.time()
    deadline = None if seconds is None else start + seconds
    seed = np.random.SeedSequence(random_state)
    drawn, fitted, told = seed.spawn(3)
    design = make_design(
        train,
        deployment,
        sizes=sizes,
        absent=rates,
        n_folds=int(folds),
        max_samples=int(max_samples),
        seed=drawn,
    )
    work = _Work(design, candidates, reference, maskings(facts), rates, given, deployment)
    work.go(int(fitted.generate_state(1)[0]), deadline, n_jobs, on_fit, keep=bool(requirements))
    tables = Tables(design, int(told.generate_state(1)[0]))
    for done in work.done:
        tables.add(done)
    others = [s for s in work.candidates if s != reference]
    comparison = tables.comparison(reference, others)
    crossover = table("crossover", [])
    if rates and work.second is not None:
        crossover = tables.crossover(reference, work.second)
    size = design.n_train(design.decks[-1])
    required = work.requirements(requirements, comparison, size, random_state)
    choice, overrules, reason = judge(
        comparison,
        required,
        reference=reference,
        loss="log_loss" if tables.n_classes else "squared_error",
        source=profile.source,
        size=size,
        n_folds=design.n_folds,
        weak_reference=weakened(reference, given.get(reference, {})),
        strong={s: not weakened(s, given.get(s, {})) for s in work.candidates},
    )
    return Pilot(
        reference=reference,
        choice=choice,
        overrules=overrules,
        reason=reason,
        candidates={s: describe(s, given.get(s, {})) for s in work.candidates},
        maskings={s: work.maskings[s] for s in work.candidates},
        task=str(train.task),
        loss="log_loss" if tables.n_classes else "squared_error",
        score=score_of(tables.n_classes)[0],
        source=profile.source,
        deployment=None if patterns is None else {"patterns": patterns},
        n=len(design.rows),
        n_given=design.n_given,
        n_folds=design.n_folds,
        sizes=tuple(design.n_train(d) for d in design.decks),
        fits=tables.fits(),
        losses=tables.losses(),
        comparison=comparison,
        crossover=crossover,
        crossings=crossings(crossover),
        requirements=required,
        seconds=time.time() - start,
        budget=None if seconds is None else float(seconds),
        lacks=tuple(work.lacks),
        notes=(*design.notes, *work.notes, *_size_notes(design)),
    )


class _Work:
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
        from fusewise.evaluate import evaluate

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
            found = evaluate(
                OutOfFold(self.design, [models[k] for k in range(self.design.n_folds)]),
                self.design.rows,
                deployment=self.deployment,
                requirements=asked,
                train_presence=self.design.rows.presence,
                withheld_patterns=0,
                rates=(),
                repeats=1,
                random_state=random_state,
            ).requirements
            names = ["requirement", "n", "estimate", "low", "high", "status", "reason"]
            rows += [{"strategy": strategy, **r} for r in found[names].to_dict("records")]
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
                self.notes += new[: max(0, 8 - len(self.notes))]
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


def _candidates(
    strategies: Sequence[str] | None, reference: str, excluded: Mapping[str, str]
) -> list[str]:
    if isinstance(strategies, str):
        raise PilotError(f"pilot: strategies is a list of names, got {strategies!r}.")
    if strategies is None:
        strategies = [s for s in STRATEGIES if s not in excluded]
    for name in strategies:
        if name not in STRATEGIES:
            raise PilotError(
                f"pilot: no strategy {name!r}; there are {', '.join(STRATEGIES)}."
                f"{did_you_mean(str(name), STRATEGIES)}"
            )
        if name in excluded and name != reference:
            raise PilotError(f"pilot: {name} fusion is ruled out: {excluded[name]}")
    asked = {reference, *strategies}
    if len(asked) < 2:
        raise PilotError(
            f"pilot: {reference} fusion is the matrix's answer, and no other candidate is left to "
            "hold against it."
        )
    return [reference, *(s for s in STRATEGIES if s in asked and s != reference)]


def _requirements(requirements: Iterable[Any], train: MultimodalDataset) -> list[Any]:
    asked = list(requirements)
    if not asked:
        return []
    from fusewise.evaluate import check_requirements

    return [r for r, _ in check_requirements(asked, train.modalities, train.task)]


def _rates(absent: Sequence[float] | None) -> tuple[float, ...]:
    if absent is None:
        from fusewise.evaluate import RATES

        return tuple(RATES)
    return tuple(sorted({float(rate) for rate in absent}))


def _size_notes(design: Design) -> tuple[str, ...]:
    largest = design.n_train(design.decks[-1])
    if len(design.rows) >= design.n_given:
        return ()
    return (
        f"The candidates learned from {largest:,} of {design.n_given:,} training rows; with all of "
        "them the order may be another. The comparison by size shows which way it goes.",
    )


def _check(
    train: Any,
    profile: Any,
    folds: Any,
    max_samples: Any,
    seconds: Any,
    absent: Any,
    random_state: Any,
) -> None:
    if not isinstance(train, MultimodalDataset):
        raise PilotError(
            f"pilot: expected a MultimodalDataset of training rows, got {type(train).__name__}."
        )
    if not isinstance(profile, DeploymentProfile):
        raise PilotError(
            f"pilot: expected a DeploymentProfile, got {type(profile).__name__}. Call "
            "profile(train, deployment) first."
        )
    if train.target is None or train.task is None:
        raise PilotError("pilot: the dataset has no target. Name target= when it is built.")
    if set(train.modalities) != set(profile.modalities):
        raise PilotError(
            f"pilot: the rows have the modalities {', '.join(sorted(train.modalities))}, the "
            f"profile {', '.join(sorted(profile.modalities))}. Profile these rows."
        )
    for name, value, least in (("folds", folds, 2), ("max_samples", max_samples, 1)):
        if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
            raise PilotError(f"pilot: {name} is a whole number from {least}, got {value!r}.")
    if isinstance(random_state, bool) or not isinstance(random_state, numbers.Integral):
        raise PilotError(f"pilot: random_state is a whole number, got {random_state!r}.")
    positive = isinstance(seconds, numbers.Real) and 0 < float(seconds) < math.inf
    if seconds is not None and not positive:
        raise PilotError(f"pilot: seconds is a positive number or None, got {seconds!r}.")
    for rate in absent if absent is not None else ():
        if not isinstance(rate, numbers.Real) or not 0 <= float(rate) < 1:
            raise PilotError(
                f"pilot: absent holds shares of the modality list from 0 to below 1, got {rate!r}."
            )
