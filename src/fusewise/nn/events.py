"""An encoder of irregular events: each event is a token, whatever its time and its variable.

Shapes in words: k = samples that have the modality, j = those of them in one length bucket,
T = tokens, f = values per event, d = width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from fusewise.exceptions import DatasetError
from fusewise.nn.attention import TransformerLayer, emptied
from fusewise.nn.batch import EventRows, Tokens
from fusewise.nn.buckets import length_buckets
from fusewise.nn.embeddings import TimeEncoding
from fusewise.nn.submodels import views
from fusewise.nn.table import TableEncoder

TOKENS = ("events", "summary")


# Gaps are told apart down to about a thousandth of the span.
_SOON = 1000.0


class EventEncoder(nn.Module):
    """Attention among the events of a sample, and one summary token that is always there.

    An event enters as its variable, its values as that variable reads them, the flags of missing
    values, and its continuous time. The summary token comes first, at time 0. It is made of the
    rows' summary statistics, or learned where there are none, and attends like the events, so a
    row without events still has a token.

    Events come sorted by time. Each is also shown the one before it and the gap between them, so
    that what lies in their order need not be pieced together from absolute times.

    Rows of similar length are computed together; attention over padding would cost more.

    Parameters
    ----------
    n_variables : int
        Number of variables.
    n_values : int
        Number of values f per event, scaled to about standard normal.
    width : int
        Width d of the tokens, a multiple of `n_heads`.
    n_layers, n_heads : int
        Number of transformer layers, and of heads in each. With 0 layers each
        event meets only the one before it.
    dropout : float
        Share of hidden units that training sets to 0.
    event_dropout : float
        Share of events that training leaves out.
    n_summary : int
        Number of summary columns; 0 takes a learned vector in their place.
    summary_edges : Tensor (n_summary, bins + 1), optional
        Bin edges of the summary columns; those of the standard normal by default.
    n_bins : int
        Bins of the piecewise-linear encoding of summary columns without edges.
    tokens : {"events", "summary"}
        What comes out: the summary token and those of all events, or the first alone.
    n_buckets : int
        The most groups of similar length.
    n_submodels : int
        Number S of submodels, each with a summary token of its own. They share the events, so
        more than one is possible with one layer or none, and the summary alone coming out.

    Raises
    ------
    DatasetError
        A choice of `tokens` that does not exist, submodels that are not possible, and, in use,
        rows with other values per event or other summary columns than declared.

    References
    ----------
    Tipirneni, Reddy (2022). Self-Supervised Transformer for Sparse and Irregularly Sampled
    Multivariate Clinical Time-Series. ACM TKDD 16(6). (Variable, value and time as one token.)
    """

    def __init__(
        self,
        n_variables: int,
        n_values: int,
        width: int,
        *,
        n_layers: int = 2,
        n_heads: int = 4,
        dropout: float = 0.1,
        event_dropout: float = 0.0,
        n_summary: int = 0,
        summary_edges: Tensor | None = None,
        n_bins: int = 8,
        tokens: str = "events",
        n_buckets: int = 4,
        n_submodels: int = 1,
    ) -> None:
        super().__init__()
        if tokens not in TOKENS:
            raise DatasetError(
                f"tokens={tokens!r} does not exist; one of {', '.join(TOKENS)} does."
            )
        if n_submodels > 1 and (n_layers > 1 or tokens != "summary" or not n_summary):
            raise DatasetError(
                f"{n_submodels} submodels share the events of a sample, which takes at most one "
                f"layer, tokens='summary' and summary columns; got {n_layers} layers, "
                f"tokens={tokens!r} and {n_summary} columns."
            )
        self.n_submodels = n_submodels
        self.width, self.tokens = width, tokens
        self.n_values, self.n_summary = n_values, n_summary
        self.event_dropout, self.n_buckets = event_dropout, n_buckets
        self.embed = _EventEmbedding(n_variables, n_values, width, dropout)
        if n_summary:
            self.summary = TableEncoder(
                n_summary, (), width, edges=summary_edges, n_bins=n_bins,
                dropout=dropout, n_submodels=n_submodels,
            )  # fmt: skip
        else:
            self.learned = nn.Parameter(torch.randn(width))
        self.layers = nn.ModuleList(
            TransformerLayer(width, n_heads, dropout) for _ in range(n_layers)
        )
        # What a summary says is learned first, and events where they add to it.
        for layer in self.layers:
            assert isinstance(layer, TransformerLayer)
            layer.start_as_identity()
        self.norm = nn.LayerNorm(width)

    def forward(self, rows: EventRows) -> Tokens:
        """Return the summary token and, if chosen, those of the events, as a list per row."""
        self._check(rows)
        if not rows.n_rows:
            return Tokens.single(rows.sample, self.norm.weight.new_zeros(0, self.width))
        first = self._first(rows)
        # Event by event, before anything is padded.
        events = self.embed(rows, self.norm.weight.dtype)
        buckets = length_buckets(rows.lengths, n_buckets=self.n_buckets)
        if len(buckets) == 1:
            values, valid, time = self._bucket(first, events, rows, None)
        else:
            parts = [self._bucket(first[index], events, rows, index) for index in buckets]
            longest = max(valid.shape[1] for _, valid, _ in parts)
            back = torch.cat(buckets).argsort()
            values, valid, time = (
                torch.cat([_lengthened(part, longest) for part in column])[back]
                for column in zip(*parts, strict=True)
            )
        if self.n_submodels > 1:
            return Tokens.single(views(rows.sample, self.n_submodels), values.flatten(0, 1))
        return Tokens(sample=rows.sample, values=values, valid=valid, time=time)

    def _first(self, rows: EventRows) -> Tensor:
        """Return the summary tokens (k, S, d)."""
        if self.n_summary and rows.summary is not None:
            values: Tensor = self.summary(rows.summary).values
            return values.view(-1, self.n_submodels, self.width)
        return self.learned.expand(rows.n_rows, 1, -1)

    def _bucket(
        self, first: Tensor, events: Tensor, rows: EventRows, index: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return values (j, T + S, d), valid and time (j, T + S) of one group of rows."""
        event, valid = rows.slots(index)
        seen = valid
        if self.training and self.event_dropout:
            seen = seen & (torch.rand(seen.shape, device=seen.device) >= self.event_dropout)
        chosen = event[valid]
        x = events.new_zeros(valid.numel(), self.width)
        x = x.index_copy(0, valid.reshape(-1).nonzero()[:, 0], events.index_select(0, chosen))
        time = rows.time.new_zeros(valid.shape).masked_scatter(valid, rows.time[chosen])
        x = torch.cat([first, x.view(*valid.shape, self.width)], dim=1)
        own = self.n_submodels
        seen, time = pad(seen, (own, 0), value=True), pad(time, (own, 0))
        for i, layer in enumerate(self.layers):
            if own > 1:
                # Each sees its own summary and all events.
                alone = torch.eye(own, dtype=torch.bool, device=x.device)
                visible = seen[:, None].repeat(1, own, 1)
                visible[:, :, :own] = alone
                x, _ = layer(x[:, :own], seen[:, :own], x, visible)
            elif self.tokens == "summary" and i == len(self.layers) - 1:
                # The events of the last layer would be thrown away.
                x, _ = layer(x[:, :1], seen[:, :1], x, seen)
            else:
                x, _ = layer(x, seen)
        if self.tokens == "summary":
            x, seen, time = x[:, :own], seen[:, :own], time[:, :own]
        x = emptied(self.norm(emptied(x, seen)), seen)
        return x, seen, time.to(x.dtype).masked_fill(~seen, 0)

    def _check(self, rows: EventRows) -> None:
        if rows.values.shape[1] != self.n_values:
            raise DatasetError(
                f"The events have {rows.values.shape[1]} values each; the encoder was made for "
                f"{self.n_values}."
            )
        if self.n_summary and rows.summary is None:
            raise DatasetError(
                f"The events came without a summary; the encoder was made for one of "
                f"{self.n_summary} columns."
            )


