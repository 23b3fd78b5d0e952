"""The commands of ``fusewise`` and what their exit codes mean.

0: done, and every requirement is met. 1: a requirement is not met. 2: usage or input is wrong, with
one message. 3: no requirement failed but one is undetermined. 130: interrupted. 70: a fault of
fusewise itself.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fusewise import __version__
from fusewise.exceptions import FusewiseError, FusewiseWarning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fusewise.profile import DeploymentProfile
    from fusewise.study import Run

# Typer carries its own copy of click or not, by its version; either way its errors share this base.
UsageError = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")

INPUT_ERROR, FAULT, INTERRUPTED = 2, 70, 130

app = typer.Typer(
    name="fusewise",
    help="Choose, train and check multimodal predictors whose inputs will be incomplete.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

StudyPath = Annotated[Path, typer.Argument(help="The study file.", metavar="STUDY")]
Folder = Annotated[
    Path | None,
    typer.Option("--folder", "-o", help="Run folder; default runs/<study name>.", metavar="FOLDER"),
]
Root = Annotated[
    Path | None,
    typer.Option(help="Where the paths of tables start, instead of the file's `root`."),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="KEY=VALUE",
        help="Replace a value of the study file; may be repeated.",
    ),
]
Again = Annotated[bool, typer.Option("--force", help="Do every stage again.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on the terminal.")]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fusewise {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where an error was raised (anywhere on the line).")
    ] = False,
) -> None:
    """Choose, train and check multimodal predictors whose inputs will be incomplete."""


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="A folder with one table per modality.")],
    output: Annotated[
        Path | None, typer.Option("--output", help="Default: study.yaml in that folder.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Write a first study file from a folder of tables."""
    import os

    from fusewise.cli.show import show_draft
    from fusewise.data import draft_study, write_atomically
    from fusewise.exceptions import StudyError

    path = output or folder / "study.yaml"
    if path.exists() and not force:
        raise StudyError(f"{str(path)!r} exists. Give another --output, or --force to replace it.")
    root = (
        None if path.parent.resolve() == folder.resolve() else os.path.relpath(folder, path.parent)
    )
    text = draft_study(folder, root=root)
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise StudyError(f"{str(path)!r} cannot be written: {error.strerror}.") from error
    show_draft(path, text)


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Where to write the cohort and its run.")] = Path(
        "fusewise-demo"
    ),
    quiet: Quiet = False,
) -> None:
    """Simulate an oncology-like cohort and run the whole job on it.

    The last line is the path of the report. The exit code is 0 whenever the job was done, whether
    or not the cohort meets its requirements.
    """
    from fusewise.cli.show import show_run
    from fusewise.simulate import write_oncology_cohort

    study = write_oncology_cohort(folder)
    show_run(_run(study, folder / "run", None, None, "report", quiet=quiet))


@app.command()
def profile(
    study: StudyPath,
    folder: Folder = None,
    root: Root = None,
    settings: Settings = None,
    force: Again = False,
    quiet: Quiet = False,
    engine: Annotated[
        str | None,
        typer.Option(
            metavar="ENGINE",
            help="duckdb or spark: profile the tables where they lie, without reading them into "
            "memory. Nothing is kept in the run folder.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="With --engine: where to write the profile as JSON.")
    ] = None,
) -> None:
    """Show how the modalities are, and will be, available."""
    from fusewise.cli.show import show_profile

    if engine is not None:
        if folder is not None:
            raise typer.BadParameter("--folder has no meaning with --engine; --output has.")
        found = _profile_tables(study, root, settings, engine, quiet=quiet)
        if output is not None:
            found.to_json(output)
        show_profile(found)
        return
    if output is not None:
        raise typer.BadParameter("--output is for --engine; the run folder holds profile.json.")
    show_profile(_run(study, folder, root, settings, "profile", quiet=quiet, force=force).profile)


@app.command()
def recommend(
    study: StudyPath,
    folder: Folder = None,
    root: Root = None,
    settings: Settings = None,
    force: Again = False,
    quiet: Quiet = False,
    pilot: Annotated[
        bool,
        typer.Option("--pilot", help="Also try the candidates on training rows (training.pilot)."),
    ] = False,
    pilot_seconds: Annotated[
        float | None,
        typer.Option(metavar="N", help="The same, beginning no fit after so many seconds."),
    ] = None,
) -> None:
    """Show which strategy fits the deployment, and why."""
    from fusewise.cli.show import show_recommendation

    settings = [*(settings or ())]
    if pilot or pilot_seconds is not None:
        settings += _asks_for_pilot(study, root, settings, pilot_seconds)
    run = _run(study, folder, root, settings, "recommend", quiet=quiet, force=force)
    show_recommendation(run.recommendation)


@app.command()
def fit(
    study: StudyPath,
    folder: Folder = None,
    root: Root = None,
    settings: Settings = None,
    force: Again = False,
    quiet: Quiet = False,
) -> None:
    """Train the recommended strategy and the standing baselines."""
    from fusewise.cli.show import show_fit

    show_fit(_run(study, folder, root, settings, "fit", quiet=quiet, force=force))


@app.command()
def evaluate(
    study: StudyPath,
    folder: Folder = None,
    root: Root = None,
    settings: Settings = None,
    force: Again = False,
    quiet: Quiet = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="Show the requirements alone; without any it is an error."),
    ] = False,
    junit: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write the requirements as JUnit XML."),
    ] = None,
) -> None:
    """Show quality per availability pattern; the exit code answers the requirements."""
    from fusewise.cli.show import show_evaluation, show_requirements
    from fusewise.evaluate import write_junit

    name = _to_check(study, root, settings, junit) if check or junit is not None else ""
    run = _run(study, folder, root, settings, "evaluate", quiet=quiet, force=force)
    if junit is not None:
        write_junit(run.evaluation, junit, suite=name)
    (show_requirements if check else show_evaluation)(run)
    raise typer.Exit(run.exit_code)


