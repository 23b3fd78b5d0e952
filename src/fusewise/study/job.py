"""What the stages of one run share: the study, its folder, and the results so far."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusewise.data import MultimodalDataset
from fusewise.study.fingerprints import TableFingerprints
from fusewise.study.folder import RunFolder

if TYPE_CHECKING:
    from fusewise.study.declared import Study


class Job:
    """One run in progress.

    Attributes
    ----------
    study, folder
        What is run, and where its results go.
    keys : dict
        The key of each stage that this run has passed.
    unfinished : Path
        Where the stage in progress may keep what it would need to go on after an interruption.
    tell : callable
        Called by the stage in progress with a line that says how far it is.
    """

    def __init__(self, study: Study, folder: RunFolder) -> None:
        self.study = study
        self.folder = folder
        self.keys: dict[str, str] = {}
        self.tables = TableFingerprints(folder.path, folder.manifest.get("tables"))
        self.unfinished: Path = folder.path
        self.tell: Callable[[str], None] = _nobody
        self._results: dict[str, Any] = {}
        self._loaders: dict[str, Callable[[RunFolder], Any]] = {}

    @property
    def train(self) -> MultimodalDataset:
        """The training rows; the tables are read when a stage first needs them."""
        return self.study.split()[0]

    @property
    def test(self) -> MultimodalDataset:
        """The test rows."""
        return self.study.split()[1]

    def begin(self, unfinished: Path, tell: Callable[[str], None]) -> None:
        """Note that a stage starts, with where it may keep things and whom it may tell."""
        self.unfinished, self.tell = unfinished, tell

    def passed(
        self, stage: str, key: str, load: Callable[[RunFolder], Any], result: Any = None
    ) -> None:
        """Note that a stage is done; without a result it is read from the folder when needed."""
        self.keys[stage] = key
        self._loaders[stage] = load
        if result is not None:
            self._results[stage] = result

    def result(self, stage: str) -> Any:
        """Return the result of a stage that was passed, or None where this run has none."""
        if stage not in self.keys:
            return None
        if stage not in self._results:
            self._results[stage] = self._loaders[stage](self.folder)
        return self._results[stage]

    def table_hashes(self) -> dict[str, str]:
        """Content hash of the samples and of each modality whose table is on disk."""
        paths = self.study.tables()
        return {
            ".".join(key): self.tables(path)
            for key, path in paths.items()
            if key[0] != "deployment"
        }

    def deployment_state(self) -> dict[str, Any]:
        """What is declared of the deployment, and the content of the log that it names."""
        declared = self.study.file.deployment
        path = self.study.tables().get(("deployment", "observed"))
        if declared is None or declared.observed in (None, "training") or path is not None:
            return {
                "declared": None if declared is None else declared.model_dump(),
                "observed": None if path is None else self.tables(path),
            }
        return self.study.deployment.to_dict()


def _nobody(said: str) -> None:
    """Tell nobody."""
