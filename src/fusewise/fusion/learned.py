"""What the learned strategies share: tensors in, a committee of networks, predictions out."""

from __future__ import annotations

import numbers
import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import ClassifierMixin

from fusewise.data import Deployment, MultimodalDataset, folds, inner_validation
from fusewise.exceptions import DatasetError, FusewiseWarning, UnknownModalityError, did_you_mean
from fusewise.fusion.base import FusionClassifierMixin, FusionEstimator, FusionRegressorMixin
from fusewise.fusion.committee import (
    Draw,
    Member,
    Task,
    best_of,
    contribution_table,
    history_table,
    pooled_losses,
    several_processes,
    stopped_at,
    train_members,
)
from fusewise.fusion.given import UserEncoder
from fusewise.fusion.masking import Masking, plan_removals
from fusewise.fusion.mixture import mixture_weights
from fusewise.fusion.tensors import TensorEncoder, fit_tensor_encoders
from fusewise.fusion.weights import FittedNetwork

if TYPE_CHECKING:
    from fusewise.nn import Rows

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

# Networks forget epochs of a growing masking: it reaches its rate after this share of them.
_RAMP = 0.25
_CHUNK = 1024
# Steps per epoch that an automatic batch size aims at, on complete data.
_STEPS = 64
# A weight that is next to nothing beside those of other rows, whose mean is 1.
_HARDLY = 1e-12
UNSEEN = ("ignore", "refuse")


