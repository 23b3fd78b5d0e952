"""Encoders that a user brings."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Self

from fusewise.exceptions import DatasetError, ModelNotFoundError


@dataclass(frozen=True, eq=False)
class UserEncoder:
    """A module of yours as the encoder of one modality.

    Parameters
    ----------
    module : torch.nn.Module
        For a table ``module(values)`` with values (k, p), scaled and 0 where a cell is empty
        (``module(values, codes)`` where there are categorical columns); for events
        ``module(values, time, variable, valid)``, padded, (k, T, f) and (k, T): tokens are what
        :class:`~fusewise.fusion.tensors_events.EventTokens` makes of events, with 0 for a value
        that is missing. Returns embeddings (k, output_width). It sees only the k samples that have
        the modality, which in training may be one, and is copied.
    output_width : int, optional
        Where not given, the module's attribute ``output_width``.
    frozen : bool
        Keep its weights; only what follows it is trained.
    weights : path, optional
        Pretrained weights: ``.safetensors``, or ``.pt`` of a ``state_dict()``. No code from the
        file is run.

    Examples
    --------
    >>> from torch import nn
    >>> encoder = UserEncoder(nn.Linear(30, 8), output_width=8, frozen=True)
    >>> encoder.output_width
    8
    """

    module: Any
    output_width: int | None = None
    frozen: bool = False
    weights: str | os.PathLike[str] | None = None

    @classmethod
    def of(cls, given: Any, name: str) -> Self:
        """Check what was given for a modality, and find its width."""
        from torch import nn

        encoder = given if isinstance(given, cls) else cls(given)
        if not isinstance(encoder.module, nn.Module):
            raise DatasetError(
                f"encoders: modality {name!r}: expected a torch.nn.Module or a UserEncoder, got "
                f"{type(encoder.module).__name__}."
            )
        width = encoder.output_width
        if width is None:
            width = getattr(encoder.module, "output_width", None)
        if isinstance(width, bool) or not isinstance(width, int) or width < 1:
            raise DatasetError(
                f"encoders: modality {name!r}: the width of what the module returns is not known "
                f"({width!r}). Give UserEncoder(module, output_width=...)."
            )
        return cls(encoder.module, width, encoder.frozen, encoder.weights)

    def loaded(self) -> Any:
        """Return a copy of the module, with the pretrained weights where there are any."""
        import copy

        from fusewise.nn import load_weights

        module = copy.deepcopy(self.module)
        if self.weights is not None:
            try:
                load_weights(module, os.fspath(self.weights))
            except ModelNotFoundError as error:
                raise ModelNotFoundError(
                    f"{error} Pretrained weights are read at every fit, also at that of a loaded "
                    "model: put the file back, or give other encoders with "
                    "model.set_params(encoders=...)."
                ) from error
        return module
