"""Several submodels in one network: they share its maps and differ in how they read the columns.

After TabM (Gorishniy, Kotelnikov, Babenko; ICLR 2025): each submodel multiplies the columns of
a table by numbers of its own before the first map that all share, and has a last map of its own.
Losses are averaged, not predictions, so each learns to answer alone; together eight are an ensemble
for two to three times the cost of one network. Numbers start as random signs, which makes the
submodels as different as networks drawn one by one.

Between, a submodel's view of a sample is treated as a sample: with S submodels, sample i as
submodel j sees it stands at position i * S + j.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from fusewise.nn.batch import Tokens


class SignedLinear(nn.Module):
    """A linear map that each submodel reads in its own way.

    Parameters
    ----------
    column : long tensor (inputs,)
        Which column each input says something of; those of one column are multiplied alike.
    n_out : int
        Number of outputs h.
    n_submodels : int
        Number of submodels S; a single one multiplies by nothing.
    """

    column: Tensor

    def __init__(self, column: Tensor, n_out: int, n_submodels: int) -> None:
        super().__init__()
        self.n_submodels = n_submodels
        self.map = nn.Linear(len(column), n_out)
        self.register_buffer("column", column, persistent=False)
        n_columns = int(column.max()) + 1
        self.signs = (
            nn.Parameter(torch.randint(0, 2, (n_submodels, n_columns)).float() * 2 - 1)
            if n_submodels > 1
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (k * S, h) from (k, inputs): the submodels of a row after each other."""
        if self.signs is None:
            out: Tensor = self.map(x)
            return out
        # Signs multiply the map and not the rows, of which there are more.
        maps = self.map.weight * self.signs[:, None, self.column]  # (S, h, inputs)
        out = (x @ maps.flatten(0, 1).T).unflatten(1, maps.shape[:2]) + self.map.bias
        return out.flatten(0, 1)


class LastLinear(nn.Module):
    """The last map, one per submodel.

    Parameters
    ----------
    n_in, n_out, n_submodels : int
    """

    def __init__(self, n_in: int, n_out: int, n_submodels: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(n_in)
        self.weight = nn.Parameter(torch.empty(n_submodels, n_in, n_out).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(n_submodels, n_out).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, S, K) from (n * S, h)."""
        x = x.unflatten(0, (-1, len(self.weight)))
        return torch.einsum("nsh,shk->nsk", x, self.weight) + self.bias


def views(sample: Tensor, n_submodels: int) -> Tensor:
    """Return the positions (k * S,) of what the submodels see of samples (k,).

    Examples
    --------
    >>> import torch
    >>> views(torch.tensor([0, 2]), 3).tolist()
    [0, 1, 2, 6, 7, 8]
    """
    steps = torch.arange(n_submodels, device=sample.device)
    return (sample[:, None] * n_submodels + steps).flatten()


def shown_to_all(tokens: Tokens, n_submodels: int) -> Tokens:
    """Return the tokens of an encoder that knows no submodels, for each of them."""
    return Tokens(
        views(tokens.sample, n_submodels),
        *(
            part.repeat_interleave(n_submodels, dim=0)
            for part in (tokens.values, tokens.valid, tokens.time)
        ),
    )
