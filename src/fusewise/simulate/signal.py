"""What one modality shows: generators whose likelihood is known in closed form.

A source is told what to show for each sample. For a classification the shown value is a class
code (``-1``: none of them); for a regression it is a number. The same object then says how likely
the data are under any shown value, which is all that a Bayes posterior needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import logsumexp

from fusewise.data import Modality, MultimodalDataset
from fusewise.exceptions import DatasetError

Array: TypeAlias = npt.NDArray[np.float64]

_INFORMATIVE = 10


@dataclass(frozen=True)
class Noise:
    """Noise of a modality whose level varies from sample to sample.

    Each sample draws one level, independently of its target; the noise of the modality's columns
    has this standard deviation.

    Parameters
    ----------
    levels : tuple of float
        Standard deviations, each above 0.
    weights : tuple of float, optional
        How often each level occurs; equally often where not given.
    observed : bool
        Whether the level is a column, ``noise_level``, of the modality. The Bayes posterior
        uses the level where it is observed and averages over the levels where it is not.

    Examples
    --------
    >>> Noise(levels=(0.5, 2.0), observed=False).probabilities
    array([0.5, 0.5])
    """

    levels: tuple[float, ...] = (0.5, 1.0, 2.0)
    weights: tuple[float, ...] | None = None
    observed: bool = True

    def __post_init__(self) -> None:
        if not self.levels or not all(np.isfinite(v) and v > 0 for v in self.levels):
            raise DatasetError(f"Noise: levels must be numbers above 0, got {self.levels!r}.")
        if self.weights is not None and (
            len(self.weights) != len(self.levels)
            or not all(np.isfinite(w) and w >= 0 for w in self.weights)
            or sum(self.weights) <= 0
        ):
            raise DatasetError(
                f"Noise: weights must be {len(self.levels)} numbers, one per level, none below 0 "
                f"and one above, got {self.weights!r}."
            )

    @property
    def probabilities(self) -> Array:
        """How often each level occurs, summing to one."""
        given = np.ones(len(self.levels)) if self.weights is None else np.array(self.weights)
        return given / given.sum()


CONSTANT = Noise(levels=(1.0,), observed=False)


class Source(Protocol):
    """A modality that can be drawn, and whose data have a likelihood."""

    @property
    def name(self) -> str:
        """Name of the modality."""

    def draw(self, shown: Array, rng: np.random.Generator) -> tuple[pd.DataFrame, Array]:
        """Return a table whose column ``row`` numbers the samples, and their scores (n,)."""

    def draw_score(self, shown: Array, rng: np.random.Generator) -> Array:
        """Return scores (n,) with the law that :meth:`draw` gives them, without a table."""

    def score_law(self, shown: Array) -> tuple[Array, Array, Array]:
        """Return means (S,), levels (L,) and weights (L,) of the score's Gaussian mixture."""

    def modality(self, table: pd.DataFrame) -> Modality:
        """Return the declaration of a table of this source, keyed by ``id``."""

    def statistics(self, dataset: MultimodalDataset) -> tuple[npt.NDArray[np.intp], Array]:
        """Return positions (k,) and sufficient statistics (k, q); the first one is the score."""

    def log_likelihood(self, statistics: Array, shown: Array) -> Array:
        """Return log-likelihoods (k, S) up to a constant per sample."""


