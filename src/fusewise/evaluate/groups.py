"""Bias checks: scores, availability and gaps per declared group of samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusewise.data import EMPTY_PATTERN
from fusewise.evaluate.calibration import wilson
from fusewise.evaluate.words import plural
from fusewise.exceptions import EvaluationError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fusewise.data import MultimodalDataset
    from fusewise.evaluate.mixture import Mixture
    from fusewise.evaluate.predictions import Predicted, Presence
    from fusewise.evaluate.scoring import Scoring
    from fusewise.evaluate.weighted import Floats

    Labels = npt.NDArray[np.object_]

UNKNOWN = "(unknown)"

# A column with more values than this holds amounts, or names of samples.
MOST_VALUES = 30

# Patterns of the table by group and pattern, the heaviest of the mixture: every value of every
# group multiplies it.
PATTERNS = 30


def labels_of(samples: pd.DataFrame, name: str) -> Labels:
    """Return the value of a group for each sample (n,), as text; an empty cell is ``(unknown)``.

    Whole numbers are written without a fraction: a column of 0 and 1 with an empty cell is stored
    as 0.0 and 1.0.

    Raises
    ------
    EvaluationError
        If there is no such column, or it holds too many values for groups.

    Examples
    --------
    >>> labels_of(pd.DataFrame({"smoker": [1.0, None, 0.0]}), "smoker").tolist()
    ['1', '(unknown)', '0']
    """
    known = [str(c) for c in samples.columns]
    if name not in known:
        raise EvaluationError(
            f"no group {name!r} among the columns of samples.{did_you_mean(str(name), known)} There "
            f"are {', '.join(known)}. Name it in groups= when the dataset is built."
        )
    column = samples[name]
    empty = column.isna().to_numpy(dtype=bool)
    values = column.astype(object).to_numpy(dtype=object)
    text = np.array(
        [UNKNOWN if e else _written(v) for v, e in zip(values, empty, strict=True)], dtype=object
    )
    n = len(set(text[~empty]))
    if n > MOST_VALUES:
        numbers = pd.api.types.is_numeric_dtype(column) and column.dtype != bool
        advice = (
            "it holds amounts: cut it into bands first, for instance with pandas.cut, and name "
            "the bands"
            if numbers
            else "groups of so few samples say nothing: name a coarser column"
        )
        raise EvaluationError(
            f"group {name!r} has {n:,} values in {len(column):,} samples, at most {MOST_VALUES} "
            f"are compared; {advice}."
        )
    return text


def _written(value: Any) -> str:
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def values_of(labels: Labels) -> list[str]:
    """Return the values that occur, in order, ``(unknown)`` last."""
    return sorted(set(labels), key=lambda v: (v == UNKNOWN, v))


def find_groups(
    test: MultimodalDataset, named: Iterable[str] | None
) -> tuple[dict[str, Labels], list[str]]:
    """Return the labels of each group, and notes.

    Without names, the groups that the dataset declares; one of them that holds too many values is
    left out with a note instead of refused.
    """
    if isinstance(named, str):
        raise EvaluationError(f"groups is a list of columns, got the string {named!r}: use a list.")
    found: dict[str, Labels] = {}
    notes = []
    declared = [str(c) for c in test.groups.columns]
    for name in declared if named is None else list(named):
        try:
            found[name] = labels_of(test.samples, name)
        except EvaluationError as error:
            if named is not None:
                raise
            notes.append(f"Left out of the bias checks: {error}")
    for name, labels in found.items():
        unknown = int((labels == UNKNOWN).sum())
        if unknown:
            notes.append(
                f"Group {name!r} is empty for {plural(unknown, 'test sample')}: a group of "
                f"{'its' if unknown == 1 else 'their'} own, named {UNKNOWN}."
            )
        if len(set(labels)) == 1:
            notes.append(f"Group {name!r} has one value only: there is nothing to compare.")
    return found, notes


def score_groups(
    scoring: Scoring, natural: Predicted, groups: Mapping[str, Labels]
) -> list[dict[str, Any]]:
    """Return one row per group, value and metric, of samples as they came.

    What is estimated is the score of this fitted predictor among samples of the group, whatever
    they lack. ``n_abstained`` counts those that the predictor cannot answer.
    """
    out = []
    for name, labels in groups.items():
        for value in values_of(labels):
            member = labels == value
            rows = np.flatnonzero(member & natural.answered)
            common = {
                "group": name,
                "value": value,
                "n": len(rows),
                "n_abstained": int((member & ~natural.answered).sum()),
                "n_positive": scoring.n_positive(rows),
                "small": scoring.small(rows),
            }
            measured = scoring.measure(rows, natural[rows], f"group:{name}={value}")
            for metric, score in zip(scoring.metrics, measured, strict=True):
                out.append({**common, "metric": metric.name, **score.columns()})
    return out


def score_groups_by_pattern(
    scoring: Scoring,
    test: MultimodalDataset,
    natural: Predicted,
    groups: Mapping[str, Labels],
    mixture: Mixture,
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return one row per group, value, pattern and metric, and what is left out.

    Samples as they came, of the heaviest patterns of the mixture; cells without a sample have no
    row.
    """
    pattern = test.pattern
    present = [p for p in test.patterns()["pattern"] if p != EMPTY_PATTERN]
    weighed = {p: mixture.weights.get(p, 0.0) for p in present}
    ranked = sorted(present, key=lambda p: -weighed[p])
    out = []
    for name, labels in groups.items():
        for value in values_of(labels):
            for label in ranked[:PATTERNS]:
                rows = np.flatnonzero((labels == value) & (pattern == label) & natural.answered)
                if not len(rows):
                    continue
                common = {
                    "group": name,
                    "value": value,
                    "pattern": label,
                    "n": len(rows),
                    "n_positive": scoring.n_positive(rows),
                    "small": scoring.small(rows),
                }
                where = f"group:{name}={value}:{label}"
                measured = scoring.measure(rows, natural[rows], where)
                for metric, score in zip(scoring.metrics, measured, strict=True):
                    out.append({**common, "metric": metric.name, **score.columns()})
    notes = []
    if groups and len(ranked) > PATTERNS:
        share = sum(weighed[p] for p in ranked[PATTERNS:])
        notes.append(
            f"{plural(len(ranked) - PATTERNS, 'rarer pattern')} ({share:.1%} of the mixture) "
            f"{'is' if len(ranked) - PATTERNS == 1 else 'are'} not split by group."
        )
    return out, notes


