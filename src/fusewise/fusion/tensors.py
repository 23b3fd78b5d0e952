"""One modality of a dataset as tensors for a network, fitted on training rows only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusewise.data import MultimodalDataset
from fusewise.fusion.tensors_events import EventArrays, EventTokens
from fusewise.fusion.tensors_table import TableArrays, TableTensors

if TYPE_CHECKING:
    from fusewise.nn import Rows, TableRows

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]


class TensorEncoder:
    """Turn one modality into the rows that the networks of :mod:`fusewise.nn` read.

    Everything is finite and scaled to about standard normal; what a sample becomes depends on its
    own values and on the training rows alone, never on the other samples of a batch.

    Parameters
    ----------
    name : str
        The modality, named in errors.
    kind : {"table", "events"}
        A table becomes :class:`~fusewise.nn.TableRows`. Events become
        :class:`~fusewise.nn.EventRows`: tokens, beside their summary statistics as a table.
    max_tokens, n_windows : int
        Up to so many events a sample's tokens are its events, else windows of time; see
        :class:`~fusewise.fusion.tensors_events.EventTokens`.
    n_bins : int
        Bins per column of ``edges_``.

    Attributes
    ----------
    columns_ : list of str
        The columns of the table, or of the summary, that are used: numbers, then categories.
        Empty where training holds nothing to learn from.
    edges_ : float array (n_numbers, n_bins + 1)
        Bin edges of the scaled numbers, for their piecewise-linear encoding.

    Examples
    --------
    >>> samples = pd.DataFrame({"id": [1, 2, 3], "y": [0, 1, 0]})
    >>> lab = pd.DataFrame({"id": [1, 3], "lactate": [4.1, 1.0], "ward": ["a", "b"]})
    >>> ds = MultimodalDataset({"lab": lab}, samples=samples, id="id", target="y")
    >>> rows = TensorEncoder("lab", "table").fit(ds).transform(ds)
    >>> rows.n, rows.sample.tolist(), rows.codes.tolist()
    (3, [0, 2], [[1], [2]])
    """

    def __init__(
        self,
        name: str,
        kind: str,
        *,
        max_tokens: int = 32,
        n_windows: int = 12,
        n_bins: int = 8,
    ) -> None:
        self.name = name
        self.kind = kind
        self.max_tokens = max_tokens
        self.n_windows = n_windows
        self.n_bins = n_bins

    def fit(self, X: MultimodalDataset, reference: float | None = None) -> Self:
        """Fit on the samples of `X` that have the modality.

        `reference` is the time from which age is measured for samples without a prediction time:
        ``X.time_reference()`` of all training rows.
        """
        positions, frame = X.features(self.name, reference)
        self.table_ = TableTensors(self.name, self.kind, self.n_bins).fit(frame)
        self.columns_ = [*self.table_.numbers_, *self.table_.words_]
        self.edges_ = self.table_.edges_
        if self.kind == "events":
            events = X.events(self.name)
            tokens = EventTokens(self.max_tokens, self.n_windows)
            self.tokens_ = tokens.fit(events, _now(X, events, reference), len(positions))
            if not self.tokens_.variables_:
                self.columns_ = []
        return self

    def sizes(self) -> dict[str, Any]:
        """Return what a network must know to read the rows: plain numbers, text and lists.

        ``kind``, ``n_columns`` and ``n_levels`` of the table or of the summary; for events also
        ``n_variables`` and ``n_values`` of a token.
        """
        table: dict[str, Any] = {
            "kind": self.kind,
            "n_columns": len(self.table_.numbers_),
            "n_levels": self.table_.n_levels,
        }
        if self.kind != "events":
            return table
        return table | {
            "n_variables": self.tokens_.n_variables,
            "n_values": self.tokens_.n_values,
        }

    def transform(self, X: MultimodalDataset, reference: float | None = None) -> Rows:
        """Return the rows of the samples of `X` that have the modality; ``n`` is ``len(X)``.

        Raises
        ------
        ColumnNotFoundError, DatasetError
            A table lacks a column that was fitted, or has it with another type.
        """
        positions: IntArray = np.zeros(0, dtype=np.intp)
        if self.name in X.modalities:
            positions, frame = X.features(self.name, reference)
        arrays = self.table_.transform(frame) if len(positions) else self.table_.empty()
        table = _table_rows(len(X), positions, arrays)
        if self.kind != "events":
            return table
        events = X.events(self.name) if len(positions) else _no_events()
        now = _now(X, events, reference)
        return _event_rows(table, self.tokens_.tokens(events, now, positions))


def fit_tensor_encoders(
    X: MultimodalDataset, reference: float | None = None, **options: Any
) -> dict[str, TensorEncoder]:
    """Fit one encoder per modality; all events are told by one clock, that of the longest span.

    `options` go to :class:`TensorEncoder`.
    """
    encoders = {
        name: TensorEncoder(name, X.kinds[name], **options).fit(X, reference)
        for name in sorted(X.modalities)
    }
    events = [e.tokens_ for e in encoders.values() if e.kind == "events" and e.columns_]
    clock = max((tokens.span_ for tokens in events), default=1.0)
    for tokens in events:
        tokens.clock_ = clock
    return encoders


def _now(X: MultimodalDataset, events: pd.DataFrame, reference: float | None) -> FloatArray:
    """Return the time (n_events,) for which each event's sample is predicted."""
    if X.prediction_time is not None:
        return X.prediction_time[events["position"].to_numpy()]
    # Without a reference no training row had an event, and every event is ignored.
    return np.full(len(events), 0.0 if reference is None else reference)


def _no_events() -> pd.DataFrame:
    nothing: IntArray = np.zeros(0, dtype=np.intp)
    variable = pd.Categorical.from_codes(nothing, categories=pd.Index([], dtype="str"))
    return pd.DataFrame(
        {"position": nothing, "time": np.zeros(0), "variable": variable, "value": np.zeros(0)}
    )


def _table_rows(n: int, positions: IntArray, arrays: TableArrays) -> TableRows:
    import torch

    from fusewise.nn import TableRows

    return TableRows(
        n=n,
        sample=torch.from_numpy(positions.astype(np.int64)),
        values=torch.from_numpy(arrays.values),
        missing=torch.from_numpy(arrays.missing),
        codes=torch.from_numpy(arrays.codes),
    )


def _event_rows(summary: TableRows, arrays: EventArrays) -> Rows:
    import torch

    from fusewise.nn import EventRows

    return EventRows(
        n=summary.n,
        sample=summary.sample,
        start=torch.from_numpy(arrays.start),
        time=torch.from_numpy(arrays.time),
        variable=torch.from_numpy(arrays.variable),
        values=torch.from_numpy(arrays.values),
        missing=torch.from_numpy(arrays.missing),
        summary=summary,
    )
