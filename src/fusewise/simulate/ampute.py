"""Amputation: modalities removed from real data by a known mechanism."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import norm, rankdata

from fusewise.data import MultimodalDataset, pattern_codes
from fusewise.exceptions import (
    ColumnNotFoundError,
    DatasetError,
    FusewiseWarning,
    TaskError,
    UnknownModalityError,
    did_you_mean,
)
from fusewise.simulate.availability import MECHANISMS, Mechanism, pattern_matrix
from fusewise.simulate.calibration import BoolArray, PresenceModel, calibrate

if TYPE_CHECKING:
    from fusewise.simulate.signal import Array

_REACHED = 1e-4


def ampute(
    dataset: MultimodalDataset,
    *,
    rate: float | Mapping[str, float] | None = None,
    mechanism: Mechanism = "mcar",
    patterns: Mapping[str, float] | None = None,
    depends_on: str | tuple[str, str] | None = None,
    strength: float = 2.0,
    keep_one: bool = True,
    random_state: int | None = 0,
) -> MultimodalDataset:
    """Remove modalities from samples, to simulate absence or to stress a model.

    What is absent already stays absent. This is never a training discipline (that is modality
    masking), and the result never tells how a real deployment looks.

    Parameters
    ----------
    dataset : MultimodalDataset
    rate : float or mapping of str to float
        Expected share of samples to remove a modality from, among those that have it; a modality
        that is not named stays.
    mechanism : {"mcar", "mar", "mnar", "informative"}
        What the chance to *keep* a modality depends on (Rubin 1976): nothing; the values of
        another modality that is not removed (`depends_on`; a sample that lacks it counts as
        average); the modality's own values; the target. Values become one score per sample: a
        random direction through the standardised features, or one feature, by normal ranks.
    patterns : mapping of str to float, optional
        Instead of `rate`: joint patterns to leave, with weights, drawn completely at random.
        Each sample keeps what it has of its pattern.
    depends_on : str or (str, str), optional
        The modality, or modality and feature, that drives ``mar``. Where not given, the one that
        most samples have; a single `rate` then leaves it out.
    strength : float
        Change of the log-odds of keeping per standard deviation of the score.
    keep_one : bool
        Give a sample that would lose everything one of its modalities back, drawn in proportion
        to the shares to keep (with `patterns`: draw among the patterns that leave it something;
        where there is none, it stays whole). Rates are calibrated with this in.
    random_state : int or None

    Returns
    -------
    MultimodalDataset
        The same samples with fewer modalities.

    Warns
    -----
    FusewiseWarning
        A rate cannot be reached; the nearest that can is used and named.

    Notes
    -----
    Presence is drawn with log-odds ``intercept + strength * score``; intercepts are found by
    bisection on the samples themselves, so that the *expected* rate is `rate` to rounding and the
    drawn one differs by chance alone.

    Examples
    --------
    >>> from fusewise.simulate import make_cohort
    >>> whole = make_cohort(1000, 10, random_state=0).train
    >>> ampute(whole, rate={"m2": 0.5}, random_state=1).presence.mean(axis=0).round(1)
    array([1. , 0.5, 1. ])
    """
    if mechanism not in MECHANISMS:
        raise DatasetError(
            f"mechanism: must be one of {', '.join(MECHANISMS)}, got {mechanism!r}."
            + did_you_mean(mechanism, MECHANISMS)
        )
    if (rate is None) == (patterns is None):
        raise DatasetError("ampute: give rate=, or patterns=, and not both.")
    if depends_on is not None and mechanism != "mar":
        raise DatasetError(f"depends_on: is for mechanism 'mar', got {mechanism!r}.")
    score_seed, draw_seed = np.random.SeedSequence(random_state).spawn(2)
    rng = np.random.default_rng(draw_seed)
    if patterns is not None:
        if mechanism != "mcar":
            raise DatasetError(
                f"patterns: are drawn completely at random; give rate= for {mechanism!r}."
            )
        return dataset.with_presence(_drawn_patterns(dataset, patterns, keep_one, rng))
    driver = _driver(dataset, mechanism, depends_on, rate)
    kept = 1 - _removal_rates(dataset, rate, driver)
    drivers = _scores(dataset, mechanism, driver, score_seed)
    natural = dataset.presence
    strengths = np.full(len(kept), strength if mechanism != "mcar" else 0.0)
    model = _calibrated(dataset, drivers, strengths, kept, keep_one=keep_one)
    return dataset.with_presence(model.draw(drivers, natural, rng))


def _calibrated(
    dataset: MultimodalDataset, drivers: Array, strengths: Array, kept: Array, *, keep_one: bool
) -> PresenceModel:
    """Return the presence model, with a warning where a rate is out of reach."""
    natural, weights = dataset.presence, np.ones(len(dataset))
    if not strengths.any():
        # Samples with the same pattern are alike.
        natural, codes = pattern_codes(dataset.presence)
        weights = np.bincount(codes).astype(np.float64)
        drivers = np.zeros(natural.shape)
    model, reached = calibrate(
        drivers, strengths, kept, natural, weights=weights, keep_one=keep_one
    )
    missed = [
        f"{name} {1 - wanted:.3g} (reached {1 - got:.3g})"
        for name, wanted, got, some in zip(
            dataset.modalities, kept, reached, np.logical_or.reduce(natural), strict=True
        )
        if some and abs(wanted - got) > _REACHED
    ]
    if missed:
        warnings.warn(
            f"ampute: rates out of reach while each sample keeps a modality: {', '.join(missed)}. "
            "Lower them, or give keep_one=False.",
            FusewiseWarning,
            stacklevel=3,
        )
    return model


def _driver(
    dataset: MultimodalDataset,
    mechanism: Mechanism,
    depends_on: str | tuple[str, str] | None,
    rate: float | Mapping[str, float] | None,
) -> tuple[str, str | None] | None:
    """Return modality and feature that drive MAR, None for other mechanisms."""
    if mechanism != "mar":
        return None
    if depends_on is None:
        removed = {n for n, r in rate.items() if r > 0} if isinstance(rate, Mapping) else set()
        shares = dict(zip(dataset.modalities, dataset.presence.mean(axis=0), strict=True))
        staying = [name for name in dataset.modalities if name not in removed]
        if not staying or (len(dataset.modalities) == 1):
            raise DatasetError(
                "mechanism 'mar': every modality is to be removed, so there is none to depend on. "
                "Leave one out of rate=, or choose 'mcar' or 'mnar'."
            )
        return max(staying, key=lambda name: float(shares[name])), None
    name, feature = (depends_on, None) if isinstance(depends_on, str) else depends_on
    _known(name, dataset, "depends_on")
    if isinstance(rate, Mapping) and rate.get(name, 0) > 0:
        raise DatasetError(
            f"depends_on: {name!r} is to be removed itself, which makes it MNAR. Set its rate to 0."
        )
    return name, feature


def _removal_rates(
    dataset: MultimodalDataset,
    rate: float | Mapping[str, float] | None,
    driver: tuple[str, str | None] | None,
) -> Array:
    names = dataset.modalities
    given = rate if isinstance(rate, Mapping) else dict.fromkeys(names, rate or 0.0)
    for name, value in given.items():
        _known(name, dataset, "rate")
        if not 0 <= value <= 1:
            raise DatasetError(
                f"rate: the share of {name!r} to remove must be from 0 to 1, got {value!r}."
            )
    left = driver[0] if driver else None
    return np.array([0.0 if name == left else float(given.get(name, 0)) for name in names])


def _scores(
    dataset: MultimodalDataset,
    mechanism: Mechanism,
    driver: tuple[str, str | None] | None,
    seed: np.random.SeedSequence,
) -> Array:
    """Return what keeping depends on (n, M), standardised; 0 for what is absent."""
    scores = np.zeros(dataset.shape)
    if mechanism == "informative":
        if dataset.target is None:
            raise TaskError("mechanism 'informative': the dataset has no target.")
        values: Array = np.asarray(
            dataset.target
            if dataset.classes is None
            else pd.Categorical(dataset.target, categories=dataset.classes).codes,
            dtype=np.float64,
        )
        scores += ((values - values.mean()) / (values.std() or 1.0))[:, None]
    elif driver is not None:
        scores += _score(dataset, driver[0], driver[1], seed)[:, None]
    elif mechanism == "mnar":
        for column, child in enumerate(seed.spawn(dataset.n_modalities)):
            scores[:, column] = _score(dataset, dataset.modalities[column], None, child)
    return scores


def _score(
    dataset: MultimodalDataset, name: str, feature: str | None, seed: np.random.SeedSequence
) -> Array:
    """Return normal ranks of one direction through a modality's features (n,)."""
    positions, frame = dataset.features(name)
    if feature is not None:
        if feature not in frame.columns:
            raise ColumnNotFoundError(
                f"depends_on: modality {name!r} has no feature {feature!r}."
                + did_you_mean(feature, frame.columns)
            )
        frame = frame[[feature]]
    score = np.zeros(len(dataset))
    if len(positions) == 0:
        return score
    values = np.column_stack([_numbers(frame[column]) for column in frame.columns])
    known = ~np.isnan(values)
    counts = np.maximum(known.sum(axis=0), 1)
    values = np.where(known, values, 0.0)
    values = np.where(known, values - values.sum(axis=0) / counts, 0.0)
    spread = np.sqrt((values**2).sum(axis=0) / counts)
    values /= np.where(spread > 0, spread, 1.0)
    # One feature stays itself; of several, a random direction through them.
    direction: Array = np.ones(1)
    if feature is None:
        direction = np.random.default_rng(seed).standard_normal((values.shape[1],))
    score[positions] = norm.ppf((rankdata(values @ direction) - 0.5) / len(positions))
    return score


