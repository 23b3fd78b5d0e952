"""Attention: what is not valid is not seen, and attention over nothing is zero."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fusewise.nn import MultiHeadAttention, QueryPool, TransformerLayer

POISONS = [math.nan, 1e30, math.inf]


def some_tokens(n=4, T=5, width=8, seed=0):
    """Return tokens, and a mask that has a row with all, one with nothing and two mixed."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randn(n, T, width, generator=generator, dtype=torch.float64)
    valid = torch.rand(n, T, generator=generator) < 0.6
    valid[0], valid[1] = True, False
    valid[2:, 0] = True
    return tokens, valid


def module_of(kind):
    """Return a module and a function that calls it with tokens, a mask and `need_weights`."""
    torch.manual_seed(0)
    if kind == "self":
        module = MultiHeadAttention(8, 2).double()
        return module, lambda x, valid, weights: module(x, x, valid, need_weights=weights)
    if kind == "cross":
        module = MultiHeadAttention(8, 2).double()
        query = torch.randn(4, 3, 8, dtype=torch.float64)
        return module, lambda x, valid, weights: module(
            query[: len(x)], x, valid, need_weights=weights
        )
    if kind == "pairs":
        module = MultiHeadAttention(8, 2).double()
        query = torch.randn(4, 3, 8, dtype=torch.float64)
        pairs = torch.rand(4, 3, 5) < 0.5
        return module, lambda x, valid, weights: module(
            query, x, valid[:, None] & pairs, need_weights=weights
        )
    if kind == "layer":
        module = TransformerLayer(8, 2).double()
        return module, lambda x, valid, weights: module(x, valid, need_weights=weights)
    if kind == "context":
        module = TransformerLayer(8, 2).double()
        query = torch.randn(4, 3, 8, dtype=torch.float64)
        asks = torch.ones(4, 3, dtype=torch.bool)
        return module, lambda x, valid, weights: module(
            query[: len(x)], asks[: len(x)], x, valid, need_weights=weights
        )
    module = QueryPool(8, 2, n_queries=3, learned=kind == "learned pool").double()
    return module, lambda x, valid, weights: module(x, valid, need_weights=weights)


KINDS = ["self", "cross", "pairs", "layer", "context", "pool", "learned pool"]


def outcome(kind, tokens, valid, weights):
    """Return output, weights and all gradients; what a layer says of empty slots is left out."""
    module, call = module_of(kind)
    tokens = tokens.clone().requires_grad_()
    out, shares = call(tokens, valid, weights)
    if kind in {"self", "layer"}:
        out = out.masked_fill(~valid[..., None], 0)
    (out * torch.arange(1.0, out.shape[-1] + 1)).sum().backward()
    return out.detach(), shares, [tokens.grad, *(p.grad for p in module.parameters())]


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_attention_over_nothing_is_finite_both_ways(kind, weights):
    """Samples without any valid token give finite output and finite gradients."""
    tokens, valid = some_tokens()
    for mask in (valid, torch.zeros_like(valid)):
        out, shares, gradients = outcome(kind, tokens, mask, weights)
        assert torch.isfinite(out).all()
        assert all(torch.isfinite(gradient).all() for gradient in gradients if gradient is not None)
        assert (shares is not None) == weights
        assert not weights or torch.isfinite(shares).all()


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("kind", ["self", "cross", "pairs", "pool"])
def test_attention_over_nothing_is_exactly_zero(kind, weights):
    """A query that sees no token gets zeros, and sends no gradient to the tokens."""
    tokens, valid = some_tokens()
    out, _, gradients = outcome(kind, tokens, valid, weights)
    assert (out[1] == 0).all()
    assert (gradients[0][1] == 0).all()
    assert (out[0] != 0).any()


