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
    "calibration_summary": {
        "view": _TEXT,
        "pattern": _TEXT,
        "n": _INT,
        "n_positive": _REAL,
        **_SCORE,
        "if_calibrated": _REAL,
        "small": _FLAG,
        "note": _TEXT,
    },
    "decision_curve": {
        "pattern": _TEXT,
        "n": _INT,
        "n_positive": _REAL,
        "threshold": _REAL,
        "net_benefit": _REAL,
        "net_benefit_low": _REAL,
        "net_benefit_high": _REAL,
        "treat_all": _REAL,
        "treat_all_low": _REAL,
        "treat_all_high": _REAL,
        "treat_none": _REAL,
        "advantage": _REAL,
        "advantage_low": _REAL,
        "advantage_high": _REAL,
        "small": _FLAG,
    },
    "by_group": {
        "group": _TEXT,
        "value": _TEXT,
        "n": _INT,
        "n_abstained": _INT,
        "n_positive": _REAL,
        **_SCORE,
        "small": _FLAG,
        "note": _TEXT,
    },
    "by_group_pattern": {
        "group": _TEXT,
        "value": _TEXT,
        "pattern": _TEXT,
        "n": _INT,
        "n_positive": _REAL,
        **_SCORE,
        "small": _FLAG,
        "note": _TEXT,
    },
    "group_presence": {
        "group": _TEXT,
        "value": _TEXT,
        "modality": _TEXT,
        "n": _INT,
        "rate": _REAL,
        "low": _REAL,
        "high": _REAL,
        "rest": _REAL,
        "difference": _REAL,
        "difference_low": _REAL,
        "difference_high": _REAL,
        "lacks": _FLAG,
    },
    "group_gaps": {
        "group": _TEXT,
        "value": _TEXT,
        "metric": _TEXT,
        "n": _INT,
        "n_rest": _INT,
        "estimate": _REAL,
        "rest": _REAL,
        "gap": _REAL,
        "gap_low": _REAL,
        "gap_high": _REAL,
        "equal": _REAL,
        "equal_low": _REAL,
        "equal_high": _REAL,
        "by_availability": _REAL,
        "by_availability_low": _REAL,
        "by_availability_high": _REAL,
        "covered": _REAL,
        "small": _FLAG,
        "verdict": _TEXT,
        "reason": _TEXT,
    },
}


def table(name: str, rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Return rows as the named table: its columns in order, each of its type, also when empty."""
    types = COLUMNS[name]
    frame = pd.DataFrame(rows, columns=list(types))
    return frame.astype(types)
