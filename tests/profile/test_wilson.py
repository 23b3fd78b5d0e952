"""Wilson's interval, against scipy and known values."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from fusewise.profile import wilson


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (0, 10), (3, 10), (10, 10), (123, 4567)])
def test_limits_equal_those_of_scipy(k: int, n: int, confidence: float) -> None:
    """The limits are the roots of the score test, as scipy computes them one at a time."""
    low, high = wilson(k, n, confidence)
    expected = binomtest(k, n).proportion_ci(confidence, method="wilson")
    assert float(low) == pytest.approx(expected.low, abs=1e-12)
    assert float(high) == pytest.approx(expected.high, abs=1e-12)


def test_known_value() -> None:
    """81 of 263, the example of Newcombe (Statistics in Medicine 1998): 0.2553 to 0.3662."""
    low, high = wilson(81, 263)
    assert float(low) == pytest.approx(0.2553, abs=5e-5)
    assert float(high) == pytest.approx(0.3662, abs=5e-5)


def test_limits_contain_the_rate_and_stay_inside_the_unit_interval() -> None:
    """For every count: 0 <= low <= rate <= high <= 1, and exactly 0 and 1 at the ends."""
    n = np.full(201, 200)
    k = np.arange(201)
    low, high = wilson(k, n)
    assert np.all((low >= 0) & (low <= k / n) & (k / n <= high) & (high <= 1))
    assert low[0] == 0
    assert high[-1] == 1
    assert high[0] > 0
    assert low[-1] < 1


def test_without_samples_nothing_is_known() -> None:
    """No sample leaves the whole unit interval and no warning."""
    low, high = wilson([0], [0])
    assert (low[0], high[0]) == (0, 1)


def test_coverage_is_near_nominal() -> None:
    """Over repeated samples the 95 % interval covers a rate of 0.9 about 95 % of the time."""
    k = np.random.default_rng(0).binomial(150, 0.9, size=20_000)
    low, high = wilson(k, np.full(20_000, 150))
    assert np.mean((low <= 0.9) & (high >= 0.9)) == pytest.approx(0.95, abs=0.015)
