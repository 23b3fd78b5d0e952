"""Checkpoints: an interruption leaves no trace, and a file is read only where it belongs."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fusewise.exceptions import ModelFormatError
from fusewise.nn import Settings, Trained, train
from fusewise.nn.checkpoint import digest, load_checkpoint, save_checkpoint
from tests.nn.tiny import TinyNetwork, cohort, hide_some, same_bits

SETTINGS = Settings(max_epochs=6, batch_size=32, learning_rate=1e-2, balance="modulated")


class Interrupted(Exception):  # noqa: N818
    """What a user's interruption, or a machine that goes down, is here."""


def fit(path: Path | None, *, stop_after: int | None = None, **changes) -> Trained:
    """Train; interrupt after an epoch where asked to."""

    def interrupt(record) -> None:
        if record["epoch"] == stop_after:
            raise Interrupted

    arguments = cohort() | {"settings": SETTINGS, "network": TinyNetwork(), "seed": 3} | changes
    return train(
        arguments.pop("network"), **arguments, draw=hide_some, checkpoint=path, on_epoch=interrupt
    )


@pytest.mark.parametrize("stop_after", [0, 3])
def test_an_interruption_leaves_no_trace(tmp_path: Path, stop_after: int) -> None:
    """Interrupted and resumed training equals uninterrupted training bit for bit."""
    path = tmp_path / "training.pt"
    with pytest.raises(Interrupted):
        fit(path, stop_after=stop_after)
    epochs = []
    resumed = train(
        TinyNetwork(), **cohort(), settings=SETTINGS, seed=3, draw=hide_some, checkpoint=path,
        on_epoch=lambda record: epochs.append(record["epoch"]),
    )  # fmt: skip
    assert epochs == list(range(stop_after + 1, 6))
    assert same_bits(resumed, fit(None))
    assert min(resumed.history[-1]["pace"].values()) < 1


def test_what_is_kept_goes_on_too(tmp_path: Path) -> None:
    """A checkpoint holds the epochs that may be needed, and a resumed training the same ones."""
    path = tmp_path / "training.pt"
    settings = replace(SETTINGS, max_epochs=9, patience=2, min_epochs=5)
    with pytest.raises(Interrupted):
        fit(path, settings=settings, stop_after=6)
    resumed = fit(path, settings=settings)
    assert same_bits(resumed, fit(None, settings=settings))
    assert len(resumed.kept) < len(resumed.history) == 9


def test_an_early_stop_is_remembered(tmp_path: Path) -> None:
    """A training that has stopped by its check is not continued."""
    settings = replace(SETTINGS, max_epochs=100, patience=1, learning_rate=0.05)
    first = fit(tmp_path / "a.pt", settings=settings)
    assert first.stopped == "patience"
    again = fit(tmp_path / "a.pt", settings=settings, stop_after=0)
    assert again.stopped == "patience"
    assert same_bits(first, again)
    assert [r["seconds"] for r in first.history] == [r["seconds"] for r in again.history]


def test_a_finished_training_is_not_repeated(tmp_path: Path) -> None:
    """Its result is read; the network ends as it did; shared arrays stay shared."""
    frozen = TinyNetwork()
    frozen.encoders["image"].requires_grad_(False)
    first = fit(tmp_path / "a.pt", network=frozen)
    network = TinyNetwork()
    network.encoders["image"].requires_grad_(False)
    again = fit(tmp_path / "a.pt", network=network, stop_after=5)
    assert same_bits(first, again)
    for name, value in network.state_dict().items():
        assert np.array_equal(value.numpy(), first.snapshots[-1][name])
    kept = {id(snapshot["encoders.image.map.weight"]) for snapshot in again.snapshots}
    assert len(kept) == 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 4}, "seed"),
        ({"identity": {"dropout": 0.2}}, "identity"),
        ({"settings": replace(SETTINGS, learning_rate=0.02)}, "learning_rate"),
        ({"network": TinyNetwork(seed=8)}, "network"),
        ({"weight": np.linspace(1, 2, 400)}, "data"),
        ({"batch": cohort(seed=1)["batch"]}, "data"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path, change, named: str) -> None:
    """What differs is named, and the file is left alone."""
    path = tmp_path / "training.pt"
    fit(path, settings=replace(SETTINGS, max_epochs=1))
    before = path.read_bytes()
    settings = {"settings": replace(SETTINGS, max_epochs=1)}
    if named == "learning_rate":
        change = {"settings": replace(SETTINGS, max_epochs=1, learning_rate=0.02)}
    with pytest.raises(ModelFormatError, match=rf"another training; {named} differ"):
        fit(path, **(settings | change))
    assert path.read_bytes() == before


