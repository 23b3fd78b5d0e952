"""The study file as a pydantic model: which keys there are, and what each may hold.

Reading the YAML text, line numbers and the wording of errors live in `study_yaml`; what the
declared tables become lives in the other files of this room. A model here only says what a
well-formed study file looks like, so that `docs/study-file.md` can be checked against it.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

Known = Literal["yes", "no", "unknown"]


def _text(value: Any) -> Any:
    """Read a bare number as text, since `study: 2024` or a column named 7 means its name."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _yes_no(value: Any) -> Any:
    """YAML reads a bare yes or no as a boolean; the file means the word."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value


def _names(value: Any) -> Any:
    """Let one name stand for a list of one."""
    return [value] if isinstance(value, str) else value


def _values(value: Any) -> Any:
    """Let one value stand for a list of one."""
    return value if isinstance(value, list) else [value]


def _moment(value: Any) -> Any:
    """Keep a date as it is written: YAML reads 2026-01-31 as one."""
    return value.isoformat() if isinstance(value, date) else value


Text = Annotated[str, BeforeValidator(_text), Field(min_length=1)]
Names = Annotated[list[Text], BeforeValidator(_names)]
Values = Annotated[list[Text], BeforeValidator(_values)]
Moment = Annotated[str | int | float, BeforeValidator(_moment)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(gt=0)]
Strategies = list[Literal["early", "late", "intermediate", "attention"]]


class Section(BaseModel):
    """Base of all sections: unknown keys are errors, values keep their type, nothing changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class SplitSection(Section):
    """How test rows are chosen: a column of `samples`, or a rule."""

    by: Literal["column", "random", "cluster", "time", "site"] = "random"
    column: Text | None = None
    test: Annotated[float, Field(gt=0, lt=1)] = 0.2
    stratify: Literal["target", "pattern", "both", "none"] | None = None

    @model_validator(mode="after")
    def _keys_fit_the_rule(self) -> SplitSection:
        if self.by in ("column", "site") and self.column is None:
            raise ValueError(f"by: {self.by} needs `column`, a column of the samples table")
        if self.by in ("random", "cluster") and self.column is not None:
            raise ValueError(f"`column` has no meaning with by: {self.by}; leave it out")
        if self.by in ("column", "time") and self.stratify not in (None, "none"):
            raise ValueError(f"`stratify` has no meaning with by: {self.by}; leave it out")
        return self


class SurvivalTarget(Section):
    """A right-censored target: the column of the time and that of the event."""

    time: Text
    event: Text


