"""A sum over modalities, each with a projection of its own, weighed sample by sample."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from fusewise.nn.attention import emptied, masked_softmax


class WeighedSum(nn.Module):
    """Project each modality's token its own way and add up, weighed by attention.

    A weight counts relative to equal weights: with all of them equal this is the linear layer that
    follows a concatenation, so evidence adds up and does not average out. Heads weigh slices of
    the result. A learned token, always there, takes part.

    Parameters
    ----------
    n_modalities, width, n_heads : int
    dropout : float
    """

    def __init__(self, n_modalities: int, width: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.n_heads, self.out_width = n_heads, 4 * width
        bound = 1 / math.sqrt(n_modalities * width)
        self.norm = nn.LayerNorm(width)
        self.score = nn.Linear(width, n_heads, bias=False)
        nn.init.zeros_(self.score.weight)
        self.value = nn.Parameter(
            torch.empty(n_modalities, width, self.out_width).uniform_(-bound, bound)
        )
        self.learned_score = nn.Parameter(torch.zeros(n_heads))
        self.learned = nn.Parameter(torch.empty(self.out_width).uniform_(-bound, bound))
        self.drop = nn.Dropout(dropout)
        self.leave = nn.LayerNorm(self.out_width)

    def forward(self, tokens: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Weigh and add.

        Parameters
        ----------
        tokens : tensor of shape (n, M, d)
        valid : bool tensor of shape (n, M)

        Returns
        -------
        tensor of shape (n, 4 d), and the weights (n, H, M + 1), the learned token's last.
        """
        tokens = emptied(self.norm(emptied(tokens, valid)), valid)
        n = len(tokens)
        always = self.learned_score.expand(n, -1)[:, :, None]
        scores = torch.cat([self.score(tokens).transpose(1, 2), always], dim=2)
        there = functional.pad(valid, (0, 1), value=True)
        weights = masked_softmax(scores, there[:, None])  # (n, H, M + 1)
        relative = (weights * there.sum(dim=1)[:, None, None]).transpose(1, 2)  # (n, M + 1, H)
        values = torch.bmm(self.drop(tokens).transpose(0, 1), self.value).transpose(
            0, 1
        )  # (n, M, 4 d)
        values = torch.cat([values, self.learned.expand(n, 1, -1)], dim=1)
        heads = values.unflatten(2, (self.n_heads, -1))  # (n, M + 1, H, 4 d / H)
        fused = (heads * relative[..., None]).sum(dim=1).flatten(1)
        return self.leave(fused), weights
