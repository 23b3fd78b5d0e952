"""Simulated deployments: from a cell of the grid to a cohort, and to what its user declares."""

from __future__ import annotations

from typing import Any

import numpy as np

import fusewise as fw
from fusewise.simulate import Availability, Cohort, Interaction

# Spawn keys of one (cell, seed): what is drawn for a purpose never changes with another.
LOG = 1


def entropy(cell: dict[str, Any], seed: int) -> int:
    """Return the seed of the cohort of one cell and training seed."""
    number = int(cell["name"][1:])
    return int(np.random.SeedSequence([number, seed]).generate_state(1, np.uint32)[0])


def law(given: dict[str, dict[str, Any]]) -> dict[str, Availability]:
    """Return the availability that a cell writes as plain values."""
    return {name: Availability(**part) for name, part in given.items()}


def cohort_of(cell: dict[str, Any], seed: int) -> Cohort:
    """Return the cohort of a cell; each seed draws directions and training samples anew."""
    given = dict(cell["cohort"])
    pair = given.pop("interaction")
    return fw.make_cohort(
        given.pop("n_train"),
        1,
        interaction=Interaction(*pair) if pair else (),
        availability=law(given.pop("availability")),
        deployment_availability=law(given.pop("deployment_availability")),
        random_state=entropy(cell, seed),
        **given,
    )
