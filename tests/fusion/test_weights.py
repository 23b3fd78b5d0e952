"""Networks inside estimators: built on demand, saved as plain arrays, refused when forged."""

from __future__ import annotations

import copy
import pickle
import sys
import types

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import BaseEstimator
from torch import nn

from fusewise.data import Modality, MultimodalDataset
from fusewise.exceptions import ModelFormatError
from fusewise.fusion.given import UserEncoder
from fusewise.fusion.persist import load_model, read_manifest, save_model
from fusewise.fusion.tensors import TensorEncoder
from fusewise.fusion.weights import FittedNetwork
from fusewise.nn import EventEncoder


class Stand(nn.Module):
    """A small network with a buffer, a counter and perhaps an encoder of the user."""

    def __init__(self, spec, given):
        super().__init__()
        self.layers = nn.Sequential(*(nn.Linear(spec["width"], spec["width"]) for _ in range(spec["layers"])))  # fmt: skip
        self.register_buffer("shift", torch.zeros(spec["width"]))
        self.register_buffer("count", torch.tensor(0))
        self.dropout = nn.Dropout(0.5)
        self.given = nn.ModuleDict({k: copy.deepcopy(m) for k, m in given.items()})
        sizes = spec.get("events")
        if sizes:
            self.events = EventEncoder(sizes["n_variables"], sizes["n_values"], spec["width"], n_heads=1, n_summary=sizes["n_columns"])  # fmt: skip

    def forward(self, x):
        for module in self.given.values():
            x = x + module(x)
        return self.dropout(self.layers(x)) + self.shift


@pytest.fixture(autouse=True)
def architecture(monkeypatch):
    """The stand-in is what a description builds."""
    module = types.ModuleType("fusewise.fusion.architecture")
    module.build = lambda spec, given=None: Stand(spec, given or {})
    monkeypatch.setitem(sys.modules, "fusewise.fusion.architecture", module)


class Learned(BaseEstimator):
    """An estimator with networks and with encoders of the user."""

    def __init__(self, encoders=None):
        self.encoders = encoders


TRUSTED = [Learned]
SPEC = {"width": 3, "layers": 2, "names": ["a"], "rate": 0.5, "merge": None, "deep": {"on": True}}
X = torch.arange(12.0).reshape(4, 3)


def fitted(given=None, seed=0, **spec):
    """A network with weights drawn from `seed`."""
    described = SPEC | spec
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = Stand(described, given or {})
        state = {k: v.numpy().copy() for k, v in module.state_dict().items()}
    state["count"] = np.array(17)
    return FittedNetwork(described, state, given)


def model(given=None, n=2):
    estimator = Learned(encoders=given)
    estimator.networks_ = [fitted(given, seed) for seed in range(n)]
    return estimator


@pytest.fixture
def file(tmp_path):
    return tmp_path / "model.fusewise"


def test_a_network_is_built_once_ready_to_predict():
    """The same module comes back, in eval mode and without gradients; another type is another."""
    network = fitted()
    module = network.module()
    assert module is network.module()
    assert not module.training and not any(p.requires_grad for p in module.parameters())
    double = network.module(dtype="float64")
    assert double.layers[0].weight.dtype == torch.float64
    assert int(double.count) == 17
    assert torch.equal(double.layers[0].weight.float(), module.layers[0].weight)


def test_building_leaves_the_random_numbers_of_others_alone():
    """Initial weights are drawn and thrown away without a trace."""
    torch.manual_seed(3)
    before = torch.get_rng_state()
    fitted().module()
    assert torch.equal(before, torch.get_rng_state())


def test_the_weights_kept_are_not_those_that_compute():
    """Writing into the module changes nothing that is saved."""
    network = fitted()
    before = network.arrays["layers.0.weight"].copy()
    network.module().layers[0].weight.zero_()
    assert (network.arrays["layers.0.weight"] == before).all()


def test_a_saved_model_predicts_the_same_bits(file):
    """Also when its networks were built before it was saved; no module is written."""
    saved = model()
    expected = [n.module()(X) for n in saved.networks_]
    save_model(saved, file)
    assert "torch" in read_manifest(file)["libraries"]
    assert not any("Stand" in t for t in read_manifest(file)["types"])
    loaded = load_model(file, trusted=TRUSTED)
    assert loaded.networks_[0].spec == SPEC
    for network, out in zip(loaded.networks_, expected, strict=True):
        assert network.module()(X).numpy().tobytes() == out.numpy().tobytes()


def test_a_copy_and_a_pickle_predict_the_same_bits():
    """Parallel workers get the plain arrays."""
    network = fitted()
    expected = network.module()(X)
    for other in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert "_built" not in vars(other)
        assert torch.equal(other.module()(X), expected)


