"""Availability figures, each derived from pattern counts alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from fusewise.data import Result
from fusewise.exceptions import DatasetError
from fusewise.profile import tables
from fusewise.profile.counts import PatternCounts
from fusewise.profile.text import pattern_text, share, table_text
from fusewise.profile.wilson import wilson


@dataclass(frozen=True, eq=False, repr=False)
class Availability(Result):
    """How available each modality is, alone and together.

    Attributes
    ----------
    n_samples : int
    modalities : tuple of str
    rates : DataFrame
        ``modality, n, rate, low, high``: samples that have it, their share, Wilson's 95 % limits.
    group_rates : DataFrame
        ``group, level, modality, n, rate, low, high``; here `n` is the size of the level.
    patterns : DataFrame
        ``pattern, n, share``, most frequent first.
    copresence : DataFrame
        ``modality, other, both, phi`` for each ordered pair: the share of samples with both, and
        the correlation of their presence (NaN where one of them is constant).
    complete_case : DataFrame
        ``n, share, low, high``: one row; `n` is the number of samples.
    """

    n_samples: int
    modalities: tuple[str, ...]
    rates: pd.DataFrame
    group_rates: pd.DataFrame
    patterns: pd.DataFrame
    copresence: pd.DataFrame
    complete_case: pd.DataFrame

    def __repr__(self) -> str:
        rates = ", ".join(
            f"{name} {share(rate)}"
            for name, rate in zip(self.rates["modality"], self.rates["rate"], strict=True)
        )
        return f"<Availability of {self.n_samples:,} samples: {rates}>"

    def __str__(self) -> str:
        complete = share(self.complete_case["share"].iloc[0])
        common = self.patterns.head(8)
        common = common.assign(
            pattern=[pattern_text(label, self.modalities) for label in common["pattern"]]
        )
        title = (
            f"Availability of {self.n_samples:,} samples, {len(self.patterns):,} patterns, "
            f"{complete} complete"
        )
        parts = [
            title,
            table_text(self.rates),
            table_text(common),
        ]
        return "\n\n".join(parts)


def availability(
    source: Any,
    *,
    modalities: Sequence[str] | None = None,
    group: str | None = None,
    request: str = "request",
    modality: str = "modality",
    samples: Any = None,
) -> Availability:
    """Profile the availability of a table that may outgrow memory.

    The table is reduced to ``(group, pattern) -> count`` in one pass of its own engine (DuckDB in
    process for files and frames, PySpark for an Ibis table on a Spark session); every figure is
    derived from that small table.

    Parameters
    ----------
    source : path, pandas, polars, Arrow or Ibis table, or dict of these
        One of three forms. *Wide*: one row per sample, one boolean column per modality (an empty
        cell is absent). *Long*: one row per request and modality that came, in the columns
        `request` and `modality`; rows may repeat, and a row without a modality stands for a
        request that came with none. *A dict* of one table per modality, with `samples`.
    modalities : sequence of str, optional
        In the order wanted. Default: every boolean column, or every name in the log. A log that
        never names one of them has it in no request.
    group : str, optional
        A column that divides the samples; of a long log's rows for one request the largest counts.
    request, modality : str
        The columns of a long log; `request` also is the id that the tables of a dict share.
    samples : path or table, optional
        With a dict: one row per sample. Ids that it does not know have no effect.

    Raises
    ------
    DatasetError, TableNotFoundError, ColumnNotFoundError, UnknownModalityError

    Examples
    --------
    >>> import pandas as pd
    >>> log = pd.DataFrame({"request": [1, 1, 2, 3], "modality": ["ehr", "notes", "ehr", "ehr"]})
    >>> availability(log).rates[["modality", "n", "rate"]]
      modality  n      rate
    0      ehr  3  1.000000
    1    notes  1  0.333333
    """
    what = "the availability table"
    if isinstance(source, Mapping):
        counts = _of_tables(source, modalities, group, request, samples)
    else:
        table = tables.open_source(source, what)
        if tables.is_long(table, request, modality):
            counts = tables.count_long(
                table, modalities, group, what, request=request, modality=modality
            )
        else:
            counts = tables.count_wide(table, modalities, group, what)
    if counts.total == 0:
        raise DatasetError(f"{what} has no rows, so nothing is known about availability.")
    return summarise(counts)


def _of_tables(
    source: Mapping[str, Any],
    modalities: Sequence[str] | None,
    group: str | None,
    request: str,
    samples: Any,
) -> PatternCounts:
    if samples is None:
        raise DatasetError(
            "a dict of tables needs samples=, the table of all samples: who has no rows anywhere "
            "is in no other table."
        )
    engine = tables.new_engine()
    names = list(source) if modalities is None else list(modalities)
    opened = {
        name: tables.open_source(source[name], f"modality {name!r}", engine) for name in names
    }
    return tables.count_tables(
        opened, tables.open_source(samples, "samples", engine), request, group, "samples"
    )


def summarise(counts: PatternCounts) -> Availability:
    """Derive every availability figure from pattern counts."""
    pooled = counts.pooled()
    return Availability(
        n_samples=pooled.total,
        modalities=pooled.modalities,
        rates=rate_table(pooled),
        group_rates=group_table(counts),
        patterns=pd.DataFrame(
            {"pattern": pooled.labels(), "n": pooled.n, "share": pooled.n / max(1, pooled.total)}
        ),
        copresence=copresence_table(pooled),
        complete_case=complete_case_table(pooled),
    )


def rate_table(counts: PatternCounts) -> pd.DataFrame:
    """Rate of each modality with Wilson's limits: ``modality, n, rate, low, high``."""
    total = counts.total
    low, high = wilson(counts.n_present, np.full(len(counts.modalities), total))
    return pd.DataFrame(
        {
            "modality": list(counts.modalities),
            "n": counts.n_present,
            "rate": counts.n_present / total if total else np.nan,
            "low": low,
            "high": high,
        }
    )