class SamplesSection(Section):
    """The samples table: one row per sample, with id, target and everything that is no feature."""

    table: Text
    id: Text
    target: Any = None
    task: Literal["auto", "binary", "multiclass", "regression", "survival"] = "auto"
    cluster: Text | None = None
    groups: Names = []
    prediction_time: Any = None
    split: SplitSection = SplitSection()

    @field_validator("target", mode="before")
    @classmethod
    def _target(cls, value: Any) -> Any:
        if value is None or isinstance(value, SurvivalTarget):
            return value
        if isinstance(value, dict):
            named = all(isinstance(column, str) for column in value.values())
            if set(value) != {"time", "event"} or not named:
                raise ValueError("a survival target is written {time: column, event: column}")
            return SurvivalTarget(**value)
        value = _text(value)
        if not isinstance(value, str) or not value:
            raise ValueError("expected the name of a column of the samples table")
        return value

    @field_validator("prediction_time", mode="before")
    @classmethod
    def _prediction_time(cls, value: Any) -> Any:
        if isinstance(value, bool | list | dict):
            # pydantic turns a ValueError into a finding, not a TypeError.
            raise ValueError("expected a column of the samples table, a constant time, or null")  # noqa: TRY004
        return value

    @field_validator("split", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if value is None:
            return {}
        return {"by": "column", "column": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _clusters_need_a_column(self) -> SamplesSection:
        if self.split.by == "cluster" and self.cluster is None:
            raise ValueError("a split by cluster needs `cluster`, a column of the samples table")
        return self


class ModalitySection(Section):
    """One modality: its table and how the rows of that table are to be read."""

    table: Text
    kind: Literal["table", "events", "text", "image"] = "table"
    id: Text | None = None
    time: Text | None = None
    variable: Text | None = None
    value: Text | None = None
    available_at: Text | None = None
    present: Text | None = None
    absent_when: Literal["all_null"] | None = None
    columns: Names | None = None
    column: Text | None = None

    @model_validator(mode="after")
    def _keys_fit_the_kind(self) -> ModalitySection:
        if self.kind == "events" and self.time is None:
            raise ValueError("kind events needs `time`, the column of the time of each row")
        if (self.variable is None) != (self.value is None):
            raise ValueError(
                "`variable` and `value` go together (long form); leave both out for the wide form"
            )
        if self.kind != "events" and self.variable is not None:
            raise ValueError("`variable` and `value` belong to `kind: events`")
        if self.present is not None and self.absent_when is not None:
            raise ValueError("declare presence once: by `present` or by `absent_when`, not both")
        if self.kind in ("table", "events") and self.column is not None:
            raise ValueError("`column` belongs to text and image; use `columns: [...]` here")
        return self


class ValidationSection(Section):
    """Which evaluation cohorts exist beside the test rows."""

    cohorts: Names = []


class DeploymentSection(Section):
    """What is known or declared about the deployment; the first three exclude each other."""

    observed: Text | None = None
    since: Moment | None = None
    until: Moment | None = None
    time: Text | None = None
    where: dict[str, Values] | None = None
    rates: dict[str, Share] | None = None
    patterns: dict[str, Annotated[float, Field(ge=0)]] | None = None
    cohort: Literal["open", "controlled"] = "open"
    synchronised: bool = False
    timing: Annotated[Known, BeforeValidator(_yes_no)] = "unknown"
    interaction: Annotated[Known, BeforeValidator(_yes_no)] = "unknown"
    interpretability: Literal["required", "preferred", "none"] = "preferred"
    validation: ValidationSection = ValidationSection()
    latency_ms: Positive | None = None
    memory_mb: Positive | None = None

    @model_validator(mode="after")
    def _one_source(self) -> DeploymentSection:
        named = [key for key in ("observed", "rates", "patterns") if getattr(self, key) is not None]
        if len(named) > 1:
            raise ValueError(f"give one of observed, rates and patterns, not {' and '.join(named)}")
        window = [k for k in ("since", "until", "time", "where") if getattr(self, k) is not None]
        if window and self.observed in (None, "training"):
            raise ValueError(f"{', '.join(window)} takes a part of a log, which observed names")
        if self.patterns is not None and not sum(self.patterns.values()) > 0:
            raise ValueError("the weights of the patterns must have a positive sum")
        return self


class RequirementSection(Section):
    """What must hold of one metric for samples with or without given modalities."""

    present: Any = None
    absent: Names = []
    all: Names = []
    any: Names = []
    group: Annotated[dict[Text, Text], Field(min_length=1)] | None = None
    metric: Text
    at_least: float | None = None
    at_most: float | None = None
    max_drop: Annotated[float, Field(ge=0)] | None = None

    @field_validator("present", mode="before")
    @classmethod
    def _present(cls, value: Any) -> Any:
        value = _names(value) if value != "all" else value
        named = isinstance(value, list) and value and all(isinstance(name, str) for name in value)
        if value not in (None, "all") and not named:
            raise ValueError("expected `all` or a list of modalities")
        return value

    @model_validator(mode="after")
    def _one_limit(self) -> RequirementSection:
        limits = [k for k in ("at_least", "at_most", "max_drop") if getattr(self, k) is not None]
        if len(limits) != 1:
            got = " and ".join(limits) or "none of them"
            raise ValueError(f"give exactly one of at_least, at_most and max_drop, not {got}")
        if limits == ["max_drop"] and not self.absent and self.present in (None, "all"):
            raise ValueError("max_drop needs `absent`, the modalities that are withheld")
        named = [k for k in ("present", "absent", "all", "any") if getattr(self, k)]
        if len(named) > 1:
            raise ValueError(f"give {' or '.join(f'`{k}`' for k in named)}, not both")
        return self

    def as_dict(self) -> dict[str, Any]:
        """The requirement as the plain dict that `fusewise.evaluate` takes."""
        return self.model_dump(exclude_defaults=True)


class ProfileSection(Section):
    """What is measured of the training rows before anything is trained."""

    probes: bool = True


class PilotSection(Section):
    """How the candidates are tried on training rows before one is recommended."""

    seconds: Positive | None = None
    folds: Annotated[int, Field(ge=2)] = 3
    max_samples: Count = 4000
    strategies: Strategies | None = None
    sizes: list[Positive] | None = None
    absent: list[Annotated[float, Field(ge=0, lt=1)]] | None = None


class TrainingSection(Section):
    """How the model is trained.

    What is None is left to the estimator; settings of another strategy than the one that is
    trained are not read.
    """

    strategy: Literal["auto", "early", "late", "intermediate", "attention"] = "auto"
    masking: Literal["auto", "none", "uniform", "curriculum", "deployment"] = "auto"
    seed: Annotated[int, Field(ge=0)] = 0
    groups: dict[str, Names] | None = None
    n_jobs: int | None = None
    pilot: PilotSection | None = None
    # Of the learned strategies.
    merge: Literal["auto", "concatenate", "gated", "mean"] | None = None
    mechanism: Literal["cross", "hierarchical", "temporal"] | None = None
    n_members: Count | None = None
    max_epochs: Count | None = None
    batch_size: Count | None = None
    device: Text | None = None

    @field_validator("pilot", mode="before")
    @classmethod
    def _pilot(cls, value: Any) -> Any:
        return {True: {}, False: None}[value] if isinstance(value, bool) else value


class OperatingPointSection(Section):
    """From which predicted probability on a sample is flagged, or how many may be."""

    threshold: Annotated[float, Field(gt=0, lt=1)] | None = None
    alert_rate: Annotated[float, Field(gt=0, lt=1)] | None = None

    @model_validator(mode="after")
    def _one(self) -> OperatingPointSection:
        if (self.threshold is None) == (self.alert_rate is None):
            raise ValueError("give threshold or alert_rate, one of them")
        return self


class EvaluationSection(Section):
    """What is measured on the test rows beside the model itself."""

    operating_point: OperatingPointSection | None = None
    corruptions: bool = False

    compare: (
        Annotated[
            list[Literal["all", "early", "late", "intermediate", "attention"]],
            BeforeValidator(_names),
            Field(min_length=1),
        ]
        | None
    ) = None


class StudyFile(Section):
    """A whole study file.

    Every key is described in `docs/study-file.md`. Instances are made by `read_study_file`, which
    also gives each error the line it stands on.

    Examples
    --------
    >>> study = StudyFile.model_validate(
    ...     {
    ...         "study": "icu",
    ...         "samples": {"table": "samples.parquet", "id": "stay_id"},
    ...         "modalities": {"static": {"table": "static.parquet"}},
    ...     }
    ... )
    >>> study.modalities["static"].kind
    'table'
    """

    study: Text
    root: Text | None = None
    connection: Text | None = None
    samples: SamplesSection
    modalities: Annotated[dict[str, ModalitySection], Field(min_length=1)]
    deployment: DeploymentSection | None = None
    requirements: list[RequirementSection] = []
    profile: ProfileSection = ProfileSection()
    training: TrainingSection = TrainingSection()
    evaluation: EvaluationSection = EvaluationSection()
