"""Merges: one embedding per modality into one vector, whichever of them are present.

What stands in the slot of an absent modality changes neither the output nor any gradient, and an
absent modality is not the same as a present one whose embedding is all zero.

Shapes: n samples, M modalities, d width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from fusewise.nn.attention import emptied, masked_softmax

__all__ = ["MERGES", "Concatenation", "GatedSum", "MeanOverPresent", "Merge"]


class Merge(nn.Module):
    """Base of the merges.

    Parameters
    ----------
    n_modalities : int
        Number of modalities M, in an order that stays.
    width : int
        Width d of an embedding.
    """

    out_width: int

    def __init__(self, n_modalities: int, width: int) -> None:
        super().__init__()
        self.n_modalities, self.width = n_modalities, width

    def forward(self, embeddings: Tensor, presence: Tensor) -> Tensor:
        """Merge the embeddings of each sample.

        Parameters
        ----------
        embeddings : tensor of shape (n, M, d)
            Anything in the slots of absent modalities.
        presence : bool tensor of shape (n, M)

        Returns
        -------
        tensor of shape (n, out_width)
        """
        raise NotImplementedError


class Concatenation(Merge):
    """Embeddings side by side, with a learned token in the place of an absent one.

    The only merge that lets the head see directly which modalities there are, and the only one
    whose output grows with their number.

    Examples
    --------
    >>> import torch
    >>> merge = Concatenation(n_modalities=2, width=3)
    >>> merge(torch.ones(5, 2, 3), torch.ones(5, 2, dtype=torch.bool)).shape
    torch.Size([5, 6])
    """

    def __init__(self, n_modalities: int, width: int) -> None:
        super().__init__(n_modalities, width)
        self.out_width = n_modalities * width
        self.absent = nn.Parameter(0.1 * torch.randn(n_modalities, width))

    def forward(self, embeddings: Tensor, presence: Tensor) -> Tensor:
        return torch.where(presence[..., None], embeddings, self.absent).flatten(1)


class GatedSum(Merge):
    """A mean weighted by gates that each embedding sets for itself, unit by unit.

    Gates are a softmax over the present modalities, so that a modality which is noisy in this
    sample can step back in favour of the others. In the manner of gated multimodal units
    (Arevalo et al., ICLR workshop 2017), which know no absence. All zeros for a sample without any
    modality.

    Examples
    --------
    >>> import torch
    >>> merge = GatedSum(n_modalities=2, width=3)
    >>> merge(torch.ones(5, 2, 3), torch.ones(5, 2, dtype=torch.bool)).shape
    torch.Size([5, 3])
    """

    def __init__(self, n_modalities: int, width: int) -> None:
        super().__init__(n_modalities, width)
        self.out_width = width
        bound = 1 / math.sqrt(width)
        self.gate = nn.Parameter(torch.empty(n_modalities, width, width).uniform_(-bound, bound))
        self.offset = nn.Parameter(torch.zeros(n_modalities, width))

    def forward(self, embeddings: Tensor, presence: Tensor) -> Tensor:
        embeddings = emptied(embeddings, presence)
        scores = torch.einsum("nmd,mde->nme", embeddings, self.gate) + self.offset
        # Softmax over modalities, for each unit: (n, d, M).
        gates = masked_softmax(scores.transpose(1, 2), presence[:, None])
        return (gates.transpose(1, 2) * embeddings).sum(dim=1)


class MeanOverPresent(Merge):
    """The mean embedding of the present modalities; all zeros for a sample without any.

    Examples
    --------
    >>> import torch
    >>> embeddings = torch.tensor([[[2.0], [4.0]]])
    >>> MeanOverPresent(2, 1)(embeddings, torch.tensor([[True, False]]))
    tensor([[2.]])
    """

    def __init__(self, n_modalities: int, width: int) -> None:
        super().__init__(n_modalities, width)
        self.out_width = width

    def forward(self, embeddings: Tensor, presence: Tensor) -> Tensor:
        number = presence.sum(dim=1, keepdim=True).clamp(min=1)
        return emptied(embeddings, presence).sum(dim=1) / number


MERGES: dict[str, type[Merge]] = {
    "concatenate": Concatenation,
    "gated": GatedSum,
    "mean": MeanOverPresent,
}
"""The merges by the name that an estimator's ``merge`` takes."""
