"""How wide each modality is, and how many directions of it the samples really fill."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusewise.data import MultimodalDataset

FloatArray = npt.NDArray[np.float64]

MAX_ROWS = 2_000
MAX_LEVELS = 50


def dimension_table(ds: MultimodalDataset, rng: np.random.Generator) -> pd.DataFrame:
    """Measure width, effective dimension and missing values of each modality.

    Returns
    -------
    DataFrame
        One row per modality:

        ``kind``, ``n`` (samples that have it);
        ``width``: for tables the number of columns (an embedding of 512 numbers counts 512), for
        events the number of distinct variables. The summaries that boosting sees restate each
        variable nine times; counting them would let that choice decide about a dimension gap;
        ``effective``: effective dimension of the features (:func:`effective_dimension`), of at
        most 2,000 samples; NaN with fewer than four samples;
        ``samples_per_dimension``: ``n / effective``;
        ``variance_share``: share of the total variance when all features are standardised and
        joined, which is how far a wide modality takes over what is joined by columns;
        ``missing_share``: empty cells inside the present modality (for events: pairs of sample and
        variable without any event).
    """
    # Samples are drawn in the order of their ids, so that the order of the rows has no effect.
    by_id = np.argsort(ds.ids, kind="stable")
    records = []
    for name, kind in ds.kinds.items():
        present = by_id[ds.presence[by_id, ds.modalities.index(name)]]
        n = len(present)
        if n > MAX_ROWS:
            present = present[np.sort(rng.choice(n, MAX_ROWS, replace=False))]
        frame = ds.only(name)[present].features(name)[1]
        values = to_matrix(frame)
        effective = effective_dimension(values) if n else math.nan
        records.append(
            {
                "modality": name,
                "kind": kind,
                "n": n,
                "width": _width(ds.feature_names(name), kind),
                "effective": effective,
                "samples_per_dimension": n / effective if effective > 0 else math.nan,
                "variance_share": float(_varying(values)),
                "missing_share": _missing_share(frame, kind),
            }
        )
    table = pd.DataFrame(records)
    total = table["variance_share"].sum()
    table["variance_share"] = table["variance_share"] / total if total else math.nan
    return table


def effective_dimension(values: npt.ArrayLike) -> float:
    r"""Estimate the participation ratio of standardised features.

    The estimand is :math:`(\operatorname{tr} C)^2 / \operatorname{tr} C^2` for the correlation
    matrix C: the number of equally strong uncorrelated directions that would be as spread out. It
    is p for p uncorrelated features and 1 for copies of one feature.

    With few samples the plain ratio cannot exceed their number, however many directions there are.
    The bias of :math:`\operatorname{tr} C^2` is therefore removed (exactly so for normal data).
    Empty cells take the column's mean, so that badly observed columns count less; columns without
    variation are left out. Both traces are taken exactly, of whichever is smaller of the two
    products of the features with themselves, so no truncated decomposition is needed: that would
    leave out the many weak directions of a wide modality, which count here.

    Parameters
    ----------
    values : array-like (n_samples, n_features)
        NaN is an empty cell.

    Returns
    -------
    float
        Between 1 and the number of varying features; 0 where no feature varies, NaN with fewer
        than four samples.

    References
    ----------
    P. Gao et al., A theory of multineuronal dimensionality, dynamics and measurement, bioRxiv
    214262 (2017), for the participation ratio. M. S. Srivastava, Some tests concerning the
    covariance matrix in high dimensional data, Journal of the Japan Statistical Society 35 (2005),
    for the correction.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(500, 1))
    >>> round(effective_dimension(x @ np.ones((1, 20))), 1)
    1.0
    """
    matrix = np.asarray(values, dtype=float)
    n, _ = matrix.shape
    if n < 4:
        return math.nan
    scaled = standardise(matrix)
    if scaled.shape[1] == 0:
        return 0.0
    freedom = n - 1
    gram = scaled @ scaled.T if n < scaled.shape[1] else scaled.T @ scaled
    trace = float((scaled**2).sum()) / freedom
    squares = float((gram**2).sum()) / freedom**2
    squares = freedom**2 / ((freedom - 1) * (freedom + 2)) * (squares - trace**2 / freedom)
    ratio = trace**2 / squares if squares > 0 else math.inf
    return float(np.clip(ratio, 1.0, scaled.shape[1]))


def to_matrix(frame: pd.DataFrame) -> FloatArray:
    """Return features as numbers: a categorical column becomes one column per frequent level."""
    numeric = [c for c in frame.columns if pd.api.types.is_numeric_dtype(frame[c])]
    blocks = [frame[numeric].to_numpy(dtype=float)]
    for name in frame.columns:
        if name in numeric:
            continue
        levels = frame[name].value_counts().index[:MAX_LEVELS]
        words = frame[name].to_numpy(dtype=object)
        blocks.append(np.array([words == level for level in levels], dtype=float).T.reshape(
            len(frame), len(levels)))  # fmt: skip
    return np.concatenate(blocks, axis=1)


def standardise(matrix: FloatArray) -> FloatArray:
    """Centre and scale by the observed cells, drop what does not vary, put zero in empty cells."""
    seen = np.isfinite(matrix)
    count = seen.sum(axis=0)
    filled = np.where(seen, matrix, 0.0)
    mean = filled.sum(axis=0) / np.maximum(count, 1)
    centred = np.where(seen, matrix - mean, 0.0)
    scale = np.sqrt((centred**2).sum(axis=0) / np.maximum(count - 1, 1))
    # A constant column leaves only the rounding of its mean behind.
    varies = (count > 1) & (scale > 1e-9 * np.maximum(1.0, np.abs(mean)))
    return np.asarray(centred[:, varies] / scale[varies])


def _varying(matrix: FloatArray) -> int:
    return int(standardise(matrix).shape[1]) if len(matrix) else 0


def _width(names: list[str], kind: str) -> int:
    if kind != "events":
        return len(names)
    return len({name.rpartition(":")[0] for name in names})


def _missing_share(frame: pd.DataFrame, kind: str) -> float:
    if frame.size == 0:
        return math.nan
    if kind != "events":
        return float(frame.isna().to_numpy().mean())
    counts = frame[[c for c in frame.columns if c.endswith(":count")]]
    return float((counts.fillna(0).to_numpy() == 0).mean())


def dimension_ratio(table: pd.DataFrame) -> float:
    """Ratio of the widest to the narrowest modality that any sample has; 1 where there is one."""
    width = table.loc[(table["n"] > 0) & (table["width"] > 0), "width"]
    return float(width.max() / width.min()) if len(width) else math.nan
