"""How a deployed XGBoost model was trained, so that it can be trained that way again.

XGBoost's native file does not say: learning rate and depth are in a live booster only. From a file they are read off
the trees themselves (exactly for rate, lambda and size; row and column sampling cannot be known and are left out).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.data.task import Task
from evermodel.core.errors import BadModel
from evermodel.core.model.training import Training
from evermodel.plugins.frameworks._xgboost.document import Document, trees_of
from evermodel.plugins.frameworks._xgboost.tree import depth_of, leaves_of, step_and_penalty

BINARY = ("binary:logistic",)
MULTICLASS = ("multi:softprob", "multi:softmax")
REGRESSION = (
    "reg:squarederror",
    "reg:linear",
    "reg:squaredlogerror",
    "reg:logistic",
    "reg:pseudohubererror",
    "reg:absoluteerror",
    "reg:quantileerror",
    "count:poisson",
    "reg:gamma",
    "reg:tweedie",
)
ADAPTIVE = ("reg:absoluteerror", "reg:quantileerror")  # leaves are quantiles, not sums of gradients
KEPT = (
    "learning_rate",
    "max_depth",
    "max_leaves",
    "min_child_weight",
    "gamma",
    "reg_alpha",
    "reg_lambda",
    "subsample",
    "sampling_method",
    "colsample_bylevel",
    "colsample_bynode",
    "colsample_bytree",
    "max_bin",
    "grow_policy",
    "max_delta_step",
    "monotone_constraints",
    "interaction_constraints",
    "max_cat_threshold",
    "max_cat_to_onehot",
)
PER_COLUMN = ("monotone_constraints", "interaction_constraints")
DART = ("sample_type", "normalize_type", "rate_drop", "one_drop", "skip_drop")
METRICS = {"binary": ["logloss", "error"], "multiclass": ["mlogloss", "merror"], "regression": ["rmse"]}


def task_of(objective: str) -> Task:
    """Raises BadModel for a ranking, a survival model, raw margins, a hinge loss, or an objective of the user's own."""
    if objective in BINARY:
        return "binary"
    if objective in MULTICLASS:
        return "multiclass"
    if objective in REGRESSION:
        return "regression"
    raise BadModel(
        f"An XGBoost model must classify with probabilities, or regress. Got the objective {objective!r}.",
        f"Known: {', '.join((*BINARY, *MULTICLASS, *REGRESSION))}.",
    )


def recipe_of(document: Document, config: Mapping[str, Any] | None) -> dict[str, str]:
    """Parameters by which such trees are grown: from a live booster's ``config`` if the trees bear it out, else
    read off the trees.
    """
    trees = trees_of(document)["trees"]
    depth, guessed = max(map(depth_of, trees)), step_and_penalty(trees[:200])
    objective = document["learner"]["objective"]
    settings = {
        k: v for part in objective.values() if isinstance(part, Mapping) for k, v in part.items() if k != "num_class"
    }
    parallel = trees_of(document)["gbtree_model_param"]["num_parallel_tree"]
    settings.update(objective=objective["name"], num_parallel_tree=parallel)
    if guessed is not None:
        guessed = (guessed[0] * int(parallel), guessed[1])  # XGBoost divides the rate among trees grown side by side
    booster = document["learner"]["gradient_booster"]["name"]
    config_values = {} if config is None else _said(config["learner"]["gradient_booster"])
    if config_values and depth <= (int(config_values["max_depth"]) or depth) and _agrees(config_values, guessed):
        return {**settings, "booster": booster, **config_values}
    # Without its drop rate a dart is grown as plain boosting.
    settings.update(max_depth=str(depth), max_leaves=str(max(map(leaves_of, trees))))
    if guessed is not None:
        settings.update(learning_rate=f"{guessed[0]:.6g}", reg_lambda=str(guessed[1]))
    return settings


def _said(config: Mapping[str, Any]) -> dict[str, str]:
    inner = config.get("gbtree", config)
    grown = {k: v for k, v in inner.get("tree_train_param", {}).items() if k in KEPT and v not in ("", "()")}
    dropped = {k: v for k, v in config.get("dart_train_param", {}).items() if k in DART}
    return {**grown, **dropped} if "max_depth" in grown else {}


def _agrees(config_values: Mapping[str, str], guessed: tuple[float, float] | None) -> bool:
    """A booster that was only loaded says XGBoost's defaults, not what it was trained with; its trees know better."""
    return guessed is None or abs(float(config_values["learning_rate"]) - guessed[0]) < 0.01 * guessed[0]


def parameters(known: Mapping[str, str], training: Training, y: Array, groups: int, same_width: bool) -> dict[str, Any]:
    """What xgboost.train is given: the deployed model's parameters, and what ``training`` overrides."""
    task = task_of(known["objective"])
    settings: dict[str, Any] = {k: v for k, v in known.items() if same_width or k not in PER_COLUMN}
    classes = class_count(task, groups, training, y)
    if task == "binary" and classes > 2:
        task = "multiclass"
        settings = {**{k: v for k, v in settings.items() if k != "scale_pos_weight"}, "objective": "multi:softprob"}
    if task == "multiclass":
        settings["num_class"] = classes
    if training.learning_rate is not None:
        settings["learning_rate"] = training.learning_rate
    # No number of threads: XGBoost's own default is all cores, or what OMP_NUM_THREADS says.
    fixed = {"seed": training.seed, "tree_method": "hist", "verbosity": 0, "eval_metric": METRICS[task]}
    return {**settings, **fixed}


def class_count(task: Task, groups: int, training: Training, y: Array) -> int:
    """How many classes there are, by the labels told, the model, and the codes themselves."""
    if task == "regression":
        return 0
    return max(len(training.classes) or max(groups, 2), int(np.max(y, initial=0)) + 1)
