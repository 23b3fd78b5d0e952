"""Attention fusion: weights learned per sample over modalities and time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from fusewise.data import MultimodalDataset
from fusewise.exceptions import DatasetError
from fusewise.fusion.intermediate import DEFAULT_MASKING, EVENT_DROPOUT, N_SUBMODELS
from fusewise.fusion.learned import LearnedFusion
from fusewise.fusion.learned_answers import LearnedClassifierMixin, LearnedRegressorMixin, chunks

MECHANISM_NAMES = ("hierarchical", "cross", "temporal")


class _AttentionFusion(LearnedFusion):
    """Let the modalities of a sample look at each other, and weigh them sample by sample.

    The networks are a cross-validated committee, as in intermediate fusion. Absent modalities are
    not there to be attended to; a learned token always is. Attention weights are a diagnostic and
    no explanation: what a token knows may have come to it from others.

    Parameters
    ----------
    mechanism : {"hierarchical", "cross", "temporal"}
        ``hierarchical``: attention within each modality, then across modalities. ``cross``: each
        modality queries the tokens of the others. ``temporal``: all tokens of all modalities on
        one clock; the most expensive one, for signal that lies between the events of different
        modalities.
    encoders : dict of str to UserEncoder or torch.nn.Module, optional
        Encoders of your own, by modality.
    masking : None, str or Masking
        What training hides, so that absence is exercised.
    deployment : optional
        What :meth:`fusewise.Deployment.of` takes: its patterns weigh the loss that stops the
        training, and guide the masking ``deployment``.
    n_members : int
        Networks. A single one is stopped by the rows flagged as validation, or 15 % of them all.
    max_epochs, patience : int
        Epochs at most, and without improvement.
    batch_size : "auto" or int
        Samples per step; ``auto`` takes from 16 to 512, for some sixty steps an epoch on complete
        data, and fewer where modalities are absent.
    learning_rate, weight_decay : float
        Of AdamW.
    width : int
        Width of a token, a multiple of 4.
    dropout : float
    balance : {None, "modulated"}
        ``modulated`` also slows the encoders of modalities that run ahead of the others.
    unseen : {"ignore", "refuse"}
        What to do with a modality that no training sample has: warn and do without, or raise.
    device : str
        ``auto`` takes a GPU where there is one.
    checkpoint : path of a folder, optional
        Where each network is kept after each epoch; an interrupted fit goes on from there.
    random_state : int
    n_jobs : int, optional
        Networks that are trained at the same time.
    verbose : int or callable
        1 prints a line per epoch. A function is called instead with a dict per epoch: ``joining``,
        ``member``, ``epoch``, ``max_epochs``, ``train_loss``, ``check_loss``, ``contribution`` and
        more; of networks in other processes (`n_jobs`) once each, when they are trained.

    Attributes
    ----------
    modalities_, networks_, readout_, n_epochs_, check_loss_, history_, contributions_
        As of :class:`IntermediateFusionClassifier`.
    joining_ : str
        The mechanism.

    Examples
    --------
    >>> AttentionFusionClassifier(mechanism="temporal").mechanism
    'temporal'
    """

    def __init__(
        self,
        *,
        mechanism: str = "hierarchical",
        encoders: Mapping[str, Any] | None = None,
        masking: Any = DEFAULT_MASKING,
        deployment: Any = None,
        n_members: int = 5,
        max_epochs: int = 40,
        patience: int = 5,
        batch_size: int | str = "auto",
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-2,
        width: int = 32,
        dropout: float = 0.3,
        balance: str | None = None,
        unseen: str = "ignore",
        device: str = "auto",
        checkpoint: Any = None,
        random_state: int = 0,
        n_jobs: int | None = None,
        verbose: Any = 0,
    ) -> None:
        self.mechanism = mechanism
        self.encoders = encoders
        self.masking = masking
        self.deployment = deployment
        self.n_members = n_members
        self.max_epochs = max_epochs
        self.patience = patience
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.width = width
        self.dropout = dropout
        self.balance = balance
        self.unseen = unseen
        self.device = device
        self.checkpoint = checkpoint
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _joinings(self) -> tuple[str, ...]:
        if self.mechanism not in MECHANISM_NAMES:
            raise DatasetError(
                f"{type(self).__name__}: mechanism must be one of {', '.join(MECHANISM_NAMES)}, "
                f"got {self.mechanism!r}."
            )
        return (self.mechanism,)

    def _sizes(self) -> dict[str, Any]:
        hierarchical = self.mechanism == "hierarchical"
        return {
            "hidden": 128,
            "n_heads": 4,
            "n_layers": 1,
            "event_layers": 1,
            "event_tokens": "summary" if hierarchical else "events",
            "event_dropout": EVENT_DROPOUT,
            # Where all events of a sample meet, submodels would cost as much as networks.
            "n_submodels": N_SUBMODELS if hierarchical else 1,
        }

    def attention_weights(self, X: MultimodalDataset) -> pd.DataFrame:
        """Return what was attended to: a diagnostic, never an explanation.

        Returns
        -------
        DataFrame
            ``id, head, modality, time, weight``, the mean over the networks; the weights of a
            sample and head sum to 1. ``modality`` is ``(learned)`` for the learned token; ``time``
            is the age of a token in the unit of the event times, NaN for a table. With the
            mechanism ``hierarchical`` a modality is one token, of age 0; ``temporal`` and
            ``cross`` weigh single events.

        Raises
        ------
        EmptySampleError
            A sample has no modality that the model knows.
        """
        presence = self._answer(X)
        batch = self._batch(X)
        parts = [
            self._weights_of(X, rows, list(self._forward(batch, presence, rows, need_weights=True)))
            for rows in chunks(len(X))
        ]
        if not parts:
            return pd.DataFrame(
                {
                    "id": X.ids,
                    "head": np.zeros(0, dtype=np.int64),
                    "modality": np.zeros(0, dtype=object),
                    "time": np.zeros(0),
                    "weight": np.zeros(0),
                }
            )
        return pd.concat(parts, ignore_index=True)

    def _weights_of(
        self, X: MultimodalDataset, rows: np.ndarray, outputs: list[Any]
    ) -> pd.DataFrame:
        first = outputs[0].weights
        mean = np.mean([o.weights.values.cpu().numpy() for o in outputs], axis=0)
        sample, head, slot = np.nonzero(
            np.broadcast_to(first.valid.cpu().numpy()[:, None, :], mean.shape)
        )
        modality = first.modality.cpu().numpy()[slot]
        timed = np.array([self.encoders_[m].kind == "events" for m in self.modalities_] + [False])[
            modality
        ]
        clocks = [e.tokens_.clock_ for e in self.encoders_.values() if e.kind == "events"]
        age = first.time.cpu().numpy()[sample, slot] * (clocks[0] if clocks else 1.0)
        return pd.DataFrame(
            {
                "id": X.ids[rows][sample],
                "head": head,
                "modality": np.array([*self.modalities_, "(learned)"], dtype=object)[modality],
                "time": np.where(timed, age, np.nan),
                "weight": mean[sample, head, slot],
            }
        )


class AttentionFusionClassifier(LearnedClassifierMixin, _AttentionFusion):  # noqa: D101 - the parameters are written once
    __doc__ = _AttentionFusion.__doc__


class AttentionFusionRegressor(LearnedRegressorMixin, _AttentionFusion):  # noqa: D101 - the parameters are written once
    __doc__ = (_AttentionFusion.__doc__ or "").replace("FusionClassifier", "FusionRegressor")
