"""What one modality says alone, how modalities are weighed, and what a prediction is read from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fusewise.nn import Settings, TableRows, readouts, train
from fusewise.nn.heads import ModalityHead, columns_of
from fusewise.nn.losses import READOUTS
from fusewise.nn.table import TableEncoder
from fusewise.nn.weighed import WeighedSum
from tests.nn.tiny import TinyNetwork, cohort


def rows_of(values: Tensor) -> TableRows:
    k = len(values)
    return TableRows(
        k, torch.arange(k), values, torch.zeros_like(values, dtype=torch.bool),
        torch.zeros(k, 0, dtype=torch.long),
    )  # fmt: skip


@pytest.mark.parametrize("n_columns", [0, 3, 500])
def test_a_head_says_nothing_before_it_has_learned(n_columns):
    """It starts at exactly zero, and its first gradient is not."""
    torch.manual_seed(0)
    head = ModalityHead(4, n_columns, 2)
    said = head(torch.randn(6, 4), rows_of(torch.randn(6, n_columns)))
    assert torch.equal(said, torch.zeros(6, 2))
    (said - torch.randn(6, 2)).square().sum().backward()
    assert all(p.grad.any() for name, p in head.named_parameters() if name != "straight.weight")
    assert (head.straight is None) == (n_columns == 0)


def test_a_head_reads_no_missing_value():
    """What stands under a missing cell changes nothing; that it is missing does."""
    torch.manual_seed(0)
    head = ModalityHead(4, 3, 2)
    for parameter in head.parameters():
        nn.init.normal_(parameter)
    embedding, values = torch.randn(6, 4), torch.randn(6, 3)
    rows = rows_of(values)
    missing = torch.arange(18).view(6, 3) % 4 == 0
    gaps = replace(rows, missing=missing, values=values.masked_fill(missing, 0))
    spoiled = replace(rows, missing=missing, values=values.masked_fill(missing, torch.nan))
    assert torch.equal(head(embedding, gaps), head(embedding, spoiled))
    assert not torch.equal(head(embedding, gaps), head(embedding, replace(gaps, missing=~missing)))


def test_a_head_that_stops_early_is_like_ridge_regression():
    """With more columns than samples it is far better on new ones than the exact fit."""
    torch.manual_seed(0)
    n, p, rate, steps = 60, 80, 1e-3, 20
    weight = torch.randn(p) / p**0.5
    x, new = torch.randn(n, p), torch.randn(2000, p)
    y, truth = x @ weight + torch.randn(n), new @ weight
    head = ModalityHead(2, p, 1)
    optimiser = torch.optim.SGD(head.parameters(), lr=rate)
    for _ in range(steps):
        optimiser.zero_grad()
        (head(torch.zeros(n, 2), rows_of(x))[:, 0] - y).square().sum().mul(0.5).backward()
        optimiser.step()
    early = head(torch.zeros(2000, 2), rows_of(new))[:, 0].detach()
    ridge = new @ torch.linalg.solve(x.T @ x + torch.eye(p) / (rate * steps), x.T @ y)
    exact = new @ torch.linalg.pinv(x) @ y
    assert torch.corrcoef(torch.stack([early, ridge]))[0, 1] > 0.98
    assert (early - truth).square().mean() < 0.8 * (exact - truth).square().mean()


def test_the_columns_of_an_encoder_are_those_of_its_table():
    """An encoder that reads no table has none."""
    assert columns_of(TableEncoder(7, (), 8)) == 7
    assert columns_of(nn.Linear(2, 2)) == 0


def weighed(n_modalities=3, width=8):
    torch.manual_seed(0)
    return WeighedSum(n_modalities, width, 2, 0.0).double().eval()


def summed(fuse, tokens, valid):
    """Give a sum of tokens (n, M, d) what it takes: the list of those that there are."""
    modality, sample = valid.T.nonzero(as_tuple=True)
    return fuse(tokens[sample, modality], modality, sample, len(valid))


def test_with_equal_weights_the_sum_is_the_linear_layer_of_a_concatenation():
    """At the start, on complete samples."""
    fuse = weighed()
    tokens, valid = torch.randn(5, 3, 8).double(), torch.ones(5, 3, dtype=torch.bool)
    fused, weights = summed(fuse, tokens, valid)
    side_by_side = fuse.norm(tokens).flatten(1)
    expected = side_by_side @ fuse.value.flatten(0, 1) + fuse.learned
    torch.testing.assert_close(fused, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(weights, torch.full((5, 2, 4), 0.25).double())


def test_weights_sum_to_one_over_what_is_there():
    """An absent modality has exactly none; the learned token always has some."""
    fuse = weighed()
    nn.init.normal_(fuse.score.weight)
    tokens = torch.randn(8, 3, 8).double()
    valid = torch.arange(8)[:, None].bitwise_and(torch.tensor([1, 2, 4])) > 0
    fused, weights = summed(fuse, tokens, valid)
    torch.testing.assert_close(weights.sum(-1), torch.ones(8, 2).double())
    assert (weights[:, :, :3].masked_fill(valid[:, None], 0) == 0).all()
    assert (weights[:, :, 3] > 0).all()
    for i in range(8):
        alone, _ = summed(fuse, tokens[i : i + 1], valid[i : i + 1])
        torch.testing.assert_close(alone[0], fused[i], rtol=0, atol=1e-12)


@dataclass
class Said:
    main: Tensor
    auxiliary: dict[str, tuple[Tensor, Tensor]]


def test_readouts_are_the_joint_head_the_vote_and_their_mean():
    """The vote is the mean of logits over who is there; `both` the mean of probabilities.

    One modality alone answers by its own head, whatever is read.
    """
    a, b = torch.tensor([[1.0, 3.0], [2.0, 0.0]]), torch.tensor([[5.0, 1.0]])
    main = torch.tensor([[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]])
    said = Said(main, {"a": (torch.tensor([0, 1]), a), "b": (torch.tensor([1]), b)})
    vote = torch.stack([a[0], (a[1] + b[0]) / 2, torch.zeros(2)])
    # The first sample has one modality, the second two, the third none.
    joint = torch.stack([a[0], main[1], main[2]])
    read = readouts("cross_entropy", said)
    assert tuple(read) == READOUTS
    torch.testing.assert_close(read["joint"].exp(), joint.softmax(1))
    torch.testing.assert_close(read["heads"].exp(), vote.softmax(1))
    torch.testing.assert_close(read["both"].exp(), (joint.softmax(1) + vote.softmax(1)) / 2)
    numbers = readouts("squared_error", said)
    torch.testing.assert_close(numbers["joint"], joint)
    torch.testing.assert_close(numbers["heads"], vote)
    torch.testing.assert_close(numbers["both"], (joint + vote) / 2)
    assert set(readouts("squared_error", Said(main, {}))) == {"joint"}


def test_the_check_finds_a_joint_head_that_is_wrong():
    """With a fused head that shouts nonsense, the vote of the heads is what counts."""

    class Shouting(TinyNetwork):
        def forward(self, batch, presence, *, need_weights=False):
            said = super().forward(batch, presence, need_weights=need_weights)
            noise = torch.cos(1e4 * said.main.detach())
            return replace(said, main=said.main if self.training else 20 * noise)

    settings = Settings(max_epochs=4, batch_size=32, learning_rate=1e-2)
    for record in train(Shouting(), **cohort(), settings=settings).history:
        read = record["readouts"]
        assert record["check_loss"] == min(read.values()) == read["heads"] < read["joint"]
    for record in train(TinyNetwork(), **cohort(), settings=settings).history:
        assert record["check_loss"] == min(record["readouts"].values())
        assert np.isfinite(list(record["readouts"].values())).all()
