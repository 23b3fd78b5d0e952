"""The loss of one batch: the fused prediction's, and those of the modalities' own heads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from fusewise.nn.batch import Batch


def sample_losses(loss: str, output: Tensor, target: Tensor) -> Tensor:
    """Return the loss of each sample (n,).

    Parameters
    ----------
    loss : {"cross_entropy", "squared_error"}
        With ``cross_entropy`` the output is (n, K) logits and the target (n,) classes 0..K-1; with
        ``squared_error`` the output is (n, 1) and the target (n,) numbers.
    output, target : Tensor
        Of the same samples. Of S submodels the output is (n, S, K), and the loss their mean.
    """
    if output.ndim == 3:
        n, size = output.shape[:2]
        each = sample_losses(loss, output.flatten(0, 1), target.repeat_interleave(size))
        return each.view(n, size).mean(dim=1)
    if output.dtype in (torch.float16, torch.bfloat16):
        output = output.float()
    if loss == "cross_entropy":
        return functional.cross_entropy(output, target, reduction="none")
    return (output[:, 0] - target).square()


READOUTS = ("joint", "both", "heads")
"""What a prediction can be read from: the fused head, the modalities' own heads, or both."""


def readouts(loss: str, output: Any) -> dict[str, Tensor]:
    """Return what each readout of a network's output says (n, K): log-probabilities or numbers.

    ``heads`` is the vote of the modalities' own heads: the mean of their logits (or numbers) over
    the modalities that a sample has. ``both`` is the mean of its probabilities (or numbers) with
    those of the fused head. Where few samples teach many columns the heads overfit less.

    A sample with one modality is always answered by the head of that modality: there is nothing to
    fuse, and training shows the fused head such samples rarely, the modality's own head in every
    sample that has it.

    Of submodels it is the mean of their probabilities (or numbers).
    """
    main = output.main
    joint = _said(loss, main)
    if not output.auxiliary:
        return {"joint": joint}
    total, count = torch.zeros_like(main), main.new_zeros(len(main))
    for sample, logits in output.auxiliary.values():
        total = total.index_add(0, sample, logits.to(main.dtype))
        count = count.index_add(0, sample, count.new_ones(len(sample)))
    heads = _said(loss, total / count.clamp(min=1).view(-1, *[1] * (main.ndim - 1)))
    joint = torch.where((count == 1)[:, None], heads, joint)
    if loss == "cross_entropy":
        both = torch.logaddexp(joint, heads) - math.log(2)
    else:
        both = (joint + heads) / 2
    return {"joint": joint, "both": both, "heads": heads}


def _said(loss: str, output: Tensor) -> Tensor:
    """Return log-probabilities or numbers (n, K), the mean over submodels where there are any."""
    if loss != "cross_entropy":
        return output if output.ndim == 2 else output.mean(dim=1)
    each = output.log_softmax(dim=-1)
    return each if each.ndim == 2 else each.logsumexp(dim=1) - math.log(each.shape[1])


class Objective(nn.Module):
    """What is minimised, as one module, so that several processes can wrap it.

    Parameters
    ----------
    network : nn.Module
        ``network(batch, presence)`` gives an output with ``main`` (n, K) and ``auxiliary``,
        ``{modality: (sample (j,), (j, K))}``; with S submodels (n, S, K) and (j, S, K).
    loss : str
        As in :func:`sample_losses`.
    auxiliary_weight : float
        Weight of a sample's mean loss over the heads of the modalities that it has.
    names : sequence of str
        The modalities, in the order of the columns of presence.
    """

    def __init__(
        self, network: nn.Module, loss: str, auxiliary_weight: float, names: Sequence[str]
    ) -> None:
        super().__init__()
        self.network = network
        self.loss = loss
        self.auxiliary_weight = auxiliary_weight
        self.names = tuple(names)

    def forward(
        self, batch: Batch, presence: Tensor, target: Tensor, weight: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the weighted sum of losses, and sums for the record.

        Parameters
        ----------
        batch : Batch
            Rows of n samples.
        presence : Tensor (n, M) bool
            What each has.
        target, weight : Tensor (n,)
            Targets and sample weights.

        Returns
        -------
        total : Tensor ()
            To be minimised.
        sums : Tensor (M + 1, 2)
            Weighted loss and weight: of each modality's head, and in the last row of the main one.
        """
        output = self.network(batch, presence)
        main = sample_losses(self.loss, output.main, target)
        total = (weight * main).sum()
        sums = main.new_zeros(len(self.names) + 1, 2)
        sums[-1, 0], sums[-1, 1] = total.detach(), weight.sum()
        if self.auxiliary_weight:
            share = weight / presence.sum(1).clamp(min=1)
            for name, (sample, prediction) in output.auxiliary.items():
                own = sample_losses(self.loss, prediction, target[sample])
                total = total + self.auxiliary_weight * (share[sample] * own).sum()
                row = self.names.index(name)
                sums[row, 0] = (weight[sample] * own.detach()).sum()
                sums[row, 1] = weight[sample].sum()
        return total, sums
