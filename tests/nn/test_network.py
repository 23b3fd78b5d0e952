"""The whole network: it encodes who has a modality, fuses any pattern and decodes."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fusewise.nn import (
    MECHANISMS,
    MERGES,
    EventEncoder,
    EventRows,
    FusionNetwork,
    TableEncoder,
    TableRows,
)

# A dot, and a name that every module has: modalities are called what their owners like.
NAMES = ("blood.count", "forward", "vitals")
WIDTH = 8

patterns = st.lists(st.tuples(*[st.booleans()] * 3), min_size=1, max_size=6).map(torch.tensor)
fusions = st.sampled_from([*MERGES, *MECHANISMS])


def network_of(fusion, **options):
    """Return the same network each time, in double precision, without dropout."""
    torch.manual_seed(0)
    encoders = {
        "vitals": EventEncoder(4, 1, WIDTH, n_layers=1, n_heads=2),
        "forward": TableEncoder(2, (), WIDTH),
        "blood.count": TableEncoder(3, (), WIDTH),
    }
    fuse = (
        MERGES[fusion](3, WIDTH)
        if fusion in MERGES
        else MECHANISMS[fusion](NAMES, WIDTH, n_heads=2)
    )
    return FusionNetwork(encoders, fuse, 2, n_heads=2, **options).double().eval()


def table(n, p, generator):
    return TableRows(
        n=n,
        sample=torch.arange(n),
        values=torch.randn(n, p, generator=generator, dtype=torch.float64),
        missing=torch.zeros(n, p, dtype=torch.bool),
        codes=torch.zeros(n, 0, dtype=torch.long),
    )


def batch_of(n, seed=0):
    """Return rows of all samples in all modalities; some have an empty list of events."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(0, 6, (n,), generator=generator)
    t = int(lengths.sum())
    events = EventRows(
        n=n,
        sample=torch.arange(n),
        start=torch.cat([lengths.new_zeros(1), lengths.cumsum(0)]),
        time=torch.rand(t, generator=generator, dtype=torch.float64),
        variable=torch.randint(0, 4, (t,), generator=generator),
        values=torch.randn(t, 1, generator=generator, dtype=torch.float64),
        missing=torch.zeros(t, 1, dtype=torch.bool),
    )
    return {
        "blood.count": table(n, 3, generator),
        "forward": table(n, 2, generator),
        "vitals": events,
    }


def outcome(network, batch, presence):
    """Return all outputs and the gradients by parameter."""
    network.zero_grad()
    output = network(batch, presence)
    loss = output.main.square().sum()
    for _, logits in output.auxiliary.values():
        loss = loss + logits.square().sum()
    loss.backward()
    gradients = {key: p.grad for key, p in network.named_parameters() if p.grad is not None}
    return output, gradients


@settings(max_examples=12)
@given(fusion=fusions, presence=patterns)
def test_every_pattern_gives_finite_output(fusion, presence):
    """Forwards and backwards; an auxiliary head speaks for whoever has its modality."""
    output, gradients = outcome(network_of(fusion), batch_of(len(presence)), presence)
    assert output.main.shape == (len(presence), 2)
    assert torch.isfinite(output.main).all()
    assert all(torch.isfinite(gradient).all() for gradient in gradients.values())
    assert set(output.auxiliary) == {NAMES[m] for m in range(3) if presence[:, m].any()}
    for name, (sample, logits) in output.auxiliary.items():
        assert sample.tolist() == presence[:, NAMES.index(name)].nonzero()[:, 0].tolist()
        assert logits.shape == (len(sample), 2)


@settings(max_examples=12)
@given(fusion=fusions, presence=patterns, poison=st.sampled_from([math.nan, math.inf, 1e30]))
def test_rows_under_an_absent_modality_change_nothing(fusion, presence, poison):
    """Neither the output nor a gradient, bit for bit, whether rows are there or poisoned."""
    batch = batch_of(len(presence))
    spoiled = {}
    for m, name in enumerate(NAMES):
        rows, absent = batch[name], ~presence[:, m]
        if isinstance(rows, EventRows):
            absent = torch.repeat_interleave(absent, rows.lengths)
        spoiled[name] = replace(rows, values=rows.values.masked_fill(absent[:, None], poison))
    everyone = torch.arange(len(presence))
    taken = {
        name: rows.take(everyone, presence[:, m])
        for m, (name, rows) in enumerate(batch.items())
        if presence[:, m].any()
    }
    network = network_of(fusion)
    clean, gradients = outcome(network, batch, presence)
    for other in (spoiled, taken):
        output, after = outcome(network, other, presence)
        assert torch.equal(clean.main, output.main)
        assert gradients.keys() == after.keys()
        assert all(torch.equal(gradients[key], after[key]) for key in gradients)


