"""Encoders: vectors for who has the modality, whatever the length, the gaps and the padding."""

from __future__ import annotations

import builtins
import copy
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

import fusewise.nn.events
from fusewise.exceptions import (
    DatasetError,
    MissingDependencyError,
    ModelFormatError,
    ModelNotFoundError,
)
from fusewise.nn import (
    EventEncoder,
    EventRows,
    GivenEncoder,
    PiecewiseLinear,
    TableEncoder,
    TableRows,
    Tokens,
    WideTableEncoder,
    load_weights,
)
from fusewise.nn.embeddings import TimeEncoding, normal_edges

POISON = (float("nan"), float("inf"), 1e30)


def table_rows(k: int = 6, *, n_levels: tuple[int, ...] = (3, 4)) -> TableRows:
    """Return five numeric columns, with gaps, for every second of the samples."""
    generator = torch.Generator().manual_seed(k)
    missing = torch.rand(k, 5, generator=generator) < 0.3
    codes = [torch.randint(0, levels + 1, (k, 1), generator=generator) for levels in n_levels]
    return TableRows(
        n=2 * k,
        sample=2 * torch.arange(k),
        values=torch.randn(k, 5, generator=generator).masked_fill(missing, 0),
        missing=missing,
        codes=torch.cat(codes, dim=1) if codes else torch.zeros(k, 0, dtype=torch.long),
    )


def event_rows(
    lengths: tuple[int, ...] = (3, 0, 700, 1, 4, 650), *, n_values: int = 1
) -> EventRows:
    """Return events of seven variables, with gaps, and a summary of five columns."""
    generator = torch.Generator().manual_seed(len(lengths))
    length = torch.tensor(lengths)
    start = torch.cat([length.new_zeros(1), length.cumsum(0)])
    t = int(start[-1])
    missing = torch.rand(t, n_values, generator=generator) < 0.2
    summary = table_rows(len(lengths), n_levels=())
    return EventRows(
        n=summary.n,
        sample=summary.sample,
        start=start,
        time=torch.rand(t, generator=generator),
        variable=torch.randint(0, 7, (t,), generator=generator),
        values=torch.randn(t, n_values, generator=generator).masked_fill(missing, 0),
        missing=missing,
        summary=summary,
    )


def made(kind: str) -> tuple[nn.Module, TableRows | EventRows]:
    """Return an encoder of each kind in evaluation mode, with rows for it."""
    torch.manual_seed(0)
    if kind in {"piecewise", "periodic", "linear"}:
        return TableEncoder(5, (3, 4), 8, embedding=kind).eval(), table_rows()
    if kind == "wide":
        return WideTableEncoder(5, 8, n_levels=(3, 4), rank=4).eval(), table_rows()
    if kind == "windows":
        return EventEncoder(7, 3, 8, n_heads=2).eval(), event_rows(n_values=3)
    tokens = "summary" if kind == "summary" else "events"
    encoder = EventEncoder(7, 1, 8, n_heads=2, n_summary=5, tokens=tokens)
    return encoder.eval(), event_rows()


TABLES = ("piecewise", "periodic", "linear", "wide")
EVENTS = ("events", "summary", "windows")


def one_by_one(encoder: nn.Module, rows: TableRows | EventRows) -> list[Tokens]:
    """Return the tokens of each row encoded alone."""
    yes = torch.tensor([True])
    return [encoder(rows.take(rows.sample[i : i + 1], yes)) for i in range(rows.n_rows)]


@pytest.mark.parametrize("kind", TABLES + EVENTS)
def test_a_row_alone_equals_itself_in_a_batch(kind) -> None:
    """Other rows, and the padding that they cause, change nothing; no row lacks a token."""
    encoder, rows = made(kind)
    encoder.double()
    together = encoder(rows)
    assert torch.equal(together.sample, rows.sample)
    assert together.valid.any(dim=1).all()
    for i, alone in enumerate(one_by_one(encoder, rows)):
        valid = together.valid[i]
        assert torch.allclose(together.values[i, valid], alone.values[0], atol=1e-9, rtol=0)
        assert torch.equal(together.time[i, valid], alone.time[0])
        assert not together.values[i, ~valid].any()
        assert not together.time[i, ~valid].any()


