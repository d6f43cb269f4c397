"""The trees of a LightGBM booster as plain data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from evermodel.core.model.decision_tree import Leaf, MissingRule, Split, TreeEnsemble

RULES = {"None": MissingRule.NONE, "Zero": MissingRule.ZERO, "NaN": MissingRule.NAN}


def read_trees(obj: Any) -> TreeEnsemble | None:
    """The leaves of a booster with one output; None for several outputs and for leaves that are linear models."""
    told = obj.booster.dump_model()
    trees = [info["tree_structure"] for info in told["tree_info"]]
    if told["num_tree_per_iteration"] != 1 or any(_is_linear(tree) for tree in trees):
        return None
    return TreeEnsemble(tuple(leaf for tree in trees for leaf in _walk(tree, ())))


def _is_linear(node: Mapping[str, Any]) -> bool:
    return "leaf_coeff" in node or any(_is_linear(node[side]) for side in ("left_child", "right_child") if side in node)


def _walk(node: Mapping[str, Any], path: tuple[tuple[Split, bool], ...]) -> Iterator[Leaf]:
    if "leaf_value" in node:
        yield Leaf(float(node["leaf_value"]), path)
        return
    split = _read_split(node)
    yield from _walk(node["left_child"], (*path, (split, True)))
    yield from _walk(node["right_child"], (*path, (split, False)))


def _read_split(node: Mapping[str, Any]) -> Split:
    feature = int(node["split_feature"])
    if node["decision_type"] == "==":
        return Split(feature, categories=tuple(int(code) for code in str(node["threshold"]).split("||")))
    rule = RULES[node["missing_type"]]
    return Split(feature, float(node["threshold"]), default_left=bool(node["default_left"]), missing=rule)