@pytest.mark.parametrize("poison", POISONS)
@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_what_stands_in_empty_slots_changes_nothing(kind, weights, poison):
    """NaN or 1e30 in slots that are not valid change no output and no gradient, bit for bit."""
    tokens, valid = some_tokens()
    spoiled = tokens.masked_fill(~valid[..., None], poison)
    clean, poisoned = (outcome(kind, x, valid, weights) for x in (tokens, spoiled))
    assert torch.equal(clean[0], poisoned[0])
    assert not weights or torch.equal(clean[1], poisoned[1])
    for before, after in zip(clean[2], poisoned[2], strict=True):
        assert (before is None and after is None) or torch.equal(before, after)


@pytest.mark.parametrize("kind", ["self", "cross", "pairs", "layer", "context"])
def test_asking_for_weights_changes_no_result(kind):
    """The fast path and the one that shows its weights agree, forwards and backwards."""
    tokens, valid = some_tokens()
    fast, shown = (outcome(kind, tokens, valid, weights) for weights in (False, True))
    torch.testing.assert_close(fast[0], shown[0], rtol=0, atol=1e-12)
    for a, b in zip(fast[2], shown[2], strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["self", "cross", "pairs", "pool", "learned pool"])
def test_weights_sum_to_one_over_valid_slots(kind):
    """They are 0 elsewhere; where nothing is valid they are all 0, or all the learned token's."""
    tokens, valid = some_tokens()
    _, weights, _ = outcome(kind, tokens, valid, True)
    total = weights.sum(-1)
    if kind == "learned pool":
        torch.testing.assert_close(total, torch.ones_like(total))
        assert (weights[1, ..., -1] == 1).all()
        weights = weights[..., :-1]
    elif kind == "pairs":
        assert ((total - 1).abs().lt(1e-12) | (total == 0)).all()
    else:
        torch.testing.assert_close(total, valid.any(1)[:, None, None].expand_as(total).double())
    assert (weights.masked_select(~valid[:, None, None].expand_as(weights)) == 0).all()


@given(seed=st.integers(0, 999), kind=st.sampled_from(["cross", "context", "pool", "learned pool"]))
def test_the_order_of_tokens_has_no_effect(seed, kind):
    """Any permutation of the tokens gives the same result."""
    tokens, valid = some_tokens(seed=seed)
    order = torch.randperm(5, generator=torch.Generator().manual_seed(seed))
    straight = outcome(kind, tokens, valid, False)[0]
    permuted = outcome(kind, tokens[:, order], valid[:, order], False)[0]
    torch.testing.assert_close(straight, permuted, rtol=0, atol=1e-12)


@given(seed=st.integers(0, 999))
def test_a_layer_follows_the_order_of_its_tokens(seed):
    """Permuted tokens come out permuted: a layer knows no positions."""
    tokens, valid = some_tokens(seed=seed)
    order = torch.randperm(5, generator=torch.Generator().manual_seed(seed))
    straight = outcome("layer", tokens, valid, False)[0]
    permuted = outcome("layer", tokens[:, order], valid[:, order], False)[0]
    torch.testing.assert_close(straight[:, order], permuted, rtol=0, atol=1e-12)


@given(extra=st.integers(1, 6), kind=st.sampled_from([kind for kind in KINDS if kind != "pairs"]))
def test_padding_has_no_effect(extra, kind):
    """A sample gives the same, padded to any length."""
    tokens, valid = some_tokens()
    longer = torch.cat([tokens, torch.full((4, extra, 8), math.nan, dtype=torch.float64)], dim=1)
    mask = torch.cat([valid, torch.zeros(4, extra, dtype=torch.bool)], dim=1)
    short, long = (outcome(kind, *given, False)[0] for given in ((tokens, valid), (longer, mask)))
    if kind in {"self", "layer"}:
        long = long[:, :5]
    torch.testing.assert_close(short, long, rtol=0, atol=1e-12)


