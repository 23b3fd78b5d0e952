"""A sum over modalities, each with a projection of its own, weighed sample by sample."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from fusewise.nn.attention import masked_softmax


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

    def forward(
        self, tokens: Tensor, modality: Tensor, sample: Tensor, n: int
    ) -> tuple[Tensor, Tensor]:
        """Weigh and add.

        Parameters
        ----------
        tokens : tensor of shape (N, d)
            Those that there are; nothing is computed for absent ones.
        modality, sample : long tensors of shape (N,)
            Whose they are; modalities ascend.
        n : int
            Number of samples.

        Returns
        -------
        tensor of shape (n, 4 d), and the weights (n, H, M + 1), the learned token's last.
        """
        n_modalities = len(self.value)
        slot = sample * n_modalities + modality
        valid = torch.zeros(n * n_modalities, dtype=torch.bool, device=tokens.device)
        valid = valid.index_fill(0, slot, True).view(n, n_modalities)
        normed = self.norm(tokens)
        scores = normed.new_zeros(n * n_modalities, self.n_heads)
        scores = scores.index_copy(0, slot, self.score(normed)).view(n, n_modalities, self.n_heads)
        always = self.learned_score.expand(n, -1)[:, :, None]
        there = functional.pad(valid, (0, 1), value=True)
        weights = masked_softmax(
            torch.cat([scores.transpose(1, 2), always], dim=2), there[:, None]
        )  # (n, H, M + 1)
        relative = (weights * there.sum(dim=1)[:, None, None]).transpose(1, 2)  # (n, M + 1, H)
        counts = torch.bincount(modality, minlength=n_modalities).tolist()
        parts = self.drop(normed).split(counts)
        values = torch.cat(
            [part @ value for part, value in zip(parts, self.value, strict=True)]
        )  # (N, 4 d)
        own = relative[:, :-1].reshape(n * n_modalities, self.n_heads)[slot]
        heads = values.unflatten(1, (self.n_heads, -1)) * own[..., None]  # (N, H, 4 d / H)
        learned = self.learned.unflatten(0, (self.n_heads, -1)) * relative[:, -1, :, None]
        fused = learned.flatten(1).index_add(0, sample, heads.flatten(1))
        return fused, weights
