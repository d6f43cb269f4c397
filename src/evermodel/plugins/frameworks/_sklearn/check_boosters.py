"""Boosters of XGBoost and LightGBM inside a skops file: their trees are checked before their package sees them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from evermodel.core.errors import BadModel
from evermodel.plugins.frameworks._lightgbm import text_format
from evermodel.plugins.frameworks._xgboost import document, ubjson

BOOSTER_TYPES = frozenset(
    {
        "xgboost.core.Booster",
        "xgboost.sklearn.XGBClassifier",
        "xgboost.sklearn.XGBRegressor",
        "xgboost.sklearn.XGBRFClassifier",
        "xgboost.sklearn.XGBRFRegressor",
        "lightgbm.basic.Booster",
        "lightgbm.sklearn.LGBMClassifier",
        "lightgbm.sklearn.LGBMRegressor",
        "collections.OrderedDict",
        "collections.defaultdict",
    }
)
AGAIN = "Save the model again."


def check_boosters(path: Path) -> None:
    """Raises BadModel unless every booster in the file is one whose trees stay inside of themselves."""
    with zipfile.ZipFile(path) as archive:
        schema = json.loads(archive.read("schema.json"))
        for node in _list_nodes(schema):
            if node.get("__class__") != "Booster":
                continue
            state = node["content"]["content"]
            if node["__module__"] == "xgboost.core":
                _check_xgboost(archive.read(state["handle"]["file"]), path.name)
            elif node["__module__"] == "lightgbm.basic":
                text_format.parse(json.loads(state["_handle"]["content"]).encode(), path.name)
            else:
                raise BadModel(f"{path.name} holds an unknown booster of {node['__module__']}.", AGAIN)


def _check_xgboost(data: bytes, name: str) -> None:
    """A serialised booster is an object of two parts, the model and the configuration of its training."""
    try:
        document.check_document(ubjson.decode(data)["Model"])
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        detail = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise BadModel(f"{name} holds a broken XGBoost model ({detail[:200]}).", AGAIN) from None


def _list_nodes(schema: Any) -> Iterator[dict[str, Any]]:
    waiting = [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if "__class__" in node:
                yield node
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