@pytest.mark.parametrize("fusion", [*MERGES, *MECHANISMS])
def test_an_encoder_sees_only_who_has_its_modality(fusion):
    """It gets as many rows as there are, and is not called where nobody has any."""
    network = network_of(fusion)
    calls = {}
    for name, encoder in network.encoders.items():
        encoder.register_forward_pre_hook(
            lambda _, given, name=name: calls.setdefault(name, []).append(given[0].n_rows)
        )
    presence = torch.tensor([[True, False, False], [True, False, True], [False, False, True]])
    network(batch_of(3), presence)
    assert calls == {"blood.count": [2], "vitals": [2]}
    calls.clear()
    output = network(batch_of(3), torch.zeros(3, 3, dtype=torch.bool))
    assert not calls
    assert torch.isfinite(output.main).all()


def test_what_is_inside_an_encoder_works_for_those_who_have_its_modality():
    """It is given as many rows as where the others are left out of the batch."""
    n = 50
    presence = torch.rand(n, 3, generator=torch.Generator().manual_seed(0)) < 0.5
    for fusion in (*MERGES, *MECHANISMS):
        network, batch = network_of(fusion), batch_of(n)
        for m, (name, encoder) in enumerate(network.encoders.items()):
            has = presence[:, m].nonzero()[:, 0]
            those = {
                other: rows.take(has, presence[has, i])
                for i, (other, rows) in enumerate(sorted(batch.items()))
            }
            given = [
                rows_inside(encoder, lambda: network(batch, presence)),  # noqa: B023 - called now
                rows_inside(encoder, lambda: network(those, presence[has])),  # noqa: B023
            ]
            assert given[0], name
            assert given[0] == given[1]


def rows_inside(encoder: torch.nn.Module, run) -> list[int]:
    """Return the length of what each module inside is given first, call by call."""
    sizes: list[int] = []

    def note(_, given):
        if isinstance(given[0], torch.Tensor):
            sizes.append(len(given[0]))

    hooks = [module.register_forward_pre_hook(note) for module in encoder.modules()]
    run()
    for hook in hooks:
        hook.remove()
    return sizes


@settings(max_examples=12)
@given(fusion=fusions, presence=patterns)
def test_a_sample_alone_gives_what_it_gives_in_a_batch(fusion, presence):
    """Samples do not touch each other."""
    batch, network = batch_of(len(presence)), network_of(fusion)
    together = network(batch, presence).main
    for i in range(len(presence)):
        one = {
            name: rows.take(torch.tensor([i]), torch.tensor([True])) for name, rows in batch.items()
        }
        alone = network(one, presence[i : i + 1]).main
        torch.testing.assert_close(together[i], alone[0], rtol=0, atol=1e-12)


@settings(max_examples=10)
@given(fusion=fusions, order=st.permutations(NAMES))
def test_the_order_of_modalities_has_no_effect(fusion, order):
    """Rows may come in any order; columns of presence are in the order of the names."""
    presence = torch.tensor([[True, True, True], [True, False, True], [False, True, False]])
    batch, network = batch_of(3), network_of(fusion)
    straight = network(batch, presence).main
    shuffled = network({name: batch[name] for name in order}, presence).main
    assert torch.equal(straight, shuffled)
    assert network.names == NAMES


@pytest.mark.parametrize("fusion", [*MERGES, *MECHANISMS])
def test_absent_is_not_all_zero(fusion):
    """A present modality of zeros, or without any event, gives something else than an absent one."""
    batch, network = batch_of(4), network_of(fusion)
    zeros = {
        "blood.count": replace(batch["blood.count"], values=torch.zeros(4, 3).double()),
        "vitals": replace(
            batch["vitals"], start=torch.zeros(5, dtype=torch.long),
            **{key: getattr(batch["vitals"], key)[:0]
               for key in ("time", "variable", "values", "missing")},
        ),
    }  # fmt: skip
    everything = torch.ones(4, 3, dtype=torch.bool)
    for name, rows in zeros.items():
        without = everything.clone()
        without[:, NAMES.index(name)] = False
        changed = batch | {name: rows}
        difference = network(changed, everything).main - network(changed, without).main
        assert (difference.abs().amax(dim=1) > 1e-4).all()


@pytest.mark.parametrize("fusion", [*MERGES, *MECHANISMS])
def test_a_modality_without_a_row_is_absent(fusion):
    """Presence that promises a row which is not there gives what absence gives."""
    batch, network = batch_of(3), network_of(fusion)
    presence = torch.ones(3, 3, dtype=torch.bool)
    absent = presence.clone()
    absent[1, 0] = False
    rows = batch["blood.count"].take(torch.arange(3), absent[:, 0])
    expected = network(batch, absent).main
    assert torch.equal(network(batch | {"blood.count": rows}, presence).main, expected)
    fewer = {name: rows for name, rows in batch.items() if name != "vitals"}
    absent = presence.clone()
    absent[:, 2] = False
    assert torch.equal(network(fewer, presence).main, network(batch, absent).main)


@pytest.mark.parametrize("fusion", [*MERGES, *MECHANISMS])
def test_only_mechanisms_have_weights(fusion):
    """And only where they are asked for; asking changes no prediction."""
    batch, network = batch_of(3), network_of(fusion)
    presence = torch.ones(3, 3, dtype=torch.bool)
    asked = network(batch, presence, need_weights=True)
    silent = network(batch, presence)
    assert silent.weights is None
    assert (asked.weights is None) == (fusion in MERGES)
    torch.testing.assert_close(asked.main, silent.main, rtol=0, atol=1e-12)


