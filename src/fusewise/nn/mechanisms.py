"""Attention over the tokens of all modalities; what is absent is not there to be seen.

Three ways for modalities to meet, each to one vector per sample. Tokens of absent modalities are
not weighed down but do not enter at all, and cost nothing. A learned token is always among what is
pooled in the end, so a sample of any pattern has something to attend to.

Shapes: n samples, b samples of one group, M modalities, T tokens, d width, H heads, S slots of all
modalities and of the learned token, side by side.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from fusewise.nn.attention import QueryPool, TransformerLayer
from fusewise.nn.batch import Tokens
from fusewise.nn.embeddings import TimeEncoding
from fusewise.nn.gather import Group, gather, scattered
from fusewise.nn.weighed import WeighedSum

__all__ = ["MECHANISMS", "AttentionWeights", "CrossModal", "Hierarchical", "Mechanism", "Temporal"]


@dataclass(frozen=True, slots=True, eq=False)
class AttentionWeights:
    """How much each token counted in what was pooled, per sample and head.

    A diagnostic and no explanation: what a token knows may have come to it from others in earlier
    layers.

    Parameters
    ----------
    values : tensor of shape (n, H, S)
        Sum to 1 over the valid slots of each sample and head; 0 elsewhere.
    modality : long tensor of shape (S,)
        Number of each slot's modality, -1 for the learned token.
    time : tensor of shape (n, S)
        Time of each token before the reference; 0 for tables.
    valid : bool tensor of shape (n, S)
    """

    values: Tensor
    modality: Tensor
    time: Tensor
    valid: Tensor

    def mean_of(self, n_submodels: int) -> AttentionWeights:
        """Return the mean over the submodels of each sample."""
        first = slice(None, None, n_submodels)
        mean = self.values.unflatten(0, (-1, n_submodels)).mean(dim=1)
        return AttentionWeights(mean, self.modality, self.time[first], self.valid[first])


class Mechanism(nn.Module):
    """Base of the mechanisms.

    Parameters
    ----------
    names : sequence of str
        All modalities, in an order that stays: each has parameters of its own.
    width : int
        Width d of tokens and output, a multiple of `n_heads`.
    n_heads : int
    n_layers : int
        How many times modalities look at each other.
    n_queries : int
        Number of learned queries that pool.
    dropout : float
    """

    def __init__(
        self,
        names: Sequence[str],
        width: int,
        *,
        n_heads: int = 4,
        n_layers: int = 2,
        n_queries: int = 2,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.names = tuple(names)
        self.width = self.out_width = width
        self.n_heads = n_heads
        self.marks = nn.Parameter(0.1 * torch.randn(len(self.names), width))
        self.layers = nn.ModuleList(
            TransformerLayer(width, n_heads, dropout) for _ in range(n_layers)
        )
        self.read: nn.Module = QueryPool(width, n_heads, n_queries, dropout, learned=True)
        self._build(n_queries, dropout)

    def forward(
        self, tokens: Mapping[str, Tokens], presence: Tensor, *, need_weights: bool = False
    ) -> tuple[Tensor, AttentionWeights | None]:
        """Fuse the tokens of each sample.

        Parameters
        ----------
        tokens : mapping of str to Tokens
            Of the modalities that somebody in the batch has, in any order. A sample's tokens count
            only where `presence` says so.
        presence : bool tensor of shape (n, M)
        need_weights : bool

        Returns
        -------
        tensor of shape (n, d), and the weights, or None where not asked for.
        """
        given = _present(tokens, self.names, presence)
        fused, shares = self._fuse(given, len(presence), need_weights)
        return fused, None if shares is None else _weights(given, self.names, shares)

    def _build(self, n_queries: int, dropout: float) -> None:
        """Add what one mechanism has beyond the others."""

    def _fuse(
        self, tokens: Mapping[str, Tokens], n: int, need_weights: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Return the fused vectors (n, d) and the weights (n, H, S) or None."""
        raise NotImplementedError

    def _pools(self, n_queries: int, dropout: float) -> nn.ModuleList:
        """Pools for within each modality."""
        return nn.ModuleList(
            QueryPool(self.width, self.n_heads, n_queries, dropout) for _ in self.names
        )

    def _look(self, x: Tensor, valid: Tensor) -> Tensor:
        """Let tokens (b, T, d) look at each other, layer by layer."""
        # Samples without any modality have no token.
        for layer in self.layers if x.shape[1] else ():
            x, _ = layer(x, valid)
        return x

    def _read(self, x: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Pool tokens (b, T, d); return (b, d) and the mean weights of the queries (b, H, T + 1).

        The learned token's weight comes last.
        """
        out, weights = self.read(x, valid, need_weights=True)
        return out, weights.mean(dim=2)


class Temporal(Mechanism):
    """All tokens of all modalities on one clock look at each other.

    The time of each token enters here too, beside what its encoder made of it, so that events of
    different modalities can be brought together by when they happened. Cost grows with the square
    of the number of tokens of a sample.
    """

    def _build(self, n_queries: int, dropout: float) -> None:
        self.clock = TimeEncoding()
        self.when = nn.Linear(self.clock.out_width, self.width)

    def _fuse(
        self, tokens: Mapping[str, Tokens], n: int, need_weights: bool
    ) -> tuple[Tensor, Tensor | None]:
        groups = gather(tokens, self.names, n, marks=self.marks).groups()
        parts, shares = [], []
        for group in groups:
            x = self._look(group.values + self.when(self.clock(group.time)), group.valid)
            fused, share = self._read(x, group.valid)
            parts.append(fused)
            if need_weights:
                shares.append(_widened(share, group, tokens))
        return scattered(groups, parts), scattered(groups, shares) if need_weights else None


class Hierarchical(Mechanism):
    """One token per modality; they look at each other and are weighed against each other.

    Attention among the tokens of one modality is the encoder's part; where it gives several, the
    first one (the summary) and what a query pools of them become one. The result is the sum over
    modalities of a projection of each one's own, weighed by attention relative to equal weights.
    At the start all weights are equal and the layers change nothing: what is learned first is what
    a merge of embeddings would learn. The cost does not depend on the number of events.
    """

    def expect_one_token(self, names: Collection[str]) -> None:
        """Leave out what pools the tokens of modalities that always come as one."""
        for m, name in enumerate(self.names):
            if name in names:
                self.pools[m] = nn.Identity()

    def _build(self, n_queries: int, dropout: float) -> None:
        self.pools = self._pools(1, dropout)
        self.read = WeighedSum(len(self.names), self.width, self.n_heads, dropout)
        self.out_width = self.read.out_width
        for layer in self.layers:
            assert isinstance(layer, TransformerLayer)
            layer.start_as_identity()

    def _fuse(
        self, tokens: Mapping[str, Tokens], n: int, need_weights: bool
    ) -> tuple[Tensor, Tensor | None]:
        within: dict[str, Tensor] = {}
        single: dict[str, Tokens] = {}
        for name, pool in zip(self.names, self.pools, strict=True):
            if name not in tokens:
                continue
            own = tokens[name]
            token = own.values[:, 0]
            # By what the modality is and not by what came: a sample alone is as in a batch.
            if isinstance(pool, QueryPool):
                pooled, weights = pool(own.values, own.valid, need_weights=True)
                token, within[name] = token + pooled, weights.mean(dim=2)
            else:
                within[name] = token.new_ones(len(token), self.n_heads, 1)
            single[name] = Tokens.single(own.sample, token)
        fused, share = self.read(*self._met(single, n), n)
        if not need_weights:
            return fused, None
        here = [m for m, name in enumerate(self.names) if name in tokens]
        share = torch.cat([share[:, :, here], share[:, :, -1:]], dim=2)
        return fused, _dealt(share, within, tokens, self.names)

    def _met(self, tokens: Mapping[str, Tokens], n: int) -> tuple[Tensor, Tensor, Tensor]:
        """Let the tokens of each sample look at each other.

        Returns them as a list (N, d), with their modalities and samples, in this order.
        """
        groups = gather(tokens, self.names, n, marks=self.marks).groups()
        parts = [group.listed(self._look(group.values, group.valid)) for group in groups]
        values, modality, sample = (torch.cat(column) for column in zip(*parts, strict=True))
        order = (modality * n + sample).argsort()
        return values[order], modality[order], sample[order]


class CrossModal(Mechanism):
    """Each present modality asks the tokens of all others, but not its own.

    Its question is what queries pooled of its own tokens. In the manner of Tsai et al. (Multimodal
    Transformer, ACL 2019), with one question per modality in the place of one per token.

    The weights are those of the last layer, over the tokens of the others; of a modality that is
    alone, those over its own tokens.
    """

    def _build(self, n_queries: int, dropout: float) -> None:
        if not len(self.layers):
            raise ValueError("cross-modal attention needs at least one layer to look at others")
        self.pools = self._pools(n_queries, dropout)

    def _fuse(
        self, tokens: Mapping[str, Tokens], n: int, need_weights: bool
    ) -> tuple[Tensor, Tensor | None]:
        pooled, within = _pooled(self.pools, tokens, self.names)
        contexts = gather(tokens, self.names, n, marks=self.marks).groups()
        like = [context.samples for context in contexts]
        askers = gather(pooled, self.names, n, marks=self.marks).groups(like=like)
        parts, alone, asked = [], [], []
        for asker, context in zip(askers, contexts, strict=True):
            other = asker.modality[:, :, None] != context.modality[:, None]
            visible = context.valid[:, None] & other  # (b, M, T)
            x, weights = asker.values, None
            for i, layer in enumerate(self.layers if x.shape[1] else ()):
                x, weights = layer(
                    x, asker.valid, context.values, visible,
                    need_weights=need_weights and i == len(self.layers) - 1,
                )  # fmt: skip
            fused, share = self._read(x, asker.valid)
            parts.append(fused)
            if need_weights:
                given = share[:, :, :-1] * visible.any(dim=2)[:, None]
                kept = share - functional.pad(given, (0, 1))
                alone.append(_widened(kept, asker, pooled))
                asked.append(_widened(_passed(given, weights, context), context, tokens))
        out = scattered(contexts, parts)
        if not need_weights:
            return out, None
        own = _dealt(scattered(contexts, alone), within, tokens, self.names)
        return out, own + scattered(contexts, asked)


MECHANISMS: dict[str, type[Mechanism]] = {
    "cross": CrossModal,
    "hierarchical": Hierarchical,
    "temporal": Temporal,
}
"""The mechanisms by the name that an estimator's ``mechanism`` takes."""


def _present(
    tokens: Mapping[str, Tokens], names: Sequence[str], presence: Tensor
) -> dict[str, Tokens]:
    """Keep the rows of present samples; nothing is copied where all are."""
    kept = {}
    for m, name in enumerate(names):
        if name not in tokens:
            continue
        own = tokens[name]
        here = presence[own.sample, m]
        if not bool(here.all()):
            own = Tokens(own.sample[here], own.values[here], own.valid[here], own.time[here])
        if len(own.sample):
            kept[name] = own
    return kept


def _pooled(
    pools: nn.ModuleList, tokens: Mapping[str, Tokens], names: Sequence[str]
) -> tuple[dict[str, Tokens], dict[str, Tensor]]:
    """One token per sample and modality, and the weights (k, H, T) within each modality."""
    pooled, within = {}, {}
    for pool, name in zip(pools, names, strict=True):
        if name in tokens:
            own = tokens[name]
            token, weights = pool(own.values, own.valid, need_weights=True)
            pooled[name] = Tokens.single(own.sample, token)
            within[name] = weights.mean(dim=2)
    return pooled, within


def _passed(share: Tensor, weights: Tensor | None, context: Group) -> Tensor:
    """Of the weight on each asker (b, H, M), what it gave to each token (b, H, T + 1)."""
    if weights is None:
        return share.new_zeros(*share.shape[:2], context.valid.shape[1] + 1)
    # Nobody asks the learned token.
    return functional.pad(torch.einsum("bhm,bhmt->bht", share, weights), (0, 1))


def _widened(share: Tensor, group: Group, tokens: Mapping[str, Tokens]) -> Tensor:
    """Weights (b, H, T + 1) of a group, learned token last, side by side for all (b, H, S)."""
    slots = sum(own.valid.shape[1] for own in tokens.values())
    wide = share.new_zeros(*share.shape[:2], slots)
    here = share[:, :, :-1]
    # Padded places point to the first slot, with nothing to add.
    wide = wide.scatter_add(
        2, group.column[:, None].expand_as(here), here.masked_fill(~group.valid[:, None], 0.0)
    )
    return torch.cat([wide, share[:, :, -1:]], dim=2)


def _dealt(
    share: Tensor, within: Mapping[str, Tensor], tokens: Mapping[str, Tokens], names: Sequence[str]
) -> Tensor:
    """Weights of modalities (n, H, present M + 1) dealt out to their tokens (n, H, S)."""
    parts = []
    for i, name in enumerate(name for name in names if name in tokens):
        own = tokens[name]
        wide = share.new_zeros(*share.shape[:2], own.valid.shape[1])
        parts.append(wide.index_copy(0, own.sample, share[own.sample, :, i, None] * within[name]))
    return torch.cat([*parts, share[:, :, -1:]], dim=2)


def _weights(
    tokens: Mapping[str, Tokens], names: Sequence[str], values: Tensor
) -> AttentionWeights:
    """Say of each slot whose it is, when it was and whether it is there."""
    n = len(values)
    modality, time, valid = [], [], []
    for m, name in enumerate(names):
        if name in tokens:
            own = tokens[name]
            slots = own.valid.shape[1]
            modality += [m] * slots
            valid.append(own.valid.new_zeros(n, slots).index_copy(0, own.sample, own.valid))
            own_time = own.time.masked_fill(~own.valid, 0.0)
            time.append(own_time.new_zeros(n, slots).index_copy(0, own.sample, own_time))
    valid.append(torch.ones(n, 1, dtype=torch.bool, device=values.device))
    time.append(values.new_zeros(n, 1))
    return AttentionWeights(
        values=values,
        modality=torch.tensor([*modality, -1], device=values.device),
        time=torch.cat([part.to(values.dtype) for part in time], dim=1),
        valid=torch.cat(valid, dim=1),
    )