@pytest.mark.parametrize("kind", EVENTS)
def test_length_buckets_equal_one_padded_batch(kind, monkeypatch) -> None:
    """Outputs and gradients are those of all rows padded to the longest."""
    encoder, rows = made(kind)
    encoder.double()
    seen: list[int] = []
    whole = fusewise.nn.events.length_buckets

    def spied(lengths: Tensor, *, n_buckets: int) -> list[Tensor]:
        seen.append(len(whole(lengths, n_buckets=n_buckets)))
        return whole(lengths, n_buckets=n_buckets)

    monkeypatch.setattr(fusewise.nn.events, "length_buckets", spied)
    bucketed, gradients = outputs_and_gradients(encoder, rows)
    encoder.n_buckets = 1
    padded, expected = outputs_and_gradients(encoder, rows)
    assert seen[0] > 1
    assert seen[1] == 1
    assert torch.allclose(bucketed.values, padded.values, atol=1e-9, rtol=0)
    assert torch.equal(bucketed.valid, padded.valid)
    assert torch.equal(bucketed.time, padded.time)
    for name, gradient in expected.items():
        assert torch.allclose(gradients[name], gradient, atol=1e-6, rtol=1e-6), name


def outputs_and_gradients(encoder: nn.Module, rows) -> tuple[Tokens, dict[str, Tensor]]:
    """Return the tokens and the gradient of each parameter for a sum over valid tokens."""
    encoder.zero_grad()
    tokens = encoder(rows)
    weight = torch.linspace(-1, 1, tokens.values.shape[-1], dtype=tokens.values.dtype)
    (tokens.values[tokens.valid] * weight).sum().backward()
    return tokens, {
        name: parameter.grad.clone()
        for name, parameter in encoder.named_parameters()
        if parameter.grad is not None
    }


@pytest.mark.parametrize("poison", POISON)
@pytest.mark.parametrize("kind", EVENTS)
def test_poison_in_padded_slots_changes_nothing(kind, poison, monkeypatch) -> None:
    """What stands in padding and in missing cells changes no output and no gradient by one bit."""
    encoder, rows = made(kind)
    clean, expected = outputs_and_gradients(encoder, rows)
    slots = EventRows.slots

    def poisoned(self: EventRows, index: Tensor | None = None) -> tuple[Tensor, Tensor]:
        event, valid = slots(self, index)
        return event.masked_fill(~valid, len(self.time) - 1), valid

    monkeypatch.setattr(EventRows, "slots", poisoned)
    rows = replace(rows, values=rows.values.masked_fill(rows.missing, poison))
    dirty, gradients = outputs_and_gradients(encoder, rows)
    assert torch.equal(dirty.values, clean.values)
    assert torch.equal(dirty.time, clean.time)
    assert gradients.keys() == expected.keys()
    assert all(torch.equal(gradients[name], expected[name]) for name in expected)


@pytest.mark.parametrize("poison", POISON)
@pytest.mark.parametrize("kind", TABLES)
def test_poison_under_missing_cells_changes_nothing(kind, poison) -> None:
    """What stands in the cells that are flagged as missing reaches neither output nor gradient."""
    encoder, rows = made(kind)
    clean, expected = outputs_and_gradients(encoder, rows)
    dirty, gradients = outputs_and_gradients(
        encoder, replace(rows, values=rows.values.masked_fill(rows.missing, poison))
    )
    assert torch.equal(dirty.values, clean.values)
    assert all(torch.equal(gradients[name], expected[name]) for name in expected)


@pytest.mark.parametrize("kind", TABLES)
def test_a_missing_cell_differs_from_a_zero(kind) -> None:
    """An empty cell and a zero in it give different tokens."""
    encoder, rows = made(kind)
    zero = replace(rows, missing=torch.zeros_like(rows.missing))
    empty = replace(zero, missing=torch.eye(6, 5, dtype=torch.bool))
    values = torch.zeros_like(rows.values)
    one = encoder(replace(zero, values=values)).values
    other = encoder(replace(empty, values=values)).values
    differs = (one - other).abs().amax(dim=(1, 2)) > 1e-6
    assert differs.tolist() == [True] * 5 + [False]


