"""A hash of content, in which no part can be taken for a piece of its neighbour."""

from __future__ import annotations

import hashlib

import pandas as pd


class Fingerprint:
    """A hash that grows by labelled parts.

    Examples
    --------
    >>> one, other = Fingerprint(), Fingerprint()
    >>> one.add("ids", b"ab", b"c")
    >>> other.add("ids", b"a", b"bc")
    >>> one.hex() == other.hex()
    False
    """

    def __init__(self) -> None:
        self._digest = hashlib.blake2b(digest_size=16)

    def add(self, label: str, *parts: bytes | pd.DataFrame) -> None:
        """Add parts: bytes as they are, data frames by names, types and values."""
        self._add_bytes(label.encode())
        for part in parts:
            if isinstance(part, pd.DataFrame):
                for name in part.columns:
                    self._add_bytes(f"{name}:{part[name].dtype}".encode())
                    hashed = pd.util.hash_pandas_object(part[name], index=False)
                    self._add_bytes(hashed.to_numpy().tobytes())
            else:
                self._add_bytes(part)

    def hex(self) -> str:
        """Return the hash in hexadecimal."""
        return self._digest.hexdigest()

    def _add_bytes(self, content: bytes) -> None:
        self._digest.update(len(content).to_bytes(8, "little"))
        self._digest.update(content)
