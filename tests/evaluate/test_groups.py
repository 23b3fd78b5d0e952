"""Groups: scores, availability, gaps, and whether availability explains them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from fusewise.data import MultimodalDataset
from fusewise.evaluate import (
    Requirement,
    answer_requirements,
    evaluate,
    find_metric,
    find_mixture,
)
from fusewise.evaluate.columns import table
from fusewise.evaluate.group_gaps import Side, judge, score_gaps
from fusewise.evaluate.groups import UNKNOWN, find_groups, group_presence, labels_of
from fusewise.evaluate.predictions import Answers
from fusewise.evaluate.scoring import Measured
from fusewise.evaluate.setting import responses_of, scoring_of
from fusewise.exceptions import EvaluationError

QUICK = {"rates": (), "withheld_patterns": 0}
BOTH = ["roc_auc", "log_loss"]


def two_groups(n, *, lacks, weak=1.0, seed=0, sex=None, extra=None, cluster=None):
    """Outcomes given the pattern are alike in both groups, unless `a` says less of F (weak < 1)."""
    rng = np.random.default_rng(seed)
    drawn = np.where(rng.random(n) < 0.4, "F", "M").astype(object)
    sex = drawn if sex is None else sex
    y = (rng.random(n) < 0.4).astype(int)
    woman = sex == "F"
    has = {
        "a": rng.random(n) >= np.where(woman, *lacks),
        "b": np.ones(n, dtype=bool),
    }
    shift = {"a": np.where(woman, 1.6 * weak, 1.6), "b": 0.7}
    x = {m: rng.normal(size=n) + shift[m] * (y - 0.5) for m in "ab"}
    samples = pd.DataFrame({"id": np.arange(n), "y": y, "sex": sex, **(extra or {})})
    if cluster is not None:
        samples["cluster"] = cluster
    return MultimodalDataset(
        {m: pd.DataFrame({"id": np.flatnonzero(has[m]), "x": x[m][has[m]]}) for m in "ab"},
        samples=samples,
        id="id",
        target="y",
        task="binary",
        groups=["sex", *(extra or {})],
        cluster=None if cluster is None else "cluster",
    )


class Weighted:
    """The best predictor where both groups are alike."""

    def predict_proba(self, dataset):
        logit = np.full(len(dataset), np.log(0.4 / 0.6))
        for name in dataset.modalities:
            positions, frame = dataset.features(name)
            logit[positions] += {"a": 1.6, "b": 0.7}[name] * frame["x"].to_numpy()
        p = 1 / (1 + np.exp(-logit))
        return np.column_stack([1 - p, p])


def gaps(test, **options):
    options = {"metrics": ["roc_auc"], "n_boot": 100} | options
    return evaluate(Weighted(), test, **options, **QUICK).group_gaps


def bare_gaps(test, names, n_boot=100):
    """The same table without the rest of an evaluation."""
    metrics = tuple(find_metric(name, "binary") for name in names)
    scoring = scoring_of(test, (0, 1), metrics, n_boot, 30, 0)
    natural = Answers(Weighted(), test, responses_of(metrics), (0, 1)).natural
    groups, _ = find_groups(test, None)
    mixture = find_mixture(None, test, None)
    return table("group_gaps", score_gaps(scoring, test, natural, groups, mixture))


def women(table):
    return table[table["value"] == "F"].set_index("metric")


def test_a_gap_from_availability_alone_is_explained_as_such():
    """One group lacks the strong modality more often; given the pattern, outcomes are alike."""
    for seed in range(2):
        table = women(bare_gaps(two_groups(4000, lacks=(0.7, 0.1), seed=seed), BOTH))
        assert table["verdict"].tolist() == ["explained by availability"] * 2
        assert (table["gap_low"] > 0).all()
        assert (table["equal_low"] < 0).all() and (table["equal_high"] > 0).all()
        assert table["covered"].tolist() == pytest.approx([1.0, 1.0])


def test_a_gap_at_equal_patterns_is_not_explained():
    """Both groups lack it alike; what it says of one group is worth less."""
    for seed in range(2):
        table = women(bare_gaps(two_groups(2500, lacks=(0.3, 0.3), weak=0.5, seed=seed), BOTH))
        assert table["verdict"].tolist() == ["not explained"] * 2
        assert (table["by_availability"].abs() < 0.02).all()


def test_the_printed_evaluation_names_who_is_served_worse():
    """One line for the gap, of the group that is worse off; none where no gap is shown."""
    result = evaluate(
        Weighted(), two_groups(1500, lacks=(0.3, 0.3), weak=0.3), metrics=["roc_auc"], n_boot=60,
        **QUICK,
    )  # fmt: skip
    lines = [line for line in str(result).splitlines() if "not explained" in line]
    assert len(lines) == 1
    assert lines[0].startswith("  sex F: roc_auc 0.")
    assert type(result).from_json(result.to_json()) == result
    null = evaluate(Weighted(), two_groups(300, lacks=(0.3, 0.3)), n_boot=40, **QUICK)
    assert "Gaps" not in str(null)


def test_a_gap_of_both_kinds_is_partly_explained():
    """Lacks it more often, and is served worse with it too."""
    table = women(bare_gaps(two_groups(4000, lacks=(0.7, 0.1), weak=0.5), BOTH))
    assert table.loc["roc_auc", "verdict"] == "partly"
    assert table.loc["roc_auc", "equal_low"] > 0 and table.loc["roc_auc", "by_availability_low"] > 0


def test_availability_can_hide_a_gap():
    """Served worse with the same modalities, but has more of them."""
    table = women(bare_gaps(two_groups(3000, lacks=(0.1, 0.6), weak=0.5), ["roc_auc"]))
    assert table["equal_low"].iloc[0] > 0
    assert table["by_availability_high"].iloc[0] < 0


def test_alike_groups_show_no_gap():
    """A null stays null: at most about one in twenty intervals leaves 0 out."""
    shown = 0
    for seed in range(20):
        test = two_groups(400, lacks=(0.3, 0.3), seed=seed)
        shown += women(bare_gaps(test, ["brier_score"]))["verdict"].iloc[0] != "no gap shown"
    assert shown <= 4


def test_both_sides_of_two_groups_are_one_gap():
    """F against M is M against F with the other sign, from the same resamples."""
    table = gaps(two_groups(1500, lacks=(0.5, 0.2)), metrics=["roc_auc"]).set_index("value")
    first, second = table.loc["F"], table.loc["M"]
    for name in ("gap", "equal", "by_availability"):
        assert first[name] == pytest.approx(-second[name])
        assert first[f"{name}_low"] == pytest.approx(-second[f"{name}_high"])
    assert first["estimate"] == second["rest"]


def test_a_metric_of_means_is_standardised_by_hand():
    """At equal patterns: the mean over the mixture of what each pattern scores in the group."""
    test = two_groups(1200, lacks=(0.6, 0.2))
    result = evaluate(
        Weighted(), test, metrics=["brier_score"], deployment={"a": 0.5}, n_boot=20, **QUICK
    )
    cells = result.by_group_pattern.set_index(["value", "pattern"])["estimate"]
    mixed = {v: 0.5 * cells[v, "a+b"] + 0.5 * cells[v, "b"] for v in "FM"}
    row = women(result.group_gaps).iloc[0]
    assert row["equal"] == pytest.approx(mixed["F"] - mixed["M"])
    by_group = result.by_group.set_index("value")["estimate"]
    assert row["gap"] == pytest.approx(by_group["F"] - by_group["M"])
    assert row["by_availability"] == pytest.approx(row["gap"] - row["equal"])


def test_each_replicate_meets_the_shares_of_the_standard():
    """However often patterns were drawn, each has its share of the weight."""
    side = Side(np.array([0, 2, 3, 5]), np.array([0, 1, 1, -1]))
    drawn = np.random.default_rng(0).integers(1, 5, (6, 6)).astype(float)
    got = side.standard(drawn, np.array([0.2, 0.6]))
    share = got[:, 0] / got.sum(axis=1)
    np.testing.assert_allclose(share, 0.25)
    # Within a pattern, as drawn.
    np.testing.assert_allclose(got[:, 1] / got[:, 2], drawn[:, 2] / drawn[:, 3])


def test_a_pattern_that_one_side_lacks_is_not_covered():
    """What only one group has cannot be compared: a gap, undetermined, with the share told."""
    row = women(gaps(two_groups(2000, lacks=(1.0, 0.1)), metrics=["roc_auc"])).iloc[0]
    assert row["covered"] < 0.6
    assert row["verdict"] == "undetermined"
    assert "patterns with only" in row["reason"]


def test_small_groups_are_shown_and_decide_nothing():
    """Ten samples of a third group: in every table, flagged, undetermined."""
    sex = np.array((["X"] * 10 + ["F"] * 195 + ["M"] * 195), dtype=object)
    result = evaluate(
        Weighted(), two_groups(400, lacks=(0.3, 0.3), sex=sex), metrics=["roc_auc"], n_boot=50,
        **QUICK,
    )  # fmt: skip
    own = result.by_group.set_index("value").loc["X"]
    assert own["n"] == 10 and own["small"]
    row = result.group_gaps.set_index("value").loc["X"]
    assert row["small"]
    assert row["verdict"] == "undetermined"


def test_clusters_are_resampled_whole():
    """Each sample ten times over: figures as they were, intervals not a third as wide."""
    test = two_groups(600, lacks=(0.5, 0.2), cluster=np.arange(600))
    again = test[np.repeat(np.arange(600), 5)]
    first, repeated = (women(gaps(d, metrics=["brier_score"])).iloc[0] for d in (test, again))
    for name in ("gap", "equal"):
        assert repeated[name] == pytest.approx(first[name])
        width = [r[f"{name}_high"] - r[f"{name}_low"] for r in (first, repeated)]
        assert width[1] == pytest.approx(width[0], rel=0.25)


def test_who_lacks_what_is_told():
    """Rates with Wilson's interval; the group that has the modality less often is named."""
    test = two_groups(1000, lacks=(0.7, 0.1))
    table = evaluate(Weighted(), test, metrics=["accuracy"], n_boot=0, **QUICK).group_presence
    cells = table.set_index(["value", "modality"])
    assert cells["lacks"].to_dict() == {
        ("F", "a"): True, ("F", "b"): False, ("M", "a"): False, ("M", "b"): False
    }  # fmt: skip
    row = cells.loc[("F", "a")]
    hits = round(row["rate"] * row["n"])
    expected = binomtest(hits, int(row["n"])).proportion_ci(0.95, method="wilson")
    assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))
    assert row["difference"] == pytest.approx(row["rate"] - row["rest"])
    assert row["difference_low"] < -0.6 < row["difference_high"]


