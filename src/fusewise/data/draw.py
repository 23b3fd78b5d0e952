"""How a dataset is drawn in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fusewise.data.dataset import MultimodalDataset

_WIDTH = 20


def draw_dataset(dataset: MultimodalDataset) -> str:
    """Return the modalities with kind, width and a bar for the rate, and the patterns below."""
    n = len(dataset)
    head = f"MultimodalDataset: {n:,} samples, {dataset.n_modalities} modalities"
    if dataset.task is not None:
        head += f", {dataset.task} target"
    lines = [head]
    longest = max((len(name) for name in dataset.modalities), default=0)
    for index, name in enumerate(dataset.modalities):
        rate = float(dataset.presence[:, index].mean()) if n else 0.0
        filled = round(rate * _WIDTH)
        bar = "█" * filled + "·" * (_WIDTH - filled)
        width = len(dataset.feature_names(name))
        lines.append(
            f"  {name:<{longest}}  {dataset.kinds[name]:<6}  {bar} {rate:6.1%}  {width:,} features"
        )
    if n:
        complete = float(dataset.presence.all(axis=1).mean())
        none = int((~dataset.presence.any(axis=1)).sum())
        lines.append(
            f"  {len(dataset.patterns()):,} availability patterns, {complete:.1%} complete cases, "
            f"{none:,} samples without any modality"
        )
    return "\n".join(lines)
