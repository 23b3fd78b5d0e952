"""The intervals of a pilot: what they cover, what widens them, and what they must not see."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fusewise.recommend.overrule import judge
from fusewise.recommend.pilot_paired import paired
from fusewise.recommend.pilot_tables import crossings, table

N, FOLDS = 200, 4
FOLD = np.arange(N) % FOLDS


def false_wins(n_candidates: int, repeats: int, fold_effect: float, seed: int) -> float:
    """Share of null experiments in which some candidate's interval lies above zero."""
    root = np.random.default_rng(seed)
    wins = 0
    for child in root.spawn(repeats):
        gain = child.normal(size=(n_candidates, N))
        gain += fold_effect * child.normal(size=(n_candidates, FOLDS))[:, FOLD]
        found = paired(gain, np.ones(N), np.arange(N), FOLD, 1 / 3, child, n_boot=200)
        wins += bool((found.low > 0).any())
    return wins / repeats


def test_equal_candidates_win_as_rarely_as_promised() -> None:
    """Of three candidates that equal the reference, one wins in 2.5 % of the experiments or so."""
    # 400 experiments: a rate of 2.5 % gives at most 4.9 % with probability 0.998.
    assert false_wins(3, 400, 0.0, seed=1) <= 0.049


def test_the_best_of_several_looks_better_than_it_is() -> None:
    """With one interval each in place of joint ones the best of three would win more often."""
    root, joint, alone = np.random.default_rng(2), 0, 0
    for child in root.spawn(300):
        gain = child.normal(size=(3, N))
        seed = child.integers(2**32)
        how = (np.ones(N), np.arange(N), FOLD, 1 / 3)
        found = paired(gain, *how, np.random.default_rng(seed), n_boot=200)
        joint += bool((found.low > 0).any())
        best = gain[[gain.mean(axis=1).argmax()]]
        alone += bool(paired(best, *how, np.random.default_rng(seed), n_boot=200).low[0] > 0)
    assert alone > 1.5 * joint


def test_fits_that_differ_between_folds_widen_the_interval() -> None:
    """What the folds' fits differ by beyond sampling is part of the interval."""
    rng = np.random.default_rng(3)
    gain = rng.normal(size=(1, N))
    even = gain - np.array([gain[0, k == FOLD].mean() for k in range(FOLDS)])[FOLD] + gain.mean()
    uneven = even + np.array([-1.0, 1.0, -1.0, 1.0])[FOLD]
    how = (np.ones(N), np.arange(N), FOLD, 1 / 3, np.random.default_rng(0))
    narrow, wide = (paired(g, *how) for g in (even, uneven))
    assert wide.difference[0] == pytest.approx(narrow.difference[0])
    # The spread of the folds' means is 4/3; with 1/4 + 1/3 of it the standard error is 0.88.
    assert wide.high[0] - wide.low[0] > 2 * 1.9 * 0.85
    assert narrow.high[0] - narrow.low[0] < 0.4
    # Without the fits' part an effect between folds wins far too often, with it seldom.
    assert false_wins(1, 200, 0.3, seed=4) <= 0.09


def test_clusters_are_drawn_whole() -> None:
    """Ten copies of each sample say no more than the sample alone."""
    rng = np.random.default_rng(5)
    gain = rng.normal(size=(1, 40))
    fold = np.arange(40) % 4
    once = paired(gain, np.ones(40), np.arange(40), fold, 1 / 3, np.random.default_rng(0))
    ten = paired(
        np.tile(gain, 10),
        np.ones(400),
        np.tile(np.arange(40), 10),
        np.tile(fold, 10),
        1 / 3,
        np.random.default_rng(0),
    )
    assert ten.low[0] == pytest.approx(once.low[0], abs=1e-9)
    assert ten.high[0] == pytest.approx(once.high[0], abs=1e-9)


def test_weights_decide_whose_difference_it_is() -> None:
    """A weight of zero is a sample that is not there."""
    gain = np.concatenate([np.full(50, 1.0), np.full(50, -1.0)])[None]
    weight = np.repeat([1.0, 0.0], 50)
    found = paired(
        gain, weight, np.arange(100), np.arange(100) % 4, 1 / 3, np.random.default_rng(0)
    )
    assert (found.difference[0], found.low[0], found.high[0]) == (1.0, 1.0, 1.0)


def rows(difference: float, low: float, high: float, strategy: str = "early") -> dict[str, object]:
    return {
        "strategy": strategy, "reference": "late", "size": 750, "folds": 4, "n": 1000,
        "difference": difference, "low": low, "high": high, "score_difference": 0.0,
        "score_low": 0.0, "score_high": 0.0, "shown": low > 0,
    }  # fmt: skip