class _EventEmbedding(nn.Module):
    """Events as vectors: a hidden layer over values and time that each variable bends its way.

    They come as one list, all rows one after the other, so that nothing is spent on padding.
    """

    def __init__(self, n_variables: int, n_values: int, width: int, dropout: float) -> None:
        super().__init__()
        self.clock = TimeEncoding()
        self.enter = nn.Linear(2 * n_values + self.clock.out_width, width)
        # Scale and shift of the hidden layer, and the variable's own vector, in one look-up.
        self.variable = nn.Embedding(n_variables, 3 * width)
        nn.init.normal_(self.variable.weight, std=0.3)
        self.leave = nn.Sequential(nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, width))
        self.meet = nn.Linear(2 * width + 2, width)
        self.follow = nn.Sequential(nn.ReLU(), nn.Linear(width, width))

    def forward(self, rows: EventRows, dtype: torch.dtype) -> Tensor:
        """Return (t, d)."""
        values = rows.values.to(dtype).masked_fill(rows.missing, 0)
        time = rows.time.to(dtype)
        x = self.enter(torch.cat([values, rows.missing.to(dtype), self.clock(time)], dim=-1))
        known = self.variable.weight
        scale, shift, own = (known if len(known) == 1 else self.variable(rows.variable)).chunk(
            3, dim=-1
        )
        x = self.leave(x * (1 + scale) + shift) + own
        return x + self._after(x, time, rows.start)

    def _after(self, x: Tensor, time: Tensor, start: Tensor) -> Tensor:
        """What it means that an event follows the one before it, and how soon (t, d)."""
        is_first = torch.zeros(len(time) + 1, dtype=torch.bool, device=time.device)
        is_first = is_first.index_fill(0, start, True)[:-1]
        before = pad(x, (0, 0, 1, 0))[:-1].masked_fill(is_first[:, None], 0)
        gap = (pad(time, (1, 0))[:-1] - time).masked_fill(is_first, 0)
        soon = (_SOON * gap.abs()).log1p() / math.log1p(_SOON)
        near = torch.cat([x, before, gap[:, None], soon[:, None]], dim=-1)
        return self.follow(self.meet(near))


def _lengthened(part: Tensor, longest: int) -> Tensor:
    """Return (j, T) or (j, T, d) with zeros up to the longest T."""
    add = (0, longest - part.shape[1])
    return pad(part, add if part.ndim == 2 else (0, 0, *add))
