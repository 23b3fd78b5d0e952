"""How a learned strategy was trained, epoch by epoch, kept beside the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from fusewise.data import Result
from fusewise.study.folder import RunFolder

FILE = "training.json"


@dataclass(frozen=True, eq=False, repr=False)
class TrainingLog(Result):
    """How a learned strategy was trained: means over its networks, epoch by epoch.

    Made by `of`. Epochs count from 1; a network that stopped early counts with its last values from
    there on, as it does when the epoch is chosen.

    Attributes
    ----------
    joining : str
        The merge or mechanism.
    members : int
        Networks.
    n_epochs : int
        The epoch whose weights were kept, the same for every network.
    seconds : float
        Time in all epochs of all networks together, also of those that only served to choose the
        merge.
    losses : DataFrame
        ``epoch, train_loss, check_loss, check_low, check_high``: means over the networks, and the
        lowest and highest check loss among them.
    contributions : DataFrame
        ``modality, epoch, contribution, low, high, auxiliary_loss``: how much the check loss rises
        without the modality, its range over the networks, and the loss of the modality's own head.
    readout : str
        What predictions are read from: ``joint`` (the fused head), ``heads`` (the vote of the
        modalities' own heads) or ``both``; empty where it is not known.
    max_epochs : int
        The epochs that were allowed; 0 where it is not known.
    """

    joining: str
    members: int
    n_epochs: int
    seconds: float
    losses: pd.DataFrame
    contributions: pd.DataFrame
    readout: str = ""
    max_epochs: int = 0

    @classmethod
    def of(cls, model: Any) -> TrainingLog | None:
        """Read the log of a fitted model; None where it was not trained by epochs.

        Parameters
        ----------
        model : fitted fusion estimator
            With ``history_``, ``contributions_`` and ``n_epochs_`` where it was.
        """
        if not hasattr(model, "history_"):
            return None
        losses, carried = (
            table[table["joining"] == model.joining_]
            for table in (model.history_, model.contributions_)
        )
        return cls(
            joining=model.joining_,
            members=int(losses["member"].nunique()),
            n_epochs=int(model.n_epochs_),
            seconds=float(model.history_["seconds"].sum()),
            losses=_filled(losses, [], ["train_loss", "check_loss"])
            .groupby("epoch", as_index=False)
            .agg(
                train_loss=("train_loss", "mean"),
                check_loss=("check_loss", "mean"),
                check_low=("check_loss", "min"),
                check_high=("check_loss", "max"),
            ),
            contributions=_filled(carried, ["modality"], ["contribution", "auxiliary_loss"])
            .groupby(["modality", "epoch"], as_index=False)
            .agg(
                contribution=("contribution", "mean"),
                low=("contribution", "min"),
                high=("contribution", "max"),
                auxiliary_loss=("auxiliary_loss", "mean"),
            ),
            readout=str(getattr(model, "readout_", "")),
            max_epochs=int(getattr(model, "max_epochs", 0)),
        )

    @classmethod
    def kept_in(cls, folder: RunFolder) -> TrainingLog | None:
        """Read what the stage `fit` of a run folder wrote; None where it wrote none."""
        fit = folder.manifest["stages"].get("fit")
        return None if fit is None or FILE not in fit["files"] else cls.from_json(folder.file(FILE))

    def __repr__(self) -> str:
        return f"<TrainingLog: {self.summary}>"

    @property
    def still_improving(self) -> bool:
        """Whether the last epoch that was allowed is the best one, so that more may be better."""
        return 0 < self.max_epochs <= self.n_epochs

    @property
    def summary(self) -> str:
        """The log in a line."""
        networks = "1 network" if self.members == 1 else f"{self.members} networks"
        epochs = "1 epoch" if self.n_epochs == 1 else f"{self.n_epochs} epochs"
        return f"{networks}, {epochs}, {self.joining}"


def _filled(table: pd.DataFrame, keys: list[str], values: list[str]) -> pd.DataFrame:
    """Give every member a row per epoch up to the last one of any, its last values repeated."""
    last = range(1, int(table["epoch"].max()) + 1)
    wide = table.pivot(index="epoch", columns=["member", *keys], values=values)
    return wide.reindex(last).ffill().stack(["member", *keys]).reset_index()


class Listener:
    """Tells each epoch of a learned strategy in a line, and which training was gone on with.

    Parameters
    ----------
    tell : callable
        Called with the line.
    model : learned fusion estimator
        Its `verbose` is this object.
    """

    def __init__(self, tell: Callable[[str], None], model: Any) -> None:
        self.tell, self.n_members = tell, int(model.n_members)
        # Several processes tell the last epoch of each network alone.
        self.every_epoch = model.n_jobs in (None, 1)
        self.heard: set[tuple[str, int]] = set()

    def __call__(self, record: Mapping[str, Any]) -> None:
        """Tell one epoch."""
        network = (record["joining"], record["member"])
        said = spell_epoch(record, self.n_members)
        if self.every_epoch and network not in self.heard and record["epoch"] > 1:
            said += f", going on from epoch {record['epoch'] - 1}"
        self.heard.add(network)
        self.tell(said)


def spell_epoch(record: Mapping[str, Any], n_members: int) -> str:
    """Say how far a training is.

    Parameters
    ----------
    record : dict
        What a learned strategy tells of an epoch; members count from 0, epochs from 1.
    n_members : int

    Examples
    --------
    >>> told = {"joining": "cross", "member": 1, "epoch": 7, "max_epochs": 40, "check_loss": 0.31}
    >>> spell_epoch(told, 5)
    'cross, network 2 of 5, epoch 7 of at most 40, check loss 0.310'
    """
    network = f"{record['joining']}, network {record['member'] + 1} of {n_members}"
    epoch = f"epoch {record['epoch']} of at most {record['max_epochs']}"
    return f"{network}, {epoch}, check loss {record['check_loss']:.3f}"
