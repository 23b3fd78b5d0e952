"""pilot: try the candidates on training rows, under the deployment's absence."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from fusewise.data import MultimodalDataset
from fusewise.profile import DeploymentProfile
from fusewise.recommend.candidates import check_params, describe, weakened
from fusewise.recommend.exclusions import check_costs, excluded_strategies
from fusewise.recommend.facts import Facts, deployment_patterns
from fusewise.recommend.masking import maskings
from fusewise.recommend.matrix import decide
from fusewise.recommend.overrule import judge
from fusewise.recommend.pilot_checks import check_asked, check_candidates, check_pilot
from fusewise.recommend.pilot_design import Design, as_deployment, make_design
from fusewise.recommend.pilot_fits import OnFit
from fusewise.recommend.pilot_paired import score_of
from fusewise.recommend.pilot_result import Pilot
from fusewise.recommend.pilot_rounds import Rounds
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
    folds: int = 3,
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
    ...     150, 1, availability={"m3": 0.7}, deployment_availability={"m3": 0.4}, random_state=0
    ... )
    >>> profile = fw.profile(cohort.train, cohort.deployment, probes=False)
    >>> tried = pilot(cohort.train, profile, strategies=["early"], sizes=[1], absent=[], folds=2)
    >>> tried.reference, sorted(tried.candidates)
    ('late', ['early', 'late'])
    >>> fw.recommend(profile, pilot=tried).matrix
    'late'
    """
    check_pilot(train, profile, folds, max_samples, seconds, absent, random_state)
    given = check_params(params)
    facts, limits = Facts.of(profile), Thresholds.of(thresholds)
    excluded = excluded_strategies(facts, check_costs(costs))
    reference, _, _ = decide(facts, limits, excluded)
    candidates = check_candidates(strategies, reference, excluded)
    patterns = deployment_patterns(profile)
    deployment = as_deployment(profile.source, None if patterns is None else {"patterns": patterns})
    requirements = check_asked(requirements, train)
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
    work = Rounds(design, candidates, reference, maskings(facts), rates, given, deployment)
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


def _rates(absent: Sequence[float] | None) -> tuple[float, ...]:
    if absent is None:
        from fusewise.evaluate import RATES

        return tuple(RATES)
    return tuple(sorted({float(rate) for rate in absent}))


def _size_notes(design: Design) -> tuple[str, ...]:
    largest = design.n_train(design.decks[-1])
    if len(design.rows) >= design.n_given:
        return ()
    told = (
        f"The candidates learned from {largest:,} of {design.n_given:,} training rows; with all of "
        "them the order may be another. The comparison by size shows which way it goes."
    )
    return (told,)
