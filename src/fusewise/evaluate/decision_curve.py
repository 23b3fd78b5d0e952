"""Decision curves: the net benefit of acting on a predictor, over the thresholds of acting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fusewise.evaluate.bootstrap import resample, stream
from fusewise.evaluate.operating_points import net_benefit
from fusewise.evaluate.patterns import AS_IT_CAME
from fusewise.evaluate.scoring import Measured

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fusewise.data import MultimodalDataset
    from fusewise.evaluate.mixture import Mixture
    from fusewise.evaluate.operating_points import OperatingPoint
    from fusewise.evaluate.predictions import Predicted, Rows
    from fusewise.evaluate.scoring import Scoring
    from fusewise.evaluate.weighted import Floats

THRESHOLDS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)

# The heaviest patterns of the mixture beside the whole test set: curves are read one by one.
PATTERNS = 3


def score_decisions(
    scoring: Scoring,
    test: MultimodalDataset,
    natural: Predicted,
    mixture: Mixture,
    operating_point: OperatingPoint | None = None,
) -> list[dict[str, Any]]:
    """Return the rows of the table ``decision_curve``, binary tasks only.

    What is estimated is the net benefit (Vickers and Elkin 2006) per sample of acting from each
    threshold on: of following the predictor, of acting on every sample and of acting on none (0),
    with 95 % percentile intervals, samples or whole clusters resampled, unstratified since it
    depends on the prevalence. ``advantage`` is the predictor's over the better of the other two,
    paired; where its interval is above 0, acting on the predictor is better than either. A
    threshold is read as a probability: the curve assumes calibrated predictions, and that the same
    threshold holds for every sample.

    The thresholds are a fixed grid, and that of the operating point where one is declared. The
    samples are the test set as it came, and the heaviest patterns of the mixture with at least
    ``min_cell`` samples.
    """
    thresholds = sorted({*THRESHOLDS, *_declared(operating_point)})
    pattern = test.pattern
    known = np.flatnonzero(natural.answered)
    cells = [("(all)", known, "all")]
    for label in mixture.ranked():
        rows = known[pattern[known] == label]
        if len(rows) >= scoring.min_cell and len(cells) <= PATTERNS:
            cells.append((label, rows, f"{AS_IT_CAME}:{label}"))
    out = []
    for label, rows, where in cells:
        probability = natural[rows].response("probability")[:, 1]
        common = {
            "pattern": label,
            "n": len(rows),
            "n_positive": scoring.n_positive(rows),
            "small": scoring.small(rows),
        }
        for t, curves in zip(
            thresholds, _curves(scoring, rows, probability, thresholds, where), strict=True
        ):
            model, everyone, advantage = curves
            out.append(
                {
                    **common,
                    "threshold": float(t),
                    **model.columns("net_benefit"),
                    **everyone.columns("treat_all"),
                    "treat_none": 0.0,
                    **advantage.columns("advantage"),
                }
            )
    return out


def _declared(operating_point: OperatingPoint | None) -> tuple[float, ...]:
    return () if operating_point is None else (operating_point.on_probability(),)


def _curves(
    scoring: Scoring, rows: Rows, probability: Floats, thresholds: Sequence[float], where: str
) -> list[tuple[Measured, Measured, Measured]]:
    truth = scoring.truth[rows]
    everyone = np.ones(len(rows), dtype=bool)
    columns = [net_benefit(truth, probability >= t, t) for t in thresholds]
    columns += [net_benefit(truth, everyone, t) for t in thresholds]
    gains = np.stack(columns, axis=1)
    points = gains.mean(axis=0)
    units = scoring.units[rows]
    drawn = [np.empty((0, len(points)))]
    if len(np.unique(units)) > 1:
        rng = stream(scoring.entropy, where, "plain")
        drawn += [
            (weights @ gains) / weights.sum(axis=1, keepdims=True)
            for weights in resample(units, scoring.n_boot, rng)
        ]
    replicates = np.concatenate(drawn)
    k = len(thresholds)
    return [
        (
            Measured(float(points[i]), replicates[:, i]),
            Measured(float(points[k + i]), replicates[:, k + i]),
            Measured(
                float(points[i] - max(points[k + i], 0.0)),
                replicates[:, i] - np.maximum(replicates[:, k + i], 0.0),
            ),
        )
        for i in range(k)
    ]
