"""Encoders of tables: one token per row.

Shapes in words: k = samples that have the modality, p = numeric columns, c = categorical columns,
d = width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fusewise.exceptions import DatasetError
from fusewise.nn.batch import TableRows, Tokens
from fusewise.nn.embeddings import (
    Levels,
    LinearNumbers,
    Periodic,
    PiecewiseLinear,
    normal_edges,
)
from fusewise.nn.submodels import SignedLinear, views

EMBEDDINGS = ("piecewise", "periodic", "linear")


class TableEncoder(nn.Module):
    """A residual network over numbers, levels and the flags of missing cells.

    A missing cell is 0 in its number's embedding and 1 in its flag, so it differs from a zero.

    Parameters
    ----------
    n_columns : int
        Number of numeric columns p, scaled to about standard normal.
    n_levels : sequence of int
        Number of known levels of each categorical column; codes run from 0 (empty or unseen).
    width : int
        Width d of the token.
    embedding : {"piecewise", "periodic", "linear"}
        How a number is shown to the network.
    edges : Tensor (p, n_bins + 1), optional
        Bin edges for ``"piecewise"``, as a rule the training quantiles; those of the standard
        normal by default.
    n_bins : int
        Bins per column, where `edges` is not given.
    hidden : int, optional
        Width of the hidden layers, that of the token by default.
    n_layers : int
        Number of residual layers.
    dropout : float
        Share of hidden units that training sets to 0.
    n_submodels : int
        Number S of submodels that read the columns in their own way.

    Raises
    ------
    DatasetError
        An embedding that does not exist, edges for another number of columns, and, in use, rows
        with other columns than declared.

    References
    ----------
    Gorishniy, Kotelnikov, Babenko (2025). TabM: Advancing Tabular Deep Learning with
    Parameter-Efficient Ensembling. ICLR. (The submodels.)

    Gorishniy, Rubachev, Khrulkov, Babenko (2021). Revisiting Deep Learning Models for Tabular
    Data. NeurIPS 34. (The residual network.)
    """

    def __init__(
        self,
        n_columns: int,
        n_levels: Sequence[int],
        width: int,
        *,
        embedding: str = "piecewise",
        edges: Tensor | None = None,
        n_bins: int = 8,
        hidden: int | None = None,
        n_layers: int = 1,
        dropout: float = 0.1,
        n_submodels: int = 1,
    ) -> None:
        super().__init__()
        self.width, self.n_submodels = width, n_submodels
        self.n_columns, self.n_levels = n_columns, tuple(n_levels)
        hidden = width if hidden is None else hidden
        self.numbers = _numbers(embedding, n_columns, edges, n_bins)
        self.levels = Levels(self.n_levels) if self.n_levels else None
        self.enter = SignedLinear(self._columns(), hidden, n_submodels)
        self.layers = nn.ModuleList(_Residual(hidden, dropout) for _ in range(n_layers))
        self.leave = nn.Sequential(
            nn.LayerNorm(hidden), nn.GELU(), nn.Linear(hidden, width), nn.LayerNorm(width)
        )

    def forward(self, rows: TableRows) -> Tokens:
        """Return one token per row, or per submodel's view of a row."""
        _check_columns(rows, self.n_columns, self.n_levels)
        values = rows.values.to(self.enter.map.weight.dtype)
        parts = [self.numbers(values, rows.missing), rows.missing.to(values.dtype)]
        if self.levels is not None:
            parts.append(self.levels(rows.codes))
        x = torch.cat(parts, dim=-1)
        if not x.shape[1]:
            x = values.new_zeros(rows.n_rows, 1)
        x = self.enter(x)
        for layer in self.layers:
            x = layer(x)
        return Tokens.single(views(rows.sample, self.n_submodels), self.leave(x))

    def _columns(self) -> Tensor:
        """Return which column each input speaks of: numbers, their flags, then levels."""
        p, each = self.n_columns, self.numbers.out_width // max(1, self.n_columns)
        parts = [torch.arange(p).repeat_interleave(each), torch.arange(p, 2 * p)]
        if self.levels is not None:
            parts.append(2 * p + torch.arange(self.levels.out_width))
        column = torch.cat(parts)
        # A table may have lost all its columns: then the token is the same for every row.
        return column if len(column) else torch.zeros(1, dtype=torch.long)


class WideTableEncoder(nn.Module):
    """A narrow linear layer after heavy input dropout, for tables of over about 1,000 columns.

    Values enter as they are. A missing cell is 0 there; the share of a row's missing cells is one
    more input.

    Parameters
    ----------
    n_columns : int
        Number of numeric columns p, scaled to about standard normal.
    width : int
        Width d of the token.
    n_levels : sequence of int
        Number of known levels of each categorical column.
    rank : int
        Width of the bottleneck.
    dropout : float
        Share of hidden units that training sets to 0.
    input_dropout : float
        Share of columns that training sets to 0.

    Raises
    ------
    DatasetError
        In use: rows with other columns than declared.
    """

    def __init__(
        self,
        n_columns: int,
        width: int,
        *,
        n_levels: Sequence[int] = (),
        rank: int = 32,
        dropout: float = 0.2,
        input_dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.width = width
        self.n_columns, self.n_levels = n_columns, tuple(n_levels)
        self.levels = Levels(self.n_levels) if self.n_levels else None
        inputs = n_columns + (self.levels.out_width if self.levels is not None else 0)
        self.input_dropout = nn.Dropout(input_dropout)
        self.bottleneck = nn.Linear(inputs + 1, rank)
        self.leave = nn.Sequential(
            nn.LayerNorm(rank), nn.GELU(), nn.Dropout(dropout),
            nn.Linear(rank, width), _Residual(width, dropout), nn.LayerNorm(width),
        )  # fmt: skip

    def forward(self, rows: TableRows) -> Tokens:
        """Return one token per row."""
        _check_columns(rows, self.n_columns, self.n_levels)
        values = rows.values.to(self.bottleneck.weight.dtype).masked_fill(rows.missing, 0)
        missing = rows.missing.to(values.dtype).sum(dim=1, keepdim=True) / max(self.n_columns, 1)
        parts = [values] if self.levels is None else [values, self.levels(rows.codes)]
        x = torch.cat([self.input_dropout(torch.cat(parts, dim=-1)), missing], dim=-1)
        return Tokens.single(rows.sample, self.leave(self.bottleneck(x)))


class _Residual(nn.Module):
    """A pre-norm residual layer."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.change = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout),
            nn.Linear(width, width), nn.Dropout(dropout),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.change(x)


def _numbers(
    embedding: str, n_columns: int, edges: Tensor | None, n_bins: int
) -> LinearNumbers | Periodic | PiecewiseLinear:
    if embedding not in EMBEDDINGS:
        raise DatasetError(
            f"embedding={embedding!r} does not exist; one of {', '.join(EMBEDDINGS)} does."
        )
    if embedding == "linear":
        return LinearNumbers(n_columns)
    if embedding == "periodic":
        return Periodic(n_columns)
    edges = normal_edges(n_columns, n_bins) if edges is None else edges
    if len(edges) != n_columns:
        raise DatasetError(f"There are edges for {len(edges)} columns, expected {n_columns}.")
    return PiecewiseLinear(edges)


def _check_columns(rows: TableRows, n_columns: int, n_levels: Sequence[int]) -> None:
    came = (rows.values.shape[1], rows.codes.shape[1])
    if came != (n_columns, len(n_levels)):
        raise DatasetError(
            f"The rows have {came[0]} numeric and {came[1]} categorical columns; the encoder "
            f"was made for {n_columns} and {len(n_levels)}."
        )
