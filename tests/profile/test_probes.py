"""The probes: planted signal in timing and interaction is found, what is additive is not."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import fusewise as fw
from fusewise.profile.boosted import _mean_and_half
from fusewise.profile.probes import probe_notes, probe_table
from fusewise.simulate import Interaction

STREAM = {"modalities": {"stream": 16, "c": 3}, "signal": {"stream": 2.0, "c": 0.5}}
PAIR = {"modalities": {"a": 3, "b": 3}, "signal": {"a": 3.0, "b": 3.0}}
ADDITIVE = {"modalities": {"a": 3, "b": 3, "c": 3}, "signal": 1.2}


def cohort(n: int = 500, seed: int = 0, **design: Any) -> fw.MultimodalDataset:
    return fw.make_cohort(n, 1, random_state=seed, **design).train


def probed(ds: fw.MultimodalDataset, **options: Any) -> pd.DataFrame:
    return probe_table(ds, np.random.SeedSequence(0), **options).set_index("axis")


@pytest.mark.parametrize("carries", ["order", "times"])
def test_timing_that_carries_signal_is_found(carries: str) -> None:
    """Whether it lies in the order of events or in their times."""
    found = probed(cohort(timing={"stream": carries}, **STREAM)).loc["timing"]
    assert found["shown"]
    assert found["low"] > 0.02
    assert found["score_with"] > found["score_without"] + 0.1


def test_values_alone_are_no_timing() -> None:
    """A stream whose values tell as much at any time."""
    found = probed(cohort(timing={"stream": "values"}, **STREAM)).loc["timing"]
    assert not found["shown"]
    assert found["score_without"] > 0.85


def test_modalities_that_tell_only_together_are_found() -> None:
    """The additive part of an exclusive or is at chance."""
    found = probed(cohort(1_000, interaction=Interaction("a", "b"), **PAIR)).loc["interaction"]
    assert found["shown"]
    assert found["score_without"] < 0.6
    assert found["score_with"] > 0.8


@pytest.mark.parametrize("availability", [None, 0.6])
def test_additive_modalities_do_not_interact(availability: float | None) -> None:
    """Also where many are absent, so that what one tells depends on who else is there."""
    found = probed(cohort(800, availability=availability, **ADDITIVE)).loc["interaction"]
    assert not found["shown"]
    assert found["effect"] < 0.003


def test_the_order_of_samples_and_modalities_has_no_effect() -> None:
    """What is drawn belongs to the ids, and what is spawned to the names."""
    ds = cohort(200, timing={"stream": "order"}, **STREAM)
    shuffled = ds[np.random.default_rng(0).permutation(len(ds))]
    ids = pd.Series(shuffled.ids)
    table = shuffled.features("c")[1].assign(id=ids)
    events = shuffled.events("stream").assign(id=lambda e: e["position"].map(ids))
    stream = fw.Modality(
        events.drop(columns="position"), kind="events", time="time", variable="variable",
        value="value",
    )  # fmt: skip
    samples = pd.DataFrame({"id": ids, "y": shuffled.target})
    again = fw.MultimodalDataset(
        {"stream": stream, "c": table}, samples=samples, id="id", target="y"
    )
    other_order = fw.MultimodalDataset(
        {"c": table, "stream": stream}, samples=samples, id="id", target="y"
    )
    assert again.modalities != other_order.modalities
    for axis in ("timing", "interaction"):
        found = [probed(d, max_samples=150).loc[axis] for d in (ds, again, other_order)]
        assert found[0]["n"] == 150
        for other in found[1:]:
            assert found[0]["effect"] == pytest.approx(other["effect"], abs=1e-12)


def test_the_global_generator_is_left_alone() -> None:
    """And the same seed gives the same figures."""
    ds = cohort(120, **ADDITIVE)
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - what must not be touched
    pd.testing.assert_frame_equal(probed(ds), probed(ds))
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize("task", ["regression", "multiclass"])
def test_other_tasks_are_measured(task: str) -> None:
    """By squared error in units of the variance, or by log loss and accuracy."""
    found = probed(cohort(300, task=task, **ADDITIVE)).loc["interaction"]
    assert found["metric"] == {"regression": "r2", "multiclass": "accuracy"}[task]
    assert np.isfinite([found["effect"], found["low"], found["high"]]).all()
    assert found["score_with"] > 0.4


def test_what_cannot_be_asked_is_told() -> None:
    """Each with its reason, and never as a yes."""
    tables = {name: pd.DataFrame({"id": range(150), "x": np.arange(150.0)}) for name in "ab"}

    def notes(target: Any, **given: pd.DataFrame) -> dict[str, str]:
        samples = pd.DataFrame({"id": range(150)})
        about: dict[str, Any] = {}
        if target is not None:
            samples["y"], about["target"] = target, "y"
        ds = fw.MultimodalDataset(given or tables, samples=samples, id="id", **about)
        found = probed(ds)
        assert not found["shown"].any()
        assert found["effect"].isna().all()
        return found["note"].to_dict()

    alternating = [0, 1] * 75
    assert notes(None) == {"timing": "no modality has times", "interaction": "there is no target"}
    assert notes(alternating, a=tables["a"])["interaction"] == "there is one modality"
    apart = {"a": tables["a"][:75], "b": tables["b"][75:]}
    assert notes(alternating, **apart)["interaction"].startswith("0 samples are too few")
    assert notes([0] * 140 + [1] * 10)["interaction"].startswith("the rarest class has 10 samples")
    ds = cohort(400, **ADDITIVE)
    found = probed(ds[ds.target == 0])
    assert found.loc["interaction", "note"] == "the rarest class has 0 samples, 20 are needed"


def with_events(events: pd.DataFrame, y: Any, **about: Any) -> fw.MultimodalDataset:
    """Samples 0, 1, ... with a table of noise and the given events ``id, time, value``."""
    rng = np.random.default_rng(1)
    samples = pd.DataFrame({"id": range(len(y)), "y": y, **about.pop("samples", {})})
    table = pd.DataFrame({"id": samples["id"], "x": rng.normal(size=len(y))})
    stream = fw.Modality(
        events.assign(variable="v"), kind="events", time="time", variable="variable",
        value="value",
    )  # fmt: skip
    return fw.MultimodalDataset(
        {"c": table, "stream": stream}, samples=samples, id="id", target="y", **about
    )


@pytest.mark.filterwarnings("ignore:modality 'stream'")
@pytest.mark.parametrize("value", [None, np.nan])
def test_streams_without_an_event_are_told(value: float | None) -> None:
    """Nobody has the modality, or no event of it has a value."""
    events = pd.DataFrame({"id": range(120), "time": np.arange(120.0), "value": value})
    events = events.astype({"value": float})
    found = probed(with_events(events[:0] if value is None else events, [0, 1] * 60))
    assert found.loc["timing", "note"] == "no modality has an event with a time"
    assert np.isnan(found.loc["timing", "effect"])


@pytest.mark.parametrize("n_known", [0, 1, 120])
def test_wide_modalities_without_variation_tell_nothing(n_known: int) -> None:
    """Of none, of one, or of samples that are all alike there are no components."""
    rng = np.random.default_rng(0)
    flat = pd.DataFrame(np.ones((120, 400))).add_prefix("w").assign(id=range(120))
    flat["id"] += np.where(np.arange(120) < n_known, 0, 1_000)
    tables = {m: pd.DataFrame({"id": range(120), "x": rng.normal(size=120)}) for m in "ab"}
    samples = pd.DataFrame({"id": range(120), "y": [0, 1] * 60})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fw.exceptions.FusewiseWarning)
        ds = fw.MultimodalDataset({**tables, "flat": flat}, samples=samples, id="id", target="y")
    assert np.isfinite(probed(ds).loc["interaction", "effect"])


@pytest.mark.parametrize("others", ["yz", "xyz"])
def test_classes_of_few_clusters_are_told(others: str) -> None:
    """No model that has not seen the only cluster of a class can know that class."""
    rng = np.random.default_rng(0)
    y = np.where(np.arange(240) < 40, "w", rng.choice(list(others), 240))
    patient = np.where(np.arange(240) < 40, 0, np.arange(240))
    tables = {m: pd.DataFrame({"id": range(240), m: rng.normal(size=240)}) for m in "ab"}
    samples = pd.DataFrame({"id": range(240), "y": y, "patient": patient})
    ds = fw.MultimodalDataset(tables, samples=samples, id="id", target="y", cluster="patient")
    note = "the rarest class has 1 cluster, 20 are needed"
    assert probed(ds).loc["interaction", "note"] == note


def test_the_calendar_is_no_timing() -> None:
    """Outcomes that drift over years, with timestamps, which count from a sample's first event."""
    rng = np.random.default_rng(0)
    n, k = 600, 8
    admitted = rng.uniform(0, 2_000, n)
    y = (rng.random(n) < 0.15 + 0.7 * admitted / 2_000).astype(int)
    i = np.repeat(np.arange(n), k)
    later = admitted[i] + rng.uniform(0, 2, n * k)
    time = pd.Timestamp("2015-01-01") + pd.to_timedelta(later, unit="D")
    events = pd.DataFrame({"id": i, "time": time, "value": rng.normal(size=n * k)})
    assert not probed(with_events(events, y)).loc["timing", "shown"]


