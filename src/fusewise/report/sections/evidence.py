"""What the training rows say: what was asked of them, and what they answered."""

from __future__ import annotations

from typing import Any

from fusewise.report.blocks import Section
from fusewise.report.sections.arrival import arrival_blocks
from fusewise.report.sections.dependence import dependence_blocks
from fusewise.report.sections.shift import shift_blocks
from fusewise.report.sections.signal import signal_blocks
from fusewise.report.text import say


def evidence_section(profile: Any) -> Section | None:
    """Build the section from a deployment profile, or nothing where nothing was asked."""
    parts = (signal_blocks, dependence_blocks, arrival_blocks, shift_blocks)
    blocks = tuple(block for part in parts for block in part(profile))
    if not blocks:
        return None
    lead = say(
        "Questions that the training rows were asked before any model was chosen. **They can show "
        "something; they cannot show that there is nothing**: what was not found may be too weak "
        "for this many samples, or of a kind that was not looked for."
    )
    return Section("evidence", "What the training rows say", lead, blocks)
