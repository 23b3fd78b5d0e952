"""Saving and loading fitted estimators without pickle.

A model file is a zip archive of stored (not compressed) parts::

    manifest.json   format and version, class, parameters, modalities, task, the types inside,
                    versions of the libraries, and the SHA-256 of every other part
    model.skops     the fitted estimator, written by skops

Loading builds only types on an allow-list and runs no code from the file. The checksums find
damage, not forgery: whoever can change the file can change them too.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import zipfile
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from fusewise import __version__
from fusewise.data import write_atomically
from fusewise.exceptions import ModelFormatError, ModelNotFoundError, RunFolderError
from fusewise.fusion.persist_pack import pack, unpack
from fusewise.fusion.persist_same import first_difference
from fusewise.fusion.persist_trees import check_trees, walk
from fusewise.fusion.persist_types import audit, check_members, name_of, unknown_types
from fusewise.fusion.weights import FittedNetwork

FORMAT = "fusewise-model"
FORMAT_VERSION = 1

_MANIFEST, _MODEL = "manifest.json", "model.skops"
_LIBRARIES = ("numpy", "pandas", "scipy", "scikit-learn", "lightgbm", "torch", "skops")


def save_model(estimator: Any, path: str | os.PathLike[str]) -> Path:
    """Write a fitted estimator to a model file, atomically.

    The file is read back before it is put in place: what would not come back as it was is refused
    here and not when it is needed.

    Parameters
    ----------
    estimator : estimator
        Any fitted estimator of fusewise or of scikit-learn. Its attributes, and those of estimators
        inside it, hold arrays, numbers, strings, plain containers, pandas tables and estimators.
    path : path-like
        Where to write; by convention with the suffix ``.fusewise``.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    RunFolderError
        If the folder does not exist.
    ModelFormatError
        If something in the estimator cannot be saved (a lambda, a local class, a reference to
        itself, an enumeration member, ...).

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.linear_model import LogisticRegression
    >>> model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     loaded = load_model(save_model(model, f"{folder}/model.fusewise"))
    >>> bool((loaded.coef_ == model.coef_).all())
    True
    """
    import skops.io

    if not Path(path).parent.is_dir():
        raise RunFolderError(f"the folder {str(Path(path).parent)!r} does not exist. Create it.")
    kind = name_of(type(estimator))
    try:
        modules: dict[str, Any] = {}
        content = skops.io.dumps(pack(estimator, modules))
        types = skops.io.get_untrusted_types(data=content)
        restored = unpack(skops.io.loads(content, trusted=types), modules)
        _check_networks(restored)
    except ModelFormatError:
        raise
    except Exception as error:
        raise ModelFormatError(
            f"{kind} cannot be saved: {error}. A model may hold arrays, numbers, strings, plain "
            "containers, pandas tables, estimators, and functions or classes that can be imported "
            "by name (no lambdas, no local classes)."
        ) from error
    difference = first_difference(estimator, restored)
    if difference is not None:
        raise ModelFormatError(f"{kind} cannot be saved without loss: {difference}.")
    manifest = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "fusewise": __version__,
        **_summary(estimator),
        "types": types,
        "members": {
            _MODEL: {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)},
        },
        "libraries": {"python": platform.python_version()} | _versions(),
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False))
        archive.writestr(_MODEL, content)
    write_atomically(path, buffer.getvalue())
    return Path(path)


def load_model(
    path: str | os.PathLike[str],
    *,
    trusted: Sequence[str | type] = (),
    encoders: Mapping[str, Any] | None = None,
) -> Any:
    """Read a model file that :func:`save_model` wrote; run no code from it.

    Parameters
    ----------
    path : path-like
        The file.
    trusted : sequence of str or type
        Further types that may be restored, for example the class of an expert of your own. Name
        only what you know: restoring a type may run its ``__setstate__``.
    encoders : dict of str to torch module, optional
        For a model that was trained with encoders of your own: the same architectures again, by
        modality. Their trained weights are read from the file, into copies.

    Returns
    -------
    estimator
        Equal to the one that was saved: the same predictions, bit for bit, under the same versions
        of the libraries.

    Raises
    ------
    ModelNotFoundError
        If there is no such file.
    ModelFormatError
        If the file is damaged, of another kind, written by a newer fusewise, or holds types that
        are neither on the allow-list nor in `trusted`; or if an encoder of your own is lacking, or
        is another one.
    """
    import skops.io

    if isinstance(trusted, str | type):
        raise TypeError(f"trusted must be a list of types or names, got {trusted!r}: write [it]")
    file = Path(path)
    manifest, content = _read(file)
    written = manifest.get("libraries", {})
    try:
        audit(content, trusted)
        unknown = unknown_types(content, trusted)
        if unknown:
            raise ModelFormatError(
                f"it holds types that are not trusted: {', '.join(unknown)}. If you know them and "
                f"where the file comes from, load it with trusted={unknown!r}"
            )
        # The audit has passed: what skops itself does not trust is on our list or the caller's.
        allowed = skops.io.get_untrusted_types(data=content)
        model = unpack(skops.io.loads(content, trusted=allowed), encoders)
        check_trees(model)
        _check_networks(model)
    except ModelFormatError as error:
        raise ModelFormatError(f"{file}: {str(error).rstrip('.')}.") from None
    except (Exception, RecursionError) as error:
        raise ModelFormatError(
            f"{file}: the model cannot be restored ({type(error).__name__}: {error}). It was "
            f"written with {_listed(written)}; this is {_listed(_versions())}. Use the same "
            "versions, or save the model again from its source."
        ) from error
    return model


def read_manifest(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what a model file says of itself, without restoring the model.

    Raises
    ------
    ModelNotFoundError, ModelFormatError
        As :func:`load_model`.
    """
    return _read(Path(path))[0]


