"""A log of past requests, reduced to how often each availability pattern came."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from fusewise.data.columns import is_number
from fusewise.data.presence import pattern_label
from fusewise.data.request_window import select_requests
from fusewise.data.tables import execute, open_table
from fusewise.exceptions import DeploymentError, TableNotFoundError


def count_patterns(log: Any) -> dict[str, int]:
    """Count the availability patterns of a whole log of requests; see :func:`count_requests`."""
    return count_requests(log)[0]


def count_requests(
    log: Any, window: Mapping[str, Any] | None = None
) -> tuple[dict[str, int], dict[str, Any] | None]:
    """Count the availability patterns of a log of requests, or of a window of it.

    Parameters
    ----------
    log : path or table
        Long: one row per request and modality that came, with a column ``modality``; the first
        column that is neither ``modality`` nor a time names the request (``request`` where there
        is one). Wide: one row per request and one boolean column per modality.
    window : dict, optional
        ``since``, ``until``, ``time`` and ``where`` of
        :func:`~fusewise.data.request_window.select_requests`.

    Returns
    -------
    dict of str to int
        Pattern label to number of requests. A long log cannot show requests for which nothing
        came.
    dict or None
        The window with the numbers of requests ``used`` and ``left_out``; None without one.

    Raises
    ------
    DeploymentError
        The log cannot be opened, is empty, has neither form, or has no request in the window.
    """
    try:
        table = open_table(log, what="deployment, observed")
    except TableNotFoundError as error:
        raise DeploymentError(str(error)) from error
    schema = table.schema().to_pyarrow()
    long = "modality" in schema.names
    request = _request_column(schema) if long else None
    chosen = None
    if window:
        table, chosen = select_requests(table, request, window)
    counts = _count_long(table, request) if request else _count_wide(table, schema)
    if not counts:
        raise DeploymentError("deployment: the log of requests is empty.")
    return counts, chosen


def _request_column(schema: pa.Schema) -> str:
    if "request" in schema.names:
        return "request"
    for field in schema:
        if field.name != "modality" and not pa.types.is_temporal(field.type):
            return str(field.name)
    raise DeploymentError(
        "deployment: a log with a column 'modality' needs a column that names the request, e.g. "
        f"'request'; it has {', '.join(schema.names)}."
    )


def _count_long(table: Any, request: str) -> dict[str, int]:
    names = execute(table.select("modality").distinct()).column("modality").to_pylist()
    if not names:
        return {}
    if any(n is None for n in names):
        raise DeploymentError("deployment: the log of requests has rows without a modality.")
    names = sorted(map(str, names))
    modality = table["modality"].cast("string")
    flags = {f"m{i}": (modality == name).ifelse(1, 0).max() for i, name in enumerate(names)}
    per_request = table.group_by(request).agg(**flags)
    unnamed = execute(table.filter(table[request].isnull()).count().as_table()).column(0)[0].as_py()
    if unnamed:
        raise DeploymentError(
            f"deployment: {unnamed:,} rows of the log have no {request!r}, so that their requests "
            "cannot be told apart."
        )
    return _labels(per_request, names)


def _count_wide(table: Any, schema: pa.Schema) -> dict[str, int]:
    names = sorted(f.name for f in schema if pa.types.is_boolean(f.type))
    if not names:
        shown = ", ".join(f"{f.name} ({f.type})" for f in schema if is_number(f.type))
        raise DeploymentError(
            "deployment: the log of requests needs a column 'modality' (long form) or one boolean "
            f"column per modality (wide form){f'; it has {shown}' if shown else ''}."
        )
    flags = {f"m{i}": table[n].fill_null(False).ifelse(1, 0) for i, n in enumerate(names)}
    return _labels(table.select(**flags), names)


def _labels(flags: Any, names: list[str]) -> dict[str, int]:
    columns = [f"m{i}" for i in range(len(names))]
    counted = execute(flags.group_by(columns).agg(n=flags.count()))
    rows = zip(*(counted.column(c).to_pylist() for c in columns), strict=True)
    counts = {
        pattern_label(n for n, flag in zip(names, row, strict=True) if flag): int(n_requests)
        for row, n_requests in zip(rows, counted.column("n").to_pylist(), strict=True)
    }
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
