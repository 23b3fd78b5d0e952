"""Inner widths of drawings, in pixels: for a desk, for a telephone, and side by side."""

from __future__ import annotations

WIDE = 820.0
NARROW = 430.0
SMALL = 400.0
TINY = 190.0
