"""The joint law of target and modalities: states, their prior, and how modalities interact."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from fusewise.exceptions import DatasetError

if TYPE_CHECKING:
    import pandas as pd

    from fusewise.simulate.signal import Array, Source

Task: TypeAlias = Literal["binary", "multiclass", "regression"]
INTERACTIONS = ("xor", "multiplicative")


@dataclass(frozen=True)
class Interaction:
    """Two modalities that tell about the target only, or more, together.

    Parameters
    ----------
    first, second : str
        Names of two modalities. They carry what is said here and nothing else.
    kind : {"xor", "multiplicative"}
        ``xor``: the first shows a random shift and the second the class shifted by it (modulo the
        number of classes; for a regression, a random sign and the target times that sign), so
        that for two classes the product of two latent signs decides. Each modality alone is
        independent of the target.
        ``multiplicative``: the first shows a gate, open for half of the samples; the second shows
        the target where the gate is open, else nothing. The first alone is independent of the
        target, the second alone is not.

    Examples
    --------
    >>> Interaction("imaging", "genomics")
    Interaction(first='imaging', second='genomics', kind='xor')
    """

    first: str
    second: str
    kind: Literal["xor", "multiplicative"] = "xor"

    def __post_init__(self) -> None:
        if self.kind not in INTERACTIONS:
            raise DatasetError(
                f"Interaction: kind must be one of {', '.join(INTERACTIONS)}, got {self.kind!r}."
            )
        if self.first == self.second:
            raise DatasetError(
                f"Interaction: needs two different modalities, got {self.first!r} twice."
            )

    def gates(self, n_classes: int | None) -> Array:
        """Return the equally likely values of the latent gate."""
        if self.kind == "multiplicative":
            return np.array([0.0, 1.0])
        return np.array([-1.0, 1.0]) if n_classes is None else np.arange(float(n_classes))

    def shown(self, state: Array, gate: Array, n_classes: int | None) -> tuple[Array, Array]:
        """Return what both modalities show, given target states and gates of the same shape."""
        if self.kind == "multiplicative":
            first = gate if n_classes is not None else 2 * gate - 1
            closed = -1.0 if n_classes is not None else 0.0
            return first, np.where(gate > 0, state, closed)
        return gate, gate * state if n_classes is None else (state + gate) % n_classes


@dataclass(frozen=True)
class Block:
    """Modalities that are independent of all others given the target.

    Attributes
    ----------
    names : tuple of str
        One modality, or the two of an interaction.
    shown : list
        One entry per value of the latent gate, all equally likely: for each name, what it shows
        in each target state (S,).
    """

    names: tuple[str, ...]
    shown: list[tuple[Array, ...]]


@dataclass(frozen=True)
class Drawn:
    """Complete samples, before anything is absent."""

    target: Array
    tables: dict[str, pd.DataFrame]
    scores: Array


@dataclass(frozen=True)
class Design:
    """The law that samples are drawn from.

    Attributes
    ----------
    states, prior : (S,) arrays
        Target states and their probabilities: the classes, or for a regression (standard normal
        target) a grid fine enough that sums over it are integrals to rounding, as long as the
        posterior's standard deviation stays above 0.06.
    """

    task: Task
    sources: tuple[Source, ...]
    states: Array
    prior: Array
    interactions: tuple[Interaction, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the modalities, in the order of the datasets."""
        return tuple(source.name for source in self.sources)

    @property
    def n_classes(self) -> int | None:
        """Number of classes; None for a regression."""
        return None if self.task == "regression" else len(self.states)

    def blocks(self) -> list[Block]:
        """Return the parts of the likelihood that multiply, given the target."""
        paired = {name for pair in self.interactions for name in (pair.first, pair.second)}
        parts = [Block((name,), [(self.states,)]) for name in self.names if name not in paired]
        for pair in self.interactions:
            shown: list[tuple[Array, ...]] = [
                pair.shown(self.states, np.full(len(self.states), gate), self.n_classes)
                for gate in pair.gates(self.n_classes)
            ]
            parts.append(Block((pair.first, pair.second), shown))
        return parts

    def draw_shown(self, n: int, rng: np.random.Generator) -> tuple[Array, dict[str, Array]]:
        """Draw targets (n,) and what each modality is to show (n,)."""
        if self.n_classes is None:
            target = rng.standard_normal(n)
        else:
            target = rng.choice(self.n_classes, size=n, p=self.prior).astype(np.float64)
        shown = dict.fromkeys(self.names, target)
        for pair in self.interactions:
            gate = rng.choice(pair.gates(self.n_classes), size=n)
            shown[pair.first], shown[pair.second] = pair.shown(target, gate, self.n_classes)
        return target, shown

    def draw(self, n: int, seed: np.random.SeedSequence) -> Drawn:
        """Draw `n` complete samples."""
        latent, *children = seed.spawn(1 + len(self.sources))
        target, shown = self.draw_shown(n, np.random.default_rng(latent))
        tables, scores = {}, np.empty((n, len(self.sources)))
        for column, (source, child) in enumerate(zip(self.sources, children, strict=True)):
            rng = np.random.default_rng(child)
            tables[source.name], scores[:, column] = source.draw(shown[source.name], rng)
        return Drawn(target, tables, scores)

    def draw_scores(self, n: int, seed: np.random.SeedSequence) -> tuple[Array, Array]:
        """Draw targets (n,) and scores (n, M) with the law of :meth:`draw`, without tables."""
        latent, *children = seed.spawn(1 + len(self.sources))
        target, shown = self.draw_shown(n, np.random.default_rng(latent))
        scores = [
            source.draw_score(shown[source.name], np.random.default_rng(child))
            for source, child in zip(self.sources, children, strict=True)
        ]
        return target, np.column_stack(scores)


def target_states(task: Task, classes: Array) -> tuple[Array, Array]:
    """Return states and prior: of the given class weights, or the grid of a normal target."""
    if task != "regression":
        return np.arange(len(classes), dtype=np.float64), classes / classes.sum()
    states = np.linspace(-7, 7, 281)
    density = np.exp(-(states**2) / 2)
    return states, density / density.sum()


def check_interactions(interactions: tuple[Interaction, ...], names: tuple[str, ...]) -> None:
    """Raise where interactions name unknown modalities or share one."""
    for pair in interactions:
        for name in (pair.first, pair.second):
            if name not in names:
                raise DatasetError(
                    f"interaction: {name!r} is no modality; there are {', '.join(names)}."
                )
    for one, other in combinations(interactions, 2):
        if shared := {one.first, one.second} & {other.first, other.second}:
            raise DatasetError(
                f"interaction: {', '.join(sorted(shared))} takes part in two interactions; each "
                "modality can take part in one."
            )
