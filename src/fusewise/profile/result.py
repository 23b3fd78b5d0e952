"""The deployment profile: what is known before training, as plain tables and numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from fusewise.data import Result
from fusewise.profile.mechanism import mechanism_notes
from fusewise.profile.probes import probe_notes
from fusewise.profile.text import number, pattern_text, share, table_text

SOURCE_WORDS = {
    "observed": "a log of requests",
    "rates": "declared rates",
    "patterns": "declared joint patterns",
    "training": "declared to look like training",
    "none": "unknown",
}


@dataclass(frozen=True, eq=False, repr=False)
class DeploymentProfile(Result):
    """Measured and declared facts about a deployment.

    Attributes
    ----------
    n_samples : int
        Training samples.
    modalities : tuple of str
    kinds : dict of str to str
    task : str or None
    deployment : dict
        The declared facts: ``cohort, synchronised, timing, interaction, interpretability,
        validation, latency_ms, memory_mb``, and ``requests``, the part of the log that was counted.
    source : {"observed", "rates", "patterns", "training", "none"}
        Where the availability in deployment comes from.
    availability : DataFrame
        ``modality, n_train, rate_train, low_train, high_train, n_deployment, rate, low, high``.
        `n_train` counts the samples that have it; `rate`, `low`, `high` are the deployment's.
        Limits are Wilson's, 95 %. `n_deployment` is the number of requests; where only rates or
        patterns are declared it is NaN and the limits equal the rate; where nothing is known all
        four are NaN.
    group_availability : DataFrame
        ``group, level, modality, n, rate, low, high`` in training; `n` is the size of the level.
    patterns : DataFrame
        ``pattern, n_train, share_train, n_deployment, share_deployment, unseen``.
    copresence : DataFrame
        ``modality, other, both, phi`` in training, each ordered pair.
    complete_case : DataFrame
        ``population, n, share, low, high`` for train, and deployment where it is known.
    dimensions : DataFrame
        ``modality, kind, n, width, effective, samples_per_dimension, variance_share,
        missing_share``.
    dimension_ratio : float
        Widest over narrowest modality.
    cadence : DataFrame
        ``modality, events_per_sample, median_gap, regularity, age_at_prediction, n``.
    cadence_ratio : float
        Longest over shortest median gap; NaN with fewer than two event modalities.
    notes : tuple of str
    shift, group_shift : DataFrame
        ``from, to, n_from, n_to, distance, low, high, expected_if_same, p, most_changed``: pattern
        frequencies of the deployment against those of training, and of each level of each group
        against all others.
    arrival : DataFrame
        ``modality, time, share, low, high, at_risk``: the share of training samples that have an
        event modality by a time.
    mechanism : DataFrame
        ``modality, depends_on, n, score, low, high, p, p_holm, note``: whether presence depends on
        the values of other modalities, the target, or a group; empty where it was not asked.
    probes : DataFrame
        ``axis, n, metric, score_without, score_with, effect, low, high, shown, note``: whether
        timing and interaction carry signal; empty where it was not asked.
    read, columns : DataFrame
        Of :func:`~fusewise.profile.on_tables.profile_tables`, else empty. ``modality, rows,
        unknown_ids, after_prediction_time, without_time, declared_absent``: what was left out of
        each table, and why. ``modality, column, n, missing_share, infinite, mean, sd, distinct``:
        columns of tables and variables of events.
    redundancy : DataFrame
        ``modality, other, n_both, n, cka, low, high, note``: how alike each pair of modalities is,
        by debiased linear CKA on `n` of the training samples that have both.
    asynchrony : DataFrame
        ``modality, other, n_both, share_both, n, preceded, lag_q25, lag, lag_q75, low, high``: when
        the one event modality speaks, how long ago the other one did.
    staleness : DataFrame
        ``modality, n, age_q25, age, age_q75, age_q90, low, high, typical_gap,
        share_older, share_low, share_high, note``: how old the latest event is at prediction time.
    sizes : DataFrame
        ``modality, kind, n, columns, indicators, level_inputs, level_weights, tokens, token_values,
        token_kinds``: what a model of each modality would be made of.
    compute : DataFrame
        ``strategy, situation, outputs, modalities, parameters, model_mb, multiply_adds, memory_mb,
        memory_low, memory_high, latency_ms, latency_low, latency_high``: what each strategy would
        cost in use, estimated from `sizes`.
    """

    n_samples: int
    modalities: tuple[str, ...]
    kinds: dict[str, str]
    task: str | None
    deployment: dict[str, Any]
    source: str
    availability: pd.DataFrame
    group_availability: pd.DataFrame
    patterns: pd.DataFrame
    copresence: pd.DataFrame
    complete_case: pd.DataFrame
    dimensions: pd.DataFrame
    dimension_ratio: float
    cadence: pd.DataFrame
    cadence_ratio: float
    notes: tuple[str, ...] = ()
    shift: pd.DataFrame = field(default_factory=pd.DataFrame)
    group_shift: pd.DataFrame = field(default_factory=pd.DataFrame)
    arrival: pd.DataFrame = field(default_factory=pd.DataFrame)
    mechanism: pd.DataFrame = field(default_factory=pd.DataFrame)
    probes: pd.DataFrame = field(default_factory=pd.DataFrame)
    read: pd.DataFrame = field(default_factory=pd.DataFrame)
    columns: pd.DataFrame = field(default_factory=pd.DataFrame)
    redundancy: pd.DataFrame = field(default_factory=pd.DataFrame)
    asynchrony: pd.DataFrame = field(default_factory=pd.DataFrame)
    staleness: pd.DataFrame = field(default_factory=pd.DataFrame)
    sizes: pd.DataFrame = field(default_factory=pd.DataFrame)
    compute: pd.DataFrame = field(default_factory=pd.DataFrame)

    def probe(self, axis: str) -> dict[str, Any] | None:
        """Return what the probe of ``timing`` or ``interaction`` measured; None where it did not."""
        for row in self.probes.to_dict("records"):
            if row["axis"] == axis and not math.isnan(row["effect"]):
                return {str(name): value for name, value in row.items()}
        return None

    def carries_signal(self, axis: str) -> str:
        """Say whether ``timing`` or ``interaction`` carries signal: yes, no or unknown.

        What was declared stands. Where that is unknown, a measured effect whose interval lies above
        zero is a yes; any other leaves it unknown, as what a probe does not find is not disproved.
        """
        declared = str(self.deployment.get(axis) or "unknown")
        found = self.probe(axis)
        return "yes" if declared == "unknown" and found and found["shown"] else declared

    @property
    def orders_of_magnitude(self) -> float:
        """Spread of the widths: the decimal logarithm of `dimension_ratio`."""
        return math.log10(self.dimension_ratio) if self.dimension_ratio > 0 else math.nan

    @property
    def unseen_share(self) -> float:
        """Share of requests whose pattern training never saw; NaN where it is unknown."""
        known = self.patterns["share_deployment"]
        if known.isna().all():
            return math.nan
        return float(known[self.patterns["unseen"]].sum())

    def __repr__(self) -> str:
        return (
            f"<DeploymentProfile: {self.n_samples:,} samples, {len(self.modalities)} modalities, "
            f"deployment {SOURCE_WORDS[self.source]}>"
        )

    def __str__(self) -> str:
        train = self.complete_case[self.complete_case["population"] == "train"]
        complete = share(float(train["share"].iloc[0]))
        title = (
            f"Deployment profile: {self.n_samples:,} training samples, "
            f"{len(self.modalities)} modalities; availability in deployment: "
            f"{SOURCE_WORDS[self.source]}"
        )
        unseen = f"{share(self.unseen_share)} of requests in patterns that training never saw"
        common = self.patterns.head(8)
        common = common.assign(
            pattern=[pattern_text(label, self.modalities) for label in common["pattern"]]
        )
        lines = [
            title,
            "",
            f"Availability ({complete} complete in training)",
            table_text(self.availability.drop(columns=["low_train", "high_train"])),
            "",
            f"Patterns ({len(self.patterns):,}; {unseen})",
            table_text(common),
            "",
            f"Dimensions (widths {number(self.dimension_ratio)} : 1)",
            table_text(self.dimensions),
        ]
        alike = self.redundancy.dropna(subset="cka") if len(self.redundancy) else self.redundancy
        if len(alike):
            alike = alike.sort_values("cka", ascending=False, kind="stable").head(8)
            lines += ["", "Most alike (debiased CKA)", table_text(alike.drop(columns="note"))]
        if len(self.cadence):
            lines += [
                "",
                f"Cadence (gaps {number(self.cadence_ratio)} : 1)",
                table_text(self.cadence),
            ]
        if len(self.staleness):
            ages = ["modality", "n", "age_q25", "age", "age_q75", "share_older"]
            lines += ["", "Age of the latest event at prediction", table_text(self.staleness[ages])]
        if len(self.asynchrony):
            apart = self.asynchrony.sort_values("lag", ascending=False, kind="stable").head(8)
            lags = ["modality", "other", "n", "preceded", "lag_q25", "lag", "lag_q75"]
            lines += ["", "Furthest apart in time", table_text(apart[lags])]
        if len(self.compute):
            shown = ["strategy", "situation", "parameters", "multiply_adds", "memory_mb",
                     "latency_ms"]  # fmt: skip
            lines += ["", "Cost in use, estimated", table_text(self.compute[shown])]
        lines += self._evidence()
        facts = ", ".join(
            f"{key} {' '.join(value) if isinstance(value, tuple) else value}"
            for key, value in self.deployment.items()
            if value not in (None, ()) and key != "requests"
        )
        lines += ["", f"Declared: {facts}", *(f"Note: {note}" for note in self.notes)]
        return "\n".join(lines)

    def _evidence(self) -> list[str]:
        """Return what was found by asking the training rows, a sentence each."""
        lines = []
        if len(self.shift):
            lines += ["", "Deployment against training", table_text(self.shift)]
        if len(self.probes):
            lines += ["", "Asked of the training rows", *probe_notes(self.probes)]
        if len(self.mechanism):
            lines += mechanism_notes(self.mechanism)
        return lines
