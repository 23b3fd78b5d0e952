"""The mechanism of availability: what presence depends on, as far as the training rows can tell."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusewise.data import MultimodalDataset
from fusewise.profile.dependence import Dependence, dependence, draw_rows
from fusewise.profile.directions import directions
from fusewise.profile.sources import Values, independent_rows, known_columns

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]
BoolArray = npt.NDArray[np.bool_]

FEWEST = 10
LEVEL = 0.05
COLUMNS = ["modality", "depends_on", "n", "score", "low", "high", "p", "p_holm", "note"]


def mechanism_table(
    ds: MultimodalDataset,
    rng: np.random.Generator,
    *,
    n_permutations: int = 499,
    max_rows: int = 1_000,
) -> pd.DataFrame:
    """Test for each modality whether its presence depends on what is known of the samples.

    The sources are the *values* of the other modalities, the *target*, and each declared group.
    Dependence on observed values rules out MCAR; dependence on the target says that presence
    itself is informative of it; dependence on a group, that its members differ in what they have.
    **No test of these data can see dependence on the modality's own values where it is absent**
    (MNAR): a table without findings does not prove that absence is harmless.

    Values are compared within strata: among samples that have the same other modalities. Presence
    also goes together with the presence of others (the profile's ``copresence``), and that alone
    is no evidence here. Samples whose other modalities come only with, or only without, the tested
    one cannot be compared and are left out. The target and the groups are compared over all
    samples.

    Parameters
    ----------
    ds : MultimodalDataset
        Training rows. Where a cluster is declared, one sample of each cluster is drawn at random
        and the figures speak of these: they are independent, which the test needs. What only
        distinguishes samples inside a cluster is then found with less power.
    rng : Generator
        Children are spawned from it; samples are drawn in the order of their ids, so that neither
        the order of the samples nor that of the modalities has an effect.
    n_permutations : int
        The smallest p-value is ``1 / (n_permutations + 1)``, and Holm's correction multiplies it
        by up to the number of modalities.
    max_rows : int
        Samples drawn for each test (of 100,000 at most), as many with as without the modality as
        far as there are; that changes neither the expectation of an AUROC nor the validity of the
        p-value.

    Returns
    -------
    DataFrame
        One row per modality and source, also where nothing can be tested:

        ``depends_on``: ``values``, ``target`` (without one there are no such rows), or
        ``group:NAME``;
        ``n``: samples that were compared;
        ``score``: cross-fitted AUROC of presence predicted from the source, 0.5 for no dependence,
        and ``low``, ``high``, its 95 % interval at these predictions (see
        :func:`~fusewise.profile.dependence.dependence`);
        ``p``, ``p_holm``: permutation p-value, and corrected over the modalities of one source;
        ``note``: why a row has no figures (fewer than ten samples with or without the modality,
        no other modality, one class only), or what else to know of them.

    Notes
    -----
    The regression sees trends and U-shapes in each direction of a source, no products of
    directions, and of each modality at most 20 directions; where presence depends on anything
    else, the test keeps silent. For events, how many there are is among the values.

    A finding says that presence is not exchangeable, not what causes it. Where an unknown common
    cause ties the presence of two modalities and one of them depends on values, then among
    samples that are alike in the one, the other depends on these values too.

    References
    ----------
    D. B. Rubin, Inference and missing data, Biometrika 63 (1976), for the mechanisms. S. Holm, A
    simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6
    (1979).
    """
    for_rows, for_features, for_tests = rng.spawn(3)
    rows, about = independent_rows(ds, for_rows)
    # In the order of their names, so that the order of modalities does not reach the draws.
    names = sorted(ds.modalities)
    columns = np.array([ds.modalities.index(name) for name in names])
    presence = ds.presence[np.ix_(rows, columns)]
    known = known_columns(ds, rows)
    sources = ["values", *known]
    patterns, pattern = np.unique(presence, axis=0, return_inverse=True)
    questions = []
    for m, own in enumerate(for_tests.spawn(len(names))):
        alike = np.unique(np.delete(patterns, m, axis=1), axis=0, return_inverse=True)[1][pattern]
        for source, child in zip(sources, own.spawn(len(sources)), strict=True):
            if source == "values":
                question = _ask_of_values(presence, m, alike, max_rows, child)
            else:
                question = _ask(presence, m, source, known[source], max_rows, child)
            questions.append(question)
    needed = [q.rows for q in questions if q.source == "values"]
    values = Values(ds, rows, np.unique(np.concatenate(needed)), names, for_features)

    records = []
    for question in questions:
        features = _features(question, known, values)
        record = {"modality": names[question.m], "depends_on": question.source}
        records.append(record | _answer(question, features, presence, n_permutations, about))
    table = pd.DataFrame(records)
    by_source = table.groupby("depends_on")["p"]
    table["p_holm"] = by_source.transform(holm)
    coarse = (by_source.transform("count") > LEVEL * (n_permutations + 1)) & table["p"].notna()
    table.loc[coarse, "note"] += f"; {n_permutations} permutations are too few for a small p_holm"
    table["note"] = table["note"].str.removeprefix("; ")
    given = table["modality"].map({name: index for index, name in enumerate(ds.modalities)})
    return table.iloc[given.argsort(kind="stable")].reset_index(drop=True)[COLUMNS]


def mechanism_notes(table: pd.DataFrame) -> list[str]:
    """Say in one sentence per source what was found at the corrected 5 % level."""
    notes = []
    found = table[table["p_holm"] <= LEVEL]
    for source, part in found.groupby("depends_on", sort=False):
        group = ("the group " + str(source).removeprefix("group:"), _GROUPS_DIFFER)
        what, so = _MEANING.get(str(source), group)
        rows = part.sort_values("score", ascending=False, kind="stable")
        columns = (rows[name].head(_SHOWN) for name in ("modality", "score", "low", "high"))
        strongest = ", ".join(
            f"{name} {score:.2f} [{low:.2f}, {high:.2f}]"
            for name, score, low, high in zip(*columns, strict=True)
        )
        more = f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
        notes.append(f"Presence depends on {what} (AUROC: {strongest}{more}): {so}")
    return notes


_SHOWN = 3
_MEANING = {
    "values": (
        "the values of other modalities",
        "it is not missing completely at random, and those who have it are a selected sample.",
    ),
    "target": ("the target", "what is learned from who lacks it may not hold elsewhere."),
}
_GROUPS_DIFFER = "its levels differ in who lacks what, so figures should be read per level too."
_UNKNOWN = Dependence(0, math.nan, math.nan, math.nan, math.nan)


def holm(p: pd.Series) -> pd.Series:
    """Correct p-values for their number by Holm's step-down; NaN is not counted.

    Examples
    --------
    >>> holm(pd.Series([0.01, 0.04, 0.03, float("nan")])).tolist()
    [0.03, 0.06, 0.06, nan]
    """
    ordered = p.dropna().sort_values(kind="stable")
    steps = ordered * np.arange(len(ordered), 0, -1)
    return steps.cummax().clip(upper=1.0).reindex(p.index)


class _Question(NamedTuple):
    """One test with the rows drawn for it, or a note on why it cannot be done."""

    m: int
    source: str
    rows: IntArray
    strata: IntArray
    rng: np.random.Generator
    note: str


def _ask(
    presence: BoolArray,
    m: int,
    source: str,
    known: pd.DataFrame,
    max_rows: int,
    rng: np.random.Generator,
) -> _Question:
    """Draw rows to compare over all samples."""
    strata = np.zeros(len(presence), dtype=np.intp)
    note = _scarce(presence[:, m])
    if not note and known.iloc[:, 0].nunique() < 2:
        note = f"the {source.partition(':')[0]} has one value only"
    drawn = strata[:0] if note else draw_rows(presence[:, m], strata, max_rows, rng)
    return _Question(m, source, drawn, strata[drawn], rng, note)


def _ask_of_values(
    presence: BoolArray, m: int, alike: IntArray, max_rows: int, rng: np.random.Generator
) -> _Question:
    """Draw rows to compare among those that are `alike` in their other modalities."""
    drawn = alike[:0]
    note = _scarce(presence[:, m])
    if not note and presence.shape[1] == 1:
        note = "there is no other modality"
    if not note:
        rows = np.flatnonzero(np.delete(presence, m, axis=1).any(axis=1))  # the rest has no values
        drawn = rows[draw_rows(presence[rows, m], alike[rows], max_rows, rng)]
        note = _scarce(presence[drawn, m], " and have a counterpart with the same other modalities")
    drawn = drawn[:0] if note else drawn
    return _Question(m, "values", drawn, alike[drawn], rng, note)


def _features(question: _Question, known: dict[str, pd.DataFrame], values: Values) -> FloatArray:
    """Return the features (n, d) of the source for the rows drawn."""
    if question.source == "values":
        return values.without(question.m, question.rows)
    return directions(known[question.source].iloc[question.rows], question.rng)


def _answer(
    question: _Question,
    features: FloatArray,
    presence: BoolArray,
    n_permutations: int,
    about: str,
) -> dict[str, Any]:
    """Return the figures of one row and its note."""
    note = question.note
    if not note and features.shape[1] == 0:
        note = f"{question.source}: nothing varies"
    if note:
        return _UNKNOWN._asdict() | {"note": note}
    has = presence[question.rows, question.m]
    found = dependence(features, has, question.strata, n_permutations, question.rng)
    return found._asdict() | {"note": about}


def _scarce(present: BoolArray, among: str = "") -> str:
    """Say that too few samples have, or lack, a modality; empty where they do not."""
    n_with = int(present.sum())
    n_without = len(present) - n_with
    if min(n_with, n_without) >= FEWEST:
        return ""
    kind, n = ("have", n_with) if n_with < n_without else ("lack", n_without)
    return f"{n:,} samples {kind} it{among}; {FEWEST} with and {FEWEST} without are needed"
