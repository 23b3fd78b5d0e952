"""What the learned strategies share: how a committee of networks is trained."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusewise.data import Deployment, MultimodalDataset, folds, inner_validation
from fusewise.exceptions import DatasetError, FusewiseWarning, UnknownModalityError, did_you_mean
from fusewise.fusion.committee import (
    Draw,
    Member,
    Task,
    best_of,
    contribution_table,
    history_table,
    pooled_losses,
    stopped_at,
    train_members,
)
from fusewise.fusion.given import UserEncoder
from fusewise.fusion.learned_answers import LearnedAnswers
from fusewise.fusion.masking import Masking, plan_removals
from fusewise.fusion.mixture import mixture_weights
from fusewise.fusion.tensors import fit_tensor_encoders

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

# Networks forget epochs of a growing masking: it reaches its rate after this share of them.
_RAMP = 0.25
# A weight that is next to nothing beside those of other rows, whose mean is 1.
_HARDLY = 1e-12


class LearnedFusion(LearnedAnswers):
    """Base of the strategies that are networks; subclasses say how modalities are joined."""

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

    def _fit_tensors(self, X: MultimodalDataset) -> MultimodalDataset:
        self.encoders_ = fit_tensor_encoders(X, self.time_reference_)
        return self._without_bare(X)

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
