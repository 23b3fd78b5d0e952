"""Merges: any pattern gives one vector, and an absent modality is not one of zeros."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fusewise.nn import MERGES, Concatenation, GatedSum, MeanOverPresent

M, WIDTH = 3, 4

patterns = st.lists(st.tuples(*[st.booleans()] * M), min_size=1, max_size=6).map(torch.tensor)
merges = st.sampled_from(sorted(MERGES))


def merge_of(name):
    """Return the same merge each time."""
    torch.manual_seed(0)
    return MERGES[name](M, WIDTH).double()


def some_embeddings(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, M, WIDTH, generator=generator, dtype=torch.float64)


def outcome(merge, embeddings, presence):
    """Return the output and all gradients."""
    merge.zero_grad()
    embeddings = embeddings.clone().requires_grad_()
    out = merge(embeddings, presence)
    (out * torch.arange(1.0, out.shape[1] + 1)).sum().backward()
    return [out.detach(), embeddings.grad, *(p.grad for p in merge.parameters())]


@given(name=merges, presence=patterns)
def test_every_pattern_gives_finite_output_of_the_declared_width(name, presence):
    """Also the empty pattern, forwards and backwards."""
    merge = merge_of(name)
    found = outcome(merge, some_embeddings(len(presence)), presence)
    assert found[0].shape == (len(presence), merge.out_width)
    assert all(torch.isfinite(part).all() for part in found)


@given(name=merges, presence=patterns, poison=st.sampled_from([math.nan, math.inf, 1e30]))
def test_what_stands_in_an_absent_slot_changes_nothing(name, presence, poison):
    """Neither the output nor a gradient, bit for bit."""
    merge, embeddings = merge_of(name), some_embeddings(len(presence))
    clean = outcome(merge, embeddings, presence)
    spoiled = embeddings.masked_fill(~presence[..., None], poison)
    poisoned = outcome(merge, spoiled, presence)
    assert all(torch.equal(a, b) for a, b in zip(clean, poisoned, strict=True))


@given(name=merges, m=st.integers(0, M - 1))
def test_absent_is_not_all_zero(name, m):
    """A present modality whose embedding is zero counts; an absent one does not."""
    merge, embeddings = merge_of(name), some_embeddings(5)
    embeddings[:, m] = 0
    all_present = torch.ones(5, M, dtype=torch.bool)
    without = all_present.clone()
    without[:, m] = False
    difference = merge(embeddings, all_present) - merge(embeddings, without)
    assert (difference.abs().amax(dim=1) > 1e-3).all()


@given(name=merges, presence=patterns)
def test_a_sample_alone_gives_what_it_gives_in_a_batch(name, presence):
    """Samples do not touch each other."""
    merge, embeddings = merge_of(name), some_embeddings(len(presence))
    together = merge(embeddings, presence)
    alone = torch.cat([merge(e[None], p[None]) for e, p in zip(embeddings, presence, strict=True)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-12)


@given(presence=patterns, order=st.permutations(range(M)))
def test_the_order_of_modalities_has_no_effect(presence, order):
    """A merge that gets its own parameters in the same order gives the same."""
    embeddings = some_embeddings(len(presence))
    for name in ("gated", "mean"):
        merge, other = merge_of(name), merge_of(name)
        with torch.no_grad():
            for p in other.parameters():
                p.copy_(p[list(order)])
        permuted = other(embeddings[:, order], presence[:, order])
        torch.testing.assert_close(merge(embeddings, presence), permuted, rtol=0, atol=1e-12)


@given(presence=patterns)
def test_the_gated_sum_stays_between_the_embeddings_that_are_present(presence):
    """Gates sum to one over present modalities; of one modality alone nothing is taken away."""
    embeddings = some_embeddings(len(presence))
    out = merge_of("gated")(embeddings, presence)
    for own, there, fused in zip(embeddings, presence, out, strict=True):
        if there.any():
            assert (fused >= own[there].amin(dim=0) - 1e-12).all()
            assert (fused <= own[there].amax(dim=0) + 1e-12).all()


def test_the_gate_closes_for_what_says_so():
    """A modality whose own embedding lowers its gate steps back in favour of the other."""
    merge = GatedSum(2, 2).double()
    with torch.no_grad():
        merge.gate.zero_()
        merge.gate[0] = -100.0
    embeddings = torch.tensor([[[1.0, 1.0], [5.0, 5.0]]]).double()
    out = merge(embeddings, torch.tensor([[True, True]]))
    torch.testing.assert_close(out, embeddings[:, 1])


def test_concatenation_puts_its_learned_token_in_the_place_of_an_absent_modality():
    """Present embeddings pass as they are, and each modality has a token of its own."""
    merge = Concatenation(2, 3)
    embeddings = torch.ones(1, 2, 3)
    out = merge(embeddings, torch.tensor([[True, False]]))
    assert torch.equal(out[:, :3], embeddings[:, 0])
    assert torch.equal(out[0, 3:], merge.absent[1])
    assert not torch.equal(merge.absent[0], merge.absent[1])


def test_the_mean_counts_present_modalities_only():
    """An absent modality does not pull the mean towards zero."""
    embeddings = torch.tensor([[[2.0], [4.0], [9.0]]])
    out = MeanOverPresent(3, 1)(embeddings, torch.tensor([[True, True, False]]))
    assert out.item() == pytest.approx(3.0)
