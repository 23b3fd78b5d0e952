"""Reading a study file: YAML text to a checked `StudyFile`, each error with its line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import BaseModel, ValidationError

from fusewise.data.study_file import (
    DeploymentSection,
    EvaluationSection,
    ModalitySection,
    OperatingPointSection,
    PilotSection,
    ProfileSection,
    RequirementSection,
    SamplesSection,
    SplitSection,
    StudyFile,
    TrainingSection,
    ValidationSection,
)
from fusewise.exceptions import StudyError, did_you_mean

KeyPath = tuple[str | int, ...]
Problem = tuple[KeyPath, str]

# The sections by the path they stand at; "*" is any name or position.
SECTIONS: dict[KeyPath, type[BaseModel]] = {
    (): StudyFile,
    ("samples",): SamplesSection,
    ("samples", "split"): SplitSection,
    ("modalities", "*"): ModalitySection,
    ("deployment",): DeploymentSection,
    ("deployment", "validation"): ValidationSection,
    ("requirements", "*"): RequirementSection,
    ("profile",): ProfileSection,
    ("training",): TrainingSection,
    ("evaluation",): EvaluationSection,
    ("evaluation", "operating_point"): OperatingPointSection,
    ("training", "pilot"): PilotSection,
}

_EXPECTED = {
    "string_type": "expected a text",
    "bool_type": "expected true or false",
    "int_type": "expected a whole number",
    "float_type": "expected a number",
    "finite_number": "expected a finite number",
    "dict_type": "expected keys with values",
    "model_type": "expected keys with values",
    "list_type": "expected a list",
}


def read_study_file(
    path: str | Path, overrides: Mapping[str, Any] | Iterable[str] = ()
) -> tuple[StudyFile, dict[KeyPath, int]]:
    """Read and check a study file.

    Parameters
    ----------
    path : str or Path
        The YAML file.
    overrides : mapping or iterable of str
        Values that replace those of the file, by dotted key: ``{"samples.split": "split_2"}`` or
        ``["samples.split=split_2"]``, where the text after ``=`` is read as YAML.

    Returns
    -------
    study : StudyFile
        The checked content.
    lines : dict
        The line of each key, by its path such as ``("samples", "target")``, for later messages.

    Raises
    ------
    StudyError
        The file does not exist, is no YAML, or does not fit; the message lists every problem with
        its line, the path of its key and, for an unknown key, the nearest known one.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise StudyError(
            f"no study file {str(path)!r}. `fusewise init FOLDER` writes a first one from a "
            "folder of tables."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"the study file {str(path)!r} cannot be read: {error}.") from error
    return parse_study(text, overrides, name=str(path))


def parse_study(
    text: str, overrides: Mapping[str, Any] | Iterable[str] = (), *, name: str = "study file"
) -> tuple[StudyFile, dict[KeyPath, int]]:
    """Check the text of a study file; see `read_study_file`."""
    tree, lines, problems = _load(text, name)
    for key, value in _pairs(overrides):
        problems += _override(tree, key, value, lines)
    study: StudyFile | None = None
    try:
        study = StudyFile.model_validate(tree)
    except ValidationError as error:
        # A key that is no text was reported with its spelling while the file was walked.
        problems += [_explain(d) for d in error.errors() if d["loc"][-1] != "[key]"]
    problems += list(_cross_check(tree))
    if problems or study is None:
        raise StudyError(_message(name, problems, lines))
    return study, lines


def line_of(path: Sequence[str | int], lines: Mapping[KeyPath, int]) -> int | None:
    """Return the line of a key, or of the nearest section around it that the file has.

    None where an override set it, 0 where the file has nothing of it.
    """
    for end in range(len(path), 0, -1):
        if tuple(path[:end]) in lines:
            return lines[tuple(path[:end])] or None
    return 0


def _message(name: str, problems: Sequence[Problem], lines: Mapping[KeyPath, int]) -> str:
    placed = [(line_of(path, lines), path, text) for path, text in problems]
    unique = dict.fromkeys(sorted(placed, key=lambda problem: problem[0] or 0))
    count = "1 problem" if len(unique) == 1 else f"{len(unique)} problems"
    shown = [f"{name}: {count}"]
    for line, path, text in unique:
        where = ".".join(str(part) for part in path) or "the file"
        place = f"line {line}, " if line else ("setting " if line is None else "")
        shown.append(f"  {place}{where}: {text}")
    return "\n".join(shown)


def _load(text: str, name: str) -> tuple[dict[str, Any], dict[KeyPath, int], list[Problem]]:
    """Parse YAML to plain values, with the line of each key; a key given twice is a problem."""
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        problems: list[Problem] = []
        lines: dict[KeyPath, int] = {}
        _walk(node, (), lines, problems)
        tree = loader.construct_document(node) if node is not None else None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        reason = getattr(error, "problem", None) or str(error)
        raise StudyError(f"{name}{where}: this is not valid YAML: {reason}.") from error
    finally:
        loader.dispose()
    if not isinstance(tree, dict):
        raise StudyError(
            f"{name}: expected keys such as `study`, `samples` and `modalities`, got "
            f"{'an empty file' if tree is None else type(tree).__name__}."
        )
    return cast("dict[str, Any]", tree), lines, problems


