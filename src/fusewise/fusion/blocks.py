"""Modalities as numeric blocks: one matrix per modality, for the samples that have it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fusewise.data import MultimodalDataset
from fusewise.fusion.encode import FeatureEncoder

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Block:
    """The features of one modality: which samples have it, and their values."""

    positions: IntArray
    values: FloatArray

    def spread(self, n_samples: int) -> FloatArray:
        """Return the values for all samples, NaN for those that lack the modality."""
        full = np.full((n_samples, self.values.shape[1]), np.nan)
        full[self.positions] = self.values
        return full


def fit_encoders(X: MultimodalDataset, reference: float | None) -> dict[str, FeatureEncoder]:
    """Fit one encoder per modality on the samples that have it."""
    return {
        name: FeatureEncoder(name, X.kinds[name]).fit(X.features(name, reference)[1])
        for name in X.modalities
    }


def encode(
    X: MultimodalDataset, name: str, encoder: FeatureEncoder, reference: float | None
) -> Block:
    """Return one modality's block; empty where the dataset does not have the modality at all."""
    if name not in X.modalities:
        return Block(np.zeros(0, dtype=np.intp), np.zeros((0, len(encoder.columns_))))
    positions, frame = X.features(name, reference)
    if len(positions) == 0:
        return Block(positions, np.zeros((0, len(encoder.columns_))))
    return Block(positions, encoder.transform(frame))
