"""A study: what a study file declares, opened as a dataset, a split and a deployment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fusewise.data import (
    Deployment,
    Modality,
    MultimodalDataset,
    StudyFile,
    open_engine,
    open_table,
    read_study_file,
    split,
)
from fusewise.exceptions import (
    MissingDependencyError,
    NotAvailableError,
    StudyError,
    TableNotFoundError,
    did_you_mean,
)

if TYPE_CHECKING:
    import pandas as pd

    from fusewise.profile import DeploymentProfile
    from fusewise.study.running import Progress, Run

_DEVICE = re.compile(r"auto|(cpu|cuda|hpu|mps|mtia|xpu)(:\d+)?")


def read_study(
    path: str | Path,
    *,
    root: str | Path | None = None,
    overrides: Mapping[str, Any] | Iterable[str] = (),
) -> Study:
    """Read a study file.

    Parameters
    ----------
    path : str or Path
        The YAML file; its keys are described in ``docs/study-file.md``.
    root : str or Path, optional
        The folder that the paths of tables start from. Default: the file's ``root``, relative to
        the file, or else the folder of the file.
    overrides : mapping or iterable of str
        Values that replace those of the file by dotted key, e.g. ``{"samples.split": "split_2"}``
        or ``["samples.split=split_2"]``.

    Returns
    -------
    Study
        Nothing but the file has been read yet.

    Raises
    ------
    StudyError
        The file does not fit; the message lists every problem with its line. Or a requirement
        names a metric or a modality that there is not, or limits a metric from the wrong side, or
        training is asked for on no device or by no process.
    NotAvailableError
        The file asks for a kind of modality or a task that is planned but not built yet.

    Examples
    --------
    >>> study = read_study("study.yaml")  # doctest: +SKIP
    >>> train, test = study.split()  # doctest: +SKIP
    """
    path = Path(path)
    file, lines = read_study_file(path, overrides)
    home = path.parent / Path(file.root or ".").expanduser() if root is None else Path(root)
    study = Study(path, file, lines, home)
    study.check_available()
    study.check_training()
    study.check_requirements()
    return study


class Study:
    """What a study file declares; tables are read when they are first asked for.

    Made by `read_study`.

    Attributes
    ----------
    path : Path
        The study file.
    file : StudyFile
        Its checked content.
    root : Path
        The folder that the paths of tables start from.
    """

    def __init__(
        self, path: Path, file: StudyFile, lines: Mapping[tuple[str | int, ...], int], root: Path
    ) -> None:
        self.path = path
        self.file = file
        self.root = root
        self._lines = lines

    @property
    def name(self) -> str:
        """Name of the study."""
        return self.file.study

    @property
    def seed(self) -> int:
        """The one seed that everything random comes from."""
        return self.file.training.seed

    def __repr__(self) -> str:
        names = ", ".join(self.file.modalities)
        return f"Study({self.name!r}, modalities: {names}, file {str(self.path)!r})"

    def where(self, *key: str | int) -> str:
        """Say where a key stands, for messages: ``study.yaml, line 4 (samples.target)``."""
        line = self._lines.get(key)
        dotted = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in key).lstrip(".")
        return f"{self.path.name}{f', line {line}' if line else ''} ({dotted})"

    def check_available(self) -> None:
        """Raise where the file asks for what is planned but not built yet."""
        samples = self.file.samples
        if samples.task == "survival" or not isinstance(samples.target, str | None):
            raise NotAvailableError(
                f"{self.where('samples', 'target')}: survival targets are planned but not there "
                "yet. Predict the event within a fixed time as a binary target instead."
            )
        for name, modality in self.file.modalities.items():
            if modality.kind in ("text", "image"):
                raise NotAvailableError(
                    f"{self.where('modalities', name)}: kind {modality.kind} is planned but not "
                    "there yet. Give its embedding as a list column of a modality of kind table."
                )

    def check_training(self) -> None:
        """Raise where the file asks to train on what no machine has.

        Whether this machine has the device is known only where something is trained on it.
        """
        training = self.file.training
        if training.n_jobs == 0:
            raise StudyError(
                f"{self.where('training', 'n_jobs')}: expected a whole number other than 0 (-1: one "
                "per processor), got 0."
            )
        if training.device is not None and not _DEVICE.fullmatch(training.device):
            raise StudyError(
                f"{self.where('training', 'device')}: no device {training.device!r}. Expected "
                "auto, cpu, cuda, cuda:1 or another name that PyTorch knows, such as mps or xpu."
            )

    def check_requirements(
        self, task: str | None = None, samples: pd.DataFrame | None = None
    ) -> None:
        """Raise where a requirement cannot be answered by a model of these modalities.

        Parameters
        ----------
        task : str, optional
            Default: what the file declares; where that is ``auto``, what depends on the task is
            not checked.
        samples : DataFrame, optional
            Columns of the samples, for the values of groups; without, only their names are checked.
        """
        declared = self.file.samples.task
        if not self.file.requirements:
            return
        from fusewise.evaluate import RequirementError, check_requirements
        from fusewise.study.operating import point_to_check

        self._check_groups()
        try:
            check_requirements(
                (requirement.as_dict() for requirement in self.file.requirements),
                tuple(self.file.modalities),
                task or (None if declared == "auto" else declared),
                operating_point=point_to_check(self.file),
                samples=samples,
            )
        except RequirementError as error:
            key: tuple[str | int, ...] = ("requirements", error.position or 0)
            where = self.where(*key, *((error.key,) if error.key else ()))
            raise StudyError(f"{where}: {error.why}") from error

    def _check_groups(self) -> None:
        known = tuple(self.file.samples.groups)
        for position, requirement in enumerate(self.file.requirements):
            for name in requirement.group or ():
                if name not in known:
                    declared = ", ".join(known) or "none"
                    raise StudyError(
                        f"{self.where('requirements', position, 'group')}: {name!r} is no group."
                        f"{did_you_mean(name, known)} Declared by samples.groups: {declared}."
                    )

    def require_target(self) -> None:
        """Raise where no target is declared."""
        if self.file.samples.target is None:
            raise StudyError(
                f"{self.where('samples', 'target')}: a model needs a target, a column of the "
                "samples table. `profile` and `recommend` without a pilot do without."
            )

    def tables(self) -> dict[tuple[str, ...], Path]:
        """Return the tables that are files or folders, by the key that declares them.

        Raises
        ------
        TableNotFoundError
            A table does not exist; the message names all such, each with its line.
        """
        named: dict[tuple[str, ...], str] = {("samples", "table"): self.file.samples.table}
        for name, modality in self.file.modalities.items():
            named["modalities", name, "table"] = modality.table
        if self.file.deployment is not None and self.file.deployment.observed not in (
            None,
            "training",
        ):
            named["deployment", "observed"] = str(self.file.deployment.observed)
        paths = {key: self._path(table) for key, table in named.items() if self._is_path(table)}
        missing = [key for key, path in paths.items() if not path.exists()]
        if missing:
            listed = "\n".join(f"  {self.where(*key)}: {paths[key]}" for key in missing)
            count = "1 table does" if len(missing) == 1 else f"{len(missing)} tables do"
            raise TableNotFoundError(
                f"{count} not exist:\n{listed}\nPaths start from {str(self.root)!r}; change `root` "
                "in the study file or give --root."
            )
        return paths

    def dataset(self) -> MultimodalDataset:
        """Return all samples, as declared; read once.

        Raises
        ------
        DatasetError
            A table, a column, an id or a time is missing or wrong.
        """
        return self._dataset

    def modalities(self) -> dict[str, Modality]:
        """Return the modalities as declared, their tables as paths or tables of the connection."""
        return {
            name: Modality(
                self._table(declared.table),
                columns=None if declared.columns is None else tuple(declared.columns),
                **declared.model_dump(exclude={"table", "columns", "column"}),
            )
            for name, declared in self.file.modalities.items()
        }

    def samples(self) -> dict[str, Any]:
        """Return the samples table and what its columns are, as a dataset takes them."""
        declared = self.file.samples
        named = ("id", "target", "task", "cluster", "prediction_time")
        roles = {key: getattr(declared, key) for key in named}
        return {"samples": self._table(declared.table), **roles, "groups": tuple(declared.groups)}

    def deployment_facts(self) -> dict[str, Any] | None:
        """Return what the file says of the deployment, its log as a path or table; None without."""
        declared = self.file.deployment
        if declared is None:
            return None
        facts: dict[str, Any] = declared.model_dump(exclude_none=True)
        if declared.observed not in (None, "training"):
            facts["observed"] = self._table(declared.observed)
        return facts

    def split(self) -> tuple[MultimodalDataset, MultimodalDataset]:
        """Return ``(train, test)`` by the file's ``samples.split``.

        Rows that a split column marks ``validation`` belong to `train`, flagged in
        ``train.validation``. Without a declaration a fifth is drawn at random, stratified by
        target and availability pattern, clusters kept whole.
        """
        return self._split

    @property
    def deployment(self) -> Deployment:
        """What the file observes or declares about the deployment."""
        return self._deployment

    def profile_tables(
        self, engine: Any = None, *, n_in_memory: int = 10_000, random_state: int | None = None
    ) -> DeploymentProfile:
        """Profile the tables where they lie, without reading them into a dataset.

        With a split by column the training and validation rows are profiled; any other split is
        drawn from samples in memory, so that here all samples are, and a note says so.

        Parameters
        ----------
        engine : None, "duckdb", "spark", Ibis connection or SparkSession
            Default: the file's ``connection``, else DuckDB in this process.
        n_in_memory : int, default 10,000
            See :func:`~fusewise.profile.on_tables.profile_tables`.
        random_state : int, optional
            Default: the file's seed.

        Raises
        ------
        StudyError
            The tables stand behind a connection to another engine.
        """
        from fusewise.study.large import profile_study

        seed = self.seed if random_state is None else random_state
        return profile_study(self, engine, n_in_memory=n_in_memory, random_state=seed)

    def run(
        self,
        folder: str | Path | None = None,
        *,
        until: str = "report",
        progress: Progress | None = None,
        force: bool = False,
    ) -> Run:
        """Run the study stage by stage and keep every result under a folder.

        A stage is done again only when something it depends on has changed: the content of a
        table, its part of the study file, an earlier result, or the version of fusewise. A run
        that was interrupted continues after its last finished stage, and a learned strategy in the
        middle of its training after its last finished epoch.

        Parameters
        ----------
        folder : str or Path, optional
            The run folder; default ``runs/<study name>`` under the current folder.
        until : {"data", "profile", "recommend", "fit", "evaluate", "report"}
            The last stage to do.
        progress : callable, optional
            Called with a `StageEvent` when a stage starts, ends, or is kept from before.
        force : bool
            Do every stage again.

        Returns
        -------
        Run
            The results, the stages that were executed, and where the report is.

        Raises
        ------
        RunFolderError
            The folder cannot be written, or is in use by another run.
        TrainingError
            A learned strategy met numbers that are not finite; the message names where.
        NotEnoughMemoryError
            Training needs more memory than there is; the message suggests a batch size.
        """
        from fusewise.study.running import run_study

        return run_study(self, folder, until=until, progress=progress, force=force)

    @cached_property
    def _dataset(self) -> MultimodalDataset:
        self.tables()
        samples = self.file.samples
        return MultimodalDataset(
            self.modalities(),
            **self.samples(),
            extra=() if samples.split.column is None else (samples.split.column,),
        )

    @cached_property
    def _split(self) -> tuple[MultimodalDataset, MultimodalDataset]:
        rule = self.file.samples.split
        default: Literal["none", "pattern", "both"] = "both"
        if rule.by in ("column", "time"):
            default = "none"
        elif self.file.samples.target is None:
            default = "pattern"
        stratify = rule.stratify or default
        return split(
            self.dataset(),
            rule.test,
            by=rule.by,
            stratify=None if stratify == "none" else stratify,
            column=rule.column,
            random_state=self.seed,
        )

    @cached_property
    def _deployment(self) -> Deployment:
        facts = self.deployment_facts()
        if facts is not None and facts.get("observed") not in (None, "training"):
            self.tables()
            facts["observed"] = open_table(facts["observed"], what="deployment.observed")
        return Deployment.of(facts)

    def _is_path(self, table: str) -> bool:
        """Whether a table is a file; with a connection, bare names are tables of it."""
        return not _is_address(table) and (
            self.file.connection is None or Path(table).suffix in (".parquet", ".csv")
        )

    def _path(self, table: str) -> Path:
        return self.root / Path(table).expanduser()

    def _table(self, table: Any) -> Any:
        if _is_address(table):
            return table
        if self._is_path(table):
            return str(self._path(table))
        *schema, name = str(table).split(".")
        connection = self._connection
        try:
            return connection.table(name, database=tuple(schema) or None)
        except Exception as error:
            reason = str(error).splitlines()[0]
            raise TableNotFoundError(
                f"{self.where('connection')}: no table {table!r} there ({reason})."
            ) from error

    @cached_property
    def _connection(self) -> Any:
        import ibis

        uri = str(self.file.connection)
        if uri == "spark":
            try:
                return open_engine("spark").connection
            except MissingDependencyError as error:
                raise MissingDependencyError(f"{self.where('connection')}: {error}") from error
        try:
            return ibis.connect(uri)
        except ImportError as error:
            raise MissingDependencyError(
                f"{self.where('connection')}: the driver for {uri!r} is not installed ({error})."
            ) from error
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise StudyError(
                f"{self.where('connection')}: cannot connect to {uri!r}: {reason}."
            ) from error


def _is_address(table: str) -> bool:
    """Whether a table is an address such as ``s3://...``, which only a cluster can read."""
    return "://" in table or table.startswith("dbfs:")
