"""Trees of a stranger's file: built by scikit-learn without a look at where their nodes point."""

from __future__ import annotations

from typing import Any

import numpy as np

from evermodel.core.errors import BadModel


def check_trees(last: Any, name: str) -> None:
    """Raises BadModel unless every tree of an estimator stays inside its own nodes, and always goes forward."""
    inner = np.asarray(getattr(last, "estimators_", [last] if hasattr(last, "tree_") else []), dtype=object).ravel()
    for tree in (e.tree_ for e in inner if hasattr(e, "tree_")):
        n, ends = tree.node_count, (tree.children_left, tree.children_right)
        whole = all(len(e) == n and bool(((e == -1) | ((e > np.arange(n)) & (e < n))).all()) for e in ends)
        inside = bool((tree.feature < tree.n_features).all()) and len(tree.feature) == n == len(tree.value)
        if not whole or not inside:
            raise BadModel(f"{name} holds a tree whose nodes point outside of it.", "Save the model again.")
