"""When each modality comes in, from a log of requests with the times of arrival."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from fusewise.data import Engine, engine_of, open_engine, portable
from fusewise.exceptions import ColumnNotFoundError, DeploymentError, did_you_mean
from fusewise.profile.arrival import joined
from fusewise.profile.product_limit import arrival_curve

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
    engine: Any = None,
) -> pd.DataFrame:
    """Estimate which share of requests has each modality by a time after they were opened.

    The estimand is the probability that a modality has come in within t of the opening of a
    request, among all requests of the log: one that a modality never came to is still open for it
    until it is closed. An arrival after the closing counts as still open at the closing, since
    whoever is no longer watched would otherwise count only where something came. The closing is
    assumed to have nothing to do with what is still to come: where requests are closed as soon as
    one awaited modality is there, the curve of another that tends to come with it is off.

    The log is reduced to one row per request in its own engine, and these to how many waited how
    long for each modality, which is what comes into memory.

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
    engine : None, "duckdb", "spark", Ibis connection or SparkSession
        Default: that of an Ibis or Spark table, else DuckDB in this process.

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
    with open_engine(engine_of([log]) if engine is None else engine) as on:
        return joined(_curves(on, on.open(log, WHAT), request, modality, arrived, opened, closed))


def _curves(
    on: Engine, table: Any, request: str, modality: str, arrived: str, opened: str, closed: Any
) -> list[pd.DataFrame]:
    by_column = isinstance(closed, str)
    _require(table, [request, modality, arrived, opened, *([closed] if by_column else [])])
    columns = {"_opened": opened, "_arrived": arrived} | ({"_closed": closed} if by_column else {})
    _require_one_clock({c: table.schema()[c] for c in columns.values()}, closed)
    rows = table.select(
        _id=table[request],
        _name=table[modality].cast("string"),
        **{place: _times(table, column, on.name) for place, column in columns.items()},
    )
    found = on.collect(rows.select("_name").distinct().order_by("_name"))["_name"].to_pylist()
    names = [name for name in found if name is not None]
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
    requests = on.keep(one)
    last = _check_requests(on, requests, names, request)
    if by_column:
        until = requests["closed"].fill_null(last)
    else:
        until = last if closed is None else _moment(closed)
    requests = requests.mutate(follow=until - requests["opened"])
    _check_times(on, requests, names, opened)
    # Timestamps are whole microseconds up to here, so that no difference of them is rounded.
    stamps = not table.schema()[opened].is_numeric()
    curves = []
    for i, name in enumerate(names):
        wait = requests[f"m{i}"] - requests["opened"]
        came = (wait <= requests["follow"]).fill_null(False)
        waits = requests.select(_wait=came.ifelse(wait, requests["follow"]), _came=came)
        counted = waits.group_by(["_wait", "_came"]).agg(_n=waits.count())
        told = on.collect(counted.order_by(["_wait", "_came"]))
        waited = told["_wait"].to_numpy().astype(float) / (1e6 if stamps else 1.0)
        came_in = told["_came"].to_numpy(zero_copy_only=False)
        curve = arrival_curve(waited, came_in, N_POINTS, n=told["_n"].to_numpy())
        curves.append(curve.assign(modality=name))
    return curves


def _require(table: Any, columns: list[Any]) -> None:
    for column in columns:
        if column not in table.columns:
            raise ColumnNotFoundError(
                f"{WHAT}: no column {column!r}; it has {', '.join(table.columns[:12])}."
                f"{did_you_mean(column, table.columns)} Name it with request=, modality=, "
                "arrived=, opened= or closed=."
            )


def _times(table: Any, column: str, engine: str) -> Any:
    """Return a column of times: finite numbers (else NULL), or whole microseconds since 1970."""
    kind = table.schema()[column]
    if kind.is_numeric():
        return portable.number(table[column], engine)
    if kind.is_date() or kind.is_timestamp():
        return portable.micros(table[column], engine)
    raise DeploymentError(
        f"{WHAT}, column {column!r}: expected numbers or timestamps, got {kind}. Convert the "
        "column."
    )


def _moment(closed: Any) -> Any:
    """Return the one closing as a number, or as microseconds since 1970."""
    return closed.value // 1000 if isinstance(closed, pd.Timestamp) else float(closed)


def _require_one_clock(kinds: dict[str, Any], closed: Any) -> None:
    clocks = {}
    for column, kind in kinds.items():
        stamp = kind.is_timestamp() or kind.is_date()
        zone = " with a time zone" if kind.is_timestamp() and kind.timezone else ""
        clocks[f"column {column!r}"] = f"timestamps{zone}" if stamp else "numbers"
    if isinstance(closed, datetime):
        zone = " with a time zone" if closed.tzinfo else ""
        clocks["closed="] = f"timestamps{zone}"
    elif closed is not None and not isinstance(closed, str):
        clocks["closed="] = "numbers"
    if len(set(clocks.values())) > 1:
        said = ", ".join(f"{place} holds {clock}" for place, clock in clocks.items())
        raise DeploymentError(f"{WHAT}: {said}. Store all in one way, or no wait can be told.")


def _check_requests(on: Engine, requests: Any, names: list[str], request: str) -> Any:
    """Raise where requests cannot be told apart, and return the last time in the log."""
    times = [c for c in ("opened", "arrived", "closed") if c in requests.columns]
    found = on.collect(
        requests.aggregate(
            n=requests.count(),
            unnamed=requests["n"].sum(where=requests["_id"].isnull()),
            **{f"last_{c}": requests[c].max() for c in times},
        )
    ).to_pylist()[0]
    if not found["n"]:
        raise DeploymentError(f"{WHAT} is empty, so that no arrival can be told.")
    if found["unnamed"]:
        raise DeploymentError(
            f"{WHAT}: {found['unnamed']:,} rows have no {request!r}, so that their requests cannot "
            "be told apart."
        )
    if not names:
        raise DeploymentError(f"{WHAT} names no modality in any row.")
    return max((v for c in times if (v := found[f"last_{c}"]) is not None), default=None)


def _check_times(on: Engine, requests: Any, names: list[str], opened: str) -> None:
    """Raise at the first fault in the times of requests; all are looked for in one query."""
    advice = f"Give every row of a request its one time of opening, column {opened!r}."
    earlier = "Write the opening as the arrival of what was there already."
    faults = [
        (requests["n_opened"] < requests["n"], "has rows without an opening", advice),
        (requests["opened"] != requests["last_opened"], "was opened at more than one time", advice),
        (requests["follow"] < 0, "was closed before it was opened", "Check the times."),
    ]
    faults += [
        (requests[f"m{i}"] < requests["opened"], f"has {name!r} before it was opened", earlier)
        for i, name in enumerate(names)
    ]
    wanted = {f"n{k}": fault.ifelse(1, 0).sum() for k, (fault, _, _) in enumerate(faults)}
    # The lowest id, so that the order of the log's rows has no effect.
    wanted |= {f"id{k}": requests["_id"].min(where=fault) for k, (fault, _, _) in enumerate(faults)}
    found = on.collect(requests.aggregate(**wanted)).to_pylist()[0]
    for k, (_, fault, remedy) in enumerate(faults):
        if found[f"n{k}"]:
            more = f" ({found[f'n{k}']:,} requests)" if found[f"n{k}"] > 1 else ""
            raise DeploymentError(f"{WHAT}: request {found[f'id{k}']!r} {fault}{more}. {remedy}")