def _read(file: Path) -> tuple[dict[str, Any], bytes]:
    """Return the manifest and the model part, both checked."""
    if not file.is_file():
        raise ModelNotFoundError(f"no model file {str(file)!r}. Check the path.")
    raw = file.read_bytes()
    if raw[:1] == b"\x80":
        raise ModelFormatError(
            f"{file}: this looks like a pickle. fusewise neither writes nor reads pickles, as "
            "loading one runs code from the file; save the model with model.save(path)."
        )
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            names = archive.namelist()
            if _MANIFEST not in names:
                raise ModelFormatError(
                    f"not a fusewise model: a zip archive without {_MANIFEST}. Give the file that "
                    "model.save(path) wrote"
                )
            check_members(archive, len(raw))
            manifest = json.loads(archive.read(_MANIFEST))
            _check_manifest(manifest, names)
            content = archive.read(_MODEL)
    except ModelFormatError as error:
        raise ModelFormatError(f"{file}: {str(error).rstrip('.')}.") from None
    except (zipfile.BadZipFile, ValueError, KeyError, EOFError, OSError, RecursionError) as error:
        raise ModelFormatError(
            f"{file}: not a fusewise model, or a damaged or truncated one ({error}). Copy the file "
            "again or save the model again."
        ) from error
    if hashlib.sha256(content).hexdigest() != manifest["members"][_MODEL].get("sha256"):
        raise ModelFormatError(
            f"{file}: damaged: {_MODEL} does not match its checksum. Copy the file again or save "
            "the model again."
        )
    return manifest, content


def _check_networks(model: Any) -> None:
    """Build every network once, so that weights that do not fit are refused here."""
    for _, value in walk(model):
        if isinstance(value, FittedNetwork):
            value.module()


def _check_manifest(manifest: Any, names: Sequence[str]) -> None:
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else type(manifest).__name__
        raise ModelFormatError(f"not a fusewise model: its format is {found!r}, not {FORMAT!r}")
    number = manifest.get("version")
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise ModelFormatError(f"damaged: its format version is {number!r}")
    if number > FORMAT_VERSION:
        raise ModelFormatError(
            f"written in format {number} by fusewise {manifest.get('fusewise')}; this is fusewise "
            f"{__version__}, which reads formats up to {FORMAT_VERSION}. Update fusewise"
        )
    members = manifest.get("members")
    if not isinstance(members, dict) or not isinstance(members.get(_MODEL), dict):
        raise ModelFormatError(f"damaged: {_MANIFEST} does not list {_MODEL}")
    missing = sorted(set(members) - set(names))
    if missing:
        raise ModelFormatError(f"damaged: {', '.join(missing)} is missing from the archive")
    foreign = sorted(set(names) - set(members) - {_MANIFEST})
    if foreign:
        raise ModelFormatError(f"not a file that fusewise wrote: it also holds {foreign[:3]}")


def _summary(estimator: Any) -> dict[str, Any]:
    """Return what a person wants to know of the model before loading it."""
    parameters = estimator.get_params(deep=False) if hasattr(estimator, "get_params") else {}
    classes = getattr(estimator, "classes_", None)
    modalities = getattr(estimator, "modalities_", None)
    task = "regression" if classes is None else "binary" if len(classes) == 2 else "multiclass"
    return {
        "class": name_of(type(estimator)),
        "parameters": {name: _short(value) for name, value in parameters.items()},
        "modalities": None if modalities is None else [str(m) for m in modalities],
        "task": task,
        "classes": None if classes is None else [str(c) for c in classes],
    }


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 120 else f"{text[:117]}..."


def _versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _listed(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in versions.items()) or "unknown versions"
