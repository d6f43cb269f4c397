"""What goes in and out of XGBoost itself: boosters as documents, its errors in our words."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from evermodel.core.errors import BadData
from evermodel.plugins.frameworks._xgboost.booster import Boosted, first_line, library, load_booster
from evermodel.plugins.frameworks._xgboost.document import Document, parse, trees_of


def document_of(booster: Any) -> Document:
    return parse(bytes(booster.save_raw("json")))


def without_tables(parent: Boosted) -> Any:
    """XGBoost does not go on with rows that carry no tables of categories; ours carry codes, which are append-only."""
    if not any(parent.tables):
        return parent.booster
    document = document_of(parent.booster)
    trees_of(document)["cats"] = {"enc": [], "feature_segments": [], "sorted_idx": []}
    return load_booster(json.dumps(document).encode())


def with_tables(booster: Any, parent: Boosted) -> Any:
    """The booster, loaded anew so that it holds no training rows, with the parent's tables of categories."""
    if not any(parent.tables) or booster.num_features() != parent.width:
        return load_booster(bytes(booster.save_raw("ubj")))
    document = document_of(booster)
    trees_of(document)["cats"] = trees_of(document_of(parent.booster))["cats"]
    return load_booster(json.dumps(document).encode())


def call_library(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except library().core.XGBoostError as error:
        raise BadData(f"XGBoost cannot use these rows ({first_line(error)}).") from None
