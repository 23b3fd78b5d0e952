"""What is imported is declared, and what is declared is pinned within its range."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

CHECKOUT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
RUNTIME = [Requirement(text) for text in PROJECT["dependencies"]]
DEVELOPMENT = [Requirement(text) for text in PROJECT["optional-dependencies"]["dev"]]

# Where the name of a module differs from that of its distribution.
DISTRIBUTION = {"ibis": "ibis-framework", "sklearn": "scikit-learn", "yaml": "pyyaml"}


def plain(name: str) -> str:
    """Return the name of a distribution as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(source: str) -> set[str]:
    """Return the distributions that a source file imports, anywhere in it."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            modules.add(node.module.split(".")[0])
    ours = {"fusewise", *sys.stdlib_module_names}
    return {plain(DISTRIBUTION.get(module, module)) for module in modules - ours}


def test_imports_are_found_wherever_they_stand() -> None:
    """The search sees imports inside functions, maps their names, and leaves out the standard ones."""
    source = (
        "import os, yaml\ndef f():\n    from sklearn.base import clone\n    import fusewise.data\n"
    )
    assert imported(source) == {"pyyaml", "scikit-learn"}


def test_every_import_is_a_declared_dependency() -> None:
    """Nothing works only because a tool of the developers happens to install it."""
    used = {
        distribution: str(path.relative_to(CHECKOUT))
        for path in (CHECKOUT / "src").rglob("*.py")
        for distribution in imported(path.read_text(encoding="utf-8"))
    }
    declared = {plain(requirement.name) for requirement in RUNTIME}
    assert {name: path for name, path in used.items() if name not in declared} == {}


@pytest.mark.parametrize("requirement", RUNTIME + DEVELOPMENT, ids=lambda r: r.name)
def test_constraints_pin_each_dependency_within_its_range(requirement: Requirement) -> None:
    """The versions that the scripts install are among those that the package allows."""
    pins = dict(
        line.split("==")
        for line in (CHECKOUT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    )
    pinned = {plain(name): Version(number) for name, number in pins.items()}
    assert pinned[plain(requirement.name)] in requirement.specifier