def test_an_event_without_a_value_differs_from_a_zero() -> None:
    """An event whose value is missing is not the same event with the value zero."""
    encoder, rows = made("events")
    zero = replace(rows, values=torch.zeros_like(rows.values))
    flagged = encoder(replace(zero, missing=torch.ones_like(rows.missing)))
    plain = encoder(replace(zero, missing=torch.zeros_like(rows.missing)))
    has_events = rows.lengths > 0
    differs = (flagged.values - plain.values).abs().amax(dim=(1, 2)) > 1e-6
    assert torch.equal(differs, has_events)


@pytest.mark.parametrize("kind", EVENTS)
def test_a_row_without_events_has_the_summary_token(kind) -> None:
    """An empty, present list gives one valid token; so do rows that are all empty."""
    encoder, rows = made(kind)
    tokens = encoder(rows)
    assert tokens.valid.sum(dim=1)[1] == 1
    assert tokens.values[1, 0].any()
    void = rows.take(torch.tensor([2, 2]), torch.tensor([True, True]))
    assert encoder(void).values.shape == (2, 1, 8)
    assert torch.isfinite(encoder(void).values).all()


@pytest.mark.parametrize("kind", TABLES + EVENTS)
def test_no_row_gives_no_token(kind) -> None:
    """A batch in which nobody has the modality gives tokens of no rows."""
    encoder, rows = made(kind)
    none = rows.take(torch.tensor([1, 3]), torch.tensor([True, True]))
    tokens = encoder(none)
    assert tokens.values.shape == (0, 1, 8)
    assert len(tokens.sample) == 0


def test_an_event_is_shown_the_one_before_it_and_no_other() -> None:
    """Without attention a change reaches the event itself and the next of the same row."""
    torch.manual_seed(0)
    encoder, rows = EventEncoder(7, 1, 8, n_layers=0).eval().double(), event_rows()
    base = encoder(rows)
    row, (first, last) = max(
        enumerate(pairwise(rows.start.tolist())), key=lambda found: found[1][1] - found[1][0]
    )
    assert last - first >= 4
    values = rows.values.clone()
    values[first + 1] += 1.0
    missing = rows.missing.clone()
    missing[first + 1] = False
    now = encoder(replace(rows, values=values, missing=missing))
    moved = (now.values != base.values).any(dim=2).nonzero().tolist()
    # The first token is the summary.
    assert moved == [[row, 2], [row, 3]]


def test_the_summary_token_alone_is_that_of_all_tokens() -> None:
    """Asking for the summary token saves work and changes nothing."""
    torch.manual_seed(0)
    encoder, rows = EventEncoder(7, 1, 8, n_heads=2, n_summary=5).eval().double(), event_rows()
    every = encoder(rows)
    encoder.tokens = "summary"
    alone = encoder(rows)
    assert alone.values.shape == (6, 1, 8)
    assert torch.allclose(alone.values[:, 0], every.values[:, 0], atol=1e-9, rtol=0)


def test_events_reach_the_summary_token() -> None:
    """A value, a time, a variable and the summary each change the summary token."""
    encoder, rows = made("summary")
    nn.init.normal_(encoder.layers[-1].attention.join.weight)  # at first events add nothing
    base = encoder(rows).values
    assert rows.summary is not None
    changed = {
        "values": rows.values + 1,
        "time": rows.time + 0.3,
        "variable": (rows.variable + 1) % 7,
        "summary": replace(rows.summary, values=rows.summary.values + 1),
    }
    for name, part in changed.items():
        moved = (encoder(replace(rows, **{name: part})).values - base).abs().amax(dim=(1, 2))
        assert (moved > 1e-6).tolist() == [name == "summary" or n > 0 for n in rows.lengths], name


def test_event_dropout_leaves_out_events_in_training_alone() -> None:
    """Training leaves out about the asked share, never the summary token; prediction none."""
    torch.manual_seed(0)
    encoder, rows = EventEncoder(7, 1, 8, n_heads=2, event_dropout=0.5), event_rows()
    training, valid = encoder(rows).valid, encoder.eval()(rows).valid
    assert training[:, 0].all()
    assert 0.4 < training.sum() / valid.sum() < 0.6
    assert torch.equal(valid.sum(dim=1), rows.lengths + 1)


