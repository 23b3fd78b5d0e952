"""Sections, one per file: from a result object to plain blocks; nothing is computed here."""
