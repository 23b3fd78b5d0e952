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
EXTRAS = {
    extra: [Requirement(text) for text in texts]
    for extra, texts in PROJECT["optional-dependencies"].items()
}
DEVELOPMENT = EXTRAS.pop("dev")
OPTIONAL = [requirement for requirements in EXTRAS.values() for requirement in requirements]
# Hundreds of megabytes: installed by the script that runs its tests.
ON_DEMAND = {"pyspark": "spark"}

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
    declared = {plain(requirement.name) for requirement in RUNTIME + OPTIONAL}
    assert {name: path for name, path in used.items() if name not in declared} == {}


def test_what_an_extra_installs_is_imported_inside_functions() -> None:
    """The package works without its extras: no file imports one of their packages when it loads."""
    optional = {plain(requirement.name) for requirement in OPTIONAL}
    at_the_top = [
        (str(path.relative_to(CHECKOUT)), distribution)
        for path in (CHECKOUT / "src").rglob("*.py")
        for statement in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(statement, ast.Import | ast.ImportFrom)
        for distribution in imported(ast.unparse(statement))
    ]
    assert [entry for entry in at_the_top if entry[1] in optional] == []


def test_the_developers_have_every_extra() -> None:
    """What an extra adds is installed where the tests run, so that it is tested."""
    here = {plain(r.name) for r in DEVELOPMENT}
    elsewhere = {
        name
        for name, script in ON_DEMAND.items()
        if f"[{script}]" in (CHECKOUT / "scripts" / script).read_text(encoding="utf-8")
    }
    assert {plain(r.name) for r in OPTIONAL} <= here | elsewhere


@pytest.mark.parametrize(
    "requirement", [*RUNTIME, *DEVELOPMENT, *EXTRAS["spark"]], ids=lambda r: r.name
)
def test_constraints_pin_each_dependency_within_its_range(requirement: Requirement) -> None:
    """The versions that the scripts install are among those that the package allows."""
    pins = dict(
        line.split("==")
        for line in (CHECKOUT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    )
    pinned = {plain(name): Version(number) for name, number in pins.items()}
    assert pinned[plain(requirement.name)] in requirement.specifier
