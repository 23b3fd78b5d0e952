"""Intermediate fusion: an encoder per modality, embeddings joined."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fusewise.exceptions import DatasetError
from fusewise.fusion.learned import LearnedFusion
from fusewise.fusion.learned_answers import LearnedClassifierMixin, LearnedRegressorMixin
from fusewise.fusion.masking import Masking

# In the order in which a draw is decided.
MERGE_NAMES = ("concatenate", "gated", "mean")
# Of attention fusion too.
N_SUBMODELS = 8
# A stream is learned by heart before it is understood: training sees half of its events.
EVENT_DROPOUT = 0.5
DEFAULT_MASKING = Masking("uniform", rate=0.3)


class _IntermediateFusion(LearnedFusion):
    """Encode each modality by itself, join the embeddings, and train all of it together.

    The networks are a cross-validated committee: each of `n_members` learns from the rows outside
    one fold, all stop at the epoch that is best on their pooled folds, and predictions are their
    mean. An encoder sees only the samples that have its modality. Estimated are class
    probabilities (or the expected amount) given what is present of a sample, under the assumption
    that absence tells no more in deployment than in training; masking weakens what depends on it.

    Some libraries call this "late fusion"; here late fusion joins predictions.

    Parameters
    ----------
    merge : {"auto", "concatenate", "gated", "mean"}
        How embeddings are joined: side by side with a learned token for an absent one; their
        sum with gates that depend on what is present; the mean of the present ones. ``auto``
        compares them on the first two folds.
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
        Width of an embedding, a multiple of 4.
    dropout : float
    balance : {None, "modulated"}
        ``modulated`` also slows the encoders of modalities that run ahead of the others (Peng et
        al., CVPR 2022). Each modality has a head of its own in training in any case.
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
    modalities_ : tuple of str
    networks_ : list of FittedNetwork
    joining_ : str
        The merge.
    joining_scores_ : DataFrame
        ``joining, members, n, check_loss, epoch, readout``: what it was chosen by.
    readout_ : {"joint", "both", "heads"}
        What predictions are read from: the fused head, the vote of the modalities' own heads (the
        mean of their logits), or the mean of both; the best one outside the members' rows.
    n_epochs_ : int
        The epoch, from 1, at which the members stopped.
    check_loss_ : float
        Log loss, or squared error in units of the target's variance, outside the members' rows.
    history_ : DataFrame
        ``joining, member, epoch, train_loss, check_loss, learning_rate, seconds``.
    contributions_ : DataFrame
        ``joining, member, epoch, modality, auxiliary_loss, contribution, pace``: the loss of the
        modality's own head, and by how much the loss outside the training rows rises without it.

    Notes
    -----
    Numbers are scaled by their ranks and shown piecewise-linearly (Gorishniy et al., NeurIPS
    2022); members follow Krogh and Vedelsby (NeurIPS 1995), their mean Lakshminarayanan et al.
    (NeurIPS 2017).

    Examples
    --------
    >>> IntermediateFusionClassifier(merge="gated").merge
    'gated'
    """

    def __init__(
        self,
        *,
        merge: str = "concatenate",
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
        self.merge = merge
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
        if self.merge == "auto":
            return MERGE_NAMES
        if self.merge not in MERGE_NAMES:
            raise DatasetError(
                f"{type(self).__name__}: merge must be one of auto, {', '.join(MERGE_NAMES)}, got "
                f"{self.merge!r}."
            )
        return (self.merge,)

    def _sizes(self) -> dict[str, Any]:
        return {
            "hidden": 128,
            "n_heads": 4,
            "n_layers": 0,
            "event_layers": 1,
            "event_tokens": "summary",
            "event_dropout": EVENT_DROPOUT,
            "n_submodels": N_SUBMODELS,
        }


class IntermediateFusionClassifier(LearnedClassifierMixin, _IntermediateFusion):  # noqa: D101 - the parameters are written once
    __doc__ = _IntermediateFusion.__doc__


class IntermediateFusionRegressor(LearnedRegressorMixin, _IntermediateFusion):  # noqa: D101 - the parameters are written once
    __doc__ = (_IntermediateFusion.__doc__ or "").replace("FusionClassifier", "FusionRegressor")
