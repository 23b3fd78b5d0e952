"""Tables of an evaluation: their columns and types, which never depend on what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

_TEXT, _INT, _REAL, _FLAG = "str", "int64", "float64", "bool"

_SCORE = {"metric": _TEXT, "estimate": _REAL, "low": _REAL, "high": _REAL}

COLUMNS: dict[str, dict[str, str]] = {
    "headline": {
        **_SCORE,
        "n": _INT,
        "effective_n": _REAL,
        "small": _FLAG,
        "by_pattern_mean": _REAL,
        "source": _TEXT,
        "note": _TEXT,
    },
    "pooled": {**_SCORE, "n": _INT, "note": _TEXT},
    "by_pattern": {
        "view": _TEXT,
        "pattern": _TEXT,
        "n_absent": _INT,
        "n": _INT,
        "n_positive": _REAL,
        **_SCORE,
        "small": _FLAG,
        "weight": _REAL,
        "population": _TEXT,
        "drop": _REAL,
        "drop_low": _REAL,
        "drop_high": _REAL,
        "note": _TEXT,
    },
    "by_n_absent": {
        "view": _TEXT,
        "n_absent": _INT,
        "n": _INT,
        **_SCORE,
        "small": _FLAG,
        "n_patterns": _INT,
        "population": _TEXT,
        "note": _TEXT,
    },
    "degradation": {
        "withheld": _TEXT,
        "n_withheld": _REAL,
        "rate": _REAL,
        "n": _INT,
        **_SCORE,
        "drop": _REAL,
        "drop_low": _REAL,
        "drop_high": _REAL,
        "n_emptied": _REAL,
        "small": _FLAG,
        "note": _TEXT,
    },
    "baselines": {
        "baseline": _TEXT,
        "n": _INT,
        **_SCORE,
        "difference": _REAL,
        "difference_low": _REAL,
        "difference_high": _REAL,
        "better": _TEXT,
        "note": _TEXT,
    },
    "requirements": {
        "requirement": _TEXT,
        "metric": _TEXT,
        "view": _TEXT,
        "pattern": _TEXT,
        "n": _INT,
        "estimate": _REAL,
        "low": _REAL,
        "high": _REAL,
        "limit": _TEXT,
        "threshold": _REAL,
        "status": _TEXT,
        "reason": _TEXT,
        "n_to_decide": _REAL,
    },
    "calibration": {
        "view": _TEXT,
        "pattern": _TEXT,
        "bin": _INT,
        "n": _INT,
        "mean_predicted": _REAL,
        "observed": _REAL,
        "low": _REAL,
        "high": _REAL,
    },
    "compared_overall": {
        "model": _TEXT,
        **_SCORE,
        "n": _INT,
        "effective_n": _REAL,
        "small": _FLAG,
        "source": _TEXT,
        "note": _TEXT,
    },
    "compared_differences": {
        "first": _TEXT,
        "second": _TEXT,
        "metric": _TEXT,
        "n": _INT,
        "difference": _REAL,
        "low": _REAL,
        "high": _REAL,
        "p": _REAL,
        "p_adjusted": _REAL,
        "ahead": _TEXT,
        "note": _TEXT,
    },
    "compared_by_pattern": {
        "view": _TEXT,
        "pattern": _TEXT,
        "n": _INT,
        "model": _TEXT,
        **_SCORE,
        "small": _FLAG,
        "weight": _REAL,
        "note": _TEXT,
    },
    "leaders": {
        "view": _TEXT,
        "pattern": _TEXT,
        "n": _INT,
        "metric": _TEXT,
        "small": _FLAG,
        "weight": _REAL,
        "leader": _TEXT,
        "unbeaten": _TEXT,
        "note": _TEXT,
    },
    "compared_curve": {
        "model": _TEXT,
        "rate": _REAL,
        "n_withheld": _REAL,
        "n": _INT,
        **_SCORE,
        "small": _FLAG,
        "note": _TEXT,
    },
    "crossovers": {
        "first": _TEXT,
        "second": _TEXT,
        "metric": _TEXT,
        "rate": _REAL,
        "low": _REAL,
        "high": _REAL,
        "share": _REAL,
        "note": _TEXT,
    },
}
COLUMNS["compared_requirements"] = {"model": _TEXT, **COLUMNS["requirements"]}


def table(name: str, rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Return rows as the named table: its columns in order, each of its type, also when empty."""
    types = COLUMNS[name]
    frame = pd.DataFrame(rows, columns=list(types))
    return frame.astype(types)
