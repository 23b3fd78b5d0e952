"""When each modality comes in, from a log of requests with the times of arrival."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from fusewise.data import execute
from fusewise.exceptions import ColumnNotFoundError, DeploymentError, did_you_mean
from fusewise.profile.arrival import joined
from fusewise.profile.product_limit import arrival_curve
from fusewise.profile.tables import open_source

WHAT = "arrival, the log of requests"
N_POINTS = 25


def arrival_of_log(
    log: Any,
    *,
    request: str = "request",
    modality: str = "modality",
    arrived: str = "arrived",
    opened: str = "opened",
    closed: str | float | datetime | None = None,
) -> pd.DataFrame:
    """Estimate which share of requests has each modality by a time after they were opened.

    The estimand is the probability that a modality has come in within t of the opening of a
    request, among all requests of the log: one that a modality never came to is still open for it
    until it is closed. An arrival after the closing counts as still open at the closing, since
    whoever is no longer watched would otherwise count only where something came. The closing is
    assumed to have nothing to do with what is still to come: where requests are closed as soon as
    one awaited modality is there, the curve of another that tends to come with it is off.

    The log is reduced to one row per request in one pass of its own engine.

    Parameters
    ----------
    log : path, pandas, polars, Arrow or Ibis table
        One row per request and modality that came. Rows may repeat; the first arrival counts. A
        row without a modality stands for a request that came with none, and one without an arrival
        for a modality that has not come yet.
    request, modality : str
        The columns that name them.
    arrived, opened : str
        The columns with the time of arrival and of the opening of the request (the same in all
        rows of a request): both numbers in one unit, or both timestamps.
    closed : str, number or datetime, optional
        A column (an empty cell is a request that is still open), or one time for all. Default, and
        for empty cells: the last time in the log.

    Returns
    -------
    DataFrame
        ``modality, time, share, low, high, at_risk``, at most 25 times per modality, in
        alphabetical order; as :func:`~fusewise.profile.arrival.arrival_table`. Timestamps give
        seconds.

    Raises
    ------
    TableNotFoundError, ColumnNotFoundError
        The log or a column is not there.
    DeploymentError
        The log is empty, names no modality, mixes numbers with timestamps, lacks an id or an
        opening, has two openings of one request, or has an arrival or closing before the opening.

    Examples
    --------
    >>> log = pd.DataFrame(
    ...     {
    ...         "request": [1, 1, 2],
    ...         "modality": ["ehr", "imaging", "ehr"],
    ...         "opened": [0.0, 0.0, 10.0],
    ...         "arrived": [1.0, 6.0, 12.0],
    ...     }
    ... )
    >>> arrival_of_log(log, closed=20.0)[["modality", "time", "share", "at_risk"]]
      modality  time  share  at_risk
    0      ehr   1.0    0.5        2
    1      ehr   2.0    1.0        1
    2  imaging   6.0    0.5        2
    3  imaging  10.0    0.5        1
    """
    if not (closed is None or isinstance(closed, str | int | float | np.number)):
        closed = pd.Timestamp(closed)
    if isinstance(closed, float | np.floating) and not np.isfinite(closed):
        raise DeploymentError(f"{WHAT}: closed= is {closed}, which is no time. Leave it out.")
    table = open_source(log, WHAT)
    by_column = isinstance(closed, str)
    _require(table, [request, modality, arrived, opened, *([closed] if by_column else [])])
    rows = table.select(
        _id=table[request],
        _name=table[modality].cast("string"),
        _opened=_times(table, opened),
        _arrived=_times(table, arrived),
        **({"_closed": _times(table, closed)} if by_column else {}),
    )
    _require_one_clock(rows, {"_opened": opened, "_arrived": arrived, "_closed": closed}, closed)
    names = execute(rows.select("_name").distinct().order_by("_name")).column(0).to_pylist()
    names = [name for name in names if name is not None]
    one = rows.group_by("_id").agg(
        opened=rows["_opened"].min(),
        last_opened=rows["_opened"].max(),
        n_opened=rows["_opened"].count(),
        n=rows.count(),
        arrived=rows["_arrived"].max(),
        **({"closed": rows["_closed"].max()} if by_column else {}),
        **{
            f"m{i}": rows["_arrived"].min(where=rows["_name"] == name)
            for i, name in enumerate(names)
        },
    )
    # In the order of the ids, so that the order of the log's rows has no effect.
    requests = execute(one.order_by("_id")).to_pandas()
    _check_requests(requests, names, opened, request)
    follow = _seconds(_closing(requests, closed) - requests["opened"])
    _refuse(requests, follow < 0, "was closed before it was opened", "Check the times.")
    curves = []
    for i, name in enumerate(names):
        wait = _seconds(requests[f"m{i}"] - requests["opened"])
        _refuse(
            requests,
            wait < 0,
            f"has {name!r} before it was opened",
            "Write the opening as the arrival of what was there already.",
        )
        came = wait <= follow
        waited = np.where(came, wait, follow)
        curves.append(arrival_curve(waited, came, N_POINTS).assign(modality=name))
    return joined(curves)


def _require(table: Any, columns: list[Any]) -> None:
    for column in columns:
        if column not in table.columns:
            raise ColumnNotFoundError(
                f"{WHAT}: no column {column!r}; it has {', '.join(table.columns[:12])}."
                f"{did_you_mean(column, table.columns)} Name it with request=, modality=, "
                "arrived=, opened= or closed=."
            )


def _times(table: Any, column: Any) -> Any:
    """Return a column of times: finite numbers as floats (else NULL), dates as timestamps."""
    kind = table.schema()[column]
    if kind.is_numeric():
        number = table[column].cast("float64")
        return (number.isnan() | number.isinf()).ifelse(None, number)
    if kind.is_date():
        return table[column].cast("timestamp")
    if kind.is_timestamp():
        return table[column]
    raise DeploymentError(
        f"{WHAT}, column {column!r}: expected numbers or timestamps, got {kind}. Convert the "
        "column."
    )


def _require_one_clock(rows: Any, columns: dict[str, Any], closed: Any) -> None:
    clocks = {}
    for place, column in columns.items():
        if place in rows.columns:
            kind = rows.schema()[place]
            zone = " with a time zone" if kind.is_timestamp() and kind.timezone else ""
            clocks[f"column {column!r}"] = f"timestamps{zone}" if kind.is_timestamp() else "numbers"
    if isinstance(closed, datetime):
        zone = " with a time zone" if closed.tzinfo else ""
        clocks["closed="] = f"timestamps{zone}"
    elif closed is not None and not isinstance(closed, str):
        clocks["closed="] = "numbers"
    if len(set(clocks.values())) > 1:
        said = ", ".join(f"{place} holds {clock}" for place, clock in clocks.items())
        raise DeploymentError(f"{WHAT}: {said}. Store all in one way, or no wait can be told.")


def _check_requests(requests: pd.DataFrame, names: list[str], opened: str, request: str) -> None:
    if requests.empty:
        raise DeploymentError(f"{WHAT} is empty, so that no arrival can be told.")
    unnamed = requests["n"][requests["_id"].isna()].sum()
    if unnamed:
        raise DeploymentError(
            f"{WHAT}: {unnamed:,} rows have no {request!r}, so that their requests cannot be told "
            "apart."
        )
    if not names:
        raise DeploymentError(f"{WHAT} names no modality in any row.")
    advice = f"Give every row of a request its one time of opening, column {opened!r}."
    _refuse(requests, requests["n_opened"] < requests["n"], "has rows without an opening", advice)
    two = requests["opened"] != requests["last_opened"]
    _refuse(requests, two, "was opened at more than one time", advice)


def _closing(requests: pd.DataFrame, closed: Any) -> Any:
    """When each request was last watched."""
    if closed is not None and not isinstance(closed, str):
        return closed
    times = [c for c in ("opened", "arrived", "closed") if c in requests]
    last = requests[times].max().max()
    return requests["closed"].fillna(last) if "closed" in requests else last


def _seconds(waits: pd.Series) -> pd.Series:
    if pd.api.types.is_timedelta64_dtype(waits):
        return waits.dt.total_seconds()
    return waits.astype(float)


def _refuse(requests: pd.DataFrame, at_fault: pd.Series, fault: str, advice: str) -> None:
    if at_fault.any():
        first = requests["_id"][at_fault].tolist()[0]
        more = f" ({int(at_fault.sum()):,} requests)" if at_fault.sum() > 1 else ""
        raise DeploymentError(f"{WHAT}: request {first!r} {fault}{more}. {advice}")
