"""Fitting by penalised likelihood: what combiners and the calibration share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]

# Prior standard deviations: how far the slope of one pattern, and the slope per unit of the
# logarithm of the number of experts, may lie from the global one before the data have to insist.
_PATTERN_SPREAD = 0.2
_COUNT_SPREAD = 0.3
_SLOPE_SPREAD = 1.0
_LEAST_SLOPE = 0.01


class Likelihood:
    """Negative log likelihood of scores, and its gradient.

    For classes the scores (n, n_classes) are log probabilities up to a constant. For amounts they
    are means (n, 1) of a normal distribution whose variance is that of the target.
    """

    def __init__(self, target: npt.NDArray[np.float64], n_classes: int, weight: FloatArray) -> None:
        self.n_classes = n_classes
        self.target = target
        self.weight = weight
        self.variance = 1.0
        if n_classes:
            self.onehot = np.eye(n_classes)[target.astype(np.intp)]
        else:
            # A target that is constant but for rounding has no unit to measure by.
            variance, rounding = float(np.var(target)), 1e-12 * float(np.abs(target).max())
            self.variance = variance if variance > rounding**2 else 1.0

    @property
    def spread(self) -> float:
        """Standard deviation of the target; 1 for classes, whose scores have no unit."""
        return float(np.sqrt(self.variance))

    def __call__(self, scores: FloatArray) -> tuple[float, FloatArray]:
        if self.n_classes:
            logs = log_softmax(scores, axis=1)
            value = -float(self.weight @ (logs * self.onehot).sum(axis=1))
            return value, (np.exp(logs) - self.onehot) * self.weight[:, None]
        residual = scores[:, 0] - self.target
        value = 0.5 * float(self.weight @ residual**2) / self.variance
        return value, (self.weight * residual / self.variance)[:, None]


def descend(
    objective: Callable[[FloatArray], tuple[float, FloatArray]],
    start: FloatArray,
    lower: FloatArray | None = None,
) -> FloatArray:
    """Minimise a smooth function with gradient, under lower bounds where given."""
    bounds = None if lower is None else [(low, None) for low in lower]
    result = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return np.asarray(result.x)


class PatternCalibration:
    """Affine calibration of combined scores, with a slope that depends on what is present.

    Scores measured from the prior are stretched by a slope: a global one, changed by the number of
    present experts and by a deviation per pattern that is shrunk towards zero, so that a rare
    pattern borrows from the others and one never met takes what its size suggests. The intercept
    is the same for all patterns: a pattern's own base rate is skill from presence alone, and
    breaks when availability shifts.

    Parameters
    ----------
    by_pattern : bool
        False for one slope for all.
    """

    def __init__(self, by_pattern: bool = True) -> None:
        self.by_pattern = by_pattern

    def fit(
        self, evidence: FloatArray, present: BoolArray, likelihood: Likelihood, prior: FloatArray
    ) -> PatternCalibration:
        """Fit on out-of-fold evidence (n, k), the combined scores minus the prior's."""
        self.patterns_, codes = np.unique(present, axis=0, return_inverse=True)
        codes = codes.ravel()
        self.centre_ = float(np.log(present.sum(axis=1)).mean())
        size = np.log(present.sum(axis=1)) - self.centre_
        n_outputs, n_patterns = evidence.shape[1], len(self.patterns_)
        # The shift of an amount is sought in standard deviations: its unit must make no difference.
        unit = likelihood.spread

        def objective(theta: FloatArray) -> tuple[float, FloatArray]:
            shift, slope, growth = theta[:n_outputs], theta[n_outputs], theta[n_outputs + 1]
            deviation = theta[n_outputs + 2 :]
            stretch = slope + growth * size + deviation[codes]
            value, gradient = likelihood(prior + unit * shift + stretch[:, None] * evidence)
            by_sample = (gradient * evidence).sum(axis=1)
            value += 0.5 * (
                1e-3 * float(shift @ shift)
                + ((slope - 1) / _SLOPE_SPREAD) ** 2
                + (growth / _COUNT_SPREAD) ** 2
                + float(deviation @ deviation) / _PATTERN_SPREAD**2
            )
            slopes = np.bincount(codes, by_sample, minlength=n_patterns)
            return value, np.concatenate(
                [
                    unit * gradient.sum(axis=0) + 1e-3 * shift,
                    [by_sample.sum() + (slope - 1) / _SLOPE_SPREAD**2],
                    [(by_sample @ size + growth / _COUNT_SPREAD**2) if self.by_pattern else 0.0],
                    slopes + deviation / _PATTERN_SPREAD**2
                    if self.by_pattern
                    else np.zeros(n_patterns),
                ]
            )

        start = np.zeros(n_outputs + 2 + n_patterns)
        start[n_outputs] = 1.0
        theta = descend(objective, start)
        self.shift_ = unit * theta[:n_outputs]
        self.slope_, self.growth_ = float(theta[n_outputs]), float(theta[n_outputs + 1])
        self.deviation_ = theta[n_outputs + 2 :]
        return self

    def apply(self, evidence: FloatArray, present: BoolArray, prior: FloatArray) -> FloatArray:
        """Return calibrated scores (n, k)."""
        deviation = np.zeros(len(evidence))
        known = {row.tobytes(): i for i, row in enumerate(np.ascontiguousarray(self.patterns_))}
        for index, row in enumerate(np.ascontiguousarray(present)):
            found = known.get(row.tobytes())
            if found is not None:
                deviation[index] = self.deviation_[found]
        size = np.log(present.sum(axis=1)) - self.centre_
        stretch = np.maximum(self.slope_ + self.growth_ * size + deviation, _LEAST_SLOPE)
        return np.asarray(prior + self.shift_ + stretch[:, None] * evidence)


def to_output(scores: FloatArray, n_classes: int) -> FloatArray:
    """Return probabilities (n, n_classes) for classes, amounts (n, 1) as they are."""
    return np.asarray(softmax(scores, axis=1)) if n_classes else scores
