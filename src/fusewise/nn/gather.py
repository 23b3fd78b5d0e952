"""Tokens of all modalities side by side, sample by sample, with little padding.

Each modality's tokens come for the samples that have it. Here they are dealt out to the samples
again: those of one sample stand next to each other without gaps, and samples with similar numbers
of tokens are computed together, so that the cost follows what is present.

Shapes: n samples, N tokens of all samples together, b samples of one group, T tokens, d width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fusewise.nn.batch import Tokens
from fusewise.nn.buckets import length_buckets

NOBODY = -1
"""In the place of a modality's number, where there is no token."""


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Some samples with their tokens.

    Parameters
    ----------
    samples : long tensor (b,)
        Their positions in the batch.
    values : tensor (b, T, d)
        Zeros where there is no token.
    valid : bool tensor (b, T)
    modality : long tensor (b, T)
        Number of the modality; ``NOBODY`` where there is no token.
    time : tensor (b, T)
    column : long tensor (b, T)
        Where each token stands in the wide order, see `Gathered.column`.
    """

    samples: Tensor
    values: Tensor
    valid: Tensor
    modality: Tensor
    time: Tensor
    column: Tensor

    def listed(self, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return those of `values` (b, T, d) that stand for a token, with modality and sample."""
        place = self.valid.flatten().nonzero()[:, 0]
        sample = self.samples[:, None].expand_as(self.modality)
        values, modality, sample = (
            part.flatten(0, 1).index_select(0, place) for part in (values, self.modality, sample)
        )
        return values, modality, sample


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """All valid tokens of a batch as one list.

    Parameters
    ----------
    n : int
        Number of samples.
    values : tensor (N, d)
    sample, modality : long tensors (N,)
        Whose tokens they are.
    place : long tensor (N,)
        Number of each token within its sample, from 0, in the order of the modalities.
    time : tensor (N,)
    column : long tensor (N,)
        Place in the wide order, which is the same for all samples: the slots of the first
        modality, of the second and so on.
    """

    n: int
    values: Tensor
    sample: Tensor
    modality: Tensor
    place: Tensor
    time: Tensor
    column: Tensor

    def lengths(self) -> Tensor:
        """Number of tokens of each sample (n,)."""
        return torch.bincount(self.sample, minlength=self.n)

    def groups(self, *, n_buckets: int = 4, like: Sequence[Tensor] | None = None) -> list[Group]:
        """Cut the samples into groups with similar numbers of tokens, or into given ones.

        Parameters
        ----------
        n_buckets : int
            The most groups that are made.
        like : sequence of long tensors, optional
            The samples of each group.
        """
        lengths = self.lengths()
        if like is None:
            like = length_buckets(lengths, n_buckets=n_buckets) or [lengths]
        if len(like) == 1:
            return [self._group(like[0], lengths, None)]
        number = torch.empty_like(lengths)
        for i, samples in enumerate(like):
            number[samples] = i
        number = number[self.sample]
        return [
            self._group(samples, lengths, (number == i).nonzero().squeeze(1))
            for i, samples in enumerate(like)
        ]

    def _group(self, samples: Tensor, lengths: Tensor, chosen: Tensor | None) -> Group:
        """Pad the tokens of some samples; `chosen` are the numbers of these tokens, None: all."""
        here = lengths[samples]
        b, longest = len(samples), int(here.max()) if len(samples) else 0
        row = torch.empty_like(lengths)
        row[samples] = torch.arange(b, device=row.device)

        def of(x: Tensor) -> Tensor:
            return x if chosen is None else x[chosen]

        slot = row[of(self.sample)] * longest + of(self.place)

        def padded(x: Tensor, fill: int = 0) -> Tensor:
            # Every slot is filled at most once, so the way back adds nothing up.
            flat = x.new_full((b * longest, *x.shape[1:]), fill)
            return flat.index_copy(0, slot, of(x)).view(b, longest, *x.shape[1:])

        return Group(
            samples=samples,
            values=padded(self.values),
            valid=torch.arange(longest, device=row.device) < here[:, None],
            modality=padded(self.modality, NOBODY),
            time=padded(self.time),
            column=padded(self.column),
        )


def gather(
    tokens: Mapping[str, Tokens], names: Sequence[str], n: int, *, marks: Tensor
) -> Gathered:
    """List the valid tokens of all modalities.

    Parameters
    ----------
    tokens : mapping of str to Tokens
        Of the modalities that somebody in the batch has.
    names : sequence of str
        All modalities; their numbers are the places in this list.
    n : int
        Number of samples of the batch.
    marks : tensor (M, d)
        Added to the tokens of each modality, so that it is known whose they are.
    """
    # Empty parts come first, so that a batch in which nobody has anything is legal.
    count = torch.zeros(n, dtype=torch.long, device=marks.device)
    values, time = [marks[:0]], [marks[:0, 0]]
    sample, modality, place, column = ([count[:0]] for _ in range(4))
    start = 0
    for m, name in enumerate(names):
        if name not in tokens:
            continue
        own = tokens[name]
        row, step = own.valid.nonzero(as_tuple=True)
        owner = own.sample[row]
        values.append(own.values[row, step] + marks[m])
        time.append(own.time[row, step])
        sample.append(owner)
        modality.append(torch.full_like(row, m))
        place.append(count[owner] + (own.valid.cumsum(1) - 1)[row, step])
        column.append(start + step)
        count = count.index_add(0, own.sample, own.valid.sum(1))
        start += own.valid.shape[1]
    return Gathered(
        n=n,
        values=torch.cat(values),
        sample=torch.cat(sample),
        modality=torch.cat(modality),
        place=torch.cat(place),
        time=torch.cat(time),
        column=torch.cat(column),
    )


def scattered(groups: Sequence[Group], parts: Sequence[Tensor]) -> Tensor:
    """Put results of groups (b, ...) back into the order of the batch (n, ...)."""
    return torch.cat(list(parts))[torch.cat([group.samples for group in groups]).argsort()]
