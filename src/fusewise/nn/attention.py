"""Attention that knows absence: what is not valid is neither seen nor computed into a gradient.

Every tensor comes with a boolean ``valid`` of its slots. What stands in a slot that is not valid
(NaN, 1e30, the rest of an older batch) changes neither the output nor any gradient, bit for bit:
slots are emptied *before* they are used, since 0 times NaN is NaN, backwards too. Attention over
nothing is exactly zero instead of the NaN of a softmax over nothing.

Shapes: n samples, Q queries, T tokens, d width, H heads.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["FeedForward", "MultiHeadAttention", "QueryPool", "TransformerLayer", "emptied"]


def emptied(tokens: Tensor, valid: Tensor) -> Tensor:
    """Tokens with zeros where they are not valid; no gradient flows into those slots.

    Parameters
    ----------
    tokens : tensor of shape (..., d)
    valid : bool tensor of shape (...)

    Examples
    --------
    >>> import torch
    >>> emptied(torch.tensor([[1.0], [float("nan")]]), torch.tensor([True, False]))
    tensor([[1.],
            [0.]])
    """
    return tokens.masked_fill(~valid.unsqueeze(-1), 0.0)


def masked_softmax(scores: Tensor, valid: Tensor) -> Tensor:
    """Weights over the last axis that sum to one over valid slots; zeros where none is valid."""
    # The lowest finite number and not -inf: a row without a valid slot stays free of NaN.
    lowest = torch.finfo(scores.dtype).min
    weights = torch.softmax(scores.masked_fill(~valid, lowest), dim=-1)
    return weights.masked_fill(~valid, 0.0)


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    valid: Tensor,
    *,
    dropout: float = 0.0,
    need_weights: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Scaled dot-product attention; every kind of attention here goes through this function.

    Parameters
    ----------
    query : tensor of shape (n, H, Q, d / H)
    key, value : tensors of shape (n, H, T, d / H)
        Finite in all slots. Where a sample has no valid slot, its values are zeros.
    valid : bool tensor of shape (n, 1, 1, T) or (n, 1, Q, T)
    dropout : float
        Share of the weights that are dropped; 0 when predicting.
    need_weights : bool
        Also return the weights. They are then computed one by one, which takes about twice as long.

    Returns
    -------
    tensor of shape (n, H, Q, d / H), and the weights (n, H, Q, T) or None.
    """
    if need_weights:
        scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
        weights = masked_softmax(scores, valid)
        return functional.dropout(weights, dropout) @ value, weights
    # Kernels disagree about queries that see nothing (zeros or NaN): those see everything here.
    nothing = ~valid.any(dim=-1, keepdim=True)  # (n, 1, 1 or Q, 1)
    out = functional.scaled_dot_product_attention(
        query, key, value, attn_mask=valid | nothing, dropout_p=dropout
    )
    # One mask for all queries: whoever sees nothing sees zeros. Else some may see others' tokens.
    return (out if valid.shape[2] == 1 else out.masked_fill(nothing, 0.0)), None