@pytest.mark.parametrize("kind", TABLES + EVENTS)
def test_double_precision_and_single_agree(kind) -> None:
    """The same network in double precision takes the same rows and gives the same tokens."""
    encoder, rows = made(kind)
    single = encoder(rows).values
    double = copy.deepcopy(encoder).double()(rows).values
    assert double.dtype == torch.float64
    assert torch.allclose(double.float(), single, atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", TABLES + EVENTS)
def test_all_parameters_learn(kind) -> None:
    """Every parameter takes a gradient: none was forgotten on the way."""
    encoder, rows = made(kind)
    _, gradients = outputs_and_gradients(encoder, rows)
    assert {name for name, _ in encoder.named_parameters()} == set(gradients)
    assert all(torch.isfinite(gradient).all() for gradient in gradients.values())


@pytest.mark.parametrize("embedding", ["piecewise", "periodic", "linear"])
def test_a_table_without_columns_has_a_token(embedding) -> None:
    """A table whose columns all went still tells that it is there."""
    encoder = TableEncoder(0, (), 8, embedding=embedding)
    rows = TableRows(
        n=3, sample=torch.tensor([1]), values=torch.zeros(1, 0),
        missing=torch.zeros(1, 0, dtype=torch.bool), codes=torch.zeros(1, 0, dtype=torch.long),
    )  # fmt: skip
    assert encoder(rows).values.shape == (1, 1, 8)


def test_rows_of_other_columns_are_refused() -> None:
    """Other numbers of columns, of values per event, or a lacking summary are named."""
    table, events = table_rows(), event_rows()
    with pytest.raises(DatasetError, match="5 numeric and 2 categorical .* made for 4 and 2"):
        TableEncoder(4, (3, 4), 8)(table)
    with pytest.raises(DatasetError, match="5 numeric and 2 categorical .* made for 5 and 0"):
        WideTableEncoder(5, 8)(table)
    with pytest.raises(DatasetError, match="have 1 values each; .* made for 2"):
        EventEncoder(7, 2, 8)(events)
    with pytest.raises(DatasetError, match="came without a summary"):
        EventEncoder(7, 1, 8, n_summary=5)(replace(events, summary=None))
    with pytest.raises(DatasetError, match="embedding='cubic' does not exist"):
        TableEncoder(5, (), 8, embedding="cubic")
    with pytest.raises(DatasetError, match="tokens='all' does not exist"):
        EventEncoder(7, 1, 8, tokens="all")
    with pytest.raises(DatasetError, match="edges for 3 columns, expected 5"):
        TableEncoder(5, (), 8, edges=normal_edges(3, 4))


def test_piecewise_linear_encoding_is_the_published_one() -> None:
    """Bins passed are 1, bins ahead 0, the own bin the share passed; outer bins go on."""
    encode = PiecewiseLinear(torch.tensor([[0.0, 1.0, 2.0, 4.0]]))
    known = {
        -0.5: [-0.5, 0, 0],
        0.0: [0, 0, 0],
        0.25: [0.25, 0, 0],
        1.5: [1, 0.5, 0],
        3.0: [1, 1, 0.5],
        6.0: [1, 1, 2],
    }
    for value, bins in known.items():
        assert encode(torch.tensor([[value]]), torch.tensor([[False]])).tolist() == [[value, *bins]]
    around = PiecewiseLinear(torch.tensor([[-2.0, -1.0, 1.0]]))
    assert around(torch.tensor([[0.0]]), torch.tensor([[False]])).tolist() == [[0, 1, 0.5]]
    assert around(torch.tensor([[3.0]]), torch.tensor([[True]])).tolist() == [[0, 0, 0]]


def test_a_bin_of_no_width_is_a_step() -> None:
    """Equal edges, as from a column of few values, tell below from not below, and stay finite."""
    encode = PiecewiseLinear(torch.tensor([[1.0, 1.0, 2.0, 2.0]]))
    values = torch.tensor([[0.5], [1.0], [1.5], [2.0], [3.0]])
    bins = encode(values, torch.zeros(5, 1, dtype=torch.bool))[:, 1:]
    assert bins.tolist() == [[0, 0, 0], [1, 0, 0], [1, 0.5, 0], [1, 1, 1], [1, 1, 1]]


def test_edges_must_ascend() -> None:
    """Edges out of order are refused when the encoder is made."""
    with pytest.raises(DatasetError, match="must ascend"):
        PiecewiseLinear(torch.tensor([[1.0, 0.0, 2.0]]))


def test_edges_travel_with_the_weights() -> None:
    """A fresh encoder that takes another's state has its edges too."""
    rows = table_rows(n_levels=())
    one = TableEncoder(5, (), 8, edges=2 * normal_edges(5, 8)).eval()
    other = TableEncoder(5, (), 8).eval()
    other.load_state_dict(one.state_dict())
    assert torch.equal(other(rows).values, one(rows).values)


def test_times_near_and_far_are_told_apart() -> None:
    """Any finite time, after the reference too, gives finite features; close times differ."""
    encode = TimeEncoding()
    times = torch.tensor([-5.0, -0.01, 0.0, 0.001, 0.01, 0.5, 0.51, 1.0, 40.0])
    features = encode(times)
    assert features.shape == (9, encode.out_width)
    assert torch.isfinite(features).all()
    assert torch.pdist(features).min() > 0.02


class Mean(nn.Module):
    """A user's encoder of events: a mean over valid events, then a batch norm."""

    def __init__(self, n_values: int, out: int) -> None:
        super().__init__()
        self.mix = nn.Linear(n_values, out)
        self.norm = nn.BatchNorm1d(out)

    def forward(self, values: Tensor, time: Tensor, variable: Tensor, valid: Tensor) -> Tensor:
        assert values.shape[:2] == time.shape == variable.shape == valid.shape
        assert not values[~valid].any()
        total = values.sum(dim=1) / valid.sum(dim=1, keepdim=True).clamp_min(1)
        return self.norm(self.mix(total))


def trained(encoder: GivenEncoder, rows) -> None:
    """Take a step with strong decay over all that may change."""
    encoder.train()
    free = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(free, lr=0.1, weight_decay=0.5)
    for _ in range(2):
        optimiser.zero_grad()
        encoder(rows).values.square().mul(torch.arange(8)).sum().backward()
        optimiser.step()


@pytest.mark.parametrize("frozen", [True, False])
def test_a_frozen_encoder_keeps_its_weights(frozen) -> None:
    """Frozen: no weight or running mean changes, only our projection. Else the copy learns."""
    torch.manual_seed(0)
    module = Mean(1, 3)
    before = copy.deepcopy(module.state_dict())
    encoder = GivenEncoder(module, 3, 8, frozen=frozen, name="notes")
    project = encoder.project.weight.clone()
    trained(encoder, event_rows())
    assert not torch.equal(encoder.project.weight, project)
    same = [torch.equal(encoder.module.state_dict()[name], part) for name, part in before.items()]
    assert all(same) if frozen else not any(same)
    assert encoder.module.training is not frozen
    assert any(part.requires_grad for part in encoder.module.parameters()) is not frozen
    assert all(torch.equal(module.state_dict()[name], part) for name, part in before.items())
    assert module.training
    assert all(parameter.requires_grad for parameter in module.parameters())


def test_a_given_encoder_sees_numbers_and_categories() -> None:
    """A table's module takes its numbers, clean, and its codes only where there are some."""

    class Both(nn.Module):
        def forward(self, values: Tensor, codes: Tensor | None = None) -> Tensor:
            return values if codes is None else torch.cat([values, codes], dim=1)

    rows = table_rows()
    poisoned = replace(rows, values=rows.values.masked_fill(rows.missing, float("nan")))
    encoder = GivenEncoder(Both(), 7, 8)
    assert torch.equal(encoder(poisoned).values, encoder(rows).values)
    assert encoder(rows).values.shape == (6, 1, 8)
    assert GivenEncoder(Both(), 5, 8)(table_rows(n_levels=())).values.shape == (6, 1, 8)


@pytest.mark.parametrize(
    ("module", "shown"),
    [
        (nn.Linear(5, 3), r"the shape \(6, 3\)"),
        (nn.Flatten(0), r"the shape \(30,\)"),
        (nn.LSTM(5, 4), "an object of type tuple"),
    ],
)
def test_a_wrong_width_is_named(module, shown) -> None:
    """The error names the modality, what came and what was expected."""
    encoder = GivenEncoder(module, 4, 8, name="imaging")
    with pytest.raises(DatasetError, match=rf"'imaging' returned {shown}; expected .*\(6, 4\)"):
        encoder(table_rows(n_levels=()))


def test_batch_norm_of_one_row_is_explained() -> None:
    """One sample of a batch has the modality: the error names it and says what to do."""
    module = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4))
    encoder = GivenEncoder(module, 4, 8, name="imaging")
    rows = table_rows(n_levels=())
    one = rows.take(rows.sample[:1], torch.ones(1, dtype=torch.bool))
    words = "'imaging' .*one of the samples in a batch.* LayerNorm.* batch_size"
    with pytest.raises(DatasetError, match=words):
        encoder(one)
    assert encoder.eval()(one).values.shape == (1, 1, 8)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
