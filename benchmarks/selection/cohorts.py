"""Simulated deployments: from a cell of the grid to a cohort, and to what its user declares."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from selection.posed import Part, Posed

import fusewise as fw
from fusewise.data import Deployment
from fusewise.simulate import Availability, Cohort, Interaction

N_FRESH = 20_000
# Numbers held at a time: wide cells come in small parts.
_AT_ONCE = 5_000_000
_LARGEST = 25_000
# Test samples up to so many numbers are kept for the next strategy, more are drawn again.
_KEPT = 30_000_000
# Seed of the log of requests; those of the parts of the test are their numbers, from 0.
_LOG = 1_000_000


def entropy(cell: dict[str, Any], seed: int) -> int:
    """Return the seed of the cohort of one cell and training seed."""
    number = int(cell["name"][1:])
    return int(np.random.SeedSequence([number, seed]).generate_state(1)[0])


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


def known_of(cell: dict[str, Any], cohort: Cohort) -> dict[str, Any]:
    """Return what the user of a cell knows of availability in deployment."""
    known = cell["known_from"]
    if known == "nothing":
        return {}
    if known == "training":
        return {"observed": "training"}
    if known == "rates":
        rates = cohort.availability()["rate_deployment"]
        return {"rates": {str(name): float(rate) for name, rate in rates.items()}}
    if known == "patterns":
        return {"patterns": cohort.deployment.patterns}
    log = cohort.draw(cell["n_requests"], random_state=_LOG).patterns()
    counts = {str(p): int(n) for p, n in zip(log["pattern"], log["n"], strict=True)}
    return {"observed": counts}


def declared_of(cell: dict[str, Any], cohort: Cohort) -> Deployment:
    """Return what the user of a cell declares."""
    known = known_of(cell, cohort)
    facts = dict(cell["declared"]) | {"validation": tuple(cell["declared"]["validation"])}
    counts = known.get("observed")
    if isinstance(counts, dict):
        return Deployment(source="observed", counts=counts, **facts)
    return Deployment.of(known | facts)


def pose(cell: dict[str, Any], seed: int, n_fresh: int = N_FRESH) -> Posed:
    """Return the deployment of a cell under one seed."""
    cohort = cohort_of(cell, seed)
    width = sum(cell["cohort"]["modalities"].values())
    size = int(np.clip(_AT_ONCE // width, 1_000, min(_LARGEST, n_fresh)))

    kept: list[Part] = []

    def drawn() -> Iterator[Part]:
        for number, start in enumerate(range(0, n_fresh, size)):
            data = cohort.draw(min(size, n_fresh - start), random_state=number)
            bayes = cohort.bayes_proba(data, given_presence="deployment")
            yield Part(data, np.arange(len(data)) % 2 == 1, bayes, cohort.bayes_proba)

    def parts() -> Iterator[Part]:
        if width * n_fresh > _KEPT:
            return drawn()
        if not kept:
            kept.extend(drawn())
        return iter(kept)

    return Posed(
        name=cell["name"],
        cluster=cell["name"],
        half=cell["half"],
        seed=seed,
        train=cohort.train,
        deployment=declared_of(cell, cohort),
        parts=parts,
        requirements=cell["requirements"],
        facts={**cell["levels"], "known_from": cell["known_from"]},
    )
