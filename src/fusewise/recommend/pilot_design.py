"""What all candidates of a pilot see alike: rows, folds, sizes, and what is withheld from whom."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fusewise.data import Deployment, MultimodalDataset, folds, split
from fusewise.exceptions import FusewiseWarning, PilotError

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

# Parts that the rows are dealt to; a size is a number of them, so that a smaller one is a subset.
_DECKS = 20
# Draws of what the deployment, or a missing rate, withholds from a sample.
_DRAWS = 3
_SWEEP_DRAWS = 2
MIN_SAMPLES = 60
MIN_RARER = 10


@dataclass(frozen=True)
class View:
    """One regime of absence, with what each sample still shows under it.

    Attributes
    ----------
    withheld : float or None
        Share of the modality list that is withheld at random; None for the deployment's regime.
    shown : tuple of bool array (n_samples, n_modalities)
        One for each draw.
    """

    withheld: float | None
    shown: tuple[BoolArray, ...]


@dataclass(frozen=True)
class Design:
    """Rows, folds and views that are the same for every candidate.

    Attributes
    ----------
    rows : MultimodalDataset
        In the order of their ids, without a flagged validation part.
    n_given : int
        Training rows that these were drawn from.
    fold, deck : int array (n_samples,)
    decks : tuple of int
        How many decks each size trains on, largest last.
    n_decks, n_folds : int
    views : tuple of View
        The deployment's first.
    weights : tuple of float array (n_samples,)
        For each draw of the deployment's view: deployment over shown frequency of the pattern.
    notes : tuple of str
    """

    rows: MultimodalDataset
    n_given: int
    fold: IntArray
    deck: IntArray
    decks: tuple[int, ...]
    n_decks: int
    n_folds: int
    views: tuple[View, ...]
    weights: tuple[FloatArray, ...]
    notes: tuple[str, ...]

    def training(self, fold: int, decks: int) -> IntArray:
        """Return the rows that a fit of a size may learn from when `fold` is held out."""
        return np.flatnonzero((self.fold != fold) & (self.deck < decks))

    def n_train(self, decks: int) -> int:
        """Return how many rows a fit of a size learns from, the mean over the folds."""
        each = [len(self.training(k, decks)) for k in range(self.n_folds)]
        return round(float(np.mean(each)))


def make_design(
    train: MultimodalDataset,
    deployment: Deployment,
    *,
    sizes: Sequence[float] | None,
    absent: Sequence[float],
    n_folds: int,
    max_samples: int,
    seed: np.random.SeedSequence,
) -> Design:
    """Draw rows, folds, sizes and views; nothing is fitted yet."""
    draw, dealt, decked, withheld = seed.spawn(4)
    notes = []
    some = train.presence.any(axis=1)
    if not some.all():
        notes.append(f"{int((~some).sum()):,} training rows without any modality are left out.")
    rows = train[np.flatnonzero(some)]
    rows = rows.with_validation(np.zeros(len(rows), dtype=bool))
    rows = rows[np.argsort(rows.ids.astype(str), kind="stable")]
    if len(rows) > max_samples:
        share = max_samples / len(rows)
        _, rows = split(rows, share, stratify="both", random_state=_whole(draw))
    _check_rows(rows, n_folds)
    never = [m for m, has in zip(rows.modalities, _any(rows.presence, 0), strict=True) if not has]
    if never:
        notes.append(
            f"No training row of the pilot has {', '.join(never)}: what it is worth is not seen."
        )
    fold = _folds(rows, n_folds, _whole(dealt))
    units = len(np.unique(rows.ids if rows.cluster is None else rows.cluster))
    n_decks = min(_DECKS, units)
    deck = folds(rows, n_decks, _whole(decked))
    views = [_deployment_view(rows, deployment, withheld, notes)]
    views += _sweep(rows, absent, withheld)
    return Design(
        rows=rows,
        n_given=len(train),
        fold=fold,
        deck=deck,
        decks=_decks(sizes, len(rows), n_decks),
        n_decks=n_decks,
        n_folds=n_folds,
        views=tuple(views),
        weights=_weights(rows, deployment, views[0], notes),
        notes=tuple(notes),
    )


def _check_rows(rows: MultimodalDataset, n_folds: int) -> None:
    if len(rows) < MIN_SAMPLES:
        raise PilotError(
            f"pilot: {len(rows)} training rows with a modality are too few; at least {MIN_SAMPLES} "
            "are needed. Use the recommendation without a pilot."
        )
    units = len(np.unique(rows.ids if rows.cluster is None else rows.cluster))
    if units < 2 * n_folds:
        raise PilotError(
            f"pilot: {units} independent units (clusters) are too few for {n_folds} folds; at "
            f"least {2 * n_folds} are needed."
        )
    if rows.task == "regression":
        if np.ptp(np.asarray(rows.target, dtype=float)) == 0:
            raise PilotError("pilot: the target is constant, so there is nothing to compare by.")
        return
    seen, counts = np.unique(np.asarray(rows.target), return_counts=True)
    if len(seen) < 2:
        raise PilotError(
            f"pilot: one class only ({seen.tolist()[0]!r}) among {len(rows):,} rows. Check the "
            "target."
        )
    if counts.min() < MIN_RARER:
        raise PilotError(
            f"pilot: {int(counts.min())} rows of the rarest class "
            f"({seen[counts.argmin()].tolist()!r}) are too few; at least {MIN_RARER} are needed."
        )


def _folds(rows: MultimodalDataset, n_folds: int, seed: int) -> IntArray:
    """Deal folds by target and availability pattern; by target alone where classes come apart."""
    if rows.task != "regression":
        _, target = np.unique(np.asarray(rows.target), return_inverse=True)
        _, pattern, counts = np.unique(
            rows.pattern.astype(str), return_inverse=True, return_counts=True
        )
        # Patterns that are too rare to be dealt evenly count as one.
        pattern = np.where(counts[pattern] >= 4 * n_folds, pattern, len(counts))
        fold = folds(rows, n_folds, seed, y=target * (len(counts) + 1) + pattern)
        spread = [len(np.unique(fold[target == c])) for c in np.unique(target)]
        if min(spread) == n_folds:
            return fold
    return folds(rows, n_folds, seed)


def _decks(sizes: Sequence[float] | None, n: int, n_decks: int) -> tuple[int, ...]:
    """Return the decks of each size: shares, or numbers of rows of which the largest is all."""
    given = [0.25, 0.5, 1.0] if sizes is None else list(sizes)
    if not given:
        raise PilotError("pilot: sizes is empty; leave it out, or give shares such as [0.5, 1.0].")
    shares = []
    for size in given:
        if isinstance(size, bool) or not isinstance(size, int | float | np.number) or not size > 0:
            raise PilotError(
                f"pilot: sizes are shares of the rows (0.25) or numbers of rows (1000), got {size!r}."
            )
        share = float(size) if size <= 1 else float(size) / n
        if share > 1:
            raise PilotError(f"pilot: a size of {size:g} rows, but the pilot has {n:,}.")
        shares.append(share)
    return tuple(sorted({max(1, round(share * n_decks)) for share in shares}))


def _deployment_view(
    rows: MultimodalDataset, deployment: Deployment, seed: np.random.SeedSequence, notes: list[str]
) -> View:
    """Withhold what turns the rows' patterns into the deployment's, as far as removing can."""
    natural = np.asarray(rows.presence)
    if deployment.source in ("none", "training"):
        return View(None, (natural,))
    from fusewise.fusion import plan_removals

    known = _any(natural, 0)
    names = [m for m, k in zip(rows.modalities, known, strict=True) if k]
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always", FusewiseWarning)
        plan = plan_removals(natural[:, known], names, deployment, rows.modalities)
    if any(issubclass(w.category, FusewiseWarning) for w in heard):
        notes.append(
            f"Withholding cannot make the rows look like the deployment: {plan.shortfall:.0%} of it "
            "stays out of reach, and is weighed as far as its patterns are met."
        )
    shown = []
    for child in seed.spawn(_DRAWS):
        drawn = natural.copy()
        drawn[:, known] = plan.draw(natural[:, known], np.random.default_rng(child))
        shown.append(drawn)
    same = all((one == natural).all() for one in shown)
    return View(None, (natural,) if same else tuple(shown))


def _sweep(
    rows: MultimodalDataset, absent: Sequence[float], seed: np.random.SeedSequence
) -> list[View]:
    from fusewise.evaluate import plan_random

    if not absent:
        return []
    entropy = int(seed.generate_state(1)[0])
    plans = plan_random(rows, absent, _SWEEP_DRAWS, entropy)
    natural = np.asarray(rows.presence)
    return [
        View(float(rate), tuple(natural & w.presence for w in plan))
        for rate, plan in zip(absent, plans, strict=True)
    ]


def _weights(
    rows: MultimodalDataset, deployment: Deployment, view: View, notes: list[str]
) -> tuple[FloatArray, ...]:
    """Weigh what is shown by deployment over shown frequency of its pattern."""
    from fusewise.evaluate import find_mixture, weigh

    natural = np.asarray(rows.presence)
    mixture = find_mixture(deployment, rows, natural)
    each, uncovered = [], 0.0
    for shown in view.shown:
        seen = rows.with_presence(shown)
        headline = weigh(mixture, seen.pattern, _any(shown, 1))
        weight = np.zeros(len(rows))
        if headline.weights is None:
            weight[headline.rows] = 1.0
        else:
            weight[headline.rows] = headline.weights
        uncovered = max(uncovered, headline.uncovered_weight)
        each.append(weight)
    if uncovered >= 1:
        raise PilotError(
            "pilot: no pattern of the deployment can be made from the training rows, not even by "
            "withholding. Use the recommendation without a pilot."
        )
    if uncovered > 0.005:
        notes.append(
            f"{uncovered:.1%} of the deployment comes in patterns that the pilot's rows do not "
            "show, also by withholding; it says nothing about them."
        )
    return tuple(each)


def _any(presence: BoolArray, axis: int) -> BoolArray:
    return np.asarray(presence.any(axis=axis))


def _whole(seed: np.random.SeedSequence) -> int:
    return int(seed.generate_state(1)[0])


def as_deployment(source: str, patterns: Any) -> Deployment:
    """Return the deployment of a profile as estimators and metrics take it."""
    return Deployment.of(patterns if patterns is not None else source)
