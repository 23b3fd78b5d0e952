"""Inner widths of drawings, in pixels: for a desk, for a telephone, and side by side."""

from __future__ import annotations

WIDE = 858.0
NARROW = 430.0
SMALL = 415.0
TINY = 134.0
