"""Splits: train and test, folds for cross-fitting, and the inner validation part.

Every draw is our own arithmetic on the order of the ids (or clusters), never on the order in which
samples happen to lie, and never an engine's hash. A unit that must stay together (a cluster; an id
that a bootstrap repeats) is dealt whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusewise.data.dealing import (
    BoolArray,
    IntArray,
    held_out,
    joined,
    numbered,
    ordered_units,
    seeded,
    strata_of,
    units_of,
)
from fusewise.exceptions import ColumnNotFoundError, DatasetError, did_you_mean

if TYPE_CHECKING:
    from fusewise.data.dataset import MultimodalDataset

_PARTS = ("train", "validation", "test")
_WAYS = ("random", "cluster", "time", "site", "column")
_STRATIFIED_WAYS = ("random", "cluster", "site")
_STRATA = ("target", "pattern", "both")


def split(
    ds: MultimodalDataset,
    test: float = 0.2,
    *,
    by: Literal["random", "cluster", "time", "site", "column"] = "random",
    stratify: Literal["target", "pattern", "both"] | None = None,
    column: str | None = None,
    random_state: int = 0,
) -> tuple[MultimodalDataset, MultimodalDataset]:
    """Split a dataset into a training and a test part.

    Where the dataset has a cluster (the unit of independence), no way of splitting puts one
    cluster on both sides; a ``column`` that would is refused.

    Parameters
    ----------
    ds : MultimodalDataset
        What to split.
    test : float, default=0.2
        Share of the samples that the test part should hold, between 0 and 1. Met exactly (rounded)
        by ``random`` without clusters, approximately where units must stay whole, unused by
        ``column``.
    by : {"random", "cluster", "time", "site", "column"}, default="random"
        ``random``: samples, or whole clusters where the dataset has them. ``cluster``: the same,
        and refused where the dataset has no cluster. ``time``: the latest samples by `column`
        (default: the prediction time) are the test part; equal times are never separated, and a
        cluster goes where its latest sample goes, so that training holds nothing from the cut on. ``site``: whole values of `column` are drawn. ``column``: `column` says
        ``train``, ``validation`` or ``test`` for each sample; validation rows belong to the
        training part and are flagged in its ``validation``.
    stratify : {"target", "pattern", "both"}, optional
        Keep the distribution of the target (a regression target in quantile bins), of the
        availability pattern, or of both together, for ``random``, ``cluster`` and ``site``. Rare
        strata lie next to each other in the order of the draw and so are drawn as one pool.
    column : str, optional
        Column of ``ds.samples``, for ``time``, ``site`` and ``column``.
    random_state : int, default=0
        Seed. The same seed gives the same split, whatever the order of the samples.

    Returns
    -------
    train, test : MultimodalDataset
        In the order in which `ds` holds the samples.

    Raises
    ------
    DatasetError
        If an argument is not one of the above, a side would be empty, or a given column separates
        a cluster.
    ColumnNotFoundError
        If `column` is not in ``ds.samples``.

    Examples
    --------
    >>> import pandas as pd
    >>> from fusewise.data import MultimodalDataset, split
    >>> samples = pd.DataFrame(
    ...     {"id": range(10), "y": [0, 1] * 5, "part": ["train"] * 8 + ["test"] * 2}
    ... )
    >>> table = pd.DataFrame({"id": range(10), "a": range(10)})
    >>> ds = MultimodalDataset({"lab": table}, samples=samples, id="id", target="y", extra=["part"])
    >>> train, test = split(ds, test=0.2, stratify="target")
    >>> len(train), sorted(test.target.tolist())
    (8, [0, 1])
    >>> split(ds, by="column", column="part")[1].ids.tolist()
    [8, 9]
    """
    _check_arguments(test, by, stratify, column)
    if by == "column":
        return _as_given(ds, _column(ds, column))
    if len(ds) < 2:
        raise DatasetError(f"a split needs at least 2 samples, got {len(ds)}")
    units = units_of(ds)
    if by == "time":
        chosen = _latest(ds, units, test, column)
    else:
        if by == "cluster" and ds.cluster is None:
            raise DatasetError(
                "by='cluster' needs a dataset with a cluster: build it with cluster='<column of "
                "samples>', or split by='random'"
            )
        if by == "site":
            units = joined(units, numbered(_column(ds, column), f"column {column!r}"))
        chosen = held_out(units, strata_of(ds, stratify), test, seeded(random_state, 0))
    return ds[~chosen], ds[chosen]


def folds(
    ds: MultimodalDataset,
    n_splits: int = 5,
    random_state: int = 0,
    *,
    y: npt.ArrayLike | None = None,
) -> IntArray:
    """Number each sample's fold for cross-fitting, stratified by the target.

    Without clusters, a class with m samples is found in min(m, n_splits) folds, so that each class
    with at least two is in the training part of every fold. Clusters, and samples that a bootstrap
    repeats, stay in one fold; a class is then spread as far as whole clusters allow.

    Parameters
    ----------
    ds : MultimodalDataset
        The samples to deal.
    n_splits : int, default=5
        Number of folds, at least 2 and at most the number of units.
    random_state : int, default=0
        Seed; the result belongs to the ids, not to their order.
    y : array-like of shape (n_samples,), optional
        Target to stratify by in place of ``ds.target``.

    Returns
    -------
    ndarray of int, shape (n_samples,)
        Fold of each sample, 0 to ``n_splits - 1``.

    Raises
    ------
    DatasetError
        If there are fewer units than folds.

    Examples
    --------
    >>> import pandas as pd
    >>> from fusewise.data import MultimodalDataset, folds
    >>> samples = pd.DataFrame({"id": range(8), "y": [0, 1] * 4})
    >>> ds = MultimodalDataset(
    ...     {"lab": samples[["id"]].assign(a=1.0)}, samples=samples, id="id", target="y"
    ... )
    >>> fold = folds(ds, n_splits=4)
    >>> [sorted(ds.target[fold == k].tolist()) for k in range(4)]
    [[0, 1], [0, 1], [0, 1], [0, 1]]
    """
    if n_splits < 2:
        raise DatasetError(f"n_splits must be at least 2, got {n_splits}")
    units = units_of(ds)
    n_units = int(units.max()) + 1 if len(units) else 0
    if n_units < n_splits:
        what = "samples" if ds.cluster is None else "clusters"
        raise DatasetError(
            f"{n_splits} folds need at least {n_splits} {what}, got {n_units}: lower n_splits"
        )
    order = ordered_units(units, strata_of(ds, "target", y), seeded(random_state, 1))
    fold_of_unit = np.empty(n_units, dtype=np.intp)
    fold_of_unit[order] = np.arange(n_units) % n_splits
    return fold_of_unit[units]


def inner_validation(
    ds: MultimodalDataset,
    share: float = 0.15,
    random_state: int = 0,
    *,
    y: npt.ArrayLike | None = None,
) -> BoolArray:
    """Say which training samples are held out inside a fit (for early stopping and choices).

    Parameters
    ----------
    ds : MultimodalDataset
        Training samples. Where some, but not all, are flagged in ``ds.validation``, those are it.
    share : float, default=0.15
        Share to draw where none is flagged: stratified by the target, clusters kept whole.
    random_state : int, default=0
        Seed; the result belongs to the ids, not to their order.
    y : array-like of shape (n_samples,), optional
        Target to stratify by in place of ``ds.target``.

    Returns
    -------
    ndarray of bool, shape (n_samples,)
        True where the sample is held out.

    Raises
    ------
    DatasetError
        If there is only one unit, so that one side would be empty.
    """
    flagged = np.asarray(ds.validation, dtype=bool)
    if flagged.any() and not flagged.all():
        return flagged.copy()
    _check_share(share, "share")
    return held_out(units_of(ds), strata_of(ds, "target", y), share, seeded(random_state, 2))


def _check_arguments(test: float, by: str, stratify: str | None, column: str | None) -> None:
    if by not in _WAYS:
        raise DatasetError(f"by must be one of {_WAYS}, got {by!r}.{did_you_mean(by, _WAYS)}")
    if by != "column":
        _check_share(test, "test")
    if stratify is not None and stratify not in _STRATA:
        raise DatasetError(f"stratify must be None or one of {_STRATA}, got {stratify!r}")
    if stratify is not None and by not in _STRATIFIED_WAYS:
        raise DatasetError(f"stratify={stratify!r} has no meaning with by={by!r}: leave it out")
    if column is None and by in ("site", "column"):
        raise DatasetError(f"by={by!r} needs column=, the name of a column of samples")
    if column is not None and by in ("random", "cluster"):
        raise DatasetError(f"column={column!r} has no meaning with by={by!r}: leave it out")


def _check_share(share: float, name: str) -> None:
    if isinstance(share, bool) or not 0 < share < 1:
        raise DatasetError(f"{name} must be a share between 0 and 1 (exclusive), got {share!r}")


def _column(ds: MultimodalDataset, column: str | None) -> pd.Series[Any]:
    if column not in ds.samples.columns:
        known = [str(c) for c in ds.samples.columns]
        raise ColumnNotFoundError(
            f"column {column!r} is not among the columns that samples carries: {known}. Name it in "
            f"extra= when the dataset is built.{did_you_mean(str(column), known)}"
        )
    return ds.samples[column]


def _latest(ds: MultimodalDataset, units: IntArray, test: float, column: str | None) -> BoolArray:
    if column is not None:
        rank = numbered(_column(ds, column).to_numpy(), f"column {column!r}")
    elif ds.prediction_time is not None:
        rank = numbered(ds.prediction_time, "the prediction time")
    else:
        raise DatasetError("by='time' needs column=, as the dataset has no prediction time")
    # A cluster is as late as its latest sample: training then holds nothing from the cut on.
    latest = np.zeros(int(units.max()) + 1, dtype=np.intp)
    np.maximum.at(latest, units, rank)
    rank = latest[units]
    distinct, counts = np.unique(rank, return_counts=True)
    if len(distinct) < 2:
        raise DatasetError(
            "by='time' needs at least two distinct times, and equal times stay whole"
        )
    later = np.cumsum(counts[::-1])[::-1][1:]
    cut = distinct[1:][np.argmin(np.abs(later - test * len(ds)))]
    return np.asarray(rank >= cut)


def _as_given(
    ds: MultimodalDataset, column: pd.Series[Any]
) -> tuple[MultimodalDataset, MultimodalDataset]:
    part = column.astype(object).where(column.notna(), None).to_numpy()
    unknown = sorted({repr(p) for p in part if p not in _PARTS})
    if unknown:
        raise DatasetError(
            f"column {column.name!r} must hold 'train', 'validation' or 'test' for every sample; "
            f"it also holds {', '.join(unknown[:5])}"
        )
    for side in ("train", "test"):
        if not (part == side).any():
            raise DatasetError(f"column {column.name!r} marks no sample as {side!r}")
    if ds.cluster is not None:
        _refuse_separated_clusters(ds, part, str(column.name))
    in_test = part == "test"
    return ds.with_validation(part == "validation")[~in_test], ds[in_test]


def _refuse_separated_clusters(ds: MultimodalDataset, part: npt.NDArray[Any], name: str) -> None:
    cluster = pd.Series(ds.cluster)
    parts = pd.Series(part).groupby(cluster.to_numpy()).nunique()
    separated = parts.index[parts > 1].tolist()
    if separated:
        raise DatasetError(
            f"column {name!r} puts {len(separated)} clusters on several sides, for example "
            f"{separated[:3]}: move each cluster to one side, or split by='cluster'"
        )