def test_tensor_encoders_are_saved_and_make_the_same_bits(file):
    """What scales the data comes back whole, for tables and for both kinds of tokens."""
    rng = np.random.default_rng(0)
    n = 600
    ids = np.arange(n)
    frame = pd.DataFrame(
        {"id": ids, "a": np.exp(rng.normal(size=n)), "b": np.where(rng.random(n) < 0.2, np.nan, 1.0),
         "c": rng.choice(np.array(["u", "v", None], dtype=object), n)}
    )  # fmt: skip
    events = [
        pd.DataFrame({"id": rng.integers(0, n, size), "t": rng.uniform(0, 9, size),
                      "variable": rng.choice(["hr", "bp"], size), "value": rng.normal(size=size)})
        for size in (3 * n, 90 * n)
    ]  # fmt: skip
    streams = [Modality(e, kind="events", time="t", variable="variable", value="value") for e in events]  # fmt: skip
    ds = MultimodalDataset(
        {"table": frame, "few": streams[0], "many": streams[1]},
        samples=pd.DataFrame({"id": ids, "y": ids % 2}), id="id", target="y",
    )  # fmt: skip
    saved = Learned()
    saved.encoders_ = {m: TensorEncoder(m, ds.kinds[m]).fit(ds, 9.0) for m in ds.modalities}
    sizes = saved.encoders_["many"].sizes()
    saved.networks_ = [fitted(width=4, events=sizes)]
    save_model(saved, file)
    loaded = load_model(file, trusted=TRUSTED)
    for name, encoder in saved.encoders_.items():
        a, b = encoder.transform(ds, 9.0), loaded.encoders_[name].transform(ds, 9.0)
        for part in ("values", "missing", "sample"):
            assert torch.equal(getattr(a, part), getattr(b, part))
        assert (encoder.edges_ == loaded.encoders_[name].edges_).all()
        assert encoder.sizes() == loaded.encoders_[name].sizes()
    a = saved.networks_[0].module().events(a)
    b = loaded.networks_[0].module().events(b)
    assert torch.equal(a.values, b.values)


# Encoders of the user -----------------------------------------------------------------------


def own(seed=1, width=3):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(3, width), nn.ReLU())


def test_an_encoder_of_the_user_is_supplied_again_and_its_weights_come_from_the_file(file):
    """The file holds the weights, the caller the architecture; predictions have the same bits."""
    saved = model({"imaging": own()})
    expected = saved.networks_[1].module()(X)
    save_model(saved, file)
    assert not any(t.startswith("torch") for t in read_manifest(file)["types"])
    again = own(seed=99)
    loaded = load_model(file, trusted=TRUSTED, encoders={"imaging": again})
    assert loaded.encoders == {"imaging": again}
    assert torch.equal(loaded.networks_[1].module()(X), expected)
    assert torch.equal(again[0].weight, own(seed=99)[0].weight)
    assert saved.encoders["imaging"] is saved.networks_[0].given["imaging"]


def test_an_encoder_inside_a_description_is_supplied_the_same_way(file, tmp_path):
    """The module may sit in an object by modality; paths beside it come back as paths."""
    described = UserEncoder(own(), output_width=3, weights=tmp_path / "weights.pt")
    saved = Learned(encoders={"imaging": described})
    saved.networks_ = [fitted({"imaging": own()})]
    save_model(saved, file)
    for again in (own(seed=99), UserEncoder(own(seed=99))):
        loaded = load_model(file, trusted=TRUSTED, encoders={"imaging": again})
        assert loaded.encoders["imaging"].weights == tmp_path / "weights.pt"
        assert torch.equal(loaded.encoders["imaging"].module[0].weight, own(seed=99)[0].weight)
        assert torch.equal(loaded.networks_[0].module()(X), saved.networks_[0].module()(X))
    with pytest.raises(ModelFormatError, match="expected a torch module.*'imaging', got str"):
        load_model(file, trusted=TRUSTED, encoders={"imaging": "module"})


def test_an_encoder_that_lacks_is_named(file):
    """The message names the modality and how to bring it."""
    save_model(model({"imaging": own()}), file)
    with pytest.raises(ModelFormatError, match=r"modality 'imaging' \(a Sequential\).*encoders=\{"):
        load_model(file, trusted=TRUSTED)


def test_an_encoder_that_was_not_asked_for_is_named(file):
    """A wrong name is said, beside what the model was trained with."""
    save_model(model(), file)
    with pytest.raises(ModelFormatError, match=r"names notes.*for no modality"):
        load_model(file, trusted=TRUSTED, encoders={"notes": own()})


def test_an_encoder_of_another_shape_is_refused(file):
    """The trained weights do not fit it, and the array is named."""
    save_model(model({"imaging": own()}), file)
    with pytest.raises(ModelFormatError, match=r"given.imaging.0.bias.*shape \(3,\).*shape \(5,\)"):
        load_model(file, trusted=TRUSTED, encoders={"imaging": own(width=5)})


def test_a_module_outside_a_dict_by_modality_cannot_be_saved(file):
    """Nothing would tell whose it is."""
    estimator = Learned()
    estimator.head_ = own()
    with pytest.raises(ModelFormatError, match="torch module outside"):
        save_model(estimator, file)
    assert not file.exists()


# Files that do not fit ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda n: n.arrays.pop("shift"), "'shift' is nothing"),
        (lambda n: n.arrays.update(more=np.zeros(2)), r"'more' is float64 of shape \(2,\)"),
        (
            lambda n: n.arrays.update(shift=np.zeros(4, np.float32)),
            r"'shift' is float32 of shape \(4,\).*has float32 of shape \(3,\)",
        ),
        (lambda n: n.arrays.update(shift=np.zeros(3)), "'shift' is float64"),
        (lambda n: n.spec.update(layers=3), "'layers.2.bias' is nothing"),
        (lambda n: n.spec.update(width=10**6), "more weights than there are"),
        (lambda n: n.spec.update(width=500, layers=10**9), "more weights than there are"),
        (lambda n: n.spec.pop("width"), "cannot be restored|cannot be saved"),
    ],
)
def test_arrays_that_do_not_fit_their_network_are_refused(change, message, file, monkeypatch):
    """Arrays and description that disagree are refused at saving, and at loading before memory."""
    forged = model(n=1)
    change(forged.networks_[0])
    with pytest.raises(ModelFormatError, match=message):
        save_model(forged, file)
    with monkeypatch.context() as unchecked:
        unchecked.setattr("fusewise.fusion.persist._check_networks", lambda model: None)
        save_model(forged, file)
    with pytest.raises(ModelFormatError, match=message):
        load_model(file, trusted=TRUSTED)