@dataclass(frozen=True)
class TableSource:
    """A table of numbers: Gaussian noise around a centre that depends on what is shown.

    Attributes
    ----------
    basis : (width, r) array
        Orthonormal directions that span the centres; the score is the first coordinate.
    centres : (k + 1, r) array or None
        Coordinates of the centre of each class code; the last row (code -1) is the origin. None
        for a regression, whose centre is ``slope`` times the shown number, in direction one.
    """

    name: str
    basis: Array
    centres: Array | None
    slope: float
    noise: Noise

    @classmethod
    def create(
        cls,
        name: str,
        *,
        width: int,
        signal: float,
        n_classes: int | None,
        noise: Noise,
        rng: np.random.Generator,
    ) -> TableSource:
        """Draw directions for `width` columns, of which at most ten carry the signal."""
        columns = rng.permutation(width)[:_INFORMATIVE]
        rank = 1 if n_classes is None else min(len(columns), max(1, n_classes - 1))
        inner = np.linalg.qr(rng.standard_normal((len(columns), rank)))[0]
        centres = None
        if n_classes is not None:
            points = rng.standard_normal((n_classes, rank))
            points -= points.mean(axis=0)
            # Principal axes, so that the score (first coordinate) is where classes differ most.
            points = points @ np.linalg.svd(points, full_matrices=False)[2].T
            gaps = points[:, None, :] - points[None, :, :]
            squared = (gaps**2).sum(axis=2)[np.triu_indices(n_classes, 1)]
            points *= signal / np.sqrt(squared.mean())
            if n_classes == 2:
                points = np.array([[-signal / 2], [signal / 2]])
            centres = np.vstack([points, np.zeros(rank)])
        basis = np.zeros((width, rank))
        basis[columns] = inner
        return cls(name, basis, centres, signal, noise)

    @property
    def columns(self) -> list[str]:
        """Names of the numeric columns, in the order of the rows of ``basis``."""
        digits = max(2, len(str(len(self.basis) - 1)))
        return [f"x{j:0{digits}d}" for j in range(len(self.basis))]

    def coordinates(self, shown: Array) -> Array:
        """Return the centre (S, r) of each shown value."""
        if self.centres is None:
            return self.slope * shown[:, None]
        return self.centres[shown.astype(int)]

    def _levels(self, n: int, rng: np.random.Generator) -> Array:
        levels = np.array(self.noise.levels)
        return levels[rng.choice(len(levels), size=n, p=self.noise.probabilities)]

    def draw(self, shown: Array, rng: np.random.Generator) -> tuple[pd.DataFrame, Array]:
        """Return one row per sample, and the scores."""
        level = self._levels(len(shown), rng)
        values = rng.standard_normal((len(shown), len(self.basis)))
        values *= level[:, None]
        values += self.coordinates(shown) @ self.basis.T
        table = pd.DataFrame(values, columns=self.columns)
        if self.noise.observed:
            table["noise_level"] = level
        table.insert(0, "row", np.arange(len(shown)))
        return table, values @ self.basis[:, 0]

    def draw_score(self, shown: Array, rng: np.random.Generator) -> Array:
        """Return scores without drawing the columns."""
        level = self._levels(len(shown), rng)
        return self.coordinates(shown)[:, 0] + level * rng.standard_normal(len(shown))

    def score_law(self, shown: Array) -> tuple[Array, Array, Array]:
        """Return the mixture of Gaussians that the score follows."""
        mean = self.coordinates(shown)[:, 0]
        return mean, np.array(self.noise.levels), self.noise.probabilities

    def modality(self, table: pd.DataFrame) -> Modality:
        """Return a modality of kind ``table``."""
        return Modality(table, kind="table")

    def statistics(self, dataset: MultimodalDataset) -> tuple[npt.NDArray[np.intp], Array]:
        """Return coordinates, squared norm and noise level of each present sample."""
        positions, frame = dataset.features(self.name)
        values = frame[self.columns].to_numpy(dtype=np.float64)
        level = (
            frame["noise_level"].to_numpy(dtype=np.float64)
            if self.noise.observed
            else np.ones(len(frame))
        )
        squared = np.einsum("ij,ij->i", values, values)
        return positions, np.column_stack([values @ self.basis, squared, level])

    def log_likelihood(self, statistics: Array, shown: Array) -> Array:
        """Return Gaussian log-likelihoods, averaged over the noise levels if those are hidden."""
        at, squared, level = statistics[:, :-2], statistics[:, -2], statistics[:, -1]
        centre = self.coordinates(shown)
        # -distance / 2 without the squared norm of the data, which no shown value changes.
        fit = at @ centre.T - (centre**2).sum(axis=1) / 2
        if self.noise.observed or len(self.noise.levels) == 1:
            spread = level if self.noise.observed else np.array(self.noise.levels)
            return fit / (spread**2)[:, None]
        width = len(self.basis)
        terms = [
            np.log(weight) - width * np.log(sd) + (fit - squared[:, None] / 2) / sd**2
            for sd, weight in zip(self.noise.levels, self.noise.probabilities, strict=True)
            if weight > 0
        ]
        return logsumexp(np.stack(terms), axis=0)
