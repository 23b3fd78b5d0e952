"""Numbers, levels and times as vectors that a network can use.

Shapes in words: k = rows, p = numeric columns, c = categorical columns, B = bins.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fusewise.exceptions import DatasetError

# Times within one scaled span are told apart from a whole span down to 1/64 of it.
_N_FREQUENCIES = 8
_RECENT = 100.0


def normal_edges(n_columns: int, n_bins: int) -> Tensor:
    """Return the quantiles of the standard normal as bin edges (p, B + 1), cut at ±3.

    Examples
    --------
    >>> normal_edges(1, 4).tolist()
    [[-3.0, -0.674, 0.0, 0.674, 3.0]]
    """
    inner = torch.special.ndtri(torch.arange(1, n_bins, dtype=torch.float64) / n_bins)
    edges = torch.cat([inner.new_tensor([-3.0]), inner, inner.new_tensor([3.0])])
    return edges.float().repeat(n_columns, 1)


class LinearNumbers(nn.Module):
    """Each number as it is."""

    def __init__(self, n_columns: int) -> None:
        super().__init__()
        self.out_width = n_columns

    def forward(self, values: Tensor, missing: Tensor) -> Tensor:
        """Return ``(..., p)``, 0 where a value is missing."""
        return values.masked_fill(missing, 0)


class PiecewiseLinear(nn.Module):
    """How far each number has come through each bin of its column.

    Bins that lie below the number give 1, bins above it 0, its own bin the share that is passed.
    The outer bins are not bounded on their outer side. A bin of no width is a step at its edge.
    A missing value gives 0 everywhere. The number itself stands beside its bins.

    Parameters
    ----------
    edges : Tensor (p, B + 1)
        Ascending edges of the bins of each column.

    References
    ----------
    Gorishniy, Rubachev, Babenko (2022). On Embeddings for Numerical Features in Tabular Deep
    Learning. NeurIPS 35.

    Examples
    --------
    >>> encode = PiecewiseLinear(torch.tensor([[0.0, 1.0, 2.0, 4.0]]))
    >>> encode(torch.tensor([[1.5]]), torch.tensor([[False]])).tolist()
    [[1.5, 1.0, 0.5, 0.0]]
    """

    edges: Tensor

    def __init__(self, edges: Tensor) -> None:
        super().__init__()
        if edges.ndim != 2 or edges.shape[1] < 2 or bool((edges.diff(dim=1) < 0).any()):
            raise DatasetError(
                f"Bin edges must ascend in each row of (columns, bins + 1), "
                f"they have the shape {tuple(edges.shape)}."
            )
        n_columns, n_bins = edges.shape[0], edges.shape[1] - 1
        self.register_buffer("edges", edges.detach().clone().float())
        self.out_width = n_columns * (n_bins + 1)

    def forward(self, values: Tensor, missing: Tensor) -> Tensor:
        """Return ``(..., p * (B + 1))``: for each column the number, then its bins."""
        edges = self.edges.to(values.dtype)
        lower, size = edges[:, :-1], edges.diff(dim=1)
        values = values.masked_fill(missing, 0)[..., None]
        step = size <= 0
        passed = (values - lower) / size.masked_fill(step, 1)
        passed = torch.where(step, (values >= lower).to(passed.dtype), passed)
        n_bins = size.shape[1]
        floor = passed.new_zeros(n_bins)
        floor[0] = -math.inf
        ceiling = passed.new_ones(n_bins)
        ceiling[-1] = math.inf
        passed = passed.clamp(floor, ceiling).masked_fill(missing[..., None], 0)
        return torch.cat([values, passed], dim=-1).flatten(-2)


class Periodic(nn.Module):
    """Sines and cosines of each number with learned frequencies, mixed by column.

    Parameters
    ----------
    n_columns : int
        Number of columns p.
    n_frequencies : int
        Frequencies per column.
    out_per_column : int
        Width per column.
    scale : float
        Standard deviation of the frequencies at the start.

    References
    ----------
    Gorishniy, Rubachev, Babenko (2022), as above.
    """

    def __init__(
        self,
        n_columns: int,
        *,
        n_frequencies: int = 16,
        out_per_column: int = 8,
        scale: float = 0.3,
    ) -> None:
        super().__init__()
        inputs = 2 * n_frequencies + 1
        bound = 1 / math.sqrt(inputs)
        self.frequency = nn.Parameter(torch.randn(n_columns, n_frequencies) * scale)
        self.weight = nn.Parameter(
            torch.empty(n_columns, inputs, out_per_column).uniform_(-bound, bound)
        )
        self.bias = nn.Parameter(torch.empty(n_columns, out_per_column).uniform_(-bound, bound))
        self.out_width = n_columns * out_per_column

    def forward(self, values: Tensor, missing: Tensor) -> Tensor:
        """Return ``(..., p * out_per_column)``, 0 where a value is missing."""
        values = values.masked_fill(missing, 0)[..., None]
        angle = 2 * math.pi * self.frequency * values
        waves = torch.cat([values, angle.sin(), angle.cos()], dim=-1)
        mixed = (waves[..., None, :] @ self.weight)[..., 0, :] + self.bias
        return nn.functional.relu(mixed).masked_fill(missing[..., None], 0).flatten(-2)


class Levels(nn.Module):
    """One table of vectors per categorical column; level 0 stands for empty or unseen.

    Parameters
    ----------
    n_levels : sequence of int
        Number of known levels of each column: codes run from 0 to that number.
    level_width : int
        The widest vector of a level; a column of few levels takes fewer.
    """

    def __init__(self, n_levels: Sequence[int], *, level_width: int = 8) -> None:
        super().__init__()
        self.columns = nn.ModuleList(
            nn.Embedding(levels + 1, min(level_width, levels + 1)) for levels in n_levels
        )
        self.out_width = sum(min(level_width, levels + 1) for levels in n_levels)

    def forward(self, codes: Tensor) -> Tensor:
        """Return ``(k, out_width)`` for codes ``(k, c)``, at least one column."""
        return torch.cat([column(codes[:, j]) for j, column in enumerate(self.columns)], dim=-1)


class TimeEncoding(nn.Module):
    """A continuous time: itself, its logarithm, and sines and cosines from slow to fast.

    Any finite time is legal, a negative one (after the reference) too. Nothing is learned.
    """

    frequency: Tensor

    def __init__(self) -> None:
        super().__init__()
        # Half a turn per span, then ever twice as fast.
        frequency = math.pi * 2.0 ** torch.arange(_N_FREQUENCIES)
        self.register_buffer("frequency", frequency, persistent=False)
        self.out_width = 2 + 2 * _N_FREQUENCIES

    def forward(self, time: Tensor) -> Tensor:
        """Return ``(..., out_width)`` for times of any shape."""
        near = time.sign() * (_RECENT * time.abs()).log1p() / math.log1p(_RECENT)
        angle = time[..., None] * self.frequency.to(time.dtype)
        return torch.cat([torch.stack([time, near], dim=-1), angle.sin(), angle.cos()], dim=-1)
