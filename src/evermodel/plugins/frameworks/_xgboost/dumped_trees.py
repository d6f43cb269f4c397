"""The trees of an XGBoost booster as plain data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from evermodel.core.model.decision_tree import Leaf, Split, TreeEnsemble


def read_trees(obj: Any) -> TreeEnsemble | None:
    """The leaves of a booster with one output; None for several outputs and for splits by category."""
    if obj.groups != 1:
        return None
    booster = obj.booster
    names = booster.feature_names or [f"f{at}" for at in range(obj.width)]
    places = {name: at for at, name in enumerate(names)}
    try:
        leaves = [leaf for text in booster.get_dump(dump_format="json") for leaf in _walk(json.loads(text), (), places)]
    except TypeError:  # a list of categories stands where a threshold is read
        return None
    return TreeEnsemble(tuple(leaves), "float32")


def _walk(node: Mapping[str, Any], path: tuple[tuple[Split, bool], ...], places: Mapping[str, int]) -> Iterator[Leaf]:
    if "leaf" in node:
        yield Leaf(float(node["leaf"]), path)
        return
    threshold = float(np.float32(node["split_condition"]))
    split = Split(places[node["split"]], threshold, inclusive=False, default_left=node["missing"] == node["yes"])
    for child in node["children"]:
        yield from _walk(child, (*path, (split, child["nodeid"] == node["yes"])), places)
