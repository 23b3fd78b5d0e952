"""Whether a pilot may overrule the matrix, and why, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from fusewise.recommend.pilot_result import LOSS_WORDS, spell

_RANK = {"not met": 0, "undetermined": 1, "met": 2}


def judge(
    comparison: pd.DataFrame,
    requirements: pd.DataFrame,
    *,
    reference: str,
    loss: str,
    source: str,
    size: int,
    n_folds: int,
    weak_reference: bool,
    strong: Mapping[str, bool],
) -> tuple[str, bool, str]:
    """Return the pilot's answer, whether it overrules, and the reason.

    A candidate overrules where its paired interval against the matrix's strategy lies above zero
    at the largest size, over all folds; it answers no requirement worse than the matrix's strategy;
    availability in deployment is known; and it was not held against a weaker version of what the
    matrix would train.

    Parameters
    ----------
    comparison, requirements : DataFrame
        As in the pilot.
    reference, loss, source : str
    size, n_folds : int
        The largest size, and how many folds a whole comparison has.
    weak_reference : bool
        Whether the reference is a network that was trained shorter than it would be.
    strong : mapping of str to bool
        Of each candidate, whether it is at full strength.
    """
    last = comparison[comparison["size"] == size]
    if last.empty:
        return (
            reference,
            False,
            (
                f"The time ended before {reference} fusion and another candidate had been fitted "
                f"on {size:,} rows, which decides. {reference.capitalize()} fusion, the matrix's "
                "answer, stands."
            ),
        )
    ranked = last.sort_values("difference", ascending=False, kind="stable").to_dict("records")
    stands = f"{reference.capitalize()} fusion, the matrix's answer, stands."
    said: list[str] = []
    for row in ranked:
        if not row["shown"]:
            break
        told = _told(row, loss)
        against = _against(row, requirements, reference, source, n_folds)
        if not against and weak_reference and strong[row["strategy"]]:
            against = (
                f"but {reference} fusion was tried as one network with few epochs, weaker than what "
                "would be trained. Give it its full size in params to compare at equal strength"
            )
        if not against:
            met = "" if requirements.empty else ", and it answers no requirement worse"
            before = f"{' '.join(said)} " if said else ""
            return (
                str(row["strategy"]),
                True,
                (
                    f"{before}{told}{met}. It takes the place of {reference} fusion, the matrix's "
                    "answer."
                ),
            )
        said.append(f"{told}, {against}.")
    best = ranked[0]
    if said:
        return str(best["strategy"]), False, f"{' '.join(said)} {stands}"
    if best["difference"] > 0:
        return (
            str(best["strategy"]),
            False,
            f"{_told(best, loss)}, which is not shown: the interval holds zero. {stands}",
        )
    return reference, False, f"No other candidate did better: {_worse(best, loss)}. {stands}"


def _told(row: Mapping[Any, Any], loss: str) -> str:
    return (
        f"{str(row['strategy']).capitalize()} fusion has a {LOSS_WORDS[loss]} lower by "
        f"{spell(row['difference'], row['low'], row['high'])} than {row['reference']} fusion "
        f"(n {row['n']:,}, out of fold, {row['size']:,} rows to learn from)"
    )


def _worse(row: Mapping[Any, Any], loss: str) -> str:
    return (
        f"{row['strategy']} fusion, the next, has a {LOSS_WORDS[loss]} higher by "
        f"{spell(-row['difference'], -row['high'], -row['low'])} (n {row['n']:,}, out of fold, "
        f"{row['size']:,} rows to learn from)"
    )


def _against(
    row: Mapping[Any, Any], requirements: pd.DataFrame, reference: str, source: str, n_folds: int
) -> str:
    """Say why a candidate that wins may not overrule; empty where it may."""
    if source == "none":
        return (
            "but availability in deployment is unknown, so that it could not be tried under it: "
            "the pilot is shown and does not overrule"
        )
    if row["folds"] < n_folds:
        return f"but the time ended after {row['folds']} of {n_folds} folds"
    answers = requirements.pivot(index="requirement", columns="strategy", values="status")
    for name, status in answers.iterrows():
        mine, theirs = status.get(row["strategy"]), status.get(reference)
        if _RANK[str(mine)] < _RANK[str(theirs)]:
            return f"but of the requirement '{name}' it is {mine}, {reference} fusion {theirs}"
    return ""
