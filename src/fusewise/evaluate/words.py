"""Counts in words."""

from __future__ import annotations


def plural(n: int, singular: str, verb: tuple[str, str] | None = None) -> str:
    """Write a count with its noun and, where it is asked for, the verb that goes with it.

    Examples
    --------
    >>> plural(1, "pattern", ("has", "have")), plural(1200, "test sample")
    ('1 pattern has', '1,200 test samples')
    """
    text = f"{n:,} {singular}{'' if n == 1 else 's'}"
    return text if verb is None else f"{text} {verb[n != 1]}"
