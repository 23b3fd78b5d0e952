"""A part of a log of requests: a window of time, and sites or other groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import pandas as pd
import pyarrow as pa

from fusewise.data.tables import execute
from fusewise.exceptions import DeploymentError, did_you_mean

KEYS = ("since", "until", "time", "where")


def select_requests(
    table: Any, request: str | None, window: Mapping[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """Keep the requests of a log that lie in a window.

    Parameters
    ----------
    table : Ibis table
        The log, long or wide.
    request : str or None
        The column that names the request, for a long log; None where each row is one.
    window : dict
        ``since`` and ``until``: the first time that counts and the first one that no longer does,
        as the time column has them (numbers, or timestamps as text like ``2026-01-31``). ``time``:
        that column, by default the only one with timestamps. ``where``: the values of other
        columns that count, ``{"site": ["A", "B"]}``. A request with several rows has the earliest
        of their times, and counts where any of its rows has the values.

    Returns
    -------
    Ibis table, and a dict of what was asked with ``used`` and ``left_out``, numbers of requests.

    Raises
    ------
    DeploymentError
        A column does not exist or cannot be compared, or no request is left.
    """
    names = list(table.columns)
    asked: dict[str, Any] = {k: window[k] for k in ("since", "until") if window.get(k) is not None}
    kept: list[Any] = []
    if asked:
        column = _time_column(table, window.get("time"))
        asked["time"] = column
        moment = table[column] if request is None else table[column].min().over(group_by=request)
        kept += [
            _compared(table, moment, column, name, asked[name]) for name in asked if name != "time"
        ]
    elif window.get("time") is not None:
        raise DeploymentError(
            "deployment: time= names a column, but neither since nor until is given."
        )
    for column, given in dict(window.get("where") or {}).items():
        _require(column, names)
        values = [given] if isinstance(given, str) or not isinstance(given, Sequence) else given
        # As text, so that 3 in a study file meets 3 in the log whatever type it has there.
        found = table[column].cast("string").isin([str(v) for v in values]).fill_null(False)
        kept.append(found if request is None else found.any().over(group_by=request))
        asked.setdefault("where", {})[column] = [str(v) for v in values]
    flags = {f"_kept{i}": condition for i, condition in enumerate(kept)}
    marked = table.mutate(**flags)
    part = marked
    for name in flags:
        part = part.filter(part[name])
    part = part.select(*names)
    total, used = (_count(t, request) for t in (table, part))
    if used == 0:
        raise DeploymentError(
            f"deployment: no request of the log lies in the window ({described(asked)}); it has "
            f"{total:,} requests{_span(table, asked)}. Widen the window."
        )
    for name in ("since", "until"):
        if isinstance(asked.get(name), date):
            asked[name] = asked[name].isoformat()
    return part, asked | {"used": used, "left_out": total - used}


def described(asked: Mapping[str, Any]) -> str:
    """Write a window in words.

    Examples
    --------
    >>> described({"since": "2026-01-01", "time": "came", "where": {"site": ["A", "B"]}})
    'came since 2026-01-01, site A or B'
    """
    parts = []
    if "since" in asked or "until" in asked:
        ends = (f"{name} {asked[name]}" for name in ("since", "until") if name in asked)
        parts.append(f"{asked['time']} {' '.join(ends)}")
    parts += [
        f"{column} {' or '.join(values)}" for column, values in asked.get("where", {}).items()
    ]
    return ", ".join(parts)


def _time_column(table: Any, given: Any) -> str:
    names = list(table.columns)
    if given is not None:
        _require(str(given), names)
        return str(given)
    schema = table.schema().to_pyarrow()
    found = [f.name for f in schema if pa.types.is_timestamp(f.type) or pa.types.is_date(f.type)]
    if len(found) == 1:
        return str(found[0])
    raise DeploymentError(
        f"deployment: since and until need the column with the time of a request; the log has "
        f"{', '.join(found) or 'none with timestamps'} among {', '.join(names)}. Name it by time=."
    )


def _compared(table: Any, moment: Any, column: str, name: str, value: Any) -> Any:
    import ibis

    kind = table.schema()[column]
    if kind.is_numeric():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise DeploymentError(
                f"deployment: {name} must be a number, as column {column!r} of the log is, got {value!r}."
            )
        bound = ibis.literal(value)
    elif kind.is_timestamp() or kind.is_date():
        bound = ibis.literal(_moment(name, value, kind)).cast(kind)
    else:
        raise DeploymentError(
            f"deployment: column {column!r} of the log holds {kind}, neither numbers nor timestamps. "
            "Write it with timestamps."
        )
    # A request without a time lies in no window.
    return ((moment >= bound) if name == "since" else (moment < bound)).fill_null(False)


def _moment(name: str, value: Any, kind: Any) -> Any:
    if not isinstance(value, str | date | datetime):
        raise DeploymentError(
            f"deployment: {name} must be a date or time like 2026-01-31, as the log's times are, "
            f"got {value!r}."
        )
    try:
        moment = pd.Timestamp(value)
    except ValueError as error:
        raise DeploymentError(
            f"deployment: {name} must be a date or time like 2026-01-31, got {value!r}."
        ) from error
    zone = getattr(kind, "timezone", None)
    if zone is not None:
        return moment.tz_localize(zone) if moment.tz is None else moment.tz_convert(zone)
    return moment if moment.tz is None else moment.tz_convert("UTC").tz_localize(None)


def _require(column: str, names: Sequence[str]) -> None:
    if column not in names:
        raise DeploymentError(
            f"deployment: the log of requests has no column {column!r}; it has {', '.join(names)}."
            f"{did_you_mean(column, names)}"
        )


def _count(table: Any, request: str | None) -> int:
    number = table.count() if request is None else table[request].nunique()
    return int(execute(number.as_table()).column(0)[0].as_py())


def _span(table: Any, asked: Mapping[str, Any]) -> str:
    if "time" not in asked:
        return ""
    column = table[asked["time"]]
    row = execute(table.agg(first=column.min(), last=column.max())).to_pylist()[0]
    return f", from {row['first']} to {row['last']}" if row["first"] is not None else ""
