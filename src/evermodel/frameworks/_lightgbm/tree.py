"""One tree of LightGBM's text format: its fields, checked and scaled."""

from __future__ import annotations

import math
from collections.abc import Mapping

SCALED = ("leaf_value", "internal_value", "leaf_const", "leaf_coeff")
MOST_CATEGORIES = 2**31


def fields_of(text: str) -> dict[str, str]:
    """Lines ``key=value`` as a dictionary; a line without ``=`` is a flag, its value empty."""
    pairs = (line.partition("=") for line in text.split("\n") if line)
    return {key: value for key, _, value in pairs}


def check_tree(fields: Mapping[str, str], number: int, width: int) -> None:
    """Raises ValueError or KeyError unless every array has its length and every index stays inside."""
    leaves, cats = int(fields["num_leaves"]), int(fields["num_cat"])
    values = [float(v) for v in fields["leaf_value"].split()]
    if leaves < 1 or len(values) != leaves or not all(map(math.isfinite, values)):
        raise ValueError(f"tree {number}: {len(values)} finite leaf values for {leaves} leaves")
    if leaves > 1:
        _check_nodes(fields, number, leaves, width)
        _check_categories(fields, number, cats)
    if int(fields.get("is_linear", "0")):
        _check_linear(fields, number, leaves, width)


def _whole(fields: Mapping[str, str], key: str, number: int, length: int) -> list[int]:
    found = [int(v) for v in fields[key].split()]
    if len(found) != length:
        raise ValueError(f"tree {number}: {len(found)} values of {key}, not {length}")
    return found


def _check_nodes(fields: Mapping[str, str], number: int, leaves: int, width: int) -> None:
    nodes = leaves - 1
    if not all(0 <= feature < width for feature in _whole(fields, "split_feature", number, nodes)):
        raise ValueError(f"tree {number} splits on a column that the model does not have")
    for key, length in (("threshold", nodes), ("split_gain", nodes), ("internal_value", nodes)):
        if len([float(v) for v in fields[key].split()]) != length:
            raise ValueError(f"tree {number}: {key} has not {length} values")
    for key, length in (("leaf_weight", leaves), ("leaf_count", leaves), ("internal_count", nodes)):
        if key in fields and len([float(v) for v in fields[key].split()]) != length:
            raise ValueError(f"tree {number}: {key} has not {length} values")
    left, right = (_whole(fields, key, number, nodes) for key in ("left_child", "right_child"))
    # A child comes after its parent and has one parent only: then no walk from the root can run in a circle.
    if any(0 <= child <= node for side in (left, right) for node, child in enumerate(side)):
        raise ValueError(f"tree {number} points back to a node above")
    if sorted(left + right) != [*range(-leaves, 0), *range(1, nodes)]:
        raise ValueError(f"tree {number}: its nodes do not form one tree")


def _check_categories(fields: Mapping[str, str], number: int, cats: int) -> None:
    kinds = _whole(fields, "decision_type", number, int(fields["num_leaves"]) - 1)
    picks = [float(t) for t, kind in zip(fields["threshold"].split(), kinds, strict=True) if kind & 1]
    if not all(0 <= pick < cats and pick == int(pick) for pick in picks):
        raise ValueError(f"tree {number} splits on a category set that is not there")
    if cats:
        bounds = _whole(fields, "cat_boundaries", number, cats + 1)
        words = _whole(fields, "cat_threshold", number, bounds[-1])
        if bounds[0] != 0 or sorted(bounds) != bounds or not all(0 <= w < 2 * MOST_CATEGORIES for w in words):
            raise ValueError(f"tree {number}: broken category sets")


def _check_linear(fields: Mapping[str, str], number: int, leaves: int, width: int) -> None:
    counts = _whole(fields, "num_features", number, leaves)
    if min(counts) < 0 or len(fields["leaf_const"].split()) != leaves:
        raise ValueError(f"tree {number}: broken linear leaves")
    features = _whole(fields, "leaf_features", number, sum(counts))
    if len(fields["leaf_coeff"].split()) != len(features) or not all(0 <= f < width for f in features):
        raise ValueError(f"tree {number}: broken linear leaves")


def scaled_tree(text: str, factor: float) -> str:
    """The tree with its output multiplied by ``factor``, written with every digit."""
    lines = []
    for line in text.split("\n"):
        key, _, values = line.partition("=")
        if key in SCALED:
            # Blanks between linear leaves carry no meaning: LightGBM counts numbers.
            values = " ".join(repr(float(v) * factor) for v in values.split())
            line = f"{key}={values}"
        lines.append(line)
    return "\n".join(lines)
