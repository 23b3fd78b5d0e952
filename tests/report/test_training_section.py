"""The section on training: curves, what each modality carries, and what is said about it."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import pandas as pd
import pytest

from fusewise.exceptions import ReportError
from fusewise.report import report
from fusewise.report.plots.lines import Line, Step, draw_lines
from fusewise.study import TrainingLog

CARRIES = {"vitals": 0.04, "liver": -0.002, "static": 0.01}


def fitted(lengths=(4, 6), n_epochs=5):
    """Return what the log reads of a model: networks that stopped after different epochs."""
    history, carried = [], []
    for member, length in enumerate(lengths):
        for epoch in range(1, length + 1):
            place = {"joining": "gated", "member": member, "epoch": epoch}
            check = {"train_loss": 1 / epoch, "check_loss": 0.5 / epoch + member, "seconds": 2.0}
            history.append(place | check)
            carried += [
                {**place, "modality": name, "auxiliary_loss": 0.6, "contribution": value * epoch}
                for name, value in CARRIES.items()
            ]
    return SimpleNamespace(
        history_=pd.DataFrame(history),
        contributions_=pd.DataFrame(carried),
        n_epochs_=n_epochs,
        joining_="gated",
    )


@pytest.fixture
def log():
    return TrainingLog.of(fitted())


def test_a_network_that_stopped_counts_with_its_last_values(log):
    """Means go over all networks at every epoch, as where the epoch is chosen."""
    assert (log.members, log.n_epochs, log.seconds) == (2, 5, 20.0)
    last = log.losses.set_index("epoch").loc[6]
    assert last["check_low"] == pytest.approx(0.5 / 4)
    assert last["check_high"] == pytest.approx(0.5 / 6 + 1)
    assert last["check_loss"] == pytest.approx((last["check_low"] + last["check_high"]) / 2)
    vitals = log.contributions.set_index(["modality", "epoch"]).loc[("vitals", 6)]
    assert vitals["contribution"] == pytest.approx(0.04 * 5)


def test_only_the_joining_that_was_chosen_is_logged():
    """Networks that only served to choose a merge count in the time and in nothing else."""
    model = fitted()
    other = model.history_.assign(joining="mean", check_loss=9.0)
    model.history_ = pd.concat([model.history_, other])
    log = TrainingLog.of(model)
    assert log.seconds == 40.0
    assert log.losses["check_loss"].max() < 9


def test_the_log_travels_through_json(log):
    """Written and read it is equal."""
    assert TrainingLog.from_dict(log.to_dict()) == log
    assert repr(log) == "<TrainingLog: 2 networks, 5 epochs, gated>"


def test_the_section_says_what_carries_and_what_does_not(log):
    """The modality that the networks lean on comes first; one that helps nobody is named."""
    page = report(training=log)
    text = page.markdown
    assert "The networks lean most on <b>vitals</b>." in page.html
    assert "None of them loses anything without <b>liver</b>." in page.html
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    assert rows[-3:] == ["vitals", "static", "liver"]
    assert page.html.count("<svg") == 2 + len(CARRIES)
    assert page.to_dict()["training"]["n_epochs"] == 5


def test_a_section_without_measured_contributions_is_no_error(log):
    """Losses that could not be measured are n/a; without contributions there is no gallery."""
    nothing = log.contributions.assign(contribution=float("nan"), low=float("nan"))
    assert "n/a" in report(training=replace(log, contributions=nothing)).markdown
    empty = replace(log, contributions=log.contributions[:0])
    assert "carries" not in report(training=empty).markdown
    alone = TrainingLog.of(fitted(lengths=(1,), n_epochs=1))
    assert "**networks: 1**" in report(training=alone).markdown
    assert "<svg" in report(training=alone).html


def test_a_model_is_not_its_log():
    """The message says how to read the log of a model."""
    with pytest.raises(ReportError, match=r"training must be a TrainingLog.*TrainingLog\.of"):
        report(training=fitted())


@pytest.mark.parametrize(
    ("readout", "words"),
    [
        ("joint", "all modalities together"),
        ("heads", "each modality says alone"),
        ("both", "mean of the fused answer"),
    ],
)
def test_the_section_says_what_predictions_are_read_from(log, readout, words):
    """By its name, and in a sentence; a log that does not know says nothing."""
    text = report(training=replace(log, readout=readout)).markdown
    assert f"**readout: {readout}**" in text
    assert words in text
    assert "readout" not in report(training=log).markdown


def test_a_model_tells_its_log_how_it_is_read_and_how_long_it_could_learn():
    """An older log, without either, is read all the same."""
    model = fitted()
    model.readout_, model.max_epochs = "heads", 40
    log = TrainingLog.of(model)
    assert (log.readout, log.max_epochs, log.still_improving) == ("heads", 40, False)
    old = {k: v for k, v in log.to_dict().items() if k not in ("readout", "max_epochs")}
    assert TrainingLog.from_dict(old) == replace(log, readout="", max_epochs=0)


def test_the_last_epoch_allowed_is_said_to_be_the_last(log):
    """What was still improving is not taken for finished."""
    page = report(training=replace(log, max_epochs=5))
    assert "still improving: raise **max_epochs**" in page.markdown
    assert "still improving: raise <b>max_epochs</b>" in page.html
    assert replace(log, max_epochs=5).still_improving
    assert "still improving" not in report(training=replace(log, max_epochs=6)).markdown


def test_short_trainings_have_seconds_with_decimals(log):
    """A tenth of a second is not nothing."""
    assert "seconds of training: 0.420" in report(training=replace(log, seconds=0.42)).markdown
    assert "seconds of training: 1,235" in report(training=replace(log, seconds=1234.6)).markdown


@pytest.mark.parametrize("kept", [1, 2, 17, 39, 40])
def test_the_number_of_the_epoch_kept_stands_in_small_drawings(kept):
    """Other numbers make room for it."""
    line = Line(tuple(Step(x, 1 / x) for x in range(1, 41)), "s-a", "loss")
    svg = str(draw_lines((line,), label="", x_title="", y_title="", width=196.0, mark=kept))
    shown = [float(x) for x in re.findall(r'<text[^>]*x="([\d.]+)"[^>]*tick mid', svg)]
    assert f">{kept}</text>" in svg
    assert all(b - a >= 19 for a, b in pairwise(sorted(shown)))
    assert len(shown) > 1


def test_lines_stay_inside_their_drawing():
    """Values beyond given limits are moved to the edge; NaN leaves no trace."""
    steps = tuple(Step(x, value) for x, value in ((1, 5.0), (2, float("nan")), (3, -5.0)))
    svg = str(
        draw_lines(
            (Line(steps, "s-a", "far"),), label="far", x_title="epoch", y_title="", width=200,
            limits=(0.0, 1.0), mark=2, zero=True,
        )
    )  # fmt: skip
    assert "nan" not in svg
    assert 'class="stroke s-a"' in svg
