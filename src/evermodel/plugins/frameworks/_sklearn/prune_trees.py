"""Fewer trees of scikit-learn's forests and boosters: those that predict, cut to the first of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from evermodel.core.errors import BadModel

_HOLDERS = ("estimators_", "_predictors")  # forests, bagging and gradient boosting; histogram boosting


def trees(last: Any) -> int:
    """How many trees, or rounds of them. Raises BadModel for an estimator without."""
    return len(getattr(last, _holder(last)))


def truncate(last: Any, count: int) -> None:
    """Cuts the estimator in place."""
    name = _holder(last)
    setattr(last, name, getattr(last, name)[:count])
    for sizes in (
        "estimators_samples_",
        "estimators_features_",
        "train_score_",
        "validation_score_",
        "estimator_weights_",
    ):
        value = getattr(last, sizes, None)
        if sizes in vars(last) and value is not None and len(value) > count:
            setattr(last, sizes, value[:count])
    if hasattr(last, "n_estimators_"):
        last.n_estimators_ = count
    last.set_params(**{k: count for k in ("n_estimators", "max_iter") if k in last.get_params()})


def list_trees(last: Any) -> list[Any]:
    """Every tree by itself: those of a forest or a booster, or the one that a decision tree is."""
    if hasattr(last, "tree_"):
        return [last]
    for name in _HOLDERS:
        held = getattr(last, name, None)
        if held is not None and len(held):
            return [tree for group in held for tree in (group if isinstance(group, list) else np.ravel(group))]
    return []


def count_leaves(last: Any) -> int:
    """Of all trees together."""
    trees = list_trees(last)
    return sum(int(t.nodes["is_leaf"].sum()) if hasattr(t, "nodes") else int(t.get_n_leaves()) for t in trees)


def _holder(last: Any) -> str:
    name = next((n for n in _HOLDERS if len(getattr(last, n, ())) > 0), None)
    kind = type(last).__name__
    if name is None or any(word in kind for word in ("Voting", "Stacking", "MultiOutput", "Chain", "AdaBoost")):
        raise BadModel(f"A {kind} has no row of trees to cut.", "Use the pruner 'features'.")
    return name
