"""How much each modality carries during training, and slowing those that run ahead."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusewise.nn.settings import BoolArray, Check, FloatArray

Losses = Callable[[Check], FloatArray]
"""The main loss of each row of a check (c,)."""


class Modulation:
    """Slows the encoders of modalities whose own head is ahead of the others'.

    In the manner of on-the-fly gradient modulation (Peng et al., CVPR 2022): with r the skill of
    a modality's head over the mean skill of the others', the pace of its encoder is
    ``1 - tanh(strength * (r - 1))`` where r is above 1, else 1. Skill is the share of the loss of
    a constant prediction that the head saves. As the steps of Adam do not depend on the scale of
    gradients, the pace multiplies the learning rate.

    Parameters
    ----------
    n_modalities : int
        M.
    constant_loss : float
        Loss of the best constant prediction on the training rows.
    strength : float
        How hard it slows.
    memory : float
        Share of the past that one step keeps.
    """

    def __init__(
        self,
        n_modalities: int,
        constant_loss: float,
        *,
        strength: float = 0.5,
        memory: float = 0.95,
    ) -> None:
        self.constant_loss = constant_loss
        self.strength = strength
        self.memory = memory
        self.sums = torch.zeros(n_modalities, 2, dtype=torch.float64)

    def update(self, sums: Tensor) -> None:
        """Take in the loss and weight (M, 2) that the heads had in one step."""
        self.sums = self.memory * self.sums + sums.to(self.sums)

    def paces(self) -> list[float]:
        """Return the factor of each encoder's learning rate, in (0, 1]."""
        seen = self.sums[:, 1] > 0
        mean = self.sums[:, 0] / self.sums[:, 1].clamp(min=1e-12)
        # A floor keeps the ratio calm while nobody has learned anything yet.
        skill = (1 - mean / max(self.constant_loss, 1e-12)).clamp(min=0) + 0.05
        paces = []
        for m in range(len(skill)):
            others = seen.clone()
            others[m] = False
            if not seen[m] or not others.any():
                paces.append(1.0)
                continue
            ahead = max(0.0, float(skill[m] / skill[others].mean()) - 1)
            paces.append(1 - math.tanh(self.strength * ahead))
        return paces

    def state(self) -> Tensor:
        """Return what `load` needs to go on."""
        return self.sums

    def load(self, state: Tensor) -> None:
        """Go on where the modulation stood that gave `state`."""
        self.sums = state.clone()


def constant_loss(loss: str, target: Tensor, weight: Tensor) -> float:
    """Return the weighted mean loss of the best constant prediction.

    For ``cross_entropy`` the entropy of the classes, for ``squared_error`` the variance.
    """
    share = weight.double() / weight.double().sum()
    if loss == "cross_entropy":
        classes = torch.bincount(target, weights=share)
        return float(-torch.special.xlogy(classes, classes).sum())
    values = target.double()
    return float((share * (values - (share * values).sum()).square()).sum())


def contributions(
    losses: Losses,
    check: Check,
    intact: FloatArray,
    names: Sequence[str],
    *,
    max_rows: int,
    rng: np.random.Generator,
) -> dict[str, float]:
    """Return by how much the check loss rises when one modality is withheld.

    Measured on the rows that have the modality and another one; a dominant modality shows by a
    large figure beside small ones. It is not a share of credit: what two modalities both know
    counts for neither.

    Parameters
    ----------
    losses : callable
        Loss of each row of a check.
    check : Check
        c rows.
    intact : float array (c,)
        Their losses with nothing withheld.
    names : sequence of str
        The modalities, in the order of the columns of presence.
    max_rows : int
        Rows over all modalities together (at least 200 for each), drawn where there are more.
    rng : numpy.random.Generator
        Draws them.

    Returns
    -------
    dict of str to float
        NaN for a modality that no row has beside another.
    """
    limit = max(200, max_rows // max(1, len(names)))
    found: dict[str, float] = {}
    for m, name in enumerate(names):
        rows = _with_another(check, m)
        if len(rows) > limit:
            rows = np.sort(rng.choice(rows, limit, replace=False))
        if not len(rows):
            found[name] = math.nan
            continue
        presence = check.presence[rows]
        presence[:, m] = False
        withheld = losses(Check(check.rows[rows], presence, check.weight[rows]))
        found[name] = float(np.average(withheld - intact[rows], weights=check.weight[rows]))
    return found


def _with_another(check: Check, m: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    has: BoolArray = check.presence[:, m] & (check.presence.sum(axis=1) > 1) & (check.weight > 0)
    return np.flatnonzero(has)
