"""Plain text for the terminal."""

from __future__ import annotations

import math

import pandas as pd

from fusewise.data import parse_pattern

SHARES = {"share", "rate", "low", "high", "rate_train", "low_train", "high_train", "share_train",
          "share_deployment", "both", "variance_share", "missing_share",
          "share_older", "preceded"}  # fmt: skip


def number(value: float) -> str:
    """Write a number with three significant digits, or a dash where there is none.

    Examples
    --------
    >>> number(0.12345), number(4600000), number(float("nan"))
    ('0.123', '4,600,000', '-')
    """
    if value is None or math.isnan(value):
        return "-"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if abs(value) >= 100 or float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:.3g}"


def share(value: float) -> str:
    """Write a share with two decimals, never rounded to a bound that it does not reach.

    Examples
    --------
    >>> share(0.9987), share(1.0), share(0.3), share(0.001)
    ('>0.99', '1.00', '0.30', '<0.01')
    """
    if value is None or math.isnan(value):
        return "-"
    if 0.995 <= value < 1:
        return ">0.99"
    if 0 < value < 0.005:
        return "<0.01"
    return f"{value:.2f}"


def effect_text(value: float) -> str:
    """Write a fall of a loss with four decimals, as such falls are small.

    Examples
    --------
    >>> effect_text(0.00904), effect_text(-0.0004), effect_text(-0.00001)
    ('0.0090', '-0.0004', '0.0000')
    """
    text = f"{value:.4f}"
    return "0.0000" if float(text) == 0 else text


def fall_text(value: float, low: float, high: float) -> str:
    """Say how far a loss falls, with its interval.

    Examples
    --------
    >>> fall_text(0.00904, 0.00269, 0.0154)
    'falls by 0.0090 [0.0027, 0.0154]'
    >>> fall_text(-0.005, -0.0079, -0.00001)
    'does not fall (by -0.0050 [-0.0079, 0.0000])'
    """
    by = f"by {effect_text(value)} [{effect_text(low)}, {effect_text(high)}]"
    return f"falls {by}" if value > 0 else f"does not fall ({by})"


def pattern_text(label: str, modalities: tuple[str, ...]) -> str:
    """Shorten the label of a pattern that lacks little: ``all but imaging``.

    Examples
    --------
    >>> pattern_text("ehr+labs+notes", ("ehr", "imaging", "labs", "notes"))
    'all but imaging'
    >>> pattern_text("ehr+notes", ("ehr", "imaging", "labs", "notes"))
    'ehr+notes'
    """
    present = parse_pattern(label)
    absent = [m for m in modalities if m not in present]
    if not absent:
        return "all"
    if len(absent) < len(present):
        return f"all but {', '.join(absent)}"
    return label


def table_text(frame: pd.DataFrame) -> str:
    """Write a table with aligned columns; an empty one says so."""
    if frame.empty:
        return "(none)"
    cells = {}
    for name in frame.columns:
        values = frame[name]
        if pd.api.types.is_bool_dtype(values):
            cells[name] = ["yes" if v else "" for v in values]
        elif pd.api.types.is_numeric_dtype(values):
            write = share if name in SHARES else number
            cells[name] = [write(float(v)) for v in values]
        else:
            cells[name] = [str(v) for v in values]
    lines = [[str(name), *cells[name]] for name in frame.columns]
    width = [max(map(len, column)) for column in lines]
    right = [pd.api.types.is_numeric_dtype(frame[name]) for name in frame.columns]
    rows = []
    for i in range(len(frame) + 1):
        row = (
            column[i].rjust(w) if r else column[i].ljust(w)
            for column, w, r in zip(lines, width, right, strict=True)
        )
        rows.append("  ".join(row).rstrip())
    return "\n".join(rows)
