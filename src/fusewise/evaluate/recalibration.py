"""Logistic recalibration under many weightings at once (Cox 1958).

The outcome is regressed on the logit of the prediction. Of a calibrated predictor the slope is 1
and, with the slope held at 1, the intercept is 0. Newton's method runs for all weightings
together: each step is a few matrix operations over (n_replicates, n_samples). It starts from the
fit without weights, whose first step needs no new probabilities.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fusewise.evaluate.weighted import Floats, Scorer

# A Newton step below this leaves an error of about its square.
TOLERANCE = 1e-6

STEPS = 60

# Weights per block: arrays of this size stay in a core's own cache, which is three times as fast.
BLOCK = 1 << 16

# In units of the spread of the logit, beside the distance that was gone already: beyond it the
# quadratic approximation is no guide. Classes that hardly overlap have slopes of hundreds.
LONGEST = 4.0


def logit(probability: Floats) -> Floats:
    """Return log-odds, clipped at the precision of the numbers as log loss is.

    A prediction of exactly 0 or 1 then counts as log-odds of -36 or 36, far from all others.
    """
    eps = np.finfo(np.float64).eps
    inside = np.clip(probability, eps, 1 - eps)
    return np.log(inside) - np.log1p(-inside)


def overlap(positive: npt.NDArray[np.bool_], score: Floats) -> Scorer:
    """Whether the classes overlap in the score (1) or are separated by it (NaN), per weighting.

    A slope exists only where they do (Albert and Anderson 1984): some negative above some positive
    and some positive above some negative. Equal scores throughout do not overlap either.
    """
    sides = []
    for members in (np.flatnonzero(positive), np.flatnonzero(~positive)):
        ranked = members[np.argsort(score[members], kind="stable")]
        sides.append((ranked, score[ranked]))

    def scorer(weights: Floats) -> Floats:
        limits = []
        for ranked, ascending in sides:
            if not len(ranked):
                return np.full(len(weights), np.nan)
            drawn = np.take(weights, ranked, axis=1) > 0
            least = ascending[drawn.argmax(axis=1)]
            most = ascending[len(ranked) - 1 - drawn[:, ::-1].argmax(axis=1)]
            limits.append((least, most, drawn.any(axis=1)))
        (least, most, any_positive), (least_other, most_other, any_negative) = limits
        crossed = (most_other > least) & (most > least_other) & any_positive & any_negative
        return np.where(crossed, 1.0, np.nan)

    return scorer


def slope(positive: npt.NDArray[np.bool_], score: Floats) -> Scorer:
    """Slope of the logistic regression of the class on the score, NaN where there is none."""
    centre, spread = score.mean(), score.std()
    defined = overlap(positive, score)
    if not spread > 0:
        return defined
    x = (score - centre) / spread
    terms = np.stack([np.ones_like(x), x, x**2], axis=1)
    y = positive.astype(np.float64)
    start = _newton(np.ones((1, len(x))), y, terms, np.zeros((1, 2)))
    if np.isnan(start).any() or np.isnan(defined(np.ones((1, len(x))))).any():
        start = np.zeros((1, 2))

    def scorer(weights: Floats) -> Floats:
        found = _newton(weights, y, terms, np.repeat(start, len(weights), axis=0))
        return found[:, 1] / spread * defined(weights)

    return _in_blocks(scorer)


def _newton(weights: Floats, y: Floats, terms: Floats, start: Floats) -> Floats:
    # start, found: (n_replicates, 2), intercept and slope; terms: 1, x, x squared (n_samples, 3).
    x = terms[:, 1]
    found = np.full_like(start, np.nan)
    at, active = start.copy(), np.arange(len(weights))
    step, climb = np.zeros_like(start), np.zeros(len(start))
    shared = True
    for _ in range(STEPS):
        if shared:
            # All replicates stand at one point: the sums are products of matrices.
            p = _sigmoid(at[:1, 0] + at[:1, 1] * x)
            slack = weights @ ((y - p)[:, None] * terms[:, :2])
            bent = weights @ ((p * (1 - p))[:, None] * terms)
            shared = False
        else:
            p = _sigmoid(at[:, :1] + at[:, 1:] * x)
            own = weights if len(active) == len(weights) else weights[active]
            slack = (own * (y - p)) @ terms[:, :2]
            p *= 1 - p
            p *= own
            bent = p @ terms
        # The likelihood is concave: where the slope along the last step turned down steeply, the
        # step went too far.
        ahead = np.einsum("ij,ij->i", slack, step)
        back = ahead < -0.5 * climb
        with np.errstate(divide="ignore", invalid="ignore"):
            det = bent[:, 0] * bent[:, 2] - bent[:, 1] ** 2
            new = np.stack(
                [
                    bent[:, 2] * slack[:, 0] - bent[:, 1] * slack[:, 1],
                    bent[:, 0] * slack[:, 1] - bent[:, 1] * slack[:, 0],
                ],
                axis=1,
            )
            new /= det[:, None]
            size = np.abs(new).max(axis=1)
            longest = LONGEST + np.abs(at).max(axis=1)
            new *= np.minimum(1.0, longest / size)[:, None]
        new[size == 0] = 0.0
        at = np.where(back[:, None], at - step / 2, at + new)
        climb = np.where(back, climb / 2, np.einsum("ij,ij->i", slack, new))
        step = np.where(back[:, None], step / 2, new)
        settled = ~back & (size <= TOLERANCE)
        found[active[settled]] = at[settled]
        going = ~settled & np.isfinite(at).all(axis=1)
        if not going.any():
            break
        if not going.all():
            active, at, step, climb = active[going], at[going], step[going], climb[going]
    return found


def intercept(positive: npt.NDArray[np.bool_], score: Floats) -> Scorer:
    """Intercept of that regression with the slope held at 1, NaN where there is one class only."""
    y = positive.astype(np.float64)
    least, most = score.min(), score.max()
    start = 0.0

    def scorer(weights: Floats) -> Floats:
        total, hits = weights.sum(axis=1), weights @ y
        found = np.full(len(weights), np.nan)
        active = np.flatnonzero((hits > 0) & (hits < total))
        if not len(active):
            return found
        odds = np.log(hits[active]) - np.log((total - hits)[active])
        # Between these the expected number of positives passes the observed one.
        low, high = odds - most, odds - least
        at = np.clip(start, low, high)
        shared = bool(np.ptp(at) == 0)
        for _ in range(2 * STEPS):
            own = weights if len(active) == len(weights) else weights[active]
            if shared:
                p = _sigmoid(at[0] + score)
                slack, bent = own @ (y - p), own @ (p * (1 - p))
                shared = False
            else:
                p = _sigmoid(at[:, None] + score)
                slack = np.einsum("ij,ij->i", own, y - p)
                p *= 1 - p
                bent = np.einsum("ij,ij->i", own, p)
            low, high = np.where(slack > 0, at, low), np.where(slack < 0, at, high)
            with np.errstate(divide="ignore", invalid="ignore"):
                new = at + slack / bent
            inside = (new >= low) & (new <= high)
            new = np.where(inside, new, (low + high) / 2)
            exact = inside | (high - low <= TOLERANCE**2)
            settled = exact & (np.abs(new - at) <= TOLERANCE)
            found[active[settled]] = new[settled]
            going = ~settled
            if not going.any():
                break
            active, at, low, high = active[going], new[going], low[going], high[going]
        return found

    start = float(np.nan_to_num(scorer(np.ones((1, len(y))))[0]))
    return _in_blocks(scorer)


def _in_blocks(scorer: Scorer) -> Scorer:
    def whole(weights: Floats) -> Floats:
        step = max(1, BLOCK // max(1, weights.shape[1]))
        parts = [scorer(weights[i : i + step]) for i in range(0, len(weights), step)]
        return np.concatenate(parts) if parts else np.empty(0)

    return whole


def _sigmoid(value: Floats) -> Floats:
    # In place: these arrays are the cost of every step.
    with np.errstate(over="ignore"):
        out = np.exp(-value)
    out += 1.0
    np.reciprocal(out, out=out)
    return out
