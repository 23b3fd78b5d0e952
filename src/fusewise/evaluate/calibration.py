"""Calibration: predicted probability against observed frequency, in bins and in three figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fusewise.evaluate.bootstrap import Z
from fusewise.evaluate.calibration_metrics import CALIBRATION, PER_BIN, equal_mass
from fusewise.evaluate.patterns import AS_IT_CAME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fusewise.data import MultimodalDataset
    from fusewise.evaluate.predictions import Predicted, Rows, Withholding
    from fusewise.evaluate.scoring import Scoring
    from fusewise.evaluate.weighted import Floats

    # View, pattern, samples (all answered), their predictions, and the name of their resampling.
    Cell = tuple[str, str, Rows, Predicted, str]


def calibration_cells(
    scoring: Scoring,
    test: MultimodalDataset,
    natural: Predicted,
    experiments: Sequence[Withholding],
    answers: Sequence[Predicted],
    population: str,
) -> list[Cell]:
    """Return the sets of samples on which calibration is looked at: at least ``min_cell`` each.

    All answered samples, those of each pattern as they came, and those of each withheld pattern.
    They are resampled as in the table by pattern, so that its figures and intervals are found
    again there.
    """
    pattern = test.pattern
    known = np.flatnonzero(natural.answered)
    cells = [("natural", "(all)", known, natural[known], "all")]
    for label in test.patterns()["pattern"]:
        rows = np.flatnonzero((pattern == label) & natural.answered)
        cells.append(("natural", label, rows, natural[rows], f"{AS_IT_CAME}:{label}"))
    for experiment, predicted in zip(experiments, answers, strict=True):
        kept = predicted.answered & natural.answered[experiment.rows]
        where = f"{population}:{experiment.label}"
        rows = experiment.rows[kept]
        cells.append(("withheld", experiment.label, rows, predicted[kept], where))
    return [cell for cell in cells if len(cell[2]) >= scoring.min_cell]


def score_reliability(scoring: Scoring, cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Return the reliability bins of each cell."""
    return [
        row
        for view, label, rows, predicted, _ in cells
        for row in reliability(
            predicted.response("probability")[:, 1], scoring.truth[rows] == 1, view, label
        )
    ]


def score_calibration(scoring: Scoring, cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Return intercept, slope and ECE of each cell, each beside what calibrated predictions give.

    ``if_calibrated`` is 0 for the intercept and 1 for the slope. For the ECE it is what a perfectly
    calibrated predictor with these predictions would show on average in so few samples: the figure
    is biased upwards by up to that much, and its interval, which resamples a sample, by some more.
    Nothing is subtracted.
    """
    three = scoring.with_metrics(CALIBRATION)
    out = []
    for view, label, rows, predicted, where in cells:
        measured = three.measure(rows, predicted, where)
        for metric, score in zip(CALIBRATION, measured, strict=True):
            expected = metric.target
            if metric.bias is not None:
                probability = predicted.response("probability")
                expected = metric.bias(scoring.truth[rows], probability, scoring.n_classes, None)
            out.append(
                {
                    "view": view,
                    "pattern": label,
                    "n": len(rows),
                    "n_positive": scoring.n_positive(rows),
                    "metric": metric.name,
                    **score.columns(),
                    "if_calibrated": expected,
                    "small": scoring.small(rows),
                }
            )
    return out


def reliability(
    probability: Floats, positive: npt.NDArray[np.bool_], view: str, pattern: str
) -> list[dict[str, Any]]:
    """Return the reliability bins of a binary predictor.

    Up to ten bins by quantiles of the prediction, fewer where there are fewer samples; equal
    predictions share a bin. ``low`` and ``high`` limit the observed frequency by Wilson's interval
    (1927), which takes samples as independent: with clusters it is too narrow.

    Parameters
    ----------
    probability : ndarray of float (n,)
        Predicted probability of the positive class.
    positive : ndarray of bool (n,)
    view, pattern : str
        Copied into the rows.

    Examples
    --------
    >>> import numpy as np
    >>> p = np.repeat([0.2, 0.8], 50)
    >>> y = np.tile([True, False, False, False, False], 20)
    >>> [(r["bin"], r["n"], r["observed"]) for r in reliability(p, y, "natural", "(all)")]
    [(0, 50, 0.2), (1, 50, 0.2)]
    """
    if len(probability) < PER_BIN:
        return []
    codes = equal_mass(probability)
    n = np.bincount(codes)
    hits = np.bincount(codes, weights=positive)
    low, high = wilson(hits, n)
    mean = np.bincount(codes, weights=probability) / n
    return [
        {
            "view": view,
            "pattern": pattern,
            "bin": i,
            "n": int(n[i]),
            "mean_predicted": float(mean[i]),
            "observed": float(hits[i] / n[i]),
            "low": float(low[i]),
            "high": float(high[i]),
        }
        for i in range(len(n))
    ]


def wilson(hits: npt.NDArray[Any], n: npt.NDArray[Any]) -> tuple[Floats, Floats]:
    """Return Wilson's 95 % limits of `hits` out of `n`.

    Examples
    --------
    >>> import numpy as np
    >>> low, high = wilson(np.array([0, 5]), np.array([10, 10]))
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.0, 0.237], [0.278, 0.763])
    """
    share = hits / n
    centre = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return np.clip(centre - half, 0.0, 1.0), np.clip(centre + half, 0.0, 1.0)
