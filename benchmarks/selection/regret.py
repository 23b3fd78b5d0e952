"""Regret, cross-fitted over seeds and test halves, and its intervals over clusters.

The best of four equal strategies, judged on what it was chosen by, looks better than each of them.
So for each seed and half of the test the best strategy is chosen on the *other* half and the
*other* seeds, and its score here is held against that of the policy's choice. With one seed alone
the other half of its test chooses. A regret may therefore be negative, and its mean over policies
that are as good as the best is zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

N_BOOT = 10_000


def cross_fitted(scores: Array, chosen: Sequence[int], eligible: BoolArray) -> float:
    """Return the mean cross-fitted regret of a policy in one deployment.

    Parameters
    ----------
    scores : (seeds, 2, strategies) array
        Score of each strategy by seed and half of the test, larger is better.
    chosen : sequence of int (seeds,)
        The policy's choice under each seed; -1 where it was not asked, which leaves the seed out.
    eligible : bool array (strategies,)
        The strategies that meet the requirements. A choice outside them earns no credit: where
        it scores higher than the best that meets them, its regret is 0.

    Examples
    --------
    >>> same = np.array([[[0.8, 0.7], [0.8, 0.7]], [[0.8, 0.7], [0.8, 0.7]]])
    >>> cross_fitted(same, [0, 0], np.array([True, True]))
    0.0
    >>> round(cross_fitted(same, [1, 1], np.array([True, True])), 3)
    0.1
    """
    n_seeds = len(scores)
    regrets = []
    for seed in range(n_seeds):
        if chosen[seed] < 0:
            continue
        others = [s for s in range(n_seeds) if s != seed] or [seed]
        for half in (0, 1):
            judged = np.where(eligible, scores[others, 1 - half].mean(axis=0), -np.inf)
            # Of equals the mean: which stands first must not matter.
            best = judged == judged.max()
            regret = float(scores[seed, half, best].mean() - scores[seed, half, chosen[seed]])
            regrets.append(regret if eligible[chosen[seed]] else max(0.0, regret))
    return float(np.mean(regrets)) if regrets else float("nan")


def best_of(scores: Array, eligible: BoolArray) -> int:
    """Return the strategy with the highest mean over seeds and halves, to be shown by its name."""
    return int(np.where(eligible, scores.mean(axis=(0, 1)), -np.inf).argmax())


def interval(
    values: npt.ArrayLike, clusters: Sequence[str], seed: int = 0, n_boot: int = N_BOOT
) -> dict[str, float]:
    """Return mean and 95 % interval of values, whole clusters resampled.

    Each value counts the same; a cluster that is drawn brings all of its values. The upper limit
    is the 97.5 % quantile of the replicates.
    """
    array = np.asarray(values, dtype=np.float64)
    _, place = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
    sums = np.bincount(place, weights=array)
    sizes = np.bincount(place).astype(np.float64)
    found = {"mean": float(array.mean()), "low": np.nan, "high": np.nan}
    if len(sums) > 1:
        rng = np.random.default_rng(np.random.SeedSequence([seed, len(sums)]))
        drawn = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=n_boot)
        low, high = np.quantile((drawn @ sums) / (drawn @ sizes), [0.025, 0.975])
        found |= {"low": float(low), "high": float(high)}
    return found


def meets(answers: Sequence[Sequence[Mapping[str, float]]]) -> bool:
    """Return whether a strategy meets all requirements: its mean over seeds, against its limit.

    `answers` are, for each seed, the answers to each requirement: ``score``, ``bayes`` and
    ``below_bayes``.
    """
    gaps = [[one["score"] - one["bayes"] + one["below_bayes"] for one in seed] for seed in answers]
    return bool((np.array(gaps).reshape(len(gaps), -1).mean(axis=0) >= 0).all())