def test_the_difference_of_rates_is_newcombes():
    """His example (1998, table II, method 10): 56 of 70 against 48 of 80, 0.0524 to 0.3339."""
    labels = np.array(["u"] * 70 + ["v"] * 80, dtype=object)
    presence = np.zeros((150, 1), dtype=bool)
    presence[:56] = presence[70:118] = True
    first, second = group_presence({"g": labels}, presence, ("m",))
    assert first["difference"] == pytest.approx(0.2)
    assert first["difference_low"] == pytest.approx(0.0524, abs=5e-5)
    assert first["difference_high"] == pytest.approx(0.3339, abs=5e-5)
    assert second["difference_low"] == pytest.approx(-first["difference_high"])
    assert (first["lacks"], second["lacks"]) == (False, True)


def test_an_empty_cell_is_a_group_of_its_own():
    """NaN and None have the name (unknown), which a note tells; numbers keep no fraction."""
    frame = pd.DataFrame({"k": [1.0, np.nan, 0.0], "s": ["x", None, "y"], "b": [True, False, True]})
    assert labels_of(frame, "k").tolist() == ["1", UNKNOWN, "0"]
    assert labels_of(frame, "s").tolist() == ["x", UNKNOWN, "y"]
    assert labels_of(frame, "b").tolist() == ["True", "False", "True"]
    sex = np.array(["F", "M", None] * 100, dtype=object)
    result = evaluate(
        Weighted(), two_groups(300, lacks=(0.2, 0.2), sex=sex), metrics=["accuracy"], n_boot=10,
        **QUICK,
    )  # fmt: skip
    assert result.by_group["value"].tolist() == ["F", "M", UNKNOWN]
    assert any("empty for 100 test samples" in note and UNKNOWN in note for note in result.notes)


