"""Attention across modalities: what is absent is not there, and any pattern has an answer."""

from __future__ import annotations

import math
from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fusewise.nn import MECHANISMS, CrossModal, Temporal, Tokens, TransformerLayer

NAMES = ("blood", "image", "notes")
WIDTH = 8
SLOTS = {"blood": 4, "image": 1, "notes": 3}

patterns = st.lists(st.tuples(*[st.booleans()] * len(NAMES)), min_size=1, max_size=6).map(
    torch.tensor
)
mechanisms = st.sampled_from(sorted(MECHANISMS))


def mechanism_of(name, **options):
    """Return the same mechanism each time, without dropout."""
    torch.manual_seed(0)
    return MECHANISMS[name](NAMES, WIDTH, n_heads=2, **options).double().eval()


def tokens_of(n, seed=0):
    """Return tokens of all samples, of several lengths, in all modalities."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, slots in SLOTS.items():
        valid = torch.rand(n, slots, generator=generator) < 0.6
        valid[:, 0] = True
        found[name] = Tokens(
            sample=torch.arange(n),
            values=torch.randn(n, slots, WIDTH, generator=generator, dtype=torch.float64),
            valid=valid,
            time=torch.rand(n, slots, generator=generator, dtype=torch.float64),
        )
    return found


def only_present(tokens, presence):
    """Return the tokens as encoders give them: no rows for the absent, no name without rows."""
    kept = {}
    for m, name in enumerate(NAMES):
        own, here = tokens[name], presence[:, m]
        if here.any():
            kept[name] = Tokens(own.sample[here], own.values[here], own.valid[here], own.time[here])
    return kept


def outcome(mechanism, tokens, presence, *, need_weights=False):
    """Return the fused vectors, the weights, and the gradients by parameter."""
    mechanism.zero_grad()
    fused, weights = mechanism(tokens, presence, need_weights=need_weights)
    (fused * torch.arange(1.0, fused.shape[1] + 1)).sum().backward()
    gradients = {key: p.grad for key, p in mechanism.named_parameters() if p.grad is not None}
    return fused.detach(), weights, gradients


@settings(max_examples=20)
@given(name=mechanisms, presence=patterns, need_weights=st.booleans())
def test_every_pattern_gives_finite_output(name, presence, need_weights):
    """Also the empty pattern, forwards and backwards, with weights asked for or not."""
    tokens = only_present(tokens_of(len(presence)), presence)
    mechanism = mechanism_of(name)
    fused, weights, gradients = outcome(mechanism, tokens, presence, need_weights=need_weights)
    assert fused.shape == (len(presence), mechanism.out_width)
    assert torch.isfinite(fused).all()
    assert gradients
    assert all(torch.isfinite(gradient).all() for gradient in gradients.values())
    assert (weights is not None) == need_weights


@settings(max_examples=20)
@given(name=mechanisms, presence=patterns)
def test_weights_sum_to_one_over_what_is_there(name, presence):
    """Absent modalities and padded slots have none; a slot says whose it is and when it was."""
    n, everything = len(presence), tokens_of(len(presence))
    tokens = only_present(everything, presence)
    fast, _ = mechanism_of(name)(tokens, presence)
    fused, weights = mechanism_of(name)(tokens, presence, need_weights=True)
    torch.testing.assert_close(fast, fused, rtol=0, atol=1e-12)
    modality = [m for m, key in enumerate(NAMES) for _ in range(SLOTS[key]) if key in tokens]
    assert weights.modality.tolist() == [*modality, -1]
    assert weights.values.shape == (n, 2, len(modality) + 1)
    torch.testing.assert_close(weights.values.sum(-1), torch.ones(n, 2, dtype=torch.float64))
    assert (weights.values >= 0).all()
    assert (weights.values.masked_fill(weights.valid[:, None], 0) == 0).all()
    for m, key in enumerate(NAMES):
        here = weights.modality == m
        expected = everything[key].valid & presence[:, m, None]
        if key in tokens:
            assert torch.equal(weights.valid[:, here], expected)
            time = everything[key].time.masked_fill(~expected, 0)
            assert torch.equal(weights.time[:, here], time)
    assert weights.valid[:, -1].all()


@settings(max_examples=20)
@given(
    name=mechanisms,
    presence=patterns,
    poison=st.sampled_from([math.nan, math.inf, 1e30]),
    need_weights=st.booleans(),
)
def test_what_stands_in_padded_slots_or_absent_rows_changes_nothing(
    name, presence, poison, need_weights
):
    """Neither the output nor a weight nor a gradient, bit for bit."""
    clean = tokens_of(len(presence))
    poisoned = {}
    for m, (key, own) in enumerate(clean.items()):
        dead = ~own.valid | ~presence[:, m, None]
        poisoned[key] = Tokens(
            own.sample, own.values.masked_fill(dead[..., None], poison),
            own.valid, own.time.masked_fill(dead, poison),
        )  # fmt: skip
    mechanism = mechanism_of(name)
    before = outcome(mechanism, clean, presence, need_weights=need_weights)
    after = outcome(mechanism, poisoned, presence, need_weights=need_weights)
    assert torch.equal(before[0], after[0])
    if need_weights:
        assert torch.equal(before[1].values, after[1].values)
        assert torch.equal(before[1].time, after[1].time)
    assert before[2].keys() == after[2].keys()
    assert all(torch.equal(before[2][key], after[2][key]) for key in before[2])


@settings(max_examples=20)
@given(name=mechanisms, presence=patterns)
def test_an_absent_modality_is_as_if_nobody_had_its_tokens(name, presence):
    """Rows of absent modalities are left out, whether the caller did that or not."""
    tokens = tokens_of(len(presence))
    mechanism = mechanism_of(name)
    all_rows, _ = mechanism(tokens, presence)
    fewer_rows, _ = mechanism(only_present(tokens, presence), presence)
    assert torch.equal(all_rows, fewer_rows)


@settings(max_examples=20)
@given(name=mechanisms, presence=patterns)
def test_a_sample_alone_gives_what_it_gives_in_a_batch(name, presence):
    """Samples do not touch each other, whatever groups they are computed in."""
    tokens = only_present(tokens_of(len(presence)), presence)
    mechanism = mechanism_of(name)
    together, weights = mechanism(tokens, presence, need_weights=True)
    assert weights is not None
    for i in range(len(presence)):
        alone = {}
        for key, own in tokens.items():
            here = own.sample == i
            if here.any():
                alone[key] = Tokens(
                    torch.zeros(1, dtype=torch.long), own.values[here], own.valid[here],
                    own.time[here],
                )  # fmt: skip
        fused, _ = mechanism(alone, presence[i : i + 1])
        torch.testing.assert_close(together[i], fused[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", sorted(MECHANISMS))
@pytest.mark.parametrize("n_buckets", [1, 2, 4])
def test_groups_of_similar_length_change_nothing(name, n_buckets):
    """Any number of groups gives what one group gives."""
    generator = torch.Generator().manual_seed(1)
    presence = torch.rand(40, 3, generator=generator) < 0.5
    tokens = only_present(tokens_of(40), presence)
    expected, _ = mechanism_of(name)(tokens, presence)
    halves = torch.arange(40).flip(0).chunk(n_buckets)
    with patch("fusewise.nn.gather.length_buckets", lambda *_, **__: list(halves)):
        found, _ = mechanism_of(name)(tokens, presence)
    torch.testing.assert_close(expected, found, rtol=0, atol=1e-12)


@settings(max_examples=20)
@given(name=mechanisms, order=st.permutations(NAMES), seed=st.integers(0, 99))
def test_the_order_of_modalities_and_of_tokens_has_no_effect(name, order, seed):
    """Neither the order in which modalities come nor that of the tokens of each.

    The first of them is a summary, which one mechanism reads for itself.
    """
    presence = torch.tensor([[True, True, True], [True, False, True], [False, True, False]])
    tokens = only_present(tokens_of(3, seed), presence)
    shuffled = {}
    generator = torch.Generator().manual_seed(seed)
    for key in order:
        own = tokens[key]
        at = 1 + torch.randperm(own.valid.shape[1] - 1, generator=generator)
        at = torch.cat([at.new_zeros(1), at])
        shuffled[key] = Tokens(own.sample, own.values[:, at], own.valid[:, at], own.time[:, at])
    mechanism = mechanism_of(name)
    torch.testing.assert_close(
        mechanism(tokens, presence)[0], mechanism(shuffled, presence)[0], rtol=0, atol=1e-12
    )


@given(name=mechanisms, absent=st.sampled_from(NAMES))
def test_absent_is_not_all_zero(name, absent):
    """A modality whose tokens are zeros counts; an absent one does not."""
    tokens = tokens_of(5)
    own = tokens[absent]
    tokens[absent] = Tokens(own.sample, torch.zeros_like(own.values), own.valid, 0 * own.time)
    everything = torch.ones(5, 3, dtype=torch.bool)
    without = everything.clone()
    without[:, NAMES.index(absent)] = False
    mechanism = mechanism_of(name)
    difference = mechanism(tokens, everything)[0] - mechanism(tokens, without)[0]
    assert (difference.abs().amax(dim=1) > 1e-3).all()


@pytest.mark.parametrize("name", sorted(MECHANISMS))
def test_modalities_meet(name):
    """What one modality says changes what another adds: the fusion is no sum over modalities."""
    a, b = tokens_of(1, seed=1), tokens_of(1, seed=2)
    mechanism = mechanism_of(name)
    with torch.no_grad():
        # Layers that start as the identity do not let them meet yet.
        for parameter in mechanism.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    everything = torch.ones(1, 3, dtype=torch.bool)

    def fused(blood, notes):
        return mechanism({"blood": blood["blood"], "notes": notes["notes"]}, everything)[0]

    interaction = fused(a, a) - fused(a, b) - fused(b, a) + fused(b, b)
    assert interaction.abs().max() > 1e-4


def test_cross_modal_attention_does_not_look_at_itself():
    """Each modality asks the tokens of the others only; one that is alone weighs its own."""
    calls = []
    original = TransformerLayer.forward

    def watched(self, tokens, valid, context=None, visible=None, *, need_weights=False):
        calls.append((valid, visible))
        return original(self, tokens, valid, context, visible, need_weights=need_weights)

    tokens = {key: tokens_of(1)[key] for key in NAMES}
    with patch.object(TransformerLayer, "forward", watched):
        mechanism_of("cross", n_layers=1)(tokens, torch.ones(1, 3, dtype=torch.bool))
    (_, visible), *others = calls
    assert not others
    lengths = [int(tokens[key].valid.sum()) for key in NAMES]
    owner = torch.repeat_interleave(torch.arange(3), torch.tensor(lengths))
    assert torch.equal(visible[0], owner[None] != torch.arange(3)[:, None])
    only_notes = torch.tensor([[False, False, True]])
    _, weights = mechanism_of("cross")(tokens, only_notes, need_weights=True)
    assert weights.values[0, :, :-1].sum() > 0.5


def test_temporal_attention_reads_the_clock():
    """The same tokens at other times give another result; the other mechanisms take no time."""
    tokens = tokens_of(4)
    later = {
        key: Tokens(own.sample, own.values, own.valid, own.time / 2) for key, own in tokens.items()
    }
    everything = torch.ones(4, 3, dtype=torch.bool)
    for name in MECHANISMS:
        mechanism = mechanism_of(name)
        same = torch.equal(mechanism(tokens, everything)[0], mechanism(later, everything)[0])
        assert same == (name != "temporal")


@pytest.mark.parametrize("name", MECHANISMS)
def test_cost_follows_presence(name):
    """Layers get as many rows and tokens as there are, not as there could be."""
    seen = []
    original = TransformerLayer.forward

    def watched(self, tokens, valid, *arguments, **named):
        seen.append(tokens.shape[0] * tokens.shape[1])
        return original(self, tokens, valid, *arguments, **named)

    generator = torch.Generator().manual_seed(0)
    sparse = torch.rand(2000, 3, generator=generator) < 0.2
    tokens = tokens_of(2000)
    with patch.object(TransformerLayer, "forward", watched), torch.no_grad():
        mechanism = mechanism_of(name)
        mechanism(only_present(tokens, sparse), sparse)
        few = sum(seen)
        seen.clear()
        mechanism(tokens, torch.ones(2000, 3, dtype=torch.bool))
    assert few < 0.35 * sum(seen)


def test_cross_modal_attention_needs_a_layer():
    """Without one nobody would look at anybody."""
    with pytest.raises(ValueError, match="at least one layer"):
        CrossModal(NAMES, WIDTH, n_layers=0)


def test_a_mechanism_without_layers_only_pools():
    """No layer is a legal choice where tokens are pooled."""
    fused, _ = Temporal(NAMES, WIDTH, n_layers=0).double()(
        tokens_of(2), torch.ones(2, 3, dtype=torch.bool)
    )
    assert torch.isfinite(fused).all()
