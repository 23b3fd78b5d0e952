"""A trained network as it is kept in an estimator: what it is made of, and its weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fusewise.exceptions import ModelFormatError

if TYPE_CHECKING:
    from torch import nn

# A network and the arithmetic of its making stay within a few times its weights; a forged
# description asks for more than the file holds.
_SLACK, _LEAST = 16, 1_000_000


class FittedNetwork:
    """A network by its description and its weights; built when it is first used.

    What is saved and sent to other processes are plain values and never the network; to other
    processes also the encoders that the user brought.

    Parameters
    ----------
    spec : dict
        What :func:`fusewise.fusion.architecture.build` makes the network from: numbers, text,
        booleans, None, lists and dicts with text keys.
    arrays : dict of str to array
        Its ``state_dict``.
    given : dict of str to Module, optional
        Encoders that the user brought, by modality. A model file does not hold them.

    Raises
    ------
    ModelFormatError
        From :meth:`module`: the arrays do not fit the description.
    """

    # (device, type, module); an object from a file has none yet.
    _built: tuple[str, str, nn.Module] | None = None

    def __init__(
        self,
        spec: Mapping[str, Any],
        arrays: Mapping[str, npt.NDArray[Any]],
        given: Mapping[str, nn.Module] | None = None,
    ) -> None:
        self.spec = dict(spec)
        self.arrays = {name: np.array(array, order="C") for name, array in arrays.items()}
        self.given = dict(given or {})

    def __getstate__(self) -> dict[str, Any]:
        return {"spec": self.spec, "arrays": self.arrays, "given": self.given}

    def __repr__(self) -> str:
        weights = sum(a.size for a in self.arrays.values())
        return f"FittedNetwork({weights:,} weights)"

    def module(self, device: str = "cpu", dtype: str | None = None) -> nn.Module:
        """Return the network, ready to predict (``eval``); it is built once and kept.

        Parameters
        ----------
        device : str
            Where it computes.
        dtype : str, optional
            ``"float64"`` or another floating type; that of the weights where not given.
        """
        import torch

        key = (device, dtype or "")
        if self._built is None or self._built[:2] != key:
            network = self._build().eval().requires_grad_(False)
            network = network.to(device, getattr(torch, dtype) if dtype else None)
            self._built = (*key, network)
        return self._built[2]

    def _build(self) -> nn.Module:
        import torch

        from fusewise.fusion.architecture import build

        held = sum(array.size for array in self.arrays.values())
        held += sum(p.numel() for m in self.given.values() for p in m.state_dict().values())
        # Initial weights are drawn and then overwritten: nobody else's draws may notice.
        with torch.random.fork_rng(devices=[]), _budget(_LEAST + _SLACK * held):
            network = build(self.spec, self.given)
        expected = network.state_dict()
        for name in sorted({*expected, *self.arrays}):
            self._check_array(name, expected.get(name))
        # Copied: a module must not share memory with what is saved.
        network.load_state_dict({k: torch.tensor(a) for k, a in self.arrays.items()})
        return network

    def _check_array(self, name: str, expected: Any) -> None:
        array = self.arrays.get(name)
        wanted = None if expected is None else (tuple(expected.shape), str(expected.dtype)[6:])
        came = None if array is None else (array.shape, str(array.dtype))
        if wanted != came:
            raise ModelFormatError(
                f"the weights do not fit the network: {name!r} is {_shown(came)}, and the network "
                f"that is described has {_shown(wanted)}."
            )


def _shown(form: tuple[tuple[int, ...], str] | None) -> str:
    return "nothing" if form is None else f"{form[1]} of shape {form[0]}"


def _budget(n_elements: int) -> Any:
    """Return a context that refuses to make tensors with more elements in all."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Budget(TorchDispatchMode):
        left = n_elements

        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            for given in args:
                if isinstance(given, list | tuple) and all(type(v) is int for v in given):
                    self.left -= _product(given)
            if self.left < 0:
                raise ModelFormatError(
                    "the description of the network asks for more weights than there are."
                )
            return func(*args, **(kwargs or {}))

    return Budget()


def _product(extents: Any) -> int:
    product = 1
    for extent in extents:
        product *= abs(extent)
    return product
