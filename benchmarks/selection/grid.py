"""The sixty simulated deployments, and their division into a half to calibrate and one to hold out.

    python benchmarks/selection/grid.py

writes cells.json anew, byte for byte the same: one seed, a Latin hypercube over the axes below, and
for each cell a child of the seed that settles what the axes leave open (which modality is the
rarest, how the signal is shared out). Of many hypercubes the one whose axes are correlated least is
taken, and of many divisions into halves the one whose halves differ least; neither looks at
anything but the cells themselves. Cells are never changed: a new grid is a new seed, a new file
name, and a line in docs/heldout_looks.md.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import qmc

Array = npt.NDArray[np.float64]

SEED = 20_261_127
N_CELLS = 60
PATH = Path(__file__).with_name("cells.json")
HALVES = ("calibration", "heldout")
AXES = (
    "absent",
    "mechanism",
    "training",
    "training_absent",
    "ratio",
    "samples",
    "modalities",
    "signal",
    "interaction",
    "stream",
    "prior",
    "task",
    "cohort",
    "validation",
    "answers",
    "known_from",
    "interpretability",
    "requirement",
)
N_CUBES, N_DIVISIONS = 300, 5_000
# Rates that sum to less would leave many samples with nothing.
LEAST_TOTAL_RATE = 1.3


def hypercube(seed: np.random.SeedSequence) -> Array:
    """Return the places of the cells on the axes (N_CELLS, axes), each in its own sixtieth."""
    drawn = [
        qmc.LatinHypercube(len(AXES), rng=np.random.default_rng(child)).random(N_CELLS)
        for child in seed.spawn(N_CUBES)
    ]
    # Of a hypercube the ranks are the places, so this is close to Spearman's correlation.
    upper = np.triu_indices(len(AXES), 1)
    largest = [float(np.abs(np.corrcoef(cube.T)[upper]).max()) for cube in drawn]
    return drawn[int(np.argmin(largest))]


def pick(place: float, shares: dict[str, float]) -> str:
    """Return the level that a place between 0 and 1 falls on; shares sum to one."""
    edges = np.cumsum(list(shares.values()))
    return list(shares)[min(int(np.searchsorted(edges, place, side="right")), len(shares) - 1)]


def between(place: float, low: float, high: float) -> float:
    """Return an amount between two limits."""
    return low + place * (high - low)


def between_powers(place: float, low: float, high: float) -> float:
    """Return an amount between two limits, even on the logarithmic scale."""
    return float(low * (high / low) ** place)


def levels(at: dict[str, float]) -> dict[str, Any]:
    """Return what the places of one cell mean."""
    # Three cells in ten are nearly always complete, half of those quite: five of the eight rules
    # of the matrix ask for it, and one in eight would be too few to judge them by.
    place = at["absent"]
    absent = (
        0.0
        if place < 0.15
        else between((place - 0.15) / 0.15, 0, 0.1)
        if place < 0.3
        else between((place - 0.3) / 0.7, 0.1, 0.8)
    )
    # A sixth of sixty: exactly ten cells of more than 5,000 samples.
    place = at["samples"]
    samples = (
        between_powers(place * 6 / 5, 200, 5_000)
        if place < 5 / 6
        else between_powers((place - 5 / 6) * 6, 5_000, 20_000)
    )
    return {
        "absent": round(absent, 3),
        "mechanism": pick(at["mechanism"], dict.fromkeys(("mcar", "mar", "informative"), 1 / 3)),
        "training": pick(at["training"], {"complete": 0.35, "same": 0.25, "own": 0.4}),
        "training_absent": round(between(at["training_absent"], 0, 0.6), 3),
        "ratio": round(between_powers(at["ratio"], 1, 1_000), 2),
        "samples": round(samples),
        "modalities": int(pick(at["modalities"], {"2": 0.2, "3": 0.35, "4": 0.25, "5": 0.2})),
        "signal": round(between(at["signal"], 0.8, 2.6), 2),
        "interaction": pick(at["interaction"], {"none": 0.5, "multiplicative": 0.25, "xor": 0.25}),
        "stream": pick(at["stream"], {"none": 0.4, "values": 0.15, "times": 0.225, "order": 0.225}),
        "prior": round(between(at["prior"], 0.1, 0.5), 2),
        "task": pick(at["task"], {"binary": 5 / 6, "multiclass": 1 / 6}),
        "cohort": pick(at["cohort"], {"open": 0.5, "controlled": 0.5}),
        "validation": pick(at["validation"], {"declared": 0.6, "none": 0.4}),
        "answers": pick(at["answers"], {"unknown": 0.6, "declared": 0.4}),
        "known_from": pick(
            at["known_from"], {"log": 0.45, "rates": 0.35, "patterns": 0.1, "nothing": 0.1}
        ),
        "interpretability": pick(at["interpretability"], {"preferred": 0.85, "required": 0.15}),
        "requirement": pick(at["requirement"], {"none": 0.6, "without the rarest": 0.4}),
    }


def widths_of(level: dict[str, Any], names: list[str], rng: np.random.Generator) -> dict[str, int]:
    """Return the number of columns of each modality, of events per sample for the stream.

    The narrowest and the widest table stand in the cell's ratio, about a geometric mean of 20 to
    30; other tables lie between them, and which is which is drawn.
    """
    ratio = level["ratio"]
    narrow = max(1, round(20 * ratio**-0.43))
    tables = [name for name in names if name != "stream"]
    inner = rng.random(max(0, len(tables) - 2))
    # A single table beside a stream of two variables is the wide one.
    places = rng.permutation([1.0, 0.0, *inner][: len(tables)])
    found = {
        name: max(1, round(narrow * ratio**place))
        for name, place in zip(tables, places, strict=True)
    }
    if "stream" in names:
        found["stream"] = int(rng.integers(12, 41))
    return found


def signals_of(
    level: dict[str, Any], names: list[str], pair: list[str], rng: np.random.Generator
) -> dict[str, float]:
    """Return the strengths: of a pair strong enough to be met, of the others a share of the whole."""
    alone = [name for name in names if name not in pair]
    shares = np.sqrt(rng.dirichlet(np.full(max(1, len(alone)), 2.0)))
    found = {
        name: round(float(level["signal"] * s), 2) for name, s in zip(alone, shares, strict=False)
    }
    found |= {name: round(float(rng.uniform(1.8, 3.2)), 2) for name in pair}
    return {name: found[name] for name in names}


def availability_of(
    absent: float,
    mechanism: str,
    names: list[str],
    always: str | None,
    rng: np.random.Generator,
) -> tuple[dict[str, dict[str, Any]], str]:
    """Return how often the modalities that may be absent are there, and the rarest."""
    may = [name for name in names if name != always]
    rarest = str(rng.choice(may))
    shares = {n: absent if n == rarest else absent * rng.uniform(0.2, 1) for n in may}
    strength = round(float(rng.uniform(0.5, 1.5)), 2)
    if absent == 0:
        return {}, rarest
    found = {}
    for name, share in shares.items():
        found[name] = {"rate": round(1 - float(share), 3), "mechanism": mechanism}
        if mechanism != "mcar":
            found[name]["strength"] = strength
        if mechanism == "mar":
            found[name]["depends_on"] = always
    return found, rarest


def total_rate(availability: dict[str, dict[str, Any]], names: list[str]) -> float:
    """Return the sum of the rates."""
    return sum(availability.get(name, {"rate": 1.0})["rate"] for name in names)


def cell(name: str, place: Array, seed: np.random.SeedSequence) -> dict[str, Any]:
    """Return one cell: its levels, the arguments of the cohort, and what its user declares."""
    level = levels(dict(zip(AXES, map(float, place), strict=True)))
    rng = np.random.default_rng(seed)
    if level["interaction"] != "none":
        level["modalities"] = max(3, level["modalities"])
    names = [f"m{i}" for i in range(1, level["modalities"] + 1)]
    if level["stream"] != "none":
        names[-1] = "stream"
    pair: list[str] = []
    if level["interaction"] != "none":
        tables = [n for n in names if n != "stream"]
        pair = [str(n) for n in rng.choice(tables, 2, replace=False)]
        # Where there is a stream, it is one of the two in half of the cells.
        if "stream" in names and rng.random() < 0.5:
            pair[int(rng.integers(2))] = "stream"
    widths = widths_of(level, names, rng)
    signal = signals_of(level, names, pair, rng)
    anchor = str(rng.choice(names))
    always = anchor if level["mechanism"] == "mar" or rng.random() < 0.5 else None
    deployment, rarest = availability_of(level["absent"], level["mechanism"], names, always, rng)
    mechanism = level["mechanism"] if rng.random() < 2 / 3 else "mcar"
    own = availability_of(level["training_absent"], mechanism, names, always or anchor, rng)[0]
    if total_rate(deployment, names) < LEAST_TOTAL_RATE:
        # Too little would be there: whatever is absent least then always is.
        deployment.pop(max(deployment, key=lambda n: deployment[n]["rate"]))
    training = {"complete": {}, "same": deployment, "own": own}[level["training"]]
    known = level["known_from"]
    if known == "rates" and training == deployment:
        known = "training"
    timing = "yes" if level["stream"] in ("times", "order") else "no"
    told = level["answers"] == "declared"
    prior = level["prior"]
    classes = [prior, (1 - prior) / 2, (1 - prior) / 2]
    return {
        "name": name,
        "half": None,
        "levels": level,
        "cohort": {
            "n_train": level["samples"],
            "modalities": widths,
            "signal": signal,
            "timing": {} if level["stream"] == "none" else {"stream": level["stream"]},
            "interaction": [*pair, level["interaction"]] if pair else None,
            "availability": training,
            "deployment_availability": deployment,
            "task": level["task"],
            "prior": prior if level["task"] == "binary" else [round(p, 3) for p in classes],
        },
        "known_from": known,
        "n_requests": int(rng.integers(200, 2_001)) if known == "log" else None,
        "declared": {
            "cohort": level["cohort"],
            "timing": timing if told else "unknown",
            "interaction": ("yes" if pair else "no") if told else "unknown",
            "interpretability": level["interpretability"],
            "validation": ["second site"] if level["validation"] == "declared" else [],
        },
        "requirements": (
            [{"absent": [rarest], "below_bayes": round(float(rng.uniform(0.03, 0.1)), 3)}]
            if level["requirement"] != "none"
            else []
        ),
    }


def traits(cells: list[dict[str, Any]], cube: Array) -> Array:
    """Return what the halves shall agree in (N_CELLS, traits): places, and levels one by one."""
    ordered = ("absent", "ratio", "samples", "signal", "modalities", "prior", "training_absent")
    columns = [cube[:, AXES.index(axis)] for axis in ordered]
    columns.append(np.array([c["levels"]["samples"] > 5_000 for c in cells], dtype=float))
    columns.append(np.array([c["levels"]["absent"] <= 0.1 for c in cells], dtype=float))
    for axis in AXES:
        if axis in ordered:
            continue
        values = [c["levels"][axis] for c in cells]
        columns += [np.array([v == one for v in values], float) for one in sorted(set(values))[1:]]
    # Where the matrix would see both kinds of signal, which few cells have.
    both = [
        c["cohort"]["interaction"] and c["levels"]["stream"] in ("times", "order") for c in cells
    ]
    columns.append(np.array([bool(b) for b in both], dtype=float))
    table = np.column_stack(columns)
    return (table - table.mean(axis=0)) / table.std(axis=0)


def divide(table: Array, seed: np.random.SeedSequence) -> npt.NDArray[np.bool_]:
    """Return which cells are held out: the even division whose largest difference is smallest."""
    rng = np.random.default_rng(seed)
    best, smallest = None, np.inf
    for _ in range(N_DIVISIONS):
        held = np.zeros(len(table), dtype=bool)
        held[rng.permutation(len(table))[: len(table) // 2]] = True
        largest = float(np.abs(table[held].mean(axis=0) - table[~held].mean(axis=0)).max())
        # Rounded, so that the last bits of a sum decide nothing.
        if round(largest, 9) < smallest:
            best, smallest = held, round(largest, 9)
    assert best is not None
    return best


def make() -> list[dict[str, Any]]:
    """Return all cells, with their halves."""
    for_cubes, for_cells, for_halves = np.random.SeedSequence(SEED).spawn(3)
    cube = hypercube(for_cubes)
    cells = [
        cell(f"c{number:02d}", place, child)
        for number, (place, child) in enumerate(
            zip(cube, for_cells.spawn(N_CELLS), strict=True), start=1
        )
    ]
    for one, held in zip(cells, divide(traits(cells, cube), for_halves), strict=True):
        one["half"] = HALVES[int(held)]
    return cells


def as_text(cells: list[dict[str, Any]]) -> str:
    """Return the text of cells.json: one cell a line."""
    lines = ",\n".join(json.dumps(one) for one in cells)
    return f'{{"seed": {SEED}, "cells": [\n{lines}\n]}}\n'


def read(half: str | None = None) -> list[dict[str, Any]]:
    """Return the cells as checked in, of one half or all."""
    cells: list[dict[str, Any]] = json.loads(PATH.read_text(encoding="utf-8"))["cells"]
    return [one for one in cells if half in (None, one["half"])]


if __name__ == "__main__":
    PATH.write_text(as_text(make()), encoding="utf-8")
