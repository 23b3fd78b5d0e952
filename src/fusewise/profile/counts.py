"""Pattern counts: the one small table that every availability figure is derived from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusewise.data import pattern_label
from fusewise.exceptions import DatasetError

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

MISSING_LEVEL = "(missing)"


@dataclass(frozen=True)
class PatternCounts:
    """How many samples have each availability pattern, per combination of group levels.

    However many samples there are, this table is small: at most patterns times levels. It is
    computed in one pass over the presence, and nothing reads the samples again.

    Attributes
    ----------
    modalities : tuple of str, length M
    presence : bool ndarray (k, M)
        The pattern of each row.
    n : int ndarray (k,)
        Samples with that pattern and these levels.
    levels : DataFrame (k, number of groups)
        Group levels as text, one column per group; an empty cell is ``"(missing)"``.
    """

    modalities: tuple[str, ...]
    presence: BoolArray
    n: IntArray
    levels: pd.DataFrame

    @classmethod
    def of(
        cls,
        modalities: tuple[str, ...],
        presence: npt.ArrayLike,
        n: npt.ArrayLike | None = None,
        levels: pd.DataFrame | None = None,
    ) -> PatternCounts:
        """Reduce rows of presence, each standing for `n` samples (default one), to counts.

        Examples
        --------
        >>> counts = PatternCounts.of(("ehr", "notes"), [[1, 0], [1, 1], [1, 0]])
        >>> dict(zip(counts.labels(), counts.n.tolist(), strict=True))
        {'ehr': 2, 'ehr+notes': 1}
        """
        rows = np.asarray(presence, dtype=bool)
        if rows.ndim != 2 or rows.shape[1] != len(modalities):
            raise DatasetError(
                f"presence: expected shape (n_samples, {len(modalities)}), one column for each of "
                f"{', '.join(modalities)}; got {rows.shape}."
            )
        weights = np.ones(len(rows), np.int64) if n is None else np.asarray(n, dtype=np.int64)
        named = levels_as_text(levels, len(rows))
        keys = named.assign(**{f"_word{i}": w for i, w in enumerate(_words(rows))})
        code = (
            pd.factorize(keys["_word0"])[0]
            if keys.shape[1] == 1
            else keys.groupby(list(keys.columns), sort=False).ngroup().to_numpy()
        )
        total = np.bincount(code, weights=weights).astype(np.int64)
        first = np.unique(code, return_index=True)[1]
        # The order of the samples must not show in the order of the patterns.
        counts = cls(modalities, rows[first], total, named.iloc[first].reset_index(drop=True))
        return counts._sorted()

    @property
    def total(self) -> int:
        """Number of samples."""
        return int(self.n.sum())

    @property
    def n_present(self) -> IntArray:
        """Samples that have each modality (M,)."""
        return np.asarray(self.n @ self.presence.astype(np.int64), dtype=np.int64)

    @property
    def n_complete(self) -> int:
        """Samples that have every modality."""
        return int(self.n[self.presence.all(axis=1)].sum())

    def labels(self) -> list[str]:
        """Pattern label of each row."""
        names = np.array(self.modalities, dtype=object)
        return [pattern_label(names[row]) for row in self.presence]

    def pooled(self) -> PatternCounts:
        """Sum over all group levels: one row per pattern."""
        if self.levels.empty:
            return self
        return PatternCounts.of(self.modalities, self.presence, self.n)

    def at(self, group: str, level: str) -> PatternCounts:
        """Samples of one level of one group, other groups summed over."""
        rows = (self.levels[group] == level).to_numpy()
        return PatternCounts.of(self.modalities, self.presence[rows], self.n[rows])

    def aligned(self, modalities: tuple[str, ...]) -> PatternCounts:
        """Columns in the order of `modalities`; one that is not known here is absent throughout."""
        place = {name: index for index, name in enumerate(self.modalities)}
        presence = np.zeros((len(self.n), len(modalities)), dtype=bool)
        for index, name in enumerate(modalities):
            if name in place:
                presence[:, index] = self.presence[:, place[name]]
        return PatternCounts.of(modalities, presence, self.n, self.levels)

    def _sorted(self) -> PatternCounts:
        levels = (self.levels[group] for group in self.levels.columns)
        keys = zip(*levels, -self.n, self.labels(), strict=True)
        order = [index for index, _ in sorted(enumerate(keys), key=lambda pair: pair[1])]
        named = self.levels.iloc[order].reset_index(drop=True)
        return PatternCounts(self.modalities, self.presence[order], self.n[order], named)


def _words(rows: BoolArray) -> list[npt.NDArray[np.uint64]]:
    """Pack each row into as few 64-bit words as it takes."""
    packed = np.packbits(rows, axis=1)
    padded = np.zeros((len(rows), -(-packed.shape[1] // 8) * 8), dtype=np.uint8)
    padded[:, : packed.shape[1]] = packed
    return list(padded.view(np.uint64).T)


def levels_as_text(levels: pd.DataFrame | None, n_rows: int) -> pd.DataFrame:
    """Return group levels as text, an empty cell as ``"(missing)"``; no column without groups."""
    if levels is None:
        return pd.DataFrame(index=range(n_rows))
    text = {
        str(name): np.where(levels[name].isna(), MISSING_LEVEL, levels[name].astype(str))
        for name in levels.columns
    }
    return pd.DataFrame(text, index=range(n_rows), dtype=object)