class LearnedFusion(FusionEstimator):
    """Base of the strategies that are networks; subclasses say how modalities are joined."""

    encoders: Any
    masking: Any
    deployment: Any
    n_members: int
    max_epochs: int
    patience: int
    batch_size: int | str
    learning_rate: float
    weight_decay: float
    width: int
    dropout: float
    balance: str | None
    unseen: str
    device: str
    checkpoint: Any
    random_state: int
    n_jobs: int | None
    verbose: Any

    encoders_: dict[str, TensorEncoder]  # type: ignore[assignment]
    networks_: list[FittedNetwork]

    def _joinings(self) -> tuple[str, ...]:
        """Return the ways of joining to choose from; the first one wins a draw."""
        raise NotImplementedError

    def _sizes(self) -> dict[str, Any]:
        """Return what a strategy's networks are made of beside their width."""
        raise NotImplementedError

    @property
    def _n_classes(self) -> int:
        return len(self.classes_) if isinstance(self, ClassifierMixin) else 0

    def _fit(self, X: MultimodalDataset, y: npt.NDArray[Any], weight: FloatArray) -> None:
        who = type(self).__name__
        settings = self._settings(self.presence(X))
        masking = Masking.of(self.masking)
        joinings = self._joinings()
        if self.unseen == "refuse" and len(self.modalities_) < len(self.declared_):
            never = sorted(set(self.declared_) - set(self.modalities_))
            raise DatasetError(
                f"{who}.fit: no training sample has {', '.join(never)}. Leave the modality out, "
                "or fit with unseen='ignore'."
            )
        seeds = np.random.SeedSequence(self.random_state).spawn(3)
        X = self._fit_tensors(X)
        # Whoever had nothing but a modality that was left out teaches and checks nothing.
        answered = self.presence(X).any(axis=1)
        if not answered.all():
            X, y, weight = X[answered], y[answered], weight[answered]
        presence = self.presence(X)
        target = self._targets(y, weight)
        plan = None
        if masking is not None and masking.schedule == "deployment":
            plan = plan_removals(
                presence, self.modalities_, Deployment.of(self.deployment), self.declared_
            )
        ramp = max(1, round(_RAMP * settings.max_epochs))
        if masking is not None and masking.schedule == "curriculum":
            settings = replace(settings, min_epochs=min(settings.max_epochs, ramp))
        given = self._given_modules()
        held = self._held_out(X, y, seeds[0])
        task = Task(
            batch=self._batch(X),
            presence=presence,
            target=target,
            weight=weight,
            loss="cross_entropy" if self._n_classes else "squared_error",
            draw=None if masking is None else Draw(masking, plan, ramp),
            settings=settings,
            edges={m: e.edges_ for m, e in self.encoders_.items() if m not in given},
            given=given,
            n_threads=_threads(self.n_jobs, len(held)),
            verbose=self.verbose,
            checkpoint=self._checkpoint_folder(),
        )
        shown, counts = self._checked(presence, weight, seeds[1])
        children = seeds[2].spawn(len(held))
        members = {
            joining: [
                self._member(number, joining, rows, shown, counts, child)
                for number, (rows, child) in enumerate(zip(held, children, strict=True))
            ]
            for joining in joinings
        }
        self._check_every_class(y, members[joinings[0]])
        self._train(task, members)

    def _train(self, task: Task, members: dict[str, list[Member]]) -> None:
        """Choose how to join on the first members, then train the others that way."""
        first = min(2, *(len(m) for m in members.values())) if len(members) > 1 else None
        # No network keeps an epoch before: a curriculum has not reached its rate.
        least = task.settings.first_kept
        asked = [m for each in members.values() for m in each[:first]]
        trained = dict(zip(map(_key, asked), train_members(task, asked, self.n_jobs), strict=True))
        best, self.joining_scores_ = _choose(members, trained, first, least)
        rest = [m for m in members[best] if _key(m) not in trained]
        trained |= zip(map(_key, rest), train_members(task, rest, self.n_jobs), strict=True)
        chosen = members[best]
        results = [trained[_key(m)] for m in chosen]
        self.joining_ = best
        losses = pooled_losses(chosen, results)
        epoch, self.readout_, self.check_loss_ = best_of(losses, least)
        self.n_epochs_ = epoch + 1
        self.networks_ = stopped_at(results, epoch, [m.spec for m in chosen], task.given)
        everyone = [m for each in members.values() for m in each if _key(m) in trained]
        all_results = [trained[_key(m)] for m in everyone]
        self.history_ = history_table(everyone, all_results)
        self.contributions_ = contribution_table(everyone, all_results)

    def _settings(self, presence: BoolArray) -> Any:
        from fusewise.nn import Settings

        for name in ("n_members", "max_epochs", "patience", "width"):
            self._check_number(name, whole=True)
        for name in ("learning_rate", "weight_decay", "dropout"):
            self._check_number(name, whole=False)
        if self.unseen not in UNSEEN:
            raise DatasetError(
                f"{type(self).__name__}: unseen must be one of {', '.join(UNSEEN)}, got "
                f"{self.unseen!r}."
            )
        if not self.dropout < 1:
            raise DatasetError(
                f"{type(self).__name__}: dropout must be below 1, got {self.dropout!r}."
            )
        n_heads = self._sizes()["n_heads"]
        if self.width % n_heads:
            raise DatasetError(
                f"{type(self).__name__}: width must be a multiple of {n_heads}, got {self.width!r}."
            )
        self._check_surroundings()
        settings = Settings(
            max_epochs=int(self.max_epochs),
            patience=int(self.patience),
            batch_size=self._batch_size(presence),
            learning_rate=float(self.learning_rate),
            weight_decay=float(self.weight_decay),
            balance=self.balance,
            device=self._device(),
            mixed_precision=self._device() != "cpu",
        )
        settings.check()
        return settings

    def _batch_size(self, presence: BoolArray) -> int:
        """Return the samples per step.

        ``auto`` takes some sixty steps an epoch on complete data, and fewer in proportion where
        modalities are absent: an encoder then still sees as many rows in a step, and the number
        of steps, whose fixed cost is most of that of a small one, follows presence too.
        """
        if isinstance(self.batch_size, str) and self.batch_size == "auto":
            size = presence.size / _STEPS / max(1, presence.sum()) * len(presence)
            return int(2 ** np.clip(np.round(np.log2(max(1.0, size))), 4, 9))
        self._check_number("batch_size", whole=True)
        return int(self.batch_size)

    def _check_number(self, name: str, *, whole: bool) -> None:
        value = getattr(self, name)
        least = 1 if whole else 0
        # numpy registers its scalars with `numbers`; that of its booleans is none.
        fits = isinstance(value, numbers.Integral if whole else numbers.Real)
        if isinstance(value, bool) or not fits or not least <= float(value) < np.inf:
            what = "a whole number of at least 1" if whole else "a finite number of at least 0"
            raise DatasetError(f"{type(self).__name__}: {name} must be {what}, got {value!r}.")

    def _check_surroundings(self) -> None:
        """Check what says where and how it is trained, and not what."""
        who = type(self).__name__
        path, jobs = self.checkpoint, self.n_jobs
        if path is not None and not (isinstance(path, str | os.PathLike) and os.fspath(path)):
            raise DatasetError(f"{who}: checkpoint must be the path of a folder, got {path!r}.")
        if path is not None and Path(path).exists() and not Path(path).is_dir():
            raise DatasetError(f"{who}: checkpoint must be a folder, and {path} is a file.")
        whole = isinstance(jobs, numbers.Integral) and not isinstance(jobs, bool)
        if jobs is not None and not (whole and jobs):
            raise DatasetError(
                f"{who}: n_jobs must be None or a whole number other than 0, got {jobs!r}."
            )
        if not callable(self.verbose) and not isinstance(self.verbose, numbers.Integral):
            raise DatasetError(
                f"{who}: verbose must be a whole number or a function, got {self.verbose!r}."
            )
        if several_processes() and self.random_state is None:
            raise DatasetError(
                f"{who}: processes that train together need one random_state, got None."
            )
        if path is not None and self.random_state is None:
            raise DatasetError(
                f"{who}: a checkpoint can only be gone on from with the same random_state, got None."
            )

    def _checkpoint_folder(self) -> Path | None:
        """Return the folder of the checkpoints, made where it does not exist yet."""
        if self.checkpoint is None:
            return None
        folder = Path(self.checkpoint)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DatasetError(
                f"{type(self).__name__}: the checkpoint folder {folder} cannot be made "
                f"({error.strerror or error}). Name a folder that can be written."
            ) from error
        return folder

    def _device(self) -> str:
        import torch

        if isinstance(self.device, str) and self.device == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        if not isinstance(self.device, str | torch.device):
            raise DatasetError(
                f"{type(self).__name__}: device must be 'auto' or the name of a device of PyTorch, "
                f"got {self.device!r}."
            )
        try:
            torch.zeros(1, device=self.device).item()
        except (RuntimeError, AssertionError, TypeError) as error:
            raise DatasetError(
                f"{type(self).__name__}: device {self.device!r} cannot be used here "
                f"({str(error).splitlines()[0]}). Use 'cpu' or 'auto'."
            ) from None
        return str(self.device)

    def _fit_tensors(self, X: MultimodalDataset) -> MultimodalDataset:
        self.encoders_ = fit_tensor_encoders(X, self.time_reference_)
        return self._without_bare(X)

    def _batch(self, X: MultimodalDataset) -> dict[str, Rows]:
        return {m: e.transform(X, self.time_reference_) for m, e in self.encoders_.items()}

    def _targets(self, y: npt.NDArray[Any], weight: FloatArray) -> npt.NDArray[Any]:
        """Return class codes, or amounts in units of their spread."""
        if self._n_classes:
            return y.astype(np.int64)
        self.center_ = float(np.average(y, weights=weight))
        # 0 for a constant target, which is then predicted whatever the networks say.
        self.spread_ = float(np.sqrt(np.average((y - self.center_) ** 2, weights=weight)))
        return np.asarray((y - self.center_) / (self.spread_ or 1.0), dtype=np.float32)

    def _held_out(
        self, X: MultimodalDataset, y: npt.NDArray[Any], seed: np.random.SeedSequence
    ) -> list[IntArray]:
        """Return the rows that each member does not learn from."""
        number = int(seed.generate_state(1)[0])
        units = len(np.unique(X.ids if X.cluster is None else X.cluster))
        n_members = min(int(self.n_members), units)
        if n_members == 1:
            return [np.flatnonzero(inner_validation(X, random_state=number, y=y))]
        fold = folds(X, n_members, number, y=y)
        return [np.flatnonzero(fold == k) for k in range(n_members)]

    def _checked(
        self, presence: BoolArray, weight: FloatArray, seed: np.random.SeedSequence
    ) -> tuple[BoolArray, FloatArray]:
        """Return what is seen of the rows that stop the training, and how much each counts.

        Where the deployment is known both are such that the mixture of patterns is its own, as far
        as removing modalities and weighing rows can make it so.
        """
        deployment = Deployment.of(self.deployment)
        if deployment.source in ("none", "training"):
            return presence, weight
        with warnings.catch_warnings():
            # What stays out of reach is told where training is masked by it.
            warnings.simplefilter("ignore", FusewiseWarning)
            plan = plan_removals(presence, self.modalities_, deployment, self.declared_)
        shown = plan.draw(presence, np.random.default_rng(seed))
        mixture = mixture_weights(shown, self.modalities_, self.declared_, self.deployment)
        return shown, weight * mixture

    def _member(
        self,
        number: int,
        joining: str,
        held: IntArray,
        shown: BoolArray,
        counts: FloatArray,
        seed: np.random.SeedSequence,
    ) -> Member:
        from fusewise.nn import Check

        # Where deployment has nothing like this fold, it stops its own member but no other.
        counted = counts[held]
        alike = np.full(len(held), _HARDLY)
        return Member(
            number=number,
            spec=self._spec(joining),
            fit=np.setdiff1d(np.arange(len(shown)), held),
            check=Check(held, shown[held], counted if counted.any() else alike),
            seed=int(seed.generate_state(1)[0] >> 1),
        )

    def _spec(self, joining: str) -> dict[str, Any]:
        modalities = {}
        for name, encoder in self.encoders_.items():
            sizes = encoder.sizes()
            if name in self.user_encoders_:
                sizes |= self.user_encoders_[name]
            modalities[name] = sizes
        return {
            "joining": joining,
            "width": int(self.width),
            "dropout": float(self.dropout),
            "n_bins": next(iter(self.encoders_.values())).n_bins,
            "n_outputs": max(1, self._n_classes),
            "modalities": modalities,
            **self._sizes(),
        }

    def _given_modules(self) -> dict[str, Any]:
        """Check the encoders that the user brought; return their modules by modality."""
        who = type(self).__name__
        given = {} if self.encoders is None else self.encoders
        if not isinstance(given, Mapping):
            raise DatasetError(
                f"{who}: encoders must be a dict from modality to UserEncoder, got "
                f"{type(given).__name__}."
            )
        for name in given:
            if name not in self.declared_:
                raise UnknownModalityError(
                    f"{who}: encoders name {name!r}, which training does not have."
                    f"{did_you_mean(name, self.declared_)}"
                )
        brought = {
            name: UserEncoder.of(e, name) for name, e in given.items() if name in self.encoders_
        }
        self.user_encoders_ = {
            name: {"output_width": e.output_width, "frozen": e.frozen}
            for name, e in brought.items()
        }
        return {name: e.loaded() for name, e in brought.items()}

    def _check_every_class(self, y: npt.NDArray[Any], members: list[Member]) -> None:
        if not self._n_classes:
            return
        for member in members:
            absent = np.setdiff1d(np.arange(self._n_classes), y[member.fit])
            if len(absent):
                count = int((y == absent[0]).sum())
                name = self.classes_[absent[:1]].tolist()[0]
                where = f"in one of {len(members)} folds" if len(members) > 1 else "held out"
                raise DatasetError(
                    f"{type(self).__name__}.fit: class {name!r} has {count} "
                    f"sample(s), all of them {where}, so a network would never see it. Give more "
                    "samples of it, or leave the class out."
                )

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


