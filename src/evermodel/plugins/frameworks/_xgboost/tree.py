"""One tree of an XGBoost document: checked, and what it tells of how it was grown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.plugins.frameworks._tree_depth import MAX_DEPTH, is_too_deep

NODES = (
    "left_children",
    "right_children",
    "parents",
    "split_indices",
    "split_conditions",
    "split_type",
    "default_left",
    "base_weights",
    "loss_changes",
    "sum_hessian",
)
NO_PARENT = 2**31 - 1
LARGEST_CATEGORY = 2**24


def check_tree(tree: Mapping[str, Any], number: int, width: int) -> None:
    """Raises ValueError or KeyError unless every array has its length and every walk from the root ends in a leaf."""
    count = len(tree["left_children"])
    parameters = tree["tree_param"]
    if (
        tree["id"] != number
        or int(parameters["num_nodes"]) != count
        or int(parameters["num_feature"]) != width
        or count < 1
    ):
        raise ValueError(f"tree {number} is not what it says")
    if int(parameters.get("size_leaf_vector", "1")) > 1:
        raise ValueError("leaves that hold several values")
    for key in NODES:
        if key in ("split_type",) and key not in tree:
            continue
        if len(tree[key]) != count or not all(isinstance(v, (int, float)) for v in tree[key]):
            raise ValueError(f"tree {number}: {len(tree[key])} values of {key} for {count} nodes")
    _check_walk(tree, number, width)
    _check_categories(tree, number, count)


def _check_walk(tree: Mapping[str, Any], number: int, width: int) -> None:
    left, right, parents = tree["left_children"], tree["right_children"], tree["parents"]
    count, reached, waiting = len(left), {0}, [0]
    if parents[0] not in (NO_PARENT, -1):
        raise ValueError(f"tree {number}: the root has a parent")
    while waiting:
        node = waiting.pop()
        if left[node] == -1 and right[node] == -1:
            if not math.isfinite(tree["split_conditions"][node]):
                raise ValueError(f"tree {number} has a leaf without a value")
            continue
        if not 0 <= tree["split_indices"][node] < width:
            raise ValueError(f"tree {number} splits on a column that the model does not have")
        for child in (left[node], right[node]):
            if not isinstance(child, int) or not 0 < child < count or child in reached or parents[child] != node:
                raise ValueError(f"tree {number}: its nodes do not form one tree")
            reached.add(child)
            waiting.append(child)
    if is_too_deep(left, right):
        raise ValueError(f"tree {number} is deeper than {MAX_DEPTH} levels")


def _check_categories(tree: Mapping[str, Any], number: int, count: int) -> None:
    nodes, starts = tree.get("categories_nodes", []), tree.get("categories_segments", [])
    sizes, values = tree.get("categories_sizes", []), tree.get("categories", [])
    categorical_nodes = [node for node, kind in enumerate(tree.get("split_type", [])) if kind]
    if categorical_nodes != nodes or len(starts) != len(nodes) or len(sizes) != len(nodes):
        raise ValueError(f"tree {number}: broken category sets")
    whole = all(isinstance(v, int) for v in (*starts, *sizes, *values))
    if not whole or not all(a >= 0 and b > 0 and a + b <= len(values) for a, b in zip(starts, sizes, strict=True)):
        raise ValueError(f"tree {number}: broken category sets")
    if not all(0 <= v < LARGEST_CATEGORY for v in values):
        raise ValueError(f"tree {number}: a category of that number cannot be")


def depth_of(tree: Mapping[str, Any]) -> int:
    """Splits on the longest way from the root to a leaf."""
    left, right = tree["left_children"], tree["right_children"]
    deepest, waiting = 0, [(0, 0)]
    while waiting:
        node, depth = waiting.pop()
        if left[node] == -1:
            deepest = max(deepest, depth)
        else:
            waiting += [(left[node], depth + 1), (right[node], depth + 1)]
    return deepest


def leaves_of(tree: Mapping[str, Any]) -> int:
    return 1 + sum(1 for child in tree["left_children"] if child != -1)


def step_and_penalty(trees: Sequence[Mapping[str, Any]]) -> tuple[float, float] | None:
    """Learning rate and lambda with which the trees were grown; None where they do not show.

    An inner node keeps its weight unscaled, a leaf scaled by the learning rate; gradients add up over two leaves:
    w (H + lambda) = (w_l (H_l + lambda) + w_r (H_r + lambda)) / rate. Solved by least squares for each of some lambdas.
    """
    rows = np.array([row for tree in trees for row in _pairs(tree)], dtype=np.float64).reshape(-1, 6)
    if len(rows) < 3:
        return None
    best: tuple[float, float, float] | None = None
    for penalty in (0.0, 0.1, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0):
        inner, leaves = _gradients(rows, penalty)
        rate = float((inner * leaves).sum() / max((inner**2).sum(), 1e-300))
        error = float(np.median(np.abs(leaves - rate * inner)) / max(np.median(np.abs(leaves)), 1e-300))
        if best is None or error < best[0]:
            best = (error, rate, penalty)
    return best[1:] if best is not None and best[0] < 1e-3 and 0 < best[1] <= 1.5 else None


def _pairs(tree: Mapping[str, Any]) -> list[tuple[float, ...]]:
    """Weights and hessians of every node whose two children are leaves."""
    left, right, weight, hessian = (tree[k] for k in ("left_children", "right_children", "base_weights", "sum_hessian"))
    value = tree["split_conditions"]
    ends = [n for n, a in enumerate(left) if a != -1 and left[a] == -1 and left[right[n]] == -1]
    return [(weight[n], hessian[n], value[left[n]], hessian[left[n]], value[right[n]], hessian[right[n]]) for n in ends]


def _gradients(rows: Array, penalty: float) -> tuple[Array, Array]:
    inner = rows[:, 0] * (rows[:, 1] + penalty)
    return inner, rows[:, 2] * (rows[:, 3] + penalty) + rows[:, 4] * (rows[:, 5] + penalty)
