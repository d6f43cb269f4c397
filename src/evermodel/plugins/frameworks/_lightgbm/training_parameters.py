"""How a deployed LightGBM model was trained, read from its own file, so that it can be trained that way again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.data.task import Task
from evermodel.core.errors import BadModel
from evermodel.core.model.training import Training
from evermodel.plugins.frameworks._lightgbm.text_format import Native

BINARY = ("binary", "cross_entropy")
MULTICLASS = ("multiclass", "multiclassova")
REGRESSION = (
    "regression",
    "regression_l1",
    "huber",
    "fair",
    "poisson",
    "quantile",
    "mape",
    "gamma",
    "tweedie",
)
# Taken over from the file. Anything that names a file, a machine or a device is not: the file is a stranger's.
_KEPT = """
boosting data_sample_strategy learning_rate num_leaves max_depth min_data_in_leaf min_sum_hessian_in_leaf
bagging_fraction pos_bagging_fraction neg_bagging_fraction bagging_freq feature_fraction feature_fraction_bynode
extra_trees max_delta_step lambda_l1 lambda_l2 linear_lambda min_gain_to_split drop_rate max_drop skip_drop
xgboost_dart_mode uniform_drop top_rate other_rate min_data_per_group max_cat_threshold cat_l2 cat_smooth
max_cat_to_onehot monotone_constraints monotone_constraints_method monotone_penalty feature_contri
interaction_constraints path_smooth linear_tree max_bin min_data_in_bin bin_construct_sample_cnt use_missing
zero_as_missing is_unbalance scale_pos_weight sigmoid boost_from_average reg_sqrt alpha fair_c
poisson_max_delta_step tweedie_variance_power use_quantized_grad num_grad_quant_bins quant_train_renew_leaf
stochastic_rounding
"""
KEPT = frozenset(_KEPT.split())
PER_COLUMN = ("monotone_constraints", "feature_contri", "interaction_constraints")
METRICS = {"binary": ["binary_logloss", "binary_error"], "multiclass": ["multi_logloss", "multi_error"]}


def task_of(model: Native) -> Task:
    """Raises BadModel for a ranking, a custom objective, or one whose output is neither probability nor value."""
    if model.objective in BINARY:
        return "binary"
    if model.objective in MULTICLASS:
        return "multiclass"
    if model.objective in REGRESSION:
        return "regression"
    raise BadModel(
        f"A LightGBM model must classify or regress. Got the objective {model.objective!r}.",
        f"Known: {', '.join((*BINARY, *MULTICLASS, *REGRESSION))}.",
    )


def answers_plainly(model: Native, known: Mapping[str, Any]) -> bool:
    """Whether an answer is the margin itself, its sigmoid or softmax."""
    plain = float(known.get("sigmoid") or 1.0) == 1.0 and not known.get("reg_sqrt")
    return plain and model.objective in ("binary", "multiclass", "regression")


def parameters(model: Native, known: Mapping[str, Any], training: Training, y: Array, width: int) -> dict[str, Any]:
    """What lightgbm.train is given: the parameters ``known`` of the deployed model, and what ``training`` overrides."""
    task = task_of(model)
    kept: dict[str, Any] = {k: v for k, v in known.items() if k in KEPT and v not in ("", [], None)}
    if width != model.width:
        kept = {k: v for k, v in kept.items() if k not in PER_COLUMN}
    objective, classes = model.objective, class_count(model, training, y)
    if task == "binary" and classes > 2:
        task, objective = "multiclass", "multiclass"
        kept = {k: v for k, v in kept.items() if k not in ("scale_pos_weight", "is_unbalance", "sigmoid")}
    if task == "multiclass":
        kept["num_class"] = classes
    if training.learning_rate is not None:
        kept["learning_rate"] = training.learning_rate
    # No number of threads: OpenMP's own default is all cores, or what OMP_NUM_THREADS says.
    fixed = {"seed": training.seed, "deterministic": True, "force_row_wise": True, "verbosity": -1}
    return {**kept, "objective": objective, "metric": METRICS.get(task, ["l2"]), **fixed}


def class_count(model: Native, training: Training, y: Array) -> int:
    """How many classes there are, by the labels told, the file, and the codes themselves."""
    if task_of(model) == "regression":
        return 0
    count = len(training.classes) or max(model.trees_per_round, 2)
    return max(count, int(np.max(y, initial=0)) + 1)
