"""A cap on the processor time of a fit, and what is given up, step by step, to keep it.

The clock is the processor time of this process, so that a loaded machine changes nothing. A fit
that reaches the cap is stopped in the middle and begun again one step down:

early          one boosted model in the place of three; then of half of the rows; then of a quarter.
               The one model is fitted first, and three only where it took a third of the cap
late           three folds in the place of five; then of half of the rows; then of a quarter
the networks   three of five; one; one with fewer epochs; then of half of the rows; a quarter

A network tells each epoch what it took: where the fewest epochs that all networks need would not
fit, or all of them at what the first one took, the fit is stopped at once. The last step is not
stopped. What a row holds is the last fit alone; what was begun in vain stands beside it. The seeds
of one deployment begin at the step that an earlier one of them ended at.
"""

from __future__ import annotations

import contextlib
import signal
import time
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split

import fusewise as fw
from fusewise.fusion.boosting import BoostedTreesClassifier

CAP = 60.0
SHARES = (1.0, 0.5, 0.25)
# Of the cap, what the epochs of a network are planned to take.
_PLANNED = 0.9
# Epochs before the first forecast, and the fewest that a network is worth being trained for.
_LISTENED, _FEWEST = 3, 5
LEARNED = ("intermediate", "attention")


class PastCapError(Exception):
    """A fit took, or would take, longer than it may."""


@dataclass(frozen=True)
class Step:
    """How a strategy is fitted: parameters that differ from the defaults, and a share of rows."""

    params: dict[str, Any] = field(default_factory=dict)
    share: float = 1.0
    fewer_epochs: bool = False


def steps(strategy: str, seed: int) -> list[Step]:
    """Return the steps down, the defaults first."""
    if strategy in LEARNED:
        return [
            Step(),
            Step({"n_members": 3}),
            Step({"n_members": 1}),
            *(Step({"n_members": 1}, share, fewer_epochs=True) for share in SHARES),
        ]
    given: dict[str, Any] = {"n_folds": 3}
    if strategy == "early":
        given = {"estimator": BoostedTreesClassifier(n_models=1, random_state=seed)}
    return [Step(), *(Step(given, share) for share in SHARES)]


@contextlib.contextmanager
def stopped_after(seconds: float) -> Iterator[None]:
    """Raise PastCapError in this thread when the process has used so much processor time."""

    def stop(number: int, frame: types.FrameType | None) -> None:  # noqa: ARG001
        raise PastCapError

    before = signal.signal(signal.SIGPROF, stop)
    # Again every second: an exception inside a callback of C is printed and forgotten.
    signal.setitimer(signal.ITIMER_PROF, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)


class Pace:
    """Listens to the epochs of a committee; stops a fit that cannot keep the cap."""

    def __init__(self, cap: float, n_members: int, least: int) -> None:
        self.cap, self.n_members, self.least = cap, n_members, least
        self.began = time.process_time()
        self.prepared = 0.0
        self.epochs = 0
        self.first: tuple[Any, Any] | None = None
        # What one network takes at least, where a forecast stopped the fit.
        self.network_seconds = 0.0

    @property
    def epoch_seconds(self) -> float:
        """Mean processor seconds of an epoch; the first one, which is slower, counts where alone."""
        spent = time.process_time() - self.began
        return (spent - self.prepared) / (self.epochs - 1) if self.epochs > 1 else spent

    def __call__(self, record: dict[str, Any]) -> None:
        """Take note of an epoch, and hold what is still to come against the cap."""
        network = (record["joining"], record["member"])
        if self.first is None:
            self.first = network
            # With its first epoch, which other networks do not pay for again.
            self.prepared = time.process_time() - self.began
        if network != self.first and self.n_members:
            # The first network is done: the others take as long.
            self._check(self.epochs)
            self.n_members = 0
        self.epochs += 1
        if self.epochs == _LISTENED:
            self._check(self.least)

    def _check(self, epochs: int) -> None:
        """Stop where all networks together would not keep the cap with `epochs` each."""
        each = epochs * self.epoch_seconds
        if self.prepared + each * self.n_members > self.cap:
            self.network_seconds = each
            raise PastCapError


@dataclass(frozen=True)
class Fitted:
    """A fitted estimator, how it was fitted, and what that took."""

    model: Any
    used: dict[str, Any]
    seconds: float
    in_vain: float
    step: int


def part_of(train: fw.MultimodalDataset, share: float, seed: int) -> fw.MultimodalDataset:
    """Return a share of the rows, stratified by the target."""
    if share == 1:
        return train
    rows, _ = train_test_split(
        np.arange(len(train)), train_size=share, stratify=train.target, random_state=seed
    )
    return train[np.sort(rows)]


def fit_within(
    make: Callable[..., Any],
    strategy: str,
    train: fw.MultimodalDataset,
    seed: int,
    *,
    cap: float = CAP,
    before: dict[str, Any] | None = None,
) -> Fitted:
    """Fit within the cap.

    Parameters
    ----------
    make : callable
        Takes parameters that differ from the defaults; returns an unfitted estimator.
    before : dict, optional
        The row of another seed of the same deployment, whose ``step`` is begun with.
    """
    first = before["step"] if before else 0
    epochs = (before or {}).get("used", {}).get("max_epochs")
    if strategy == "early" and before is None:
        alone = fit_within(make, strategy, train, seed, cap=cap, before={"step": 1})
        if alone.step > 1 or 3 * alone.seconds > cap:
            return alone
        return fit_within(make, strategy, train, seed, cap=cap, before={"step": 0})
    in_vain, ladder = 0.0, steps(strategy, seed)
    network_seconds = 0.0
    for number, step in enumerate(ladder[first:], start=first):
        params, rows = dict(step.params), part_of(train, step.share, seed)
        last = number == len(ladder) - 1
        pace = None
        if strategy in LEARNED:
            default = make().get_params()
            if params.get("n_members", 1) > default["n_members"]:
                continue
            if step.fewer_epochs and epochs is not None:
                if epochs < _FEWEST and not last:
                    epochs *= 2  # of half of the rows
                    continue
                params["max_epochs"] = max(2, min(epochs, default["max_epochs"]))
            n_members = params.get("n_members", default["n_members"])
            if n_members > 1 and n_members * network_seconds > cap:
                continue
            pace = params["verbose"] = Pace(cap, n_members, default["patience"] + 1)
            if step.fewer_epochs:
                pace.least = 0
        began = time.process_time()
        try:
            with stopped_after(cap * (100 if last else 1)):
                model = make(**params).fit(rows)
        except PastCapError:
            in_vain += time.process_time() - began
            if pace is not None and pace.epochs:
                network_seconds = pace.network_seconds
                here = _PLANNED * cap / pace.epoch_seconds
                # The next step has as many rows, or half as many.
                epochs = int(here * step.share / ladder[number + 1].share)
            continue
        seconds = time.process_time() - began
        shown = {name: value for name, value in params.items() if name != "verbose"}
        if "estimator" in shown:
            shown["estimator"] = "one boosted model"
        return Fitted(model, shown | {"rows": len(rows)}, seconds, in_vain, number)
    raise AssertionError("the last step is not stopped")