def test_order_of_samples_and_groups_has_no_effect():
    """The tables by group are the same bits in any order of the test set."""
    site = np.array(["n", "s", "e"] * 100)
    test = two_groups(300, lacks=(0.5, 0.2), extra={"site": site})
    how = {"metrics": ["roc_auc"], "n_boot": 30, **QUICK}
    first = evaluate(Weighted(), test, groups=["sex", "site"], **how)
    again = evaluate(Weighted(), test[::-1], groups=["site", "sex"], **how)
    for name in ("by_group", "by_group_pattern", "group_presence", "group_gaps"):
        keys = ["group", "value", *(["modality"] if name == "group_presence" else [])]
        keys += ["pattern"] if name == "by_group_pattern" else []
        tables = [getattr(r, name).sort_values(keys, ignore_index=True) for r in (first, again)]
        pd.testing.assert_frame_equal(*tables)
    assert evaluate(Weighted(), test, **how).by_group.equals(first.by_group)
    assert evaluate(Weighted(), test, groups=[], **how).by_group.empty


def test_groups_that_are_none_are_refused():
    """An unknown column, amounts instead of groups, a string; declared amounts are left out."""
    age = np.linspace(20, 90, 300)
    test = two_groups(300, lacks=(0.2, 0.2), extra={"age": age})
    how = {"metrics": ["accuracy"], "n_boot": 5, **QUICK}
    with pytest.raises(EvaluationError, match=r"no group 'sexx'.*Did you mean 'sex'"):
        evaluate(Weighted(), test, groups=["sexx"], **how)
    with pytest.raises(EvaluationError, match=r"'age' has 300 values.*pandas\.cut"):
        evaluate(Weighted(), test, groups=["age"], **how)
    with pytest.raises(EvaluationError, match="use a list"):
        evaluate(Weighted(), test, groups="sex", **how)
    result = evaluate(Weighted(), test, **how)
    assert set(result.by_group["group"]) == {"sex"}
    assert any("Left out of the bias checks" in note for note in result.notes)
    with pytest.raises(EvaluationError, match="name a coarser column"):
        labels_of(pd.DataFrame({"who": [f"p{i}" for i in range(40)]}), "who")