class MultiHeadAttention(nn.Module):
    """Each query takes a weighted mean of the valid tokens (Vaswani et al., NeurIPS 2017).

    A query that sees no token gets exactly zero, with zero gradients, whether weights are asked
    for or not. There are no biases, which is what makes that hold.

    Parameters
    ----------
    width : int
        Width d of queries, tokens and output; a multiple of ``n_heads``.
    n_heads : int
    dropout : float
        Share of the attention weights that are dropped in training. Other than 0 it takes about
        twice the time on a CPU.

    Examples
    --------
    >>> import torch
    >>> attention = MultiHeadAttention(8, n_heads=2)
    >>> tokens, valid = torch.ones(3, 5, 8), torch.ones(3, 5, dtype=torch.bool)
    >>> out, weights = attention(tokens, tokens, valid, need_weights=True)
    >>> out.shape, weights.shape
    (torch.Size([3, 5, 8]), torch.Size([3, 2, 5, 5]))
    """

    def __init__(self, width: int, n_heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        _check_heads(width, n_heads)
        self.width, self.n_heads, self.dropout = width, n_heads, dropout
        self.project = nn.Linear(width, 3 * width, bias=False)  # query, key, value
        self.join = nn.Linear(width, width, bias=False)

    def forward(
        self, query: Tensor, key: Tensor, valid: Tensor, *, need_weights: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Attend from queries to tokens.

        Parameters
        ----------
        query : tensor of shape (n, Q, d)
            Finite. Self-attention is asked for by giving the same tensor as `key`, which is also
            the faster way to compute it.
        key : tensor of shape (n, T, d)
        valid : bool tensor of shape (n, T), or (n, Q, T) where queries see different tokens
        need_weights : bool

        Returns
        -------
        tensor of shape (n, Q, d), and the weights (n, H, Q, T), or None where not asked for.
        """
        tokens = emptied(key, valid if valid.dim() == 2 else valid.any(dim=1))
        if query is key:
            q, k, v = self.project(tokens).chunk(3, dim=-1)
        else:
            for_query, for_tokens = self.project.weight.split([self.width, 2 * self.width])
            q = functional.linear(query, for_query)
            k, v = functional.linear(tokens, for_tokens).chunk(2, dim=-1)
        out, weights = attend(
            self._heads(q),
            self._heads(k),
            self._heads(v),
            valid[:, None, None, :] if valid.dim() == 2 else valid[:, None],
            dropout=self.dropout if self.training else 0.0,
            need_weights=need_weights,
        )
        # (n, H, Q, d / H) -> (n, Q, d)
        return self.join(out.transpose(1, 2).flatten(2)), weights

    def _heads(self, x: Tensor) -> Tensor:
        """(n, T, d) -> (n, H, T, d / H), without a copy."""
        return x.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)


class FeedForward(nn.Module):
    """Norm, a wider hidden layer, and back: what a token thinks for itself, to be added to it."""

    def __init__(self, width: int, hidden_factor: float = 2, dropout: float = 0.0) -> None:
        super().__init__()
        hidden = max(1, round(width * hidden_factor))
        self.norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, hidden)
        self.narrow = nn.Linear(hidden, width)
        self.drop = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """(..., d) -> (..., d)."""
        return self.drop(self.narrow(functional.gelu(self.widen(self.norm(tokens)))))


class TransformerLayer(nn.Module):
    """Tokens look at each other, or at a context, and then think for themselves.

    Norms come first, so that deep stacks train without warm-up (Xiong et al., ICML 2020). What
    each of the two steps adds is dropped in part; attention weights are not, as this doubles the
    time that attention takes on a CPU.

    Parameters
    ----------
    width, n_heads : int
    dropout : float
    hidden_factor : float
        Width of the hidden layer, as a multiple of `width`.

    Examples
    --------
    >>> import torch
    >>> layer = TransformerLayer(8, n_heads=2)
    >>> tokens, valid = torch.ones(3, 5, 8), torch.ones(3, 5, dtype=torch.bool)
    >>> layer(tokens, valid)[0].shape
    torch.Size([3, 5, 8])
    """

    def __init__(
        self, width: int, n_heads: int, dropout: float = 0.0, hidden_factor: float = 2
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = MultiHeadAttention(width, n_heads)
        self.drop = nn.Dropout(dropout)
        self.think = FeedForward(width, hidden_factor, dropout)

    def start_as_identity(self) -> None:
        """Let the layer change nothing until it has learned to (Bachlechner et al., UAI 2021)."""
        nn.init.zeros_(self.attention.join.weight)
        nn.init.zeros_(self.think.narrow.weight)
        nn.init.zeros_(self.think.narrow.bias)

    def forward(
        self,
        tokens: Tensor,
        valid: Tensor,
        context: Tensor | None = None,
        visible: Tensor | None = None,
        *,
        need_weights: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Update the tokens.

        Parameters
        ----------
        tokens : tensor of shape (n, T, d)
        valid : bool tensor of shape (n, T)
            What comes out for the other tokens is finite and means nothing.
        context : tensor of shape (n, S, d), optional
            What the tokens look at instead of each other.
        visible : bool tensor of shape (n, S) or (n, T, S)
            Which of the context is valid (and seen by which token); given with `context`.
        need_weights : bool

        Returns
        -------
        tensor of shape (n, T, d), and the weights (n, H, T, T or S), or None where not asked for.
        """
        tokens = emptied(tokens, valid)
        here = self.norm(tokens)
        if context is None:
            seen, weights = self.attention(here, here, valid, need_weights=need_weights)
        else:
            if visible is None:
                raise ValueError("a context comes with `visible`, which says what of it is valid")
            # Emptied before the norm: a norm's own gradient sums over all slots.
            there = emptied(context, visible if visible.dim() == 2 else visible.any(dim=1))
            seen, weights = self.attention(
                here, self.norm(there), visible, need_weights=need_weights
            )
        tokens = tokens + self.drop(seen)
        return tokens + self.think(tokens), weights


class QueryPool(nn.Module):
    """A few learned queries take what they look for out of any number of tokens.

    This is multi-head attention from learned queries (Lee et al., Set Transformer, ICML 2019). As
    the queries are the same for all samples, keys need no projection of their own, and values are
    projected after the mean and not before it: the same function at a fraction of the cost.

    Parameters
    ----------
    width, n_heads : int
    n_queries : int
    dropout : float
        Share of the output that is dropped in training.
    learned : bool
        Put a learned token, always valid, beside those of each sample.

    Examples
    --------
    >>> import torch
    >>> pool = QueryPool(8, n_heads=2, n_queries=3)
    >>> tokens, valid = torch.ones(4, 5, 8), torch.ones(4, 5, dtype=torch.bool)
    >>> pooled, weights = pool(tokens, valid, need_weights=True)
    >>> pooled.shape, weights.shape
    (torch.Size([4, 8]), torch.Size([4, 2, 3, 5]))
    """

    def __init__(
        self,
        width: int,
        n_heads: int,
        n_queries: int = 1,
        dropout: float = 0.0,
        *,
        learned: bool = False,
    ) -> None:
        super().__init__()
        _check_heads(width, n_heads)
        self.n_heads, self.n_queries = n_heads, n_queries
        self.norm = nn.LayerNorm(width)
        self.score = nn.Linear(width, n_heads * n_queries, bias=False)
        bound = 1 / math.sqrt(width)
        self.value = nn.Parameter(
            torch.empty(n_heads, width, width // n_heads).uniform_(-bound, bound)
        )
        self.join = nn.Linear(n_queries * width, width, bias=False)
        self.drop = nn.Dropout(dropout)
        self.learned = nn.Parameter(torch.randn(width)) if learned else None

    def forward(
        self, tokens: Tensor, valid: Tensor, *, need_weights: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Pool the valid tokens of each sample.

        Parameters
        ----------
        tokens : tensor of shape (n, T, d)
        valid : bool tensor of shape (n, T)
        need_weights : bool

        Returns
        -------
        tensor of shape (n, d), exactly zero where a sample has no valid token and there is no
        learned one; and the weights (n, H, queries, T), or None where not asked for. With a
        learned token they are (n, H, queries, T + 1): it comes last.
        """
        tokens = self.norm(emptied(tokens, valid))
        scores, valid = self.score(tokens).transpose(1, 2), valid[:, None]  # (n, H * queries, T)
        if self.learned is not None:
            # The same for all samples: it is scored once and enters after the mean of the others.
            always = self.norm(self.learned)
            score = self.score(always)[:, None].expand(len(scores), -1, 1)
            scores = torch.cat([scores, score], dim=2)
            valid = functional.pad(valid, (0, 1), value=True)
        weights = masked_softmax(scores, valid)
        means = weights[..., : tokens.shape[1]] @ tokens  # (n, H * queries, d)
        if self.learned is not None:
            means = means + weights[..., -1:] * always
        means = means.unflatten(1, (self.n_heads, self.n_queries))
        pooled = torch.einsum("nhqd,hde->nqhe", means, self.value)  # d wide -> d / H wide per head
        out = self.drop(self.join(pooled.flatten(1)))
        return out, weights.unflatten(1, (self.n_heads, self.n_queries)) if need_weights else None


def _check_heads(width: int, n_heads: int) -> None:
    if n_heads < 1 or width % n_heads:
        raise ValueError(
            f"a width of {width} cannot be shared by {n_heads} heads; choose a multiple of n_heads"
        )
