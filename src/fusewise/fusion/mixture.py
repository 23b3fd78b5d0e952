"""Weights that make training samples count as often as their pattern occurs in deployment."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fusewise.data import Deployment, parse_pattern, pattern_labels
from fusewise.exceptions import FusewiseWarning

# One rare training pattern must not outweigh the rest of the data.
_LARGEST = 20.0


def mixture_weights(
    presence: npt.NDArray[np.bool_],
    modalities: Sequence[str],
    declared: Sequence[str],
    deployment: Any,
) -> npt.NDArray[np.float64]:
    """Return one weight per row (mean 1): deployment over training pattern frequency.

    All are 1 where the deployment is unknown or looks like training, and, with a warning, where it
    shares no pattern with training.

    Parameters
    ----------
    presence : bool array (n_rows, n_modalities)
        What training shows, masked or not.
    modalities : sequence of str
        Its columns.
    declared : sequence of str
        The modalities that the deployment may speak of, also those that no training sample has.
    deployment : what :meth:`fusewise.Deployment.of` takes
    """
    facts = Deployment.of(deployment)
    if facts.source in ("none", "training"):
        return np.ones(len(presence))
    weights: dict[frozenset[str], float] = {}
    for pattern, weight in (facts.pattern_weights(declared) or {}).items():
        # A modality that training never saw tells the combiner nothing.
        seen = pattern & frozenset(modalities)
        weights[seen] = weights.get(seen, 0.0) + weight
    labels, codes, counts = np.unique(
        pattern_labels(presence, tuple(modalities)).astype(str),
        return_inverse=True,
        return_counts=True,
    )
    wanted = np.array([weights.get(parse_pattern(label), 0.0) for label in labels])
    ratio = wanted / (counts / len(presence))
    each = np.minimum(ratio[codes.ravel()], _LARGEST)
    if each.sum() == 0:
        warnings.warn(
            "the patterns of the training samples never occur in deployment; all count alike.",
            FusewiseWarning,
            stacklevel=2,
        )
        return np.ones(len(presence))
    return np.asarray(each * len(presence) / each.sum())
