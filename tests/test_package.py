"""The top level: which names there are, what importing costs, and that rooms hide no function."""

from __future__ import annotations

import ast
import inspect
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest

import fusewise as fw

SOURCE = Path(fw.__file__)

HEAVY = ("torch", "sklearn", "lightgbm", "matplotlib")

# Functions that carry the name of their room.
ROOMS_THAT_ARE_FUNCTIONS = ("evaluate", "profile", "recommend", "report")


def run(code: str) -> str:
    """Run code in a fresh interpreter, where nothing of fusewise is imported yet."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_all_is_sorted() -> None:
    """The public names are listed in order, so that a change of them is easy to review."""
    assert fw.__all__ == sorted(fw.__all__)
    assert len(set(fw.__all__)) == len(fw.__all__)


def test_all_is_complete() -> None:
    """The names that are listed, resolved lazily and shown to type checkers are the same."""
    typed = {
        alias.name
        for node in ast.walk(ast.parse(SOURCE.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fusewise")
        for alias in node.names
    }
    assert typed == set(fw.__all__)
    assert {*fw._ROOM_OF, "exceptions"} == set(fw.__all__)


@pytest.mark.parametrize("name", fw.__all__)
def test_public_names_resolve_and_are_documented(name: str) -> None:
    """Every public name can be used and says what it is; so do the methods of our classes."""
    value = getattr(fw, name)
    assert getattr(fw, name) is value
    assert inspect.getdoc(value)
    members = [
        member
        for base in (value.__mro__ if inspect.isclass(value) else ())
        if base.__module__.startswith("fusewise")
        for member, kind in vars(base).items()
        if not member.startswith("_")
        and (inspect.isroutine(kind) or isinstance(kind, property | classmethod | staticmethod))
    ]
    assert [member for member in members if not inspect.getdoc(getattr(value, member))] == []


def test_dir_lists_names_that_are_not_loaded_yet() -> None:
    """Completion in a fresh interpreter offers the public names."""
    assert set(fw.__all__) <= set(dir(fw))
    offered = run("import fusewise; print(sorted(set(fusewise.__all__) - set(dir(fusewise))))")
    assert offered == "[]"


def test_star_import_gives_the_public_names() -> None:
    """``from fusewise import *`` binds what ``__all__`` lists, functions and not rooms."""
    code = "from fusewise import *\nprint(callable(profile), callable(report), '_ROOM_OF' in dir())"
    assert run(code) == "True True False"


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A misspelt name raises, names the package, and lets the interpreter suggest the right one."""
    with pytest.raises(
        AttributeError, match="module 'fusewise' has no attribute 'profil'"
    ) as error:
        fw.profil  # noqa: B018
    assert error.value.name == "profil"
    assert error.value.obj is fw
    assert not hasattr(fw, "nothing_of_this_name")


def test_version_is_that_of_the_installed_package() -> None:
    """There is one version number."""
    assert fw.__version__ == version("fusewise")


def test_types_are_shipped() -> None:
    """Type checkers of users find the marker file."""
    assert SOURCE.with_name("py.typed").is_file()


def test_import_loads_no_model_library() -> None:
    """``import fusewise`` loads neither torch, scikit-learn, LightGBM nor matplotlib."""
    code = f"import sys, fusewise; print([m for m in {HEAVY!r} if m in sys.modules])"
    assert run(code) == "[]"