def test_one_value_has_nothing_to_compare():
    """A group with one value: its scores, no gap, a note."""
    sex = np.full(100, "F", dtype=object)
    result = evaluate(
        Weighted(), two_groups(100, lacks=(0.2, 0.2), sex=sex), metrics=["accuracy"], n_boot=5,
        **QUICK,
    )  # fmt: skip
    assert len(result.by_group) == 1
    assert result.group_gaps.empty
    assert any("one value only" in note for note in result.notes)


def known(estimate, spread=0.01, seed=0):
    return Measured(estimate, estimate + spread * np.random.default_rng(seed).normal(size=400))


@pytest.mark.parametrize(
    ("gap", "equal", "covered", "small", "verdict"),
    [
        (0.10, 0.00, 1.0, False, "explained by availability"),
        (-0.10, 0.00, 1.0, False, "explained by availability"),
        (0.10, 0.05, 1.0, False, "partly"),
        (0.10, 0.10, 1.0, False, "not explained"),
        (0.10, 0.14, 1.0, False, "not explained"),
        (0.50, 0.49, 1.0, False, "not explained"),
        (0.00, 0.10, 1.0, False, "hidden by availability"),
        (0.00, 0.00, 1.0, False, "no gap shown"),
        (0.00, 0.00, 0.2, False, "no gap shown"),
        (0.10, 0.00, 0.7, False, "undetermined"),
        (0.10, 0.00, 1.0, True, "undetermined"),
        (0.10, -0.10, 1.0, False, "undetermined"),
        (np.nan, np.nan, 1.0, False, "undetermined"),
    ],
)
def test_the_rules_of_the_verdict(gap, equal, covered, small, verdict):
    """Each rule once; the mirrored gap has the same answer."""
    assert judge(known(gap), known(equal), covered, small=small)[0] == verdict
    assert judge(known(-gap), known(-equal), covered, small=small)[0] == verdict


