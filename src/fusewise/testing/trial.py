"""What a law is tried with: an estimator, and training and test samples that can be varied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from sklearn.base import is_classifier, is_regressor

from fusewise.data import MultimodalDataset, split
from fusewise.exceptions import DatasetError
from fusewise.testing.cohort import Task, make_dataset
from fusewise.testing.parts import ID, TARGET, Parts, has


@dataclass(frozen=True)
class Trial:
    """An estimator, the parts of a dataset, and which samples train and test."""

    estimator: Any
    parts: Parts
    train_ids: frozenset[Any]
    test_ids: frozenset[Any]
    seed: int

    @classmethod
    def of(cls, estimator: Any, dataset: MultimodalDataset | None, random_state: int) -> Trial:
        """Prepare a trial; without a dataset, on the small cohort that fits the estimator."""
        if not (is_classifier(estimator) or is_regressor(estimator)):
            raise DatasetError(
                f"expected a classifier or a regressor, got {type(estimator).__name__}: derive it "
                "from sklearn.base.ClassifierMixin or RegressorMixin"
            )
        if dataset is None:
            task: Task = "regression" if is_regressor(estimator) else "binary"
            dataset = make_dataset(task, random_state=random_state)
        if dataset.target is None or (dataset.task == "regression") != is_regressor(estimator):
            raise DatasetError(
                f"{type(estimator).__name__} does not fit a dataset of task {dataset.task!r}"
            )
        train, test = split(dataset, test=0.33, stratify="target", random_state=random_state)
        parts = Parts.of(dataset)
        trial = cls(estimator, parts, frozenset(train.ids), frozenset(), random_state)
        known = [has(name) for name in trial.taught()]
        answerable = set(parts.samples.loc[parts.samples[known].any(axis=1), ID])
        test_ids = frozenset(set(test.ids) & answerable)
        if len(test_ids) < 5:
            raise DatasetError(
                f"the laws need at least 5 test samples with a modality that training has, got "
                f"{len(test_ids)}: give a larger dataset"
            )
        return cls(estimator, parts, trial.train_ids, test_ids, random_state)

    @cached_property
    def pair(self) -> tuple[MultimodalDataset, MultimodalDataset]:
        """The training and the test dataset."""
        return self.pair_of(self.parts.build())

    def pair_of(self, ds: MultimodalDataset) -> tuple[MultimodalDataset, MultimodalDataset]:
        """Return the training and the test samples of a changed dataset."""
        return ds[_rows(ds, self.train_ids)], ds[_rows(ds, self.test_ids)]

    def lacking(self, X: MultimodalDataset, name: str) -> list[MultimodalDataset]:
        """Return samples of which nobody has a modality: by presence, and not even by list.

        By presence alone where the estimator's parameters name the modality: it may then insist
        on finding the name.
        """
        kept = X.presence & ~np.isin(np.array(X.modalities), [name])
        nobody = X.with_presence(kept)[kept.any(axis=1)]
        named = name in repr(self.estimator.get_params(deep=False))
        return [nobody] if named else [nobody, nobody.without(name)]

    def seen(self) -> list[str]:
        """Return the modalities that a training sample has."""
        return [n for n in self.parts.names if self.parts.present(n) & self.train_ids]

    def taught(self) -> list[str]:
        """Return the modalities that training samples of every class have, and more than once."""
        found = []
        train = self.parts.samples[self.parts.samples[ID].isin(self.train_ids)]
        for name in self.seen():
            target = train.loc[train[has(name)], TARGET]
            counts = target.value_counts()
            regression = self.parts.task == "regression"
            enough = len(target) >= 10 if regression else len(counts) == train[TARGET].nunique()
            if enough and (regression or counts.min() >= 5):
                found.append(name)
        return found

    def donors(self, pattern: frozenset[str], n: int) -> list[Mapping[str, Any]]:
        """Return who gives what to n new samples of a pattern: samples with rows, in turn."""
        with_rows = {m: sorted(set(self.parts.tables[m][ID])) for m in pattern}
        return [
            {m: with_rows[m][(7 * i + 3) % len(with_rows[m])] for m in sorted(pattern)}
            for i in range(n)
        ]

    def generator(self, law: int) -> np.random.Generator:
        """Return the generator of one law."""
        return np.random.default_rng(np.random.SeedSequence([self.seed, law]))


def _rows(ds: MultimodalDataset, ids: frozenset[Any]) -> np.ndarray:
    return np.flatnonzero([i in ids for i in ds.ids])