@app.command()
def compare(
    study: StudyPath,
    folder: Folder = None,
    root: Root = None,
    settings: Settings = None,
    force: Again = False,
    quiet: Quiet = False,
    strategies: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="all, or names with commas between; default: evaluation.compare, else all.",
        ),
    ] = None,
) -> None:
    """Train several strategies and hold them against each other per availability pattern."""
    from fusewise.cli.compared import show_comparison
    from fusewise.study import read_study

    settings = [*(settings or ())]
    if strategies is not None:
        named = strategies if strategies == "all" else f"[{strategies}]"
        settings.append(f"evaluation.compare={named}")
    elif not read_study(study, root=root, overrides=settings).file.evaluation.compare:
        settings.append("evaluation.compare=all")
    run = _run(study, folder, root, settings, "compare", quiet=quiet, force=force)
    show_comparison(run.comparison)


@app.command()
def report(
    study: StudyPath,
    folder: Folder = None,
    root: Root = None,
    settings: Settings = None,
    force: Again = False,
    quiet: Quiet = False,
) -> None:
    """Write the report; the last line is its path."""
    typer.echo(_run(study, folder, root, settings, "report", quiet=quiet, force=force).report)


@app.command()
def run(
    study: StudyPath,
    folder: Folder = None,
    root: Root = None,
    settings: Settings = None,
    force: Again = False,
    quiet: Quiet = False,
) -> None:
    """Do the whole job; the last line is the path of the report.

    What was done before is kept unless its table, its part of the study file or an earlier result
    has changed. Exit code: 0 every requirement met, 1 one not met, 3 one undetermined, 2 wrong
    input.
    """
    from fusewise.cli.show import show_run

    done = _run(study, folder, root, settings, "report", quiet=quiet, force=force)
    show_run(done)
    raise typer.Exit(done.exit_code)


def _to_check(
    study: Path, root: Path | None, settings: Sequence[str] | None, junit: Path | None
) -> str:
    """Return the study's name; raise where a check could not end well, before anything is trained."""
    from fusewise.exceptions import StudyError
    from fusewise.study import read_study

    declared = read_study(study, root=root, overrides=settings or ())
    if not declared.file.requirements:
        raise StudyError(
            f"{study.name} declares no requirements, so there is nothing to check. Add "
            "`requirements:`, for instance `- {present: all, metric: roc_auc, at_least: 0.8}`."
        )
    if junit is not None and not junit.parent.is_dir():
        raise StudyError(f"--junit: the folder {str(junit.parent)!r} does not exist. Create it.")
    return declared.name


def _asks_for_pilot(
    study: Path, root: Path | None, settings: Sequence[str], seconds: float | None
) -> list[str]:
    """Return settings that ask for a pilot and leave what the study file says of one."""
    import yaml

    from fusewise.study import read_study

    declared = read_study(study, root=root, overrides=settings).file.training.pilot
    kept = {} if declared is None else declared.model_dump(exclude_unset=True)
    if seconds is not None:
        kept["seconds"] = seconds
    text = yaml.safe_dump(kept, default_flow_style=True, width=10_000).strip()
    return [f"training.pilot={text}"]


def _run(
    study: Path,
    folder: Path | None,
    root: Path | None,
    settings: Sequence[str] | None,
    until: str,
    *,
    quiet: bool,
    force: bool = False,
) -> Run:
    from fusewise.cli.progress import follow
    from fusewise.study import default_folder, read_study

    declared = read_study(study, root=root, overrides=settings or ())
    place = folder or default_folder(declared.name)
    try:
        with follow(quiet=quiet) as progress:
            return declared.run(place, until=until, progress=progress, force=force)
    except KeyboardInterrupt:
        kept = f"What is finished is kept in {place}; the same command goes on from there."
        nothing = "No stage was finished, and nothing was written."
        typer.echo(f"Interrupted. {kept if place.exists() else nothing}", err=True)
        raise typer.Exit(INTERRUPTED) from None


def _profile_tables(
    study: Path, root: Path | None, settings: Sequence[str] | None, engine: str, *, quiet: bool
) -> DeploymentProfile:
    import warnings

    from fusewise.study import read_study

    declared = read_study(study, root=root, overrides=settings or ())
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", FusewiseWarning)
        found = declared.profile_tables(engine)
    for warning in said if not quiet else ():
        if issubclass(warning.category, FusewiseWarning):
            typer.echo(f"note: {warning.message}", err=True)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and end the process with its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        Default: those of the process.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    sys.exit(_guarded([a for a in given if a != "--debug"], debug=debug))


def _guarded(arguments: list[str], *, debug: bool) -> int:
    try:
        result = app(arguments, prog_name="fusewise", standalone_mode=False)
    except UsageError as error:  # type: ignore[misc]
        error.show()
        return INPUT_ERROR
    except (KeyboardInterrupt, typer.Abort):
        typer.echo("Interrupted.", err=True)
        return INTERRUPTED
    except FusewiseError as error:
        return _say(error, str(error), INPUT_ERROR, debug=debug)
    except Exception as error:  # noqa: BLE001
        text = f"{type(error).__name__}: {error}\nThis is a fault of fusewise, not of your input; "
        return _say(error, text + "--debug shows where it was raised.", FAULT, debug=debug)
    return result if isinstance(result, int) else 0


def _say(error: Exception, text: str, code: int, *, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    typer.echo(f"fusewise: {text}", err=True)
    return code
