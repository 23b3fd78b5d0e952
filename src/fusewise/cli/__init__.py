"""The command line: each command is one call of a public function."""

from fusewise.cli.commands import app, main

__all__ = ["app", "main"]
