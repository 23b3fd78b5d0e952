"""Weights that make training samples count as often as their pattern occurs in deployment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fusewise.data import Deployment, MultimodalDataset, parse_pattern, pattern_labels

# One rare training pattern must not outweigh the rest of the data.
_LARGEST = 20.0


def mixture_weights(
    X: MultimodalDataset, declared: Sequence[str], deployment: Any
) -> npt.NDArray[np.float64]:
    """Return one weight per sample (mean 1): deployment over training pattern frequency.

    All are 1 where the deployment is unknown or looks like training. `declared` names the
    modalities that the deployment may speak of, also those that no training sample has.
    """
    facts = Deployment.of(deployment)
    if facts.source in ("none", "training"):
        return np.ones(len(X))
    weights: dict[frozenset[str], float] = {}
    for pattern, weight in (facts.pattern_weights(declared) or {}).items():
        # A modality that training never saw tells the combiner nothing.
        seen = pattern & frozenset(X.modalities)
        weights[seen] = weights.get(seen, 0.0) + weight
    labels, codes, counts = np.unique(
        pattern_labels(X.presence, X.modalities).astype(str),
        return_inverse=True,
        return_counts=True,
    )
    wanted = np.array([weights.get(parse_pattern(label), 0.0) for label in labels])
    ratio = wanted / (counts / len(X))
    each = np.minimum(ratio[codes.ravel()], _LARGEST)
    if each.sum() == 0:
        return np.ones(len(X))
    return np.asarray(each * len(X) / each.sum())
