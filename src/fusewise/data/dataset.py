"""Samples with several modalities, where absence is a stored fact."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusewise.data.altered import Change, at_the_same_distance, with_numbers
from fusewise.data.draw import draw_dataset
from fusewise.data.events import EventBlock
from fusewise.data.fingerprint import Fingerprint
from fusewise.data.modality import Modality
from fusewise.data.presence import pattern_labels, pattern_table
from fusewise.data.samples import read_samples
from fusewise.data.selection import selected_rows
from fusewise.data.store import read_store
from fusewise.exceptions import DatasetError, UnknownModalityError, did_you_mean

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]


class MultimodalDataset:
    """Samples with several modalities, any of which a sample may lack.

    Each modality is stored for the samples that have it and for no others; presence is a stored
    boolean matrix, declared or by having rows, and never inferred from values. Slices share the
    stored tables.

    Parameters
    ----------
    modalities : dict of str to Modality or table
        By name; a bare table, frame or path is a modality of kind ``table``.
    samples : path or table
        One row per sample.
    id : str
        The column of `samples` with the unique sample id, and of every modality's table.
    target : str, optional
        The column of `samples` to predict. It is never a feature.
    task : {"auto", "binary", "multiclass", "regression"}
        ``auto`` asks where whole numbers have 3 to 20 values.
    cluster : str, optional
        The column with the unit of independence (a patient with several stays): never on both
        sides of a split, resampled whole.
    groups : sequence of str
        Columns with subgroups for bias checks; nothing else uses them.
    prediction_time : str, float or datetime, optional
        A column of `samples`, or a constant in the unit of the event times. Rows of a modality
        that were not available by then are counted and discarded.
    validation : str, optional
        A boolean column of `samples`: rows that estimators use as inner validation.
    extra : sequence of str
        Further columns of `samples` to carry along, for splits by time or by site.

    Raises
    ------
    TableNotFoundError, ColumnNotFoundError, DuplicateIdError, TaskError, DatasetError
        Input is missing or contradicts its declaration; the message says what to do.

    Examples
    --------
    >>> import pandas as pd
    >>> samples = pd.DataFrame({"id": [1, 2, 3], "died": [0, 1, 0]})
    >>> static = pd.DataFrame({"id": [1, 2, 3], "age": [61.0, 70.0, 54.0]})
    >>> lab = pd.DataFrame({"id": [2, 3], "lactate": [4.1, 1.0]})
    >>> ds = MultimodalDataset(
    ...     {"static": static, "lab": lab}, samples=samples, id="id", target="died"
    ... )
    >>> ds.patterns()
          pattern  n     share
    0  lab+static  2  0.666667
    1      static  1  0.333333
    >>> ds.without("lab").modalities
    ('static',)
    """

    # scikit-learn's splitters index with X[rows, ...] whatever has a shape; an iloc or an
    # __array__ would make them take this for a data frame or a matrix.
    def __init__(
        self,
        modalities: Mapping[str, Any],
        *,
        samples: Any,
        id: str,
        target: str | None = None,
        task: str = "auto",
        cluster: str | None = None,
        groups: Sequence[str] = (),
        prediction_time: str | float | datetime | None = None,
        validation: str | None = None,
        extra: Sequence[str] = (),
    ) -> None:
        if not modalities:
            raise DatasetError("a dataset needs at least one modality, got none.")
        for argument, names in (("groups", groups), ("extra", extra)):
            if isinstance(names, str):
                raise DatasetError(f"{argument}: expected a list of columns, got {names!r}.")
        declared = {str(name): Modality.of(m) for name, m in modalities.items()}
        for name, modality in declared.items():
            modality.check(name)  # before anything is read
        table = read_samples(
            samples,
            id=id,
            target=target,
            task=task,
            cluster=cluster,
            groups=tuple(groups),
            prediction_time=prediction_time,
            validation=validation,
            extra=tuple(extra),
            present={n: m.present for n, m in declared.items() if m.present},
        )
        self._store, presence = read_store(declared, table)
        self._rows: IntArray = np.arange(len(table.index.ids))
        self._names: tuple[str, ...] = tuple(declared)
        self._presence: BoolArray = presence
        self._presence.flags.writeable = False
        self._validation: BoolArray = table.validation

    # What a sample is ---------------------------------------------------------------------

    @property
    def ids(self) -> npt.NDArray[Any]:
        """Sample ids (n_samples,)."""
        return self._store.samples.index.ids[self._rows]

    @property
    def target(self) -> npt.NDArray[Any] | None:
        """Target values (n_samples,), or None."""
        values = self._store.samples.target
        return None if values is None else values[self._rows]

    @property
    def task(self) -> str | None:
        """``binary``, ``multiclass`` or ``regression``; None without a target."""
        return self._store.samples.task

    @property
    def classes(self) -> tuple[Any, ...] | None:
        """The classes in order; None for regression or without a target."""
        return self._store.samples.classes

    @property
    def cluster(self) -> npt.NDArray[Any] | None:
        """Unit of independence of each sample (n_samples,), or None."""
        values = self._store.samples.cluster
        return None if values is None else values[self._rows]

    @property
    def groups(self) -> pd.DataFrame:
        """Subgroup columns, one row per sample."""
        return self._store.samples.groups.iloc[self._rows].reset_index(drop=True)

    @property
    def samples(self) -> pd.DataFrame:
        """The columns of the samples table that the declaration names, one row per sample."""
        return self._store.samples.frame.iloc[self._rows].reset_index(drop=True)

    @property
    def prediction_time(self) -> FloatArray | None:
        """Prediction time of each sample (seconds since 1970 for timestamps), or None."""
        values = self._store.samples.index.cutoffs
        return None if values is None else values[self._rows]

    @property
    def validation(self) -> BoolArray:
        """Which samples estimators use as their inner validation (n_samples,)."""
        return self._validation.copy()

    # Presence ---------------------------------------------------------------------------

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities."""
        return self._names

    @property
    def kinds(self) -> dict[str, str]:
        """Kind of each modality."""
        return {name: self._store.blocks[name].kind for name in self._names}

    @property
    def presence(self) -> BoolArray:
        """Read-only booleans (n_samples, n_modalities): who has what."""
        return self._presence

    @property
    def pattern(self) -> npt.NDArray[np.object_]:
        """Availability pattern of each sample, e.g. ``"ehr+imaging"``."""
        return pattern_labels(self._presence, self._names)

    def patterns(self) -> pd.DataFrame:
        """Count availability patterns: ``pattern``, ``n``, ``share``, most frequent first."""
        return pattern_table(self.pattern)

    def only(self, *names: str) -> MultimodalDataset:
        """Return the dataset with the named modalities and no others."""
        self._check_names(names, "only")
        return self._with_names(tuple(n for n in self._names if n in names))

    def without(self, *names: str) -> MultimodalDataset:
        """Return the dataset without the named modalities."""
        self._check_names(names, "without")
        return self._with_names(tuple(n for n in self._names if n not in names))

    def with_presence(self, presence: BoolArray) -> MultimodalDataset:
        """Return the dataset with modalities removed from single samples.

        Parameters
        ----------
        presence : bool array (n_samples, n_modalities)
            A modality stays where this is True *and* the sample has it: it can remove, not create.
        """
        given = np.asarray(presence)
        if given.dtype != bool or given.shape != self.shape:
            raise DatasetError(
                f"presence must be booleans of shape {self.shape}, got {given.dtype} of shape "
                f"{given.shape}."
            )
        return self._derive(presence=self._presence & given)

    def with_numbers(self, name: str, change: Change) -> MultimodalDataset:
        """Return the dataset with other numbers in one modality, for stress tests.

        Who has the modality, its empty cells, its words and its times stay as they are.

        Parameters
        ----------
        name : str
            The modality.
        change : callable
            ``change(variable, values)`` returns as many finite numbers. Called once for each
            numeric column (for events: variable) with the values that the samples have.
        """
        self._check_names([name])
        has = self._presence[:, self._names.index(name)]
        rows = np.arange(len(self))
        return self._with_block(name, rows, lambda block: with_numbers(block, has, change))

    def with_values_of(self, name: str, donors: IntArray) -> MultimodalDataset:
        """Return the dataset with the values of one modality taken from other samples.

        Where there are prediction times, events keep their distance to them: those of a donor
        that is asked later are no news from the receiver's future.

        Parameters
        ----------
        name : str
            The modality.
        donors : int array (n_samples,)
            Which sample each takes its values from. Both must have the modality; for a sample
            that lacks it the entry is not read.
        """
        self._check_names([name])
        has = self._presence[:, self._names.index(name)]
        given = np.asarray(donors)
        if given.shape != (len(self),) or not np.issubdtype(given.dtype, np.integer):
            raise DatasetError(
                f"donors must be {len(self)} positions of samples, got {given.dtype} of shape "
                f"{given.shape}."
            )
        wrong = has & ((given < 0) | (given >= len(self)))
        if wrong.any() or not has[given[has]].all():
            raise DatasetError(f"donors: some of them do not have {name!r} themselves.")
        taken = np.where(has, given, np.arange(len(self)))
        times = self.prediction_time
        theirs = None if times is None else times[taken]
        return self._with_block(
            name, taken, lambda block: at_the_same_distance(block, times, theirs)
        )

    # Values ------------------------------------------------------------------------------

    def features(self, name: str, reference: float | None = None) -> tuple[IntArray, pd.DataFrame]:
        """Return the features of one modality for the samples that have it, and for no others.

        Parameters
        ----------
        name : str
            The modality.
        reference : float, optional
            For events of samples without a prediction time: the time from which ``since_last``
            is measured. Fitted models pass the :meth:`time_reference` of their training rows.

        Returns
        -------
        positions : int array (n_present,)
            Which samples they are, ascending.
        frame : DataFrame (n_present, n_features)
            Columns in the order of their names. NaN or None is an empty cell of a present
            modality. Events are summarised per variable as ``variable:statistic`` with count,
            first, last, max, mean, min, since_last, slope (per unit of time) and std (population);
            of several values at the first or last time the smallest is taken.
        """
        self._check_names([name])
        positions = np.flatnonzero(self._presence[:, self._names.index(name)])
        block = self._store.blocks[name]
        cutoffs = self._store.samples.index.cutoffs
        rows = self._rows[positions]
        if reference is None and cutoffs is None and block.kind == "events":
            reference = self.time_reference()
        return positions, block.features(
            rows, reference, None if cutoffs is None else cutoffs[rows]
        )

    def feature_names(self, name: str) -> list[str]:
        """Return the names of the features of one modality, sorted."""
        self._check_names([name])
        return self._store.blocks[name].feature_names()

    def events(self, name: str) -> pd.DataFrame:
        """Return the events of the samples that have the modality.

        Returns
        -------
        DataFrame
            Columns ``position`` (of the sample in this dataset), ``time``, ``variable``,
            ``value``, sorted by these.
        """
        block, positions = self._event_block(name)
        frame = block.events(self._rows[positions])
        frame["position"] = positions[frame["position"].to_numpy()]
        return frame

    def time_reference(self) -> float | None:
        """Return the largest time of any present event; None where there is no event."""
        latest = []
        for name, kind in self.kinds.items():
            if kind == "events":
                block, positions = self._event_block(name)
                latest.append(block.last_time(self._rows[positions]))
        return max((t for t in latest if t is not None), default=None)

    @property
    def ingestion(self) -> pd.DataFrame:
        """What was counted while reading all samples of the dataset: one row per modality.

        ``rows`` of the table; of these, left out for the first reason that applies,
        ``unknown_ids`` (the samples table lacks them), ``after_prediction_time``, ``without_time``
        and ``declared_absent``; of the cells that stay, ``infinities`` (of events also what is
        beyond 1e150) and ``missing_values`` (empty cells, with the infinities). An empty cell of
        wide events was not measured, and is not counted.
        """
        return self._store.ingestion.loc[list(self._names)].copy()

    def fingerprint(self) -> str:
        """Return a hash of the content: samples, who has what, and the values.

        The order of modalities, columns and events does not enter; that of the samples does.
        """
        content = Fingerprint()
        content.add("samples", self.samples)
        content.add("task", str(self.task).encode())
        content.add("validation", self._validation.tobytes())
        if self.prediction_time is not None:
            content.add("prediction_time", self.prediction_time.tobytes())
        for name in sorted(self._names):
            present = self._presence[:, self._names.index(name)]
            block = self._store.blocks[name]
            content.add("modality", name.encode(), block.kind.encode(), present.tobytes())
            content.add("values", *block.contents(self._rows[present]))
        return content.hex()

    # The container -----------------------------------------------------------------------

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return len(self._rows)

    @property
    def n_modalities(self) -> int:
        """Number of modalities."""
        return len(self._names)

    @property
    def shape(self) -> tuple[int, int]:
        """``(n_samples, n_modalities)``."""
        return len(self._rows), len(self._names)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, rows: Any) -> MultimodalDataset:
        """Return the given samples: indices (which may repeat), a boolean mask, or a slice."""
        picked = selected_rows(rows, len(self))
        return self._derive(
            rows=self._rows[picked],
            presence=self._presence[picked],
            validation=self._validation[picked],
        )

    def with_validation(self, validation: BoolArray) -> MultimodalDataset:
        """Return the dataset with other samples flagged as inner validation (n_samples,)."""
        flags = np.asarray(validation, dtype=bool)
        if flags.shape != (len(self),):
            raise DatasetError(f"validation must have {len(self)} flags, got {flags.shape}.")
        return self._derive(validation=flags)

    def __repr__(self) -> str:
        return draw_dataset(self)

    def __getstate__(self) -> dict[str, Any]:
        # A pickled slice (a parallel worker's share) carries its own samples and modalities, not
        # the whole store.
        kept, rows = np.unique(self._rows, return_inverse=True)
        store = self._store.take(kept, self._names)
        if store is self._store:
            return dict(self.__dict__)
        return {**self.__dict__, "_store": store, "_rows": rows.astype(np.intp)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._presence.flags.writeable = False

    def _derive(self, **changes: Any) -> MultimodalDataset:
        derived = object.__new__(MultimodalDataset)
        derived.__dict__.update(self.__dict__)
        derived.__dict__.update({f"_{key}": value for key, value in changes.items()})
        derived._presence.flags.writeable = False
        return derived

    def _with_block(
        self, name: str, donors: IntArray, make: Callable[[Any], Any]
    ) -> MultimodalDataset:
        """Put another block in the place of one, in a store where each sample has its own row."""
        store = self._store.rearranged(self._rows, self._names)
        block = make(self._store.blocks[name].take(self._rows[donors]))
        return self._derive(
            store=replace(store, blocks={**store.blocks, name: block}),
            rows=np.arange(len(self), dtype=np.intp),
        )

    def _with_names(self, names: tuple[str, ...]) -> MultimodalDataset:
        columns = [self._names.index(n) for n in names]
        return self._derive(names=names, presence=self._presence[:, columns])

    def _event_block(self, name: str) -> tuple[EventBlock, IntArray]:
        self._check_names([name])
        block = self._store.blocks[name]
        if not isinstance(block, EventBlock):
            raise DatasetError(f"modality {name!r} is of kind {block.kind!r} and has no events.")
        return block, np.flatnonzero(self._presence[:, self._names.index(name)])

    def _check_names(self, names: Sequence[Any], method: str | None = None) -> None:
        for name in names:
            if method and isinstance(name, Iterable) and not isinstance(name, str):
                written = ", ".join(repr(n) for n in name)
                raise DatasetError(
                    f"{method}() takes names of modalities, not a {type(name).__name__} of them: "
                    f"write {method}({written})."
                )
            if name not in self._names:
                raise UnknownModalityError(
                    f"no modality {name!r}; the dataset has {', '.join(self._names)}."
                    f"{did_you_mean(name, self._names)}"
                )
