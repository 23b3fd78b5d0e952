"""The benchmark of the choice of strategy: its grid is fixed, and its regret is honest."""

from __future__ import annotations

import json
import time

import numpy as np
import pandas as pd
import pytest
from selection import grid
from selection.asking import STRATEGIES
from selection.cap import Pace, PastCapError, fit_within, stopped_after
from selection.judged import judge
from selection.looks import log_look
from selection.regret import cross_fitted, interval, meets
from selection.rows import DeploymentRows
from selection.tables import all_tables

import fusewise as fw
from fusewise.profile import declared_profile

EVERY = np.ones(4, dtype=bool)


def equal_strategies(rng, n_cells=2000, n_seeds=3):
    """Scores of strategies that are all as good: luck of each training, and of each test half."""
    training = rng.normal(0, 0.01, (n_cells, n_seeds, 1, 4))
    return 0.8 + training + rng.normal(0, 0.005, (n_cells, n_seeds, 2, 4))


class TestGrid:
    def test_the_file_is_what_the_seed_gives_byte_for_byte(self):
        assert grid.as_text(grid.make()) == grid.PATH.read_text(encoding="utf-8")

    def test_halves_are_disjoint_even_and_whole(self):
        halves = [{cell["name"] for cell in grid.read(half)} for half in grid.HALVES]
        assert len(halves[0]) == len(halves[1]) == grid.N_CELLS / 2
        assert halves[0].isdisjoint(halves[1])
        assert halves[0] | halves[1] == {cell["name"] for cell in grid.read()}

    def test_cells_span_what_is_asked_for(self):
        cells = grid.read()
        levels = pd.DataFrame([cell["levels"] for cell in cells])
        assert levels["absent"].min() == 0
        assert 0.75 < levels["absent"].max() <= 0.8
        assert levels["ratio"].min() < 1.2
        assert 900 < levels["ratio"].max() <= 1000
        assert levels["samples"].min() >= 200
        assert levels["samples"].max() <= 20_000
        large = [cell["half"] for cell in cells if cell["levels"]["samples"] > 5_000]
        assert sorted(large) == ["calibration"] * 5 + ["heldout"] * 5
        for axis, n_levels in (("mechanism", 3), ("training", 3), ("interaction", 3)):
            assert levels[axis].nunique() == n_levels

    def test_a_stream_whose_times_tell_is_never_declared_to_have_none(self):
        for cell in grid.read():
            truth = "yes" if cell["levels"]["stream"] in ("times", "order") else "no"
            assert cell["declared"]["timing"] in ("unknown", truth)
            pair = "yes" if cell["cohort"]["interaction"] else "no"
            assert cell["declared"]["interaction"] in ("unknown", pair)


class TestRegret:
    def test_the_best_has_none_and_another_the_distance_to_it(self):
        scores = np.tile([0.9, 0.85, 0.8, 0.7], (3, 2, 1))
        assert cross_fitted(scores, [0, 0, 0], EVERY) == 0
        assert cross_fitted(scores, [2, 2, 2], EVERY) == pytest.approx(0.1)

    def test_among_equals_luck_is_no_regret(self):
        scores = equal_strategies(np.random.default_rng(0))
        naive = np.mean([one.mean(axis=(0, 1)).max() - one[..., 1].mean() for one in scores])
        fair = [cross_fitted(one, [1, 1, 1], EVERY) for one in scores]
        error = np.std(fair) / np.sqrt(len(fair))
        assert naive > 0.005
        assert abs(np.mean(fair)) < 3 * error
        assert error < 0.0005

    def test_with_one_seed_the_test_halves_choose_for_each_other(self):
        scores = np.array([[[0.9, 0.8, 0.5, 0.5], [0.7, 0.8, 0.5, 0.5]]])
        # The first half chooses 0 (.7 on the second), the second half chooses 1 (.8 on the first).
        assert cross_fitted(scores, [0], EVERY) == pytest.approx(np.mean([0.8 - 0.9, 0.7 - 0.7]))

    def test_only_those_that_meet_the_requirements_are_regretted(self):
        scores = np.tile([0.9, 0.85, 0.8, 0.7], (3, 2, 1))
        without_best = np.array([False, True, True, True])
        assert cross_fitted(scores, [1, 1, 1], without_best) == 0
        # A choice that breaks them earns no credit for its higher score.
        assert cross_fitted(scores, [0, 0, 0], without_best) == 0

    def test_a_seed_without_a_choice_is_left_out(self):
        scores = np.tile([0.9, 0.8, 0.8, 0.8], (2, 2, 1))
        assert cross_fitted(scores, [1, -1], EVERY) == pytest.approx(0.1)
        assert np.isnan(cross_fitted(scores, [-1, -1], EVERY))

    def test_requirements_hold_on_the_mean_over_seeds_each_for_itself(self):
        near = {"score": 0.71, "bayes": 0.8, "below_bayes": 0.1}
        far = {"score": 0.68, "bayes": 0.8, "below_bayes": 0.1}
        close = {"score": 0.79, "bayes": 0.8, "below_bayes": 0.1}
        assert meets([[near], [near]])
        assert meets([[far], [close]])
        assert not meets([[near, far], [near, far]])
        assert meets([[], []])


