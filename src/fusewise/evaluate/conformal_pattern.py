"""What calibration knows about one pattern, and the sets that follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fusewise.evaluate.conformal_rows import enough, limit

if TYPE_CHECKING:
    from fusewise.evaluate.predictions import Predicted
    from fusewise.evaluate.weighted import Floats

# Numbers in memory while interval limits are ranked.
_BLOCK = 1 << 22


@dataclass(frozen=True, eq=False)
class Group:
    """Calibration samples that are scored with the same modalities.

    Parameters
    ----------
    presence : ndarray of bool (n_modalities,)
        With which a test sample is compared with them.
    scores : ndarray of float (k,)
        Ascending.
    """

    presence: npt.NDArray[np.bool_]
    scores: Floats


@dataclass(frozen=True, eq=False)
class Calibrated:
    """What is known about one pattern: the scores of the calibration samples that stand for it."""

    pattern: str
    method: str
    alpha: float
    groups: tuple[Group, ...]

    @property
    def n(self) -> int:
        """Number of calibration samples."""
        return sum(len(group.scores) for group in self.groups)

    @property
    def informative(self) -> bool:
        """Whether they are enough to leave anything out of a set."""
        return enough(self.n, self.alpha)

    @property
    def rank(self) -> int:
        """Which of the ascending scores is the threshold, counted from 1."""
        return int(np.ceil(limit(self.n, self.alpha)))

    def sets(self, given: list[Floats], n: int, n_classes: int) -> npt.NDArray[np.bool_]:
        """Return the classes that are not refuted (n, n_classes).

        A class stays where fewer calibration scores are below its own than the limit allows, each
        compared under the modalities that both have (CP-MDA-Nested*; with one group that is a
        threshold).
        """
        below = np.zeros((n, n_classes))
        for scores, group in zip(given, self.groups, strict=True):
            counted = np.searchsorted(group.scores, scores.ravel(), side="left")
            # A test sample that is not answered with less refutes nothing.
            below += np.where(np.isnan(scores), 0, counted.reshape(scores.shape))
        return below < limit(self.n, self.alpha)

    def intervals(self, said: list[Predicted], n: int) -> Floats:
        """Return lower and upper limits (n, 2).

        Each calibration sample proposes the interval of its residual around the prediction with
        what both have; the limits are quantiles of the proposed ones (CP-MDA-Nested, 2023), a
        superset of CP-MDA-Nested* without gaps. With one group: prediction plus and minus the
        threshold.
        """
        if not self.informative:
            return np.tile([-np.inf, np.inf], (n, 1))
        values = [p.response("label") for p in said]
        if len(self.groups) == 1:
            half = self.groups[0].scores[self.rank - 1]
            return np.column_stack([values[0] - half, values[0] + half])
        out = np.empty((n, 2))
        step = max(1, _BLOCK // self.n)
        for start in range(0, n, step):
            part = slice(start, start + step)
            for side, sign in enumerate((-1.0, 1.0)):
                # The lower limit is the upper one of the mirror image.
                ends = np.concatenate(
                    [
                        np.where(np.isnan(v[part, None]), np.inf, sign * v[part, None] + g.scores)
                        for v, g in zip(values, self.groups, strict=True)
                    ],
                    axis=1,
                )
                out[part, side] = sign * np.partition(ends, self.rank - 1, axis=1)[:, self.rank - 1]
        return out


def sizes(sets: npt.NDArray[Any]) -> Floats:
    """Return the number of classes of each set, or the width of each interval (n,)."""
    if sets.dtype == bool:
        return sets.sum(axis=1).astype(np.float64)
    return np.asarray(sets[:, 1] - sets[:, 0])


def covers(sets: npt.NDArray[Any], truth: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return whether each set contains its target (n,): class codes, or values for regression."""
    if sets.dtype == bool:
        return np.asarray(sets[np.arange(len(truth)), truth])
    return (sets[:, 0] <= truth) & (truth <= sets[:, 1])


def says_everything(sets: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return which sets rule out nothing (n,)."""
    return np.asarray(sets.all(axis=1) if sets.dtype == bool else np.isinf(sets).any(axis=1))
