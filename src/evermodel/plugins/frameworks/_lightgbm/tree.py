"""One tree of LightGBM's text format: its fields, checked and scaled.

LightGBM reads trees in parallel; what it dislikes there ends the process. So only what it writes itself is let through.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from evermodel.plugins.frameworks._tree_depth import MAX_DEPTH, is_too_deep

ROW_WEIGHTS = ("leaf_weight", "internal_weight")
SHIFTED = ("leaf_value", "internal_value", "leaf_const")
SCALED = ("leaf_value", "internal_value", "leaf_const", "leaf_coeff")
WHOLE = frozenset(
    (
        "num_leaves",
        "num_cat",
        "split_feature",
        "decision_type",
        "left_child",
        "right_child",
        "leaf_count",
        "internal_count",
        "cat_boundaries",
        "cat_threshold",
        "is_linear",
        "num_features",
        "leaf_features",
    )
)
REAL = frozenset((*SCALED, "split_gain", "threshold", "leaf_weight", "internal_weight", "shrinkage"))
_WHOLE = re.compile(r"-?\d{1,10}")
_REAL = re.compile(r"-?(\d+(\.\d*)?([eE][+-]?\d+)?|inf|nan)")
Fields = Mapping[str, list[float]]


def fields_of(text: str) -> dict[str, str]:
    """Lines ``key=value`` as a dictionary; a line without ``=`` is a flag, its value empty."""
    pairs = (line.partition("=") for line in text.split("\n") if line)
    return {key: value for key, _, value in pairs}


def numbers_of(text: str) -> Fields:
    """The fields of a tree as numbers. Raises ValueError for a line that LightGBM does not write."""
    found: dict[str, list[float]] = {}
    for line in text.split("\n"):
        key, equals, values = line.partition("=")
        whole = key in WHOLE
        tokens = values.split(" ") if values.strip(" ") else []
        # Linear leaves without a feature leave blanks between the others.
        tokens = [t for t in tokens if t] if key in ("leaf_features", "leaf_coeff") else tokens
        rule = _WHOLE if whole else _REAL
        if not equals or key in found or not (whole or key in REAL) or not all(map(rule.fullmatch, tokens)):
            raise ValueError(f"a tree has the line {line[:40]!r}")
        found[key] = [int(t) if whole else float(t) for t in tokens]
        if whole and any(not -(2**31) <= n < 2**32 for n in found[key]):
            raise ValueError(f"a tree has too large a number in {key}")
    return found


def check_tree(text: str, number: int, width: int) -> None:
    """Raises ValueError or KeyError unless every array has its length and every index stays inside."""
    fields = numbers_of(text)
    for key in ("num_leaves", "num_cat", "is_linear", "shrinkage"):
        if key in fields:
            _check_length(fields, key, number, 1)
    leaves = int(fields["num_leaves"][0])
    _check_length(fields, "leaf_value", number, leaves)
    if leaves < 1 or not all(math.isfinite(v) for key in SCALED for v in fields.get(key, ())):
        raise ValueError(f"tree {number} has no leaves, or leaves without a value")
    linear = any(fields.get("is_linear", ()))
    if leaves == 1 and any(fields.get("num_cat", ())):
        raise ValueError(f"tree {number} has category sets but no splits")
    if leaves > 1 or linear:  # LightGBM reads the nodes of a single linear leaf, too
        _check_nodes(fields, number, leaves, width)
        _check_categories(fields, number, int(fields["num_cat"][0]))
    if linear:
        _check_linear(fields, number, leaves, width)


def _check_length(fields: Fields, key: str, number: int, length: int) -> None:
    if len(fields[key]) != length:
        raise ValueError(f"tree {number}: {len(fields[key])} values of {key}, not {length}")


def _check_nodes(fields: Fields, number: int, leaves: int, width: int) -> None:
    nodes = leaves - 1
    for key in ("split_feature", "threshold", "left_child", "right_child", "decision_type"):
        _check_length(fields, key, number, nodes)
    lengths = {"split_gain": nodes, "internal_value": nodes, "internal_weight": nodes, "internal_count": nodes}
    for key, length in {**lengths, "leaf_weight": leaves, "leaf_count": leaves}.items():
        if key in fields:
            _check_length(fields, key, number, length)
    if not all(0 <= feature < width for feature in fields["split_feature"]):
        raise ValueError(f"tree {number} splits on a column that the model does not have")
    left, right = fields["left_child"], fields["right_child"]
    # A child comes after its parent and has one parent only: then no walk from the root can run in a circle.
    if any(0 <= child <= node for side in (left, right) for node, child in enumerate(side)):
        raise ValueError(f"tree {number} points back to a node above")
    if nodes and sorted([*left, *right]) != [*range(-leaves, 0), *range(1, nodes)]:
        raise ValueError(f"tree {number}: its nodes do not form one tree")
    if is_too_deep(left, right):
        raise ValueError(f"tree {number} is deeper than {MAX_DEPTH} levels")


def _check_categories(fields: Fields, number: int, cats: int) -> None:
    kinds = fields["decision_type"]
    picks = [t for t, kind in zip(fields["threshold"], kinds, strict=True) if int(kind) & 1]
    if not all(0 <= kind < 16 for kind in kinds) or not all(0 <= p < cats and p == int(p) for p in picks):
        raise ValueError(f"tree {number} splits on a category set that is not there")
    if cats:
        _check_length(fields, "cat_boundaries", number, cats + 1)
        bounds = fields["cat_boundaries"]
        _check_length(fields, "cat_threshold", number, int(bounds[-1]))
        if bounds[0] != 0 or sorted(bounds) != bounds or min(fields["cat_threshold"]) < 0:
            raise ValueError(f"tree {number}: broken category sets")


def _check_linear(fields: Fields, number: int, leaves: int, width: int) -> None:
    _check_length(fields, "leaf_const", number, leaves)
    _check_length(fields, "num_features", number, leaves)
    for key in ("leaf_features", "leaf_coeff"):
        _check_length(fields, key, number, int(sum(fields["num_features"])))
    if min(fields["num_features"]) < 0 or not all(0 <= f < width for f in fields["leaf_features"]):
        raise ValueError(f"tree {number}: broken linear leaves")


def shorten_weights(text: str) -> str:
    """The tree with its sums of row weights in six digits; nothing that it answers depends on them.

    Rows that are weighted by their age have sums of 17 digits, which made the file a fifth larger.
    """
    lines = []
    for line in text.split("\n"):
        key, _, values = line.partition("=")
        if key in ROW_WEIGHTS and "." in values:
            line = f"{key}={' '.join(f'{float(value):.6g}' for value in values.split())}"
        lines.append(line)
    return "\n".join(lines)


def scale_tree(text: str, factor: float) -> str:
    """The tree with its output multiplied by ``factor``, written with every digit."""
    lines = []
    for line in text.split("\n"):
        key, _, values = line.partition("=")
        if key in SCALED:
            # Blanks between linear leaves carry no meaning: LightGBM counts numbers.
            line = f"{key}={' '.join([repr(float(v) * factor) for v in values.split()])}"
        lines.append(line)
    return "\n".join(lines)


def shift_tree(text: str, by: float) -> str:
    """The tree with ``by`` added to its output, written with every digit."""
    lines = []
    for line in text.split("\n"):
        key, _, values = line.partition("=")
        if key in SHIFTED:
            line = f"{key}={' '.join([repr(float(v) + by) for v in values.split()])}"
        lines.append(line)
    return "\n".join(lines)


def has_linear_leaves(text: str) -> bool:
    """Whether a leaf holds a linear model."""
    return fields_of(text).get("is_linear", "0") != "0"


def takes_zero_as_missing(text: str) -> bool:
    """Whether a split sends zeros where it sends missing values."""
    return any(int(kind) >> 2 & 3 == 1 for kind in fields_of(text).get("decision_type", "").split())