@pytest.mark.parametrize("room", ["data", "profile", "recommend"])
def test_lower_rooms_load_no_model_library(room: str) -> None:
    """Profiling and recommending start without the libraries that train and draw."""
    code = (
        "import sys; from importlib import import_module; "
        f"import_module('fusewise.{room}'); print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    assert run(code) == "[]"


@pytest.mark.parametrize("room", ["fusion", "study", "cli", "testing"])
def test_torch_waits_for_the_strategies_that_need_it(room: str) -> None:
    """Choosing, naming and describing a strategy that is made of networks loads no torch."""
    code = (
        "import sys; from importlib import import_module; "
        f"import_module('fusewise.{room}'); import fusewise as fw; fw.AttentionFusionClassifier(); "
        "fw.IntermediateFusionRegressor().get_params(); print('torch' in sys.modules)"
    )
    assert run(code) == "False"


def test_early_and_late_fusion_do_without_torch() -> None:
    """Strategies without networks are fitted and used without torch."""
    # Not saved: skops imports all of scikit-learn, and that all array libraries that there are.
    code = """
import sys, fusewise as fw
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from fusewise.testing import make_dataset
ds, linear = make_dataset(n_samples=60), make_pipeline(SimpleImputer(), LogisticRegression())
for model in (
    fw.EarlyFusionClassifier(linear, absent="impute"),
    fw.LateFusionClassifier(experts=linear),
    fw.PresenceOnlyClassifier(),
):
    model.fit(ds).predict_proba(ds[model.answerable(ds)])
print("torch" in sys.modules)
"""
    assert run(code) == "False"


def test_import_is_fast() -> None:
    """``import fusewise`` takes under half a second (the best of three, as machines are shared)."""
    code = (
        "from time import perf_counter; start = perf_counter(); import fusewise; "
        "print(perf_counter() - start)"
    )
    assert min(float(run(code)) for _ in range(3)) < 0.5


CHECK = """
import sys, types
for name in {names!r}:
    function = getattr(fusewise, name)
    exec(f"import fusewise.{{name}}")
    exec(f"from fusewise.{{name}} import {{name}} as from_the_room")
    exec(f"from fusewise import {{name}} as from_the_package")
    assert type(function) is types.FunctionType, name
    assert function is getattr(fusewise, name) is from_the_room is from_the_package, name
    assert type(sys.modules[f"fusewise.{{name}}"]) is types.ModuleType, name
print("ok")
"""


@pytest.fixture(scope="session")
def light_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the real ``__init__`` above rooms that hold nothing but names.

    It shows how names are resolved without the seconds that the libraries behind the rooms take.
    """
    folder = tmp_path_factory.mktemp("light") / "fusewise"
    folder.mkdir()
    shutil.copy(SOURCE, folder)
    for name, room in fw._ROOM_OF.items():
        (folder / room).mkdir(exist_ok=True)
        with (folder / room / "__init__.py").open("a", encoding="utf-8") as door:
            # Some rooms hold a file of their own name, and some import others.
            if name == room:
                (folder / room / f"{name}.py").write_text(f"def {name}(): ...", encoding="utf-8")
                door.write(f"from fusewise.{room}.{name} import {name}\n")
            elif room == "study":
                door.write("import fusewise.profile\nfrom fusewise.evaluate import evaluate\n")
            else:
                door.write(f"def {name}(): ...\n")
    return folder.parent


@pytest.mark.parametrize("name", ROOMS_THAT_ARE_FUNCTIONS)
@pytest.mark.parametrize(
    "before",
    [
        pytest.param("", id="nothing before"),
        pytest.param("import fusewise.{name}", id="the room by statement"),
        pytest.param("import importlib as i; i.import_module('fusewise.{name}')", id="by name"),
        pytest.param("from fusewise.{name} import {name}", id="the function from the room"),
        pytest.param("from fusewise import {name}", id="the function from the package"),
        pytest.param("fusewise.{name}; import fusewise.{name}", id="the function, then the room"),
        pytest.param("import fusewise.study", id="a room that imports others"),
    ],
)
def test_a_room_never_hides_the_function_of_its_name(
    light_package: Path, name: str, before: str
) -> None:
    """``fusewise.profile`` is the function, whatever was imported before and in any order."""
    code = (
        f"import sys; sys.path.insert(0, {str(light_package)!r})\n"
        f"import fusewise; assert fusewise.__file__.startswith({str(light_package)!r})\n"
        f"{before.format(name=name)}\n{CHECK.format(names=[name])}"
    )
    assert run(code) == "ok"


@pytest.mark.parametrize("before", ["import fusewise.study, fusewise.report", ""])
def test_the_real_rooms_hide_no_function(before: str) -> None:
    """The same holds for the rooms as they are, with all that they import."""
    code = f"import fusewise\n{before}\n{CHECK.format(names=ROOMS_THAT_ARE_FUNCTIONS)}"
    assert run(code) == "ok"


def test_other_rooms_are_still_attributes() -> None:
    """Only rooms that share their name with a function stay out of the way."""
    code = "import fusewise.data, types; print(type(fusewise.data) is types.ModuleType)"
    assert run(code) == "True"


def test_a_shared_name_can_still_be_patched(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is refused is the room as a module; a test may put another function in its place."""
    original = fw.profile

    def instead() -> None:
        """Do nothing."""

    monkeypatch.setattr(fw, "profile", instead)
    assert fw.profile is instead
    monkeypatch.undo()
    assert fw.profile is original
    fw.profile = ModuleType("fusewise.profile")
    assert fw.profile is original


def test_the_package_can_be_sent_to_workers() -> None:
    """A pickled package is the package: functions of a script that use ``fw`` run in parallel."""
    import pickle

    import fusewise as fw

    assert pickle.loads(pickle.dumps(fw)) is fw
