"""What the learned strategies say where something around them does not fit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from fusewise import (
    AttentionFusionClassifier,
    IntermediateFusionClassifier,
    MultimodalDataset,
    UserEncoder,
    load,
)
from fusewise.exceptions import DatasetError, ModelFormatError, ModelNotFoundError
from fusewise.testing import make_dataset

SMALL = {"n_members": 2, "max_epochs": 1, "width": 8, "batch_size": 64}


@pytest.fixture(scope="module")
def ds():
    return make_dataset(n_samples=60)


class Stream(nn.Module):
    """An encoder of events with a fault in it."""

    output_width = 2

    def forward(self, values, time, variable, valid):
        raise KeyError("vocabulary")


def test_the_folder_of_checkpoints_is_made(ds, tmp_path):
    """One that does not exist yet is no mistake; networks are written into it."""
    folder = tmp_path / "runs" / "first"
    IntermediateFusionClassifier(checkpoint=folder, **SMALL).fit(ds)
    assert list(folder.glob("*.pt"))


def test_a_folder_that_cannot_be_made_is_named(ds, tmp_path):
    """A file in its way is told before anything is trained."""
    (tmp_path / "taken").write_text("")
    folder = tmp_path / "taken" / "inside"
    with pytest.raises(DatasetError, match="taken/inside.*cannot be made"):
        IntermediateFusionClassifier(checkpoint=folder, **SMALL).fit(ds)


@pytest.mark.parametrize(("labels", "shown"), [([0, 1], "class 1 has"), (["a", "b"], "class 'b'")])
def test_a_class_is_shown_as_the_user_wrote_it(labels, shown):
    """Not as what a library keeps it in."""
    y = np.array(labels * 15 + [labels[0]] * 2, dtype=object if shown[-1] == "'" else int)
    y[y == labels[1]] = labels[0]
    y[-1] = labels[1]
    table = pd.DataFrame({"id": np.arange(32), "x": np.arange(32.0)})
    samples = pd.DataFrame({"id": np.arange(32), "y": y})
    one = MultimodalDataset({"a": table}, samples=samples, id="id", target="y", task="binary")
    with pytest.raises(DatasetError, match=shown):
        IntermediateFusionClassifier(**SMALL).fit(one)


@pytest.mark.parametrize(
    ("encoders", "words"),
    [
        ({"omics": UserEncoder(nn.Linear(30, 4), 4)}, r"(?s)'omics'.*\(\d+, 12\).*cannot be mult"),
        ({"monitor": Stream()}, r"(?s)'monitor'.*\(\d+, \d+, \d+\).*KeyError.*vocabulary"),
    ],
    ids=["width", "fault"],
)
def test_an_encoder_that_fails_is_named_with_what_it_was_given(ds, encoders, words):
    """The modality, the shapes, and what the module said."""
    with pytest.raises(DatasetError, match=words):
        AttentionFusionClassifier(encoders=encoders, **SMALL).fit(ds)


def test_weights_that_cannot_be_read_are_told_in_plain_text(ds, tmp_path):
    """Without the codes that colour a terminal, and without pages of advice."""
    path = tmp_path / "whole.pt"
    torch.save(nn.Linear(12, 4), path)
    encoder = UserEncoder(nn.Linear(12, 4), 4, weights=path)
    with pytest.raises(ModelFormatError, match=r"state_dict") as caught:
        IntermediateFusionClassifier(encoders={"omics": encoder}, **SMALL).fit(ds)
    assert "\033" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_loaded_model_whose_pretrained_weights_are_gone_says_what_to_do(ds, tmp_path):
    """It predicts all the same; only another fit would need them."""
    path = tmp_path / "weights.pt"
    torch.save(nn.Linear(12, 4).state_dict(), path)
    encoders = {"omics": UserEncoder(nn.Linear(12, 4), 4, weights=path)}
    model = IntermediateFusionClassifier(encoders=encoders, **SMALL).fit(ds)
    model.save(tmp_path / "m.fusewise")
    path.unlink()
    again = load(tmp_path / "m.fusewise", encoders={"omics": nn.Linear(12, 4)})
    np.testing.assert_array_equal(again.predict_proba(ds), model.predict_proba(ds))
    with pytest.raises(ModelNotFoundError, match=r"weights\.pt.*set_params\(encoders="):
        again.fit(ds)