def group_table(counts: PatternCounts) -> pd.DataFrame:
    """Rates within each level of each group: ``group, level, modality, n, rate, low, high``."""
    parts = []
    for group in counts.levels.columns:
        for level in sorted(set(counts.levels[group])):
            part = counts.at(group, level)
            table = rate_table(part).assign(group=group, level=level, n=part.total)
            parts.append(table)
    columns = ["group", "level", "modality", "n", "rate", "low", "high"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else _no_groups().copy()


@cache
def _no_groups() -> pd.DataFrame:
    kinds: dict[str, Any] = {"group": "str", "level": "str", "modality": "str", "n": np.int64}
    kinds |= dict.fromkeys(("rate", "low", "high"), float)
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})


def copresence_table(counts: PatternCounts) -> pd.DataFrame:
    """Joint presence of each ordered pair: ``modality, other, both, phi``.

    Phi is the Pearson correlation of two presences. It is NaN where one of them is constant, as
    there is nothing to correlate.
    """
    total = max(1, counts.total)
    have = counts.presence.astype(float)
    both = (have * counts.n[:, None]).T @ have / total
    rate = np.diag(both)
    spread = np.sqrt(rate * (1 - rate))
    scale = np.outer(spread, spread)
    with np.errstate(invalid="ignore"):
        phi = np.where(scale > 0, (both - np.outer(rate, rate)) / scale, np.nan)
    names = counts.modalities
    pairs = [(i, j) for i in range(len(names)) for j in range(len(names)) if i != j]
    return pd.DataFrame(
        {
            "modality": pd.Series([names[i] for i, _ in pairs], dtype="str"),
            "other": pd.Series([names[j] for _, j in pairs], dtype="str"),
            "both": np.array([both[i, j] for i, j in pairs], dtype=float),
            "phi": np.array([np.clip(phi[i, j], -1, 1) for i, j in pairs], dtype=float),
        }
    )


def complete_case_table(counts: PatternCounts) -> pd.DataFrame:
    """Share of samples with every modality, one row: ``n, share, low, high``."""
    low, high = wilson(counts.n_complete, counts.total)
    return pd.DataFrame(
        {
            "n": [counts.total],
            "share": [counts.n_complete / counts.total if counts.total else np.nan],
            "low": [float(low)],
            "high": [float(high)],
        }
    )