def test_weights_come_from_a_file(tmp_path, suffix) -> None:
    """Saved weights of either format fill another module of the same shape."""
    one, other, path = nn.Linear(5, 3), nn.Linear(5, 3), tmp_path / f"weights{suffix}"
    if suffix == ".safetensors":
        pytest.importorskip("safetensors.torch").save_file(one.state_dict(), path)
    else:
        torch.save(one.state_dict(), path)
    load_weights(other, path)
    assert torch.equal(other.weight, one.weight)
    assert torch.equal(other.bias, one.bias)


def test_weights_that_do_not_fit_are_refused(tmp_path) -> None:
    """Lacking, foreign and misshapen weights are named, and the module stays as it was."""
    path, module = tmp_path / "weights.pt", nn.Linear(5, 3)
    before = module.weight.clone()
    torch.save({"weight": torch.zeros(3, 4), "other": torch.zeros(1)}, path)
    with pytest.raises(
        ModelFormatError,
        match=r"lacks bias; has other, .*weight of shape \(3, 4\), expected \(3, 5\)",
    ):
        load_weights(module, path)
    assert torch.equal(module.weight, before)


class Wicked:
    """An object that would run code when unpickled."""

    def __reduce__(self):
        return (print, ("ran",))


def test_a_file_cannot_run_code_or_be_damaged(tmp_path, capsys) -> None:
    """Files with more than tensors, damaged ones, other suffixes and no file end in clear errors."""
    module = nn.Linear(5, 3)
    wicked, damaged, foreign = tmp_path / "a.pt", tmp_path / "b.pt", tmp_path / "c.bin"
    torch.save({"weight": Wicked()}, wicked)
    damaged.write_bytes(b"not a file of weights")
    foreign.write_bytes(b"")
    with pytest.raises(ModelFormatError, match="no plain weights, or is damaged"):
        load_weights(module, wicked)
    assert "ran" not in capsys.readouterr().out
    with pytest.raises(ModelFormatError, match="no plain weights, or is damaged"):
        load_weights(module, damaged)
    with pytest.raises(ModelFormatError, match="suffix '.bin'"):
        load_weights(module, foreign)
    with pytest.raises(ModelNotFoundError, match="no file with weights"):
        load_weights(module, tmp_path / "nowhere.pt")
    torch.save([torch.zeros(1)], wicked)
    with pytest.raises(ModelFormatError, match="weights by name"):
        load_weights(module, wicked)
    (tmp_path / "d.safetensors").write_bytes(b"not a file of weights")
    pytest.importorskip("safetensors")
    with pytest.raises(ModelFormatError, match="no readable safetensors"):
        load_weights(module, tmp_path / "d.safetensors")


def test_safetensors_is_asked_for_where_it_lacks(tmp_path, monkeypatch) -> None:
    """Without the library its files are refused with the command that installs it."""
    path, real = tmp_path / "weights.safetensors", builtins.__import__
    path.write_bytes(b"")

    def without(name, *args):
        if name.startswith("safetensors"):
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependencyError, match="pip install safetensors"):
        load_weights(nn.Linear(5, 3), path)
