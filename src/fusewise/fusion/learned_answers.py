"""What fitted networks answer: probabilities or amounts, the mean over a committee."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fusewise.data import MultimodalDataset
from fusewise.exceptions import DatasetError
from fusewise.fusion.base import FusionClassifierMixin, FusionRegressorMixin
from fusewise.fusion.learned_parameters import LearnedParameters

if TYPE_CHECKING:
    from fusewise.nn import Rows

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

_CHUNK = 1024


class LearnedAnswers(LearnedParameters):
    """Base of the strategies that are networks: asks them, a chunk of samples at a time."""

    readout_: str
    user_encoders_: dict[str, Any]

    def _batch(self, X: MultimodalDataset) -> dict[str, Rows]:
        return {m: e.transform(X, self.time_reference_) for m, e in self.encoders_.items()}

    def _outputs(self, X: MultimodalDataset) -> FloatArray:
        """Return log-probabilities or scaled amounts (n_members, n_samples, n_outputs)."""
        presence = self._answer(X)
        batch = self._batch(X)
        parts = [
            [self._read(output).cpu().numpy() for output in self._forward(batch, presence, rows)]
            for rows in chunks(len(X))
        ]
        if not parts:
            return np.zeros((len(self.networks_), 0, max(1, self._n_classes)))
        outputs = np.concatenate([np.stack(part) for part in parts], axis=1)
        spoiled = np.isnan(outputs).any(axis=(0, 2))
        if spoiled.any():
            advice = ", ".join(self.user_encoders_)
            advice = f"Look at your encoder of {advice}." if advice else "Train the model again."
            raise DatasetError(
                f"{type(self).__name__}: the networks give NaN for {int(spoiled.sum()):,} of "
                f"{len(X):,} samples, e.g. {X.ids[spoiled].tolist()[0]!r}, although what they are "
                f"given is finite. {advice}"
            )
        return outputs

    def _read(self, output: Any) -> Any:
        from fusewise.nn import readouts

        loss = "cross_entropy" if self._n_classes else "squared_error"
        return readouts(loss, output)[self.readout_]

    def _forward(
        self,
        batch: Mapping[str, Rows],
        presence: BoolArray,
        rows: IntArray,
        *,
        need_weights: bool = False,
    ) -> Iterator[Any]:
        """Yield what each network says of some rows.

        In double precision, so that a sample's prediction does not depend on its batch.
        """
        import torch

        # Apple's GPUs have no doubles.
        device = "cpu" if self._device().startswith("mps") else self._device()
        index = torch.from_numpy(rows)
        shown = torch.from_numpy(presence[rows])
        taken = {
            name: batch[name].take(index, shown[:, m]).to(device, torch.float64)
            for m, name in enumerate(self.modalities_)
        }
        for network in self.networks_:
            module = network.module(device, "float64")
            # Not around the yield: what the caller does there is the caller's.
            with torch.inference_mode():
                output = module(taken, shown.to(device), need_weights=need_weights)
            yield output

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "networks_")


class LearnedClassifierMixin(FusionClassifierMixin):
    """Class probabilities from a committee: the mean over its members."""

    def predict_proba(self, X: MultimodalDataset) -> FloatArray:
        """Return class probabilities (n_samples, n_classes), in the order of ``classes_``."""
        logits = self._outputs(X)
        odds = np.exp(logits - logits.max(axis=2, keepdims=True))
        mean = (odds / odds.sum(axis=2, keepdims=True)).mean(axis=0)
        return np.asarray(mean / mean.sum(axis=1, keepdims=True))

    def predict(self, X: MultimodalDataset) -> npt.NDArray[Any]:
        """Return the most probable class of each sample (n_samples,)."""
        best = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[best])


class LearnedRegressorMixin(FusionRegressorMixin):
    """Amounts from a committee: the mean over its members."""

    def predict(self, X: MultimodalDataset) -> FloatArray:
        """Return the expected amount of each sample (n_samples,)."""
        scaled = self._outputs(X)[:, :, 0].mean(axis=0)
        return np.asarray(scaled * self.spread_ + self.center_)


def chunks(n: int) -> Iterator[IntArray]:
    """Yield the positions of `n` samples, a manageable number at a time."""
    for start in range(0, n, _CHUNK):
        yield np.arange(start, min(n, start + _CHUNK))
