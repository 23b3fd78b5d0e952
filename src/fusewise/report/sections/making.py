"""How the report was made: enough to make it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fusewise.report.blocks import Listing, Section, Tree
from fusewise.report.numbers import count, known, plain
from fusewise.report.text import quote, say


def making_section(
    profile: Any, evaluation: Any, provenance: Mapping[str, Any] | None
) -> Section | None:
    """Build the section from what the results say of themselves and from `provenance`."""
    blocks: list[Any] = []
    facts = _facts(profile, evaluation)
    if facts:
        blocks.append(Tree(say("Results"), facts))
    given = dict(provenance or {})
    if evaluation is not None:
        # It stands beside the requirements.
        given.pop("next step", None)
    warnings = () if _branch(given.get("warnings")) else given.pop("warnings", None) or ()
    leaves = tuple((str(k), _leaf(k, v)) for k, v in given.items() if not _branch(v))
    if leaves:
        blocks.append(Tree(say("Run"), leaves))
    blocks.extend(
        Tree(say("{title}", title=str(key).replace("_", " ").capitalize()), _entries(value))
        for key, value in given.items()
        if _branch(value)
    )
    if warnings:
        lines = [warnings] if isinstance(warnings, str) else warnings
        blocks.append(Listing(say("Warnings"), tuple(quote(line) for line in lines)))
    notes = tuple(quote(note) for note in getattr(profile, "notes", None) or ())
    if notes:
        blocks.append(Listing(say("Notes on the profile"), notes))
    if not blocks:
        return None
    lead = say(
        "What somebody else needs to get the same numbers: versions, seeds, settings, and "
        "fingerprints that change when the data do."
    )
    return Section("making", "How it was made", lead, tuple(blocks))


def _facts(profile: Any, evaluation: Any) -> tuple[tuple[str, str], ...]:
    facts = []
    if profile is not None:
        facts.append(("samples profiled", count(getattr(profile, "n_samples", None))))
        declared = getattr(profile, "deployment", None)
        if isinstance(declared, Mapping):
            facts.extend(
                (f"declared {str(key).replace('_', ' ')}", plain(value))
                for key, value in declared.items()
                # The part of a log that was counted has a note of its own.
                if key != "requests"
            )
    if evaluation is not None:
        facts.append(("test samples", count(getattr(evaluation, "n", None))))
        if known(getattr(evaluation, "n_boot", None)):
            facts.append(("bootstrap replicates", count(evaluation.n_boot)))
        if known(getattr(evaluation, "n_abstained", None)):
            facts.append(("samples without prediction", count(evaluation.n_abstained)))
    return tuple(facts)


def _branch(value: Any) -> bool:
    """Whether a value has parts of its own: a mapping, or a list with mappings in it."""
    if isinstance(value, list | tuple):
        return any(_branch(item) for item in value)
    return isinstance(value, Mapping)


def _entries(branch: Any) -> tuple[tuple[str, str | Tree], ...]:
    if not isinstance(branch, Mapping):
        branch = dict(enumerate(branch, start=1))
    return tuple(
        (str(key), Tree(quote(key), _entries(value)) if _branch(value) else _leaf(key, value))
        for key, value in branch.items()
    )


def _leaf(key: object, value: Any) -> str:
    # A seed is a name, not a quantity.
    return str(value) if "seed" in str(key) else plain(value)