def _numbers(column: pd.Series) -> Array:
    """Return a column as numbers; words by their place in alphabetical order."""
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(dtype=np.float64)
    codes = pd.Categorical(column).codes.astype(np.float64)
    return np.where(codes < 0, np.nan, codes)


def _drawn_patterns(
    dataset: MultimodalDataset,
    patterns: Mapping[str, float],
    keep_one: bool,
    rng: np.random.Generator,
) -> BoolArray:
    """Return presence after each sample was given one pattern to keep."""
    rows, weights = pattern_matrix(patterns, dataset.modalities, "patterns")
    distinct, codes = pattern_codes(dataset.presence)
    at = rng.random(len(dataset))
    result = np.zeros(dataset.shape, dtype=bool)
    for code, natural in enumerate(distinct):
        mine = np.flatnonzero(codes == code)
        left = rows & natural
        allowed = weights * left.any(axis=1) if keep_one else weights
        if allowed.sum() <= 0:
            result[mine] = natural
            continue
        edges = np.cumsum(allowed / allowed.sum())
        chosen = np.searchsorted(edges, at[mine], side="right")
        last = np.flatnonzero(allowed > 0)[-1]
        result[mine] = left[np.minimum(chosen, last)]
    return result


def _known(name: str, dataset: MultimodalDataset, what: str) -> None:
    if name not in dataset.modalities:
        raise UnknownModalityError(
            f"{what}: no modality {name!r}; the dataset has {', '.join(dataset.modalities)}."
            + did_you_mean(name, dataset.modalities)
        )
