"""Bounds of loaded trees: a forged node index must not read outside its arrays.

scikit-learn and LightGBM walk the nodes of a fitted tree without looking at the bounds, which is
right for trees that they grew themselves and wrong for those that came in a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE
from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
from sklearn.tree._tree import Tree

from fusewise.exceptions import ModelFormatError
from fusewise.fusion.persist_pack import is_module

_NUMBERS = re.compile(r"^([a-z_]+)=(.*)$", re.MULTILINE)


def check_trees(model: Any) -> None:
    """Refuse a loaded model whose trees point outside their nodes or features.

    Raises
    ------
    ModelFormatError
        If a tree does.
    """
    for holder, value in walk(model):
        width = getattr(holder, "n_features_in_", None)
        if isinstance(value, Tree):
            _check_tree(value, value.n_features if width is None else width)
        elif isinstance(value, TreePredictor):
            _check_predictor(value, width)
        elif type(value).__module__ == "lightgbm.basic":
            _check_booster(value.model_to_string(), width)


def walk(model: Any) -> Iterator[tuple[Any, Any]]:
    """Return every object in the model, with the estimator that it belongs to."""
    seen: set[int] = set()
    waiting: list[tuple[Any, Any]] = [(model, model)]
    while waiting:
        holder, value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        yield holder, value
        if isinstance(value, dict):
            waiting.extend((holder, v) for v in value.values())
        elif isinstance(value, list | tuple | set | frozenset):
            waiting.extend((holder, v) for v in value)
        elif isinstance(value, np.ndarray):
            if value.dtype == object:
                waiting.extend((holder, v) for v in value.ravel())
        elif hasattr(value, "__dict__") and not isinstance(value, type) and not is_module(value):
            owner = value if hasattr(value, "n_features_in_") else holder
            waiting.extend((owner, v) for v in vars(value).values())


def _check_tree(tree: Tree, width: int) -> None:
    inner = tree.children_left != -1
    _require(tree.n_features == width, "features")
    _check_children(tree.children_left[inner], tree.children_right[inner], inner)
    _require(_within(tree.feature[inner], 0, width), "features")


def _check_predictor(predictor: TreePredictor, width: int | None) -> None:
    nodes, bitsets = predictor.nodes, predictor.raw_left_cat_bitsets
    _require(nodes.dtype == PREDICTOR_RECORD_DTYPE and nodes.ndim == 1 and len(nodes) > 0, "nodes")
    _require(bitsets.dtype == np.uint32 and bitsets.shape[1:] == (8,), "categories")
    inner = nodes["is_leaf"] == 0
    _check_children(nodes["left"][inner], nodes["right"][inner], inner)
    _require(width is not None and _within(nodes["feature_idx"][inner], 0, width), "features")
    by_category = inner & (nodes["is_categorical"] != 0)
    _require(_within(nodes["bitset_idx"][by_category], 0, len(bitsets)), "categories")


def _check_children(
    left: npt.NDArray[Any], right: npt.NDArray[Any], inner: npt.NDArray[np.bool_]
) -> None:
    # A child comes after its parent: so the walk also ends.
    parent = np.flatnonzero(inner)
    for child in (left.astype(np.int64), right.astype(np.int64)):
        _require(bool(np.all(child > parent)) and _within(child, 0, len(inner)), "nodes")


def _check_booster(text: str, width: int | None) -> None:
    head, *trees = text.partition("\nend of trees")[0].split("\nTree=")
    last = int(dict(_NUMBERS.findall(head)).get("max_feature_idx", -1))
    _require(width is None or last < width, "features")
    for tree in trees:
        lines = dict(_NUMBERS.findall(tree))
        leaves = int(lines["num_leaves"])
        left, right, feature, kind = (
            _integers(lines.get(name, ""))
            for name in ("left_child", "right_child", "split_feature", "decision_type")
        )
        for child in (left, right):
            inner = child >= 0
            _require(len(child) == max(leaves - 1, 0), "nodes")
            _require(bool(np.all(child[inner] > np.flatnonzero(inner))), "nodes")
            _require(_within(child, -leaves, max(leaves - 1, 1)), "nodes")
        used = np.concatenate([feature, _integers(lines.get("leaf_features", ""))])
        _require(len(feature) == len(left) and _within(used, 0, last + 1), "features")
        by_category = (kind & 1).astype(bool)
        if by_category.any():
            _check_categories(lines, by_category)


def _check_categories(lines: dict[str, str], by_category: npt.NDArray[np.bool_]) -> None:
    bounds = _integers(lines.get("cat_boundaries", ""))
    place = np.array(lines["threshold"].split(), dtype=float)[by_category].astype(np.int64)
    words = len(lines.get("cat_threshold", "").split())
    _require(_within(place, 0, len(bounds) - 1), "categories")
    _require(bool(np.all(np.diff(bounds) >= 0)) and _within(bounds, 0, words + 1), "categories")


def _integers(text: str) -> npt.NDArray[np.int64]:
    return np.array(text.split(), dtype=np.int64)


def _within(values: npt.NDArray[Any], low: int, end: int) -> bool:
    return bool(np.all((values >= low) & (values < end)))


def _require(fine: bool, what: str) -> None:
    if not fine:
        raise ModelFormatError(
            f"the model file is damaged or forged: a tree points outside its {what}. Do not use "
            "it; save the model again from its source."
        )
