"""A run folder: results of finished stages, a manifest of what they came from, and a lock."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from fusewise.exceptions import RunFolderError
from fusewise.study.fingerprints import content_hash

MANIFEST = "run.json"
LOCK = "run.lock"
SCRATCH = ".writing"
UNFINISHED = ".unfinished"
FORMAT = 1

Writer = Callable[[Path], Any]


class RunFolder:
    """The folder that one study writes its results to.

    A stage's files appear whole or not at all: each is written under a scratch folder and renamed,
    and the manifest names the stage only after its files are in place. A process that dies at any
    moment leaves finished stages usable and unfinished ones unmentioned.

    Parameters
    ----------
    path : Path
        The folder; made when it is opened.
    study : str
        Name of the study, so that two studies never share a folder by accident.

    Raises
    ------
    RunFolderError
        When opened: the folder cannot be written, another run is using it, it holds another
        study's run, or it was written by a newer version.
    """

    def __init__(self, path: Path, study: str) -> None:
        self.path = path
        self.study = study
        self.manifest: dict[str, Any] = {}

    @contextlib.contextmanager
    def open(self) -> Iterator[RunFolder]:
        """Make the folder, take its lock and read its manifest; the lock ends with the block."""
        made = [path for path in (self.path, *self.path.parents) if not path.exists()]
        with self._locked() as lock:
            try:
                lock.truncate(0)
                lock.write(f"process {os.getpid()} on {platform.node()}, since {_now()}")
                lock.flush()
                shutil.rmtree(self.path / SCRATCH, ignore_errors=True)
                self.manifest = self._read_manifest()
                yield self
            finally:
                shutil.rmtree(self.path / SCRATCH, ignore_errors=True)
                _give(lock, self.path / LOCK)
                _remove_empty(made)

    def _locked(self) -> IO[str]:
        """Make the folder and return its lock file, locked by this process."""
        path, tries = self.path / LOCK, 3
        while True:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                lock = path.open("a+", encoding="utf-8")
            except OSError as error:
                # The run that made the folder may have taken it away again just now.
                if isinstance(error, FileNotFoundError) and not self.path.exists() and tries:
                    tries -= 1
                    continue
                raise self._unwritable(error) from error
            if not _take(lock):
                with lock:
                    lock.seek(0)
                    holder = lock.read().strip() or "another process"
                raise RunFolderError(
                    f"the run folder {str(self.path)!r} is in use by {holder}. Wait for it to end, "
                    "or choose another folder (--folder)."
                )
            if _is_same_file(lock, path):
                return lock
            lock.close()  # it was removed between opening and locking

    def file(self, name: str) -> Path:
        """Return the path of a result."""
        return self.path / name

    def is_current(self, stage: str, key: str) -> bool:
        """Whether a stage finished with this key and its files are still what it wrote."""
        entry = self.manifest["stages"].get(stage)
        return entry is not None and entry["key"] == key and self._intact(entry["files"])

    def commit(
        self, stage: str, key: str, writers: Mapping[str, Writer], *, seconds: float, **facts: Any
    ) -> None:
        """Write the files of a finished stage, then name it in the manifest.

        Parameters
        ----------
        stage, key : str
            The stage, and the hash of everything that its result depends on.
        writers : mapping from file name to callable
            Each is called with the path to write.
        seconds : float
            How long the stage took.
        **facts
            Further JSON-ready facts to note.
        """
        scratch = self.path / SCRATCH
        try:
            scratch.mkdir(exist_ok=True)
            for name, write in writers.items():
                write(scratch / name)
            files = {name: content_hash(scratch / name) for name in writers}
            for name in writers:
                _replace(scratch / name, self.path / name)
        except OSError as error:
            raise self._unwritable(error) from error
        before = self.manifest["stages"].get(stage, {"files": {}})
        entry = {"key": key, "files": files, "seconds": round(seconds, 3), "finished": _now()}
        self.manifest["stages"][stage] = {**entry, **facts}
        self.save_manifest()
        for name in set(before["files"]) - set(files):
            _remove(self.path / name)
        self._clear(stage)

    def unfinished(self, stage: str, key: str, *, anew: bool = False) -> Path:
        """Return where a stage may keep what it needs to go on after an interruption.

        The folder is not made here. It outlives a run that is interrupted and is deleted when the
        stage is finished, or when the stage is done with another key.

        Parameters
        ----------
        stage, key : str
        anew : bool
            Delete what an interrupted run left.
        """
        place = self.path / UNFINISHED / f"{stage}-{key}"
        self._clear(stage, keep=None if anew else place)
        return place

    def _clear(self, stage: str, keep: Path | None = None) -> None:
        for path in (self.path / UNFINISHED).glob(f"{stage}-*"):
            if path != keep:
                shutil.rmtree(path, ignore_errors=True)
        with contextlib.suppress(OSError):
            (self.path / UNFINISHED).rmdir()  # where nothing is left in it

    def drop(self, stage: str) -> None:
        """Forget a stage that this run does not have, and delete its files."""
        self._clear(stage)
        entry = self.manifest["stages"].pop(stage, None)
        if entry is not None:
            self.save_manifest()
            for name in entry["files"]:
                _remove(self.path / name)

    def save_manifest(self) -> None:
        """Write the manifest under another name, then rename it into place."""
        text = json.dumps(self.manifest, indent=1, ensure_ascii=False)
        try:
            scratch = self.path / SCRATCH
            scratch.mkdir(exist_ok=True)
            (scratch / MANIFEST).write_text(text, encoding="utf-8")
            (scratch / MANIFEST).replace(self.path / MANIFEST)
        except OSError as error:
            raise self._unwritable(error) from error

    def _read_manifest(self) -> dict[str, Any]:
        fresh: dict[str, Any] = {"format": FORMAT, "study": self.study, "stages": {}}
        path = self.path / MANIFEST
        if not path.exists():
            return fresh
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
            written, study = manifest["format"], manifest["study"]
            stages = manifest["stages"]
            ok = all({"key", "files", "seconds"} <= set(entry) for entry in stages.values())
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            written, study, ok = FORMAT, self.study, False
        if isinstance(written, int) and written > FORMAT:
            raise RunFolderError(
                f"the run folder {str(self.path)!r} was written by a newer version of fusewise. "
                "Upgrade, or choose another folder (--folder)."
            )
        if study != self.study:
            raise RunFolderError(
                f"the run folder {str(self.path)!r} holds a run of the study {study!r}, not of "
                f"{self.study!r}. Choose another folder (--folder)."
            )
        # Without its manifest a result cannot be trusted: everything is done again.
        return manifest if ok else fresh

    def _intact(self, files: Mapping[str, str]) -> bool:
        try:
            return all(content_hash(self.path / name) == known for name, known in files.items())
        except OSError:
            return False

    def _unwritable(self, error: OSError) -> RunFolderError:
        reason = error.strerror or str(error)
        return RunFolderError(
            f"the run folder {str(self.path)!r} cannot be written: {reason}. Choose a folder that "
            "you may write to (--folder), or free space on its disk."
        )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _replace(source: Path, target: Path) -> None:
    if target.is_dir() or source.is_dir():
        _remove(target)  # a folder cannot be renamed over
    source.replace(target)


def _take(lock: IO[str]) -> bool:
    """Lock an open file for this process; the system frees it when the process ends, however."""
    try:
        import fcntl
    except ImportError:
        return _take_on_windows(lock)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _give(lock: IO[str], path: Path) -> None:
    with contextlib.suppress(OSError):
        lock.truncate(0)
        # Whoever has opened it by now finds, once it is locked, that it is not there any more.
        path.unlink()


def _is_same_file(lock: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(lock.fileno()), path.stat())
    except OSError:
        return False


def _remove_empty(folders: list[Path]) -> None:
    """Remove folders from the innermost one, up to the first that holds something."""
    with contextlib.suppress(OSError):
        for folder in folders:
            folder.rmdir()


def _take_on_windows(lock: IO[str]) -> bool:
    import msvcrt  # type: ignore[import-not-found,unused-ignore]

    try:
        lock.seek(1 << 30)  # beyond the text, so that others can still read who holds it
        msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
    except OSError:
        return False
    return True