@pytest.mark.parametrize("fusion", [*MERGES, *MECHANISMS])
def test_single_and_double_precision_agree(fusion):
    """Rows are taken to the network's precision; both predict the same within rounding."""
    batch, network = batch_of(6), network_of(fusion)
    presence = torch.rand(6, 3, generator=torch.Generator().manual_seed(0)) < 0.6
    double = network(batch, presence).main
    single = network.float()(batch, presence).main
    assert double.dtype == torch.float64
    assert single.dtype == torch.float32
    torch.testing.assert_close(double.float(), single, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("fusion", [*MERGES, *MECHANISMS])
def test_every_parameter_learns(fusion):
    """Where each modality is there for some, no part is left without a gradient.

    What starts at zero hides what stands before it from the very first one.
    """
    network = network_of(fusion)
    presence = torch.ones(8, 3, dtype=torch.bool)
    presence[0, 0] = presence[1, 1] = presence[2, 2] = False
    batch = batch_of(8)
    missing = torch.rand(8, 3, generator=torch.Generator().manual_seed(5)) < 0.3
    batch["blood.count"] = replace(batch["blood.count"], missing=missing)
    batch["forward"] = replace(batch["forward"], missing=missing[:, :2])
    parameters = dict(network.named_parameters())
    rates = torch.optim.SGD(parameters.values(), lr=0.1)
    moved = set()
    for _ in range(4):
        network.zero_grad()
        output = network(batch, presence)
        # Not all zero where the heads are.
        loss = (output.main - 1).square().sum()
        for _, logits in output.auxiliary.values():
            loss = loss + (logits - torch.tensor([1.0, -1.0])).square().sum()
        loss.backward()
        moved |= {k for k, p in parameters.items() if p.grad is not None and p.grad.any()}
        rates.step()
    still = set(parameters) - moved
    # Cross-modal attention pools the one token of a table too; there is nothing to choose.
    assert still <= (
        {f"fuse.pools.{m}.score.weight" for m in (0, 1)} if fusion == "cross" else set()
    )


def test_an_empty_batch_is_legal():
    """A process without a share of the batch predicts nothing."""
    nobody = torch.zeros(0, dtype=torch.bool)
    for fusion in (*MERGES, *MECHANISMS):
        batch = {k: rows.take(torch.arange(0), nobody) for k, rows in batch_of(3).items()}
        output = network_of(fusion)(batch, torch.zeros(0, 3, dtype=torch.bool), need_weights=True)
        assert output.main.shape == (0, 2)
        assert output.auxiliary == {}


def test_auxiliary_heads_are_a_choice():
    """Without them a network has nothing that only they need."""
    network = network_of("gated", auxiliary=False)
    output, gradients = outcome(network, batch_of(4), torch.ones(4, 3, dtype=torch.bool))
    assert output.auxiliary == {}
    assert set(dict(network.named_parameters())) == set(gradients)


def test_encoders_of_different_widths_are_refused():
    """The message names the widths by modality."""
    encoders = {"a": TableEncoder(2, (), 8), "b": TableEncoder(2, (), 16)}
    with pytest.raises(ValueError, match=r"one width .* got \{'a': 8, 'b': 16\}"):
        FusionNetwork(encoders, MERGES["mean"](2, 8), 1)


@pytest.mark.parametrize(
    "fuse", [MERGES["mean"](3, 8), MERGES["gated"](2, 4), MECHANISMS["cross"](("b", "a"), 8)]
)
def test_a_fusion_made_for_something_else_is_refused(fuse):
    """Another number, width or order of modalities."""
    encoders = {"a": TableEncoder(2, (), 8), "b": TableEncoder(2, (), 8)}
    with pytest.raises(ValueError, match="was made for"):
        FusionNetwork(encoders, fuse, 1)


@pytest.mark.parametrize("fusion", [*MERGES, *MECHANISMS])
def test_it_learns_what_only_two_modalities_know_together(fusion):
    """Trained briefly on the sign of a product, each fusion is far better than chance."""
    torch.manual_seed(1)
    n = 512
    generator = torch.Generator().manual_seed(3)
    batch = {name: table(n, 1, generator) for name in ("a", "b")}
    target = (batch["a"].values[:, 0] * batch["b"].values[:, 0] > 0).long()
    fuse = MERGES[fusion](2, 16) if fusion in MERGES else MECHANISMS[fusion](("a", "b"), 16)
    encoders = {name: TableEncoder(1, (), 16, dropout=0.0) for name in ("a", "b")}
    network = FusionNetwork(encoders, fuse, 2, dropout=0.0)
    optimiser = torch.optim.AdamW(network.parameters(), lr=5e-3)
    presence = torch.ones(n, 2, dtype=torch.bool)
    for _ in range(60):
        loss = nn.functional.cross_entropy(network(batch, presence).main, target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    accuracy = (network.eval()(batch, presence).main.argmax(1) == target).double().mean()
    assert accuracy > 0.9
