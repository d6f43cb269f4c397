"""Parts that are built anew from what a file says, never used as it has them: search trees of neighbours, splines.

scikit-learn and scipy follow their numbers in C without bounds; their constructors check them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from evermodel.core.errors import Unsafe
from evermodel.plugins.frameworks._sklearn.loaded_parts import list_parts

TREES = ("sklearn.neighbors._kd_tree", "sklearn.neighbors._ball_tree")
NEIGHBOURS = ("sklearn.neighbors._classification", "sklearn.neighbors._regression")


def rebuild_parts(obj: Any, name: str) -> None:
    """Replaces search trees and splines inside ``obj``. Raises Unsafe for one that no estimator is known to hold."""
    parts = list_parts(obj)
    _rebuild_splines(parts, name)
    owners = [part for part in parts if type(part).__module__ in NEIGHBOURS]
    owned = {id(owner._tree) for owner in owners if owner.__dict__.get("_tree") is not None}
    for part in parts:
        if type(part).__module__ in TREES and id(part) not in owned:
            raise Unsafe(f"{name} holds a {type(part).__name__} outside of a model of neighbours.")
    for owner in owners:
        tree = owner.__dict__.get("_tree")
        if tree is None:
            continue
        rows = np.ascontiguousarray(owner._fit_X)
        if rows.ndim != 2 or rows.shape[1] != owner.n_features_in_ or len(rows) != len(owner._y):
            raise ValueError("the rows of its neighbours do not fit together")
        settings = owner.effective_metric_params_
        owner._tree = type(tree)(rows, int(owner.leaf_size), metric=owner.effective_metric_, **settings)


def _rebuild_splines(parts: list[Any], name: str) -> None:
    from scipy.interpolate import BSpline

    owners = [part for part in parts if type(part).__module__ == "sklearn.preprocessing._polynomial"]
    owners = [part for part in owners if hasattr(part, "bsplines_")]
    owned = {id(spline) for owner in owners for spline in owner.bsplines_}
    if any(isinstance(part, BSpline) and id(part) not in owned for part in parts):
        raise Unsafe(f"{name} holds a BSpline outside of a SplineTransformer.")
    for owner in owners:
        owner.bsplines_ = [
            BSpline(np.asarray(s.t), np.asarray(s.c), int(s.k), extrapolate=bool(s.extrapolate))
            for s in owner.bsplines_
        ]