def test_pooling_is_attention_from_learned_queries():
    """The pool's shortcut computes what multi-head attention with these queries would."""
    torch.manual_seed(0)
    tokens, valid = some_tokens()
    pool = QueryPool(8, 2, n_queries=1).double()
    attention = MultiHeadAttention(8, 2).double()
    # A query of ones per head, whose keys hold the scores in equal parts.
    scores = pool.score.weight  # (H, d)
    with torch.no_grad():
        project = torch.zeros(24, 8, dtype=torch.float64)
        project[:8] = torch.eye(8)
        project[8:16] = scores.repeat_interleave(4, dim=0) * math.sqrt(4) / 4
        project[16:] = pool.value.transpose(1, 2).reshape(8, 8)
        attention.project.weight.copy_(project)
        attention.join.weight.copy_(pool.join.weight)
    query = torch.ones(4, 1, 8, dtype=torch.float64)
    expected, _ = attention(query, pool.norm(tokens), valid)
    torch.testing.assert_close(pool(tokens, valid)[0], expected[:, 0], rtol=0, atol=1e-12)


def test_of_nothing_a_pool_gives_its_learned_token():
    """A sample without tokens gives the same as a sample that has just the learned one."""
    torch.manual_seed(0)
    pool = QueryPool(8, 2, n_queries=3, learned=True).double()
    nothing, _ = pool(torch.zeros(2, 0, 8).double(), torch.zeros(2, 0, dtype=torch.bool))
    learned = pool.learned.expand(2, 1, 8)
    twice, _ = pool(learned, torch.ones(2, 1, dtype=torch.bool))
    torch.testing.assert_close(nothing, twice, rtol=0, atol=1e-12)
    assert nothing.abs().max() > 0.1


def test_attention_finds_the_token_that_a_query_asks_for():
    """With sharp keys, the output is the value of the one matching token."""
    attention = MultiHeadAttention(4, 1).double()
    with torch.no_grad():
        eye = torch.eye(4, dtype=torch.float64)
        attention.project.weight.copy_(torch.cat([100 * eye, eye, eye]))
        attention.join.weight.copy_(eye)
    keys = torch.eye(4, dtype=torch.float64)[None]
    out, weights = attention(keys[:, 2:3], keys, torch.ones(1, 4, dtype=torch.bool))
    assert weights is None
    torch.testing.assert_close(out[0, 0], keys[0, 2], rtol=0, atol=1e-9)


@pytest.mark.parametrize("kind", ["self", "layer", "pool", "learned pool"])
def test_a_batch_without_samples_or_without_tokens_is_legal(kind):
    """Shapes hold for no samples, and for pools also for no tokens."""
    _, call = module_of(kind)
    out, _ = call(torch.zeros(0, 5, 8).double(), torch.zeros(0, 5, dtype=torch.bool), False)
    assert out.shape[0] == 0
    if "pool" in kind:
        out, _ = call(torch.zeros(4, 0, 8).double(), torch.zeros(4, 0, dtype=torch.bool), True)
        assert torch.isfinite(out).all()


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_dropout_is_for_training_alone(dropout):
    """Evaluation is the same twice; training differs where something is dropped."""
    tokens, valid = some_tokens()
    attention = MultiHeadAttention(8, 2, dropout=dropout).double()
    for weights in (False, True):
        first, second = (attention(tokens, tokens, valid, need_weights=weights)[0] for _ in "ab")
        assert torch.equal(first, second) == (dropout == 0)
        attention.eval()
        first, second = (attention(tokens, tokens, valid, need_weights=weights)[0] for _ in "ab")
        assert torch.equal(first, second)
        attention.train()


@pytest.mark.parametrize("make", [MultiHeadAttention, QueryPool, TransformerLayer])
def test_a_width_that_heads_cannot_share_is_refused(make):
    """The message names both numbers."""
    with pytest.raises(ValueError, match="a width of 10 cannot be shared by 4 heads"):
        make(10, 4)


def test_a_context_comes_with_its_mask():
    """A layer does not guess what of a context is valid."""
    tokens, valid = some_tokens()
    with pytest.raises(ValueError, match="visible"):
        TransformerLayer(8, 2).double()(tokens, valid, tokens)
