"""The errors that fusewise raises.

Each is also a builtin error, so that ``except ValueError`` keeps working::

    FusewiseError(Exception)
    ├── DatasetError(ValueError)          a table, an id, a column or a presence is wrong
    │   ├── TableNotFoundError            (FileNotFoundError)
    │   ├── ColumnNotFoundError           (KeyError)
    │   ├── UnknownModalityError          (KeyError)
    │   ├── DuplicateIdError
    │   ├── EmptySampleError              a prediction was asked for a sample without any modality
    │   └── TaskError                     the task cannot be guessed, or the target does not fit it
    ├── StudyError(ValueError)            the study file is invalid
    ├── DeploymentError(ValueError)       the declared or observed deployment is invalid
    ├── MaskingError(ValueError)          a masking schedule is invalid
    ├── EvaluationError(ValueError)       a metric or a requirement is invalid
    ├── PilotError(ValueError)            a pilot cannot be made of these rows or within this time
    ├── TrainingError(ArithmeticError)    a value, a loss or a gradient is not finite
    ├── NotEnoughMemoryError(MemoryError) training does not fit into memory
    ├── ReportError(ValueError)           a report was given something that it cannot show
    ├── ModelFormatError(ValueError)      a saved model is damaged, foreign, newer or not trusted
    │   └── ModelNotFoundError            (FileNotFoundError)
    ├── NotAvailableError(NotImplementedError)
    ├── MissingDependencyError(ImportError)
    └── RunFolderError(OSError)           a run folder cannot be written or is in use

    FusewiseWarning(UserWarning)          something was left out or assumed, and is counted
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class FusewiseError(Exception):
    """Base of every error that fusewise raises on purpose."""

    def __str__(self) -> str:
        # KeyError shows the repr of its argument; a message for people must stay readable.
        return str(self.args[0]) if self.args else ""


class DatasetError(FusewiseError, ValueError):
    """A table, an id, a column or a presence is wrong."""


class TableNotFoundError(DatasetError, FileNotFoundError):
    """A table does not exist or cannot be opened."""


class ColumnNotFoundError(DatasetError, KeyError):
    """A table lacks a column that was named."""


class UnknownModalityError(DatasetError, KeyError):
    """A modality is named that the dataset does not have."""


class DuplicateIdError(DatasetError):
    """An id occurs more than once where it must be unique."""


class EmptySampleError(DatasetError):
    """A prediction was asked for a sample that has no usable modality."""


class TaskError(DatasetError):
    """The task cannot be guessed from the target, or the target does not fit the task."""


class StudyError(FusewiseError, ValueError):
    """The study file is invalid."""


class DeploymentError(FusewiseError, ValueError):
    """The declared or observed deployment is invalid."""


class MaskingError(FusewiseError, ValueError):
    """A masking schedule is invalid."""


class EvaluationError(FusewiseError, ValueError):
    """A metric or a requirement is invalid."""


class PilotError(FusewiseError, ValueError):
    """A pilot cannot be made of these rows or strategies, or within this time."""


class TrainingError(FusewiseError, ArithmeticError):
    """A value, a loss or a gradient is not finite, so that training cannot go on."""


class NotEnoughMemoryError(FusewiseError, MemoryError):
    """Training does not fit into memory."""


class ReportError(FusewiseError, ValueError):
    """A report was given something that it cannot show."""


class ModelFormatError(FusewiseError, ValueError):
    """A saved model is damaged, foreign, newer than this version, or holds untrusted types."""


class ModelNotFoundError(ModelFormatError, FileNotFoundError):
    """There is no file with a saved model at the path."""


class NotAvailableError(FusewiseError, NotImplementedError):
    """A part that is planned but does not exist yet."""


class MissingDependencyError(FusewiseError, ImportError):
    """An optional dependency is not installed."""


class RunFolderError(FusewiseError, OSError):
    """A run folder cannot be written, or another run is using it."""


class FusewiseWarning(UserWarning):
    """Something was left out or assumed; the message counts it."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the known name closest to `name`, or an empty string.

    Examples
    --------
    >>> did_you_mean("imagin", ["imaging", "notes"])
    " Did you mean 'imaging'?"
    """
    close = get_close_matches(str(name), [str(k) for k in known], n=1)
    return f" Did you mean '{close[0]}'?" if close else ""