def _walk(node: Any, path: KeyPath, lines: dict[KeyPath, int], problems: list[Problem]) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here, line = (*path, str(key.value)), key.start_mark.line + 1
            if here in lines:
                problems.append((here, f"given again in line {line}; keep one"))
                continue
            if key.tag != "tag:yaml.org,2002:str" and key.value != "<<":
                problems.append((path, f"the key {key.value} is not a text; write '{key.value}'"))
            lines[here] = line
            _walk(value, here, lines, problems)
    elif isinstance(node, yaml.SequenceNode):
        for position, value in enumerate(node.value):
            lines[*path, position] = value.start_mark.line + 1
            _walk(value, (*path, position), lines, problems)


def _pairs(overrides: Mapping[str, Any] | Iterable[str]) -> list[tuple[str, Any]]:
    if isinstance(overrides, Mapping):
        return list(overrides.items())
    pairs = []
    for text in overrides:
        key, sign, value = text.partition("=")
        if not sign or not key.strip():
            raise StudyError(f"cannot read the setting {text!r}: write key=value, "
                             "for example samples.split=split_2.")  # fmt: skip
        try:
            pairs.append((key.strip(), yaml.safe_load(value)))
        except yaml.YAMLError:
            pairs.append((key.strip(), value))
    return pairs


def _override(tree: Any, key: str, value: Any, lines: dict[KeyPath, int]) -> list[Problem]:
    """Set one dotted key in the tree; the key loses its line, since it no longer stands there."""
    path: KeyPath = tuple(int(part) if part.isdecimal() else part for part in key.split("."))
    lines[path] = 0
    here = tree
    for depth, part in enumerate(path):
        if isinstance(here, list) and not (isinstance(part, int) and part < len(here)):
            return [(path, f"the list has {len(here)} entries, numbered from 0")]
        at: Any = part if isinstance(here, list) else str(part)
        if depth == len(path) - 1:
            here[at] = value
        else:
            inner = here[at] if isinstance(here, list) else here.get(at)
            if not isinstance(inner, dict | list):
                lines[path[: depth + 1]] = 0
                inner = {}
            here[at] = inner
            here = here[at]
    for known in [known for known in lines if known[: len(path)] == path]:
        lines[known] = 0
    return []


def _section(path: Sequence[str | int]) -> type[BaseModel] | None:
    """The model of the section at a path, if there is one."""
    for pattern, model in SECTIONS.items():
        if len(pattern) == len(path) and all(
            want in ("*", str(part)) for want, part in zip(pattern, path, strict=True)
        ):
            return model
    return None


def _explain(detail: Any) -> Problem:
    """Say one of pydantic's errors in the words of the study file."""
    path: KeyPath = tuple(detail["loc"])
    kind, context, got = detail["type"], detail.get("ctx", {}), detail["input"]
    if kind == "extra_forbidden":
        return path, _unknown_key(path)
    if kind == "missing":
        return path, "this key is required"
    if kind == "literal_error":
        choices = context["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        hint = did_you_mean(got, choices) if isinstance(got, str) else ""
        return path, f"expected {context['expected']}, got {got!r}.{hint}"
    if kind == "value_error":
        return path, str(context["error"])
    if kind == "too_short":
        return path, "name at least one modality" if path == (
            "modalities",
        ) else "must not be empty"
    if kind == "string_too_short":
        return path, "must not be empty"
    if kind in _EXPECTED:
        return path, f"{_EXPECTED[kind]}, got {_shown(got)}"
    return path, f"{detail['msg'][:1].lower()}{detail['msg'][1:]}, got {_shown(got)}"


def _unknown_key(path: KeyPath) -> str:
    key = str(path[-1])
    model = _section(path[:-1])
    known = list(model.model_fields) if model else []
    hint = did_you_mean(key, known)
    if not hint:
        elsewhere = {name: ".".join((*map(str, at), name)) for at, section in SECTIONS.items()
                     if at for name in section.model_fields}  # fmt: skip
        near = get_close_matches(key, elsewhere, n=1, cutoff=0.8)
        hint = f" Did you mean '{elsewhere[near[0]]}'?" if near else ""
    return f"unknown key.{hint or ' Known here: ' + ', '.join(known) + '.'}"


def _shown(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _cross_check(tree: Mapping[str, Any]) -> Iterable[Problem]:
    """Names of modalities that are used elsewhere must be declared; works on a faulty tree too."""
    modalities = tree.get("modalities")
    if not isinstance(modalities, dict):
        return
    known = [str(name) for name in modalities]
    for name in known:
        if not name.strip() or "+" in name or name == "(none)":
            yield ("modalities", name), "a modality's name must not be empty or contain `+`"
    for path, name in _used_names(tree):
        if isinstance(name, str) and name.strip() not in known:
            hint = did_you_mean(name, known) or f" Declared: {', '.join(known)}."
            yield path, f"no modality {name!r}.{hint}"


def _used_names(tree: Mapping[str, Any]) -> Iterable[tuple[KeyPath, Any]]:
    deployment, training = _dict(tree.get("deployment")), _dict(tree.get("training"))
    for name in _dict(deployment.get("rates")):
        yield ("deployment", "rates", name), name
    for pattern in _dict(deployment.get("patterns")):
        for name in str(pattern).split("+"):
            if name.strip() not in ("", "(none)"):
                yield ("deployment", "patterns", pattern), name
    requirements = tree.get("requirements")
    for position, requirement in enumerate(requirements if isinstance(requirements, list) else []):
        for key in ("present", "absent"):
            names = _dict(requirement).get(key)
            for name in [names] if isinstance(names, str) else names or []:
                if (key, name) != ("present", "all"):
                    yield ("requirements", position, key), name
    for group, names in _dict(training.get("groups")).items():
        for name in [names] if isinstance(names, str) else names or []:
            yield ("training", "groups", group), name


def _dict(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}
