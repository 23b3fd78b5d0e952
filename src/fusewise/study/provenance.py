"""How the results of a run were made, and what it tried: for the manifest and the report."""

from __future__ import annotations

import math
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from fusewise import __version__
from fusewise.study.plan import LEARNED, plan_training

if TYPE_CHECKING:
    from fusewise.study.job import Job

LIBRARIES = ("duckdb", "ibis-framework", "lightgbm", "numpy", "pandas", "pyarrow", "scikit-learn")


def provenance(job: Job) -> dict[str, Any]:
    """Return what somebody else needs to get the same numbers, as nested plain values."""
    data, plan = job.result("data"), plan_training(job)
    stages = job.folder.manifest["stages"]
    facts: dict[str, Any] = {
        "study": job.study.name,
        "study file": job.study.path.name,
        "fusewise": __version__,
        "python": platform.python_version(),
        "seed": job.study.seed,
        "trained": f"{plan.strategy} fusion, masking {plan.masking or 'none'}",
    }
    step = next_step(job)
    if step:
        facts["next step"] = step
    facts["samples"] = {
        "training": data.n_train,
        "of these inner validation": data.n_validation,
        "test": data.n_test,
    }
    facts["rounds"] = {
        str(number): describe_round(entry)
        for number, entry in enumerate(job.folder.manifest.get("rounds", ()), start=1)
    }
    facts["study settings"] = job.study.file.model_dump(exclude_defaults=True, mode="json")
    facts["fingerprints"] = {
        **job.table_hashes(),
        "training rows": data.train,
        "test rows": data.test,
    }
    used = (*LIBRARIES, "torch") if plan.strategy in LEARNED else LIBRARIES
    facts["libraries"] = {name: _version(name) for name in used}
    facts["seconds"] = {name: entry["seconds"] for name, entry in stages.items()}
    heard = {name: " ".join(e["warnings"]) for name, e in stages.items() if e.get("warnings")}
    return {**facts, "warnings": heard} if heard else facts


def next_alternatives(job: Job) -> tuple[str, ...]:
    """Where a requirement is not met, the alternatives that were not tried yet, in their order."""
    evaluation, advice = job.result("evaluate"), job.result("recommend")
    if evaluation is None or "not met" not in set(evaluation.requirements["status"]):
        return ()
    rows, tried = job.result("data").train, {plan_training(job).strategy}
    rounds = job.folder.manifest.get("rounds", ())
    tried |= {entry["strategy"] for entry in rounds if entry["rows"] == rows}
    order = (advice.strategy, *advice.alternatives)
    return tuple(strategy for strategy in order if strategy not in tried)


def next_step(job: Job) -> str:
    """Say what to do about requirements that are not met, or nothing."""
    evaluation = job.result("evaluate")
    if evaluation is None or "not met" not in set(evaluation.requirements["status"]):
        return ""
    left = next_alternatives(job)
    if not left:
        return (
            "A requirement is not met and every alternative was tried: the data or the "
            "requirement would have to change."
        )
    return (
        f"A requirement is not met. The next alternative is {left[0]} fusion: run again with "
        f"training.strategy={left[0]}. Nothing is switched without being asked."
    )


def note_round(job: Job) -> None:
    """Note what was trained and how it did, so that the report can tell each attempt."""
    plan, evaluation = plan_training(job), job.result("evaluate")
    first = evaluation.headline.iloc[0]
    entry = {
        "rows": job.result("data").train,
        "strategy": plan.strategy,
        "masking": plan.masking,
        "note": plan.note,
        "metric": str(first["metric"]),
        "score": [float(first[name]) for name in ("estimate", "low", "high")],
        "requirements": {
            str(status): int(n)
            for status, n in evaluation.requirements["status"].value_counts().items()
        },
    }
    rounds = job.folder.manifest.setdefault("rounds", [])
    if not rounds or rounds[-1] != entry:
        rounds.append(entry)


def describe_round(entry: dict[str, Any]) -> str:
    """Say one attempt in a line."""
    masked = f", masking {entry['masking']}" if entry["masking"] else ""
    score = spell_score(*entry["score"])
    answers = ", ".join(f"{n} {status}" for status, n in sorted(entry["requirements"].items()))
    return (
        f"{entry['strategy']} fusion{masked}: {entry['metric']} {score}"
        f"{f'; requirements: {answers}' if answers else ''}"
    )


def spell_score(estimate: float, low: float, high: float) -> str:
    """Write a score with its interval, or that there is none.

    Examples
    --------
    >>> spell_score(0.8, 0.75, 0.85), spell_score(float("nan"), float("nan"), float("nan"))
    ('0.800 [0.750, 0.850]', 'undefined')
    """
    if math.isnan(estimate):
        return "undefined"
    return f"{estimate:.3f}" + ("" if math.isnan(low) else f" [{low:.3f}, {high:.3f}]")


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"
