"""Reads ``.skops`` files: only types known to run no code of a stranger, only parameters without side effects."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from evermodel.core.errors import BadModel, MissingExtra, Unsafe
from evermodel.core.model.user_code import UserCode, find_code, is_any_imported
from evermodel.plugins.frameworks._sklearn.allowed_types import ALLOWED_TYPES
from evermodel.plugins.frameworks._sklearn.check_boosters import BOOSTER_TYPES, check_boosters
from evermodel.plugins.frameworks._sklearn.check_parameters import PURE_FUNCTIONS, check_parameters, name_function
from evermodel.plugins.frameworks._sklearn.check_trees import check_trees
from evermodel.plugins.frameworks._sklearn.loaded_parts import list_parts
from evermodel.plugins.frameworks._sklearn.rebuild_parts import rebuild_parts

EXTRA = "sklearn"
# Besides scikit-learn's own types, and those that skops trusts by itself.
KNOWN_TYPES = ALLOWED_TYPES | {
    "numpy.dtype",
    "numpy.number",
    "numpy.bool_",
    "numpy.object_",
    "scipy.interpolate._bsplines.BSpline",  # built anew: see rebuild_parts.py
    "scipy._lib.array_api_compat.numpy._aliases.asarray",  # a BSpline holds it
    "functools.partial",  # what it calls is checked: see check_parameters.py
    "sklearn.utils.validation.check_array",
    "sklearn.compose._column_transformer._RemainderColsList",
    *PURE_FUNCTIONS,
}
PACKAGES = (
    "sklearn",
    "numpy",
    "scipy",
    "pandas",
    "builtins",
    "functools",
    "collections",
    "xgboost",
    "lightgbm",
    "ctypes",
)


def import_skops() -> Any:
    """``skops.io``. Raises MissingExtra."""
    try:
        from evermodel.plugins.frameworks._sklearn.skops_alone import skops
    except ImportError:
        raise MissingExtra.for_package("skops", EXTRA, "A scikit-learn model") from None
    return skops.io


def check_storable(obj: Any, name: str) -> None:
    """Raises BadModel, or Unsafe, for what a version could not keep: it is kept in a format that runs no code.

    Classes and functions of files that the user trusts can be kept: copies of these files are.
    """
    foreign = {type(part): part for part in list_parts(obj)}
    named = sorted(
        f"{t.__module__}.{t.__qualname__}"
        for t, part in foreign.items()
        if t.__module__.split(".")[0] not in PACKAGES and find_code([part]) is None
    )
    if named:
        module = next((m for m in (one.split(".")[0] for one in named) if m != "__main__"), "FILE")
        raise BadModel(
            f"{name} holds objects of your own classes: {', '.join(named[:5])}.",
            f"Name the Python file that defines them, and a copy of it is kept with the version: `trust` {module}.py",
        )
    check_parameters(obj, name)


def find_user_code(obj: Any) -> UserCode | None:
    """The user's own files that the parts of an estimator come from; None where all is scikit-learn's."""
    return find_code(list_parts(obj)) if is_any_imported() else None


def load_skops(path: Path, wanted: str = "predict", *, boosters: bool = False, code: UserCode | None = None) -> Any:
    """The estimator, or with ``wanted`` "transform" the scaler, of a file. ``boosters``: XGBoost's and LightGBM's too.

    ``code`` defines further classes and functions that the file may name. Raises Unsafe, BadModel, MissingExtra.
    """
    io = import_skops()
    own = frozenset[str]() if code is None else {name_function(value) for value in code.list_names().values()}
    try:
        named = set(io.get_untrusted_types(file=path))
        _refuse_foreign(path.name, named - own, boosters=boosters)
        if named & BOOSTER_TYPES:
            check_boosters(path)
        with contextlib.nullcontext() if code is None else code.in_use():
            obj = io.load(path, trusted=sorted(named))
    except (Unsafe, BadModel, FileNotFoundError, ModuleNotFoundError):
        raise
    except Exception as error:  # skops raises whatever the broken part inside raises
        said = " ".join(str(error).split())[:200]
        raise BadModel(f"{path.name} cannot be read as a skops file ({type(error).__name__}: {said}).") from error
    known = type(obj).__module__.startswith("sklearn") or name_function(type(obj)) in own
    if not known or not hasattr(obj, wanted):
        raise BadModel(f"{path.name} holds a {type(obj).__name__}, not a scikit-learn estimator with {wanted}().")
    check_parameters(obj, path.name)
    try:
        check_trees(obj, path.name)
        rebuild_parts(obj, path.name)
    except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:  # a part is not what it should be
        raise BadModel(f"{path.name} is a broken {type(obj).__name__} ({error}).", "Save the model again.") from error
    return obj


def _refuse_foreign(name: str, types: set[str], *, boosters: bool) -> None:
    foreign = types - KNOWN_TYPES - BOOSTER_TYPES
    if foreign:
        raise Unsafe(
            f"{name} names types outside scikit-learn: {', '.join(sorted(foreign)[:5])}.",
            "Only estimators of scikit-learn itself, numpy and scipy are built from a file, and classes of your own "
            "where you name the Python file that defines them: `trust` FILE.py.",
        )
    unknown = types & BOOSTER_TYPES - KNOWN_TYPES
    if unknown and not boosters:
        raise Unsafe(
            f"{name} holds a booster inside a pipeline: {', '.join(sorted(unknown)[:3])}.",
            f"XGBoost and LightGBM read such a part themselves. If you made this file, name it as `trust`: {name}.",
        )
