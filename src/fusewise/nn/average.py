"""A moving average of weights, which generalises better than the weights of the last step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn


class WeightAverage:
    """Exponential moving average of parameters, with correction of its bias.

    After t steps the average is ``sum_i decay^(t-i) w_i / sum_i decay^(t-i)``: the weights of a
    step count less the longer ago it was, and the arbitrary ones before training never count
    (Polyak and Juditsky 1992 for averaging; Kingma and Ba 2015 for the correction).

    Parameters
    ----------
    parameters : sequence of Tensor
        What is averaged; read at each `update`.
    decay : float
        In [0, 1); with 0 the average is the last step.

    Examples
    --------
    >>> weight = torch.zeros(1)
    >>> average = WeightAverage([weight], decay=0.5)
    >>> for value in (1.0, 2.0):
    ...     _ = weight.fill_(value)
    ...     average.update()
    >>> average.values[0].item()
    1.666667
    """

    def __init__(self, parameters: Sequence[Tensor], decay: float) -> None:
        self.parameters = list(parameters)
        self.decay = decay
        self.steps = 0
        self.values = [parameter.detach().clone() for parameter in self.parameters]

    def update(self) -> None:
        """Take in the weights as they are now."""
        self.steps += 1
        weight = (1 - self.decay) / (1 - self.decay**self.steps)
        if self.values:
            # The corrected average itself is kept, so that a constant stays exactly that.
            get_ema_multi_avg_fn(1 - weight)(self.values, self.parameters, None)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Put the average in place of the weights for as long as the context lasts."""
        own = [parameter.detach().clone() for parameter in self.parameters]
        self._write(self.values)
        try:
            yield
        finally:
            self._write(own)

    def _write(self, values: Sequence[Tensor]) -> None:
        with torch.no_grad():
            for parameter, value in zip(self.parameters, values, strict=True):
                parameter.copy_(value)

    def state(self) -> dict[str, Any]:
        """Return what `load` needs to go on."""
        return {"steps": self.steps, "values": self.values}

    def load(self, state: dict[str, Any]) -> None:
        """Go on where the average stood that gave `state`."""
        self.steps = int(state["steps"])
        for own, value in zip(self.values, state["values"], strict=True):
            own.copy_(value)
