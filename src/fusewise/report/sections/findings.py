"""Findings of an audit, where there was one."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from fusewise.report.blocks import Section, Verdict, Verdicts
from fusewise.report.numbers import plural
from fusewise.report.text import say

_ORDER = ("critical", "high", "error", "medium", "warning", "low", "info", "passed")
_CLASS = {
    "critical": "unmet",
    "high": "unmet",
    "error": "unmet",
    "medium": "open",
    "warning": "open",
    "passed": "met",
}


def findings_section(findings: Any) -> Section | None:
    """Build the section from a list of findings, or nothing where no audit was made."""
    if findings is None:
        return None
    found = sorted(findings, key=lambda f: (_rank(f), str(f.code)))
    if not found:
        return Section("findings", "Findings", say("The audit was run and has no [[finding]]."))
    items = tuple(
        Verdict(
            _CLASS.get(str(f.severity).lower(), "fails"),
            str(f.severity),
            say("**{title}** {detail}", title=f.title, detail=getattr(f, "detail", "") or ""),
            "",
            "",
            Markup(""),
            label=str(f.code),
        )
        for f in found
    )
    lead = say(
        "What the audit found, gravest first: each [[finding]] has a code under which it is "
        "explained, and can be muted with a reason."
    )
    return Section(
        "findings",
        "Findings",
        lead,
        (Verdicts(say("{n}", n=plural(len(found), "finding")), items),),
    )


def _rank(finding: Any) -> int:
    severity = str(finding.severity).lower()
    return _ORDER.index(severity) if severity in _ORDER else len(_ORDER)
