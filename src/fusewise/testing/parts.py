"""A dataset taken apart into frames, so that the laws can build it again with one thing changed."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusewise.data import Modality, MultimodalDataset
from fusewise.exceptions import FusewiseWarning

BoolArray = npt.NDArray[np.bool_]
Change = Callable[[pd.DataFrame], pd.DataFrame]

ID, TARGET, CLUSTER, TIME, HELD = "(id)", "(target)", "(cluster)", "(prediction time)", "(held)"
_OPTIONAL: dict[str, Any] = {"cluster": CLUSTER, "prediction_time": TIME, "validation": HELD}


def has(name: str) -> str:
    """Return the name of the column that declares the presence of a modality."""
    return f"(has) {name}"


@dataclass(frozen=True)
class Parts:
    """Samples with their declared presence, and one frame per modality with the column `ID`."""

    samples: pd.DataFrame
    tables: Mapping[str, pd.DataFrame]
    kinds: Mapping[str, str]
    task: str

    @classmethod
    def of(cls, ds: MultimodalDataset) -> Parts:
        """Take a dataset apart; rows under absent modalities are not among the parts."""
        samples = pd.DataFrame({ID: ds.ids, TARGET: ds.target})
        if ds.cluster is not None:
            samples[CLUSTER] = ds.cluster
        if ds.validation.any():
            samples[HELD] = ds.validation
        if ds.prediction_time is not None:
            samples[TIME] = ds.prediction_time
        tables = {}
        for index, name in enumerate(ds.modalities):
            samples[has(name)] = ds.presence[:, index]
            if ds.kinds[name] == "events":
                frame = ds.events(name)
                frame.insert(0, ID, ds.ids[frame.pop("position").to_numpy()])
                frame["variable"] = frame["variable"].astype(str)
            else:
                positions, frame = ds.features(name)
                words = [c for c in frame if frame[c].dtype == object]
                frame = frame.astype(dict.fromkeys(words, "str"))
                # A present table without any cell is declared and has no row.
                frame.insert(0, ID, ds.ids[positions])
                frame = frame[frame.drop(columns=ID).notna().any(axis=1)]
            tables[name] = frame.reset_index(drop=True)
        return cls(samples, tables, ds.kinds, str(ds.task))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the modalities."""
        return tuple(self.tables)

    def build(self, names: Sequence[str] | None = None) -> MultimodalDataset:
        """Return the dataset of these parts, its modalities in the order given."""
        declared = {}
        for name in self.names if names is None else names:
            is_events = self.kinds[name] == "events"
            declared[name] = Modality(
                self.tables[name],
                kind=self.kinds[name],
                present=has(name),
                time="time" if is_events else None,
                variable="variable" if is_events else None,
                value="value" if is_events else None,
            )
        with warnings.catch_warnings():
            # That nobody has a modality is what some of the laws are about.
            warnings.simplefilter("ignore", FusewiseWarning)
            return MultimodalDataset(
                declared,
                samples=self.samples,
                id=ID,
                target=TARGET,
                task=self.task,
                **{c: name for c, name in _OPTIONAL.items() if name in self.samples},
            )

    def present(self, name: str) -> set[Any]:
        """Return the ids of the samples that have the modality."""
        return set(self.samples.loc[self.samples[has(name)], ID])

    def changed(self, change: Change, name: str | None = None) -> Parts:
        """Return parts with one table, or all of them, put through `change`."""
        tables = {n: change(t) if name in (n, None) else t for n, t in self.tables.items()}
        return replace(self, tables=tables)

    def with_rows(self, rows: Mapping[str, pd.DataFrame]) -> Parts:
        """Return parts with further rows in the tables; presence stays as it is declared."""
        tables = {
            n: pd.concat([t, rows[n]], ignore_index=True) if n in rows else t
            for n, t in self.tables.items()
        }
        return replace(self, tables=tables)

    def of_samples(self, ids: Collection[Any]) -> Parts:
        """Return the parts of some samples."""
        samples = self.samples[self.samples[ID].isin(list(ids))].reset_index(drop=True)
        return replace(self, samples=samples).changed(lambda t: t[t[ID].isin(list(ids))])

    def stacked(self, others: Sequence[Parts]) -> Parts:
        """Return these parts followed by others, as samples of their own."""
        everyone = [self, *others]

        def stack(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
            renamed = [
                f.assign(**{ID: f[ID].map(lambda i, k=k: f"{i} {k}")}) for k, f in enumerate(frames)
            ]
            return pd.concat(renamed, ignore_index=True)

        tables = {n: stack([p.tables[n] for p in everyone]) for n in self.tables}
        return replace(self, samples=stack([p.samples for p in everyone]), tables=tables)

    def numbers(self, name: str) -> list[str]:
        """Return the columns of a modality that hold measured numbers."""
        if self.kinds[name] == "events":
            return ["value"]
        return [str(c) for c, t in self.tables[name].dtypes.items() if c != ID and t.kind == "f"]

    def composed(self, donors: Sequence[Mapping[str, Any]]) -> Parts:
        """Return parts of new samples, each with the rows of one donor per modality it is to have."""
        samples = self.samples.iloc[np.zeros(len(donors), dtype=int)].reset_index(drop=True)
        samples[ID] = [f"new {i:04d}" for i in range(len(donors))]
        if TIME in samples:
            samples[TIME] = self.samples[TIME].max()  # so that no donor's events are too late
        for name in self.names:
            samples[has(name)] = [name in donor for donor in donors]
        tables = {}
        for name, table in self.tables.items():
            wanted = pd.DataFrame(
                [(d[name], i) for d, i in zip(donors, samples[ID], strict=True) if name in d],
                columns=["(donor)", "(new)"],
            )
            rows = wanted.merge(table, left_on="(donor)", right_on=ID, how="inner")
            tables[name] = rows.drop(columns=["(donor)", ID]).rename(columns={"(new)": ID})
        return replace(self, samples=samples, tables=tables)
