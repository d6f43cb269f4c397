"""Trees of a stranger's file. scikit-learn follows their indices in C without bounds: each is checked here first."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadModel
from evermodel.plugins.frameworks._sklearn.fitted_columns import resolve_columns
from evermodel.plugins.frameworks._sklearn.loaded_parts import list_parts
from evermodel.plugins.frameworks._tree_depth import is_too_deep

logger = logging.getLogger(__name__)

AGAIN = "Save the model again."
BITSET_WORDS = 8  # 256 categories in words of 32 bits
# Ensembles that hand their rows to their trees without another look at the width.
UNCHECKED_WIDTH = ("sklearn.ensemble._forest", "sklearn.ensemble._gb", "sklearn.ensemble._iforest")


def check_trees(obj: Any, name: str) -> None:
    """Raises BadModel unless every tree anywhere in ``obj`` stays inside its own nodes and columns.

    Covers trees and forests, gradient boosting of both kinds, and all of them inside pipelines, bagging, voting,
    stacking, calibration and ``init_``.
    """
    parts = list_parts(obj)
    for part in parts:
        if hasattr(part, "tree_"):
            _check_tree(part.tree_, getattr(part, "n_features_in_", None), name)
        if type(part).__module__ in UNCHECKED_WIDTH:
            _check_widths(part, name)
        if hasattr(part, "_predictors"):
            _check_histogram_trees(part, name)
    for part in parts:
        if type(part).__module__ == "sklearn.ensemble._gb":
            _check_stages(part, name)


def _outside(name: str) -> BadModel:
    return BadModel(f"{name} holds a tree whose nodes point outside of it.", AGAIN)


def _points_forward(left: Array, right: Array, inner: Array) -> bool:
    """Whether both children of every inner node come after it and inside the arrays: no walk can run in a circle."""
    count, positions = len(left), np.arange(len(left))
    return all(bool((~inner | ((side > positions) & (side < count))).all()) for side in (left, right))


def _check_tree(tree: Any, width: int | None, name: str) -> None:
    count, left, right = tree.node_count, tree.children_left, tree.children_right
    if count < 1 or not len(left) == len(right) == len(tree.feature) == len(tree.value) == count:
        raise _outside(name)
    inner = np.asarray(left) != -1
    inside = (tree.feature >= 0) & (tree.feature < tree.n_features)
    if not _points_forward(left, right, inner) or not bool((~inner | inside).all()):
        raise _outside(name)
    if not bool((inner | (np.asarray(right) == -1)).all()) or width != tree.n_features:
        raise _outside(name)
    if is_too_deep(left, right):
        raise BadModel(f"{name} holds a tree that is too deep, or is no tree.", AGAIN)


def _check_widths(ensemble: Any, name: str) -> None:
    """Trees of an ensemble must have as many columns as the rows that the ensemble hands them."""
    members = np.asarray(getattr(ensemble, "estimators_", []), dtype=object).ravel()
    subsets = getattr(ensemble, "estimators_features_", None)
    own_width = getattr(ensemble, "n_features_in_", None)
    widths = [own_width] * len(members) if subsets is None else [len(columns) for columns in subsets]
    if len(widths) != len(members) or any(
        member.tree_.n_features != width for member, width in zip(members, widths, strict=True)
    ):
        raise _outside(name)


def _check_stages(boosting: Any, name: str) -> None:
    """Each stage must have one tree for each column of the first prediction: scikit-learn adds them up in C."""
    if not hasattr(boosting, "estimators_"):
        return
    if any(type(part).__module__ == "sklearn.ensemble._gb" for part in list_parts(boosting.init_)):
        raise BadModel(f"{name} starts gradient boosting from another gradient boosting; this is not read.", AGAIN)
    try:
        first = boosting._raw_predict_init(np.zeros((1, boosting.n_features_in_), dtype=np.float32))
    except Exception as error:  # whatever a broken part raises
        logger.info("The first prediction of %s failed.", name, exc_info=True)
        raise BadModel(f"{name} holds gradient boosting that cannot predict ({type(error).__name__}).", AGAIN) from None
    if np.shape(boosting.estimators_)[1:] != np.shape(first)[1:]:
        raise _outside(name)


def _check_histogram_trees(boosting: Any, name: str) -> None:
    categorical = boosting._bin_mapper.is_categorical_
    width = boosting.n_features_in_
    if len(categorical) != width or not _gives_width(boosting, width):
        raise BadModel(f"{name} holds gradient boosting whose columns do not fit together.", AGAIN)
    for tree in (tree for stage in boosting._predictors for tree in stage):
        _check_histogram_nodes(tree, np.asarray(categorical, dtype=bool), name)


def _gives_width(boosting: Any, width: int) -> bool:
    """Whether the encoder before histogram gradient boosting gives as many columns as the trees are handed."""
    before = getattr(boosting, "_preprocessor", None)
    if before is None:
        return True
    if type(before).__name__ != "ColumnTransformer" or before.sparse_output_ or before.n_features_in_ != width:
        return False
    total = 0
    for _, step, selected in before.transformers_:
        taken, kind = len(resolve_columns(before, selected)), type(step).__name__
        encodes = kind == "OrdinalEncoder" and len(step.categories_) == taken
        if taken and not encodes and kind != "FunctionTransformer":  # what that calls: see check_parameters.py
            return False
        total += taken
    return total == width


def _check_histogram_nodes(tree: Any, categorical: Array, name: str) -> None:
    from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE, X_BITSET_INNER_DTYPE

    nodes = tree.nodes
    if not isinstance(nodes, np.ndarray) or nodes.dtype != PREDICTOR_RECORD_DTYPE or nodes.ndim != 1 or not len(nodes):
        raise _outside(name)
    for sets in (tree.binned_left_cat_bitsets, tree.raw_left_cat_bitsets):
        if sets.dtype != X_BITSET_INNER_DTYPE or sets.ndim != 2 or sets.shape[1] != BITSET_WORDS:
            raise _outside(name)
    inner = nodes["is_leaf"] == 0
    left, right = (np.where(inner, nodes[side].astype(np.int64), -1) for side in ("left", "right"))
    columns = nodes["feature_idx"][inner].astype(np.int64)
    if not _points_forward(left, right, inner) or not bool(((columns >= 0) & (columns < len(categorical))).all()):
        raise _outside(name)
    by_set = nodes["is_categorical"][inner] != 0
    sets_there = min(len(tree.binned_left_cat_bitsets), len(tree.raw_left_cat_bitsets))
    if not bool((nodes["bitset_idx"][inner][by_set] < sets_there).all()) or not categorical[columns[by_set]].all():
        raise _outside(name)
    if is_too_deep(left, right):
        raise BadModel(f"{name} holds a tree that is too deep, or is no tree.", AGAIN)
