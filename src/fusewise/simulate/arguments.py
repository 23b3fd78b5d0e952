"""What a user describes a cohort by, checked and completed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fusewise.exceptions import DatasetError, TaskError, UnknownModalityError, did_you_mean
from fusewise.simulate.signal import CONSTANT, Array, Noise, Source, TableSource
from fusewise.simulate.stream import STREAM_CARRIES, StreamSource

if TYPE_CHECKING:
    from fusewise.simulate.design import Task


def widths(modalities: int | Mapping[str, int]) -> dict[str, int]:
    """Return the width of each modality by name."""
    if isinstance(modalities, int):
        digits = len(str(modalities))
        modalities = {f"m{i:0{digits}d}": 10 for i in range(1, modalities + 1)}
    if not modalities:
        raise DatasetError("modalities: a cohort needs at least one modality, got none.")
    for name, width in modalities.items():
        if int(width) != width or width < 1:
            raise DatasetError(
                f"modalities: {name!r} needs a whole number of columns (or of events) above 0, "
                f"got {width!r}."
            )
    return {str(name): int(width) for name, width in modalities.items()}


def per_modality(given: Any, names: Sequence[str], default: Any, what: str) -> dict[str, Any]:
    """Return one value per modality from one for all, or from a mapping with some names."""
    if not isinstance(given, Mapping):
        return dict.fromkeys(names, default if given is None else given)
    for name in given:
        if name not in names:
            raise UnknownModalityError(
                f"{what}: there is no modality {name!r}; there are {', '.join(names)}."
                + did_you_mean(name, names)
            )
    return {name: given.get(name, default) for name in names}


def class_weights(task: Task, prior: float | Sequence[float] | None) -> Array:
    """Return the weights of the classes; meaningless for a regression."""
    if task == "regression":
        if prior is not None:
            raise TaskError("prior: a regression has no classes; leave it out.")
        return np.ones(1)
    if prior is None:
        return np.ones(2 if task == "binary" else 3)
    one = isinstance(prior, int | float)
    weights = np.array([1 - prior, prior] if one else prior, dtype=np.float64)  # type: ignore[operator]
    enough = len(weights) == 2 if task == "binary" else len(weights) > 2 and not one
    if not enough or not (np.isfinite(weights) & (weights > 0)).all():
        raise TaskError(
            f"prior: {task} needs {'a probability between 0 and 1' if task == 'binary' else 'three'}"
            f"{'' if task == 'binary' else ' or more weights above 0'}, got {prior!r}."
        )
    return weights


def make_sources(
    widths: dict[str, int],
    signal: dict[str, float],
    timing: dict[str, str | None],
    noise: dict[str, Noise | None],
    n_classes: int | None,
    seed: np.random.SeedSequence,
) -> tuple[Source, ...]:
    """Return the generator of each modality."""
    sources: list[Source] = []
    for (name, width), child in zip(widths.items(), seed.spawn(len(widths)), strict=True):
        strength, carries = float(signal[name]), timing[name]
        if not (np.isfinite(strength) and strength >= 0):
            raise DatasetError(f"signal: {name!r} needs a number from 0 up, got {strength}.")
        if carries is None:
            sources.append(
                TableSource.create(
                    name,
                    width=width,
                    signal=strength,
                    n_classes=n_classes,
                    noise=noise[name] or CONSTANT,
                    rng=np.random.default_rng(child),
                )
            )
        elif carries in STREAM_CARRIES:
            sources.append(
                StreamSource.create(
                    name,
                    carries=carries,  # type: ignore[arg-type]
                    events=width,
                    signal=strength,
                    n_classes=n_classes,
                )
            )
        else:
            raise DatasetError(
                f"timing: {name!r} must carry one of {', '.join(STREAM_CARRIES)}, got {carries!r}."
            )
    return tuple(sources)
