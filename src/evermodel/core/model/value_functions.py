"""Functions of a number that teams apply before they scale: logarithms and the square root."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadData

ValueFunction = Literal["", "log1p", "log", "log2", "log10", "sqrt"]
FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "log1p": np.log1p,
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "sqrt": np.sqrt,
}
INVERSES: dict[str, Callable[[float], float]] = {
    "": float,
    "log1p": lambda value: float(np.expm1(value)),
    "log": lambda value: float(np.exp(value)),
    "log2": lambda value: float(np.exp2(value)),
    "log10": lambda value: float(10.0**value),
    "sqrt": lambda value: float(value**2),
}


def apply_function(function: ValueFunction, values: Array, column: str) -> Array:
    """The function of values of any shape; NaN stays NaN.

    Raises BadData where a value has none, such as the logarithm of -3: the model has no answer to that row.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        found = FUNCTIONS[function](values)
    wrong = ~np.isfinite(found) & ~np.isnan(values)
    if wrong.any():
        raise BadData(
            f"{column!r} holds the value {values[wrong][0]:g} in {int(wrong.sum()):,} of {len(values):,} rows; the "
            f"model takes its {function} there, which does not exist.",
            "Leave these rows out, or correct them: the model has no answer to them.",
        )
    return found
