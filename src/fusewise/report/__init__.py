"""Renders results as one page of HTML, as Markdown or as JSON; computes nothing.

Sections turn results into plain blocks (``sections/``), drawings turn numbers into SVG
(``plots/``), templates turn blocks into a page (``templates/``).
"""

from __future__ import annotations

from fusewise.report.document import Report, report

__all__ = ["Report", "report"]
