"""Whether a model of CatBoost's JSON holds together: CatBoost trusts what it reads, and answers outside its memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from evermodel.core.errors import BadModel

Json = Mapping[str, Any]
DEEPEST = 100  # levels of one tree; CatBoost itself grows 16
MOST_SPLITS = 24  # of a symmetric tree, which has two leaves for each combination


def check_structure(document: Any, shown: str) -> None:
    """Raises BadModel where a tree asks for a column, a border or a leaf that the file does not have."""
    try:
        found = next(_list_faults(document), None)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        found = f"a part is missing or has another type ({type(error).__name__}: {str(error)[:100]})"
    if found:
        raise BadModel(f"{shown} is no whole CatBoost model: {found}.", "Save the model again.")


def _list_faults(document: Json) -> Iterator[str]:
    features = document["features_info"]
    floats = features.get("float_features") or []
    categories = features.get("categorical_features") or []
    if features.get("text_features") or features.get("embedding_features"):
        yield "it takes texts or embeddings as columns, and models of numbers and categories can be kept"
    yield from _list_column_faults(floats, categories)
    borders = [len(feature.get("borders") or []) for feature in floats]
    kinds = {
        "FloatFeature": sum(borders),
        "OneHotFeature": sum(len(feature.get("values") or []) for feature in categories),
        "OnlineCtr": sum(len(ctr.get("borders") or []) for ctr in features.get("ctrs") or []),
    }
    if features.get("ctrs"):
        yield from _list_counter_faults(document, len(floats), len(categories))
    outputs = _count_outputs(document)
    trees = [*(document.get("oblivious_trees") or []), *(document.get("trees") or [])]
    if not trees:
        yield "it holds no trees"
    for tree in trees:
        yield from _list_symmetric_faults(tree, outputs) if "leaf_values" in tree else _list_tree_faults(tree, outputs)
    for split in _list_splits(trees):
        if split["split_type"] not in kinds:
            yield f"a split is of the type {str(split['split_type'])[:40]!r}"
        if not 0 <= int(split.get("split_index", 0)) < sum(kinds.values()):
            yield f"a split has the number {split['split_index']} of {sum(kinds.values())}"
        if split["split_type"] == "FloatFeature" and not _is_border(split, floats):
            yield "a split is at a border that its column does not have"
        if split["split_type"] == "OneHotFeature" and not 0 <= split["cat_feature_index"] < len(categories):
            yield f"a split asks for the category column {split['cat_feature_index']} of {len(categories)}"


def _list_column_faults(floats: list[Json], categories: list[Json]) -> Iterator[str]:
    flat = [feature["flat_feature_index"] for feature in (*floats, *categories)]
    if len(set(flat)) != len(flat) or any(type(at) is not int or not 0 <= at < 1 << 20 for at in flat):
        yield "two columns have one number, or a column has none"
    for kind in (floats, categories):
        if [feature["feature_index"] for feature in kind] != list(range(len(kind))):
            yield "the columns of one kind are not numbered from 0"
    for feature in floats:
        borders = feature.get("borders") or []
        if not all(map(_is_number, borders)) or sorted(borders) != borders:
            yield f"the borders of column {feature['flat_feature_index']} are no rising numbers"


def _list_counter_faults(document: Json, floats: int, categories: int) -> Iterator[str]:
    tables = document["ctr_data"]
    for ctr in document["features_info"]["ctrs"]:
        if ctr["identifier"] not in tables:
            yield "a counter of categories has no table"
        for element in ctr["elements"]:
            if not 0 <= int(element.get("cat_feature_index", 0)) < max(1, categories):
                yield f"a counter asks for the category column {element['cat_feature_index']} of {categories}"
            if not 0 <= int(element.get("float_feature_index", 0)) < max(1, floats):
                yield f"a counter asks for the column {element['float_feature_index']} of {floats}"


def _count_outputs(document: Json) -> int:
    scale, bias = document["scale_and_bias"]
    biases = bias if isinstance(bias, list) else [bias]
    if not all(map(_is_number, [scale, *biases])):
        raise ValueError("the scale or the bias is no number")
    return len(biases)


def _list_symmetric_faults(tree: Json, outputs: int) -> Iterator[str]:
    splits = len(tree.get("splits") or [])
    if splits > MOST_SPLITS or len(tree["leaf_values"]) != outputs << splits:
        yield f"a tree of {splits} splits and {outputs} outputs has {len(tree['leaf_values'])} values in its leaves"
    if not all(map(_is_number, tree["leaf_values"])):
        yield "a leaf holds no number"


def _list_tree_faults(tree: Json, outputs: int) -> Iterator[str]:
    waiting = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        if depth > DEEPEST:
            yield f"a tree has more than {DEEPEST} levels"
            return
        if "value" in node:
            value = node["value"] if isinstance(node["value"], list) else [node["value"]]
            if len(value) != outputs or not all(map(_is_number, value)):
                yield f"a leaf holds other than {outputs} numbers"
        else:
            waiting += [(node["left"], depth + 1), (node["right"], depth + 1)]


def _list_splits(trees: list[Json]) -> Iterator[Json]:
    waiting = list(trees)
    while waiting:
        node = waiting.pop()
        if "leaf_values" in node:
            yield from node.get("splits") or []
        elif "value" not in node:
            yield node["split"]
            waiting += [node["left"], node["right"]]


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_border(split: Json, floats: list[Json]) -> bool:
    at = split["float_feature_index"]
    return type(at) is int and 0 <= at < len(floats) and split["border"] in (floats[at].get("borders") or [])
