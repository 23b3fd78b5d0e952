"""One step of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from fusewise.study.folder import RunFolder, Writer
from fusewise.study.job import Job


class Stage:
    """One step of a run; a subclass says what it depends on, computes and writes."""

    name: ClassVar[str]
    doing: ClassVar[str]

    def skipped(self, job: Job) -> str:
        """Return why this run has no such stage, or an empty string."""
        return ""

    def depends(self, job: Job) -> dict[str, Any]:
        """Return everything that the result depends on, as JSON-ready values."""
        raise NotImplementedError

    def compute(self, job: Job) -> Any:
        """Return the result."""
        raise NotImplementedError

    def check(self, job: Job, result: Callable[[], Any]) -> None:
        """Raise where the result shows that the run cannot end well, before it is written.

        Parameters
        ----------
        job : Job
        result : callable
            Returns the result, which is read from the folder only when it is asked for.
        """

    def writers(self, result: Any) -> Mapping[str, Writer]:
        """Return what writes each file of the result."""
        raise NotImplementedError

    def load(self, folder: RunFolder) -> Any:
        """Read the result that an earlier run wrote."""
        raise NotImplementedError

    def summary(self, result: Any) -> str:
        """Say the result in one line."""
        return ""

    def notes(self, result: Any) -> tuple[str, ...]:
        """Say what was left out or assumed, beside the warnings that were raised."""
        return ()
