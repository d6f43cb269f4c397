"""Lists the types of the installed scikit-learn that a model file may hold, for _sklearn/allowed_types.py.

    python scripts/list_sklearn_types.py > src/evermodel/plugins/frameworks/_sklearn/allowed_types.py

A class written in Python is built from a file by creating it and setting its attributes: nothing of it runs, unless
it defines how it is created or restored. So a class is listed if it defines none of that, and lies where fitted
estimators keep their parts. Classes in C, and those with such a hook, are reviewed one by one: REVIEWED says why each
may be built.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
import warnings
from types import ModuleType

# Where the parts of fitted estimators lie that are no estimators themselves.
PARTS = (
    *("sklearn._loss.link", "sklearn._loss.loss", "sklearn.calibration", "sklearn.compose._column_transformer"),
    *("sklearn.ensemble._hist_gradient_boosting.binning", "sklearn.gaussian_process.kernels"),
    *("sklearn.model_selection._split", "sklearn.neural_network._stochastic_optimizers"),
    "sklearn.utils._metadata_requests",
)
LEFT_OUT = (
    *("tests", "conftest", "_build_utils", "datasets", "externals", "experimental", "_mocking", "_testing"),
    "estimator_checks",
)
HOOKS = ("__setstate__", "__new__", "__reduce__", "__reduce_ex__", "__del__", "__getattr__", "__setattr__")
OWN_HOOKS = ("sklearn.base", "sklearn.utils._metadata_requests", "abc", "builtins", "enum", "typing")
REVIEWED = {
    "sklearn.tree._tree.Tree": "its nodes are checked after it is built: check_trees.py",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor": "its nodes are checked: check_trees.py",
    "sklearn.utils._bunch.Bunch": "a dict; its restoring does nothing",
    "sklearn.isotonic.IsotonicRegression": "restoring it makes an interpolation of its own two arrays",
    "sklearn.neighbors._kd_tree.KDTree": "never searched: built anew from the rows, see rebuild_parts.py",
    "sklearn.neighbors._kd_tree.KDTree32": "never searched: built anew from the rows",
    "sklearn.neighbors._ball_tree.BallTree": "never searched: built anew from the rows",
    "sklearn.neighbors._ball_tree.BallTree32": "never searched: built anew from the rows",
    **{
        f"sklearn.metrics._dist_metrics.{name}Distance{bits}": "a formula on two rows; made of numbers alone"
        for name in ("Euclidean", "Manhattan", "Chebyshev", "Minkowski", "Hamming", "Canberra", "BrayCurtis")
        for bits in ("", "64", "32")
    },
    **{
        f"sklearn._loss._loss.Cy{name}": "a formula; made of numbers alone"
        for name in (
            *("HalfSquaredError", "AbsoluteError", "PinballLoss", "HuberLoss", "HalfPoissonLoss", "HalfGammaLoss"),
            *("HalfTweedieLoss", "HalfTweedieLossIdentity", "HalfBinomialLoss", "HalfMultinomialLoss"),
            "ExponentialLoss",
        )
    },
    **{
        f"sklearn.linear_model._sgd_fast.{name}": "a formula; made of numbers alone"
        for name in (
            *("Hinge", "SquaredHinge", "EpsilonInsensitive", "SquaredEpsilonInsensitive", "CyHalfBinomialLoss"),
            *("ModifiedHuber", "Huber", "Log", "SquaredLoss"),
        )
    },
}


def list_types() -> list[str]:
    """Every allowed type that the installed version has, by module and name, sorted."""
    found = set()
    for module in list_modules():
        for name, kind in vars(module).items():
            if not inspect.isclass(kind) or kind.__module__ != module.__name__:
                continue
            full = f"{module.__name__}.{name}"
            if full in REVIEWED or is_plain(kind, module):
                found.add(full)
    return sorted(found)


def list_modules() -> list[ModuleType]:
    """The modules of scikit-learn that may define parts of fitted estimators."""
    import sklearn

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        there = pkgutil.walk_packages(sklearn.__path__, "sklearn.", onerror=lambda name: None)
        names = [info.name for info in there if not any(part in LEFT_OUT for part in info.name.split("."))]
        return [importlib.import_module(name) for name in names]


def is_plain(kind: type, module: ModuleType) -> bool:
    """Whether a concrete class is written in Python and defines nothing of how it is created or restored."""
    from sklearn.base import BaseEstimator

    if not issubclass(kind, BaseEstimator) and module.__name__ not in PARTS:
        return False
    if not str(getattr(module, "__file__", "")).endswith(".py") or inspect.isabstract(kind):
        return False
    if kind is BaseEstimator or kind.__name__.endswith(("Mixin", "Display")):
        return False
    owners = [owner for owner in kind.__mro__ if owner.__module__ not in OWN_HOOKS and owner is not object]
    return not any(hook in vars(owner) for owner in owners for hook in HOOKS)


def write_list(types: list[str]) -> str:
    """The text of _sklearn/allowed_types.py, before it is formatted."""
    modules: dict[str, list[str]] = {}
    for full in types:
        module, _, name = full.rpartition(".")
        modules.setdefault(module, []).append(name)
    return HEADER + "".join(f"    {module!r}: {tuple(names)!r},\n" for module, names in modules.items()) + FOOTER


HEADER = '''"""Types of scikit-learn that a model file may hold: see scripts/list_sklearn_types.py for the rule."""

from __future__ import annotations

TYPES: dict[str, tuple[str, ...]] = {
'''
FOOTER = """}
ALLOWED_TYPES = frozenset(f"{module}.{name}" for module, names in TYPES.items() for name in names)
"""

if __name__ == "__main__":
    sys.stdout.write(write_list(list_types()))
