"""How alike two sets of features are: debiased linear CKA, with a jackknife interval."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

FEWEST = 8
Z = 1.96


class Alignment(NamedTuple):
    """Debiased linear CKA with the limits of its 95 % interval; NaN where it is not known."""

    cka: float
    low: float
    high: float


def debiased_cka(one: npt.ArrayLike, other: npt.ArrayLike) -> Alignment:
    r"""Estimate how alike two sets of features of the same samples are.

    The estimand is linear CKA, :math:`\|\Sigma_{ab}\|_F^2 / (\|\Sigma_{aa}\|_F \|\Sigma_{bb}\|_F)`
    with the covariances of the population: 1 where the one is a rotation of the other, times a
    number; 0 where no feature of the one correlates with any of the other. It does not change
    under orthogonal maps, shifts and one common scale of either set.

    Plain CKA of n samples tends to 1 as the number of features grows beyond n, also for
    independent noise. Here each of the three terms is the unbiased HSIC of Song et al. (2012), so
    that independent features give about 0 whatever their number; the estimate can then lie a
    little below 0.

    The interval is the delete-one jackknife's, found in closed form. A bootstrap would repeat
    samples, and two copies of one sample are alike in everything: it would bring back the bias.
    Samples are taken as independent. Where nothing is in common the variance of the jackknife is
    too large, if anything (Efron and Stein 1981), and the interval too wide.

    Parameters
    ----------
    one, other : array-like (n_samples, n_features)
        Finite, and of the same samples.

    Returns
    -------
    Alignment
        NaN with fewer than eight samples, and where one of the two does not vary, or varies no
        more than chance could tell.

    References
    ----------
    L. Song et al., Feature selection via dependence maximization, JMLR 13 (2012). S. Kornblith et
    al., Similarity of neural network representations revisited, ICML (2019). A. Murphy, J.
    Zylberberg and A. Fyshe, Correcting biased centered kernel alignment measures in biological and
    artificial neural networks, arXiv 2405.01012 (2024). B. Efron and C. Stein, The jackknife
    estimate of variance, Annals of Statistics 9 (1981).

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(200, 3))
    >>> rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    >>> round(debiased_cka(x, 5 * x @ rotation).cka, 6)
    1.0
    """
    x, y = _centred(one), _centred(other)
    n = len(x)
    if n != len(y):
        raise ValueError(f"expected the same samples on both sides, got {n} and {len(y)}")
    unknown = Alignment(math.nan, math.nan, math.nan)
    if n < FEWEST:
        return unknown
    cross, own, others = _hsic(x, y), _hsic(x, x), _hsic(y, y)
    if not (own.whole > 0 and others.whole > 0):
        return unknown
    value = cross.whole / math.sqrt(own.whole * others.whole)
    product = own.without * others.without
    if not (product > 0).all():
        return Alignment(value, math.nan, math.nan)
    left_out = cross.without / np.sqrt(product)
    spread = math.sqrt((n - 1) / n * float(((left_out - left_out.mean()) ** 2).sum()))
    return Alignment(value, value - Z * spread, min(1.0, value + Z * spread))


class _Hsic(NamedTuple):
    """Unbiased HSIC of all samples, and of all but each one (n,)."""

    whole: float
    without: FloatArray


def _hsic(x: FloatArray, y: FloatArray) -> _Hsic:
    """Return unbiased HSIC for linear kernels K = x x' and L = y y' with empty diagonals.

    Every delete-one value follows from sums over rows of K and L, so no Gram matrix is made where
    there are fewer features than samples.
    """
    n = len(x)
    rows_k, rows_l = _row_sums(x), _row_sums(y)  # K1, L1
    products = _row_products(x, y)  # (K * L) 1
    k_of_l, l_of_k = _applied(x, rows_l), _applied(y, rows_k)  # K L 1, L K 1
    trace, total_k, total_l = products.sum(), rows_k.sum(), rows_l.sum()
    between = rows_k @ rows_l
    whole = _unbiased(n, trace, total_k, total_l, between)
    without = _unbiased(
        n - 1,
        trace - 2 * products,
        total_k - 2 * rows_k,
        total_l - 2 * rows_l,
        between - rows_k * rows_l - k_of_l - l_of_k + products,
    )
    return _Hsic(float(whole), np.asarray(without))


def _unbiased(n: int, trace: Any, total_k: Any, total_l: Any, between: Any) -> Any:
    """Song et al. (2012), equation 5; elementwise where arrays are given."""
    rest = total_k * total_l / ((n - 1) * (n - 2)) - 2 / (n - 2) * between
    return (trace + rest) / (n * (n - 3))


def _row_sums(x: FloatArray) -> FloatArray:
    return np.asarray(x @ x.sum(axis=0) - (x**2).sum(axis=1))


def _applied(x: FloatArray, vector: FloatArray) -> FloatArray:
    return np.asarray(x @ (x.T @ vector) - (x**2).sum(axis=1) * vector)


def _row_products(x: FloatArray, y: FloatArray) -> FloatArray:
    (n, p), q = x.shape, y.shape[1]
    diagonal = (x**2).sum(axis=1) * (y**2).sum(axis=1)
    if p * q <= n * (p + q):
        return np.asarray(((x @ (x.T @ y)) * y).sum(axis=1) - diagonal)
    gram = x @ x.T
    gram = gram**2 if x is y else gram * (y @ y.T)
    return np.asarray(gram.sum(axis=1) - diagonal)


def _centred(values: npt.ArrayLike) -> FloatArray:
    """Centre, which changes nothing but the rounding, and bring to unit size, for the same reason."""
    matrix = np.asarray(values, dtype=float)
    matrix = matrix - matrix.mean(axis=0)
    size = math.sqrt(float((matrix**2).sum()) / max(1, len(matrix)))
    return matrix / size if size > 0 else matrix
