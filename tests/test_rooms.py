"""Each room's ``__init__`` is its only door: other rooms import from it, never from behind it.

The order of the rooms is held by import-linter (``scripts/check``). It cannot hold this: it takes
``from fusewise.data import split`` for an import of the submodule where a function and its file
share a name.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import fusewise

PACKAGE = Path(fusewise.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

# These stand above all rooms and may use the public names.
ABOVE_ALL = {"cli", "testing"}
# What any module may take from the package itself; everything else there comes from another room.
FROM_THE_PACKAGE = {"__version__", "exceptions"}


def names_at_the_door(package: Path, room: str) -> set[str]:
    """Return the names that a room's ``__init__`` imports, defines or lists."""
    names: set[str] = set()
    for node in ast.walk(ast.parse((package / room / "__init__.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets
        ):
            names |= set(ast.literal_eval(node.value))
    return names


def imports_of(path: Path, package: Path) -> list[tuple[int, str, list[str]]]:
    """Return ``(line, module, names)`` of each import of the package in a file, absolute."""
    parts = ["fusewise", *path.relative_to(package).with_suffix("").parts]
    inside = parts[:-1]
    found: list[tuple[int, str, list[str]]] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name, []) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = inside[: len(inside) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found.append((node.lineno, module, [alias.name for alias in node.names]))
    return [entry for entry in found if entry[1].split(".")[0] == "fusewise"]


def wrong_doors(path: Path, package: Path) -> list[str]:
    """Return a sentence for each import that goes past a room's door."""
    here = path.relative_to(package).with_suffix("").parts[0]
    faults: list[str] = []
    if here == "__init__":
        return faults
    for line, module, names in imports_of(path, package):
        where = f"{path.relative_to(package)}:{line}: "
        _, *inner = module.split(".")
        if not inner:
            # A room itself may be taken, where the package has no function of that name.
            taken = {n for n in names if n in fusewise._ROOM_OF or not (package / n).is_dir()}
            taken = taken - FROM_THE_PACKAGE if names else {"fusewise"}
            if taken and here not in ABOVE_ALL:
                shown = ", ".join(sorted(taken))
                faults.append(f"{where}takes {shown} from the package, not from a room")
            continue
        room = inner[0]
        if room == here or not (package / room).is_dir():
            continue
        if len(inner) > 1:
            faults.append(f"{where}{module} is behind the door of {room}")
            continue
        hidden = sorted(set(names) - names_at_the_door(package, room))
        faults += [f"{where}{room} does not offer {name}" for name in hidden]
    return faults


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_rooms_are_entered_by_their_door(path: Path) -> None:
    """No module imports from behind another room's ``__init__``."""
    assert wrong_doors(path, PACKAGE) == []


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("from fusewise.data.dataset import MultimodalDataset", "behind the door of data"),
        ("import fusewise.data.dataset", "behind the door of data"),
        ("from ..data.dataset import MultimodalDataset", "behind the door of data"),
        ("def f():\n    from fusewise.data.dataset import Dataset", "behind the door of data"),
        ("from fusewise.data import dataset", "data does not offer dataset"),
        ("from ..data import dataset", "data does not offer dataset"),
        ("from fusewise import split", "takes split from the package"),
        ("import fusewise as fw", "takes fusewise from the package"),
        ("from .. import split", "takes split from the package"),
        ("from fusewise import profile", "takes profile from the package"),
    ],
)
def test_each_wrong_door_is_seen(tmp_path: Path, statement: str, fault: str) -> None:
    """The check fails on every way past a door."""
    path = small_package(tmp_path)
    path.write_text(statement, encoding="utf-8")
    (message,) = wrong_doors(path, tmp_path)
    assert fault in message


@pytest.mark.parametrize(
    "statement",
    [
        "from fusewise.data import MultimodalDataset",
        "from fusewise.data import split",
        "from fusewise.profile.other import anything",
        "from .other import anything",
        "from fusewise.exceptions import FusewiseError",
        "from fusewise import __version__",
        "from fusewise import data",
        "import numpy.linalg",
    ],
)
def test_doors_and_own_files_are_open(tmp_path: Path, statement: str) -> None:
    """The check accepts a room's door, a function named as its file, and the own room's files."""
    path = small_package(tmp_path)
    path.write_text(statement, encoding="utf-8")
    assert wrong_doors(path, tmp_path) == []


def small_package(folder: Path) -> Path:
    """Write a package with two rooms; return a file in the second for the import under test."""
    (folder / "data").mkdir()
    (folder / "data" / "__init__.py").write_text(
        "from fusewise.data.dataset import MultimodalDataset\nfrom fusewise.data.split import split\n",
        encoding="utf-8",
    )
    (folder / "data" / "dataset.py").touch()
    (folder / "data" / "split.py").touch()
    (folder / "profile").mkdir()
    (folder / "profile" / "__init__.py").touch()
    return folder / "profile" / "measure.py"