class TestInterval:
    def test_regimes_of_one_set_are_one_cluster(self):
        rng = np.random.default_rng(0)
        values = np.repeat(rng.normal(size=20), 6)
        single = interval(values, [str(i) for i in range(120)])
        whole = interval(values, [str(i // 6) for i in range(120)])
        assert single["mean"] == whole["mean"]
        ratio = (whole["high"] - whole["low"]) / (single["high"] - single["low"])
        assert ratio == pytest.approx(np.sqrt(6), rel=0.15)

    def test_it_covers_the_mean_about_as_often_as_it_says(self):
        rng = np.random.default_rng(1)
        hit = 0
        for trial in range(100):
            found = interval(
                rng.normal(size=40), [str(i) for i in range(40)], seed=trial, n_boot=500
            )
            hit += found["low"] <= 0 <= found["high"]
        assert 88 <= hit <= 99


class TestRows:
    def test_a_row_replaces_its_older_one_and_no_other(self, tmp_path):
        rows = DeploymentRows("p12: as it is", tmp_path)
        rows.add([{"seed": 1, "what": "late", "value": 1}, {"seed": 2, "what": "late", "value": 2}])
        rows.add([{"seed": 1, "what": "late", "value": 3}])
        assert rows.path.name == "p12_as_it_is.json"
        assert {(r["seed"], r["value"]) for r in rows.read()} == {(1, 3), (2, 2)}
        assert rows.done(1) == {"late"}

    def test_a_kill_while_writing_leaves_the_file_as_it_was(self, tmp_path, monkeypatch):
        rows = DeploymentRows("c01", tmp_path)
        rows.add([{"seed": 1, "what": "late"}])

        def killed(path, content):
            raise KeyboardInterrupt

        monkeypatch.setattr("selection.rows.write_atomically", killed)
        with pytest.raises(KeyboardInterrupt):
            rows.add([{"seed": 1, "what": "early"}])
        assert rows.done(1) == {"late"}


def busy(seconds):
    began = time.process_time()
    while time.process_time() - began < seconds:
        pass


class Slow:
    """An estimator that takes processor time by its parameters."""

    def __init__(self, seconds, n_folds=5):
        self.seconds, self.n_folds = seconds, n_folds

    def fit(self, rows):
        busy(self.seconds * self.n_folds / 5)
        self.rows = len(rows)
        return self


class TestCap:
    def test_the_clock_is_processor_time(self):
        with stopped_after(0.2):
            time.sleep(0.5)
        with pytest.raises(PastCapError), stopped_after(0.1):
            busy(5)

    def test_a_fit_past_the_cap_begins_again_one_step_down(self):
        class Rows:
            def __len__(self):
                return 10

        found = fit_within(lambda n_folds=5: Slow(0.5, n_folds), "late", Rows(), 0, cap=0.4)
        assert found.step == 1
        assert found.used == {"n_folds": 3, "rows": 10}
        assert found.seconds < 0.4
        assert found.in_vain == pytest.approx(0.4, rel=0.2)
        again = fit_within(
            lambda n_folds=5: Slow(0.5, n_folds),
            "late",
            Rows(),
            0,
            cap=0.4,
            before={"step": 1, "used": found.used},
        )
        assert again.in_vain == 0

    def test_a_committee_is_held_against_the_cap_by_its_first_network(self):
        pace = Pace(cap=0.5, n_members=5, least=0)
        for epoch in range(4):
            busy(0.05)
            pace({"joining": "x", "member": 0, "epoch": epoch})
        with pytest.raises(PastCapError):
            pace({"joining": "x", "member": 1, "epoch": 0})


def test_a_look_leaves_a_line(tmp_path):
    log = tmp_path / "looks.md"
    log.write_text("| date |\n|---|\n", encoding="utf-8")
    regrets = pd.DataFrame(
        [
            {
                "scope": "heldout",
                "policy": "matrix",
                "deployments": 30,
                "mean_regret": 0.01,
                "low": 0.005,
                "high": 0.02,
            }
        ]
    )
    log_look("--half heldout --table", "first look", regrets, log)
    line = log.read_text(encoding="utf-8").splitlines()[-1]
    assert "first look" in line
    assert "heldout: 0.0100 [0.0050, 0.0200], n 30" in line


def test_cells_are_plain_values():
    assert json.loads(grid.PATH.read_text(encoding="utf-8"))["seed"] == grid.SEED


def rows_of(name, half, scores, *, rate=0.5, requirement=None, seeds=(1, 2, 3), excluded=()):
    """Rows as a run would keep them, with the same scores under every seed."""
    profile = declared_profile({"a": 1.0, "b": 1.0}, {"b": rate})
    of = {"deployment": name, "cluster": name.partition(":")[0], "half": half, "facts": {}}
    maskings = fw.recommend(profile, n_boot=1).maskings
    found = []
    for seed in seeds:
        found.append(
            of
            | {"seed": seed, "what": "profile", "profile": profile.to_dict(), "chosen": "late"}
            | {"excluded": list(excluded)}
        )
        for strategy, score in zip(STRATEGIES, scores, strict=True):
            row = {"seed": seed, "what": strategy, "masking": maskings[strategy], "step": 0}
            row |= {"score": dict.fromkeys(("first", "second", "all"), score), "bayes": None}
            row |= {"cpu_seconds": 1.0, "requirements": []}
            if requirement:
                limit = {"bayes": 0.8, "below_bayes": 0.05, "score": requirement[strategy]}
                row["requirements"] = [limit]
            found.append(of | row)
    return found


class TestJudged:
    def test_the_matrix_decides_from_the_kept_profile_and_other_thresholds_move_it(self):
        # In the order early, late, intermediate, attention.
        rows = rows_of("c01", "calibration", (0.8, 0.7, 0.75, 0.6), rate=0.85)
        assert judge(rows).regret("matrix") == pytest.approx(0.1)
        assert judge(rows).rules == [3, 3, 3]
        assert judge(rows, {"availability": 0.8}).rules == [8, 8, 8]

    def test_fixed_policies_stand_beside_it(self):
        one = judge(rows_of("c01", "calibration", (0.8, 0.7, 0.75, 0.6)))
        assert one.regret("always early") == 0
        assert one.regret("always attention") == pytest.approx(0.2)

    def test_a_strategy_that_breaks_a_requirement_is_not_the_best(self):
        meets_it = {"early": 0.7, "late": 0.76, "intermediate": 0.74, "attention": 0.79}
        one = judge(rows_of("c01", "calibration", (0.8, 0.7, 0.75, 0.6), requirement=meets_it))
        assert one.eligible.tolist() == [False, True, False, True]
        assert one.regret("matrix") == 0
        assert one.breaches("always early") == 1

    def test_where_none_meets_it_all_count_but_what_is_ruled_out(self):
        nobody = dict.fromkeys(STRATEGIES, 0.5)
        one = judge(
            rows_of(
                "c01",
                "calibration",
                (0.6, 0.7, 0.75, 0.8),
                requirement=nobody,
                excluded=["attention"],
            )
        )
        assert one.none_meets
        assert one.regret("always intermediate") == 0

    def test_a_seed_that_lacks_a_fit_is_left_out(self):
        rows = rows_of("c01", "calibration", (0.8, 0.7, 0.75, 0.6))
        some = [r for r in rows if (r["seed"], r["what"]) != (2, "late")]
        assert judge(some).seeds == [1, 3]
        assert judge([r for r in rows if r["what"] != "late"]) is None

    def test_a_failed_fit_scores_as_chance(self):
        rows = rows_of("c01", "calibration", (0.8, 0.7, 0.75, 0.6))
        for row in rows:
            if row["what"] == "late":
                row.update(error="DatasetError: too few", chance=0.5)
        assert judge(rows).regret("matrix") == pytest.approx(0.3)

    def test_a_pilot_stands_only_beside_the_answer_that_it_was_held_against(self):
        rows = rows_of("c01", "calibration", (0.8, 0.7, 0.75, 0.6), rate=0.85)
        of = {k: rows[0][k] for k in ("deployment", "cluster", "half", "facts")}
        told = {"what": "pilot", "reference": "late", "chosen": "early"}
        rows += [of | told | {"seed": seed} for seed in (1, 2, 3)]
        assert judge(rows).regret("matrix with its pilot") == 0
        for row in rows:
            if row.get("seed") != 1 and row["what"] == "pilot":
                row["reference"] = "attention"
        assert judge(rows).chosen["matrix with its pilot"] == [0, -1, -1]

    def test_tables_say_what_they_hold_and_what_is_missing(self):
        judged = [
            judge(rows_of("c01", "heldout", (0.8, 0.7, 0.75, 0.6))),
            judge(rows_of("p12: as it is", "real", (0.7, 0.7, 0.7, 0.7))),
        ]
        tables = all_tables(judged, ["c01", "p12: as it is", "c02"])
        holds = tables["What these tables hold"].iloc[0]
        assert (holds["deployments"], holds["of"], holds["missing"]) == (2, 3, "c02")
        regrets = tables["Mean cross-fitted regret"].set_index(["scope", "policy"])
        assert regrets.loc[("heldout and real", "matrix"), "mean_regret"] == pytest.approx(0.05)
        assert regrets.loc[("heldout and real", "matrix"), "within_.01"] == 0.5
        differences = tables["Paired differences of the regret (below 0: the policy is better)"]
        early = differences.set_index(["scope", "minus"]).loc[("heldout", "always early")]
        assert early["difference"] == pytest.approx(0.1)
