"""Content fingerprints: what a stage depended on, so that only what changed is done again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_BLOCK = 1 << 20


def key_of(depends: Mapping[str, Any]) -> str:
    """Hash JSON-ready values, independent of the order of keys.

    Examples
    --------
    >>> key_of({"a": 1, "b": [2]}) == key_of({"b": [2], "a": 1})
    True
    """
    text = json.dumps(depends, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def content_hash(path: Path) -> str:
    """Hash the content of a file, or of every file in a folder together with its relative name."""
    digest = hashlib.blake2b(digest_size=16)
    for file in _files(path):
        digest.update(f"{file.relative_to(path).as_posix()}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()


class TableFingerprints:
    """Content hashes of the tables of a study, remembered by size and time of change.

    A table that was touched but not changed keeps its hash, and an unchanged one of many gigabytes
    is not read again: like a version control system, the bytes are hashed only when the size or
    the time of change differs from what was noted.

    Parameters
    ----------
    home : Path
        The run folder; tables are noted by their way from there.
    noted : mapping, optional
        What `noted` held at the end of an earlier run.
    """

    def __init__(self, home: Path, noted: Mapping[str, Mapping[str, str]] | None = None) -> None:
        self._home = home
        self._before = dict(noted or {})
        self.noted: dict[str, dict[str, str]] = {}

    def __call__(self, path: Path) -> str:
        """Return the content hash of a table on disk."""
        name, state = os.path.relpath(path, self._home), _state(path)
        if name not in self.noted:
            before = self._before.get(name, {})
            known = before.get("hash") if before.get("state") == state else None
            self.noted[name] = {"state": state, "hash": known or content_hash(path)}
        return self.noted[name]["hash"]


def _files(path: Path) -> list[Path]:
    return sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


def _state(path: Path) -> str:
    stats = [(file.name, file.stat()) for file in _files(path)]
    return key_of({"files": [[name, s.st_size, s.st_mtime_ns] for name, s in stats]})
