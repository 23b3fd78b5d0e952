"""Strategies that learn by epochs inside a run: shown as they go, resumed, kept, reported."""

from __future__ import annotations

import shutil
import sys
from functools import partial

import numpy as np
import pytest

import fusewise.evaluate  # noqa: F401 - makes the room known to sys.modules
from fusewise.fusion import LateFusionClassifier, PresenceOnlyClassifier
from fusewise.study import TrainingLog, model_stages, plan, read_study

SMALL = {"training.n_members": 2, "training.max_epochs": 3, "training.device": "cpu"}
ATTENTION = SMALL | {"training.strategy": "attention"}


@pytest.fixture
def beside_is_quick(monkeypatch):
    """Train the learned strategies in earnest, and little beside them."""
    true = plan.make_estimator

    def make(planned, job):
        if planned.strategy in plan.LEARNED:
            return true(planned, job)
        return PresenceOnlyClassifier(random_state=0)

    monkeypatch.setattr(model_stages, "make_estimator", make)
    monkeypatch.setattr(plan.BestSingle, "of", classmethod(lambda cls, late, train: None))
    room = sys.modules["fusewise.evaluate"]
    less = {"metrics": ["roc_auc"], "n_boot": 20, "rates": (), "withheld_patterns": 1}
    monkeypatch.setattr(room, "evaluate", partial(room.evaluate, **less))


pytestmark = pytest.mark.usefixtures("beside_is_quick")


def run(folder, settings, **how):
    return read_study(folder / "study.yaml", overrides=settings).run(folder / "run", **how)


@pytest.mark.parametrize("strategy", ["intermediate", "attention"])
def test_a_learned_strategy_is_trained_beside_late_and_reported(folder, strategy):
    """The run ends with a model that answers, its log, and the section on its training."""
    done = run(folder, SMALL | {"training.strategy": strategy})
    assert done.trained == strategy
    assert {"fit", "late", "presence", "report"} <= set(done.executed)
    assert "late" in set(done.evaluation.baselines["baseline"])
    names = {path.name for path in (folder / "run").iterdir()}
    assert {"model.fusewise", "training.json", "late.fusewise"} <= names
    assert ".unfinished" not in names
    assert 'id="training"' in (folder / "run" / "report.html").read_text()
    test = read_study(folder / "study.yaml").split()[1]
    model = done.model
    proba = model.predict_proba(test[model.answerable(test)])
    assert np.allclose(proba.sum(axis=1), 1)
    assert (model.checkpoint, model.verbose) == (None, 0)
    assert TrainingLog.of(model) == TrainingLog.from_json(folder / "run" / "training.json")
    assert run(folder, SMALL | {"training.strategy": strategy}).executed == ()


def test_every_epoch_is_told(folder):
    """Progress names the network, the epoch and the loss outside the training rows."""
    events = []
    run(folder, ATTENTION, until="fit", progress=events.append)
    said = [e.message for e in events if (e.stage, e.state) == ("fit", "progress")]
    assert len(said) == 6
    assert said[-1].startswith("hierarchical, network 2 of 2, epoch 3 of at most 3, check loss 0.")
    assert not any("going on" in message for message in said)


def test_an_interrupted_training_goes_on_to_the_same_model(folder):
    """Epochs that were finished are not trained again, and the bits are those of one go."""
    whole = folder.parent / f"{folder.name}-whole"
    shutil.copytree(folder, whole)
    run(whole, ATTENTION, until="fit")

    def stop(event):
        if "network 2 of 2, epoch 2" in event.message:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(folder, ATTENTION, until="fit", progress=stop)
    assert list((folder / "run" / ".unfinished").glob("fit-*/*"))
    events = []
    run(folder, ATTENTION, until="fit", progress=events.append)
    said = [e.message for e in events if e.state == "progress"]
    assert [m.split(", check")[0] for m in said] == [
        "hierarchical, network 2 of 2, epoch 3 of at most 3"
    ]
    assert said[0].endswith(", going on from epoch 2")
    assert not (folder / "run" / ".unfinished").exists()
    test = read_study(folder / "study.yaml").split()[1]
    one, other = (model_of(path) for path in (whole, folder))
    rows = test[one.answerable(test)]
    assert np.array_equal(one.predict_proba(rows), other.predict_proba(rows))


def test_another_key_and_force_begin_a_training_anew(folder):
    """What an interrupted training left is of no use to another one, and is cleared away."""

    def stop(event):
        if "epoch 2" in event.message:
            raise KeyboardInterrupt

    for settings, how in ((ATTENTION, {}), (ATTENTION | {"training.batch_size": 32}, {})):
        with pytest.raises(KeyboardInterrupt):
            run(folder, settings, until="fit", progress=stop, **how)
        (left,) = (folder / "run" / ".unfinished").iterdir()
    events = []
    again = ATTENTION | {"training.batch_size": 32}
    run(folder, again, until="fit", progress=events.append, force=True)
    assert sum(e.state == "progress" for e in events) == 6
    assert not left.exists()


def test_the_log_goes_with_the_model_that_it_is_of(folder):
    """A strategy without epochs has no log, and that of the one before is not left behind."""
    run(folder, ATTENTION)
    assert (folder / "run" / "training.json").exists()
    run(folder, {"training.strategy": "late"})
    assert not (folder / "run" / "training.json").exists()
    assert 'id="training"' not in (folder / "run" / "report.html").read_text()
    assert TrainingLog.of(LateFusionClassifier()) is None


def test_settings_reach_the_strategy_that_reads_them(folder, monkeypatch):
    """Each is passed under its own name, and none to a strategy that does not know it."""
    seen = {}

    def remember(planned, job):
        model = made(planned, job)
        seen[planned.strategy] = model.get_params(deep=False)
        raise KeyboardInterrupt

    made = plan.make_estimator
    monkeypatch.setattr(model_stages, "make_estimator", remember)
    settings = SMALL | {
        "training.merge": "gated",
        "training.mechanism": "temporal",
        "training.batch_size": 64,
        "training.masking": "uniform",
        "training.groups": {"bedside": ["vitals", "lab"]},
    }
    for strategy in ("early", "late", "intermediate", "attention"):
        with pytest.raises(KeyboardInterrupt):
            run(folder, settings | {"training.strategy": strategy}, until="fit")
    assert seen["intermediate"]["merge"] == "gated"
    assert seen["attention"]["mechanism"] == "temporal"
    assert (seen["attention"]["batch_size"], seen["attention"]["n_members"]) == (64, 2)
    assert seen["late"]["groups"] == {"bedside": ["vitals", "lab"]}
    assert {params["masking"] for params in seen.values()} == {"uniform"}
    assert all(params["random_state"] == 3 for params in seen.values())


def model_of(folder):
    """Return the model that a run left in a folder."""
    from fusewise.fusion import load

    return load(folder / "run" / "model.fusewise")
