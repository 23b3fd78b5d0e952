"""Merges: one embedding per modality into one vector, whichever of them are present.

A merge is given the embeddings that there are and nothing else, so an absent modality can change
neither the output nor any gradient. It is not the same as a present one whose embedding is zero.

Shapes: n samples, M modalities, j samples that have a modality, d width, h output width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fusewise.nn.attention import masked_softmax

__all__ = ["MERGES", "Concatenation", "GatedSum", "MeanOverPresent", "Merge"]


class Merge(nn.Module):
    """Base of the merges.

    Parameters
    ----------
    n_modalities : int
        Number of modalities M, in an order that stays.
    width : int
        Width d of an embedding.
    out_width : int, optional
        Width h of the result; twice that of an embedding by default.
    dropout : float
        Share of the units of an embedding that training sets to 0 before they are mapped.
    """

    def __init__(
        self, n_modalities: int, width: int, out_width: int | None = None, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.n_modalities, self.width = n_modalities, width
        self.out_width = 2 * width if out_width is None else out_width
        self.drop = nn.Dropout(dropout)

    def forward(self, embeddings: Sequence[tuple[Tensor, Tensor]], n: int) -> Tensor:
        """Merge the embeddings of each sample.

        Parameters
        ----------
        embeddings : sequence of (long tensor (j,), tensor (j, d))
            By modality: the samples that have it, each once and ascending, and their embeddings.
        n : int
            Number of samples.

        Returns
        -------
        tensor of shape (n, h)
        """
        raise NotImplementedError


class Concatenation(Merge):
    """A linear map of the embeddings side by side, with a learned token in place of an absent one.

    The only merge that lets the head see directly which modalities there are. It is computed as a
    sum of one map per modality: what a token in an absent slot would be mapped to is learned as it
    is, and nothing else is computed for that slot.

    Examples
    --------
    >>> import torch
    >>> merge = Concatenation(n_modalities=2, width=3, out_width=7)
    >>> everyone = torch.arange(5)
    >>> merge([(everyone, torch.ones(5, 3)), (everyone[:2], torch.ones(2, 3))], n=5).shape
    torch.Size([5, 7])
    """

    def __init__(
        self, n_modalities: int, width: int, out_width: int | None = None, dropout: float = 0.0
    ) -> None:
        super().__init__(n_modalities, width, out_width, dropout)
        bound = 1 / math.sqrt(n_modalities * width)
        shape = n_modalities, width, self.out_width
        self.value = nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
        self.offset = nn.Parameter(torch.empty(self.out_width).uniform_(-bound, bound))
        # About what a token of length 0.1 per unit is mapped to.
        self.absent = nn.Parameter(
            torch.randn(n_modalities, self.out_width) * (0.1 / math.sqrt(3 * n_modalities))
        )

    def forward(self, embeddings: Sequence[tuple[Tensor, Tensor]], n: int) -> Tensor:
        lacking = self.absent.new_ones(n, self.n_modalities)
        for m, (sample, _) in enumerate(embeddings):
            lacking[:, m].index_fill_(0, sample, 0)
        fused = torch.addmm(self.offset, lacking, self.absent)
        for (sample, own), value in zip(embeddings, self.value, strict=True):
            # All of them in their order need no index.
            if len(sample) == n:
                fused = torch.addmm(fused, self.drop(own), value)
            elif len(sample):
                fused = fused.index_add(0, sample, self.drop(own) @ value)
        return fused


class _OfSlots(Merge):
    """Embeddings become one vector of their width, which a linear map follows."""

    def __init__(
        self, n_modalities: int, width: int, out_width: int | None = None, dropout: float = 0.0
    ) -> None:
        super().__init__(n_modalities, width, out_width, dropout)
        self.leave = nn.Linear(width, self.out_width)

    def forward(self, embeddings: Sequence[tuple[Tensor, Tensor]], n: int) -> Tensor:
        slots = self.leave.weight.new_zeros(n * self.n_modalities, self.width)
        here = torch.zeros(len(slots), dtype=torch.bool, device=slots.device)
        for m, (sample, own) in enumerate(embeddings):
            slot = sample * self.n_modalities + m
            slots = slots.index_copy(0, slot, own)
            here.index_fill_(0, slot, True)
        shape = n, self.n_modalities
        out: Tensor = self.leave(
            self.drop(self.fuse(slots.view(*shape, self.width), here.view(shape)))
        )
        return out

    def fuse(self, embeddings: Tensor, presence: Tensor) -> Tensor:
        """Return (n, d) from embeddings (n, M, d), zeros where absent, and presence (n, M)."""
        raise NotImplementedError


class GatedSum(_OfSlots):
    """A mean weighted by gates that each embedding sets for itself, unit by unit; then a map.

    Gates are a softmax over the present modalities, so that a modality which is noisy in this
    sample can step back in favour of the others. In the manner of gated multimodal units
    (Arevalo et al., ICLR workshop 2017), which know no absence. The mean is all zeros for a sample
    without any modality.

    Examples
    --------
    >>> import torch
    >>> merge = GatedSum(n_modalities=2, width=3)
    >>> merge([(torch.arange(5), torch.ones(5, 3))] * 2, n=5).shape
    torch.Size([5, 6])
    """

    def __init__(
        self, n_modalities: int, width: int, out_width: int | None = None, dropout: float = 0.0
    ) -> None:
        super().__init__(n_modalities, width, out_width, dropout)
        bound = 1 / math.sqrt(width)
        self.gate = nn.Parameter(torch.empty(n_modalities, width, width).uniform_(-bound, bound))
        self.offset = nn.Parameter(torch.zeros(n_modalities, width))

    def fuse(self, embeddings: Tensor, presence: Tensor) -> Tensor:
        scores = torch.einsum("nmd,mde->nme", embeddings, self.gate) + self.offset
        # Softmax over modalities, for each unit: (n, d, M).
        gates = masked_softmax(scores.transpose(1, 2), presence[:, None])
        return (gates.transpose(1, 2) * embeddings).sum(dim=1)


class MeanOverPresent(_OfSlots):
    """The mean embedding of the present modalities, zeros without any; then a map.

    Examples
    --------
    >>> import torch
    >>> merge = MeanOverPresent(2, 1)
    >>> merge.fuse(torch.tensor([[[2.0], [0.0]]]), torch.tensor([[True, False]]))
    tensor([[2.]])
    """

    def fuse(self, embeddings: Tensor, presence: Tensor) -> Tensor:
        number = presence.sum(dim=1, keepdim=True).clamp(min=1)
        return embeddings.sum(dim=1) / number


MERGES: dict[str, type[Merge]] = {
    "concatenate": Concatenation,
    "gated": GatedSum,
    "mean": MeanOverPresent,
}
"""The merges by the name that an estimator's ``merge`` takes."""