def test_clusters_count_as_one_observation() -> None:
    """Each sample twice in one cluster: the interval is that of the samples once."""
    values = np.random.default_rng(0).normal(0.3, 1, size=(1, 80))
    once = _mean_and_half(values, None)
    twice = _mean_and_half(np.repeat(values, 2, axis=1), np.repeat(np.arange(80), 2))
    assert twice == pytest.approx(once)
    assert _mean_and_half(np.repeat(values, 2, axis=1), None)[1] < 0.75 * once[1]


def test_the_interval_covers_what_repetitions_disagree_about() -> None:
    """Models that differ by chance move all samples at once, which samples alone cannot show."""
    steady = np.zeros((3, 400)) + np.random.default_rng(0).normal(size=400)
    shaken = steady + np.array([[-0.5], [0.0], [0.5]])
    assert _mean_and_half(shaken, None)[1] > 3 * _mean_and_half(steady, None)[1]


def test_notes_say_what_was_found() -> None:
    """One sentence per axis, with the figures or the reason."""
    ds = cohort(300, timing={"stream": "order"}, **STREAM).only("stream")
    timing, interaction = probe_notes(probe_table(ds, np.random.SeedSequence(0)))
    assert timing.startswith("Timing carries signal: shown. Knowing when events come")
    assert timing.endswith("n 300.")
    assert interaction == "Modalities interact: not measured, as there is one modality."


@pytest.mark.slow
@pytest.mark.parametrize(
    ("axis", "design"),
    [
        ("timing", {**STREAM, "timing": {"stream": "values"}}),
        ("interaction", ADDITIVE),
        ("interaction", {**ADDITIVE, "availability": 0.6}),
    ],
)
def test_false_alarms_stay_rare(axis: str, design: dict[str, Any]) -> None:
    """At most 18 of 200 cohorts without what is asked about."""
    alarms = sum(
        bool(probed(cohort(400, seed, **design)).loc[axis, "shown"]) for seed in range(200)
    )
    assert alarms <= 18
