"""Submodels: several networks in one, that share maps and differ in how they read columns."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fusewise.exceptions import DatasetError
from fusewise.nn import (
    MECHANISMS,
    MERGES,
    EventEncoder,
    FusionNetwork,
    TableEncoder,
    TableRows,
    WideTableEncoder,
    readouts,
    sample_losses,
)
from fusewise.nn.submodels import SignedLinear
from tests.nn.test_network import NAMES, WIDTH, batch_of, table

SIZE = 3
fusions = st.sampled_from([*MERGES, "hierarchical"])
patterns = st.lists(st.tuples(*[st.booleans()] * 3), min_size=1, max_size=6).map(torch.tensor)


def network_of(fusion, size=SIZE):
    """Return a network of a table with levels, a wide one and events, in double precision."""
    torch.manual_seed(0)
    encoders = {
        "vitals": EventEncoder(
            4, 1, WIDTH, n_layers=1, n_heads=2, n_summary=2, tokens="summary", n_submodels=size
        ),
        "forward": TableEncoder(2, (3,), WIDTH, n_submodels=size),
        # It knows no submodels: all see the same of it.
        "blood.count": WideTableEncoder(3, WIDTH, rank=4),
    }
    fuse = (
        MERGES[fusion](3, WIDTH)
        if fusion in MERGES
        else MECHANISMS[fusion](NAMES, WIDTH, n_heads=2)
    )
    network = FusionNetwork(encoders, fuse, 2, n_heads=2, n_submodels=size).double()
    with torch.no_grad():
        # What starts as zero or as the identity would hide what it does.
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return network.eval()


def rows_of(n):
    generator = torch.Generator().manual_seed(1)
    batch = batch_of(n)
    summary = table(n, 2, generator)
    codes = torch.randint(0, 3, (n, 1), generator=generator)
    return {
        "blood.count": batch["blood.count"],
        "forward": replace(batch["forward"], codes=codes),
        "vitals": replace(batch["vitals"], summary=summary),
    }


def alone(network, fusion, j):
    """Return submodel `j` as a network of its own, its signs put into its maps."""
    one = network_of(fusion, size=1)
    state = {}
    modules = dict(network.named_modules())
    for name, held in network.state_dict().items():
        value = held
        owner, _, last = name.rpartition(".")
        if last == "signs":
            continue
        enter = modules.get(owner.removesuffix(".map"))
        if isinstance(enter, SignedLinear) and last == "weight":
            value = value * enter.signs[j][enter.column]
        if owner == f"decode.{len(network.decode) - 1}":
            value = value[j].T if last == "weight" else value[j]
        state[name] = value
    one.load_state_dict(state)
    return one


@settings(deadline=None, max_examples=12)
@given(presence=patterns, fusion=fusions)
def test_each_submodel_is_a_network_of_its_own(presence, fusion):
    """In every pattern each says what it would say alone: nothing passes between them."""
    network, batch = network_of(fusion), rows_of(len(presence))
    together = network(batch, presence, need_weights=True)
    assert together.main.shape == (len(presence), SIZE, 2)
    singles = [alone(network, fusion, j)(batch, presence, need_weights=True) for j in range(SIZE)]
    for j, single in enumerate(singles):
        torch.testing.assert_close(together.main[:, j], single.main)
        for name, (sample, logits) in single.auxiliary.items():
            assert torch.equal(together.auxiliary[name][0], sample)
            torch.testing.assert_close(together.auxiliary[name][1][:, j], logits)
    if together.weights is not None:
        mean = torch.stack([single.weights.values for single in singles]).mean(dim=0)
        torch.testing.assert_close(together.weights.values, mean)
        assert torch.equal(together.weights.valid, singles[0].weights.valid)


def test_submodels_start_apart() -> None:
    """Their columns have random signs, so they differ before anything is learned."""
    torch.manual_seed(0)
    encoder = TableEncoder(6, (), WIDTH, n_submodels=SIZE)
    assert torch.equal(encoder.enter.signs.abs(), torch.ones(SIZE, 12))
    tokens = encoder(table(5, 6, torch.Generator().manual_seed(0)))
    assert tokens.sample.tolist() == list(range(5 * SIZE))
    views = tokens.values.view(5, SIZE, WIDTH)
    assert not torch.allclose(views[:, 0], views[:, 1])


def test_the_loss_is_the_mean_and_the_prediction_of_the_mean() -> None:
    """Each submodel learns to answer alone; asked, they answer together."""
    torch.manual_seed(0)
    target = torch.tensor([0, 1, 2, 1])
    main = torch.randn(4, SIZE, 3, dtype=torch.float64)
    each = torch.stack([sample_losses("cross_entropy", main[:, j], target) for j in range(SIZE)])
    torch.testing.assert_close(sample_losses("cross_entropy", main, target), each.mean(dim=0))
    presence = torch.tensor([[1, 1, 0], [1, 0, 0], [1, 1, 1], [0, 1, 1]]).bool()
    output = network_of("concatenate")(rows_of(4), presence)
    read = readouts("cross_entropy", output)
    joint = output.main.softmax(dim=-1).mean(dim=1)
    several = presence.sum(dim=1) > 1
    torch.testing.assert_close(read["joint"].exp()[several], joint[several])
    own = output.auxiliary["blood.count"][1][1].softmax(dim=-1).mean(dim=0)
    torch.testing.assert_close(read["joint"].exp()[1], own)
    numbers = readouts("squared_error", output)
    torch.testing.assert_close(numbers["joint"][several], output.main.mean(dim=1)[several])


def test_submodels_share_events_of_one_layer_only() -> None:
    """With more, or with the events coming out, they could not stay apart."""
    for wrong in ({"n_layers": 2}, {"tokens": "events"}, {"n_summary": 0}):
        options = {"n_layers": 1, "tokens": "summary", "n_summary": 2} | wrong
        with pytest.raises(DatasetError, match="2 submodels share the events of a sample"):
            EventEncoder(4, 1, WIDTH, n_submodels=2, **options)


def test_a_table_without_columns_has_submodels_too() -> None:
    """Its token says that it is there, and no more."""
    rows = TableRows(
        n=2, sample=torch.arange(2), values=torch.zeros(2, 0),
        missing=torch.zeros(2, 0, dtype=torch.bool), codes=torch.zeros(2, 0, dtype=torch.long),
    )  # fmt: skip
    assert TableEncoder(0, (), WIDTH, n_submodels=SIZE)(rows).values.shape == (2 * SIZE, 1, WIDTH)