def _key(member: Member) -> tuple[str, int]:
    return member.spec["joining"], member.number


def _choose(
    members: Mapping[str, list[Member]], trained: Mapping[Any, Any], first: int | None, least: int
) -> tuple[str, pd.DataFrame]:
    """Return the joining with the smallest loss on the same held-out rows, and all losses."""
    rows = []
    for joining, each in members.items():
        some = each[:first]
        losses = pooled_losses(some, [trained[_key(m)] for m in some])
        epoch, readout, loss = best_of(losses, least)
        rows.append(
            {
                "joining": joining,
                "members": len(some),
                "n": int(sum(len(m.check.rows) for m in some)),
                "check_loss": loss,
                "epoch": epoch + 1,
                "readout": readout,
            }
        )
    table = pd.DataFrame(rows)
    return str(table["joining"].iloc[int(table["check_loss"].argmin())]), table


def _threads(n_jobs: int | None, n_members: int) -> int:
    """Return the threads of one member: all members together use what PyTorch would."""
    import torch
    from joblib import effective_n_jobs

    return max(1, torch.get_num_threads() // min(effective_n_jobs(n_jobs), n_members))


def chunks(n: int) -> Iterator[IntArray]:
    """Yield the positions of `n` samples, a manageable number at a time."""
    for start in range(0, n, _CHUNK):
        yield np.arange(start, min(n, start + _CHUNK))
