"""Small models of each framework that are worth pruning, on the rows of fusing.py."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from evermodel.core.model.framework import FRAMEWORKS
from evermodel.core.model.model import Model
from evermodel.core.model.output import Output
from tests.searching.fusing import CLASSES, table, trained, untrained


@functools.cache
def parent(kind: str) -> Model:
    """A trained network of kind "keras" or "torch", a booster, a forest, or a linear model."""
    if kind in ("keras", "torch"):
        return trained(untrained(3, kind), table(900, 1), 1, 12)
    start = untrained(0, "torch")
    rows = table(900, 1)
    x, y = start.transform(rows.frame), rows.frame["y"].to_numpy()
    name, obj = MAKERS[kind](x, y)
    plugin = FRAMEWORKS.load_module(name)
    taken = getattr(plugin, "taken", lambda o: o)(obj)
    return dataclasses.replace(start, obj=taken, framework=plugin, output=Output("probability"))


def _lightgbm(x, y):
    import lightgbm

    told = {"objective": "multiclass", "num_class": len(CLASSES), "num_leaves": 7, "verbose": -1, "num_threads": 1}
    return "lightgbm", lightgbm.train(told, lightgbm.Dataset(x, y), 60)


def _xgboost(x, y):
    import xgboost

    told = {"objective": "multi:softprob", "num_class": len(CLASSES), "max_depth": 3, "nthread": 1}
    return "xgboost", xgboost.train(told, xgboost.DMatrix(x, y), 60)


def _forest(x, y):
    from sklearn.ensemble import RandomForestClassifier

    return "sklearn", RandomForestClassifier(40, random_state=0, n_jobs=1).fit(np.asarray(x), y)


def _histograms(x, y):
    from sklearn.ensemble import HistGradientBoostingClassifier

    return "sklearn", HistGradientBoostingClassifier(max_iter=40, max_leaf_nodes=7, random_state=0).fit(x, y)


def _linear(x, y):
    from sklearn.linear_model import LogisticRegression

    return "sklearn", LogisticRegression().fit(np.asarray(x), y)


MAKERS = {
    "lightgbm": _lightgbm,
    "xgboost": _xgboost,
    "forest": _forest,
    "histograms": _histograms,
    "linear": _linear,
}