def asked(early: str, late: str, attention: str = "met") -> pd.DataFrame:
    found = {"early": early, "late": late, "attention": attention}
    return table(
        "requirements",
        [
            {"strategy": s, "requirement": "roc_auc: at least 0.8", "n": 1000, "estimate": 0.8,
             "low": 0.7, "high": 0.9, "status": status, "reason": ""}
            for s, status in found.items()
        ],
    )  # fmt: skip


HOW = {
    "reference": "late", "loss": "log_loss", "source": "rates", "size": 750, "n_folds": 4,
    "weak_reference": False, "strong": {"early": True, "attention": False},
}  # fmt: skip


def decided(comparison, requirements=None, **changes):
    required = table("requirements", []) if requirements is None else requirements
    return judge(table("comparison", comparison), required, **{**HOW, **changes})


def test_a_candidate_that_is_shown_to_win_overrules() -> None:
    """The interval above zero decides, and the reason gives both strategies and the figures."""
    choice, overrules, reason = decided([rows(0.02, 0.01, 0.03)])
    assert (choice, overrules) == ("early", True)
    for part in ("0.0200 [0.0100, 0.0300]", "n 1,000", "late fusion, the matrix's"):
        assert part in reason


def test_a_win_that_is_not_shown_changes_nothing() -> None:
    """The candidate is named as the pilot's answer, and the matrix's stands."""
    choice, overrules, reason = decided([rows(0.02, -0.01, 0.05)])
    assert (choice, overrules) == ("early", False)
    assert "the interval holds zero" in reason
    assert "Late fusion, the matrix's answer, stands" in reason


def test_a_candidate_that_does_worse_is_no_answer() -> None:
    """Then both answers are the same."""
    choice, overrules, reason = decided([rows(-0.02, -0.03, -0.01)])
    assert (choice, overrules) == ("late", False)
    assert "higher by 0.0200 [0.0100, 0.0300]" in reason


@pytest.mark.parametrize(
    ("early", "late", "overrules"),
    [
        ("met", "met", True),
        ("undetermined", "met", False),
        ("not met", "met", False),
        ("not met", "undetermined", False),
        ("undetermined", "undetermined", True),
        ("not met", "not met", True),
        ("met", "not met", True),
    ],
)
def test_no_requirement_may_be_answered_worse(early: str, late: str, overrules: bool) -> None:
    """What the matrix's strategy meets, its successor must meet."""
    choice, did, reason = decided([rows(0.02, 0.01, 0.03)], asked(early, late))
    assert (choice, did) == ("early", overrules)
    assert ("but of the requirement" in reason) == (not overrules)


def test_the_second_best_overrules_where_the_best_may_not() -> None:
    """The best fails a requirement, the next one meets it and wins too: both are told."""
    tried = [rows(0.03, 0.02, 0.04), rows(0.02, 0.01, 0.03, "attention")]
    choice, overrules, reason = decided(tried, asked("not met", "met", "met"))
    assert (choice, overrules) == ("attention", True)
    assert reason.startswith("Early fusion")
    assert "Attention fusion" in reason


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"source": "none"}, "availability in deployment is unknown"),
        ({"n_folds": 5}, "the time ended after 4 of 5 folds"),
        ({"weak_reference": True}, "one network with few epochs"),
        ({"size": 1500}, "The time ended before"),
    ],
)
def test_a_win_counts_only_where_it_was_fair(change: dict[str, object], why: str) -> None:
    """Not under an unknown deployment, in part, against a weakened network, or on fewer rows."""
    _, overrules, reason = decided([rows(0.02, 0.01, 0.03)], **change)
    assert not overrules
    assert why in reason


def test_crossings_are_where_the_difference_changes_sign() -> None:
    """By linear interpolation, along the missing rate and along the size."""
    grid = table(
        "crossover",
        [
            {"first": "late", "second": "early", "size": size, "withheld": rate, "absent": rate,
             "folds": 4, "n": 100, "difference": d, "low": d - 0.1, "high": d + 0.1}
            for size, rate, d in [(100, 0.0, -0.3), (100, 0.4, 0.1), (400, 0.0, 0.3), (400, 0.4, 0.3)]
        ],
    )  # fmt: skip
    found = crossings(grid)
    along_rate = found[found["along"] == "withheld"].iloc[0]
    assert along_rate["withheld"] == pytest.approx(0.3)
    assert (along_rate["size"], along_rate["before"], along_rate["after"]) == (100, "late", "early")
    assert not along_rate["shown"]
    along_size = found[found["along"] == "size"].iloc[0]
    assert along_size["size"] == pytest.approx(250)
    assert (along_size["withheld"], along_size["shown"]) == (0.0, True)
    assert len(found) == 2
