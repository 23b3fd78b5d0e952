"""What a saved model may hold: the allow-list, and the audit of a file before anything is built."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from fusewise.exceptions import ModelFormatError

_OURS = (
    "fusewise.data.deployment.Deployment",
    "fusewise.fusion.attention.AttentionFusionClassifier",
    "fusewise.fusion.attention.AttentionFusionRegressor",
    "fusewise.fusion.boosting.BoostedTreesClassifier",
    "fusewise.fusion.boosting.BoostedTreesRegressor",
    "fusewise.fusion.calibrate.PatternCalibration",
    "fusewise.fusion.combine.Combiner",
    "fusewise.fusion.early.EarlyFusionClassifier",
    "fusewise.fusion.early.EarlyFusionRegressor",
    "fusewise.fusion.encode.FeatureEncoder",
    "fusewise.fusion.experts.FittedExpert",
    "fusewise.fusion.given.UserEncoder",
    "fusewise.fusion.intermediate.IntermediateFusionClassifier",
    "fusewise.fusion.intermediate.IntermediateFusionRegressor",
    "fusewise.fusion.late.LateFusionClassifier",
    "fusewise.fusion.late.LateFusionRegressor",
    "fusewise.fusion.linear.LinearClassifier",
    "fusewise.fusion.linear.LinearRegressor",
    "fusewise.fusion.masking.Masking",
    "fusewise.fusion.masking.RemovalPlan",
    "fusewise.fusion.persist_pack.GivenModule",
    "fusewise.fusion.persist_pack.PackedDict",
    "fusewise.fusion.persist_pack.PackedFrame",
    "fusewise.fusion.persist_pack.PackedIndex",
    "fusewise.fusion.persist_pack.PackedPath",
    "fusewise.fusion.persist_pack.PackedSeries",
    "fusewise.fusion.persist_pack.PackedValues",
    "fusewise.fusion.presence_only.PresenceOnlyClassifier",
    "fusewise.fusion.presence_only.PresenceOnlyRegressor",
    "fusewise.fusion.scaling.NormalScaling",
    "fusewise.fusion.tensors.TensorEncoder",
    "fusewise.fusion.tensors_events.EventTokens",
    "fusewise.fusion.tensors_table.TableTensors",
    "fusewise.fusion.weights.FittedNetwork",
)

# Beside what skops trusts by itself (primitives, arrays, scikit-learn's estimators). Tree, the
# TreePredictor and the Booster hold raw node indices, which skops leaves untrusted for that
# reason: `persist_trees` checks them after loading.
_THEIRS = (
    "builtins.frozenset",
    "builtins.range",
    "collections.OrderedDict",
    "functools.partial",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "lightgbm.sklearn.LGBMRegressor",
    "numpy.dtype",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.model_selection._split.KFold",
    "sklearn.model_selection._split.StratifiedKFold",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
    "sklearn.utils.validation.check_array",
)

TRUSTED_TYPES: tuple[str, ...] = (*_OURS, *_THEIRS)

# skops calls these with arguments from the file; only what cannot do anything may be called so.
_CALLABLE_FROM_FILE = frozenset({"builtins.frozenset", "builtins.range"})

# Readers of older protocols are more lenient, and a file could ask for them.
_OLDEST_PROTOCOL = 2

# A sparse matrix is the one compressed part of the format: bounds what it may unfold to.
MAX_INFLATED_BYTES = 2**30


def name_of(kind: str | type) -> str:
    """Return the full name of a type, which may be given as its name already."""
    return kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"


def unknown_types(content: bytes, trusted: Iterable[str | type] = ()) -> list[str]:
    """Return the types in a skops file that are neither on the allow-list nor in `trusted`."""
    from skops.io import get_untrusted_types

    allowed = {*TRUSTED_TYPES, *map(name_of, trusted)}
    return sorted(set(get_untrusted_types(data=content)) - allowed)


def audit(content: bytes, trusted: Iterable[str | type] = ()) -> None:
    """Refuse a skops file that could exhaust memory or call something, before it is built.

    Raises
    ------
    ModelFormatError
        If a member is compressed, larger than it says, or of a kind that skops does not write; if
        an array's header does not fit its bytes; or if the file asks for a call of a type that is
        only trusted to be restored.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        check_members(archive, len(content))
        for member in archive.infolist():
            _check_member(archive, member)
        schema = json.loads(archive.read("schema.json"))
    if not isinstance(schema, dict) or schema.get("protocol", 0) < _OLDEST_PROTOCOL:
        raise ModelFormatError("the model file is not one that fusewise wrote: its skops protocol.")
    callable_names = _CALLABLE_FROM_FILE | set(map(name_of, trusted))
    for node in _nodes(schema):
        name = f"{node.get('__module__')}.{node.get('__class__')}"
        if node["__loader__"] == "ConstructorFromReduceNode" and name not in callable_names:
            raise ModelFormatError(
                f"the model file asks to call {name} while loading, which is not allowed. If you "
                f"know where the file comes from, pass trusted=[{name!r}]."
            )


def check_members(archive: zipfile.ZipFile, n_bytes: int) -> None:
    """Refuse repeated names, compressed members, and members that overlap or exceed the file."""
    members = archive.infolist()
    names = [m.filename for m in members]
    if len(set(names)) < len(names):
        raise ModelFormatError("the model file is not one that fusewise wrote: names are repeated.")
    if any(m.compress_type != zipfile.ZIP_STORED or m.flag_bits & 1 for m in members):
        raise ModelFormatError(
            "the model file is not one that fusewise wrote: it holds compressed or encrypted parts."
        )
    if sum(m.file_size for m in members) > n_bytes:
        raise ModelFormatError(
            "the model file is damaged: its parts claim to be larger than the file."
        )


def _check_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    stem, _, suffix = member.filename.rpartition(".")
    if member.filename == "schema.json" or (suffix == "bin" and _is_plain(stem)):
        return
    if suffix == "npy" and _is_plain(stem):
        _check_array(archive.read(member), member.filename)
    elif suffix == "npz" and _is_plain(stem):
        _check_sparse(archive.read(member), member.filename)
    else:
        raise ModelFormatError(f"the model file holds an unexpected part {member.filename!r}.")


def _is_plain(stem: str) -> bool:
    return stem.replace("-", "").isalnum()


def _check_array(content: bytes, name: str) -> None:
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else None
    read = np.lib.format.read_array_header_2_0 if version == (2, 0) else read
    shape, _, dtype = read(stream) if read else ((0,), False, np.dtype(object))
    # Python integers: the product of a forged shape must not wrap around.
    expected = int(dtype.itemsize)
    for extent in shape:
        expected *= int(extent)
    if dtype.hasobject or expected != len(content) - stream.tell():
        raise ModelFormatError(
            f"the model file is damaged: array {name!r} does not hold what its header says."
        )


def _check_sparse(content: bytes, name: str) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(m.file_size for m in archive.infolist()) > MAX_INFLATED_BYTES:
            raise ModelFormatError(
                f"the model file's sparse matrix {name!r} would unfold to more than "
                f"{MAX_INFLATED_BYTES:,} bytes."
            )
        for member in archive.infolist():
            _check_array(archive.read(member), f"{name}/{member.filename}")


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Return every node of a skops schema, without recursion (a file may nest deeply)."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if "__loader__" in item:
                yield item
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
