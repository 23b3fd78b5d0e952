"""Standing baselines: the model beside simpler predictors, on the same samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from fusewise.evaluate.predictions import Predicted
    from fusewise.evaluate.scoring import Scoring


def score_baseline(
    scoring: Scoring, name: str, model: Predicted, baseline: Predicted
) -> list[dict[str, Any]]:
    """Return one row per metric: the baseline's score, and model minus baseline.

    Both are scored on the samples that both answer, as they came, and resampled by the same
    weights: the difference is paired. ``better`` names the side that its interval favours
    (``model`` or ``baseline``), ``neither`` where it contains zero; for a metric with a target the
    interval of the difference in the distance from it.
    """
    rows = np.flatnonzero(model.answered & baseline.answered)
    at = np.arange(len(rows))
    own, other = scoring.arms(rows, [[(at, model[rows])], [(at, baseline[rows])]], "baselines")
    out = []
    for metric, mine, theirs in zip(scoring.metrics, own, other, strict=True):
        difference = mine - theirs
        low, high, _ = metric.drop(theirs, mine).limits()
        out.append(
            {
                "baseline": name,
                "n": len(rows),
                "metric": metric.name,
                **theirs.columns(),
                **difference.columns("difference"),
                "better": "baseline" if low > 0 else "model" if high < 0 else "neither",
            }
        )
    return out
