"""How the report was made: enough to make it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fusewise.report.blocks import Listing, Section, Tree
from fusewise.report.numbers import count, known, plain
from fusewise.report.text import Text, quote, say


def making_section(
    profile: Any, evaluation: Any, provenance: Mapping[str, Any] | None
) -> Section | None:
    """Build the section from what the results say of themselves and from `provenance`."""
    blocks: list[Any] = []
    facts = _facts(profile, evaluation)
    if facts:
        blocks.append(Tree(say("Results"), facts))
    leaves = [(str(k), plain(v)) for k, v in (provenance or {}).items() if not _branch(v)]
    if leaves:
        blocks.append(Tree(say("Run"), tuple(leaves)))
    blocks.extend(
        Tree(say("{title}", title=str(key).replace("_", " ").capitalize()), _entries(value))
        for key, value in (provenance or {}).items()
        if _branch(value)
    )
    notes = _notes(profile, "profile") + _notes(evaluation, "evaluation")
    if notes:
        blocks.append(Listing(say("Notes"), notes))
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
            facts.extend((f"declared {key}", plain(value)) for key, value in declared.items())
    if evaluation is not None:
        facts.append(("test samples", count(getattr(evaluation, "n", None))))
        if known(getattr(evaluation, "n_boot", None)):
            facts.append(("bootstrap replicates", count(evaluation.n_boot)))
        if known(getattr(evaluation, "n_abstained", None)):
            facts.append(("samples without prediction", count(evaluation.n_abstained)))
    return tuple(facts)


def _branch(value: Any) -> bool:
    return isinstance(value, Mapping)


def _entries(branch: Mapping[str, Any]) -> tuple[tuple[str, str | Tree], ...]:
    return tuple(
        (str(key), Tree(quote(key), _entries(value)) if _branch(value) else plain(value))
        for key, value in branch.items()
    )


def _notes(result: Any, name: str) -> tuple[Text, ...]:
    notes = getattr(result, "notes", None) or ()
    return tuple(say("{note} (**{name}**)", note=note, name=name) for note in notes)
