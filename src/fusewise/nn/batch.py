"""Ragged batches: one modality of a set of samples, with rows only for the samples that have it.

Shapes in words: n = samples, k = samples that have the modality, p = numeric columns,
c = categorical columns, t = events of all samples together, f = values per event, T = tokens,
d = width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self, TypeAlias

import torch
from torch import Tensor

from fusewise.exceptions import DatasetError


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """What rows of any kind share: of `n` samples, those in `sample` have one."""

    n: int
    sample: Tensor

    @property
    def n_rows(self) -> int:
        """Number of samples that have the modality."""
        return self.sample.shape[0]

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors, with those of a summary."""
        parts = [getattr(self, field.name) for field in fields(self)]
        return sum(part.nbytes for part in parts if isinstance(part, Tensor | TableRows))

    def to(
        self, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Self:
        """Return the same rows on another device; `dtype` changes floating tensors only."""
        moved: dict[str, Any] = {}
        for field in fields(self):
            part = getattr(self, field.name)
            if isinstance(part, TableRows):
                moved[field.name] = part.to(device, dtype)
            elif isinstance(part, Tensor):
                kept = dtype if part.is_floating_point() else part.dtype
                moved[field.name] = part.to(device, kept)
        return replace(self, **moved)


@dataclass(frozen=True, slots=True, eq=False)
class TableRows(_Held):
    """A table modality of `n` samples; a sample without it has no row.

    Parameters
    ----------
    n : int
        Number of samples of the set.
    sample : Tensor (k,) long
        Position of each row's sample in 0..n-1, ascending, each once.
    values : Tensor (k, p) float
        Scaled numeric columns, finite; 0 where a cell is empty.
    missing : Tensor (k, p) bool
        True where a numeric cell is empty.
    codes : Tensor (k, c) long
        Level of each categorical column, from 1; 0 is an empty cell or a level unseen in training.

    Raises
    ------
    DatasetError
        Shapes that do not fit each other, or positions that are not ascending within 0..n-1.
    """

    values: Tensor
    missing: Tensor
    codes: Tensor

    def __post_init__(self) -> None:
        k = self.sample.shape[0]
        _check_sample(self.n, self.sample)
        _check_shape("values", self.values, (k, None))
        _check_shape("missing", self.missing, tuple(self.values.shape))
        _check_shape("codes", self.codes, (k, None))

    def take(self, samples: Tensor, presence: Tensor) -> Self:
        """Return the rows of those of the asked samples that are present and have a row.

        Parameters
        ----------
        samples : Tensor (b,) long
            Positions in 0..n-1, in any order; they may repeat.
        presence : Tensor (b,) bool
            Which of them keep the modality.

        Returns
        -------
        TableRows
            With ``n == b``: its sample i is ``samples[i]``.
        """
        row, sample = _find(self.n, self.sample, samples, presence)
        return replace(self, **_chosen(self, row), n=len(samples), sample=sample)


@dataclass(frozen=True, slots=True, eq=False)
class EventRows(_Held):
    """An event modality of `n` samples; a sample that has it has a row, perhaps without events.

    Parameters
    ----------
    n : int
        Number of samples of the set.
    sample : Tensor (k,) long
        Position of each row's sample in 0..n-1, ascending, each once.
    start : Tensor (k + 1,) long
        Row i has the events ``start[i]`` up to, but not with, ``start[i + 1]``.
    time : Tensor (t,) float
        Time before the reference, scaled: 0 is now, 1 as a rule the far past.
    variable : Tensor (t,) long
        What each event measures.
    values : Tensor (t, f) float
        Scaled values, finite; 0 where one is missing.
    missing : Tensor (t, f) bool
        True where a value is missing.
    summary : TableRows or None
        Summary statistics of the same samples, row by row.

    Raises
    ------
    DatasetError
        Shapes or offsets that do not fit each other, or positions not ascending within 0..n-1.
    """

    start: Tensor
    time: Tensor
    variable: Tensor
    values: Tensor
    missing: Tensor
    summary: TableRows | None = None

    def __post_init__(self) -> None:
        k, t = self.sample.shape[0], self.time.shape[0]
        _check_sample(self.n, self.sample)
        _check_shape("start", self.start, (k + 1,))
        _check_shape("time", self.time, (t,))
        _check_shape("variable", self.variable, (t,))
        _check_shape("values", self.values, (t, None))
        _check_shape("missing", self.missing, tuple(self.values.shape))
        if self.start[0] != 0 or self.start[-1] != t or bool((self.start.diff() < 0).any()):
            raise DatasetError(
                f"EventRows: start must rise from 0 to the {t} events, "
                f"it goes from {int(self.start[0])} to {int(self.start[-1])}."
            )
        if self.summary is not None and not torch.equal(self.summary.sample, self.sample):
            raise DatasetError(
                f"EventRows: the summary must have the rows of the same samples; it has "
                f"{self.summary.n_rows} rows, the events {k}, or they are of other samples."
            )

    @property
    def lengths(self) -> Tensor:
        """Number of events of each row (k,)."""
        return self.start.diff()

    def take(self, samples: Tensor, presence: Tensor) -> Self:
        """Return the rows of those of the asked samples that are present and have a row.

        Parameters
        ----------
        samples : Tensor (b,) long
            Positions in 0..n-1, in any order; they may repeat.
        presence : Tensor (b,) bool
            Which of them keep the modality.

        Returns
        -------
        EventRows
            With ``n == b``: its sample i is ``samples[i]``.
        """
        row, sample = _find(self.n, self.sample, samples, presence)
        length = self.lengths[row]
        start = torch.cat([length.new_zeros(1), length.cumsum(0)])
        shift = torch.repeat_interleave(self.start[row] - start[:-1], length)
        event = shift + torch.arange(len(shift), device=shift.device)
        changed: dict[str, Any] = {"n": len(samples), "sample": sample}
        summary = self.summary
        if summary is not None:
            summary = replace(summary, **_chosen(summary, row), **changed)
        return replace(
            self,
            start=start,
            time=self.time[event],
            variable=self.variable[event],
            values=self.values[event],
            missing=self.missing[event],
            summary=summary,
            **changed,
        )

    def slots(self, index: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return which event stands where when rows are padded to one length, and where one does.

        Parameters
        ----------
        index : Tensor (j,) long, optional
            The chosen rows, by their number in 0..k-1; all by default.

        Returns
        -------
        event : Tensor (j, T) long
            The number of the event; 0 where there is none.
        valid : Tensor (j, T) bool
        """
        start, length = self.start[:-1], self.lengths
        if index is not None:
            start, length = start[index], length[index]
        longest = int(length.max()) if len(length) else 0
        step = torch.arange(longest, device=start.device)
        valid = step < length[:, None]
        return (start[:, None] + step).masked_fill(~valid, 0), valid

    def padded(self, index: Tensor | None = None) -> PaddedEvents:
        """Return the chosen rows (by their number in 0..k-1; all by default), padded to one length.

        Padded slots hold 0 and are marked missing and not valid.
        """
        event, valid = self.slots(index)
        return PaddedEvents(
            values=self.values[event], missing=self.missing[event],
            variable=self.variable[event], time=self.time[event], valid=valid,
        ).clean()  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class PaddedEvents:
    """Events of j rows side by side, padded to the longest.

    Parameters
    ----------
    values : Tensor (j, T, f) float
        Scaled values.
    missing : Tensor (j, T, f) bool
        True where a value is missing.
    variable : Tensor (j, T) long
        What each event measures.
    time : Tensor (j, T) float
        Time before the reference.
    valid : Tensor (j, T) bool
        True where there is an event.
    """

    values: Tensor
    missing: Tensor
    variable: Tensor
    time: Tensor
    valid: Tensor

    def clean(self) -> Self:
        """Return the same events with 0 in every slot that is padded or missing.

        What stood there (NaN, 1e30) can then reach neither an output nor a gradient.
        """
        void = ~self.valid
        missing = self.missing | void[..., None]
        return replace(
            self,
            values=self.values.masked_fill(missing, 0),
            missing=missing,
            variable=self.variable.masked_fill(void, 0),
            time=self.time.masked_fill(void, 0),
        )


Rows: TypeAlias = TableRows | EventRows
"""One modality of a set of samples."""

Batch: TypeAlias = Mapping[str, Rows]
"""All modalities of one set of samples, by name."""


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """What an encoder makes of one modality: a list of vectors for each sample that has it.

    Parameters
    ----------
    sample : Tensor (k,) long
        Position of each row's sample in the batch.
    values : Tensor (k, T, d) float
        The tokens; 0 in slots that are not valid.
    valid : Tensor (k, T) bool
        At least one is valid in each row.
    time : Tensor (k, T) float
        Time of each token before the reference; 0 for a table and in slots that are not valid.
    """

    sample: Tensor
    values: Tensor
    valid: Tensor
    time: Tensor

    @classmethod
    def single(cls, sample: Tensor, embedding: Tensor) -> Self:
        """Return one token, without a time of its own, per row of `embedding` (k, d)."""
        k = len(embedding)
        return cls(
            sample=sample,
            values=embedding[:, None],
            valid=torch.ones(k, 1, dtype=torch.bool, device=embedding.device),
            time=embedding.new_zeros(k, 1),
        )


def _find(n: int, own: Tensor, samples: Tensor, presence: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rows that were found and the positions that asked for them."""
    if samples.shape != presence.shape or samples.ndim != 1:
        raise DatasetError(
            f"take: samples and presence must be two lists of one length, "
            f"they have the shapes {tuple(samples.shape)} and {tuple(presence.shape)}."
        )
    if len(samples) and not 0 <= int(samples.min()) <= int(samples.max()) < n:
        raise DatasetError(
            f"take: samples must lie in 0..{n - 1}, "
            f"they go from {int(samples.min())} to {int(samples.max())}."
        )
    asked = presence.nonzero()[:, 0]
    wanted = samples[asked]
    if not len(own):
        return asked[:0], asked[:0]
    row = torch.searchsorted(own, wanted).clamp_max(len(own) - 1)
    found = own[row] == wanted
    return row[found], asked[found]


def _chosen(rows: TableRows, row: Tensor) -> dict[str, Any]:
    return {name: getattr(rows, name)[row] for name in ("values", "missing", "codes")}


def _check_sample(n: int, sample: Tensor) -> None:
    _check_shape("sample", sample, (None,))
    if not len(sample):
        return
    if int(sample[0]) < 0 or int(sample[-1]) >= n or bool((sample.diff() <= 0).any()):
        raise DatasetError(
            f"Rows: sample must hold ascending positions within 0..{n - 1}, each once: "
            "take() finds rows by bisection."
        )


def _check_shape(name: str, tensor: Tensor, expected: tuple[int | None, ...]) -> None:
    shape = tuple(tensor.shape)
    if len(shape) != len(expected) or any(
        e is not None and s != e for s, e in zip(shape, expected, strict=True)
    ):
        shown = ", ".join("any" if e is None else str(e) for e in expected)
        raise DatasetError(f"Rows: {name} has the shape {shape}, expected ({shown}).")
