"""Following a run: a spinner with the time on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fusewise.study import Progress, StageEvent

_MARKS = {"done": "✓", "kept": "=", "skipped": "-", "failed": "✗", "interrupted": "!"}
_STYLES = {
    "done": "green",
    "kept": "blue",
    "skipped": "dim",
    "failed": "red",
    "interrupted": "yellow",
}


# A log is told that a long training is alive, but not of every epoch.
_QUIET_SECONDS = 30.0


@contextlib.contextmanager
def follow(*, quiet: bool = False) -> Iterator[Progress]:
    """Return a callback that shows the stages of a run on standard error.

    Warnings of libraries below us are held back unless Python was asked for them; our own arrive
    as part of an event.
    """
    import warnings

    with warnings.catch_warnings():
        if not sys.warnoptions:
            warnings.simplefilter("ignore")
        if quiet:
            yield _silent
        elif sys.stderr.isatty():
            with _spinner() as progress:
                yield progress
        else:
            yield _Lines()


def _silent(_: StageEvent) -> None:
    """Say nothing: what was left out stands in the manifest and the report."""


class _Lines:
    """One line per stage, and one now and then while a stage takes long."""

    def __init__(self) -> None:
        self._said = 0.0

    def __call__(self, event: StageEvent) -> None:
        if event.state == "start":
            self._said = time.monotonic()
        elif event.state != "progress":
            _plain(event)
        elif time.monotonic() - self._said >= _QUIET_SECONDS:
            self._said = time.monotonic()
            typer.echo(f"{event.stage} after {duration(event.seconds)}: {event.message}", err=True)


def _plain(event: StageEvent) -> None:
    took = f" in {duration(event.seconds)}" if event.state == "done" else ""
    said = f": {event.message}" if event.message else ""
    typer.echo(f"{event.stage} {event.state}{took}{said}", err=True)
    for warning in event.warnings if event.state == "done" else ():
        typer.echo(f"  note: {warning}", err=True)


@contextlib.contextmanager
def _spinner() -> Iterator[Progress]:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress as Bar
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, highlight=False)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("Starting", total=None)

        def tell(event: StageEvent) -> None:
            if event.state == "start":
                bar.reset(task, description=event.doing)
                return
            if event.state == "progress":
                bar.update(task, description=f"{event.doing}: {escape(event.message)}")
                return
            style = _STYLES[event.state]
            took = duration(event.seconds) if event.state in ("done", "failed") else event.state
            console.print(
                f"[{style}]{_MARKS[event.state]}[/] {event.stage:<10}[dim]{took:>8}[/]  "
                f"{escape(event.message)}"
            )
            for warning in event.warnings if event.state == "done" else ():
                console.print(f"  [yellow]note[/] {escape(warning)}")

        yield tell


def duration(seconds: float) -> str:
    """Say a duration in words that a person reads at a glance.

    Examples
    --------
    >>> duration(2.34), duration(75), duration(0.004)
    ('2.3 s', '1 min 15 s', '0.0 s')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"
