"""Hyperparameters of a LightGBM booster: read from its parameters, with the usual ranges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evermodel.core.model.search_space import Dimension
from evermodel.core.records.search_record import Value, Values

DIMENSIONS = (
    Dimension("learning_rate", "float", 0.01, 0.3, log=True),
    Dimension("num_leaves", "int", 7, 255, log=True),
    Dimension("min_data_in_leaf", "int", 5, 200, log=True),
    Dimension("feature_fraction", "float", 0.4, 1.0),
    Dimension("bagging_fraction", "float", 0.5, 1.0),
    Dimension("lambda_l2", "float", 1e-3, 100.0, log=True),
    Dimension("rounds", "int", 50, 1000, log=True),
)
DEFAULTS: Mapping[str, Value] = {
    "learning_rate": 0.1,
    "num_leaves": 31,
    "min_data_in_leaf": 20,
    "feature_fraction": 1.0,
    "bagging_fraction": 1.0,
    "lambda_l2": 0.0,
}


def dimensions(rounds: int) -> tuple[Dimension, ...]:
    """The usual ranges; rounds from a third to three times as many as deployed, which bounds what a trial costs."""
    around = Dimension("rounds", "int", max(5, rounds // 3), max(15, rounds * 3), log=True)
    return tuple(around if d.name == "rounds" else d for d in DIMENSIONS)


def hyperparameters(parameters: Mapping[str, Any], rounds: int) -> Values:
    found: dict[str, Value] = {k: type(v)(parameters.get(k, v)) for k, v in DEFAULTS.items()}
    return {**found, "rounds": rounds}


def overridden(parameters: Mapping[str, Any], values: Values) -> dict[str, Any]:
    """The booster's parameters with other values; bagging of rows needs a frequency to happen at all."""
    found = {**parameters, **{k: v for k, v in values.items() if k != "rounds"}}
    if float(values.get("bagging_fraction", 1.0)) < 1.0 and not int(found.get("bagging_freq") or 0):
        found["bagging_freq"] = 1
    return found
