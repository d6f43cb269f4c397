"""Hyperparameters of scikit-learn estimators (the last step of a pipeline), with the field's usual ranges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evermodel.core.errors import BadSetting
from evermodel.core.model.search_space import Dimension
from evermodel.core.records.search_record import Value, Values

_TREES = (
    Dimension("n_estimators", "int", 50, 500, log=True),
    Dimension("max_features", "float", 0.1, 1.0),
    Dimension("min_samples_leaf", "int", 1, 50, log=True),
    Dimension("max_depth", "int", 3, 40),
)
_BOOSTING = (
    Dimension("learning_rate", "float", 0.01, 0.3, log=True),
    Dimension("n_estimators", "int", 50, 500, log=True),
    Dimension("max_depth", "int", 2, 8),
    Dimension("subsample", "float", 0.5, 1.0),
    Dimension("min_samples_leaf", "int", 1, 50, log=True),
)
_HISTOGRAMS = (
    Dimension("learning_rate", "float", 0.01, 0.3, log=True),
    Dimension("max_iter", "int", 50, 500, log=True),
    Dimension("max_leaf_nodes", "int", 7, 127, log=True),
    Dimension("min_samples_leaf", "int", 5, 200, log=True),
    Dimension("l2_regularization", "float", 1e-6, 10.0, log=True),
)
_PENALTY = (Dimension("alpha", "float", 1e-6, 100.0, log=True),)
_STRENGTH = (Dimension("C", "float", 1e-4, 100.0, log=True),)
_NETWORK = (
    Dimension("alpha", "float", 1e-6, 1.0, log=True),
    Dimension("learning_rate_init", "float", 1e-4, 0.03, log=True),
)
_NEIGHBOURS = (
    Dimension("n_neighbors", "int", 1, 100, log=True),
    Dimension("weights", "choice", choices=("uniform", "distance")),
)
DIMENSIONS: Mapping[str, tuple[Dimension, ...]] = {
    "LogisticRegression": _STRENGTH,
    "LinearSVR": _STRENGTH,
    "SVC": (*_STRENGTH, Dimension("gamma", "float", 1e-5, 10.0, log=True)),
    "SVR": (*_STRENGTH, Dimension("gamma", "float", 1e-5, 10.0, log=True)),
    "Ridge": _PENALTY,
    "Lasso": _PENALTY,
    "SGDClassifier": _PENALTY,
    "SGDRegressor": _PENALTY,
    "ElasticNet": (*_PENALTY, Dimension("l1_ratio", "float", 0.0, 1.0)),
    "RandomForestClassifier": _TREES,
    "RandomForestRegressor": _TREES,
    "ExtraTreesClassifier": _TREES,
    "ExtraTreesRegressor": _TREES,
    "DecisionTreeClassifier": _TREES[2:],
    "DecisionTreeRegressor": _TREES[2:],
    "GradientBoostingClassifier": _BOOSTING,
    "GradientBoostingRegressor": _BOOSTING,
    "HistGradientBoostingClassifier": _HISTOGRAMS,
    "HistGradientBoostingRegressor": _HISTOGRAMS,
    "KNeighborsClassifier": _NEIGHBOURS,
    "KNeighborsRegressor": _NEIGHBOURS,
    "MLPClassifier": _NETWORK,
    "MLPRegressor": _NETWORK,
    "GaussianNB": (Dimension("var_smoothing", "float", 1e-12, 1e-3, log=True),),
    "BernoulliNB": _PENALTY,
    "MultinomialNB": _PENALTY,
}


def dimensions(last: Any) -> tuple[Dimension, ...]:
    """The usual ranges for this kind of estimator; none where we know of none."""
    return DIMENSIONS.get(type(last).__name__, ())


def hyperparameters(last: Any) -> Values:
    """The estimator's own values; a name such as gamma="scale", or no bound on depth, stands outside every range."""
    found: dict[str, Value] = {}
    for d in dimensions(last):
        value = last.get_params()[d.name]
        found[d.name] = "none" if value is None else value
    return found


def settings(last: Any, values: Values) -> dict[str, Any]:
    """The values as ``set_params`` takes them. Raises BadSetting for a hyperparameter the estimator does not have."""
    own = last.get_params()
    for name in values:
        if name not in own:
            raise BadSetting(f"{type(last).__name__} has no hyperparameter {name!r}.", f"It has: {', '.join(own)}.")
    return {name: None if value == "none" else value for name, value in values.items()}
