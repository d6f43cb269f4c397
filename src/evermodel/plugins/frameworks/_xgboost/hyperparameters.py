"""Hyperparameters of an XGBoost booster, with the usual ranges."""

from __future__ import annotations

from collections.abc import Mapping

from evermodel.core.model.search_space import Dimension
from evermodel.core.records.search_record import Value, Values

DEFAULTS: Mapping[str, Value] = {
    "learning_rate": 0.3,
    "max_depth": 6,
    "min_child_weight": 1.0,
    "subsample": 1.0,
    "colsample_bytree": 1.0,
    "reg_lambda": 1.0,
}


def dimensions(rounds: int) -> tuple[Dimension, ...]:
    """The usual ranges; rounds from a third to three times as many as deployed, which bounds what a trial costs."""
    return (
        Dimension("learning_rate", "float", 0.01, 0.3, log=True),
        Dimension("max_depth", "int", 2, 10),
        Dimension("min_child_weight", "float", 0.5, 50.0, log=True),
        Dimension("subsample", "float", 0.5, 1.0),
        Dimension("colsample_bytree", "float", 0.4, 1.0),
        Dimension("reg_lambda", "float", 0.01, 100.0, log=True),
        Dimension("rounds", "int", max(5, rounds // 3), max(15, rounds * 3), log=True),
    )


def hyperparameters(recipe: Mapping[str, str], rounds: int) -> Values:
    found: dict[str, Value] = {k: type(v)(float(recipe.get(k, v))) for k, v in DEFAULTS.items()}
    return {**found, "rounds": rounds}


def overridden(recipe: Mapping[str, str], values: Values) -> dict[str, str]:
    """The recipe with other values; a bound on leaves that was read off the old trees goes where depth is set."""
    kept = {k: v for k, v in recipe.items() if not (k == "max_leaves" and "max_depth" in values)}
    return {**kept, **{k: str(v) for k, v in values.items() if k != "rounds"}}
