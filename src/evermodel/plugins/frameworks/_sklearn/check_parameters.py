"""Parameters with side effects: a file may describe an estimator, never a folder to write to or a function to call."""

from __future__ import annotations

from functools import partial
from pathlib import PurePath
from typing import Any

import numpy as np

from evermodel.core.errors import Unsafe
from evermodel.core.model.user_code import find_code
from evermodel.plugins.frameworks._sklearn.loaded_parts import list_parts

# Parameters of scikit-learn that name a folder or a file: joblib caches pickles in ``memory`` and loads them again.
PATH_PARAMETERS = ("memory", "cachedir", "cache_dir", "data_home")
READS_FILES = ("filename", "file")  # values of a text vectoriser's ``input`` with which rows are opened as files
MAX_JOBS = 1024  # more worker processes than this is no setting of a real machine
# Objects of scipy that are numbers with a formula; those in a file are built anew, or not read from it at all.
CALLABLE_NUMBERS = ("scipy.interpolate._bsplines.BSpline", "scipy.interpolate._interpolate.interp1d")
CHECK_ARRAY = "sklearn.utils.validation.check_array"
CHECK_ARRAY_SETTINGS = {"dtype", "ensure_all_finite", "force_all_finite"}
# Functions of scikit-learn that estimators hold: they compute scores from arrays, and read and write nothing else.
PURE_FUNCTIONS = frozenset(
    f"sklearn.feature_selection.{module}.{name}"
    for module, names in {
        "_univariate_selection": ("f_classif", "f_regression", "chi2", "r_regression"),
        "_mutual_info": ("mutual_info_classif", "mutual_info_regression"),
    }.items()
    for name in names
)
FUNCTION_HINT = (
    "If it is your own, name the Python file that defines it: `trust` FILE.py. Else apply it to the rows before the "
    "model, or use a transformer of scikit-learn in its place."
)
HINT = "Set it to None with set_params() where the model was made, and save the model again."


def check_parameters(obj: Any, name: str) -> None:
    """Raises Unsafe for a parameter, however deep inside, that could write, read or run something outside the model.

    Refused are folders for caches, inputs that are read as files, functions (numpy's and scipy's own arithmetic is
    allowed: a ufunc has no side effects; so is what a trusted file of the user's defines) and absurd numbers of worker
    processes. Attributes are checked like
    parameters, because a file may set either.
    """
    for part in list_parts(obj):
        if isinstance(part, PurePath) or type(part).__module__.partition(".")[0] == "joblib":
            raise Unsafe(f"{name} holds a {type(part).__name__}, which is a place outside the model.", HINT)
        if callable(part) and not _is_harmless(part) and find_code([part]) is None:
            called = getattr(part, "__qualname__", type(part).__name__)
            raise Unsafe(f"{name} holds a function to call ({called}).", FUNCTION_HINT)
        if _is_from_sklearn(part):
            _check_settings(part, name)


def _is_harmless(part: Any) -> bool:
    """Whether a callable has no side effects: arithmetic, an estimator, a reviewed function of scikit-learn's own."""
    if isinstance(part, partial):  # histogram gradient boosting checks its numbers so
        return not part.args and name_function(part.func) == CHECK_ARRAY and set(part.keywords) <= CHECK_ARRAY_SETTINGS
    if name_function(type(part)) in CALLABLE_NUMBERS:
        return True
    return isinstance(part, np.ufunc) or _is_from_sklearn(part) or name_function(part) in PURE_FUNCTIONS


def name_function(part: Any) -> str:
    """A function by its module and name."""
    return f"{getattr(part, '__module__', '')}.{getattr(part, '__qualname__', '')}"


def _is_from_sklearn(part: Any) -> bool:
    """Whether ``part`` is an instance of a class of scikit-learn, whose own methods are known."""
    return type(part).__module__.partition(".")[0] == "sklearn"


def _check_settings(part: Any, name: str) -> None:
    settings = getattr(part, "__dict__", {})
    owner = type(part).__name__
    for key in PATH_PARAMETERS:
        if settings.get(key) is not None:
            raise Unsafe(f"{name}: {owner} has {key}=, a folder that training would write to and unpickle from.", HINT)
    value = settings.get("input")
    if isinstance(value, str) and value in READS_FILES:
        raise Unsafe(f"{name}: {owner} has input={value!r}, which reads the files that rows name.", HINT)
    jobs = settings.get("n_jobs")
    if isinstance(jobs, (int, float)) and abs(jobs) > MAX_JOBS:
        raise Unsafe(f"{name}: {owner} has n_jobs={jobs}, at most {MAX_JOBS} are allowed.", HINT)