def test_a_tiny_part_is_no_part():
    """Shown to go, but surely less than a tenth: the gap is not explained."""
    gap = known(0.50)
    equal = Measured(0.48, gap.replicates - 0.02 + 0.001 * known(0.0, 1.0, seed=3).replicates)
    assert (gap - equal).limits()[0] > 0
    assert judge(gap, equal, 1.0, small=False)[0] == "not explained"
    larger = Measured(0.40, equal.replicates - 0.08)
    assert judge(gap, larger, 1.0, small=False)[0] == "partly"


def test_wide_intervals_explain_nothing():
    """That the rest may be 0 is no explanation where it may as well be the whole gap."""
    gap = known(0.10, 0.02, seed=1)
    assert judge(gap, known(0.04, 0.05, seed=2), 1.0, small=False)[0] == "undetermined"


# Requirements --------------------------------------------------------------------------------


def test_a_requirement_of_one_group_is_about_its_samples():
    """Met in one group, not met in the other; figures are those of the table by group."""
    test = two_groups(3000, lacks=(0.2, 0.2), weak=0.2)
    asked = [
        {"metric": "roc_auc", "present": "all", "at_least": 0.75, "group": {"sex": s}} for s in "FM"
    ]
    asked.append({"metric": "sensitivity", "absent": ["a"], "at_least": 0.1, "group": {"sex": "F"}})
    asked.append({"metric": "brier_score", "at_most": 0.25, "group": {"sex": "M"}})
    how = {"n_boot": 100, "operating_point": {"threshold": 0.4}}
    result = evaluate(
        Weighted(), test, metrics=["roc_auc", "brier_score"], requirements=asked, **how, **QUICK
    )
    table = result.requirements
    assert table["status"].tolist() == ["not met", "met", "met", "met"]
    cells = result.by_group_pattern.query("pattern == 'a+b' and metric == 'roc_auc'")
    assert table["estimate"].iloc[:2].tolist() == cells["estimate"].tolist()
    assert table["n"].iloc[:2].tolist() == cells["n"].tolist()
    overall = result.by_group.query("value == 'M' and metric == 'brier_score'").iloc[0]
    # The mixture here is the test set's: of the group, weighted to the patterns of all.
    assert table["n"].iloc[3] == overall["n"]
    assert "where sex is F" in table["requirement"].iloc[0]
    assert answer_requirements(Weighted(), test[::-1], asked, **how).equals(table)


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ({"sexx": "F"}, r"group: no group 'sexx'.*Did you mean 'sex'"),
        ({"sex": "female"}, r"group: no sample has sex 'female'.*There are F, M"),
        ({"sex": ["F", "M"]}, "takes one value"),
        ({}, "names columns with their value"),
        ("F", "names columns with their value"),
    ],
)
def test_a_malformed_group_is_refused(group, message):
    """An unknown column or value is answered with those that there are."""
    asked = [{"metric": "roc_auc", "at_least": 0.5, "group": group}]
    with pytest.raises(EvaluationError, match=message) as caught:
        evaluate(Weighted(), two_groups(60, lacks=(0.2, 0.2)), requirements=asked)
    assert str(caught.value).startswith("requirements[0]")


def test_a_requirement_with_a_group_stays_hashable_and_equal():
    """The order of the groups does not matter."""
    one = Requirement("roc_auc", at_least=0.5, group={"sex": "F", "site": 3})
    other = Requirement("roc_auc", at_least=0.5, group={"site": "3", "sex": "F"})
    assert one == other and hash(one) == hash(other)
    assert str(one) == (
        "roc_auc on the deployment's mixture where sex is F and site is 3: at least 0.5"
    )
