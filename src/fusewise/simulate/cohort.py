"""Cohorts whose truth is known: every score can be held against the best possible one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusewise.data import Deployment, MultimodalDataset
from fusewise.exceptions import DatasetError, TaskError
from fusewise.simulate.arguments import class_weights, make_sources, per_modality, widths
from fusewise.simulate.availability import Regime, make_regime, pattern_weights
from fusewise.simulate.bayes import CLASSIFICATION, REGRESSION, posterior, score_table
from fusewise.simulate.design import (
    Design,
    Interaction,
    Task,
    check_interactions,
    target_states,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fusewise.simulate.signal import Array, Noise

RegimeName = Literal["training", "deployment"]
TASKS = ("binary", "multiclass", "regression")
# First part of the spawn key of fresh draws, which no child of the cohort's own seed has.
_FRESH = 7919


@dataclass(frozen=True, repr=False, eq=False)
class Cohort:
    """A simulated cohort: training and test data, the deployment, and the truth behind them.

    Attributes
    ----------
    train, test : MultimodalDataset
        Drawn under the availability of training and of the deployment.
    deployment : Deployment
        The true weights of the patterns in deployment, and the true answers to ``timing`` and
        ``interaction``.
    """

    train: MultimodalDataset
    test: MultimodalDataset
    deployment: Deployment
    design: Design
    regimes: dict[str, Regime]
    entropy: Any

    def __repr__(self) -> str:
        law = self.availability()
        width = max(len(name) for name in law.index)
        sizes = f"{len(self.train):,} training and {len(self.test):,} test samples"
        lines = [
            f"Cohort: {self.design.task}, {sizes}",
            f"  {'present':{width}}  training             deployment",
        ]
        for name, row in law.iterrows():
            shown = [
                f"{row[f'rate_{regime}']:.3f} {row[f'mechanism_{regime}']:12}"
                for regime in self.regimes
            ]
            lines.append(f"  {name:{width}}  {'   '.join(shown)}".rstrip())
        return "\n".join(lines)

    def draw(
        self, n: int, *, regime: RegimeName = "deployment", random_state: int
    ) -> MultimodalDataset:
        """Draw `n` fresh samples of the same law.

        Parameters
        ----------
        n : int
        regime : {"deployment", "training"}
            Whose availability the samples get.
        random_state : int
            Seed of this draw; independent of the cohort's own draws also where it is the same.
        """
        if regime not in self.regimes:
            raise DatasetError(f"regime: must be one of {', '.join(self.regimes)}, got {regime!r}.")
        # A spawn key, not a list of seeds: [5] and [5, 0] are the same entropy to SeedSequence.
        seed = np.random.SeedSequence(self.entropy, spawn_key=(_FRESH, int(random_state)))
        first = len(self.train) + len(self.test)
        return _draw(self.design, self.regimes[regime], n, seed, first_id=first)

    def bayes_proba(
        self, dataset: MultimodalDataset, *, given_presence: RegimeName | None = None
    ) -> Array:
        """Return the Bayes-optimal posterior (n, k) for exactly what each sample has.

        Parameters
        ----------
        dataset : MultimodalDataset
            Samples of this cohort, whole or with modalities withheld.
        given_presence : {None, "training", "deployment"}
            None conditions on the present values only: what is absent tells nothing. That is the
            whole truth for modalities withheld on purpose, and where presence is MCAR or MAR
            (there the answer does not depend on this parameter). Where it is MNAR or informative
            of the target, the samples of one pattern are selected, so that only the posterior
            given presence too (under the availability named here) is calibrated within patterns
            and cannot be beaten by a model that uses presence.

        Returns
        -------
        (n, k) array
            Columns in the order of the classes ``0 .. k-1``. The prior, for a sample that has
            nothing.

        Notes
        -----
        Exact: Gaussian and exponential family likelihoods, summed over the latent gates of
        interactions and over hidden noise levels. The chance that an absent MNAR modality
        would have been absent is an 80-node Gauss-Hermite sum.
        """
        if self.design.n_classes is None:
            raise TaskError("bayes_proba: a regression has no classes; use bayes_predict.")
        return self._posterior(dataset, given_presence)

    def bayes_predict(
        self, dataset: MultimodalDataset, *, given_presence: RegimeName | None = None
    ) -> Array:
        """Return the most probable class, or the posterior mean of a regression (n,)."""
        known = self._posterior(dataset, given_presence)
        if self.design.n_classes is None:
            return known @ self.design.states
        return known.argmax(axis=1)

    def bayes_score(
        self,
        dataset: MultimodalDataset,
        metric: str | Sequence[str] | None = None,
        *,
        given_presence: RegimeName | None = None,
    ) -> pd.DataFrame:
        """Score the Bayes posterior on `dataset`, per availability pattern.

        Parameters
        ----------
        dataset : MultimodalDataset
        metric : str or sequence of str, optional
            ``roc_auc`` (one class against the rest, averaged), ``average_precision``,
            ``brier_score``, ``log_loss``, ``accuracy``; for a regression ``r2``,
            ``mean_squared_error``, ``mean_absolute_error``. All of them where not given.
        given_presence : {None, "training", "deployment"}
            See :meth:`bayes_proba`.

        Returns
        -------
        DataFrame
            Columns ``pattern``, ``n``, ``metric``, ``score``; the last pattern, ``(all)``, is all
            samples together. NaN where a pattern has one class only.
        """
        classes = self.design.n_classes
        if metric is None:
            metric = REGRESSION if classes is None else CLASSIFICATION
        metrics = [metric] if isinstance(metric, str) else list(metric)
        known = self._posterior(dataset, given_presence)
        predicted = known @ self.design.states if classes is None else known
        return score_table(dataset, predicted, metrics, classes)

    def availability(self) -> pd.DataFrame:
        """Return the true law of presence.

        Returns
        -------
        DataFrame
            Index ``modality``; for each regime the mechanism and the expected rate:
            ``mechanism_training``, ``rate_training``, ``mechanism_deployment``,
            ``rate_deployment``.
        """
        columns: dict[str, list[Any]] = {}
        for name, regime in self.regimes.items():
            columns[f"mechanism_{name}"] = [part.mechanism for part in regime.parts]
            columns[f"rate_{name}"] = [part.rate for part in regime.parts]
        return pd.DataFrame(columns, index=pd.Index(self.design.names, name="modality"))

    def _posterior(self, dataset: MultimodalDataset, given_presence: str | None) -> Array:
        if given_presence is not None and given_presence not in self.regimes:
            raise DatasetError(
                f"given_presence: must be None or one of {', '.join(self.regimes)}, "
                f"got {given_presence!r}."
            )
        regime = None if given_presence is None else self.regimes[given_presence]
        return posterior(self.design, dataset, regime)


def make_cohort(
    n_train: int,
    n_test: int,
    *,
    modalities: int | Mapping[str, int] = 3,
    signal: float | Mapping[str, float] = 1.0,
    availability: Any = None,
    deployment_availability: Any = None,
    interaction: Interaction | Sequence[Interaction] = (),
    timing: Mapping[str, str] | None = None,
    noise: Noise | Mapping[str, Noise] | None = None,
    task: Task = "binary",
    prior: float | Sequence[float] | None = None,
    keep_one: bool = True,
    random_state: int | None,
) -> Cohort:
    """Simulate a cohort whose Bayes-optimal posterior is known for every availability pattern.

    Modalities are independent given the target, except for the pairs in `interaction`; log-odds
    of additive modalities therefore add up.

    Parameters
    ----------
    n_train, n_test : int
        Numbers of samples.
    modalities : int or mapping of str to int
        Names with the number of numeric columns, of which at most ten carry the signal. An event
        modality (see `timing`) takes the expected number of events per sample instead. A number
        alone gives modalities ``m1``, ``m2``, ... of width 10.
    signal : float or mapping of str to float
        Strength per modality; 1 for one that is not named. Classification: distance between
        the class centres in units of the noise (root mean square over pairs of classes), so that
        two classes alone reach an AUROC of ``Phi(signal / sqrt(2))``; for event modalities about
        so. Regression (target standard normal): slope in units of the noise, so that alone
        ``R2 = signal**2 / (1 + signal**2)``.
    availability, deployment_availability : optional
        In training and in deployment (the test set): a rate, an :class:`Availability`, a mapping
        from modality to one of them (always present where not named), or
        ``{"patterns": {"a+b": weight, ...}}`` for joint patterns at random. None: everything
        present; for the deployment: as in training.
    interaction : Interaction or sequence of Interaction
        Pairs of modalities that tell about the target together.
    timing : mapping of str to {"times", "order", "values"}
        Modalities that are event streams, and what alone in them depends on the target: when
        events happen, which of two variables comes first, or the events' values.
    noise : Noise or mapping of str to Noise, optional
        Noise levels that vary by sample, for all table modalities or by name.
    task : {"binary", "multiclass", "regression"}
    prior : float or sequence of float, optional
        Probability of class 1, or weights of all classes. Two, or three, equal classes where not
        given.
    keep_one : bool
        Whether a sample that would have nothing is given one modality, drawn with probabilities
        in proportion to the rates and independently of all else. Rates are calibrated with this
        in, so they are what is met; the posterior given presence knows of it. With a modality
        that is always present it never happens.
    random_state : int or None
        The only seed. None takes fresh entropy.

    Returns
    -------
    Cohort

    Raises
    ------
    DatasetError, UnknownModalityError
        The description contradicts itself.

    Examples
    --------
    >>> cohort = make_cohort(
    ...     500,
    ...     200,
    ...     modalities={"ehr": 5, "imaging": 20},
    ...     signal={"ehr": 1.0, "imaging": 2.0},
    ...     availability={"imaging": 0.6},
    ...     deployment_availability={"imaging": 0.3},
    ...     random_state=0,
    ... )
    >>> cohort.train.modalities
    ('ehr', 'imaging')
    >>> cohort.bayes_proba(cohort.test.without("imaging")).shape
    (200, 2)
    >>> cohort.deployment.patterns
    {'ehr': 0.7, 'ehr+imaging': 0.3}
    """
    if task not in TASKS:
        raise TaskError(f"task: must be one of {', '.join(TASKS)}, got {task!r}.")
    columns = widths(modalities)
    names = tuple(columns)
    pairs = (interaction,) if isinstance(interaction, Interaction) else tuple(interaction)
    check_interactions(pairs, names)
    root = np.random.SeedSequence(random_state)
    shape_seed, rate_seed, train_seed, test_seed = root.spawn(4)
    states, weights = target_states(task, class_weights(task, prior))
    sources = make_sources(
        columns,
        per_modality(signal, names, 1.0, "signal"),
        per_modality(timing or {}, names, None, "timing"),
        per_modality(noise, names, None, "noise"),
        None if task == "regression" else len(states),
        shape_seed,
    )
    design = Design(task, sources, states, weights, pairs)
    regimes = {}
    given = {
        "training": availability,
        "deployment": availability if deployment_availability is None else deployment_availability,
    }
    for (name, spec), seed in zip(given.items(), rate_seed.spawn(2), strict=True):
        what = "availability" if name == "training" else "deployment_availability"
        regimes[name] = make_regime(design, spec, keep_one=keep_one, seed=seed, what=what)
    carried = set((timing or {}).values())
    return Cohort(
        train=_draw(design, regimes["training"], n_train, train_seed, first_id=0),
        test=_draw(design, regimes["deployment"], n_test, test_seed, first_id=n_train),
        deployment=Deployment(
            source="patterns",
            patterns=pattern_weights(regimes["deployment"]),
            timing="yes" if carried & {"times", "order"} else "no",
            interaction="yes" if pairs else "no",
        ),
        design=design,
        regimes=regimes,
        entropy=root.entropy,
    )


def _draw(
    design: Design, regime: Regime, n: int, seed: np.random.SeedSequence, *, first_id: int
) -> MultimodalDataset:
    if n < 1:
        raise DatasetError(f"a cohort needs at least one sample in each part, got {n}.")
    values_seed, presence_seed = seed.spawn(2)
    drawn = design.draw(n, values_seed)
    present = regime.draw(drawn.target, drawn.scores, presence_seed)
    classes = design.n_classes
    ids = np.arange(first_id, first_id + n)
    target: npt.NDArray[Any] = drawn.target if classes is None else drawn.target.astype(np.int64)
    declared = {}
    for column, source in enumerate(design.sources):
        table = drawn.tables[source.name]
        row = table.pop("row").to_numpy()
        kept = present[row, column]
        # Not insert() after filtering: one copy of a wide table is enough.
        table = table[kept] if not kept.all() else table
        declared[source.name] = source.modality(table.assign(id=ids[row[kept]]))
    return MultimodalDataset(
        declared,
        samples=pd.DataFrame({"id": ids, "target": target}),
        id="id",
        target="target",
        task=design.task,
    )