@pytest.mark.parametrize("damage", ["cut", "empty", "foreign", "newer", "flipped"])
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, damage: str) -> None:
    """A file that is cut, empty, of another kind or of a newer format gives a clear error."""
    path = tmp_path / "training.pt"
    save_checkpoint(path, {"weights": [torch.ones(100)]}, {"seed": 0})
    content = path.read_bytes()
    path.write_bytes(
        {"cut": content[: len(content) // 2], "flipped": b"PK" + bytes(100)}.get(damage, b"")
    )
    if damage in ("foreign", "newer"):
        torch.save({"format": 3, "fingerprint": {}, "state": {}} if damage == "newer" else 1, path)
    with pytest.raises(ModelFormatError, match="format 3" if damage == "newer" else "damaged"):
        load_checkpoint(path, {"seed": 0})


class Trap:
    """Something that runs code when it is unpickled."""

    def __reduce__(self):
        return (print, ("code of the file was run",))


def test_nothing_in_a_checkpoint_is_run(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """A file that holds code is refused without running it."""
    path = tmp_path / "training.pt"
    torch.save({"format": 1, "fingerprint": {}, "state": Trap()}, path)
    with pytest.raises(ModelFormatError, match="no checkpoint"):
        load_checkpoint(path, {})
    assert "was run" not in capsys.readouterr().out


def test_a_failed_write_keeps_the_earlier_checkpoint(tmp_path: Path) -> None:
    """What cannot be written leaves the file as it was and nothing beside it."""
    path = tmp_path / "training.pt"
    save_checkpoint(path, {"epoch": 1}, {})
    with pytest.raises((AttributeError, TypeError, RuntimeError)):
        save_checkpoint(path, {"epoch": lambda: None}, {})
    assert load_checkpoint(path, {}) == {"epoch": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["training.pt"]


def test_no_file_is_no_checkpoint(tmp_path: Path) -> None:
    """Training starts from the beginning where there is nothing to go on from."""
    assert load_checkpoint(tmp_path / "none.pt", {}) is None


def test_a_digest_knows_every_part() -> None:
    """Values, types, shapes, names and order all count; where something lies does not."""
    ones = torch.ones(2, 3)
    different = [
        (ones,), (ones.double(),), (ones.reshape(3, 2),), (ones.numpy(),), ({"a": ones},),
        ({"b": ones},), (ones, 1), (1, ones), (torch.zeros(0),), (torch.zeros(0, 3),),
        (np.zeros(0),), (np.zeros((0, 3)),), (np.array(["2020"], "M8[Y]"),), (np.array(["a"]),),
        (np.ones(2, bool),), (torch.tensor(1.0),),
    ]  # fmt: skip
    assert len({digest(*parts) for parts in different}) == len(different)
    assert digest(ones) == digest(torch.ones(3, 2).T)


def test_a_digest_copies_nothing() -> None:
    """Data that barely fits into memory can be compared."""
    values = np.ones((1000, 1000))
    parts = (values, torch.from_numpy(values), torch.ones(1000, 1000, dtype=torch.bfloat16))
    tracemalloc.start()
    digest(*parts)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000
