"""Merges: any pattern gives one vector, and an absent modality is not one of zeros."""

from __future__ import annotations

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


def merged(merge, embeddings, presence):
    """Give a merge what is present of embeddings (n, M, d)."""
    samples = [there.nonzero()[:, 0] for there in presence.T]
    own = [(sample, embeddings[sample, m]) for m, sample in enumerate(samples)]
    return merge(own, len(presence))


@given(name=merges, presence=patterns)
def test_every_pattern_gives_finite_output_of_the_declared_width(name, presence):
    """Also the empty pattern, forwards and backwards."""
    merge, embeddings = merge_of(name), some_embeddings(len(presence)).requires_grad_()
    out = merged(merge, embeddings, presence)
    (out * torch.arange(1.0, out.shape[1] + 1)).sum().backward()
    assert out.shape == (len(presence), merge.out_width)
    # What nobody has teaches nothing.
    gradients = [p.grad for p in (embeddings, *merge.parameters()) if p.grad is not None]
    assert all(torch.isfinite(part).all() for part in (out, *gradients))


@given(name=merges, m=st.integers(0, M - 1))
def test_absent_is_not_all_zero(name, m):
    """A present modality whose embedding is zero counts; an absent one does not."""
    merge, embeddings = merge_of(name), some_embeddings(5)
    embeddings[:, m] = 0
    all_present = torch.ones(5, M, dtype=torch.bool)
    without = all_present.clone()
    without[:, m] = False
    difference = merged(merge, embeddings, all_present) - merged(merge, embeddings, without)
    assert (difference.abs().amax(dim=1) > 1e-3).all()


@given(name=merges, presence=patterns)
def test_a_sample_alone_gives_what_it_gives_in_a_batch(name, presence):
    """Samples do not touch each other."""
    merge, embeddings = merge_of(name), some_embeddings(len(presence))
    together = merged(merge, embeddings, presence)
    alone = [merged(merge, e[None], p[None]) for e, p in zip(embeddings, presence, strict=True)]
    alone = torch.cat(alone)
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-12)


@given(name=merges, presence=patterns, order=st.permutations(range(M)))
def test_the_order_of_modalities_has_no_effect(name, presence, order):
    """A merge that gets its own parameters in the same order gives the same."""
    embeddings = some_embeddings(len(presence))
    merge, other = merge_of(name), merge_of(name)
    with torch.no_grad():
        for own in ("value", "absent", "gate") + ("offset",) * (name == "gated"):
            if hasattr(other, own):
                getattr(other, own).copy_(getattr(other, own)[list(order)])
    permuted = merged(other, embeddings[:, order], presence[:, order])
    torch.testing.assert_close(merged(merge, embeddings, presence), permuted, rtol=0, atol=1e-12)


@given(presence=patterns)
def test_the_gated_sum_stays_between_the_embeddings_that_are_present(presence):
    """Gates sum to one over present modalities; of one modality alone nothing is taken away."""
    embeddings = some_embeddings(len(presence)).masked_fill(~presence[..., None], 0)
    out = merge_of("gated").fuse(embeddings, presence)
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
    out = merge.fuse(embeddings, torch.tensor([[True, True]]))
    torch.testing.assert_close(out, embeddings[:, 1])


@given(presence=patterns)
def test_concatenation_is_a_linear_map_of_what_stands_side_by_side(presence):
    """With a token in the slot of each absent modality; it is only not computed slot by slot."""
    merge, embeddings = merge_of("concatenate"), some_embeddings(len(presence))
    tokens = some_embeddings(1, seed=1)
    with torch.no_grad():
        merge.absent.copy_(torch.einsum("md,mdh->mh", tokens[0], merge.value))
    filled = torch.where(presence[..., None], embeddings, tokens)
    expected = filled.flatten(1) @ merge.value.flatten(0, 1) + merge.offset
    torch.testing.assert_close(merged(merge, embeddings, presence), expected, rtol=0, atol=1e-12)


def test_each_absent_modality_has_a_token_of_its_own():
    """So that the head sees which one lacks."""
    merge = Concatenation(2, 3)
    first, second = merged(
        merge, torch.zeros(2, 2, 3), torch.tensor([[False, True], [True, False]])
    )
    assert not torch.equal(first, second)


def test_dropout_leaves_the_learned_tokens_alone():
    """A sample without anything is told the same in each step of training."""
    merge = Concatenation(2, 3, dropout=0.9).train()
    nothing = torch.zeros(5, 2, dtype=torch.bool)
    out = merged(merge, torch.zeros(5, 2, 3), nothing)
    assert torch.equal(out, out[:1].expand(5, -1))


def test_the_mean_counts_present_modalities_only():
    """An absent modality does not pull the mean towards zero."""
    embeddings = torch.tensor([[[2.0], [4.0], [0.0]]])
    out = MeanOverPresent(3, 1).fuse(embeddings, torch.tensor([[True, True, False]]))
    assert out.item() == pytest.approx(3.0)
