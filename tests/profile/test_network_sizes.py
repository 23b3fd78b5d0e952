"""Formulas of what networks cost, held against networks that are built."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import fusewise as fw
from fusewise.fusion.architecture import WIDE, build
from fusewise.fusion.tensors import fit_tensor_encoders
from fusewise.profile.network_sizes import DEFAULTS, network_multiply_adds, network_weights
from fusewise.profile.sizes import LONGEST, N_WINDOWS, sizes_table

KINDS = {
    "intermediate": fw.IntermediateFusionClassifier,
    "attention": fw.AttentionFusionClassifier,
}
N = 240


def cohort() -> fw.MultimodalDataset:
    """A table with categories, a wide one, a short stream, a long one, one of many variables."""
    rng = np.random.default_rng(0)
    ids = np.arange(N)
    table = pd.DataFrame(rng.normal(size=(N, 6))).add_prefix("x").assign(
        id=ids, constant=1.0, ward=rng.choice(list("abc"), N), site=rng.choice(20, N).astype(str)
    )  # fmt: skip
    table.loc[:30, "x0"] = np.nan
    wide = pd.DataFrame(rng.normal(size=(N, 1_100))).add_prefix("g").assign(id=ids)

    def stream(n_events: int, n_variables: int) -> fw.Modality:
        each = rng.poisson(n_events, N) + 1
        total = int(each.sum())
        frame = pd.DataFrame({"id": np.repeat(ids, each), "t": rng.uniform(0, 48, total).round(1),
            "variable": np.char.add("v", rng.integers(0, n_variables, total).astype(str)),
            "value": rng.normal(size=total)})  # fmt: skip
        return fw.Modality(frame, kind="events", time="t", variable="variable", value="value")

    return fw.MultimodalDataset(
        {"table": table, "wide": wide, "short": stream(8, 3), "long": stream(90, 4),
         "many": stream(20, 40), "manylong": stream(100, 35)},
        samples=pd.DataFrame({"id": ids, "y": rng.integers(0, 3, N), "at": 48.0}), id="id",
        target="y", task="multiclass", prediction_time="at",
    )  # fmt: skip


@pytest.fixture(scope="module")
def ds() -> fw.MultimodalDataset:
    """One cohort for all tests."""
    return cohort()


@pytest.fixture(scope="module")
def sizes(ds: fw.MultimodalDataset) -> dict[str, dict[str, Any]]:
    """Its sizes by modality."""
    table = sizes_table(ds, np.random.default_rng(0))
    return {str(row["modality"]): row for row in table.to_dict("records")}


def test_the_defaults_are_those_of_the_estimators() -> None:
    """Whoever changes a default of a network changes the estimate, too."""
    for kind in KINDS.values():
        estimator = kind()
        parts = estimator._sizes()
        assert estimator.width == DEFAULTS.width
        assert estimator.n_members == DEFAULTS.members
        assert parts["hidden"] == DEFAULTS.hidden
        assert parts["n_heads"] == DEFAULTS.heads
        assert parts["n_submodels"] == DEFAULTS.submodels
        assert parts["event_layers"] == 1
        assert parts["event_tokens"] == "summary"
    assert KINDS["intermediate"]().merge == "concatenate"
    assert KINDS["attention"]().mechanism == "hierarchical"
    assert KINDS["attention"]()._sizes()["n_layers"] == 1
    assert DEFAULTS.wide == WIDE


def test_sizes_are_those_of_the_tensors_that_networks_read(
    ds: fw.MultimodalDataset, sizes: dict[str, dict[str, Any]]
) -> None:
    """Columns, levels and tokens, before any encoder is fitted."""
    encoders = fit_tensor_encoders(ds, None)
    for name, encoder in encoders.items():
        row, own = sizes[name], encoder.sizes()
        assert row["columns"] == own["n_columns"]
        levels = own["n_levels"]
        assert row["level_inputs"] == sum(min(8, n + 1) for n in levels)
        assert row["level_weights"] == sum(min(8, n + 1) * (n + 1) for n in levels)
        if own["kind"] == "events":
            assert row["token_kinds"] == own["n_variables"]
            assert row["token_values"] == own["n_values"]
            tokens = len(encoder.transform(ds).time) / N
            assert row["tokens"] == pytest.approx(tokens, rel=0.02)
    assert sizes["short"]["tokens"] < LONGEST
    assert sizes["long"]["tokens"] <= N_WINDOWS


@pytest.mark.parametrize("strategy", KINDS)
@pytest.mark.parametrize(
    "names", [("table",), ("wide",), ("short",), ("many",), ("table", "wide", "long", "manylong")]
)
@pytest.mark.parametrize("outputs", [1, 3])
def test_weights_and_multiply_adds_are_those_of_a_built_network(
    ds: fw.MultimodalDataset,
    sizes: dict[str, dict[str, Any]],
    strategy: str,
    names: tuple[str, ...],
    outputs: int,
) -> None:
    """Weights within a hundredth; products within a twentieth, with one modality absent, too."""
    part = ds.only(*names)
    encoders = fit_tensor_encoders(part, None)
    estimator = KINDS[strategy]()
    spec = {
        "joining": estimator._joinings()[0], "width": estimator.width, "n_bins": 8,
        "dropout": estimator.dropout, "n_outputs": outputs, **estimator._sizes(),
        "modalities": {name: encoders[name].sizes() for name in names},
    }  # fmt: skip
    network = build(spec).eval()
    rows = [sizes[name] for name in sorted(names)]
    weights = sum(p.numel() for p in network.parameters())
    assert network_weights(strategy, rows, outputs) == pytest.approx(weights, rel=0.01)

    batch = {name: encoders[name].transform(part[:80]) for name in names}
    for absent in range(min(2, len(names))):
        presence = torch.ones(80, len(names), dtype=torch.bool)
        presence[:, :absent] = False
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            network(batch, presence)
        counted = counter.get_total_flops() / 2 / 80
        found = network_multiply_adds(strategy, len(names), rows[absent:], outputs)
        assert found == pytest.approx(counted, rel=0.05)
