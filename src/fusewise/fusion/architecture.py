"""From a description in plain values to a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fusewise.exceptions import ModelFormatError

if TYPE_CHECKING:
    from torch import Tensor, nn

# Beyond so many columns one linear layer per bin of every column would have more weights than
# there are samples; a narrow bottleneck takes their place.
WIDE = 1_000


def build(
    spec: Mapping[str, Any],
    given: Mapping[str, nn.Module] | None = None,
    edges: Mapping[str, Tensor] | None = None,
) -> nn.Module:
    """Return the network that a description asks for, with freshly drawn weights.

    Parameters
    ----------
    spec : dict
        ``joining`` (a merge or a mechanism by name), ``width``, ``hidden``, ``n_heads``,
        ``n_layers`` (of a mechanism), ``event_layers``, ``event_tokens``, ``event_dropout``,
        ``dropout``, ``n_bins``, ``n_submodels``, ``n_outputs``, and under ``modalities`` what
        :meth:`~fusewise.fusion.tensors.TensorEncoder.sizes` says of each, with ``output_width``
        and ``frozen`` beside it for an encoder that the user brought.
    given : dict of str to Module, optional
        Those encoders, by modality.
    edges : dict of str to Tensor (p, B + 1), optional
        Bin edges of the columns; a network that is filled with saved weights gets them there.
    """
    from fusewise.nn import MECHANISMS, MERGES, FusionNetwork, Mechanism, Merge

    modalities = spec["modalities"]
    encoders = {
        name: _encoder(name, spec, (given or {}).get(name), (edges or {}).get(name))
        for name in sorted(modalities)
    }
    joining, width = spec["joining"], spec["width"]
    fuse: Merge | Mechanism
    if joining in MERGES:
        fuse = MERGES[joining](len(encoders), width, spec["hidden"], spec["dropout"])
    else:
        fuse = MECHANISMS[joining](
            sorted(encoders),
            width,
            n_heads=spec["n_heads"],
            n_layers=spec["n_layers"],
            dropout=spec["dropout"],
        )
    return FusionNetwork(
        encoders,
        fuse,
        spec["n_outputs"],
        hidden=spec["hidden"],
        dropout=spec["dropout"],
        n_submodels=spec["n_submodels"],
    )


def _encoder(
    name: str, spec: Mapping[str, Any], module: nn.Module | None, edges: Tensor | None
) -> nn.Module:
    from fusewise.nn import EventEncoder, GivenEncoder, TableEncoder, WideTableEncoder

    sizes, width, dropout = spec["modalities"][name], spec["width"], spec["dropout"]
    if "output_width" in sizes:
        if module is None:
            raise ModelFormatError(
                f"the model was trained with an encoder of your own for modality {name!r}. Give "
                f"it again: fusewise.load(path, encoders={{{name!r}: module}})."
            )
        return GivenEncoder(module, sizes["output_width"], width, frozen=sizes["frozen"], name=name)
    if sizes["kind"] == "events":
        return EventEncoder(
            sizes["n_variables"],
            sizes["n_values"],
            width,
            n_layers=spec["event_layers"],
            n_heads=spec["n_heads"],
            dropout=dropout,
            n_summary=sizes["n_columns"],
            summary_edges=edges,
            event_dropout=spec["event_dropout"],
            n_bins=spec["n_bins"],
            tokens=spec["event_tokens"],
            # Without columns there is nothing that they could read differently.
            n_submodels=spec["n_submodels"] if sizes["n_columns"] else 1,
        )
    if sizes["n_columns"] > WIDE:
        return WideTableEncoder(
            sizes["n_columns"], width, n_levels=sizes["n_levels"], dropout=dropout
        )
    return TableEncoder(
        sizes["n_columns"],
        sizes["n_levels"],
        width,
        edges=edges,
        n_bins=spec["n_bins"],
        dropout=dropout,
        n_submodels=spec["n_submodels"],
    )
