"""The deployment's mixture of availability patterns, and the headline score on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fusewise.data import EMPTY_PATTERN, Deployment, pattern_label
from fusewise.evaluate.words import plural
from fusewise.exceptions import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from fusewise.data import MultimodalDataset
    from fusewise.evaluate.predictions import Predicted, Presence, Rows
    from fusewise.evaluate.scoring import Scoring
    from fusewise.evaluate.weighted import Floats


@dataclass(frozen=True)
class Mixture:
    """How often each availability pattern is met in use.

    Parameters
    ----------
    source : str
        ``observed``, ``rates``, ``patterns`` (as declared), ``training`` (the training rows), or
        ``test`` (nothing is known: the test rows as they came).
    weights : mapping of str to float
        Weight of each non-empty pattern, by its label; they sum to 1.
    """

    source: str
    weights: Mapping[str, float]

    def ranked(self) -> list[str]:
        """Return the patterns by weight, heaviest first, then by label."""
        return sorted(self.weights, key=lambda label: (-self.weights[label], label))


def find_mixture(
    deployment: Any, test: MultimodalDataset, train_presence: npt.ArrayLike | None
) -> Mixture:
    """Return the mixture that the headline is computed on.

    A deployment that declares or observed its patterns gives it. Without one, or with
    ``"training"``, the training rows stand in where their presence is given; else the test rows
    as they came. The source is always named, so that nobody takes a stand-in for the deployment.
    """
    declared = Deployment.of(deployment)
    train: Presence | None = None
    if train_presence is not None:
        train = np.asarray(train_presence)
        if train.dtype != bool or train.ndim != 2 or train.shape[1] != len(test.modalities):
            raise EvaluationError(
                f"train_presence is {train.dtype} of shape {train.shape}; expected bool of shape "
                f"(n_train, {len(test.modalities)}), columns in the order of test.modalities."
            )
    source = declared.source
    if source == "none" and train is not None:
        declared, source = Deployment.of("training"), "training"
    joint = declared.pattern_weights(test.modalities, train)
    if joint is None:
        source, joint = (
            "test",
            Deployment.of("training").pattern_weights(test.modalities, np.asarray(test.presence)),
        )
    assert joint is not None
    return Mixture(source, {pattern_label(names): weight for names, weight in joint.items()})


@dataclass(frozen=True)
class Headline:
    """The weighting of the test samples that makes them a sample of the mixture.

    Parameters
    ----------
    rows : ndarray of int (k,)
        Answered test samples whose pattern the mixture has.
    weights : ndarray of float (k,) or None
        Deployment over test frequency of the sample's pattern, with mean 1; None where the
        mixture is the test set itself.
    uncovered : tuple of str
        Patterns of the mixture without an answered test sample, heaviest first.
    uncovered_weight : float
        Their share of the mixture.
    """

    rows: Rows
    weights: Floats | None
    uncovered: tuple[str, ...]
    uncovered_weight: float

    @property
    def effective_n(self) -> float:
        """Kish's effective sample size, (sum of weights) squared over sum of squared weights."""
        if self.weights is None or len(self.weights) == 0:
            return float(len(self.rows))
        return float(self.weights.sum() ** 2 / (self.weights**2).sum())


def weigh(mixture: Mixture, pattern: npt.NDArray[Any], answered: Presence) -> Headline:
    """Weigh the answered samples by deployment over test frequency of their pattern.

    Parameters
    ----------
    mixture : Mixture
    pattern : ndarray of str (n,)
        Pattern of each test sample.
    answered : ndarray of bool (n,)
    """
    here = np.flatnonzero(answered)
    seen, counts = np.unique(pattern[here].astype(str), return_counts=True)
    met = dict(zip(seen.tolist(), counts.tolist(), strict=True))
    uncovered = tuple(label for label in mixture.ranked() if label not in met)
    missing = float(sum(mixture.weights[label] for label in uncovered))
    if mixture.source == "test":
        return Headline(here, None, uncovered, missing)
    each = np.array([mixture.weights.get(p, 0.0) / met[p] for p in pattern[here].astype(str)])
    here, each = here[each > 0], each[each > 0]
    return Headline(here, each / each.mean() if len(each) else each, uncovered, missing)


def score_headline(
    scoring: Scoring,
    natural: Predicted,
    mixture: Mixture,
    headline: Headline,
    by_pattern: pd.DataFrame,
) -> list[dict[str, Any]]:
    """Return the rows of the headline table.

    The estimate is the metric computed once on the weighted samples: the score that the predictor
    would have on requests that come in the mixture's patterns, assuming that within a pattern
    they are like the test samples. The weights are held fixed in the bootstrap.
    ``by_pattern_mean`` is the mean of the per-pattern scores under the same weights, over the
    patterns where the metric is defined. The two differ where the predictor ranks samples of
    different patterns against each other.
    """
    measured = scoring.measure(headline.rows, natural[headline.rows], "all", headline.weights)
    alone = by_pattern[(by_pattern["view"] == "natural") & by_pattern["estimate"].notna()]
    rows = []
    for metric, score in zip(scoring.metrics, measured, strict=True):
        mine = alone[alone["metric"] == metric.name]
        mass = mine["weight"].to_numpy()
        mean = np.nan
        if mass.sum() > 0:
            mean = float(mass @ mine["estimate"].to_numpy() / mass.sum())
        rows.append(
            {
                "metric": metric.name,
                **score.columns(),
                "n": len(headline.rows),
                "effective_n": headline.effective_n,
                "small": bool(scoring.too_few(headline.rows, headline.effective_n)),
                "by_pattern_mean": mean,
                "source": mixture.source,
            }
        )
    return rows


def mixture_notes(
    mixture: Mixture, headline: Headline, pattern: npt.NDArray[Any], scoring: Scoring
) -> list[str]:
    """Say what the headline does not cover and what it rests on."""
    notes, min_cell = [], scoring.min_cell
    few = scoring.too_few(headline.rows, headline.effective_n)
    if few:
        notes.append(
            f"The headline rests on {few}: too few for a firm statement (minimum cell size "
            f"{min_cell})."
        )
    if mixture.source == "test":
        notes.append(
            "The deployment's availability is not known: the headline is the test set as it came."
        )
    if mixture.source == "training":
        notes.append(
            "The headline weighs patterns as in the training rows, which stand in for the "
            "deployment."
        )
    n = len(headline.uncovered)
    if n:
        notes.append(
            f"{plural(n, 'pattern')} with {headline.uncovered_weight:.1%} of the deployment "
            f"{'has' if n == 1 else 'have'} no answered test sample; the headline says nothing "
            f"about {'it' if n == 1 else 'them'}."
        )
    if headline.weights is not None and len(headline.rows):
        labels = pattern[headline.rows].astype(str)
        seen, counts = np.unique(labels, return_counts=True)
        thin = sum(mixture.weights[p] for p in seen[counts < min_cell].tolist())
        covered = 1 - headline.uncovered_weight
        if covered > 0 and thin / covered > 0.1:
            notes.append(
                f"{thin / covered:.0%} of the headline's weight rests on patterns with fewer than "
                f"{plural(min_cell, 'test sample')} each."
            )
    if (pattern == EMPTY_PATTERN).any():
        empty = int((pattern == EMPTY_PATTERN).sum())
        notes.append(f"{plural(empty, 'test sample', ('has', 'have'))} no modality at all.")
    return notes
