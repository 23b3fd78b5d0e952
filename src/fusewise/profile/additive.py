"""The best approximation of a model that lets no modality act together with another."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]
BoolArray = npt.NDArray[np.bool_]

N_DONORS = 24


def additive_projection(
    model: Callable[[FloatArray], FloatArray],
    rows: FloatArray,
    presence: BoolArray,
    blocks: Sequence[slice],
    donors: FloatArray,
    donor_presence: BoolArray,
    rng: np.random.Generator,
    n_donors: int = N_DONORS,
) -> FloatArray:
    r"""Project a model onto sums over modalities, availability pattern by pattern.

    For a sample with the modalities P the projection is
    :math:`\sum_{m \in P} E f(x_m, Z_{-m}) - (|P| - 1) E f(Z)`, where Z takes each modality of P
    from a sample of its own that has it. A model that already is such a sum, whose terms may depend
    on the pattern, is returned unchanged, whichever samples lend their values: all rows use the
    same ones. This is the empirical multimodally-additive projection with the pattern held fixed.

    Parameters
    ----------
    model : callable
        From features (n, p) to what is projected (n, k).
    rows : array (n, p)
        The samples; columns outside `blocks` (such as flags of presence) stay as they are.
    presence : bool array (n, M)
    blocks : sequence of M slices
        The columns of each modality.
    donors, donor_presence : arrays (d, p) and (d, M)
        Samples that lend values.
    rng : Generator
    n_donors : int
        Combinations of lent values over which expectations are taken.

    Returns
    -------
    array (n, k)

    References
    ----------
    Hessel and Lee (2020). Does my multimodal model learn cross-modal interactions? It's harder to
    tell than you might think! EMNLP.
    """
    lent = np.full((n_donors, rows.shape[1]), np.nan)
    for m, block in enumerate(blocks):
        having = np.flatnonzero(donor_presence[:, m])
        if len(having):
            lent[:, block] = donors[rng.choice(having, n_donors), block]
    patterns, which = np.unique(presence, axis=0, return_inverse=True)
    out: FloatArray | None = None
    for number, pattern in enumerate(patterns):
        here = np.flatnonzero(which.ravel() == number)
        mixed = np.repeat(rows[here[:1]], n_donors, axis=0)
        for m in np.flatnonzero(pattern).tolist():
            mixed[:, blocks[m]] = lent[:, blocks[m]]
        total = -(pattern.sum() - 1) * model(mixed).mean(axis=0)
        found = np.tile(total, (len(here), 1))
        for m in np.flatnonzero(pattern).tolist():
            each = np.tile(mixed, (len(here), 1))
            own = rows[here][:, blocks[m]]
            each[:, blocks[m]] = np.repeat(own, n_donors, axis=0)
            found += model(each).reshape(len(here), n_donors, -1).mean(axis=1)
        out = np.zeros((len(rows), found.shape[1])) if out is None else out
        out[here] = found
    return np.zeros((0, 1)) if out is None else out