def group_presence(
    groups: Mapping[str, Labels], presence: Presence, modalities: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Return how often each group has each modality, beside all other samples.

    ``rate`` is a share with Wilson's interval (1927), ``difference`` the rate minus that of the
    rest with Newcombe's hybrid score interval (1998); both take samples as independent, and with
    clusters are too narrow. ``lacks``: the whole interval of the difference is below 0.
    """
    out = []
    for name, labels in groups.items():
        for value in values_of(labels):
            member = labels == value
            mine, rest = presence[member], presence[~member]
            for column, modality in enumerate(modalities):
                hits, others = int(mine[:, column].sum()), int(rest[:, column].sum())
                rate, low, high = _share(hits, len(mine))
                other, other_low, other_high = _share(others, len(rest))
                difference = rate - other
                lower = difference - np.hypot(rate - low, other_high - other)
                upper = difference + np.hypot(high - rate, other - other_low)
                out.append(
                    {
                        "group": name,
                        "value": value,
                        "modality": modality,
                        "n": len(mine),
                        "rate": rate,
                        "low": low,
                        "high": high,
                        "rest": other,
                        "difference": difference,
                        "difference_low": lower,
                        "difference_high": upper,
                        "lacks": bool(upper < 0),
                    }
                )
    return out


def _share(hits: int, n: int) -> tuple[float, float, float]:
    if n == 0:
        return np.nan, np.nan, np.nan
    limits: tuple[Floats, Floats] = wilson(np.array([hits]), np.array([n]))
    return hits / n, float(limits[0][0]), float(limits[1][0])
