"""What a CatBoost model predicts, and the parameters with which it is trained anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evermodel.core.data.task import Task
from evermodel.core.errors import BadModel
from evermodel.core.model.search_space import Dimension
from evermodel.core.model.training import Training
from evermodel.core.records.search_record import Value, Values

BINARY = ("Logloss", "CrossEntropy", "Focal")
SEVERAL = ("MultiClass", "MultiClassOneVsAll")
EXPONENT = ("Poisson", "Tweedie")  # the answer is the exponential of the sum of the leaves
VALUES = (
    *("RMSE", "MAE", "Quantile", "LogLinQuantile", "MAPE", "Huber", "Expectile", "LogCosh", "Lq", "NumErrors"),
    *EXPONENT,
)
# Of the machine or the rows of that training, not of the recipe; and what is set anew.
LEFT_OUT = (
    *("task_type", "devices", "gpu_ram_part", "train_dir", "thread_count", "pool_metainfo_options", "eval_fraction"),
    *("use_best_model", "best_model_min_trees", "class_names", "classes_count", "random_seed", "iterations", "verbose"),
    *("snapshot_file", "save_snapshot", "od_type", "od_wait", "od_pval", "eval_metric", "custom_metric"),
)
DIMENSIONS = (
    Dimension("learning_rate", "float", 0.01, 0.3, log=True),
    Dimension("depth", "int", 3, 9),
    Dimension("l2_leaf_reg", "float", 0.5, 30.0, log=True),
)


def loss_of(parameters: Mapping[str, Any]) -> str:
    """The loss without its settings: "Quantile" of "Quantile:alpha=0.9"."""
    return str(parameters.get("loss_function", "RMSE")).partition(":")[0]


def task_of(parameters: Mapping[str, Any]) -> Task:
    """Raises BadModel for a loss that predicts neither a class nor one number: ranking, several targets."""
    loss = loss_of(parameters)
    if loss in BINARY:
        return "binary"
    if loss in SEVERAL:
        return "multiclass"
    if loss in VALUES:
        return "regression"
    raise BadModel(
        f"A CatBoost model of the loss {loss!r} predicts neither a class nor one number.",
        "Models of classes and of one value can be adopted.",
    )


def choose_parameters(recipe: Mapping[str, Any], training: Training, rounds: int) -> dict[str, Any]:
    """The deployed model's own parameters for ``rounds`` rounds on these classes, written to no file."""
    found = {name: value for name, value in recipe.items() if name not in LEFT_OUT}
    if training.classes and loss_of(recipe) in (*BINARY, *SEVERAL):
        found["class_names"] = list(training.classes)
        if loss_of(recipe) in BINARY and len(training.classes) > 2:
            found["loss_function"] = "MultiClass"
        if len(training.classes) != len(recipe.get("class_names") or training.classes):
            found.pop("class_weights", None)  # one for each class that there was
    if training.learning_rate is not None:
        found["learning_rate"] = training.learning_rate
    fixed = {"iterations": rounds, "random_seed": training.seed, "allow_writing_files": False, "task_type": "CPU"}
    return {**found, **fixed, "logging_level": "Silent"}


def list_dimensions(rounds: int) -> tuple[Dimension, ...]:
    """The usual ranges; rounds from a third to three times as many as deployed."""
    return (*DIMENSIONS, Dimension("rounds", "int", max(5, rounds // 3), max(15, rounds * 3), log=True))


def get_hyperparameters(recipe: Mapping[str, Any], rounds: int) -> Values:
    found: dict[str, Value] = {
        "learning_rate": float(recipe.get("learning_rate", 0.03)),
        "depth": int(recipe.get("depth", 6)),
        "l2_leaf_reg": float(recipe.get("l2_leaf_reg", 3.0)),
    }
    return {**found, "rounds": rounds}


def override_parameters(recipe: Mapping[str, Any], values: Values) -> dict[str, Any]:
    """The recipe with other values; the number of leaves follows the depth of symmetric trees."""
    changed = {**recipe, **{name: value for name, value in values.items() if name != "rounds"}}
    if "depth" in values and changed.get("grow_policy", "SymmetricTree") == "SymmetricTree":
        changed.pop("max_leaves", None)
    return changed
